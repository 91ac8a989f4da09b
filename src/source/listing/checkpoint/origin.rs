//! Which objects are wanted at all: those after the start.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::layout::name::{Day, LogName};
use crate::s3::Object;

/// Where the delivery begins in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Objects that S3 took before this time are not wanted, unless a marker wants them.
    pub since: Timestamp,
    /// Where the Python module stopped, for each prefix that it watched.
    pub markers: Vec<Marker>,
    /// Objects that S3 took from this time on are not wanted. It is the configuration's and not kept.
    #[serde(skip)]
    pub end: Option<Timestamp>,
}

/// The last key that the Python module had listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The prefix that it watched.
    pub prefix: String,
    /// The key.
    pub key: String,
    /// When S3 took the marked object; the time in its name if it is gone.
    pub last_modified: Option<Timestamp>,
}

impl Origin {
    /// Everything that S3 took from `since` on.
    pub fn since(since: Timestamp) -> Self {
        Self { since, markers: Vec::new(), end: None }
    }

    /// Whether an object lies after it, and before the end.
    pub fn wants(&self, object: &Object) -> bool {
        if self.end.is_some_and(|end| object.last_modified >= end) {
            return false;
        }
        let markers = self.markers.iter().filter(|marker| object.key.starts_with(&marker.prefix));
        let marker = markers.max_by_key(|marker| marker.prefix.len());
        marker.map_or_else(|| object.last_modified >= self.since, |marker| marker.wants(object))
    }

    /// The first day with objects that are wanted and are no stragglers, if S3 takes them at most `delay` after the
    /// time in their names; `None` if it may be any day.
    pub fn first_day(&self, delay: SignedDuration) -> Option<Day> {
        let marked = self.markers.iter().map(|marker| LogName::of(&marker.key)?.timestamp());
        let first = marked.chain([Some(self.since)]).min().flatten()?;
        first.checked_sub(delay).ok().filter(|first| *first > Timestamp::UNIX_EPOCH).map(Day::of)
    }
}

impl Marker {
    /// Whether the Python module may have missed an object: it has passed over all that sorts before its marker, in
    /// every flow log, account and region. What it surely sent is what lies before the marker's time, was there when
    /// the marked object came, and the same flow log's object at the marker's time.
    fn wants(&self, object: &Object) -> bool {
        if object.key == self.key {
            return false;
        }
        if self.last_modified.is_none_or(|last_modified| object.last_modified > last_modified) {
            return true;
        }
        match (LogName::of(&object.key), LogName::of(&self.key)) {
            (Some(name), Some(marked)) if name.time == marked.time => {
                name.flow_log != marked.flow_log || object.key > self.key
            }
            (Some(name), Some(marked)) => name.time > marked.time,
            _ => object.key > self.key,
        }
    }
}
