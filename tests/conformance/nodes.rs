//! The action and the validation: the two reports of each, under every kind of answer.

use support::platform::Endpoint::Actions;
use support::script::Fault;

use crate::comparison::{both, differs, same};
use crate::differences::{Row, row};
use crate::world::{Case, Given, Recorded};

const DELAY: std::time::Duration = std::time::Duration::from_millis(300);

fn action() -> Case {
    Case::new("push_events")
}

fn validation() -> Case {
    Case::new("validate_module_configuration")
}

fn answer(status: u16, body: &str) -> Fault {
    Fault::Status(status, body.to_owned())
}

/// The end of a run meets `fault`.
fn at_the_end(case: Case, fault: Fault) -> Case {
    case.normal(Actions).fault(Actions, fault)
}

#[tokio::test]
async fn values_come_in_any_form() {
    tokio::join!(
        same(action()),
        same(action().given(Given::Base64)),
        same(action().given(Given::Files)),
        same(validation()),
        same(validation().given(Given::Base64)),
        same(validation().given(Given::Files)),
    );
}

#[tokio::test]
async fn an_action_that_begins() {
    tokio::join!(
        same(action().fault(Actions, Fault::status(503)).fault(Actions, Fault::Delay(DELAY))),
        same(action().fault(Actions, Fault::Drop)),
        same(action().fault(Actions, Fault::status(404))),
        same(action().fault(Actions, Fault::status(409))),
        same(action().fault(Actions, Fault::Html)),
        same(action().fault(Actions, answer(200, ""))),
        same(action().fault(Actions, answer(204, ""))),
        same(action().fault(Actions, answer(200, r#"{"module_configuration": {}}"#))),
        differs("action begins too often", action().fault(Actions, Fault::status(429))),
    );
}

#[tokio::test]
async fn an_error_is_in_the_logs_too() {
    let (reference, ours) = both(&action().fault(Actions, Fault::Html)).await;
    let keys = |side: &Recorded| {
        let report = side.requests.last().unwrap().json();
        report.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(", ")
    };
    assert_eq!(Row { reference: keys(&reference), ours: keys(&ours) }, row("report of an error"));
}

#[tokio::test]
async fn an_action_that_ends() {
    tokio::join!(
        same(at_the_end(action(), Fault::status(503))),
        same(at_the_end(action(), Fault::Drop)),
        same(at_the_end(action(), Fault::Delay(DELAY))),
        same(at_the_end(action(), Fault::status(409))),
        same(at_the_end(action(), Fault::status(404))),
        same(at_the_end(action(), answer(204, "").after_acceptance())),
        same(at_the_end(action(), Fault::Html.after_acceptance())),
        same(at_the_end(action(), answer(200, "").after_acceptance())),
    );
}

#[tokio::test]
async fn a_validation() {
    tokio::join!(
        same(validation().fault(Actions, Fault::status(503))),
        same(validation().fault(Actions, Fault::Drop)),
        same(at_the_end(validation(), Fault::status(503))),
        same(at_the_end(validation(), Fault::status(404))),
        same(at_the_end(validation(), Fault::Delay(DELAY))),
        same(at_the_end(validation(), answer(204, "").after_acceptance())),
        same(at_the_end(validation(), Fault::Html.after_acceptance())),
    );
}

#[tokio::test]
async fn a_validation_tells_what_keeps_it_from_beginning() {
    tokio::join!(
        differs("validation may not begin", validation().fault(Actions, Fault::status(404))),
        differs("validation without secrets", validation().fault(Actions, Fault::Html)),
        differs("validation ended by the platform", at_the_end(validation(), Fault::status(409))),
    );
}
