//! The bytes of an object as they come. What goes wrong on their way is told from what is wrong with them.

use std::io::{BufRead, ErrorKind, Read, Result};

/// A source of bytes. Its errors are [`SourceError`]s, so that they are known behind the inflater too.
pub(super) struct Source<'a>(pub(super) &'a mut dyn BufRead);

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
        self.0.read(buffer).map_err(known)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.0.fill_buf().map_err(known)
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}
