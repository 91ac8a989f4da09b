//! What goes wrong every day must not lose a record, nor send one twice.

use support::platform::{Endpoint, LogLine};
use support::s3::{Operation, Rule, Trouble};
use support::script::Fault;
use support::{eventually, flowlogs};

use crate::world::{BUCKET, PATIENCE, World, stop};

/// Guarantee 4: A batch that the platform does not accept is kept and sent again under the same request ID until
/// it is accepted.
#[tokio::test]
async fn refused_flaky_and_senseless_callbacks_lose_nothing_and_keep_the_request_id() {
    for fault in [
        Fault::status(500),
        Fault::status(503),
        Fault::status(429),
        Fault::status(403),
        Fault::status(302),
        Fault::Drop,
        Fault::NotHttp,
        Fault::Html,
        Fault::Drop.after_acceptance(),
        Fault::status(502).after_acceptance(),
    ] {
        let mut world = World::new().await;
        let process = world.start().await;
        world.platform.script(Endpoint::Events).then(fault.clone());
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        world.put(&flow_log, 5, 10);
        world.all_arrive(&process).await;
        let posted = || world.platform.received_at(Endpoint::Events).len() >= 2;
        assert!(eventually(PATIENCE, posted).await, "{fault:?} was not tried again");
        stop(process).await;
        let posts = world.platform.received_at(Endpoint::Events);
        let ids: Vec<_> = posts.iter().map(|post| post.json()["request_id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{fault:?}: {ids:?}");
        assert_eq!(ids.len(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_at_sigterm_is_sent_by_the_next_run_under_the_same_id() {
    let mut world = World::new().await;
    let process = world.start().await;
    world.platform.script(Endpoint::Events).always(Fault::status(400));
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 150);
    world.until_logged("error", "the platform refused a batch").await;
    stop(process).await;
    world.platform.script(Endpoint::Events).clear();
    world.put(&flow_log, 1, 20);
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
    let posts = world.platform.received_at(Endpoint::Events);
    assert_eq!(posts[0].json()["request_id"], posts.iter().rev().nth(1).unwrap().json()["request_id"]);
    assert_eq!(world.batch_folders(), 0);
}

/// Guarantee 6: SIGTERM at any moment ends the process within 10 s with exit code 0, loses nothing and repeats
/// nothing.
#[tokio::test]
async fn a_hanging_callback_does_not_hold_up_the_end() {
    let mut world = World::new().await;
    let process = world.start().await;
    world.platform.script(Endpoint::Events).then(Fault::Hang);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    let posted = || !world.platform.received_at(Endpoint::Events).is_empty();
    assert!(eventually(PATIENCE, posted).await);
    stop(process).await;
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
}

#[tokio::test]
async fn a_storage_that_refuses_is_said_once_and_nothing_is_lost() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    // No folder can be made where a file is.
    let folder = world.storage.path().join("AWS Flowlog_events");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    world.put(&flow_log, 0, 10);
    let attempts = || process.stderr().text().matches("could not write a batch").count();
    assert!(eventually(PATIENCE, || attempts() >= 3).await);
    std::fs::remove_file(&folder).unwrap();
    world.all_arrive(&process).await;
    stop(process).await;
    let told =
        world.platform.logs().into_iter().filter(|line| line.message.contains("could not write a batch"));
    let told: Vec<_> = told.map(|line| line.message).collect();
    assert!(told.len() == 1 && told[0].contains("AWS Flowlog_events"), "{told:?}");
}

/// Guarantee 6: SIGTERM at any moment ends the process within 10 s with exit code 0, loses nothing and repeats
/// nothing.
#[tokio::test]
async fn a_storage_that_refuses_does_not_hold_up_the_end() {
    let mut world = World::new().await;
    let folder = world.storage.path().join("AWS Flowlog_events");
    std::fs::write(&folder, "in the way").unwrap();
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 0, 10);
    world.until_logged("error", "could not write a batch").await;
    stop(process).await;
    std::fs::remove_file(&folder).unwrap();
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what
/// can be put right is tried again.
#[tokio::test]
async fn one_bad_object_holds_back_no_other_and_is_named_once() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let mut bad = Vec::new();
    for (body, cause) in [
        (b"some other text".to_vec(), "it is not a flow log"),
        (b"\x28\xb5\x2f\xfd and so on".to_vec(), "it is compressed with zstd"),
        (flowlogs::gzip(br#"{"Records": []}"#).to_vec(), "it is not a flow log"),
        (flowlogs::gzip([0xff; 50]).to_vec(), "it is not UTF-8"),
        (world.object(&flow_log, 5, 50).body()[..200].to_vec(), "it is cut off"),
        (b"PAR1 PAR1".to_vec(), "Parquet"),
    ] {
        let object = world.object(&flow_log, 5, 1);
        world.s3.put(BUCKET, &object.key, body);
        bad.push((object.key, cause));
        world.put(&flow_log, 5, 10);
    }
    world.all_arrive(&process).await;
    for (key, cause) in &bad {
        let rejected = ["object rejected", key, cause];
        let is_rejected =
            |line: &LogLine| line.level == "error" && rejected.iter().all(|part| line.message.contains(part));
        assert!(eventually(PATIENCE, || world.platform.logs().iter().any(is_rejected)).await, "{rejected:?}");
    }
    stop(process).await;
    let gets = world.s3.count(Operation::Get);
    let process = world.start().await;
    world.put(&flow_log, 1, 5);
    world.all_arrive(&process).await;
    stop(process).await;
    assert_eq!(world.s3.count(Operation::Get), gets + 1, "a rejected object is not read again");
}

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what
/// can be put right is tried again.
#[tokio::test]
async fn an_object_that_fails_on_the_way_is_read_again() {
    for trouble in [
        Trouble::SLOW_DOWN,
        Trouble::INTERNAL_ERROR,
        Trouble::Drop,
        Trouble::CutBody(20),
        Trouble::CorruptBody(30),
        Trouble::ACCESS_DENIED,
        Trouble::INVALID_OBJECT_STATE,
        Trouble::KMS_DISABLED,
        Trouble::NO_SUCH_KEY,
    ] {
        let mut world = World::new().await;
        let process = world.start().await;
        world.s3.add_rule(Rule::new(Operation::Get, trouble).times(1));
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        world.put(&flow_log, 5, 30);
        world.put(&flow_log, 5, 30);
        world.all_arrive(&process).await;
        stop(process).await;
    }
}

#[tokio::test]
async fn an_object_that_is_gone_or_denied_is_named_with_what_to_do() {
    for (trouble, level, advice) in [
        (Trouble::NO_SUCH_KEY, "warning", "gone"),
        (Trouble::ACCESS_DENIED, "warning", "allow s3:ListBucket"),
        (Trouble::INVALID_OBJECT_STATE, "warning", "restore the object"),
        (Trouble::KMS_DISABLED, "warning", "allow kms:Decrypt"),
    ] {
        let mut world = World::new().await;
        let process = world.start().await;
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        let lost = world.object(&flow_log, 5, 10);
        world.s3.add_rule(Rule::new(Operation::Get, trouble).key_contains(&lost.key));
        world.s3.put(BUCKET, &lost.key, lost.body());
        world.put(&flow_log, 5, 10);
        world.until_logged(level, &lost.key).await;
        world.until_logged(level, advice).await;
        world.all_arrive(&process).await;
        stop(process).await;
    }
}

#[tokio::test]
async fn a_bucket_that_cannot_be_listed_is_said_and_tried_again() {
    for (trouble, advice) in [
        (Trouble::ACCESS_DENIED, "allow s3:ListBucket"),
        (Trouble::Error(404, "NoSuchBucket"), "check the bucket's name"),
        (Trouble::Error(403, "InvalidAccessKeyId"), "check the access key ID"),
        (Trouble::Error(403, "SignatureDoesNotMatch"), "check the secret access key"),
        (Trouble::WrongRegion("us-west-2"), "set the account's region to us-west-2"),
        (Trouble::WrongSigningRegion("us-west-2"), "set the account's region to us-west-2"),
    ] {
        let mut world = World::new().await;
        world.s3.add_rule(Rule::new(Operation::List, trouble.clone()).times(1));
        let process = world.module().start();
        world.until_logged("error", advice).await;
        assert!(world.is_logged("error", BUCKET), "{trouble:?}");
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        world.put(&flow_log, 5, 10);
        world.all_arrive(&process).await;
        stop(process).await;
    }
}

/// Guarantee 2: A header or an empty line is never sent, and no record is taken for one.
#[tokio::test]
async fn a_gzip_of_several_members_arrives_whole() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    for members in [2, 3, 7] {
        let object = world.object(&flow_log, 5, 40);
        world.s3.put(BUCKET, &object.key, object.body_in_members(members));
        world.expected.extend(object.records);
    }
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 6: SIGTERM at any moment ends the process within 10 s with exit code 0, loses nothing and repeats
/// nothing.
#[tokio::test]
async fn sigterm_under_load_ends_well_and_repeats_nothing() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning").argument("chunk_size", 10);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    for _ in 0..20 {
        world.put(&flow_log, 5, 33);
    }
    for _ in 0..3 {
        let events = world.platform.events().len();
        let process = world.module().start();
        assert!(eventually(PATIENCE, || world.platform.events().len() > events + 3).await);
        stop(process).await;
    }
    let process = world.module().start();
    world.all_arrive(&process).await;
    stop(process).await;
    assert!(world.platform.events().iter().all(|event| !event.is_repeat));
}

/// What the platform has is noted as soon as nothing else is ready, whatever holds up the poll: a kill repeats none of it.
#[tokio::test]
async fn a_batch_is_noted_while_the_next_object_keeps_the_trigger_waiting() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let waiting = world.put(&flow_log, 1, 10);
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::Hang).key_contains(&waiting.key));
    world.put(&flow_log, 5, 100);
    let mut process = world.start().await;
    let noted = || world.platform.records().len() == 100 && world.batch_folders() == 0;
    assert!(eventually(PATIENCE, noted).await, "{}", process.stderr().text());
    process.kill();
    process.exited(PATIENCE).await;
    world.s3.clear_rules();
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
}
