//! What a person at a terminal can choose.

use clap::Parser;

/// Runs the module in a world of its own, and tells at the end whether anything was lost.
#[derive(Debug, Parser)]
#[command(name = "playground")]
pub(crate) struct Options {
    /// How long it goes on before the verdict
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) seconds: u64,
    /// Records written a second, about
    #[arg(long, value_name = "RECORDS", default_value_t = 2000, conflicts_with = "bucket",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Run the connector, which sends to the intake itself, in place of the trigger with its playbook
    #[arg(long, conflicts_with = "bucket")]
    pub(crate) connector: bool,
    /// Take the names of objects from a queue, in place of listing the bucket
    #[arg(long, conflicts_with = "bucket")]
    pub(crate) queue: bool,
    /// How many processes share the queue
    #[arg(long, value_name = "N", requires = "queue", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=8))]
    pub(crate) replicas: u32,
    /// Kill the trigger or the connector half-way (SIGKILL) and start it again
    #[arg(long)]
    pub(crate) kill: bool,
    /// Show what it writes to its log
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Read this bucket of yours, with the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    #[arg(long, value_name = "NAME", requires = "region")]
    pub(crate) bucket: Option<String>,
    /// The region of the bucket
    #[arg(long, value_name = "REGION", requires = "bucket")]
    pub(crate) region: Option<String>,
    /// Only objects whose key starts with this
    #[arg(long, requires = "bucket", default_value = "")]
    pub(crate) prefix: String,
    /// Where to start in the bucket: now, beginning, or a time
    #[arg(long, value_name = "WHEN", requires = "bucket", default_value = "now")]
    pub(crate) start_from: String,
    /// Send to this intake of yours; without it, to one that only counts
    #[arg(long, value_name = "KEY", requires = "bucket")]
    pub(crate) intake_key: Option<String>,
    /// The base URL of your intake
    #[arg(long, value_name = "URL", requires = "intake_key", default_value = "https://intake.sekoia.io")]
    pub(crate) intake_server: String,
}
