//! From the bytes of an object to records: text or Parquet, as it is or in gzip, told apart by their first bytes. Each record
//! becomes a JSON string that holds what the intake gets.
//!
//! It runs on a blocking thread.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead, BufReader, Chain, Cursor, ErrorKind, Read};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use self::block::{Block, Filling};
use self::inflate::Inflated;
use self::kind::{Kind, START_BYTES};
use self::source::{Source, SourceError};
use self::spool::Spool;
use super::aggregate::{Aggregate, RULES};
use super::filter::Filter;
use super::record::selection::Selection;
use super::record::{Places, Values};

pub mod block;
mod inflate;
mod kind;
mod lines;
pub mod parquet;
mod source;
mod spool;
pub mod tally;
mod text;

/// Gzip may be in gzip, where a tool compressed what was compressed already: twice is an accident, more is an attack.
const DEPTH: usize = 2;
/// What is inflated at a time of gzip in gzip.
const PIECE_BYTES: usize = 64 * 1024;

/// In which form records go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordFormat {
    /// The line as it stands where the intake's parser understands it, otherwise JSON.
    #[default]
    Auto,
    /// The line as it stands. A row of a Parquet file, which has no line, as JSON.
    Raw,
    /// JSON.
    Json,
}

/// Decodes objects. Clones are the same decoder.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    format: RecordFormat,
    filter: Filter,
    selection: Selection,
    aggregate: Aggregate,
    /// One Parquet file at a time is on disk and in memory; parts of the next ones are fetched meanwhile.
    parquet: Arc<Mutex<()>>,
}

/// What takes the blocks of an object, and may break it off. It is no type parameter, so that decoding is compiled with
/// this crate and optimised as it is, whoever calls.
type Emit<'a> = &'a mut dyn FnMut(Block) -> ControlFlow<()>;

/// Why an object, or what follows a place in it, cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Its source failed.
    #[error("it could not be read: {0}")]
    Source(std::io::Error),
    /// It is a Parquet file that cannot be read to its end.
    #[error("its Parquet data cannot be read after record {records}: {reason}")]
    Parquet {
        /// Records before the damage.
        records: u64,
        /// What the reader said.
        reason: String,
    },
    /// A Parquet file could not be kept while it is read.
    #[error(
        "it could not be written to a temporary file: {0}; see that the folder in TMPDIR is writable and has room"
    )]
    Disk(std::io::Error),
    /// It begins as something that flow logs are not.
    #[error("it is {0}; flow logs are text or Parquet, as they are or in gzip")]
    OtherKind(&'static str),
    /// The compressed data is damaged.
    #[error("its gzip data is damaged after record {records}: {reason}")]
    Corrupt {
        /// Records before the damage.
        records: u64,
        /// What the inflater said.
        reason: String,
    },
    /// The compressed data ends in the middle.
    #[error("it is cut off: its gzip data ends after record {records}")]
    Cut {
        /// Records before the end.
        records: u64,
    },
    /// It has bytes that are no text.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// It is text in another encoding.
    #[error("it is UTF-16 text; flow logs are UTF-8")]
    Utf16,
    /// It names no fields of flow logs, and has no records of the default format.
    #[error(
        "it is not a flow log: neither its first line nor its columns name fields, and it has not the default format"
    )]
    NotFlowLog,
    /// Its columns are not those of flow logs.
    #[error("it is not a VPC flow log: its columns are {columns}")]
    OtherColumns {
        /// Some of them.
        columns: String,
    },
    /// It is of a schema that flow logs are turned into.
    #[error(
        "it is an OCSF file of Security Lake, not a VPC flow log; send the flow logs as AWS delivers them to S3"
    )]
    Ocsf,
    /// A line that is longer than any text has, or the first and too long for a record.
    #[error("it is not a flow log: the line after record {records} is too long")]
    LongLine {
        /// Records before the line.
        records: u64,
    },
}

impl ObjectError {
    /// The cause in a word or two, for a metric.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Source(_) => "unreachable",
            Self::Parquet { .. } => "parquet",
            Self::Disk(_) => "disk",
            Self::OtherKind(_) => "not gzip",
            Self::Corrupt { .. } => "corrupt",
            Self::Cut { .. } => "cut",
            Self::NotUtf8 | Self::Utf16 => "not utf-8",
            Self::NotFlowLog | Self::OtherColumns { .. } | Self::Ocsf | Self::LongLine { .. } => {
                "not a flow log"
            }
        }
    }

    /// Whether the object itself is at fault, so that reading it again cannot help.
    pub fn is_poison(&self) -> bool {
        !matches!(self, Self::Source(_) | Self::Disk(_))
    }
}

impl Decoder {
    /// A decoder that gives records in this form, but those that the filter leaves out.
    pub fn new(format: RecordFormat, filter: Filter) -> Self {
        Self { format, filter, ..Self::default() }
    }

    /// The same, but of records that go out as JSON only these fields do.
    #[must_use]
    pub fn with_fields(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// The same, but records are merged.
    #[must_use]
    pub fn with_aggregate(self, aggregate: Aggregate) -> Self {
        Self { aggregate, ..self }
    }

    /// A number for the way in which it groups records; none if it does not. A position is true for a decoder of the same
    /// number only, or of none if there was none.
    pub fn grouping(&self) -> Option<u64> {
        let Self { format, filter, selection, aggregate, .. } = self;
        (*aggregate != Aggregate::Off).then(|| {
            let mut hasher = DefaultHasher::new();
            format!("{RULES} {format:?} {filter:?} {selection:?} {aggregate:?}").hash(&mut hasher);
            hasher.finish()
        })
    }

    /// The decoder for the rest of an object whose beginning was delivered under another configuration: itself if that grouped
    /// records in the same way; otherwise one that groups none, to which every position is true.
    #[must_use]
    pub fn going_on(&self, grouping: Option<u64>) -> Self {
        let aggregate = if self.grouping() == grouping { self.aggregate } else { Aggregate::Off };
        self.clone().with_aggregate(aggregate)
    }

    /// Decodes an object into blocks for `emit`, which may break it off.
    pub fn decode(
        &self,
        mut source: impl BufRead,
        mut emit: impl FnMut(Block) -> ControlFlow<()>,
    ) -> Result<(), ObjectError> {
        self.decode_source(Source::new(&mut source, &Cell::new(0)), &mut emit)
    }

    fn decode_source(&self, source: Source<'_>, emit: Emit<'_>) -> Result<(), ObjectError> {
        let taken = source.taken();
        let (start, mut content) = with_start(source)?;
        match Kind::of(&start) {
            Kind::Gzip => self.decode_gzip(&mut content, taken, 1, emit),
            kind => self.decode_content(kind, &mut content, taken, emit),
        }
    }

    /// Decodes gzip; `depth` is 1 if it is in no other gzip.
    fn decode_gzip(
        &self,
        source: &mut dyn BufRead,
        taken: &Cell<u64>,
        depth: usize,
        emit: Emit<'_>,
    ) -> Result<(), ObjectError> {
        let mut inflated = Inflated::new(source);
        let (start, mut content) = with_start(&mut inflated)?;
        match Kind::of(&start) {
            Kind::Gzip if depth < DEPTH => {
                let mut content = BufReader::with_capacity(PIECE_BYTES, content);
                self.decode_gzip(&mut content, taken, depth + 1, &mut *emit)?;
            }
            kind => self.decode_content(kind, &mut content, taken, &mut *emit)?,
        }
        if inflated.is_followed() {
            let mut last = Filling::default();
            last.followed();
            // At the end it does not matter whether more is wanted.
            let _ = emit(last.finish());
        }
        Ok(())
    }

    fn decode_content(
        &self,
        kind: Kind,
        content: &mut dyn Read,
        taken: &Cell<u64>,
        emit: Emit<'_>,
    ) -> Result<(), ObjectError> {
        match kind {
            Kind::Text => text::decode(content, self, emit),
            Kind::Parquet => self.decode_parquet(content, taken, emit),
            Kind::Utf16 => Err(ObjectError::Utf16),
            Kind::Gzip => Err(ObjectError::OtherKind("gzip within gzip within gzip")),
            Kind::Other(kind) => Err(ObjectError::OtherKind(kind)),
        }
    }

    /// Whether a record goes out. Counts it if not, and if it says that AWS dropped others.
    fn wants(&self, block: &mut Filling, places: &Places, record: &impl Values) -> bool {
        let status = places.log_status.and_then(|place| record.text(place));
        if matches!(status, Some(b"SKIPDATA" | b"INCOMPLETEDATA")) {
            block.skip_data();
        }
        let reason = self.filter.reason(places, record);
        reason.into_iter().for_each(|reason| block.filter(reason));
        reason.is_none()
    }

    fn decode_parquet(
        &self,
        source: impl Read,
        taken: &Cell<u64>,
        emit: Emit<'_>,
    ) -> Result<(), ObjectError> {
        let _alone = self.parquet.lock().unwrap_or_else(PoisonError::into_inner);
        parquet::decode(&Spool::fill(source, taken)?, self, emit)
    }
}

/// A source with what was read of it already.
type Whole<S> = Chain<Cursor<Vec<u8>>, S>;

/// The first bytes of a source, or fewer where there are no more: they tell what it is. A piece of it may be shorter.
fn with_start<S: Read>(mut source: S) -> Result<(Vec<u8>, Whole<S>), ObjectError> {
    let mut start = Vec::new();
    source.by_ref().take(START_BYTES).read_to_end(&mut start).map_err(|error| damage(error, 0))?;
    Ok((start.clone(), Cursor::new(start).chain(source)))
}

/// An error of the inflater, or one of the source that passed through it.
fn damage(error: std::io::Error, records: u64) -> ObjectError {
    match error.downcast::<SourceError>() {
        Ok(SourceError(error)) => ObjectError::Source(error),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => ObjectError::Cut { records },
        Err(error) => ObjectError::Corrupt { records, reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
