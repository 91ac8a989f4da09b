//! Objects that could not be delivered and rest before they are tried again: what is wrong may pass, or be put right.
//!
//! It is not kept over a restart: whatever rests is not done, and is found again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::checkpoint::seen::Fingerprint;
use crate::retry::Backoff;

/// The longest rest. Somebody who has allowed access to an object does not want to wait for a day.
const LONGEST: Duration = Duration::from_secs(3600);
/// How many objects rest at most, in some 6 MB. Beyond it the others are tried at every poll.
const RESTING: usize = 100_000;
/// An object that is damaged as often as this is damaged for good: a fault on the way would have passed.
const ATTEMPTS: u32 = 3;

/// The objects that rest. Clones share them.
#[derive(Clone, Debug)]
pub struct Resting {
    first: Duration,
    objects: Arc<Mutex<HashMap<Fingerprint, Rest>>>,
}

#[derive(Debug)]
struct Rest {
    backoff: Backoff,
    until: Instant,
}

impl Resting {
    /// None yet; the first rest of an object lasts `first`, and each one is twice as long as the one before.
    pub fn new(first: Duration) -> Self {
        Self { first, objects: Arc::default() }
    }

    /// An object failed: it rests. Gives how often it has failed.
    pub fn failed(&self, key: &str) -> u32 {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let fingerprint = Fingerprint::of(key);
        if objects.len() >= RESTING && !objects.contains_key(&fingerprint) {
            return 1;
        }
        let now = Instant::now();
        let backoff = Backoff::new(self.first, LONGEST);
        let rest = objects.entry(fingerprint).or_insert(Rest { backoff, until: now });
        rest.until = now + rest.backoff.next_wait();
        rest.backoff.attempts()
    }

    /// Whether so many failures show that the object itself is damaged.
    pub fn is_hopeless(attempts: u32) -> bool {
        attempts >= ATTEMPTS
    }

    /// An object is done.
    pub fn done(&self, key: &str) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(&Fingerprint::of(key));
    }

    /// Whether an object is not to be tried yet.
    pub fn contains(&self, key: &str) -> bool {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        // Most of the time nothing rests, and no fingerprint need be computed.
        !objects.is_empty()
            && objects.get(&Fingerprint::of(key)).is_some_and(|rest| rest.until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_object_rests_longer_each_time_and_an_hour_at_most() {
        let resting = Resting::new(Duration::from_secs(60));
        for (attempt, minutes) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            assert_eq!(resting.failed("a"), attempt);
            tokio::time::advance(Duration::from_secs(60 * minutes - 1)).await;
            assert!(resting.contains("a") && !resting.contains("b"), "{minutes}");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!resting.contains("a"), "{minutes}");
        }
        resting.done("a");
        assert_eq!(resting.failed("a"), 1);
    }
}
