//! `backfill`: a range of a bucket, and what a dead-letter queue names, for a person at a terminal.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::eventually;
use support::flowlogs::FlowLog;
use support::intake::Intake;
use support::module::Module;
use support::s3::{Operation, Rule, Trouble};

use crate::world::{BUCKET, PATIENCE, World};

const INTAKE_KEY: &str = "Kq3xZ8vT1mB5nR7wYc2dLf9hJg4sPa6u";
const QUEUE: &str = "sekoia-flow-logs";
const DEAD: &str = "sekoia-flow-logs-dead";

struct Terminal {
    world: World,
    intake: Intake,
    flow_log: FlowLog,
}

/// How a run ended: its exit code, and what it printed.
struct Ended(i32, String);

impl Terminal {
    async fn new() -> Self {
        let mut world = World::new().await;
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        Self { world, intake: Intake::start(INTAKE_KEY).await, flow_log }
    }

    /// An object that S3 took so many hours ago. It must arrive if it `is_expected`.
    fn put(&mut self, hours: i64, is_expected: bool) -> String {
        let object = self.world.object(&self.flow_log, hours * 60, 20);
        let time = Timestamp::now() - SignedDuration::from_hours(hours);
        self.world.s3.put_at(BUCKET, &object.key, object.body(), time);
        if is_expected {
            self.world.expected.extend(object.records);
        }
        object.key
    }

    fn connector(&self, arguments: &Value) -> Module {
        let mut given =
            json!({"intake_key": INTAKE_KEY, "intake_server": self.intake.server(), "chunk_size": 50});
        given.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        self.world
            .module_as("backfill")
            .without_value("trigger_configuration")
            .value("connector_configuration", given)
    }

    /// A run over what S3 took from 50 hours ago until 10 hours ago.
    fn range(&self, arguments: &Value) -> Module {
        let hour = Timestamp::now().as_second() / 3600 * 3600;
        let ago = |hours: i64| Timestamp::from_second(hour - hours * 3600).unwrap().to_string();
        self.connector(arguments).argument("--from").argument(&ago(50)).argument("--until").argument(&ago(10))
    }

    fn arrived(&self) -> Vec<String> {
        let mut events = self.intake.events();
        events.sort();
        events
    }

    fn expected(&self) -> Vec<String> {
        let mut expected = self.world.expected.clone();
        expected.sort();
        expected
    }
}

async fn run(module: Module) -> Ended {
    let mut process = module.start();
    let status = process.exited(PATIENCE * 3).await;
    let told = format!("{}\n{}", process.stdout().text(), process.stderr().text());
    assert!(!told.contains("panicked") && !told.contains(INTAKE_KEY), "{told}");
    Ended(status.and_then(|status| status.code()).unwrap_or(-1), told)
}

#[tokio::test]
async fn a_range_is_delivered_counted_and_summed_up_and_once_only() {
    let mut terminal = Terminal::new().await;
    for hours in [60, 55, 5, 0] {
        terminal.put(hours, false);
    }
    for hours in [48, 40, 30, 11] {
        terminal.put(hours, true);
    }
    let listing = json!({"bucket_name": BUCKET, "prefix": "AWSLogs/"});
    let Ended(code, told) = run(terminal.range(&listing)).await;
    assert_eq!((code, terminal.arrived()), (0, terminal.expected()), "{told}");
    for line in ["counted  4 objects to deliver", "ended    4 objects delivered, 80 records in"] {
        assert!(told.contains(line), "{told}");
    }
    let Ended(code, told) = run(terminal.range(&listing)).await;
    assert_eq!((code, terminal.arrived()), (0, terminal.expected()), "{told}");
    assert!(told.contains("counted  0 objects to deliver"), "{told}");
}

#[tokio::test]
async fn a_connector_that_reads_a_queue_needs_the_bucket_and_a_trigger_starts_runs() {
    let mut terminal = Terminal::new().await;
    terminal.put(30, true);
    terminal.put(30, true);
    let queued = json!({"queue_name": QUEUE, "prefix": "AWSLogs/"});
    let Ended(code, told) = run(terminal.range(&queued)).await;
    assert!(code == 1 && told.contains("--bucket"), "{told}");
    let Ended(code, told) = run(terminal.range(&queued).argument("--bucket").argument(BUCKET)).await;
    assert_eq!((code, terminal.arrived()), (0, terminal.expected()), "{told}");

    let trigger = terminal.range(&json!({})).without_value("connector_configuration");
    let arguments = json!({"bucket_name": BUCKET, "prefix": "AWSLogs/", "chunk_size": 10});
    let Ended(code, told) = run(trigger.value("trigger_configuration", arguments)).await;
    assert_eq!(code, 0, "{told}");
    terminal.world.exactly_expected();
}

#[tokio::test]
async fn what_cannot_be_read_is_left_and_said_and_delivered_by_the_next_run() {
    let mut terminal = Terminal::new().await;
    let denied = terminal.put(30, false);
    terminal.put(20, true);
    terminal.world.s3.add_rule(Rule::new(Operation::Get, Trouble::ACCESS_DENIED).key_contains(&denied));
    let listing = json!({"bucket_name": BUCKET});
    let Ended(code, told) = run(terminal.range(&listing)).await;
    assert_eq!((code, terminal.arrived()), (1, terminal.expected()), "{told}");
    assert!(told.contains("left     1 object\n") && told.contains(&denied), "{told}");
    terminal.world.s3.clear_rules();
    let Ended(code, told) = run(terminal.range(&listing)).await;
    assert_eq!((code, terminal.arrived().len()), (0, 40), "{told}");
}

#[tokio::test]
async fn a_run_that_is_stopped_goes_on_when_it_is_started_again() {
    let mut terminal = Terminal::new().await;
    for hours in 11..50 {
        terminal.put(hours, true);
    }
    terminal.world.s3.add_rule(Rule::new(Operation::Get, Trouble::Delay(Duration::from_millis(400))));
    let mut process = terminal.range(&json!({"bucket_name": BUCKET})).start();
    assert!(eventually(PATIENCE, || terminal.intake.count() >= 100).await);
    process.interrupt();
    let status = process.exited(PATIENCE).await;
    let told = format!("{}{}", process.stdout().text(), process.stderr().text());
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{told}");
    assert!(told.contains("stopped  ") && told.contains("the same command goes on"), "{told}");
    let so_far = terminal.intake.count();
    assert!(so_far < terminal.world.expected.len(), "{told}");
    terminal.world.s3.clear_rules();
    let Ended(code, told) = run(terminal.range(&json!({"bucket_name": BUCKET}))).await;
    assert_eq!(code, 0, "{told}");
    let mut arrived = terminal.arrived();
    // What was in flight when it was stopped may come twice.
    assert!(arrived.len() < terminal.world.expected.len() + so_far, "{told}");
    arrived.dedup();
    assert_eq!(arrived, terminal.expected());
}

#[tokio::test]
async fn what_a_dead_letter_queue_names_is_delivered_and_its_messages_go_but_those_that_cannot_be_read() {
    let mut terminal = Terminal::new().await;
    let keys = [terminal.put(30, true), terminal.put(200, true), terminal.put(3, false)];
    terminal.world.s3.add_rule(Rule::new(Operation::Get, Trouble::ACCESS_DENIED).key_contains(&keys[2]));
    let queues = terminal.world.s3.queues();
    queues.create(QUEUE, Duration::from_secs(30));
    queues.create(DEAD, Duration::from_secs(30));
    queues.redrive(QUEUE, DEAD, 3);
    for key in &keys {
        let object = json!({"bucket": {"name": BUCKET}, "object": {"key": key, "size": 100}});
        let record = json!({"eventName": "ObjectCreated:Put", "awsRegion": "eu-west-3", "s3": object});
        queues.send(DEAD, &json!({"Records": [record]}).to_string());
    }
    let module = terminal.connector(&json!({"queue_name": QUEUE})).argument("--dead-letters");
    let Ended(code, told) = run(module).await;
    assert_eq!((code, terminal.arrived()), (1, terminal.expected()), "{told}");
    assert!(told.contains("counted  3 messages") && told.contains("left     1 message\n"), "{told}");
    assert_eq!(terminal.world.s3.queues().bodies(DEAD).len(), 1);
    terminal.world.s3.clear_rules();
    terminal.world.s3.queues().expire(DEAD);
    // By its name, with a connector that lists.
    let module =
        terminal.connector(&json!({"bucket_name": BUCKET})).argument("--dead-letters").argument(DEAD);
    let Ended(code, told) = run(module).await;
    assert_eq!((code, terminal.arrived().len()), (0, 60), "{told}");
    assert!(terminal.world.s3.queues().bodies(DEAD).is_empty());
}
