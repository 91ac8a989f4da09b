//! A file that has to be read here and there, kept on disk while it is: a Parquet file tells at its end what it holds.
//!
//! What is read of it at a time is bounded, whatever the file asks for.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::{ObjectError, damage};

/// AWS writes files of up to 75 MB. A larger one was put together, one larger than this is no flow log.
const FILE_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// What the end of the file tells of its parts: some 5 kB for every row group.
const METADATA_BYTES: usize = 32 * 1024 * 1024;
/// What the pages may need that are open at a time: one for each column, and its dictionary. Writers make pages of up to
/// 1 MiB, and for most fields far smaller ones.
const PAGES_BYTES: u64 = 64 * 1024 * 1024;
/// The header of a page fits, unless it carries statistics.
const HEADER_BYTES: usize = 512;

/// A file without a name. Clones are the same file.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    file: Arc<File>,
    file_bytes: u64,
}

impl Spool {
    /// Everything that `source` has.
    pub(super) fn fill(mut source: impl Read) -> std::result::Result<Self, ObjectError> {
        let mut file = tempfile::tempfile().map_err(ObjectError::Disk)?;
        let mut buffer = vec![0; 256 * 1024];
        let mut file_bytes = 0;
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok(Self { file: Arc::new(file), file_bytes }),
                Ok(count) => {
                    file_bytes += count as u64;
                    if file_bytes > FILE_BYTES {
                        let reason = "it is larger than 4 GiB".to_owned();
                        return Err(ObjectError::Parquet { records: 0, reason });
                    }
                    file.write_all(buffer.get(..count).unwrap_or_default()).map_err(ObjectError::Disk)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(damage(error, 0)),
            }
        }
    }

    fn read(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }

    fn reader(&self, start: u64) -> BufReader<At> {
        BufReader::with_capacity(HEADER_BYTES, At { file: Arc::clone(&self.file), offset: start })
    }
}

impl Length for Spool {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

/// What the file tells of itself.
impl ChunkReader for Spool {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.reader(start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if length > METADATA_BYTES {
            return Err(too_large("the description of its row groups", METADATA_BYTES as u64));
        }
        self.read(start, length)
    }
}

/// The file from a place on.
#[derive(Debug)]
pub(super) struct At {
    file: Arc<File>,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// What all columns hold of a file, in bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<AtomicU64>);

/// The pages of one column.
#[derive(Debug)]
pub(super) struct Pages {
    spool: Spool,
    /// Of all columns.
    held: Held,
    /// The bytes of the dictionary, and of the pages that values may lie in which were read last.
    dictionary: AtomicU64,
    pages: AtomicU64,
    latest: AtomicU64,
}

impl Pages {
    pub(super) fn new(spool: &Spool, held: &Held) -> Self {
        let zero = AtomicU64::default;
        Self { spool: spool.clone(), held: held.clone(), dictionary: zero(), pages: zero(), latest: zero() }
    }

    /// The values that were read are not needed any more; only the latest page and the dictionary are still held.
    pub(super) fn release(&self) {
        let latest = self.latest.load(Ordering::Relaxed);
        let before = self.pages.swap(latest, Ordering::Relaxed);
        self.held.0.fetch_sub(before - latest, Ordering::Relaxed);
    }

    fn hold(&self, page: PageSize) -> Result<()> {
        let bytes = page.bytes.max(page.compressed_bytes);
        if page.is_dictionary {
            self.dictionary.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.pages.fetch_add(bytes, Ordering::Relaxed);
            self.latest.store(bytes, Ordering::Relaxed);
        }
        let before = self.held.0.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > PAGES_BYTES {
            return Err(too_large("what its pages hold together", PAGES_BYTES));
        }
        Ok(())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let held = self.pages.load(Ordering::Relaxed) + self.dictionary.load(Ordering::Relaxed);
        self.held.0.fetch_sub(held, Ordering::Relaxed);
    }
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.spool.file_bytes
    }
}

/// A column is read page by page: first the page's header, then the page.
impl ChunkReader for Pages {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut header = [0; 24];
        let count = self.spool.file.read_at(&mut header, start)?;
        if let Some(page) = header.get(..count).and_then(PageSize::of) {
            self.hold(page)?;
        }
        Ok(self.spool.reader(start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if length as u64 > PAGES_BYTES {
            return Err(too_large("a page", PAGES_BYTES));
        }
        self.spool.read(start, length)
    }
}

fn too_large(what: &str, limit: u64) -> ParquetError {
    ParquetError::General(format!("{what} is more than {} MiB", limit / 1024 / 1024))
}

/// What the header of a page says about its size, before the page is made room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PageSize {
    is_dictionary: bool,
    bytes: u64,
    compressed_bytes: u64,
}

impl PageSize {
    /// Reads the first three fields of a header, all of them 32-bit integers in Thrift's compact protocol: the type, the
    /// size of the page, the size as it is compressed
    /// (<https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>).
    fn of(header: &[u8]) -> Option<Self> {
        // One field further than the last, and a 32-bit integer.
        const NEXT_I32: u8 = 0x15;
        let mut bytes = header.iter().copied();
        let mut field = || {
            (bytes.next()? == NEXT_I32).then_some(())?;
            let mut number = 0_u64;
            for place in 0..5 {
                let byte = bytes.next()?;
                number |= u64::from(byte & 0x7f) << (7 * place);
                if byte < 0x80 {
                    // Zigzag: even numbers are not negative.
                    return number.is_multiple_of(2).then_some(number / 2);
                }
            }
            None
        };
        let (kind, bytes, compressed_bytes) = (field()?, field()?, field()?);
        Some(Self { is_dictionary: kind == 2, bytes, compressed_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_its_size_first() {
        let page = |header: &[u8]| PageSize::of(header);
        let size = |is_dictionary, bytes, compressed_bytes| {
            Some(PageSize { is_dictionary, bytes, compressed_bytes })
        };
        assert_eq!(page(&[0x15, 0x00, 0x15, 0x08, 0x15, 0x06, 0x2c]), size(false, 4, 3));
        assert_eq!(page(&[0x15, 0x04, 0x15, 0x80, 0x80, 0x80, 0x01, 0x15, 0x02]), size(true, 1 << 20, 1));
        assert_eq!(
            page(&[0x15, 0x06, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x15, 0x02]),
            size(false, (1 << 31) - 1, 1)
        );
        for header in [
            &[][..],
            &[0x15],
            &[0x15, 0x01, 0x15, 0x08, 0x15, 0x06],
            &[0x15, 0x00, 0x15, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(page(header), None, "{header:?}");
        }
    }

    #[test]
    fn pages_that_need_too_much_are_refused_before_they_are_read() {
        let spool = Spool::fill(&b"anything"[..]).unwrap();
        let held = Held::default();
        let (one, other) = (Pages::new(&spool, &held), Pages::new(&spool, &held));
        let page = |is_dictionary, bytes| PageSize { is_dictionary, bytes, compressed_bytes: 1 };
        one.hold(page(true, PAGES_BYTES / 2)).unwrap();
        one.hold(page(false, PAGES_BYTES / 4)).unwrap();
        other.hold(page(false, PAGES_BYTES / 4)).unwrap();
        let error = other.hold(page(false, 1)).unwrap_err().to_string();
        assert!(error.contains("64 MiB"), "{error}");
        other.release();
        other.hold(page(false, PAGES_BYTES / 8)).unwrap();
        drop(one);
        other.hold(page(false, PAGES_BYTES / 2)).unwrap();
        drop(other);
        assert_eq!(held.0.load(Ordering::Relaxed), 0);
        assert!(Spool::get_bytes(&spool, 0, METADATA_BYTES + 1).is_err());
        assert_eq!(&spool.get_bytes(2, 3).unwrap()[..], b"yth");
    }
}
