//! A state that version 0.1.0 wrote is gone on from.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use support::flowlogs::{FlowLog, Generator, LogObject};
use support::platform::Endpoint;
use support::s3::{Operation, Rule, Trouble};
use support::script::Fault;

use crate::world::{BUCKET, World, stop};

/// When version 0.1.0 ran.
const THEN: &str = "2026-11-20T12:00:00Z";

/// What was in the bucket when version 0.1.0 ran.
struct Then {
    generator: Generator,
    flow_logs: [FlowLog; 2],
    /// Delivered by it: days of any age, all of them with a digest that are older than the window.
    delivered: Vec<LogObject>,
    /// Denied to it.
    denied: LogObject,
    /// It came late, and was delivered.
    straggler: LogObject,
    /// With a name of its own, in a folder of AWS.
    foreign: LogObject,
    /// No flow log.
    rejected: LogObject,
    /// Of 250 records, 100 were delivered, and the next 100 were on their way.
    partial: LogObject,
}

fn ago(days: i64, minutes: i64) -> Timestamp {
    THEN.parse::<Timestamp>().unwrap() - SignedDuration::from_mins(days * 24 * 60 + minutes)
}

impl Then {
    fn new() -> Self {
        let mut generator = Generator::new(10);
        let flow_logs = [
            generator.flow_log("111111111111", "eu-west-3"),
            generator.flow_log("222222222222", "us-east-1").hive(),
        ];
        let mut delivered = Vec::new();
        for flow_log in &flow_logs {
            for days in [40, 20, 5, 3, 1, 0] {
                for minutes in 2..8 {
                    delivered.push(generator.object(flow_log, ago(days, 5 * minutes), 10));
                }
            }
        }
        let [one, two] = &flow_logs;
        let denied = generator.object(one, ago(3, 90), 10);
        let straggler = generator.object(two, ago(5, 90), 10);
        let mut foreign = generator.object(one, ago(20, 90), 10);
        let folder = foreign.key.rsplit_once('/').unwrap().0;
        foreign.key = format!("{folder}/copied.log.gz");
        let rejected = generator.object(two, ago(0, 90), 10);
        let partial = generator.object(two, ago(0, 95), 250);
        Self { generator, flow_logs, delivered, denied, straggler, foreign, rejected, partial }
    }

    /// Fills the bucket as it was.
    fn fill(&self, world: &World) {
        for (object, days) in self.delivered.iter().zip([40, 20, 5, 3, 1, 0].map(|days| [days; 6]).iter().flatten().cycle()) {
            world.s3.put_at(BUCKET, &object.key, object.body(), ago(*days, 0));
        }
        world.s3.put_at(BUCKET, &self.foreign.key, self.foreign.body(), ago(20, 80));
        world.s3.put_at(BUCKET, &self.denied.key, self.denied.body(), ago(3, 80));
    }

    fn fill_later(&self, world: &World) {
        world.s3.put_at(BUCKET, &self.straggler.key, self.straggler.body(), ago(0, 30));
        world.s3.put_at(BUCKET, &self.rejected.key, "not a flow log", ago(0, 80));
    }
}

#[tokio::test]
async fn maker() {
    let mut world = World::new().await;
    let then = Then::new();
    world.s3.clock().set_fixed(THEN.parse().unwrap());
    world.argument("start_from", "beginning");
    world.argument("chunk_size", 9);
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::ACCESS_DENIED).key_contains(&then.denied.key));
    then.fill(&world);
    for object in then.delivered.iter().chain([&then.foreign]) {
        world.expected.extend(object.records.iter().cloned());
    }
    let process = world.start().await;
    world.all_arrive(&process).await;
    world.argument("chunk_size", 100);
    stop(process).await;
    let process = world.start().await;
    then.fill_later(&world);
    world.expected.extend(then.straggler.records.iter().cloned());
    world.all_arrive(&process).await;
    world.until_logged("error", "object rejected").await;
    #[allow(clippy::disallowed_methods)]
    tokio::time::sleep(std::time::Duration::from_secs(25)).await;
    world.exactly_expected();
    world.platform.script(Endpoint::Events).then_normal(1).then_times(30, &Fault::status(503));
    world.s3.put_at(BUCKET, &then.partial.key, then.partial.body(), ago(0, 85));
    assert!(process.stderr().wait_for("the platform did not take a batch", crate::world::PATIENCE).await);
    let mut process = process;
    process.kill();
    for file in crate::state::files(&world, "") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let body = std::fs::read(&file).unwrap();
        println!("{name}: {}", String::from_utf8_lossy(&aws_flowlogs::trigger::journal::unseal(&body).unwrap_or_default()));
    }
    let to = Path::new("/tmp/state-0.1.0");
    std::process::Command::new("cp").arg("-a").arg(world.storage.path()).arg(to).status().unwrap();
    println!("{}", process.stderr().text());
}
