//! Gathers the records of many objects into batches, and remembers what each batch covers.

use bytes::Bytes;
use flow_log::decode::block::Block;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::place::Day;
use crate::platform::storage::Pieces;
use crate::s3::Object;

/// A batch ends at this size even if it could take more records: it bounds the memory.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// The namespace of the request IDs.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_93a2_58f4_4f0e_9d41_c7b7_8a52_30e9);

/// Records on their way to one playbook run.
#[derive(Debug)]
pub struct Batch {
    /// The records as JSON strings, each with a comma behind it, in the pieces in which they were decoded.
    pieces: Vec<Bytes>,
    bytes: usize,
    records: usize,
    limit: usize,
    covers: Vec<Cover>,
    newest: Option<Timestamp>,
}

/// A stretch of an object's records. Positions count the records that the object has, whether they go out or not: a
/// header or an empty line has none, but a record that a filter leaves out has one, so that a stretch stays the same when
/// a filter is changed while the object is delivered in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The object's key.
    pub key: String,
    /// The day on which S3 took the object; version 0.1.0 noted the day in its name.
    pub day: Day,
    /// The first record.
    pub from: u64,
    /// The record behind the last.
    pub to: u64,
    /// Whether the object ends there.
    pub whole: bool,
    /// What tells the object's content from another under its key. Kept while the object is delivered in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl Cover {
    fn new(object: &Object, from: u64, to: u64, whole: bool) -> Self {
        let (key, day) = (object.key.clone(), Day::of(object.last_modified));
        Self { key, day, from, to, whole, etag: object.etag.clone() }
    }
}

impl Batch {
    /// An empty batch that takes up to `limit` records.
    pub fn new(limit: usize) -> Self {
        Self {
            pieces: Vec::new(),
            bytes: 0,
            records: 0,
            limit: limit.max(1),
            covers: Vec::new(),
            newest: None,
        }
    }

    /// Takes records of `object` from a block, as many as fit; `position` is the one behind the last that was taken
    /// before, and is moved on. True if the batch is full: deliver it before going on.
    pub fn take(&mut self, object: &Object, position: &mut u64, block: &mut Block) -> bool {
        let bytes = BATCH_BYTES.saturating_sub(self.bytes);
        let fitting = block.fitting(bytes).max(usize::from(self.records == 0));
        let count = block.remaining().min(fitting).min(self.limit - self.records);
        self.records += count;
        if count > 0 {
            let piece = block.take(count);
            self.bytes += piece.len();
            self.pieces.push(piece);
            let to = block.position();
            match self.covers.last_mut().filter(|cover| cover.key == object.key) {
                Some(cover) => cover.to = to,
                None => self.covers.push(Cover::new(object, *position, to, false)),
            }
            *position = to;
        }
        self.newest = self.newest.max(Some(object.last_modified));
        self.records == self.limit || block.remaining() > 0
    }

    /// The object ends at `end`; `position` is the one behind the last record that was taken.
    pub fn end(&mut self, object: &Object, position: u64, end: u64) {
        match self.covers.last_mut().filter(|cover| cover.key == object.key) {
            Some(cover) => {
                cover.to = end;
                cover.whole = true;
            }
            None => self.covers.push(Cover::new(object, position, end, true)),
        }
    }

    /// How many records it has.
    pub fn records(&self) -> usize {
        self.records
    }

    /// What it covers, in the order of its records.
    pub fn covers(&self) -> &[Cover] {
        &self.covers
    }

    /// When S3 took the newest object in it.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Whether there is anything to deliver or to remember.
    pub fn is_empty(&self) -> bool {
        self.covers.is_empty()
    }

    /// The same for the same records of the same owner, and for nothing else: two triggers that share a storage must not
    /// share a folder in it.
    pub fn request_id(&self, owner: &str) -> String {
        let mut name = owner.as_bytes().to_vec();
        for Cover { key, from, to, etag, .. } in &self.covers {
            // A NUL cannot be in an owner's name and ends a key without doubt: keys are told apart by position too.
            name.push(0);
            name.extend_from_slice(key.as_bytes());
            name.extend_from_slice(&from.to_be_bytes());
            name.extend_from_slice(&to.to_be_bytes());
            name.extend_from_slice(etag.as_deref().unwrap_or_default().as_bytes());
        }
        Uuid::new_v5(&NAMESPACE, &name).to_string()
    }

    /// The file of the batch, in pieces: a JSON array of strings; and what the batch covers.
    pub fn into_file(mut self) -> (Pieces, Vec<Cover>) {
        if let Some(last) = self.pieces.last_mut() {
            last.truncate(last.len() - 1);
        }
        let [opening, closing] = ["[", "]"].map(Bytes::from);
        let file = std::iter::once(opening).chain(self.pieces).chain([closing]).collect();
        self.covers.iter_mut().filter(|cover| cover.whole).for_each(|cover| cover.etag = None);
        (file, self.covers)
    }
}

#[cfg(test)]
mod tests {
    use flow_log::decode::block::Filling;

    use super::*;

    fn object(key: &str) -> Object {
        Object { key: key.to_owned(), body_bytes: 1, last_modified: Timestamp::UNIX_EPOCH, etag: None }
    }

    fn block(records: &[&str]) -> Block {
        let mut filling = Filling::default();
        records.iter().for_each(|record| filling.push_clean(record.as_bytes()));
        filling.finish()
    }

    fn file(batch: Batch) -> (String, Vec<Cover>) {
        let (pieces, covers) = batch.into_file();
        (String::from_utf8(pieces.0.concat()).unwrap(), covers)
    }

    fn cover(key: &str, from: u64, to: u64, whole: bool) -> Cover {
        Cover { key: key.to_owned(), day: Day::of(Timestamp::UNIX_EPOCH), from, to, whole, etag: None }
    }

    #[test]
    fn a_batch_goes_across_objects_and_an_object_across_batches() {
        let mut batch = Batch::new(3);
        let (mut a, mut b) = (0, 0);
        assert!(!batch.take(&object("a"), &mut a, &mut block(&["1", "2"])));
        batch.end(&object("a"), a, a);
        let mut rest = block(&["3", "4"]);
        assert!(batch.take(&object("b"), &mut b, &mut rest), "full with one record to spare");
        assert_eq!(
            file(batch),
            (r#"["1","2","3"]"#.to_owned(), vec![cover("a", 0, 2, true), cover("b", 0, 1, false)])
        );
        let mut batch = Batch::new(3);
        assert!(!batch.take(&object("b"), &mut b, &mut rest));
        batch.end(&object("b"), b, b + 7);
        assert_eq!(file(batch), (r#"["4"]"#.to_owned(), vec![cover("b", 1, 9, true)]));
    }

    #[test]
    fn an_object_without_records_is_covered() {
        let mut batch = Batch::new(3);
        assert!(batch.is_empty());
        batch.end(&object("a"), 0, 0);
        assert!(!batch.is_empty());
        assert_eq!(file(batch), ("[]".to_owned(), vec![cover("a", 0, 0, true)]));
    }

    #[test]
    fn a_batch_ends_at_its_size_but_takes_a_record_of_any_size() {
        let long = "x".repeat(BATCH_BYTES);
        let mut batch = Batch::new(10);
        let mut rest = block(&[&long, "1"]);
        assert!(batch.take(&object("a"), &mut 0, &mut rest));
        assert_eq!((batch.records(), rest.remaining()), (1, 1));
    }

    #[test]
    fn the_request_id_tells_what_is_covered() {
        let id = |bucket: &str, covers: &[Cover]| {
            let mut batch = Batch::new(1);
            batch.covers = covers.to_vec();
            batch.request_id(bucket)
        };
        let same = id("logs", &[cover("a", 0, 5, true)]);
        assert_eq!(same, id("logs", &[cover("a", 0, 5, true)]));
        for other in [
            id("logs2", &[cover("a", 0, 5, true)]),
            id("logs", &[cover("a", 0, 6, true)]),
            id("logs", &[cover("a", 1, 5, true)]),
            id("logs", &[cover("b", 0, 5, true)]),
            id("logs", &[cover("a", 0, 5, true), cover("b", 0, 1, true)]),
            id("logs", &[Cover { etag: Some("another content".to_owned()), ..cover("a", 0, 5, true) }]),
        ] {
            assert_ne!(same, other);
        }
    }
}
