//! Which objects of a place are done: each of them, by the fingerprint of its key.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::layout::fingerprint::{Fingerprint, LENGTH};
use crate::layout::name::Day;

/// Fingerprints in order; as text, the base64 of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints(BTreeSet<Fingerprint>);

impl Fingerprints {
    /// Whether this is one of them.
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.0.contains(&fingerprint)
    }

    /// Adds one.
    pub fn insert(&mut self, fingerprint: Fingerprint) {
        self.0.insert(fingerprint);
    }

    /// Adds those of another set.
    pub fn extend(&mut self, mut others: Self) {
        if self.0.len() < others.0.len() {
            std::mem::swap(&mut self.0, &mut others.0);
        }
        self.0.append(&mut others.0);
    }
}

impl FromIterator<Fingerprint> for Fingerprints {
    fn from_iter<I: IntoIterator<Item = Fingerprint>>(fingerprints: I) -> Self {
        Self(fingerprints.into_iter().collect())
    }
}

/// What the storage knows of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// What S3 took before this day is done.
    pub before: Option<Day>,
    /// Each of these is.
    pub done: Fingerprints,
}

impl Stored {
    /// Whether an object is done that S3 took at `taken`.
    pub fn contains(&self, fingerprint: Fingerprint, taken: Timestamp) -> bool {
        self.before.is_some_and(|before| Day::of(taken) < before) || self.done.contains(fingerprint)
    }
}

impl Serialize for Fingerprints {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_text::<LENGTH>(self.0.iter().map(|Fingerprint(number)| *number)))
    }
}

impl<'de> Deserialize<'de> for Fingerprints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let numbers = from_text::<LENGTH>(&String::deserialize(deserializer)?);
        Ok(numbers.map_err(D::Error::custom)?.into_iter().map(Fingerprint).collect())
    }
}

/// Numbers of `LENGTH` bytes each as base64.
pub(super) fn to_text<const LENGTH: usize>(numbers: impl Iterator<Item = u64>) -> String {
    let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes().into_iter().take(LENGTH)).collect();
    STANDARD_NO_PAD.encode(bytes)
}

/// Reads what [`to_text`] writes.
pub(super) fn from_text<const LENGTH: usize>(text: &str) -> Result<Vec<u64>, String> {
    let bytes = STANDARD_NO_PAD.decode(text).map_err(|error| error.to_string())?;
    let number = |bytes: &[u8]| {
        let mut whole = [0; 8];
        match whole.get_mut(..LENGTH) {
            Some(low) if bytes.len() == LENGTH => low.copy_from_slice(bytes),
            _ => return Err(format!("a fingerprint has {LENGTH} bytes")),
        }
        Ok(u64::from_le_bytes(whole))
    };
    bytes.chunks(LENGTH).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_survive_their_text_form() {
        let of = |keys: &[&str]| keys.iter().map(|key| Fingerprint::of(key)).collect::<Fingerprints>();
        let text = serde_json::to_string(&of(&["a", "b"])).unwrap();
        let mut read: Fingerprints = serde_json::from_str(&text).unwrap();
        assert_eq!(read, of(&["b", "a"]));
        assert!(read.contains(Fingerprint::of("a")) && !read.contains(Fingerprint::of("c")));
        read.extend(of(&["c", "d", "e"]));
        assert_eq!(read, of(&["a", "b", "c", "d", "e"]));
        for damaged in [r#""AAAA""#, r#""*""#, "1"] {
            assert!(serde_json::from_str::<Fingerprints>(damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn what_is_stored_holds_one_by_one_or_by_the_day_on_which_s3_took_it() {
        let done = [Fingerprint::of("a")].into_iter().collect();
        let stored = Stored { before: Day::parse("20261101"), done };
        let [early, late] =
            ["2026-10-31T23:59:59Z", "2026-11-01T00:00:00Z"].map(|time| time.parse().unwrap());
        assert!(stored.contains(Fingerprint::of("a"), late));
        assert!(stored.contains(Fingerprint::of("b"), early));
        assert!(!stored.contains(Fingerprint::of("b"), late));
        assert!(!Stored::default().contains(Fingerprint::of("b"), early));
    }
}
