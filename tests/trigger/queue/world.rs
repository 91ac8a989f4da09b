//! A queue in which a bucket's objects are announced, an intake, and the real connector between them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use support::ahead::Ahead;
use support::eventually;
use support::flowlogs::LogObject;
use support::intake::Intake;
use support::module::{Module, Process};
use support::s3::Operation;

use crate::world::{BUCKET, PATIENCE, World};

const INTAKE_KEY: &str = "Kq3xZ8vT1mB5nR7wYc2dLf9hJg4sPa6u";
pub const QUEUE: &str = "sekoia-flow-logs";

pub struct Queued {
    pub world: World,
    pub intake: Intake,
    pub arguments: Value,
}

pub fn enveloped(message: &Value) -> Value {
    json!({"Type": "Notification", "MessageId": "1", "TopicArn": "t", "Message": message.to_string()})
}

impl Queued {
    /// What S3 says of the object `key`, which is written there as `written`.
    pub fn record(&self, event: &str, key: &str, written: &str) -> Value {
        let object = self.world.s3.get(BUCKET, key);
        let (size, etag) = object.map_or((10, "0".to_owned()), |object| (object.body.len(), object.etag()));
        json!({
            "eventVersion": "2.6", "eventSource": "aws:s3", "awsRegion": "eu-west-3", "eventName": event,
            "eventTime": "2026-11-22T10:05:31.123Z",
            "s3": {"bucket": {"name": BUCKET},
                "object": {"key": written, "size": size, "eTag": etag, "sequencer": "00A1"}},
        })
    }

    /// The same through EventBridge.
    pub fn bridged(&self, key: &str, written: &str) -> Value {
        let object = self.world.s3.get(BUCKET, key).unwrap();
        let object = json!({"key": written, "size": object.body.len(), "etag": object.etag()});
        json!({
            "version": "0", "detail-type": "Object Created", "source": "aws.s3", "region": "eu-west-3",
            "time": "2026-11-22T10:05:31Z", "detail": {"bucket": {"name": BUCKET}, "object": object},
        })
    }

    pub fn created(&self, objects: &[LogObject]) -> Value {
        let records = objects.iter().map(|object| self.record("ObjectCreated:Put", &object.key, &object.key));
        json!({ "Records": records.collect::<Vec<_>>() })
    }

    /// A connector to an empty queue, which sends 100 records a request.
    pub async fn new() -> Self {
        let (world, intake) = (World::new().await, Intake::start(INTAKE_KEY).await);
        world.s3.queues().create(QUEUE, Duration::from_secs(30));
        let arguments = json!({
            "queue_name": QUEUE, "chunk_size": 100, "intake_key": INTAKE_KEY, "intake_server": intake.server(),
        });
        Self { world, intake, arguments }
    }

    pub fn module(&self) -> Module {
        self.world
            .module_as("collect_queued_flowlogs")
            .without_value("trigger_configuration")
            .value("connector_configuration", &self.arguments)
            .value("metrics_port", support::free_port())
    }

    /// Objects in the bucket with records that must arrive.
    pub fn put(&mut self, objects: usize, records: usize) -> Vec<LogObject> {
        let flow_log = self.world.generator.flow_log("111111111111", "eu-west-3");
        (0..objects).map(|_| self.world.put(&flow_log, 10, records)).collect()
    }

    pub fn send(&self, body: &Value) {
        self.world.s3.queues().send(QUEUE, &body.to_string());
    }

    /// Objects, each announced in a message of its own.
    pub fn announce(&mut self, objects: usize, records: usize) {
        for object in self.put(objects, records) {
            let message = self.created(&[object]);
            self.send(&message);
        }
    }

    pub fn left(&self) -> usize {
        self.world.s3.queues().count(QUEUE)
    }

    pub fn in_flight(&self) -> usize {
        self.world.s3.queues().in_flight(QUEUE)
    }

    /// Time passes for the queue and for the processes that have this clock.
    pub fn pass(&self, ahead: &Ahead, time: Duration) {
        self.world.s3.queues().pass(QUEUE, time);
        ahead.pass(time);
    }

    pub async fn until_left(&self, messages: usize) {
        assert!(eventually(PATIENCE, || self.left() == messages).await, "{} are left", self.left());
    }

    /// How often each record is too many (or, negative, missing) at the intake.
    pub fn difference(&self) -> BTreeMap<String, i64> {
        self.world.difference(self.intake.events())
    }

    /// Whether any expected record has not arrived.
    pub fn is_lost(&self) -> bool {
        self.difference().values().any(|count| *count < 0)
    }

    /// Waits until all expected records have arrived, each once and nothing else, and the queue has what is `left`.
    pub async fn all_arrive(&self, process: &Process, left: usize) {
        let arrived = eventually(PATIENCE, || self.intake.count() >= self.world.expected.len()).await;
        assert!(arrived, "{} arrived:\n{}", self.intake.count(), process.stderr().text());
        assert_eq!(self.difference(), BTreeMap::new(), "{}", process.stderr().text());
        self.until_left(left).await;
    }

    /// Calls of SQS whose action has this in its name.
    pub fn calls(&self, action: &str) -> usize {
        let requests = self.world.s3.requests();
        requests
            .iter()
            .filter(|request| request.operation == Operation::Queue && request.key.contains(action))
            .count()
    }
}
