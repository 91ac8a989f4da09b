//! The image that the `Dockerfile` makes: what is in it, and the trigger at work in a container of it.
//!
//! Needs root, buildah and runc, so these tests are left out unless `make container` asks for them.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test ends at what it did not expect"
)]

mod authority;
mod container;
mod image;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::flowlogs::Generator;
use support::platform::{Platform, Setup};
use support::s3::Server;
use support::{eventually, free_port};

use crate::authority::AUTHORITY;
use crate::container::Container;
use crate::image::{Builder, IMAGE, listing, root};

/// How long a test waits for what must come to pass; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time in which the process must be gone after SIGTERM.
const END: Duration = Duration::from_secs(10);
const BUCKET: &str = "acme-flow-logs";
const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

#[test]
#[ignore = "needs root, buildah and runc: make container"]
fn the_image_adds_the_binary_and_the_module_s_files_and_nothing_else() {
    let (image, base) = (listing(&IMAGE.files), listing(&IMAGE.base));
    let added: Vec<&String> = image.difference(&base).collect();
    let expected = [
        "app/action_push_events.json 644",
        "app/connector_s3_flowlogs.json 644",
        "app/logo.svg 644",
        "app/manifest.json 644",
        "app/trigger_fetch_flowlogs.json 644",
        "usr/local/bin/aws-flowlogs 755",
    ];
    assert_eq!(added, expected);
    assert!(base.is_subset(&image));
    for file in added {
        let (file, _) = file.rsplit_once(' ').unwrap();
        assert_eq!(
            IMAGE.files.join(file).metadata().unwrap().uid(),
            0,
            "{file} is not the running user's to change"
        );
        if let Some(name) = file.strip_prefix("app/") {
            let committed = std::fs::read(root().join(name)).unwrap();
            assert!(std::fs::read(IMAGE.files.join(file)).unwrap() == committed, "{name}");
        }
    }
}

#[test]
#[ignore = "needs root, buildah and runc: make container"]
fn the_image_says_how_it_is_started_stopped_and_asked_for_its_health() {
    let config = &IMAGE.config;
    let binary = "/usr/local/bin/aws-flowlogs";
    assert_eq!(config["Entrypoint"], json!([binary]));
    assert_eq!(config["WorkingDir"], "/app");
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", binary, "health"]));
    let labels = config["Labels"].as_object().unwrap();
    let label = |name: &str| labels[&format!("org.opencontainers.image.{name}")].as_str().unwrap();
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(IMAGE.files.join("app/manifest.json")).unwrap()).unwrap();
    assert_eq!(label("version"), manifest["version"]);
    assert_eq!(label("revision"), "0123abc");
    assert_eq!(label("title"), manifest["slug"]);
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(label("description"), env!("CARGO_PKG_DESCRIPTION"));
}

#[test]
#[ignore = "needs root, buildah and runc: make container"]
fn two_builds_of_the_same_sources_have_the_same_layers() {
    let builder = Builder::new("again");
    builder.build(&["--no-cache"]);
    assert_eq!(builder.image().layers, IMAGE.layers);
    assert!(IMAGE.layers.len() >= 2, "{:?}", IMAGE.layers);
}

/// What the stages that compile are given: nobody compiles here, but cargo reads it.
#[test]
#[ignore = "needs root, buildah and runc: make container"]
fn the_context_has_every_crate_and_the_skeleton_has_no_source() {
    let builder = Builder::new("context");
    let recipe = tempfile::tempdir().unwrap();
    let recipe = recipe.path().join("Dockerfile");
    std::fs::write(&recipe, "FROM scratch\nCOPY . /\n").unwrap();
    let recipe = recipe.to_str().unwrap();
    builder.buildah(&["bud", "--isolation", "chroot", "-f", recipe, "-t", "localhost/context", "."]);
    let context = builder.files_of("localhost/context");
    let has = listing(&context);
    for folder in [".git/", "target/", ".tools/", "fuzz/", "docs/", "tests/trigger/"] {
        assert!(!has.iter().any(|file| file.starts_with(folder)), "{folder}");
    }
    let skeleton = tempfile::tempdir().unwrap();
    let made = Command::new("sh").arg("scripts/skeleton").arg(skeleton.path()).current_dir(&context).status();
    assert!(made.unwrap().success());

    let expected = packages(root());
    assert!(expected.len() >= 2, "{expected:?}");
    for folder in [&context, skeleton.path()] {
        assert_eq!(packages(folder), expected, "{}", folder.display());
    }
    let sources = |folder: &Path| {
        let files = listing(folder).into_iter().filter(|file| file.contains(".rs "));
        files.map(|file| folder.join(file.rsplit_once(' ').unwrap().0)).collect::<Vec<_>>()
    };
    assert!(sources(&context).len() > 50);
    for source in sources(skeleton.path()) {
        assert_eq!(std::fs::read_to_string(&source).unwrap(), "fn main() {}\n", "{}", source.display());
    }
    let settings = ".cargo/config.toml";
    assert_eq!(
        std::fs::read(skeleton.path().join(settings)).unwrap(),
        std::fs::read(root().join(settings)).unwrap(),
        "how the allocator is compiled"
    );
}

/// What can be compiled in a folder, as cargo reads it with the lock file as it is: packages and what they are made of.
/// Tests and examples are not built here, but cargo refuses a package whose benchmarks are named and not there.
fn packages(folder: &Path) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(folder)
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr)));
    let packages = told["packages"].as_array().unwrap().iter();
    let mut told = BTreeSet::new();
    for package in packages {
        told.insert(format!("{} {}", package["name"], package["version"]));
        for target in package["targets"].as_array().unwrap() {
            let kind = target["kind"][0].as_str().unwrap();
            if ["lib", "bin", "bench"].contains(&kind) {
                let source = target["src_path"].as_str().unwrap();
                assert!(Path::new(source).exists(), "{kind} {}: {source}", target["name"]);
                told.insert(format!("{} {kind} {}", package["name"], target["name"]));
            }
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, buildah and runc: make container"]
async fn the_trigger_delivers_from_the_image_is_healthy_and_stops() {
    let server = Server::start(ACCESS_KEY, SECRET).await;
    let s3 = server.control();
    s3.create_bucket(BUCKET);
    let storage = tempfile::tempdir().unwrap();
    let secrets = json!({"aws_secret_access_key": SECRET});
    let platform = Platform::start(Setup::new(storage.path()).module_secrets(secrets)).await;
    let mut generator = Generator::new(7);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    let mut expected = Vec::new();
    for (minutes, parquet) in [(20, false), (10, true)] {
        // A Parquet file goes through a temporary file, the only place beside the storage that can be written.
        let flow_log = if parquet { flow_log.clone().parquet() } else { flow_log.clone() };
        let object = generator.object(&flow_log, Timestamp::now() - SignedDuration::from_mins(minutes), 250);
        s3.put(BUCKET, &object.key, object.body());
        expected.extend(object.records);
    }
    let account = json!({"aws_access_key": ACCESS_KEY, "aws_secret_access_key": "placeholder", "aws_region_name": "eu-west-3"});
    let arguments = json!({"bucket_name": BUCKET, "prefix": "AWSLogs/", "frequency": 1, "chunk_size": 100, "start_from": "beginning", "record_format": "raw"});
    let values = [
        ("module_configuration", account.to_string()),
        ("trigger_configuration", arguments.to_string()),
        ("token", platform.token().to_owned()),
        ("url_callback", AUTHORITY.door(&platform.url_callback()).await),
        ("liveness_port", free_port().to_string()),
        ("metrics_port", free_port().to_string()),
    ];
    let variables = [("AWS_ENDPOINT_URL_S3", AUTHORITY.door(&server.endpoint_url()).await)];
    let container = Container::new(&IMAGE, "fetch_flowlogs", &values, &variables, storage.path());
    let mut process = container.start();

    let arrived = eventually(PATIENCE, || platform.records().len() >= expected.len()).await;
    let stderr = process.stderr();
    assert!(
        arrived,
        "{} of {} records arrived:\n{}",
        platform.records().len(),
        expected.len(),
        stderr.text()
    );
    assert_eq!(container.rights(), ("1000".to_owned(), 0));
    for entry in std::fs::read_dir(storage.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), 1000, "{}", entry.path().display());
    }
    let mut told = None;
    let healthy = eventually(PATIENCE, || {
        let output = container.health();
        let is_healthy = output.status.success();
        told = Some(output);
        is_healthy
    });
    assert!(healthy.await, "{told:?}\n{}", stderr.text());

    let status = process.stop(END).await;
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", stderr.text());
    assert!(!stderr.contain("panicked") && !stderr.contain(SECRET), "{}", stderr.text());
    let mut records = platform.records();
    records.sort();
    expected.sort();
    assert!(records == expected, "the records are not those of the objects, each once");
    assert!(!container.health().status.success(), "healthy, though it is gone");
}
