//! What a person at a terminal is told: how far it is, and what it came to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::BackfillError;
use crate::check::report::counted;
use crate::context::Context;
use crate::pipeline::Pipeline;
use crate::platform::metrics::{Fate, Metrics};
use crate::shutdown::Stopped;
use crate::stdout::print;

/// How often it says how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// How far a run is. Clones are of the same run.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    metrics: Metrics,
    /// What there is of: objects or messages.
    what: &'static str,
    began: Instant,
    /// How many of them there are to deliver, as far as is known.
    total: Arc<AtomicU64>,
}

impl Progress {
    /// Nothing is delivered yet.
    pub(super) fn begin(metrics: &Metrics, what: &'static str) -> Self {
        Self { metrics: metrics.clone(), what, began: Instant::now(), total: Arc::default() }
    }

    /// So many were counted so far.
    pub(super) fn counted(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        print(&format!("counted  {} to deliver\n", counted(total, self.what)));
    }

    /// Runs the pipeline until its source has ended, and says now and then how far it is.
    pub(super) async fn follow(
        &self,
        mut pipeline: Pipeline,
        frequency: Duration,
        context: &Context,
    ) -> Result<(), Stopped> {
        let (told, shutdown, began) = (self.clone(), context.shutdown.clone(), Instant::now());
        let _telling = AbortOnDropHandle::new(tokio::spawn(async move {
            while shutdown.sleep(EVERY).await.is_ok() {
                print(&told.line(began.elapsed()));
            }
        }));
        pipeline.run(frequency).await
    }

    /// How far it is after `elapsed`.
    fn line(&self, elapsed: Duration) -> String {
        let (done, records) = (self.done(), self.metrics.records_delivered.get());
        let total = self.total.load(Ordering::Relaxed).max(done);
        let rate = per_second(records, elapsed);
        let left = match done {
            0 => String::new(),
            done if done == total => "; waiting for what may still come".to_owned(),
            done => {
                let left = elapsed.as_secs().saturating_mul(total - done) / done;
                format!(", {} left", in_words(left))
            }
        };
        format!(
            "running  {done} of {}, {records} records, {rate} records/s{left}\n",
            counted(total, self.what)
        )
    }

    fn done(&self) -> u64 {
        match self.what {
            "message" => self.metrics.messages.get_or_create(&Fate { fate: "deleted" }).get(),
            _ => self.metrics.objects_delivered.get() + self.rejected(),
        }
    }

    fn rejected(&self) -> u64 {
        self.metrics.objects_rejected_in_all.get()
    }

    /// Says what it came to. `left` is what is not done.
    pub(super) fn sum_up(
        &self,
        ended: Result<(), Stopped>,
        left: &[(u64, &str)],
    ) -> Result<(), BackfillError> {
        let metrics = &self.metrics;
        let (objects, records) = (metrics.objects_delivered.get(), metrics.records_delivered.get());
        let elapsed = self.began.elapsed();
        let rate = per_second(records, elapsed);
        let outcome = if ended.is_ok() { "ended" } else { "stopped" };
        let (objects, records) = (counted(objects, "object"), counted(records, "record"));
        let took = in_words(elapsed.as_secs());
        print(&format!("{outcome:<8} {objects} delivered, {records} in {took} ({rate} records/s)\n"));
        let not_delivered = [
            (self.rejected(), "object rejected"),
            (metrics.records_rejected.get(), "record rejected"),
            (metrics.records_discarded.get() - metrics.records_rejected.get(), "record left out"),
        ];
        tell("without", &not_delivered);
        tell("left", left);
        ended?;
        let is_whole = left.iter().all(|(count, _)| *count == 0) && self.rejected() == 0;
        if is_whole { Ok(()) } else { Err(BackfillError::Left) }
    }
}

/// A line of what there is any of.
fn tell(word: &str, counts: &[(u64, &str)]) {
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
    if !counts.is_empty() {
        print(&format!("{word:<8} {}\n", counts.join(", ")));
    }
}

fn per_second(records: u64, elapsed: Duration) -> u64 {
    records * 1000 / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Seconds in their one or two largest units, e.g. `3 h 20 min`.
fn in_words(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
