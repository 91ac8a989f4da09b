//! A short stand-in for an object's key.
//!
//! Keys are long and many; a fingerprint has 7 bytes. Of a million objects of a lane's day, two share one with a chance
//! of one in a hundred thousand.

use uuid::Uuid;

/// Bytes of a fingerprint.
pub const LENGTH: usize = 7;

/// A short stand-in for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// That of a key: the same in every version of this program, as it is kept.
    pub fn of(key: &str) -> Self {
        // The seventh byte of the UUID tells its version.
        let [a, b, c, d, e, f, _, h, ..] = *Uuid::new_v5(&Uuid::NAMESPACE_URL, key.as_bytes()).as_bytes();
        Self(u64::from_le_bytes([a, b, c, d, e, f, h, 0]))
    }
}
