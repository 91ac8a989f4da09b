//! Where a bucket announces its new objects.

use aws_sdk_s3::types::{Event, FilterRule, FilterRuleName, NotificationConfigurationFilter};

use super::{S3, S3Error};

/// What a bucket announces, and where.
///
/// Source: `GetBucketNotificationConfiguration` in S3's API reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcements {
    /// The queues and topics that it announces new objects in.
    pub targets: Vec<Target>,
    /// Whether EventBridge gets all of its events.
    pub is_in_event_bridge: bool,
}

/// A queue or a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its ARN.
    pub arn: String,
    /// Only objects whose key begins with this are announced.
    pub prefix: String,
    /// Only objects whose key ends with this are announced.
    pub suffix: String,
}

impl Target {
    /// A queue or topic, if new objects are announced there.
    fn of(arn: String, events: &[Event], filter: Option<NotificationConfigurationFilter>) -> Option<Self> {
        if !events.iter().any(|event| event.as_str().starts_with("s3:ObjectCreated:")) {
            return None;
        }
        let rules = filter.and_then(|filter| filter.key?.filter_rules).unwrap_or_default();
        let rule = |name: &str| {
            let of_name = |rule: &&FilterRule| {
                rule.name.as_ref().map(FilterRuleName::as_str).is_some_and(|is| is.eq_ignore_ascii_case(name))
            };
            rules.iter().find(of_name).and_then(|rule| rule.value.clone()).unwrap_or_default()
        };
        Some(Self { arn, prefix: rule("prefix"), suffix: rule("suffix") })
    }
}

impl S3 {
    /// Asks the bucket where it announces new objects.
    pub(super) async fn announcements(&self) -> Result<Announcements, S3Error> {
        let asked = self.client.get_bucket_notification_configuration().bucket(&*self.bucket).send().await;
        let told = asked
            .map_err(|error| S3Error::from_sdk("look at the notifications of", &self.bucket, "", &error))?;
        let queues = told.queue_configurations.unwrap_or_default().into_iter();
        let topics = told.topic_configurations.unwrap_or_default().into_iter();
        let queues = queues.filter_map(|queue| Target::of(queue.queue_arn, &queue.events, queue.filter));
        let topics = topics.filter_map(|topic| Target::of(topic.topic_arn, &topic.events, topic.filter));
        Ok(Announcements {
            targets: queues.chain(topics).collect(),
            is_in_event_bridge: told.event_bridge_configuration.is_some(),
        })
    }
}
