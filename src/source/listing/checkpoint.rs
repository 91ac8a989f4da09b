//! What was delivered, as a pure state machine: every change of it is a value that [`ledger`](super::ledger) keeps in
//! the storage, and the state is what the changes come to.
//!
//! One definition of "done": an object is done when it was delivered to its end or rejected by name. Whatever is not
//! done and lies after the origin is found again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::contract::{Cover, Pending, Position};
use crate::layout::fingerprint::Fingerprint;
use crate::layout::name::Day;
use crate::layout::place::Place;
use crate::s3::Object;
use crate::source::listing::checkpoint::carried::Carried;
pub use crate::source::listing::checkpoint::change::Change;
use crate::source::listing::checkpoint::change::Step;
pub use crate::source::listing::checkpoint::origin::{Marker, Origin};
use crate::source::listing::checkpoint::seen::{Fingerprints, Stored};

pub mod carried;
mod change;
mod origin;
pub mod seen;

/// The form of the state, and the one before it, which can be read.
const VERSION: u32 = 2;
const VERSION_BEFORE: u32 = 1;
/// How many rejected objects are remembered by name; as done, all are.
const NAMED: usize = 1_000;

/// What was delivered from one bucket and prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    version: u32,
    origin: Origin,
    /// The objects that are done, by place: of the days that polls look at all of them, of older ones those that are
    /// not in a file of their day yet.
    #[serde(default)]
    done: BTreeMap<String, BTreeMap<Day, Fingerprints>>,
    /// What version 0.1.0 knew of places.
    #[serde(default, rename = "logs", skip_serializing_if = "Carried::is_empty")]
    carried: Carried,
    /// For each folder of days: the days before this one are for the sweep alone.
    floors: BTreeMap<String, Day>,
    /// For each folder of days: what lies in days before this one, and was taken by S3 before it, is done, but for what
    /// has a file of its day.
    #[serde(default)]
    whole: BTreeMap<String, Day>,
    /// Where the sweep is.
    #[serde(default)]
    swept: Option<Swept>,
    /// The last objects that could not be delivered, each with the cause.
    rejected: Vec<(String, String)>,
    /// Objects of which a batch ended in the middle: how many records were delivered.
    partial: BTreeMap<String, Partial>,
    /// The batches in flight, in their order, and the instance that delivers them. Version 0.1.0 had one at most.
    #[serde(deserialize_with = "one_or_many")]
    pending: Vec<Pending>,
    holder: Option<Uuid>,
    /// The instance that began last.
    instance: Option<Uuid>,
    /// The request ID of the batch that was committed last: its folder may have been left behind.
    last: Option<String>,
}

/// How far an object was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Partial {
    /// So many records of the content that this ETag tells, grouped in this way.
    Of {
        records: u64,
        etag: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grouping: Option<u64>,
    },
    /// So many records of whatever there was.
    Records(u64),
}

/// Where the sweep is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The lane or the prefix that it goes through.
    pub area: String,
    /// The last key that it has dealt with there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The days before this one are those of which more than a month has passed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Day>,
    /// Those of them that hold what is not done, or what S3 took later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, BTreeSet<Day>>,
}

impl Checkpoint {
    /// The state before the first delivery.
    pub fn new(origin: Origin) -> Self {
        Self {
            version: VERSION,
            origin,
            done: BTreeMap::new(),
            carried: Carried::default(),
            floors: BTreeMap::new(),
            whole: BTreeMap::new(),
            swept: None,
            rejected: Vec::new(),
            partial: BTreeMap::new(),
            pending: Vec::new(),
            holder: None,
            instance: None,
            last: None,
        }
    }

    /// Reads the form that [`Checkpoint::to_json`] writes; the error says what is wrong with it.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let mut checkpoint: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        match std::mem::replace(&mut checkpoint.version, VERSION) {
            VERSION | VERSION_BEFORE => Ok(checkpoint),
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
                self.pending.push(pending.clone());
                self.holder = self.instance;
            }
            Step::Forgotten => drop(self.pending.drain(..self.pending.len().min(1))),
            Step::Delivered(covers) => {
                // A batch without records was never noted.
                if self.pending.first().is_some_and(|pending| pending.covers == *covers) {
                    self.accepted();
                }
                covers.iter().for_each(|cover| self.cover(cover));
            }
            Step::Rejected { key, day, cause } => {
                self.done(key, *day);
                if self.rejected.len() >= NAMED {
                    self.rejected.remove(0);
                }
                self.rejected.push((key.clone(), cause.clone()));
            }
            Step::Floor { folder, day } => {
                self.floors.insert(folder.clone(), *day);
            }
            Step::Whole { folder, before } => {
                self.whole.insert(folder.clone(), *before);
                self.carried.forget_before(folder, *before);
            }
            Step::Proven { folder, day } => {
                self.carried.forget(&Place { folder: folder.clone(), day: *day });
            }
            Step::Swept(swept) => self.swept = Some(swept.clone()),
            Step::Committed(covers) => {
                self.accepted();
                for cover in covers {
                    // Without a lane, a place needs a day that is not noted here.
                    if cover.whole && Place::of(&cover.key, cover.day).folder.is_empty() {
                        self.partial.remove(&cover.key);
                        self.carried.insert(&cover.key, cover.day);
                    } else {
                        self.cover(cover);
                    }
                }
            }
            Step::Troubled { .. } => {}
            Step::Closed { flow_log, day } => self.carried.close(flow_log, *day),
            Step::ClosedWith { flow_log, day, digest } => self.carried.close_with(flow_log, *day, *digest),
            Step::Reopened { flow_log, day } => self.carried.reopen(flow_log, *day),
        }
    }

    fn accepted(&mut self) {
        if !self.pending.is_empty() {
            self.last = Some(self.pending.remove(0).request_id);
        }
    }

    fn cover(&mut self, Cover { key, day, to, whole, etag, grouping, .. }: &Cover) {
        if *whole {
            self.done(key, *day);
        } else {
            let partial = match etag.clone() {
                Some(etag) => Partial::Of { records: *to, etag, grouping: *grouping },
                None => Partial::Records(*to),
            };
            self.partial.insert(key.clone(), partial);
        }
    }

    fn done(&mut self, key: &str, day: Day) {
        self.partial.remove(key);
        let Place { folder, day } = Place::of(key, day);
        self.done.entry(folder).or_default().entry(day).or_default().insert(Fingerprint::of(key));
    }

    /// Where the delivery begins.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// From now on, what S3 took from `end` on is not wanted.
    pub fn end_at(&mut self, end: Option<jiff::Timestamp>) {
        self.origin.end = end;
    }

    /// Whether a poll is to deliver an object: it lies after the origin, in a day that is not left to the sweep, and is
    /// not done.
    pub fn wants(&self, object: &Object) -> bool {
        let place = object.place();
        self.origin.wants(object)
            && self.is_polled(&place)
            && !self.is_done(object, &place, &Stored::default())
    }

    /// Whether polls look at a place.
    pub fn is_polled(&self, place: &Place) -> bool {
        self.floor(&place.folder).is_none_or(|floor| place.day >= floor)
    }

    /// Whether an object is done, of whose place the storage knows this.
    pub fn is_done(&self, object: &Object, place: &Place, stored: &Stored) -> bool {
        let fingerprint = Fingerprint::of(&object.key);
        self.recent(place).is_some_and(|done| done.contains(fingerprint))
            || stored.contains(fingerprint, object.last_modified)
            || self.carried.contains(object)
    }

    /// What is not in a file of the day yet.
    pub fn recent(&self, place: &Place) -> Option<&Fingerprints> {
        self.done.get(&place.folder)?.get(&place.day)
    }

    /// The places that no poll looks at any more: what is known of them belongs into files of their days.
    pub fn foldable(&self) -> Vec<Place> {
        let old = self.done.iter().flat_map(|(folder, days)| {
            let days = self.floor(folder).map(|floor| days.range(..floor));
            let place = |day: &Day| Place { folder: folder.clone(), day: *day };
            days.into_iter().flatten().map(move |(day, _)| place(day))
        });
        old.collect()
    }

    /// What is known of these places is in files of their days.
    pub fn folded(&mut self, places: &[Place]) {
        for Place { folder, day } in places {
            if let Some(days) = self.done.get_mut(folder) {
                days.remove(day);
            }
        }
        self.done.retain(|_, days| !days.is_empty());
    }

    /// What version 0.1.0 knew.
    pub fn carried(&self) -> &Carried {
        &self.carried
    }

    /// What a place without a file of its day has done: what S3 took before this day.
    pub fn whole_before(&self, place: &Place) -> Option<Day> {
        self.whole(&place.folder).filter(|before| place.day < *before)
    }

    /// The day before which a folder is whole, but for what has a file of its day.
    pub fn whole(&self, folder: &str) -> Option<Day> {
        self.whole.get(folder).copied()
    }

    /// Where the sweep was.
    pub fn swept(&self) -> Option<&Swept> {
        self.swept.as_ref()
    }

    /// The folders that were listed once.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.floors.keys().map(String::as_str)
    }

    /// How far an object was delivered already: not at all if it was replaced since.
    pub fn position(&self, object: &Object) -> Position {
        match self.partial.get(&object.key) {
            Some(Partial::Of { etag, records, grouping })
                if object.etag.as_ref().is_none_or(|now| now == etag) =>
            {
                Position { records: *records, grouping: *grouping }
            }
            Some(Partial::Records(records)) => Position { records: *records, grouping: None },
            _ => Position::default(),
        }
    }

    /// The batches in flight, in their order.
    pub fn pending(&self) -> &[Pending] {
        &self.pending
    }

    /// The instance that delivers the batches in flight.
    pub fn holder(&self) -> Option<Uuid> {
        self.holder.filter(|_| !self.pending.is_empty())
    }

    /// The request ID of the batch that was committed last.
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// The day before which a folder of days is for the sweep alone.
    pub fn floor(&self, folder: &str) -> Option<Day> {
        self.floors.get(folder).copied()
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pending>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Pendings {
        Many(Vec<Pending>),
        One(Option<Pending>),
    }
    Ok(match Pendings::deserialize(deserializer)? {
        Pendings::Many(pending) => pending,
        Pendings::One(pending) => pending.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests;
