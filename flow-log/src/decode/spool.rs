//! A file that has to be read here and there, kept on disk while it is: a Parquet file tells at its end what it holds.

use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use super::{ObjectError, damage};

/// AWS writes files of up to 75 MB. A larger one was put together, one larger than this is no flow log.
const FILE_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// How much a file in gzip may be larger than the gzip. Parquet is compressed already; what is not shrinks to a tenth.
const GZIP_RATIO: u64 = 32;
/// A file of this size is kept in any case.
const SMALL_BYTES: u64 = 64 * 1024 * 1024;

/// A file without a name. Clones are the same file.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    file: Arc<File>,
    file_bytes: u64,
    object_bytes: u64,
}

impl Spool {
    /// Everything that `source` has; `object_bytes` tells how much of the object was read for it.
    pub(super) fn fill(
        mut source: impl Read,
        object_bytes: &Cell<u64>,
    ) -> std::result::Result<Self, ObjectError> {
        let mut file = tempfile::tempfile().map_err(ObjectError::Disk)?;
        let mut buffer = vec![0; 256 * 1024];
        let mut file_bytes = 0;
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    file_bytes += count as u64;
                    let most = object_bytes.get().saturating_mul(GZIP_RATIO).clamp(SMALL_BYTES, FILE_BYTES);
                    if file_bytes > most {
                        let reason = if most == FILE_BYTES {
                            "it is larger than 4 GiB".to_owned()
                        } else {
                            format!(
                                "its gzip data is larger than 64 MiB, and {GZIP_RATIO} times as large as the gzip"
                            )
                        };
                        return Err(ObjectError::Parquet { records: 0, reason });
                    }
                    file.write_all(buffer.get(..count).unwrap_or_default()).map_err(ObjectError::Disk)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(damage(error, 0)),
            }
        }
        Ok(Self { file: Arc::new(file), file_bytes, object_bytes: object_bytes.get() })
    }

    /// How large the object is that the file came as.
    pub(super) fn object_bytes(&self) -> u64 {
        self.object_bytes
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// What is there of `length` bytes from `start` on.
    pub(super) fn read(&self, start: u64, length: u64) -> std::io::Result<Bytes> {
        let length = length.min(self.file_bytes.saturating_sub(start));
        let mut buffer = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_read_and_no_room_is_made_for_more() {
        let spool = Spool::fill(&b"anything"[..], &Cell::new(8)).unwrap();
        assert_eq!((spool.file_bytes(), spool.object_bytes()), (8, 8));
        for (start, length, expected) in
            [(2, 3, &b"yth"[..]), (6, u64::MAX, b"ng"), (8, 1, b""), (u64::MAX, 9, b"")]
        {
            assert_eq!(&spool.read(start, length).unwrap()[..], expected);
        }
    }

    #[test]
    fn what_a_gzip_holds_is_bounded_by_its_size() {
        let zeros = |bytes| std::io::repeat(0).take(bytes);
        assert!(Spool::fill(zeros(SMALL_BYTES), &Cell::new(1)).is_ok());
        let error = Spool::fill(zeros(u64::MAX), &Cell::new(1)).unwrap_err().to_string();
        assert!(error.contains("64 MiB"), "{error}");
        let large = SMALL_BYTES / GZIP_RATIO + 1;
        assert!(Spool::fill(zeros(SMALL_BYTES + 1), &Cell::new(large)).is_ok());
    }
}
