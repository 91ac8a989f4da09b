//! The step `notification` of a trigger or connector that reads a queue: whether the bucket announces its objects there.

use serde_json::Value;

use super::queue::Found;
use super::report::{Step, Told};
use crate::config::queue::QueueConfiguration;
use crate::s3::{Announcements, Bucket, S3Failure, Target};
use crate::source::queue::buckets::Buckets;

/// The services that announce objects of S3.
const SERVICES: [&str; 3] = ["s3.amazonaws.com", "sns.amazonaws.com", "events.amazonaws.com"];

/// Looks where the bucket announces its objects: `announced`, which a message named, or the one that the queue's policy names.
pub(super) async fn notification(
    configuration: &QueueConfiguration,
    found: &Found,
    announced: Option<Bucket>,
    buckets: &Buckets,
) -> Step<()> {
    let of_policy = found.depth.as_ref().and_then(|depth| bucket_in(&depth.policy));
    let Some(bucket) = announced.or_else(|| of_policy.map(|name| buckets.get(&name, None))) else {
        return Err(Told::skipped("neither a message nor the queue's policy names a bucket"));
    };
    let name = bucket.name();
    let announcements = match bucket.announcements().await {
        Ok(announcements) => announcements,
        Err(error) if *error.failure() == S3Failure::Denied => {
            let told = format!(
                "where the bucket {name} announces its objects is not known; to look, s3:GetBucketNotification is needed, \
                 which nothing else needs"
            );
            return Err(Told::skipped(told));
        }
        Err(error) => return Err(Told::failed(error.what(), error.failure().advice())),
    };
    judge(configuration, name, found.depth.as_ref().and_then(|depth| depth.arn.as_deref()), &announcements)
        .map(|told| (told, ()))
}

/// Whether the announcements of the bucket `name` reach the queue `arn`.
fn judge(
    configuration: &QueueConfiguration,
    name: &str,
    arn: Option<&str>,
    announcements: &Announcements,
) -> Result<Told, Told> {
    let Announcements { targets, is_in_event_bridge } = announcements;
    let is_queue = |target: &&Target| {
        arn.map_or_else(
            || target.arn.rsplit(':').next() == Some(&configuration.queue.name),
            |arn| target.arn == arn,
        )
    };
    let direct: Vec<&Target> = targets.iter().filter(is_queue).collect();
    if let Some(first) = direct.first() {
        let told = Told::ok(format!("the bucket {name} announces its objects in the queue"));
        let is_wide =
            |target: &&Target| configuration.prefix.starts_with(&target.prefix) && is_usual(&target.suffix);
        if direct.iter().any(is_wide) {
            return Ok(told);
        }
        let Target { prefix, suffix, .. } = first;
        return Ok(told.but(
            format!("only those whose keys begin with {prefix:?} and end with {suffix:?}"),
            "see that all flow logs that are wanted are among them: the others are not delivered",
        ));
    }
    let topics: Vec<&str> =
        targets.iter().map(|target| target.arn.as_str()).filter(|arn| arn.contains(":sns:")).collect();
    let told = match topics.first() {
        Some(topic) => format!("the bucket {name} announces its objects in the topic {topic}"),
        None if *is_in_event_bridge => format!("EventBridge gets the events of the bucket {name}"),
        None => {
            let advice = "add an event notification for all object create events with the queue as its destination: \
                          Properties of the bucket, Event notifications";
            return Err(Told::failed(
                format!("the bucket {name} announces no new objects in the queue"),
                advice,
            ));
        }
    };
    Ok(Told::ok(format!("{told}; whether the queue gets them, only a message shows")))
}

/// Whether flow logs have such an end, or nothing is asked of it.
fn is_usual(suffix: &str) -> bool {
    ".log.gz".ends_with(suffix) || ".log.parquet".ends_with(suffix)
}

/// The statements of a policy that let somebody send.
fn senders(policy: &Value) -> impl Iterator<Item = &Value> {
    let statements = policy.get("Statement").map(one_or_many).unwrap_or_default();
    statements.into_iter().filter(|statement| {
        let actions = statement.get("Action").map(one_or_many).unwrap_or_default();
        let is_send = |action: &&Value| {
            let action = action.as_str().unwrap_or_default().to_ascii_lowercase();
            matches!(action.as_str(), "*" | "sqs:*" | "sqs:sendmessage" | "sqs:send*")
        };
        statement.get("Effect").is_some_and(|effect| effect == "Allow") && actions.iter().any(is_send)
    })
}

/// Whether a policy lets a service send that announces objects of S3.
pub(super) fn may_be_sent_to(policy: &Value) -> bool {
    senders(policy).any(|statement| match statement.get("Principal") {
        Some(Value::String(anybody)) => anybody == "*",
        Some(principal) => {
            let who =
                ["Service", "AWS"].into_iter().filter_map(|kind| principal.get(kind)).flat_map(one_or_many);
            who.filter_map(Value::as_str).any(|who| who == "*" || SERVICES.contains(&who))
        }
        None => false,
    })
}

/// The bucket that may send, by a policy that names one.
fn bucket_in(policy: &Value) -> Option<String> {
    senders(policy).find_map(|statement| {
        let operators = statement.get("Condition")?.as_object()?.values();
        let conditions = operators.filter_map(Value::as_object).flatten();
        let sources = conditions.filter(|(name, _)| name.eq_ignore_ascii_case("aws:SourceArn"));
        let mut arns = sources.flat_map(|(_, arns)| one_or_many(arns)).filter_map(Value::as_str);
        let of_bucket = |arn: &str| Some(arn.split_once(":s3:::")?.1.to_owned());
        arns.find_map(of_bucket).filter(|name| !name.is_empty() && !name.contains(['*', '?', '/']))
    })
}

/// The members of a list, or the one thing that stands for such a list.
fn one_or_many(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |many| many.iter().collect())
}
