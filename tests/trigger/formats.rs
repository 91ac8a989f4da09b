//! Flow logs of every kind between the bucket and the platform.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::json;
use support::eventually;
use support::flowlogs::{HEADER, gzip};
use support::parquet::Form;
use support::parser;
use support::platform::{Endpoint, LogLine};
use support::script::Fault;

use crate::world::{BUCKET, PATIENCE, World, stop};

/// The fields of version 2 in an order of the user's.
fn reversed(line: &str) -> String {
    line.split(' ').rev().collect::<Vec<_>>().join(" ")
}

/// Guarantee 12: A record of any fields in any order, as text or Parquet, goes out in a form in which the intake's
/// parser finds the values that AWS wrote.
#[tokio::test]
async fn records_of_every_kind_arrive_so_that_the_parser_finds_their_values() {
    let mut world = World::new().await;
    let process = world.start().await;
    let mut expected = BTreeSet::new();
    for kind in 0..5 {
        let mut flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        if kind >= 2 {
            flow_log = flow_log.parquet();
        }
        if kind == 3 {
            flow_log = flow_log.hive().hourly();
        }
        let object = world.object(&flow_log, 5, 130);
        let wide = Form { is_wide: true, group_rows: 50, page_rows: 7, ..Form::default() };
        let body: Bytes = match kind {
            0 => object.body(),
            1 => gzip(object.text().lines().map(|line| reversed(line) + "\n").collect::<String>()),
            2 => support::parquet::file(HEADER, &object.records, &Form::default()),
            3 => support::parquet::file(HEADER, &object.records, &wide),
            _ => gzip(support::parquet::file(HEADER, &object.records, &Form::default())),
        };
        world.s3.put(BUCKET, &object.key, body);
        expected
            .extend(object.records.iter().map(|record| json!(parser::expected(HEADER, record)).to_string()));
    }
    assert!(eventually(PATIENCE, || world.platform.records().len() >= expected.len()).await);
    world.until_logged("info", "poll ended").await;
    stop(process).await;
    let records = world.platform.records();
    assert_eq!(records.len(), expected.len());
    let found = records.iter().map(|record| match parser::parse(record) {
        Some(values) => json!(values).to_string(),
        None => panic!("not understood: {record}"),
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
    assert!(!world.platform.logs().iter().any(|line| line.level == "error"), "{:#?}", world.platform.logs());
}

/// Guarantee 13: A record that cannot be read is named by file and line, counted, and never a reason to drop the file.
#[tokio::test]
async fn a_record_that_does_not_match_its_header_is_named_and_the_others_arrive() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.object(&flow_log, 5, 20);
    let mut lines: Vec<&str> = object.records.iter().map(String::as_str).collect();
    lines.insert(6, "2 111111111111 eni-0a too few");
    lines.insert(9, "and then another");
    world.s3.put(BUCKET, &object.key, gzip(format!("{HEADER}\n{}\n", lines.join("\n"))));
    world.expected.extend(object.records.iter().cloned());
    world.all_arrive(&process).await;
    world.until_logged("warning", "records were rejected").await;
    let logs = world.platform.logs();
    let named = logs.iter().find(|line| line.message.contains("records were rejected")).unwrap();
    for part in [&object.key, "records=2", "line=8", "more or fewer values"] {
        assert!(named.message.contains(part), "{part}: {}", named.message);
    }
    for line in ["aws_flowlogs_records_rejected_total 2", "symphony_module_common_discarded_events_total 2"] {
        world.until_counted(line).await;
    }
    stop(process).await;

    // Who wants the lines as they are gets all of them.
    let mut world = World::new().await;
    world.argument("record_format", "raw");
    let process = world.start().await;
    world.s3.put(BUCKET, &object.key, gzip(format!("{HEADER}\n{}\n", lines.join("\n"))));
    world.expected.extend(lines.into_iter().map(str::to_owned));
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 12: A record of any fields in any order, as text or Parquet, goes out in a form in which the intake's
/// parser finds the values that AWS wrote.
#[tokio::test]
async fn a_line_that_the_parser_does_not_read_for_its_values_goes_out_as_json() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let mut expected = BTreeSet::new();
    for (value, other) in [("2 111111111111", "2 unknown"), ("2 111111111111", "11 111111111111")] {
        let object = world.object(&flow_log, 5, 40);
        let mut records = object.records.clone();
        records.iter_mut().skip(1).step_by(2).for_each(|record| *record = record.replacen(value, other, 1));
        world.s3.put(BUCKET, &object.key, gzip(format!("{HEADER}\n{}\n", records.join("\n"))));
        expected.extend(records.iter().map(|record| json!(parser::expected(HEADER, record)).to_string()));
    }
    assert!(eventually(PATIENCE, || world.platform.records().len() >= expected.len()).await);
    stop(process).await;
    let records = world.platform.records();
    let found = records.iter().map(|record| match parser::parse(record) {
        Some(values) => json!(values).to_string(),
        None => panic!("not understood: {record}"),
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
    assert_eq!(records.iter().filter(|record| record.starts_with('{')).count(), 40);
}

/// Guarantee 13: A record that cannot be read is named by file and line, counted, and never a reason to drop the file.
#[tokio::test]
async fn a_blemish_costs_its_line_at_most_and_is_named() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let text = |records: &[String]| format!("{HEADER}\n{}\n", records.join("\n")).into_bytes();
    let long = vec![b'x'; 2 << 20];
    let mut named = Vec::new();
    for kind in 0..7 {
        let object = world.object(&flow_log, 5, 20);
        let whole = text(&object.records);
        let body: Bytes = match kind {
            0 => gzip([b"\xef\xbb\xbf", &whole[..]].concat()),
            1 => gzip([&whole[..], b"2 1 \xff\n"].concat()),
            2 => gzip([&whole[..], &long].concat()),
            3 => [&gzip(&whole)[..], &[0; 512]].concat().into(),
            4 => [&gzip(&whole)[..], b"and more"].concat().into(),
            5 => whole.into(),
            _ => gzip(gzip(&whole)),
        };
        world.s3.put(BUCKET, &object.key, body);
        world.expected.extend(object.records);
        match kind {
            1 => named.push((object.key, "line=22", "it is not UTF-8")),
            2 => named.push((object.key, "line=22", "it is longer than 1 MiB")),
            4 => named.push((object.key, "something follows the gzip data", "")),
            _ => {}
        }
    }
    world.all_arrive(&process).await;
    for (key, place, cause) in &named {
        let is_named = || {
            let mut logs = world.platform.logs().into_iter().map(|line| line.message);
            logs.any(|message| [key.as_str(), place, cause].iter().all(|part| message.contains(part)))
        };
        assert!(eventually(PATIENCE, is_named).await, "{key} {cause}: {:#?}", world.platform.logs());
    }
    let is_warning = |line: &&LogLine| {
        line.level == "warning" && line.message.contains(": key=") && !line.message.contains("SKIPDATA")
    };
    assert_eq!(
        world.platform.logs().iter().filter(is_warning).count(),
        named.len(),
        "{:#?}",
        world.platform.logs()
    );
    for line in ["aws_flowlogs_records_rejected_total 2", "aws_flowlogs_objects_with_trailing_data_total 1"] {
        world.until_counted(line).await;
    }
    stop(process).await;
}

#[tokio::test]
async fn what_is_not_wanted_is_left_out_and_counted_by_its_reason() {
    let record = |ends: &str, action: &str| {
        format!("2 111111111111 eni-1 {ends} 443 49152 6 20 4249 1795377300 1795377358 {action} OK")
    };
    let internal = record("10.0.0.1 fd00::1", "REJECT");
    let accepted = record("10.0.0.1 198.51.100.7", "ACCEPT");
    let rejected = record("198.51.100.7 10.0.0.1", "REJECT");
    let no_data = "2 111111111111 eni-1 - - - - - - - 1795377300 1795377358 - NODATA".to_owned();
    let skip_data = no_data.replace("NODATA", "SKIPDATA");
    let mut world = World::new().await;
    world.argument("exclude_internal_traffic", true);
    world.argument("actions", json!(["REJECT"]));
    world.argument("exclude_no_data", true);
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.object(&flow_log, 5, 0);
    let records = [internal, accepted.clone(), accepted, rejected.clone(), no_data, skip_data.clone()];
    world.s3.put(BUCKET, &object.key, gzip(format!("{HEADER}\n{}\n", records.join("\n"))));
    world.expected.extend([rejected, skip_data]);
    world.all_arrive(&process).await;
    for line in [
        r#"aws_flowlogs_records_filtered_total{reason="internal traffic"} 1"#,
        r#"aws_flowlogs_records_filtered_total{reason="action"} 2"#,
        r#"aws_flowlogs_records_filtered_total{reason="no data"} 1"#,
        "aws_flowlogs_records_skip_data_total 1",
        "symphony_module_common_discarded_events_total 4",
        "symphony_module_aws_collected_events_total 6",
    ] {
        world.until_counted(line).await;
    }
    world.until_logged("warning", "SKIPDATA").await;
    assert!(world.is_logged("warning", &format!("_{}", flow_log.id)), "the flow log is named");
    // An object of which nothing is wanted is done nonetheless.
    let empty = world.object(&flow_log, 4, 0);
    world.s3.put(BUCKET, &empty.key, gzip(format!("{HEADER}\n{}\n", records[0])));
    world.until_counted("aws_flowlogs_objects_delivered_total 2").await;
    stop(process).await;
}

#[tokio::test]
async fn what_many_objects_have_in_common_is_said_once_a_poll() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let skip_data = "2 111111111111 eni-1 - - - - - - - 1795377300 1795377358 - SKIPDATA".to_owned();
    for minutes in 0..30 {
        let object = world.object(&flow_log, 5 * minutes, 0);
        world.s3.put(BUCKET, &object.key, gzip(format!("{HEADER}\n{skip_data}\n2 too few values\n")));
        world.expected.push(skip_data.clone());
    }
    let process = world.start().await;
    assert!(process.stderr().wait_for("poll ended", PATIENCE).await);
    stop(process).await;
    let logs = world.platform.logs();
    let count = |part: &str| logs.iter().filter(|line| line.message.contains(part)).count();
    assert_eq!(count("SKIPDATA"), 2, "{logs:?}");
    assert!(world.is_logged("warning", "objects=30, records=30"), "{logs:?}");
    assert_eq!(count("records were rejected; the first"), 20, "{logs:?}");
    assert!(world.is_logged("warning", "more objects have records that were rejected"), "{logs:?}");
    assert!(world.is_logged("warning", "objects=10"), "{logs:?}");
}

#[tokio::test]
async fn a_filter_that_changes_in_the_middle_of_an_object_loses_and_repeats_nothing() {
    let mut world = World::new().await;
    world.argument("chunk_size", 10);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.object(&flow_log, 5, 200);
    let is_wanted = |number: usize| !number.is_multiple_of(3);
    let records: Vec<String> = object
        .records
        .iter()
        .enumerate()
        .map(|(number, record)| match record.split(' ').nth(2).unwrap() {
            interface if !is_wanted(number) => {
                format!("2 111111111111 {interface} - - - - - - - 1795377300 1795377358 - NODATA")
            }
            interface => {
                format!(
                    "2 111111111111 {interface} 10.0.0.1 10.0.0.2 1 2 6 20 4249 1795377300 1795377358 ACCEPT OK"
                )
            }
        })
        .collect();
    // Three batches are accepted; the fourth is written, refused, and sent as it is by the next run.
    world.platform.script(Endpoint::Events).then_normal(3).always(Fault::status(400));
    let process = world.start().await;
    world.s3.put(BUCKET, &object.key, gzip(format!("{HEADER}\n{}\n", records.join("\n"))));
    world.until_logged("error", "the platform refused a batch").await;
    stop(process).await;
    world.platform.script(Endpoint::Events).clear();
    world.argument("exclude_no_data", true);
    let process = world.start().await;
    let (before, after) = records.split_at(40);
    world.expected.extend(before.iter().cloned());
    world.expected.extend(after.iter().filter(|record| record.ends_with("OK")).cloned());
    world.all_arrive(&process).await;
    stop(process).await;
}
