//! Objects that come late: within the window of late arrival, and behind it.

use support::s3::{Operation, Request};

use crate::world::{World, stop};

/// Guarantee 1: Every record of an object that lies behind the start is delivered once, whatever flow log,
/// account, region or day it belongs to, and however late it comes.
#[tokio::test]
async fn an_object_within_a_longer_window_is_found_by_the_next_poll() {
    let mut world = World::new().await;
    world.argument("late_window_hours", 72);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let process = world.start().await;
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    for hours in [26, 47, 60, 71] {
        let before = world.s3.requests().len();
        let key = world.put(&flow_log, hours * 60, 10).key;
        world.all_arrive(&process).await;
        let requests = world.s3.requests().split_off(before);
        let read = |request: &Request| request.operation == Operation::Get && request.key == key;
        let read = requests.iter().position(read).unwrap();
        // A poll lists the lane from a day on. Walks and sweeps begin at no day.
        let starts = requests[..read].iter().filter_map(|request| request.query("start-after"));
        let polls: Vec<&str> = starts.filter(|start| start.starts_with(&flow_log.prefix())).collect();
        assert!(polls.len() <= 1, "{hours} hours late: {polls:?}");
        assert!(polls.iter().all(|start| *start < key.as_str()), "{hours} hours late: {polls:?}");
    }
    stop(process).await;
}

#[tokio::test]
async fn a_window_that_is_made_longer_or_shorter_loses_and_repeats_nothing() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    for hours in [0, 30, 50, 80, 120] {
        world.put(&flow_log, hours * 60, 10);
    }
    for (minutes, window_hours) in (1..).zip([24, 96, 1, 200, 24]) {
        // Several stragglers of a day are told from those sent before by a Last-Modified of another second.
        world.s3.clock().set_skew(jiff::SignedDuration::from_mins(minutes));
        world.argument("late_window_hours", window_hours);
        let process = world.start().await;
        world.all_arrive(&process).await;
        for hours in [0, 30, 50, 50, 80, 120, 120, 120] {
            world.put(&flow_log, hours * 60, 10);
        }
        world.all_arrive(&process).await;
        stop(process).await;
    }
}

/// Guarantee 1: Every record of an object that lies behind the start is delivered once, whatever flow log,
/// account, region or day it belongs to, and however late it comes.
#[tokio::test]
async fn stragglers_behind_the_window_arrive_once_even_after_their_day_is_closed() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let days = |days: i64| days * 24 * 60;
    world.put(&flow_log, days(5), 10);
    world.put(&flow_log, days(3), 10);
    world.put(&flow_log, 5, 10);
    let process = world.start().await;
    world.all_arrive(&process).await;
    world.put(&flow_log, days(5), 10);
    world.put(&flow_log, days(3), 10);
    world.put(&flow_log, days(3), 10);
    world.put(&flow_log, days(9), 10);
    world.all_arrive(&process).await;
    stop(process).await;
    let process = world.start().await;
    world.put(&flow_log, days(5), 10);
    world.all_arrive(&process).await;
    stop(process).await;
}
