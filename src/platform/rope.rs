//! A request body in parts, of which long ones lie in a file: it is sent without ever being whole in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// What is read from a file at once, in bytes.
const PIECE_BYTES: u64 = 128 * 1024;

/// A part of a body.
#[derive(Clone)]
pub enum Part {
    /// Bytes in memory.
    Memory(Bytes),
    /// Bytes of a file that does not change any more.
    File {
        /// The file.
        file: Arc<File>,
        /// The first byte.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
}

/// A body in parts. Clones share them, so that each attempt can send its own. It may carry a key: never print it.
#[derive(Clone, Default)]
pub struct Rope {
    parts: VecDeque<Part>,
}

impl Rope {
    /// Adds text at the end.
    pub fn push_text(&mut self, text: impl Into<String>) {
        self.push(Part::Memory(text.into().into()));
    }

    /// Adds a part at the end.
    pub fn push(&mut self, part: Part) {
        self.parts.push_back(part);
    }

    /// The length of all parts, in bytes.
    pub fn length(&self) -> u64 {
        self.parts.iter().map(Part::length).sum()
    }
}

impl FromIterator<Part> for Rope {
    fn from_iter<T: IntoIterator<Item = Part>>(parts: T) -> Self {
        Self { parts: parts.into_iter().collect() }
    }
}

impl From<&serde_json::Value> for Rope {
    fn from(value: &serde_json::Value) -> Self {
        let mut rope = Self::default();
        rope.push_text(value.to_string());
        rope
    }
}

impl Part {
    /// The length of the part, in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl Body for Rope {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let Some(part) = self.parts.pop_front() else { return Poll::Ready(None) };
        let (file, offset, length) = match part {
            Part::Memory(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Part::File { file, offset, length } => (file, offset, length),
        };
        let piece = length.min(PIECE_BYTES);
        let mut bytes = vec![0; usize::try_from(piece).unwrap_or_default()];
        // The file was written a moment ago, so this reads memory of the system, which takes no time to speak of.
        let read = file.read_exact_at(&mut bytes, offset);
        if length > piece {
            self.parts.push_front(Part::File { file, offset: offset + piece, length: length - piece });
        }
        Poll::Ready(Some(read.map(|()| Frame::data(bytes.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}
