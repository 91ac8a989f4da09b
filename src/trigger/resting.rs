//! Objects that could not be delivered and rest before they are tried again: what is wrong may pass, or be put right.
//!
//! It is not kept over a restart: whatever rests is not done, and is found again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::checkpoint::seen::Fingerprint;
use crate::retry::Backoff;
use crate::s3::Object;

/// The longest rest. Somebody who has allowed access to an object does not want to wait for a day.
const LONGEST: Duration = Duration::from_secs(3600);
/// How many objects rest one by one, in some 10 MB. Beyond it, the whole day of a flow log rests.
pub const RESTING: usize = 100_000;
/// When there is no room, an object is forgotten that could have been tried for so long and was not: it is gone from
/// the bucket. The sweep takes some hours to come by.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// An object that is damaged as often as this is damaged for good: a fault on the way would have passed.
const ATTEMPTS: u32 = 3;

/// The objects that rest. Clones share them.
#[derive(Clone, Debug)]
pub struct Resting {
    first: Duration,
    rests: Arc<Mutex<Rests>>,
}

#[derive(Debug, Default)]
struct Rests {
    objects: HashMap<Fingerprint, Rest>,
    /// Days of flow logs, each with the number of the poll in which an object of it failed last.
    days: HashMap<Fingerprint, (u64, Rest)>,
    /// The number of the poll that is under way.
    poll: u64,
}

#[derive(Debug)]
struct Rest {
    backoff: Backoff,
    until: Instant,
}

impl Rest {
    fn again(&mut self) -> u32 {
        self.until = Instant::now() + self.backoff.next_wait();
        self.backoff.attempts()
    }

    fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }
}

impl Resting {
    /// None yet; the first rest of an object lasts `first`, and each one is twice as long as the one before.
    pub fn new(first: Duration) -> Self {
        Self { first, rests: Arc::default() }
    }

    /// A poll begins.
    pub fn poll(&self) {
        let mut rests = self.lock();
        rests.poll += 1;
        if rests.objects.len() >= RESTING {
            let now = Instant::now();
            rests.objects.retain(|_, rest| now < rest.until + FORGOTTEN);
        }
    }

    /// An object failed: it rests, or its day if there is no room. Gives how often it has failed, as far as is known.
    pub fn failed(&self, object: &Object) -> u32 {
        let mut rests = self.lock();
        let (poll, first) = (rests.poll, self.first);
        let new = || Rest { backoff: Backoff::new(first, LONGEST), until: Instant::now() };
        let fingerprint = Fingerprint::of(&object.key);
        if rests.objects.len() < RESTING || rests.objects.contains_key(&fingerprint) {
            return rests.objects.entry(fingerprint).or_insert_with(new).again();
        }
        // The poll under way tries all objects of the day: one that can be read is not held back by those before it.
        let (last, rest) = rests.days.entry(day(object)).or_insert_with(|| (0, new()));
        if std::mem::replace(last, poll) != poll {
            rest.again();
        }
        1
    }

    /// Whether so many failures show that the object itself is damaged.
    pub fn is_hopeless(attempts: u32) -> bool {
        attempts >= ATTEMPTS
    }

    /// An object is done.
    pub fn done(&self, object: &Object) {
        let mut rests = self.lock();
        rests.objects.remove(&Fingerprint::of(&object.key));
        if !rests.days.is_empty() {
            rests.days.remove(&day(object));
        }
    }

    /// Whether an object is not to be tried yet.
    pub fn contains(&self, object: &Object) -> bool {
        let rests = self.lock();
        // Most of the time nothing rests, and no fingerprint need be computed.
        let rests_itself =
            || rests.objects.get(&Fingerprint::of(&object.key)).is_some_and(|rest| !rest.is_over());
        let rests_with_day = || {
            let day = rests.days.get(&day(object));
            day.is_some_and(|(poll, rest)| *poll != rests.poll && !rest.is_over())
        };
        (!rests.objects.is_empty() && rests_itself()) || (!rests.days.is_empty() && rests_with_day())
    }

    /// Whether an object rests one by one, by its fingerprint.
    pub fn holds(&self, object: Fingerprint) -> bool {
        self.lock().objects.get(&object).is_some_and(|rest| !rest.is_over())
    }

    fn lock(&self) -> MutexGuard<'_, Rests> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The day of a flow log.
fn day(object: &Object) -> Fingerprint {
    Fingerprint::of(&format!("{} {:?}", object.flow_log(), object.place().day))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn object(day: u32, number: usize) -> Object {
        let key = format!("1_vpcflowlogs_eu-west-3_fl-0a_202611{day:02}T0000Z_{number}.log.gz");
        let last_modified = Timestamp::from_second(i64::from(day) * 24 * 3600).unwrap();
        Object { key, body_bytes: 1, last_modified, etag: None }
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_rests_longer_each_time_and_an_hour_at_most() {
        let resting = Resting::new(Duration::from_secs(60));
        let [a, b] = [object(1, 0), object(1, 1)];
        for (attempt, minutes) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            resting.poll();
            assert_eq!(resting.failed(&a), attempt);
            tokio::time::advance(Duration::from_secs(60 * minutes - 1)).await;
            assert!(resting.contains(&a) && !resting.contains(&b), "{minutes}");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!resting.contains(&a), "{minutes}");
        }
        resting.done(&a);
        assert_eq!(resting.failed(&a), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_a_day_rests_from_the_next_poll_on_until_an_object_of_it_is_read() {
        let resting = Resting::new(Duration::from_secs(60));
        resting.poll();
        (0..RESTING).for_each(|number| assert_eq!(resting.failed(&object(1, number)), 1));
        let [bad, good, elsewhere] = [object(2, 0), object(2, 1), object(3, 0)];
        for minutes in [1, 2, 4, 8] {
            (0..5).for_each(|_| assert_eq!(resting.failed(&bad), 1, "what is not known is never hopeless"));
            assert!(!resting.contains(&good), "this poll tries the others of the day");
            resting.poll();
            tokio::time::advance(Duration::from_secs(60 * minutes - 1)).await;
            assert!(resting.contains(&bad) && resting.contains(&good) && !resting.contains(&elsewhere));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!resting.contains(&bad) && !resting.contains(&good), "{minutes}");
            resting.poll();
        }
        resting.failed(&bad);
        resting.done(&good);
        resting.poll();
        assert!(!resting.contains(&bad));
        tokio::time::advance(FORGOTTEN + LONGEST).await;
        resting.poll();
        resting.failed(&bad);
        assert_eq!(resting.failed(&bad), 2, "there is room again where objects are gone");
    }
}
