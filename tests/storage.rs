//! What the trigger and the action rely on, the same in every storage: a folder, a bucket over the wire, a bucket behind
//! mutual TLS; and the trigger and the action with a bucket for a storage.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the code of a test outside its functions: what breaks ends the test"
)]

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use aws_flowlogs::platform::storage::{Storage, StorageError};
use aws_flowlogs::platform::values::Values;
use support::eventually;
use support::flowlogs::Generator;
use support::free_port;
use support::intake::Intake;
use support::module::Module;
use support::platform::{Platform, Setup};
use support::s3::{Control, Server};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

const BUCKET: &str = "platform-storage";
const ACCESS_KEY: &str = "AKIAOFTHEPLATFORM";
const SECRET: &str = "the platform's own secret";
const PATIENCE: Duration = Duration::from_secs(30);

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

#[tokio::test]
async fn the_trigger_and_the_action_work_with_a_bucket_for_a_storage() {
    let (own, own_control) = server().await;
    let theirs = Server::start("AKIACUSTOMER", "hush").await;
    let customer = theirs.control();
    customer.create_bucket("acme-flow-logs");
    let mut setup = Setup::new("/nowhere");
    setup.trigger_bucket = Some((own_control.clone(), BUCKET.to_owned(), "tenant-1/module/".to_owned()));
    let platform = Platform::start(setup).await;
    let account = serde_json::json!({
        "aws_access_key": "AKIACUSTOMER", "aws_secret_access_key": "hush", "aws_region_name": "eu-west-3"
    });
    let arguments = serde_json::json!({"bucket_name": "acme-flow-logs", "frequency": 1, "chunk_size": 40});
    let module = |command: &str| {
        let module = Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), command)
            .value("module_configuration", &account)
            .aws_endpoint(&theirs.endpoint_url());
        values(&own.endpoint_url()).into_iter().fold(module, |module, (name, value)| module.env(&name, value))
    };
    let trigger = module("fetch_flowlogs")
        .value("trigger_configuration", arguments)
        .value("token", platform.token())
        .value("url_callback", platform.url_callback())
        .value("liveness_port", free_port())
        .value("metrics_port", free_port());
    let mut generator = Generator::new(7);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    let mut expected = Vec::new();
    for _ in 0..2 {
        let mut process = trigger.start();
        assert!(process.stderr().wait_for("found the flow logs", PATIENCE).await || expected.is_empty());
        let object = generator.object(&flow_log, jiff::Timestamp::now(), 100);
        customer.put("acme-flow-logs", &object.key, object.body());
        expected.extend(object.records);
        let arrived = || platform.records().len() >= expected.len();
        assert!(eventually(PATIENCE, arrived).await, "{}", process.stderr().text());
        assert!(process.stop(Duration::from_secs(10)).await.unwrap().success());
    }
    assert_eq!(platform.records(), expected);
    let left = own_control.keys(BUCKET);
    assert!(left.iter().all(|key| key.starts_with("tenant-1/module/aws-flowlogs_state/")), "{left:?}");

    let intake = Intake::start("key").await;
    own_control.put(BUCKET, "tenant-1/module/events.json", serde_json::to_vec(&expected).unwrap());
    let run = platform.action_run();
    let arguments = serde_json::json!({
        "intake_key": "key", "intake_server": intake.server(), "events_path": "events.json"
    });
    let mut action = module("push_events")
        .value("arguments", arguments)
        .value("token", platform.token())
        .value("url_callback", run.url_callback())
        .start();
    assert!(action.exited(PATIENCE).await.unwrap().success());
    assert_eq!(intake.events(), expected);
    assert_eq!(own_control.get(BUCKET, "tenant-1/module/events.json").map(|object| object.body), None);
}

/// A certificate authority, and the door that it keeps.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: rcgen::Issuer::new(params, key) }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Lets those with a certificate of this authority through to `url`; gives the address of the door.
    async fn guard(&self, url: &str) -> String {
        let (certificate, key) = self.issue("localhost");
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("localhost", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = url.strip_prefix("http://").unwrap().to_owned();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, address) = (acceptor.clone(), address.clone());
                tokio::spawn(async move {
                    let Ok(mut inside) = acceptor.accept(stream).await else { return };
                    let mut server = TcpStream::connect(address).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut inside, &mut server).await;
                });
            }
        });
        format!("https://localhost:{port}")
    }
}
