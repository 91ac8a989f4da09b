//! Records on their way from an object to batches.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::super::filter::Reason;
use super::super::record::Places;
use super::super::record::json::Object;
use super::tally::{Fault, Tally};

/// JSON that makes a block.
pub const BLOCK_BYTES: usize = 256 * 1024;
/// Records that make a block where few of them go out: counts stay far below what a number of 32 bits holds.
const BLOCK_RECORDS: u32 = 1 << 20;

/// Records of an object, in its order, and what became of those in between that do not go out.
#[derive(Debug)]
pub struct Block {
    /// The records as JSON strings, each with a comma after it.
    json: Bytes,
    /// Where each record ends.
    marks: Vec<Mark>,
    /// How many records from the front were taken already.
    taken: usize,
    /// The position of the first record that was read into it.
    from: u64,
    /// What was read into it.
    tally: Tally,
}

/// A block that is being filled.
#[derive(Debug, Default)]
pub struct Filling {
    json: Vec<u8>,
    marks: Vec<Mark>,
    from: u64,
    tally: Tally,
}

/// The end of a record that goes out.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// After its comma in the JSON.
    json: u32,
    /// How many records were read up to its end, those that do not go out included.
    read: u32,
}

impl Block {
    /// Records that were not taken yet.
    pub fn remaining(&self) -> usize {
        self.marks.len() - self.taken
    }

    /// Takes `count` records, or as many as there are: their JSON strings, each with a comma after it. They are not
    /// copied: the block stays in memory as long as they do.
    pub fn take(&mut self, count: usize) -> Bytes {
        let from = self.last().json;
        self.taken = self.taken.saturating_add(count).min(self.marks.len());
        self.json.slice(from as usize..self.last().json as usize)
    }

    /// Leaves out the records before `position`.
    pub fn skip_to(&mut self, position: u64) {
        if position > self.position() {
            let is_taken = |mark: &Mark| self.from + u64::from(mark.read) <= position;
            self.taken = self.marks.partition_point(is_taken);
        }
    }

    /// Rejects the records that were not taken and whose text is longer than `bytes`.
    pub fn reject_longer(&mut self, bytes: usize) {
        // Most blocks are smaller than that as a whole.
        if self.json.len() <= bytes {
            return;
        }
        let from = self.last();
        let rest = self.marks.get(self.taken..).unwrap_or_default();
        let starts = std::iter::once(from.json).chain(rest.iter().map(|mark| mark.json));
        let text = |start: u32, mark: &Mark| self.json.get(start as usize..mark.json as usize);
        let records = starts.zip(rest).map(|(start, mark)| (text(start, mark).unwrap_or_default(), mark));
        // Quotes and comma are no part of it.
        let is_long = |text: &[u8]| text.len() > bytes + 3 && text_bytes(text) > bytes;
        if !records.clone().any(|(text, _)| is_long(text)) {
            return;
        }
        let (mut json, mut marks) =
            (Vec::with_capacity(self.json.len()), Vec::with_capacity(self.marks.len()));
        for (text, mark) in records {
            if is_long(text) {
                self.tally.rejected += 1;
                self.tally.first_rejected.get_or_insert(self.from + u64::from(mark.read));
                self.tally.first_fault.get_or_insert(Fault::TooLongForTheIntake);
            } else {
                json.extend_from_slice(text);
                // It is no longer than the block was.
                marks.push(Mark { json: u32::try_from(json.len()).unwrap_or(u32::MAX), read: mark.read });
            }
        }
        // What was taken stays where it is counted: as a mark without text.
        if from.read > 0 {
            marks.insert(0, Mark { json: 0, read: from.read });
        }
        (self.json, self.marks, self.taken) = (json.into(), marks, usize::from(from.read > 0));
    }

    /// How many of the next records fit into `bytes`.
    pub fn fitting(&self, bytes: usize) -> usize {
        let from = self.last().json;
        let rest = self.marks.get(self.taken..).unwrap_or_default();
        let fits = |mark: &Mark| (mark.json - from) as usize <= bytes;
        // Nearly always all of them do: to look for the last one would be slow, in memory that no cache has.
        if rest.last().is_none_or(fits) { rest.len() } else { rest.partition_point(fits) }
    }

    /// The position after the last record that was taken.
    pub fn position(&self) -> u64 {
        self.from + u64::from(self.last().read)
    }

    /// The position after the last record that was read.
    pub fn end(&self) -> u64 {
        self.from + u64::from(self.tally.read)
    }

    /// What was read into it.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The last record that was taken.
    fn last(&self) -> Mark {
        let last = self.taken.checked_sub(1).and_then(|last| self.marks.get(last));
        last.copied().unwrap_or(Mark { json: 0, read: 0 })
    }
}

/// How long the text of a JSON string with its quotes and a comma is.
fn text_bytes(string: &[u8]) -> usize {
    let mut bytes = string.iter();
    let mut count = 0_usize;
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && bytes.next() == Some(&b'u') {
            // Only control characters are written so, as four digits.
            bytes.nth(3);
        }
        count += 1;
    }
    count.saturating_sub(3)
}

impl Filling {
    /// The first records are those of `text_bytes` of text.
    pub(super) fn expect_text(&mut self, text_bytes: usize) {
        if self.json.capacity() == 0 {
            self.json.reserve(text_bytes.min(BLOCK_BYTES) / 8 * 9);
        }
    }

    /// What was filled in, as a block; what follows goes into the next.
    pub fn finish(&mut self) -> Block {
        // The next one will be about as large; an eighth more spares the copy when it is a little larger.
        let json = Vec::with_capacity(self.json.len() / 8 * 9);
        let marks = Vec::with_capacity(self.marks.len() / 8 * 9);
        let tally = Tally { lacks_addresses: self.tally.lacks_addresses, ..Tally::default() };
        let next = Self { json, marks, from: self.end(), tally };
        let Self { json, marks, from, tally } = std::mem::replace(self, next);
        Block { json: json.into(), marks, taken: 0, from, tally }
    }

    /// The object has ended: gives `emit` what was filled in, if there is anything.
    pub(super) fn end_with(&mut self, mut emit: impl FnMut(Block) -> ControlFlow<()>) {
        if self.tally.read > 0 {
            // At the end it does not matter whether more is wanted.
            let _ = emit(self.finish());
        }
    }

    /// The position after the last record that was read.
    pub fn end(&self) -> u64 {
        self.from + u64::from(self.tally.read)
    }

    /// The records that follow have these fields.
    pub(super) fn expect_fields(&mut self, places: &Places) {
        self.tally.lacks_addresses = places.sources == [None; 2] && places.destinations == [None; 2];
    }

    /// How many bytes the records have.
    pub(super) fn bytes(&self) -> usize {
        self.json.len()
    }

    /// Whether it has enough to be handed on.
    pub(super) fn is_full(&self) -> bool {
        self.json.len() >= BLOCK_BYTES || self.tally.read >= BLOCK_RECORDS
    }

    /// A record as it stands, of which nothing needs escaping.
    pub fn push_clean(&mut self, line: &[u8]) {
        self.json.push(b'"');
        self.json.extend_from_slice(line);
        self.json.extend_from_slice(b"\",");
        self.mark();
    }

    /// A record as it stands.
    pub(super) fn push_escaped(&mut self, line: &str) {
        // Writing into a vector cannot fail.
        let _ = serde_json::to_writer(&mut self.json, line);
        self.json.push(b',');
        self.mark();
    }

    /// A record as a JSON object. What `write` leaves unfinished is taken back. An object without a value is left out.
    pub(super) fn push_object<E>(
        &mut self,
        write: impl FnOnce(&mut Object<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.json.len();
        let mut object = Object::begin(&mut self.json);
        match write(&mut object) {
            Ok(()) if object.is_empty() => {
                self.json.truncate(start);
                self.filter(Reason::NoValue);
                Ok(())
            }
            Ok(()) => {
                object.end();
                self.mark();
                Ok(())
            }
            Err(error) => {
                self.json.truncate(start);
                Err(error)
            }
        }
    }

    fn mark(&mut self) {
        self.tally.read += 1;
        // A record is added to a block of 256 KiB at most, and has a few MiB at most.
        let json = u32::try_from(self.json.len()).unwrap_or(u32::MAX);
        self.marks.push(Mark { json, read: self.tally.read });
    }

    /// A record that a filter leaves out.
    pub(super) fn filter(&mut self, reason: Reason) {
        self.tally.read += 1;
        if let Some(count) = self.tally.filtered.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// A record that cannot be read; `number` is its line or row.
    pub(super) fn reject(&mut self, number: u64, fault: Fault) {
        self.tally.read += 1;
        self.tally.rejected += 1;
        self.tally.first_rejected.get_or_insert(number);
        self.tally.first_fault.get_or_insert(fault);
    }

    /// A record that is held: it goes out later, alone or with others.
    pub(crate) fn hold(&mut self) {
        self.tally.read += 1;
    }

    /// What was read from this position on was held, and goes out now: says how many records that were.
    pub(crate) fn rewind(&mut self, from: u64) -> u32 {
        // Since then nothing was handed on.
        let held = u32::try_from(self.end().saturating_sub(from)).unwrap_or_default();
        self.tally.read = self.tally.read.saturating_sub(held);
        held
    }

    /// The next record ends after so many others that were read.
    pub(crate) fn pass(&mut self, records: u32) {
        self.tally.read += records;
    }

    /// So many records were merged into others.
    pub(crate) fn merged(&mut self, records: u32) {
        self.tally.merged += records;
    }

    /// There is something after the gzip data of the object.
    pub(super) fn followed(&mut self) {
        self.tally.followed += 1;
    }

    /// The next record says that AWS dropped some.
    pub(super) fn skip_data(&mut self) {
        self.tally.skip_data += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_can_be_taken_in_pieces() {
        let mut filling = Filling::default();
        (1..=5).for_each(|number| filling.push_clean(number.to_string().as_bytes()));
        let mut block = filling.finish();
        assert_eq!(block.fitting(4 * 3 + 1), 3);
        assert_eq!(block.take(2), br#""1","2","#[..]);
        assert_eq!(block.fitting(4), 1);
        assert_eq!(block.fitting(3), 0);
        assert_eq!(block.take(10), br#""3","4","5","#[..]);
        assert_eq!((block.remaining(), block.take(1)), (0, Bytes::new()));
    }

    #[test]
    fn a_record_that_is_too_long_is_rejected_and_keeps_its_position() {
        let mut filling = Filling::default();
        for record in ["first", "\"\"\"\"\"\"\"\"\"\"", "\u{1}\u{1}", "longer than ten", "last"] {
            filling.push_escaped(record);
        }
        let mut block = filling.finish();
        block.take(1);
        block.reject_longer(10);
        assert_eq!((block.remaining(), block.position(), block.end()), (3, 1, 5));
        assert_eq!((block.tally().rejected, block.tally().first_rejected), (1, Some(4)));
        block.take(2);
        assert_eq!(block.position(), 3);
        assert_eq!(block.take(9), br#""last","#[..]);
        assert_eq!(block.position(), 5);
    }

    #[test]
    fn positions_count_what_was_read_whatever_goes_out() {
        let mut filling = Filling::default();
        filling.filter(Reason::NoData);
        filling.push_clean(b"1");
        filling.reject(3, Fault::Long);
        filling.reject(4, Fault::Values);
        filling.push_clean(b"4");
        filling.filter(Reason::Action);
        let mut block = filling.finish();
        assert_eq!((block.position(), block.end(), block.remaining()), (0, 6, 2));
        block.take(1);
        assert_eq!(block.position(), 2);
        assert_eq!((block.tally().rejected, block.tally().first_rejected), (2, Some(3)));
        assert_eq!(block.tally().first_fault, Some(Fault::Long));
        assert_eq!(block.tally().filtered, [0, 1, 1, 0, 0, 0]);
        for (position, remaining) in [(0, 1), (6, 1), (7, 0)] {
            let mut filling = Filling { from: 6, ..Filling::default() };
            filling.push_clean(b"6");
            let mut block = filling.finish();
            assert_eq!((block.position(), block.end(), filling.end()), (6, 7, 7));
            block.skip_to(position);
            assert_eq!(block.remaining(), remaining, "{position}");
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let mut filling = Filling::default();
        filling.push_clean(b"1");
        assert_eq!(filling.push_object(|_| Err("no text")), Err("no text"));
        filling.push_object(|_| Ok::<_, ()>(())).unwrap();
        filling.push_clean(b"2");
        let mut block = filling.finish();
        assert_eq!((block.remaining(), block.end()), (2, 3));
        assert_eq!(block.tally().filtered, [0, 0, 0, 0, 0, 1]);
        assert_eq!(block.take(2), br#""1","2","#[..]);
        assert_eq!(block.position(), 3);
    }
}
