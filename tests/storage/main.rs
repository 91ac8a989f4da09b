//! What the trigger and the action rely on, the same in every storage: a folder, a bucket over the wire, a bucket behind
//! mutual TLS; and the trigger and the action with a bucket for a storage.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "the code of a test outside its functions: what breaks ends the test"
)]

mod authority;

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::time::Duration;

use aws_flowlogs::platform::storage::{Storage, StorageError};
use aws_flowlogs::platform::values::Values;
use serde_json::json;
use support::flowlogs::{FlowLog, Generator};
use support::intake::Intake;
use support::module::{Module, Process};
use support::platform::{Platform, Setup};
use support::s3::{Control, Operation, Rule, Server, Trouble};
use support::{eventually, free_port};

use self::authority::Authority;

const BUCKET: &str = "platform-storage";
const CUSTOMER: &str = "acme-flow-logs";
const ACCESS_KEY: &str = "AKIAOFTHEPLATFORM";
const SECRET: &str = "the platform's own secret";
const PATIENCE: Duration = Duration::from_secs(30);
/// The time in which a process must be gone after SIGTERM.
const END: Duration = Duration::from_secs(10);

/// The values that describe a bucket behind `endpoint`.
fn values(endpoint: &str) -> HashMap<String, String> {
    let values = [
        ("FILE_BACKEND", "s3"),
        ("SUB_FOLDER", "tenant-1/module"),
        ("AWS_BUCKET_NAME", BUCKET),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "eu-west-3"),
        ("AWS_S3_ENDPOINT_URL", endpoint),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn storage(values: HashMap<String, String>) -> Result<Storage, StorageError> {
    let nowhere = tempfile::tempdir().unwrap();
    Storage::from_values(&Values::new(nowhere.path(), values))
}

async fn server() -> (Server, Control) {
    let server = Server::start(ACCESS_KEY, SECRET).await;
    let control = server.control();
    control.create_bucket(BUCKET);
    (server, control)
}

/// Everything that is asked of a storage.
async fn behaves(storage: &Storage) {
    storage.check().await.unwrap();
    assert_eq!(storage.read("none/of/this.json").await.unwrap(), None);
    assert_eq!(storage.names("none").await.unwrap(), Vec::<String>::new());
    assert!(storage.open("none.json").await.unwrap_err().is_not_found());

    storage.write("AWS Flowlog_events/1/event.json", "[1]").await.unwrap();
    storage.write("AWS Flowlog_events/1/event.json", "[2]").await.unwrap();
    storage.write("AWS Flowlog_events/10/event.json", "[3]").await.unwrap();
    assert_eq!(storage.read("AWS Flowlog_events/1/event.json").await.unwrap().unwrap(), b"[2]");
    assert_eq!(storage.names("AWS Flowlog_events").await.unwrap(), ["1", "10"]);
    assert_eq!(storage.names("AWS Flowlog_events/1").await.unwrap(), ["event.json"]);
    let mut content = String::new();
    storage.open("./AWS Flowlog_events/1/event.json").await.unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "[2]");

    storage.remove_folder("AWS Flowlog_events/1").await.unwrap();
    storage.remove_folder("AWS Flowlog_events/1").await.unwrap();
    assert_eq!(storage.names("AWS Flowlog_events").await.unwrap(), ["10"], "and not what begins the same");

    assert!(storage.create("state/1.entry", "first").await.unwrap());
    assert!(!storage.create("state/1.entry", "second").await.unwrap());
    assert_eq!(storage.read("state/1.entry").await.unwrap().unwrap(), b"first");
    storage.rename("state/1.entry", "state/1.damaged").await.unwrap();
    assert_eq!(storage.names("state").await.unwrap(), ["1.damaged"]);
    storage.remove_file("state/1.damaged").await.unwrap();
    storage.remove_file("state/1.damaged").await.unwrap();
    assert_eq!(storage.names("state").await.unwrap(), Vec::<String>::new());

    for name in ["1.entry", "2.entry", "3.entry"] {
        storage.write(&format!("state/{name}"), name).await.unwrap();
    }
    let names = || ["3.entry", "0.entry", "1.entry"].map(str::to_owned).to_vec();
    storage.remove_files("state", names()).await.unwrap();
    assert_eq!(storage.names("state").await.unwrap(), ["2.entry"]);
    let outside = storage.remove_files("state", vec!["../large.json".to_owned()]).await;
    assert!(matches!(outside, Err(StorageError::Outside { .. })), "{outside:?}");
    storage.remove_file("state/2.entry").await.unwrap();

    let shared = storage.clone();
    let several = async move {
        let created = shared.create("state/3.entry", "3").await.unwrap();
        tokio::task::yield_now().await;
        shared.remove_file("state/3.entry").await.unwrap();
        (created, shared.names("state").await.unwrap())
    };
    assert_eq!(storage.together(several).await, (true, vec![]));
    let shared = storage.clone();
    let fails = async move { shared.read("../secret").await };
    assert!(matches!(storage.together(fails).await, Err(StorageError::Outside { .. })));

    let large = vec![b'x'; 20 * 1024 * 1024 + 7];
    storage.write_from("large.json", std::io::Cursor::new(large.clone())).await.unwrap();
    assert!(storage.read("large.json").await.unwrap().unwrap() == large);
    storage.write_from("empty.json", std::io::empty()).await.unwrap();
    assert_eq!(storage.read("empty.json").await.unwrap().unwrap(), b"");

    assert!(!storage.is_held("state/alive").await.unwrap());
    let hold = storage.hold("state/alive").await.unwrap();
    assert!(storage.is_held("state/alive").await.unwrap());
    drop(hold);
    for outside in ["/etc/passwd", "../secret", "a/../../secret", "", "."] {
        let refused = storage.read(outside).await;
        assert!(matches!(refused, Err(StorageError::Outside { .. })), "{outside}: {refused:?}");
    }
}

#[tokio::test]
async fn a_folder_behaves() {
    let folder = tempfile::tempdir().unwrap();
    behaves(&Storage::new(folder.path())).await;
}

#[tokio::test]
#[should_panic(expected = "in the midst of it")]
async fn work_in_a_folder_that_panics_does_not_just_stay_away() {
    let folder = tempfile::tempdir().unwrap();
    Storage::new(folder.path()).together(async { panic!("in the midst of it") }).await;
}

#[tokio::test]
async fn a_bucket_behaves_and_keeps_to_its_folder() {
    let (server, control) = server().await;
    behaves(&storage(values(&server.endpoint_url())).unwrap()).await;
    assert!(control.keys(BUCKET).iter().all(|key| key.starts_with("tenant-1/module/")));
}

#[tokio::test]
async fn a_bucket_behind_mutual_tls_behaves() {
    let (server, _) = server().await;
    let authority = Authority::new();
    let endpoint = authority.guard(&server.endpoint_url()).await;
    let mut values = values(&endpoint);
    values.insert("CA_CERT".into(), authority.certificate.pem());
    let without = storage(values.clone()).unwrap().check().await.unwrap_err().to_string();
    assert!(without.contains("write") && without.contains(BUCKET), "{without}");
    let (certificate, key) = authority.issue("client");
    values.insert("CLIENT_CERT".into(), certificate.pem());
    values.insert("CLIENT_KEY".into(), key.serialize_pem());
    behaves(&storage(values).unwrap()).await;
}

#[tokio::test]
async fn a_store_without_conditional_writes_will_do() {
    let (server, control) = server().await;
    let storage = storage(values(&server.endpoint_url())).unwrap();
    // Each write on a condition is tried three times.
    let unknown = || Rule::new(Operation::Put, Trouble::Error(501, "NotImplemented")).times(3);
    for (content, is_created) in [("first", true), ("second", false)] {
        control.add_rule(unknown());
        assert_eq!(storage.create("state/1.entry", content).await.unwrap(), is_created);
    }
    assert_eq!(storage.read("state/1.entry").await.unwrap().unwrap(), b"first");
}

#[tokio::test]
async fn what_is_wrong_with_a_bucket_is_said_without_its_secret() {
    let (server, _) = server().await;
    let mut wrong = values(&server.endpoint_url());
    wrong.insert("AWS_SECRET_ACCESS_KEY".into(), "424242 wrong".into());
    let storage = storage(wrong.clone()).unwrap();
    let error = storage.check().await.unwrap_err();
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
    assert!(!format!("{error} {error:?} {storage:?}").contains("424242"));
    wrong.remove("AWS_BUCKET_NAME");
    let error = self::storage(wrong).unwrap_err().to_string();
    assert!(error.contains("aws_bucket_name"), "{error}");
}

/// A trigger whose storage is a bucket, and all that it needs.
struct World {
    own: Server,
    theirs: Server,
    platform: Platform,
    generator: Generator,
    flow_log: FlowLog,
    /// The records in the customer's bucket.
    expected: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let (own, own_control) = server().await;
        let theirs = Server::start("AKIACUSTOMER", "hush").await;
        theirs.control().create_bucket(CUSTOMER);
        let mut setup = Setup::new("/nowhere").module_secrets(json!({"aws_secret_access_key": "hush"}));
        setup.trigger_bucket = Some((own_control, BUCKET.to_owned(), "tenant-1/module/".to_owned()));
        let platform = Platform::start(setup).await;
        let mut generator = Generator::new(7);
        let flow_log = generator.flow_log("111111111111", "eu-west-3");
        Self { own, theirs, platform, generator, flow_log, expected: Vec::new() }
    }

    fn module(&self, command: &str) -> Module {
        let account = json!({
            "aws_access_key": "AKIACUSTOMER", "aws_secret_access_key": "", "aws_region_name": "eu-west-3"
        });
        let module = Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), command)
            .value("module_configuration", &account)
            .value("token", self.platform.token())
            .aws_endpoint(&self.theirs.endpoint_url());
        let values = values(&self.own.endpoint_url()).into_iter();
        values.fold(module, |module, (name, value)| module.env(&name, value))
    }

    /// Starts the trigger and waits until it has looked into the customer's bucket.
    async fn start(&self) -> Process {
        let listed = self.theirs.control().count(Operation::List);
        let process = self.trigger().start();
        let looked = || self.theirs.control().count(Operation::List) > listed + 1;
        assert!(eventually(PATIENCE, looked).await, "{}", process.stderr().text());
        process
    }

    fn trigger(&self) -> Module {
        let arguments = json!({"bucket_name": CUSTOMER, "frequency": 1, "chunk_size": 40});
        self.node("fetch_flowlogs").value("trigger_configuration", arguments)
    }

    fn node(&self, command: &str) -> Module {
        self.module(command)
            .value("url_callback", self.platform.url_callback())
            .value("liveness_port", free_port())
            .value("metrics_port", free_port())
    }

    /// Puts an object of 100 records into the customer's bucket.
    fn put(&mut self) {
        let object = self.generator.object(&self.flow_log, jiff::Timestamp::now(), 100);
        self.theirs.control().put(CUSTOMER, &object.key, object.body());
        self.expected.extend(object.records);
    }

    async fn all_arrive(&self, process: &Process) {
        let arrived = || self.platform.records().len() >= self.expected.len();
        assert!(eventually(PATIENCE, arrived).await, "{}", process.stderr().text());
        assert_eq!(self.platform.records(), self.expected);
    }
}

#[tokio::test]
async fn the_trigger_and_the_action_work_with_a_bucket_for_a_storage() {
    let mut world = World::new().await;
    for _ in 0..2 {
        let mut process = world.start().await;
        world.put();
        world.all_arrive(&process).await;
        assert!(process.stop(Duration::from_secs(10)).await.unwrap().success());
    }
    let storage = world.own.control();
    let left = storage.keys(BUCKET);
    assert!(left.iter().all(|key| key.starts_with("tenant-1/module/aws-flowlogs_state/")), "{left:?}");

    let intake = Intake::start("key").await;
    storage.put(BUCKET, "tenant-1/module/events.json", serde_json::to_vec(&world.expected).unwrap());
    let run = world.platform.action_run();
    let arguments =
        json!({"intake_key": "key", "intake_server": intake.server(), "events_path": "events.json"});
    let action = world.module("push_events").value("arguments", arguments);
    let mut action = action.value("url_callback", run.url_callback()).start();
    assert!(action.exited(PATIENCE).await.unwrap().success());
    assert_eq!(intake.events(), world.expected);
    assert_eq!(storage.get(BUCKET, "tenant-1/module/events.json").map(|object| object.body), None);
}

#[tokio::test]
async fn a_bucket_that_refuses_or_is_slow_is_tried_again_and_said_once_and_nothing_is_lost() {
    let mut world = World::new().await;
    let storage = world.own.control();
    let mut process = world.start().await;
    let rule = |operation, folder: &str, trouble| Rule::new(operation, trouble).key_contains(folder);
    // Each write is tried three times before it is told of, so that both are told of twice.
    storage.add_rule(rule(Operation::Put, "AWS Flowlog_events", Trouble::SLOW_DOWN).times(6));
    storage.add_rule(rule(Operation::Put, "aws-flowlogs_state", Trouble::ACCESS_DENIED).times(2));
    storage.add_rule(rule(Operation::Put, "AWS Flowlog_events", Trouble::Delay(Duration::from_secs(1))));
    world.put();
    world.all_arrive(&process).await;
    assert!(process.stop(Duration::from_secs(10)).await.unwrap().success());

    let stderr = process.stderr().text();
    for (what, code) in
        [("could not write a batch", "SlowDown"), ("could not write the checkpoint", "AccessDenied")]
    {
        let is_told = |text: &str| text.contains(what) && text.contains(code);
        assert_eq!(stderr.lines().filter(|line| is_told(line)).count(), 2, "{stderr}");
        let told = world.platform.logs().into_iter().filter(|line| is_told(&line.message));
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].message.contains("s3://platform-storage/tenant-1/module/"), "{told:?}");
    }
    let ids: Vec<String> = world.platform.events().into_iter().map(|event| event.request_id).collect();
    assert_eq!(ids.len(), ids.iter().collect::<HashSet<_>>().len(), "{ids:?}");
}

/// What is sent cannot be taken back: the connector waits until it can be noted.
#[tokio::test]
async fn a_connector_whose_storage_refuses_sends_nothing_until_it_can_note_it() {
    let mut world = World::new().await;
    let intake = Intake::start("key").await;
    let arguments = json!({"bucket_name": CUSTOMER, "frequency": 1, "intake_key": "key", "intake_server": intake.server()});
    let connector = world.node("collect_flowlogs").value("connector_configuration", arguments);
    let mut process = connector.start();
    let looked = || world.theirs.control().count(Operation::List) > 2;
    assert!(eventually(PATIENCE, looked).await, "{}", process.stderr().text());
    for is_full in [false, true] {
        // A disk that is full, or a quota that is used up, comes as a refusal too.
        let trouble =
            if is_full { Trouble::Error(507, "InsufficientStorage") } else { Trouble::ACCESS_DENIED };
        let (before, sent) = (world.platform.logs().len(), intake.count());
        world.own.control().add_rule(Rule::new(Operation::Put, trouble));
        world.put();
        let told = || {
            world
                .platform
                .logs()
                .iter()
                .skip(before)
                .any(|line| line.message.contains("could not write the checkpoint"))
        };
        assert!(eventually(PATIENCE, told).await, "{}", process.stderr().text());
        assert_eq!(intake.count(), sent);
        world.own.control().clear_rules();
        let arrived = || intake.count() >= world.expected.len();
        assert!(eventually(PATIENCE, arrived).await, "{}", process.stderr().text());
        assert_eq!(intake.events(), world.expected);
    }
    assert!(process.stop(END).await.unwrap().success());
}

/// A folder that is left behind goes after a later poll, or at the next start.
#[tokio::test]
async fn a_folder_that_cannot_be_removed_is_removed_later() {
    let mut world = World::new().await;
    let storage = world.own.control();
    let left = |part: &str| storage.keys(BUCKET).iter().any(|key| key.contains(part));
    let mut process = world.start().await;
    for is_restarted in [false, true] {
        for operation in [Operation::Delete, Operation::DeleteMany] {
            storage.add_rule(Rule::new(operation, Trouble::ACCESS_DENIED));
        }
        let stderr = process.stderr();
        let told = || stderr.text().matches("could not remove the folder of a delivered batch").count();
        let before = told();
        world.put();
        world.all_arrive(&process).await;
        assert!(eventually(PATIENCE, || told() > before && left("/left-")).await, "{}", stderr.text());
        if is_restarted {
            assert!(process.stop(END).await.unwrap().success());
            storage.clear_rules();
            process = world.start().await;
        }
        storage.clear_rules();
        let is_tidy = || !left("AWS Flowlog_events") && !left("/left-");
        assert!(eventually(PATIENCE, is_tidy).await, "{:?}", storage.keys(BUCKET));
    }
    assert!(process.stop(END).await.unwrap().success());
}

/// Guarantee 6: SIGTERM at any moment ends the process within 10 s with exit code 0, loses nothing and repeats
/// nothing.
#[tokio::test]
async fn a_bucket_that_never_answers_does_not_hold_up_the_end() {
    let mut world = World::new().await;
    let storage = world.own.control();
    let hangs = |place: &str| Rule::new(Operation::Put, Trouble::Hang).key_contains(place);
    let is_asked = |place: &str| storage.requests().iter().any(|request| request.key.contains(place));
    storage.add_rule(hangs("write-check"));
    let mut process = world.trigger().start();
    assert!(eventually(PATIENCE, || is_asked("write-check")).await, "{}", process.stderr().text());
    assert!(process.stop(END).await.is_some_and(|status| status.success()), "{}", process.stderr().text());
    storage.clear_rules();
    // The same in the midst of a batch.
    let mut process = world.start().await;
    storage.add_rule(hangs("AWS Flowlog_events"));
    world.put();
    assert!(eventually(PATIENCE, || is_asked("AWS Flowlog_events")).await, "{}", process.stderr().text());
    assert!(process.stop(END).await.is_some_and(|status| status.success()), "{}", process.stderr().text());
}
