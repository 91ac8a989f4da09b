//! What a message says: the objects that S3 announces in it, in each of the forms in which they come.
//!
//! Source: the chapters *Event message structure* and *Using EventBridge* of Amazon S3's user guide, and *Parsing message
//! formats* of Amazon SNS's developer guide.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// SNS puts a message into an envelope, and may do so again.
const ENVELOPES: usize = 3;

/// What a message announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// Something happened to objects: one at least.
    Objects(Vec<Announced>),
    /// S3 tries whether it may send here. It never announces an object.
    Test,
    /// Something else: why it is none of the others.
    Unknown(&'static str),
}

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// What happened.
    pub event: Event,
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region, where it is named.
    pub region: Option<String>,
    /// The object's key.
    pub key: String,
    /// What the key is if it came encoded, where that cannot be known.
    pub or_key: Option<String>,
    /// How many bytes the object has, where that is said.
    pub body_bytes: Option<u64>,
    /// What tells its content from another under its key, as S3 has it in headers.
    pub etag: Option<String>,
    /// When it happened.
    pub time: Option<Timestamp>,
}

/// What can happen to an object, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It can be read since.
    Readable,
    /// It was removed, tagged or whatever else leaves nothing to read.
    Other,
}

/// A body, as whichever of the forms it has.
#[derive(Debug, Deserialize)]
struct Body {
    #[serde(rename = "Records")]
    records: Option<Vec<Record>>,
    #[serde(rename = "Type")]
    envelope: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "Event")]
    event: Option<String>,
    source: Option<String>,
    region: Option<String>,
    time: Option<Timestamp>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    detail: Option<Detail>,
}

#[derive(Debug, Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    event: Option<String>,
    #[serde(rename = "awsRegion")]
    region: Option<String>,
    #[serde(rename = "eventTime")]
    time: Option<Timestamp>,
    s3: Option<Detail>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    bucket: Option<Bucket>,
    object: Option<Object>,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Object {
    key: Option<String>,
    size: Option<u64>,
    #[serde(rename = "eTag", alias = "etag")]
    etag: Option<String>,
}

impl Notification {
    /// Reads the body of a message.
    pub fn read(body: &str) -> Self {
        let mut body = body.to_owned();
        for _ in 0..ENVELOPES {
            let read: Body = match serde_json::from_str(&body) {
                Ok(read) => read,
                Err(_) if serde_json::from_str::<IgnoredAny>(&body).is_err() => {
                    return Self::Unknown("it is not JSON");
                }
                Err(_) => return Self::Unknown("it is JSON of another form"),
            };
            match (read.envelope.as_deref(), read.message) {
                (Some("Notification"), Some(message)) => body = message,
                (Some("SubscriptionConfirmation" | "UnsubscribeConfirmation"), _) => {
                    return Self::Unknown("it asks to confirm a subscription of a topic");
                }
                _ => return Self::of(Body { message: None, ..read }),
            }
        }
        Self::Unknown("it is an envelope within envelopes")
    }

    fn of(body: Body) -> Self {
        if body.event.as_deref() == Some("s3:TestEvent") {
            return Self::Test;
        }
        let announced: Option<Vec<Announced>> = match (body.records, body.detail) {
            (Some(records), _) => records.into_iter().map(Announced::of_record).collect(),
            (None, Some(detail)) if body.source.as_deref() == Some("aws.s3") => {
                let kind = body.detail_type.as_deref().unwrap_or("Object Created");
                let event = Event::of_bridge(kind);
                Announced::of(detail, event, body.region, body.time, Coding::Unknown).map(|one| vec![one])
            }
            _ => return Self::Unknown("it announces no object"),
        };
        match announced {
            Some(announced) if !announced.is_empty() => Self::Objects(announced),
            Some(_) => Self::Unknown("its list of records is empty"),
            None => Self::Unknown("a record in it has no bucket or no key"),
        }
    }
}

/// Whether a key comes as URLs have it.
#[derive(Clone, Copy)]
enum Coding {
    Form,
    Unknown,
}

impl Announced {
    fn of_record(record: Record) -> Option<Self> {
        let event = Event::of_s3(&record.event?);
        Self::of(record.s3?, event, record.region, record.time, Coding::Form)
    }

    fn of(
        detail: Detail,
        event: Event,
        region: Option<String>,
        time: Option<Timestamp>,
        coding: Coding,
    ) -> Option<Self> {
        let Object { key, size, etag } = detail.object?;
        let (given, bucket) = (key?, detail.bucket?.name?);
        let decoded = decoded(&given);
        let (key, or_key) = match coding {
            Coding::Form => (decoded?, None),
            Coding::Unknown => {
                let or_key = decoded.filter(|decoded| *decoded != given);
                (given, or_key)
            }
        };
        // Headers have it in quotes.
        let etag = etag.map(|etag| format!("\"{}\"", etag.trim_matches('"')));
        Some(Self { event, bucket, region, key, or_key, body_bytes: size, etag, time })
    }
}

impl Event {
    fn of_s3(name: &str) -> Self {
        let name = name.strip_prefix("s3:").unwrap_or(name);
        let is_readable = name.starts_with("ObjectCreated:") || name == "ObjectRestore:Completed";
        if is_readable { Self::Readable } else { Self::Other }
    }

    fn of_bridge(kind: &str) -> Self {
        if ["Object Created", "Object Restore Completed"].contains(&kind) {
            Self::Readable
        } else {
            Self::Other
        }
    }
}

/// A key as it is, if it came as forms have it; `None` if that is no text.
fn decoded(key: &str) -> Option<String> {
    percent_decode_str(&key.replace('+', " ")).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(event: &str, key: &str) -> Value {
        json!({
            "eventVersion": "2.6", "eventSource": "aws:s3", "awsRegion": "eu-west-3", "eventName": event,
            "eventTime": "2026-11-22T10:05:31.123Z",
            "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "b", "arn": "arn:aws:s3:::b"},
                "object": {"key": key, "size": 3141, "eTag": "0f", "sequencer": "00A1"}},
        })
    }

    fn envelope(message: &Value) -> Value {
        json!({
            "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-3:111122223333:t",
            "Message": message.to_string(), "Timestamp": "2026-11-22T10:05:32.000Z",
        })
    }

    fn bridge(kind: &str, key: &str) -> Value {
        json!({
            "version": "0", "id": "1", "detail-type": kind, "source": "aws.s3", "account": "111122223333",
            "time": "2026-11-22T10:05:31Z", "region": "eu-west-3", "resources": ["arn:aws:s3:::b"],
            "detail": {"version": "0", "bucket": {"name": "b"},
                "object": {"key": key, "size": 3141, "etag": "0f", "sequencer": "00A1"}, "reason": "PutObject"},
        })
    }

    fn objects(body: &Value) -> Vec<Announced> {
        match Notification::read(&body.to_string()) {
            Notification::Objects(announced) => announced,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn every_record_is_read_in_whatever_wrapping() {
        let plain = json!({"Records": [record("ObjectCreated:Put", "a"), record("ObjectCreated:Copy", "b")]});
        let expected = objects(&plain);
        assert_eq!(expected.len(), 2);
        let [first, second] = expected.as_slice() else { unreachable!() };
        assert_eq!((first.key.as_str(), second.key.as_str(), first.bucket.as_str()), ("a", "b", "b"));
        assert_eq!((first.body_bytes, first.etag.as_deref()), (Some(3141), Some("\"0f\"")));
        assert_eq!((first.region.as_deref(), first.or_key.as_deref()), (Some("eu-west-3"), None));
        assert_eq!(objects(&envelope(&plain)), expected);
        assert_eq!(objects(&envelope(&envelope(&plain))), expected);
        let [bridged] = objects(&bridge("Object Created", "a")).try_into().unwrap();
        let time = bridged.time;
        assert_eq!(Announced { time: first.time, ..bridged }, *first);
        assert!(time.is_some());
        assert_eq!(objects(&envelope(&bridge("Object Created", "a"))).len(), 1);
    }

    #[test]
    fn a_key_is_decoded_where_it_is_known_to_be_encoded() {
        for (given, key) in [
            ("flow+logs/AWSLogs/aws-account-id%3D1/x.log.gz", "flow logs/AWSLogs/aws-account-id=1/x.log.gz"),
            ("a%2Bb%25", "a+b%"),
            ("%C3%A4", "ä"),
        ] {
            let body = json!({"Records": [record("ObjectCreated:Put", given)]});
            assert_eq!(objects(&body)[0].key, key);
            let bridged = bridge("Object Created", given);
            let bridged = &objects(&bridged)[0];
            assert_eq!((bridged.key.as_str(), bridged.or_key.as_deref()), (given, Some(key)));
        }
        assert_eq!(objects(&bridge("Object Created", "a=b/x"))[0].or_key, None);
        assert_eq!(objects(&bridge("Object Created", "100%"))[0].or_key, None);
        let body = json!({"Records": [record("ObjectCreated:Put", "%FF")]});
        assert!(matches!(Notification::read(&body.to_string()), Notification::Unknown(_)));
    }

    #[test]
    fn what_can_be_read_is_told_from_what_cannot() {
        for (event, expected) in [
            ("ObjectCreated:Put", Event::Readable),
            ("ObjectCreated:CompleteMultipartUpload", Event::Readable),
            ("s3:ObjectCreated:Post", Event::Readable),
            ("ObjectRestore:Completed", Event::Readable),
            ("ObjectRestore:Post", Event::Other),
            ("ObjectRemoved:Delete", Event::Other),
            ("ObjectTagging:Put", Event::Other),
            ("LifecycleExpiration:Delete", Event::Other),
        ] {
            assert_eq!(objects(&json!({"Records": [record(event, "a")]}))[0].event, expected, "{event}");
        }
        for (kind, expected) in [
            ("Object Created", Event::Readable),
            ("Object Restore Completed", Event::Readable),
            ("Object Deleted", Event::Other),
            ("Object Access Tier Changed", Event::Other),
        ] {
            assert_eq!(objects(&bridge(kind, "a"))[0].event, expected, "{kind}");
        }
    }

    #[test]
    fn what_announces_nothing_is_told_for_what_it_is() {
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b", "RequestId": "1"});
        assert_eq!(Notification::read(&test.to_string()), Notification::Test);
        assert_eq!(Notification::read(&envelope(&test).to_string()), Notification::Test);
        let mut keyless = record("ObjectCreated:Put", "a");
        keyless["s3"]["object"] = json!({});
        for (body, why) in [
            ("", "not JSON"),
            ("hello", "not JSON"),
            ("7", "another form"),
            ("[]", "another form"),
            ("{}", "no object"),
            (r#"{"Records": []}"#, "empty"),
            (r#"{"Records": {}}"#, "another form"),
            (r#"{"Type": "SubscriptionConfirmation", "Message": "You have chosen"}"#, "subscription"),
            (r#"{"Type": "Notification", "Message": "hello"}"#, "not JSON"),
            (r#"{"source": "aws.ec2", "detail": {}}"#, "no object"),
            (r#"{"source": "aws.s3", "detail": {}}"#, "no bucket or no key"),
            (
                &json!({"Records": [record("ObjectCreated:Put", "a"), keyless]}).to_string(),
                "no bucket or no key",
            ),
        ] {
            let Notification::Unknown(told) = Notification::read(body) else { panic!("{body}") };
            assert!(told.contains(why), "{body}: {told}");
        }
    }
}
