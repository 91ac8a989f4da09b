//! What the platform asks of a running trigger: health and metrics.

use std::collections::BTreeMap;

use serde_json::Value;
use support::eventually;
use support::module::Process;
use support::platform::Endpoint::Events;
use support::script::Fault;

use crate::differences::{Row, row};
use crate::world::{Case, PATIENCE, Side, World};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// A trigger that has sent its event, and its world.
async fn running(side: Side) -> (World, Process) {
    let case = Case::new("fetch_flowlogs");
    let world = World::new(&case).await;
    let process = world.module(&case, side).start();
    let sent = eventually(PATIENCE, || !world.platform.events().is_empty()).await;
    assert!(sent, "{}", process.stderr().text());
    // It is counted a moment after the answer.
    let counted = async {
        while !get(world.metrics_port, "/metrics", OPEN_METRICS)
            .await
            .2
            .contains("\nsymphony_module_common_events_lags")
        {}
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("the event is counted");
    (world, process)
}

/// Status, media type and body.
async fn get(port: u16, path: &str, accept: &str) -> (u16, String, String) {
    let url = format!("http://127.0.0.1:{port}{path}");
    let answer = reqwest::Client::new().get(url).header("accept", accept).send().await.unwrap();
    let media = answer.headers()["content-type"].to_str().unwrap().split(';').next().unwrap().to_owned();
    (answer.status().as_u16(), media, answer.text().await.unwrap())
}

/// The kind of each property; dates are a kind.
fn kinds(body: &str) -> BTreeMap<String, String> {
    let body: BTreeMap<String, Value> = serde_json::from_str(body).unwrap();
    let kind = |value: &Value| match value {
        Value::Number(number) if number.is_u64() => "whole number".to_owned(),
        Value::String(text) if text.len() == 26 && text.parse::<jiff::civil::DateTime>().is_ok() => {
            "date without offset".to_owned()
        }
        other => other.to_string(),
    };
    body.iter().map(|(name, value)| (name.clone(), kind(value))).collect()
}

#[tokio::test]
async fn health_is_told_in_the_same_words() {
    let ((reference, _a), (ours, _b)) = tokio::join!(running(Side::Reference), running(Side::Ours));
    for path in ["/health", "/other", "/"] {
        let theirs = get(reference.liveness_port, path, "*/*").await;
        let ours = get(ours.liveness_port, path, "*/*").await;
        assert_eq!((ours.0, &ours.1), (theirs.0, &theirs.1), "{path}");
        assert_eq!(kinds(&ours.2), kinds(&theirs.2), "{path}");
    }
}

/// The types of the metrics that the platform's dashboards know, by name, and the names of their labels.
fn families(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE symphony_module_common_"));
    let types = types.filter_map(|family| family.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

fn labels(text: &str) -> &'static str {
    let sample = text.lines().find(|line| line.starts_with("symphony_module_common_forwarded_events_total"));
    if sample.unwrap().contains("{intake_key=") { "intake_key" } else { "none" }
}

#[tokio::test]
async fn metrics_have_the_names_that_dashboards_know() {
    let ((reference, _a), (ours, _b)) = tokio::join!(running(Side::Reference), running(Side::Ours));
    let theirs = get(reference.metrics_port, "/metrics", OPEN_METRICS).await;
    let open = get(ours.metrics_port, "/metrics", OPEN_METRICS).await;
    assert_eq!((open.0, &open.1), (theirs.0, &theirs.1));
    let (known, served) = (families(&theirs.2), families(&open.2));
    assert!(known.len() >= 4, "{}", theirs.2);
    assert_eq!(served, known);
    let found = Row { reference: labels(&theirs.2).to_owned(), ours: labels(&open.2).to_owned() };
    assert_eq!(found, row("labels of the metrics"));

    let theirs = get(reference.metrics_port, "/metrics", "text/plain").await;
    let plain = get(ours.metrics_port, "/metrics", "text/plain").await;
    assert_eq!(Row { reference: theirs.1, ours: plain.1 }, row("metrics as plain text"));
}

/// How far the number of failures in a row comes while every event meets `fault`: 2 is far enough.
async fn failures_in_a_row(side: Side, fault: Fault) -> u64 {
    let case = Case::new("fetch_flowlogs");
    let world = World::new(&case).await;
    world.platform.script(Events).always(fault);
    let process = world.module(&case, side).start();
    let mut highest = 0;
    while world.platform.received_at(Events).len() < 4 && highest < 2 {
        let asked = eventually(PATIENCE, || !world.platform.received_at(Events).is_empty()).await;
        assert!(asked, "{}", process.stderr().text());
        let health = get(world.liveness_port, "/health", "*/*").await.2;
        let count = serde_json::from_str::<Value>(&health).unwrap()["error_count"].as_u64().unwrap();
        highest = highest.max(count);
    }
    highest
}

#[tokio::test]
async fn an_event_that_was_refused_does_not_end_a_row_of_failures() {
    let refused = async |side| match failures_in_a_row(side, Fault::status(400)).await {
        2.. => "counted on".to_owned(),
        _ => "counted anew".to_owned(),
    };
    let (reference, ours) = tokio::join!(refused(Side::Reference), refused(Side::Ours));
    assert_eq!(Row { reference, ours }, row("row of refused events"));
}

#[tokio::test]
async fn troubles_of_the_platform_itself_do_not_count() {
    for fault in [Fault::status(503), Fault::Drop] {
        let (reference, ours) = tokio::join!(
            failures_in_a_row(Side::Reference, fault.clone()),
            failures_in_a_row(Side::Ours, fault.clone())
        );
        assert_eq!((reference, ours), (0, 0), "{fault:?}");
    }
}
