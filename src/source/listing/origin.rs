//! Where a first start begins: what the user says, and where the Python module stopped.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::config::{StartFrom, TriggerConfiguration};
use crate::context::Context;
use crate::layout::name::LogName;
use crate::platform::storage::StorageError;
use crate::retry::Backoff;
use crate::s3::{Bucket, ListRequest, S3Error};
use crate::shutdown::Stopped;
use crate::source::listing::checkpoint::{Marker, Origin};

/// Where a trigger without state begins. `started` is when the process began.
pub async fn first_origin(
    configuration: &TriggerConfiguration,
    bucket: &Bucket,
    context: &Context,
    started: Instant,
) -> Result<Origin, Stopped> {
    // Asked before all else: what S3 takes from here on must not be missed, and its clock is the one that counts.
    let probe =
        async || bucket.list(ListRequest { prefix: &configuration.prefix, ..ListRequest::default() }).await;
    until_listed(context, probe).await?;
    let running = SignedDuration::try_from(started.elapsed()).unwrap_or_default();
    let started = bucket.now().saturating_sub(running).unwrap_or(jiff::Timestamp::MIN);
    let mut markers = Vec::new();
    // A range is delivered whatever was delivered before.
    let left = match configuration.end {
        None => python_markers(configuration, context).await?,
        Some(_) => Vec::new(),
    };
    for (prefix, key) in left {
        let request = ListRequest { prefix: &key, ..ListRequest::default() };
        let page = until_listed(context, async || bucket.list(request).await).await?;
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
    Ok(Origin { since, markers, end: None })
}

/// The markers that the Python module left: `<prefix>/context.json`; without a prefix, one for each region.
async fn python_markers(
    configuration: &TriggerConfiguration,
    context: &Context,
) -> Result<Vec<(String, String)>, Stopped> {
    let storage = &context.storage;
    let names = async |path: &str| {
        let names = context.until_done("look for the Python module's state", || storage.names(path)).await;
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
        let state = async || match storage.read(&path).await {
            // A prefix that is no path in the storage has no state there.
            Err(StorageError::Outside { .. }) => Ok(None),
            // Nor is a folder of that name its state.
            Err(error) if error.is_folder() => Ok(None),
            read => read,
        };
        let Some(state) = context.until_done("read the Python module's state", state).await? else {
            continue;
        };
        let marker = serde_json::from_slice::<serde_json::Value>(&state).ok();
        match marker.as_ref().and_then(|state| state.get("marker")).and_then(|marker| marker.as_str()) {
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
pub async fn until_listed<T, F>(context: &Context, mut list: impl FnMut() -> F) -> Result<T, Stopped>
where
    F: Future<Output = Result<T, S3Error>>,
{
    let shutdown = &context.shutdown;
    let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
    loop {
        match shutdown.race(list()).await? {
            Ok(listed) => return Ok(listed),
            Err(error) => {
                let wait = backoff.next_wait();
                tracing::error!(%error, retry_in_s = wait.as_secs(), "cannot look for flow logs");
                context.health.failed(shutdown).await?;
                shutdown.sleep(wait).await?;
            }
        }
    }
}
