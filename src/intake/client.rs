//! One request to the intake, and what the answer means.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::http::{excerpt, is_page, no_answer, quoted};

/// Time for one request. An answer that comes later is lost, and the events are sent twice: rather wait than repeat.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The longest wait that an answer can ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// As much of an answer as is read; 50,000 IDs are 2 MB.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A client of one intake. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    authorization: Option<HeaderValue>,
    /// What an answer may repeat and a message must not.
    secrets: Vec<SecretString>,
}

/// An API key that an HTTP header cannot carry.
#[derive(Debug, thiserror::Error)]
#[error("property `api_key` of the module configuration has characters that an HTTP header cannot carry")]
pub struct UnfitKey;

/// A request that was not accepted.
#[derive(Debug)]
pub struct Failure {
    /// What to do about it.
    pub meaning: Meaning,
    /// The status that came back, if one did.
    pub status: Option<StatusCode>,
    /// What came back.
    pub reason: String,
    /// What the user can do, where that is known.
    pub advice: Option<&'static str>,
    /// The wait that the answer asks for.
    pub retry_after: Option<Duration>,
}

/// What it means that a request was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It may pass: no answer, 408, 429, 5xx but 501 and 505, or a page in the place of the answer.
    Passing,
    /// There is too much in the body: 413.
    TooLarge,
    /// The same would come back again until somebody changes something: any other status.
    Refused,
}

impl Failure {
    /// What came back, and what the user can do.
    pub fn in_words(&self) -> String {
        self.advice.map_or_else(|| self.reason.clone(), |advice| format!("{}; {advice}", self.reason))
    }
}

impl Client {
    /// A client that posts to `url`. `http` must not follow redirects: a key would go with them.
    pub fn new(http: reqwest::Client, url: Url, intake_key: &SecretString) -> Self {
        Self { http, url, authorization: None, secrets: vec![intake_key.clone()] }
    }

    /// The same, with an API key that goes with every request as a bearer token.
    pub fn with_api_key(mut self, api_key: SecretString) -> Result<Self, UnfitKey> {
        let authorization = HeaderValue::try_from(format!("Bearer {}", api_key.expose_secret()));
        let mut authorization = authorization.map_err(|_| UnfitKey)?;
        authorization.set_sensitive(true);
        self.authorization = Some(authorization);
        self.secrets.push(api_key);
        Ok(self)
    }

    /// Where to.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// One request. Gives the body of an answer that accepts the events.
    pub async fn post(&self, body: reqwest::Body, is_gzip: bool) -> Result<Vec<u8>, Failure> {
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
        let unanswered = |error: reqwest::Error| Failure {
            meaning: Meaning::Passing,
            status: None,
            reason: self.redacted(&no_answer(&error.without_url())),
            advice: None,
            retry_after: None,
        };
        let response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let headers = response.headers().clone();
        // What breaks off after the status does not undo it: accepted events must not be sent again.
        let answer = read_answer(response).await;
        if status.is_success() && !is_page(&headers, &answer) {
            return Ok(answer);
        }
        let quoted = quoted(self.redacted(&String::from_utf8_lossy(&answer)).as_bytes());
        let (meaning, reason) = if status.is_success() {
            (Meaning::Passing, format!("{status}: {quoted} in the place of the intake's answer"))
        } else if status.is_redirection() {
            let location = headers.get(LOCATION).map_or(&b"nowhere"[..], HeaderValue::as_bytes);
            let location = excerpt(self.redacted(&String::from_utf8_lossy(location)).as_bytes());
            (Meaning::Refused, format!("a redirect to {location}, not followed"))
        } else {
            match status.as_u16() {
                408 | 429 | 500 | 502 | 503 | 504 => (Meaning::Passing, format!("{status}: {quoted}")),
                413 => (Meaning::TooLarge, quoted),
                _ => (Meaning::Refused, quoted),
            }
        };
        let retry_after = retry_after(&headers, Timestamp::now());
        let advice = advice(status, is_gzip, self.authorization.is_some());
        Err(Failure { meaning, status: Some(status), reason, advice, retry_after })
    }

    fn redacted(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(SecretString::expose_secret);
        secrets
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// What a user can do about an answer that accepts nothing.
fn advice(status: StatusCode, is_gzip: bool, has_api_key: bool) -> Option<&'static str> {
    Some(match status.as_u16() {
        200..300 => "check `intake_server`, and what is between this machine and the intake",
        401 | 403 if has_api_key => "check `intake_key`, and `api_key` of the module configuration",
        401 | 403 => "check `intake_key`",
        407 => "the proxy asks for a user and a password: put them into the URL in HTTP_PROXY or HTTPS_PROXY",
        300..400 | 404 | 405 => "check `intake_server`",
        // An intake that takes gzip for text finds no JSON in it.
        400 if is_gzip => "the body was compressed: if the intake does not take that, switch `compress` off",
        415 if is_gzip => "the intake does not take compressed bodies: switch `compress` off",
        _ => return None,
    })
}

/// What the intake gave for accepted events.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// How many IDs.
    pub count: u64,
    /// The IDs as JSON strings with commas between them.
    pub ids: String,
}

impl Accepted {
    /// Reads the answer to a request with `events`. The events were accepted, whatever it says.
    pub fn read(answer: &[u8], events: u64) -> Self {
        let given = ids(answer);
        check_count(given.as_deref(), events);
        let given = given.unwrap_or_default();
        let mut ids = String::with_capacity(answer.len());
        for Id(id) in &given {
            if !ids.is_empty() {
                ids.push(',');
            }
            ids.push_str(id.get());
        }
        Self { count: given.len() as u64, ids }
    }
}

/// Says if the answer to a request with `events` has another number of IDs. The events were accepted, whatever it says.
pub fn check_answer(answer: &[u8], events: u64) {
    check_count(ids(answer).as_deref(), events);
}

fn check_count(ids: Option<&[Id<'_>]>, events: u64) {
    match ids.map(|ids| ids.len() as u64) {
        None => tracing::warn!(
            events,
            "the intake accepted events, but its answer has no event_ids; they are missing in the results"
        ),
        Some(count) if count != events => tracing::warn!(
            events,
            count,
            "the intake accepted events, but its answer has another number of event_ids"
        ),
        Some(_) => {}
    }
}

/// The IDs in an answer; `None` if it has no list of texts.
fn ids(answer: &[u8]) -> Option<Vec<Id<'_>>> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        event_ids: Vec<Id<'a>>,
    }
    serde_json::from_slice::<Answer<'_>>(answer).ok().map(|answer| answer.event_ids)
}

/// An ID, as the JSON string that it came as.
struct Id<'a>(&'a RawValue);

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = <&RawValue>::deserialize(deserializer)?;
        if id.get().starts_with('"') { Ok(Self(id)) } else { Err(D::Error::custom("an ID is no text")) }
    }
}

async fn read_answer(mut response: Response) -> Vec<u8> {
    let length = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut answer = Vec::with_capacity(length.min(ANSWER_BYTES_MAX));
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
        let read = |answer: &str| Accepted::read(answer.as_bytes(), 2);
        let given = read(r#"{"event_ids": ["a\u00e9", "b"], "more": {}}"#);
        assert_eq!(given, Accepted { count: 2, ids: r#""a\u00e9","b""#.to_owned() });
        assert_eq!(read(r#"{"event_ids": ["a"]}"#).count, 1);
        for (answer, count) in
            [(r#"{"event_ids": ["a\u00e9", "b"], "more": {}}"#, 2), (r#"{"event_ids": []}"#, 0)]
        {
            assert_eq!(ids(answer.as_bytes()).map(|ids| ids.len()), Some(count));
        }
        for answer in [
            "",
            "OK",
            "[]",
            "{}",
            r#"{"event_ids": null}"#,
            r#"{"event_ids": [1, 2]}"#,
            r#"{"event_ids": ["a""#,
        ] {
            assert_eq!(read(answer), Accepted::default(), "{answer}");
            assert!(ids(answer.as_bytes()).is_none(), "{answer}");
        }
    }
}
