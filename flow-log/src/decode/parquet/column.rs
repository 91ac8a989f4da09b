//! The values of a column, of whatever type.

use std::sync::Arc;

use parquet::basic::{ConvertedType, Type};
use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::NotText;
use crate::decode::spool::Pages;
use crate::record::fields::Kind;
use crate::record::json::{Key, Object};
use crate::record::present;

/// A column of a row group.
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// Its name as a key.
    pub(super) key: Key,
    /// Its values.
    pub(super) cells: Box<dyn Cells>,
}

/// Whether a value could be written, if there was one.
type Written = std::result::Result<(), NotText>;

/// The values of the rows that were read last.
pub(super) trait Cells {
    /// Reads the next `rows` values.
    fn read(&mut self, rows: usize) -> Result<()>;
    /// The value of a row, if it has one and it is text.
    fn text(&self, row: usize) -> Option<&str>;
    /// Writes the value of a row, if it has one.
    fn write(&self, row: usize, key: &Key, object: &mut Object<'_>) -> Written;
}

impl Column {
    /// A column of a row group of `rows` rows; `None` for one that is not a value for each row, but lists or groups.
    pub(super) fn open(column: &ColumnChunkMetaData, rows: usize, pages: Arc<Pages>) -> Result<Option<Self>> {
        let described = column.column_descr();
        if described.path().parts().len() != 1 || described.max_rep_level() > 0 {
            return Ok(None);
        }
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        if start < 0 || column.compressed_size() < 0 {
            return Err(ParquetError::General("a column lies before the beginning of the file".to_owned()));
        }
        let reader = SerializedPageReader::new(Arc::clone(&pages), column, rows, None)?;
        let opening = Opening { column, reader: Box::new(reader), pages };
        let cells: Box<dyn Cells> = match described.physical_type() {
            Type::BOOLEAN => opening.typed::<BoolType>(),
            Type::INT32 => opening.typed::<Int32Type>(),
            Type::INT64 => opening.typed::<Int64Type>(),
            Type::INT96 => opening.typed::<Int96Type>(),
            Type::FLOAT => opening.typed::<FloatType>(),
            Type::DOUBLE => opening.typed::<DoubleType>(),
            Type::BYTE_ARRAY => opening.typed::<ByteArrayType>(),
            Type::FIXED_LEN_BYTE_ARRAY => opening.typed::<FixedLenByteArrayType>(),
        };
        let name = described.name().to_owned();
        Ok(Some(Self { key: Key::new(&name, Kind::of(&name)), name, cells }))
    }
}

struct Opening<'a> {
    column: &'a ColumnChunkMetaData,
    reader: Box<dyn PageReader>,
    pages: Arc<Pages>,
}

impl Opening<'_> {
    fn typed<T: DataType>(self) -> Box<dyn Cells>
    where
        T::T: Cell,
    {
        use ConvertedType::{UINT_8, UINT_16, UINT_32, UINT_64};
        let described = self.column.column_descr_ptr();
        let is_unsigned = matches!(described.converted_type(), UINT_8 | UINT_16 | UINT_32 | UINT_64);
        let full_level = described.max_def_level();
        let reader = ColumnReaderImpl::<T>::new(described, self.reader);
        let (values, levels) = (Vec::new(), Vec::new());
        Box::new(Typed { reader, pages: self.pages, values, levels, full_level, is_unsigned })
    }
}

struct Typed<T: DataType> {
    reader: ColumnReaderImpl<T>,
    pages: Arc<Pages>,
    /// A value for each row, a meaningless one for a row without.
    values: Vec<T::T>,
    /// For each row, the full level if it has a value; empty if all rows have.
    levels: Vec<i16>,
    full_level: i16,
    is_unsigned: bool,
}

impl<T: DataType> Typed<T> {
    fn value(&self, row: usize) -> Option<&T::T> {
        let is_there = self.full_level == 0 || self.levels.get(row) == Some(&self.full_level);
        self.values.get(row).filter(|_| is_there)
    }
}

impl<T: DataType> Cells for Typed<T>
where
    T::T: Cell,
{
    fn read(&mut self, rows: usize) -> Result<()> {
        self.values.clear();
        self.levels.clear();
        self.pages.release();
        let (read, present, _) =
            self.reader.read_records(rows, Some(&mut self.levels), None, &mut self.values)?;
        if read < rows {
            return Err(ParquetError::EOF("a column has fewer values than there are rows".to_owned()));
        }
        // The values that are there come side by side; each is moved to its row, from the last on.
        if present < rows {
            self.values.resize_with(rows, T::T::default);
            let mut place = present;
            for row in (0..rows).rev() {
                if self.levels.get(row) == Some(&self.full_level) {
                    place = place.saturating_sub(1);
                    self.values.swap(place, row);
                }
            }
        }
        Ok(())
    }

    fn text(&self, row: usize) -> Option<&str> {
        self.value(row)?.text()
    }

    fn write(&self, row: usize, key: &Key, object: &mut Object<'_>) -> Written {
        self.value(row).map_or(Ok(()), |value| value.write(key, self.is_unsigned, object))
    }
}

/// A value.
trait Cell {
    /// Itself, if it is text.
    fn text(&self) -> Option<&str> {
        None
    }

    /// Writes it, if it stands for something.
    fn write(&self, key: &Key, is_unsigned: bool, object: &mut Object<'_>) -> Written;
}

impl Cell for bool {
    fn write(&self, key: &Key, _: bool, object: &mut Object<'_>) -> Written {
        object.plain(key, self);
        Ok(())
    }
}

impl Cell for i32 {
    fn write(&self, key: &Key, is_unsigned: bool, object: &mut Object<'_>) -> Written {
        let value = if is_unsigned { i64::from(self.cast_unsigned()) } else { i64::from(*self) };
        value.write(key, false, object)
    }
}

impl Cell for i64 {
    fn write(&self, key: &Key, is_unsigned: bool, object: &mut Object<'_>) -> Written {
        if is_unsigned {
            object.plain(key, self.cast_unsigned());
        } else {
            object.plain(key, self);
        }
        Ok(())
    }
}

/// A time, in seconds as all times of flow logs.
impl Cell for Int96 {
    fn write(&self, key: &Key, _: bool, object: &mut Object<'_>) -> Written {
        object.plain(key, self.to_seconds());
        Ok(())
    }
}

impl Cell for f32 {
    fn write(&self, key: &Key, is_unsigned: bool, object: &mut Object<'_>) -> Written {
        f64::from(*self).write(key, is_unsigned, object)
    }
}

/// Tools that know no integers without a value make these of them; what is no number stands for no value.
impl Cell for f64 {
    fn write(&self, key: &Key, _: bool, object: &mut Object<'_>) -> Written {
        match format!("{self:.0}").parse::<i64>() {
            Ok(whole) if self.fract() == 0.0 => object.plain(key, whole),
            _ if self.is_finite() => object.plain(key, self),
            _ => {}
        }
        Ok(())
    }
}

impl Cell for ByteArray {
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.data()).ok()
    }

    fn write(&self, key: &Key, _: bool, object: &mut Object<'_>) -> Written {
        let text = Cell::text(self).ok_or(NotText)?;
        if let Some(value) = present(text) {
            object.text(key, value, false);
        }
        Ok(())
    }
}

impl Cell for FixedLenByteArray {
    fn text(&self) -> Option<&str> {
        Cell::text(&**self)
    }

    fn write(&self, key: &Key, is_unsigned: bool, object: &mut Object<'_>) -> Written {
        (**self).write(key, is_unsigned, object)
    }
}
