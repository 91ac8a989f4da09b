//! A run over a range, which ends by itself.

use jiff::{SignedDuration, Timestamp};
use support::eventually;
use support::flowlogs::FlowLog;
use support::free_port;
use support::s3::{Operation, Rule, Trouble};

use crate::world::{BUCKET, PATIENCE, World, stop};

const OVER: &str = "all flow logs up to end_at are delivered";

/// A time some hours ago.
fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

/// An object that S3 took so long ago, of a day as many hours before that. It must arrive if it `is_expected`.
fn put(world: &mut World, flow_log: &FlowLog, hours: i64, late_hours: i64, is_expected: bool) -> String {
    let object = world.object(flow_log, (hours + late_hours) * 60, 10);
    world.s3.put_at(BUCKET, &object.key, object.body(), ago(hours));
    if is_expected {
        world.expected.extend(object.records.iter().cloned());
    }
    object.key
}

/// A world with a range from 90 days to 60 days ago.
async fn ranged() -> (World, FlowLog) {
    let mut world = World::new().await;
    world.argument("start_from", ago(90 * 24).to_string());
    world.argument("end_at", ago(60 * 24).to_string());
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    (world, flow_log)
}

#[tokio::test]
async fn what_s3_took_within_the_range_is_delivered_and_nothing_else_and_then_it_says_so_and_idles() {
    let (mut world, flow_log) = ranged().await;
    let other = world.generator.flow_log("222222222222", "us-east-1");
    for (hours, late_hours, is_expected) in [
        (91 * 24, 0, false),
        (89 * 24, 0, true),
        // Far later than any poll reaches back.
        (89 * 24, 400 * 24, true),
        (61 * 24, 0, true),
        (59 * 24, 0, false),
        (59 * 24, 40 * 24, false),
        (1, 0, false),
    ] {
        put(&mut world, &flow_log, hours, late_hours, is_expected);
        put(&mut world, &other, hours, late_hours, is_expected);
    }
    for _ in 0..2 {
        let told = world.platform.logs().len();
        let process = world.start().await;
        let is_over = || world.platform.logs().iter().skip(told).any(|line| line.message.contains(OVER));
        assert!(eventually(PATIENCE, is_over).await, "{}", process.stderr().text());
        world.all_arrive(&process).await;
        let health = world.metrics().await;
        assert!(health.contains("aws_flowlogs_objects_waiting 0"), "{health}");
        stop(process).await;
    }
    world.exactly_expected();
}

#[tokio::test]
async fn a_range_does_not_end_before_its_time_nor_while_an_object_or_a_folder_of_it_cannot_be_read() {
    let mut world = World::new().await;
    world.argument("end_at", (Timestamp::now() + SignedDuration::from_mins(10)).to_string());
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let other = world.generator.flow_log("222222222222", "us-east-1");
    let process = world.start().await;
    let denied = world.put(&flow_log, 5, 10).key;
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::ACCESS_DENIED).key_contains(&denied).times(2));
    world.put(&other, 5, 10);
    world.all_arrive(&process).await;
    let listed = world.s3.count(Operation::List);
    world.s3.add_rule(Rule::new(Operation::List, Trouble::ACCESS_DENIED).key_contains("222222222222"));
    world.put(&other, 5, 10);
    world.s3.clock().set_skew(SignedDuration::from_mins(16));
    let listed_often = || world.s3.count(Operation::List) > listed + 20;
    assert!(eventually(PATIENCE, listed_often).await);
    assert!(!world.is_logged("info", OVER));
    world.s3.clear_rules();
    world.until_logged("info", OVER).await;
    world.all_arrive(&process).await;
    stop(process).await;
}

#[tokio::test]
async fn what_is_after_the_end_arrives_once_the_end_is_taken_away_however_old_its_day_is() {
    let (mut world, flow_log) = ranged().await;
    put(&mut world, &flow_log, 70 * 24, 0, true);
    // Taken within the last month and before it, of days after the end and before it.
    let later = [(0, 0), (0, 40), (0, 300), (40, 0), (40, 10), (40, 300)];
    let later = later.map(|(days, late)| put(&mut world, &flow_log, days * 24 + 5, late * 24, false));
    let process = world.start().await;
    world.until_logged("info", OVER).await;
    stop(process).await;
    world.exactly_expected();
    world.argument("end_at", serde_json::Value::Null);
    let process = world.start().await;
    let is_read = || later.iter().all(|key| world.reads(key) == 1);
    assert!(eventually(PATIENCE, is_read).await, "{}", process.stderr().text());
    assert!(eventually(PATIENCE, || world.platform.records().len() == 70).await);
    stop(process).await;
}

#[tokio::test]
async fn a_range_is_nobodys_to_go_on_with_and_goes_on_with_nobody() {
    let (mut world, flow_log) = ranged().await;
    let of = |world: &World, uuid: &str| {
        world.module().value("trigger_configuration_uuid", uuid).value("metrics_port", free_port())
    };
    let (start, end) = (ago(90 * 24).to_string(), ago(60 * 24).to_string());
    world.argument("start_from", "now").argument("end_at", serde_json::Value::Null);
    let process = of(&world, "0d0e0f10-1111-4aaa-8bbb-cccccccccc01").start();
    assert!(process.stderr().wait_for("starting without a checkpoint", PATIENCE).await);
    stop(process).await;
    put(&mut world, &flow_log, 75 * 24, 0, true);
    world.argument("start_from", start).argument("end_at", end);
    let process = of(&world, "0d0e0f10-1111-4aaa-8bbb-cccccccccc02").start();
    world.until_logged("info", OVER).await;
    world.all_arrive(&process).await;
    stop(process).await;
    world.argument("start_from", "now").argument("end_at", serde_json::Value::Null);
    put(&mut world, &flow_log, 20 * 24, 0, false);
    let process = of(&world, "0d0e0f10-1111-4aaa-8bbb-cccccccccc03").start();
    assert!(process.stderr().wait_for("going on where another trigger", PATIENCE).await);
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
}
