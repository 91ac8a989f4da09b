//! A bucket, a platform and a storage for one test, and the real trigger between them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::flowlogs::{FlowLog, Generator, LogObject};
use support::module::{Module, Process};
use support::platform::{Platform, Setup};
use support::s3::{Control, Operation, Request, Server};
use support::{eventually, free_port};
use tempfile::TempDir;

/// How long a test waits for what must come to pass; far more than it takes.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The time in which the process must be gone after SIGTERM.
pub const END: Duration = Duration::from_secs(10);

pub const BUCKET: &str = "acme-flow-logs";
pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

pub struct World {
    pub server: Server,
    pub s3: Control,
    pub platform: Platform,
    pub storage: TempDir,
    pub generator: Generator,
    pub expected: Vec<String>,
    pub metrics_port: u16,
    arguments: Value,
}

impl World {
    /// A world with an empty bucket. The trigger polls every second, 100 records a batch.
    pub async fn new() -> Self {
        Self::with_secrets(json!({ "aws_secret_access_key": SECRET }), Value::Null).await
    }

    /// The same, on a platform that keeps these secrets for the account and for the trigger.
    pub async fn with_secrets(account: Value, trigger: Value) -> Self {
        let server = Server::start(ACCESS_KEY, SECRET).await;
        let s3 = server.control();
        s3.create_bucket(BUCKET);
        let storage = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(storage.path()).module_secrets(account);
        setup.trigger_secrets = trigger;
        let platform = Platform::start(setup).await;
        let arguments =
            json!({"bucket_name": BUCKET, "prefix": "AWSLogs/", "frequency": 1, "chunk_size": 100});
        let (generator, expected, metrics_port) = (Generator::new(7), Vec::new(), free_port());
        Self { server, s3, platform, storage, generator, expected, metrics_port, arguments }
    }

    /// Sets an argument of the trigger, or takes it away with `null`.
    pub fn argument(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.arguments[name] = value.into();
        self
    }

    /// The trigger as the platform would start it, with what was set so far.
    pub fn module(&self) -> Module {
        self.module_as("fetch_flowlogs")
    }

    /// The same under another name of the command.
    pub fn module_as(&self, command: &str) -> Module {
        let account = json!({"aws_access_key": ACCESS_KEY, "aws_secret_access_key": "placeholder", "aws_region_name": "eu-west-3"});
        Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), command)
            .value("module_configuration", account)
            .value("trigger_configuration", &self.arguments)
            .value("token", self.platform.token())
            .value("url_callback", self.platform.url_callback())
            .value("liveness_port", free_port())
            .value("metrics_port", self.metrics_port)
            .storage(self.storage.path())
            .aws_endpoint(&self.server.endpoint_url())
            // What the platform's own storage is reached with must never be used for the customer's bucket.
            .env("AWS_ACCESS_KEY_ID", "AKIAOFTHEPLATFORM")
            .env("AWS_SECRET_ACCESS_KEY", "not for the customer's bucket")
            .env("AWS_SESSION_TOKEN", "not for the customer's bucket")
            .env("AWS_DEFAULT_REGION", "mars-north-1")
            .env("AWS_REGION", "mars-north-1")
            .env("AWS_PROFILE", "platform")
            .env("AWS_ROLE_ARN", "arn:aws:iam::999999999999:role/platform")
            .env("AWS_ROLE_SESSION_NAME", "platform")
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", "/proc/self/environ")
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/platform")
    }

    /// Starts the trigger and waits until it has looked into the bucket for the first time.
    pub async fn start(&self) -> Process {
        let listed = self.s3.count(Operation::List);
        let process = self.module().start();
        let looked = || self.s3.count(Operation::List) > listed + 1;
        assert!(eventually(PATIENCE, looked).await, "no LIST came:\n{}", process.stderr().text());
        process
    }

    /// A flow log's object in the bucket, `minutes` old by its name, whose records must arrive.
    pub fn put(&mut self, flow_log: &FlowLog, minutes: i64, records: usize) -> LogObject {
        let object = self.object(flow_log, minutes, records);
        self.s3.put(BUCKET, &object.key, object.body());
        self.expected.extend(object.records.iter().cloned());
        object
    }

    /// A flow log's object that is not in the bucket yet.
    pub fn object(&mut self, flow_log: &FlowLog, minutes: i64, records: usize) -> LogObject {
        let time = Timestamp::now() - SignedDuration::from_mins(minutes);
        self.generator.object(flow_log, time, records)
    }

    /// Waits until every expected record has arrived, then checks that nothing else has, and nothing twice.
    pub async fn all_arrive(&self, process: &Process) {
        let arrived = eventually(PATIENCE, || self.platform.records().len() >= self.expected.len()).await;
        let stderr = process.stderr().text();
        let (records, expected) = (self.platform.records(), &self.expected);
        assert!(arrived, "{} of {} records arrived:\n{stderr}", records.len(), expected.len());
        self.exactly_expected();
    }

    /// Checks that what has arrived is what was expected, each once.
    pub fn exactly_expected(&self) {
        let difference = self.difference(self.platform.records());
        assert!(difference.is_empty(), "lost (-) or too many (+): {difference:#?}");
    }

    /// How often each expected record is too many (or, negative, missing) in what has arrived.
    pub fn difference(&self, arrived: Vec<String>) -> BTreeMap<String, i64> {
        let mut difference: BTreeMap<String, i64> = BTreeMap::new();
        self.expected.iter().for_each(|record| *difference.entry(record.clone()).or_default() -= 1);
        arrived.into_iter().for_each(|record| *difference.entry(record).or_default() += 1);
        difference.retain(|_, count| *count != 0);
        difference
    }

    /// All metrics.
    pub async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    /// The value of a metric with its labels, e.g. `aws_flowlogs_objects_failed_total{cause="gone"}`; 0 if it is absent.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// How often an object was read so far.
    pub fn reads(&self, key: &str) -> usize {
        let is_read = |request: &&Request| request.operation == Operation::Get && request.key == key;
        self.s3.requests().iter().filter(is_read).count()
    }

    /// What the state file and the batches' folders left in the storage.
    pub fn batch_folders(&self) -> usize {
        std::fs::read_dir(self.storage.path().join("AWS Flowlog_events")).map_or(0, Iterator::count)
    }

    /// Waits for a line of the metrics.
    pub async fn until_counted(&self, line: &str) {
        self.until_told(&[line]).await;
    }

    /// Waits until the metrics have each of these lines at once.
    pub async fn until_told(&self, lines: &[impl AsRef<str>]) {
        let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics().await;
            if lines.iter().all(|line| metrics.lines().any(|found| found == *line)) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{lines:?} are not in\n{metrics}");
            tokio::task::yield_now().await;
        }
    }

    /// Whether a line for the user has this level and contains `part`.
    pub fn is_logged(&self, level: &str, part: &str) -> bool {
        self.platform.logs().iter().any(|line| line.level == level && line.message.contains(part))
    }

    /// Waits for a line for the user.
    pub async fn until_logged(&self, level: &str, part: &str) {
        let logged = eventually(PATIENCE, || self.is_logged(level, part)).await;
        assert!(logged, "no {level} with {part:?} in {:#?}", self.platform.logs());
    }
}

/// Ends the trigger as the platform does and checks that it ends well.
pub async fn stop(process: Process) {
    // One that has just been started does not know of signals yet; before it says anything, it does.
    process.stderr().wait_for(" ", PATIENCE).await;
    stop_at_once(process).await;
}

/// The same, of a process that knows of signals and may have said nothing yet.
pub async fn stop_at_once(mut process: Process) {
    let status = process.stop(END).await;
    let stderr = process.stderr().text();
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{stderr}");
    assert!(!stderr.contains(SECRET) && !stderr.contains("panicked"), "{stderr}");
}
