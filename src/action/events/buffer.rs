//! The one buffer through which a file is read, and the proof that what is in it is UTF-8.

use std::io::{ErrorKind, Read};

/// Large enough that system calls do not count, small enough to stay in the processor's cache.
const BUFFER_BYTES: usize = 256 * 1024;

/// Below this a fill reads on, so that the usual event is whole in the buffer.
const AHEAD_BYTES: usize = 32 * 1024;

/// A window on a stream of text.
pub(super) struct Buffer {
    reader: Box<dyn Read + Send>,
    data: Box<[u8]>,
    /// The window: bytes that were read, are UTF-8, and were not taken.
    start: usize,
    end: usize,
    /// The end of what was read: a character that is cut in two lies between `end` and here, or what is no UTF-8.
    filled: usize,
    /// Bytes of the stream before the window.
    position: u64,
    stream_ended: bool,
    is_broken: bool,
}

/// Why the window cannot be filled.
#[derive(Debug)]
pub(super) enum FillError {
    /// The system refused.
    Io(std::io::Error),
    /// The next byte belongs to no UTF-8 character.
    NotUtf8,
}

impl Buffer {
    /// A window before the first byte.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self::with_capacity(reader, BUFFER_BYTES)
    }

    fn with_capacity(reader: Box<dyn Read + Send>, bytes: usize) -> Self {
        let data = vec![0; bytes].into_boxed_slice();
        Self { reader, data, start: 0, end: 0, filled: 0, position: 0, stream_ended: false, is_broken: false }
    }

    /// What is in the window.
    pub(super) fn available(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    /// Bytes of the stream before the window.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Lets go of the first `count` bytes of the window.
    pub(super) fn skip(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.position += count as u64;
    }

    /// Lets go of the first `count` bytes of the window and lends them.
    pub(super) fn take(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.skip(count);
        self.data.get(from..self.start).unwrap_or_default()
    }

    /// Reads on if little is in the window. It is empty afterwards only if the stream has ended.
    pub(super) fn fill(&mut self) -> Result<(), FillError> {
        let enough = AHEAD_BYTES.min(self.data.len() / 2);
        if self.end - self.start < enough && !self.stream_ended && !self.is_broken {
            self.data.copy_within(self.start..self.filled, 0);
            self.end -= self.start;
            self.filled -= self.start;
            self.start = 0;
        }
        while self.end < enough && self.start == 0 && !self.stream_ended && !self.is_broken {
            self.read_once()?;
        }
        if self.is_broken && self.start == self.end { Err(FillError::NotUtf8) } else { Ok(()) }
    }

    fn read_once(&mut self) -> Result<(), FillError> {
        let free = self.data.get_mut(self.filled..).unwrap_or_default();
        match self.reader.read(free) {
            Ok(0) => self.stream_ended = true,
            Ok(count) => self.filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(FillError::Io(error)),
        }
        let new = self.data.get(self.end..self.filled).unwrap_or_default();
        match std::str::from_utf8(new) {
            Ok(_) => self.end = self.filled,
            Err(error) => {
                self.end += error.valid_up_to();
                self.is_broken = error.error_len().is_some() || self.stream_ended;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives `bytes` in reads of `piece`.
    struct Slowly(std::io::Cursor<Vec<u8>>, usize);

    impl Read for Slowly {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let piece = self.1.min(buffer.len());
            self.0.read(&mut buffer[..piece])
        }
    }

    proptest! {
        #[test]
        fn gives_what_is_utf8_and_stops_where_it_is_not(
            text in ".{0,40}", broken in proptest::collection::vec(any::<u8>(), 0..6),
            piece in 1_usize..9, capacity in 16_usize..48, take in 1_usize..9,
        ) {
            let bytes = [text.into_bytes(), broken].concat();
            let reader = Slowly(std::io::Cursor::new(bytes.clone()), piece);
            let mut buffer = Buffer::with_capacity(Box::new(reader), capacity);
            let mut given = Vec::new();
            let ended_well = loop {
                match buffer.fill() {
                    Ok(()) if buffer.available().is_empty() => break true,
                    Ok(()) => {
                        let count = take.min(buffer.available().len());
                        given.extend_from_slice(buffer.take(count));
                    }
                    Err(_) => break false,
                }
            };
            let expected = std::str::from_utf8(&bytes);
            prop_assert_eq!(ended_well, expected.is_ok());
            let valid = expected.map_or_else(|error| error.valid_up_to(), str::len);
            prop_assert_eq!(&given, &bytes[..valid]);
            prop_assert_eq!(buffer.position(), valid as u64);
        }
    }
}
