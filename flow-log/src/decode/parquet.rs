//! Records out of Parquet: each row as a JSON object, its keys in the order of the columns.
//!
//! All columns are read side by side, a thousand rows at a time, so that of each only the page is in memory that the rows
//! lie in, however large its row groups are. The library decodes the values of a page; what a file says of itself and what
//! its pages hold is read here, where each bound is kept before room is made for anything: a few bytes of Parquet may stand
//! for any number of rows and for any amount of memory.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};

use self::column::Cells;
use self::fields::{Naming, named};
use self::footer::{Footer, Group};
use self::grouped::Grouped;
use self::pages::{Budget, Hold, Pages};
use self::value::Written;
use super::block::{Block, Filling};
use super::spool::Spool;
use super::tally::Fault;
use super::{Decoder, ObjectError};
use crate::aggregate::merging::Merging;
use crate::record::{Places, Values};

mod calendar;
mod codec;
mod column;
mod delta;
mod fields;
mod footer;
mod grouped;
mod header;
mod pages;
mod thrift;
mod types;
mod value;

/// What every Parquet file begins with, and one whose end is encrypted.
const MAGIC: [&[u8]; 2] = [b"PAR1", b"PARE"];
/// Its length and the magic bytes are after a file's description of itself.
const END_BYTES: u64 = 8;
/// What a file may say of itself: some 5 kB for every row group.
const FOOTER_BYTES: u64 = 16 * 1024 * 1024;
/// Rows that are read from each column before the next: enough that the calls do not count.
const ROWS: usize = 1024;
/// Values that are read before they are written, however many columns there are.
const VALUES: usize = 128 * 1024;
/// A row has some hundred bytes, one with every field and tags a few thousand. A larger one is no record.
const RECORD_BYTES: usize = 2 * 1024 * 1024;
/// What compression can make of a byte: gzip, of text, makes a thousand of them, which are ten records.
const BYTES_PER_BYTE: u64 = 1024;
const ROWS_PER_BYTE: u64 = 10;
/// What is read of any file, however small it is.
const SMALL_BYTES: u64 = 256 * 1024 * 1024;
const SMALL_ROWS: u64 = 1024 * 1024;

/// Whether it is the beginning of a Parquet file.
pub fn begins(start: &[u8]) -> bool {
    MAGIC.iter().any(|magic| start.starts_with(magic))
}

/// Why a row is no record: a value that AWS cannot have written.
#[derive(Debug)]
struct NotWritable;

/// Decodes a file into blocks for `emit`, which may break it off.
pub(super) fn decode(
    spool: &Spool,
    decoder: &Decoder,
    emit: impl FnMut(Block) -> ControlFlow<()>,
) -> std::result::Result<(), ObjectError> {
    let most = BYTES_PER_BYTE.saturating_mul(spool.object_bytes()).saturating_add(SMALL_BYTES);
    let budget = Budget::new(most);
    let mut rows = Rows { decoder, block: Filling::default(), emit, bytes_left: most, budget, grouped: None };
    // The library takes some things for granted in a page. A file of which they are not true is damaged.
    let decoded = catch_unwind(AssertUnwindSafe(|| rows.of_file(spool)));
    let decoded =
        decoded.unwrap_or_else(|_| Err(ParquetError::General("a page is damaged".to_owned()).into()));
    let records = rows.block.end();
    decoded.map_err(|error| match error {
        Failure::Parquet(error) => ObjectError::Parquet { records, reason: error.to_string() },
        Failure::NotFlowLog(error) => error,
    })
}

/// The fields of a file of `file_bytes`, with dashes, out of its last bytes; `None` if those are too few or no end of a
/// Parquet file.
pub fn fields(end: &Bytes, file_bytes: u64) -> Option<Vec<String>> {
    let bytes = footer_bytes(end, file_bytes).ok()?;
    let start = (end.len() as u64).checked_sub(END_BYTES + bytes)?;
    let description = end.get(usize::try_from(start).ok()?..)?;
    let footer = Footer::read(&end.slice_ref(description)).ok()?;
    Some(named(&footer.columns).ok()?.iter().map(Naming::dashed).collect())
}

/// Where the fields are among columns that decide about a record.
fn places(columns: &[Naming]) -> Places {
    let names: Vec<String> = columns.iter().map(Naming::dashed).collect();
    Places::among(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// How much a file of `file_bytes` says of itself, according to its last bytes.
fn footer_bytes(end: &[u8], file_bytes: u64) -> Result<u64> {
    let wrong = |why: &str| Err(ParquetError::General(why.to_owned()));
    let Some([a, b, c, d, magic @ ..]) = end.last_chunk::<8>() else { return wrong("it is cut off") };
    if magic == b"PARE" {
        return wrong("it is encrypted");
    }
    if magic != b"PAR1" {
        return wrong("it is cut off: its end is not that of a Parquet file");
    }
    let bytes = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
    if bytes > FOOTER_BYTES {
        return wrong("the description of its row groups is more than 16 MiB");
    }
    if bytes + END_BYTES > file_bytes { wrong("its description is larger than it is") } else { Ok(bytes) }
}

fn damaged(_: thrift::Damage) -> ParquetError {
    ParquetError::General("its description is wrong".to_owned())
}

/// What keeps a file from being decoded.
enum Failure {
    Parquet(ParquetError),
    NotFlowLog(ObjectError),
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

/// Turns rows into records.
struct Rows<'a, E> {
    decoder: &'a Decoder,
    block: Filling,
    emit: E,
    /// How many bytes its records may still have.
    bytes_left: u64,
    budget: std::sync::Arc<Budget>,
    /// What is held, if records are merged.
    grouped: Option<Grouped>,
}

impl<E: FnMut(Block) -> ControlFlow<()>> Rows<'_, E> {
    fn of_file(&mut self, spool: &Spool) -> std::result::Result<(), Failure> {
        let file_bytes = spool.file_bytes();
        let end = spool.read(file_bytes.saturating_sub(END_BYTES), END_BYTES).map_err(ParquetError::from)?;
        let bytes = footer_bytes(&end, file_bytes)?;
        let description = spool.read(file_bytes - END_BYTES - bytes, bytes).map_err(ParquetError::from)?;
        let footer = Footer::read(&description).map_err(damaged)?;
        let mut columns = named(&footer.columns).map_err(Failure::NotFlowLog)?;
        self.select(&mut columns);
        let most = ROWS_PER_BYTE.saturating_mul(spool.object_bytes()).saturating_add(SMALL_ROWS);
        let mut rows = 0_u64;
        for group in footer.groups() {
            rows = rows.saturating_add(group.map_err(damaged)?.rows);
        }
        if rows > most {
            let why =
                format!("it tells of {rows} rows, which its {} bytes cannot hold", spool.object_bytes());
            return Err(ParquetError::General(why).into());
        }
        for group in footer.groups() {
            if self.of_group(&group.map_err(damaged)?, &columns, spool)?.is_break() {
                return Ok(());
            }
        }
        if self.release()?.is_continue() {
            self.block.end_with(&mut self.emit);
        }
        Ok(())
    }

    /// Leaves the columns that go out, and those that decide what becomes of a record: the others are not read.
    fn select(&mut self, columns: &mut Vec<Naming>) {
        let places = places(columns);
        self.block.expect_fields(&places);
        let Decoder { filter, selection, aggregate, .. } = self.decoder;
        let decisive: Vec<usize> = filter.looks_at(&places).chain(places.log_status).collect();
        let merging = Merging::of(*aggregate, &places);
        let mut place = 0..;
        columns.retain_mut(|column| {
            column.is_sent = selection.wants(&column.dashed());
            let is_decisive = place.next().is_some_and(|place| decisive.contains(&place));
            // Records are merged that agree in all columns.
            is_decisive || column.is_sent || merging.is_some()
        });
        self.grouped = merging.map(|merging| Grouped::new(merging, columns));
    }

    fn of_group(&mut self, group: &Group, columns: &[Naming], spool: &Spool) -> Result<ControlFlow<()>> {
        let mut rows = usize::try_from(group.rows)?;
        let open = |Naming { name, values, .. }: &Naming| {
            let chunk = group.chunks.get(values.place).copied().unwrap_or_default();
            let hold = Hold::new(&self.budget);
            column::open(name, *values, Pages::new(spool, &hold, *values, chunk, group.rows), hold)
        };
        let mut cells = columns.iter().map(open).collect::<Result<Vec<_>>>()?;
        let places = places(columns);
        let at_once = ROWS.min(VALUES / cells.len().max(1)).max(1);
        while rows > 0 {
            let count = rows.min(at_once);
            rows -= count;
            cells.iter_mut().try_for_each(|cells| cells.read(count))?;
            for row in 0..count {
                if self.row(row, &cells, columns, &places)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn emit(&mut self) -> Result<ControlFlow<()>> {
        self.spend(self.block.bytes())?;
        Ok((self.emit)(self.block.finish()))
    }

    /// Counts bytes of records, of which there may be so many.
    fn spend(&mut self, bytes: usize) -> Result<()> {
        let left = self.bytes_left.checked_sub(bytes as u64);
        self.bytes_left = left.ok_or_else(|| {
            ParquetError::General(
                "its records are more than a thousand times as large as the object".to_owned(),
            )
        })?;
        Ok(())
    }

    fn row(
        &mut self,
        row: usize,
        cells: &[Box<dyn Cells>],
        columns: &[Naming],
        places: &Places,
    ) -> Result<ControlFlow<()>> {
        let values = Row { cells, row };
        if self.decoder.wants(&mut self.block, places, &values) {
            let written = match &mut self.grouped {
                Some(grouped) => grouped.write_key(&values),
                None => self.write(&values, columns),
            };
            if let Err(NotWritable) = written {
                self.block.reject(self.block.end() + 1, Fault::Foreign);
            } else if self.grouped.is_some() && self.hold(&values, columns)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if self.block.is_full() { self.hand_on() } else { Ok(ControlFlow::Continue(())) }
    }

    fn write(&mut self, row: &Row<'_>, columns: &[Naming]) -> Written {
        let mut sent = row.cells.iter().zip(columns).filter(|(_, column)| column.is_sent);
        self.block.push_object(|object| {
            sent.try_for_each(|(cells, _)| {
                cells.write(row.row, object)?;
                if object.bytes() > RECORD_BYTES { Err(NotWritable) } else { Ok(()) }
            })
        })
    }
}

/// The values of a row.
struct Row<'a> {
    cells: &'a [Box<dyn Cells>],
    row: usize,
}

impl Values for Row<'_> {
    fn text(&self, place: usize) -> Option<&[u8]> {
        self.cells.get(place)?.text(self.row)
    }

    fn number(&self, place: usize) -> Option<u64> {
        self.cells.get(place)?.number(self.row)
    }
}
