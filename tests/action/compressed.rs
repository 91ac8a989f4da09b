//! Bodies in gzip: the same events arrive, in fewer bytes, and only if the user asked for it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::flowlogs::Generator;
use support::intake::Intake;
use support::script::Fault;

use crate::intake::{OddIntake, accept, id_of, respond};
use crate::world::{INTAKE_KEY, World, assert_contains};

/// As many events as fit into one body.
const FULL: usize = 50_000;

#[tokio::test]
async fn the_same_events_arrive_in_fewer_bytes_if_the_user_asks_for_it() {
    let mut generator = Generator::new(1);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    let mut events = generator.object(&flow_log, "2026-11-22T00:05:00Z".parse().unwrap(), 60_000).records;
    events.extend(["\"quoted\" é\n".to_owned(), String::new(), "\0".to_owned()]);
    let mut sent = Vec::new();
    for compress in [Value::Null, false.into(), true.into(), "True".into()] {
        let intake = Intake::start(INTAKE_KEY).await;
        let world = World::new(&intake.server()).await.events_file(serde_json::to_vec(&events).unwrap());
        let results = world.argument("compress", compress.clone()).succeeds().await;
        assert_eq!(results["event_ids"].as_array().unwrap().len(), events.len());
        let mut arrived = intake.events();
        // Bodies go out side by side.
        arrived.sort_unstable();
        let mut expected = events.clone();
        expected.sort_unstable();
        assert!(arrived == expected, "other events with {compress}");
        let posts = intake.posts();
        let is_asked_for = compress == true || compress == "True";
        assert!(posts.iter().all(|post| post.is_gzip == is_asked_for), "{posts:?}");
        sent.push((posts.len(), posts.iter().map(|post| post.body_bytes).sum::<usize>()));
    }
    let [(plain_posts, plain), (_, off), (posts, compressed), (_, also)] = sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!((plain_posts, plain, compressed), (posts, off, also));
    assert!(plain_posts > 1 && compressed * 2 < plain, "{compressed} bytes of {plain}");
}

#[tokio::test]
async fn a_single_short_event_is_compressed_too() {
    let intake = Intake::start(INTAKE_KEY).await;
    let world = World::new(&intake.server()).await.argument("event", "a").argument("compress", true);
    world.succeeds().await;
    assert_eq!(intake.events(), ["a"]);
    assert!(intake.posts()[0].is_gzip);
}

#[tokio::test]
async fn what_is_sent_again_is_what_was_sent() {
    let seen = std::sync::Arc::new(Mutex::new(Vec::new()));
    let intake = OddIntake::start({
        let (seen, attempts) = (seen.clone(), AtomicUsize::new(0));
        move |post| {
            assert_eq!(post.headers["content-encoding"], "gzip");
            assert_eq!(post.headers["content-type"], "application/json");
            seen.lock().unwrap().push(post.wire.clone());
            if attempts.fetch_add(1, Ordering::Relaxed) == 0 { respond(503, "busy") } else { accept(post) }
        }
    })
    .await;
    let world = World::new(&intake.server).await.events_file(r#"["a", "b"]"#).argument("compress", true);
    let results = world.succeeds().await;
    assert_eq!(results, json!({"event_ids": [id_of("a"), id_of("b")]}));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1]);
    assert!(!world.has_events_file());
}

#[tokio::test]
async fn an_intake_that_does_not_take_gzip_is_told_with_what_to_do() {
    for compress in [true, false] {
        let intake = Intake::start(INTAKE_KEY).await;
        intake.script().always(Fault::Status(415, "no gzip".to_owned()));
        let events = serde_json::to_string(&vec![""; 12 * FULL]).unwrap();
        let world = World::new(&intake.server()).await.events_file(events).argument("compress", compress);
        let (error, results) = world.fails().await;
        assert_contains(&error, &["415", "no gzip", &format!("0 of {} events", 12 * FULL)]);
        assert_eq!(error.contains("switch `compress` off"), compress, "{error}");
        assert_eq!(results, json!({"event_ids": []}));
        assert!(intake.posts().len() <= 5, "only what was under way: {}", intake.posts().len());
        assert!(world.has_events_file());
    }
}
