//! What the values of a column are: how they are stored, and what they mean.

use parquet::basic::Type;

/// How values are stored.
pub(super) type Physical = Type;

/// What a value means beyond how it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing is said.
    Plain,
    /// Text: strings, enumerations, JSON.
    Text,
    Integer {
        bits: i64,
        is_signed: bool,
    },
    /// An integer, of which this many digits are after the point.
    Decimal(u32),
    Date,
    Time(Unit),
    Timestamp {
        unit: Unit,
        is_utc: bool,
    },
    Uuid,
    Float16,
    /// Something that no flow log has.
    Other,
}

/// What a time is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// How values of a type are stored, by its number.
pub(super) fn physical(number: i64) -> Option<Physical> {
    Some(match number {
        0 => Type::BOOLEAN,
        1 => Type::INT32,
        2 => Type::INT64,
        3 => Type::INT96,
        4 => Type::FLOAT,
        5 => Type::DOUBLE,
        6 => Type::BYTE_ARRAY,
        7 => Type::FIXED_LEN_BYTE_ARRAY,
        _ => return None,
    })
}

impl Unit {
    /// That of the number that it has in a union.
    pub(super) fn of(field: i64) -> Option<Self> {
        match field {
            1 => Some(Self::Millis),
            2 => Some(Self::Micros),
            3 => Some(Self::Nanos),
            _ => None,
        }
    }

    /// How many of it are in a second.
    pub(super) fn per_second(self) -> i64 {
        match self {
            Self::Millis => 1000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}

impl Meaning {
    /// A decimal of this scale; no number has as many digits as one of a larger scale would.
    pub(super) fn decimal(scale: i64) -> Self {
        /// Digits of the largest decimal that is written, one of 256 bits.
        const DIGITS: u32 = 76;
        u32::try_from(scale).ok().filter(|scale| *scale <= DIGITS).map_or(Self::Other, Self::Decimal)
    }
}
