//! Which objects of a flow log's day were dealt with: all of them by fingerprint while the day is open, a digest of
//! them once it is closed.
//!
//! Keys are long and many; a fingerprint has 6 bytes. Within one day of one flow log, of some hundred objects, two keys
//! share one with a chance below one in a thousand million. A closed day takes some 20 bytes, and still shows whether an
//! object has come to it since: the digest of what is listed differs.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Keys of one day that are found out by trial, and the combinations that are tried: three of some 600 objects, two of
/// any number.
const TOGETHER: u64 = 3;
const TRIALS: u32 = 200_000;
/// Bytes of a fingerprint.
const LENGTH: usize = 6;

/// A short stand-in for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// That of a key: the same in every version of this program, as it is kept.
    pub fn of(key: &str) -> Self {
        let [a, b, c, d, e, f, ..] = *Uuid::new_v5(&Uuid::NAMESPACE_URL, key.as_bytes()).as_bytes();
        Self(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }
}

/// Which objects of a day were dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// Each of them.
    Open(Fingerprints),
    /// Each of them, and there are others that could not be read yet: the day stays open until they could.
    Troubled(Fingerprints),
    /// All that there were.
    Closed(Digest),
}

/// Fingerprints in order; as text, the base64 of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints(BTreeSet<Fingerprint>);

/// The number of objects and the sum of their fingerprints. It tells whether two sets are the same, and if one has a few
/// objects more, the difference of the sums tells which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    count: u64,
    sum: u64,
}

/// Which objects of a day were not dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing<'a> {
    /// These.
    Keys(Vec<&'a str>),
    /// Objects of a closed day are gone, and so is what the digest could tell.
    Shrunk,
    /// There are more than were, and it cannot be told which.
    Unknown,
}

impl Default for Seen {
    fn default() -> Self {
        Self::Open(Fingerprints::default())
    }
}

impl Seen {
    /// Whether an object was dealt with. Of a closed day, all were that do not prove to have come since.
    pub fn contains(&self, key: &str) -> bool {
        match self {
            Self::Open(Fingerprints(seen)) | Self::Troubled(Fingerprints(seen)) => {
                seen.contains(&Fingerprint::of(key))
            }
            Self::Closed(_) => true,
        }
    }

    /// An object was dealt with.
    pub fn insert(&mut self, key: &str) {
        let fingerprint = Fingerprint::of(key);
        match self {
            Self::Open(Fingerprints(seen)) | Self::Troubled(Fingerprints(seen)) => {
                seen.insert(fingerprint);
            }
            Self::Closed(digest) => digest.add(fingerprint),
        }
    }

    /// Whether nothing stands in the way of a digest.
    pub fn is_closable(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Whether it is a digest.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Keeps no more than the digest.
    pub fn close(&mut self) {
        if let Self::Open(Fingerprints(seen)) | Self::Troubled(Fingerprints(seen)) = self {
            *self = Self::Closed(seen.iter().copied().collect());
        }
    }

    /// There is an object that could not be read. Of a closed day that is a straggler, which its digest shows.
    pub fn trouble(&mut self) {
        if let Self::Open(seen) = self {
            *self = Self::Troubled(std::mem::take(seen));
        }
    }

    /// Which of the keys of the day were not dealt with. `keys` are all that there are, in the order in which S3 took
    /// the objects.
    pub fn missing<'a>(&self, keys: &[&'a str]) -> Missing<'a> {
        let Self::Closed(digest) = *self else {
            return Missing::Keys(keys.iter().copied().filter(|key| !self.contains(key)).collect());
        };
        let listed = Digest::of(keys);
        let Some(more) = listed.count.checked_sub(digest.count) else { return Missing::Shrunk };
        let difference = Digest { count: more, sum: listed.sum.wrapping_sub(digest.sum) };
        // What came after the day was closed is the newest, unless it carries an older time.
        let known = keys.len().saturating_sub(usize::try_from(more).unwrap_or(usize::MAX));
        let newest = keys.get(known..).unwrap_or_default();
        let newest = (Digest::of(newest) == difference).then(|| newest.to_vec());
        newest.or_else(|| difference.explained_by(keys)).map_or(Missing::Unknown, Missing::Keys)
    }
}

impl Digest {
    /// That of some keys.
    pub fn of(keys: &[&str]) -> Self {
        keys.iter().map(|key| Fingerprint::of(key)).collect()
    }

    fn add(&mut self, Fingerprint(number): Fingerprint) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(number);
    }

    /// The keys, of those given, that it is the digest of, if there are at most [`TOGETHER`] and [`TRIALS`] suffice.
    fn explained_by<'a>(self, keys: &[&'a str]) -> Option<Vec<&'a str>> {
        if self.count > TOGETHER {
            return None;
        }
        let known: HashMap<u64, usize> =
            keys.iter().enumerate().map(|(place, key)| (Fingerprint::of(key).0, place)).collect();
        let fingerprints: Vec<u64> = keys.iter().map(|key| Fingerprint::of(key).0).collect();
        let mut trials = TRIALS;
        let places = choose(&fingerprints, &known, 0, self, &mut trials)?;
        Some(places.into_iter().filter_map(|place| keys.get(place).copied()).collect())
    }
}

/// The places, from `from` on, of fingerprints that come to `wanted`.
fn choose(
    fingerprints: &[u64],
    known: &HashMap<u64, usize>,
    from: usize,
    wanted: Digest,
    trials: &mut u32,
) -> Option<Vec<usize>> {
    *trials = trials.checked_sub(1)?;
    match wanted.count {
        0 => (wanted.sum == 0).then(Vec::new),
        1 => known.get(&wanted.sum).copied().filter(|place| *place >= from).map(|place| vec![place]),
        count => fingerprints.iter().enumerate().skip(from).find_map(|(place, fingerprint)| {
            let rest = Digest { count: count - 1, sum: wanted.sum.wrapping_sub(*fingerprint) };
            let mut chosen = choose(fingerprints, known, place + 1, rest, trials)?;
            chosen.push(place);
            Some(chosen)
        }),
    }
}

impl FromIterator<Fingerprint> for Digest {
    fn from_iter<I: IntoIterator<Item = Fingerprint>>(fingerprints: I) -> Self {
        let mut digest = Self::default();
        fingerprints.into_iter().for_each(|fingerprint| digest.add(fingerprint));
        digest
    }
}

impl Serialize for Fingerprints {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self
            .0
            .iter()
            .flat_map(|Fingerprint(number)| number.to_le_bytes().into_iter().take(LENGTH))
            .collect();
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Fingerprints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(D::Error::custom)?;
        let number = |bytes: &[u8]| {
            let [a, b, c, d, e, f] = *bytes else {
                return Err(D::Error::custom("a fingerprint has 6 bytes"));
            };
            Ok(Fingerprint(u64::from_le_bytes([a, b, c, d, e, f, 0, 0])))
        };
        bytes.chunks(LENGTH).map(number).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(keys: &[&str]) -> Seen {
        let mut seen = Seen::default();
        keys.iter().for_each(|key| seen.insert(key));
        seen
    }

    #[test]
    fn an_open_day_knows_each_object_and_survives_its_text_form() {
        let day = seen(&["a", "b"]);
        let read: Seen = serde_json::from_str(&serde_json::to_string(&day).unwrap()).unwrap();
        assert_eq!(read, day);
        assert!(read.contains("a") && !read.contains("c"));
        assert_eq!(read.missing(&["a", "b", "c"]), Missing::Keys(vec!["c"]));
    }

    #[test]
    fn a_closed_day_shows_what_came_since() {
        let mut day = seen(&["a", "b", "c"]);
        day.close();
        assert_eq!(day.missing(&["a", "b", "c"]), Missing::Keys(vec![]));
        assert_eq!(day.missing(&["d", "a", "b", "c"]), Missing::Keys(vec!["d"]), "one by the difference");
        let all = ["a", "b", "c", "d", "e"];
        assert_eq!(day.missing(&all), Missing::Keys(vec!["d", "e"]), "several by their age");
        assert_eq!(day.missing(&["d", "e", "a", "b", "c"]), Missing::Keys(vec!["e", "d"]), "or by trial");
        let many: Vec<String> = (0..300).map(|number| format!("x{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).chain(["a", "b", "c"]).collect();
        assert_eq!(day.missing(&many), Missing::Unknown, "or not at all");
        assert_eq!(day.missing(&["a", "c"]), Missing::Shrunk);
        day.insert("d");
        assert_eq!(day.missing(&["a", "b", "c", "d", "e", "f"]), Missing::Keys(vec!["e", "f"]));
        day.insert("e");
        assert_eq!(day.missing(&all), Missing::Keys(vec![]));
    }

    #[test]
    fn a_day_with_an_object_that_could_not_be_read_stays_open() {
        let mut day = seen(&["a"]);
        day.trouble();
        assert!(!day.is_closable());
        assert_eq!(day.missing(&["a", "b"]), Missing::Keys(vec!["b"]));
    }
}
