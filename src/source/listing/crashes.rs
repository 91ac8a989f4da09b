//! Objects under which the process died, from whatever cause: killed for its memory, aborted, out of stack. The fifth time
//! such an object is rejected by name, so that it cannot take all others with it.
//!
//! On ordinary days nothing is written for it. After an end without order, which the sign of life of an instance that is
//! gone tells, objects are opened one at a time, and each is noted while it is decoded. If the process dies again, the note
//! tells under which object. From then on that object is a suspect: it rests as one that failed, and is opened when the
//! others of a poll are delivered, alone, while nothing else is done. An object that the process survives is no suspect any
//! more.
//!
//! A kill from outside may meet these milliseconds, and it cannot be told from a death of memory. What S3, the storage and
//! the platform are waited for is therefore not part of them, and one object must meet [`DEATHS`] kills in a row.
//!
//! How long the trigger is careful follows from how often it died: for a poll, then for twice as many each time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::context::Context;
use crate::contract::Watch;
use crate::s3::Object;
use crate::shutdown::Stopped;
use crate::source::listing::journal::read_file;

/// The cause by which such objects are rejected.
pub const CAUSE: &str = "crash";
/// The file in the state's folder.
const FILE: &str = "crashes.json";
/// An object under which the process died as often, and which it never survived, is rejected. Fewer would reject one that
/// kills from outside met by chance; more would cost more starts.
const DEATHS: u32 = 5;
/// The trigger is careful for 2 to the power of this many polls at most: an hour, at a poll a minute.
const DOUBLED: u32 = 6;
/// More than are read at a time.
const ALL: u32 = 1 << 20;
/// Suspects that are remembered. Each costs a crash.
const REMEMBERED: usize = 1_000;

/// What is known of crashes. Clones share it.
#[derive(Clone, Debug)]
pub struct Crashes {
    path: Arc<str>,
    context: Context,
    known: Arc<Mutex<Known>>,
    /// Held by the claims that are being read: all of it by one that is read alone.
    readers: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Known {
    notes: Notes,
    /// What the storage has of them.
    written: Notes,
    /// Polls in which objects are still opened one at a time.
    careful_polls: u32,
}

/// What outlives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Notes {
    /// Ends without order since the last one that was as it should be.
    crashes: u32,
    /// The object that is open, alone.
    open: Option<Named>,
    suspects: Vec<Suspect>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Suspect {
    object: Named,
    deaths: u32,
}

/// An object that is being read.
#[derive(Debug)]
struct Watched {
    crashes: Crashes,
    /// The object, if nothing else is read meanwhile: then it is noted while it is decoded.
    alone: Option<Named>,
    _permit: OwnedSemaphorePermit,
}

/// An object, as far as it must be known after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    key: String,
    body_bytes: u64,
    last_modified: Timestamp,
}

impl From<&Object> for Named {
    fn from(object: &Object) -> Self {
        let Object { key, body_bytes, last_modified, .. } = object;
        Self { key: key.clone(), body_bytes: *body_bytes, last_modified: *last_modified }
    }
}

impl From<Named> for Object {
    fn from(Named { key, body_bytes, last_modified }: Named) -> Self {
        Self { key, body_bytes, last_modified, etag: None }
    }
}

impl Crashes {
    /// What the runs before left in the folder of the state. `after_crash`: one of them did not end as it should.
    pub async fn begin(folder: &str, after_crash: bool, context: &Context) -> Result<Self, Stopped> {
        let path = format!("{folder}/{FILE}");
        let read = || read_file(&context.storage, &path);
        let read = context.until_done("read which objects the process died of", read).await?;
        // What is damaged is forgotten: then the object is found again by as many more crashes.
        let mut notes: Notes = read.and_then(|read| serde_json::from_slice(&read).ok()).unwrap_or_default();
        let mut known = Known { written: notes.clone(), ..Known::default() };
        let died_of = notes.open.take();
        if after_crash || died_of.is_some() {
            notes.crashes = notes.crashes.saturating_add(1);
            known.careful_polls = 1 << (notes.crashes - 1).min(DOUBLED);
            let polls = known.careful_polls;
            tracing::info!(
                polls,
                "the last run ended without order: objects are opened one at a time for a while"
            );
        }
        if let Some(object) = died_of {
            let deaths = notes.died_of(object.clone());
            tracing::warn!(key = object.key, deaths, "the process died while it read this object");
        }
        known.notes = notes;
        let crashes = Self {
            path: path.into(),
            context: context.clone(),
            known: Arc::new(Mutex::new(known)),
            readers: Arc::new(Semaphore::new(ALL as usize)),
        };
        crashes.write().await?;
        Ok(crashes)
    }

    /// Takes out the suspects that are to be rejected.
    pub fn take_given_up(&self) -> Vec<(Object, u32)> {
        let mut known = self.lock();
        let suspects = std::mem::take(&mut known.notes.suspects);
        let (given_up, left) = suspects.into_iter().partition(|suspect| suspect.deaths >= DEATHS);
        known.notes.suspects = left;
        let given_up: Vec<Suspect> = given_up;
        given_up.into_iter().map(|suspect| (suspect.object.into(), suspect.deaths)).collect()
    }

    /// The suspects.
    pub fn suspects(&self) -> Vec<Object> {
        self.lock().notes.suspects.iter().map(|suspect| suspect.object.clone().into()).collect()
    }

    /// Whether an object is one of them.
    pub fn suspects_object(&self, key: &str) -> bool {
        self.lock().notes.suspects.iter().any(|suspect| suspect.object.key == key)
    }

    /// An object is about to be claimed: its claim is to hold what this gives. Where objects are opened one at a time, waits
    /// until the one before was read.
    pub async fn claims(&self, object: &Object) -> Result<Option<Arc<dyn Watch>>, Stopped> {
        let (is_careful, has_suspects) = {
            let known = self.lock();
            (known.careful_polls > 0, !known.notes.suspects.is_empty())
        };
        match (is_careful, has_suspects) {
            (true, _) => self.claims_alone(object).await.map(Some),
            (false, true) => self.watched(1, None).await.map(Some),
            (false, false) => Ok(None),
        }
    }

    /// As [`claims`](Crashes::claims), for an object that is opened alone: waits until nothing that was claimed is being read.
    pub async fn claims_alone(&self, object: &Object) -> Result<Arc<dyn Watch>, Stopped> {
        self.watched(ALL, Some(object.into())).await
    }

    async fn watched(&self, readers: u32, alone: Option<Named>) -> Result<Arc<dyn Watch>, Stopped> {
        let permit = Arc::clone(&self.readers).acquire_many_owned(readers);
        let permit = self.context.shutdown.race(permit).await?.map_err(|_| Stopped)?;
        Ok(Arc::new(Watched { crashes: self.clone(), alone, _permit: permit }))
    }

    /// The object was decoded and the process lives on, or the object is not wanted any more.
    pub async fn survived(&self, key: &str) -> Result<(), Stopped> {
        self.lock().notes.suspects.retain(|suspect| suspect.object.key != key);
        self.rests().await
    }

    /// Something else is done than to read an object.
    pub async fn rests(&self) -> Result<(), Stopped> {
        self.lock().notes.open = None;
        self.write().await
    }

    /// A poll ended.
    pub async fn poll_ended(&self) -> Result<(), Stopped> {
        {
            let mut known = self.lock();
            known.careful_polls = known.careful_polls.saturating_sub(1);
        }
        self.rests().await
    }

    /// The process ends as it should.
    pub async fn end(&self) {
        {
            let mut known = self.lock();
            (known.notes.crashes, known.notes.open) = (0, None);
        }
        // Once at most: the shutdown signal ends the attempts.
        let _ = self.write().await;
    }

    /// Writes down what has changed.
    pub async fn write(&self) -> Result<(), Stopped> {
        let notes = {
            let known = self.lock();
            if known.notes == known.written {
                return Ok(());
            }
            known.notes.clone()
        };
        let storage = &self.context.storage;
        let json = serde_json::to_vec(&notes).unwrap_or_default();
        let write = || storage.write(&self.path, json.clone());
        self.context.until_done("note which object is opened", write).await?;
        self.lock().written = notes;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Watched {
    fn decodes(&self) -> BoxFuture<'_, Result<(), Stopped>> {
        let noted = async move {
            let Some(object) = &self.alone else { return Ok(()) };
            self.crashes.lock().notes.open = Some(object.clone());
            self.crashes.write().await
        };
        noted.boxed()
    }

    fn decoded(&self) -> BoxFuture<'_, Result<(), Stopped>> {
        let noted = async move {
            let Some(object) = &self.alone else { return Ok(()) };
            self.crashes.survived(&object.key).await
        };
        noted.boxed()
    }
}

impl Notes {
    /// Counts a death; gives how many there were.
    fn died_of(&mut self, object: Named) -> u32 {
        if let Some(suspect) = self.suspects.iter_mut().find(|suspect| suspect.object.key == object.key) {
            suspect.deaths += 1;
            return suspect.deaths;
        }
        if self.suspects.len() >= REMEMBERED {
            self.suspects.remove(0);
        }
        self.suspects.push(Suspect { object, deaths: 1 });
        1
    }
}
