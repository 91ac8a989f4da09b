//! What was delivered, as a pure state machine: [`commit`](super::commit) keeps it in the storage.
//!
//! One definition of "done": an object is done when it was delivered to its end or rejected by name. Whatever is not
//! done and lies behind the origin is listed again by the next poll.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::batch::Cover;
use super::deliver::Receipt;
use crate::s3::Object;

/// The form of the state file.
const VERSION: u32 = 1;

/// What was delivered from one bucket and prefix.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    version: u32,
    origin: Origin,
    /// The keys of objects delivered whole.
    delivered: BTreeSet<String>,
    /// The keys of objects that cannot be delivered, each with the cause.
    rejected: BTreeMap<String, String>,
    /// Objects of which a batch ended in the middle: how many records were delivered.
    partial: BTreeMap<String, u64>,
    /// The batch that is being delivered.
    pending: Option<Pending>,
}

/// Where the delivery begins in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Objects that S3 took before this time are not wanted, unless a marker wants them.
    pub since: Timestamp,
    /// Where the Python module stopped, for each prefix that it watched.
    pub markers: Vec<Marker>,
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

/// A batch that is on its way: after a crash it is sent again as it was, under the same request ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Names the batch, and its folder.
    pub request_id: String,
    /// How many records it has.
    pub records: usize,
    /// What it covers.
    pub covers: Vec<Cover>,
}

impl Checkpoint {
    /// The state before the first delivery.
    pub fn new(origin: Origin) -> Self {
        Self {
            version: VERSION,
            origin,
            delivered: BTreeSet::new(),
            rejected: BTreeMap::new(),
            partial: BTreeMap::new(),
            pending: None,
        }
    }

    /// Reads the form that [`Checkpoint::to_json`] writes; the error says what is wrong with it.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let checkpoint: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        match checkpoint.version {
            VERSION => Ok(checkpoint),
            other => Err(format!("it has version {other}, this program knows version {VERSION}")),
        }
    }

    /// The state as a file.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether an object is to be delivered: it lies behind the origin and is not done.
    pub fn wants(&self, object: &Object) -> bool {
        self.origin.wants(object)
            && !self.delivered.contains(&object.key)
            && !self.rejected.contains_key(&object.key)
    }

    /// How many records of an object were delivered already.
    pub fn position(&self, key: &str) -> u64 {
        self.partial.get(key).copied().unwrap_or(0)
    }

    /// The batch that was being delivered when the process ended.
    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// A batch is about to be delivered.
    pub fn begin(&mut self, pending: Pending) {
        self.pending = Some(pending);
    }

    /// The batch that was pending never left: its records are delivered anew.
    pub fn forget_pending(&mut self) {
        self.pending = None;
    }

    /// The platform accepted a batch, or there was nothing in it to accept.
    pub fn commit(&mut self, receipt: Receipt) {
        self.pending = None;
        for Cover { key, to, whole, .. } in receipt.into_covers() {
            if whole {
                self.partial.remove(&key);
                self.delivered.insert(key);
            } else {
                self.partial.insert(key, to);
            }
        }
    }

    /// An object cannot be delivered, or not the rest of it.
    pub fn reject(&mut self, key: &str, cause: &str) {
        self.partial.remove(key);
        self.rejected.insert(key.to_owned(), cause.to_owned());
    }
}

impl Origin {
    /// Everything that S3 took from `since` on.
    pub fn since(since: Timestamp) -> Self {
        Self { since, markers: Vec::new() }
    }

    fn wants(&self, object: &Object) -> bool {
        let markers = self.markers.iter().filter(|marker| object.key.starts_with(&marker.prefix));
        markers
            .max_by_key(|marker| marker.prefix.len())
            .map_or_else(|| object.last_modified >= self.since, |marker| marker.wants(object))
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

/// What the name of a flow log's object says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogName<'a> {
    /// `<account>_vpcflowlogs_<region>_<flow log id>`.
    pub flow_log: &'a str,
    /// `YYYYMMDDTHHmmZ`, which sorts as time does.
    pub time: &'a str,
}

impl<'a> LogName<'a> {
    /// Reads a key whose file is named `<account>_vpcflowlogs_<region>_<flow log id>_<YYYYMMDDTHHmmZ>_<hash>.<ending>`.
    pub fn of(key: &'a str) -> Option<Self> {
        let (_, file) = key.rsplit_once('/').unwrap_or(("", key));
        let (rest, _hash) = file.rsplit_once('_')?;
        let (flow_log, time) = rest.rsplit_once('_')?;
        let digits = |from: usize, to: usize| {
            time.as_bytes().get(from..to).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
        };
        let is_time = time.len() == 14
            && digits(0, 8)
            && digits(9, 13)
            && time.get(8..9) == Some("T")
            && time.ends_with('Z');
        (is_time && flow_log.contains("_vpcflowlogs_")).then_some(Self { flow_log, time })
    }

    /// The time in the name.
    pub fn timestamp(&self) -> Option<Timestamp> {
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%MZ", self.time).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests;
