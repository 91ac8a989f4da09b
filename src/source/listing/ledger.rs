//! Keeps the [`Checkpoint`] in the storage: every change is an entry of a [`Journal`] before it counts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::TriggerConfiguration;
use crate::context::Context;
use crate::contract::Pending;
use crate::layout::name::Day;
use crate::layout::place::Place;
use crate::platform::storage::StorageError;
use crate::s3::{Bucket, Object};
use crate::shutdown::Stopped;
use crate::sink::Receipt;
use crate::source::listing::checkpoint::seen::{Fingerprints, Stored};
use crate::source::listing::checkpoint::{Change, Checkpoint, Origin};
use crate::source::listing::crashes::Crashes;
use crate::source::listing::days::Days;
use crate::source::listing::journal::{Appended, Contents, Journal};
use crate::source::listing::origin::first_origin;
use crate::source::listing::owner;
use crate::source::listing::presence::{Instance, Presence};

/// The checkpoint and its place in the storage. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    checkpoint: Arc<Mutex<Checkpoint>>,
    journal: Arc<tokio::sync::Mutex<Journal>>,
    days: Days,
    instance: Uuid,
    /// The folder of the state.
    folder: Arc<str>,
    crashes: Crashes,
    /// What was committed and is not written down yet: it goes with the next entry.
    put_off: Arc<Mutex<Vec<Change>>>,
    /// Until this instance was overtaken.
    presence: Arc<Mutex<Option<Presence>>>,
    context: Context,
}

/// An entry of the journal. Two instances may make the same change; whose entry it is must still be known, for the one
/// that finds its number taken may be the one that took it, and the answer was lost.
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    by: Uuid,
    changes: Cow<'a, [Change]>,
}

/// A state as it is in the storage.
struct Read {
    journal: Journal,
    /// `None` where there is nothing to begin with.
    checkpoint: Option<Checkpoint>,
    /// Whether there was something once.
    is_snapshot_lost: bool,
}

impl Ledger {
    /// Reads the state of a bucket and prefix; without one, decides where to begin and writes that down at once, so
    /// that a restart before the first batch begins at the same place. An older instance that is still alive does
    /// nothing from here on but end what it has in flight, and that is waited for.
    pub async fn open(
        configuration: &TriggerConfiguration,
        bucket: &Bucket,
        context: &Context,
        instance: Instance,
    ) -> Result<Self, Stopped> {
        let folder = owner::settle(configuration, instance, context).await?;
        let presence = Presence::begin(instance.id, &folder, context).await?;
        let mut read = read(&folder, context).await?;
        if read.checkpoint.is_none() {
            let origin = match read.is_snapshot_lost {
                false => first_origin(configuration, bucket, context, instance.started).await?,
                // To begin at the present would skip what had not been delivered.
                true => Origin::since(jiff::Timestamp::MIN),
            };
            let (since, markers) = (origin.since, origin.markers.len());
            tracing::info!(state = folder, %since, markers, "starting without a checkpoint");
            let first = Checkpoint::new(origin).to_json();
            context.until_done("write the checkpoint", || read.journal.begin(&first)).await?;
            read = self::read(&folder, context).await?;
        }
        let opened = Change::opened(instance.id);
        while !read.append(instance.id, &opened, context).await? || !read.is_current(context).await? {
            read = self::read(&folder, context).await?;
        }
        while let Some(holder) = read.holder().filter(|holder| *holder != instance.id) {
            presence.outlast(holder).await?;
            read = self::read(&folder, context).await?;
            if read.holder() == Some(holder) {
                read.append(instance.id, &Change::resumed(instance.id), context).await?;
            }
        }
        let Some(mut checkpoint) = read.checkpoint else {
            tracing::error!(
                state = folder,
                "the checkpoint that was just written is gone; is the storage shared?"
            );
            context.shutdown.stopped().await;
            return Err(Stopped);
        };
        let end = configuration.end.map(|end| end.time);
        if end.is_some_and(|end| end <= checkpoint.origin().since) {
            tracing::warn!(since = %checkpoint.origin().since, "nothing is delivered: the start lies after end_at");
        }
        checkpoint.end_at(end);
        let crashes = Crashes::begin(&folder, presence.is_after_crash(), context).await?;
        let ledger = Self {
            checkpoint: Arc::new(Mutex::new(checkpoint)),
            journal: Arc::new(tokio::sync::Mutex::new(read.journal)),
            days: Days::new(&folder, instance.id, context),
            instance: instance.id,
            crashes,
            put_off: Arc::default(),
            folder: folder.into(),
            presence: Arc::new(Mutex::new(Some(presence))),
            context: context.clone(),
        };
        // The origin is there twice: one damaged file must not take it away.
        if !ledger.journal.lock().await.has_spare_snapshot() {
            ledger.snapshot().await?;
        }
        Ok(ledger)
    }

    /// Looks at the checkpoint.
    pub fn look<T>(&self, look: impl FnOnce(&Checkpoint) -> T) -> T {
        look(&self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The folder of the state, which nobody shares.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The objects under which the process died.
    pub fn crashes(&self) -> &Crashes {
        &self.crashes
    }

    /// Ends as it should: the next instance finds neither a sign of life nor a suspicion.
    pub async fn end(&self) {
        if let Some(presence) = self.take_presence() {
            self.crashes.end().await;
            presence.end().await;
        }
    }

    fn take_presence(&self) -> Option<Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What a receipt covers is delivered. It is written down with the next entry.
    pub fn commit(&self, receipt: Receipt) {
        self.put_off().push(Change::committed(receipt));
    }

    /// Notes a batch that is about to be delivered, and in the same entry what was committed.
    pub async fn begin(&self, pending: Pending) -> Result<(), Stopped> {
        self.change(&[Change::begun(pending)]).await
    }

    /// Writes down what was committed.
    pub async fn flush(&self) -> Result<(), Stopped> {
        if self.put_off().is_empty() { Ok(()) } else { self.change(&[]).await }
    }

    fn put_off(&self) -> MutexGuard<'_, Vec<Change>> {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an object, or the rest of it, cannot be delivered.
    pub async fn reject(&self, object: &Object, cause: &str) -> Result<(), Stopped> {
        self.change(&[Change::rejected(object, cause)]).await
    }

    /// The batch in flight that was noted first is not there any more: its records are delivered anew.
    pub async fn abandon(&self) -> Result<(), Stopped> {
        self.change(&[Change::forgotten()]).await
    }

    /// Writes changes down, after what was committed before them, then makes them. An instance that was overtaken by a
    /// newer one ends here: it still notes what the platform has, which the newer one waits for; then it waits to be
    /// stopped, because to end by itself would only make the platform start it again.
    pub async fn change(&self, changes: &[Change]) -> Result<(), Stopped> {
        let mut journal = self.journal.lock().await;
        let mut all = std::mem::take(&mut *self.put_off());
        let committed = all.len();
        all.extend_from_slice(changes);
        let body = entry(self.instance, &all);
        let mut backoff = Context::of_storage();
        loop {
            let mut appended = journal.append(&body).await;
            if matches!(appended, Ok(Appended::Overtaken)) && all.iter().any(Change::is_commit) {
                let commits: Vec<_> = all.iter().filter(|change| change.is_commit()).cloned().collect();
                let late = journal.append_after(&entry(self.instance, &commits), is_opening).await;
                appended = late.and(appended);
            }
            match appended {
                Ok(Appended::Done) => break,
                Ok(Appended::Overtaken) => return self.overtaken().await,
                Err(error) => {
                    let waited = self.context.again("write the checkpoint", &error, &mut backoff).await;
                    if let Err(stopped) = waited {
                        all.truncate(committed);
                        self.put_off().splice(0..0, all);
                        return Err(stopped);
                    }
                }
            }
        }
        // With the journal in hand: a snapshot must have all that is in the entries before it.
        self.alter(|checkpoint| all.iter().for_each(|change| checkpoint.apply(change)));
        let is_long = journal.is_long();
        drop(journal);
        if is_long { self.snapshot().await } else { Ok(()) }
    }

    /// Another instance has taken over. This one does nothing more, and waits to be stopped.
    async fn overtaken(&self) -> Result<(), Stopped> {
        tracing::warn!(
            "a newer instance of this trigger has taken over; this one does nothing more and waits to be stopped"
        );
        if let Some(presence) = self.take_presence() {
            presence.end().await;
        }
        self.context.shutdown.stopped().await;
        Err(Stopped)
    }

    /// What the storage knows of a place, with what is not there yet.
    pub async fn stored(&self, place: &Place) -> Result<Stored, Stopped> {
        // Looked at first: meanwhile it may be folded into the file.
        let recent = self.look(|checkpoint| checkpoint.recent(place).cloned());
        let before = self.look(|checkpoint| checkpoint.whole_before(place));
        let stored = self.days.read(place).await?;
        let mut stored = stored.unwrap_or(Stored { before, ..Stored::default() });
        stored.done.extend(recent.unwrap_or_default());
        Ok(stored)
    }

    /// Notes in the file of a day that these objects of it are done.
    pub async fn store(&self, place: &Place, done: Fingerprints) -> Result<(), Stopped> {
        let before = self.look(|checkpoint| checkpoint.whole_before(place));
        self.days.add(place, before, done).await
    }

    /// A folder was looked through to its end: all that lies in days before `before`, and was taken by S3 before that
    /// day, is done, but for what lies in the days that are kept.
    pub async fn whole(&self, folder: &str, before: Day, kept: &BTreeSet<Day>) -> Result<(), Stopped> {
        let stored = self.days.days(folder).await?;
        for day in kept.difference(&stored) {
            self.store(&Place { folder: folder.to_owned(), day: *day }, Fingerprints::default()).await?;
        }
        if self.look(|checkpoint| checkpoint.whole(folder).is_none_or(|known| known < before)) {
            self.change(&[Change::whole(folder, before)]).await?;
        }
        if stored.is_empty() { Ok(()) } else { self.days.forget(folder, before, kept).await }
    }

    fn alter(&self, alter: impl FnOnce(&mut Checkpoint)) {
        alter(&mut self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn snapshot(&self) -> Result<(), Stopped> {
        let mut journal = self.journal.lock().await;
        self.fold().await?;
        let snapshot = self.look(Checkpoint::to_json);
        let mut backoff = Context::of_storage();
        while let Err(error) = journal.snapshot(&snapshot).await {
            self.context.again("write a snapshot of the checkpoint", &error, &mut backoff).await?;
        }
        Ok(())
    }

    /// Moves what no poll looks at any more into the files of its days. The journal has it until the next snapshot, so
    /// that a crash at any point makes no more than the same files again.
    async fn fold(&self) -> Result<(), Stopped> {
        let places = self.look(Checkpoint::foldable);
        for place in &places {
            let done = self.look(|checkpoint| checkpoint.recent(place).cloned());
            self.store(place, done.unwrap_or_default()).await?;
        }
        self.alter(|checkpoint| checkpoint.folded(&places));
        Ok(())
    }
}

async fn read(folder: &str, context: &Context) -> Result<Read, Stopped> {
    let open = || Journal::open(&context.storage, folder);
    let opened = context.shutdown.race(context.until_done("read the checkpoint", open));
    let (journal, contents) = opened.await??;
    for path in &contents.damaged {
        tracing::error!(
            path,
            "a file of the state was damaged and is set aside; some records may be sent again"
        );
    }
    let understand = async || rebuild(&contents).map_err(|reason| unreadable(folder, &reason));
    let checkpoint = context.until_done("understand the checkpoint", understand).await?;
    let is_snapshot_lost = contents.is_snapshot_lost;
    match &checkpoint {
        Some(_) => tracing::info!(state = folder, "going on where the last run stopped"),
        None if is_snapshot_lost => {
            tracing::error!(
                state = folder,
                "nothing of the state can be read; all flow logs are sent, some again"
            );
        }
        None => {}
    }
    Ok(Read { journal, checkpoint, is_snapshot_lost })
}

impl Read {
    /// Writes a change down and makes it; false if another instance was faster, so that all is to be read again.
    async fn append(&mut self, by: Uuid, change: &Change, context: &Context) -> Result<bool, Stopped> {
        let entry = entry(by, std::slice::from_ref(change));
        let mut backoff = Context::of_storage();
        loop {
            match self.journal.append(&entry).await {
                Ok(Appended::Done) => break,
                Ok(Appended::Overtaken) => return Ok(false),
                Err(error) => context.again("write the checkpoint", &error, &mut backoff).await?,
            }
        }
        self.checkpoint.iter_mut().for_each(|checkpoint| checkpoint.apply(change));
        Ok(true)
    }

    /// Whether what was read has not been replaced meanwhile.
    async fn is_current(&self, context: &Context) -> Result<bool, Stopped> {
        context.until_done("read the checkpoint", || self.journal.is_current()).await
    }

    /// The instance that has a batch under way.
    fn holder(&self) -> Option<Uuid> {
        self.checkpoint.as_ref()?.holder()
    }
}

fn entry(by: Uuid, changes: &[Change]) -> Vec<u8> {
    serde_json::to_vec(&Entry { by, changes: changes.into() }).unwrap_or_default()
}

/// Whether an entry says no more than that an instance begins.
fn is_opening(entry: &[u8]) -> bool {
    serde_json::from_slice::<Entry<'_>>(entry).is_ok_and(|entry| entry.changes.iter().all(Change::is_opening))
}

/// What a journal comes to; `None` without a snapshot to begin with.
fn rebuild(contents: &Contents) -> Result<Option<Checkpoint>, String> {
    let Some(snapshot) = &contents.snapshot else { return Ok(None) };
    let mut checkpoint = Checkpoint::from_json(snapshot)?;
    for entry in &contents.entries {
        let entry: Entry<'_> = serde_json::from_slice(entry).map_err(|error| error.to_string())?;
        entry.changes.iter().for_each(|change| checkpoint.apply(change));
    }
    Ok(Some(checkpoint))
}

/// Whole, but not of a form that this version knows: no reason to begin anew, which would skip or repeat. It is said
/// until somebody looks at it.
fn unreadable(folder: &str, reason: &str) -> StorageError {
    let reason = format!("{reason}; run the version that wrote it, or remove the folder and set start_from");
    StorageError::Io { action: "understand", path: folder.into(), source: std::io::Error::other(reason) }
}
