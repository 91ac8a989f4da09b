//! Processor time and memory of processes, as the system counts them.

use std::path::Path;
use std::process::{Command, Stdio};

use support::module::Process;
use support::usage::{cpu_seconds, own_and_childrens_seconds, peak_kib};

/// The binary that is measured: the one that was built with this, or another in `BINARY`, to compare two.
pub fn binary() -> String {
    std::env::var("BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_aws-flowlogs").to_owned())
}

/// What a process needed so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system, of all its threads.
    pub cpu_seconds: f64,
    /// The most memory that it had at once.
    pub peak_mib: f64,
}

/// What a process has needed up to now; `None` if it is gone.
pub fn usage(process: &Process) -> Option<Usage> {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let peak_mib = peak_kib(process)? as f64 / 1024.0;
    Some(Usage { cpu_seconds: cpu_seconds(process)?, peak_mib })
}

/// Processor time of all children that have ended, in seconds.
pub fn children_seconds() -> f64 {
    own_and_childrens_seconds()[1]
}

/// Processor time that `tool` needs to write what these files hold to nowhere, in seconds; `None` if it is not there.
pub fn decompress(tool: &[&str], files: &[impl AsRef<Path>]) -> Option<f64> {
    let before = children_seconds();
    let (program, arguments) = tool.split_first()?;
    let files = files.iter().map(AsRef::as_ref);
    let mut command = Command::new(program);
    command.args(arguments).args(files).stdout(Stdio::null());
    command.status().ok()?.success().then(|| children_seconds() - before)
}

/// The one in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
