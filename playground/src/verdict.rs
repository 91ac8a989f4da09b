//! How it ended: a small table, and whether it is good.

use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

use crate::flow::Flow;
use crate::ledger::Sums;
use crate::runs::Tally;
use crate::screen::count;
use crate::world::World;

/// How the trigger or connector ended.
pub(crate) struct Ending {
    /// `None`: it had to be killed.
    pub(crate) exit: Option<ExitStatus>,
    /// From SIGTERM to the end.
    pub(crate) took: Duration,
    /// Whether it ended before it was asked to.
    pub(crate) ended_early: bool,
    /// How often it was killed on purpose.
    pub(crate) kills: usize,
    /// What it wrote to stderr.
    pub(crate) log: Vec<String>,
}

/// The verdict.
pub(crate) struct Verdict {
    flow: &'static Flow,
    /// The sums of the ledger; `None`: bucket or intake are the user's.
    sums: Option<Sums>,
    batches: usize,
    runs: Tally,
    under_way: usize,
    corrupt: usize,
    /// Corrupt objects that were named to the user.
    named: usize,
    ending: Ending,
}

impl Verdict {
    pub(crate) fn new(world: &World, ending: Ending) -> Self {
        let corrupt = world.corrupt.lock().unwrap().clone();
        let logs = world.platform.logs();
        let is_named = |key: &&String| logs.iter().any(|line| line.message.contains(key.as_str()));
        Self {
            flow: world.flow,
            sums: world.sums(),
            batches: world.batches(),
            runs: world.runs.so_far(),
            under_way: world.runs.under_way(),
            named: corrupt.iter().filter(is_named).count(),
            corrupt: corrupt.len(),
            ending,
        }
    }

    /// Everything that must not be, in words.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |number: usize, what: &str| {
            if number > 0 {
                faults.push(format!("{} {what}", count(number)));
            }
        };
        if let Some(sums) = &self.sums {
            fault(sums.missing, "records were lost");
            // A batch that was in flight at a kill may come again: to the platform under the same name.
            let explained = self.runs.records_in_repeats + self.ending.kills * self.flow.repeats;
            fault(sums.repeated.saturating_sub(explained), "records came twice without need");
            fault(sums.headers, "headers were sent as events");
            fault(sums.empty, "empty lines were sent as events");
            fault(sums.strange, "events were never written");
            let unnamed = format!("corrupt objects were not named in {}", self.flow.log);
            fault(self.corrupt - self.named, &unnamed);
        } else {
            fault(
                self.runs.records.saturating_sub(self.runs.accepted),
                "records of batches were not accepted",
            );
        }
        fault(self.runs.failures.len(), "runs of the action failed");
        fault(self.under_way, "runs of the action did not end");
        if self.ending.ended_early {
            faults.push(format!("the {} ended before it was asked to", self.flow.node));
        }
        if !self.ending.exit.is_some_and(|status| status.success()) {
            faults.push(format!("the {} did not end well", self.flow.node));
        }
        faults
    }

    /// Whether nothing was lost and everything ended as it should.
    pub(crate) fn is_good(&self) -> bool {
        self.faults().is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LOG_LINES: usize = 20;
        let Self { flow, runs, ending, .. } = self;
        let mut row = |name: &str, value: String, note: String| {
            let note = if note.is_empty() { note } else { format!("   {note}") };
            writeln!(f, "  {name:<24}{value:>12}{note}")
        };
        let number = |name: &'static str, value: usize| (name, count(value), String::new());
        let mut rows = Vec::new();
        if let Some(sums) = &self.sums {
            rows.push(number("objects written", sums.objects));
            rows.push(number("records written", sums.written));
        } else {
            rows.push(number("records in batches", runs.records));
        }
        rows.push(number("batches", self.batches));
        match &self.sums {
            Some(sums) => {
                rows.push(number("events accepted", sums.accepted));
                rows.push(number("lost", sums.missing));
                let note = if runs.records_in_repeats > 0 {
                    format!(
                        "{} of them in a request made twice, same request_id",
                        count(runs.records_in_repeats)
                    )
                } else if sums.repeated > 0 && ending.kills > 0 {
                    "sent again after the SIGKILL, which the intake cannot know".to_owned()
                } else {
                    String::new()
                };
                rows.push(("repeated", count(sums.repeated), note));
                rows.push(number("headers, empty lines", sums.headers + sums.empty));
                let note = format!("{} named in {}", self.named, flow.log);
                rows.push(("corrupt objects", count(self.corrupt), note));
            }
            None => rows.push(number("events accepted", runs.accepted)),
        }
        let exit = match ending.exit {
            None => "killed".to_owned(),
            Some(status) => status.code().map_or("signal".to_owned(), |code| format!("exit {code}")),
        };
        let mut note = format!("{:.1} s after SIGTERM", ending.took.as_secs_f64());
        if ending.kills > 0 {
            note.push_str(", SIGKILLed once before");
        }
        rows.push((flow.node, exit, note));
        for (name, value, note) in rows {
            row(name, value, note)?;
        }
        let faults = self.faults();
        if faults.is_empty() && self.batches == 0 {
            return write!(
                f,
                "\n  Nothing was lost, but nothing was there: no new record came under this prefix."
            );
        }
        if faults.is_empty() {
            return write!(f, "\n  Nothing was lost.");
        }
        writeln!(f, "\n  NOT GOOD: {}.", faults.join("; "))?;
        for failure in runs.failures.iter().take(5) {
            writeln!(f, "  run failed: {failure}")?;
        }
        writeln!(f, "\n  The last the {} wrote:", flow.node)?;
        for line in ending.log.iter().skip(ending.log.len().saturating_sub(LOG_LINES)) {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}
