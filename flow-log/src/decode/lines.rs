//! Finds the lines of a text, and what is in them that decides how they go on, in one pass.
//!
//! This looks at every byte of every object: 64 at a time, in instructions that compare 16 at once.

use std::ops::Range;

use wide::u8x16;

/// As many bytes as a mask has bits.
const STRIDE: usize = 64;

/// A line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it is in the text.
    pub place: Range<usize>,
    /// How many spaces it has.
    pub spaces: usize,
    /// It is ASCII, and nothing in it has to be escaped in a JSON string.
    pub is_plain: bool,
}

/// The lines of `text`; the last one may have no end.
pub(super) fn lines(text: &[u8]) -> Lines<'_> {
    let (strides, rest) = text.as_chunks();
    let rest = (!rest.is_empty()).then_some(rest);
    Lines {
        text,
        strides: strides.iter(),
        rest,
        after: 0,
        start: 0,
        seen: Seen::default(),
        masks: Masks::default(),
    }
}

/// Lines that are being found.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a [u8],
    strides: std::slice::Iter<'a, [u8; STRIDE]>,
    /// The last bytes, too few for a stride.
    rest: Option<&'a [u8]>,
    /// Where the stride ends that was read last.
    after: usize,
    /// Where the next line starts.
    start: usize,
    /// What the strides before had of it.
    seen: Seen,
    /// What the stride that was read last has of it and of the lines that follow.
    masks: Masks,
}

/// What was seen of a line so far.
#[derive(Debug, Default)]
struct Seen {
    spaces: usize,
    is_odd: bool,
}

/// Where bytes of a kind are in a stride: the lowest bit stands for the first byte.
#[derive(Clone, Copy, Debug, Default)]
struct Masks {
    spaces: u64,
    /// All that is not plain, and every end: in most text, nothing but ends.
    odd: u64,
}

impl Masks {
    fn of(stride: &[u8; STRIDE]) -> Self {
        let (quarters, _) = stride.as_chunks();
        let mut masks = Self::default();
        for (number, quarter) in quarters.iter().enumerate() {
            let bytes = u8x16::new(*quarter);
            let are = |byte| bytes.simd_eq(u8x16::splat(byte));
            // As signed numbers, those that are not ASCII are negative.
            let below_space = bytes.cast_signed().simd_lt(u8x16::splat(b' ').cast_signed()).cast_unsigned();
            let odd = below_space | are(b'"') | are(b'\\');
            let put = |found: u8x16| u64::from(found.to_bitmask()) << (16 * number);
            masks.spaces |= put(are(b' '));
            masks.odd |= put(odd);
        }
        masks
    }
}

impl Lines<'_> {
    /// The line up to `end`, all of which has been seen.
    fn finish(&mut self, end: usize) -> Line {
        let Seen { spaces, is_odd } = std::mem::take(&mut self.seen);
        let place = self.start..end;
        self.start = end + 1;
        Line { place, spaces, is_plain: !is_odd }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let Masks { spaces, odd } = &mut self.masks;
            if *odd != 0 {
                let first = *odd & odd.wrapping_neg();
                let place = self.after - STRIDE + first.trailing_zeros() as usize;
                *odd &= !first;
                if self.text.get(place) != Some(&b'\n') {
                    self.seen.is_odd = true;
                    continue;
                }
                let before = first - 1;
                self.seen.spaces += (*spaces & before).count_ones() as usize;
                *spaces &= !before;
                return Some(self.finish(place));
            }
            self.seen.spaces += spaces.count_ones() as usize;
            if let Some(stride) = self.strides.next() {
                self.masks = Masks::of(stride);
            } else if let Some(rest) = self.rest.take() {
                let mut stride = [b'-'; STRIDE];
                stride.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                self.masks = Masks::of(&stride);
            } else {
                self.masks = Masks::default();
                return (self.start < self.text.len()).then(|| self.finish(self.text.len()));
            }
            self.after += STRIDE;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slowly(text: &[u8]) -> Vec<Line> {
        let mut start = 0;
        let mut lines = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            lines.push(Line {
                place: start..start + content.len(),
                spaces: content.iter().filter(|byte| **byte == b' ').count(),
                is_plain: content.iter().all(|byte| matches!(byte, b' '..0x80) && !br#""\"#.contains(byte)),
            });
            start += line.len();
        }
        lines
    }

    proptest! {
        #[test]
        fn lines_are_those_that_a_slow_look_finds(
            words in proptest::collection::vec("[ -~]{0,40}|\n{0,3}| |\"|\\\\|\r|é|\u{7f}|\u{0}", 0..60),
        ) {
            let text = words.concat();
            prop_assert_eq!(lines(text.as_bytes()).collect::<Vec<_>>(), slowly(text.as_bytes()));
        }

        #[test]
        fn every_byte_is_seen_for_what_it_is(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(lines(&text).collect::<Vec<_>>(), slowly(&text));
        }
    }
}
