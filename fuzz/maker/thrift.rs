//! Thrift's compact protocol, in each of its forms.

/// A struct of Thrift's compact protocol that is being written.
#[derive(Default)]
pub struct Struct {
    bytes: Vec<u8>,
    last: i64,
    /// Whether the numbers of all fields are told in full.
    is_long: bool,
}

impl Struct {
    pub fn new(is_long: bool) -> Self {
        Self { is_long, ..Self::default() }
    }

    pub fn head(&mut self, field: i64, kind: u8) {
        let step = field - self.last;
        if self.is_long || !(1..16).contains(&step) {
            self.bytes.push(kind);
            zigzag(field, &mut self.bytes);
        } else {
            self.bytes.push(u8::try_from(step).unwrap() << 4 | kind);
        }
        self.last = field;
    }

    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub fn number(&mut self, field: i64, number: i64) {
        self.head(field, if i32::try_from(number).is_ok() { 5 } else { 6 });
        zigzag(number, &mut self.bytes);
    }

    pub fn text(&mut self, field: i64, text: &[u8]) {
        self.head(field, 8);
        varint(text.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(text);
    }

    pub fn nested(&mut self, field: i64, inner: Self) {
        self.head(field, 12);
        self.bytes.extend(inner.end());
    }

    pub fn list(&mut self, field: i64, count: i64, items: Vec<Self>) {
        self.head(field, 9);
        self.bytes.push(0xfc);
        varint(count.unsigned_abs(), &mut self.bytes);
        items.into_iter().for_each(|item| self.bytes.extend(item.end()));
    }

    pub fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

pub fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

pub fn zigzag(number: i64, out: &mut Vec<u8>) {
    varint((number << 1 ^ number >> 63).cast_unsigned(), out);
}
