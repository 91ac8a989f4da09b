//! From the bytes of an object to records: inflates all gzip members, leaves headers and empty lines out, and writes
//! each record as a JSON string.
//!
//! It runs on a blocking thread and holds one window of text and one block of records, whatever the object's size.

use std::io::{BufRead, ErrorKind, Read as _};
use std::ops::ControlFlow;

use flate2::bufread::MultiGzDecoder;

use super::record::{fits_default_format, is_header};
use crate::s3::{S3Error, S3Failure};

/// Text that is inflated at a time: large enough that the calls do not count, small enough for the processor's cache.
const WINDOW_BYTES: usize = 256 * 1024;
/// A record has some hundred bytes, one with every field and tags a few thousand. A longer line is no record.
const LINE_BYTES: usize = 1024 * 1024;
/// JSON that makes a block.
pub const BLOCK_BYTES: usize = 256 * 1024;

/// Records of an object, in its order.
#[derive(Debug, Default)]
pub struct Block {
    /// The records as JSON strings, each with a comma behind it.
    json: Vec<u8>,
    /// Where each record and its comma end in `json`.
    ends: Vec<usize>,
    /// How many records from the front were taken already.
    taken: usize,
}

/// Why an object, or what follows a place in it, cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// It could not be read.
    #[error(transparent)]
    Fetch(#[from] S3Error),
    /// It is a Parquet file.
    #[error("it is a Parquet file, which this version does not read")]
    Parquet,
    /// It does not begin as gzip does.
    #[error("it is not gzip; a flow log's text is delivered compressed")]
    NotGzip,
    /// The compressed data is damaged.
    #[error("its gzip data is damaged behind record {records}: {reason}")]
    Corrupt {
        /// Records before the damage.
        records: u64,
        /// What the inflater said.
        reason: String,
    },
    /// The compressed data ends in the middle.
    #[error("it is cut off: its gzip data ends behind record {records}")]
    Cut {
        /// Records before the end.
        records: u64,
    },
    /// It has bytes that are no text.
    #[error("it is not UTF-8 text behind record {records}")]
    NotUtf8 {
        /// Records before those bytes.
        records: u64,
    },
    /// Neither a header nor records of the default format.
    #[error("it is not a flow log: the first line is neither a header nor a record of the default format")]
    NotFlowLog,
    /// A line that is too long for a record.
    #[error("it is not a flow log: the line behind record {records} is longer than 1 MiB")]
    LongLine {
        /// Records before the line.
        records: u64,
    },
    /// The decoder itself failed.
    #[error("it could not be decoded: {0}")]
    Internal(String),
}

impl ObjectError {
    /// The cause in a word or two, for a metric.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.failure().cause(),
            Self::Parquet => "parquet",
            Self::NotGzip => "not gzip",
            Self::Corrupt { .. } => "corrupt",
            Self::Cut { .. } => "cut",
            Self::NotUtf8 { .. } => "not utf-8",
            Self::NotFlowLog | Self::LongLine { .. } => "not a flow log",
            Self::Internal(_) => "internal",
        }
    }

    /// Whether the object itself is at fault, so that reading it again cannot help.
    pub fn is_poison(&self) -> bool {
        !matches!(self, Self::Fetch(_) | Self::Internal(_))
    }

    /// Whether the object is not there any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Fetch(error) if *error.failure() == S3Failure::Gone)
    }
}

impl Block {
    /// Records that were not taken yet.
    pub fn remaining(&self) -> usize {
        self.ends.len() - self.taken
    }

    /// Takes `count` records, or as many as there are: their JSON strings, each with a comma behind it.
    pub fn take(&mut self, count: usize) -> &[u8] {
        let end_of =
            |taken: usize| taken.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        let from = end_of(self.taken);
        self.taken = self.taken.saturating_add(count).min(self.ends.len());
        self.json.get(from..end_of(self.taken)).unwrap_or_default()
    }

    /// How many of the next records fit into `bytes`.
    pub fn fitting(&self, bytes: usize) -> usize {
        let from = self.taken.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        let rest = self.ends.get(self.taken..).unwrap_or_default();
        rest.partition_point(|end| end - from <= bytes)
    }

    pub(super) fn push_clean(&mut self, line: &[u8]) {
        self.json.push(b'"');
        self.json.extend_from_slice(line);
        self.json.extend_from_slice(b"\",");
        self.ends.push(self.json.len());
    }

    fn push_escaped(&mut self, line: &str) {
        // Writing into a vector cannot fail.
        let _ = serde_json::to_writer(&mut self.json, line);
        self.json.push(b',');
        self.ends.push(self.json.len());
    }
}

/// Decodes an object into blocks for `emit`, which may break it off.
pub fn decode(
    source: impl BufRead,
    mut emit: impl FnMut(Block) -> ControlFlow<()>,
) -> Result<(), ObjectError> {
    let mut lines = Lines::default();
    let mut text = inflater(source)?;
    let mut window = vec![0; WINDOW_BYTES];
    let mut filled = 0;
    loop {
        if filled == window.len() {
            if window.len() >= LINE_BYTES {
                return Err(ObjectError::LongLine { records: lines.records });
            }
            window.resize(window.len() * 2, 0);
        }
        let room = window.get_mut(filled..).unwrap_or_default();
        let count = match text.read(room) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(damage(error, lines.records)),
        };
        let ended = count == 0;
        let fresh = filled..filled + count;
        filled += count;
        // Up to here the lines are whole; a line that the window cuts waits for the rest.
        let newline = memchr::memrchr(b'\n', window.get(fresh.clone()).unwrap_or_default());
        let whole = if ended { filled } else { newline.map_or(0, |newline| fresh.start + newline + 1) };
        lines.read(window.get(..whole).unwrap_or_default())?;
        window.copy_within(whole..filled, 0);
        filled -= whole;
        let full = lines.block.json.len() >= BLOCK_BYTES;
        if (full || ended) && lines.block.remaining() > 0 && emit(std::mem::take(&mut lines.block)).is_break()
        {
            return Ok(());
        }
        if ended {
            return Ok(());
        }
    }
}

fn inflater<R: BufRead>(mut source: R) -> Result<MultiGzDecoder<R>, ObjectError> {
    let start = source.fill_buf().map_err(|error| damage(error, 0))?;
    match start {
        [0x1f, 0x8b, ..] | [0x1f] => Ok(MultiGzDecoder::new(source)),
        [b'P', b'A', b'R', b'1', ..] => Err(ObjectError::Parquet),
        _ => Err(ObjectError::NotGzip),
    }
}

/// An error of the inflater, or one of the source that passed through it.
fn damage(error: std::io::Error, records: u64) -> ObjectError {
    match error.downcast::<S3Error>() {
        Ok(error) => ObjectError::Fetch(error),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => ObjectError::Cut { records },
        Err(error) => ObjectError::Corrupt { records, reason: error.to_string() },
    }
}

/// Turns whole lines into records.
#[derive(Default)]
struct Lines {
    block: Block,
    records: u64,
    started: bool,
}

impl Lines {
    fn read(&mut self, text: &[u8]) -> Result<(), ObjectError> {
        let text = std::str::from_utf8(text).map_err(|_| ObjectError::NotUtf8 { records: self.records })?;
        // Nearly all text needs no escaping; one pass over the window proves it for all of its lines.
        let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || (*byte < 0x20 && *byte != b'\n');
        let clean = !text.as_bytes().iter().any(special);
        let mut start = 0;
        let bytes = text.as_bytes();
        for end in memchr::memchr_iter(b'\n', bytes).chain((!bytes.ends_with(b"\n")).then_some(bytes.len())) {
            let line = text.get(start..end).unwrap_or_default();
            start = end + 1;
            self.line(line.strip_suffix('\r').unwrap_or(line), clean)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, clean: bool) -> Result<(), ObjectError> {
        let bytes = line.as_bytes();
        if bytes.is_empty() || is_header(bytes) {
            self.started |= !bytes.is_empty();
            return Ok(());
        }
        if !self.started && !fits_default_format(bytes) {
            return Err(ObjectError::NotFlowLog);
        }
        self.started = true;
        self.records += 1;
        if clean {
            self.block.push_clean(bytes);
        } else {
            self.block.push_escaped(line);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
