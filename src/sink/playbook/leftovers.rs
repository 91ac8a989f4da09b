//! The folders of batches, and those that could not be removed after their delivery: each is noted in the state's folder,
//! and tried again after later rounds and at later starts.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::platform::storage::{Storage, StorageError};

/// The folder of the batches in the storage, named as the Python module names it.
const FOLDER: &str = "AWS Flowlog_events";

/// What the name of a note begins with; the request ID follows.
const NOTE: &str = "left-";
/// Folders that are tried at a time.
const TRIED: usize = 20;

/// What was left.
#[derive(Debug)]
pub struct Leftovers {
    /// The folder of the notes.
    notes: String,
    storage: Storage,
    /// Whether there may be any: most of the time nothing need be looked for.
    any: AtomicBool,
}

impl Leftovers {
    /// What the runs before left.
    pub fn new(notes: &str, storage: &Storage) -> Self {
        Self { notes: notes.to_owned(), storage: storage.clone(), any: AtomicBool::new(true) }
    }

    /// Removes a batch's folder, or notes that it is left.
    pub async fn remove(&self, request_id: &str) {
        let Err(error) = self.storage.remove_folder(&folder(request_id)).await else {
            return;
        };
        self.any.store(true, Ordering::Relaxed);
        match self.storage.write(&self.note(request_id), "").await {
            Ok(()) => {
                tracing::warn!(%error, "could not remove the folder of a delivered batch, it is tried again later");
            }
            Err(_) => tracing::warn!(
                %error,
                "could not remove the folder of a delivered batch, nor note that for later; remove it by hand"
            ),
        }
    }

    /// Tries once more what was left.
    pub async fn retry(&self) {
        if self.any.swap(false, Ordering::Relaxed) && !self.retry_some().await.unwrap_or(false) {
            self.any.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nothing is left.
    async fn retry_some(&self) -> Result<bool, StorageError> {
        let storage = &self.storage;
        let names = storage.names(&self.notes).await?;
        let left = || names.iter().filter_map(|name| name.strip_prefix(NOTE));
        let mut is_done = left().count() <= TRIED;
        for request_id in left().take(TRIED) {
            let removed = match storage.remove_folder(&folder(request_id)).await {
                Ok(()) => storage.remove_file(&self.note(request_id)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                tracing::debug!(%error, "could not remove the folder of a delivered batch, it is tried again later");
                is_done = false;
            }
        }
        Ok(is_done)
    }

    fn note(&self, request_id: &str) -> String {
        format!("{}/{NOTE}{request_id}", self.notes)
    }
}

/// The folder of a batch.
pub fn folder(request_id: &str) -> String {
    format!("{FOLDER}/{request_id}")
}
