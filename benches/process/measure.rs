//! Processor time and memory of processes, as the system counts them.

use std::path::Path;
use std::process::{Command, Stdio};

use support::module::Process;

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
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", process.id()?)).ok();
    let status = read("status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak_kib: f64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    let [own, _] = seconds(&read("stat")?)?;
    Some(Usage { cpu_seconds: own, peak_mib: peak_kib / 1024.0 })
}

/// Processor time of all children that have ended, in seconds.
pub fn children_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    seconds(&stat).unwrap()[1]
}

/// Of the process and of its children, out of the fields 14 to 17 in `man 5 proc_pid_stat`: ticks of 10 ms.
fn seconds(stat: &str) -> Option<[f64; 2]> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: Vec<f64> = fields.split(' ').skip(11).take(4).filter_map(|ticks| ticks.parse().ok()).collect();
    let &[user, system, children_user, children_system] = ticks.as_slice() else { return None };
    Some([(user + system) / 100.0, (children_user + children_system) / 100.0])
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
