//! The time a server believes it is.

use std::sync::{Arc, RwLock};

use jiff::{SignedDuration, Timestamp};

/// A clock that shows real time, real time with a skew, or a time that stands still. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<RwLock<Shows>>);

#[derive(Clone, Copy, Debug)]
enum Shows {
    RealTime { skew: SignedDuration },
    Fixed(Timestamp),
}

impl Default for Shows {
    fn default() -> Self {
        Self::RealTime { skew: SignedDuration::ZERO }
    }
}

impl Clock {
    /// The time this clock shows.
    pub fn now(&self) -> Timestamp {
        match *self.0.read().unwrap() {
            Shows::RealTime { skew } => Timestamp::now() + skew,
            Shows::Fixed(time) => time,
        }
    }

    /// Runs on from now with `skew` added to real time; zero is real time again.
    pub fn set_skew(&self, skew: SignedDuration) {
        *self.0.write().unwrap() = Shows::RealTime { skew };
    }

    /// Stands still at `time`.
    pub fn set_fixed(&self, time: Timestamp) {
        *self.0.write().unwrap() = Shows::Fixed(time);
    }

    /// What an HTTP `Date` header says now: whole seconds, GMT.
    pub(crate) fn http_date(&self) -> String {
        self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}
