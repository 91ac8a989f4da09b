//! What is done of the days that no poll looks at any more: a file for each lane and day, beside the journal.
//!
//! A file is a set of fingerprints and of nothing else, so that it can be written again with what it has already. Each
//! instance writes files of its own name: of two that run at once, neither takes away what the other one has written,
//! and what a day has is what all its files have.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::context::Context;
use crate::layout::name::Day;
use crate::layout::place::Place;
use crate::platform::storage::Storage;
use crate::shutdown::Stopped;
use crate::source::listing::checkpoint::seen::{Fingerprints, Stored};
use crate::source::listing::journal::{DAMAGED, seal, unseal};

/// The folder of these files, below that of the state.
const FOLDER: &str = "days";

/// The files of days.
#[derive(Clone, Debug)]
pub struct Days {
    folder: String,
    instance: Uuid,
    context: Context,
}

impl Days {
    /// Those beside a journal.
    pub fn new(state: &str, instance: Uuid, context: &Context) -> Self {
        Self { folder: format!("{state}/{FOLDER}"), instance, context: context.clone() }
    }

    /// What the files of a place know; `None` if there is no such file.
    pub async fn read(&self, place: &Place) -> Result<Option<Stored>, Stopped> {
        let names = self.names(&place.folder).await?;
        self.gather(place, names.iter().filter(|name| is_of(name, place.day))).await
    }

    /// Adds to what is known of a place. Without a file of it yet, what S3 took before `before` is done.
    pub async fn add(&self, place: &Place, before: Option<Day>, done: Fingerprints) -> Result<(), Stopped> {
        let names = self.names(&place.folder).await?;
        let names: Vec<String> = names.into_iter().filter(|name| is_of(name, place.day)).collect();
        let mut stored =
            self.gather(place, names.iter()).await?.unwrap_or(Stored { before, ..Stored::default() });
        stored.done.extend(done);
        self.write(place, &stored).await?;
        let own = self.name(place.day);
        let others = names.into_iter().filter(|name| *name != own && !name.ends_with(DAMAGED)).collect();
        self.remove(&place.folder, others).await
    }

    /// The days of a folder that have a file.
    pub async fn days(&self, folder: &str) -> Result<BTreeSet<Day>, Stopped> {
        Ok(self.names(folder).await?.iter().filter_map(|name| Day::parse(name.get(..8)?)).collect())
    }

    /// Removes the files of days before `before`, but for some days.
    pub async fn forget(&self, folder: &str, before: Day, kept: &BTreeSet<Day>) -> Result<(), Stopped> {
        let is_over = |name: &String| {
            let day = name.get(..8).and_then(Day::parse);
            day.is_some_and(|day| day < before && !kept.contains(&day)) || Storage::is_unfinished(name)
        };
        let names = self.names(folder).await?.into_iter().filter(is_over).collect();
        self.remove(folder, names).await
    }

    async fn gather(
        &self,
        place: &Place,
        names: impl Iterator<Item = &String>,
    ) -> Result<Option<Stored>, Stopped> {
        let Context { storage, .. } = &self.context;
        let mut all: Option<Stored> = None;
        let mut is_damaged = false;
        let mut is_set_aside = false;
        for name in names {
            let path = format!("{}/{name}", self.path(&place.folder));
            if name.ends_with(DAMAGED) {
                is_damaged = true;
                continue;
            }
            let read = || storage.read(&path);
            let Some(file) = self.context.until_done("read the checkpoint", read).await? else { continue };
            let Some(stored) = unseal(&file).and_then(|body| serde_json::from_slice::<Stored>(&body).ok())
            else {
                tracing::error!(
                    path,
                    "a file of the state was damaged and is set aside; some records may be sent again"
                );
                let aside = format!("{path}{DAMAGED}");
                let rename = async || match storage.rename(&path, &aside).await {
                    // It was, and the answer was lost.
                    Err(error) if error.is_not_found() => Ok(()),
                    renamed => renamed,
                };
                self.context.until_done("set a damaged file aside", rename).await?;
                (is_damaged, is_set_aside) = (true, true);
                continue;
            };
            let all = all.get_or_insert_default();
            all.before = all.before.max(stored.before);
            all.done.extend(stored.done);
        }
        // Without its file, a day would count as whole that is not. It is sent again.
        if is_damaged && (is_set_aside || all.is_none()) {
            let stored = Stored { before: None, done: all.unwrap_or_default().done };
            self.write(place, &stored).await?;
            return Ok(Some(stored));
        }
        Ok(all)
    }

    async fn write(&self, place: &Place, stored: &Stored) -> Result<(), Stopped> {
        let path = format!("{}/{}", self.path(&place.folder), self.name(place.day));
        let file = seal(&serde_json::to_vec(stored).unwrap_or_default());
        let write = || self.context.storage.write(&path, file.clone());
        self.context.until_done("write the checkpoint", write).await
    }

    async fn remove(&self, folder: &str, names: Vec<String>) -> Result<(), Stopped> {
        if names.is_empty() {
            return Ok(());
        }
        let path = self.path(folder);
        let remove = || self.context.storage.remove_files(&path, names.clone());
        self.context.until_done("tidy the state", remove).await
    }

    async fn names(&self, folder: &str) -> Result<Vec<String>, Stopped> {
        let path = self.path(folder);
        self.context.until_done("read the checkpoint", || self.context.storage.names(&path)).await
    }

    fn path(&self, folder: &str) -> String {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, folder.as_bytes());
        format!("{}/{id}", self.folder)
    }

    fn name(&self, day: Day) -> String {
        let (year, month, date) = day.digits();
        format!("{year}{month}{date}_{}", self.instance)
    }
}

fn is_of(name: &str, day: Day) -> bool {
    name.get(..8).and_then(Day::parse) == Some(day)
}
