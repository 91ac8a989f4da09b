//! What the metrics tell about time: how old the newest is that was delivered and the oldest that waits, and which
//! five-minute slots of a flow log nothing was delivered of.
//!
//! It is kept in memory only: after a start, it knows what it has seen since.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::contract::Cover;
use crate::layout::fingerprint::Fingerprint;
use crate::layout::name::LogName;
use crate::observe::progress::slots::Slots;
use crate::platform::metrics::{FlowLog, Metrics};
use crate::s3::Object;

pub mod slots;

/// Objects that are known to wait, in some 20 MB: as many as can be held back one by one, and those of a round.
const WAITING: usize = 200_000;

/// The objects that wait, and what was delivered. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress {
    state: Arc<Mutex<State>>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct State {
    /// When S3 took each object that waits.
    waiting: HashMap<Fingerprint, Timestamp>,
    by_age: BTreeSet<(Timestamp, Fingerprint)>,
    newest: Option<Timestamp>,
    slots: Slots,
}

impl Progress {
    /// Nothing waits and nothing was delivered. Until something is, the newest is as old as the process.
    pub fn new(metrics: Metrics) -> Self {
        metrics.newest_delivered.set(Timestamp::now().as_second());
        Self { state: Arc::default(), metrics }
    }

    /// A round begins. It finds again what waits, but for what its source `holds` back.
    pub fn round_begins(&self, holds: impl Fn(Fingerprint) -> bool) {
        let mut state = self.lock();
        state.waiting.retain(|object, _| holds(*object));
        let State { waiting, by_age, .. } = &mut *state;
        by_age.retain(|(_, object)| waiting.contains_key(object));
        self.show_waiting(&state);
    }

    /// An object was found that is to be delivered.
    pub fn found(&self, object: &Object) {
        let mut state = self.lock();
        if state.waiting.len() < WAITING {
            let fingerprint = Fingerprint::of(&object.key);
            state.waiting.insert(fingerprint, object.last_modified);
            state.by_age.insert((object.last_modified, fingerprint));
        }
        self.show_waiting(&state);
    }

    /// An object is not waited for any more: it was rejected, or is gone.
    pub fn dropped(&self, key: &str) {
        let mut state = self.lock();
        state.forget(key);
        self.show_waiting(&state);
    }

    /// The platform has what a batch covers.
    pub fn delivered(&self, covers: &[Cover]) {
        let mut state = self.lock();
        let mut named = Vec::new();
        for cover in covers.iter().filter(|cover| cover.whole) {
            self.metrics.objects_delivered.inc();
            state.forget(&cover.key);
            named.extend(LogName::of(&cover.key).and_then(|name| Some((name.timestamp()?, name.flow_log))));
        }
        // Objects are read side by side: in a batch they stand in any order.
        named.sort_unstable();
        state.newest = state.newest.max(named.last().map(|(time, _)| *time));
        for (time, flow_log) in named {
            let missing = state.slots.delivered(flow_log, time);
            if missing > 0 {
                let flow_log = FlowLog { flow_log: flow_log.to_owned() };
                self.metrics.slots_missing.get_or_create(&flow_log).inc_by(missing);
            }
        }
        if let Some(newest) = state.newest {
            self.metrics.newest_delivered.set(newest.as_second());
        }
        self.show_waiting(&state);
    }

    fn show_waiting(&self, state: &State) {
        let oldest = state.by_age.first().map_or(0, |(time, _)| time.as_second());
        self.metrics.oldest_waiting.set(oldest);
        self.metrics.objects_waiting.set(i64::try_from(state.waiting.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, key: &str) {
        let fingerprint = Fingerprint::of(key);
        if let Some(time) = self.waiting.remove(&fingerprint) {
            self.by_age.remove(&(time, fingerprint));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::name::Day;

    fn object(key: &str, second: i64) -> Object {
        let last_modified = Timestamp::from_second(second).unwrap();
        Object { key: key.to_owned(), body_bytes: 1, last_modified, etag: None }
    }

    fn cover(key: &str) -> Cover {
        Cover {
            bucket: None,
            key: key.to_owned(),
            day: Day::of(Timestamp::UNIX_EPOCH),
            from: 0,
            to: 1,
            whole: true,
            etag: None,
            grouping: None,
        }
    }

    #[test]
    fn the_oldest_that_waits_is_known_until_it_is_delivered_dropped_or_gone() {
        let (metrics, _) = Metrics::new();
        let progress = Progress::new(metrics.clone());
        let shown = || (metrics.objects_waiting.get(), metrics.oldest_waiting.get());
        assert_eq!(shown(), (0, 0));
        for (key, second) in [("a", 30), ("b", 10), ("c", 20), ("c", 20)] {
            progress.found(&object(key, second));
        }
        assert_eq!(shown(), (3, 10));
        progress.delivered(&[cover("b"), Cover { whole: false, ..cover("c") }]);
        assert_eq!(shown(), (2, 20));
        progress.round_begins(|held| held == Fingerprint::of("a"));
        assert_eq!(shown(), (1, 30), "c was not found again");
        progress.round_begins(|_| false);
        assert_eq!(shown(), (0, 0), "nor was a");
        progress.found(&object("a", 30));
        progress.dropped("a");
        assert_eq!(shown(), (0, 0));
    }

    #[test]
    fn the_newest_is_what_its_name_says() {
        let (metrics, _) = Metrics::new();
        let started = Timestamp::now().as_second();
        let progress = Progress::new(metrics.clone());
        assert!(metrics.newest_delivered.get() >= started);
        let key = |time: &str| format!("1_vpcflowlogs_eu-west-3_fl-0a_{time}_4f2c.log.gz");
        for (time, expected) in [
            ("20261122T0005Z", "2026-11-22T00:05:00Z"),
            ("20261122T0015Z", "2026-11-22T00:15:00Z"),
            ("20261122T0010Z", "2026-11-22T00:15:00Z"),
        ] {
            progress.delivered(&[cover(&key(time))]);
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(metrics.newest_delivered.get(), expected.as_second(), "{time}");
        }
        assert_eq!(metrics.objects_delivered.get(), 3);
    }
}
