//! Records that are merged, and where an object goes on that was delivered in part.

use std::ops::ControlFlow;

use flow_log::aggregate::Aggregate;
use flow_log::decode::{Decoder, RecordFormat};
use flow_log::filter::Filter;
use flow_log::record::selection::Selection;
use serde_json::{Value, json};
use support::flowlogs::HEADER;
use support::parquet::Form;
use support::traffic;

use crate::{blocks, decoded, text};

/// Fields of version 3 behind those of version 2, which the intake's parser does not read as a line.
pub(crate) const WITH_FLAGS: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets \
                                     bytes start end action log-status tcp-flags flow-direction";

pub(crate) fn decoder(format: RecordFormat, aggregate: Aggregate) -> Decoder {
    Decoder::new(format, Filter::default()).with_aggregate(aggregate)
}

fn line(ends: &str, sums: &str, rest: &str) -> String {
    format!("2 1 eni-1 {ends} {sums} {rest}")
}

#[test]
fn slices_of_a_flow_are_one_line_and_all_else_stays_in_order() {
    let there = "10.0.0.1 10.0.0.2 40000 443 6";
    let back = "10.0.0.2 10.0.0.1 443 40000 6";
    let lines = [
        line(there, "1 40 1418530060 1418530119", "ACCEPT OK"),
        line(back, "2 90 1418530060 1418530119", "ACCEPT OK"),
        line("- - - - -", "- - 1418530010 1418530070", "- NODATA"),
        line(there, "3 500 1418530010 1418530059", "ACCEPT OK"),
        line(there, "4 60 1418530120 1418530150", "REJECT OK"),
        line("- - - - -", "- - 1418530010 1418530070", "- NODATA"),
        line(there, "5 60 1418530120 1418530179", "ACCEPT OK"),
    ];
    let expected = [
        line(there, "9 600 1418530010 1418530179", "ACCEPT OK"),
        lines[1].clone(),
        lines[2].clone(),
        lines[4].clone(),
        lines[5].clone(),
    ];
    let object = text(HEADER, &lines);
    for aggregate in [Aggregate::Flows, Aggregate::Services] {
        let decoder = decoder(RecordFormat::Auto, aggregate);
        assert_eq!(decoded(&decoder, &object).unwrap(), expected);
        let mut block = blocks(&decoder, &object).unwrap().remove(0);
        assert_eq!((block.tally().read, block.tally().merged), (7, 2));
        let positions: Vec<u64> = (0..5).map(|_| (block.take(1), block.position()).1).collect();
        assert_eq!(positions, [1, 2, 3, 4, 7]);
    }
}

#[test]
fn flags_are_those_of_all_slices() {
    let there = "10.0.0.1 10.0.0.2 40000 443 6";
    let lines =
        ["2", "16", "1"].map(|flags| format!("{} {flags} ingress", line(there, "1 40 10 20", "ACCEPT OK")));
    let sent = decoded(&decoder(RecordFormat::Auto, Aggregate::Flows), &text(WITH_FLAGS, &lines)).unwrap();
    let event: Value = serde_json::from_str(&sent[0]).unwrap();
    assert_eq!((sent.len(), &event["tcp_flags"], &event["packets"]), (1, &json!(19), &json!(3)));
}

#[test]
fn flows_of_a_service_are_one_without_the_clients_port_and_json_counts_them() {
    let flow = |source: u32, destination: u32, protocol: u32| {
        line(&format!("10.0.0.1 10.0.0.2 {source} {destination} {protocol}"), "1 40 10 20", "ACCEPT OK")
    };
    let lines = [
        flow(40_000, 443, 6),
        flow(40_001, 443, 6),
        flow(40_000, 443, 6),
        flow(443, 40_000, 6),
        // One flow keeps its port, in as many slices as it comes.
        flow(50_000, 8080, 6),
        flow(50_000, 8080, 6),
        // Nobody knows who is the client.
        flow(40_000, 40_001, 6),
        flow(40_000, 40_002, 6),
        flow(5000, 6000, 6),
        flow(5000, 6001, 6),
        // Its ports mean something else.
        flow(40_000, 443, 132),
        flow(40_001, 443, 132),
    ];
    let merged = |ends: &str, sums: &str| line(&format!("10.0.0.1 10.0.0.2 {ends}"), sums, "ACCEPT OK");
    let mut expected =
        vec![merged("- 443 6", "3 120 10 20"), lines[3].clone(), merged("50000 8080 6", "2 80 10 20")];
    expected.extend_from_slice(&lines[6..]);
    let object = text(HEADER, &lines);
    assert_eq!(decoded(&decoder(RecordFormat::Auto, Aggregate::Services), &object).unwrap(), expected);
    let rows = support::parquet::file(HEADER, &lines, &Form::default()).to_vec();
    for object in [&object, &rows] {
        let sent = decoded(&decoder(RecordFormat::Json, Aggregate::Services), object).unwrap();
        let counts: Vec<Value> = sent
            .iter()
            .map(|event| serde_json::from_str::<Value>(event).unwrap()["flow_count"].clone())
            .collect();
        assert_eq!(counts[0], json!(2));
        assert!(counts.iter().skip(1).all(Value::is_null), "{counts:?}");
        assert!(sent[0].contains(r#""dstport":443"#) && !sent[0].contains("srcport"), "{}", sent[0]);
    }
}

/// Totals are exact, and no sum has more digits than the intake's parser reads.
#[test]
fn a_sum_that_would_be_too_large_begins_another_record() {
    let large = 999_999_999_999_999_998_u64;
    let record = |bytes: u64| line("10.0.0.1 10.0.0.2 40000 443 6", &format!("1 {bytes} 10 20"), "ACCEPT OK");
    let lines = [record(large), record(1), record(1), record(5), record(large)];
    let sent = decoded(&decoder(RecordFormat::Auto, Aggregate::Flows), &text(HEADER, &lines)).unwrap();
    let bytes: Vec<&str> = sent.iter().map(|line| line.split(' ').nth(9).unwrap()).collect();
    assert_eq!(bytes, ["999999999999999999", "6", "999999999999999998"]);
}

#[test]
fn without_fields_to_sum_up_nothing_is_merged() {
    let object = text("srcaddr dstaddr packets start end", &["a b 1 2 3"; 3]);
    let mut blocks = blocks(&decoder(RecordFormat::Auto, Aggregate::Services), &object).unwrap();
    assert_eq!((blocks[0].remaining(), blocks[0].tally().merged), (3, 0));
    blocks[0].take(1);
    assert_eq!(blocks[0].position(), 1);
}

/// What agrees in all fields that go out may still be another flow.
#[test]
fn fields_that_do_not_go_out_tell_records_apart() {
    let ends = |port: u32| line(&format!("10.0.0.1 10.0.0.2 {port} 443 6"), "1 40 10 20", "ACCEPT OK");
    let lines = [ends(40_000), ends(40_001), ends(40_000)];
    for object in [text(HEADER, &lines), support::parquet::file(HEADER, &lines, &Form::default()).to_vec()] {
        for (aggregate, expected) in [
            (Aggregate::Flows, vec![r#"{"dstport":443,"bytes":80}"#, r#"{"dstport":443,"bytes":40}"#]),
            (Aggregate::Services, vec![r#"{"dstport":443,"bytes":120,"flow_count":2}"#]),
        ] {
            let decoder = decoder(RecordFormat::Json, aggregate)
                .with_fields(Selection::parse(["dstport", "bytes"]).unwrap());
            assert_eq!(decoded(&decoder, &object).unwrap(), expected);
        }
    }
}

/// All that goes out after a position, and the positions after each.
pub(crate) fn rest(decoder: &Decoder, object: &[u8], from: u64) -> Vec<(String, u64)> {
    let mut rest = Vec::new();
    decoder
        .decode(object, |mut block| {
            block.skip_to(from);
            while block.remaining() > 0 {
                let text = block.take(1);
                rest.push((serde_json::from_slice(&text[..text.len() - 1]).unwrap(), block.position()));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    rest
}

/// More than a window holds: of groups, of bytes of their keys, and of client's ports.
#[test]
fn totals_and_positions_are_exact_whatever_fits_into_a_window() {
    let records = traffic::records(7, 1_795_377_300, 40_000);
    let long: Vec<String> =
        (0..200).map(|number| format!("{}{number}", "x".repeat(10_000 + number * 40))).collect();
    let scan: Vec<String> = (0..60_000)
        .map(|number| line(&format!("10.0.0.1 10.0.0.2 {} 443 6", 2_000 + number), "1 40 10 20", "ACCEPT OK"))
        .collect();
    let tagged: Vec<String> = records
        .iter()
        .zip(long.iter().cycle())
        .take(300)
        .map(|(line, tag)| format!("{line} {tag}"))
        .collect();
    let with_tags = format!("{HEADER} instance-tag");
    for (header, records) in [(HEADER, &records), (HEADER, &scan), (&*with_tags, &tagged)] {
        for object in
            [text(header, records), support::parquet::file(header, records, &Form::default()).to_vec()]
        {
            for aggregate in [Aggregate::Flows, Aggregate::Services] {
                let decoder = decoder(RecordFormat::Json, aggregate);
                let sent = rest(&decoder, &object, 0);
                let totals = |records: &mut dyn Iterator<Item = [u64; 2]>| {
                    records.fold([0; 2], |[packets, bytes], [more, more_bytes]| {
                        [packets + more, bytes + more_bytes]
                    })
                };
                let number = |value: &str| value.parse::<u64>().unwrap();
                let expected = totals(&mut records.iter().map(|line| {
                    let values: Vec<&str> = line.split(' ').collect();
                    [number(values[8]), number(values[9])]
                }));
                let found = totals(&mut sent.iter().map(|(event, _)| {
                    let event: Value = serde_json::from_str(event).unwrap();
                    [event["packets"].as_u64().unwrap(), event["bytes"].as_u64().unwrap()]
                }));
                assert_eq!(found, expected);
                let tallies = blocks(&decoder, &object).unwrap();
                let sum = |count: fn(&flow_log::decode::tally::Tally) -> u32| {
                    tallies.iter().map(|block| count(block.tally())).sum::<u32>() as usize
                };
                assert_eq!(
                    (sum(|tally| tally.read), sum(|tally| tally.merged)),
                    (records.len(), records.len() - sent.len())
                );
                assert!(
                    sent.windows(2).all(|pair| pair[0].1 < pair[1].1)
                        && sent.last().unwrap().1 == records.len() as u64
                );
                for taken in (1..sent.len()).step_by(sent.len() / 10 + 1) {
                    assert_eq!(rest(&decoder, &object, sent[taken - 1].1), sent[taken..]);
                }
            }
        }
    }
    let services = rest(&decoder(RecordFormat::Json, Aggregate::Services), &text(HEADER, &scan), 0);
    assert_eq!(services.len(), 2, "one for each window of 40,000 ports");
}

#[test]
fn a_position_is_true_for_the_same_configuration_only() {
    let flows = decoder(RecordFormat::Auto, Aggregate::Flows);
    let filter = Filter { no_data: true, ..Filter::default() };
    assert_eq!(decoder(RecordFormat::Auto, Aggregate::Off).grouping(), None);
    assert_eq!(flows.grouping(), decoder(RecordFormat::Auto, Aggregate::Flows).grouping());
    for other in [
        decoder(RecordFormat::Auto, Aggregate::Services),
        decoder(RecordFormat::Json, Aggregate::Flows),
        Decoder::new(RecordFormat::Auto, filter).with_aggregate(Aggregate::Flows),
        flows.clone().with_fields(Selection::parse(["start"]).unwrap()),
    ] {
        assert_ne!(other.grouping(), flows.grouping());
        assert_eq!(other.going_on(flows.grouping()).grouping(), None);
        assert_eq!(other.going_on(other.grouping()).grouping(), other.grouping());
    }
}

#[test]
fn a_record_that_is_too_long_to_be_held_keeps_its_place() {
    let there = "10.0.0.1 10.0.0.2 40000 443 6";
    let header = format!("{HEADER} instance-tag");
    let lines =
        ["a", &"x".repeat(20_000), "a"].map(|tag| line(there, "1 40 10 20", &format!("ACCEPT OK {tag}")));
    let object = text(&header, &lines);
    let sent = rest(&decoder(RecordFormat::Raw, Aggregate::Flows), &object, 0);
    assert_eq!(sent, lines.iter().cloned().zip(1..).collect::<Vec<_>>());
}
