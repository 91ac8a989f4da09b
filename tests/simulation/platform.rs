//! The platform and the intake: they take events, or refuse them, or take them and their answer is lost.

use std::path::Path;
use std::sync::Arc;

use aws_flowlogs::intake::client::{Failure, Meaning};
use aws_flowlogs::platform::callback::CallbackError;
use aws_flowlogs::platform::rope::Rope;
use aws_flowlogs::platform::wire::Event;
use aws_flowlogs::sink::intake::Requests;
use aws_flowlogs::sink::playbook::Runs;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::world::{Fault, State, World};

/// The platform as one instance sees it.
#[derive(Debug)]
pub(crate) struct SimulatedPlatform {
    pub(crate) world: Arc<World>,
    pub(crate) instance: usize,
}

impl SimulatedPlatform {
    /// Takes an event with its file, as the platform copies it before it answers.
    fn accept(&self, state: &mut State, event: &Event<'_>) {
        let path = Path::new(event.directory).join(event.event["records_path"].as_str().unwrap());
        let file =
            state.files.get(&path).unwrap_or_else(|| panic!("an event names {path:?}, which is not there"));
        let records: Vec<String> = serde_json::from_slice(file).unwrap();
        state.deliveries.accepted(self.instance, event.request_id, records);
    }
}

impl Runs for SimulatedPlatform {
    fn send<'a>(&'a self, event: &'a Event<'a>) -> BoxFuture<'a, Result<(), CallbackError>> {
        let sent = async move {
            let failure = |dice: super::dice::Dice| {
                let call = || "POST http://platform/callback".to_owned();
                let unavailable = reqwest::StatusCode::SERVICE_UNAVAILABLE;
                let refused = reqwest::StatusCode::BAD_REQUEST;
                match dice.below("failure", 3) {
                    0 => {
                        CallbackError::Unavailable { call: call(), status: unavailable, body: String::new() }
                    }
                    1 => CallbackError::Refused { call: call(), status: refused, body: String::new() },
                    _ => CallbackError::Unreachable { call: call(), reason: "dropped".to_owned() },
                }
            };
            let step = self.world.step(self.instance, "send", event.request_id, |state, _, fault, dice| {
                if fault != Fault::Failed {
                    self.accept(state, event);
                }
                if fault == Fault::None { Ok(()) } else { Err(failure(dice)) }
            });
            step.await?;
            self.world.state().deliveries.answered(event.request_id);
            Ok(())
        };
        sent.boxed()
    }
}

impl Requests for SimulatedPlatform {
    fn post(&self, body: Rope, _: bool) -> BoxFuture<'_, Result<Vec<u8>, Failure>> {
        let sent = async move {
            let body = body.collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["intake_key"], super::life::INTAKE_KEY);
            let events = body["jsons"].as_array().unwrap().iter();
            let records: Vec<String> = events.map(|event| event.as_str().unwrap().to_owned()).collect();
            let about = records.first().unwrap().clone();
            let step = self.world.step(self.instance, "send", &about, |state, _, fault, dice| {
                let is_lost = fault == Fault::Lost;
                let (meaning, status) = match dice.below("failure", 4) {
                    0 if !is_lost => (Meaning::Refused, Some(reqwest::StatusCode::FORBIDDEN)),
                    1 if !is_lost && records.len() > 1 => {
                        (Meaning::TooLarge, Some(reqwest::StatusCode::PAYLOAD_TOO_LARGE))
                    }
                    _ => (Meaning::Passing, None),
                };
                let ids = json!({ "event_ids": vec!["id"; records.len()] }).to_string();
                if fault != Fault::Failed {
                    state.deliveries.sent(records, is_lost);
                }
                match fault {
                    Fault::None => Ok(ids.into_bytes()),
                    _ => Err(Failure {
                        meaning,
                        status,
                        reason: "as drawn".to_owned(),
                        advice: None,
                        retry_after: None,
                    }),
                }
            });
            step.await
        };
        sent.boxed()
    }
}
