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

/// Sends files of events, each a number of times, as they are and compressed.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub async fn runs(table: &mut Table) {
    let mut generator = Generator::new(1);
    let usual = usual(&mut generator);
    // Three records in each, cut to be as long as events of 51 MB in 200,000 are.
    let many: Vec<String> =
        events(&mut generator, 600_000).chunks(3).map(|records| cut(records.join(" "), 255)).collect();
    let file = |events: &[String]| serde_json::to_vec(events).unwrap();
    let cases = [(10_000, usual, 15), (200_000, file(&many), 5), (GIB / 258, gibibyte(&many), 1)];
    for (events, file, rounds) in cases {
        for compress in [false, true] {
            let (mut seconds, mut peaks, mut sent) = (Vec::new(), Vec::new(), 0);
            for _ in 0..rounds {
                let run = run(&file, compress).await;
                seconds.push(run.cpu_seconds);
                peaks.push(run.peak_mib);
                sent = run.sent_bytes;
            }
            let (seconds, peak) = (median(seconds), median(peaks));
            let [mb, sent] = [file.len(), sent].map(|bytes| bytes as f64 / 1e6);
            let how = if compress { ", `compress`" } else { "" };
            table.row(
                &format!("action, {events} events in {mb:.0} MB{how}"),
                &format!("{seconds:.2} s, {peak:.0} MiB at most, {sent:.1} MB sent"),
            );
        }
    }
}

fn events(generator: &mut Generator, count: usize) -> Vec<String> {
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    generator.object(&flow_log, "2026-11-22T00:05:00Z".parse().unwrap(), count).records
}

/// A file as a batch of the trigger has: 10,000 records.
pub fn usual(generator: &mut Generator) -> Vec<u8> {
    serde_json::to_vec(&events(generator, 10_000)).unwrap()
}

fn cut(mut text: String, length: usize) -> String {
    text.truncate(length);
    text
}

/// What it took to send a file.
pub struct Run {
    pub cpu_seconds: f64,
    /// The most memory.
    peak_mib: f64,
    /// Bodies of posts, as they came to the intake.
    sent_bytes: usize,
}

/// A file of a gibibyte.
fn gibibyte(events: &[String]) -> Vec<u8> {
    let events: Vec<&String> = events.iter().cycle().take(GIB / 258).collect();
    serde_json::to_vec(&events).unwrap()
}

/// Sends a file.
pub async fn run(file: &[u8], compress: bool) -> Run {
    let intake = Intake::start("key").await;
    let platform = Platform::start(Setup::new("/nowhere")).await;
    let run = platform.action_run();
    std::fs::write(run.storage().join("event.json"), file).unwrap();
    let before = children_seconds();
    let arguments = json!({"intake_key": "key", "intake_server": intake.server(), "events_path": "event.json", "compress": compress});
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
    let sent_bytes = intake.posts().iter().map(|post| post.body_bytes).sum();
    Run { cpu_seconds: children_seconds() - before, peak_mib: peak, sent_bytes }
}
