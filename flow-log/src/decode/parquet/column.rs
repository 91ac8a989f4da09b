//! The values of a column, of whatever type.

use std::sync::Arc;

use parquet::basic::{Repetition, Type};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::{ColumnDescriptor, ColumnPath, Type as Schema};

use super::footer::Values;
use super::pages::{Hold, Pages};
use super::types::Unit;
use super::value::{Form, Written};
use crate::record::json::Object;
use crate::record::number;

/// The longest of a fixed length that are read: an address has 16 bytes, a large decimal 32.
const FIXED_BYTES: i32 = 4096;
/// The day on which 1970 began, as times of 96 bits count them.
const JULIAN_1970: i64 = 2_440_588;

/// The values of the rows that were read last.
pub(super) trait Cells {
    /// Reads the next `rows` values.
    fn read(&mut self, rows: usize) -> Result<()>;
    /// The value of a row, if it has one and it is text.
    fn text(&self, row: usize) -> Option<&[u8]>;
    /// The value of a row, if it is written as a whole number.
    fn number(&self, row: usize) -> Option<u64>;
    /// Writes the value of a row, if it has one.
    fn write(&self, row: usize, object: &mut Object<'_>) -> Written;
}

/// The values of a column in a row group, written under a name.
pub(super) fn open(name: &str, values: Values, pages: Pages, hold: Arc<Hold>) -> Result<Box<dyn Cells>> {
    if values.physical == Type::FIXED_LEN_BYTE_ARRAY && !(1..=FIXED_BYTES).contains(&values.length) {
        return Err(ParquetError::General("a column has values of a length that is not read".to_owned()));
    }
    let repetition = if values.is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let schema = Schema::primitive_type_builder(name, values.physical)
        .with_repetition(repetition)
        .with_length(values.length)
        .build()?;
    let path = ColumnPath::from(name);
    let described = ColumnDescriptor::new(Arc::new(schema), i16::from(values.is_optional), 0, path);
    let form = Form::new(name, values.physical, values.length, values.meaning);
    let opening = Opening { described: Arc::new(described), pages, hold, form };
    Ok(match values.physical {
        Type::BOOLEAN => opening.typed::<BoolType>(),
        Type::INT32 => opening.typed::<Int32Type>(),
        Type::INT64 => opening.typed::<Int64Type>(),
        Type::INT96 => opening.typed::<Int96Type>(),
        Type::FLOAT => opening.typed::<FloatType>(),
        Type::DOUBLE => opening.typed::<DoubleType>(),
        Type::BYTE_ARRAY => opening.typed::<ByteArrayType>(),
        Type::FIXED_LEN_BYTE_ARRAY => opening.typed::<FixedLenByteArrayType>(),
    })
}

struct Opening {
    described: Arc<ColumnDescriptor>,
    pages: Pages,
    hold: Arc<Hold>,
    form: Form,
}

impl Opening {
    fn typed<T: DataType>(self) -> Box<dyn Cells>
    where
        T::T: Cell,
    {
        let full_level = self.described.max_def_level();
        let reader = ColumnReaderImpl::<T>::new(self.described, Box::new(self.pages));
        let (values, levels) = (Vec::new(), Vec::new());
        Box::new(Typed { reader, hold: self.hold, values, levels, full_level, form: self.form })
    }
}

struct Typed<T: DataType> {
    reader: ColumnReaderImpl<T>,
    hold: Arc<Hold>,
    /// A value for each row, a meaningless one for a row without.
    values: Vec<T::T>,
    /// For each row, the full level if it has a value; empty if all rows have.
    levels: Vec<i16>,
    full_level: i16,
    form: Form,
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
        self.hold.release();
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

    fn text(&self, row: usize) -> Option<&[u8]> {
        self.value(row).filter(|_| self.form.is_text())?.text()
    }

    fn number(&self, row: usize) -> Option<u64> {
        let value = self.value(row)?;
        if let Some(integer) = value.integer().filter(|_| self.form.is_plain_integer()) {
            return u64::try_from(integer).ok();
        }
        // Of any other type it is what is written.
        let mut written = Vec::with_capacity(64);
        value.write(&self.form, &mut Object::begin(&mut written)).ok()?;
        let value = written.strip_suffix(b",")?;
        number(value.rsplit(|byte| *byte == b':').next()?)
    }

    fn write(&self, row: usize, object: &mut Object<'_>) -> Written {
        self.value(row).map_or(Ok(()), |value| value.write(&self.form, object))
    }
}

/// A value.
trait Cell {
    /// Itself, if it is text.
    fn text(&self) -> Option<&[u8]> {
        None
    }

    /// Itself, if it is stored as an integer.
    fn integer(&self) -> Option<i64> {
        None
    }

    /// Writes it, if it stands for something.
    fn write(&self, form: &Form, object: &mut Object<'_>) -> Written;
}

impl Cell for bool {
    fn write(&self, form: &Form, object: &mut Object<'_>) -> Written {
        form.boolean(*self, object)
    }
}

impl Cell for i32 {
    fn integer(&self) -> Option<i64> {
        Some((*self).into())
    }

    fn write(&self, form: &Form, object: &mut Object<'_>) -> Written {
        form.stored_32(*self, object)
    }
}

impl Cell for i64 {
    fn integer(&self) -> Option<i64> {
        Some(*self)
    }

    fn write(&self, form: &Form, object: &mut Object<'_>) -> Written {
        form.stored(*self, object)
    }
}

/// A time: a day, and nanoseconds of it.
impl Cell for Int96 {
    fn write(&self, form: &Form, object: &mut Object<'_>) -> Written {
        let [low, high, day] = *self.data() else { return Ok(()) };
        let nanos = (u64::from(high) << 32 | u64::from(low)).cast_signed();
        let per_second = Unit::Nanos.per_second();
        let seconds = (i64::from(day) - JULIAN_1970) * 86_400 + nanos.div_euclid(per_second);
        form.time(seconds, nanos.rem_euclid(per_second), Unit::Nanos, true, object)
    }
}

impl Cell for f32 {
    fn write(&self, form: &Form, object: &mut Object<'_>) -> Written {
        // Integers of up to 24 bits are exact.
        form.float(f64::from(*self), *self, 16_777_216.0, object)
    }
}

impl Cell for f64 {
    fn write(&self, form: &Form, object: &mut Object<'_>) -> Written {
        // Integers of up to 53 bits are exact.
        form.float(*self, *self, 9_007_199_254_740_992.0, object)
    }
}

impl Cell for ByteArray {
    fn text(&self) -> Option<&[u8]> {
        Some(self.data())
    }

    fn write(&self, form: &Form, object: &mut Object<'_>) -> Written {
        form.bytes(self.data(), object)
    }
}

impl Cell for FixedLenByteArray {
    fn text(&self) -> Option<&[u8]> {
        Some(unpadded(self.data()))
    }

    fn write(&self, form: &Form, object: &mut Object<'_>) -> Written {
        form.bytes(if form.is_text() { unpadded(self.data()) } else { self.data() }, object)
    }
}

/// Text of a fixed length without what fills it up.
fn unpadded(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count()).unwrap_or_default()
}
