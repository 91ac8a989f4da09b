//! Where events come from, and what is wrong with that.

use serde_json::{Value, json};
use support::intake::Intake;

use crate::world::{INTAKE_KEY, World, assert_contains};

async fn world() -> (Intake, World) {
    let intake = Intake::start(INTAKE_KEY).await;
    let world = World::new(&intake.server()).await;
    (intake, world)
}

fn ids(results: &Value) -> usize {
    results["event_ids"].as_array().expect("event_ids").len()
}

#[tokio::test]
async fn the_events_of_a_file_arrive_and_the_file_goes() {
    let (intake, world) = world().await;
    let world = world.events_file(r#"[ "2 111 eni-1 \"a\" é\n", {"version": 2, "a": [1.50, null]}, 7 ]"#);
    let results = world.succeeds().await;
    assert_eq!(intake.events(), ["2 111 eni-1 \"a\" é\n", r#"{"version":2,"a":[1.50,null]}"#, "7"]);
    assert_eq!(ids(&results), 3);
    assert_eq!(results.as_object().unwrap().len(), 1, "only what has a value: {results}");
    assert!(!world.has_events_file());
}

#[tokio::test]
async fn the_file_stays_if_the_user_says_so() {
    let (intake, world) = world().await;
    let world = world.events_file(r#"["a"]"#).argument("keep_file_after_push", true);
    assert_eq!(ids(&world.succeeds().await), 1);
    assert_eq!(intake.events(), ["a"]);
    assert!(world.has_events_file());
}

#[tokio::test]
async fn a_single_event_comes_before_the_others() {
    let (intake, world) = world().await;
    let world = world.argument("events", json!(["b", {"c": "d"}])).argument("event", json!({"a": 1}));
    assert_eq!(ids(&world.succeeds().await), 3);
    assert_eq!(intake.events(), [r#"{"a":1}"#, "b", r#"{"c":"d"}"#]);
    assert_eq!(intake.posts().len(), 1);
}

#[tokio::test]
async fn a_single_event_may_be_a_file() {
    let (intake, world) = world().await;
    let world = world.file("one.json", "\n { \"a\" : 1 } ").argument("event_path", "one.json");
    assert_eq!(ids(&world.succeeds().await), 1);
    assert_eq!(intake.events(), [r#"{"a":1}"#]);
    assert!(!world.path("one.json").exists());
}

#[tokio::test]
async fn a_value_wins_over_a_file_which_is_left_alone() {
    let (intake, world) = world().await;
    let world = world.events_file("not even JSON").argument("events", json!(["a"]));
    assert_eq!(ids(&world.succeeds().await), 1);
    assert_eq!(intake.events(), ["a"]);
    assert!(world.has_events_file());
}

#[tokio::test]
async fn without_events_nothing_is_posted() {
    for content in ["[]", " [ \n ] "] {
        let (intake, world) = world().await;
        let world = world.events_file(content);
        assert_eq!(world.succeeds().await, json!({"event_ids": []}));
        assert!(intake.posts().is_empty());
    }
    let (intake, world) = world().await;
    let empty = world.argument("event", "").argument("event_path", "").argument("events", Value::Null);
    assert_eq!(empty.argument("events_path", "").succeeds().await, json!({"event_ids": []}));
    assert!(intake.posts().is_empty());
}

#[tokio::test]
async fn a_file_that_is_not_events_is_told_and_stays_and_nothing_is_sent() {
    for (content, message) in [
        ("", "is not JSON: it is empty"),
        ("Version account-id", "is not JSON: unexpected character at byte 0"),
        ("{\"events\": []}", "does not hold an array of events but an object"),
        ("[\"a\", \"b\"", "ends too early at byte 9"),
        ("[\"a\", \"b\" \"c\"]", "unexpected character at byte 10"),
    ] {
        let (intake, world) = world().await;
        let world = world.events_file(content);
        let (error, results) = world.fails().await;
        assert_contains(&error, &["events_path \"batch/event.json\"", message, "nothing was sent"]);
        assert_eq!(results, Value::Null);
        assert!(intake.posts().is_empty());
        assert!(world.has_events_file());
    }
}

#[tokio::test]
async fn a_path_that_leads_out_of_the_storage_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("event.json");
    std::fs::write(&file, "[\"secret\"]").unwrap();
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    for path in [file.to_str().unwrap(), &format!("../{name}/event.json"), "link.json"] {
        let (intake, world) = world().await;
        std::os::unix::fs::symlink(&file, world.path("link.json")).unwrap();
        let world = world.argument("events_path", path);
        let (error, _) = world.fails().await;
        assert_contains(&error, &["`events_path`", "refused", "must not lead out"]);
        assert!(intake.posts().is_empty());
        assert!(file.exists());
    }
}

#[tokio::test]
async fn a_path_to_nothing_is_told() {
    let (_, world) = world().await;
    let (error, _) = world.argument("events_path", "no/such.json").fails().await;
    assert_contains(&error, &["`events_path`", "\"no/such.json\"", "no such file"]);
}

#[tokio::test]
async fn arguments_that_cannot_be_used_are_named() {
    for (name, value, reason) in [
        ("intake_key", json!(""), "missing"),
        ("intake_key", json!({"a": 1}), "must be text"),
        ("intake_server", json!("intake.sekoia.io"), "http or https"),
        ("events", json!("text"), "must be a list"),
        ("event", json!([1]), "list"),
    ] {
        let (_, world) = world().await;
        let (error, _) = world.argument(name, value).fails().await;
        assert_contains(&error, &[&format!("`{name}`"), reason]);
    }
    let (_, world) = world().await;
    let outcome = world.argument("evnts", json!([])).run().await.told();
    assert_contains(&outcome.logs.unwrap(), &["warning", "`evnts`"]);
}
