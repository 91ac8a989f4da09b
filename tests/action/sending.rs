//! Chunks on their way: cut, side by side, again, and what the results say of them.

use serde_json::{Value, json};
use support::intake::Intake;
use support::platform::Endpoint;
use support::script::Fault;

use crate::intake::{OddIntake, accept, id_of, respond};
use crate::world::{API_KEY, INTAKE_KEY, World, assert_contains};

/// As many events as fit into one body.
const FULL: usize = 50_000;

/// A file of events that are told apart: "0", "1" and so on.
fn numbered(count: usize) -> String {
    let events: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    serde_json::to_string(&events).unwrap()
}

async fn world() -> (Intake, World) {
    let intake = Intake::start(INTAKE_KEY).await;
    let world = World::new(&intake.server()).await;
    (intake, world)
}

#[tokio::test]
async fn ids_are_in_the_order_of_the_events_however_late_an_answer_comes() {
    // There are so many IDs that they do not stay in memory.
    let intake = OddIntake::holding_back(4, accept).await;
    let count = 3 * FULL + 1;
    let world = World::new(&intake.server).await.events_file(numbered(count));
    let results = world.succeeds().await;
    let ids: Vec<String> = serde_json::from_value(results["event_ids"].clone()).unwrap();
    let in_order = ids.iter().enumerate().all(|(place, id)| *id == id_of(&place.to_string()));
    assert!(in_order && ids.len() == count, "{} ids of {count}, in order: {in_order}", ids.len());
    assert_eq!(intake.count(), 4);
    let last = world.reports().pop().unwrap();
    let length: usize = last.headers["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(length, last.body.len());
}

#[tokio::test]
async fn what_passes_is_waited_for_and_nothing_is_sent_twice() {
    for faults in [
        [Fault::status(503), Fault::Drop],
        [Fault::status(429), Fault::status(500)],
        [Fault::status(502), Fault::NotHttp],
        [Fault::status(504), Fault::status(503)],
    ] {
        let (intake, world) = world().await;
        let attempts = faults.len() + 1;
        for fault in faults {
            intake.script().then(fault);
        }
        let world = world.events_file(r#"["a", "b"]"#);
        let outcome = world.run().await.told();
        assert_eq!(outcome.error, None);
        assert_eq!(outcome.results["event_ids"].as_array().unwrap().len(), 2);
        assert_contains(&outcome.logs.unwrap(), &["warning", "the intake did not take a chunk"]);
        assert_eq!(intake.events(), ["a", "b"]);
        assert_eq!(intake.posts().len(), attempts);
        assert!(!world.has_events_file());
    }
}

#[tokio::test]
async fn an_acceptance_without_ids_is_one() {
    for (status, answer) in [(200, "OK"), (204, ""), (200, r#"{"event_ids": 3}"#)] {
        let intake = OddIntake::start(move |_| respond(status, answer)).await;
        let world = World::new(&intake.server).await.events_file(r#"["a"]"#);
        let outcome = world.run().await.told();
        assert_eq!((outcome.error, outcome.results), (None, json!({"event_ids": []})));
        assert_contains(&outcome.logs.unwrap(), &["warning", "no event_ids"]);
        assert_eq!(intake.count(), 1, "never sent again");
        assert!(!world.has_events_file());
    }
}

#[tokio::test]
async fn events_that_are_too_long_are_kept_in_a_file_of_their_own() {
    let (intake, world) = world().await;
    // 250,000 bytes are taken, and length is counted in bytes, not in characters.
    let longest = "é".repeat(125_000);
    let too_long = format!("{longest}x");
    let object = json!({ "a": too_long });
    let events = json!(["a", longest, too_long, object, "b"]);
    let world = world.events_file(events.to_string());
    let outcome = world.run().await.told();
    assert_eq!(outcome.error, None);
    assert_eq!(intake.events(), ["a", &longest, "b"]);
    assert_eq!(outcome.results["event_ids"].as_array().unwrap().len(), 3);
    assert_eq!(outcome.results["rejected_events"], 2);
    let path = outcome.results["rejected_events_path"].as_str().unwrap();
    let kept: Vec<String> = serde_json::from_slice(&std::fs::read(world.path(path)).unwrap()).unwrap();
    assert_eq!(kept, [too_long, object.to_string()]);
    assert_contains(&outcome.logs.unwrap(), &["warning", "set aside", path]);
    assert!(!world.has_events_file(), "all of it was sent or is kept elsewhere");
}

#[tokio::test]
async fn an_event_that_is_nested_too_deep_is_set_aside_alone() {
    let (intake, world) = world().await;
    let deep = format!("{}{}", r#"{"a":["#.repeat(501), "]}".repeat(501));
    let outcome = world.events_file(format!(r#"["a", {deep}, "b"]"#)).run().await.told();
    assert_eq!(outcome.error, None);
    assert_eq!(intake.events(), ["a", "b"]);
    assert_eq!(outcome.results["rejected_events"], 1);
    assert_contains(&outcome.logs.unwrap(), &["warning", "set aside", "nested too deep"]);
}

#[tokio::test]
async fn the_api_key_is_a_bearer_token_when_it_is_set() {
    // From the platform's secrets, over a placeholder; nothing else of the module configuration is needed.
    for (module, secrets, expected) in [
        (json!({"api_key": "placeholder"}), json!({"api_key": API_KEY}), Some(format!("Bearer {API_KEY}"))),
        (json!({}), json!({"api_key": API_KEY}), Some(format!("Bearer {API_KEY}"))),
        // What is copied with it is no part of it.
        (
            json!({}),
            json!({"api_key": format!(" \"Bearer {API_KEY}\"\n")}),
            Some(format!("Bearer {API_KEY}")),
        ),
        (json!({"api_key": null}), json!({"aws_secret_access_key": "x"}), None),
        (json!({"api_key": ""}), json!({"api_key": null}), None),
        // A placeholder is nobody's key.
        (json!({"api_key": "placeholder"}), json!({}), None),
        (json!("nonsense"), json!({}), None),
    ] {
        let intake = Intake::start(INTAKE_KEY).await;
        let world = World::with_secrets(&intake.server(), secrets).await;
        let world = world.module(|start| start.value("module_configuration", &module));
        world.argument("event", "a").succeeds().await;
        assert_eq!(intake.posts()[0].header("authorization"), expected.as_deref(), "{module}");
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_late_is_sent_as_far_as_it_was_read_and_stays() {
    let intake = OddIntake::start(accept).await;
    let mut file = numbered(8 * FULL);
    file.truncate(file.len() - 10);
    let world = World::new(&intake.server).await.events_file(file);
    let (error, results) = world.fails().await;
    let accepted = results["event_ids"].as_array().unwrap().len();
    assert!(accepted >= 5 * FULL, "{accepted}");
    let counts = format!("{accepted} of at least {accepted} events were accepted");
    assert_contains(&error, &["ends too early at byte", &counts, "no file is removed", "would repeat"]);
    assert!(world.has_events_file());
}

#[tokio::test]
async fn a_report_that_the_platform_cannot_take_is_repeated() {
    let (intake, world) = world().await;
    world.platform.script(Endpoint::Actions).then_normal(1).then(Fault::status(503));
    let world = world.argument("event", "a");
    assert_eq!(world.succeeds().await["event_ids"].as_array().unwrap().len(), 1);
    assert_eq!(intake.events(), ["a"]);
    let bodies: Vec<Value> = world.reports().iter().map(support::platform::Received::json).collect();
    assert_eq!(bodies[0], json!({"status": "running", "need_secrets": true}));
    assert_eq!(bodies[1], bodies[2]);
    let keys: Vec<&String> = bodies[2].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["status", "results", "logs"]);
}
