use std::io::{BufReader, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

const HEADER: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn record(number: usize) -> String {
    format!(
        "2 111111111111 eni-{number:017x} 10.0.0.1 10.0.0.2 443 49152 6 20 4249 1418530010 1418530070 ACCEPT OK"
    )
}

/// What a batch with all records of `object` would hold.
fn records(object: &[u8]) -> Result<Vec<String>, ObjectError> {
    records_as(RecordFormat::Auto, object)
}

fn records_as(format: RecordFormat, object: &[u8]) -> Result<Vec<String>, ObjectError> {
    let decoder = Decoder::new(format, Filter::default());
    let (mut json, mut whole) = (b"[".to_vec(), b"[".to_vec());
    let (first, rest) = object.split_at(object.len().min(1));
    let in_pieces = first.chain(BufReader::with_capacity(100, rest));
    let ended = decoder.decode(in_pieces, |mut block| {
        json.extend_from_slice(&block.take(usize::MAX));
        ControlFlow::Continue(())
    });
    let whole_ended = decoder.decode(object, |mut block| {
        whole.extend_from_slice(&block.take(usize::MAX));
        ControlFlow::Continue(())
    });
    let told = |ended: &Result<(), ObjectError>| ended.as_ref().map_err(ToString::to_string).copied();
    assert_eq!(told(&ended), told(&whole_ended));
    assert!(ended.is_err() || json == whole);
    ended?;
    if json.ends_with(b",") {
        json.pop();
    }
    json.push(b']');
    Ok(serde_json::from_slice(&json).unwrap())
}

#[test]
fn headers_and_empty_lines_are_left_out_and_the_last_line_needs_no_end() {
    let text = format!("{HEADER}\n{}\n\n{}\r\n{}", record(1), record(2), record(3));
    assert_eq!(records(&gzip(text.as_bytes())).unwrap(), [record(1), record(2), record(3)]);
    assert_eq!(records(&gzip(HEADER.as_bytes())).unwrap(), Vec::<String>::new());
    assert_eq!(records(&gzip(b"")).unwrap(), Vec::<String>::new());
}

#[test]
fn all_members_are_read_wherever_the_cut_between_them_is() {
    let text = format!("{HEADER}\n{}\n{}\n", record(1), record(2));
    for cut in [1, HEADER.len(), HEADER.len() + 1, HEADER.len() + 20, text.len() - 1] {
        let (first, second) = text.as_bytes().split_at(cut);
        let object = [gzip(first), gzip(b""), gzip(second)].concat();
        assert_eq!(records(&object).unwrap(), [record(1), record(2)], "cut at {cut}");
    }
}

#[test]
fn a_member_with_a_header_of_its_own_sends_no_header() {
    let member = |number| gzip(format!("{HEADER}\n{}\n", record(number)).as_bytes());
    assert_eq!(records(&[member(1), member(2)].concat()).unwrap(), [record(1), record(2)]);
}

#[test]
fn a_file_without_header_keeps_its_first_record() {
    let text = format!("{}\n{}\n", record(1), record(2));
    assert_eq!(records(&gzip(text.as_bytes())).unwrap(), [record(1), record(2)]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let text: String =
        std::iter::once(HEADER.to_owned()).chain((0..5000).map(record)).collect::<Vec<_>>().join("\n");
    let whole = gzip(text.as_bytes());
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    let cases: [(&str, Vec<u8>, &str); 10] = [
        ("cut", whole[..whole.len() / 2].to_vec(), "cut"),
        ("one byte", whole[..1].to_vec(), "cut"),
        ("trailer cut", whole[..whole.len() - 3].to_vec(), "cut"),
        ("damaged", flipped, "corrupt"),
        ("plain text", b"colour shape\nred round\n".to_vec(), "not a flow log"),
        ("archive", b"PK\x03\x04 and so on".to_vec(), "not gzip"),
        ("parquet", b"PAR1xxxxPAR1".to_vec(), "parquet"),
        ("json", gzip(br#"{"Records": []}"#), "not a flow log"),
        ("binary", gzip(&[0xff; 100]), "not utf-8"),
        ("bomb", gzip(&vec![b' '; 64 << 20]), "not a flow log"),
    ];
    for (name, object, cause) in cases {
        assert_eq!(records(&object).unwrap_err().cause(), cause, "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_after_a_header_comes_out_line_by_line(lines in prop::collection::vec("[^\r\n\u{feff}]{0,40}", 0..50)) {
        let text = format!("{HEADER}\n{}\n", lines.join("\n"));
        let expected: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(records_as(RecordFormat::Raw, &gzip(text.as_bytes())).unwrap(), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = records(&bytes);
        let _ = records(&[b"PAR1".to_vec(), bytes.clone(), b"PAR1".to_vec()].concat());
        let _ = records(&[b"\x1f\x8b\x08\0\0\0\0\0\0\0".to_vec(), bytes].concat());
    }
}
