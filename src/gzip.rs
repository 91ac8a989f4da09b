//! Bodies of requests and files of the state in gzip, each at once, from the pieces that it is made of.
//!
//! Two compressors do the work: igzip, which is a library of C and assembler (feature `igzip`), and zlib-rs, which needs
//! nothing.

#[cfg(feature = "igzip")]
mod igzip;
mod zlib;

/// A body as one member of gzip.
pub fn compress<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    #[cfg(feature = "igzip")]
    if let Some(compressed) = igzip::compress(pieces.clone()) {
        return compressed;
    }
    zlib::compress(pieces)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::{compress, zlib};

    fn comes_back(pieces: &[&[u8]]) {
        for compressed in [compress(pieces.iter().copied()), zlib::compress(pieces.iter().copied())] {
            let mut body = Vec::new();
            let mut rest = &compressed[..];
            flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut body).unwrap();
            assert_eq!((body, rest), (pieces.concat(), &[][..]), "one member, and nothing after it");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_compressed_comes_back(pieces in prop::collection::vec(prop::collection::vec(0_u8..9, 0..900), 0..9)) {
            comes_back(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }

    #[test]
    fn long_bodies_of_any_kind_come_back() {
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = (0..3_000_000).map(|_| random.u8(..)).collect();
        comes_back(&[&noise]);
        comes_back(&[&noise[..1], &[b'a'; 5_000_000], &noise[..100_000], b""]);
        comes_back(&[]);
        let line =
            br#""2 111122223333 eni-0a1b2c3d4e5f60718 10.0.0.5 10.0.1.7 443 49152 6 10 840 1 2 ACCEPT OK","#;
        let compressed = compress(std::iter::repeat_n(&line[..], 10_000));
        assert!(compressed.len() < line.len() * 10_000 / 10, "{}", compressed.len());
    }
}
