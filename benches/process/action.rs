//! The action, with files of events of several sizes.

use std::time::Duration;

use serde_json::json;
use support::flowlogs::Generator;
use support::intake::Intake;
use support::module::Module;
use support::platform::{Platform, Setup};

use crate::measure::{binary, children_seconds, median, usage};
use crate::table::Table;

const GIB: usize = 1 << 30;

/// Sends files of events, each a number of times.
pub async fn runs(table: &mut Table) {
    let mut generator = Generator::new(1);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    // As long as events of 51 MB in 200,000 are.
    let long =
        |record: &String| format!("{record} {}", "x".repeat(255_usize.saturating_sub(record.len() + 1)));
    let mut events = |count: usize| -> Vec<String> {
        let time = "2026-11-22T00:05:00Z".parse().unwrap();
        generator.object(&flow_log, time, count).records
    };
    let usual = events(10_000);
    let many: Vec<String> = events(200_000).iter().map(long).collect();
    let file = |events: &[String]| serde_json::to_vec(events).unwrap();
    let cases = [(10_000, file(&usual), 15), (200_000, file(&many), 5), (GIB / 258, gibibyte(&many), 1)];
    for (events, file, rounds) in cases {
        let (mut seconds, mut peaks) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (second, peak) = run(&file).await;
            seconds.push(second);
            peaks.push(peak);
        }
        let (seconds, peak, mb) = (median(seconds), median(peaks), file.len() / 1_000_000);
        table.row(
            &format!("action, {events} events in {mb} MB"),
            &format!("{seconds:.2} s, {peak:.0} MiB at most"),
        );
    }
}

/// A file of a gibibyte.
fn gibibyte(events: &[String]) -> Vec<u8> {
    let events: Vec<&String> = events.iter().cycle().take(GIB / 258).collect();
    serde_json::to_vec(&events).unwrap()
}

/// Sends a file; gives processor time in seconds and the most memory in MiB.
async fn run(file: &[u8]) -> (f64, f64) {
    let intake = Intake::start("key").await;
    let platform = Platform::start(Setup::new("/nowhere")).await;
    let run = platform.action_run();
    std::fs::write(run.storage().join("event.json"), file).unwrap();
    let before = children_seconds();
    let arguments =
        json!({"intake_key": "key", "intake_server": intake.server(), "events_path": "event.json"});
    let mut process = Module::new(binary(), "push_events")
        .value("module_configuration", json!({}))
        .value("token", platform.token())
        .value("url_callback", run.url_callback())
        .value("arguments", arguments)
        .storage(run.storage())
        .start();
    let mut peak = 0.0;
    let exit = loop {
        peak = usage(&process).map_or(peak, |usage| usage.peak_mib);
        if let Some(exit) = process.exited(Duration::from_millis(2)).await {
            break exit;
        }
    };
    assert!(exit.success(), "{}", process.stderr().text());
    assert!(intake.count() > 0);
    (children_seconds() - before, peak)
}
