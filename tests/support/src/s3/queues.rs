//! SQS, on the same port as S3: JSON posted to `/`, with the action in the header `X-Amz-Target`. The queues are standard
//! ones: messages come at least once, in any order, and are there again when their visibility timeout has passed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use s3s::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::signature::is_signed_with;
use super::store::Object;
use super::sts::ACCOUNT;

/// The queues of a server. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Queues(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queues: Mutex<BTreeMap<String, Queue>>,
    /// Rings when a message may have become visible.
    bell: Notify,
}

#[derive(Debug)]
struct Queue {
    messages: Vec<Message>,
    visibility: Duration,
    /// The queue for dead letters, and how often a message is received before it goes there.
    redrive: Option<(String, u32)>,
    policy: Option<Value>,
}

#[derive(Debug)]
struct Message {
    id: String,
    body: String,
    sent: Timestamp,
    receives: u32,
    handle: Option<String>,
    visible: Instant,
}

/// An error of SQS: its code, and what it says.
type Refusal = (&'static str, &'static str);

const NO_QUEUE: Refusal = ("QueueDoesNotExist", "The specified queue does not exist.");
const NO_HANDLE: Refusal = ("ReceiptHandleIsInvalid", "The input receipt handle is invalid.");
const NOT_IN_FLIGHT: Refusal = ("MessageNotInflight", "The message referred to isn't in flight.");

impl Queues {
    /// Creates an empty queue.
    pub fn create(&self, name: &str, visibility: Duration) {
        let queue = Queue { messages: Vec::new(), visibility, redrive: None, policy: None };
        self.0.queues.lock().unwrap().insert(name.to_owned(), queue);
    }

    /// From now on a message that was received `most` times goes to the queue `dead`.
    pub fn redrive(&self, name: &str, dead: &str, most: u32) {
        self.of(name, |queue| queue.redrive = Some((dead.to_owned(), most)));
    }

    /// From now on a queue has this policy, which is only told.
    pub fn set_policy(&self, name: &str, policy: Value) {
        self.of(name, |queue| queue.policy = Some(policy));
    }

    /// Sends a message.
    pub fn send(&self, name: &str, body: &str) {
        let message = Message {
            id: Uuid::new_v4().to_string(),
            body: body.to_owned(),
            sent: Timestamp::now(),
            receives: 0,
            handle: None,
            visible: Instant::now(),
        };
        self.of(name, |queue| queue.messages.push(message));
        self.0.bell.notify_waiters();
    }

    /// The bodies of all messages that are in a queue, in flight or not.
    pub fn bodies(&self, name: &str) -> Vec<String> {
        self.of(name, |queue| queue.messages.iter().map(|message| message.body.clone()).collect())
    }

    /// How many messages are in a queue, in flight or not.
    pub fn count(&self, name: &str) -> usize {
        self.of(name, |queue| queue.messages.len())
    }

    /// How many messages of a queue are in flight.
    pub fn in_flight(&self, name: &str) -> usize {
        self.of(name, |queue| {
            queue.messages.iter().filter(|message| message.visible > Instant::now()).count()
        })
    }

    /// All messages in flight are visible again, as when their time has passed.
    pub fn expire(&self, name: &str) {
        self.of(name, |queue| queue.messages.iter_mut().for_each(|message| message.visible = Instant::now()));
        self.0.bell.notify_waiters();
    }

    /// Time passes for the messages in flight.
    pub fn pass(&self, name: &str, time: Duration) {
        self.of(name, |queue| queue.messages.iter_mut().for_each(|message| message.visible -= time));
        self.0.bell.notify_waiters();
    }

    fn of<T>(&self, name: &str, look: impl FnOnce(&mut Queue) -> T) -> T {
        look(self.0.queues.lock().unwrap().get_mut(name).expect("a queue of this name"))
    }

    /// Answers a request that must be signed with `secret`.
    pub(super) async fn answer(
        &self,
        action: &str,
        secret: &str,
        incoming: hyper::Request<Incoming>,
    ) -> Response<Body> {
        let (parts, body) = incoming.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        if !is_signed_with(secret, &parts.headers, &body) {
            return refuse(
                "InvalidSignatureException",
                "The request signature we calculated does not match.",
            );
        }
        let asked = serde_json::from_slice(&body).unwrap_or_default();
        let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let answered = match action {
            "ReceiveMessage" => self.receive(&asked).await,
            _ => self.act(action, &asked, host),
        };
        match answered {
            Ok(answer) => respond(StatusCode::OK, &answer),
            Err((code, message)) => refuse(code, message),
        }
    }

    fn act(&self, action: &str, asked: &Value, host: &str) -> Result<Value, Refusal> {
        let mut queues = self.0.queues.lock().unwrap();
        let name = match asked["QueueName"].as_str() {
            Some(name) => name.to_owned(),
            None => name_of(asked),
        };
        let queue = queues.get_mut(&name).ok_or(NO_QUEUE)?;
        let entries = asked["Entries"].as_array().cloned().unwrap_or_default();
        let answer = match action {
            "GetQueueUrl" => json!({"QueueUrl": format!("http://{host}/{ACCOUNT}/{name}")}),
            "GetQueueAttributes" => queue.attributes(&name),
            "DeleteMessage" => queue.delete(asked).map(|()| json!({}))?,
            "ChangeMessageVisibility" => queue.change(asked).map(|()| json!({}))?,
            "DeleteMessageBatch" => each(&entries, |entry| queue.delete(entry)),
            "ChangeMessageVisibilityBatch" => each(&entries, |entry| queue.change(entry)),
            _ => return Err(("InvalidAction", "The action is not valid for this endpoint.")),
        };
        self.0.bell.notify_waiters();
        Ok(answer)
    }

    /// Waits for messages as long as is asked for.
    async fn receive(&self, asked: &Value) -> Result<Value, Refusal> {
        let wait = Duration::from_secs(asked["WaitTimeSeconds"].as_u64().unwrap_or(0).min(20));
        let end = Instant::now() + wait;
        loop {
            let bell = self.0.bell.notified();
            let messages = self.take(asked)?;
            if !messages.is_empty() || Instant::now() >= end {
                return Ok(json!({ "Messages": messages }));
            }
            // A message that is in flight may become visible meanwhile.
            let look = end.min(Instant::now() + Duration::from_millis(100));
            let _ = tokio::time::timeout_at(look, bell).await;
        }
    }

    fn take(&self, asked: &Value) -> Result<Vec<Value>, Refusal> {
        let mut queues = self.0.queues.lock().unwrap();
        let (name, now) = (name_of(asked), Instant::now());
        let queue = queues.get_mut(&name).ok_or(NO_QUEUE)?;
        let visibility = asked["VisibilityTimeout"].as_u64().map_or(queue.visibility, Duration::from_secs);
        let most = usize::try_from(asked["MaxNumberOfMessages"].as_u64().unwrap_or(1)).unwrap_or(1);
        let (mut dead, mut taken) = (Vec::new(), Vec::new());
        let limit = queue.redrive.as_ref().map_or(u32::MAX, |(_, most)| *most);
        for mut message in std::mem::take(&mut queue.messages) {
            if message.visible <= now && message.receives >= limit {
                dead.push(message);
                continue;
            }
            if message.visible <= now && taken.len() < most.min(10) {
                message.receives += 1;
                message.visible = now + visibility;
                let handle = format!("handle-{}", Uuid::new_v4());
                taken.push(json!({
                    "MessageId": message.id, "ReceiptHandle": handle, "Body": message.body,
                    "Attributes": {
                        "ApproximateReceiveCount": message.receives.to_string(),
                        "SentTimestamp": message.sent.as_millisecond().to_string(),
                    },
                }));
                message.handle = Some(handle);
            }
            queue.messages.push(message);
        }
        if let Some((dead_queue, _)) = queue.redrive.clone()
            && let Some(dead_queue) = queues.get_mut(&dead_queue)
        {
            dead_queue.messages.append(&mut dead);
        }
        Ok(taken)
    }
}

impl Queue {
    fn attributes(&self, name: &str) -> Value {
        let now = Instant::now();
        let in_flight = self.messages.iter().filter(|message| message.visible > now).count();
        let mut attributes = json!({
            "QueueArn": arn(name),
            "ApproximateNumberOfMessages": (self.messages.len() - in_flight).to_string(),
            "ApproximateNumberOfMessagesNotVisible": in_flight.to_string(),
            "ApproximateNumberOfMessagesDelayed": "0",
            "VisibilityTimeout": self.visibility.as_secs().to_string(),
        });
        if let Some((dead, most)) = &self.redrive {
            let policy = json!({"deadLetterTargetArn": arn(dead), "maxReceiveCount": most});
            attributes["RedrivePolicy"] = policy.to_string().into();
        }
        if let Some(policy) = &self.policy {
            attributes["Policy"] = policy.to_string().into();
        }
        json!({ "Attributes": attributes })
    }

    /// With an old handle, SQS says yes and deletes nothing.
    fn delete(&mut self, asked: &Value) -> Result<(), Refusal> {
        let handle = handle(asked)?;
        self.messages.retain(|message| message.handle.as_deref() != Some(handle));
        Ok(())
    }

    fn change(&mut self, asked: &Value) -> Result<(), Refusal> {
        let handle = handle(asked)?;
        let visibility = Duration::from_secs(asked["VisibilityTimeout"].as_u64().unwrap_or(0));
        let now = Instant::now();
        let message = self.messages.iter_mut().find(|message| message.handle.as_deref() == Some(handle));
        let message = message.ok_or(NO_HANDLE)?;
        if message.visible <= now {
            return Err(NOT_IN_FLIGHT);
        }
        message.visible = now + visibility;
        Ok(())
    }
}

/// What S3 says of an object that was written.
pub(super) fn created(bucket: &str, key: &str, object: &Object) -> Value {
    let key: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
    let object = json!({"key": key.replace("%2F", "/"), "size": object.body.len(), "eTag": object.etag()});
    json!({"Records": [{
        "eventVersion": "2.6", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": "eu-west-3",
        "eventTime": Timestamp::now().to_string(), "s3": {"bucket": {"name": bucket}, "object": object},
    }]})
}

/// The ARN of a queue.
/// The ARN of a queue.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:eu-west-3:{ACCOUNT}:{name}")
}

fn name_of(asked: &Value) -> String {
    asked["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default().to_owned()
}

fn handle(asked: &Value) -> Result<&str, Refusal> {
    asked["ReceiptHandle"].as_str().filter(|handle| handle.starts_with("handle-")).ok_or(NO_HANDLE)
}

/// What became of the entries of a batch.
fn each(entries: &[Value], mut act: impl FnMut(&Value) -> Result<(), Refusal>) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let id = &entry["Id"];
        match act(entry) {
            Ok(()) => successful.push(json!({ "Id": id })),
            Err((code, message)) => {
                failed.push(json!({"Id": id, "Code": code, "Message": message, "SenderFault": true}));
            }
        }
    }
    json!({"Successful": successful, "Failed": failed})
}

/// The action of a request to SQS.
pub(super) fn action(headers: &HeaderMap) -> Option<String> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    target.strip_prefix("AmazonSQS.").map(str::to_owned)
}

/// Says an error of S3 in the form of SQS.
pub(super) async fn in_words_of_sqs(response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let within = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside.to_owned())
    };
    match within("Code") {
        Some(code) => {
            let kind = format!("com.amazon.coral.service#{code}");
            respond(parts.status, &json!({"__type": kind, "message": within("Message")}))
        }
        None => Response::from_parts(parts, Body::from(body)),
    }
}

/// A refusal in SQS's form.
fn refuse(code: &str, message: &str) -> Response<Body> {
    respond(
        StatusCode::BAD_REQUEST,
        &json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": message}),
    )
}

/// An answer in SQS's form.
fn respond(status: StatusCode, answer: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}
