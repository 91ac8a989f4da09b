//! Errors to Sentry: who reports what, with which tags, and what must not be in it.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use support::eventually;
use support::platform::Received;
use support::recorder::Recorder;

use crate::world::{ACCESS_KEY, Case, END, PATIENCE, SECRET, Side, TOKEN, World};

/// Values that are tags.
const UUIDS: [&str; 6] = [
    "community_uuid",
    "playbook_uuid",
    "playbook_run_uuid",
    "node_run_uuid",
    "trigger_configuration_uuid",
    "connector_configuration_uuid",
];

/// The text of an envelope.
fn text(received: &Received) -> String {
    let mut text = String::new();
    match received.headers.get("content-encoding").map(HeaderValue::as_bytes) {
        None => text = String::from_utf8(received.body.to_vec()).unwrap(),
        Some(b"gzip") => drop(MultiGzDecoder::new(&*received.body).read_to_string(&mut text).unwrap()),
        other => panic!("{other:?}"),
    }
    text
}

/// The events in what was received.
fn events(recorder: &Recorder) -> Vec<Value> {
    let texts: Vec<String> = recorder.received().iter().map(text).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let json = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    json.filter(|json| json.get("event_id").is_some() && json.get("tags").is_some()).collect()
}

/// A trigger that finds its configuration of no use. Gives what it reported; with `is_wanted`, waits for it.
async fn run(side: Side, is_wanted: bool) -> (Recorder, String) {
    let recorder = Recorder::start().await;
    let mut case = Case::new("fetch_flowlogs");
    case.trigger_configuration = json!({"frequency": 1});
    let mut world = World::new(&case).await;
    let mut module = world.module(&case, side).value("environment", "proving ground");
    for (number, name) in UUIDS.iter().enumerate() {
        module = module.value(name, format!("00000000-0000-4000-8000-{number:012}"));
    }
    if is_wanted {
        module = module.value("sentry_dsn", recorder.url().replace("http://", "http://the-key@") + "/7");
    }
    let process = module.start();
    let is_critical = || world.platform.logs().iter().any(|line| line.level == "critical");
    assert!(eventually(PATIENCE, is_critical).await, "{}", process.stderr().text());
    if is_wanted {
        assert!(eventually(PATIENCE, || !events(&recorder).is_empty()).await, "nothing was reported");
    }
    process.terminate();
    let ended = world.ended(process).await;
    assert_eq!(ended.exit, Some(0), "{}", ended.stderr);
    (recorder, ended.stderr)
}

#[tokio::test]
async fn a_report_has_the_tags_that_the_sdk_gives_it() {
    let ((reference, _), (ours, _)) = tokio::join!(run(Side::Reference, true), run(Side::Ours, true));
    let of = |recorder: &Recorder| {
        let events = events(recorder);
        assert!(!events.is_empty());
        (events[0]["tags"].clone(), events[0]["environment"].clone(), recorder.received()[0].path.clone())
    };
    let (reference, told) = (of(&reference), of(&ours));
    assert_eq!(told, reference);
    assert_eq!(told.0.as_object().unwrap().len(), UUIDS.len() + 3, "{told:?}");
    let event = events(&ours).remove(0);
    assert!(event["message"].as_str().unwrap().contains("`bucket_name`"), "{event}");
    assert_eq!(event["release"], format!("aws-flowlogs@{}", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_report_carries_no_secret_and_nothing_of_the_machine() {
    let (recorder, _) = run(Side::Ours, true).await;
    let told: Vec<String> = recorder.received().iter().map(text).collect();
    let told = told.join("\n");
    for secret in [SECRET, ACCESS_KEY, TOKEN, "placeholder", "SYMPHONY", env!("CARGO_MANIFEST_DIR")] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
    let event = events(&recorder).remove(0);
    let contexts: BTreeSet<&String> = event["contexts"].as_object().unwrap().keys().collect();
    let known = ["Rust Tracing Fields", "Rust Tracing Location", "trace"];
    assert!(contexts.iter().all(|name| known.contains(&name.as_str())), "{contexts:?}");
    for absent in ["server_name", "user", "request", "modules"] {
        assert!(event.get(absent).is_none_or(Value::is_null), "{absent}: {event}");
    }
}

#[tokio::test]
async fn nothing_is_reported_unless_it_is_wanted() {
    let (recorder, stderr) = run(Side::Ours, false).await;
    assert!(recorder.received().is_empty(), "{stderr}");
    assert!(!stderr.contains("Sentry"), "{stderr}");
}

#[tokio::test]
async fn what_is_no_dsn_is_a_warning_that_does_not_quote_it() {
    let case = Case::new("fetch_flowlogs");
    let mut world = World::new(&case).await;
    let process = world.module(&case, Side::Ours).value("sentry_dsn", "the-key-of-sentry").start();
    assert!(eventually(PATIENCE, || !world.platform.events().is_empty()).await);
    process.terminate();
    let ended = world.ended(process).await;
    assert!(ended.stderr.contains("`sentry_dsn`"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("the-key-of-sentry"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_sentry_that_does_not_answer_holds_up_neither_the_trigger_nor_its_end() {
    // Connections are made and never looked at.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let dsn = format!("http://the-key@{}/7", silent.local_addr().unwrap());
    let mut case = Case::new("fetch_flowlogs");
    case.trigger_configuration["unknown"] = "a warning".into();
    let world = World::new(&case).await;
    let mut process = world.module(&case, Side::Ours).value("sentry_dsn", dsn).start();
    let sent = eventually(PATIENCE, || !world.platform.events().is_empty()).await;
    assert!(sent, "{}", process.stderr().text());
    let exit = process.stop(END).await.expect("the process ends");
    assert!(exit.success(), "{}", process.stderr().text());
}
