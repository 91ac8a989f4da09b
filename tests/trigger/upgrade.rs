//! A state that version 0.1.0 wrote is gone on from.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use support::flowlogs::{FlowLog, Generator, LogObject};

use crate::world::{BUCKET, World, stop};

/// When version 0.1.0 ran.
const THEN: &str = "2026-11-20T12:00:00Z";
/// Objects of each flow log on each day.
const OF_A_DAY: usize = 6;

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
        let days = [40, 20, 5, 3, 1, 0].into_iter().flat_map(|days| [days; OF_A_DAY]).cycle();
        for (object, days) in self.delivered.iter().zip(days) {
            world.s3.put_at(BUCKET, &object.key, object.body(), ago(days, 0));
        }
        world.s3.put_at(BUCKET, &self.foreign.key, self.foreign.body(), ago(20, 80));
        world.s3.put_at(BUCKET, &self.denied.key, self.denied.body(), ago(3, 80));
        world.s3.put_at(BUCKET, &self.straggler.key, self.straggler.body(), ago(0, 30));
        world.s3.put_at(BUCKET, &self.rejected.key, "not a flow log", ago(0, 80));
        world.s3.put_at(BUCKET, &self.partial.key, self.partial.body(), ago(0, 85));
    }
}

/// Guarantee 1: Every record of an object that lies after the start is delivered once, whatever flow log,
/// account, region or day it belongs to, and however late it comes.
///
/// The state is as version 0.1.0 left it when it was killed, but for the files that its newest snapshot makes superfluous
/// and its sign of life.
#[tokio::test]
async fn a_state_of_version_0_1_0_is_gone_on_from_and_repeats_only_what_it_cannot_tell() {
    let mut world = World::new().await;
    let mut then = Then::new();
    world.s3.clock().set_fixed(ago(0, -10));
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/trigger/state-0.1.0")), world.storage.path());
    then.fill(&world);
    // The batch that was under way, and the rest of its object.
    world.expected.extend_from_slice(&then.partial.records[100..]);
    world.expected.extend_from_slice(&then.denied.records);
    // Of a closed day, one object is gone: that all others were delivered cannot be told any more.
    let [one, two] = then.flow_logs.clone();
    let closed: Vec<_> = then.delivered[(6 + 2) * OF_A_DAY..][..OF_A_DAY].to_vec();
    assert!(closed[0].key.contains("day=15"), "{}", closed[0].key);
    world.s3.remove(BUCKET, &closed[0].key);
    closed[1..].iter().for_each(|object| world.expected.extend_from_slice(&object.records));
    // What has come since, late or not.
    for (flow_log, days) in [(&one, 0), (&two, 0), (&one, 20), (&two, 40)] {
        let object = then.generator.object(flow_log, ago(days, 60), 10);
        world.s3.put_at(BUCKET, &object.key, object.body(), ago(0, -5));
        world.expected.extend_from_slice(&object.records);
    }
    let process = world.start().await;
    world.all_arrive(&process).await;
    let again = world.platform.events().into_iter().next().unwrap();
    assert_eq!(again.request_id, "e047d673-92d5-52f0-a0cc-c96396fad580", "the batch that was under way");
    assert_eq!(world.reads(&then.rejected.key), 0);
    stop(process).await;
    let process = world.start().await;
    for days in [0, 5, 20] {
        let object = then.generator.object(&two, ago(days, 50), 10);
        world.s3.put_at(BUCKET, &object.key, object.body(), ago(0, -8));
        world.expected.extend_from_slice(&object.records);
    }
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
