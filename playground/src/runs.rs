//! The playbook's runs: one for each event that the platform accepted.

use std::sync::{Arc, Mutex};

use support::platform::{Event, Platform};
use support::playbook::{Run, Runner};
use tokio::task::JoinSet;

/// What starts a run for each event.
pub(crate) struct Runs {
    platform: Arc<Platform>,
    runner: Runner,
    tally: Mutex<Tally>,
}

/// What the runs came to so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Events that started a run: batches.
    pub(crate) batches: usize,
    /// The records in them.
    pub(crate) records: usize,
    /// Those in events that came again under the same `request_id`.
    pub(crate) records_in_repeats: usize,
    pub(crate) ended: usize,
    /// Why runs failed.
    pub(crate) failures: Vec<String>,
    /// Events accepted by the intake, as the runs report it.
    pub(crate) accepted: usize,
}

impl Runs {
    pub(crate) fn new(platform: Arc<Platform>, runner: Runner) -> Self {
        Self { platform, runner, tally: Mutex::default() }
    }

    /// Starts a run for every event, and goes on until it is aborted.
    pub(crate) async fn run_events(self: Arc<Self>) {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                event = self.platform.next_event() => {
                    under_way.spawn(Arc::clone(&self).run(event));
                }
                Some(_) = under_way.join_next() => {}
            }
        }
    }

    /// What the runs came to so far.
    pub(crate) fn so_far(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// Events that the platform accepted and whose run has not ended.
    pub(crate) fn under_way(&self) -> usize {
        let ended = self.tally.lock().unwrap().ended;
        self.platform.events().len() - ended
    }

    async fn run(self: Arc<Self>, event: Event) {
        let is_repeat = event.is_repeat;
        let counted = event.clone();
        // The action deletes the file: count first.
        let records = tokio::task::spawn_blocking(move || counted.records().len()).await.unwrap_or(0);
        {
            let mut tally = self.tally.lock().unwrap();
            tally.batches += 1;
            tally.records += records;
            if is_repeat {
                tally.records_in_repeats += records;
            }
        }
        let run = self.runner.run(event).await;
        let mut tally = self.tally.lock().unwrap();
        tally.ended += 1;
        match run {
            Ok(run) => {
                tally.accepted += accepted(&run);
                if !run.is_success() {
                    tally.failures.push(why(&run));
                }
            }
            Err(error) => tally.failures.push(error.to_string()),
        }
    }
}

fn accepted(run: &Run) -> usize {
    let results = run.outcome.as_ref().map(|outcome| &outcome.results);
    results.and_then(|results| results.get("event_ids")?.as_array()).map_or(0, Vec::len)
}

fn why(run: &Run) -> String {
    let error = run.outcome.as_ref().and_then(|outcome| outcome.error.clone());
    error.or_else(|| run.stderr.last().cloned()).unwrap_or_else(|| format!("exit code {:?}", run.exit_code))
}
