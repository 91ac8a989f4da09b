//! What version 0.1.0 knew, by its own definition of a place: a flow log, and the day in an object's name.
//!
//! It is asked until the place of an object is known as this version knows it: for open days, one by one; a closed day
//! has only a digest, which the sweep holds against what the folder of that day has ([`Carried::proven`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::layout::fingerprint::Fingerprint;
use crate::layout::name::{Day, LogName};
use crate::layout::place::{Place, flow_log};
use crate::s3::Object;
use crate::source::listing::checkpoint::seen::{from_text, to_text};

/// Bytes of a fingerprint: those that today's begin with.
const LENGTH: usize = 6;
const SHORT: u64 = 0xffff_ffff_ffff;

/// The days of each flow log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Carried(BTreeMap<String, BTreeMap<Day, Seen>>);

/// Which objects of a day were done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Seen {
    /// Each of them.
    Open(Short),
    /// Each of them, and there were others that could not be read yet.
    Troubled(Short),
    /// All that there were.
    Closed(Digest),
}

/// Fingerprints in order; as text, the base64 of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Short(Vec<u64>);

/// The number of objects and the sum of their fingerprints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    count: u64,
    sum: u64,
}

impl Carried {
    /// Whether there is nothing (more) of it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object was done. A digest says nothing of a single one.
    pub fn contains(&self, object: &Object) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let (flow_log, day) = place(object);
        match self.0.get(&flow_log).and_then(|days| days.get(&day)) {
            Some(Seen::Open(Short(seen)) | Seen::Troubled(Short(seen))) => {
                seen.binary_search(&short(&object.key)).is_ok()
            }
            _ => false,
        }
    }

    /// Whether anything is known of a day of a lane.
    pub fn knows(&self, place: &Place) -> bool {
        !place.folder.is_empty() && self.of_lane(&place.folder).any(|(_, days)| days.contains_key(&place.day))
    }

    /// Which of these objects, all that a place has and that are not known one by one, a digest proves to be done: those
    /// that came first of a flow log's day, if they are as many as were done and none of those is missing.
    pub fn proven(&self, mut objects: Listed) -> Vec<Fingerprint> {
        let mut proven = Vec::new();
        for ((flow_log, day), objects) in &mut objects.0 {
            let seen = self.0.get(flow_log).and_then(|days| days.get(day));
            let Some(Seen::Closed(closed)) = seen else { continue };
            objects.sort_unstable();
            let first = objects.iter().map(|(_, fingerprint)| *fingerprint);
            let first: Vec<_> = first.take(usize::try_from(closed.count).unwrap_or(usize::MAX)).collect();
            let mut digest = Digest::default();
            first.iter().for_each(|fingerprint| digest.add(fingerprint.0 & SHORT));
            if digest == *closed {
                proven.extend(first);
            }
        }
        proven
    }

    /// What is known of this place is known otherwise now.
    pub fn forget(&mut self, place: &Place) {
        self.retain(|flow_log, day| !flow_log.starts_with(&place.folder) || day != place.day);
    }

    /// All that lies in a folder before `day` is done, as is known otherwise.
    pub fn forget_before(&mut self, folder: &str, before: Day) {
        // What has no folder is in the folders of lanes, too, where it has a name of its own.
        self.retain(|flow_log, day| day >= before || !flow_log.starts_with(folder));
    }

    fn retain(&mut self, keep: impl Fn(&str, Day) -> bool) {
        self.0.retain(|flow_log, days| {
            days.retain(|day, _| keep(flow_log, *day));
            !days.is_empty()
        });
    }

    fn of_lane<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a String, &'a BTreeMap<Day, Seen>)> {
        self.0.range(folder.to_owned()..).take_while(move |(flow_log, _)| flow_log.starts_with(folder))
    }

    // What its entries of the journal say.

    pub(super) fn insert(&mut self, key: &str, day: Day) {
        let number = short(key);
        match self.day(&flow_log(key), day) {
            Seen::Open(Short(seen)) | Seen::Troubled(Short(seen)) => {
                if let Err(place) = seen.binary_search(&number) {
                    seen.insert(place, number);
                }
            }
            Seen::Closed(digest) => digest.add(number),
        }
    }

    pub(super) fn close(&mut self, flow_log: &str, day: Day) {
        let seen = self.day(flow_log, day);
        if let Seen::Open(Short(numbers)) | Seen::Troubled(Short(numbers)) = seen {
            let mut digest = Digest::default();
            numbers.iter().for_each(|number| digest.add(*number));
            *seen = Seen::Closed(digest);
        }
    }

    pub(super) fn close_with(&mut self, flow_log: &str, day: Day, digest: Digest) {
        *self.day(flow_log, day) = Seen::Closed(digest);
    }

    pub(super) fn reopen(&mut self, flow_log: &str, day: Day) {
        *self.day(flow_log, day) = Seen::Open(Short::default());
    }

    fn day(&mut self, flow_log: &str, day: Day) -> &mut Seen {
        let days = self.0.entry(flow_log.to_owned()).or_default();
        days.entry(day).or_insert(Seen::Open(Short::default()))
    }
}

/// Objects as they are listed, by the places that version 0.1.0 gave them, and when S3 took each.
#[derive(Debug, Default)]
pub struct Listed(BTreeMap<(String, Day), Vec<(Timestamp, Fingerprint)>>);

impl Listed {
    /// Adds one.
    pub fn add(&mut self, object: &Object) {
        let objects = self.0.entry(place(object)).or_default();
        objects.push((object.last_modified, Fingerprint::of(&object.key)));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

impl Digest {
    fn add(&mut self, number: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(number);
    }
}

/// The flow log and the day in the name, else the day on which S3 took it.
fn place(object: &Object) -> (String, Day) {
    let named = LogName::of(&object.key).and_then(|name| Day::parse(name.time.get(..8)?));
    (object.flow_log(), named.unwrap_or_else(|| Day::of(object.last_modified)))
}

fn short(key: &str) -> u64 {
    Fingerprint::of(key).0 & SHORT
}

impl Serialize for Short {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_text::<LENGTH>(self.0.iter().copied()))
    }
}

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut numbers = from_text::<LENGTH>(&text).map_err(serde::de::Error::custom)?;
        numbers.sort_unstable();
        Ok(Self(numbers))
    }
}
