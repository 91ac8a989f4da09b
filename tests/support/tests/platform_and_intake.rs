//! The platform and the intake, by plain HTTP.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::intake::{Intake, MAX_BODY_BYTES, MAX_EVENT_BYTES};
use support::platform::{Endpoint, Platform, Setup};
use support::script::Fault;

async fn platform(storage: &tempfile::TempDir) -> Platform {
    Platform::start(Setup::new(storage.path()).module_secrets(json!({"aws_secret_access_key": "secret"})))
        .await
}

#[tokio::test]
async fn an_event_takes_its_files_along() {
    let storage = tempfile::tempdir().unwrap();
    let platform = platform(&storage).await;
    let folder = storage.path().join("events/1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("event.json"), r#"["a", "b"]"#).unwrap();
    let send = |directory: &'static str| {
        let body = json!({"name": "n", "event": {"records_path": "event.json"}, "request_id": "r", "directory": directory});
        Client::new().post(platform.url_callback()).bearer_auth(platform.token()).json(&body).send()
    };
    assert_eq!(send("events/1").await.unwrap().status(), StatusCode::OK);
    assert_eq!(send("events/2").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(send("../events").await.unwrap().status(), StatusCode::BAD_REQUEST);

    platform.script(Endpoint::Events).then(Fault::status(503)).then(Fault::Drop.after_acceptance());
    platform.script(Endpoint::Events).then(Fault::NotHttp);
    assert_eq!(send("events/1").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(send("events/1").await.is_err());
    assert!(send("events/1").await.is_err());
    std::fs::remove_dir_all(&folder).unwrap();

    let first = platform.next_event().await;
    assert_eq!((first.records(), first.is_repeat), (vec!["a".to_owned(), "b".to_owned()], false));
    assert!(platform.next_event().await.is_repeat);
    assert_eq!(platform.events().len(), 2);
    assert_eq!(platform.records(), ["a", "b"]);
    assert_eq!(platform.received_at(Endpoint::Events).len(), 6);
}

#[tokio::test]
async fn secrets_and_logs_want_the_token() {
    let storage = tempfile::tempdir().unwrap();
    let platform = platform(&storage).await;
    let secrets = platform.url_callback().replace("/callback", "/secrets");
    let refused = Client::new().get(&secrets).bearer_auth("other").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let answer = Client::new().get(&secrets).bearer_auth(platform.token()).send().await.unwrap();
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({"value": {"aws_secret_access_key": "secret"}, "node_value": null})
    );
    let logs = platform.url_callback().replace("/callback", "/logs");
    let lines = json!({"logs": [{"date": "2026-11-22T19:59:54.851224", "level": "info", "message": "m"}]});
    Client::new().post(logs).bearer_auth(platform.token()).json(&lines).send().await.unwrap();
    assert_eq!(platform.logs()[0].message, "m");
}

#[tokio::test]
async fn an_action_run_gets_its_secrets_and_finishes_once() {
    let storage = tempfile::tempdir().unwrap();
    let platform = platform(&storage).await;
    let run = platform.action_run();
    let patch = |body: Value| {
        Client::new().patch(run.url_callback()).bearer_auth(platform.token()).json(&body).send()
    };
    let answer = patch(json!({"status": "running", "need_secrets": true})).await.unwrap();
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({"module_configuration": {"value": {"aws_secret_access_key": "secret"}}})
    );
    assert!(run.is_running());
    assert_eq!(run.finished(Duration::from_millis(1)).await, None);
    let finished = json!({"status": "finished", "results": {"event_ids": []}, "error": "e"});
    assert_eq!(patch(finished.clone()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(patch(finished).await.unwrap().status(), StatusCode::CONFLICT);
    let outcome = run.finished(Duration::from_secs(1)).await.unwrap();
    assert_eq!((outcome.results, outcome.error.as_deref()), (json!({"event_ids": []}), Some("e")));
}

#[tokio::test]
async fn the_intake_keeps_its_limits() {
    let intake = Intake::start("key").await;
    let url = format!("{}/batch", intake.server());
    let send = |key: &str, events: &[String]| {
        Client::new().post(&url).json(&json!({"intake_key": key, "jsons": events})).send()
    };
    let answer = send("key", &["a".to_owned(), "b".to_owned()]).await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(answer["event_ids"].as_array().unwrap().len(), 2);
    assert_eq!(send("other", &["a".to_owned()]).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let largest = "é".repeat(MAX_EVENT_BYTES / 2);
    assert_eq!(send("key", std::slice::from_ref(&largest)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(send("key", &[largest.clone() + "x"]).await.unwrap().status(), StatusCode::BAD_REQUEST);
    let many = vec![largest; MAX_BODY_BYTES / MAX_EVENT_BYTES];
    assert_eq!(send("key", &many).await.unwrap().status(), StatusCode::OK);
    let more = [many, vec!["x".repeat(MAX_EVENT_BYTES)]].concat();
    assert_eq!(send("key", &more).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);

    let body = support::flowlogs::gzip(r#"{"intake_key": "key", "jsons": ["z"]}"#);
    let encoded = |encoding: &'static str, body: &[u8]| {
        let request = Client::new().post(&url).header("content-encoding", encoding).bearer_auth("t");
        request.body(body.to_vec()).send()
    };
    assert_eq!(encoded("gzip", &body).await.unwrap().status(), StatusCode::OK);
    let post = intake.posts().pop().unwrap();
    assert_eq!((post.is_gzip, post.body_bytes), (true, body.len()));
    assert_eq!(post.header("authorization"), Some("Bearer t"));
    let mut damaged =
        [&body[..], &body[..body.len() - 1], &[&body[..], b"more"].concat()].map(<[u8]>::to_vec);
    let checksum = body.len() - 8;
    damaged[0][checksum] ^= 1;
    for damaged in damaged {
        assert_eq!(encoded("gzip", &damaged).await.unwrap().status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(encoded("br", &body).await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = support::flowlogs::gzip(vec![b' '; MAX_BODY_BYTES + 1]);
    assert_eq!(encoded("gzip", &long).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);

    intake.script().then(Fault::status(429)).then(Fault::Html).then(Fault::Drop);
    assert_eq!(send("key", &["a".to_owned()]).await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(send("key", &["a".to_owned()]).await.unwrap().text().await.unwrap().contains("html"));
    assert!(send("key", &["a".to_owned()]).await.is_err());
    assert_eq!(intake.count(), 45);
    assert_eq!(intake.events()[..2], ["a", "b"]);
}
