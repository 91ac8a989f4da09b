//! Which values the intake's parser reads in a line. That the line has the parser's fields in the parser's order is known
//! before.

use std::net::IpAddr;

/// What the parser reads in a place of a line.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// One digit.
    Digit,
    /// Digits.
    Number,
    /// Digits or `-`.
    Count,
    /// An IP address or `-`.
    Address,
    /// Letters, digits and `_`.
    Word,
    /// Whatever is there.
    Anything,
}

/// Those of the fields of version 2.
const FORMS: [Form; 14] = {
    use Form::{Address, Anything, Count, Digit, Number, Word};
    [
        Digit, Number, Anything, Address, Address, Count, Count, Count, Count, Count, Number, Number,
        Anything, Word,
    ]
};
/// Those of the fields of versions 3 to 5: of the others, the parser takes anything.
const MORE_FORMS: [Form; 7] = {
    use Form::{Address, Anything, Count};
    [Anything, Anything, Anything, Count, Anything, Address, Address]
};
/// How many fields the parser reads.
const FIELDS: usize = 29;
/// Longer ones need not fit into the parser's integers.
const DIGITS: usize = 18;

/// Where AWS itself writes something that the parser does not read: a version of two digits, and in place of the account
/// `unknown`, for interfaces that an AWS service made.
pub const DIFFERS: usize = 2;

/// The first place of a line at which the parser does not read the value; `None` if it reads all. `values` are those of the
/// line.
pub fn unread<'a>(values: impl ExactSizeIterator<Item = &'a str>) -> Option<usize> {
    let count = if values.len() < FIELDS { FORMS.len() } else { FIELDS };
    let forms = FORMS.into_iter().chain(MORE_FORMS).chain(std::iter::repeat(Form::Anything));
    forms.take(count).zip(values).position(|(form, value)| !form.reads(value))
}

/// Whether the parser reads a line of its fields in their order.
pub fn is_read(line: &str) -> bool {
    let values: Vec<&str> = line.split(' ').collect();
    values.len() >= FORMS.len() && unread(values.into_iter()).is_none()
}

impl Form {
    fn reads(self, value: &str) -> bool {
        let is_number =
            || (1..=DIGITS).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Self::Digit => value.len() == 1 && is_number(),
            Self::Number => is_number(),
            Self::Count => value == "-" || is_number(),
            Self::Address => value == "-" || value.parse::<IpAddr>().is_ok(),
            Self::Word => {
                !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            }
            Self::Anything => !value.is_empty(),
        }
    }
}

/// What lines of a file begin with: a version and an account that the parser reads. Nearly all lines of a file begin alike,
/// so that these two values need not be looked into again.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    bytes: u128,
    mask: u128,
}

impl Beginning {
    const BYTES: usize = size_of::<u128>();

    /// That of no line.
    pub const NONE: Self = Self { bytes: 1, mask: 0 };

    /// The beginning that ends with the second space of a line; none if it is longer than usual.
    pub fn of(line: &str) -> Self {
        let length =
            line.bytes().enumerate().filter(|(_, byte)| *byte == b' ').nth(1).map(|(place, _)| place + 1);
        let (Some(start), Some(length @ ..=Self::BYTES)) = (line.as_bytes().first_chunk(), length) else {
            return Self::NONE;
        };
        let mask = u128::MAX >> (8 * (Self::BYTES - length));
        Self { bytes: u128::from_le_bytes(*start) & mask, mask }
    }

    /// Whether a line has it.
    #[inline]
    pub fn is_of(self, line: &[u8]) -> bool {
        line.first_chunk().is_some_and(|start| u128::from_le_bytes(*start) & self.mask == self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "2 111111111111 eni-1 10.0.0.1 10.0.0.2 1 2 6 20 4249 1418530010 1418530070 ACCEPT OK";

    #[test]
    fn the_place_of_what_is_not_read_is_named() {
        let place = |line: &str| unread(line.split(' ').collect::<Vec<_>>().into_iter());
        assert_eq!(place(LINE), None);
        for (value, other, expected) in [
            ("2 1111", "11 1111", 0),
            ("111111111111", "unknown", 1),
            ("eni-1", "", 2),
            ("10.0.0.2", "host", 4),
            (" 6 ", " tcp ", 7),
            ("1418530010", "-", 10),
            ("OK", "O-K", 13),
        ] {
            let line = LINE.replacen(value, other, 1);
            assert_eq!(place(&line), Some(expected), "{line}");
            assert!(!is_read(&line));
        }
        let more = " - - - 3 IPv4 10.0.0.1 - - - - - - - ingress 1";
        assert!(is_read(&format!("{LINE}{more}")) && is_read(&format!("{LINE}{more} more")));
        assert_eq!(place(&format!("{LINE}{}", more.replace(" 3 ", " x "))), Some(17));
        assert_eq!(place(&format!("{LINE}{}", more.replace("10.0.0.1", "x"))), Some(19));
        assert!(!is_read("2 111111111111 eni-1"));
    }

    #[test]
    fn a_beginning_is_that_of_lines_with_the_same_version_and_account() {
        let beginning = Beginning::of(LINE);
        assert!(beginning.is_of(LINE.as_bytes()));
        assert!(beginning.is_of(b"2 111111111111 eni-2 and so on"));
        for other in
            ["3 111111111111 eni-1", "2 111111111112 eni-1", "2 1111111111110 eni-1", "2 1 eni-1", ""]
        {
            assert!(!beginning.is_of(other.as_bytes()), "{other}");
        }
        assert!(Beginning::of("2 1 eni-1 10.0.0.1").is_of(b"2 1 eni-2 10.0.0.2"));
        for none in [Beginning::NONE, Beginning::of("2 11111111111111 eni-1"), Beginning::of("2 1")] {
            assert!(
                !none.is_of(LINE.as_bytes())
                    && !none.is_of(b"2 11111111111111 eni-1")
                    && !none.is_of(&[0; 16])
            );
        }
    }
}
