//! Thrift's compact protocol, in which a Parquet file describes itself
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).
//!
//! It reads in place and makes room for nothing, whatever the bytes claim. Every form that the protocol has is read; a field
//! that has another type than it should is damage.

/// How deep what is skipped may be nested.
const DEPTH: u32 = 32;

/// Why a description cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// It goes on after the bytes that are there.
    Cut,
    /// It is none.
    Wrong,
}

pub(super) type Result<T> = std::result::Result<T, Damage>;

/// The type of a field, or of the elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    True,
    False,
    Byte,
    Integer,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

impl Type {
    fn of(code: u8) -> Result<Self> {
        Ok(match code {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4..=6 => Self::Integer,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return Err(Damage::Wrong),
        })
    }
}

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The fields of a struct: `each` reads, or skips, the one that it is told the number and the type of.
    pub(super) fn fields(&mut self, mut each: impl FnMut(&mut Self, i64, Type) -> Result<()>) -> Result<()> {
        let mut field = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            // The number is told by how much it is higher than the last, or in full.
            let step = i64::from(head >> 4);
            field = if step == 0 { self.signed()? } else { field + step };
            if i16::try_from(field).is_err() {
                return Err(Damage::Wrong);
            }
            each(self, field, Type::of(head & 0xf)?)?;
        }
    }

    /// The fields of a struct, which is the value of a field.
    pub(super) fn structure(
        &mut self,
        found: Type,
        each: impl FnMut(&mut Self, i64, Type) -> Result<()>,
    ) -> Result<()> {
        if found != Type::Struct {
            return Err(Damage::Wrong);
        }
        self.fields(each)
    }

    /// An integer.
    pub(super) fn integer(&mut self, found: Type) -> Result<i64> {
        match found {
            Type::Byte => self.byte().map(|byte| i64::from(byte.cast_signed())),
            Type::Integer => self.signed(),
            _ => Err(Damage::Wrong),
        }
    }

    /// True or false, as a field has it: its type says which.
    pub(super) fn boolean(self, found: Type) -> Result<bool> {
        match found {
            Type::True => Ok(true),
            Type::False => Ok(false),
            _ => Err(Damage::Wrong),
        }
    }

    /// Bytes.
    pub(super) fn binary(&mut self, found: Type) -> Result<&'a [u8]> {
        if found != Type::Binary {
            return Err(Damage::Wrong);
        }
        let length = self.unsigned()?;
        self.take(length)
    }

    /// How many elements a list has, and of which type. Each of them takes a byte at least.
    pub(super) fn list(&mut self, found: Type) -> Result<(u64, Type)> {
        if found != Type::List {
            return Err(Damage::Wrong);
        }
        let head = self.byte()?;
        let count = if head >> 4 == 0xf { self.unsigned()? } else { u64::from(head >> 4) };
        Ok((count, Type::of(head & 0xf)?))
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, found: Type) -> Result<()> {
        self.skip_nested(found, DEPTH)
    }

    fn skip_nested(&mut self, found: Type, depth: u32) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or(Damage::Wrong)?;
        match found {
            Type::True | Type::False => {}
            Type::Byte => drop(self.byte()?),
            Type::Integer => drop(self.unsigned()?),
            Type::Double => drop(self.take(8)?),
            Type::Uuid => drop(self.take(16)?),
            Type::Binary => drop(self.binary(found)?),
            Type::Struct => self.fields(|reader, _, found| reader.skip_nested(found, depth))?,
            Type::List => {
                let (count, element) = self.list(found)?;
                for _ in 0..count {
                    self.skip_element(element, depth)?;
                }
            }
            Type::Map => {
                let count = self.unsigned()?;
                if count > 0 {
                    let kinds = self.byte()?;
                    let (key, value) = (Type::of(kinds >> 4)?, Type::of(kinds & 0xf)?);
                    for _ in 0..count {
                        self.skip_element(key, depth)?;
                        self.skip_element(value, depth)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// In a list, true and false take a byte.
    fn skip_element(&mut self, element: Type, depth: u32) -> Result<()> {
        match element {
            Type::True | Type::False => self.byte().map(drop),
            _ => self.skip_nested(element, depth),
        }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| Damage::Wrong)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damage::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().ok_or(Damage::Cut)?;
        self.0 = rest;
        Ok(*byte)
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn unsigned(&mut self) -> Result<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damage::Wrong)
    }

    /// Zigzag: even numbers are not negative.
    pub(super) fn signed(&mut self) -> Result<i64> {
        let number = self.unsigned()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8]) -> Result<Vec<(i64, i64)>> {
        let mut numbers = Vec::new();
        Reader(bytes).fields(|reader, field, found| {
            numbers.push((field, reader.integer(found)?));
            Ok(())
        })?;
        Ok(numbers)
    }

    #[test]
    fn the_number_of_a_field_is_read_in_both_forms() {
        let short = [0x15, 0x00, 0x15, 0x08, 0x15, 0x06, 0];
        let long = [0x05, 0x02, 0x00, 0x05, 0x04, 0x08, 0x05, 0x06, 0x06, 0];
        for bytes in [&short[..], &long] {
            assert_eq!(numbers(bytes).unwrap(), [(1, 0), (2, 4), (3, 3)]);
        }
        assert_eq!(numbers(&[0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0]).unwrap(), [(1, (1 << 31) - 1)]);
        assert_eq!(numbers(&[0x13, 0xff, 0]).unwrap(), [(1, -1)]);
        assert_eq!(numbers(&[0x15]), Err(Damage::Cut));
        assert_eq!(numbers(&[0x1c, 0]), Err(Damage::Wrong));
        assert_eq!(
            numbers(&[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Err(Damage::Wrong)
        );
    }

    #[test]
    fn what_is_not_known_is_passed_over_however_it_is_nested() {
        // A list of two structs: of a map and a UUID, and of a double and two truths.
        let mut unknown = vec![0x19, 0x2c, 0x1b, 0x01, 0x85, 0x01, b'k', 0x02, 0x1d];
        unknown.extend([0; 16]);
        unknown.extend([0, 0x17]);
        unknown.extend([0; 8]);
        unknown.extend([0x19, 0x21, 1, 0, 0x11, 0x12, 0x13, 7, 0, 0x15, 0x08, 0]);
        let mut found = Vec::new();
        Reader(&unknown)
            .fields(|reader, field, kind| {
                if field == 1 {
                    reader.skip(kind)
                } else {
                    reader.integer(kind).map(|number| found.push(number))
                }
            })
            .unwrap();
        assert_eq!(found, [4]);
        // A list that claims more than there is ends with the bytes; one that is too deep ends at once.
        assert_eq!(Reader(&[0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]).skip(Type::List), Err(Damage::Cut));
        assert_eq!(Reader(&[0x1c; 1 << 20]).skip(Type::Struct), Err(Damage::Wrong));
    }
}
