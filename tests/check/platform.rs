//! The steps that ask the platform and its storage.

use serde_json::json;
use support::intake::Intake;
use support::platform::Endpoint;
use support::s3::{Operation, Rule, Server, Trouble};
use support::script::Fault;

use crate::world::{ACCESS_KEY, BUCKET, INTAKE_KEY, SECRET, World};

/// A world in which all is well.
async fn well() -> World {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.an_hour_of(&flow_log, 10);
    world
}

#[tokio::test]
async fn a_platform_that_is_gone_is_told_and_the_storage_is_checked_all_the_same() {
    let world = well().await;
    let gone = format!("http://127.0.0.1:{}/api/callback/trigger", support::free_port());
    let checked = world.check_as(world.module().value("url_callback", gone)).await;
    checked.is("secrets", "failed", &["/api/secrets/trigger", "no answer", "reaches the platform's host"]);
    checked.is("callback", "failed", &["/api/callback/trigger", "no answer"]);
    checked.are_skipped(&["account", "keys", "list"], "secrets");
    checked.is("trigger", "ok", &[BUCKET]);
    checked.is("storage", "ok", &["written and removed"]);
}

#[tokio::test]
async fn a_token_that_the_platform_refuses_is_told_and_not_repeated() {
    let world = well().await;
    let checked = world.check_as(world.module().value("token", "an old one")).await;
    checked.is("secrets", "failed", &["401", "check `token`"]);
    assert!(!checked.text.contains("an old one"), "{}", checked.text);
    world.platform.script(Endpoint::Secrets).always(Fault::status(503));
    world.check().await.is("secrets", "failed", &["503", "try again later"]);
}

#[tokio::test]
async fn without_a_platform_the_rest_is_checked_with_the_accounts_own_secret() {
    let world = well().await;
    let by_hand = |secret: &str| {
        let account = json!({"aws_access_key": ACCESS_KEY, "aws_secret_access_key": secret, "aws_region_name": "eu-west-3"});
        let module = world.module().value("module_configuration", account);
        module.without_value("token").without_value("url_callback")
    };
    let checked = world.check_as(by_hand(SECRET)).await;
    checked.is("secrets", "skipped", &["there is no platform"]);
    checked.is("callback", "skipped", &["there is no platform"]);
    checked.all_ok_but(&["secrets", "callback"]);
    assert_eq!(checked.code, 0);
    assert!(world.platform.received().is_empty());

    let checked = world.check_as(by_hand("**********")).await;
    checked.is("account", "failed", &["only a placeholder", "the secret itself"]);
    checked.are_skipped(&["keys", "list"], "account");
}

#[tokio::test]
async fn values_that_are_missing_or_wrong_are_named() {
    let mut world = well().await;
    let checked = world.check_as(world.module().without_value("trigger_configuration")).await;
    checked.is("trigger", "failed", &["TRIGGER_CONFIGURATION"]);
    checked.is("keys", "ok", &[]);
    checked.are_skipped(&["region", "list"], "trigger");
    let checked = world.check_as(world.module().without_value("token")).await;
    checked.is("secrets", "failed", &["TOKEN", "set both"]);
    world.argument("chunk_size", "many");
    world.check().await.is("trigger", "failed", &["`chunk_size`"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_into_is_told() {
    let world = well().await;
    let file = world.storage.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let checked = world.check_as(world.module().storage(file.join("storage"))).await;
    checked.is("storage", "failed", &["a-file", "may write into it"]);
    checked.all_ok_but(&["storage"]);
    assert_eq!(checked.code, 1);
}

#[tokio::test]
async fn the_state_of_a_trigger_is_found_and_left_as_it_is() {
    the_state_is_found(&well().await, "fetch_flowlogs").await;
}

#[tokio::test]
async fn the_state_of_a_connector_that_is_used_as_a_trigger_is_its_own() {
    let mut world = well().await;
    let intake = Intake::start(INTAKE_KEY).await;
    world.argument("intake_key", INTAKE_KEY);
    world.argument("intake_server", intake.server());
    the_state_is_found(&world, "collect_flowlogs").await;
}

async fn the_state_is_found(world: &World, command: &str) {
    world.check().await.is("storage", "ok", &["there is no state yet"]);
    let mut trigger = world.trigger(command).value("liveness_port", support::free_port());
    trigger = trigger.value("metrics_port", support::free_port());
    let mut trigger = trigger.start();
    let state = world.storage.path().join("aws-flowlogs_state");
    assert!(support::eventually(std::time::Duration::from_secs(30), || state.exists()).await);
    trigger.kill();
    trigger.exited(std::time::Duration::from_secs(30)).await.unwrap();
    let other = World::new().await;
    // That platform has nothing yet from the trigger, whose lines would pass for those of the check.
    let module = world.module().value("token", other.platform.token());
    let module = module.value("url_callback", other.platform.url_callback()).argument("--json");
    let (code, report, _) = world.run(module).await;
    assert!(code == 0 && report.contains("there is a state"), "{report}");
    assert!(other.platform.events().is_empty() && other.platform.logs().is_empty());
    let folder = std::fs::read_dir(&state).unwrap().next().unwrap().unwrap().path();
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(!names.is_empty() && !names.iter().any(|name| name.contains("check")), "{names:?}");
}

#[tokio::test]
async fn a_bucket_for_a_storage_is_written_into_and_left_empty() {
    let world = well().await;
    let server = Server::start("AKIAOFTHEPLATFORM", "the platform's own").await;
    let bucket = server.control();
    bucket.create_bucket("platform-storage");
    let module = [
        ("file_backend", "S3"),
        ("sub_folder", "tenant-1"),
        ("aws_bucket_name", "platform-storage"),
        ("aws_access_key_id", "AKIAOFTHEPLATFORM"),
        ("aws_secret_access_key", "the platform's own"),
        ("aws_default_region", "eu-west-3"),
        ("aws_s3_endpoint_url", &server.endpoint_url()),
    ];
    let module = module.into_iter().fold(world.module(), |module, (name, value)| module.value(name, value));
    let checked = world.check_as(module.clone()).await;
    checked.all_ok_but(&[]);
    assert!(bucket.count(Operation::Put) > 0 && bucket.keys("platform-storage").is_empty());

    bucket.add_rule(Rule::new(Operation::Put, Trouble::ACCESS_DENIED));
    let checked = world.check_as(module).await;
    checked.is("storage", "failed", &["s3://platform-storage/tenant-1/", "AccessDenied"]);
    assert!(!checked.text.contains("the platform's own"));
}

#[tokio::test]
async fn an_order_to_stop_is_obeyed_while_the_platform_hangs() {
    let world = well().await;
    world.platform.script(Endpoint::Secrets).always(Fault::Hang);
    let mut process = world.module().start();
    let asked = || !world.platform.received().is_empty();
    assert!(support::eventually(std::time::Duration::from_secs(30), asked).await);
    process.interrupt();
    let exit = process.exited(std::time::Duration::from_secs(10)).await.expect("it ends");
    assert_eq!(exit.code(), Some(1));
    assert!(process.stderr().contain("the check was stopped"), "{}", process.stderr().text());
}

#[tokio::test]
async fn wrong_usage_is_told_with_the_usage() {
    let world = World::new().await;
    let (code, stdout, stderr) = world.run(world.module().argument("--yaml")).await;
    assert_eq!((code, stdout.trim()), (2, ""));
    assert!(stderr.contains("--yaml"), "{stderr}");
}
