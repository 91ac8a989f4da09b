//! The validation of the account: the real binary between a platform and STS.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the code of a test outside its functions: what breaks ends the test"
)]

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use support::eventually;
use support::identity::{AUDIENCE, ISSUER};
use support::module::Module;
use support::platform::{ActionRun, Endpoint, Platform, Received, Setup};
use support::s3::{Role, Server, Trust};
use support::script::Fault;

/// How long a test waits for what must come to pass; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time in which the process must be gone after SIGTERM.
const END: Duration = Duration::from_secs(10);

const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

struct World {
    sts: Server,
    platform: Platform,
    run: ActionRun,
}

impl World {
    /// An account at AWS, and a platform that keeps `secret` for it.
    async fn new(secret: &str) -> Self {
        let sts = Server::start(ACCESS_KEY, SECRET).await;
        let secrets = json!({ "aws_secret_access_key": secret });
        let platform = Platform::start(Setup::new("/nowhere").module_secrets(secrets)).await;
        let run = platform.validation_run();
        Self { sts, platform, run }
    }

    fn module(&self, configuration: &Value) -> Module {
        Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), "validate_module_configuration")
            .value("module_configuration", configuration)
            .value("token", self.platform.token())
            .value("url_callback", self.run.url_callback())
            .env("AWS_ENDPOINT_URL_STS", self.sts.endpoint_url())
            // What the platform's own storage is reached with must never be used for the customer's account.
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_SESSION_TOKEN", "not for the customer's account")
            .env("AWS_REGION", "mars-north-1")
            .env("AWS_PROFILE", "platform")
    }

    /// Runs the validation. Gives the error, `None` for a success, after proof that no secret was told.
    async fn validate(&self, module: Module) -> Option<String> {
        let mut process = module.start();
        let exit = process.exited(PATIENCE).await.expect("the process ends");
        let output = process.stderr().text();
        assert!(exit.success(), "{output}");
        let reports = self.platform.received_at(Endpoint::Actions);
        let bodies: Vec<Value> = reports.iter().map(Received::json).collect();
        let told = format!("{output} {bodies:?}");
        assert!(!told.contains(SECRET) && !told.contains(self.platform.token()), "a secret is told: {told}");
        let [running, finished] = bodies.as_slice() else { panic!("two reports: {bodies:?}") };
        assert_eq!(*running, json!({"status": "running"}));
        let error = finished.get("error").map(|error| error.as_str().expect("a text").to_owned());
        let mut expected = json!({"status": "finished", "results": {"success": error.is_none()}});
        if let Some(error) = &error {
            expected["error"] = error.as_str().into();
        }
        assert_eq!(*finished, expected);
        error
    }
}

fn account() -> Value {
    json!({"aws_access_key": ACCESS_KEY, "aws_secret_access_key": "placeholder", "aws_region_name": "eu-west-3"})
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut account = account();
    account[name] = value.into();
    account
}

#[track_caller]
fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[tokio::test]
async fn an_account_that_works_is_valid_and_named_in_the_log() {
    let world = World::new(SECRET).await;
    let mut process = world.module(&account()).start();
    process.exited(PATIENCE).await.expect("the process ends");
    assert!(process.stderr().contain("arn:aws:iam::111111111111:user/"), "{}", process.stderr().text());
    assert_eq!(world.run.outcome().expect("a last report").results, json!({"success": true}));
    // White space around a value comes from copying it, and the trigger does not mind it either.
    let world = World::new(&format!("{SECRET} ")).await;
    let configuration = with("aws_access_key", format!(" {ACCESS_KEY}\n"));
    assert_eq!(world.validate(world.module(&configuration)).await, None);
}

#[tokio::test]
async fn a_role_that_can_be_assumed_is_valid_and_another_is_told_with_what_to_do() {
    const ROLE: &str = "arn:aws:iam::111111111111:role/SekoiaIOConnectorRole";
    let configuration = json!({"aws_role_arn": ROLE, "aws_region_name": "eu-west-3"});
    let world = World::new(SECRET).await;
    let error = world.validate(world.module(&configuration)).await.expect("an error");
    assert_contains(&error, &[ROLE, "create the identity provider in IAM"]);

    let world = World::new(SECRET).await;
    let control = world.sts.control();
    control.sessions().add_provider(ISSUER, &[AUDIENCE]);
    let (trust, life) = (Trust::in_platform(), SignedDuration::from_hours(1));
    control.sessions().add(Role { arn: ROLE.to_owned(), trust, life });
    assert_eq!(world.validate(world.module(&configuration)).await, None);
    // What is validated is the run of an action, to the platform.
    let asked = world.platform.received_at(Endpoint::Identity);
    let run = world.run.url_callback().rsplit('/').nth(1).unwrap().to_owned();
    assert_eq!(asked[0].query, format!("node_type=action&node_uuid={run}&audience={AUDIENCE}"));
}

#[tokio::test]
async fn what_is_wrong_is_told_by_the_name_of_the_field() {
    for (configuration, secret, parts) in [
        (with("aws_access_key", "AKIAUNKNOWN"), SECRET, ["`aws_access_key`", "InvalidClientTokenId"]),
        (account(), "something else", ["`aws_secret_access_key`", "SignatureDoesNotMatch"]),
        (with("aws_access_key", "ASIATEMPORARY"), SECRET, ["`aws_access_key`", "session token"]),
        (
            with("aws_access_key", ""),
            SECRET,
            ["`aws_role_arn`", "both `aws_access_key` and `aws_secret_access_key`"],
        ),
        (with("aws_region_name", 3), SECRET, ["`aws_region_name`", "must be text"]),
        (json!({}), SECRET, ["`aws_region_name`", "missing"]),
        (json!([]), SECRET, ["module configuration", "not a JSON object"]),
    ] {
        let world = World::new(secret).await;
        let error = world.validate(world.module(&configuration)).await.expect("an error");
        assert_contains(&error, &parts);
    }
}

#[tokio::test]
async fn only_the_module_configuration_and_an_endpoint_count() {
    // The environment holds keys that work, and these must not help an account that does not.
    let world = World::new("something else").await;
    let module = world
        .module(&account())
        .env("AWS_ENDPOINT_URL_STS", "")
        .env("AWS_ENDPOINT_URL", world.sts.endpoint_url());
    assert_contains(&world.validate(module).await.expect("an error"), &["SignatureDoesNotMatch"]);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_named_with_the_region() {
    let world = World::new(SECRET).await;
    let port = support::free_port();
    let module = world.module(&account()).env("AWS_ENDPOINT_URL_STS", format!("http://127.0.0.1:{port}"));
    let error = world.validate(module).await.expect("an error");
    assert_contains(&error, &["cannot reach AWS", &port.to_string(), "`aws_region_name` (eu-west-3)"]);
}

#[tokio::test]
async fn an_answer_that_is_not_one_of_aws_is_told() {
    let world = World::new(SECRET).await;
    // An intake is no STS.
    let other = support::intake::Intake::start("key").await;
    let module = world.module(&account()).env("AWS_ENDPOINT_URL_STS", other.server());
    let error = world.validate(module).await.expect("an error");
    assert_contains(&error, &[&other.server(), "not one of AWS", "404"]);
}

#[tokio::test]
async fn a_region_that_cannot_be_one_is_told_without_a_call() {
    for region in ["Paris", "Europe (Paris)", "eu-west-3a", "EU-WEST-3", "eu-west"] {
        let world = World::new(SECRET).await;
        let module = world.module(&with("aws_region_name", region)).env("AWS_ENDPOINT_URL_STS", "");
        let error = world.validate(module).await.expect("an error");
        assert_contains(&error, &["`aws_region_name`", &format!("{region:?}"), "eu-west-3"]);
    }
}

#[tokio::test]
async fn without_secrets_from_the_platform_the_error_says_so() {
    let world = World::new(SECRET).await;
    let answer = r#"{"module_configuration": {"value": {}}}"#.to_owned();
    world.platform.script(Endpoint::Actions).then(Fault::Status(200, answer));
    let error = world.validate(world.module(&account())).await.expect("an error");
    assert_contains(&error, &["did not hand over the secret `aws_secret_access_key`"]);
    assert!(world.sts.control().requests().is_empty(), "a placeholder was used");
}

#[tokio::test]
async fn an_order_to_stop_is_obeyed_while_the_platform_hangs() {
    let world = World::new(SECRET).await;
    world.platform.script(Endpoint::Actions).always(Fault::Hang);
    let mut process = world.module(&account()).start();
    assert!(eventually(PATIENCE, || !world.platform.received_at(Endpoint::Actions).is_empty()).await);
    let exit = process.stop(END).await.expect("the process ends");
    assert!(exit.success(), "{}", process.stderr().text());
}
