//! What the metrics tell about time: how old is what was delivered and what waits, and where there are gaps.

use jiff::{SignedDuration, Timestamp};
use support::flowlogs::FlowLog;
use support::s3::{Operation, Rule, Trouble};

use crate::world::{BUCKET, World, stop};

/// The time that is in the name of an object, of which names tell the minute.
fn minute(time: Timestamp) -> i64 {
    time.as_second() / 60 * 60
}

#[tokio::test]
async fn the_age_of_the_newest_delivered_and_of_the_oldest_that_waits() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let before = Timestamp::now();
    world.put(&flow_log, 5, 10);
    world.put(&flow_log, 10, 10);
    world.all_arrive(&process).await;
    let newest = minute(before - SignedDuration::from_mins(5));
    let idle = ["objects_waiting 0".to_owned(), "oldest_waiting_timestamp_seconds 0".to_owned()];
    let idle = idle.map(|line| format!("aws_flowlogs_{line}"));
    world.until_told(&idle).await;
    let lines = [newest, newest + 60]
        .map(|second| format!("aws_flowlogs_newest_delivered_timestamp_seconds {second}"));
    let text = world.metrics().await;
    assert!(lines.iter().any(|line| text.contains(line.as_str())), "{lines:?}: {text}");

    let denied = world.object(&flow_log, 7, 10);
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::ACCESS_DENIED).key_contains(&denied.key));
    let taken = Timestamp::from_second(before.as_second() - 100).unwrap();
    world.s3.put_at(BUCKET, &denied.key, denied.body(), taken);
    let waits =
        ["objects_waiting 1".to_owned(), format!("oldest_waiting_timestamp_seconds {}", taken.as_second())];
    world.until_told(&waits.map(|line| format!("aws_flowlogs_{line}"))).await;

    world.s3.clear_rules();
    world.expected.extend(denied.records);
    world.all_arrive(&process).await;
    world.until_told(&idle).await;
    stop(process).await;
}

#[tokio::test]
async fn slots_of_which_nothing_was_delivered_are_counted_by_flow_log() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let (whole, holey) = (
        FlowLog::new("111111111111", "eu-west-3", "fl-00000000000000aaa"),
        FlowLog::new("111111111111", "eu-west-3", "fl-00000000000000bbb"),
    );
    let now = Timestamp::now();
    for minutes in (0..300).step_by(5) {
        for flow_log in [&whole, &holey] {
            if flow_log == &whole || !(180..195).contains(&minutes) {
                let object = world.generator.object(flow_log, now - SignedDuration::from_mins(minutes), 1);
                world.s3.put(BUCKET, &object.key, object.body());
                world.expected.extend(object.records);
            }
        }
    }
    let process = world.start().await;
    world.all_arrive(&process).await;
    let line = "aws_flowlogs_slots_missing_total{flow_log=\"111111111111_vpcflowlogs_eu-west-3_fl-00000000000000bbb\"} 3";
    world.until_counted(line).await;
    let text = world.metrics().await;
    assert!(!text.contains("fl-00000000000000aaa"), "{text}");
    stop(process).await;
}
