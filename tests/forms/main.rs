//! The forms that the playbook editor makes of the manifests: each property tells what to put there, and a browser in
//! which they are filled in and sent as a user does gives a configuration that delivers.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test ends at what it did not expect, and its parts are for each other"
)]

mod browser;
mod manifests;
mod texts;
mod typed;
