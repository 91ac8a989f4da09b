//! Gathers the records of many objects into batches, and remembers what each batch covers.

use std::sync::Arc;

use bytes::Bytes;
use flow_log::decode::block::Block;
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::contract::{Cover, Limits, Pending, Position, Sealed};
use crate::layout::name::Day;
use crate::s3::Object;

/// The namespace of the request IDs.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_93a2_58f4_4f0e_9d41_c7b7_8a52_30e9);

/// Records on their way to a sink.
#[derive(Debug)]
pub struct Batch {
    /// The records as JSON strings, each with a comma after it, in the pieces in which they were decoded.
    pieces: Vec<Bytes>,
    bytes: usize,
    records: usize,
    limits: Limits,
    covers: Vec<Cover>,
    newest: Option<Timestamp>,
    /// When it got its first records, or the end of its first object.
    begun: Option<Instant>,
}

/// How far an object was taken into batches.
#[derive(Debug)]
pub struct Cursor {
    /// The name of its bucket, where a source has several.
    bucket: Option<Arc<str>>,
    /// The object.
    pub object: Object,
    /// The record after the last that was taken.
    pub position: u64,
    /// The record after the last that was decoded.
    pub end: u64,
    /// How its records are grouped.
    grouping: Option<u64>,
}

impl Cursor {
    /// A cursor at a position. `bucket` is named where a source has several.
    pub fn new(bucket: Option<Arc<str>>, object: Object, Position { records, grouping }: Position) -> Self {
        Self { bucket, object, position: records, end: records, grouping }
    }

    fn cover(&self, to: u64, whole: bool) -> Cover {
        let Self { bucket, object, position: from, grouping, .. } = self;
        Cover {
            bucket: bucket.clone(),
            key: object.key.clone(),
            day: Day::of(object.last_modified),
            from: *from,
            to,
            whole,
            etag: object.etag.clone(),
            grouping: *grouping,
        }
    }

    fn is_of(&self, cover: &Cover) -> bool {
        cover.key == self.object.key && cover.bucket == self.bucket
    }
}

impl Batch {
    /// An empty batch within limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            pieces: Vec::new(),
            bytes: 0,
            records: 0,
            limits: Limits { records: limits.records.max(1), ..limits },
            covers: Vec::new(),
            newest: None,
            begun: None,
        }
    }

    /// Takes records of an object from a block, as many as fit, and moves the cursor. True if the batch is full: deliver it
    /// before going on.
    pub fn take(&mut self, cursor: &mut Cursor, block: &mut Block) -> bool {
        let bytes = self.limits.bytes.saturating_sub(self.bytes);
        let fitting = block.fitting(bytes).max(usize::from(self.records == 0));
        let count = block.remaining().min(fitting).min(self.limits.records - self.records);
        self.records += count;
        if count > 0 {
            let piece = block.take(count);
            self.bytes += piece.len();
            self.pieces.push(piece);
            let to = block.position();
            match self.covers.last_mut().filter(|cover| cursor.is_of(cover)) {
                Some(cover) => cover.to = to,
                None => self.covers.push(cursor.cover(to, false)),
            }
            cursor.position = to;
        }
        self.begun.get_or_insert_with(Instant::now);
        self.newest = self.newest.max(Some(cursor.object.last_modified));
        self.records == self.limits.records || block.remaining() > 0
    }

    /// An object ends where it was decoded to.
    pub fn end(&mut self, cursor: &Cursor) {
        self.begun.get_or_insert_with(Instant::now);
        match self.covers.last_mut().filter(|cover| cursor.is_of(cover)) {
            Some(cover) => {
                cover.to = cursor.end;
                cover.whole = true;
            }
            None => self.covers.push(cursor.cover(cursor.end, true)),
        }
    }

    /// How many records it has.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Whether it has records of an object.
    pub fn has(&self, cursor: &Cursor) -> bool {
        self.covers.iter().any(|cover| cursor.is_of(cover))
    }

    /// When it got its first records, or the end of its first object.
    pub fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// Whether there is anything to deliver or to remember.
    pub fn is_empty(&self) -> bool {
        self.covers.is_empty()
    }

    /// Ends the batch. The request ID is the same for the same records of the same owner, and for nothing else: two
    /// triggers that share a storage must not share a folder in it.
    pub fn seal(mut self, owner: &str) -> Sealed {
        if let Some(last) = self.pieces.last_mut() {
            last.truncate(last.len() - 1);
        }
        let request_id = request_id(owner, &self.covers);
        // Once an object is whole, nothing is asked of it any more.
        for cover in self.covers.iter_mut().filter(|cover| cover.whole) {
            (cover.etag, cover.grouping) = (None, None);
        }
        let pending = Pending { request_id, records: self.records, covers: self.covers };
        Sealed { pending, pieces: self.pieces, newest: self.newest }
    }
}

fn request_id(owner: &str, covers: &[Cover]) -> String {
    let mut name = owner.as_bytes().to_vec();
    for Cover { bucket, key, from, to, etag, grouping, .. } in covers {
        name.extend_from_slice(bucket.as_deref().unwrap_or_default().as_bytes());
        // A NUL cannot be in an owner's name and ends a key without doubt: keys are told apart by position too.
        name.push(0);
        name.extend_from_slice(key.as_bytes());
        name.extend_from_slice(&from.to_be_bytes());
        name.extend_from_slice(&to.to_be_bytes());
        name.extend_from_slice(etag.as_deref().unwrap_or_default().as_bytes());
        name.extend(grouping.iter().flat_map(|grouping| grouping.to_be_bytes()));
    }
    Uuid::new_v5(&NAMESPACE, &name).to_string()
}

#[cfg(test)]
mod tests {
    use flow_log::decode::block::Filling;

    use super::*;

    const BYTES: usize = 1024;

    fn batch() -> Batch {
        Batch::new(Limits { records: 3, bytes: BYTES, record_bytes: None, side_by_side: 1, linger: None })
    }

    fn cursor(key: &str, from: u64) -> Cursor {
        let last_modified = Timestamp::UNIX_EPOCH;
        Cursor::new(
            None,
            Object { key: key.to_owned(), body_bytes: 1, last_modified, etag: None },
            Position { records: from, grouping: None },
        )
    }

    fn block(records: &[&str]) -> Block {
        let mut filling = Filling::default();
        records.iter().for_each(|record| filling.push_clean(record.as_bytes()));
        filling.finish()
    }

    fn sealed(batch: Batch) -> (String, Vec<Cover>) {
        let Sealed { pending, pieces, .. } = batch.seal("owner");
        (String::from_utf8(pieces.concat()).unwrap(), pending.covers)
    }

    fn cover(key: &str, from: u64, to: u64, whole: bool) -> Cover {
        Cover {
            bucket: None,
            key: key.to_owned(),
            day: Day::of(Timestamp::UNIX_EPOCH),
            from,
            to,
            whole,
            etag: None,
            grouping: None,
        }
    }

    #[test]
    fn a_batch_goes_across_objects_and_an_object_across_batches() {
        let mut first = batch();
        let (mut a, mut b) = (cursor("a", 0), cursor("b", 0));
        assert!(!first.take(&mut a, &mut block(&["1", "2"])));
        a.end = 2;
        first.end(&a);
        let mut rest = block(&["3", "4"]);
        assert!(first.take(&mut b, &mut rest), "full with one record to spare");
        assert_eq!(
            sealed(first),
            (r#""1","2","3""#.to_owned(), vec![cover("a", 0, 2, true), cover("b", 0, 1, false)])
        );
        let mut second = batch();
        assert!(!second.take(&mut b, &mut rest));
        b.end = 9;
        second.end(&b);
        assert_eq!(sealed(second), (r#""4""#.to_owned(), vec![cover("b", 1, 9, true)]));
    }

    #[test]
    fn an_object_without_records_is_covered() {
        let mut batch = batch();
        assert!(batch.is_empty());
        batch.end(&cursor("a", 0));
        assert!(!batch.is_empty());
        assert_eq!(sealed(batch), (String::new(), vec![cover("a", 0, 0, true)]));
    }

    #[test]
    fn a_batch_ends_at_its_size_but_takes_a_record_of_any_size() {
        let mut batch = batch();
        let mut rest = block(&[&"x".repeat(BYTES), "1"]);
        assert!(batch.take(&mut cursor("a", 0), &mut rest));
        assert_eq!((batch.records(), rest.remaining()), (1, 1));
    }

    #[test]
    fn the_request_id_tells_what_is_covered() {
        let same = request_id("logs", &[cover("a", 0, 5, true)]);
        assert_eq!(same, request_id("logs", &[cover("a", 0, 5, true)]));
        for other in [
            request_id("logs2", &[cover("a", 0, 5, true)]),
            request_id("logs", &[cover("a", 0, 6, true)]),
            request_id("logs", &[cover("a", 1, 5, true)]),
            request_id("logs", &[cover("b", 0, 5, true)]),
            request_id("logs", &[cover("a", 0, 5, true), cover("b", 0, 1, true)]),
            request_id(
                "logs",
                &[Cover { etag: Some("another content".to_owned()), ..cover("a", 0, 5, true) }],
            ),
            request_id("logs", &[Cover { grouping: Some(1), ..cover("a", 0, 5, true) }]),
        ] {
            assert_ne!(same, other);
        }
    }
}
