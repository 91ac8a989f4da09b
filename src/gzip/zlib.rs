//! zlib-rs, written in Rust: where there is no assembler to compile igzip with.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A body as one member of gzip.
pub(super) fn compress<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for piece in pieces {
        // It is written into memory: nothing fails.
        let _ = encoder.write_all(piece);
    }
    encoder.finish().unwrap_or_default()
}
