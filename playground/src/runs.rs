//! The playbook's runs: one for each event that the platform accepted.

use std::sync::Arc;

use support::platform::Event;
use support::playbook::Run;
use tokio::task::JoinSet;

use crate::world::World;

/// What the runs came to so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
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

/// Starts a run for every event, and goes on until it is aborted.
pub(crate) async fn run_events(world: Arc<World>) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            event = world.platform.next_event() => {
                under_way.spawn(run(Arc::clone(&world), event));
            }
            Some(_) = under_way.join_next() => {}
        }
    }
}

async fn run(world: Arc<World>, event: Event) {
    let is_repeat = event.is_repeat;
    let counted = event.clone();
    // The action deletes the file: count first.
    let records = tokio::task::spawn_blocking(move || counted.records().len()).await.unwrap_or(0);
    {
        let mut runs = world.runs.lock().unwrap();
        runs.batches += 1;
        runs.records += records;
        if is_repeat {
            runs.records_in_repeats += records;
        }
    }
    let run = world.runner.run(event).await;
    let mut runs = world.runs.lock().unwrap();
    runs.ended += 1;
    match run {
        Ok(run) => {
            runs.accepted += accepted(&run);
            if !run.is_success() {
                runs.failures.push(why(&run));
            }
        }
        Err(error) => runs.failures.push(error.to_string()),
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
