//! What an object is, by its first bytes.

use super::parquet;

/// How many bytes tell what an object is.
pub(super) const START_BYTES: u64 = 4;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Parquet,
    Gzip,
    /// Text, or nothing at all.
    Text,
    /// Text that is not UTF-8.
    Utf16,
    /// What flow logs are not, in words that follow on "it is".
    Other(&'static str),
}

impl Kind {
    pub(super) fn of(start: &[u8]) -> Self {
        match *start {
            // Of one byte it cannot be told: such an object is cut.
            [0x1f] | [0x1f, 0x8b, ..] => Self::Gzip,
            _ if parquet::begins(start) => Self::Parquet,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Self::Utf16,
            [letter, 0, _, 0] | [0, letter, 0, _] if letter.is_ascii_graphic() => Self::Utf16,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Other("compressed with zstd"),
            [0xfd, b'7', b'z', b'X'] => Self::Other("compressed with xz"),
            [b'B', b'Z', b'h', b'1'..=b'9'] => Self::Other("compressed with bzip2"),
            [0xff, 6, 0, 0] => Self::Other("compressed with Snappy"),
            [b'P', b'K', 3, 4] => Self::Other("a ZIP archive"),
            [b'O', b'b', b'j', 1] => Self::Other("an Avro file"),
            [b'O', b'R', b'C', ..] => Self::Other("an ORC file"),
            _ if start.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) => {
                Self::Other("binary data of some other kind")
            }
            _ => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_known_by_its_first_bytes() {
        for (start, kind) in [
            (&b"PAR1"[..], Kind::Parquet),
            (&[0x1f, 0x8b, 8, 0], Kind::Gzip),
            (&[0x1f], Kind::Gzip),
            (b"vers", Kind::Text),
            (b"2 11", Kind::Text),
            (b"\n\r\n2", Kind::Text),
            ("\u{feff}v".as_bytes(), Kind::Text),
            (b"", Kind::Text),
            (&[0xff, 0xff, 0xff, 0xff], Kind::Text),
            (&[0xff, 0xfe, b'v', 0], Kind::Utf16),
            (&[0xfe, 0xff, 0, b'v'], Kind::Utf16),
            (&[b'v', 0, b'e', 0], Kind::Utf16),
            (&[0, b'v', 0, b'e'], Kind::Utf16),
            (&[0x28, 0xb5, 0x2f, 0xfd], Kind::Other("compressed with zstd")),
            (b"PK\x03\x04", Kind::Other("a ZIP archive")),
            (&[0, 0, 0, 0], Kind::Other("binary data of some other kind")),
            (&[0x1f, 0x9d, 0x90, 1], Kind::Other("binary data of some other kind")),
        ] {
            assert_eq!(Kind::of(start), kind, "{}", start.escape_ascii());
        }
    }
}
