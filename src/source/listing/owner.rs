//! Whose state it is. What a trigger keeps in the storage is its own: another trigger may have the same storage, bucket
//! and prefix, and other filters.
//!
//! A trigger is known by the UUID of its configuration, where the platform gives one, and by its bucket and prefix. One
//! that is made anew has another UUID: it begins with a copy of the state that a trigger of the same bucket and prefix left
//! which does not run any more. A copy, because that one may be started again: then both have their own, and nothing is
//! lost. The same goes for state of version 0.1.0, which knew bucket and prefix alone.

use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::TriggerConfiguration;
use crate::context::Context;
use crate::platform::storage::{Hold, Storage, StorageError};
use crate::shutdown::Stopped;
use crate::source::listing::journal::read_file;
use crate::source::listing::presence::{Instance, SIGN};

/// The folder of all states in the storage.
const STATES: &str = "aws-flowlogs_state";
/// Says in a state's folder whose it is.
const OWNER: &str = "owner.json";
/// Says in a state's folder that another trigger goes on with a copy of it, and since when.
const CONTINUED: &str = "continued.json";
/// Held in a state's folder while it is filled.
const FILLING: &str = "filling";
/// How long a trigger that still runs is waited for: the platform may start the new one before it stops the old, and a
/// bucket tells after 30 s that an instance is gone.
const PATIENCE: Duration = Duration::from_secs(35);
/// The time from one look to the next.
const LOOK: Duration = Duration::from_millis(500);
/// Attempts to copy a state that its trigger goes on with.
const COPIES: u32 = 5;

/// Whose a state is.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    /// The UUID of the trigger's configuration, where the platform gives one.
    trigger: Option<Uuid>,
    bucket: String,
    prefix: String,
    /// When it was started last.
    started: Timestamp,
    /// Where it ends, if it is a run over a range: that is a task of its own, which nobody else goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
}

/// Who goes on with a copy of a state.
#[derive(Debug, Serialize, Deserialize)]
struct Continued {
    by: String,
    since: Timestamp,
}

/// The UUID of a node's configuration, as the platform gives it; `None` for an empty text.
pub fn uuid(given: &str) -> Option<Uuid> {
    let text = Some(given.trim()).filter(|text| !text.is_empty());
    // What is no UUID names the node all the same.
    text.map(|text| Uuid::parse_str(text).unwrap_or_else(|_| named(text)))
}

/// The folder of a trigger's state: readable by its bucket, unique by the IDs.
pub fn folder(configuration: &TriggerConfiguration, trigger: Option<Uuid>) -> String {
    let common = common(configuration);
    trigger.map_or(common.clone(), |trigger| format!("{common}_{trigger}"))
}

/// What the folders of all triggers with this bucket and prefix begin with, and all of it for one without a UUID.
fn common(configuration: &TriggerConfiguration) -> String {
    let TriggerConfiguration { bucket, prefix, .. } = configuration;
    let id = named(&format!("s3://{bucket}/{prefix}"));
    let readable = bucket.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.', "-");
    format!("{STATES}/{readable}_{id}")
}

fn named(text: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes())
}

/// Finds the folder of this trigger's state. If there is nothing in it, it is filled with what a trigger left that was
/// here before, if one was.
pub async fn settle(
    configuration: &TriggerConfiguration,
    instance: Instance,
    context: &Context,
) -> Result<String, Stopped> {
    let own = folder(configuration, instance.trigger);
    let storage = &context.storage;
    let is_begun = context.until_done("look for the state", || is_begun(storage, &own)).await?;
    if !is_begun
        && configuration.end.is_none()
        && let Some(before) = predecessor(configuration, &own, context).await?
    {
        tracing::info!(
            state = own,
            from = before,
            "going on where another trigger of this bucket and prefix stopped"
        );
        context.until_done("copy the state of the trigger before", || fill(storage, &before, &own)).await?;
        let continued = Continued { by: own.clone(), since: Timestamp::now() };
        write(context, &format!("{before}/{CONTINUED}"), &continued).await?;
    }
    let owner = Owner {
        trigger: instance.trigger,
        bucket: configuration.bucket.clone(),
        prefix: configuration.prefix.clone(),
        started: Timestamp::now(),
        end: configuration.end.map(|end| end.time),
    };
    write(context, &format!("{own}/{OWNER}"), &owner).await?;
    Ok(own)
}

async fn write(context: &Context, path: &str, what: &impl Serialize) -> Result<(), Stopped> {
    let json = serde_json::to_vec(what).unwrap_or_default();
    context.until_done("write down whose state it is", || context.storage.write(path, json.clone())).await
}

/// Another trigger's state of the same bucket and prefix.
struct Other {
    folder: String,
    /// When it was started last; nobody said so of a state of version 0.1.0.
    started: Option<Timestamp>,
    /// When another trigger took a copy to go on with.
    continued: Option<Timestamp>,
    is_alive: bool,
    is_of_range: bool,
}

impl Other {
    /// Whether it is there to go on with.
    fn is_left(&self) -> bool {
        let is_continued =
            self.continued.is_some_and(|since| self.started.is_none_or(|started| started <= since));
        !is_continued && !self.is_of_range && (!self.is_alive || self.started.is_none())
    }
}

/// The state to go on with: that of the trigger which was started last of those that do not run. One that runs is waited
/// for, as it may be about to be stopped. If it goes on, it is another trigger, and this one begins anew; but of one of
/// version 0.1.0, which cannot be told from this one's older instance, a copy is taken.
async fn predecessor(
    configuration: &TriggerConfiguration,
    own: &str,
    context: &Context,
) -> Result<Option<String>, Stopped> {
    let common = common(configuration);
    let began = Instant::now();
    let mut is_told = false;
    let others = loop {
        let look = || others(&context.storage, &common, own);
        let others = context.until_done("look for the state", look).await?;
        if began.elapsed() > PATIENCE || !others.iter().any(|other| other.is_alive && !other.is_of_range) {
            break others;
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::info!(
                "another trigger of this bucket and prefix is running; waiting half a minute for its end"
            );
        }
        context.shutdown.sleep(LOOK).await?;
    };
    let last = others.into_iter().filter(Other::is_left).max_by_key(|other| other.started);
    Ok(last.map(|other| other.folder))
}

/// The states of other triggers with this bucket and prefix.
async fn others(storage: &Storage, common: &str, own: &str) -> Result<Vec<Other>, StorageError> {
    let mut others = Vec::new();
    for name in storage.names(STATES).await? {
        let folder = format!("{STATES}/{name}");
        let is_of_these =
            folder.strip_prefix(common).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
        if is_of_these && folder != own && is_begun(storage, &folder).await? {
            let owner: Option<Owner> = read(storage, &format!("{folder}/{OWNER}")).await?;
            let continued: Option<Continued> = read(storage, &format!("{folder}/{CONTINUED}")).await?;
            let is_of_range = owner.as_ref().is_some_and(|owner| owner.end.is_some());
            let (started, continued) = (owner.map(|owner| owner.started), continued.map(|by| by.since));
            let is_alive = is_alive(storage, &folder).await?;
            others.push(Other { folder, started, continued, is_alive, is_of_range });
        }
    }
    Ok(others)
}

/// Whether a folder holds a state, and not one that is half filled.
async fn is_begun(storage: &Storage, folder: &str) -> Result<bool, StorageError> {
    let names = storage.names(folder).await?;
    Ok(!names.iter().any(|name| name == FILLING) && names.iter().any(|name| is_state(name)))
}

/// Whether a file is part of the state itself, and no sign of those who work with it.
fn is_state(name: &str) -> bool {
    ![OWNER, CONTINUED, FILLING].contains(&name) && !name.starts_with(SIGN) && !Storage::is_unfinished(name)
}

async fn is_alive(storage: &Storage, folder: &str) -> Result<bool, StorageError> {
    for name in storage.names(folder).await?.iter().filter(|name| name.starts_with(SIGN)) {
        if storage.is_held(&format!("{folder}/{name}")).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One that is damaged says as little as none: it decides nothing but which of several states is the newest.
async fn read<T: DeserializeOwned>(storage: &Storage, path: &str) -> Result<Option<T>, StorageError> {
    let content = read_file(storage, path).await?;
    Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
}

/// Fills a folder with a copy of another. Until it is whole, it holds a file that says so: after a crash all begins anew.
async fn fill(storage: &Storage, from: &str, into: &str) -> Result<(), StorageError> {
    let filling = format!("{into}/{FILLING}");
    if is_begun(storage, into).await? {
        // Another instance of this trigger has filled it meanwhile.
        return Ok(());
    }
    if storage.is_held(&filling).await? {
        let source = std::io::Error::other("another instance of this trigger does so");
        return Err(StorageError::Io { action: "fill", path: into.into(), source });
    }
    if storage.names(into).await?.iter().any(|name| name == FILLING) {
        storage.remove_folder(into).await?;
    }
    let hold: Hold = storage.hold(&filling).await?;
    for attempt in 1..=COPIES {
        let before = storage.names(from).await?;
        copy(storage, from, into).await?;
        // Who still works with it may have replaced files meanwhile.
        if attempt == COPIES || storage.names(from).await? == before {
            break;
        }
    }
    drop(hold);
    storage.remove_file(&filling).await
}

async fn copy(storage: &Storage, from: &str, into: &str) -> Result<(), StorageError> {
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for name in storage.names(&format!("{from}{folder}")).await? {
            if folder.is_empty() && !is_state(&name) {
                continue;
            }
            let path = format!("{folder}/{name}");
            match storage.read(&format!("{from}{path}")).await {
                Ok(Some(content)) => storage.write(&format!("{into}{path}"), content).await?,
                // A folder is no file, be it on a disk or in a bucket.
                Ok(None) => folders.push(path),
                Err(error) if error.is_folder() => folders.push(path),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
