//! Counts failures and decides when they are critical, as the platform's contract has it.
//!
//! Five failures in a row without an event between them are critical after a time of grace: never in the first 30
//! minutes, then once the time since the last event reaches a fifth of the time running, of which 5 days at most count.

use std::time::Duration;

use tokio::time::Instant;

const FAILURES: u32 = 5;
const START: Duration = Duration::from_secs(30 * 60);
const LONGEST: Duration = Duration::from_secs(5 * 24 * 3600);

/// The failures since the last event.
#[derive(Debug)]
pub struct Failures {
    count: u32,
    started: Instant,
    last_event: Instant,
    was_critical: bool,
}

impl Failures {
    /// None yet; the trigger starts at `now`.
    pub fn new(now: Instant) -> Self {
        Self { count: 0, started: now, last_event: now, was_critical: false }
    }

    /// Counts a failure. True if it is critical, which is said once.
    pub fn failed(&mut self, now: Instant) -> bool {
        self.count = self.count.saturating_add(1);
        let running = now.duration_since(self.started).min(LONGEST);
        let without_event = now.duration_since(self.last_event);
        let critical = self.count >= FAILURES && running >= START && without_event >= running / 5;
        critical && !std::mem::replace(&mut self.was_critical, true)
    }

    /// An event was accepted: the row of failures ends.
    pub fn event_sent(&mut self, now: Instant) {
        self.count = 0;
        self.last_event = now;
    }

    /// Failures since the last event.
    pub fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_examples_of_the_contract() {
        let hour = Duration::from_secs(3600);
        // (time running, time since the last event at which the next failure is critical)
        let examples = [
            (hour, hour / 5),
            (12 * hour, 12 * hour / 5),
            (24 * hour, 24 * hour / 5),
            (48 * hour, 48 * hour / 5),
            (5 * 24 * hour, 24 * hour),
            (30 * 24 * hour, 24 * hour),
        ];
        for (running, silent) in examples {
            let start = Instant::now();
            for (silence, critical) in [(silent - Duration::from_secs(1), false), (silent, true)] {
                let mut failures = Failures::new(start);
                let now = start + running;
                failures.event_sent(now - silence);
                (0..4).for_each(|_| assert!(!failures.failed(now), "four failures are never critical"));
                assert_eq!(failures.failed(now), critical, "{running:?} {silence:?}");
            }
        }
    }

    #[test]
    fn the_first_half_hour_is_never_critical_and_critical_is_said_once() {
        let start = Instant::now();
        let mut failures = Failures::new(start);
        let minutes = |minutes: u64| start + Duration::from_secs(60 * minutes);
        assert!((0..29).all(|minute| !failures.failed(minutes(minute))));
        assert!(failures.failed(minutes(30)));
        assert!(!failures.failed(minutes(31)));
        failures.event_sent(minutes(32));
        assert_eq!(failures.count(), 0);
    }
}
