//! What leaving records out and merging them costs: records of a generated day, with each option and without.

use bytes::Bytes;
use serde_json::{Value, json};
use support::flowlogs::{HEADER, gzip};
use support::traffic;

use crate::measure::median;
use crate::table::Table;
use crate::world::{Delivered, Flow, Setting, deliver};

const ROUNDS: usize = 5;
const OBJECTS: u64 = 40;
const RECORDS: usize = 50_000;
const START_S: u64 = 1_795_377_300;

/// 2,000,000 records in 40 objects, with the trigger.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub async fn options(table: &mut Table, rest_mib: f64) {
    let object = |seed| {
        let records = traffic::records(seed, START_S, RECORDS);
        gzip(format!("{HEADER}\n{}\n", records.join("\n")))
    };
    let objects: Vec<Bytes> = (0..OBJECTS).map(object).collect();
    // A thousand networks and ports of which no record has one.
    let networks: Vec<String> =
        (0..1_000).map(|one| format!("198.{}.{}.0/24", 18 + one / 256, one % 256)).collect();
    let ports: Vec<Value> = (0..1_000).map(|one| (62_000 + one).into()).collect();
    let settings = [
        ("no option", json!({})),
        ("a thousand networks and ports", json!({"exclude_networks": networks, "exclude_ports": ports})),
        ("internal traffic", json!({"exclude_internal_traffic": "accepted"})),
        ("`flows`", json!({"aggregate": "flows"})),
        ("`services`", json!({"aggregate": "services"})),
        ("`services`, as JSON", json!({"aggregate": "services", "record_format": "json"})),
    ];
    let mut delivered = settings.each_ref().map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, arguments), delivered) in settings.iter().zip(&mut delivered) {
            let setting = Setting { arguments: arguments.clone(), ..Setting::of(Flow::Trigger) };
            delivered.push(deliver(&objects, &setting).await);
        }
    }
    for ((name, _), delivered) in settings.iter().zip(&delivered) {
        let of = |figure: fn(&Delivered) -> f64| median(delivered.iter().map(figure).collect());
        let rate = (OBJECTS as f64 * RECORDS as f64) / of(|delivered| delivered.usage.cpu_seconds) / 1e6;
        let share = 100.0 * of(|delivered| delivered.records as f64) / (OBJECTS as f64 * RECORDS as f64);
        let over = of(|delivered| delivered.usage.peak_mib) - rest_mib;
        let figure =
            format!("{rate:.2} million records read per s, {share:.0} % sent, {over:.0} MiB over rest");
        table.row(&format!("records of a generated day, {name}, trigger"), &figure);
    }
}
