//! Records out of Parquet: each row as a JSON object, its keys in the order of the columns.
//!
//! All columns are read side by side, a thousand rows at a time, so that of each only the page is in memory that the rows
//! lie in, however large its row groups are.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy, RowGroupMetaData,
};

use self::column::Column;
use super::block::{Block, Fault, Filling};
use super::spool::{Held, Pages, Spool};
use super::{Decoder, ObjectError};
use crate::record::Places;
use crate::record::fields::is_known;

mod column;

/// What every Parquet file begins with, and one whose end is encrypted.
const MAGIC: [&[u8]; 2] = [b"PAR1", b"PARE"];
/// Rows that are read from each column before the next: enough that the calls do not count.
const ROWS: usize = 1024;

/// Whether it is the beginning of a Parquet file.
pub fn begins(start: &[u8]) -> bool {
    MAGIC.iter().any(|magic| start.starts_with(magic))
}

/// Why a row is no record.
#[derive(Debug)]
struct NotText;

/// Decodes a file into blocks for `emit`, which may break it off.
pub(super) fn decode(
    spool: &Spool,
    decoder: &Decoder,
    emit: impl FnMut(Block) -> ControlFlow<()>,
) -> std::result::Result<(), ObjectError> {
    let mut rows = Rows { decoder, block: Filling::default(), emit };
    // The library takes some things for granted in a file's description. A file of which they are not true is damaged.
    let decoded = catch_unwind(AssertUnwindSafe(|| rows.of_file(spool)));
    let decoded =
        decoded.unwrap_or_else(|_| Err(ParquetError::General("its description is wrong".to_owned()).into()));
    let records = rows.block.end();
    decoded.map_err(|error| match error {
        Failure::Parquet(error) => ObjectError::Parquet { records, reason: error.to_string() },
        Failure::NotFlowLog => ObjectError::NotFlowLog,
    })
}

/// The columns of a file of `file_bytes`, as fields with dashes, out of its last bytes; `None` if those are too few or no
/// end of a Parquet file.
pub fn fields(end: &Bytes, file_bytes: u64) -> Option<Vec<String>> {
    let read = || {
        let mut reader = ParquetMetaDataReader::new();
        reader.try_parse_sized(end, file_bytes).ok()?;
        let file = reader.finish().ok()?;
        let columns = file.file_metadata().schema_descr().columns();
        Some(columns.iter().map(|column| column.path().string().replace('_', "-")).collect())
    };
    catch_unwind(AssertUnwindSafe(read)).ok()?
}

/// What keeps a file from being decoded.
enum Failure {
    Parquet(ParquetError),
    NotFlowLog,
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
}

impl<E: FnMut(Block) -> ControlFlow<()>> Rows<'_, E> {
    fn of_file(&mut self, spool: &Spool) -> std::result::Result<(), Failure> {
        let skip = ParquetStatisticsPolicy::SkipAll;
        let options = ParquetMetaDataOptions::new()
            .with_column_stats_policy(skip.clone())
            .with_size_stats_policy(skip.clone())
            .with_encoding_stats_policy(skip);
        let reader = ParquetMetaDataReader::new().with_metadata_options(Some(options));
        let file: ParquetMetaData = reader.parse_and_finish(spool)?;
        let columns = file.file_metadata().schema_descr().columns();
        if !columns.iter().any(|column| is_known(&column.name().replace('_', "-"))) {
            return Err(Failure::NotFlowLog);
        }
        let held = Held::default();
        for group in file.row_groups() {
            if self.of_group(group, spool, &held)?.is_break() {
                return Ok(());
            }
        }
        self.block.end_with(&mut self.emit);
        Ok(())
    }

    fn of_group(&mut self, group: &RowGroupMetaData, spool: &Spool, held: &Held) -> Result<ControlFlow<()>> {
        let mut rows = usize::try_from(group.num_rows())?;
        let pages = || Arc::new(Pages::new(spool, held));
        let columns: Result<Vec<Option<Column>>> =
            group.columns().iter().map(|column| Column::open(column, rows, pages())).collect();
        let mut columns: Vec<Column> = columns?.into_iter().flatten().collect();
        let names: Vec<String> = columns.iter().map(|column| column.name.replace('_', "-")).collect();
        let places = Places::among(&names.iter().map(String::as_str).collect::<Vec<_>>());
        while rows > 0 {
            let count = rows.min(ROWS);
            rows -= count;
            columns.iter_mut().try_for_each(|column| column.cells.read(count))?;
            for row in 0..count {
                self.row(row, &columns, &places);
                if self.block.is_full() && (self.emit)(self.block.finish()).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn row(&mut self, row: usize, columns: &[Column], places: &Places) {
        let value = |place: usize| columns.get(place)?.cells.text(row);
        if !self.decoder.wants(&mut self.block, places, value) {
            return;
        }
        let written = self.block.push_object(|object| {
            columns.iter().try_for_each(|column| column.cells.write(row, &column.key, object))
        });
        if let Err(NotText) = written {
            self.block.reject(self.block.end() + 1, Fault::NotUtf8);
        }
    }
}
