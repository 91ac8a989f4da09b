//! A run over a range ends by itself: when S3 takes nothing more that belongs to it, all folders are looked through once
//! more, to their ends.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::config::End;
use crate::layout::lane::{Lane, is_flow_log};
use crate::layout::name::Day;
use crate::layout::place::Place;
use crate::s3::ListRequest;
use crate::shutdown::Stopped;
use crate::source::listing::checkpoint::seen::Stored;
use crate::source::listing::discover::Discovery;
use crate::source::listing::discover::names::Names;

/// S3 lists an object when its upload ends, under the time at which that began.
const UPLOAD: SignedDuration = SignedDuration::from_mins(5);

/// How often it is told how much was counted.
const TOLD: u64 = 10_000;

/// What is looked through until its end.
#[derive(Debug)]
pub struct Range {
    end: End,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// S3 may take more that belongs to it.
    Open,
    /// All that belongs to it is in the bucket, and the sweep looks through it since then.
    Closed(Instant),
    /// That sweep was through.
    Swept(Instant),
}

impl Range {
    /// One that ends there.
    pub fn new(end: End) -> Self {
        Self { end, state: State::Open }
    }

    /// Whether the sweep is to look at everything.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// The sweep was through.
    pub fn swept(&mut self) {
        if let State::Closed(since) = self.state {
            self.state = State::Swept(since);
        }
    }
}

impl Discovery {
    /// Once all that belongs to the range is in the bucket, walk and sweep begin anew and go on for as long as it takes, in polls
    /// that have found nothing else. They begin once more when what failed meanwhile can be tried again.
    pub(super) fn close_range(&mut self, names: &Names) {
        let Some(range) = &mut self.range else { return };
        let begins = match range.state {
            State::Open => self.lister.bucket.now().duration_since(range.end.time) >= UPLOAD,
            State::Closed(_) => false,
            State::Swept(since) => {
                let rests = [self.judges.cooldown.rests_until(since), self.lister.rests_until(since)];
                let until = rests.into_iter().flatten().max();
                until.map_or(self.sweep.has_gap(), |until| until <= Instant::now())
            }
        };
        if begins {
            self.walk.begin_anew();
            self.sweep.begin_anew();
            range.state = State::Closed(Instant::now());
        }
        self.sweep_credit = match range.state {
            State::Open => self.sweep_credit,
            State::Closed(_) if names.is_idle() && !self.walk.is_first_round() => f64::INFINITY,
            State::Closed(_) | State::Swept(_) => 0.0,
        };
    }

    /// Whether all of the range is done, or was tried often enough. What could have been tried while the sweep looked through it,
    /// and was not, is not in the bucket any more.
    pub(super) fn is_over(&self, names: &Names) -> bool {
        let Some(Range { end: End { attempts, .. }, state: State::Swept(since) }) = self.range else {
            return false;
        };
        let has_gap = self.sweep.has_gap() && self.lister.resting(since, None) == 0;
        let rest = self.judges.cooldown.resting(since, attempts) + self.lister.resting(since, attempts);
        names.is_idle() && !has_gap && rest == 0
    }

    /// Counts what of the range is to be delivered, in the folders of its days; `told` the number so far, each time that ten
    /// thousand more are known, and at the end.
    pub(in crate::source::listing) async fn count(&mut self, told: impl Fn(u64)) -> Result<(), Stopped> {
        while self.walk.is_first_round() {
            self.walk.step(&self.lister).await?;
        }
        let lanes: Vec<Option<Lane>> = match self.walk.loose() {
            Some(_) => vec![None],
            None => self.walk.lanes().iter().cloned().map(Some).collect(),
        };
        let mut objects = 0;
        for lane in &lanes {
            self.count_in(lane.as_ref(), &mut objects, &told).await?;
        }
        told(objects);
        Ok(())
    }

    /// Counts in a lane, or in all that is below the prefix.
    async fn count_in(
        &self,
        lane: Option<&Lane>,
        objects: &mut u64,
        told: &impl Fn(u64),
    ) -> Result<(), Stopped> {
        let (first, last) = self.ledger.look(|checkpoint| {
            (checkpoint.origin().first_day(self.window), checkpoint.origin().end.map(Day::of))
        });
        let start = lane.zip(first).map(|(lane, first)| lane.day_folder(first));
        let prefix = lane.map(Lane::folder).filter(|folder| folder.len() > self.prefix.len());
        let prefix = prefix.unwrap_or(&self.prefix);
        let mut continued = None;
        loop {
            let (continued_at, start_after) = (continued.as_deref(), start.as_deref());
            let request =
                ListRequest { prefix, continued: continued_at, start_after, ..ListRequest::default() };
            let Some(page) = self.lister.list(request).await? else { return Ok(()) };
            let mut stored: BTreeMap<Place, Stored> = BTreeMap::new();
            for object in &page.objects {
                // No object is older than the day in its name.
                let day = lane.and_then(|lane| lane.day_of(&object.key));
                if day.zip(last).is_some_and(|(day, last)| day > last) {
                    return Ok(());
                }
                let is_wanted = || self.ledger.look(|checkpoint| checkpoint.origin().wants(object));
                if object.body_bytes == 0 || !is_flow_log(&object.key, &self.prefix) || !is_wanted() {
                    continue;
                }
                let place = object.place();
                if !stored.contains_key(&place) {
                    stored.insert(place.clone(), self.ledger.stored(&place).await?);
                }
                let stored = stored.get(&place);
                let is_done =
                    |stored| self.ledger.look(|checkpoint| checkpoint.is_done(object, &place, stored));
                if !stored.is_some_and(is_done) {
                    *objects += 1;
                    if objects.is_multiple_of(TOLD) {
                        told(*objects);
                    }
                }
            }
            continued = page.next;
            if continued.is_none() {
                return Ok(());
            }
        }
    }

    /// What of the range is not done: objects, or days of a flow log, and folders that cannot be listed.
    pub fn left(&self) -> (usize, usize) {
        let now = Instant::now();
        (self.judges.cooldown.resting(now, None), self.lister.resting(now, None))
    }
}
