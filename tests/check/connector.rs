//! The check of a connector: the steps that ask the intake.

use support::intake::Intake;
use support::script::Fault;

use crate::world::{BUCKET, INTAKE_KEY, World};

/// A world in which all is well, and its intake.
async fn well() -> (World, Intake) {
    let (mut world, intake) = (World::new().await, Intake::start(INTAKE_KEY).await);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.an_hour_of(&flow_log, 10);
    world.argument("intake_key", INTAKE_KEY);
    world.argument("intake_server", intake.server());
    (world, intake)
}

#[tokio::test]
async fn a_connector_that_would_work_is_told_so_and_the_intake_gets_no_event() {
    for compress in [false, true] {
        let (mut world, intake) = well().await;
        world.argument("compress", compress);
        let checked = world.check_as(world.connector()).await;
        checked.all_ok_but(&[]);
        checked.is("connector", "ok", &[BUCKET, &format!("{}/batch", intake.server())]);
        checked.is("intake", "ok", &["/batch without events: accepted"]);
        for step in ["trigger", "callback"] {
            assert!(!checked.text.contains(&format!("\nok       {step}")), "{}", checked.text);
        }
        let posts = intake.posts();
        assert_eq!((posts.len(), intake.count()), (2, 0), "one request for each of two checks, no event");
        assert!(posts.iter().all(|post| post.status == 200 && post.is_gzip == compress));
    }
}

#[tokio::test]
async fn the_platforms_own_intake_is_asked_where_the_user_names_none() {
    let (mut world, intake) = well().await;
    world.argument("intake_server", "");
    let checked = world.check_as(world.connector().value("intake_url", intake.server())).await;
    checked.is("intake", "ok", &[&intake.server()]);
}

#[tokio::test]
async fn a_key_that_the_intake_does_not_take_is_told() {
    let (mut world, intake) = well().await;
    world.argument("intake_key", "the-key-of-another-intake");
    let checked = world.check_as(world.connector()).await;
    checked.is(
        "intake",
        "failed",
        &["401", "the intake key is unknown", "copy the key from the intake's page"],
    );
    checked.all_ok_but(&["intake"]);
    assert!(!checked.text.contains("the-key-of-another-intake"), "{}", checked.text);

    world.argument("intake_key", INTAKE_KEY);
    intake.script().always(Fault::Status(403, format!("{INTAKE_KEY} may not do that")));
    let checked = world.check_as(world.connector()).await;
    checked.is("intake", "failed", &["403 Forbidden: *** may not do that", "copy the key"]);
    assert_eq!(checked.code, 1);
}

#[tokio::test]
async fn an_intake_that_does_not_answer_is_told_with_its_url() {
    let (mut world, intake) = well().await;
    let gone = format!("http://127.0.0.1:{}", support::free_port());
    let wrong_scheme = intake.server().replace("http://", "https://");
    for server in [gone, wrong_scheme, "http://intake.invalid".to_owned()] {
        world.argument("intake_server", server.as_str());
        let checked = world.check_as(world.connector()).await;
        let url = format!("POST {server}/batch");
        checked.is("intake", "failed", &[&url, "no answer", "the key was not checked", "reaches its host"]);
        checked.all_ok_but(&["intake"]);
    }
    intake.script().always(Fault::Drop);
    world.argument("intake_server", intake.server());
    world.check_as(world.connector()).await.is("intake", "failed", &["no answer"]);
}

#[tokio::test]
async fn whatever_answers_in_the_place_of_the_intake_is_told() {
    let (world, intake) = well().await;
    let elsewhere = Intake::start(INTAKE_KEY).await;
    let check_server = "check `intake_server`";
    for (fault, outcome, parts) in [
        (Fault::Html, "failed", ["in the place of the intake's answer", check_server]),
        (Fault::Redirect(format!("{}/batch", elsewhere.server())), "failed", ["not followed", check_server]),
        (Fault::Status(200, "OK".to_owned()), "warning", ["no `event_ids`: OK", check_server]),
        (Fault::Status(200, r#"{"error": "no"}"#.to_owned()), "warning", ["no `event_ids`", check_server]),
        (Fault::status(405), "failed", ["405", check_server]),
        (Fault::status(429), "failed", ["429", "check again later"]),
        (Fault::status(503), "failed", ["503", "check again later"]),
        (Fault::status(400), "warning", ["400", "the key was not checked"]),
        (Fault::status(422), "warning", ["422", "the key was not checked"]),
    ] {
        intake.script().clear();
        intake.script().always(fault);
        let checked = world.check_as(world.connector()).await;
        checked.is("intake", outcome, &parts);
        checked.all_ok_but(&["intake"]);
    }
    assert_eq!(elsewhere.posts().len(), 0, "the key went to another server");
}

#[tokio::test]
async fn a_typo_in_the_url_is_told() {
    let (mut world, intake) = well().await;
    world.argument("intake_server", format!("{}/intake-htpp", intake.server()));
    let checked = world.check_as(world.connector()).await;
    checked.is("intake", "failed", &["/intake-htpp/batch", "404", "check `intake_server`"]);

    world.argument("intake_server", "htps://intake.sekoia.io");
    let checked = world.check_as(world.connector()).await;
    checked.is(
        "connector",
        "failed",
        &["`intake_server` must be an http or https URL", "on the intake's page"],
    );
    checked.are_skipped(&["region", "intake"], "connector");
    checked.is("storage", "ok", &[]);
}
