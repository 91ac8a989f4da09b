//! The values of a line of which nothing has to be escaped: nearly every line that goes out as JSON.
//!
//! Most keys and values have a few bytes. To copy so many as fit into registers, whatever counts of them, takes less than to
//! copy as many as count: what is too much is written over by what follows.

use wide::u8x16;

use super::{Key, Object, is_integer, is_special};
use crate::record::fields::Kind;

/// Bytes that are copied at once. Nearly all keys and values have no more.
pub(super) const AT_ONCE: usize = 32;
/// The longest line that is written so: a default record has some 116 bytes, one with every field some 400.
const LINE_BYTES: usize = 512;
/// What follows text, and what follows a number, with a zero after it where there are fewer.
const AFTER_TEXT: [u8; 4] = *b"\\\",\0";
const AFTER_NUMBER: [u8; 4] = *b",\0\0\0";
/// As many bytes as are looked at at once.
const LANES: usize = 16;

impl Object<'_> {
    /// Writes the values of a line, each with its key before it, but those that have no key or stand for nothing. `ends` says
    /// where each ends. False, with nothing written, for the few lines that are written one value after the other.
    pub fn plain_line(&mut self, keys: &[Option<Key>], line: &[u8], ends: &[usize]) -> bool {
        let begun = self.out.len();
        let written = self.write_plain(keys, line, ends);
        self.out.truncate(begun + written.unwrap_or_default());
        written.is_some()
    }

    fn write_plain(&mut self, keys: &[Option<Key>], line: &[u8], ends: &[usize]) -> Option<usize> {
        if line.len() > LINE_BYTES {
            return None;
        }
        // With room after it, so that the last value can be copied as the others.
        let mut text = [0; LINE_BYTES + AT_ONCE];
        text.get_mut(..line.len())?.copy_from_slice(line);
        let begun = self.out.len();
        let most = keys.len() * (AT_ONCE + AFTER_TEXT.len()) + line.len() + 2 * AT_ONCE;
        self.out.resize(begun + most, 0);
        let room = self.out.get_mut(begun..)?;
        let (mut at, mut next) = (0, 0);
        for (key, end) in keys.iter().zip(ends) {
            let start = std::mem::replace(&mut next, end + 1);
            let count = end.checked_sub(start)?;
            let value: &[u8; AT_ONCE] = text.get(start..)?.first_chunk()?;
            let Some(Key { json, quoted, kind }) = key else { continue };
            if count == 0 || count == 1 && value.starts_with(b"-") {
                continue;
            }
            let is_number = *kind == Kind::Integer && is_number(value, count, text.get(start..*end)?);
            put(room, at, quoted.as_ref()?)?;
            at += json.len() + if is_number { 0 } else { 2 };
            if count <= AT_ONCE {
                put(room, at, value)?;
            } else {
                room.get_mut(at..at + count)?.copy_from_slice(text.get(start..*end)?);
            }
            at += count;
            put(room, at, if is_number { &AFTER_NUMBER } else { &AFTER_TEXT })?;
            at += if is_number { 1 } else { 3 };
        }
        Some(at)
    }
}

/// Whether a text is ASCII of which nothing has to be escaped.
#[inline]
pub fn is_plain(text: &[u8]) -> bool {
    let (eights, rest) = text.as_chunks();
    let ends_plain = match text.last_chunk() {
        Some(last) => are_plain(last),
        None => rest.iter().all(|byte| byte.is_ascii() && !is_special(*byte)),
    };
    ends_plain && eights.iter().all(are_plain)
}

/// The same of eight bytes at once.
#[inline]
fn are_plain(bytes: &[u8; 8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let bytes = u64::from_le_bytes(*bytes);
    // The highest bit of the first byte that is below is set, and of none if there is none.
    let has_below = |bytes: u64, bound: u64| bytes.wrapping_sub(EACH * bound) & !bytes;
    let has = |byte: u8| has_below(bytes ^ (EACH * u64::from(byte)), 1);
    (bytes | has_below(bytes, 0x20) | has(b'"') | has(b'\\')) & (EACH * 0x80) == 0
}

#[inline]
fn put<const COUNT: usize>(room: &mut [u8], at: usize, bytes: &[u8; COUNT]) -> Option<()> {
    *room.get_mut(at..)?.first_chunk_mut()? = *bytes;
    Some(())
}

/// The same as [`is_integer`] of the first `count` bytes, which are `value`.
#[inline]
fn is_number(bytes: &[u8; AT_ONCE], count: usize, value: &[u8]) -> bool {
    let [first, ..] = *bytes;
    let Some(lanes) = bytes.first_chunk::<LANES>().filter(|_| count <= LANES && first != b'-') else {
        return is_integer(value);
    };
    // What lies below `0` becomes large.
    let digits = u8x16::new(*lanes) - u8x16::splat(b'0');
    let others = digits.max(u8x16::splat(10)).simd_eq(digits).to_bitmask();
    others.trailing_zeros() as usize >= count && (count == 1 || first != b'0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::present;
    use super::*;

    proptest! {
        #[test]
        fn plain_text_is_ascii_of_which_nothing_has_to_be_escaped(
            text in proptest::collection::vec(prop_oneof![30 => 0x20..0x7f_u8, 1 => any::<u8>()], 0..40),
        ) {
            let expected = text.iter().all(|byte| byte.is_ascii() && !is_special(*byte));
            prop_assert_eq!(is_plain(&text), expected);
        }

        #[test]
        fn a_line_is_written_as_its_values_are_one_after_the_other(
            values in proptest::collection::vec("-|-?[0-9]{0,20}|[ !#-\\[\\]-~&&[^ ]]{0,50}", 1..20),
            names in proptest::collection::vec("start|bytes|srcaddr|[a-z-]{1,40}", 20),
            wanted in any::<u32>(),
        ) {
            let key = |(place, name): (usize, &String)| {
                (wanted >> place & 3 != 0).then(|| Key::new(name, Kind::of(name)))
            };
            let keys: Vec<Option<Key>> = names.iter().take(values.len()).enumerate().map(key).collect();
            let line = values.join(" ");
            let mut end = 0;
            let ends: Vec<usize> = values.iter().map(|value| { end += value.len() + 1; end - 1 }).collect();
            let (mut fast, mut slow) = (b"before".to_vec(), b"before".to_vec());
            let is_written = Object { out: &mut fast, start: 6 }.plain_line(&keys, line.as_bytes(), &ends);
            let mut object = Object { out: &mut slow, start: 6 };
            for (key, value) in keys.iter().zip(&values) {
                if let (Some(key), Some(value)) = (key, present(value.as_str())) {
                    object.text(key, value, true);
                }
            }
            if is_written {
                prop_assert_eq!(String::from_utf8(fast), String::from_utf8(slow));
            } else {
                prop_assert_eq!(fast, b"before");
                let is_long = |key: &Option<Key>| key.as_ref().is_some_and(|key| key.quoted.is_none());
                prop_assert!(line.len() > LINE_BYTES || keys.iter().any(is_long));
            }
        }
    }
}
