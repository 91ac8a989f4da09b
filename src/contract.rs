//! What sources, the pipeline and sinks hand each other.
//!
//! A source names an object as a [`Claim`]; the pipeline gathers the records of objects into a [`Sealed`] batch, which
//! knows the [`Cover`]s that it consists of; a sink delivers it. The traits are in [`source`](crate::source) and
//! [`sink`](crate::sink); the receipt is in the latter, where nothing but a sink can make one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flow_log::decode::ObjectError;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::layout::name::Day;
use crate::s3::{Bucket, Object, S3Error, S3Failure};
use crate::shutdown::Stopped;

/// An object that is to be delivered.
#[derive(Debug)]
pub struct Claim {
    /// The bucket that it is in.
    pub bucket: Bucket,
    /// Whether its source has objects of several buckets, so that a key alone does not name one.
    pub is_of_many: bool,
    /// The object.
    pub object: Object,
    /// How far it was delivered before.
    pub from: Position,
    /// Told when the object is decoded, where the process may die of that. Dropped when the object is read to its end or has
    /// failed: a source that wants no other object read meanwhile waits for it.
    pub watch: Option<Arc<dyn Watch>>,
}

/// How far an object was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// How many of its records were.
    pub records: u64,
    /// How these were grouped where records are merged, see [`Decoder::grouping`](flow_log::decode::Decoder::grouping).
    pub grouping: Option<u64>,
}

/// Follows how an object is decoded.
pub trait Watch: std::fmt::Debug + Send + Sync {
    /// The first part of the object is here and is about to be decoded.
    fn decodes(&self) -> BoxFuture<'_, Result<(), Stopped>>;

    /// The object was decoded to its end, or is damaged.
    fn decoded(&self) -> BoxFuture<'_, Result<(), Stopped>>;
}

impl Claim {
    /// All of an object in the one bucket that there is.
    pub fn whole(bucket: &Bucket, object: Object) -> Self {
        Self { bucket: bucket.clone(), is_of_many: false, object, from: Position::default(), watch: None }
    }

    /// The name of its bucket, where that is needed beside the key.
    pub fn bucket_name(&self) -> Option<Arc<str>> {
        self.is_of_many.then(|| self.bucket.name().into())
    }
}

/// Why an object, or what follows a place in it, cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] S3Error),
    /// It could not be decoded.
    #[error(transparent)]
    Decode(ObjectError),
    /// The decoder itself failed.
    #[error("it could not be decoded: {0}")]
    Internal(String),
}

impl FetchError {
    /// The cause in a word or two, for a metric.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Read(error) => error.failure().cause(),
            Self::Decode(error) => error.cause(),
            Self::Internal(_) => "internal",
        }
    }

    /// Whether the object itself is at fault, so that reading it again cannot help.
    pub fn is_poison(&self) -> bool {
        matches!(self, Self::Decode(error) if error.is_poison())
    }

    /// Whether the object is not there any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Read(error) if *error.failure() == S3Failure::Gone)
    }
}

impl From<ObjectError> for FetchError {
    /// An error of S3 that passed through the decoder comes out as what it was.
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Source(error) => match error.downcast::<S3Error>() {
                Ok(error) => Self::Read(error),
                Err(error) => Self::Decode(ObjectError::Source(error)),
            },
            error => Self::Decode(error),
        }
    }
}

/// What becomes of an object that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is claimed again later; how often it has failed, as far as is known.
    Later {
        /// Attempts so far.
        attempts: u32,
    },
    /// It is not claimed again.
    Rejected {
        /// Attempts so far.
        attempts: u32,
    },
}

/// A stretch of an object's records. Positions count the records that the object has, whether they go out or not: a
/// header or an empty line has none, but a record that a filter leaves out has one, so that a stretch stays the same when
/// a filter is changed while the object is delivered in part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The bucket that it is in, where a source has several. Such a source stores no covers.
    #[serde(skip)]
    pub bucket: Option<Arc<str>>,
    /// The object's key.
    pub key: String,
    /// The day on which S3 took the object; version 0.1.0 noted the day in its name.
    pub day: Day,
    /// The first record.
    pub from: u64,
    /// The record after the last.
    pub to: u64,
    /// Whether the object ends there.
    pub whole: bool,
    /// What tells the object's content from another under its key. Kept while the object is delivered in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// How its records are grouped. Kept while the object is delivered in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grouping: Option<u64>,
}

impl Cover {
    /// Where it ends.
    pub fn end(&self) -> Position {
        Position { records: self.to, grouping: self.grouping }
    }
}

/// A batch that is in flight, as it is noted before it is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Names the batch: the same for the same records.
    pub request_id: String,
    /// How many records it has.
    pub records: usize,
    /// What it covers.
    pub covers: Vec<Cover>,
}

/// A batch that takes no more records.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// How it is noted.
    pub pending: Pending,
    /// The records as JSON strings with commas between them, in the pieces in which they were decoded.
    pub pieces: Vec<Bytes>,
    /// When S3 took the newest object in it.
    pub newest: Option<Timestamp>,
}

/// What a sink takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Records in a batch at most.
    pub records: usize,
    /// Bytes in a batch at most, as JSON strings with commas between them. A single record may be larger.
    pub bytes: usize,
    /// Bytes of a single record at most, as its text; what is longer is rejected.
    pub record_bytes: Option<usize>,
    /// Batches in flight at most.
    pub side_by_side: usize,
    /// How long a batch waits to be full, where its source has no rounds.
    pub linger: Option<Duration>,
}
