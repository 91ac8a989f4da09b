//! The connector that reads a queue: how soon records arrive, and what small objects cost.

use std::time::{Duration, Instant};

use support::eventually;
use support::flowlogs::Generator;
use support::s3::Operation;

use crate::measure::median;
use crate::table::Table;
use crate::world::{Flow, PATIENCE, Setting, World, deliver};

const ROUNDS: usize = 5;
const MESSAGES: usize = 20_000;
const RECORDS: usize = 50;
const MINUTE: Duration = Duration::from_secs(60);

/// An object now and then, a minute without any, and 20,000 small ones.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub async fn messages(table: &mut Table) {
    let mut generator = Generator::new(1);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    let object = generator.object(&flow_log, "2026-11-22T00:05:00Z".parse().unwrap(), RECORDS).body();

    let world = World::new().await;
    let mut processes = world.start_waiting(1).await;
    let mut seconds = Vec::new();
    for number in 1..=2 * ROUNDS {
        let began = Instant::now();
        world.put(number, &object);
        assert!(eventually(PATIENCE, || world.intake.count() == number * RECORDS).await);
        seconds.push(began.elapsed().as_secs_f64());
        assert!(eventually(PATIENCE, || world.messages() == 0).await);
    }
    let longest = seconds.iter().copied().fold(0.0, f64::max);
    let figure = format!("{:.2} s, {longest:.2} s at most", median(seconds));
    table.row("queue, message sent to records accepted, wall", &figure);

    let calls = || world.s3().count(Operation::Queue);
    let before = calls();
    tokio::time::sleep(MINUTE).await;
    table.row("queue, calls of SQS in a minute without messages", &(calls() - before).to_string());
    processes[0].stop(PATIENCE).await;

    for (replicas, name) in [(1, "one replica"), (3, "three replicas")] {
        let mut delivered = Vec::new();
        for _ in 0..ROUNDS {
            let setting = Setting::of(Flow::Queued { replicas });
            delivered.push(deliver(&vec![object.clone(); MESSAGES], &setting).await);
        }
        assert!(delivered.iter().all(|delivered| delivered.records == MESSAGES * RECORDS));
        let rates = delivered.iter().map(|delivered| MESSAGES as f64 / delivered.wall_seconds * 60.0);
        let calls = delivered.iter().map(|delivered| delivered.calls as f64 / MESSAGES as f64);
        let cpu = delivered.iter().map(|delivered| delivered.usage.cpu_seconds);
        let what = format!("20,000 messages, each of an object of 50 records, {name}");
        table.row(&what, &format!("{:.0} messages a minute", median(rates.collect())));
        table.row(&format!("{what}, calls of SQS"), &format!("{:.2} a message", median(calls.collect())));
        table.row(&format!("{what}, processor time"), &format!("{:.2} s", median(cpu.collect())));
    }
}
