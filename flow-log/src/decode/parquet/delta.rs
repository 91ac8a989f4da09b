//! Values that are told by what they differ from those before
//! (<https://github.com/apache/parquet-format/blob/master/Encodings.md>): byte arrays of which only lengths are. A few bytes
//! of it may stand for any number of them, so that what it makes is counted before it is made.

use parquet::errors::{ParquetError, Result};

fn wrong() -> ParquetError {
    ParquetError::General("its deltas are wrong".to_owned())
}

/// 32-bit integers as DELTA_BINARY_PACKED has them.
#[derive(Clone, Debug)]
struct Integers<'a> {
    rest: &'a [u8],
    /// Integers that are still to come.
    left: u64,
    /// Integers of a miniblock, each with as many bits.
    per_miniblock: usize,
    miniblocks: usize,
    smallest: i64,
    last: i64,
    is_first: bool,
    /// How many bits the integers of the miniblocks have that are still to come of a block.
    widths: &'a [u8],
    /// What is left of a miniblock: its bits, how many were taken of them, and how many a value has.
    packed: &'a [u8],
    taken: usize,
    width: usize,
    left_in_miniblock: usize,
}

impl<'a> Integers<'a> {
    /// At most as many integers as `most`.
    fn new(bytes: &'a [u8], most: u64) -> Result<Self> {
        let mut reader = super::thrift::Reader(bytes);
        let mut number = || reader.unsigned().map_err(|_| wrong());
        let (block, miniblocks, left) = (number()?, number()?, number()?);
        let first = reader.signed().map_err(|_| wrong())?;
        let per_miniblock = block.checked_div(miniblocks).filter(|_| block.is_multiple_of(miniblocks));
        let per_miniblock = per_miniblock.filter(|values| *values > 0 && values.is_multiple_of(32));
        let (Some(per_miniblock), true) = (per_miniblock, left <= most) else { return Err(wrong()) };
        let size = |number: u64| usize::try_from(number).map_err(|_| wrong());
        Ok(Self {
            rest: reader.0,
            left,
            per_miniblock: size(per_miniblock)?,
            miniblocks: size(miniblocks)?,
            smallest: 0,
            last: first,
            is_first: true,
            widths: &[],
            packed: &[],
            taken: 0,
            width: 0,
            left_in_miniblock: 0,
        })
    }

    /// The next one, as a length.
    fn length(&mut self) -> Result<Option<usize>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        if !std::mem::take(&mut self.is_first) {
            if self.left_in_miniblock == 0 {
                self.miniblock()?;
            }
            self.left_in_miniblock -= 1;
            self.last = self.last.wrapping_add(self.smallest).wrapping_add(self.packed());
        }
        // The arithmetic is that of 32 bits, which wraps.
        #[expect(clippy::cast_possible_truncation, reason = "it is meant")]
        let length = self.last as i32;
        usize::try_from(length).map(Some).map_err(|_| wrong())
    }

    fn miniblock(&mut self) -> Result<()> {
        if self.widths.is_empty() {
            let mut reader = super::thrift::Reader(self.rest);
            self.smallest = reader.signed().map_err(|_| wrong())?;
            (self.widths, self.rest) = reader.0.split_at_checked(self.miniblocks).ok_or_else(wrong)?;
        }
        let (width, widths) = self.widths.split_first().ok_or_else(wrong)?;
        (self.width, self.widths) = (usize::from(*width), widths);
        let bytes = self.width.checked_mul(self.per_miniblock).ok_or_else(wrong)? / 8;
        if self.width > 64 {
            return Err(wrong());
        }
        (self.packed, self.rest) = self.rest.split_at_checked(bytes).ok_or_else(wrong)?;
        (self.taken, self.left_in_miniblock) = (0, self.per_miniblock);
        Ok(())
    }

    /// The next bits of a miniblock, the lowest first.
    fn packed(&mut self) -> i64 {
        let bytes = self.packed.get(self.taken / 8..).unwrap_or_default();
        let low = bytes.iter().take(9).rev().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        let mask = (1_u128 << self.width) - 1;
        let number = low >> (self.taken % 8) & mask;
        self.taken += self.width;
        #[expect(clippy::cast_possible_truncation, reason = "a mask of 64 bits is on it")]
        let number = number as u64;
        number.cast_signed()
    }

    /// What is after the last of them.
    fn after(mut self) -> Result<&'a [u8]> {
        while self.length()?.is_some() {}
        Ok(self.rest)
    }
}

/// The values of a page.
pub(super) struct ByteArrays<'a> {
    /// How much each has of the one before; `None` if the encoding knows no such thing.
    prefixes: Option<Integers<'a>>,
    lengths: Integers<'a>,
    rest: &'a [u8],
}

impl<'a> ByteArrays<'a> {
    /// DELTA_LENGTH_BYTE_ARRAY, of at most as many values as `most`.
    pub(super) fn of_lengths(bytes: &'a [u8], most: u64) -> Result<Self> {
        let lengths = Integers::new(bytes, most)?;
        Ok(Self { prefixes: None, rest: lengths.clone().after()?, lengths })
    }

    /// DELTA_BYTE_ARRAY, of at most as many values as `most`.
    pub(super) fn of_prefixes(bytes: &'a [u8], most: u64) -> Result<Self> {
        let prefixes = Integers::new(bytes, most)?;
        let arrays = Self::of_lengths(prefixes.clone().after()?, most)?;
        Ok(Self { prefixes: Some(prefixes), ..arrays })
    }

    /// How many bytes all values have together, each with its length before it unless they have one of `fixed` bytes.
    pub(super) fn plain_bytes(&self, fixed: Option<usize>) -> Result<u64> {
        let (mut prefixes, mut lengths) = (self.prefixes.clone(), self.lengths.clone());
        let (mut bytes, mut before) = (0_u64, 0);
        while let Some(length) = lengths.length()? {
            let prefix = prefix(&mut prefixes)?;
            if prefix > before || fixed.is_some_and(|fixed| prefix + length != fixed) {
                return Err(wrong());
            }
            before = prefix + length;
            bytes = bytes.saturating_add(before as u64 + if fixed.is_none() { 4 } else { 0 });
        }
        Ok(bytes)
    }

    /// Appends all values as PLAIN has them.
    pub(super) fn write_plain(mut self, fixed: Option<usize>, out: &mut Vec<u8>) -> Result<()> {
        let mut before = out.len()..out.len();
        while let Some(length) = self.lengths.length()? {
            let prefix = prefix(&mut self.prefixes)?;
            let (suffix, rest) = self.rest.split_at_checked(length).ok_or_else(wrong)?;
            self.rest = rest;
            if fixed.is_none() {
                let bytes = u32::try_from(prefix + length).map_err(|_| wrong())?;
                out.extend_from_slice(&bytes.to_le_bytes());
            }
            let start = out.len();
            let shared = before.start..before.start + prefix;
            if shared.end > before.end {
                return Err(wrong());
            }
            out.extend_from_within(shared);
            out.extend_from_slice(suffix);
            before = start..out.len();
        }
        Ok(())
    }
}

fn prefix(prefixes: &mut Option<Integers<'_>>) -> Result<usize> {
    prefixes.as_mut().map_or(Ok(0), |prefixes| prefixes.length()?.ok_or_else(wrong))
}
