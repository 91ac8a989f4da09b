//! The steps `storage` and `callback`: whether the state can be kept, and the platform reached.

use reqwest::StatusCode;

use super::account::advice;
use super::node::Node;
use super::report::{Step, Told};
use crate::platform::callback::{Callback, CallbackError};
use crate::platform::storage::{Storage, StorageError};
use crate::platform::values::Values;
use crate::source::listing::owner;

/// A file that is written and removed in the folder of the state. Whoever reads a state passes over such a name.
const PROBE: &str = ".aws-flowlogs-write-check";

/// Writes a file and removes it, in the storage and, if it is there, in the folder of the state.
pub(super) async fn storage(values: &Values, node: Option<&Node>) -> Step<()> {
    let state = probe(values, node).await.map_err(|error| {
        let advice = match &error {
            StorageError::Io { .. } => {
                "see that it is there, is not full, and that the user of this process may write into it"
            }
            StorageError::Bucket(_) => "this is for the platform's operator to put right",
            _ => "correct the value that it names",
        };
        Told::failed(error.to_string(), advice)
    })?;
    let found = match state {
        State::Unknown => "a file was written and removed",
        State::Missing => {
            "a file was written and removed; there is no state yet: a first start goes on from what another trigger or \
             connector of this bucket and prefix left, or else begins as `start_from` says"
        }
        State::Found => "a file was written and removed; there is a state, and a start goes on from it",
    };
    Ok((Told::ok(found).with("has_state", state == State::Found), ()))
}

#[derive(PartialEq, Eq)]
enum State {
    Unknown,
    Missing,
    Found,
}

async fn probe(values: &Values, node: Option<&Node>) -> Result<State, StorageError> {
    let storage = Storage::from_values(values)?;
    storage.check().await?;
    let listing = node.and_then(|node| Some((node.listing()?, node.uuid)));
    let Some(folder) = listing.map(|(listing, uuid)| owner::folder(listing, uuid)) else {
        return Ok(State::Unknown);
    };
    if storage.names(&folder).await?.is_empty() {
        return Ok(State::Missing);
    }
    let probe = format!("{folder}/{PROBE}");
    storage.write(&probe, "").await?;
    storage.remove_file(&probe).await?;
    Ok(State::Found)
}

/// Asks for the head of the URL that events go to, which starts no run.
pub(super) async fn callback(platform: Option<&Result<Callback, CallbackError>>) -> Step<()> {
    let callback = match platform {
        None => return Err(Told::skipped("there is no platform (neither `token` nor `url_callback`)")),
        Some(Err(error)) => {
            return Err(Told::failed(error.to_string(), "set both `token` and `url_callback`"));
        }
        Some(Ok(callback)) => callback,
    };
    let status = callback.reach().await.map_err(|error| Told::failed(error.to_string(), advice(&error)))?;
    let found = format!("HEAD of `url_callback` was answered with {status}");
    match status.as_u16() {
        300..400 => Err(Told::failed(found, "check `url_callback`: redirects are not followed")),
        407 => Err(Told::failed(found, "give the proxy what it asks for, in HTTPS_PROXY")),
        501 => Ok((reached(status), ())),
        500.. => Err(Told::failed(found, "check again later; if it stays, ask the platform's support")),
        _ => Ok((reached(status), ())),
    }
}

/// Whatever a URL that only takes POST answers to HEAD, the way to it is open.
fn reached(status: StatusCode) -> Told {
    let told = Told::ok(format!("reachable ({status} to a HEAD, which starts no run)"));
    told.with("status", status.as_u16())
}
