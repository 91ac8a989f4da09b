//! A bucket, a platform and a storage for one check, and the real binary that makes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::flowlogs::{FlowLog, Generator};
use support::module::Module;
use support::platform::{Endpoint, Platform, Setup};
use support::s3::{Control, Server};
use tempfile::TempDir;

/// How long a test waits for the end of a check; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const BUCKET: &str = "acme-flow-logs";
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(crate) const INTAKE_KEY: &str = "Kq3xZ8vT1mB5nR7wYc2dLf9hJg4sPa6u";

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) s3: Control,
    pub(crate) platform: Platform,
    pub(crate) storage: TempDir,
    pub(crate) generator: Generator,
    arguments: Value,
}

/// What a check told, proven to be the same as text and as JSON.
pub(crate) struct Checked {
    pub(crate) code: i32,
    report: Value,
    pub(crate) text: String,
}

impl World {
    /// A world with an empty bucket.
    pub(crate) async fn new() -> Self {
        Self::with_secret(SECRET).await
    }

    /// The same, on a platform that keeps this secret for the account.
    pub(crate) async fn with_secret(secret: &str) -> Self {
        let server = Server::start(ACCESS_KEY, SECRET).await;
        let s3 = server.control();
        s3.create_bucket(BUCKET);
        let storage = tempfile::tempdir().unwrap();
        let setup = Setup::new(storage.path()).module_secrets(json!({"aws_secret_access_key": secret}));
        let platform = Platform::start(setup).await;
        let arguments = json!({"bucket_name": BUCKET, "prefix": "AWSLogs/"});
        Self { server, s3, platform, storage, generator: Generator::new(11), arguments }
    }

    /// Sets an argument of the trigger or the connector.
    pub(crate) fn argument(&mut self, name: &str, value: impl Into<Value>) {
        self.arguments[name] = value.into();
    }

    /// An object with this many records for each five minutes of the hour that ended a minute ago; gives the newest key.
    pub(crate) fn an_hour_of(&mut self, flow_log: &FlowLog, records: usize) -> String {
        let mut newest = String::new();
        for slot in (0..12).rev() {
            let time = Timestamp::now() - SignedDuration::from_mins(1 + slot * 5);
            let object = self.generator.object(flow_log, time, records);
            self.s3.put_at(BUCKET, &object.key, object.body(), time);
            newest = object.key;
        }
        newest
    }

    /// The check in the environment of a connector.
    pub(crate) fn connector(&self) -> Module {
        self.module().without_value("trigger_configuration").value("connector_configuration", &self.arguments)
    }

    /// The check in the environment of the trigger.
    pub(crate) fn module(&self) -> Module {
        self.trigger("check")
    }

    /// A command with the values of the trigger.
    pub(crate) fn trigger(&self, command: &str) -> Module {
        let account = json!({"aws_access_key": ACCESS_KEY, "aws_secret_access_key": "placeholder", "aws_region_name": "eu-west-3"});
        Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), command)
            .value("module_configuration", account)
            .value("trigger_configuration", &self.arguments)
            .value("token", self.platform.token())
            .value("url_callback", self.platform.url_callback())
            .storage(self.storage.path())
            .aws_endpoint(&self.server.endpoint_url())
    }

    /// Makes the check.
    pub(crate) async fn check(&self) -> Checked {
        self.check_as(self.module()).await
    }

    /// Makes the check twice, as text and as JSON, and holds what is true of every check: both tell the same, the exit
    /// code fits, no secret is told, nothing was sent, nothing stays.
    pub(crate) async fn check_as(&self, module: Module) -> Checked {
        let before = files(self.storage.path());
        let (code, text, _) = self.run(module.clone()).await;
        let (json_code, json, stderr) = self.run(module.argument("--json")).await;
        let report: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        assert_eq!(files(self.storage.path()), before, "something stays in the storage");
        for received in self.platform.received() {
            let asks = [Some(Endpoint::Secrets), Some(Endpoint::Identity)];
            let is_harmless = asks.contains(&received.endpoint) || received.method == "HEAD";
            assert!(is_harmless && received.body.is_empty(), "{received:?}");
        }
        assert!(self.platform.events().is_empty() && self.platform.logs().is_empty());

        let steps = report["steps"].as_array().unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(lines.len(), steps.len() + 2, "a line a step, an empty one, the verdict: {text}");
        for (line, step) in lines.iter().zip(steps) {
            let outcome = step["outcome"].as_str().unwrap();
            let shown = if outcome == "failed" { "FAILED" } else { outcome };
            let begin = format!("{shown:<8} {:<10}", step["step"].as_str().unwrap());
            assert!(line.starts_with(&begin), "{begin:?} and {line:?}");
            let needs_advice = matches!(outcome, "failed" | "warning");
            assert_eq!(step["advice"].is_string(), needs_advice, "{step}");
            if let Some(advice) = step["advice"].as_str() {
                assert!(!advice.is_empty() && text.contains(&format!("→ {advice}\n")), "{advice}: {text}");
            }
        }
        let has_failed = steps.iter().any(|step| step["outcome"] == "failed");
        assert_eq!((code, json_code), (i32::from(has_failed), i32::from(has_failed)), "{text} {stderr}");
        assert_eq!(report["ok"], !has_failed);
        Checked { code, report, text }
    }

    /// Runs a command to its end; gives its exit code and what it wrote on stdout and stderr.
    pub(crate) async fn run(&self, module: Module) -> (i32, String, String) {
        let mut process = module.start();
        let exit = process.exited(PATIENCE).await.expect("it ends");
        let (stdout, stderr) = (process.stdout().text() + "\n", process.stderr().text());
        let told = format!("{stdout}{stderr}");
        for secret in [SECRET, INTAKE_KEY, self.platform.token()] {
            assert!(!told.contains(secret), "a secret is told: {told}");
        }
        assert!(!told.contains("panicked"), "{told}");
        (exit.code().expect("an exit code"), stdout, stderr)
    }
}

impl Checked {
    /// What the report says of a step.
    #[track_caller]
    pub(crate) fn step(&self, name: &str) -> &Value {
        let steps = self.report["steps"].as_array().unwrap();
        steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no {name}: {}", self.text))
    }

    /// Checks how a step ended, and that what was found or what to do contains each of these parts.
    #[track_caller]
    pub(crate) fn is(&self, name: &str, outcome: &str, parts: &[&str]) {
        let step = self.step(name);
        assert_eq!(step["outcome"], outcome, "{step:#}");
        let told =
            format!("{} → {}", step["found"].as_str().unwrap(), step["advice"].as_str().unwrap_or_default());
        for part in parts {
            assert!(told.contains(part), "{name}: {part:?} is not in: {told}");
        }
    }

    /// Checks that these steps were skipped for want of another.
    #[track_caller]
    pub(crate) fn are_skipped(&self, names: &[&str], missing: &str) {
        names.iter().for_each(|name| self.is(name, "skipped", &[&format!("`{missing}`")]));
    }

    /// Checks that all steps but these ended well.
    #[track_caller]
    pub(crate) fn all_ok_but(&self, names: &[&str]) {
        for step in self.report["steps"].as_array().unwrap() {
            let is_named = names.contains(&step["step"].as_str().unwrap());
            assert_eq!(step["outcome"] == "ok", !is_named, "{step:#}");
        }
    }
}

/// Every file and folder below a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.insert(path);
    }
    found
}
