//! The platform's contract, held against the platform's own SDK: a trigger, an action, a validator and two connectors
//! written on it (`reference.py`) and the real binary run against the same server under the same script of answers, and what they
//! asked is compared. Every difference that is meant is a row of `DIFFERENCES.md`, which the tests read. The templates for AWS are
//! held against AWS's linter and another implementation of AWS.
//!
//! Needs Python 3.11 or newer; the SDK comes from PyPI, once, see [`sdk`].
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "the code of a test outside its functions: what breaks ends the test"
)]

mod comparison;
mod connector;
mod differences;
mod exchange;
mod logs;
mod nodes;
mod reports;
mod sdk;
mod servers;
mod templates;
mod tools;
mod trigger;
mod world;
