//! One JSON value, read in pieces of any size and never held as a whole.
//!
//! A [`Machine`] takes the value byte by byte, says where it ends and what is wrong with it, and hands on its text
//! without the white space between tokens. That is all that is needed to copy a value, however long, in memory that
//! does not grow with it. It accepts what RFC 8259 calls a JSON text; that the bytes are UTF-8 is the caller's promise.

#[cfg(test)]
mod tests;

/// How deep objects and arrays may lie in each other. A byte of memory each. What lies deeper is passed over, so that the
/// end of the value is found: only brackets count there, and whether they are in a text.
const DEPTH: usize = 1_000;

/// What breaks the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    /// A byte that cannot stand here.
    #[error("unexpected character")]
    Unexpected,
    /// A control character inside a text.
    #[error("a text holds a control character that is not escaped")]
    Control,
    /// `\x` and the like.
    #[error("a text holds an escape that JSON does not have")]
    Escape,
}

/// What became of the bytes that were fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// All were taken, and the value goes on.
    More,
    /// The value has ended after so many of them.
    End(usize),
}

/// Reads one JSON value.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    /// The objects and arrays that are open, outermost first.
    open: Vec<Container>,
    /// How many more are open, deeper than [`DEPTH`].
    deeper: u64,
    /// Whether any were.
    is_too_deep: bool,
    /// Whether the text being read is the name of a property.
    is_name: bool,
    utf16: Utf16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    ValueOrEnd,
    NameOrEnd,
    Name,
    Colon,
    CommaOrEnd,
    Text,
    Escape,
    Hex {
        digits: u8,
        unit: u32,
    },
    Number(Number),
    Word(&'static [u8]),
    /// Deeper than what is told apart.
    Deep,
    DeepText,
    DeepEscape,
    End,
}

/// Where in a number: the ones that may be its end are `Zero`, `Integer`, `Fraction`, `Exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    ESign,
    Exponent,
}

impl Machine {
    /// A machine before the first byte of a value.
    pub(super) fn new() -> Self {
        Self {
            state: State::Value,
            open: Vec::new(),
            deeper: 0,
            is_too_deep: false,
            is_name: false,
            utf16: Utf16::default(),
        }
    }

    /// Whether the value is complete if no byte follows.
    pub(super) fn may_end(&self) -> bool {
        match self.state {
            State::End => true,
            State::Number(number) => self.open.is_empty() && number.may_end(),
            _ => false,
        }
    }

    /// Whether an escape names half a character: the grammar allows it, and nobody can decode it.
    pub(super) fn has_half_character(&self) -> bool {
        self.utf16.broken || self.utf16.high
    }

    /// Whether objects and arrays lie in each other deeper than anybody reads them.
    pub(super) fn is_too_deep(&self) -> bool {
        self.is_too_deep
    }

    /// By how many bytes the texts read so far become shorter when their escapes are decoded.
    pub(super) fn shrinks_by_bytes(&self) -> u64 {
        self.utf16.shrinks_by_bytes
    }

    /// Takes bytes until the value ends, and hands each piece of its text to `emit`. An error comes with the number
    /// of bytes before the wrong one.
    pub(super) fn feed(&mut self, bytes: &[u8], mut emit: impl FnMut(&[u8])) -> Result<Fed, (usize, Wrong)> {
        // The text between two white spaces is handed on in one piece.
        let (mut at, mut piece) = (0, 0);
        let mut hand_on = |from: usize, to: usize| {
            bytes.get(from..to).filter(|text| !text.is_empty()).into_iter().for_each(&mut emit);
        };
        while let Some(&byte) = bytes.get(at) {
            if self.state == State::End {
                break;
            }
            if self.state == State::Text {
                let rest = bytes.get(at..).unwrap_or_default();
                let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20));
                let plain = plain.unwrap_or(rest.len());
                if plain > 0 {
                    self.utf16.plain();
                    at += plain;
                    continue;
                }
            }
            match self.step(byte).map_err(|wrong| (at, wrong))? {
                Step::Take => at += 1,
                Step::EndBefore => break,
                Step::Skip => {
                    hand_on(piece, at);
                    at += 1;
                    piece = at;
                }
            }
        }
        hand_on(piece, at);
        Ok(if self.state == State::End { Fed::End(at) } else { Fed::More })
    }

    fn step(&mut self, byte: u8) -> Result<Step, Wrong> {
        let between_tokens = !matches!(
            self.state,
            State::Text
                | State::Escape
                | State::Hex { .. }
                | State::Number(_)
                | State::Word(_)
                | State::DeepText
                | State::DeepEscape
        );
        if between_tokens && is_space(byte) {
            return Ok(Step::Skip);
        }
        self.state = match (self.state, byte) {
            (State::ValueOrEnd, b']') | (State::NameOrEnd, b'}') => self.close(),
            (State::Value | State::ValueOrEnd, _) => self.begin(byte)?,
            (State::Name | State::NameOrEnd, b'"') => {
                self.is_name = true;
                State::Text
            }
            (State::Colon, b':') => State::Value,
            (State::CommaOrEnd, _) => match (self.open.last(), byte) {
                (Some(Container::Array), b',') => State::Value,
                (Some(Container::Object), b',') => State::Name,
                (Some(Container::Array), b']') | (Some(Container::Object), b'}') => self.close(),
                _ => return Err(Wrong::Unexpected),
            },
            (State::Text, b'"') => {
                self.utf16.plain();
                if std::mem::take(&mut self.is_name) { State::Colon } else { self.after_value() }
            }
            (State::Text, b'\\') => State::Escape,
            (State::Text, _) => return Err(Wrong::Control),
            (State::Escape, b'u') => State::Hex { digits: 0, unit: 0 },
            (State::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.utf16.simple_escape();
                State::Text
            }
            (State::Escape, _) => return Err(Wrong::Escape),
            (State::Hex { digits, unit }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(Wrong::Escape)?;
                let unit = unit * 16 + digit;
                if digits == 3 {
                    self.utf16.unit(unit);
                    State::Text
                } else {
                    State::Hex { digits: digits + 1, unit }
                }
            }
            (State::Number(number), _) => match number.next(byte) {
                Some(number) => State::Number(number),
                None if number.may_end() => return self.after_number(byte),
                None => return Err(Wrong::Unexpected),
            },
            (State::Word(rest), _) => match rest.split_first() {
                Some((expected, rest)) if *expected == byte => {
                    if rest.is_empty() {
                        self.after_value()
                    } else {
                        State::Word(rest)
                    }
                }
                _ => return Err(Wrong::Unexpected),
            },
            (State::Deep, b'"') | (State::DeepEscape, _) => State::DeepText,
            (State::Deep, b'[' | b'{') => {
                self.deeper += 1;
                State::Deep
            }
            (State::Deep, b']' | b'}') => {
                self.deeper -= 1;
                if self.deeper == 0 { State::CommaOrEnd } else { State::Deep }
            }
            (State::DeepText, b'"') => State::Deep,
            (State::DeepText, b'\\') => State::DeepEscape,
            (State::Deep | State::DeepText, _) => self.state,
            _ => return Err(Wrong::Unexpected),
        };
        Ok(Step::Take)
    }

    /// The state after the first byte of a value.
    fn begin(&mut self, byte: u8) -> Result<State, Wrong> {
        let container = match byte {
            b'"' => return Ok(State::Text),
            b'-' => return Ok(State::Number(Number::Minus)),
            b'0' => return Ok(State::Number(Number::Zero)),
            b'1'..=b'9' => return Ok(State::Number(Number::Integer)),
            b't' => return Ok(State::Word(b"rue")),
            b'f' => return Ok(State::Word(b"alse")),
            b'n' => return Ok(State::Word(b"ull")),
            b'[' => Container::Array,
            b'{' => Container::Object,
            _ => return Err(Wrong::Unexpected),
        };
        if self.open.len() >= DEPTH {
            (self.deeper, self.is_too_deep) = (1, true);
            return Ok(State::Deep);
        }
        self.open.push(container);
        Ok(if container == Container::Array { State::ValueOrEnd } else { State::NameOrEnd })
    }

    fn close(&mut self) -> State {
        self.open.pop();
        self.after_value()
    }

    fn after_value(&self) -> State {
        if self.open.is_empty() { State::End } else { State::CommaOrEnd }
    }

    /// A number ends before the byte that is no part of it.
    fn after_number(&mut self, byte: u8) -> Result<Step, Wrong> {
        self.state = self.after_value();
        if self.state == State::End { Ok(Step::EndBefore) } else { self.step(byte) }
    }
}

enum Step {
    Take,
    Skip,
    EndBefore,
}

impl Number {
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Some(Self::Integer),
            (Self::Zero | Self::Integer, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Some(Self::E),
            (Self::E, b'+' | b'-') => Some(Self::ESign),
            (Self::E | Self::ESign | Self::Exponent, b'0'..=b'9') => Some(Self::Exponent),
            _ => None,
        }
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Exponent)
    }
}

/// The UTF-16 units that escapes name, and what decoding the escapes saves.
#[derive(Debug, Default)]
struct Utf16 {
    high: bool,
    broken: bool,
    shrinks_by_bytes: u64,
}

impl Utf16 {
    /// Something that is no escape: the first half of a character stays alone.
    fn plain(&mut self) {
        self.broken |= std::mem::take(&mut self.high);
    }

    fn simple_escape(&mut self) {
        self.plain();
        self.shrinks_by_bytes += 1;
    }

    fn unit(&mut self, unit: u32) {
        /// Bytes of `\u` and its digits.
        const ESCAPE: u64 = 6;
        let is_low = (0xDC00..0xE000).contains(&unit);
        if !(self.high && is_low) {
            self.plain();
            self.broken |= is_low;
        }
        let decoded_bytes = match unit {
            ..0x80 => 1,
            // The halves of a character together are four bytes.
            0x80..0x800 | 0xD800..0xE000 => 2,
            _ => 3,
        };
        self.high = (0xD800..0xDC00).contains(&unit);
        self.shrinks_by_bytes += ESCAPE - decoded_bytes;
    }
}

/// Whether JSON allows `byte` between tokens.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
