//! A run of a command of either module, in a world of its own: the platform, and what the command works on.

use std::time::Duration;

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::eventually;
use support::flowlogs::Generator;
use support::intake::Intake;
use support::module::{Module, Process};
use support::platform::{Endpoint, Platform, Received, Setup};
use support::s3::Server;
use support::script::Fault;
use tempfile::TempDir;

use crate::sdk;

/// How long a test waits for what must come to pass; far more than it takes.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The time in which the process must be gone after SIGTERM.
pub const END: Duration = Duration::from_secs(10);

pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const TOKEN: &str = "the-token-of-the-node";
pub const INTAKE_KEY: &str = "the-key-of-the-intake";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The reference module on the SDK.
    Reference,
    /// The real binary.
    Ours,
}

/// How values are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// JSON in variables.
    Variables,
    /// Base64 of the JSON in variables.
    Base64,
    /// Files.
    Files,
}

/// What both sides meet.
#[derive(Clone, Debug)]
pub struct Case {
    pub command: &'static str,
    pub given: Given,
    pub module_configuration: Value,
    pub trigger_configuration: Value,
    faults: Vec<(Endpoint, Option<Fault>)>,
    waits_for_logs: bool,
}

/// What a side did.
#[derive(Debug)]
pub struct Recorded {
    pub requests: Vec<Received>,
    pub exit: Option<i32>,
    pub stderr: String,
}

impl Case {
    /// A command that meets a platform in good order.
    pub fn new(command: &'static str) -> Self {
        Self {
            command,
            given: Given::Variables,
            module_configuration: json!({
                "aws_access_key": ACCESS_KEY,
                "aws_secret_access_key": "placeholder",
                "aws_region_name": "eu-west-3",
            }),
            trigger_configuration: json!({
                "bucket_name": "acme-flow-logs", "prefix": "AWSLogs/", "start_from": "beginning", "frequency": 1,
            }),
            faults: Vec::new(),
            waits_for_logs: false,
        }
    }

    /// Values come in another way.
    pub fn given(mut self, given: Given) -> Self {
        self.given = given;
        self
    }

    /// The next request to an endpoint meets this fault.
    pub fn fault(mut self, endpoint: Endpoint, fault: Fault) -> Self {
        self.faults.push((endpoint, Some(fault)));
        self
    }

    /// The next request to an endpoint is answered as it should be.
    pub fn normal(mut self, endpoint: Endpoint) -> Self {
        self.faults.push((endpoint, None));
        self
    }

    /// The trigger is not stopped before the platform has taken a line of its log.
    pub fn until_logged(mut self) -> Self {
        self.waits_for_logs = true;
        self
    }

    /// What one side does.
    pub async fn record(&self, side: Side) -> Recorded {
        let mut world = World::new(self).await;
        let mut process = world.module(self, side).start();
        if self.command == "fetch_flowlogs" {
            let settled = eventually(PATIENCE, || world.is_settled(self) || !process.is_running()).await;
            assert!(settled, "{side:?}: no event, no critical line:\n{}", process.stderr().text());
            process.terminate();
        }
        world.ended(process).await
    }
}

/// A platform, and what it and the command work on.
pub struct World {
    pub platform: Platform,
    pub liveness_port: u16,
    pub metrics_port: u16,
    storage: TempDir,
    values: TempDir,
    aws: Server,
    pub intake: Intake,
}

impl World {
    /// A world in which one object with two records waits.
    pub async fn new(case: &Case) -> Self {
        let storage = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(storage.path()).module_secrets(json!({ "aws_secret_access_key": SECRET }));
        setup.token = TOKEN.to_owned();
        let platform = Platform::start(setup).await;
        for (endpoint, fault) in &case.faults {
            match fault {
                Some(fault) => platform.script(*endpoint).then(fault.clone()),
                None => platform.script(*endpoint).then_normal(1),
            };
        }
        let aws = Server::start(ACCESS_KEY, SECRET).await;
        let s3 = aws.control();
        s3.create_bucket("acme-flow-logs");
        let mut generator = Generator::new(7);
        let flow_log = generator.flow_log("111111111111", "eu-west-3");
        let object = generator.object(&flow_log, Timestamp::now() - SignedDuration::from_mins(5), 2);
        s3.put("acme-flow-logs", &object.key, object.body());
        let (intake, values) = (Intake::start(INTAKE_KEY).await, tempfile::tempdir().unwrap());
        let (liveness_port, metrics_port) = (support::free_port(), support::free_port());
        Self { platform, liveness_port, metrics_port, storage, values, aws, intake }
    }

    /// A command of one side, ready to start.
    pub fn module(&self, case: &Case, side: Side) -> Module {
        let url_callback = match case.command {
            "fetch_flowlogs" | "collect_flowlogs" | "collect_flowlogs_async" | "log_lines" => {
                self.platform.url_callback()
            }
            "push_events" => self.platform.action_run_in(self.storage.path()).url_callback().to_owned(),
            _ => self.platform.validation_run().url_callback().to_owned(),
        };
        let module = match side {
            Side::Reference => sdk::reference(case.command).env("REFERENCE_SECRET", SECRET),
            Side::Ours => Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), case.command),
        };
        let json = |json: &Value| match case.given {
            Given::Base64 => base64::engine::general_purpose::STANDARD.encode(json.to_string()),
            Given::Variables | Given::Files => json.to_string(),
        };
        let arguments = json!({
            "intake_key": INTAKE_KEY, "intake_server": self.intake.server(), "events": ["one", "two"],
        });
        let mut connector_configuration = case.trigger_configuration.clone();
        connector_configuration["intake_key"] = INTAKE_KEY.into();
        connector_configuration["intake_server"] = self.intake.server().into();
        let module = module
            .value("connector_configuration", json(&connector_configuration))
            .value("module_configuration", json(&case.module_configuration))
            .value("trigger_configuration", json(&case.trigger_configuration))
            .value("arguments", json(&arguments))
            .value("token", TOKEN)
            .value("url_callback", url_callback)
            .value("liveness_port", self.liveness_port)
            .value("metrics_port", self.metrics_port)
            .value("playbook_uuid", "7d0a1f6e-8c43-4e6b-9a1f-0f4f6f0f8f11")
            .storage(self.storage.path())
            .aws_endpoint(&self.aws.endpoint_url())
            .working_folder(env!("CARGO_MANIFEST_DIR"));
        if case.given == Given::Files { module.values_in(self.values.path()) } else { module }
    }

    /// Whether a trigger has come to where it only waits.
    fn is_settled(&self, case: &Case) -> bool {
        if case.waits_for_logs && self.platform.logs().is_empty() {
            return false;
        }
        let is_critical = || self.platform.logs().iter().any(|line| line.level == "critical");
        !self.platform.events().is_empty() || is_critical()
    }

    /// Waits for the end of the process; gives what it did.
    pub async fn ended(&mut self, mut process: Process) -> Recorded {
        let exit = process.exited(PATIENCE).await;
        let exit = exit.unwrap_or_else(|| panic!("the process does not end:\n{}", process.stderr().text()));
        Recorded { requests: self.platform.received(), exit: exit.code(), stderr: process.stderr().text() }
    }
}
