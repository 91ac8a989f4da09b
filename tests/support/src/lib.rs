//! The world around the module: what it meets in production, as servers on a loopback port that a test can watch
//! and break. The playground runs on the same code.
//!
//! - [`s3`]: S3 and STS on the real wire protocol, signatures included, over an in-memory store
//! - [`platform`]: the platform's callback, secrets and logs
//! - [`intake`]: where events end up
//! - [`flowlogs`]: keys and contents as AWS writes them
//! - [`traffic`]: the flow logs of a VPC on an ordinary day
//! - [`parquet`]: the same contents as Parquet
//! - [`parser`]: what the intake makes of an event
//! - [`module`]: the real binary as a process
//! - [`ahead`]: time that passes for a process
//! - [`link`]: a way to a server, which can be cut
//! - [`playbook`]: a playbook template, rendered and run
//! - [`library`]: where the platform's tools publish a module
//! - [`portal`]: a login page, or a proxy that refuses
//! - [`recorder`]: any other server, which only notes what it is asked
//! - [`silent`]: a file that never answers
//! - [`sizing`]: what it takes to read flow logs from a queue
//! - [`usage`]: what a process costs
//!
//! Every server stops when its handle is dropped.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "code of tests: a broken assumption ends the test, and the rules of the module are not for the world around it"
)]

pub mod ahead;
pub mod clock;
pub mod flowlogs;
pub mod identity;
pub mod intake;
pub mod library;
pub mod link;
pub mod module;
pub mod parquet;
pub mod parser;
pub mod platform;
pub mod playbook;
pub mod portal;
pub mod recorder;
pub mod s3;
pub mod script;
pub mod silent;
pub mod sizing;
pub mod traffic;
pub mod usage;
mod wire;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Asks `condition` again and again until it holds or `timeout` is over; says whether it came to hold.
///
/// Stands where a sleep would: a test goes on at once when the condition holds.
pub async fn eventually(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    const PAUSE: Duration = Duration::from_millis(10);
    let deadline = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A port that was free a moment ago, for a process that cannot say which one it took. It lies below those that the
/// system gives to whoever connects somewhere (`man 7 ip`, `ip_local_port_range`): nobody takes it in between.
///
/// # Panics
/// When no such port is free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run side by side begin elsewhere.
    let begin = std::process::id().wrapping_mul(997);
    let mut ports = (0..PORTS).map(|_| begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS);
    let free = ports.find_map(|port| {
        let port = u16::try_from(12_000 + port).ok()?;
        std::net::TcpListener::bind(("0.0.0.0", port)).ok().map(|_| port)
    });
    free.expect("a free port")
}

const PORTS: u32 = 20_000;
