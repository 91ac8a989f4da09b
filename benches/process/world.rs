//! A bucket, a queue in which its objects are announced, a platform and an intake, and the binary between them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use support::flowlogs::FlowLog;
use support::intake::Intake;
use support::module::{Module, Process};
use support::platform::{Endpoint, Platform, Setup};
use support::s3::{Control, Operation, Server};
use support::script::Fault;
use support::{eventually, free_port};
use tempfile::TempDir;

use crate::measure::{Usage, binary, usage};

pub const PATIENCE: Duration = Duration::from_secs(600);
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// The bucket, and the queue.
const LOGS: &str = "logs";

/// What delivers the objects.
#[derive(Clone, Copy)]
pub enum Flow {
    Trigger,
    Connector {
        compress: bool,
    },
    /// Connectors that share a queue.
    Queued {
        replicas: usize,
    },
}

/// How objects are delivered.
#[derive(Clone)]
pub struct Setting {
    pub flow: Flow,
    /// What the user sets beside.
    pub arguments: Value,
    /// How long the intake, or the platform, takes for an answer.
    pub answer: Duration,
    /// Whether the storage is on a disk, not in memory.
    pub is_on_disk: bool,
}

impl Setting {
    /// Nothing is set, all answer at once, and the storage is in memory.
    pub fn of(flow: Flow) -> Self {
        Self { flow, arguments: json!({}), answer: Duration::ZERO, is_on_disk: false }
    }
}

/// What surrounds the binary.
pub struct World {
    server: Server,
    platform: Platform,
    pub intake: Intake,
    storage: TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with_storage(false).await
    }

    async fn with_storage(is_on_disk: bool) -> Self {
        let server = Server::start("AKIAIOSFODNN7EXAMPLE", SECRET).await;
        let s3 = server.control();
        s3.create_bucket(LOGS);
        s3.queues().create(LOGS, Duration::from_secs(30));
        s3.announce(LOGS, LOGS);
        // What the stand-in for the platform copies on a disk is written beside the trigger.
        let storage = if is_on_disk {
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        } else {
            tempfile::tempdir_in("/dev/shm")
        };
        let storage = storage.or_else(|_| tempfile::tempdir()).unwrap();
        let secrets = json!({ "aws_secret_access_key": SECRET });
        let setup =
            Setup { runs_in: storage.path().parent().unwrap().to_owned(), ..Setup::new(storage.path()) };
        let platform = Platform::start(setup.module_secrets(secrets)).await;
        Self { server, platform, intake: Intake::start("key").await, storage }
    }

    pub fn s3(&self) -> Control {
        self.server.control()
    }

    /// Writes an object, which the queue announces.
    pub fn put(&self, number: usize, object: &Bytes) {
        let flow_log = FlowLog::new("111111111111", "eu-west-3", "fl-0");
        let key = flow_log.key("2026-11-22T00:05:00Z".parse().unwrap(), &format!("{number:08x}"));
        self.s3().put(LOGS, &key, object.clone());
    }

    /// How many messages the queue has, in flight or not.
    pub fn messages(&self) -> usize {
        self.s3().queues().count(LOGS)
    }

    pub fn start(&self, flow: Flow) -> Process {
        self.start_with(flow, &json!({}))
    }

    fn start_with(&self, flow: Flow, more: &Value) -> Process {
        let bucket = json!({"bucket_name": LOGS, "start_from": "beginning"});
        let with_intake = |mut arguments: Value| {
            arguments["intake_key"] = self.intake.key().into();
            arguments["intake_server"] = self.intake.server().into();
            arguments
        };
        let (command, value, mut arguments) = match flow {
            Flow::Trigger => ("fetch_flowlogs", "trigger_configuration", bucket),
            Flow::Connector { compress } => {
                let mut arguments = with_intake(bucket);
                arguments["compress"] = compress.into();
                ("collect_flowlogs", "connector_configuration", arguments)
            }
            Flow::Queued { .. } => {
                let arguments = with_intake(json!({ "queue_name": LOGS }));
                ("collect_queued_flowlogs", "connector_configuration", arguments)
            }
        };
        for (name, value) in more.as_object().into_iter().flatten() {
            arguments[name] = value.clone();
        }
        let account = json!({"aws_access_key": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "", "aws_region_name": "eu-west-3"});
        Module::new(binary(), command)
            .value(value, arguments)
            .value("module_configuration", account)
            .value("token", self.platform.token())
            .value("url_callback", self.platform.url_callback())
            .value("liveness_port", free_port())
            .value("metrics_port", free_port())
            .storage(self.storage.path())
            .aws_endpoint(&self.server.endpoint_url())
            .start()
    }

    /// Starts connectors that share the queue, and waits until each waits for messages.
    pub async fn start_waiting(&self, replicas: usize) -> Vec<Process> {
        let processes: Vec<_> = (0..replicas).map(|_| self.start(Flow::Queued { replicas })).collect();
        for process in &processes {
            assert!(process.stderr().wait_for("taking the names of flow logs", PATIENCE).await);
        }
        let receives = || {
            let requests = self.s3().requests();
            requests.iter().filter(|request| request.key == "ReceiveMessage").count()
        };
        assert!(eventually(PATIENCE, || receives() >= replicas).await);
        processes
    }
}

/// What it took to deliver some objects.
pub struct Delivered {
    /// Of all processes: their processor time, and the most memory of one.
    pub usage: Usage,
    pub wall_seconds: f64,
    pub records: usize,
    /// Runs of a playbook that were started.
    pub runs: usize,
    /// Calls of SQS.
    pub calls: usize,
}

/// Delivers objects.
pub async fn deliver(objects: &[Bytes], setting: &Setting) -> Delivered {
    let Setting { flow, ref arguments, answer, is_on_disk } = *setting;
    let world = World::with_storage(is_on_disk).await;
    if !answer.is_zero() {
        world.intake.script().always(Fault::Delay(answer));
        world.platform.script(Endpoint::Events).always(Fault::Delay(answer));
    }
    let put_all = || objects.iter().enumerate().for_each(|(number, object)| world.put(number, object));
    let (began, mut processes);
    if let Flow::Queued { replicas } = flow {
        processes = world.start_waiting(replicas).await;
        began = Instant::now();
        put_all();
        let is_settled = eventually(PATIENCE, || world.messages() == 0).await;
        assert!(is_settled, "{}", processes[0].stderr().text());
    } else {
        put_all();
        began = Instant::now();
        processes = vec![world.start_with(flow, arguments)];
        let stderr = processes[0].stderr();
        assert!(stderr.wait_for("poll ended", PATIENCE).await, "{}", stderr.text());
    }
    let wall_seconds = began.elapsed().as_secs_f64();
    let mut all = Usage::default();
    for process in &mut processes {
        let usage = usage(process).unwrap();
        all.cpu_seconds += usage.cpu_seconds;
        all.peak_mib = all.peak_mib.max(usage.peak_mib);
        process.stop(PATIENCE).await;
    }
    let events = world.platform.events();
    let records = world.intake.count() + events.iter().map(|event| event.records().len()).sum::<usize>();
    let calls = world.s3().count(Operation::Queue);
    Delivered { usage: all, wall_seconds, records, runs: events.len(), calls }
}
