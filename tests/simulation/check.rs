//! The invariant: every listed record is delivered or named as rejected, and repeated only where that is allowed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_flowlogs::config::{StartFrom, TriggerConfiguration};
use aws_flowlogs::intake::SIDE_BY_SIDE;
use aws_flowlogs::source::listing::journal::unseal;

use super::plan::Planned;
use super::world::{State, World};

/// What the platform has.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    batches: BTreeMap<String, Batch>,
    /// The first repeat that nothing excuses.
    unexcused: Option<String>,
    /// Answers of the intake that were lost.
    lost_answers: usize,
}

#[derive(Debug)]
struct Batch {
    records: Vec<String>,
    times: usize,
    stage: Stage,
    instance: usize,
}

/// How far the trigger has got with a batch that the platform has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It does not know yet that the platform has it: a repeat is in order.
    Accepted,
    /// It knows: only its own end excuses a repeat.
    Answered,
    /// It has noted so in its state: nothing excuses a repeat.
    Committed,
}

impl Deliveries {
    /// The platform takes an event.
    pub(crate) fn accepted(&mut self, instance: usize, request_id: &str, records: Vec<String>) {
        let Some(batch) = self.batches.get_mut(request_id) else {
            let batch = Batch { records, times: 1, stage: Stage::Accepted, instance };
            self.batches.insert(request_id.to_owned(), batch);
            return;
        };
        let is_excused = batch.stage == Stage::Accepted;
        if !is_excused || batch.records != records {
            let same = if batch.records == records { "the same" } else { "other" };
            self.unexcused.get_or_insert_with(|| {
                format!("{request_id} came again with {same} records, from instance {instance}: {batch:?}")
            });
        }
        *batch = Batch { records, times: batch.times + 1, stage: Stage::Accepted, instance };
    }

    /// The intake takes the events of a request. It knows no repeat.
    pub(crate) fn sent(&mut self, records: Vec<String>, is_lost: bool) {
        self.lost_answers += usize::from(is_lost);
        let batch = Batch { records, times: 1, stage: Stage::Committed, instance: 0 };
        self.batches.insert(format!("request {}", self.batches.len()), batch);
    }

    /// The answer got through.
    pub(crate) fn answered(&mut self, request_id: &str) {
        if let Some(batch) = self.batches.get_mut(request_id) {
            batch.stage = Stage::Answered;
        }
    }

    /// An instance has written an entry of its journal.
    pub(crate) fn noted(&mut self, instance: usize, entry: &[u8]) {
        let entry = unseal(entry).unwrap();
        let is_commit = String::from_utf8_lossy(&entry).contains("\"delivered\"");
        for batch in self.batches.values_mut().filter(|batch| is_commit && batch.instance == instance) {
            if batch.stage == Stage::Answered {
                batch.stage = Stage::Committed;
            }
        }
    }

    /// An instance is gone: what it knew and has not noted, nobody knows.
    pub(crate) fn forget(&mut self, instance: usize) {
        for batch in self.batches.values_mut().filter(|batch| batch.instance == instance) {
            if batch.stage == Stage::Answered {
                batch.stage = Stage::Accepted;
            }
        }
    }

    pub(crate) fn records(&self) -> HashMap<&str, usize> {
        let mut records = HashMap::new();
        for record in self.batches.values().flat_map(|batch| &batch.records) {
            *records.entry(record.as_str()).or_default() += 1;
        }
        records
    }
}

/// Whether an object is to be delivered, as the arguments have it.
fn is_wanted(object: &Planned, configuration: &TriggerConfiguration, state: &State, world: &World) -> bool {
    let since = match configuration.start_from {
        StartFrom::Beginning => None,
        StartFrom::Time(time) => Some(time),
        // What came while it was not noted yet when the trigger began may be in or out.
        StartFrom::Now => state.born.or(Some(world.plan.last_change())),
    };
    object.key.starts_with(&configuration.prefix) && since.is_none_or(|since| object.taken >= since)
}

/// What is neither delivered nor named as rejected, of what must be one or the other.
pub(crate) fn missing(world: &World, configuration: &TriggerConfiguration) -> Vec<String> {
    let state = world.state();
    let delivered = state.deliveries.records();
    let is_due = |object: &&Planned| {
        object.vanishes.is_none()
            && !state.rejected.contains(&object.key)
            && is_wanted(object, configuration, &state, world)
    };
    let is_there = |records: &[String]| records.iter().all(|record| delivered.contains_key(record.as_str()));
    // What took the place of an object that was delivered whole is none of the trigger's affair.
    let lost = |object: &&Planned| {
        object.is_corrupt
            || !(is_there(&object.records) || object.replaces.as_ref().is_some_and(|before| is_there(before)))
    };
    let missing = world.plan.objects.iter().filter(is_due).filter(lost);
    missing.map(|object| object.key.clone()).collect()
}

/// What is wrong with what the platform has.
pub(crate) fn violation(world: &World, configuration: &TriggerConfiguration) -> Option<String> {
    let state = world.state();
    let known: BTreeSet<&str> =
        world.plan.objects.iter().flat_map(|object| &object.records).map(String::as_str).collect();
    let is_damaged = world.plan.is_damaging();
    for (record, times) in state.deliveries.records() {
        if !known.contains(record) {
            return Some(format!("sent, but no record: {record:?}"));
        }
        if times > 1 && !is_damaged && !world.plan.is_connector {
            return Some(format!("in {times} different batches: {record}"));
        }
    }
    // After the end of a life, what was in flight is sent again; and so is a batch whose answer was lost.
    let repeats: usize = state.deliveries.records().values().map(|times| times - 1).sum();
    let in_flight = SIDE_BY_SIDE * (world.plan.lives.len() * 2 + 1) + state.deliveries.lost_answers;
    if world.plan.is_connector && !is_damaged && repeats > in_flight * configuration.chunk_size {
        return Some(format!("{repeats} records were repeated, with {in_flight} batches to be excused"));
    }
    let largest = state.deliveries.batches.values().map(|batch| batch.records.len()).max();
    if largest.is_some_and(|largest| largest > configuration.chunk_size) {
        return Some(format!("a batch of {largest:?} records"));
    }
    let too_early = world.plan.objects.iter().find(|object| {
        let is_early = match configuration.start_from {
            StartFrom::Now => object.taken < world.plan.start,
            StartFrom::Beginning => false,
            StartFrom::Time(time) => object.taken < time,
        };
        // A state that is lost whole begins with everything.
        is_early
            && !is_damaged
            && object.records.iter().any(|record| state.deliveries.records().contains_key(record.as_str()))
    });
    if let Some(object) = too_early {
        return Some(format!("sent, but from before the start: {}", object.key));
    }
    if let Some(sound) =
        world.plan.objects.iter().find(|object| {
            state.rejected.contains(&object.key) && !object.is_corrupt && world.plan.trouble == 0
        })
    {
        return Some(format!("rejected without a reason: {}", sound.key));
    }
    state.deliveries.unexcused.clone().filter(|_| !is_damaged)
}
