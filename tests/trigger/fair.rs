//! No account or region waits for what another cannot deliver.

use support::eventually;
use support::s3::{Operation, Rule, Trouble};

use crate::world::{BUCKET, PATIENCE, World, stop};

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what
/// can be put right is tried again.
#[tokio::test]
async fn twenty_thousand_denied_objects_of_an_account_hold_back_no_other_for_more_than_three_polls() {
    const DENIED: usize = 20_000;
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    world.argument("chunk_size", 10_000);
    let denied = world.generator.flow_log("111111111111", "eu-west-3");
    let other = world.generator.flow_log("222222222222", "eu-west-3");
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::ACCESS_DENIED).key_contains("111111111111"));
    let body = world.object(&denied, 5, 1).body();
    for number in 0..DENIED {
        let key = denied.key(jiff::Timestamp::now(), &format!("{number:08x}"));
        world.s3.put(BUCKET, &key, body.clone());
    }
    world.put(&other, 5, 10);
    let process = world.start().await;
    let stderr = process.stderr();
    let polls = || stderr.all().iter().filter(|line| line.contains("poll ended")).count();
    for number in 0..8 {
        let before = polls();
        let arrived =
            eventually(2 * PATIENCE, || world.platform.records().len() >= world.expected.len()).await;
        assert!(arrived, "object {number} did not arrive: {}", stderr.text());
        // The poll that is under way, and the next.
        assert!(polls() <= before + 3, "object {number} took {} polls", polls() - before);
        let polled = polls();
        assert!(eventually(2 * PATIENCE, || polls() > polled).await);
        world.put(&other, 5, 10);
    }
    world.all_arrive(&process).await;
    stop(process).await;
}
