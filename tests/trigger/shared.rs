//! A storage that others have too: other triggers, and who removes files from it.

use support::eventually;
use support::free_port;
use support::module::{Module, Process};
use support::platform::Endpoint;
use support::script::Fault;

use crate::state::files;
use crate::world::{PATIENCE, World, stop};

const TRIGGERS: [&str; 3] = [
    "0d0e0f10-1111-4aaa-8bbb-cccccccccc01",
    "0d0e0f10-1111-4aaa-8bbb-cccccccccc02",
    "0d0e0f10-1111-4aaa-8bbb-cccccccccc03",
];

fn of_trigger(world: &World, trigger: &str) -> Module {
    world.module().value("trigger_configuration_uuid", trigger).value("metrics_port", free_port())
}

/// Guarantee 4: A batch that the platform does not accept is kept and sent again under the same request ID until
/// it is accepted.
#[tokio::test]
async fn a_batch_whose_file_vanishes_while_the_platform_refuses_is_written_again() {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let mut process = world.start().await;
    for is_resumed in [false, true] {
        world.platform.script(Endpoint::Events).always(Fault::status(400));
        world.put(&flow_log, 5, 50);
        let refused = |process: &Process| process.stderr().contain("the platform refused a batch");
        assert!(eventually(PATIENCE, || refused(&process)).await);
        if is_resumed {
            stop(process).await;
            process = world.module().start();
            assert!(eventually(PATIENCE, || refused(&process)).await);
        }
        std::fs::remove_dir_all(world.storage.path().join("AWS Flowlog_events")).unwrap();
        world.platform.script(Endpoint::Events).clear();
        world.all_arrive(&process).await;
        assert!(process.stderr().contain("it is written again"));
        stop(process).await;
        let posts = world.platform.received_at(Endpoint::Events);
        let [.., before, last] = posts.as_slice() else { panic!("{posts:?}") };
        assert_eq!(before.json()["request_id"], last.json()["request_id"]);
        process = world.start().await;
    }
    stop(process).await;
    assert_eq!(world.batch_folders(), 0);
}

/// Guarantee 4: A batch that the platform does not accept is kept and sent again under the same request ID until
/// it is accepted.
#[tokio::test]
async fn triggers_that_share_a_storage_keep_out_of_each_others_way() {
    let mut world = World::new().await;
    world.argument("chunk_size", 10);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let [first, second, _] = TRIGGERS;
    let narrow = of_trigger(&world, first).start();
    world.argument("prefix", "");
    let wide = of_trigger(&world, first).start();
    for process in [&narrow, &wide] {
        assert!(process.stderr().wait_for("starting without a checkpoint", PATIENCE).await);
    }
    // The same records from both, under IDs of their own: `World` leaves out what comes twice under the same.
    let put = |world: &mut World, triggers: usize| {
        let object = world.put(&flow_log, 5, 130);
        for _ in 1..triggers {
            world.expected.extend(object.records.iter().cloned());
        }
        object
    };
    let object = put(&mut world, 2);
    world.all_arrive(&narrow).await;
    // The same bucket and prefix, and another trigger.
    world.argument("prefix", "AWSLogs/").argument("start_from", "beginning");
    let other = of_trigger(&world, second).start();
    assert!(other.stderr().wait_for("another trigger of this bucket and prefix is running", PATIENCE).await);
    world.expected.extend(object.records);
    assert!(other.stderr().wait_for("starting without a checkpoint", 2 * PATIENCE).await);
    put(&mut world, 3);
    world.all_arrive(&other).await;
    for process in [narrow, wide, other] {
        assert!(!process.stderr().contain("taken over"), "{}", process.stderr().text());
        stop(process).await;
    }
    assert!(world.platform.events().iter().all(|event| !event.is_repeat));
    assert_eq!(world.batch_folders(), 0);
}

/// Guarantee 4: A batch that the platform does not accept is kept and sent again under the same request ID until
/// it is accepted.
#[tokio::test]
async fn a_trigger_that_is_made_anew_goes_on_where_the_one_before_stopped() {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let process = world.start().await;
    world.put(&flow_log, 30, 120);
    world.all_arrive(&process).await;
    stop(process).await;
    // As version 0.1.0 leaves it: nothing says whose it is.
    for file in files(&world, "owner.json") {
        std::fs::remove_file(file).unwrap();
    }
    for (minutes, trigger) in (1..).zip(TRIGGERS) {
        // What comes while none runs would not be new to a trigger that begins.
        world.put(&flow_log, 20 - minutes, 30);
        let process = of_trigger(&world, trigger).start();
        world.all_arrive(&process).await;
        assert!(process.stderr().contain("going on where another trigger of this bucket and prefix stopped"));
        stop(process).await;
    }
    // One that was there before has a state of its own.
    let [.., last] = TRIGGERS;
    world.put(&flow_log, 1, 30);
    let process = of_trigger(&world, last).start();
    world.all_arrive(&process).await;
    assert!(!process.stderr().contain("going on where another trigger"));
    stop(process).await;
    let ids: Vec<_> = world.platform.events().into_iter().map(|event| event.is_repeat).collect();
    assert!(ids.iter().all(|is_repeat| !is_repeat), "{ids:?}");
}

/// A batch that was under way when the trigger before ended goes out under its ID, and its folder is removed.
#[tokio::test]
async fn the_batch_under_way_passes_to_the_trigger_that_is_made_anew() {
    let mut world = World::new().await;
    let [first, second, _] = TRIGGERS;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.platform.script(Endpoint::Events).always(Fault::status(400));
    let process = of_trigger(&world, first).start();
    assert!(process.stderr().wait_for("starting without a checkpoint", PATIENCE).await);
    world.put(&flow_log, 5, 50);
    world.until_logged("error", "the platform refused a batch").await;
    stop(process).await;
    world.platform.script(Endpoint::Events).clear();
    let process = of_trigger(&world, second).start();
    world.all_arrive(&process).await;
    stop(process).await;
    let posts = world.platform.received_at(Endpoint::Events);
    assert!(posts.iter().all(|post| post.json()["request_id"] == posts[0].json()["request_id"]));
    assert_eq!(world.batch_folders(), 0);
}
