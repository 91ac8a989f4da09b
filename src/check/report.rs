//! What the steps found: a line for each on a terminal, or all of it as JSON.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::stdout::print;

/// Time for one step.
const STEP: Duration = Duration::from_secs(60);
/// Time for all of them.
pub(crate) const ALL: Duration = Duration::from_secs(180);

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// All is well.
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    /// It does not work.
    Failed,
    /// It was not tried.
    Skipped,
}

/// What a step tells.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    outcome: Outcome,
    /// What was found, in a sentence.
    found: String,
    /// What to do about it.
    advice: Option<String>,
    /// More of it, a line each. Machines have it as details.
    #[serde(skip)]
    lines: Vec<String>,
    /// The same as what was found, for machines.
    details: Box<Map<String, Value>>,
}

/// What a step gives the next ones, if it does not fail.
pub(crate) type Step<T> = Result<(Told, T), Told>;

/// What a step needs: the work of an earlier one, or the name of the step that kept it from being done.
pub(crate) type Needs<T> = Result<T, &'static str>;

impl Told {
    /// All is well.
    pub(crate) fn ok(found: impl Into<String>) -> Self {
        let (advice, lines, details) = (None, Vec::new(), Box::default());
        Self { outcome: Outcome::Ok, found: found.into(), advice, lines, details }
    }

    /// It works, but there is something to do.
    pub(crate) fn warning(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warning, advice: Some(advice.into()), ..Self::ok(found) }
    }

    /// It does not work until something is done.
    pub(crate) fn failed(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, advice: Some(advice.into()), ..Self::ok(found) }
    }

    /// It was not tried, which is as it should be.
    pub(crate) fn skipped(found: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, ..Self::ok(found) }
    }

    /// Adds a detail for machines.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a line below what was found.
    pub(crate) fn line(mut self, line: String) -> Self {
        self.lines.push(line);
        self
    }

    /// Makes it a warning, for a reason that is told after what was found.
    pub(crate) fn but(mut self, what: impl AsRef<str>, advice: impl Into<String>) -> Self {
        self.outcome = Outcome::Warning;
        self.found = format!("{}; {}", self.found, what.as_ref());
        let advice = advice.into();
        self.advice = Some(match self.advice.take() {
            Some(first) => format!("{first}; {advice}"),
            None => advice,
        });
        self
    }
}

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Report {
    is_json: bool,
    began: Instant,
    steps: Vec<(&'static str, Told)>,
    shown: Vec<String>,
}

impl Report {
    /// An empty report. Steps are printed as they end, unless it is to be one piece of JSON.
    pub(crate) fn new(is_json: bool) -> Self {
        Self { is_json, began: Instant::now(), steps: Vec::new(), shown: Vec::new() }
    }

    /// Makes a step with what it needs, and tells how it ended.
    pub(crate) async fn step<N, T>(
        &mut self,
        name: &'static str,
        needs: Needs<N>,
        work: impl AsyncFnOnce(N) -> Step<T>,
    ) -> Needs<T> {
        let needs = match needs {
            Ok(needs) => needs,
            Err(missing) => {
                self.tell(name, Told::skipped(format!("it needs `{missing}`")));
                return Err(missing);
            }
        };
        let time = STEP.min(ALL.saturating_sub(self.began.elapsed()));
        let (told, result) = match tokio::time::timeout(time, work(needs)).await {
            Ok(Ok((told, result))) => (told, Ok(result)),
            Ok(Err(told)) => (told, Err(name)),
            Err(_) if time.is_zero() => {
                let found = "it was not tried: the 3 minutes of the check were over";
                (Told::failed(found, "look at the steps before it"), Err(name))
            }
            Err(_) => {
                let found = format!("it did not end within {} s", time.as_secs());
                (Told::failed(found, "look at the network of this machine"), Err(name))
            }
        };
        self.tell(name, told);
        result
    }

    fn tell(&mut self, name: &'static str, told: Told) {
        if !self.is_json {
            let outcome = match told.outcome {
                Outcome::Ok => "ok",
                Outcome::Warning => "warning",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "skipped",
            };
            print(&format!("{outcome:<8} {name:<10} {}\n", in_one_line(&told.found)));
            for line in &told.lines {
                print(&format!("{:>19} {}\n", "", in_one_line(line)));
            }
            if let Some(advice) = &told.advice {
                print(&format!("{:>19} → {}\n", "", in_one_line(advice)));
            }
        }
        self.steps.push((name, told));
    }

    /// Records to show at its end.
    pub(crate) fn show(&mut self, records: Vec<String>) {
        self.shown = records;
    }

    /// Ends the report: `calls` were made to S3. Gives the names of the steps that failed.
    pub(crate) fn end(self, calls: &Map<String, Value>) -> Vec<&'static str> {
        let named = |wanted: Outcome| {
            let of_kind = self.steps.iter().filter(move |(_, told)| told.outcome == wanted);
            of_kind.map(|(name, _)| *name).collect::<Vec<_>>()
        };
        let failed = named(Outcome::Failed);
        let took_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.is_json {
            let steps = self.steps.iter().map(|(name, told)| {
                let mut step = Map::from_iter([("step".to_owned(), json!(name))]);
                if let Ok(Value::Object(told)) = serde_json::to_value(told) {
                    step.extend(told);
                }
                Value::Object(step)
            });
            let steps: Vec<Value> = steps.collect();
            let is_ok = failed.is_empty();
            let report = json!({
                "ok": is_ok, "steps": steps, "shown": self.shown, "s3_calls": calls, "took_ms": took_ms,
            });
            print(&format!("{report:#}\n"));
        } else {
            let told = |names: Vec<&str>, what: &str| match names.as_slice() {
                [] => String::new(),
                names => format!("; {what}: {}", names.join(", ")),
            };
            let verdict = if failed.is_empty() { "OK" } else { "action needed" };
            let calls: Vec<String> =
                calls.iter().map(|(operation, count)| format!("{count} {operation}")).collect();
            let calls = if calls.is_empty() { "none".to_owned() } else { calls.join(", ") };
            let seconds = took_ms as f64 / 1000.0;
            let (failed, warnings) =
                (told(failed.clone(), "failed"), told(named(Outcome::Warning), "look at"));
            if !self.shown.is_empty() {
                print("\nAs they would be sent:\n");
            }
            for record in &self.shown {
                print(&format!("{}\n", in_one_line(record)));
            }
            print(&format!("\n{verdict}{failed}{warnings} ({seconds:.1} s; calls to S3: {calls})\n"));
        }
        failed
    }
}

/// Names of the bucket may hold what a terminal takes for an order, or for the next line of the report.
fn in_one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// A number and what it counts, e.g. `2 objects`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bucket_names_is_no_line_of_the_report() {
        assert_eq!(in_one_line("a\nok b\u{1b}[2J é"), "a\u{fffd}ok b\u{fffd}[2J é");
    }

    #[test]
    fn no_advice_is_lost() {
        let told = Told::ok("found").but("one", "do this").but("two", "do that");
        assert_eq!(
            (told.found.as_str(), told.advice.as_deref()),
            ("found; one; two", Some("do this; do that"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_and_all_of_them_have_their_time() {
        let mut report = Report::new(true);
        let began = Instant::now();
        for name in ["one", "two", "three", "four"] {
            let ended = report.step(name, Ok(()), async |()| std::future::pending::<Step<()>>().await).await;
            assert_eq!(ended, Err(name));
        }
        assert_eq!(began.elapsed(), ALL);
        let skipped = report.step("five", Err::<(), _>("one"), async |()| Ok((Told::ok("done"), ()))).await;
        assert_eq!(skipped, Err("one"));
        assert_eq!(report.end(&Map::new()), ["one", "two", "three", "four"]);
    }
}
