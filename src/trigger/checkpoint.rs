//! What was delivered, as a pure state machine: every change of it is a value that [`commit`](super::commit) keeps in
//! the storage, and the state is what the changes come to.
//!
//! One definition of "done": an object is done when it was delivered to its end or rejected by name. Whatever is not
//! done and lies behind the origin is found again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::seen::{Digest, Seen};
use super::batch::Cover;
use super::deliver::Receipt;
use super::place::{Day, LogName, Place};
use crate::s3::Object;

pub mod seen;

/// The form of the state.
const VERSION: u32 = 1;
/// How many rejected objects are remembered by name; as done, all are.
const NAMED: usize = 1_000;

/// What was delivered from one bucket and prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    version: u32,
    origin: Origin,
    /// The objects that are done, by flow log and day.
    logs: BTreeMap<String, BTreeMap<Day, Seen>>,
    /// For each folder of days: the days before this one are done but for stragglers.
    floors: BTreeMap<String, Day>,
    /// The last objects that could not be delivered, each with the cause.
    rejected: Vec<(String, String)>,
    /// Objects of which a batch ended in the middle: how many records were delivered.
    partial: BTreeMap<String, u64>,
    /// The batch that is being delivered, and the instance that does so.
    pending: Option<Pending>,
    holder: Option<Uuid>,
    /// The instance that began last.
    instance: Option<Uuid>,
    /// The request ID of the batch that was committed last: its folder may have been left behind.
    last: Option<String>,
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

/// A step of the state. Only the functions below make one, so that what is committed was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Change(Step);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Opened { instance: Uuid },
    Resumed { instance: Uuid },
    Begun(Pending),
    Forgotten,
    Committed(Vec<Cover>),
    Rejected { key: String, day: Day, cause: String },
    Troubled { flow_log: String, day: Day },
    Closed { flow_log: String, day: Day },
    ClosedWith { flow_log: String, day: Day, digest: Digest },
    Reopened { flow_log: String, day: Day },
    Floor { folder: String, day: Day },
}

impl Change {
    /// An instance begins to write. Of two instances this stops the older one.
    pub fn opened(instance: Uuid) -> Self {
        Self(Step::Opened { instance })
    }

    /// The batch that is being delivered passes from an instance that is gone to this one.
    pub fn resumed(instance: Uuid) -> Self {
        Self(Step::Resumed { instance })
    }

    /// Whether it is no more than the beginning of an instance.
    pub fn is_opening(&self) -> bool {
        matches!(self.0, Step::Opened { .. })
    }

    /// Whether it says what the platform has.
    pub fn is_commit(&self) -> bool {
        matches!(self.0, Step::Committed(_))
    }

    /// A batch is about to be delivered.
    pub fn begun(pending: Pending) -> Self {
        Self(Step::Begun(pending))
    }

    /// The batch that was pending never left: its records are delivered anew.
    pub fn forgotten() -> Self {
        Self(Step::Forgotten)
    }

    /// The platform accepted a batch, or there was nothing in it to accept.
    pub fn committed(receipt: Receipt) -> Self {
        Self(Step::Committed(receipt.into_covers()))
    }

    /// An object, or the rest of it, cannot be delivered.
    pub fn rejected(object: &Object, cause: &str) -> Self {
        Self(Step::Rejected { key: object.key.clone(), day: object.place().day, cause: cause.to_owned() })
    }

    /// An object of this place could not be read: the day stays open until it could.
    pub fn troubled(place: Place) -> Self {
        let Place { flow_log, day } = place;
        Self(Step::Troubled { flow_log, day })
    }

    /// All objects of a day are done, and it is too old for more than stragglers.
    pub fn closed(place: Place) -> Self {
        let Place { flow_log, day } = place;
        Self(Step::Closed { flow_log, day })
    }

    /// These are the objects of a closed day that are left, all of them done.
    pub fn closed_with(place: Place, keys: &[&str]) -> Self {
        let Place { flow_log, day } = place;
        Self(Step::ClosedWith { flow_log, day, digest: Digest::of(keys) })
    }

    /// It cannot be told which objects of a closed day are done: all of it is delivered again.
    pub fn reopened(place: Place) -> Self {
        let Place { flow_log, day } = place;
        Self(Step::Reopened { flow_log, day })
    }

    /// In this folder of days, those before `day` are done but for stragglers.
    pub fn floor(folder: &str, day: Day) -> Self {
        Self(Step::Floor { folder: folder.to_owned(), day })
    }
}

impl Checkpoint {
    /// The state before the first delivery.
    pub fn new(origin: Origin) -> Self {
        Self {
            version: VERSION,
            origin,
            logs: BTreeMap::new(),
            floors: BTreeMap::new(),
            rejected: Vec::new(),
            partial: BTreeMap::new(),
            pending: None,
            holder: None,
            instance: None,
            last: None,
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

    /// The state as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Takes a step.
    pub fn apply(&mut self, Change(step): &Change) {
        match step {
            Step::Opened { instance } => self.instance = Some(*instance),
            Step::Resumed { instance } => self.holder = Some(*instance),
            Step::Begun(pending) => {
                self.pending = Some(pending.clone());
                self.holder = self.instance;
            }
            Step::Forgotten => self.pending = None,
            Step::Committed(covers) => {
                if let Some(pending) = self.pending.take() {
                    self.last = Some(pending.request_id);
                }
                for Cover { key, day, to, whole, .. } in covers {
                    if *whole {
                        self.done(key, *day);
                    } else {
                        self.partial.insert(key.clone(), *to);
                    }
                }
            }
            Step::Rejected { key, day, cause } => {
                self.done(key, *day);
                if self.rejected.len() >= NAMED {
                    self.rejected.remove(0);
                }
                self.rejected.push((key.clone(), cause.clone()));
            }
            Step::Troubled { flow_log, day } => self.day(flow_log, *day).trouble(),
            Step::Closed { flow_log, day } => self.day(flow_log, *day).close(),
            Step::ClosedWith { flow_log, day, digest } => *self.day(flow_log, *day) = Seen::Closed(*digest),
            Step::Reopened { flow_log, day } => *self.day(flow_log, *day) = Seen::default(),
            Step::Floor { folder, day } => {
                self.floors.insert(folder.clone(), *day);
            }
        }
    }

    fn done(&mut self, key: &str, day: Day) {
        self.partial.remove(key);
        self.day(&Place::on(day, key).flow_log, day).insert(key);
    }

    fn day(&mut self, flow_log: &str, day: Day) -> &mut Seen {
        self.logs.entry(flow_log.to_owned()).or_default().entry(day).or_default()
    }

    /// Where the delivery begins.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is known of a flow log's day.
    pub fn seen(&self, place: &Place) -> Option<&Seen> {
        self.logs.get(&place.flow_log)?.get(&place.day)
    }

    /// Whether an object is to be delivered: it lies behind the origin and is not done.
    pub fn wants(&self, object: &Object) -> bool {
        let is_done = || self.seen(&object.place()).is_some_and(|seen| seen.contains(&object.key));
        self.origin.wants(object) && !is_done()
    }

    /// How many records of an object were delivered already.
    pub fn position(&self, key: &str) -> u64 {
        self.partial.get(key).copied().unwrap_or(0)
    }

    /// The batch that was being delivered when the process ended.
    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// The instance that delivers the pending batch.
    pub fn holder(&self) -> Option<Uuid> {
        self.holder.filter(|_| self.pending.is_some())
    }

    /// The request ID of the batch that was committed last.
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// The day before which a folder of days is done but for stragglers.
    pub fn floor(&self, folder: &str) -> Option<Day> {
        self.floors.get(folder).copied()
    }

    /// The days before `day` that can be closed.
    pub fn closable(&self, day: Day) -> Vec<Place> {
        let old = self.logs.iter().flat_map(|(flow_log, days)| {
            let closable = days.range(..day).filter(|(_, seen)| seen.is_closable());
            closable.map(|(day, _)| Place { flow_log: flow_log.clone(), day: *day })
        });
        old.collect()
    }
}

impl Origin {
    /// Everything that S3 took from `since` on.
    pub fn since(since: Timestamp) -> Self {
        Self { since, markers: Vec::new() }
    }

    /// Whether an object lies behind it.
    pub fn wants(&self, object: &Object) -> bool {
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

#[cfg(test)]
mod tests;
