//! The commands `check` and `health`: the real binary between an S3 server and a platform.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the code of a test outside its functions: what breaks ends the test"
)]

mod aws;
mod connector;
mod health;
mod platform;
mod queue;
mod role;
mod savings;
mod world;
