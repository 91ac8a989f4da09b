//! What is before a page.

use parquet::errors::Result;

use super::thrift::{self, Damage, Reader};

/// The header of a page.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: i64,
    pub(super) bytes: i64,
    pub(super) compressed: i64,
    pub(super) checksum: Option<i64>,
    pub(super) values: i64,
    pub(super) encoding: i64,
    /// Of a page of the first version.
    pub(super) level_encoding: i64,
    /// Of a page of the second version.
    pub(super) nulls: i64,
    pub(super) definition_bytes: i64,
    pub(super) repetition_bytes: i64,
    pub(super) is_compressed: bool,
}

impl Header {
    pub(super) const DATA: i64 = 0;
    pub(super) const INDEX: i64 = 1;
    pub(super) const DICTIONARY: i64 = 2;
    const DATA_V2: i64 = 3;

    pub(super) fn read(reader: &mut Reader<'_>) -> thrift::Result<Self> {
        let mut header = Self {
            kind: -1,
            bytes: -1,
            compressed: -1,
            checksum: None,
            values: -1,
            encoding: -1,
            level_encoding: -1,
            nulls: 0,
            definition_bytes: 0,
            repetition_bytes: 0,
            is_compressed: true,
        };
        // What is told of the page as one of a kind.
        let mut told = None;
        reader.fields(|reader, field, found| {
            match field {
                1 => header.kind = reader.integer(found)?,
                2 => header.bytes = reader.integer(found)?,
                3 => header.compressed = reader.integer(found)?,
                4 => header.checksum = Some(reader.integer(found)?),
                5 | 7 | 8 => {
                    told = Some(field);
                    header.of_kind(field, reader, found)?;
                }
                _ => reader.skip(found)?,
            }
            Ok(())
        })?;
        let expected = match header.kind {
            Self::DATA => Some(5),
            Self::DICTIONARY => Some(7),
            Self::DATA_V2 => Some(8),
            Self::INDEX => None,
            _ => return Err(Damage::Wrong),
        };
        if expected.is_some() && told != expected { Err(Damage::Wrong) } else { Ok(header) }
    }

    fn of_kind(&mut self, kind: i64, reader: &mut Reader<'_>, found: thrift::Type) -> thrift::Result<()> {
        reader.structure(found, |reader, field, found| {
            match (kind, field) {
                (_, 1) => self.values = reader.integer(found)?,
                (5 | 7, 2) | (8, 4) => self.encoding = reader.integer(found)?,
                (5, 3) => self.level_encoding = reader.integer(found)?,
                (8, 2) => self.nulls = reader.integer(found)?,
                (8, 5) => self.definition_bytes = reader.integer(found)?,
                (8, 6) => self.repetition_bytes = reader.integer(found)?,
                (8, 7) => self.is_compressed = reader.boolean(found)?,
                _ => reader.skip(found)?,
            }
            Ok(())
        })
    }

    /// The bytes before the values that are never compressed, which pages of the second version have.
    pub(super) fn levels(&self) -> Result<usize> {
        let definitions = usize::try_from(self.definition_bytes)?;
        let levels = definitions.saturating_add(usize::try_from(self.repetition_bytes)?);
        Ok(if self.kind == Self::DATA_V2 { levels } else { 0 })
    }
}
