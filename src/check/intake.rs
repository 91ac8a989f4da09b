//! The step `intake`: what the intake answers to the connector's key, in a request without events.
//!
//! It is the connector's own request, so that it takes the same way and its answer means the same. The platform does not say
//! what its intake answers to one without events: where that proves nothing of the key, the report says so.

use std::time::Duration;

use serde_json::Value;

use super::report::{Step, Told};
use crate::config::connector::IntakeConfiguration;
use crate::gzip::compress;
use crate::http::{self, causes, quoted};
use crate::intake::client::{Client, Failure};
use crate::intake::{TAIL, head};

/// The client has a time of its own for each request.
const TIME: Duration = Duration::from_secs(60);

/// Sends the intake its key and no events.
pub(super) async fn intake(intake: &IntakeConfiguration) -> Step<()> {
    let http = http::client(TIME)
        .map_err(|error| Told::failed(causes(&error), "install the system's CA certificates"))?;
    let client = Client::new(http, intake.batch_url.clone(), &intake.intake_key);
    let body = [&head(&intake.intake_key), TAIL].concat();
    let body = if intake.compress { compress(std::iter::once(&body[..])) } else { body };
    let call = format!("POST {} without events", client.url());
    match client.post(body.into(), intake.compress).await {
        Ok(answer) => Ok((accepted(&call, &answer), ())),
        Err(failure) => refused(&call, &failure).map(|told| (told, ())),
    }
}

fn accepted(call: &str, answer: &[u8]) -> Told {
    let answered = serde_json::from_slice::<Value>(answer).unwrap_or_default();
    if answered.get("event_ids").is_some_and(Value::is_array) {
        return Told::ok(format!("{call}: accepted, and nothing was said against the key"));
    }
    let found = format!("{call}: accepted, but the answer has no `event_ids`: {}", quoted(answer));
    Told::warning(found, "check `intake_server`: what answers there may not be the intake")
}

/// Puts what keeps the request from being accepted into words.
fn refused(call: &str, failure: &Failure) -> Result<Told, Told> {
    let Failure { status, reason, advice, .. } = failure;
    let Some(status) = status else {
        let found = format!("{call}: no answer: {reason}; the key was not checked");
        let advice = "check `intake_server`, and that this machine resolves and reaches its host; a proxy goes into HTTPS_PROXY";
        return Err(Told::failed(found, advice));
    };
    let answered =
        if reason.starts_with(status.as_str()) { reason.clone() } else { format!("{status}: {reason}") };
    let code = status.as_u16();
    let not_checked = format!("{call}: {answered}; the key was not checked");
    match code {
        // An intake may refuse any request without events in this way, or a key that cannot be one.
        400 | 422 => {
            let advice = advice.unwrap_or(
                "start the connector: a key that the intake does not take is told in its log with the first records",
            );
            let found = format!(
                "{call}: reachable, but it does not take such a request, so that the key was not checked ({answered})"
            );
            Ok(Told::warning(found, advice).with("status", code))
        }
        401 | 403 => {
            let advice = "copy the key from the intake's page again, and see that `intake_server` is of the same region";
            Err(Told::failed(format!("{call}: {answered}"), advice).with("status", code))
        }
        _ => {
            let advice = advice.unwrap_or("check again later; if it stays, ask the platform's support");
            Err(Told::failed(not_checked, advice).with("status", code))
        }
    }
}
