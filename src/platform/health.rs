//! The two small servers that the platform asks: health on `liveness_port`, metrics on `metrics_port`; and who asks for
//! the health on the same machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::failures::Failures;
use super::ports::{answer, serve};
use crate::http::{builder, causes, excerpt};
use crate::shutdown::{Shutdown, Stopped};

/// How long the trigger waits after a critical failure, as with the platform's SDK: the platform stops it meanwhile, or
/// leaves it to go on.
const AFTER_CRITICAL: Duration = Duration::from_secs(120);

/// What the trigger tells of its life. Clones share it.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<Life>>);

#[derive(Debug)]
struct Life {
    failures: Failures,
    last_event: Timestamp,
    last_heartbeat: Timestamp,
}

impl Health {
    /// A life that starts now.
    pub fn new() -> Self {
        let now = Timestamp::now();
        let failures = Failures::new(Instant::now());
        Self(Arc::new(Mutex::new(Life { failures, last_event: now, last_heartbeat: now })))
    }

    /// A poll ended well.
    pub fn heartbeat(&self) {
        self.with(|life| life.last_heartbeat = Timestamp::now());
    }

    /// The platform accepted an event.
    pub fn event_sent(&self) {
        self.with(|life| {
            life.last_event = Timestamp::now();
            life.failures.event_sent(Instant::now());
        });
    }

    /// Something failed that is not the platform's own trouble. If the count makes it critical, says so and waits for
    /// the platform to stop the trigger, for some time at most.
    pub async fn failed(&self, shutdown: &Shutdown) -> Result<(), Stopped> {
        let (critical, count) =
            self.with(|life| (life.failures.failed(Instant::now()), life.failures.count()));
        if critical {
            tracing::error!(
                critical = true,
                "{count} failures in a row and no event sent; see the errors above"
            );
            shutdown.sleep(AFTER_CRITICAL).await?;
        }
        Ok(())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Life) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The body of `GET /health`. The thresholds are 0: the process waits and retries for as long as it takes, a
    /// restart would not help it.
    fn body(&self) -> Value {
        let date = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string();
        self.with(|life| {
            json!({
                "last_events_time": date(life.last_event),
                "last_heartbeat": date(life.last_heartbeat),
                "seconds_without_events_threshold": 0,
                "last_heartbeat_threshold": 0,
                "error_count": life.failures.count(),
            })
        })
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

/// The port of the health, unless the value `liveness_port` names another.
pub const LIVENESS_PORT: u16 = 8000;
/// Time for a trigger to say that it is healthy.
const ASKED: Duration = Duration::from_secs(3);

/// Why a trigger does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No HTTP client can be made here.
    #[error("cannot make an HTTP client: {0}")]
    NoClient(String),
    /// Nothing answered.
    #[error(
        "GET {url} got no answer: {reason}; no trigger serves its health there: it has ended, hangs, or has another `liveness_port`"
    )]
    Unreachable {
        /// The URL that was asked.
        url: String,
        /// What broke.
        reason: String,
    },
    /// The answer says that all is not well.
    #[error("GET {url} was answered with {status}: {body}")]
    Unhealthy {
        /// The URL that was asked.
        url: String,
        /// The status.
        status: StatusCode,
        /// The start of the body.
        body: String,
    },
    /// Something else serves the port.
    #[error(
        "GET {url} was answered with something that is not a trigger's health: {body}; check `liveness_port`"
    )]
    Other {
        /// The URL that was asked.
        url: String,
        /// The start of the body.
        body: String,
    },
}

/// A trigger's health has some 200 bytes.
const HEALTH_BYTES: usize = 64 * 1024;

/// Asks the trigger that serves its health on `port` of this machine, and gives what it says. Takes 3 s at most.
pub async fn ask(port: u16) -> Result<String, AskError> {
    let url = format!("http://127.0.0.1:{port}/health");
    // Neither a proxy nor a certificate has to do with it; to read those of the system takes longer than the rest.
    let client = builder(ASKED).no_proxy().tls_certs_only([]).build();
    let client = client.map_err(|error| AskError::NoClient(causes(&error)))?;
    let unreachable = |error: reqwest::Error| AskError::Unreachable {
        url: url.clone(),
        reason: causes(&error.without_url()),
    };
    let mut answer = client.get(&url).send().await.map_err(unreachable)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&piece);
        if body.len() > HEALTH_BYTES {
            return Err(AskError::Other { url, body: excerpt(&body) });
        }
    }
    let health: Option<Value> = serde_json::from_slice(&body).ok();
    let is_health = health.is_some_and(|health| health.get("last_heartbeat").is_some());
    match (status, is_health) {
        (StatusCode::OK, true) => Ok(String::from_utf8_lossy(&body).into_owned()),
        (StatusCode::OK, false) => Err(AskError::Other { url, body: excerpt(&body) }),
        _ => Err(AskError::Unhealthy { url, status, body: excerpt(&body) }),
    }
}

/// Serves `GET /health` on `port` until told to stop.
pub async fn serve_health(health: Health, port: u16, shutdown: Shutdown) {
    let known = move |path: &str| {
        let body = || health.body().to_string();
        (path == "/health").then(|| answer(StatusCode::OK, "application/json", body()))
    };
    serve("health", port, shutdown, known).await;
}

/// Serves `GET /metrics` on `port` until told to stop.
pub async fn serve_metrics(registry: Registry, port: u16, shutdown: Shutdown) {
    let registry = Arc::new(registry);
    let known = move |path: &str| {
        let encoded = || {
            let mut text = String::new();
            match prometheus_client::encoding::text::encode(&mut text, &registry) {
                Ok(()) => {
                    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                    answer(StatusCode::OK, content_type, text)
                }
                Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
            }
        };
        matches!(path, "/" | "/metrics").then(encoded)
    };
    serve("metrics", port, shutdown, known).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_critical_failure_is_waited_on_and_the_order_to_stop_ends_the_wait() {
        let (health, shutdown, start) = (Health::new(), Shutdown::default(), Instant::now());
        for _ in 0..4 {
            health.failed(&shutdown).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(1800)).await;
        health.failed(&shutdown).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(1800) + AFTER_CRITICAL);

        let (health, shutdown) = (Health::new(), Shutdown::default());
        for _ in 0..4 {
            health.failed(&shutdown).await.unwrap();
        }
        tokio::time::advance(Duration::from_secs(1800)).await;
        shutdown.stop();
        assert_eq!(health.failed(&shutdown).await, Err(Stopped));
    }
}
