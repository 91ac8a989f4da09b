//! A run of the action in a world of its own.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::{Value, json};
use support::module::{Module, Process};
use support::platform::{ActionRun, Endpoint, Outcome, Platform, Received, Setup};

/// How long a test waits for what must come to pass; far more than it takes.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The time in which the process must be gone after SIGTERM.
pub const END: Duration = Duration::from_secs(10);

pub const INTAKE_KEY: &str = "hush-intake-key";
pub const API_KEY: &str = "hush-api-key";

pub struct World {
    pub platform: Platform,
    pub run: ActionRun,
    arguments: Value,
    module: Module,
}

/// A run that has ended.
pub struct Ended {
    /// What the platform was told at the end.
    pub outcome: Option<Outcome>,
    pub exit: ExitStatus,
    /// All that was printed.
    pub output: String,
}

impl World {
    /// A run that sends to the intake at `server`.
    pub async fn new(server: &str) -> Self {
        Self::with_secrets(server, json!({})).await
    }

    /// The same, on a platform that keeps `secrets` for the module.
    pub async fn with_secrets(server: &str, secrets: Value) -> Self {
        let platform = Platform::start(Setup::new("/nowhere").module_secrets(secrets)).await;
        let run = platform.action_run();
        let module = Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), "push_events")
            .value("token", platform.token())
            .value("url_callback", run.url_callback())
            .storage(run.storage());
        let arguments = json!({"intake_key": INTAKE_KEY, "intake_server": server});
        Self { platform, run, arguments, module }
    }

    /// Sets an argument, or takes it away with `null`.
    pub fn argument(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.arguments[name] = value.into();
        self
    }

    /// Changes how the module is started.
    pub fn module(mut self, change: impl FnOnce(Module) -> Module) -> Self {
        self.module = change(self.module);
        self
    }

    /// Puts a file into the storage and sends it as `events_path`.
    pub fn events_file(self, content: impl AsRef<[u8]>) -> Self {
        std::fs::create_dir_all(self.run.storage().join("batch")).unwrap();
        self.file("batch/event.json", content).argument("events_path", "batch/event.json")
    }

    /// Puts a file into the storage.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(path), content).unwrap();
        self
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.run.storage().join(path)
    }

    /// Whether the file of [`World::events_file`] is there.
    pub fn has_events_file(&self) -> bool {
        self.path("batch/event.json").exists()
    }

    /// What the platform was sent so far.
    pub fn reports(&self) -> Vec<Received> {
        self.platform.received_at(Endpoint::Actions)
    }

    pub fn start(&self) -> Process {
        self.module.clone().value("arguments", &self.arguments).start()
    }

    /// Waits for the end of the process. Whatever it was, no secret was printed or told.
    pub async fn ended(&self, process: &mut Process, timeout: Duration) -> Ended {
        let exit = process.exited(timeout).await.expect("the process ends");
        let output = process.stderr().text() + &process.stdout().text();
        let outcome = self.run.outcome();
        let told = format!("{output} {outcome:?}");
        for secret in [INTAKE_KEY, API_KEY, self.platform.token()] {
            assert!(!told.contains(secret), "a secret is told: {told}");
        }
        Ended { outcome, exit, output }
    }

    /// Runs the action to its end.
    pub async fn run(&self) -> Ended {
        self.ended(&mut self.start(), PATIENCE).await
    }

    /// Runs the action to its end, which must be a success; gives the results.
    pub async fn succeeds(&self) -> Value {
        let ended = self.run().await;
        let outcome = ended.told();
        assert_eq!(outcome.error, None, "{}", ended.output);
        outcome.results
    }

    /// Runs the action to its end, which must be an error that the platform is told; gives it with the results.
    pub async fn fails(&self) -> (String, Value) {
        let outcome = self.run().await.told();
        (outcome.error.expect("an error"), outcome.results)
    }
}

impl Ended {
    /// What the platform was told, by a process that ended well.
    pub fn told(&self) -> Outcome {
        assert!(self.exit.success(), "{:?}: {}", self.exit, self.output);
        self.outcome.clone().expect("a last report")
    }
}

/// Asserts that `text` contains each of `parts`.
#[track_caller]
pub fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}
