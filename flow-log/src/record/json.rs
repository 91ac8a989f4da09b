//! A record as a compact JSON object, written as what stands for it in a batch: a JSON string that holds JSON. What must
//! be escaped is escaped for both at once, straight into the batch's bytes.

use std::io::Write as _;

use self::plain::AT_ONCE;
pub use self::plain::is_plain;
use super::fields::Kind;

mod plain;

/// A field's name as a key.
#[derive(Clone, Debug)]
pub struct Key {
    /// `\"name\":`
    json: Vec<u8>,
    /// The same, and the quote that text begins with, with zeros after it; none of a longer one.
    quoted: Option<[u8; AT_ONCE]>,
    kind: Kind,
}

impl Key {
    /// The key of a field: its name with underscores.
    pub fn new(name: &str, kind: Kind) -> Self {
        let mut json = b"\\\"".to_vec();
        escape_twice(&name.replace('-', "_"), &mut json);
        json.extend_from_slice(b"\\\":");
        let mut quoted = [0; AT_ONCE];
        let bytes = [json.as_slice(), b"\\\""].concat();
        quoted.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
        Self { quoted: (bytes.len() <= AT_ONCE).then_some(quoted), json, kind }
    }

    /// How many bytes it is written in.
    pub fn bytes(&self) -> usize {
        self.json.len()
    }

    /// Writes it, and the quote that text begins with if there is to be one.
    #[inline]
    fn write(&self, has_quote: bool, out: &mut Vec<u8>) {
        let quote: &[u8] = if has_quote { b"\\\"" } else { b"" };
        match &self.quoted {
            Some(quoted) => {
                let end = out.len() + self.json.len() + quote.len();
                out.extend_from_slice(quoted);
                out.truncate(end);
            }
            None => {
                out.extend_from_slice(&self.json);
                out.extend_from_slice(quote);
            }
        }
    }
}

/// A record that is being written.
#[derive(Debug)]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// Where it begins.
    start: usize,
}

impl<'a> Object<'a> {
    /// Begins a record at the end of `out`.
    pub fn begin(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(b"\"{");
        Self { out, start }
    }

    /// A part of a record at the end of `out`: values, each with its key before it and a comma after it.
    pub fn part(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Ends it, with a comma after it.
    pub fn end(self) {
        if self.out.ends_with(b",") {
            self.out.pop();
        }
        self.out.extend_from_slice(b"}\",");
    }

    /// A value that came as text. Of a field of integers it is written as one, if it is one. `is_clean` says that
    /// nothing in it needs escaping, if the caller knows.
    pub fn text(&mut self, key: &Key, value: &str, is_clean: bool) {
        if key.kind == Kind::Integer && is_integer(value.as_bytes()) {
            key.write(false, self.out);
            self.out.extend_from_slice(value.as_bytes());
            self.out.push(b',');
            return;
        }
        key.write(true, self.out);
        if is_clean || value.bytes().fold(true, |clean, byte| clean & !is_special(byte)) {
            self.out.extend_from_slice(value.as_bytes());
        } else {
            escape_twice(value, self.out);
        }
        self.out.extend_from_slice(b"\\\",");
    }

    /// Text of a field that is none of integers, of which nothing needs escaping.
    #[inline]
    pub fn plain_text(&mut self, key: &Key, value: &[u8]) {
        key.write(true, self.out);
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\\\",");
    }

    /// A value that was written before, or the digits of a number.
    pub fn written(&mut self, key: &Key, json: &[u8]) {
        key.write(false, self.out);
        self.out.extend_from_slice(json);
        self.out.push(b',');
    }

    /// For how many flows it stands, if it is not one; after its values, if there are any.
    pub fn flows(&mut self, count: u32) {
        if count > 1 && !self.is_empty() {
            // Writing into a vector cannot fail.
            let _ = write!(self.out, "\\\"flow_count\\\":{count},");
        }
    }

    /// How many bytes were written.
    pub fn bytes(&self) -> usize {
        self.out.len() - self.start
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        // Its quote and its brace.
        self.bytes() == 2
    }

    /// A value that came as a number or as true or false. Of a field of text it is written as text.
    pub fn plain(&mut self, key: &Key, value: impl serde::Serialize) {
        let is_text = key.kind == Kind::Text;
        key.write(is_text, self.out);
        // Writing into a vector cannot fail.
        let _ = serde_json::to_writer(&mut *self.out, &value);
        self.out.extend_from_slice(if is_text { b"\\\"," } else { b"," });
    }
}

/// Whether a byte has to be escaped in a JSON string.
pub fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Whether JSON takes it for an integer, and every reader for the same one.
fn is_integer(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    // Eighteen digits fit into 64 bits whatever they are.
    (1..=18).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || !digits.starts_with(b"0"))
}

/// Text for a JSON string inside a JSON string.
fn escape_twice(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(br#"\\\""#),
            b'\\' => out.extend_from_slice(br"\\\\"),
            0..0x20 => {
                let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                out.extend_from_slice(&[b'\\', b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn object(write: impl FnOnce(&mut Object<'_>)) -> Value {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        write(&mut object);
        object.end();
        assert_eq!(out.pop(), Some(b','));
        let text: String = serde_json::from_slice(&out).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn of_text(name: &str, value: &str) -> Value {
        object(|object| object.text(&Key::new(name, Kind::of(name)), value, false))
    }

    #[test]
    fn integers_are_integers_and_nothing_else_is() {
        for (name, text, expected) in [
            ("protocol", "6", json!({"protocol": 6})),
            ("tcp-flags", "0", json!({"tcp_flags": 0})),
            ("bytes", "123456789012345678", json!({"bytes": 123_456_789_012_345_678_i64})),
            ("start", "-5", json!({"start": -5})),
            ("account-id", "012345678901", json!({"account_id": "012345678901"})),
            ("protocol", "06", json!({"protocol": "06"})),
            ("protocol", "6.0", json!({"protocol": "6.0"})),
            ("protocol", "tcp", json!({"protocol": "tcp"})),
            ("field-of-next-year", "7", json!({"field_of_next_year": "7"})),
        ] {
            assert_eq!(of_text(name, text), expected);
        }
        let number = |name: &str| object(|object| object.plain(&Key::new(name, Kind::of(name)), 7));
        assert_eq!(number("protocol"), json!({"protocol": 7}));
        assert_eq!(number("account_id"), json!({"account_id": "7"}));
        assert_eq!(number("next_year"), json!({"next_year": 7}));
        assert_eq!(object(|_| {}), json!({}));
    }

    #[test]
    fn objects_are_compact() {
        let mut out = b"[".to_vec();
        let mut object = Object::begin(&mut out);
        object.text(&Key::new("srcaddr", Kind::Text), "10.0.0.1", true);
        object.plain(&Key::new("protocol", Kind::Integer), 6);
        object.end();
        assert_eq!(String::from_utf8(out).unwrap(), r#"["{\"srcaddr\":\"10.0.0.1\",\"protocol\":6}","#);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(name in any::<String>(), value in any::<String>()) {
            let mut expected = serde_json::Map::new();
            expected.insert(name.replace('-', "_"), value.clone().into());
            prop_assert_eq!(object(|object| object.text(&Key::new(&name, Kind::Unknown), &value, false)), Value::from(expected));
        }
    }
}
