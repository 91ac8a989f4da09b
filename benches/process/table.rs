//! The figures, as a page.

use std::fmt::Write as _;

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
        writeln!(page, "# What it costs\n").unwrap();
        writeln!(
            page,
            "Written by `make bench`: medians of several rounds, the tools in turn with the binary."
        )
        .unwrap();
        writeln!(
            page,
            "Time is processor time of the whole process, user and system, unless it says otherwise.\n"
        )
        .unwrap();
        writeln!(page, "{date}, {cores} cores, {model}\n").unwrap();
        writeln!(page, "| what | figure |\n| --- | --- |").unwrap();
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
