//! What is configured wrong is said in words that help, to the platform where it can be reached.

use std::time::Duration;

use serde_json::{Value, json};
use support::free_port;
use support::module::Module;
use support::platform::Endpoint;
use support::recorder::Recorder;
use support::s3::{Operation, Rule, Trouble};
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

/// Starts the trigger and checks that its configuration is refused: one critical line with each of these parts, no
/// spinning, and no more than one call to S3. Gives the calls.
async fn refused(world: &World, module: Module, parts: &[&str]) -> usize {
    let process = module.start();
    for part in parts {
        world.until_logged("critical", part).await;
    }
    let critical = world.platform.logs().iter().filter(|line| line.level == "critical").count();
    assert_eq!(critical, 1, "{:#?}", world.platform.logs());
    stop(process).await;
    let calls = world.s3.requests().len();
    assert!(calls <= 1, "{:#?}", world.s3.requests());
    calls
}

#[tokio::test]
async fn what_can_be_no_bucket_is_refused_without_a_call_and_with_the_right_form() {
    let right = ["enter `acme-flow-logs` there", "`AWSLogs/` as `prefix`"];
    for (name, parts) in [
        ("s3://acme-flow-logs/AWSLogs/", &right[..]),
        ("arn:aws:s3:::acme-flow-logs/AWSLogs/*", &right),
        ("acme flow logs", &["3 to 255 letters"]),
        ("arn:aws:iam::111122223333:user/flow-logs", &["something else"]),
        // The SDK makes no request of it: at AWS for want of a name, here because an address stands in for S3's.
        ("arn:aws:s3:eu-west-3:111122223333:accesspoint", &["AWS cannot be asked", "no request can be made"]),
    ] {
        let mut world = World::new().await;
        let module = world.argument("bucket_name", name).module();
        assert_eq!(refused(&world, module, parts).await, 0, "{name}");
    }
}

#[tokio::test]
async fn a_bucket_is_found_by_its_arn_and_its_url_of_s3() {
    for name in ["arn:aws:s3:::acme-flow-logs", "s3://acme-flow-logs/"] {
        let mut world = World::new().await;
        world.argument("bucket_name", name);
        let process = world.start().await;
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        world.put(&flow_log, 5, 10);
        world.all_arrive(&process).await;
        stop(process).await;
        let state = std::fs::read_dir(world.storage.path().join("aws-flowlogs_state")).unwrap();
        let state: Vec<_> = state.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // Another form of the same name is the same state.
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, b"s3://acme-flow-logs/AWSLogs/");
        assert_eq!(state, [format!("acme-flow-logs_{id}")]);
    }
}

#[tokio::test]
async fn a_region_or_a_key_that_can_be_none_is_refused_without_a_call() {
    let account = |name: &str, value: &str| {
        let mut account = json!({"aws_access_key": ACCESS_KEY, "aws_secret_access_key": "placeholder", "aws_region_name": "eu-west-3"});
        account[name] = value.into();
        account
    };
    for (name, value, parts) in [
        (
            "aws_region_name",
            "Europe (Paris)",
            ["`aws_region_name` is \"Europe (Paris)\"", "must look like eu-west-3"],
        ),
        ("aws_region_name", "eu-west-3a", ["`aws_region_name` is \"eu-west-3a\"", ": enter eu-west-3;"]),
        ("aws_region_name", "EU-WEST-3", ["`aws_region_name` is \"EU-WEST-3\"", ": enter eu-west-3;"]),
        ("aws_access_key", "ASIAIOSFODNN7EXAMPLE", ["`aws_access_key`", "session token"]),
        ("aws_access_key", "\"AKIAIOSFODNN7EXAMPLE\"", ["`aws_access_key`", "without quotes"]),
    ] {
        let world = World::new().await;
        let module = world.module().value("module_configuration", account(name, value));
        // At AWS itself: a server that stands in for it names its regions and keys as it likes.
        let module = module.env("AWS_ENDPOINT_URL_S3", "");
        assert_eq!(refused(&world, module, &parts).await, 0, "{value}");
    }
    let world =
        World::with_secrets(json!({"aws_secret_access_key": format!("'{SECRET}'")}), Value::Null).await;
    let module = world.module().env("AWS_ENDPOINT_URL_S3", "");
    assert_eq!(refused(&world, module, &["`aws_secret_access_key` has characters"]).await, 0);
}

#[tokio::test]
async fn a_prefix_in_the_form_of_a_mistake_is_refused_if_nothing_lies_below_it() {
    for (prefix, right) in [
        ("/AWSLogs/", "begins with a /"),
        (" AWSLogs/", "spaces or quotes"),
        ("s3://acme-flow-logs/AWSLogs/", "names a bucket"),
        ("arn:aws:s3:::acme-flow-logs/AWSLogs/", "names a bucket"),
        ("acme-flow-logs/AWSLogs/", "the bucket's name"),
        ("AWSLogs/*", "a pattern"),
    ] {
        let mut world = World::new().await;
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        world.put(&flow_log, 5, 10);
        let module = world.argument("prefix", prefix).module();
        let enter = ["`prefix`, and it", right, "enter `AWSLogs/`"];
        assert_eq!(refused(&world, module, &enter).await, 1, "{prefix}");
    }
    // A policy for the right prefix denies to list the wrong one.
    let mut world = World::new().await;
    world.s3.add_rule(Rule::new(Operation::List, Trouble::ACCESS_DENIED));
    let module = world.argument("prefix", "/AWSLogs/").module();
    assert_eq!(refused(&world, module, &["enter `AWSLogs/`"]).await, 1);
    let mut world = World::new().await;
    let module = world.argument("prefix", "x".repeat(1025)).module();
    assert_eq!(refused(&world, module, &["`prefix` is longer than 1024 bytes"]).await, 0);
}

#[tokio::test]
async fn keys_that_really_begin_so_are_delivered() {
    for prefix in ["/", " odd ", "acme-flow-logs/", "a*b/", "100%20/"] {
        let mut world = World::new().await;
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        let object = world.object(&flow_log, 5, 10);
        world.s3.put(BUCKET, &format!("{prefix}{}", object.key), object.body());
        world.expected.extend(object.records.iter().cloned());
        world.argument("prefix", prefix).argument("start_from", "beginning");
        let process = world.start().await;
        world.all_arrive(&process).await;
        stop(process).await;
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
