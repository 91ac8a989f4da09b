//! What a queue announces, to an intake and to a playbook.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use support::eventually;
use support::identity::{AUDIENCE, ISSUER};
use support::s3::{Operation, Role, Rule, Trouble, Trust};
use support::script::Fault;

use self::world::{QUEUE, Queued, enveloped};
use crate::world::{BUCKET, PATIENCE, stop};

mod replicas;
mod sizing;
mod world;

#[tokio::test]
async fn objects_arrive_in_whatever_wrapping_they_are_announced_and_their_messages_go() {
    let mut queued = Queued::new().await;
    let process = queued.module().start();
    let [one, two, three, four] = queued.put(4, 30).try_into().unwrap();
    queued.send(&queued.created(&[one, two]));
    queued.send(&enveloped(&queued.created(&[three])));
    queued.send(&enveloped(&queued.bridged(&four.key, &four.key)));
    for folder in ["flow logs", "a+b=c"] {
        let flow_log = queued.world.generator.flow_log("111111111111", "eu-west-3").in_folder(folder).hive();
        let object = queued.world.put(&flow_log, 10, 20);
        queued.send(&queued.bridged(&object.key, &object.key));
        let object = queued.world.put(&flow_log, 10, 20);
        let key = object.key.replace('+', "%2B").replace(' ', "+").replace('=', "%3D");
        queued.send(&json!({"Records": [queued.record("ObjectCreated:Copy", &object.key, &key)]}));
        let object = queued.world.put(&flow_log, 10, 20);
        let key = object.key.replace('+', "%2B").replace(' ', "+").replace('=', "%3D");
        queued.send(&queued.bridged(&object.key, &key));
    }
    queued.all_arrive(&process, 0).await;
    assert_eq!(queued.world.s3.count(Operation::List), 0);
    let gets = queued.world.s3.count(Operation::Get);
    let object = queued.put(1, 10);
    queued.send(&queued.created(&object));
    queued.all_arrive(&process, 0).await;
    queued.send(&queued.created(&object));
    queued.until_left(0).await;
    assert_eq!(queued.world.s3.count(Operation::Get), gets + 1, "a second notification costs nothing");
    stop(process).await;
    queued.all_arrive(&queued.module().start(), 0).await;
}

#[tokio::test]
async fn a_queue_starts_runs_of_a_playbook() {
    let mut queued = Queued::new().await;
    let arguments = json!({"queue_name": QUEUE, "chunk_size": 1_000});
    let module = queued.world.module_as("fetch_queued_flowlogs").value("trigger_configuration", arguments);
    let process = module.start();
    queued.announce(20, 10);
    queued.world.all_arrive(&process).await;
    queued.until_left(0).await;
    assert!(queued.world.platform.events().len() < 10, "records of many objects are in a batch");
    stop(process).await;
    assert_eq!(queued.world.batch_folders(), 0);
}

/// Guarantee 15: A message of a queue is deleted only when every record of every object that it names was accepted, or rejected
/// by name.
#[tokio::test]
async fn a_message_is_deleted_only_when_the_intake_has_its_records() {
    let mut queued = Queued::new().await;
    queued.intake.script().always(Fault::status(503));
    queued.announce(3, 20);
    let process = queued.module().start();
    assert!(eventually(PATIENCE, || queued.intake.posts().len() > 3).await);
    assert_eq!((queued.left(), queued.calls("DeleteMessageBatch")), (3, 0));
    queued.intake.script().clear();
    queued.all_arrive(&process, 0).await;
    stop(process).await;
}

/// Guarantee 15: A message of a queue is deleted only when every record of every object that it names was accepted, or rejected
/// by name.
#[tokio::test]
async fn what_is_not_delivered_at_the_shutdown_signal_is_given_back_at_once() {
    let mut queued = Queued::new().await;
    queued.intake.script().always(Fault::Hang);
    queued.announce(12, 20);
    let process = queued.module().start();
    assert!(eventually(PATIENCE, || !queued.intake.posts().is_empty()).await);
    stop(process).await;
    assert_eq!((queued.left(), queued.world.s3.queues().in_flight(QUEUE)), (12, 0));
    queued.intake.script().clear();
    let process = queued.module().start();
    queued.all_arrive(&process, 0).await;
    stop(process).await;
}

#[tokio::test]
async fn what_is_being_deleted_at_the_shutdown_signal_does_not_come_again() {
    let mut queued = Queued::new().await;
    // All are in one batch: one of which an object is delivered in part would be repeated.
    queued.arguments["chunk_size"] = 1_000.into();
    let slow = Trouble::Delay(Duration::from_secs(1));
    queued.world.s3.add_rule(Rule::new(Operation::Queue, slow).key_contains("DeleteMessage"));
    queued.announce(12, 20);
    let process = queued.module().start();
    assert!(eventually(PATIENCE, || queued.calls("DeleteMessage") > 0).await);
    stop(process).await;
    assert_eq!(queued.in_flight(), 0);
    let process = queued.module().start();
    queued.all_arrive(&process, 0).await;
    stop(process).await;
}

/// Guarantee 15: A message of a queue is deleted only when every record of every object that it names was accepted, or rejected
/// by name.
#[tokio::test]
async fn kills_lose_nothing() {
    let mut queued = Queued::new().await;
    for _ in 0..5 {
        queued.announce(40, 20);
        let posts = queued.intake.posts().len();
        let mut process = queued.module().start();
        assert!(eventually(PATIENCE, || queued.intake.posts().len() > posts).await);
        process.kill();
        process.exited(PATIENCE).await.unwrap();
        queued.world.s3.queues().expire(QUEUE);
    }
    let process = queued.module().start();
    queued.until_left(0).await;
    assert!(!queued.is_lost(), "{:?}", queued.difference());
    stop(process).await;
}

#[tokio::test]
async fn replicas_share_the_work_without_repeats() {
    let mut queued = Queued::new().await;
    let processes = [(); 3].map(|()| queued.module().start());
    for _ in 0..5 {
        queued.announce(40, 20);
    }
    queued.all_arrive(&processes[0], 0).await;
    for process in processes {
        assert!(process.stderr().wait_for("taking the names of flow logs", PATIENCE).await);
        stop(process).await;
    }
}

/// Guarantee 15: A message of a queue is deleted only when every record of every object that it names was accepted, or rejected
/// by name.
#[tokio::test]
async fn one_object_that_is_denied_holds_back_no_other_and_arrives_once_it_is_allowed() {
    let mut queued = Queued::new().await;
    let objects = queued.put(5, 20);
    let denied = objects[2].clone();
    queued.world.s3.add_rule(Rule::new(Operation::Get, Trouble::ACCESS_DENIED).key_contains(&denied.key));
    queued.send(&queued.created(&objects));
    queued.announce(3, 20);
    let process = queued.module().start();
    let wanted = queued.world.expected.len() - 20;
    assert!(eventually(PATIENCE, || queued.intake.count() == wanted).await, "{}", queued.intake.count());
    queued.until_left(1).await;
    queued.world.until_logged("warning", "s3:GetObject").await;
    queued.world.s3.clear_rules();
    // It comes again after half a minute.
    assert!(eventually(PATIENCE, || queued.world.s3.queues().in_flight(QUEUE) == 1).await);
    queued.world.s3.queues().expire(QUEUE);
    queued.all_arrive(&process, 0).await;
    stop(process).await;
}

#[tokio::test]
async fn what_announces_no_flow_log_is_settled_and_what_is_unknown_stays() {
    let mut queued = Queued::new().await;
    queued.arguments["prefix"] = "AWSLogs/".into();
    queued.send(&json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}));
    let key = "AWSLogs/111111111111/vpcflowlogs/eu-west-3/2026/11/22/x.log.gz";
    queued.send(&json!({"Records": [queued.record("ObjectRemoved:Delete", key, key)]}));
    queued
        .send(&json!({"Records": [queued.record("ObjectCreated:Put", "other/x.log.gz", "other/x.log.gz")]}));
    queued.send(
        &json!({"Records": [queued.record("ObjectCreated:Put", "AWSLogs/111111111111/CloudTrail/x.json.gz", "AWSLogs/111111111111/CloudTrail/x.json.gz")]}),
    );
    // It is gone since.
    queued.send(&json!({"Records": [queued.record("ObjectCreated:Put", key, key)]}));
    let process = queued.module().value("metrics_port", queued.world.metrics_port).start();
    queued.until_left(0).await;
    for unknown in ["hello", r#"{"Records": []}"#, r#"{"Type": "SubscriptionConfirmation", "Message": "?"}"#]
    {
        queued.world.s3.queues().send(QUEUE, unknown);
    }
    queued.world.until_logged("warning", "is no notification of S3 and is left in the queue").await;
    queued.announce(3, 20);
    queued.all_arrive(&process, 3).await;
    for (fate, least) in [("received", 11.0), ("deleted", 8.0), ("unknown", 3.0)] {
        let name = format!("aws_flowlogs_messages_total{{fate=\"{fate}\"}}");
        let counted = async { while queued.world.metric(&name).await < least {} };
        tokio::time::timeout(PATIENCE, counted).await.expect(fate);
    }
    stop(process).await;
    assert_eq!(queued.left(), 3);
}

#[tokio::test]
async fn a_damaged_object_is_rejected_by_name_when_it_was_read_three_times() {
    let mut queued = Queued::new().await;
    let flow_log = queued.world.generator.flow_log("111111111111", "eu-west-3");
    let object = queued.world.object(&flow_log, 10, 20);
    let body = object.body().slice(..60);
    queued.world.s3.put(BUCKET, &object.key, body);
    queued.send(&json!({"Records": [queued.record("ObjectCreated:Put", &object.key, &object.key)]}));
    queued.announce(2, 20);
    let process = queued.module().start();
    for time in 1..=2 {
        // It is given back for some time, which passes.
        let given_back = || queued.calls("ChangeMessageVisibility") >= time;
        assert!(eventually(PATIENCE, given_back).await, "{}", process.stderr().text());
        queued.world.s3.queues().expire(QUEUE);
    }
    queued.all_arrive(&process, 0).await;
    queued.world.until_logged("error", "object rejected").await;
    queued.world.until_logged("error", &object.key).await;
    stop(process).await;
}

#[tokio::test]
async fn what_is_given_back_is_counted_as_that_for_however_long_it_is() {
    let mut queued = Queued::new().await;
    queued.world.s3.add_rule(Rule::new(Operation::Get, Trouble::ACCESS_DENIED));
    queued.announce(1, 20);
    let process = queued.module().value("metrics_port", queued.world.metrics_port).start();
    assert!(process.stderr().wait_for("taking the names of flow logs", PATIENCE).await);
    for (times, seconds) in [(1, 30), (2, 60), (3, 120)] {
        let line = format!("aws_flowlogs_messages_total{{fate=\"given back\"}} {times}");
        queued.world.until_counted(&line).await;
        // A little less, and that little.
        for (passes, in_flight) in [(seconds - 25, 1), (25, 0)] {
            queued.world.s3.queues().pass(QUEUE, Duration::from_secs(passes));
            assert_eq!(queued.in_flight(), in_flight);
        }
    }
    assert!(!queued.world.metrics().await.contains("fate=\"kept\""));
    stop(process).await;
}

#[tokio::test]
async fn the_least_rights_are_enough_and_what_is_missing_is_said() {
    let mut queued = Queued::new().await;
    for action in ["ChangeMessageVisibility", "GetQueueAttributes"] {
        let rule = Rule::new(Operation::Queue, Trouble::ErrorSaying(403, "AccessDenied", "not authorized"));
        queued.world.s3.add_rule(rule.key_contains(action));
    }
    let objects = queued.put(1, 20);
    let rule = Rule::new(Operation::Get, Trouble::SLOW_DOWN).key_contains(&objects[0].key).times(3);
    queued.world.s3.add_rule(rule);
    queued.send(&queued.created(&objects));
    queued.announce(5, 20);
    let process = queued.module().start();
    queued.world.until_logged("warning", "allow sqs:ChangeMessageVisibility on the queue").await;
    queued.world.s3.queues().expire(QUEUE);
    queued.all_arrive(&process, 0).await;
    stop(process).await;
}

#[tokio::test]
async fn a_queue_that_refuses_or_is_not_there_is_said_and_tried_again() {
    let mut queued = Queued::new().await;
    queued.announce(3, 20);
    let refused = Trouble::ErrorSaying(403, "AccessDenied", "not authorized");
    queued.world.s3.add_rule(Rule::new(Operation::Queue, refused).key_contains("ReceiveMessage").times(2));
    let busy = Trouble::ErrorSaying(503, "ServiceUnavailable", "busy");
    queued.world.s3.add_rule(Rule::new(Operation::Queue, busy).key_contains("DeleteMessage").times(6));
    let process = queued.module().start();
    queued.world.until_logged("error", "allow sqs:ReceiveMessage on the queue").await;
    queued.all_arrive(&process, 0).await;
    stop(process).await;
    queued.arguments["queue_name"] = "another".into();
    let process = queued.module().start();
    queued.world.until_logged("error", "check the queue's name and the account's region").await;
    stop(process).await;
}

#[tokio::test]
async fn a_bucket_in_another_region_is_found_out() {
    let mut queued = Queued::new().await;
    queued.world.s3.set_region(BUCKET, "eu-central-1");
    queued.announce(3, 20);
    let process = queued.module().start();
    queued.all_arrive(&process, 0).await;
    queued.announce(3, 20);
    queued.all_arrive(&process, 0).await;
    stop(process).await;
}

#[tokio::test]
async fn a_message_costs_a_third_of_a_call_of_sqs_at_most() {
    let mut queued = Queued::new().await;
    queued.arguments["chunk_size"] = 1_000.into();
    queued.announce(1_000, 10);
    let process = queued.module().start();
    queued.all_arrive(&process, 0).await;
    assert!(queued.calls("") <= 350, "{}", queued.calls(""));
    assert_eq!(queued.world.s3.count(Operation::Head), 0);
    stop(process).await;
}

#[tokio::test]
async fn a_role_whose_session_ends_goes_on_with_another() {
    const ROLE: &str = "arn:aws:iam::111111111111:role/SekoiaIOConnectorRole";
    let mut queued = Queued::new().await;
    let sessions = queued.world.s3.sessions().clone();
    sessions.add_provider(ISSUER, &[AUDIENCE]);
    let (trust, life) = (Trust::in_platform(), SignedDuration::from_hours(1));
    sessions.add(Role { arn: ROLE.to_owned(), trust, life });
    let account = json!({"aws_role_arn": ROLE, "aws_region_name": "eu-west-3"});
    let process = queued.module().value("module_configuration", account).start();
    for _ in 0..4 {
        queued.announce(3, 20);
        queued.all_arrive(&process, 0).await;
        sessions.end_all();
    }
    stop(process).await;
}
