//! What decoding Parquet takes of memory, counted by the allocator: no more than this, whatever a file claims.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    dead_code,
    unreachable_pub,
    reason = "a test ends at what it did not expect"
)]

use std::ops::ControlFlow;

use flow_log::decode::{Decoder, ObjectError};

#[path = "../../../fuzz/counting.rs"]
mod counting;
mod groups;
#[path = "../../../fuzz/maker.rs"]
mod maker;

use maker::codec;
use maker::thrift::{Struct, varint};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// 64 MiB of pages, 16 MiB of description, 16 MiB of an inflater's window, and what is written.
const MOST_BYTES: usize = 112 << 20;

/// What became of an object: records that went out, the position of its end, and why it ended.
struct Decoded {
    sent: usize,
    end: u64,
    ended: Result<(), ObjectError>,
}

/// Decodes an object, and sees that it takes no more memory than it may.
#[track_caller]
fn decode(object: &[u8]) -> Decoded {
    let mut decoded = Decoded { sent: 0, end: 0, ended: Ok(()) };
    let peak = counting::peak(|| {
        decoded.ended = Decoder::default().decode(object, |block| {
            decoded.sent += block.remaining();
            decoded.end = block.end();
            ControlFlow::Continue(())
        });
    });
    let is_too_much = peak == 0 || peak >= MOST_BYTES;
    if is_too_much {
        IS_QUIET.set(false);
    }
    assert!(!is_too_much, "{} MiB: {:?}", peak >> 20, decoded.ended);
    decoded
}

#[track_caller]
fn is_named(object: &[u8], part: &str) {
    let said = decode(object).ended.unwrap_err();
    assert!(said.is_poison() && said.to_string().contains(part), "{said}");
}

/// The header of a page, each number of which may be wrong.
struct Page {
    kind: i64,
    is_long: bool,
    bytes: i64,
    compressed: i64,
    values: i64,
    encoding: i64,
}

impl Page {
    fn of(body: &[u8], values: i64, encoding: i64) -> Self {
        let bytes = body.len() as i64;
        Self { kind: 0, is_long: false, bytes, compressed: bytes, values, encoding }
    }

    fn before(&self, body: &[u8]) -> Vec<u8> {
        let mut header = Struct::new(self.is_long);
        header.number(1, self.kind);
        header.number(2, self.bytes);
        header.number(3, self.compressed);
        let mut inner = Struct::new(self.is_long);
        inner.number(1, self.values);
        inner.number(2, self.encoding);
        inner.number(3, 3);
        inner.number(4, 3);
        header.nested(if self.kind == 2 { 7 } else { 5 }, inner);
        [header.end(), body.to_vec()].concat()
    }
}

/// What a file says of its columns and of its rows.
#[derive(Clone, Copy)]
struct File<'a> {
    names: &'a [String],
    /// The type, by its number.
    physical: i64,
    is_optional: bool,
    codec: i64,
    rows: i64,
    /// Row groups with nothing in them, before the one that has rows.
    empty_groups: usize,
}

impl File<'_> {
    /// The file, with these pages as those of each column.
    fn of(&self, chunk: &[u8], dictionary_bytes: usize) -> Vec<u8> {
        let mut file = b"PAR1".to_vec();
        let mut element = Struct::default();
        element.text(4, b"schema");
        element.number(5, self.names.len() as i64);
        let mut schema = vec![element];
        for name in self.names {
            let mut element = Struct::default();
            element.number(1, self.physical);
            element.number(3, i64::from(self.is_optional));
            element.text(4, name.as_bytes());
            schema.push(element);
        }
        file.extend_from_slice(chunk);
        let group = |rows, bytes| {
            let mut group = Struct::default();
            let chunks = self.names.iter().map(|_| {
                let mut told = Struct::default();
                told.number(4, self.codec);
                told.number(7, bytes);
                told.number(9, 4 + dictionary_bytes as i64);
                if dictionary_bytes > 0 {
                    told.number(11, 4);
                }
                let mut chunk = Struct::default();
                chunk.nested(3, told);
                chunk
            });
            group.list(1, self.names.len() as i64, chunks.collect());
            group.number(3, rows);
            group
        };
        let mut groups: Vec<Struct> = (0..self.empty_groups).map(|_| group(0, 0)).collect();
        groups.push(group(self.rows, chunk.len() as i64));
        let mut footer = Struct::default();
        footer.list(2, schema.len() as i64, schema);
        footer.list(4, groups.len() as i64, groups);
        let footer = footer.end();
        file.extend_from_slice(&footer);
        file.extend_from_slice(&u32::try_from(footer.len()).unwrap().to_le_bytes());
        file.extend_from_slice(b"PAR1");
        file
    }
}

/// One column of byte arrays, each of which is there.
fn texts(names: &[String]) -> File<'_> {
    File { names, physical: 6, is_optional: false, codec: 0, rows: 1, empty_groups: 0 }
}

fn srcaddr() -> Vec<String> {
    vec!["srcaddr".to_owned()]
}

fn plain(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_le_bytes()[..], text].concat()
}

/// A run of one level or index of one bit.
fn run(count: u64, value: u8) -> Vec<u8> {
    let mut run = Vec::new();
    varint(count << 1, &mut run);
    run.push(value);
    run
}

#[test]
fn a_file_as_it_should_be_is_decoded() {
    let body = plain(b"10.0.0.1");
    let file = texts(&srcaddr()).of(&Page::of(&body, 1, 0).before(&body), 0);
    let decoded = decode(&file);
    assert_eq!((decoded.sent, decoded.end), (1, 1));
    decoded.ended.unwrap();
}

#[test]
fn a_prefix_that_is_shared_takes_no_more_than_pages_may() {
    for (length, count, is_small) in [(1 << 16, 20, true), (1 << 20, 5000, false), (1 << 12, 1 << 20, false)]
    {
        let (prefixes, suffixes) = shared(count, length);
        let body = [prefixes, suffixes, vec![b'1'; length as usize]].concat();
        let file = File { rows: count, ..texts(&srcaddr()) }.of(&Page::of(&body, count, 7).before(&body), 0);
        if is_small {
            let decoded = decode(&file);
            decoded.ended.unwrap();
            assert_eq!(decoded.end, 20);
        } else {
            is_named(&file, "64 MiB");
        }
    }
}

/// The prefixes and suffixes of values that are all the same.
fn shared(count: i64, length: i64) -> (Vec<u8>, Vec<u8>) {
    let mut choices = maker::Choices::new(&[]);
    let prefixes = maker::first_other(count, 0, length, &mut choices);
    (prefixes, maker::first_other(count, length, 0, &mut choices))
}

#[test]
fn a_page_takes_what_it_holds_whatever_its_header_says_in_whatever_form() {
    let body = plain(b"10.0.0.1");
    for is_long in [false, true] {
        for codec in [1, 2, 4, 5, 6, 7] {
            let page = Page { is_long, bytes: 1 << 30, ..Page::of(&body, 1, 0) };
            is_named(&File { codec, ..texts(&srcaddr()) }.of(&page.before(&body), 0), "64 MiB");
        }
        for (bytes, compressed) in [(-1, 12), (12, -1), (12, 1 << 40), (12, 1 << 31)] {
            let page = Page { is_long, bytes, compressed, ..Page::of(&body, 1, 0) };
            is_named(
                &File { codec: 1, ..texts(&srcaddr()) }.of(&page.before(&body), 0),
                "size that cannot be",
            );
        }
    }
}

#[test]
fn a_page_that_holds_more_than_its_header_says_is_damaged() {
    let body = plain(b"10.0.0.1");
    let more = 1 << 27;
    let mut brotli = Vec::new();
    let zeros = [&body[..], &vec![0; more]].concat();
    brotli::BrotliCompress(
        &mut &zeros[..],
        &mut brotli,
        &brotli::enc::BrotliEncoderParams { quality: 1, ..Default::default() },
    )
    .unwrap();
    drop(zeros);
    let bodies = [
        (1, codec::snappy(&body, more)),
        (2, codec::gzip(&body, more)),
        (4, brotli),
        (5, codec::lz4(&body, more)),
        (6, codec::zstd(&body, more)),
        (7, codec::lz4(&body, more)),
    ];
    for (codec, packed) in bodies {
        let page = Page { bytes: body.len() as i64, ..Page::of(&packed, 1, 0) };
        assert!(
            decode(&File { codec, ..texts(&srcaddr()) }.of(&page.before(&packed), 0)).ended.is_err(),
            "{codec}"
        );
    }
    // A window of 1 GiB.
    let large = [0x11, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let page = Page { bytes: 1 << 20, ..Page::of(&large, 1, 0) };
    is_named(&File { codec: 4, ..texts(&srcaddr()) }.of(&page.before(&large), 0), "window");
}

#[test]
fn a_dictionary_takes_what_its_values_take() {
    let empty = plain(b"").repeat(4 << 20);
    let page = Page { kind: 2, ..Page::of(&empty, 4 << 20, 0) };
    let file = |page: Page, values: &[u8]| {
        let dictionary = page.before(values);
        let indexes = [vec![1], run(1, 0)].concat();
        let chunk = [dictionary.clone(), Page::of(&indexes, 1, 8).before(&indexes)].concat();
        texts(&srcaddr()).of(&chunk, dictionary.len())
    };
    is_named(&file(page, &empty), "64 MiB");
    let value = plain(b"10.0.0.1");
    is_named(&file(Page { kind: 2, ..Page::of(&value, (1 << 31) - 1, 0) }, &value), "more values than bytes");
    assert_eq!(decode(&file(Page { kind: 2, ..Page::of(&value, 1, 0) }, &value)).sent, 1);
}

#[test]
fn a_description_takes_what_its_columns_take() {
    let body = plain(b"10.0.0.1");
    let page = Page::of(&body, 1, 0).before(&body);
    let names = srcaddr();
    // What lies in groups of rows without rows costs nothing; there may be no more than the description has room for.
    let many = File { empty_groups: 500_000, ..texts(&names) };
    assert_eq!(decode(&many.of(&page, 0)).sent, 1);
    is_named(&File { empty_groups: 1_500_000, ..many }.of(&page, 0), "16 MiB");
    // A thousand columns, each with a value that is large, come to a record that is none.
    let names: Vec<String> = (0..1000)
        .map(|number| if number == 0 { srcaddr().remove(0) } else { format!("dstaddr_{number}") })
        .collect();
    let names: Vec<String> = names.into_iter().chain(["log_status".to_owned()]).collect();
    let body = plain(&[1; 30_000]);
    let wide = texts(&names).of(&Page::of(&body, 1, 0).before(&body), 0);
    let decoded = decode(&wide);
    assert_eq!((decoded.sent, decoded.end), (0, 1));
    let names: Vec<String> = (0..2000).map(|number| format!("tgw_id_{number}")).collect();
    is_named(&texts(&names).of(&page, 0), "description is wrong");
    let names = vec![format!("srcaddr{}", "_".repeat(1 << 20)), "srcaddr".to_owned()];
    assert_eq!(
        decode(&texts(&names).of(&[page.clone(), page].concat(), 0)).ended.map_err(|error| error.cause()),
        Err("parquet")
    );
}

#[test]
fn rows_are_no_more_than_their_bytes_can_hold() {
    let null = |count: u64| {
        let levels = run(count, 0);
        [&u32::try_from(levels.len()).unwrap().to_le_bytes()[..], &levels].concat()
    };
    let nothing = |count: i64| {
        let body = null(count.unsigned_abs());
        let names = srcaddr();
        File { is_optional: true, rows: count, ..texts(&names) }
            .of(&Page::of(&body, count, 0).before(&body), 0)
    };
    // A row without a value is no record, but it has a position.
    for count in [1, 1024, 1_000_000] {
        let decoded = decode(&nothing(count));
        decoded.ended.unwrap();
        assert_eq!((decoded.sent, decoded.end), (0, count.unsigned_abs()));
    }
    for count in [(1 << 31) - 1, 1 << 62] {
        is_named(&nothing(count), "cannot hold");
    }
    // More values than rows, and fewer.
    let body = null(5);
    let names = srcaddr();
    let file = File { is_optional: true, rows: 3, ..texts(&names) };
    is_named(&file.of(&Page::of(&body, 5, 0).before(&body), 0), "more values than there are rows");
    is_named(&file.of(&Page::of(&body, 2, 0).before(&body), 0), "fewer values than there are rows");
}

#[test]
fn records_are_no_more_than_their_bytes_can_hold() {
    let value = plain(&[b'1'; 100_000]);
    let dictionary = Page { kind: 2, ..Page::of(&value, 1, 0) }.before(&value);
    let count = 100_000;
    let indexes = [vec![1], run(count, 0)].concat();
    let chunk = [dictionary.clone(), Page::of(&indexes, count as i64, 8).before(&indexes)].concat();
    let names = vec!["interface_id".to_owned()];
    let file = File { rows: count as i64, ..texts(&names) }.of(&chunk, dictionary.len());
    let decoded = decode(&file);
    let said = decoded.ended.unwrap_err();
    assert!(said.to_string().contains("a thousand times"), "{said}");
    assert!(decoded.sent < 5_000);
}

#[test]
fn an_inflated_object_is_no_more_than_its_bytes_can_hold() {
    let mut zeros = b"PAR1".to_vec();
    zeros.resize(65 << 20, 0);
    let object = support::flowlogs::gzip(&zeros);
    drop(zeros);
    is_named(&object, "64 MiB");
}

/// Bytes that differ with each seed.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..400).map(|_| next()).collect()
}

thread_local! {
    /// Whether a panic is caught and called damage, as the reader's are.
    static IS_QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[test]
fn whatever_a_file_claims_it_takes_no_more() {
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !IS_QUIET.get() {
            said(panic);
        }
    }));
    IS_QUIET.set(true);
    let mut whole = 0;
    for seed in 0..400 {
        let file = maker::file(&mut maker::Choices::new(&bytes(seed)));
        let decoded = decode(&file);
        whole += u32::from(decoded.ended.is_ok() && decoded.sent > 0);
    }
    IS_QUIET.set(false);
    assert!(whole > 30, "{whole} files could be read");
}
