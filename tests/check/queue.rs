//! The check of a trigger or a connector that reads a queue.

use std::time::Duration;

use serde_json::json;
use support::intake::Intake;
use support::module::Module;
use support::s3::{Destination, Operation, Rule, Trouble};

use crate::world::{BUCKET, INTAKE_KEY, World};

const QUEUE: &str = "sekoia-flow-logs";

fn module(world: &World, intake: &Intake, queue: &str) -> Module {
    let arguments = json!({"queue_name": queue, "intake_key": INTAKE_KEY, "intake_server": intake.server()});
    world.module().without_value("trigger_configuration").value("connector_configuration", arguments)
}

fn announced(key: &str) -> String {
    let s3 = json!({"bucket": {"name": BUCKET}, "object": {"key": key, "size": 10}});
    json!({"Records": [{"eventName": "ObjectCreated:Put", "awsRegion": "eu-west-3", "s3": s3}]}).to_string()
}

#[tokio::test]
async fn a_queue_that_works_is_told_with_what_is_in_it_and_its_messages_stay() {
    let (mut world, intake) = (World::new().await, Intake::start(INTAKE_KEY).await);
    let queues = world.s3.queues().clone();
    queues.create(QUEUE, Duration::from_secs(30));
    let checked = world.check_as(module(&world, &intake, QUEUE)).await;
    assert_eq!(checked.code, 0, "{}", checked.text);
    checked.is("connector", "ok", &[QUEUE, "records go to"]);
    checked.is(
        "queue",
        "warning",
        &["0 messages waiting", "no queue for dead letters", "its policy lets neither"],
    );
    checked.is("message", "skipped", &["no message waits"]);
    checked.is("notification", "skipped", &["neither a message nor the queue's policy names a bucket"]);
    checked.is("intake", "ok", &[]);

    queues.create("dead", Duration::from_secs(30));
    queues.redrive(QUEUE, "dead", 10);
    queues.set_policy(QUEUE, policy());
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let key = world.an_hour_of(&flow_log, 10);
    world.s3.announce(BUCKET, QUEUE);
    queues.send(QUEUE, &announced(&key));
    let checked = world.check_as(module(&world, &intake, QUEUE)).await;
    checked.all_ok_but(&[]);
    checked.is("queue", "ok", &["1 message waiting"]);
    checked.is("message", "ok", &[&key, BUCKET]);
    checked.is("get", "ok", &["bytes read"]);
    checked.is("savings", "ok", &["of 10 records (", "1 object decoded"]);
    assert_eq!(checked.step("savings")["details"]["per"], "object");
    assert_eq!((queues.bodies(QUEUE).len(), queues.in_flight(QUEUE)), (1, 0));
    // The trigger's, too.
    let trigger = world.module().value("trigger_configuration", json!({ "queue_name": QUEUE }));
    let checked = world.check_as(trigger).await;
    checked.is("trigger", "ok", &[QUEUE]);
    checked.is("callback", "ok", &[]);
}

/// Lets S3 announce the bucket's objects.
fn policy() -> serde_json::Value {
    json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Condition": {"ArnLike": {"aws:SourceArn": format!("arn:aws:s3:::{BUCKET}")}},
    }})
}

#[tokio::test]
async fn whether_the_bucket_announces_its_objects_is_told_even_if_no_message_waits() {
    let (world, intake) = (World::new().await, Intake::start(INTAKE_KEY).await);
    let queues = world.s3.queues().clone();
    queues.create(QUEUE, Duration::from_secs(30));
    queues.set_policy(QUEUE, policy());
    let queue = |name: &str, prefix: &str| Destination::Queue {
        arn: format!("arn:aws:sqs:eu-west-3:{}:{name}", support::s3::ACCOUNT),
        prefix: prefix.to_owned(),
    };
    let topic = Destination::Topic("arn:aws:sns:eu-west-3:111111111111:objects".to_owned());
    for (destinations, outcome, parts) in [
        (vec![], "failed", ["announces no new objects in the queue", "add an event notification"]),
        (vec![queue("another", "")], "failed", ["announces no new objects in the queue", BUCKET]),
        (
            vec![queue("another", ""), queue(QUEUE, "AWSLogs/")],
            "warning",
            ["in the queue; only those", "AWSLogs/"],
        ),
        (vec![queue(QUEUE, "")], "ok", [BUCKET, "announces its objects in the queue"]),
        (
            vec![topic],
            "ok",
            ["in the topic arn:aws:sns:eu-west-3:111111111111:objects", "only a message shows"],
        ),
        (vec![Destination::EventBridge], "ok", ["EventBridge gets the events", "only a message shows"]),
    ] {
        world.s3.notify(BUCKET, &destinations);
        let checked = world.check_as(module(&world, &intake, QUEUE)).await;
        checked.is("notification", outcome, &parts);
        // With a message, nothing is waited for.
        queues.send(QUEUE, &announced("AWSLogs/1/vpcflowlogs/eu-west-3/2026/11/28/x.log.gz"));
    }
    let denied = Rule::new(Operation::Notification, Trouble::ACCESS_DENIED);
    world.s3.add_rule(denied);
    let checked = world.check_as(module(&world, &intake, QUEUE)).await;
    checked.is("notification", "skipped", &["s3:GetBucketNotification is needed"]);
}

#[tokio::test]
async fn what_keeps_a_queue_from_being_read_is_told_with_what_to_do() {
    let (world, intake) = (World::new().await, Intake::start(INTAKE_KEY).await);
    let checked = world.check_as(module(&world, &intake, QUEUE)).await;
    checked.is("queue", "failed", &["QueueDoesNotExist", "check the queue's name and the account's region"]);
    checked.are_skipped(&["message", "get"], "queue");

    world.s3.queues().create(QUEUE, Duration::from_secs(30));
    world.s3.queues().send(QUEUE, "hello");
    let checked = world.check_as(module(&world, &intake, QUEUE)).await;
    checked.is("message", "failed", &["no notification of S3: it is not JSON", "left in it"]);
    checked.are_skipped(&["get"], "message");

    let denied = Trouble::ErrorSaying(403, "AccessDenied", "not authorized");
    for action in ["GetQueueAttributes", "ReceiveMessage"] {
        world.s3.add_rule(Rule::new(Operation::Queue, denied.clone()).key_contains(action));
    }
    let checked = world.check_as(module(&world, &intake, QUEUE)).await;
    checked.is("queue", "ok", &["what is in it is not known", "sqs:GetQueueAttributes"]);
    checked.is("message", "failed", &["allow sqs:ReceiveMessage on the queue"]);
}
