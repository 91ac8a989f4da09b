//! The trigger: secrets, events and logs under every kind of answer.

use serde_json::json;
use support::eventually;
use support::platform::Endpoint::{Events, Logs, Secrets};
use support::recorder::Recorder;
use support::script::Fault;

use crate::comparison::{both, differs, same};
use crate::differences::{Row, row};
use crate::world::{Case, Given, PATIENCE, Side, World};

const DELAY: std::time::Duration = std::time::Duration::from_millis(300);

fn trigger() -> Case {
    Case::new("fetch_flowlogs")
}

fn answer(status: u16, body: &str) -> Fault {
    Fault::Status(status, body.to_owned())
}

#[tokio::test]
async fn values_come_in_any_form() {
    tokio::join!(same(trigger()), same(trigger().given(Given::Base64)), same(trigger().given(Given::Files)),);
}

#[tokio::test]
async fn secrets_are_asked_for_until_they_come() {
    tokio::join!(
        same(trigger().fault(Secrets, Fault::status(503)).fault(Secrets, Fault::Drop)),
        same(trigger().fault(Secrets, Fault::Html).fault(Secrets, answer(200, ""))),
        same(trigger().fault(Secrets, Fault::status(401)).fault(Secrets, answer(204, ""))),
        same(trigger().fault(Secrets, Fault::status(409)).fault(Secrets, Fault::Delay(DELAY))),
    );
}

#[tokio::test]
async fn an_event_is_sent_until_it_is_taken() {
    tokio::join!(
        same(trigger().fault(Events, Fault::status(503)).fault(Events, Fault::Drop)),
        same(trigger().fault(Events, Fault::Delay(DELAY))),
        same(trigger().fault(Events, answer(204, "").after_acceptance())),
        same(trigger().fault(Events, answer(200, "").after_acceptance())),
        same(trigger().fault(Events, Fault::Html.after_acceptance())),
    );
}

#[tokio::test]
async fn an_event_that_is_refused_is_not_another_event() {
    tokio::join!(
        differs("event refused with 4xx", trigger().fault(Events, Fault::status(400))),
        differs("event refused with 409", trigger().fault(Events, Fault::status(409))),
        differs("too many events", trigger().fault(Events, Fault::status(429))),
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Recorder::start().await;
    let redirect = Fault::Redirect(format!("{}/elsewhere", elsewhere.url()));
    let case = trigger().fault(Events, redirect);
    // The SDK takes the answer from elsewhere for an acceptance.
    let ours = case.record(Side::Ours).await;
    assert!(elsewhere.received().is_empty(), "{:?}", elsewhere.received());
    let mut world = World::new(&case).await;
    let process = world.module(&case, Side::Reference).start();
    assert!(eventually(PATIENCE, || !elsewhere.received().is_empty()).await);
    process.terminate();
    let reference = world.ended(process).await;
    let sent = elsewhere.received().remove(0);
    assert_eq!(sent.json()["event"], json!({"records_path": "event.json"}));
    let reference = format!("{}; the event goes elsewhere", reference.summary());
    assert_eq!(Row { reference, ours: ours.summary() }, row("event redirected"));
}

#[tokio::test]
async fn log_lines_are_sent_until_they_are_taken() {
    let case = trigger().fault(Logs, Fault::status(503)).fault(Logs, Fault::status(400)).until_logged();
    let (reference, ours) = both(&case).await;
    for side in [&reference, &ours] {
        let posts: Vec<_> = side.requests.iter().filter(|post| post.endpoint == Some(Logs)).collect();
        let lines = |index: usize| posts[index].json()["logs"].as_array().cloned().unwrap();
        assert!(posts.len() >= 3, "refused twice, then taken: {}", side.stderr);
        let taken: Vec<_> = (2..posts.len()).flat_map(lines).collect();
        for line in lines(0) {
            assert_eq!(taken.iter().filter(|taken| **taken == line).count(), 1, "{line}: {}", side.stderr);
        }
    }
    assert_eq!(ours.log_forms(), reference.log_forms());
    assert_eq!(ours.exchanges(), reference.exchanges());
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_critical() {
    let mut case = trigger();
    case.trigger_configuration = json!({"frequency": 1});
    let (reference, ours) = both(&case).await;
    assert_eq!(ours.summary(), reference.summary());
    for side in [&reference, &ours] {
        assert!(side.log_levels().contains("critical"), "{}", side.stderr);
    }
    let mut case = trigger();
    case.module_configuration.as_object_mut().unwrap().remove("aws_region_name");
    differs("account incomplete", case).await;
}
