//! SIGKILL under load, again and again.

use std::time::Duration;

use support::eventually;
use support::platform::Endpoint;
use support::script::Fault;

use crate::world::{PATIENCE, World, stop};

/// Guarantee 5: SIGKILL at any moment loses nothing and repeats at most the one batch that was in flight.
#[tokio::test]
async fn fifty_sigkills_lose_nothing_and_each_repeats_at_most_one_batch_under_its_id() {
    // Two at once, because most of the time is that of processes that start.
    tokio::join!(kill_often(1, 25), kill_often(2, 25));
}

/// Kills the trigger at moments that follow from `seed`, as far as two processes can have the same moments.
async fn kill_often(seed: u64, kills: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new().await;
    world.argument("start_from", "beginning").argument("chunk_size", 10);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    for kill in 1..=kills {
        for _ in 0..3 {
            world.put(&flow_log, random.i64(0..100), random.usize(1..40));
        }
        // An answer that takes its time makes it likely that the kill meets a batch in flight.
        let delay = Fault::Delay(Duration::from_millis(random.u64(0..20)));
        world.platform.script(Endpoint::Events).always(delay);
        let count = || world.s3.requests().len() + world.platform.received().len();
        let before = count();
        let mut process = world.module().start();
        let moment = before + random.usize(1..30);
        assert!(
            eventually(PATIENCE, || count() >= moment).await,
            "seed {seed}, kill {kill}: nothing more happens:\n{}",
            process.stderr().text()
        );
        let ended = process.exited(Duration::from_micros(random.u64(0..10_000))).await;
        assert!(ended.is_none(), "seed {seed}, kill {kill}: {}", process.stderr().text());
        process.kill();
        process.exited(PATIENCE).await.unwrap();
        // What was on its way at a kill may still be accepted, so that only the sum is certain.
        let repeats = world.platform.events().iter().filter(|event| event.is_repeat).count();
        assert!(repeats < kill, "seed {seed}, kill {kill}: {repeats} repeats");
    }
    world.platform.script(Endpoint::Events).clear();
    eprintln!("seed {seed}: {} batches before the last start", world.platform.events().len());
    // All the others may have been delivered before the last kill.
    world.put(&flow_log, 0, 10);
    let process = world.module().start();
    // Repeats have an ID that came before; without them each record is there once.
    world.all_arrive(&process).await;
    assert!(process.stderr().wait_for("poll ended", PATIENCE).await);
    stop(process).await;
    for events in world.platform.events().windows(2).filter(|events| events[1].is_repeat) {
        let [first, repeat] = events else { unreachable!() };
        assert_eq!(first.request_id, repeat.request_id, "seed {seed}: it was not the batch in flight");
        assert_eq!(first.records(), repeat.records(), "seed {seed}: the same ID, another content");
    }
    assert_eq!(world.batch_folders(), 0, "seed {seed}");
}
