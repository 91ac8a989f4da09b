//! Keeps the [`Checkpoint`] in the storage: read at the start, written whole after each change.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use tokio::time::Instant;
use uuid::Uuid;

use super::checkpoint::{Checkpoint, LogName, Marker, Origin, Pending};
use super::deliver::{Delivery, Receipt};
use crate::config::{StartFrom, TriggerConfiguration};
use crate::platform::storage::{Storage, StorageError};
use crate::retry::Backoff;
use crate::s3::{Bucket, ListRequest, S3Error};
use crate::shutdown::{Shutdown, Stopped};

/// The folder of the state in the storage.
const FOLDER: &str = "aws-flowlogs_state";

/// The checkpoint and its place in the storage. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    checkpoint: Arc<Mutex<Checkpoint>>,
    delivery: Delivery,
    path: String,
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
        let path = state_path(configuration);
        let storage = &delivery.storage;
        let found = delivery.until_done("read the checkpoint", || read(storage, &path)).await?;
        if let Some(checkpoint) = found {
            tracing::info!(state = path, "going on where the last run stopped");
            return Ok(Self {
                checkpoint: Arc::new(Mutex::new(checkpoint)),
                delivery: delivery.clone(),
                path,
            });
        }
        let origin = first_origin(configuration, bucket, delivery, started).await?;
        tracing::info!(state = path, since = %origin.since, markers = origin.markers.len(), "starting without a checkpoint");
        let checkpoint = Arc::new(Mutex::new(Checkpoint::new(origin)));
        let ledger = Self { checkpoint, delivery: delivery.clone(), path };
        ledger.change(|_| ()).await?;
        Ok(ledger)
    }

    /// Looks at the checkpoint.
    pub fn look<T>(&self, look: impl FnOnce(&Checkpoint) -> T) -> T {
        look(&self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the batch that is about to be delivered.
    pub async fn begin(&self, pending: Pending) -> Result<(), Stopped> {
        self.change(|checkpoint| checkpoint.begin(pending)).await
    }

    /// Notes what the platform has, then removes the batch's folder.
    pub async fn commit(&self, receipt: Receipt) -> Result<(), Stopped> {
        let folder = receipt.folder();
        self.change(|checkpoint| checkpoint.commit(receipt)).await?;
        if let Some(folder) = folder {
            self.delivery.clear(&folder).await;
        }
        Ok(())
    }

    /// Notes that an object, or the rest of it, cannot be delivered.
    pub async fn reject(&self, key: &str, cause: &str) -> Result<(), Stopped> {
        self.change(|checkpoint| checkpoint.reject(key, cause)).await
    }

    /// Sends the batch again that was under way when the process ended.
    pub async fn resume(&self) -> Result<(), Stopped> {
        let Some(pending) = self.look(|checkpoint| checkpoint.pending().cloned()) else { return Ok(()) };
        match self.delivery.resume(pending).await? {
            Some(receipt) => self.commit(receipt).await,
            None => self.change(Checkpoint::forget_pending).await,
        }
    }

    async fn change(&self, change: impl FnOnce(&mut Checkpoint)) -> Result<(), Stopped> {
        let json = {
            let mut checkpoint = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut checkpoint);
            bytes::Bytes::from(checkpoint.to_json())
        };
        let storage = &self.delivery.storage;
        self.delivery.until_done("write the checkpoint", || storage.write(&self.path, json.clone())).await
    }
}

/// The state of one bucket and prefix; readable by its bucket, unique by the ID.
fn state_path(configuration: &TriggerConfiguration) -> String {
    let TriggerConfiguration { bucket, prefix, .. } = configuration;
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("s3://{bucket}/{prefix}").as_bytes());
    let readable = bucket.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.', "-");
    format!("{FOLDER}/{readable}_{id}/checkpoint.json")
}

/// A file that is damaged is no reason to begin anew, which would skip what came since: it stays an error that is
/// said until somebody looks at it.
async fn read(storage: &Storage, path: &str) -> Result<Option<Checkpoint>, StorageError> {
    let Some(json) = storage.read(path).await? else { return Ok(None) };
    Checkpoint::from_json(&json).map(Some).map_err(|reason| StorageError::Io {
        action: "understand",
        path: path.into(),
        source: std::io::Error::other(format!("{reason}; restore the file, or remove it and set start_from")),
    })
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
    let mut backoff = Backoff::new(std::time::Duration::from_secs(2), std::time::Duration::from_secs(60));
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
