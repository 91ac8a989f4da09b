//! A trigger that reads a bucket, for what the pages say about one that runs.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use support::flowlogs::{FlowLog, Generator};
use support::module::{Module, Process};
use support::platform::{Platform, Setup};
use support::s3::{Control, Server};
use support::{eventually, free_port};
use tempfile::TempDir;

/// The bucket of the user guide.
pub const BUCKET: &str = "acme-flow-logs";
/// The account whose flow logs its policy lets the user read.
pub const ACCOUNT: &str = "111122223333";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const PATIENCE: Duration = Duration::from_secs(30);

/// A bucket, a platform and a trigger between them.
pub struct World {
    _server: Server,
    pub s3: Control,
    pub platform: Platform,
    _storage: TempDir,
    pub process: Process,
    pub liveness_port: u16,
    pub metrics_port: u16,
}

impl World {
    /// Starts a trigger with this prefix on flow logs of today and of a week ago.
    pub async fn start(prefix: &str) -> Self {
        let server = Server::start("AKIAIOSFODNN7EXAMPLE", SECRET).await;
        let s3 = server.control();
        s3.create_bucket(BUCKET);
        let mut generator = Generator::new(3);
        let flow_log = FlowLog::new(ACCOUNT, "eu-west-3", "fl-0a1b2c3d4e5f60718");
        for hours in [7 * 24, 2, 1] {
            let time = Timestamp::now() - SignedDuration::from_hours(hours);
            let object = generator.object(&flow_log, time, 10);
            s3.put_at(BUCKET, &object.key, object.body(), time);
        }
        let storage = tempfile::tempdir().unwrap();
        let secrets = json!({"aws_secret_access_key": SECRET});
        let platform = Platform::start(Setup::new(storage.path()).module_secrets(secrets)).await;
        let account = json!({"aws_access_key": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "*", "aws_region_name": "eu-west-3"});
        let arguments =
            json!({"bucket_name": BUCKET, "prefix": prefix, "frequency": 1, "start_from": "beginning"});
        let (liveness_port, metrics_port) = (free_port(), free_port());
        let process = Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), "fetch_flowlogs")
            .value("module_configuration", account)
            .value("trigger_configuration", arguments)
            .value("token", platform.token())
            .value("url_callback", platform.url_callback())
            .value("liveness_port", liveness_port)
            .value("metrics_port", metrics_port)
            .storage(storage.path())
            .aws_endpoint(&server.endpoint_url())
            .start();
        let world =
            Self { _server: server, s3, platform, _storage: storage, process, liveness_port, metrics_port };
        let arrived = eventually(PATIENCE, || world.platform.records().len() >= 30).await;
        assert!(arrived, "{}", world.process.stderr().text());
        world
    }
}
