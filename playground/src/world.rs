//! The servers, and how the module is started among them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use support::intake::Intake;
use support::module::Module;
use support::platform::{Endpoint, Platform, Setup};
use support::playbook::{self, Playbook, Runner};
use support::s3;
use support::script::Script;
use tempfile::TempDir;

use crate::flow::{CHUNK, Flow};
use crate::ledger::{Ledger, Sums};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::runs::Runs;

/// The bucket of generated flow logs.
pub(crate) const BUCKET: &str = "vpc-flow-logs";
/// The queue in which S3 announces them.
const QUEUE: &str = "vpc-flow-logs";
const DEAD_LETTERS: &str = "vpc-flow-logs-dead-letters";
/// What the form shows, and the module is given, in place of a secret.
const PLACEHOLDER: &str = "**********";
const TEMPLATE: &str = "templates/aws-flowlogs.json";
/// Variables that a way to AWS and to the intake may need on the machine of the user.
const NETWORK: [&str; 8] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// Why there is no playground.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("no binary at {0}: build it first (make demo does)")]
    NoBinary(PathBuf),
    #[error("{0} is not set: the bucket is read with the keys of your environment")]
    NoKey(&'static str),
    #[error("AWS_SESSION_TOKEN is set: the module takes the keys of an IAM user, not temporary ones")]
    TemporaryKeys,
    #[error(transparent)]
    Playbook(#[from] playbook::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Everything that runs.
pub(crate) struct World {
    pub(crate) flow: &'static Flow,
    /// The S3 of generated flow logs; `None`: the bucket is the user's.
    pub(crate) s3: Option<s3::Server>,
    pub(crate) platform: Arc<Platform>,
    /// The intake that only counts; `None`: the intake is the user's.
    pub(crate) intake: Option<Intake>,
    pub(crate) runs: Arc<Runs>,
    /// How the platform starts the trigger or the connector.
    pub(crate) node: Module,
    /// The other replicas.
    pub(crate) others: Vec<Module>,
    pub(crate) metrics: Metrics,
    pub(crate) playbook_name: String,
    pub(crate) intake_server: String,
    pub(crate) ledger: Mutex<Ledger>,
    /// Keys of objects that cannot be read.
    pub(crate) corrupt: Mutex<Vec<String>>,
    /// Storage and values of trigger and runs.
    _folder: TempDir,
}

/// The user's account with AWS, or a made-up one.
struct Account {
    access_key: String,
    secret_access_key: String,
    region: String,
}

impl World {
    /// Starts the servers; trigger or connector is ready to be started.
    pub(crate) async fn build(options: &Options) -> Result<Self, Problem> {
        let binary = binary()?;
        let flow = Flow::of(options.connector, options.queue);
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        let folder = tempfile::Builder::new().prefix("aws-flowlogs-playground-").tempdir()?;
        let account = account(options)?;
        let s3 = match options.bucket {
            Some(_) => None,
            None => Some(s3::Server::start(&account.access_key, &account.secret_access_key).await),
        };
        if let Some(s3) = s3.as_ref().filter(|_| flow.is_queued) {
            let control = s3.control();
            control.create_bucket(BUCKET);
            for queue in [QUEUE, DEAD_LETTERS] {
                control.queues().create(queue, Duration::from_secs(120));
            }
            control.queues().redrive(QUEUE, DEAD_LETTERS, 10);
            control.announce(BUCKET, QUEUE);
        }
        let intake = match options.intake_key {
            Some(_) => None,
            None => Some(Intake::start(&uuid::Uuid::new_v4().to_string()).await),
        };
        let (intake_server, intake_key) = match &intake {
            Some(intake) => (intake.server(), intake.key().to_owned()),
            None => (options.intake_server.clone(), options.intake_key.clone().unwrap_or_default()),
        };
        let storage = folder.path().join("trigger-storage");
        std::fs::create_dir_all(&storage)?;
        let secrets = json!({"aws_secret_access_key": account.secret_access_key});
        let platform = Arc::new(Platform::start(Setup::new(&storage).module_secrets(secrets)).await);

        let mut playbook = Playbook::load(home.join(TEMPLATE))?;
        let action = playbook.action()?.0.to_owned();
        playbook.set_argument(&action, "intake_key", intake_key.as_str());
        playbook.set_argument(&action, "intake_server", intake_server.as_str());
        let playbook_name = playbook.name.clone();

        let configuration = json!({
            "aws_access_key": account.access_key,
            "aws_secret_access_key": PLACEHOLDER,
            "aws_region_name": account.region,
        });
        let module = |command| {
            let module = Module::new(&binary, command);
            let module = module.value("module_configuration", &configuration).working_folder(home);
            match &s3 {
                Some(s3) => module.aws_endpoint(&s3.endpoint_url()),
                None => NETWORK.into_iter().fold(module, |module, name| match std::env::var_os(name) {
                    Some(value) => module.env(name, value),
                    None => module,
                }),
            }
        };
        let mut arguments = arguments(options);
        if let Some(arguments) = arguments.as_object_mut().filter(|_| options.connector) {
            arguments.insert("intake_key".to_owned(), intake_key.into());
            arguments.insert("intake_server".to_owned(), intake_server.as_str().into());
        }
        let metrics_port = support::free_port();
        let node = |number: u32, metrics_port: u16| {
            let node = module(flow.command)
                .values_in(folder.path().join(format!("values-{number}")))
                .storage(&storage)
                .value("token", platform.token())
                .value("url_callback", platform.url_callback())
                .value("liveness_port", support::free_port())
                .value("metrics_port", metrics_port)
                .value(flow.configuration, &arguments);
            if options.verbose { node.echo() } else { node }
        };
        let others = (1..options.replicas).map(|number| node(number, support::free_port())).collect();
        let node = node(0, metrics_port);
        let runner = Runner::new(Arc::clone(&platform), playbook, module("push_events"));
        Ok(Self {
            flow,
            runs: Arc::new(Runs::new(Arc::clone(&platform), runner)),
            s3,
            platform,
            intake,
            node,
            others,
            metrics: Metrics::new(metrics_port),
            playbook_name,
            intake_server,
            ledger: Mutex::default(),
            corrupt: Mutex::default(),
            _folder: folder,
        })
    }

    /// Whether both ends are ours, so that every record can be followed.
    pub(crate) fn is_followed(&self) -> bool {
        self.s3.is_some() && self.intake.is_some()
    }

    /// Takes what the intake accepted since the last time into the ledger.
    pub(crate) async fn take_in(self: &Arc<Self>) {
        if !self.is_followed() {
            return;
        }
        let world = Arc::clone(self);
        let taken = tokio::task::spawn_blocking(move || {
            let mut ledger = world.ledger.lock().unwrap();
            let events = world.intake.as_ref().map(|intake| intake.events_after(ledger.sums().accepted));
            for event in events.unwrap_or_default() {
                ledger.accept(&event);
            }
        });
        let _ = taken.await;
    }

    /// What goes wrong where batches are taken; `None`: that is the user's intake.
    pub(crate) fn taker(&self) -> Option<&Script> {
        if self.flow.is_connector {
            self.intake.as_ref().map(Intake::script)
        } else {
            Some(self.platform.script(Endpoint::Events))
        }
    }

    /// Batches that were taken: runs of the playbook, or the connector's requests.
    pub(crate) fn batches(&self) -> usize {
        match &self.intake {
            Some(intake) if self.flow.is_connector => {
                intake.posts().iter().filter(|post| post.events > 0).count()
            }
            _ => self.runs.so_far().batches,
        }
    }

    /// The sums of the ledger, if every record can be followed.
    pub(crate) fn sums(&self) -> Option<Sums> {
        self.is_followed().then(|| self.ledger.lock().unwrap().sums())
    }

    /// Whether nothing is on its way any longer; of a bucket that is not ours nobody knows.
    pub(crate) fn has_all_arrived(&self) -> bool {
        self.sums().is_none_or(|sums| sums.missing == 0) && self.runs.under_way() == 0
    }
}

/// The module's binary, of the same build as this program.
fn binary() -> Result<PathBuf, Problem> {
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let binary = folder.join("aws-flowlogs").with_extension(std::env::consts::EXE_EXTENSION);
    if binary.is_file() { Ok(binary) } else { Err(Problem::NoBinary(binary)) }
}

fn account(options: &Options) -> Result<Account, Problem> {
    let Some(region) = &options.region else {
        return Ok(Account {
            access_key: "AKIAPLAYGROUND".to_owned(),
            secret_access_key: uuid::Uuid::new_v4().simple().to_string(),
            region: "eu-west-3".to_owned(),
        });
    };
    let key = |name| std::env::var(name).map_err(|_| Problem::NoKey(name));
    if std::env::var_os("AWS_SESSION_TOKEN").is_some() {
        return Err(Problem::TemporaryKeys);
    }
    Ok(Account {
        access_key: key("AWS_ACCESS_KEY_ID")?,
        secret_access_key: key("AWS_SECRET_ACCESS_KEY")?,
        region: region.clone(),
    })
}

/// What the user fills in on the form, but for the intake.
fn arguments(options: &Options) -> serde_json::Value {
    match &options.bucket {
        None if options.queue => json!({"queue_name": QUEUE, "prefix": "AWSLogs/", "chunk_size": CHUNK}),
        // Small steps, so that there is something to see in half a minute.
        None => json!({
            "bucket_name": BUCKET,
            "prefix": "AWSLogs/",
            "frequency": 2,
            "chunk_size": CHUNK,
            "start_from": "beginning",
        }),
        Some(bucket) => json!({
            "bucket_name": bucket,
            "prefix": options.prefix,
            "frequency": 10,
            "start_from": options.start_from,
        }),
    }
}
