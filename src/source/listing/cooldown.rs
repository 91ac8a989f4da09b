//! Objects that could not be delivered and rest before they are tried again: what is wrong may pass, or be put right.
//!
//! It is not kept over a restart: whatever rests is not done, and is found again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::layout::fingerprint::Fingerprint;
use crate::layout::name::LogName;
use crate::s3::Object;

/// The longest rest. Somebody who has allowed access to an object does not want to wait for a day.
const LONGEST: Duration = Duration::from_secs(3600);
/// How many objects rest one by one, in some 10 MB. Beyond it, the whole day of a flow log rests.
pub const RESTING: usize = 100_000;
/// When there is no room, an object is forgotten that could have been tried for so long and was not: it is gone from
/// the bucket. The sweep takes some hours to come by.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// So many objects of a flow log's day fail in a row until the others of that day no longer count as new: a poll spends
/// little on what nothing can be read of.
const IN_A_ROW: u32 = 50;
/// An object that is damaged as often as this is damaged for good: a fault on the way would have passed.
const ATTEMPTS: u32 = 3;

/// The objects that rest. Clones share them.
#[derive(Clone, Debug)]
pub struct Cooldown {
    first: Duration,
    rests: Arc<Mutex<Rests>>,
}

#[derive(Debug, Default)]
struct Rests {
    objects: HashMap<Fingerprint, Rest>,
    /// How many objects of a flow log's day rest one by one.
    counts: HashMap<Fingerprint, usize>,
    /// Days of flow logs, each with the number of the poll in which an object of it failed last.
    days: HashMap<Fingerprint, (u64, Rest)>,
    /// Of a flow log's day, how many objects have failed since one could be read.
    failed: HashMap<Fingerprint, u32>,
    /// The number of the poll that is under way.
    poll: u64,
}

#[derive(Debug)]
struct Rest {
    day: Fingerprint,
    attempts: u32,
    until: Instant,
}

/// Whether an object is to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not failed.
    New,
    /// It has failed, and is not to be tried yet.
    Resting,
    /// It has failed, or many of its flow log's day and nothing else; and could be tried since then.
    Due(Instant),
}

impl Rest {
    fn new(day: Fingerprint) -> Self {
        Self { day, attempts: 0, until: Instant::now() }
    }

    /// It failed: it rests longer than the last time.
    fn again(&mut self, first: Duration) -> u32 {
        let factor = 2_u32.saturating_pow(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        self.until = Instant::now() + first.saturating_mul(factor).min(LONGEST);
        self.attempts
    }

    fn standing(&self) -> Standing {
        if self.until <= Instant::now() { Standing::Due(self.until) } else { Standing::Resting }
    }
}

impl Rests {
    /// The rests of objects and of days.
    fn all(&self) -> impl Iterator<Item = &Rest> {
        self.objects.values().chain(self.days.values().map(|(_, rest)| rest))
    }

    /// Makes room where as many objects rest as can: of the day that has the most, they rest together from now on.
    fn make_room(&mut self, first: Duration) {
        let most = self.counts.iter().max_by_key(|(day, count)| (**count, **day)).map(|(day, _)| *day);
        let Some(most) = most else { return };
        self.objects.retain(|_, rest| rest.day != most);
        self.counts.remove(&most);
        let mut rest = Rest::new(most);
        rest.again(first);
        self.days.insert(most, (self.poll, rest));
    }

    fn remove(&mut self, object: Fingerprint) {
        if let Some(rest) = self.objects.remove(&object)
            && let Some(count) = self.counts.get_mut(&rest.day)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&rest.day);
            }
        }
    }
}

impl Cooldown {
    /// None yet; the first rest of an object lasts `first`, and each one is twice as long as the one before.
    pub fn new(first: Duration) -> Self {
        Self { first, rests: Arc::default() }
    }

    /// A poll begins.
    pub fn poll(&self) {
        let mut rests = self.lock();
        rests.poll += 1;
        if rests.failed.len() > RESTING {
            rests.failed.clear();
        }
        if rests.objects.len() >= RESTING {
            let now = Instant::now();
            let gone = rests.objects.iter().filter(|(_, rest)| rest.until + FORGOTTEN <= now);
            let gone: Vec<Fingerprint> = gone.map(|(object, _)| *object).collect();
            gone.into_iter().for_each(|object| rests.remove(object));
        }
    }

    /// An object failed: it rests, or its day if there is no room. Gives how often it has failed, as far as is known.
    pub fn failed(&self, object: &Object) -> u32 {
        let mut rests = self.lock();
        let (poll, first, day) = (rests.poll, self.first, day_of(&object.key));
        let failed = rests.failed.entry(day).or_default();
        *failed = failed.saturating_add(1);
        let object = Fingerprint::of(&object.key);
        if let Some(rest) = rests.objects.get_mut(&object) {
            return rest.again(first);
        }
        if rests.objects.len() >= RESTING && !rests.days.contains_key(&day) {
            rests.make_room(first);
        }
        if let Some((last, rest)) = rests.days.get_mut(&day) {
            // The poll under way tries all objects of the day: one that can be read is not held back by those before it.
            if std::mem::replace(last, poll) != poll {
                rest.again(first);
            }
            return 1;
        }
        *rests.counts.entry(day).or_default() += 1;
        rests.objects.entry(object).or_insert_with(|| Rest::new(day)).again(first)
    }

    /// Whether so many failures show that the object itself is damaged.
    pub fn is_final(attempts: u32) -> bool {
        attempts >= ATTEMPTS
    }

    /// An object is done.
    pub fn done(&self, object: &Object) {
        let mut rests = self.lock();
        if !rests.objects.is_empty() {
            rests.remove(Fingerprint::of(&object.key));
        }
        if !rests.failed.is_empty() {
            let day = day_of(&object.key);
            rests.failed.remove(&day);
            rests.days.remove(&day);
        }
    }

    /// Whether an object is to be tried.
    pub fn standing(&self, object: &Object) -> Standing {
        let rests = self.lock();
        // Most of the time nothing rests, and no fingerprint need be computed.
        if !rests.objects.is_empty()
            && let Some(rest) = rests.objects.get(&Fingerprint::of(&object.key))
        {
            return rest.standing();
        }
        if rests.failed.is_empty() {
            return Standing::New;
        }
        let day = day_of(&object.key);
        match rests.days.get(&day) {
            Some((poll, rest)) if *poll == rests.poll => Standing::Due(rest.until),
            Some((_, rest)) => rest.standing(),
            None if rests.failed.get(&day).is_some_and(|failed| *failed >= IN_A_ROW) => {
                Standing::Due(Instant::now())
            }
            None => Standing::New,
        }
    }

    /// How many objects, and days of flow logs, rest or have rested after a time, of those that were tried less often than
    /// `attempts` times.
    pub fn resting(&self, after: Instant, attempts: Option<u32>) -> usize {
        let is_tried = |rest: &&Rest| attempts.is_some_and(|attempts| rest.attempts >= attempts);
        self.lock().all().filter(|rest| rest.until > after && !is_tried(rest)).count()
    }

    /// When all that rests after a time can be tried again.
    pub fn rests_until(&self, after: Instant) -> Option<Instant> {
        self.lock().all().map(|rest| rest.until).filter(|until| *until > after).max()
    }

    /// Whether an object rests one by one, by its fingerprint.
    pub fn holds(&self, object: Fingerprint) -> bool {
        self.lock().objects.get(&object).is_some_and(|rest| rest.standing() == Standing::Resting)
    }

    fn lock(&self) -> MutexGuard<'_, Rests> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands for the day of a flow log that an object is of: its folder and its flow log.
fn day_of(key: &str) -> Fingerprint {
    let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
    let flow_log = LogName::of(key).map_or("", |name| name.flow_log);
    Fingerprint::of(&format!("{folder}/{flow_log}"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn object(day: u32, number: usize) -> Object {
        let key = format!("{day:02}/1_vpcflowlogs_eu-west-3_fl-0a_202611{day:02}T0000Z_{number}.log.gz");
        Object { key, body_bytes: 1, last_modified: Timestamp::UNIX_EPOCH, etag: None }
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_rests_longer_each_time_and_an_hour_at_most() {
        let resting = Cooldown::new(Duration::from_secs(60));
        let [a, b] = [object(1, 0), object(1, 1)];
        for (attempt, minutes) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            resting.poll();
            assert_eq!(resting.failed(&a), attempt);
            tokio::time::advance(Duration::from_secs(60 * minutes - 1)).await;
            assert_eq!((resting.standing(&a), resting.standing(&b)), (Standing::Resting, Standing::New));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(resting.standing(&a), Standing::Due(Instant::now()), "{minutes}");
        }
        resting.done(&a);
        assert_eq!(resting.failed(&a), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_the_day_with_the_most_rests_together_and_no_other() {
        let resting = Cooldown::new(Duration::from_secs(60));
        resting.poll();
        (0..RESTING).for_each(|number| assert_eq!(resting.failed(&object(1, number)), 1));
        let [bad, good, elsewhere] = [object(1, RESTING), object(1, RESTING + 1), object(2, 0)];
        let is_due = |object: &Object| matches!(resting.standing(object), Standing::Due(_));
        assert_eq!(resting.failed(&elsewhere), 1);
        assert_eq!(resting.failed(&elsewhere), 2, "it is still known one by one");
        assert_eq!(resting.standing(&object(2, 1)), Standing::New);
        for minutes in [1, 2, 4, 8] {
            (0..5).for_each(|_| assert_eq!(resting.failed(&bad), 1, "what is not known is never final"));
            assert!(is_due(&good), "this poll tries the others of the day");
            resting.poll();
            tokio::time::advance(Duration::from_secs(60 * minutes - 1)).await;
            for object in [&bad, &good] {
                assert_eq!(resting.standing(object), Standing::Resting);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(is_due(&bad) && is_due(&good), "{minutes}");
            resting.poll();
        }
        resting.failed(&bad);
        resting.done(&good);
        resting.poll();
        assert_eq!(resting.standing(&bad), Standing::New);
        assert_eq!(resting.failed(&bad), 1);
        assert_eq!(resting.failed(&bad), 2, "there is room again");
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_day_of_which_nothing_can_be_read_no_object_counts_as_new() {
        let resting = Cooldown::new(Duration::from_secs(60));
        let [next, elsewhere] = [object(1, 1_000), object(2, 0)];
        for number in 0..50 {
            assert_eq!(resting.standing(&next), Standing::New, "{number}");
            resting.failed(&object(1, number));
        }
        assert_eq!(resting.standing(&next), Standing::Due(Instant::now()));
        assert_eq!(resting.standing(&elsewhere), Standing::New);
        resting.done(&next);
        assert_eq!(resting.standing(&object(1, 1_001)), Standing::New);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_again_where_objects_are_gone() {
        let resting = Cooldown::new(Duration::from_secs(60));
        resting.poll();
        (0..RESTING).for_each(|number| assert_eq!(resting.failed(&object(1, number)), 1));
        tokio::time::advance(FORGOTTEN + LONGEST).await;
        resting.poll();
        assert_eq!(resting.failed(&object(1, RESTING)), 1);
        assert!(matches!(resting.standing(&object(1, 0)), Standing::Due(_)), "neither it nor its day rests");
    }
}
