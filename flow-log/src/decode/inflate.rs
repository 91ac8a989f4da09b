//! Inflates at once what is in memory as a whole: twice as fast as in pieces.

use libdeflater::Decompressor;
use memchr::memmem;

/// The longest text that is inflated at once. Most objects are far smaller; AWS ends one at 75 MB of text.
const TEXT_BYTES: usize = 8 * 1024 * 1024;
/// The memory for texts grows in steps of this size: the objects of a flow log are all about as large as each other, and
/// one that is slightly larger than those before is no reason to take memory anew.
const STEP_BYTES: usize = 1024 * 1024;
/// What a member of gzip ends with: the length of its content, behind the checksum (RFC 1952, section 2.3.1).
const LENGTH_BYTES: usize = 4;

/// Inflates one object after another, into the same memory.
pub(super) struct Inflater {
    decompressor: Decompressor,
    text: Vec<u8>,
}

impl Inflater {
    /// The content of `object`, if it is a single member of gzip from its first byte to its last and not too long.
    /// `None` for anything else, also for damage: reading it in pieces tells what it is.
    pub(super) fn inflate(&mut self, object: &[u8]) -> Option<&[u8]> {
        let (_, four) = object.split_last_chunk::<LENGTH_BYTES>()?;
        let length =
            usize::try_from(u32::from_le_bytes(*four)).ok().filter(|length| *length <= TEXT_BYTES)?;
        // What is inflated is the first member, and it ends with its length. If these four bytes are nowhere before the
        // object's last four, and the length proves right, they are those, and the member is the whole object.
        if memmem::find(object.get(..object.len() - 1)?, four).is_some() {
            return None;
        }
        if self.text.len() < length {
            // Fresh memory from the system is zero already; what is there needs not be copied.
            drop(std::mem::take(&mut self.text));
            self.text = vec![0; length.next_multiple_of(STEP_BYTES)];
        }
        let text = self.text.get_mut(..length)?;
        (self.decompressor.gzip_decompress(object, text).ok()? == length).then_some(text)
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self { decompressor: Decompressor::new(), text: Vec::new() }
    }
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inflater").field("text_bytes", &self.text.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        member.write_all(content).unwrap();
        member.finish().unwrap()
    }

    #[test]
    fn only_a_single_whole_member_is_inflated_at_once() {
        let mut inflater = Inflater::default();
        let (long, short) = (gzip(&b"2 111111111111 eni-1\n".repeat(1_000)), gzip(b"2 111111111111 eni-2\n"));
        assert_eq!(inflater.inflate(&long).unwrap().len(), 21_000);
        assert_eq!(inflater.inflate(&short).unwrap(), b"2 111111111111 eni-2\n");
        let longest = gzip(&vec![b'2'; TEXT_BYTES]);
        assert_eq!(inflater.inflate(&longest).unwrap().len(), TEXT_BYTES);
        let members = [
            [&long[..], &short[..]].concat(),
            [&short[..], &long[..]].concat(),
            short.repeat(2),
            long.repeat(3),
        ];
        for (number, object) in members.into_iter().enumerate() {
            assert!(inflater.inflate(&object).is_none(), "members {number}");
        }
        for trailing in 1..20 {
            let object = [&short[..], &vec![0; trailing][..]].concat();
            assert!(inflater.inflate(&object).is_none(), "{trailing} bytes behind it");
            let object = [&short[..], &short[short.len() - trailing..]].concat();
            assert!(inflater.inflate(&object).is_none(), "its last {trailing} bytes again");
        }
        for length in 0..short.len() {
            assert!(inflater.inflate(&short[..length]).is_none(), "cut at {length}");
        }
        for place in 0..long.len() {
            let mut damaged = long.clone();
            damaged[place] ^= 0x10;
            // The header has bytes that do not matter, such as the time.
            let same =
                inflater.inflate(&damaged).is_none_or(|text| text == b"2 111111111111 eni-1\n".repeat(1_000));
            assert!(same, "damaged at {place}");
        }
        assert!(inflater.inflate(&gzip(&vec![b'2'; TEXT_BYTES + 1])).is_none());
        assert!(inflater.inflate(b"not gzip, but long enough").is_none());
    }
}
