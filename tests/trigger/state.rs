//! What becomes of the state when it is damaged, or when two instances write it.

use std::path::PathBuf;

use support::eventually;
use support::platform::Endpoint;
use support::script::Fault;

use crate::world::{PATIENCE, World, stop};

/// The files of the state with this ending, sorted.
pub fn files(world: &World, ending: &str) -> Vec<PathBuf> {
    let state = world.storage.path().join("aws-flowlogs_state");
    let folders = std::fs::read_dir(state).unwrap().map(|folder| folder.unwrap().path());
    let files =
        folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()));
    let mut files: Vec<PathBuf> = files.filter(|file| file.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

/// Guarantee 8: A damaged state file is set aside and named, and is never a reason to begin anew at the present.
#[tokio::test]
async fn a_damaged_state_file_is_named_and_set_aside_and_nothing_is_lost_or_begun_anew() {
    let cut = |file: &PathBuf| std::fs::write(file, &std::fs::read(file).unwrap()[..20]).unwrap();
    let scramble = |file: &PathBuf| {
        let mut content = std::fs::read(file).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(file, content).unwrap();
    };
    for ending in [".snapshot", ".entry"] {
        for damage in [&cut as &dyn Fn(&PathBuf), &scramble] {
            let mut world = World::new().await;
            let process = world.start().await;
            let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
            world.put(&flow_log, 30, 250);
            world.all_arrive(&process).await;
            stop(process).await;
            damage(files(&world, ending).last().unwrap());
            world.put(&flow_log, 20, 40);
            let process = world.start().await;
            world.until_logged("error", "is set aside").await;
            world.put(&flow_log, 10, 40);
            world.all_arrive(&process).await;
            stop(process).await;
            assert_eq!(files(&world, ".damaged").len(), 1);
        }
    }
}

/// Guarantee 8: A damaged state file is set aside and named, and is never a reason to begin anew at the present.
#[tokio::test]
async fn a_state_of_which_nothing_is_left_repeats_but_does_not_lose() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let first = world.put(&flow_log, 30, 10);
    world.all_arrive(&process).await;
    stop(process).await;
    for file in files(&world, "") {
        std::fs::write(file, "scrambled").unwrap();
    }
    let second = world.put(&flow_log, 20, 10);
    let process = world.start().await;
    world.until_logged("error", "nothing of the state can be read").await;
    let arrived = |record: &String| world.platform.records().contains(record);
    assert!(eventually(PATIENCE, || first.records.iter().chain(&second.records).all(arrived)).await);
    stop(process).await;
}

#[tokio::test]
async fn a_long_state_is_shortened_and_still_whole() {
    let mut world = World::new().await;
    world.argument("chunk_size", 1);
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 30, 160);
    world.all_arrive(&process).await;
    stop(process).await;
    let count = files(&world, "").len();
    assert!(count < 300, "{count} files for 160 batches");
    let process = world.start().await;
    world.put(&flow_log, 20, 3);
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 9: Of two instances on one state, the older one stops, no record is lost, and none is sent by both.
#[tokio::test]
async fn of_two_instances_the_older_one_notices_and_stops() {
    let mut world = World::new().await;
    let older = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 30, 120);
    world.all_arrive(&older).await;
    assert!(older.stderr().wait_for("poll ended", PATIENCE).await);
    let newer = world.start().await;
    for minutes in [20, 15, 10] {
        world.put(&flow_log, minutes, 120);
    }
    world.all_arrive(&newer).await;
    assert!(older.stderr().wait_for("a newer instance of this trigger has taken over", PATIENCE).await);
    world.put(&flow_log, 5, 10);
    world.all_arrive(&newer).await;
    stop(older).await;
    world.put(&flow_log, 1, 10);
    world.all_arrive(&newer).await;
    stop(newer).await;
    assert!(world.platform.events().iter().all(|event| !event.is_repeat));
}

/// Guarantee 9: Of two instances on one state, the older one stops, no record is lost, and none is sent by both.
#[tokio::test]
async fn the_newer_instance_waits_for_the_batch_that_the_older_one_has_in_flight() {
    let mut world = World::new().await;
    let older = world.start().await;
    world.platform.script(Endpoint::Events).then_times(3, &Fault::status(503));
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 30, 50);
    assert!(older.stderr().wait_for("the platform did not take a batch", PATIENCE).await);
    let newer = world.start().await;
    assert!(
        newer.stderr().wait_for("another instance of this trigger has a batch under way", PATIENCE).await
    );
    assert!(older.stderr().wait_for("a newer instance of this trigger has taken over", PATIENCE).await);
    world.put(&flow_log, 20, 50);
    world.all_arrive(&newer).await;
    stop(older).await;
    stop(newer).await;
    assert!(world.platform.events().iter().all(|event| !event.is_repeat));
}

/// Guarantee 9: Of two instances on one state, the older one stops, no record is lost, and none is sent by both.
#[tokio::test]
async fn the_batch_of_an_instance_that_died_is_sent_by_the_next_without_a_wait() {
    let mut world = World::new().await;
    let mut older = world.start().await;
    world.platform.script(Endpoint::Events).then(Fault::Hang);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 30, 50);
    assert!(eventually(PATIENCE, || !world.platform.received_at(Endpoint::Events).is_empty()).await);
    older.kill();
    assert!(older.exited(PATIENCE).await.is_some());
    let newer = world.start().await;
    world.all_arrive(&newer).await;
    assert!(!newer.stderr().contain("waiting for its end"));
    stop(newer).await;
}
