//! Keeps the [`Checkpoint`] in the storage: every change is an entry of a [`Journal`] before it counts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;
use uuid::Uuid;

use super::checkpoint::{Change, Checkpoint, Marker, Origin, Pending};
use super::deliver::{self, Delivery, Receipt};
use super::journal::{AppendError, Contents, Journal};
use super::place::LogName;
use crate::config::{StartFrom, TriggerConfiguration};
use crate::platform::storage::StorageError;
use crate::retry::Backoff;
use crate::s3::{Bucket, ListRequest, Object, S3Error};
use crate::shutdown::{Shutdown, Stopped};

/// The folder of the state in the storage.
const FOLDER: &str = "aws-flowlogs_state";

/// The checkpoint and its place in the storage. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    checkpoint: Arc<Mutex<Checkpoint>>,
    journal: Arc<tokio::sync::Mutex<Journal>>,
    delivery: Delivery,
}

impl Ledger {
    /// Reads the state of a bucket and prefix; without one, decides where to begin and writes that down at once, so
    /// that a restart before the first batch begins at the same place.
    pub async fn open(
        configuration: &TriggerConfiguration,
        bucket: &Bucket,
        delivery: &Delivery,
        started: Instant,
    ) -> Result<Self, Stopped> {
        let folder = state_folder(configuration);
        let storage = &delivery.storage;
        let open = || Journal::open(storage, &folder);
        let (journal, contents) = delivery.until_done("read the checkpoint", open).await?;
        for path in &contents.damaged {
            tracing::error!(
                path,
                "a file of the state was damaged and is set aside; some records may be sent again"
            );
        }
        let read = async || rebuild(&contents).map_err(|reason| unreadable(&folder, &reason));
        let checkpoint = match delivery.until_done("understand the checkpoint", read).await? {
            Some(checkpoint) => {
                tracing::info!(state = folder, "going on where the last run stopped");
                checkpoint
            }
            None if contents.damaged.is_empty() => {
                let origin = first_origin(configuration, bucket, delivery, started).await?;
                let (since, markers) = (origin.since, origin.markers.len());
                tracing::info!(state = folder, %since, markers, "starting without a checkpoint");
                Checkpoint::new(origin)
            }
            None => {
                tracing::error!(
                    state = folder,
                    "nothing of the state can be read; all flow logs are sent, some again"
                );
                Checkpoint::new(Origin::since(jiff::Timestamp::MIN))
            }
        };
        let ledger = Self {
            checkpoint: Arc::new(Mutex::new(checkpoint)),
            journal: Arc::new(tokio::sync::Mutex::new(journal)),
            delivery: delivery.clone(),
        };
        // The origin comes first, and twice: one damaged file must not take it away.
        if contents.snapshot.is_none() {
            ledger.snapshot().await?;
        }
        ledger.change(&[Change::opened(Uuid::new_v4())]).await?;
        if !ledger.journal.lock().await.has_spare_snapshot() {
            ledger.snapshot().await?;
        }
        Ok(ledger)
    }

    /// Looks at the checkpoint.
    pub fn look<T>(&self, look: impl FnOnce(&Checkpoint) -> T) -> T {
        look(&self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the batch that is about to be delivered.
    pub async fn begin(&self, pending: Pending) -> Result<(), Stopped> {
        self.change(&[Change::begun(pending)]).await
    }

    /// Notes what the platform has, then removes the batch's folder.
    pub async fn commit(&self, receipt: Receipt) -> Result<(), Stopped> {
        let folder = receipt.folder();
        self.change(&[Change::committed(receipt)]).await?;
        if let Some(folder) = folder {
            self.delivery.clear(&folder).await;
        }
        Ok(())
    }

    /// Notes that an object, or the rest of it, cannot be delivered.
    pub async fn reject(&self, object: &Object, cause: &str) -> Result<(), Stopped> {
        self.change(&[Change::rejected(object, cause)]).await
    }

    /// Puts right what the end of the last run left: sends the batch again that was under way, and removes the folder
    /// that was not removed any more.
    pub async fn resume(&self) -> Result<(), Stopped> {
        if let Some(last) = self.look(|checkpoint| checkpoint.last().map(deliver::folder)) {
            self.delivery.clear(&last).await;
        }
        let Some(pending) = self.look(|checkpoint| checkpoint.pending().cloned()) else { return Ok(()) };
        let folder = deliver::folder(&pending.request_id);
        if let Some(receipt) = self.delivery.resume(pending).await? {
            return self.commit(receipt).await;
        }
        self.change(&[Change::forgotten()]).await?;
        self.delivery.clear(&folder).await;
        Ok(())
    }

    /// Writes changes down, then makes them. An instance that was overtaken by a newer one ends here: it waits to be
    /// stopped, because to end by itself would only make the platform start it again.
    pub async fn change(&self, changes: &[Change]) -> Result<(), Stopped> {
        let entry = serde_json::to_vec(changes).unwrap_or_default();
        let mut journal = self.journal.lock().await;
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        loop {
            match journal.append(&entry).await {
                Ok(()) => break,
                Err(AppendError::Storage(error)) => {
                    tracing::error!(%error, "could not write the checkpoint, it is tried again");
                }
                Err(error @ AppendError::Overtaken) => {
                    tracing::warn!("{error}; this one does nothing more and waits to be stopped");
                    self.delivery.shutdown.stopped().await;
                    return Err(Stopped);
                }
            }
            self.delivery.shutdown.sleep(backoff.next_wait()).await?;
        }
        let is_long = journal.is_long();
        drop(journal);
        {
            let mut checkpoint = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
            changes.iter().for_each(|change| checkpoint.apply(change));
        }
        if is_long { self.snapshot().await } else { Ok(()) }
    }

    async fn snapshot(&self) -> Result<(), Stopped> {
        let mut journal = self.journal.lock().await;
        let snapshot = self.look(Checkpoint::to_json);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        while let Err(error) = journal.snapshot(&snapshot).await {
            tracing::error!(%error, "could not write a snapshot of the checkpoint, it is tried again");
            self.delivery.shutdown.sleep(backoff.next_wait()).await?;
        }
        Ok(())
    }
}

/// The state of one bucket and prefix; readable by its bucket, unique by the ID.
fn state_folder(configuration: &TriggerConfiguration) -> String {
    let TriggerConfiguration { bucket, prefix, .. } = configuration;
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("s3://{bucket}/{prefix}").as_bytes());
    let readable = bucket.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.', "-");
    format!("{FOLDER}/{readable}_{id}")
}

/// What a journal comes to; `None` without a snapshot to begin with.
fn rebuild(contents: &Contents) -> Result<Option<Checkpoint>, String> {
    let Some(snapshot) = &contents.snapshot else { return Ok(None) };
    let mut checkpoint = Checkpoint::from_json(snapshot)?;
    for entry in &contents.entries {
        let changes: Vec<Change> = serde_json::from_slice(entry).map_err(|error| error.to_string())?;
        changes.iter().for_each(|change| checkpoint.apply(change));
    }
    Ok(Some(checkpoint))
}

/// Whole, but not of a form that this version knows: no reason to begin anew, which would skip or repeat. It is said
/// until somebody looks at it.
fn unreadable(folder: &str, reason: &str) -> StorageError {
    let reason = format!("{reason}; run the version that wrote it, or remove the folder and set start_from");
    StorageError::Io { action: "understand", path: folder.into(), source: std::io::Error::other(reason) }
}

async fn first_origin(
    configuration: &TriggerConfiguration,
    bucket: &Bucket,
    delivery: &Delivery,
    started: Instant,
) -> Result<Origin, Stopped> {
    // Asked before all else: what S3 takes from here on must not be missed, and its clock is the one that counts.
    let probe =
        async || bucket.list(ListRequest { prefix: &configuration.prefix, ..ListRequest::default() }).await;
    until_listed(delivery, probe).await?;
    let running = SignedDuration::try_from(started.elapsed()).unwrap_or_default();
    let started = bucket.now().saturating_sub(running).unwrap_or(jiff::Timestamp::MIN);
    let mut markers = Vec::new();
    for (prefix, key) in python_markers(configuration, delivery).await? {
        let request = ListRequest { prefix: &key, ..ListRequest::default() };
        let page = until_listed(delivery, async || bucket.list(request).await).await?;
        let marked = page.objects.iter().find(|object| object.key == key);
        let named = || LogName::of(&key)?.timestamp();
        let last_modified = marked.map(|object| object.last_modified).or_else(named);
        tracing::info!(marker = key, "taking over from the Python module");
        markers.push(Marker { prefix, key, last_modified });
    }
    let since = match configuration.start_from {
        StartFrom::Now => started,
        StartFrom::Beginning => jiff::Timestamp::MIN,
        StartFrom::Time(time) => time,
    };
    // S3 tells times to the second: what it took in the second of the start counts.
    let since = jiff::Timestamp::from_second(since.as_second()).unwrap_or(since);
    Ok(Origin { since, markers })
}

/// The markers that the Python module left: `<prefix>/context.json`; without a prefix, one for each region.
async fn python_markers(
    configuration: &TriggerConfiguration,
    delivery: &Delivery,
) -> Result<Vec<(String, String)>, Stopped> {
    let storage = &delivery.storage;
    let names = async |path: &str| {
        let names = delivery.until_done("look for the Python module's state", || storage.names(path)).await;
        names.map(|names| names.into_iter().map(|name| format!("{path}/{name}")).collect::<Vec<_>>())
    };
    // Its folder, and the prefix that it watched.
    let mut folders = Vec::new();
    if configuration.prefix.is_empty() {
        folders.push(("default".to_owned(), String::new()));
        for account in names("AWSLogs").await? {
            for region in names(&format!("{account}/vpcflowlogs")).await? {
                folders.push((region.clone(), format!("{region}/")));
            }
        }
    } else {
        folders.push((configuration.prefix.trim_matches('/').to_owned(), configuration.prefix.clone()));
    }
    let mut markers = Vec::new();
    for (folder, prefix) in folders {
        let path = format!("{folder}/context.json");
        let context = async || match storage.read(&path).await {
            // A prefix that is no path in the storage has no state there.
            Err(StorageError::Outside { .. }) => Ok(None),
            read => read,
        };
        let Some(context) = delivery.until_done("read the Python module's state", context).await? else {
            continue;
        };
        let marker = serde_json::from_slice::<serde_json::Value>(&context).ok();
        match marker.as_ref().and_then(|context| context.get("marker")).and_then(|marker| marker.as_str()) {
            Some(marker) => markers.push((prefix, marker.to_owned())),
            None => tracing::warn!(
                path,
                "the Python module's state names no marker and is not used; see start_from"
            ),
        }
    }
    Ok(markers)
}

/// Asks S3 until it answers: what is configured wrong may be put right meanwhile.
pub async fn until_listed<T, F>(delivery: &Delivery, mut list: impl FnMut() -> F) -> Result<T, Stopped>
where
    F: Future<Output = Result<T, S3Error>>,
{
    let shutdown: &Shutdown = &delivery.shutdown;
    let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
    loop {
        match shutdown.race(list()).await? {
            Ok(listed) => return Ok(listed),
            Err(error) => {
                delivery.health.failed();
                let wait = backoff.next_wait();
                tracing::error!(%error, retry_in_s = wait.as_secs(), "cannot look for flow logs");
                shutdown.sleep(wait).await?;
            }
        }
    }
}
