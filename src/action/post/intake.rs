//! One chunk to the intake: the request, what its answer means, and when to try again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use secrecy::SecretString;
use tokio::time::Instant;

use super::super::arguments::Arguments;
use super::super::chunk::Chunk;
use crate::intake::client::{Accepted, Client, Failure, Meaning, UnfitKey};
use crate::retry::Backoff;
use crate::shutdown::Shutdown;

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
    client: Client,
    patience: Patience,
}

/// Why events were not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// A header cannot carry the API key.
    #[error(transparent)]
    ApiKey(#[from] UnfitKey),
    /// The intake will not take this, however often it is sent.
    #[error("POST {url} was refused with {status}: {reason}")]
    Refused {
        /// Where to.
        url: String,
        /// The status.
        status: StatusCode,
        /// The start of the answer, or where a redirect leads, and what the user can do.
        reason: String,
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

impl Intake {
    /// The intake that the arguments name. `api_key` goes with every post as a bearer token. `http` must not follow
    /// redirects: a key would go with them.
    pub fn new(
        http: reqwest::Client,
        arguments: &Arguments,
        api_key: Option<SecretString>,
        patience: Patience,
    ) -> Result<Self, PostError> {
        let client = Client::new(http, arguments.batch_url.clone(), &arguments.intake_key);
        let client = match api_key {
            Some(api_key) => client.with_api_key(api_key)?,
            None => client,
        };
        Ok(Self { client, patience })
    }

    /// Sends one chunk until it is accepted, refused, or patience is at an end.
    pub(super) async fn post(
        &self,
        chunk: Chunk,
        give_up: &Shutdown,
        shutdown: &Shutdown,
    ) -> (Chunk, Result<Accepted, PostError>) {
        let Chunk { index, events, body, is_gzip } = chunk;
        let body = body.freeze();
        let sent = self.send(&body, is_gzip, index, events, give_up, shutdown).await;
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
        give_up: &Shutdown,
        shutdown: &Shutdown,
    ) -> Result<Accepted, PostError> {
        let start = Instant::now();
        let mut backoff = Backoff::new(self.patience.first, self.patience.longest);
        loop {
            let failure = match self.client.post(body.clone().into(), is_gzip).await {
                Ok(answer) => return Ok(Accepted::read(&answer, events)),
                Err(failure) => failure,
            };
            let reason = failure.in_words();
            let Failure { meaning, status, retry_after, .. } = failure;
            if let Some(status) = status.filter(|_| meaning != Meaning::Passing) {
                return Err(PostError::Refused { url: self.client.url().to_string(), status, reason });
            }
            let wait = backoff.next_wait().max(retry_after.unwrap_or_default());
            let (url, attempts, elapsed) =
                (self.client.url().to_string(), backoff.attempts(), start.elapsed());
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
            if !matches!(shutdown.race(give_up.sleep(wait)).await, Ok(Ok(()))) {
                return Err(PostError::Interrupted { url, attempts, reason });
            }
        }
    }
}
