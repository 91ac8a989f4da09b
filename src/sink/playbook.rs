//! Takes a batch to the platform: a file in the storage, then an event that starts a run with it.
//!
//! Nothing here gives up: a batch is kept and tried again until the platform has it or the process is told to stop.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use self::leftovers::{Leftovers, folder};
use super::{Receipt, Sink};
use crate::context::Context;
use crate::contract::{Limits, Pending, Sealed};
use crate::platform::callback::{Callback, CallbackError};
use crate::platform::storage::Pieces;
use crate::platform::wire::Event;
use crate::retry::{self, Backoff};
use crate::shutdown::Stopped;

pub mod leftovers;

/// The file of the records in a batch's folder.
const FILE: &str = "event.json";
/// A batch ends at this size even if it could take more records: it bounds the memory.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// How long a call that is under way may last after the shutdown signal: the process must be gone within 10 s.
const LAST_CALL: Duration = Duration::from_secs(7);

/// Who takes events: the platform, or a simulation of it.
pub trait Runs: std::fmt::Debug + Send + Sync {
    /// Sends an event, once.
    fn send<'a>(&'a self, event: &'a Event<'a>) -> BoxFuture<'a, Result<(), CallbackError>>;
}

impl Runs for Callback {
    fn send<'a>(&'a self, event: &'a Event<'a>) -> BoxFuture<'a, Result<(), CallbackError>> {
        self.send_event(event).boxed()
    }
}

/// Starts a run of the playbook with each batch.
#[derive(Debug)]
pub struct Playbook {
    runs: Arc<dyn Runs>,
    /// Records in a run at most.
    records: usize,
    leftovers: Leftovers,
    context: Context,
}

impl Sink for Playbook {
    /// A batch at a time: the platform takes the files in the order of the runs.
    fn limits(&self) -> Limits {
        Limits {
            records: self.records,
            bytes: BATCH_BYTES,
            record_bytes: None,
            side_by_side: 1,
            linger: None,
        }
    }

    fn prepare<'a>(&'a self, batch: &'a Sealed) -> BoxFuture<'a, Result<(), Stopped>> {
        self.write(&batch.pending.request_id, file(&batch.pieces)).boxed()
    }

    fn deliver(&self, batch: Sealed) -> BoxFuture<'_, Result<Receipt, Stopped>> {
        let file = file(&batch.pieces);
        self.send(batch.pending, file).boxed()
    }

    /// The batch is sent again as it was, under the same request ID, if its file was written whole: else nobody can have
    /// it.
    fn resume(&self, pending: Pending) -> BoxFuture<'_, Result<Option<Receipt>, Stopped>> {
        let resumed = async move {
            let path = path(&pending.request_id);
            let read = || self.context.storage.read(&path);
            let Some(file) = self.context.until_done("look for a batch in the storage", read).await? else {
                return Ok(None);
            };
            tracing::info!(
                request_id = pending.request_id,
                "sending the batch again that was under way at the last end"
            );
            self.send(pending, file.into()).await.map(Some)
        };
        resumed.boxed()
    }

    fn forget<'a>(&'a self, request_id: &'a str) -> BoxFuture<'a, ()> {
        self.leftovers.remove(request_id).boxed()
    }

    fn tidy(&self) -> BoxFuture<'_, ()> {
        self.leftovers.retry().boxed()
    }
}

impl Playbook {
    /// Starts runs by `runs` with `records` records each at most. `notes` is a folder in the storage that nobody shares.
    pub fn new(runs: Arc<dyn Runs>, records: usize, notes: &str, context: &Context) -> Self {
        let leftovers = Leftovers::new(notes, &context.storage);
        Self { runs, records, leftovers, context: context.clone() }
    }

    /// Writes a batch's file.
    async fn write(&self, request_id: &str, file: Pieces) -> Result<(), Stopped> {
        let (path, mut backoff) = (path(request_id), Context::of_storage());
        let write = || self.context.storage.write(&path, file.clone());
        let failed = |error| {
            tracing::error!(%error, "could not write a batch, it is kept and tried again; is the storage full?");
            Ok(backoff.next_wait())
        };
        retry::until(&self.context.shutdown, write, failed).await
    }

    /// Sends the event of a batch whose file is written.
    async fn send(&self, pending: Pending, file: Pieces) -> Result<Receipt, Stopped> {
        let started = Instant::now();
        let folder = folder(&pending.request_id);
        let now = Timestamp::now();
        let name = format!("aws-flowlog_{}.{:06}", now.as_second(), now.subsec_microsecond());
        let event = Event {
            name: &name,
            event: json!({ "records_path": FILE }),
            request_id: &pending.request_id,
            directory: &folder,
        };
        let mut passing = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let mut refused = Backoff::new(Duration::from_secs(2), Duration::from_secs(120));
        while let Err(error) = self.send_once(&event).await? {
            self.context.metrics.callback_retries.inc();
            let wait = if error.is_refusal() {
                let wait = refused.next_wait();
                tracing::error!(%error, retry_in_s = wait.as_secs(), "the platform refused a batch, which is kept; is the playbook running?");
                self.context.health.failed(&self.context.shutdown).await?;
                wait
            } else {
                let wait = passing.next_wait();
                tracing::warn!(%error, retry_in_s = wait.as_secs_f64(), "the platform did not take a batch, which is kept");
                wait
            };
            self.context.shutdown.sleep(wait).await?;
            self.restore(&pending.request_id, &file).await?;
        }
        self.context.health.event_sent();
        self.context.metrics.batches_delivered.inc();
        self.context.metrics.records_delivered.inc_by(pending.records as u64);
        self.context.metrics.delivery_seconds.observe(started.elapsed().as_secs_f64());
        Ok(Receipt::of(pending))
    }

    /// One attempt. The shutdown signal does not tear it apart at once: an answer that is on its way spares a repeat.
    async fn send_once(&self, event: &Event<'_>) -> Result<Result<(), CallbackError>, Stopped> {
        self.context.shutdown.within(LAST_CALL, self.runs.send(event)).await
    }

    /// Writes the file of a batch again if it is gone: the platform would refuse the batch for ever.
    async fn restore(&self, request_id: &str, file: &Pieces) -> Result<(), Stopped> {
        let names = self.context.storage.names(&folder(request_id)).await;
        // A storage that does not answer says nothing of the file.
        if names.is_ok_and(|names| !names.iter().any(|name| name == FILE)) {
            tracing::warn!(
                request_id,
                "the file of a batch is gone before the platform took it, it is written again; is the storage shared?"
            );
            self.write(request_id, file.clone()).await?;
        }
        Ok(())
    }
}

fn path(request_id: &str) -> String {
    format!("{}/{FILE}", folder(request_id))
}

/// The file of a batch: a JSON array of strings.
fn file(pieces: &[Bytes]) -> Pieces {
    let [opening, closing] = [Bytes::from_static(b"["), Bytes::from_static(b"]")];
    std::iter::once(opening).chain(pieces.iter().cloned()).chain([closing]).collect()
}
