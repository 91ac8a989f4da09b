//! The figures, as a page.

use std::fmt::Write as _;

const HEAD: &str = "# What it costs

Written by `make bench`: medians of several rounds, the tools in turn with the binary. Times are processor time of the
whole process, user and system, unless they say otherwise. The trigger writes its batches into a storage in memory.
";

/// A table of figures.
pub struct Table(String);

impl Table {
    pub fn new() -> Self {
        let mut page = String::new();
        let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let model = model.trim_start_matches(['\t', ' ', ':']);
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
        write!(page, "{HEAD}\n{date}, {cores} cores, {model}\n\n| what | figure |\n| --- | --- |\n").unwrap();
        Self(page)
    }

    /// Adds a figure, and shows it.
    pub fn row(&mut self, what: &str, figure: &str) {
        println!("{what:70} {figure}");
        writeln!(self.0, "| {what} | {figure} |").unwrap();
    }

    pub fn page(&self) -> &str {
        &self.0
    }
}
