//! A run over a range ends by itself: when S3 takes nothing more that belongs to it, all folders are looked through once
//! more, to their ends.

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::config::End;
use crate::source::listing::discover::Discovery;
use crate::source::listing::discover::names::Names;

/// S3 lists an object when its upload ends, under the time at which that began.
const UPLOAD: SignedDuration = SignedDuration::from_mins(5);

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

    /// What of the range is not done: objects, or days of a flow log, and folders that cannot be listed.
    pub fn left(&self) -> (usize, usize) {
        let now = Instant::now();
        (self.judges.cooldown.resting(now, None), self.lister.resting(now, None))
    }
}
