//! Objects that come late: within the window of late arrival, and after it.

use jiff::SignedDuration;
use support::eventually;
use support::s3::{Operation, Request};

use crate::world::{BUCKET, PATIENCE, World, stop};

/// Guarantee 1: Every record of an object that lies after the start is delivered once, whatever flow log,
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

/// Guarantee 1: Every record of an object that lies after the start is delivered once, whatever flow log,
/// account, region or day it belongs to, and however late it comes.
#[tokio::test]
async fn stragglers_after_the_window_arrive_once_even_after_their_day_is_closed() {
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

/// Waits until so many more polls have listed the one lane from a day on.
async fn polls(world: &World, count: usize) {
    let polls =
        || world.s3.requests().iter().filter(|request| request.query("start-after").is_some()).count();
    let before = polls();
    assert!(eventually(PATIENCE, || polls() > before + count).await);
}

/// Guarantee 1: Every record of an object that lies after the start is delivered once, whatever flow log,
/// account, region or day it belongs to, and however late it comes.
#[tokio::test]
async fn names_of_their_own_and_of_other_days_are_ordinary_objects() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let days = |days: i64| days * 24 * 60;
    let put_as = |world: &mut World, folder_days: i64, name: Option<&str>| {
        let object = world.object(&flow_log, 5, 10);
        let folder = world.object(&flow_log, days(folder_days), 0).key;
        let name = name.unwrap_or_else(|| object.key.rsplit_once('/').unwrap().1);
        let key = format!("{}/{name}", folder.rsplit_once('/').unwrap().0);
        world.s3.put(BUCKET, &key, object.body());
        world.expected.extend(object.records);
    };
    // Of today by name, in the folder of another day; and with names of their own, several to a day.
    put_as(&mut world, 5, None);
    for (folder_days, name) in [(5, "a.gz"), (5, "b.gz"), (4, "a.gz"), (3, "a.gz"), (0, "a.gz")] {
        put_as(&mut world, folder_days, Some(name));
    }
    for minutes in [days(5), days(4), days(3), 15] {
        world.put(&flow_log, minutes, 10);
    }
    let process = world.start().await;
    world.all_arrive(&process).await;
    polls(&world, 12).await;
    world.exactly_expected();
    for minutes in [4, 3, 2] {
        world.put(&flow_log, minutes, 10);
    }
    put_as(&mut world, 4, Some("c.gz"));
    put_as(&mut world, 4, None);
    world.all_arrive(&process).await;
    polls(&world, 12).await;
    world.exactly_expected();
    stop(process).await;
}

/// Guarantee 1: Every record of an object that lies after the start is delivered once, whatever flow log,
/// account, region or day it belongs to, and however late it comes.
#[tokio::test]
async fn of_a_day_that_lost_objects_the_new_ones_arrive_and_no_other() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let old: Vec<_> = [5, 50]
        .map(|days| days * 24 * 60)
        .into_iter()
        .flat_map(|minutes| (0..6).map(|_| world.put(&flow_log, minutes, 5).key).collect::<Vec<_>>())
        .collect();
    world.put(&flow_log, 5, 5);
    let process = world.start().await;
    world.all_arrive(&process).await;
    polls(&world, 12).await;
    for (removed, days) in [(&old[..2], 5), (&old[6..8], 50)] {
        removed.iter().for_each(|key| world.s3.remove(BUCKET, key));
        world.put(&flow_log, days * 24 * 60, 5);
    }
    world.all_arrive(&process).await;
    polls(&world, 12).await;
    stop(process).await;
    let process = world.start().await;
    world.put(&flow_log, 50 * 24 * 60, 5);
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 1: Every record of an object that lies after the start is delivered once, whatever flow log,
/// account, region or day it belongs to, and however late it comes.
#[tokio::test]
async fn a_straggler_arrives_though_every_life_is_short() {
    const LANES: usize = 6;
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_logs: Vec<_> =
        (1..=LANES).map(|account| world.generator.flow_log(&format!("{account:012}"), "eu-west-3")).collect();
    for flow_log in &flow_logs {
        world.put(flow_log, 5, 5);
    }
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
    world.put(flow_logs.last().unwrap(), 5 * 24 * 60, 5);
    for _ in 0..=LANES {
        // A page of the sweep, which alone begins with a folder, and the beginning of the next poll.
        let before = world.s3.requests().len();
        let process = world.start().await;
        let has_swept = || {
            let requests = world.s3.requests().split_off(before);
            let lists = requests.iter().filter(|request| request.operation == Operation::List);
            let is_swept = |request: &&Request| {
                let query = |name| request.query(name);
                let is_lane = query("prefix").is_some_and(|prefix| prefix.ends_with("/eu-west-3/"));
                is_lane && query("start-after").is_none() && query("delimiter").is_none()
            };
            lists.skip_while(|request| !is_swept(request)).count() > 1
        };
        assert!(eventually(PATIENCE, has_swept).await);
        stop(process).await;
    }
    world.exactly_expected();
}

/// Guarantee 1: Every record of an object that lies after the start is delivered once, whatever flow log,
/// account, region or day it belongs to, and however late it comes.
#[tokio::test]
async fn a_clock_that_was_wrong_for_a_while_leaves_no_mark_in_the_future() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let process = world.start().await;
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    world.s3.clock().set_skew(SignedDuration::from_hours(72));
    polls(&world, 3).await;
    world.s3.clock().set_skew(SignedDuration::ZERO);
    polls(&world, 2).await;
    let before = world.s3.requests().len();
    let key = world.put(&flow_log, 20 * 60, 10).key;
    world.all_arrive(&process).await;
    // By a poll, which begins at a day, not by the sweep.
    let requests = world.s3.requests().split_off(before);
    let read = requests.iter().position(|request| request.operation == Operation::Get && request.key == key);
    let starts: Vec<_> =
        requests[..read.unwrap()].iter().filter_map(|request| request.query("start-after")).collect();
    assert!(!starts.is_empty() && starts.iter().all(|start| *start < key.as_str()), "{starts:?}");
    stop(process).await;
}
