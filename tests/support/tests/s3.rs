//! The S3 server against the AWS SDK, which is what the module talks to it with.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use jiff::SignedDuration;
use support::s3::{Control, Operation, Rule, Server, Trouble};

async fn server() -> (Server, Control) {
    let server = Server::start("AKIAEXAMPLE", "secret").await;
    let control = server.control();
    control.create_bucket("logs");
    (server, control)
}

fn client(server: &Server, access_key: &str, secret: &str, region: &'static str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::from_keys(access_key, secret, None))
        .endpoint_url(server.endpoint_url())
        .force_path_style(true)
        .region(Region::new(region))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

fn right(server: &Server) -> Client {
    client(server, "AKIAEXAMPLE", "secret", "eu-west-3")
}

/// The code and the status of what went wrong.
fn code<T: std::fmt::Debug, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>,
) -> (String, u16) {
    let error = result.err().unwrap();
    let status = error.raw_response().unwrap().status().as_u16();
    (error.code().unwrap_or_default().to_owned(), status)
}

#[tokio::test]
async fn objects_are_written_listed_read_and_removed() {
    let (server, control) = server().await;
    let client = right(&server);
    client
        .put_object()
        .bucket("logs")
        .key("a/é 1")
        .body(ByteStream::from_static(b"0123456789"))
        .send()
        .await
        .unwrap();
    control.put_at("logs", "a/2", "two", "2026-03-04T05:06:07.9Z".parse().unwrap());

    let listed = client.list_objects_v2().bucket("logs").prefix("a/").send().await.unwrap();
    let keys: Vec<_> = listed.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(keys, ["a/2", "a/é 1"]);
    let two = &listed.contents()[0];
    assert_eq!(two.last_modified().unwrap().to_string(), "2026-03-04T05:06:07Z");
    assert_eq!(two.size(), Some(3));

    let read = client.get_object().bucket("logs").key("a/é 1").range("bytes=2-4").send().await.unwrap();
    assert_eq!(read.content_range(), Some("bytes 2-4/10"));
    assert_eq!(read.body.collect().await.unwrap().to_vec(), b"234");
    let tag = two.e_tag().unwrap();
    let read = client.get_object().bucket("logs").key("a/2").if_match(tag).send().await.unwrap();
    assert_eq!(read.body.collect().await.unwrap().to_vec(), b"two");
    let refused = client.get_object().bucket("logs").key("a/2").if_match("\"other\"").send().await;
    assert_eq!(code(refused), ("PreconditionFailed".to_owned(), 412));
    assert_eq!(
        client.head_object().bucket("logs").key("a/2").send().await.unwrap().content_length(),
        Some(3)
    );

    client.delete_object().bucket("logs").key("a/2").send().await.unwrap();
    let gone = client.get_object().bucket("logs").key("a/2").send().await;
    assert_eq!(code(gone), ("NoSuchKey".to_owned(), 404));
    let nowhere = client.list_objects_v2().bucket("others").send().await;
    assert_eq!(code(nowhere), ("NoSuchBucket".to_owned(), 404));
}

#[tokio::test]
async fn writes_can_be_conditional() {
    let (server, control) = server().await;
    let client = right(&server);
    let put = || client.put_object().bucket("logs").key("state");
    put().if_none_match("*").body(ByteStream::from_static(b"1")).send().await.unwrap();
    let again = put().if_none_match("*").body(ByteStream::from_static(b"2")).send().await;
    assert_eq!(code(again), ("PreconditionFailed".to_owned(), 412));
    let tag = control.get("logs", "state").unwrap().etag();
    put().if_match(&tag).body(ByteStream::from_static(b"3")).send().await.unwrap();
    let stale = put().if_match(&tag).body(ByteStream::from_static(b"4")).send().await;
    assert_eq!(code(stale), ("PreconditionFailed".to_owned(), 412));
    assert_eq!(control.get("logs", "state").unwrap().body, "3");
}

#[tokio::test]
async fn pages_follow_one_another() {
    let (server, control) = server().await;
    for number in 0..2500 {
        control.put("logs", &format!("p/{number:04}/x"), "");
        control.put("logs", &format!("p/{number:04}/y"), "");
    }
    let client = right(&server);
    let mut pages =
        client.list_objects_v2().bucket("logs").prefix("p/").delimiter("/").into_paginator().send();
    let mut prefixes = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        prefixes.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
    }
    assert_eq!(prefixes.len(), 2500);
    assert!(prefixes.is_sorted());
    assert_eq!(control.count(Operation::List), 3);
    assert_eq!(control.requests()[0].key, "p/");
    let after = client.list_objects_v2().bucket("logs").start_after("p/2499/x").send().await.unwrap();
    assert_eq!(after.key_count(), Some(1));
}

#[tokio::test]
async fn keys_are_checked_as_s3_checks_them() {
    let (server, control) = server().await;
    let list = |client: Client| async move { client.list_objects_v2().bucket("logs").send().await };
    let unknown = client(&server, "AKIAOTHER", "secret", "eu-west-3");
    assert_eq!(code(list(unknown).await), ("InvalidAccessKeyId".to_owned(), 403));
    let wrong = client(&server, "AKIAEXAMPLE", "other", "eu-west-3");
    assert_eq!(code(list(wrong).await), ("SignatureDoesNotMatch".to_owned(), 403));
    assert!(list(right(&server)).await.is_ok());

    control.set_region("logs", "us-west-2");
    let error = list(right(&server)).await.unwrap_err();
    assert_eq!(error.code(), Some("PermanentRedirect"));
    let response = error.raw_response().unwrap();
    assert_eq!(response.status().as_u16(), 301);
    assert_eq!(response.headers().get("x-amz-bucket-region"), Some("us-west-2"));
    assert!(list(client(&server, "AKIAEXAMPLE", "secret", "us-west-2")).await.is_ok());
}

#[tokio::test]
async fn sts_knows_the_account() {
    let (server, control) = server().await;
    let call = |access_key, secret| {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .credentials_provider(Credentials::from_keys(access_key, secret, None))
            .endpoint_url(server.endpoint_url())
            .region(Region::new("eu-west-3"))
            .build();
        aws_sdk_sts::Client::from_conf(config).get_caller_identity().send()
    };
    assert_eq!(call("AKIAEXAMPLE", "secret").await.unwrap().account(), Some(support::s3::ACCOUNT));
    assert_eq!(code(call("AKIAOTHER", "secret").await), ("InvalidClientTokenId".to_owned(), 403));
    assert_eq!(code(call("AKIAEXAMPLE", "other").await), ("SignatureDoesNotMatch".to_owned(), 403));
    assert_eq!(control.count(Operation::CallerIdentity), 3);
}

#[tokio::test]
async fn faults_come_as_asked_for() {
    let (server, control) = server().await;
    for key in ["good", "bad"] {
        control.put("logs", key, vec![7; 100_000]);
    }
    let client = right(&server);
    let get = |key: &'static str| client.get_object().bucket("logs").key(key).send();
    let body = |key: &'static str| async move { get(key).await.unwrap().body.collect().await };

    control.add_rule(Rule::new(Operation::Get, Trouble::SLOW_DOWN).key_contains("bad").skip(1).times(1));
    assert!(body("bad").await.is_ok());
    assert!(body("good").await.is_ok());
    assert_eq!(code(get("bad").await), ("SlowDown".to_owned(), 503));
    assert!(body("bad").await.is_ok());

    control.add_rule(Rule::new(Operation::Get, Trouble::CutBody(10)).times(1));
    assert!(body("bad").await.is_err());
    control.add_rule(Rule::new(Operation::Get, Trouble::CorruptBody(5)).times(1));
    let corrupt = body("bad").await.unwrap().to_vec();
    assert_eq!((corrupt.len(), corrupt[4], corrupt[5]), (100_000, 7, !7));
    control.add_rule(Rule::new(Operation::Get, Trouble::StallBody(10)).times(1));
    assert!(tokio::time::timeout(Duration::from_millis(200), body("bad")).await.is_err());
    control.add_rule(Rule::new(Operation::Get, Trouble::Drop).times(1));
    assert!(get("bad").await.is_err());
    control.add_rule(Rule::new(Operation::Get, Trouble::Delay(Duration::from_millis(50))).times(1));
    assert!(body("bad").await.is_ok());
    control.add_rule(Rule::new(Operation::Head, Trouble::ACCESS_DENIED));
    assert!(client.head_object().bucket("logs").key("bad").send().await.is_err());
    control.clear_rules();
    assert!(client.head_object().bucket("logs").key("bad").send().await.is_ok());

    control.set_storage_class("logs", "bad", "GLACIER");
    assert_eq!(code(get("bad").await), ("InvalidObjectState".to_owned(), 403));
}

#[tokio::test]
async fn answers_tell_the_time_of_the_server() {
    let (server, control) = server().await;
    control.clock().set_fixed("2026-03-04T05:06:07Z".parse().unwrap());
    let date = || async {
        reqwest::get(server.endpoint_url()).await.unwrap().headers()["date"].to_str().unwrap().to_owned()
    };
    assert_eq!(date().await, "Wed, 04 Mar 2026 05:06:07 GMT");
    control.clock().set_skew(SignedDuration::from_hours(-1));
    control.put("logs", "k", "");
    let age = jiff::Timestamp::now().duration_since(control.get("logs", "k").unwrap().last_modified);
    assert!(age >= SignedDuration::from_mins(59), "{age}");
}

#[tokio::test]
async fn a_million_keys_are_listed_in_no_time() {
    let (server, control) = server().await;
    for number in 0..1_000_000 {
        control.put("logs", &format!("{:02}/{number:07}", number % 50), "");
    }
    let start = std::time::Instant::now();
    let page = right(&server).list_objects_v2().bucket("logs").delimiter("/").send().await.unwrap();
    assert_eq!(page.common_prefixes().len(), 50);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
