//! The bytes of an object as they come. What goes wrong on their way is told from what is wrong with them.

use std::cell::Cell;
use std::io::{BufRead, ErrorKind, Read, Result};

/// A source of bytes. Its errors are [`SourceError`]s, so that they are recognised after the inflater too.
pub(super) struct Source<'a> {
    source: &'a mut dyn BufRead,
    /// How many bytes were taken of it, for whoever reads what they are inflated to.
    taken: &'a Cell<u64>,
}

impl<'a> Source<'a> {
    pub(super) fn new(source: &'a mut dyn BufRead, taken: &'a Cell<u64>) -> Self {
        Self { source, taken }
    }

    pub(super) fn taken(&self) -> &'a Cell<u64> {
        self.taken
    }

    fn note(&self, count: usize) {
        self.taken.set(self.taken.get() + count as u64);
    }
}

/// An error of the source itself.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct SourceError(pub(super) std::io::Error);

/// As it is where it only asks to be tried again.
fn known(error: std::io::Error) -> std::io::Error {
    if error.kind() == ErrorKind::Interrupted { error } else { std::io::Error::other(SourceError(error)) }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.source.read(buffer).map_err(known)?;
        self.note(count);
        Ok(count)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.source.fill_buf().map_err(known)
    }

    fn consume(&mut self, count: usize) {
        self.note(count);
        self.source.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};
    use std::ops::ControlFlow;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::{Decoder, ObjectError};
    use super::*;

    /// A source that fails at its end.
    struct Failing<'a>(&'a [u8]);

    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::new(ErrorKind::UnexpectedEof, "the line is dead")),
                count => Ok(count),
            }
        }
    }

    #[test]
    fn an_error_of_the_source_comes_out_as_it_was() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(b"PAR1").unwrap();
        let mut text = GzEncoder::new(Vec::new(), Compression::fast());
        text.write_all(&b"version account-id\n2 111111111111\n".repeat(100)).unwrap();
        let (gzip, text) = (gzip.finish().unwrap(), text.finish().unwrap());
        for object in [&b""[..], b"PAR1 and more", &gzip, &text, &text[..text.len() / 2]] {
            let source = BufReader::with_capacity(20, Failing(object));
            let error = Decoder::default().decode(source, |_| ControlFlow::Continue(())).unwrap_err();
            assert!(!error.is_poison());
            let ObjectError::Source(error) = error else { panic!("{error}") };
            assert_eq!(error.to_string(), "the line is dead");
        }
    }
}
