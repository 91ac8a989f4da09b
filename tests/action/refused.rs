//! What the intake will not take, and how the user hears of it.

use std::time::Duration;

use aws_flowlogs::action::arguments::Arguments;
use aws_flowlogs::action::chunk::{self, Envelope};
use aws_flowlogs::action::events::{Form, Input};
use aws_flowlogs::action::post::{Intake as Client, Patience, Posted};
use aws_flowlogs::shutdown::Shutdown;
use serde_json::json;
use support::intake::Intake;
use support::portal::{LOGIN_PAGE, Portal};
use support::script::Fault;

use crate::intake::{OddIntake, accept, respond};
use crate::world::{API_KEY, END, INTAKE_KEY, PATIENCE, World, assert_contains};

/// As many events as fit into one body.
const FULL: usize = 50_000;

#[tokio::test]
async fn a_refusal_is_final_and_told_with_status_and_body() {
    for (status, advice) in [
        (400, "no file is removed"),
        (401, "check `intake_key`"),
        (403, "check `intake_key`"),
        (404, "check `intake_server`"),
        (413, "no file is removed"),
    ] {
        let intake = Intake::start(INTAKE_KEY).await;
        intake.script().always(Fault::Status(status, "<h1>no, \n not this</h1>".to_owned()));
        let world = World::new(&intake.server()).await.events_file(r#"["a", "b"]"#);
        let (error, results) = world.fails().await;
        let status = status.to_string();
        let counts = "0 of 2 events were accepted";
        assert_contains(&error, &[&intake.server(), &status, "<h1>no, not this</h1>", advice, counts]);
        assert_eq!(results, json!({"event_ids": []}));
        assert_eq!(intake.posts().len(), 1);
        assert!(world.has_events_file());
    }
}

#[tokio::test]
async fn a_proxy_in_the_way_is_named_with_what_to_set() {
    let proxy = Portal::start("407 Proxy Authentication Required", "", LOGIN_PAGE).await;
    let told = "the proxy asks for a user and a password";
    // The proxy answers itself what goes through it in plain text.
    let world = World::new("http://intake.example").await.events_file(r#"["a"]"#);
    let world = world.module(|module| module.env("HTTP_PROXY", proxy.url()).env("NO_PROXY", "127.0.0.1"));
    let (error, _) = world.fails().await;
    assert_contains(&error, &["407", told]);
    // A tunnel it refuses.
    let world = World::new("https://intake.example").await.events_file(r#"["a"]"#);
    let world = world.module(|module| module.env("HTTPS_PROXY", proxy.url()));
    let mut process = world.start();
    assert!(process.stderr().wait_for(told, PATIENCE).await, "{}", process.stderr().text());
    process.terminate();
    world.ended(&mut process, END).await;
    assert!(world.has_events_file());
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let elsewhere = OddIntake::start(accept).await;
    let location = elsewhere.server.clone();
    let intake = OddIntake::start(move |_| {
        let mut answer = respond(307, "");
        answer.headers_mut().insert("location", location.parse().unwrap());
        answer
    })
    .await;
    let world = World::new(&intake.server).await.events_file(r#"["a"]"#);
    let (error, _) = world.fails().await;
    assert_contains(&error, &["307", &elsewhere.server, "not followed", "check `intake_server`"]);
    assert_eq!((intake.count(), elsewhere.count()), (1, 0));
}

#[tokio::test]
async fn a_refused_chunk_does_not_take_the_others_with_it() {
    let intake = OddIntake::start(|post| {
        if post.events.iter().any(|event| event == "bad") { respond(400, "bad event") } else { accept(post) }
    })
    .await;
    let mut events = vec!["good"; 2 * FULL + 7];
    events[FULL] = "bad";
    for compress in [false, true] {
        let world = World::new(&intake.server).await.events_file(serde_json::to_string(&events).unwrap());
        let world = world.argument("compress", compress);
        let (error, results) = world.fails().await;
        let counts = format!("{} of {} events were accepted", FULL + 7, events.len());
        assert_contains(&error, &["400", "bad event", &counts, "would repeat what was accepted"]);
        assert_eq!(
            error.contains("if the intake does not take that, switch `compress` off"),
            compress,
            "{error}"
        );
        assert_eq!(results["event_ids"].as_array().unwrap().len(), FULL + 7);
        assert!(world.has_events_file());
    }
}

#[tokio::test]
async fn a_refused_key_ends_the_push_and_the_events_are_counted_all_the_same() {
    let intake = OddIntake::start(|_| respond(403, "unknown key")).await;
    let events = serde_json::to_string(&vec![""; 12 * FULL]).unwrap();
    let world = World::new(&intake.server).await.events_file(events);
    let (error, _) = world.fails().await;
    assert_contains(&error, &["403", &format!("0 of {} events", 12 * FULL)]);
    assert!(intake.count() <= 5, "only what was under way: {}", intake.count());
}

#[tokio::test]
async fn a_secret_that_the_intake_repeats_is_not_told() {
    // World::fails looks for secrets in everything that is printed or told.
    let intake = OddIntake::start(|post| {
        let authorization = post.headers["authorization"].to_str().unwrap();
        respond(401, format!("{}{authorization} in {}", "x".repeat(185), post.body))
    })
    .await;
    let world = World::with_secrets(&intake.server, json!({ "api_key": API_KEY })).await;
    let (error, _) = world.argument("event", "a").fails().await;
    assert_contains(&error, &["xxx", "***"]);
}

/// Pushes with short waits, and gives up after `total`.
async fn push(intake: &Intake, count: usize, compress: bool, total: Duration) -> Posted {
    let arguments = json!({"intake_key": INTAKE_KEY, "intake_server": intake.server(), "compress": compress});
    let arguments = Arguments::read(arguments).unwrap();
    let milliseconds = Duration::from_millis;
    let patience = Patience { first: milliseconds(1), longest: milliseconds(4), total };
    let http = aws_flowlogs::http::client(PATIENCE).unwrap();
    let client = Client::new(http, &arguments, None, patience).unwrap();
    let (cutter, mut belt) = chunk::belt();
    let envelope = Envelope::new(&arguments.intake_key, arguments.compress);
    let events = serde_json::to_string(&vec!["a"; count]).unwrap();
    let inputs = vec![Input::of_text("events", Form::Many, events)];
    tokio::task::spawn_blocking(move || chunk::cut(inputs, &envelope, cutter));
    let first = belt.first().await.unwrap();
    client.post_all(first, &mut belt, &Shutdown::default()).await
}

#[tokio::test]
async fn patience_comes_to_an_end() {
    let intake = Intake::start(INTAKE_KEY).await;
    intake.script().always(Fault::status(503));
    let posted = push(&intake, 3, false, Duration::from_millis(200)).await;
    let (_, error) = posted.failure.expect("a failure");
    assert_contains(&error.to_string(), &["503 Service Unavailable", "times in", "as the test asked for"]);
    assert_eq!((posted.accepted, posted.events), (0, 3));
    assert!(!intake.posts().is_empty());
}

#[tokio::test]
async fn chunks_are_sent_again_in_the_midst_of_others() {
    for compress in [false, true] {
        let intake = Intake::start(INTAKE_KEY).await;
        for fault in [Fault::status(503), Fault::Drop, Fault::status(429), Fault::Html] {
            intake.script().then(fault).then_normal(1);
        }
        let posted = push(&intake, 9 * FULL + 1, compress, PATIENCE).await;
        assert!(posted.failure.is_none(), "{:?}", posted.failure);
        assert_eq!((posted.accepted, posted.chunks), (9 * FULL as u64 + 1, 10));
        assert_eq!(intake.count(), 9 * FULL + 1);
        assert!(intake.posts().iter().all(|post| post.is_gzip == compress));
    }
}
