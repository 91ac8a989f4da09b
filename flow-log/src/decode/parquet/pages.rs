//! The pages of a column, one after the other, within bounds that hold whatever a file claims: before room is made for
//! anything, what it takes is held against what all columns of the file may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

use super::codec;
use super::delta::ByteArrays;
use super::footer::{Chunk, Values};
use super::header::Header;
use super::thrift::{Damage, Reader};
use crate::decode::spool::Spool;

/// What the pages may take that are open at a time: one for each column, and its dictionary. Writers make pages of up to
/// 1 MiB, and for most fields far smaller ones.
const PAGES_BYTES: u64 = 64 * 1024 * 1024;
/// The header of a page fits, unless it carries statistics; with those it has as many at most.
const HEADER_BYTES: u64 = 512;
const LARGE_HEADER_BYTES: u64 = 1024 * 1024;
/// What the reader makes of an array of bytes in a dictionary, beside its bytes.
const ARRAY_BYTES: u64 = 32;

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// What all columns of a file hold, and what was made of its pages so far.
#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicU64,
    made: AtomicU64,
    /// What may be made of all its pages.
    made_most: u64,
}

impl Budget {
    pub(super) fn new(made_most: u64) -> Arc<Self> {
        Arc::new(Self { held: AtomicU64::new(0), made: AtomicU64::new(0), made_most })
    }
}

/// What one column holds.
#[derive(Debug)]
pub(super) struct Hold {
    budget: Arc<Budget>,
    /// The bytes of the dictionary, of the pages that values may lie in which were read last, and of the last of those.
    dictionary: AtomicU64,
    pages: AtomicU64,
    latest: AtomicU64,
}

impl Hold {
    pub(super) fn new(budget: &Arc<Budget>) -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self { budget: Arc::clone(budget), dictionary: zero(), pages: zero(), latest: zero() })
    }

    /// The values that were read are not needed any more; only the latest page and the dictionary are still held.
    pub(super) fn release(&self) {
        let latest = self.latest.load(Ordering::Relaxed);
        let before = self.pages.swap(latest, Ordering::Relaxed);
        self.budget.held.fetch_sub(before - latest, Ordering::Relaxed);
    }

    /// Room for so many bytes, for as long as the page is.
    fn hold(&self, bytes: u64, is_dictionary: bool) -> Result<()> {
        if is_dictionary {
            self.dictionary.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.pages.fetch_add(bytes, Ordering::Relaxed);
            self.latest.fetch_add(bytes, Ordering::Relaxed);
        }
        self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        self.fits(0)?;
        self.made(bytes)
    }

    /// Whether there is room for so many bytes for a moment.
    fn fits(&self, bytes: u64) -> Result<()> {
        if self.budget.held.load(Ordering::Relaxed).saturating_add(bytes) > PAGES_BYTES {
            return Err(damaged("what its pages hold together is more than 64 MiB"));
        }
        Ok(())
    }

    fn made(&self, bytes: u64) -> Result<()> {
        let made = self.budget.made.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if made > self.budget.made_most {
            return Err(damaged("its pages hold a thousand times as much as the object"));
        }
        Ok(())
    }

    /// Another page is the latest.
    fn turn(&self) {
        self.latest.store(0, Ordering::Relaxed);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let held = self.pages.load(Ordering::Relaxed) + self.dictionary.load(Ordering::Relaxed);
        self.budget.held.fetch_sub(held, Ordering::Relaxed);
    }
}

/// The pages of a column that were not read yet.
pub(super) struct Pages {
    spool: Spool,
    hold: Arc<Hold>,
    values: Values,
    codec: i64,
    offset: u64,
    /// Bytes and rows that are still to come.
    bytes: u64,
    rows: u64,
}

impl Pages {
    pub(super) fn new(spool: &Spool, hold: &Arc<Hold>, values: Values, chunk: Chunk, rows: u64) -> Self {
        let (spool, hold) = (spool.clone(), Arc::clone(hold));
        let Chunk { codec, start: offset, bytes } = chunk;
        Self { spool, hold, values, codec, offset, bytes, rows }
    }

    fn next_page(&mut self) -> Result<Option<Page>> {
        while self.bytes > 0 {
            let header = self.header()?;
            let compressed = u64::try_from(header.compressed).ok().filter(|bytes| *bytes <= self.bytes);
            let bytes = u64::try_from(header.bytes).ok();
            let (Some(compressed), Some(bytes)) = (compressed, bytes) else {
                return Err(damaged("a page has a size that cannot be"));
            };
            let place = self.offset;
            self.pass(compressed);
            // Pages of an index are passed over.
            if header.kind != Header::INDEX {
                return self.page(&header, place, compressed, bytes).map(Some);
            }
        }
        Ok(None)
    }

    fn pass(&mut self, bytes: u64) {
        self.offset += bytes;
        self.bytes -= bytes;
    }

    /// Reads the header of the next page, and passes it.
    fn header(&mut self) -> Result<Header> {
        let mut most = HEADER_BYTES;
        loop {
            let bytes = self.spool.read(self.offset, most.min(self.bytes))?;
            let mut reader = Reader(&bytes);
            match Header::read(&mut reader) {
                Ok(header) => {
                    self.pass((bytes.len() - reader.0.len()) as u64);
                    return Ok(header);
                }
                Err(Damage::Cut) if most < self.bytes && most < LARGE_HEADER_BYTES => most *= 8,
                Err(_) => return Err(damaged("the header of a page cannot be read")),
            }
        }
    }

    fn page(&mut self, header: &Header, place: u64, compressed: u64, bytes: u64) -> Result<Page> {
        let is_dictionary = header.kind == Header::DICTIONARY;
        if !is_dictionary {
            self.hold.turn();
            // There is a value, or none, for each row.
            let rows = u64::try_from(header.values).ok().and_then(|values| self.rows.checked_sub(values));
            self.rows = rows.ok_or_else(|| damaged("a column has more values than there are rows"))?;
        }
        let levels = header.levels()?;
        let is_compressed = codec::compresses(self.codec) && header.is_compressed;
        let buffer = if is_compressed {
            self.hold.hold(bytes, is_dictionary)?;
            self.hold.fits(compressed)?;
            let from = self.read(header, place, compressed)?;
            let mut page = vec![0; usize::try_from(bytes)?];
            let too_short = || damaged("a page is too short");
            let (kept, from) = from.split_at_checked(levels).ok_or_else(too_short)?;
            let (start, rest) = page.split_at_mut_checked(levels).ok_or_else(too_short)?;
            start.copy_from_slice(kept);
            // Nothing is compressed to nothing.
            if !rest.is_empty() {
                codec::decompress(self.codec, from, rest)?;
            }
            page.into()
        } else {
            self.hold.hold(compressed, is_dictionary)?;
            self.read(header, place, compressed)?
        };
        if is_dictionary { self.dictionary(header, buffer) } else { self.data(header, buffer, levels) }
    }

    fn read(&self, header: &Header, place: u64, bytes: u64) -> Result<Bytes> {
        let read = self.spool.read(place, bytes)?;
        if read.len() as u64 != bytes {
            return Err(ParquetError::EOF("a page is cut off".to_owned()));
        }
        if header.checksum.is_some_and(|sum| sum != i64::from(crc32fast::hash(&read).cast_signed())) {
            return Err(damaged("the checksum of a page is wrong"));
        }
        Ok(read)
    }

    fn dictionary(&self, header: &Header, buf: Bytes) -> Result<Page> {
        // What a value takes in the page at least, and what it takes once it is read.
        let (least, made) = match self.values.physical {
            Type::BOOLEAN => (0, 0),
            Type::INT32 | Type::FLOAT => (4, 4),
            Type::INT64 | Type::DOUBLE => (8, 8),
            Type::INT96 => (12, 12),
            Type::BYTE_ARRAY => (4, ARRAY_BYTES),
            Type::FIXED_LEN_BYTE_ARRAY => (u64::try_from(self.values.length)?, ARRAY_BYTES),
        };
        let num_values = u32::try_from(header.values)?;
        if least == 0 || u64::from(num_values).saturating_mul(least) > buf.len() as u64 {
            return Err(damaged("a dictionary has more values than bytes"));
        }
        self.hold.hold(u64::from(num_values) * made, true)?;
        let encoding = encoding(header.encoding)?;
        Ok(Page::DictionaryPage { buf, num_values, encoding, is_sorted: false })
    }

    fn data(&self, header: &Header, buf: Bytes, levels: usize) -> Result<Page> {
        let num_values = u32::try_from(header.values)?;
        let (buf, encoding) = self.without_deltas(header, buf, levels)?;
        if header.kind == Header::DATA {
            return Ok(Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding: self::encoding(header.level_encoding)?,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            });
        }
        Ok(Page::DataPageV2 {
            buf,
            num_values,
            encoding,
            num_nulls: u32::try_from(header.nulls)?,
            num_rows: num_values,
            def_levels_byte_len: u32::try_from(header.definition_bytes)?,
            rep_levels_byte_len: u32::try_from(header.repetition_bytes)?,
            is_compressed: false,
            statistics: None,
        })
    }

    /// A page of which no value is told by the one before it.
    fn without_deltas(&self, header: &Header, buf: Bytes, levels: usize) -> Result<(Bytes, Encoding)> {
        const DELTA_LENGTH_BYTE_ARRAY: i64 = 6;
        const DELTA_BYTE_ARRAY: i64 = 7;
        let parse = match header.encoding {
            DELTA_LENGTH_BYTE_ARRAY => ByteArrays::of_lengths,
            DELTA_BYTE_ARRAY => ByteArrays::of_prefixes,
            other => return Ok((buf, encoding(other)?)),
        };
        let fixed = match self.values.physical {
            Type::BYTE_ARRAY => None,
            Type::FIXED_LEN_BYTE_ARRAY => Some(usize::try_from(self.values.length)?),
            _ => return Err(damaged("a page has an encoding that its type has not")),
        };
        let levels = if header.kind == Header::DATA { self.levels(header, &buf)? } else { levels };
        let (kept, deltas) = buf.split_at_checked(levels).ok_or_else(|| damaged("a page is too short"))?;
        let arrays = parse(deltas, u64::try_from(header.values)?)?;
        let bytes = arrays.plain_bytes(fixed)?.saturating_add(levels as u64);
        self.hold.hold(bytes, false)?;
        let mut plain = Vec::with_capacity(usize::try_from(bytes)?);
        plain.extend_from_slice(kept);
        arrays.write_plain(fixed, &mut plain)?;
        Ok((plain.into(), Encoding::PLAIN))
    }

    /// The bytes of the levels before the values of a page of the first version.
    fn levels(&self, header: &Header, buf: &[u8]) -> Result<usize> {
        if !self.values.is_optional {
            return Ok(0);
        }
        if encoding(header.level_encoding)? == Encoding::RLE {
            let length = buf.first_chunk::<4>().ok_or_else(|| damaged("a page is too short"))?;
            return Ok(usize::try_from(u32::from_le_bytes(*length))?.saturating_add(4));
        }
        Ok(usize::try_from(header.values)?.div_ceil(8))
    }
}

/// The encodings that the reader knows, by their numbers, but those of deltas between byte arrays.
fn encoding(number: i64) -> Result<Encoding> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        #[expect(deprecated, reason = "old files have it")]
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return Err(ParquetError::NYI(format!("encoding {number} is not read"))),
    })
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.next_page()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Err(damaged("pages are read one after the other"))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Err(damaged("pages are read one after the other"))
    }
}
