//! What the whole process costs, beside tools that only decompress the same bytes: `make bench`.
//!
//! The binary runs between stand-ins for S3, the platform and the intake, which share the machine with it: what counts
//! is processor time and memory of the binary alone, and their ratio to the tools. Written to a file with
//! `cargo bench --bench process -- --write FILE`.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a tool for developers"
)]

mod action;
mod measure;
mod options;
mod queue;
mod table;
mod trigger;
mod world;

use table::Table;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (files, parts): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.contains('.'));
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| *wanted == part);
    let mut table = Table::new();
    let rest = trigger::at_rest(&mut table).await;
    if is_wanted("backlog") {
        trigger::backlog(&mut table, rest).await;
    }
    if is_wanted("formats") {
        trigger::formats(&mut table, rest).await;
    }
    if is_wanted("options") {
        options::options(&mut table, rest).await;
    }
    if is_wanted("queue") {
        queue::messages(&mut table).await;
    }
    if is_wanted("action") {
        action::runs(&mut table).await;
    }
    for file in files {
        std::fs::write(file, table.page()).unwrap();
    }
}
