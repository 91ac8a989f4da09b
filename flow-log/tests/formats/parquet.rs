//! Parquet files of two writers: the crate's own, and pyarrow, whose files are in `tests/fixtures`.

use std::path::Path;

use flow_log::decode::RecordFormat;
use flow_log::filter::Filter;
use serde_json::{Value, json};
use support::flowlogs::gzip;
use support::parquet::Form;
use support::parser;

use crate::events;

pub fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet");
    std::fs::read(folder.join(name)).unwrap()
}

/// The header and the records that all fixtures hold.
fn records() -> (String, Vec<String>) {
    let text = String::from_utf8(fixture("records.txt")).unwrap();
    let (header, records) = text.split_once('\n').unwrap();
    (header.to_owned(), records.lines().map(str::to_owned).collect())
}

pub fn sent(object: &[u8]) -> Vec<String> {
    events(RecordFormat::Auto, Filter::default(), object).unwrap()
}

#[test]
fn every_codec_and_type_of_pyarrow_is_read() {
    let (header, records) = records();
    for name in [
        "none.parquet",
        "snappy.parquet",
        "gzip.parquet",
        "brotli.parquet",
        "zstd.parquet",
        "lz4.parquet",
        "rewritten.parquet",
        "unsigned.parquet",
        "wrapped.parquet.gz",
    ] {
        let sent = sent(&fixture(name));
        assert_eq!(sent.len(), records.len(), "{name}");
        for (event, record) in sent.iter().zip(&records) {
            assert_eq!(parser::parse(event), Some(parser::expected(&header, record)), "{name}: {event}");
        }
    }
    assert_eq!(sent(&fixture("empty.parquet")), Vec::<String>::new());
}

#[test]
fn a_row_is_a_compact_object_in_the_order_of_the_columns() {
    let sent = sent(&fixture("snappy.parquet"));
    assert_eq!(
        sent[1],
        r#"{"version":5,"account_id":"111111111111","interface_id":"eni-0a1b2c3d4e5f60719","start":1795377300,"end":1795377358,"log_status":"NODATA"}"#
    );
    assert!(
        sent[0].starts_with(r#"{"version":5,"account_id":"012345678901","interface_id":"#),
        "{}",
        sent[0]
    );
    assert!(sent[0].ends_with(r#","flow_direction":"egress","traffic_path":8}"#), "{}", sent[0]);
}

/// A peer's mistake: a column of integers of which one is missing became `6.0`, which no parser looks up.
#[test]
fn integers_without_a_value_here_and_there_stay_integers() {
    let (header, records) = records();
    for name in ["floats.parquet", "snappy.parquet"] {
        for (event, record) in sent(&fixture(name)).iter().zip(&records) {
            assert_eq!(parser::parse(event), Some(parser::expected(&header, record)), "{name}: {event}");
            assert!(!event.contains(".0,") && !event.contains("null") && !event.contains("NaN"), "{event}");
        }
    }
}

#[test]
fn other_columns_pass_and_missing_ones_are_not_missed() {
    let (header, records) = records();
    for (event, record) in sent(&fixture("other-columns.parquet")).iter().zip(&records) {
        let mut expected = parser::expected(&header, record);
        expected.remove("vpc_id");
        assert_eq!(parser::parse(event), Some(expected), "{event}");
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event["pipeline_note"], json!("quote \" and \\ and \n"));
        assert_eq!((&event["hour"], event.get("tags")), (&json!(7), None));
    }
}

#[test]
fn a_file_in_gzip_is_known_by_what_is_inside() {
    let header = "srcaddr dstaddr";
    let file = support::parquet::file(header, &["10.0.0.1 10.0.0.2"], &Form::default());
    assert_eq!(sent(&gzip(&file)), sent(&file));
    assert_eq!(sent(&file), [r#"{"srcaddr":"10.0.0.1","dstaddr":"10.0.0.2"}"#]);
}

#[test]
fn many_rows_come_in_order_whatever_their_groups_and_pages() {
    let records: Vec<String> = (0..5000)
        .map(|number| if number % 3 == 0 { format!("- {number}") } else { format!("10.0.0.1 {number}") })
        .collect();
    for (group_rows, page_rows) in [(1, 1), (7, 3), (1024, 1000), (1025, 1024), (5000, 5000)] {
        let form = Form { group_rows, page_rows, ..Form::default() };
        let sent = sent(&support::parquet::file("srcaddr bytes", &records, &form));
        assert_eq!(sent.len(), records.len());
        for (event, record) in sent.iter().zip(&records) {
            assert_eq!(parser::parse(event), Some(parser::expected("srcaddr bytes", record)));
        }
    }
}

#[test]
fn a_file_that_is_damaged_or_no_flow_log_is_named_and_never_a_panic() {
    let whole = fixture("rewritten.parquet");
    let named = |object: &[u8]| match events(RecordFormat::Auto, Filter::default(), object) {
        // A damaged value is still a value where the page has no checksum; the order of records is all that counts.
        Ok(sent) => assert!(sent.len() <= records().1.len()),
        Err(error) => assert!(matches!(error.cause(), "parquet" | "not a flow log"), "{error}"),
    };
    for cut in (4..whole.len()).step_by(97) {
        named(&whole[..cut]);
    }
    for place in (4..whole.len()).step_by(5) {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[place] ^= flip;
            named(&damaged);
        }
    }
    let error = events(RecordFormat::Auto, Filter::default(), &whole[..1000]).unwrap_err();
    assert!(error.is_poison() && error.to_string().contains("Parquet"), "{error}");
    let other = support::parquet::file("colour shape", &["red round"], &Form::default());
    assert_eq!(events(RecordFormat::Auto, Filter::default(), &other).unwrap_err().cause(), "not a flow log");
}

#[test]
fn a_file_whose_pages_are_too_large_for_memory_is_named() {
    let large: Vec<String> = (0..80).map(|number| number.to_string().repeat(1 << 19)).collect();
    let form = Form { page_rows: 100, has_dictionaries: false, ..Form::default() };
    let file = support::parquet::file(
        "srcaddr instance-tag",
        &large.iter().map(|tag| format!("- {tag}")).collect::<Vec<_>>(),
        &form,
    );
    let sent = events(RecordFormat::Auto, Filter::default(), &file);
    // The writer ends a page at 1 MiB; it is the values that are read side by side which are too many.
    let error = sent.unwrap_err();
    assert!(error.to_string().contains("64 MiB"), "{error}");
}
