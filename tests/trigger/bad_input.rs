//! What is configured wrong is said in words that help, to the platform where it can be reached.

use std::time::Duration;

use serde_json::{Value, json};
use support::free_port;
use support::module::Module;
use support::platform::Endpoint;
use support::recorder::Recorder;
use support::script::Fault;

use crate::world::{ACCESS_KEY, BUCKET, PATIENCE, SECRET, World, stop};

const SOON: Duration = Duration::from_secs(10);

/// What stands in URLs of the configuration is never shown, whatever goes wrong with them.
#[tokio::test]
async fn a_password_in_a_url_is_never_shown() {
    let mut world = World::new().await;
    let with_password = |url: &str| url.replacen("://", "://somebody:hush-hush@", 1);
    let url_callback = with_password(&world.platform.url_callback());
    let proxy = with_password(&format!("http://127.0.0.1:{}", free_port()));
    world.platform.script(Endpoint::Secrets).then(Fault::status(503));
    for fault in [Fault::status(403), Fault::status(503), Fault::Drop, Fault::Redirect(url_callback.clone())]
    {
        world.platform.script(Endpoint::Events).then(fault);
    }
    let started = world.module_as("fetch_flowlogs");
    let with = |module: Module| module.value("url_callback", &url_callback).env("RUST_LOG", "debug");
    let process = with(started).start();
    assert!(process.stderr().wait_for("starting without a checkpoint", PATIENCE).await);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    let told = process.stderr().text() + &format!("{:?}", world.platform.logs());
    stop(process).await;
    assert!(told.contains("http://***@127.0.0.1") && !told.contains("hush"), "{told}");
    // A proxy that is not there, and an endpoint in place of AWS.
    let endpoint = with_password(&world.server.endpoint_url());
    for command in ["fetch_flowlogs", "push_events", "validate_module_configuration"] {
        let module = with(world.module_as(command)).env("HTTP_PROXY", &proxy);
        let process = module.aws_endpoint(&endpoint).start();
        assert!(process.stderr().wait_for("could not", PATIENCE).await, "{}", process.stderr().text());
        let told = process.stderr().text();
        stop(process).await;
        assert!(!told.contains("hush"), "{told}");
    }
}

#[tokio::test]
async fn an_unknown_command_or_none_gets_the_list_of_commands() {
    for command in ["", "fetch", "--nonsense"] {
        let mut process = Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), command).start();
        let status = process.exited(SOON).await.unwrap();
        let stderr = process.stderr().text();
        assert_eq!(status.code(), Some(2), "{command}: {stderr}");
        for known in
            ["fetch_flowlogs", "push_events", "validate_module_configuration", "flowlog_records_trigger"]
        {
            assert!(stderr.contains(known), "{command}: {stderr}");
        }
    }
}

#[tokio::test]
async fn without_token_or_callback_it_says_where_it_looked() {
    let world = World::new().await;
    for name in ["token", "url_callback"] {
        let mut process = world.module().without_value(name).start();
        assert_eq!(process.exited(SOON).await.unwrap().code(), Some(1));
        let stderr = process.stderr().text();
        for part in [name.to_owned(), format!("/symphony/{name}"), name.to_uppercase()] {
            assert!(stderr.contains(&part), "{part}: {stderr}");
        }
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_one_critical_line_and_no_spinning() {
    let account = |region: Value| json!({"aws_access_key": ACCESS_KEY, "aws_secret_access_key": "hush", "aws_region_name": region});
    for (name, value, parts) in [
        ("trigger_configuration", "{not json".to_owned(), vec!["trigger configuration", "not JSON"]),
        ("trigger_configuration", json!({"frequency": 60}).to_string(), vec!["`bucket_name`", "missing"]),
        (
            "trigger_configuration",
            json!({"bucket_name": "b", "frequency": 0}).to_string(),
            vec!["`frequency`", "at least 1"],
        ),
        (
            "trigger_configuration",
            json!({"bucket_name": "b", "chunk_size": 0}).to_string(),
            vec!["`chunk_size`", "at least 1"],
        ),
        (
            "trigger_configuration",
            json!({"bucket_name": ["b"]}).to_string(),
            vec!["`bucket_name`", "must be text"],
        ),
        ("module_configuration", account(Value::Null).to_string(), vec!["`aws_region_name`", "missing"]),
        ("module_configuration", account(json!(7)).to_string(), vec!["`aws_region_name`", "must be text"]),
        (
            "module_configuration",
            r#"{"aws_secret_access_key": "hush""#.to_owned(),
            vec!["module configuration", "not JSON"],
        ),
    ] {
        let world = World::new().await;
        let process = world.module().value(name, &value).start();
        for part in parts {
            world.until_logged("critical", part).await;
        }
        let critical = world.platform.logs().iter().filter(|line| line.level == "critical").count();
        assert_eq!(critical, 1, "{:#?}", world.platform.logs());
        let requests = world.platform.received().len();
        stop(process).await;
        assert!(world.platform.received().len() <= requests + 1, "it was spinning");
        assert!(!format!("{:?}", world.platform.logs()).contains("hush"));
        assert_eq!(world.s3.requests().len(), 0);
    }
}

#[tokio::test]
async fn an_unknown_property_is_a_warning_that_names_it() {
    let mut world = World::new().await;
    world.argument("intake_key", "a-key");
    let process = world.start().await;
    world.until_logged("warning", "`intake_key`").await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
    assert!(!world.platform.logs().iter().any(|line| line.message.contains("a-key")));
}

#[tokio::test]
async fn a_placeholder_never_reaches_aws() {
    for secrets in [json!({}), json!({"aws_secret_access_key": null}), json!({"api_key": "k"})] {
        let world = World::with_secrets(secrets, Value::Null).await;
        let process = world.module().start();
        world.until_logged("critical", "did not hand over the secret `aws_secret_access_key`").await;
        stop(process).await;
        assert_eq!(world.s3.requests().len(), 0);
    }
}

#[tokio::test]
async fn secrets_of_the_trigger_take_the_place_of_their_placeholders() {
    let account = json!({ "aws_secret_access_key": SECRET });
    let mut world = World::with_secrets(account, json!({"bucket_name": BUCKET, "prefix": null})).await;
    world.argument("bucket_name", "placeholder");
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
}

#[tokio::test]
async fn answers_that_make_no_sense_are_told_with_the_url_and_without_the_token() {
    let elsewhere = Recorder::start().await;
    let redirect = format!("{}/elsewhere", elsewhere.url());
    let answer = |status, body: &str| Fault::Status(status, body.to_owned());
    let cases = [
        (answer(200, "{}"), "without an object `value`: {}"),
        (answer(200, r#"{"detail": "hush-hush"}"#), "without an object `value`: an object with `detail`"),
        (Fault::Html, "something that is no JSON: <html><body>Please sign in."),
        (answer(403, "<p>TOKEN</p>"), "was refused with 403 Forbidden: <p>(the token)</p>"),
        (Fault::Redirect(redirect), "was refused with 307 Temporary Redirect: a redirect to"),
    ];
    // Two at a time: the waits between attempts become longer.
    for cases in cases.chunks(2) {
        let world = World::new().await;
        let (token, url) = (world.platform.token(), world.platform.url_callback());
        for (fault, _) in cases {
            world.platform.script(Endpoint::Secrets).then(match fault {
                Fault::Status(status, body) => Fault::Status(*status, body.replace("TOKEN", token)),
                fault => fault.clone(),
            });
        }
        let process = world.start().await;
        for (_, told) in cases {
            world.until_logged("warning", told).await;
        }
        assert!(world.is_logged("warning", &format!("GET {}", url.replace("/callback", "/secrets"))));
        let told = process.stderr().text();
        stop(process).await;
        let logs = format!("{told} {:?}", world.platform.logs());
        assert!(!logs.contains(token) && !logs.contains("hush-hush"), "{logs}");
    }
    assert!(elsewhere.received().is_empty(), "a redirect was followed");
}

#[tokio::test]
async fn secrets_that_come_late_are_waited_for() {
    let mut world = World::new().await;
    world.platform.script(Endpoint::Secrets).then(Fault::status(503)).then(Fault::Html).then(Fault::Drop);
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
}

#[tokio::test]
async fn logs_that_the_platform_does_not_take_are_sent_again() {
    let mut world = World::new().await;
    world.platform.script(Endpoint::Logs).then_times(2, &Fault::status(503));
    let process = world.start().await;
    world.until_logged("info", "looking for flow logs").await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    assert!(process.stderr().wait_for("poll ended", PATIENCE).await);
    stop(process).await;
    assert!(world.is_logged("info", "poll ended"), "what was logged last is sent at the end");
    let secrets = world.platform.logs().iter().filter(|line| line.message.contains(SECRET)).count();
    assert_eq!(secrets, 0);
}
