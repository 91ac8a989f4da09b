//! The newest that was seen in the bucket. A clock can be wrong: what is to be remembered of the time goes by this.

use jiff::Timestamp;

use crate::layout::lane::Lane;
use crate::layout::name::Day;
use crate::s3::Object;

/// The newest that was seen in the bucket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Newest {
    /// When S3 took the newest object.
    pub taken: Option<Timestamp>,
    /// The newest folder of a day.
    day: Option<Day>,
}

impl Newest {
    /// Notes what an object tells of the time; `lane` is the one that is being listed, if one is.
    pub fn see(&mut self, lane: Option<&Lane>, object: &Object) {
        let day = match lane {
            Some(lane) => lane.day_of(&object.key),
            None => Lane::around(&object.key).and_then(|lane| lane.day_of(&object.key)),
        };
        self.taken = self.taken.max(Some(object.last_modified));
        self.day = self.day.max(day);
    }

    /// The time that it is, and was in the bucket.
    pub fn time(self, now: Timestamp) -> Option<Timestamp> {
        Some(self.taken?.min(now))
    }

    /// The day of a time, but none that the bucket has not come to.
    pub fn day(self, time: Timestamp) -> Day {
        let day = Day::of(time);
        self.day.map_or(day, |newest| newest.min(day))
    }
}
