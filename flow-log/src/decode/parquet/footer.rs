//! What a Parquet file says of itself at its end
//! (<https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>).
//!
//! Its columns are kept, its row groups are read one after the other, where they stand: what is in memory does not grow
//! with their number.

use bytes::Bytes;

use super::thrift::{Damage, Reader, Result, Type as Thrift};
use super::types::{Meaning, Physical, Unit, physical};

/// AWS's files have up to some 80 columns.
const COLUMNS: usize = 1024;
/// Columns in groups, and groups in groups, are passed over.
const LEAVES: usize = 16 * 1024;
/// AWS's longest name has 26 letters.
const NAME_BYTES: usize = 1024;

/// A file, as it describes itself.
#[derive(Debug, Default)]
pub(super) struct Footer {
    /// What is not in a group, in the file's order.
    pub(super) columns: Vec<Described>,
    /// How many columns each row group has, those in groups included.
    leaves: usize,
    /// The list of the row groups.
    groups: Bytes,
}

/// What is at the top of the schema.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) name: String,
    /// `None` if it is not one value a row, but a list or a group.
    pub(super) values: Option<Values>,
}

/// The values of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    /// Which of the columns of a row group it is.
    pub(super) place: usize,
    pub(super) physical: Physical,
    /// Of a value of fixed length, its bytes.
    pub(super) length: i32,
    pub(super) is_optional: bool,
    pub(super) meaning: Meaning,
}

/// A row group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) rows: u64,
    pub(super) chunks: Vec<Chunk>,
}

/// Where the values of a column lie in a row group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) codec: i64,
    pub(super) start: u64,
    pub(super) bytes: u64,
}

impl Footer {
    /// Reads what is between the pages and the last eight bytes of the file.
    pub(super) fn read(bytes: &Bytes) -> Result<Self> {
        let (mut footer, mut is_whole) = (Self::default(), false);
        Reader(bytes).fields(|reader, field, found| match field {
            2 => {
                is_whole = true;
                footer.schema(reader, found)
            }
            4 => {
                let list = reader.0;
                reader.skip(found)?;
                footer.groups = bytes.slice_ref(list.get(..list.len() - reader.0.len()).unwrap_or_default());
                Ok(())
            }
            _ => reader.skip(found),
        })?;
        is_whole.then_some(footer).ok_or(Damage::Wrong)
    }

    fn schema(&mut self, reader: &mut Reader<'_>, found: Thrift) -> Result<()> {
        let (count, element) = reader.list(found)?;
        (self.columns, self.leaves) = (Vec::new(), 0);
        // How many elements are still to come of each group that is open, the file's own first.
        let mut open: Vec<i64> = Vec::new();
        for place in 0..count {
            let described = Element::read(reader, element)?;
            let depth = open.len();
            if let Some(left) = open.last_mut() {
                *left -= 1;
            } else if place > 0 {
                return Err(Damage::Wrong);
            }
            if depth == 1 {
                if described.name.len() > NAME_BYTES || described.name.contains(char::is_control) {
                    return Err(Damage::Wrong);
                }
                let values = described.values(self.leaves)?;
                self.columns.push(Described { name: described.name.to_owned(), values });
            }
            self.leaves += usize::from(described.physical.is_some());
            if self.columns.len() > COLUMNS || self.leaves > LEAVES || depth > LEAVES {
                return Err(Damage::Wrong);
            }
            if described.physical.is_none() {
                open.push(described.children);
            }
            while open.pop_if(|left| *left <= 0).is_some() {}
        }
        if open.is_empty() { Ok(()) } else { Err(Damage::Wrong) }
    }

    /// The row groups, one after the other.
    pub(super) fn groups(&self) -> Groups<'_> {
        Groups { leaves: self.leaves, rest: Reader(&self.groups), left: None }
    }
}

/// The row groups that were not read yet.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    leaves: usize,
    rest: Reader<'a>,
    /// How many they are, once that was read, and their type.
    left: Option<(u64, Thrift)>,
}

impl Iterator for Groups<'_> {
    type Item = Result<Group>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_none() && !self.rest.0.is_empty() {
            match self.rest.list(Thrift::List) {
                Ok(list) => self.left = Some(list),
                Err(damage) => return Some(Err(damage)),
            }
        }
        let (left, element) = self.left.as_mut()?;
        *left = left.checked_sub(1)?;
        let element = *element;
        Some(self.group(element))
    }
}

impl Groups<'_> {
    fn group(&mut self, element: Thrift) -> Result<Group> {
        let (mut rows, mut chunks, leaves) = (0, Vec::new(), self.leaves);
        self.rest.structure(element, |reader, field, found| {
            match field {
                1 => {
                    let (count, element) = reader.list(found)?;
                    if count != leaves as u64 {
                        return Err(Damage::Wrong);
                    }
                    chunks.clear();
                    for _ in 0..count {
                        chunks.push(Chunk::read(reader, element)?);
                    }
                }
                3 => rows = reader.integer(found)?,
                _ => reader.skip(found)?,
            }
            Ok(())
        })?;
        let rows = u64::try_from(rows).map_err(|_| Damage::Wrong)?;
        if chunks.len() == leaves { Ok(Group { rows, chunks }) } else { Err(Damage::Wrong) }
    }
}

impl Chunk {
    fn read(reader: &mut Reader<'_>, element: Thrift) -> Result<Self> {
        let (mut codec, mut bytes, mut pages, mut dictionary, mut is_told) = (0, 0, 0, 0, false);
        reader.structure(element, |reader, field, found| {
            match field {
                // Its values are in another file.
                1 => return Err(Damage::Wrong),
                3 => {
                    is_told = true;
                    reader.structure(found, |reader, field, found| {
                        match field {
                            4 => codec = reader.integer(found)?,
                            7 => bytes = reader.integer(found)?,
                            9 => pages = reader.integer(found)?,
                            11 => dictionary = reader.integer(found)?,
                            _ => reader.skip(found)?,
                        }
                        Ok(())
                    })?;
                }
                _ => reader.skip(found)?,
            }
            Ok(())
        })?;
        if !is_told {
            return Err(Damage::Wrong);
        }
        // Some writers say that there is no dictionary by saying that it lies at the beginning of the file.
        let start = if dictionary > 0 { dictionary } else { pages };
        let unsigned = |number: i64| u64::try_from(number).map_err(|_| Damage::Wrong);
        Ok(Self { codec, start: unsigned(start)?, bytes: unsigned(bytes)? })
    }
}

/// An element of the schema.
#[derive(Debug, Default)]
struct Element<'a> {
    name: &'a str,
    physical: Option<i64>,
    length: i64,
    repetition: i64,
    children: i64,
    converted: Option<i64>,
    scale: i64,
    logical: Option<Meaning>,
}

impl<'a> Element<'a> {
    fn read(reader: &mut Reader<'a>, element: Thrift) -> Result<Self> {
        let mut read = Self::default();
        reader.structure(element, |reader, field, found| {
            match field {
                1 => read.physical = Some(reader.integer(found)?),
                2 => read.length = reader.integer(found)?,
                3 => read.repetition = reader.integer(found)?,
                4 => read.name = std::str::from_utf8(reader.binary(found)?).map_err(|_| Damage::Wrong)?,
                5 => read.children = reader.integer(found)?,
                6 => read.converted = Some(reader.integer(found)?),
                7 => read.scale = reader.integer(found)?,
                10 => read.logical = logical(reader, found)?,
                _ => reader.skip(found)?,
            }
            Ok(())
        })?;
        Ok(read)
    }

    fn values(&self, place: usize) -> Result<Option<Values>> {
        const OPTIONAL: i64 = 1;
        const REPEATED: i64 = 2;
        let Some(number) = self.physical else { return Ok(None) };
        if self.repetition == REPEATED {
            return Ok(None);
        }
        let physical = physical(number).ok_or(Damage::Wrong)?;
        let length = i32::try_from(self.length).map_err(|_| Damage::Wrong)?;
        let meaning = self.logical.unwrap_or_else(|| converted(self.converted, self.scale));
        Ok(Some(Values { place, physical, length, is_optional: self.repetition == OPTIONAL, meaning }))
    }
}

/// What a value means, as newer writers say it; `None` if it is nothing that is known.
fn logical(reader: &mut Reader<'_>, found: Thrift) -> Result<Option<Meaning>> {
    let mut meaning = None;
    reader.structure(found, |reader, field, found| {
        let (mut numbers, mut truth, mut unit) = ([0, 0], false, None);
        reader.structure(found, |reader, part, found| {
            match (field, part) {
                (5 | 10, 1) => numbers[0] = reader.integer(found)?,
                (7 | 8, 1) | (10, 2) => truth = reader.boolean(found)?,
                (7 | 8, 2) => reader.structure(found, |reader, field, found| {
                    unit = Unit::of(field);
                    reader.skip(found)
                })?,
                _ => reader.skip(found)?,
            }
            Ok(())
        })?;
        meaning = match field {
            1 | 4 | 12 => Some(Meaning::Text),
            5 => Some(Meaning::decimal(numbers[0])),
            6 => Some(Meaning::Date),
            7 => unit.map(Meaning::Time),
            8 => unit.map(|unit| Meaning::Timestamp { unit, is_utc: truth }),
            10 => Some(Meaning::Integer { bits: numbers[0], is_signed: truth }),
            13 => Some(Meaning::Other),
            14 => Some(Meaning::Uuid),
            15 => Some(Meaning::Float16),
            _ => None,
        };
        Ok(())
    })?;
    Ok(meaning)
}

/// What a value means, as older writers say it.
fn converted(converted: Option<i64>, scale: i64) -> Meaning {
    let timestamp = |unit| Meaning::Timestamp { unit, is_utc: true };
    let integer = |bits, is_signed| Meaning::Integer { bits, is_signed };
    match converted {
        Some(0 | 4 | 19) => Meaning::Text,
        Some(5) => Meaning::decimal(scale),
        Some(6) => Meaning::Date,
        Some(7) => Meaning::Time(Unit::Millis),
        Some(8) => Meaning::Time(Unit::Micros),
        Some(9) => timestamp(Unit::Millis),
        Some(10) => timestamp(Unit::Micros),
        Some(bits @ 11..=14) => integer(8 << (bits - 11), false),
        Some(bits @ 15..=18) => integer(8 << (bits - 15), true),
        // BSON, and intervals, which have no one length.
        Some(20 | 21) => Meaning::Other,
        _ => Meaning::Plain,
    }
}
