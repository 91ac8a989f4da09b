//! The calls to the platform: secrets, events, results, logs. Each carries the bearer token, none follows a redirect.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::rope::Rope;
use super::secrets::{self, Secrets};
use super::values::{ValueError, Values};
use super::wire::{Event, LogLine};
use crate::http::{self, Obstacle, causes, excerpt, is_page, no_answer, shown};
use crate::retry::{self, Backoff};
use crate::shutdown::{Shutdown, Stopped};

/// The platform gives up on a call after this time, and so do we.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A body of many megabytes gets the time that it needs at this speed, on top.
const SLOWEST_BYTES_PER_SECOND: u64 = 1024 * 1024;

/// How long after the shutdown signal the last report of a run may be under way.
const LAST_REPORT: Duration = Duration::from_millis(8_500);

/// Attempts at secrets and at results, as the platform's own SDK makes them.
const ATTEMPTS: u32 = 10;

/// A client of the platform for one run. Clones share its connections.
#[derive(Clone)]
pub struct Callback {
    http: reqwest::Client,
    token: SecretString,
    callback: Url,
    secrets: Url,
    logs: Url,
}

/// Why a call to the platform failed.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// A value that the client needs is missing or no URL.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A value is no http(s) URL.
    #[error("value `{name}` is not an http or https URL")]
    NotUrl {
        /// The value's name.
        name: &'static str,
    },
    /// No HTTP client can be made here, for want of certificates for instance.
    #[error("cannot make an HTTP client: {0}; are CA certificates installed?")]
    NoClient(String),
    /// The platform understood and refused (4xx), or sent us elsewhere (3xx).
    #[error("{call} was refused with {status}: {body}")]
    Refused {
        /// Method and URL.
        call: String,
        /// The status.
        status: StatusCode,
        /// The start of the body.
        body: String,
    },
    /// The platform is not able to answer now (5xx, 429).
    #[error("{call} failed with {status}: {body}")]
    Unavailable {
        /// Method and URL.
        call: String,
        /// The status.
        status: StatusCode,
        /// The start of the body.
        body: String,
    },
    /// No whole answer came back.
    #[error("{call} got no answer: {reason}")]
    Unreachable {
        /// Method and URL.
        call: String,
        /// What broke.
        reason: String,
    },
    /// The answer is not what the protocol says.
    #[error("{call} was answered with {reason}: {body}")]
    Senseless {
        /// Method and URL.
        call: String,
        /// What is wrong with the answer.
        reason: &'static str,
        /// The start of the body.
        body: String,
    },
    /// The shutdown signal came between two attempts.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl CallbackError {
    /// Whether the platform refused what was sent: sending it again at once changes nothing.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// The status that came back, if one did.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } | Self::Unavailable { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl Callback {
    /// The client that the values describe: `token`, `url_callback`, and optionally `url_secrets` and `url_logs`.
    pub fn from_values(values: &Values) -> Result<Self, CallbackError> {
        let token = values.required_secret("token")?;
        let callback = values.required_text("url_callback")?;
        let beside = |name: &'static str, path: &str| {
            let text = values.text(name)?.unwrap_or_else(|| callback.replace("/callback", path));
            parse(name, &text)
        };
        Ok(Self {
            http: http::client(TIMEOUT).map_err(|error| CallbackError::NoClient(causes(&error)))?,
            token,
            callback: parse("url_callback", &callback)?,
            secrets: beside("url_secrets", "/secrets")?,
            logs: beside("url_logs", "/logs")?,
        })
    }

    /// The HTTP client, for other calls of the run: to make one costs as much as to send some thousand events, because
    /// it reads the certificates of the system. It carries no token by itself.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The URL of a call of the platform's API, e.g. `v1/me`.
    pub(super) fn api(&self, path: &str) -> Url {
        let mut url = self.logs.clone();
        url.set_query(None);
        let base = self.logs.path().rsplit_once("/api/").map_or("", |(base, _)| base);
        url.set_path(&format!("{base}/api/{path}"));
        url
    }

    /// The UUID of a run of an action, which its callback names.
    pub(super) fn run(&self) -> &str {
        self.callback.path().rsplit('/').nth(1).unwrap_or_default()
    }

    /// The trigger's secrets; tried up to 10 times with waits of 1 to 10 s.
    pub async fn secrets(&self, shutdown: &Shutdown) -> Result<Secrets, CallbackError> {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        let attempt = || self.secrets_once();
        let failed = |error| {
            let wait = backoff.next_wait();
            if backoff.attempts() >= ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(%error, retry_in_s = wait.as_secs(), "could not get the secrets from the platform");
            Ok(wait)
        };
        shutdown.race(retry::until(shutdown, attempt, failed)).await?
    }

    /// The trigger's secrets, asked for once.
    pub async fn secrets_once(&self) -> Result<Secrets, CallbackError> {
        let body = self.call(&Method::GET, &self.secrets, None).await?;
        Secrets::of_trigger(&body)
            .map_err(|reason| self.senseless(&Method::GET, &self.secrets, reason, &body))
    }

    /// Asks for the head of `url_callback`, which starts no run, and gives the status of the answer, whatever it is.
    pub async fn reach(&self) -> Result<StatusCode, CallbackError> {
        let request = self.http.head(self.callback.clone()).bearer_auth(self.token.expose_secret());
        let unreachable = |error: reqwest::Error| CallbackError::Unreachable {
            call: format!("HEAD {}", shown::url(&self.callback)),
            reason: no_answer(&error.without_url()),
        };
        request.send().await.map(|answer| answer.status()).map_err(unreachable)
    }

    /// Sends an event, once. Any 2xx of the platform is an acceptance, whatever the body.
    pub async fn send_event(&self, event: &Event<'_>) -> Result<(), CallbackError> {
        let body = serde_json::to_value(event).unwrap_or_default();
        self.call(&Method::POST, &self.callback, Some(Payload::Json(&body))).await.map(drop)
    }

    /// Sends log lines, once.
    pub async fn send_logs(&self, lines: &[LogLine]) -> Result<(), CallbackError> {
        let body = json!({ "logs": lines });
        self.call(&Method::POST, &self.logs, Some(Payload::Json(&body))).await.map(drop)
    }

    /// Reports that an action or a validation is running, with what else the platform is to be told about it, and gives
    /// the module's secrets from the answer. A refusal is final; anything else is tried up to 10 times with waits of 2
    /// to 60 s.
    pub async fn begin(
        &self,
        running: &Value,
        shutdown: &Shutdown,
    ) -> Result<Map<String, Value>, CallbackError> {
        let body = self.report(&Rope::from(running), shutdown).await?;
        secrets::of_run(&body).map_err(|reason| self.senseless(&Method::PATCH, &self.callback, reason, &body))
    }

    /// Sends the last report of an action or a validation, whose JSON need not fit into memory. 409 is no error: the
    /// platform has ended the run itself. After the shutdown signal the report gets a few seconds, and then what became
    /// of it is only logged: the platform waits for the process, not for the report.
    pub async fn report_end(&self, report: &Rope, shutdown: &Shutdown) -> Result<(), CallbackError> {
        let reported = shutdown.within(LAST_REPORT, self.report(report, shutdown)).await;
        let reported = reported.unwrap_or_else(|stopped| Err(stopped.into()));
        match reported {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(StatusCode::CONFLICT) => Ok(()),
            Err(error) if shutdown.is_stopping() => {
                tracing::warn!("the platform does not know how the run ended: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn report(&self, state: &Rope, shutdown: &Shutdown) -> Result<Vec<u8>, CallbackError> {
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
        let attempt = || self.call(&Method::PATCH, &self.callback, Some(Payload::Rope(state)));
        let failed = |error: CallbackError| {
            let wait = backoff.next_wait();
            if error.is_refusal() || backoff.attempts() >= ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(%error, retry_in_s = wait.as_secs(), "could not report to the platform");
            Ok(wait)
        };
        retry::until(shutdown, attempt, failed).await
    }

    pub(super) async fn call(
        &self,
        method: &Method,
        url: &Url,
        body: Option<Payload<'_>>,
    ) -> Result<Vec<u8>, CallbackError> {
        let call = format!("{method} {}", shown::url(url));
        let mut request =
            self.http.request(method.clone(), url.clone()).bearer_auth(self.token.expose_secret());
        request = match body {
            None => request,
            Some(Payload::Json(body)) => request.json(body),
            Some(Payload::Rope(body)) => request
                .header(CONTENT_TYPE, "application/json")
                .timeout(TIMEOUT + Duration::from_secs(body.length() / SLOWEST_BYTES_PER_SECOND))
                .body(reqwest::Body::wrap(body.clone())),
        };
        let unreachable = |error: reqwest::Error| CallbackError::Unreachable {
            call: call.clone(),
            reason: no_answer(&error.without_url()),
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            let headers = response.headers().clone();
            // The status decides. A body that breaks off after it must not make an accepted event a second one.
            let body = response.bytes().await.map(Vec::from).unwrap_or_default();
            // But a page was not sent by the platform, which got no event and no log then.
            return if *method == Method::POST && is_page(&headers, &body) {
                Err(self.senseless(method, url, secrets::NO_JSON, &body))
            } else {
                Ok(body)
            };
        }
        let location = response.headers().get(reqwest::header::LOCATION).cloned();
        let mut body = self.excerpt(&response.bytes().await.unwrap_or_default());
        if let Some(location) = location {
            let location = self.excerpt(location.as_bytes());
            body = format!("a redirect to {location}, not followed; check the URL");
        }
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            body = [Some(body.as_str()), Obstacle::ProxyLogin.advice()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; ");
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Err(CallbackError::Unavailable { call, status, body })
        } else {
            Err(CallbackError::Refused { call, status, body })
        }
    }

    fn senseless(&self, method: &Method, url: &Url, reason: &'static str, body: &[u8]) -> CallbackError {
        let body = secrets::outline(body).unwrap_or_else(|| self.excerpt(body));
        CallbackError::Senseless { call: format!("{method} {}", shown::url(url)), reason, body }
    }

    /// The start of a body, without the token: there are servers that repeat what they were sent.
    fn excerpt(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body).replace(self.token.expose_secret(), "(the token)");
        excerpt(text.as_bytes())
    }
}

/// A body on its way to the platform.
pub(super) enum Payload<'a> {
    Json(&'a Value),
    Rope(&'a Rope),
}

fn parse(name: &'static str, text: &str) -> Result<Url, CallbackError> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let mut url = url.ok_or(CallbackError::NotUrl { name })?;
    // They would make a second header `Authorization` beside the token's, which nobody understands.
    let _ = (url.set_username(""), url.set_password(None));
    Ok(url)
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let callback = shown::url(&self.callback);
        formatter.debug_struct("Callback").field("callback", &callback).finish_non_exhaustive()
    }
}
