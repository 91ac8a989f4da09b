//! What the pages tell a reader to type, to paste and to look for is tried: policies against the calls that are made,
//! commands by running them, messages and figures against where they come from.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test ends at what it did not expect, and its parts are for each other"
)]

mod commands;
mod figures;
mod messages;
mod page;
mod pay_less;
mod policies;
mod policy;
mod sizing;
mod world;
