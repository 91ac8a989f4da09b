//! The action as the platform starts it: the real binary between a platform, a storage and an intake.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "the code of a test outside its functions: what breaks ends the test"
)]

mod compressed;
mod intake;
mod life;
mod refused;
mod sending;
mod sources;
mod world;
