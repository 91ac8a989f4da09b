//! Takes a batch to the platform: a file in the storage, then an event that starts a run with it.
//!
//! Nothing here gives up: a batch is kept and tried again until the platform has it or the process is told to stop.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::batch::{Batch, Cover};
use super::checkpoint::Pending;
use crate::platform::callback::{Callback, CallbackError, Event};
use crate::platform::health::Health;
use crate::platform::metrics::Metrics;
use crate::platform::storage::{Pieces, Storage};
use crate::retry::Backoff;
use crate::shutdown::{Shutdown, Stopped};

/// The folder of the batches in the storage, named as the Python module names it.
const FOLDER: &str = "AWS Flowlog_events";
/// The file of the records in a batch's folder.
const FILE: &str = "event.json";
/// How long a call that is under way may last after the order to stop: the process must be gone within 10 s.
const LAST_CALL: Duration = Duration::from_secs(7);

/// Who takes events: the platform, or a simulation of it.
pub trait Sink: std::fmt::Debug + Send + Sync {
    /// Sends an event, once.
    fn send<'a>(&'a self, event: &'a Event<'a>) -> BoxFuture<'a, Result<(), CallbackError>>;
}

impl Sink for Callback {
    fn send<'a>(&'a self, event: &'a Event<'a>) -> BoxFuture<'a, Result<(), CallbackError>> {
        self.send_event(event).boxed()
    }
}

/// Delivers batches.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The storage that the platform takes the files from.
    pub storage: Storage,
    /// The platform.
    pub sink: Arc<dyn Sink>,
    /// Told of events and failures.
    pub health: Health,
    /// Counts them.
    pub metrics: Metrics,
    /// Interrupts the waits between attempts.
    pub shutdown: Shutdown,
}

/// The proof that the platform has a batch. Only an accepted callback makes one, or a batch without records.
#[derive(Debug)]
pub struct Receipt {
    covers: Vec<Cover>,
    request_id: Option<String>,
}

impl Receipt {
    /// The receipt of a batch that has nothing in it for the platform; the batch itself if it has.
    pub fn for_no_records(batch: Batch) -> Result<Self, Batch> {
        match batch.records() {
            0 => Ok(Self { covers: batch.into_file().1, request_id: None }),
            _ => Err(batch),
        }
    }

    /// What the batch covers.
    pub fn into_covers(self) -> Vec<Cover> {
        self.covers
    }

    /// The batch's request ID, whose folder is not needed any more once the receipt is committed.
    pub fn request_id(&self) -> Option<String> {
        self.request_id.clone()
    }
}

impl Delivery {
    /// Writes a batch's file. The caller has noted it as pending before.
    pub async fn write(&self, request_id: &str, file: Pieces) -> Result<(), Stopped> {
        let path = format!("{}/{FILE}", folder(request_id));
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        while let Err(error) = self.storage.write(&path, file.clone()).await {
            let wait = backoff.next_wait();
            tracing::error!(%error, "could not write a batch, it is kept and tried again; is the storage full?");
            self.shutdown.sleep(wait).await?;
        }
        Ok(())
    }

    /// Sends the event of a batch that was pending when the process ended; `None` if its file was never written whole,
    /// so that nobody can have it.
    pub async fn resume(&self, pending: Pending) -> Result<Option<Receipt>, Stopped> {
        let path = format!("{}/{FILE}", folder(&pending.request_id));
        let read = || self.storage.read(&path);
        let Some(file) = self.until_done("look for a batch in the storage", read).await? else {
            return Ok(None);
        };
        tracing::info!(
            request_id = pending.request_id,
            "sending the batch again that was under way at the last end"
        );
        self.send(pending, file.into()).await.map(Some)
    }

    /// Sends the event of a batch whose file is written.
    pub async fn send(&self, pending: Pending, file: Pieces) -> Result<Receipt, Stopped> {
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
            self.metrics.callback_retries.inc();
            let wait = if error.is_refusal() {
                let wait = refused.next_wait();
                tracing::error!(%error, retry_in_s = wait.as_secs(), "the platform refused a batch, which is kept; is the playbook running?");
                self.health.failed(&self.shutdown).await?;
                wait
            } else {
                let wait = passing.next_wait();
                tracing::warn!(%error, retry_in_s = wait.as_secs_f64(), "the platform did not take a batch, which is kept");
                wait
            };
            self.shutdown.sleep(wait).await?;
            self.restore(&pending.request_id, &file).await?;
        }
        self.health.event_sent();
        self.metrics.batches_delivered.inc();
        self.metrics.records_delivered.inc_by(pending.records as u64);
        self.metrics.delivery_seconds.observe(started.elapsed().as_secs_f64());
        Ok(Receipt { covers: pending.covers, request_id: Some(pending.request_id) })
    }

    /// One attempt. The order to stop does not tear it apart at once: an answer that is on its way spares a repeat.
    async fn send_once(&self, event: &Event<'_>) -> Result<Result<(), CallbackError>, Stopped> {
        self.shutdown.within(LAST_CALL, self.sink.send(event)).await
    }

    /// Writes the file of a batch again if it is gone: the platform would refuse the batch for ever.
    async fn restore(&self, request_id: &str, file: &Pieces) -> Result<(), Stopped> {
        let names = self.storage.names(&folder(request_id)).await;
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

    /// Tries something in the storage until it works.
    pub async fn until_done<T, F>(&self, what: &str, mut attempt: impl FnMut() -> F) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, crate::platform::storage::StorageError>>,
    {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => tracing::error!(%error, "could not {what}, it is tried again"),
            }
            self.shutdown.sleep(backoff.next_wait()).await?;
        }
    }
}

/// The folder of a batch.
pub fn folder(request_id: &str) -> String {
    format!("{FOLDER}/{request_id}")
}
