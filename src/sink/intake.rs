//! Sends batches to the intake: one batch is one request is one receipt.
//!
//! The intake knows no key by which it could tell a repeat. What was in flight when the process died is sent again.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::time::Instant;

use super::{Receipt, Sink};
use crate::config::connector::IntakeConfiguration;
use crate::context::Context;
use crate::contract::{Cover, Limits, Pending, Sealed};
use crate::gzip::compress;
use crate::intake::client::{Client, Failure, Meaning, check_answer};
use crate::intake::{self, BODY_BYTES, EVENT_BYTES_MAX, EVENTS_MAX, SIDE_BY_SIDE, TAIL, split};
use crate::platform::rope::{Part, Rope};
use crate::retry::Backoff;
use crate::shutdown::Stopped;

/// How long a batch waits to be full.
const LINGER: Duration = Duration::from_secs(5);
/// How long a request that is under way may last after the shutdown signal: the process must be gone within 10 s.
const LAST_REQUEST: Duration = Duration::from_secs(6);

/// Who takes requests: the intake, or a simulation of it.
pub trait Requests: std::fmt::Debug + Send + Sync {
    /// Sends a body, once. Gives the answer that accepts its events.
    fn post(&self, body: Rope, is_gzip: bool) -> BoxFuture<'_, Result<Vec<u8>, Failure>>;
}

impl Requests for Client {
    fn post(&self, body: Rope, is_gzip: bool) -> BoxFuture<'_, Result<Vec<u8>, Failure>> {
        Self::post(self, reqwest::Body::wrap(body), is_gzip).boxed()
    }
}

/// Sends batches to an intake.
#[derive(Debug)]
pub struct Intake {
    requests: Arc<dyn Requests>,
    /// What every body begins with.
    head: SecretSlice<u8>,
    compress: bool,
    /// Records in a batch at most.
    records: usize,
    context: Context,
}

/// What became of a part of a batch.
enum Sent {
    Accepted,
    /// It is too large. Gives it back.
    TooLarge(Vec<Bytes>),
}

/// The body of a request, which is sent as often as it takes.
enum Body {
    /// Head, records and tail.
    Plain(Vec<Bytes>),
    /// The same as one member of gzip: the records are not kept beside it.
    Gzip(Bytes),
}

impl Sink for Intake {
    fn limits(&self) -> Limits {
        Limits {
            records: self.records.min(EVENTS_MAX),
            bytes: BODY_BYTES.saturating_sub(self.head.expose_secret().len() + TAIL.len()),
            record_bytes: Some(EVENT_BYTES_MAX),
            side_by_side: SIDE_BY_SIDE,
            linger: Some(LINGER),
        }
    }

    fn prepare<'a>(&'a self, _: &'a Sealed) -> BoxFuture<'a, Result<(), Stopped>> {
        std::future::ready(Ok(())).boxed()
    }

    fn deliver(&self, batch: Sealed) -> BoxFuture<'_, Result<Receipt, Stopped>> {
        self.send_all(batch).boxed()
    }

    /// Nothing is kept of a batch.
    fn resume(&self, _: Pending) -> BoxFuture<'_, Result<Option<Receipt>, Stopped>> {
        std::future::ready(Ok(None)).boxed()
    }

    fn forget<'a>(&'a self, _: &'a str) -> BoxFuture<'a, ()> {
        std::future::ready(()).boxed()
    }
}

impl Intake {
    /// Sends batches by `requests`, with at most `records` records each.
    pub fn new(
        requests: Arc<dyn Requests>,
        configuration: &IntakeConfiguration,
        records: usize,
        context: &Context,
    ) -> Self {
        let head = intake::head(&configuration.intake_key).into();
        Self { requests, head, compress: configuration.compress, records, context: context.clone() }
    }

    /// Sends a batch, in parts if it is too large for the intake.
    async fn send_all(&self, batch: Sealed) -> Result<Receipt, Stopped> {
        let started = Instant::now();
        let Sealed { pending, pieces, .. } = batch;
        let mut parts = vec![(pieces, pending.records)];
        let mut accepted = 0;
        while let Some((pieces, records)) = parts.pop() {
            match self.send(pieces, records).await? {
                Sent::Accepted => accepted += records as u64,
                Sent::TooLarge(pieces) => match split::halves(&pieces) {
                    Some((of_first, [first, second])) => {
                        parts.extend([(second, records - of_first), (first, of_first)]);
                    }
                    None => self.reject(&pieces, &pending.covers),
                },
            }
        }
        self.context.health.event_sent();
        let metrics = &self.context.metrics;
        metrics.batches_delivered.inc();
        metrics.records_delivered.inc_by(accepted);
        metrics.delivery_seconds.observe(started.elapsed().as_secs_f64());
        Ok(Receipt::of(pending))
    }

    /// A single record is too large for the intake.
    fn reject(&self, pieces: &[Bytes], covers: &[Cover]) {
        let record_bytes: usize = pieces.iter().map(Bytes::len).sum();
        let keys = covers.iter().map(|cover| cover.key.as_str()).collect::<Vec<_>>().join(", ");
        tracing::error!(
            record_bytes,
            keys,
            "a record of these objects was rejected: the intake says that it is too large"
        );
        self.context.metrics.records_rejected.inc();
        self.context.metrics.records_discarded.inc();
    }

    /// Sends records until they are accepted, or are too large for one request.
    async fn send(&self, pieces: Vec<Bytes>, records: usize) -> Result<Sent, Stopped> {
        let body = self.body(pieces).await?;
        let is_gzip = matches!(body, Body::Gzip(_));
        let mut passing = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let mut refused = Backoff::new(Duration::from_secs(2), Duration::from_secs(120));
        let shutdown = &self.context.shutdown;
        loop {
            let request = self.requests.post(body.rope(), is_gzip);
            let failure = match shutdown.within(LAST_REQUEST, request).await? {
                Ok(answer) => {
                    check_answer(&answer, records as u64);
                    return Ok(Sent::Accepted);
                }
                Err(failure) => failure,
            };
            self.context.metrics.callback_retries.inc();
            let reason = failure.in_words();
            let Failure { meaning, status, retry_after, .. } = failure;
            let status = status.map(|status| status.as_u16());
            let wait = match meaning {
                Meaning::TooLarge => {
                    tracing::info!(records, "a batch is too large for the intake and is sent in halves");
                    return Ok(Sent::TooLarge(self.records(body)));
                }
                Meaning::Passing => {
                    let wait = passing.next_wait().max(retry_after.unwrap_or_default());
                    // An hour of attempts must not fill the log.
                    if passing.attempts().is_power_of_two() {
                        let (attempts, retry_in_s) = (passing.attempts(), wait.as_secs_f64());
                        tracing::warn!(
                            reason,
                            records,
                            attempts,
                            retry_in_s,
                            "the intake did not take a batch, which is kept"
                        );
                    }
                    wait
                }
                Meaning::Refused => {
                    let wait = refused.next_wait().max(retry_after.unwrap_or_default());
                    let retry_in_s = wait.as_secs();
                    tracing::error!(
                        status,
                        reason,
                        records,
                        retry_in_s,
                        "the intake refused a batch, which is kept"
                    );
                    wait
                }
            };
            shutdown.sleep(wait).await?;
        }
    }

    /// The body of a request: compressed once for all attempts, on a thread that may block.
    async fn body(&self, records: Vec<Bytes>) -> Result<Body, Stopped> {
        let head = Bytes::copy_from_slice(self.head.expose_secret());
        let parts: Vec<Bytes> =
            std::iter::once(head).chain(records).chain([Bytes::from_static(TAIL)]).collect();
        if !self.compress {
            return Ok(Body::Plain(parts));
        }
        let compressing = tokio::task::spawn_blocking(move || {
            Body::Gzip(compress(parts.iter().map(|part| &part[..])).into())
        });
        // Not begun: the process ends.
        compressing.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Stopped,
        })
    }

    /// The records in a body.
    fn records(&self, body: Body) -> Vec<Bytes> {
        match body {
            Body::Plain(mut parts) => {
                parts.pop();
                parts.remove(0);
                parts
            }
            Body::Gzip(gzip) => {
                let mut text = Vec::new();
                // Compressed here, a moment ago: nothing fails.
                let _ = GzDecoder::new(&gzip[..]).read_to_end(&mut text);
                let records = self.head.expose_secret().len()..text.len().saturating_sub(TAIL.len());
                vec![text.get(records).map(Bytes::copy_from_slice).unwrap_or_default()]
            }
        }
    }
}

impl Body {
    fn rope(&self) -> Rope {
        match self {
            Self::Plain(parts) => parts.iter().cloned().map(Part::Memory).collect(),
            Self::Gzip(gzip) => Rope::from_iter([Part::Memory(gzip.clone())]),
        }
    }
}
