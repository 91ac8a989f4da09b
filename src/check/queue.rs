//! The steps `queue` and `message` of a trigger or connector that reads a queue.

use std::time::Duration;

use super::account::Account;
use super::notification;
use super::report::{Step, Told, counted};
use crate::config::queue::QueueConfiguration;
use crate::s3::{Bucket, Object};
use crate::source::queue::buckets::Buckets;
use crate::source::queue::notification::{Announced, Event, Notification};
use crate::source::queue::wants;
use crate::sqs::{Depth, Mailbox as _, Sqs, SqsError, SqsFailure};

/// How long it is waited for a message to look at.
const PEEK: Duration = Duration::from_secs(3);

/// A queue that was found.
pub(super) struct Found {
    /// The queue.
    queue: Sqs,
    /// What SQS says of it, if it may.
    pub(super) depth: Option<Depth>,
}

/// Finds the queue, and says what is in it and who may send to it.
pub(super) async fn queue(account: &Account, configuration: &QueueConfiguration) -> Step<Found> {
    let name = &configuration.queue;
    let queue = Sqs::find(&account.aws, name).await.map_err(|error| refused(&error))?;
    let depth = match queue.depth().await {
        Ok(depth) => depth,
        Err(error) if matches!(error.failure(), SqsFailure::Denied(_)) => {
            let told = format!("the queue {name} is there; what is in it is not known ({error})");
            return Ok((Told::ok(told), Found { queue, depth: None }));
        }
        Err(error) => return Err(refused(&error)),
    };
    let waiting = counted(depth.waiting, "message");
    let mut told =
        Told::ok(format!("the queue {name} is there: {waiting} waiting, {} in flight", depth.in_flight));
    if depth.dead_letters.is_none() {
        told = told.but(
            "it has no queue for dead letters",
            "create one, so that a message that can never be settled does not come again until it expires",
        );
    }
    if !notification::may_be_sent_to(&depth.policy) {
        told = told.but(
            "its policy lets neither S3 nor SNS nor EventBridge send to it",
            "allow sqs:SendMessage to s3.amazonaws.com in the queue's policy, with the bucket's ARN as aws:SourceArn",
        );
    }
    let told = told.with("waiting", depth.waiting).with("in_flight", depth.in_flight);
    Ok((told, Found { queue, depth: Some(depth) }))
}

/// Looks at a message, which stays where it is; gives the object that it announces.
pub(super) async fn message(
    configuration: &QueueConfiguration,
    found: &Found,
    buckets: &Buckets,
) -> Step<(Bucket, Object)> {
    // It is nobody's at once again, but SQS counts that it was received.
    let received = tokio::time::timeout(PEEK, found.queue.receive(Duration::ZERO)).await;
    let received = match received {
        Ok(Ok(received)) => received,
        Ok(Err(error)) => return Err(refused(&error)),
        Err(_) => Vec::new(),
    };
    let Some(first) = received.into_iter().next() else {
        return Err(Told::skipped(
            "allowed, but no message waits: see that the bucket announces its objects here",
        ));
    };
    let announced = match Notification::read(&first.body) {
        Notification::Objects(announced) => announced,
        Notification::Test => return Err(Told::skipped("allowed; S3's test event waits, and no object")),
        Notification::Unknown(why) => {
            return Err(Told::failed(
                format!("a message is no notification of S3: {why}"),
                "see what else sends to the queue; such messages are left in it",
            ));
        }
    };
    let Some(Announced { bucket, region, key, body_bytes, .. }) = announced
        .into_iter()
        .find(|one| one.event == Event::Readable && wants(&configuration.prefix, &one.key))
    else {
        return Err(Told::skipped(
            "allowed; the message that was looked at announces no flow log below the prefix",
        ));
    };
    let bucket = buckets.get(&bucket, region.as_deref());
    let found = format!("allowed; one announces {key} in {}", bucket.name());
    match bucket.look(&key).await {
        Ok(Some(object)) => Ok((Told::ok(found).with("key", key), (bucket, object))),
        _ => {
            let body_bytes = body_bytes.unwrap_or(1);
            let object = Object { key, body_bytes, last_modified: jiff::Timestamp::now(), etag: None };
            Ok((Told::ok(found).with("key", object.key.as_str()), (bucket, object)))
        }
    }
}

fn refused(error: &SqsError) -> Told {
    Told::failed(error.to_string(), error.failure().advice())
}
