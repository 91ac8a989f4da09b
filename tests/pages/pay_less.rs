//! The table of the page on paying for less: what a generated day comes to under each option.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use aws_flowlogs::config::TriggerConfiguration;
use flow_log::decode::Decoder;
use serde_json::{Value, json};
use support::flowlogs::HEADER;
use support::traffic;

use crate::page::text;

const MIDNIGHT_S: u64 = 1_795_305_600;
/// An object each hour.
const OBJECTS: u64 = 24;
const RECORDS: usize = 10_000;

/// The options as a user writes them, with `record_format` where it is not `auto`.
fn options() -> Vec<(&'static str, Value)> {
    let fields = json!(["srcaddr", "dstaddr", "dstport", "protocol", "bytes", "start", "end", "action"]);
    vec![
        ("`aggregate`: `flows`", json!({"aggregate": "flows"})),
        ("`aggregate`: `services`", json!({"aggregate": "services"})),
        ("`exclude_internal_traffic`: `accepted`", json!({"exclude_internal_traffic": "accepted"})),
        ("`exclude_internal_traffic`: `true`", json!({"exclude_internal_traffic": true})),
        ("`exclude_ports`: `udp/53`, `udp/123`", json!({"exclude_ports": ["udp/53", "udp/123"]})),
        ("`actions`: `REJECT`", json!({"actions": ["REJECT"]})),
        (
            "`flows`, and internal traffic `accepted`",
            json!({"aggregate": "flows", "exclude_internal_traffic": "accepted"}),
        ),
        (
            "`services`, and internal traffic `accepted`",
            json!({"aggregate": "services", "exclude_internal_traffic": "accepted"}),
        ),
        ("`record_format`: `json`", json!({"record_format": "json"})),
        ("`fields`: eight of fourteen, as JSON", json!({"fields": fields})),
    ]
}

fn decoder(options: &Value) -> Decoder {
    let mut arguments = options.clone();
    arguments["bucket_name"] = "logs".into();
    TriggerConfiguration::read(arguments).unwrap().records.decoder()
}

/// Records that go out of objects, and their bytes.
fn sent(decoder: &Decoder, day: &[String]) -> (f64, f64) {
    let (mut records, mut bytes) = (0.0, 0.0);
    for object in day {
        let decoded = decoder.decode(object.as_bytes(), |mut block| {
            let json = block.take(usize::MAX);
            let strings = json.strip_suffix(b",").unwrap_or(&json);
            let events: Vec<String> = serde_json::from_slice(&[b"[", strings, b"]"].concat()).unwrap();
            records += events.len() as f64;
            bytes += events.iter().map(String::len).sum::<usize>() as f64;
            ControlFlow::Continue(())
        });
        decoded.unwrap();
    }
    (records, bytes)
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "percent, for people")]
fn the_figures_are_those_of_a_generated_day() {
    let day: Vec<String> = (0..OBJECTS)
        .map(|hour| {
            let records = traffic::records(hour, MIDNIGHT_S + hour * 3_600, RECORDS);
            format!("{HEADER}\n{}\n", records.join("\n"))
        })
        .collect();
    let (all_records, all_bytes) = sent(&decoder(&json!({})), &day);
    assert!((all_records - OBJECTS as f64 * RECORDS as f64).abs() < 0.5);
    let mut table = String::new();
    for (name, options) in options() {
        let (records, bytes) = sent(&decoder(&options), &day);
        let share = |part: f64, all: f64| 100.0 * part / all;
        let (records, bytes) = (share(records, all_records), share(bytes, all_bytes));
        writeln!(table, "| {name} | {records:.0} % | {bytes:.0} % |").unwrap();
    }
    assert!(text("docs/pay-less.md").contains(&table), "write this into docs/pay-less.md:\n{table}");
}
