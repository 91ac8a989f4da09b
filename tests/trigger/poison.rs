//! Objects that cannot be read: each kind is told apart, none holds back another, none is lost or tried in vain.

use support::eventually;
use support::platform::LogLine;
use support::s3::{Operation, Rule, Trouble};

use crate::world::{BUCKET, PATIENCE, World, stop};

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what
/// can be put right is tried again.
#[tokio::test]
async fn what_is_denied_or_archived_arrives_once_that_is_put_right() {
    let mut world = World::new().await;
    let process = world.start().await;
    let kinds = [
        (Some(Trouble::ACCESS_DENIED), "access denied", "allow s3:ListBucket on the bucket and s3:GetObject"),
        (Some(Trouble::KMS_DENIED), "kms denied", "allow kms:Decrypt on the objects' KMS key"),
        (None, "archived", "restore the object"),
    ];
    let mut bad = Vec::new();
    for (trouble, cause, advice) in kinds {
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        let object = world.object(&flow_log, 5, 10);
        if let Some(trouble) = trouble {
            world.s3.add_rule(Rule::new(Operation::Get, trouble).key_contains(&object.key));
        }
        world.s3.put(BUCKET, &object.key, object.body());
        if cause == "archived" {
            world.s3.set_storage_class(BUCKET, &object.key, "GLACIER");
        }
        world.put(&flow_log, 5, 10);
        bad.push((object, cause, advice));
    }
    world.all_arrive(&process).await;
    for (object, cause, advice) in &bad {
        // Three failures are the end of an object that is damaged, but not of these.
        assert!(eventually(PATIENCE, || world.reads(&object.key) > 3).await, "{cause}");
        let is_told = |line: &LogLine| {
            line.level == "warning" && line.message.contains(&object.key) && line.message.contains(advice)
        };
        assert!(eventually(PATIENCE, || world.platform.logs().iter().any(is_told)).await, "{cause}");
        assert!(world.metric(&failed(cause)).await >= 3.0, "{cause}");
    }
    world.s3.clear_rules();
    for (object, ..) in bad {
        world.s3.set_storage_class(BUCKET, &object.key, "STANDARD");
        world.expected.extend(object.records);
    }
    world.all_arrive(&process).await;
    stop(process).await;
}

fn failed(cause: &str) -> String {
    format!("aws_flowlogs_objects_failed_total{{cause=\"{cause}\"}}")
}

#[tokio::test]
async fn an_object_that_is_gone_is_not_tried_again() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let gone = world.object(&flow_log, 5, 10);
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::NO_SUCH_KEY).key_contains(&gone.key));
    world.s3.put(BUCKET, &gone.key, gone.body());
    assert!(eventually(PATIENCE, || world.reads(&gone.key) == 1).await);
    world.s3.remove(BUCKET, &gone.key);
    world.until_logged("warning", "object is gone since it was listed").await;
    // It would be due again at the next poll.
    for _ in 0..3 {
        world.put(&flow_log, 5, 10);
        world.all_arrive(&process).await;
        let listed = world.s3.count(Operation::List);
        assert!(eventually(PATIENCE, || world.s3.count(Operation::List) > listed).await);
    }
    assert_eq!(world.reads(&gone.key), 1);
    assert!((world.metric(&failed("gone")).await - 1.0).abs() < 0.1);
    stop(process).await;
}

#[tokio::test]
async fn a_rejected_object_stays_named_in_the_state_and_is_not_read_again() {
    let mut world = World::new().await;
    world.argument("chunk_size", 1);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let process = world.start().await;
    let bad = world.object(&flow_log, 5, 1).key;
    world.s3.put(BUCKET, &bad, "PK\x03\x04 an archive");
    world.until_logged("error", "object rejected").await;
    stop(process).await;
    assert_eq!(world.reads(&bad), 3);
    let process = world.start().await;
    // So many batches that the entry which named it is gone, and a snapshot names it.
    world.put(&flow_log, 5, 120);
    world.all_arrive(&process).await;
    stop(process).await;
    assert_eq!(world.reads(&bad), 3);
    let snapshots = crate::state::files(&world, ".snapshot");
    let newest = std::fs::read(snapshots.last().unwrap()).unwrap();
    let newest = String::from_utf8(aws_flowlogs::source::listing::journal::unseal(&newest).unwrap()).unwrap();
    assert!(newest.contains(&format!(r#"["{bad}","not gzip"]"#)), "{newest}");
}

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what
/// can be put right is tried again.
#[tokio::test]
async fn five_thousand_denied_objects_hold_back_no_other_and_do_not_flood_the_log() {
    const DENIED: usize = 5_000;
    let mut world = World::new().await;
    world.argument("chunk_size", 10_000);
    let denied = world.generator.flow_log("111111111111", "eu-west-3");
    let other = world.generator.flow_log("222222222222", "eu-west-3");
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::ACCESS_DENIED).key_contains("111111111111"));
    let process = world.start().await;
    let objects: Vec<_> = (0..DENIED).map(|_| world.object(&denied, 5, 1)).collect();
    for object in &objects {
        world.s3.put(BUCKET, &object.key, object.body());
    }
    world.put(&other, 5, 10);
    world.all_arrive(&process).await;
    let stderr = process.stderr();
    let polls = || stderr.all().iter().filter(|line| line.contains("poll ended")).count();
    assert!(eventually(PATIENCE, || polls() >= 3).await);
    let named = stderr.all().iter().filter(|line| line.contains("AccessDenied")).count();
    let polls = polls() + 1;
    assert!(named <= 20 * polls, "{named} lines in {polls} polls");
    world.until_logged("warning", "more objects could not be read for the same cause").await;
    world.s3.clear_rules();
    world.expected.extend(objects.into_iter().flat_map(|object| object.records));
    world.all_arrive(&process).await;
    stop(process).await;
}
