//! The trigger and the connector as processes, between an S3 server, a platform, an intake and a storage.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "the code of a test outside its functions: what breaks ends the test"
)]

mod backfill;
mod bad_input;
mod causes;
mod connector;
mod crashes;
mod endpoints;
mod fair;
mod folders;
mod formats;
mod hang;
mod kill;
mod late;
mod life;
mod merged;
mod metrics;
mod parquet;
mod poison;
mod ports;
mod queue;
mod range;
mod roles;
mod shared;
mod state;
mod troubles;
mod upgrade;
mod world;
