//! Writes a value as AWS would have written it, or says that it cannot be: never a number that is another, never bytes that
//! are no text.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::NotWritable;
use super::calendar::{DAY_SECONDS, clock, date};
use super::types::{Meaning, Physical, Unit};
use crate::record::fields::{Kind, field};
use crate::record::json::{Key, Object, is_plain, is_special};
use crate::record::present;

/// Whether a value could be written, if there was one.
pub(super) type Written = std::result::Result<(), NotWritable>;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Integer,
    /// `start` and `end`: seconds.
    Time,
    /// Twelve digits, or words that stand for no account.
    Account,
    Address,
    Text,
    Unknown,
}

/// How the values of a column are written.
#[derive(Clone, Debug)]
pub(super) struct Form {
    key: Key,
    role: Role,
    meaning: Meaning,
}

/// The digits of an account's ID.
const ACCOUNT_DIGITS: usize = 12;
/// Digits of which any number is the same to every reader of JSON.
const EXACT_DIGITS: usize = 15;
/// Text that is no longer is written whatever is in it. A record has some hundred bytes.
const TEXT_BYTES: usize = 1024 * 1024;

impl Form {
    /// That of a field under this name, whose values are stored in this way and mean this.
    pub(super) fn new(name: &str, physical: Physical, length: i32, meaning: Meaning) -> Self {
        let role = match (field(name), Kind::of(name)) {
            (Some("start" | "end"), _) => Role::Time,
            (Some(field), _) if field.ends_with("account-id") => Role::Account,
            (Some(field), _) if field.ends_with("srcaddr") || field.ends_with("dstaddr") => Role::Address,
            (_, Kind::Integer) => Role::Integer,
            (_, Kind::Text) => Role::Text,
            (_, Kind::Unknown) => Role::Unknown,
        };
        Self { key: Key::new(name, Kind::of(name)), role, meaning: fitting(meaning, physical, length) }
    }

    /// Whether a value is text as it is stored.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.meaning, Meaning::Plain | Meaning::Text)
    }

    /// Whether a value that is stored as an integer is written as it is.
    pub(super) fn is_plain_integer(&self) -> bool {
        self.meaning == Meaning::Plain && matches!(self.role, Role::Integer | Role::Time)
    }

    pub(super) fn boolean(&self, value: bool, object: &mut Object<'_>) -> Written {
        match (self.role, self.meaning) {
            (Role::Text | Role::Unknown, Meaning::Plain) => {
                object.plain(&self.key, value);
                Ok(())
            }
            _ => Err(NotWritable),
        }
    }

    /// A value that is stored as an integer.
    #[inline]
    pub(super) fn stored(&self, value: i64, object: &mut Object<'_>) -> Written {
        if self.meaning == Meaning::Plain {
            return self.integer(value, object);
        }
        self.meant(value, object)
    }

    /// One that is stored in 32 bits.
    #[inline]
    pub(super) fn stored_32(&self, value: i32, object: &mut Object<'_>) -> Written {
        if matches!(self.meaning, Meaning::Integer { is_signed: false, .. }) {
            return self.meant(value.cast_unsigned().into(), object);
        }
        self.stored(value.into(), object)
    }

    #[inline]
    fn integer(&self, value: i64, object: &mut Object<'_>) -> Written {
        if matches!(self.role, Role::Account | Role::Address) {
            return self.wide(value.into(), object);
        }
        object.plain(&self.key, value);
        Ok(())
    }

    #[cold]
    fn meant(&self, value: i64, object: &mut Object<'_>) -> Written {
        match self.meaning {
            Meaning::Integer { bits, is_signed } => {
                let spare = 64 - u32::try_from(bits).map_err(|_| NotWritable)?;
                let is_in_range = if is_signed {
                    value << spare >> spare == value
                } else {
                    value.cast_unsigned() << spare >> spare == value.cast_unsigned()
                };
                match is_in_range {
                    true if is_signed => self.integer(value, object),
                    true => self.wide(value.cast_unsigned().into(), object),
                    false => Err(NotWritable),
                }
            }
            Meaning::Decimal(scale) => self.decimal(value.into(), scale, object),
            Meaning::Timestamp { unit, is_utc } => {
                let (seconds, rest) =
                    (value.div_euclid(unit.per_second()), value.rem_euclid(unit.per_second()));
                self.time(seconds, rest, unit, is_utc, object)
            }
            Meaning::Date => {
                let day = date(value)?;
                self.words(&day, object)
            }
            Meaning::Time(unit) => {
                let (seconds, rest) =
                    (value.div_euclid(unit.per_second()), value.rem_euclid(unit.per_second()));
                let time = clock(seconds, rest, unit)?;
                self.words(&time, object)
            }
            _ => Err(NotWritable),
        }
    }

    /// An integer of any size.
    fn wide(&self, value: i128, object: &mut Object<'_>) -> Written {
        match self.role {
            Role::Address => return Err(NotWritable),
            Role::Account => {
                let digits = format!("{value:012}");
                if value < 0 || digits.len() > ACCOUNT_DIGITS {
                    return Err(NotWritable);
                }
                object.text(&self.key, &digits, true);
            }
            Role::Integer | Role::Time | Role::Text | Role::Unknown => {
                if let Ok(value) = i64::try_from(value) {
                    object.plain(&self.key, value);
                } else if let Ok(value) = u64::try_from(value) {
                    object.plain(&self.key, value);
                } else if matches!(self.role, Role::Text | Role::Unknown) {
                    object.text(&self.key, &value.to_string(), true);
                } else {
                    return Err(NotWritable);
                }
            }
        }
        Ok(())
    }

    /// An integer of which the last digits are after the point.
    fn decimal(&self, mut value: i128, mut scale: u32, object: &mut Object<'_>) -> Written {
        while scale > 0 && value % 10 == 0 {
            (value, scale) = if value == 0 { (0, 0) } else { (value / 10, scale - 1) };
        }
        if scale == 0 {
            return self.wide(value, object);
        }
        let digits = format!("{:0width$}", value.unsigned_abs(), width = scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
        let sign = if value < 0 { "-" } else { "" };
        let text = format!("{sign}{whole}.{fraction}");
        match self.role {
            Role::Unknown if digits.len() <= EXACT_DIGITS => object.written(&self.key, text.as_bytes()),
            Role::Text | Role::Unknown => object.text(&self.key, &text, true),
            _ => return Err(NotWritable),
        }
        Ok(())
    }

    /// A decimal that is stored as bytes, the highest first.
    fn decimal_bytes(&self, bytes: &[u8], scale: u32, object: &mut Object<'_>) -> Written {
        let is_negative = bytes.first().ok_or(NotWritable)? & 0x80 != 0;
        let fill = if is_negative { 0xff } else { 0 };
        let mut number = [fill; 16];
        let (spare, last) = bytes.split_at(bytes.len().saturating_sub(number.len()));
        let place = number.len() - last.len();
        number.get_mut(place..).ok_or(NotWritable)?.copy_from_slice(last);
        let value = i128::from_be_bytes(number);
        if spare.iter().any(|byte| *byte != fill) || (value < 0) != is_negative {
            return Err(NotWritable);
        }
        self.decimal(value, scale, object)
    }

    /// A number with a point that floats. `exact` is the first of those that may have been rounded to it.
    pub(super) fn float<F: serde::Serialize + std::fmt::Display>(
        &self,
        value: f64,
        as_stored: F,
        exact: f64,
        object: &mut Object<'_>,
    ) -> Written {
        // Tools that know no integers without a value make floats of them; what is no number stands for no value.
        if value.is_nan() {
            return Ok(());
        }
        if value.fract() == 0.0 && value.abs() < exact {
            #[expect(clippy::cast_possible_truncation, reason = "it is an integer of 53 bits")]
            return self.integer(value as i64, object);
        }
        match self.role {
            _ if value.is_infinite() => return Err(NotWritable),
            Role::Text | Role::Unknown => object.plain(&self.key, as_stored),
            _ => return Err(NotWritable),
        }
        Ok(())
    }

    /// A moment: whole seconds since 1970, and what is above them.
    pub(super) fn time(
        &self,
        seconds: i64,
        rest: i64,
        unit: Unit,
        is_utc: bool,
        object: &mut Object<'_>,
    ) -> Written {
        if self.role == Role::Time {
            object.plain(&self.key, seconds);
            return Ok(());
        }
        let day = date(seconds.div_euclid(DAY_SECONDS))?;
        let time = clock(seconds.rem_euclid(DAY_SECONDS), rest, unit)?;
        self.words(&format!("{day}T{time}{}", if is_utc { "Z" } else { "" }), object)
    }

    /// Text that is none of the field's in a flow log.
    fn words(&self, text: &str, object: &mut Object<'_>) -> Written {
        if !matches!(self.role, Role::Text | Role::Unknown) {
            return Err(NotWritable);
        }
        object.text(&self.key, text, true);
        Ok(())
    }

    /// A value that is stored as bytes.
    #[inline]
    pub(super) fn bytes(&self, bytes: &[u8], object: &mut Object<'_>) -> Written {
        if !self.is_text() {
            return self.meant_bytes(bytes, object);
        }
        if self.takes_any_text(bytes) && present(bytes).is_some() && is_plain(bytes) {
            object.plain_text(&self.key, bytes);
            return Ok(());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NotWritable)?;
        let Some(value) = present(text) else { return Ok(()) };
        let is_clean = value.bytes().fold(true, |clean, byte| clean & !is_special(byte));
        if !is_clean && value.contains('\0') || value.len() > TEXT_BYTES {
            return Err(NotWritable);
        }
        match self.role {
            Role::Text | Role::Unknown => {}
            Role::Account if value.len() == ACCOUNT_DIGITS => {}
            Role::Integer | Role::Time | Role::Account => return self.digits(value, is_clean, object),
            // Where nothing says that it is text, four or sixteen bytes of an address may look like some.
            Role::Address if self.meaning == Meaning::Plain && value.parse::<IpAddr>().is_err() => {
                return Err(NotWritable);
            }
            Role::Address => {}
        }
        object.text(&self.key, value, is_clean);
        Ok(())
    }

    /// Whether a text is written whatever it says: nearly all are.
    #[inline]
    fn takes_any_text(&self, text: &[u8]) -> bool {
        match self.role {
            Role::Text | Role::Unknown => text.len() <= TEXT_BYTES,
            Role::Account => text.len() == ACCOUNT_DIGITS,
            Role::Address => self.meaning == Meaning::Text && text.len() <= TEXT_BYTES,
            Role::Integer | Role::Time => false,
        }
    }

    /// The text of a field that has digits.
    fn digits(&self, value: &str, is_clean: bool, object: &mut Object<'_>) -> Written {
        // Tools that made floats of integers may write them so.
        let whole = value.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|digit| digit == b'0'));
        let number = whole.map_or(value, |(whole, _)| whole);
        let is_number = number.strip_prefix('-').unwrap_or(number).bytes().all(|byte| byte.is_ascii_digit());
        match number.parse::<i128>() {
            Ok(number) if is_number => self.wide(number, object),
            // Accounts of which AWS tells no number.
            _ if self.role == Role::Account => {
                object.text(&self.key, value, is_clean);
                Ok(())
            }
            _ => Err(NotWritable),
        }
    }

    #[cold]
    fn meant_bytes(&self, bytes: &[u8], object: &mut Object<'_>) -> Written {
        match self.meaning {
            Meaning::Decimal(scale) => self.decimal_bytes(bytes, scale, object),
            Meaning::Uuid => {
                let mut uuid = String::with_capacity(36);
                for (place, byte) in bytes.iter().enumerate() {
                    let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
                    // Writing into a string cannot fail.
                    let _ = write!(uuid, "{dash}{byte:02x}");
                }
                self.words(&uuid, object)
            }
            Meaning::Float16 => {
                let value = half(u16::from_le_bytes(bytes.try_into().map_err(|_| NotWritable)?));
                self.float(value.into(), value, 2048.0, object)
            }
            _ => Err(NotWritable),
        }
    }
}

/// What is said of values, if they can be stored so.
fn fitting(meaning: Meaning, physical: Physical, length: i32) -> Meaning {
    let fits = match (physical, meaning) {
        (_, Meaning::Plain) => true,
        (Physical::INT32, Meaning::Integer { bits, .. }) => matches!(bits, 8 | 16 | 32),
        (Physical::INT64, Meaning::Integer { bits, .. }) => matches!(bits, 8 | 16 | 32 | 64),
        (Physical::INT32, Meaning::Date | Meaning::Time(Unit::Millis) | Meaning::Decimal(_))
        | (Physical::INT64, Meaning::Time(Unit::Micros | Unit::Nanos) | Meaning::Timestamp { .. })
        | (Physical::INT64 | Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, Meaning::Decimal(_))
        | (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, Meaning::Text) => true,
        (Physical::FIXED_LEN_BYTE_ARRAY, Meaning::Uuid) => length == 16,
        (Physical::FIXED_LEN_BYTE_ARRAY, Meaning::Float16) => length == 2,
        _ => false,
    };
    match (physical, meaning) {
        // What all integers are.
        (Physical::INT32, Meaning::Integer { bits: 32, is_signed: true })
        | (Physical::INT64, Meaning::Integer { bits: 64, is_signed: true }) => Meaning::Plain,
        _ if fits => meaning,
        _ => Meaning::Other,
    }
}

/// The value of a float of 16 bits.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f32.powi(-24),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_of_16_bits_are_read() {
        for (bits, expected) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x5e40, 400.0), (0x0001, 2_f32.powi(-24)), (0x7bff, 65504.0)]
        {
            assert!((half(bits) - expected).abs() < f32::EPSILON, "{bits:x}");
        }
        assert!(half(0x7e00).is_nan() && half(0xfc00).is_infinite());
    }
}
