//! zlib-rs, written in Rust: where there is no assembler to compile igzip with.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A body as one member of gzip.
pub fn compress<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for piece in pieces {
        encoder.write_all(piece).ok()?;
    }
    encoder.finish().ok()
}
