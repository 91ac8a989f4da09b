//! Makes files of Parquet out of bytes that choose: schemas, types, encodings, codecs, and sizes far from usual. Most of a
//! file is as it should be, so that the rest of it is reached; what it says of itself may be anything. All of it is written
//! here, so that no writer keeps it from being wrong.

use codec::{brotli, gzip, lz4, snappy, zstd};
use thrift::{Struct, varint, zigzag};

#[path = "maker/codec.rs"]
pub mod codec;
#[path = "maker/thrift.rs"]
pub mod thrift;

/// Bytes that choose; zeros when they are used up.
pub struct Choices<'a> {
    rest: &'a [u8],
    /// Whether what is said may be wrong.
    is_wild: bool,
}

impl<'a> Choices<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        let mut choices = Self { rest, is_wild: false };
        choices.is_wild = choices.of(2) == 1;
        choices
    }

    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *byte
    }

    /// One of so many.
    fn of(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// One time in `times`, and not when the bytes are used up.
    fn is_rare(&mut self, times: u8) -> bool {
        self.byte() % times == 1
    }

    /// A number as it is, or another, far from it.
    fn said(&mut self, number: i64) -> i64 {
        const FAR: [i64; 12] = [
            0,
            -1,
            1,
            1 << 7,
            1 << 16,
            1 << 20,
            1 << 26,
            (1 << 31) - 1,
            -(1 << 31),
            1 << 32,
            1 << 62,
            i64::MAX,
        ];
        if self.is_wild && self.is_rare(32) { FAR[self.of(FAR.len())] } else { number }
    }
}

const NAMES: [&str; 12] = [
    "srcaddr",
    "dstaddr",
    "start",
    "bytes",
    "ACCOUNT_ID",
    "log_status",
    "numpackets",
    "protocol",
    "of_next_year",
    "action",
    "src_endpoint",
    "tcp_flags",
];
const BYTE_ARRAY: usize = 6;
const FIXED: usize = 7;
const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_V2: i64 = 3;

/// A column, as it is described.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    physical: usize,
    length: usize,
    is_optional: bool,
    annotation: i64,
    logical: i64,
    codec: i64,
}

/// A file, and nothing that a reader of it must know.
pub fn file(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut file = b"PAR1".to_vec();
    let count = if choices.is_rare(32) { 1000 } else { 1 + choices.of(4) };
    let mut columns: Vec<Column> = (0..count).map(|_| column(choices)).collect();
    if choices.of(4) > 0 {
        // No other log has it.
        columns[0].name = "interface_id";
    }
    let most = if choices.is_wild { 8 } else { 7 };
    let rows = [1, 2, 3, 40, 1000, 5000, 100_000, 1 << 31][choices.of(most)];
    let is_long = choices.is_rare(4);
    let mut groups = Vec::new();
    for _ in 0..1 + choices.of(2) {
        let chunks = columns.iter().map(|column| chunk(column, rows, is_long, choices, &mut file)).collect();
        let mut group = Struct::new(is_long);
        group.list(1, choices.said(columns.len() as i64), chunks);
        group.number(2, 0);
        group.number(3, choices.said(rows));
        groups.push(group);
    }
    let mut count = groups.len() as i64;
    if choices.is_wild && choices.is_rare(16) {
        let empty = || {
            let mut group = Struct::default();
            group.list(1, 0, Vec::new());
            group
        };
        groups.extend((0..50_000).map(|_| empty()));
        count += 50_000;
    }
    let mut footer = Struct::new(is_long);
    footer.number(1, 2);
    let mut root = Struct::new(is_long);
    root.text(4, b"schema");
    root.number(5, choices.said(columns.len() as i64));
    let mut schema = vec![root];
    schema.extend(columns.iter().map(|column| element(column, is_long, choices)));
    footer.list(2, choices.said(columns.len() as i64 + 1), schema);
    footer.number(3, rows);
    footer.list(4, choices.said(count), groups);
    let footer = footer.end();
    file.extend_from_slice(&footer);
    file.extend_from_slice(&u32::try_from(footer.len()).unwrap().to_le_bytes());
    file.extend_from_slice(b"PAR1");
    let flips = if choices.is_wild { [0, 0, 1, 3][choices.of(4)] } else { 0 };
    for _ in 0..flips {
        let place = (choices.of(256) << 8 | choices.of(256)) % file.len();
        file[place] ^= choices.byte();
    }
    file
}

fn column(choices: &mut Choices<'_>) -> Column {
    Column {
        name: NAMES[choices.of(NAMES.len())],
        physical: [BYTE_ARRAY, 1, 2, FIXED, 0, 3, 4, 5, BYTE_ARRAY][choices.of(9)],
        length: [16, 1, 2, 9, 4096, 0][choices.of(if choices.is_wild { 6 } else { 5 })],
        is_optional: choices.of(2) == 0,
        annotation: if choices.of(4) > 0 { 0 } else { choices.of(23) as i64 },
        logical: if choices.of(4) > 0 { 0 } else { choices.of(18) as i64 },
        codec: [0, 1, 2, 4, 5, 6, 7, if choices.is_wild { 3 } else { 0 }][choices.of(8)],
    }
}

fn element(column: &Column, is_long: bool, choices: &mut Choices<'_>) -> Struct {
    let mut element = Struct::new(is_long);
    element.number(1, choices.said(column.physical as i64));
    element.number(2, choices.said(column.length as i64));
    element.number(3, if choices.is_wild && choices.is_rare(32) { 2 } else { i64::from(column.is_optional) });
    element.text(4, column.name.as_bytes());
    if column.annotation > 0 {
        element.number(6, column.annotation - 1);
    }
    element.number(7, choices.said(2));
    if column.logical > 0 {
        let mut kind = Struct::new(is_long);
        match column.logical {
            5 => kind.number(1, choices.said(2)),
            7 | 8 => {
                let mut unit = Struct::new(is_long);
                unit.nested(1 + choices.of(3) as i64, Struct::default());
                kind.head(1, 1 + choices.byte() % 2);
                kind.nested(2, unit);
            }
            10 => {
                kind.head(1, 3);
                kind.byte([8, 16, 32, 64, 0, 255][choices.of(6)]);
                kind.head(2, 1 + choices.byte() % 2);
            }
            _ => {}
        }
        let mut logical = Struct::new(is_long);
        logical.nested(column.logical, kind);
        element.nested(10, logical);
    }
    element
}

/// Writes the pages of a column in a row group, and gives what the file says of them.
fn chunk(column: &Column, rows: i64, is_long: bool, choices: &mut Choices<'_>, file: &mut Vec<u8>) -> Struct {
    let start = file.len() as i64;
    let has_dictionary = choices.of(2) == 0 && column.physical != 0;
    if has_dictionary {
        let count = [1, 2, 200, 3000][choices.of(4)];
        let values = plain(column, count, choices);
        page(column, DICTIONARY, count, 0, (Vec::new(), values), is_long, choices, file);
    }
    let first = file.len() as i64;
    let pages = 1 + choices.of(2) as i64;
    for number in 0..pages {
        let count = rows / pages + if number == 0 { rows % pages } else { 0 };
        let (encoding, values) = values(column, count, has_dictionary, choices);
        let version = if choices.of(2) == 0 { DATA } else { DATA_V2 };
        let mut levels = Vec::new();
        if column.is_optional {
            let is_there = u8::from(!choices.is_rare(8));
            varint(count.unsigned_abs() << 1, &mut levels);
            levels.push(is_there);
            if version == DATA {
                let bytes = u32::try_from(levels.len()).unwrap();
                levels.splice(0..0, bytes.to_le_bytes());
            }
        }
        page(column, version, count, encoding, (levels, values), is_long, choices, file);
    }
    let mut told = Struct::new(is_long);
    told.number(1, column.physical as i64);
    told.number(4, choices.said(column.codec));
    told.number(5, rows);
    told.number(7, choices.said(file.len() as i64 - start));
    told.number(9, choices.said(first));
    if has_dictionary {
        told.number(11, choices.said(start));
    }
    let mut chunk = Struct::new(is_long);
    chunk.number(2, 0);
    chunk.nested(3, told);
    chunk
}

#[expect(clippy::too_many_arguments, reason = "a page has so many parts")]
fn page(
    column: &Column,
    kind: i64,
    count: i64,
    encoding: i64,
    (levels, values): (Vec<u8>, Vec<u8>),
    is_long: bool,
    choices: &mut Choices<'_>,
    file: &mut Vec<u8>,
) {
    let bytes = (levels.len() + values.len()) as i64;
    let (kept, packed) = if kind == DATA_V2 {
        (levels.clone(), values)
    } else {
        (Vec::new(), [&levels[..], &values].concat())
    };
    let (mut body, claimed) = compress(column.codec, packed, choices);
    body.splice(0..0, kept);
    let mut header = Struct::new(is_long);
    header.number(1, kind);
    header.number(2, choices.said(bytes + claimed));
    header.number(3, choices.said(body.len() as i64));
    let mut inner = Struct::new(is_long);
    inner.number(1, choices.said(count));
    match kind {
        DATA_V2 => {
            inner.number(2, choices.said(0));
            inner.number(3, count);
            inner.number(4, choices.said(encoding));
            inner.number(5, choices.said(levels.len() as i64));
            inner.number(6, choices.said(0));
            header.nested(8, inner);
        }
        DICTIONARY => {
            inner.number(2, choices.said(encoding));
            header.nested(7, inner);
        }
        _ => {
            inner.number(2, choices.said(encoding));
            inner.number(3, if choices.is_wild && choices.is_rare(32) { 4 } else { 3 });
            inner.number(4, 3);
            header.nested(5, inner);
        }
    }
    file.extend(header.end());
    file.extend(body);
}

/// Values of a column in one of the encodings that it may have, or in another.
fn values(column: &Column, count: i64, has_dictionary: bool, choices: &mut Choices<'_>) -> (i64, Vec<u8>) {
    let encoding = match choices.of(6) {
        0 | 1 if has_dictionary => 8,
        2 if (1..=2).contains(&column.physical) => 5,
        2 | 3 if column.physical == BYTE_ARRAY => 6 + choices.of(2) as i64,
        2 if column.physical == FIXED => 7,
        3 if column.physical > 0 => 9,
        3 if column.physical == 0 => 3,
        4 if choices.is_wild && choices.is_rare(4) => choices.of(11) as i64,
        _ => 0,
    };
    let values = match encoding {
        // A run of one index, of as many bits as a byte may say.
        8 => {
            let mut indexes = vec![[1, 8, 32, 255][choices.of(if choices.is_wild { 4 } else { 3 })]];
            varint(count.unsigned_abs() << 1, &mut indexes);
            indexes.extend([0; 4]);
            indexes
        }
        3 => {
            let mut run = Vec::new();
            varint(count.unsigned_abs() << 1, &mut run);
            run.push(1);
            let bytes = u32::try_from(run.len()).unwrap();
            [&bytes.to_le_bytes()[..], &run].concat()
        }
        5 => deltas(choices.said(count), 7, choices.said(1), choices),
        6 => [deltas(choices.said(count), 8, 0, choices), vec![b'1'; 8 * few(count)]].concat(),
        7 => {
            // What the first value has is told once, and shared by all others.
            let length = [16, 4096, 1 << 16, 1 << 20][choices.of(4)];
            let prefixes = first_other(choices.said(count), 0, length, choices);
            let suffixes = first_other(choices.said(count), length, 0, choices);
            [prefixes, suffixes, vec![b'7'; usize::try_from(length).unwrap()]].concat()
        }
        _ => plain(column, count, choices),
    };
    (encoding, values)
}

fn few(count: i64) -> usize {
    usize::try_from(count.clamp(0, 100_000)).unwrap()
}

fn plain(column: &Column, count: i64, choices: &mut Choices<'_>) -> Vec<u8> {
    let value = match column.physical {
        0 => return vec![0x55; few(count).div_ceil(8)],
        1 | 4 => vec![1; 4],
        2 | 5 => vec![1; 8],
        3 => vec![1; 12],
        BYTE_ARRAY => {
            let text: &[u8] = [&b"10.0.0.1"[..], b"", b"-", b"\0", b"ACCEPT", b"5120.00"][choices.of(6)];
            let times = if choices.is_rare(16) { 100_000 } else { 1 };
            let text = text.repeat(times);
            [&u32::try_from(text.len()).unwrap().to_le_bytes()[..], &text].concat()
        }
        _ => vec![b'1'; column.length],
    };
    let most = (2 << 20) / value.len().max(1) + 1;
    value.repeat(few(count).min(most))
}

/// DELTA_BINARY_PACKED: the first value, and the same difference between all others, in blocks without any bits.
fn deltas(count: i64, first: i64, difference: i64, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut deltas = Vec::new();
    let block = [128, 1 << 20, 32][choices.of(3)];
    varint(block, &mut deltas);
    varint(1, &mut deltas);
    varint(count.unsigned_abs(), &mut deltas);
    zigzag(first, &mut deltas);
    for _ in 0..count.unsigned_abs().div_ceil(block).min(10_000) {
        zigzag(difference, &mut deltas);
        deltas.push(0);
    }
    deltas
}

/// Deltas of which the second makes all that follow.
pub fn first_other(count: i64, first: i64, others: i64, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut deltas = Vec::new();
    let block = [128, 1 << 20][choices.of(2)];
    varint(block, &mut deltas);
    varint(1, &mut deltas);
    varint(count.unsigned_abs(), &mut deltas);
    zigzag(first, &mut deltas);
    let step = others - first;
    let bits = 64 - step.unsigned_abs().leading_zeros();
    // The smallest difference is the step where it is negative, and nothing where it is not: the first in the block has it,
    // all others make it up.
    for number in 0..count.unsigned_abs().div_ceil(block).min(if block == 128 { 10_000 } else { 1 }) {
        let is_first = number == 0;
        zigzag(if is_first { step.min(0) } else { 0 }, &mut deltas);
        deltas.push(if is_first { u8::try_from(bits).unwrap() } else { 0 });
        if is_first {
            let mut packed = vec![0; usize::try_from(block * u64::from(bits) / 8).unwrap()];
            for place in 0..usize::try_from(block).unwrap() {
                let value = match (step < 0, place) {
                    (true, 0) => 0,
                    (false, 0) | (true, _) => step.unsigned_abs(),
                    (false, _) => 0,
                };
                for bit in 0..bits as usize {
                    if value >> bit & 1 == 1 {
                        let place = place * bits as usize + bit;
                        packed[place / 8] |= 1 << (place % 8);
                    }
                }
            }
            deltas.extend(packed);
        }
    }
    deltas
}

/// As the codec has it, and how much more it holds than it was given.
fn compress(codec: i64, page: Vec<u8>, choices: &mut Choices<'_>) -> (Vec<u8>, i64) {
    let more = if choices.is_wild && choices.is_rare(8) {
        [1_usize << 16, 1 << 20, 1 << 24][choices.of(3)]
    } else {
        0
    };
    let packed = match codec {
        1 => snappy(&page, more),
        2 => gzip(&page, more),
        4 => brotli(&page),
        5 | 7 => lz4(&page, more),
        6 => zstd(&page, more),
        _ => return (page, 0),
    };
    // Some say what they hold, some do not.
    let is_told = choices.of(2) == 0;
    (packed, if is_told { more as i64 } else { 0 })
}
