//! One chunk to the intake: the request, what its answer means, and when to try again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::super::arguments::Arguments;
use super::super::chunk::Chunk;
use crate::platform::callback::excerpt;
use crate::reach::no_answer;
use crate::retry::Backoff;
use crate::shutdown::Shutdown;

/// Time for one post. An answer that comes later is lost, and the events are sent twice: rather wait than repeat.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The longest wait that an answer can ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// As much of an answer as is read; 50,000 IDs are 2 MB.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How patiently a chunk is sent again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first wait; the next ones double.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// When to give up, counted from the first attempt.
    pub total: Duration,
}

impl Default for Patience {
    /// 1 to 10 s, for an hour: the platform's own module waits as long.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: seconds(1), longest: seconds(10), total: seconds(3600) }
    }
}

/// The intake, as one run sees it.
pub struct Intake {
    http: reqwest::Client,
    url: Url,
    authorization: Option<HeaderValue>,
    patience: Patience,
    /// What an answer may repeat and a message must not.
    secrets: Vec<SecretString>,
}

/// Why events were not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// A header cannot carry the API key.
    #[error("property `api_key` of the module configuration has characters that an HTTP header cannot carry")]
    ApiKey,
    /// The intake will not take this, however often it is sent.
    #[error("POST {url} was refused with {status}: {body}{}", advice(*status, *is_gzip))]
    Refused {
        /// Where to.
        url: String,
        /// The status.
        status: StatusCode,
        /// The start of the answer, or where a redirect leads.
        body: String,
        /// Whether what was refused was compressed.
        is_gzip: bool,
    },
    /// It was tried for as long as patience allows.
    #[error("POST {url} failed {attempts} times in {} s, at last with {reason}", elapsed.as_secs())]
    GaveUp {
        /// Where to.
        url: String,
        /// How often.
        attempts: u32,
        /// For how long.
        elapsed: Duration,
        /// The last failure.
        reason: String,
    },
    /// The wait for the next attempt was interrupted.
    #[error("POST {url} failed {attempts} times, at last with {reason}, and was not tried again")]
    Interrupted {
        /// Where to.
        url: String,
        /// How often.
        attempts: u32,
        /// The last failure.
        reason: String,
    },
}

impl PostError {
    /// Whether other chunks would meet the same: only what can lie in the events themselves speaks against it.
    pub(super) fn concerns_all(&self) -> bool {
        let of_the_chunk =
            [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY];
        !matches!(self, Self::Refused { status, .. } if of_the_chunk.contains(status))
    }
}

/// What a user can do about a refusal.
fn advice(status: StatusCode, is_gzip: bool) -> &'static str {
    match status.as_u16() {
        401 | 403 => {
            "; check `intake_key`, and `api_key` of the module configuration if the intake asks for one"
        }
        404 | 405 => "; check `intake_server`",
        407 => {
            "; the proxy asks for a user and a password: put them into the URL in HTTP_PROXY or HTTPS_PROXY"
        }
        // An intake that takes gzip for text finds no JSON in it.
        400 if is_gzip => {
            "; the body was compressed: if the intake does not take that, switch `compress` off"
        }
        415 if is_gzip => "; the intake does not take compressed bodies: switch `compress` off",
        _ => "",
    }
}

/// A failed attempt.
enum Failure {
    Final(PostError),
    Passing { reason: String, retry_after: Option<Duration> },
}

impl Intake {
    /// The intake that the arguments name. `api_key` goes with every post as a bearer token. `http` must not follow
    /// redirects: a key would go with them.
    pub fn new(
        http: reqwest::Client,
        arguments: &Arguments,
        api_key: Option<SecretString>,
        patience: Patience,
    ) -> Result<Self, PostError> {
        let authorization = api_key.as_ref().map(|key| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))?;
            value.set_sensitive(true);
            Ok::<_, reqwest::header::InvalidHeaderValue>(value)
        });
        Ok(Self {
            http,
            url: arguments.batch_url.clone(),
            authorization: authorization.transpose().map_err(|_| PostError::ApiKey)?,
            patience,
            secrets: api_key.into_iter().chain([arguments.intake_key.clone()]).collect(),
        })
    }

    /// Sends one chunk until it is accepted, refused, or patience is at an end.
    pub(super) async fn post(
        &self,
        chunk: Chunk,
        hopeless: &Shutdown,
        shutdown: &Shutdown,
    ) -> (Chunk, Result<Receipt, PostError>) {
        let Chunk { index, events, body, is_gzip } = chunk;
        let body = body.freeze();
        let sent = self.send(&body, is_gzip, index, events, hopeless, shutdown).await;
        // A client that still holds the body keeps it; then a new buffer takes its place.
        let body = body.try_into_mut().unwrap_or_else(|_| BytesMut::new());
        (Chunk { index, events, body, is_gzip }, sent)
    }

    async fn send(
        &self,
        body: &Bytes,
        is_gzip: bool,
        chunk: usize,
        events: u64,
        hopeless: &Shutdown,
        shutdown: &Shutdown,
    ) -> Result<Receipt, PostError> {
        let start = Instant::now();
        let mut backoff = Backoff::new(self.patience.first, self.patience.longest);
        loop {
            let (reason, retry_after) = match self.attempt(body.clone(), is_gzip).await {
                Ok(answer) => return Ok(Receipt::read(&answer, events)),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing { reason, retry_after }) => (reason, retry_after),
            };
            let wait = backoff.next_wait().max(retry_after.unwrap_or_default());
            let (url, attempts, elapsed) = (self.url.to_string(), backoff.attempts(), start.elapsed());
            if elapsed + wait > self.patience.total {
                return Err(PostError::GaveUp { url, attempts, elapsed, reason });
            }
            // An hour of attempts must not fill the run's log.
            if attempts.is_power_of_two() {
                let retry_in_s = wait.as_secs_f32();
                tracing::warn!(
                    chunk,
                    events,
                    attempts,
                    reason,
                    retry_in_s,
                    "the intake did not take a chunk, will send it again"
                );
            }
            if !matches!(shutdown.race(hopeless.sleep(wait)).await, Ok(Ok(()))) {
                return Err(PostError::Interrupted { url, attempts, reason });
            }
        }
    }

    /// One post. Gives the body of an answer that accepts the events.
    async fn attempt(&self, body: Bytes, is_gzip: bool) -> Result<Vec<u8>, Failure> {
        let mut request = self
            .http
            .post(self.url.clone())
            .timeout(TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if is_gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = request.send().await.map_err(|error| {
            let reason = self.redacted(&no_answer(&error.without_url()));
            Failure::Passing { reason, retry_after: None }
        })?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), Timestamp::now());
        let location = response.headers().get(LOCATION).cloned();
        // What breaks off after the status does not undo it: accepted events must not be sent again.
        let answer = read_answer(response).await;
        if status.is_success() {
            return Ok(answer);
        }
        let mut body = excerpt(self.redacted(&String::from_utf8_lossy(&answer)).as_bytes());
        match status.as_u16() {
            408 | 429 | 500 | 502 | 503 | 504 => {
                return Err(Failure::Passing { reason: format!("{status}: {body}"), retry_after });
            }
            300..400 => {
                let location = self.redacted(&String::from_utf8_lossy(
                    location.as_ref().map_or(b"nowhere", HeaderValue::as_bytes),
                ));
                body = format!("a redirect to {location}, not followed; check `intake_server`");
            }
            _ => {}
        }
        Err(Failure::Final(PostError::Refused { url: self.url.to_string(), status, body, is_gzip }))
    }

    fn redacted(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(SecretString::expose_secret);
        secrets
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// What the intake gave for a chunk.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// How many IDs.
    pub count: u64,
    /// The IDs as JSON strings with commas between them.
    pub ids: String,
}

impl Receipt {
    /// Reads the answer to a chunk of `events`. The events were accepted, whatever it says.
    pub(super) fn read(answer: &[u8], events: u64) -> Self {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            event_ids: Vec<&'a RawValue>,
        }
        let is_text = |id: &&RawValue| id.get().starts_with('"');
        let given = serde_json::from_slice::<Answer<'_>>(answer).ok();
        let Some(given) = given.filter(|given| given.event_ids.iter().all(is_text)) else {
            tracing::warn!(
                events,
                "the intake accepted events, but its answer has no event_ids; they are missing in the results"
            );
            return Self::default();
        };
        let count = given.event_ids.len() as u64;
        if count != events {
            tracing::warn!(
                events,
                count,
                "the intake accepted events, but its answer has another number of event_ids"
            );
        }
        let mut ids = String::with_capacity(answer.len());
        for id in given.event_ids {
            if !ids.is_empty() {
                ids.push(',');
            }
            ids.push_str(id.get());
        }
        Self { count, ids }
    }
}

async fn read_answer(mut response: Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        answer.extend_from_slice(&piece);
        if answer.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    answer
}

/// The wait that an answer asks for, in seconds or until a time.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(time.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_ask_for_a_wait_within_reason() {
        let now: Timestamp = "2026-11-22T20:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sun, 22 Nov 2026 20:01:30 GMT", Some(90)),
            ("Sun, 22 Nov 2026 19:00:00 GMT", Some(0)),
            ("86400", Some(300)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now).map(|wait| wait.as_secs()), seconds, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn ids_are_taken_over_and_an_answer_without_them_is_an_acceptance_too() {
        let read = |answer: &str| Receipt::read(answer.as_bytes(), 2);
        let ids = read(r#"{"event_ids": ["a\u00e9", "b"], "more": {}}"#);
        assert_eq!(ids, Receipt { count: 2, ids: r#""a\u00e9","b""#.to_owned() });
        assert_eq!(read(r#"{"event_ids": ["a"]}"#).count, 1);
        for answer in [
            "",
            "OK",
            "[]",
            "{}",
            r#"{"event_ids": null}"#,
            r#"{"event_ids": [1, 2]}"#,
            r#"{"event_ids": ["a""#,
        ] {
            assert_eq!(read(answer), Receipt::default(), "{answer}");
        }
    }
}
