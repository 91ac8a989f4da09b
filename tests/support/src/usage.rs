//! Processor time and memory of processes, as the system counts them.

use crate::module::Process;

/// The most memory that a process has had at once, in KiB; `None` if it is gone.
pub fn peak_kib(process: &Process) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()?)).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches(" kB").parse().ok()
}

/// Processor time that a process has used, in seconds, user and system, of all its threads; `None` if it is gone.
pub fn cpu_seconds(process: &Process) -> Option<f64> {
    let [own, _] = seconds(&process.id()?.to_string())?;
    Some(own)
}

/// The same of the process that asks, and of its children that have ended.
///
/// # Panics
/// When the system does not tell.
pub fn own_and_childrens_seconds() -> [f64; 2] {
    seconds("self").expect("the processor time of this process")
}

/// Out of the fields 14 to 17 in `man 5 proc_pid_stat`: ticks of 10 ms. Two fields stand before the bracket.
fn seconds(process: &str) -> Option<[f64; 2]> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: Vec<f64> = fields.split(' ').skip(11).take(4).filter_map(|ticks| ticks.parse().ok()).collect();
    let &[user, system, children_user, children_system] = ticks.as_slice() else { return None };
    Some([(user + system) / 100.0, (children_user + children_system) / 100.0])
}
