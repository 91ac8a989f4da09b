//! The trigger as a process, between an S3 server, a platform and a storage.
#![allow(unreachable_pub, reason = "the modules of a test are reached from here alone")]

mod bad_input;
mod life;
mod troubles;
mod world;
