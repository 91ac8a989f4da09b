//! The values of a line, found by the spaces between them.

use std::ops::Range;

use wide::u8x16;

use crate::record::{Values, number};

/// As many bytes as a mask has bits.
const STRIDE: usize = 64;

/// The values of a line.
#[derive(Clone, Copy)]
pub(super) struct LineValues<'a> {
    line: &'a [u8],
    ends: &'a [usize],
}

impl<'a> LineValues<'a> {
    /// The first values of a line, as many as there is room for their ends.
    pub(super) fn find(line: &'a [u8], ends: &'a mut [usize]) -> Self {
        let (strides, rest) = line.as_chunks::<STRIDE>();
        let masks = strides.iter().map(spaces).chain([spaces_at_end(line, rest)]);
        let mut free = ends.iter_mut();
        'found: for (mut bits, start) in masks.zip((0..).step_by(STRIDE)) {
            while bits != 0 {
                let Some(end) = free.next() else { break 'found };
                *end = start + bits.trailing_zeros() as usize;
                bits &= bits - 1;
            }
        }
        // The last value ends with the line, and so do those that are missing.
        free.for_each(|end| *end = line.len());
        Self { line, ends }
    }

    /// The values of a line whose ends were found before.
    pub(super) fn found(line: &'a [u8], ends: &'a [usize]) -> Self {
        Self { line, ends }
    }

    /// Where a value is in the line.
    pub(super) fn range(&self, place: usize) -> Option<Range<usize>> {
        let start = if place == 0 { 0 } else { self.ends.get(place - 1)? + 1 };
        Some(start..*self.ends.get(place)?)
    }
}

impl Values for LineValues<'_> {
    fn text(&self, place: usize) -> Option<&[u8]> {
        self.line.get(self.range(place)?)
    }

    fn number(&self, place: usize) -> Option<u64> {
        number(self.text(place)?)
    }
}

/// A bit for each space, the lowest for the first byte.
fn spaces(stride: &[u8; STRIDE]) -> u64 {
    let (quarters, _) = stride.as_chunks();
    let are_spaces = |quarter: &[u8; 16]| u8x16::new(*quarter).simd_eq(u8x16::splat(b' ')).to_bitmask();
    quarters.iter().rev().fold(0, |bits, quarter| bits << 16 | u64::from(are_spaces(quarter)))
}

/// The same for the rest of a line, which is no stride.
fn spaces_at_end(line: &[u8], rest: &[u8]) -> u64 {
    if let Some(last) = line.last_chunk() {
        // The first of these bytes are in the stride before.
        return if rest.is_empty() { 0 } else { spaces(last) >> (STRIDE - rest.len()) };
    }
    let mut stride = [0; STRIDE];
    stride.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    spaces(&stride)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_are_what_is_between_spaces(line in "([0-9a-z]{0,20} ?){0,16}", count in 0_usize..16) {
            let expected: Vec<&str> = line.split(' ').collect();
            let mut ends = vec![7; count];
            let values = LineValues::find(line.as_bytes(), &mut ends);
            for place in 0..count + 1 {
                let value = expected.get(place).filter(|_| place < count);
                prop_assert_eq!(values.text(place), value.map(|value| value.as_bytes()));
            }
        }
    }
}
