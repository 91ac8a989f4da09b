//! From the first report to the last: orders to stop, and a platform that does not listen.

use support::eventually;
use support::intake::Intake;
use support::platform::Endpoint;
use support::recorder::Recorder;
use support::script::Fault;
use support::silent::SilentFile;

use crate::world::{END, INTAKE_KEY, PATIENCE, World, assert_contains};

async fn world() -> (Intake, World) {
    let intake = Intake::start(INTAKE_KEY).await;
    let world = World::new(&intake.server()).await;
    (intake, world)
}

#[tokio::test]
async fn the_other_name_of_the_command_works_too() {
    let (intake, world) = world().await;
    let world = world.argument("event", "a");
    let mut process =
        support::module::Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), "push-events-to-intake")
            .value("token", world.platform.token())
            .value("url_callback", world.run.url_callback())
            .value(
                "arguments",
                serde_json::json!({"intake_key": INTAKE_KEY, "intake_server": intake.server(), "event": "a"}),
            )
            .storage(world.run.storage())
            .start();
    assert_eq!(world.ended(&mut process, PATIENCE).await.told().error, None);
    assert_eq!(intake.events(), ["a"]);
}

#[tokio::test]
async fn an_order_to_stop_interrupts_the_wait_for_the_next_attempt() {
    let (intake, world) = world().await;
    let world = world.events_file(r#"["a", "b"]"#);
    intake.script().always(Fault::status(503));
    let mut process = world.start();
    assert!(process.stderr().wait_for("the intake did not take a chunk", PATIENCE).await);
    process.terminate();
    let outcome = world.ended(&mut process, END).await.told();
    let error = outcome.error.expect("an error");
    assert_contains(&error, &["stopped by the platform", "0 of at least 2 events", "no file is removed"]);
    assert!(!error.contains("may have been"), "no post was under way: {error}");
    assert_eq!(outcome.results, serde_json::json!({"event_ids": []}));
    assert!(world.has_events_file());
}

#[tokio::test]
async fn an_order_to_stop_does_not_wait_for_an_intake_that_hangs() {
    let (intake, world) = world().await;
    let world = world.events_file(r#"["a", "b"]"#);
    intake.script().always(Fault::Hang);
    let mut process = world.start();
    assert!(eventually(PATIENCE, || !intake.posts().is_empty()).await);
    process.interrupt();
    let error = world.ended(&mut process, END).await.told().error.expect("an error");
    assert_contains(
        &error,
        &["stopped by the platform", "0 of at least 2", "2 more may have been", "would repeat"],
    );
    assert!(world.has_events_file());
}

#[tokio::test]
async fn an_order_to_stop_is_obeyed_while_the_platform_hangs() {
    let (intake, world) = world().await;
    world.platform.script(Endpoint::Actions).always(Fault::Hang);
    let world = world.argument("event", "a");
    let mut process = world.start();
    assert!(eventually(PATIENCE, || !world.reports().is_empty()).await);
    process.terminate();
    let ended = world.ended(&mut process, END).await;
    assert!(ended.exit.success(), "{}", ended.output);
    assert!(intake.posts().is_empty());
}

#[tokio::test]
async fn an_order_to_stop_is_obeyed_while_a_file_never_answers() {
    // One that cannot even be opened, and one that is opened and not read.
    for is_opened in [false, true] {
        let (intake, world) = world().await;
        let world = world.argument("events_path", "events.json");
        let silent = SilentFile::at(world.path("events.json"));
        let mut process = world.start();
        assert!(eventually(PATIENCE, || world.reports().len() == 1).await);
        let held = if is_opened { silent.read_by_somebody(PATIENCE).await } else { None };
        assert_eq!(held.is_some(), is_opened);
        process.terminate();
        let error = world.ended(&mut process, END).await.told().error.expect("an error");
        assert_contains(&error, &["stopped by the platform before anything was sent"]);
        assert!(intake.posts().is_empty());
    }
}

#[tokio::test]
async fn a_run_that_the_platform_has_ended_itself_is_no_failure() {
    let (intake, world) = world().await;
    world.platform.script(Endpoint::Actions).then_normal(1).then(Fault::status(409));
    let world = world.argument("event", "a");
    let ended = world.run().await;
    assert!(ended.exit.success(), "{}", ended.output);
    assert_eq!(intake.events(), ["a"]);
    assert_eq!(world.reports().len(), 2);
}

#[tokio::test]
async fn a_run_that_may_not_begin_sends_nothing_and_says_so() {
    let (intake, world) = world().await;
    world.platform.script(Endpoint::Actions).then(Fault::status(404));
    let world = world.events_file(r#"["a"]"#);
    let (error, _) = world.fails().await;
    assert_contains(&error, &["404", "PATCH"]);
    assert!(intake.posts().is_empty());
    assert!(world.has_events_file());
}

#[tokio::test]
async fn a_redirect_carries_nothing_elsewhere() {
    let (intake, world) = world().await;
    let elsewhere = Recorder::start().await;
    world.platform.script(Endpoint::Actions).then(Fault::Redirect(elsewhere.url()));
    let world = world.events_file(r#"["a"]"#);
    let (error, _) = world.fails().await;
    assert_contains(&error, &["PATCH", world.run.url_callback(), "307", "redirect", &elsewhere.url()]);
    assert!(elsewhere.received().is_empty());
    assert!(intake.posts().is_empty());
}

#[tokio::test]
async fn a_beginning_that_makes_no_sense_ends_the_run_with_the_url_and_what_came() {
    for (answer, told) in [
        (Fault::Html, "something that is no JSON: <html>"),
        (Fault::Status(200, r#"{"hush": "hush-hush"}"#.to_owned()), "an object with `hush`"),
    ] {
        let (intake, world) = world().await;
        world.platform.script(Endpoint::Actions).then(answer);
        let world = world.events_file(r#"["a"]"#);
        let (error, _) = world.fails().await;
        assert_contains(&error, &["PATCH", world.run.url_callback(), told]);
        assert!(!error.contains("hush-hush"), "{error}");
        assert!(intake.posts().is_empty());
        assert!(world.has_events_file());
    }
}

#[tokio::test]
async fn what_cannot_be_told_to_the_platform_is_told_on_stderr() {
    let (intake, world) = world().await;
    world.platform.script(Endpoint::Actions).then_normal(1).always(Fault::status(403));
    let ended = world.argument("event", "a").run().await;
    assert_eq!(ended.exit.code(), Some(1));
    assert_contains(&ended.output, &["PATCH", "403"]);
    assert_eq!(intake.events(), ["a"]);

    let (_, world) = self::world().await;
    let ended = world.module(|module| module.without_value("token")).run().await;
    assert_eq!(ended.exit.code(), Some(1));
    assert_contains(&ended.output, &["`token`", "TOKEN"]);
}

#[tokio::test]
async fn missing_arguments_and_storage_are_told_to_the_platform() {
    let (_, world) = world().await;
    let world = world.module(|module| module.value("file_backend", "S3"));
    assert_contains(&world.argument("event", "a").fails().await.0, &["aws_bucket_name"]);
}
