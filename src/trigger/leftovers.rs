//! Folders of delivered batches that could not be removed: each is noted in the state's folder, and tried again after
//! later polls and at later starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::deliver::{self, Delivery};
use crate::platform::storage::StorageError;

/// What the name of a note begins with; the request ID follows.
const NOTE: &str = "left-";
/// Folders that are tried at a time.
const TRIED: usize = 20;

/// What was left. Clones share it.
#[derive(Clone, Debug)]
pub struct Leftovers {
    /// The folder of the state.
    state: String,
    delivery: Delivery,
    /// Whether there may be any: most of the time nothing need be looked for.
    any: Arc<AtomicBool>,
}

impl Leftovers {
    /// What the runs before left.
    pub fn new(state: &str, delivery: &Delivery) -> Self {
        Self { state: state.to_owned(), delivery: delivery.clone(), any: Arc::new(AtomicBool::new(true)) }
    }

    /// Removes a batch's folder, or notes that it is left.
    pub async fn remove(&self, request_id: &str) {
        let Err(error) = self.delivery.storage.remove_folder(&deliver::folder(request_id)).await else {
            return;
        };
        self.any.store(true, Ordering::Relaxed);
        match self.delivery.storage.write(&self.note(request_id), "").await {
            Ok(()) => {
                tracing::warn!(%error, "could not remove the folder of a delivered batch, it is tried again later");
            }
            Err(_) => tracing::warn!(
                %error,
                "could not remove the folder of a delivered batch, nor note that for later; remove it by hand"
            ),
        }
    }

    /// Tries once more what was left, but for the batch that is under way.
    pub async fn retry(&self, under_way: Option<&str>) {
        if self.any.swap(false, Ordering::Relaxed) && !self.retry_some(under_way).await.unwrap_or(false) {
            self.any.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nothing is left.
    async fn retry_some(&self, under_way: Option<&str>) -> Result<bool, StorageError> {
        let storage = &self.delivery.storage;
        let names = storage.names(&self.state).await?;
        let left = || names.iter().filter_map(|name| name.strip_prefix(NOTE));
        let mut is_done = left().count() <= TRIED;
        for request_id in left().filter(|left| Some(*left) != under_way).take(TRIED) {
            let removed = match storage.remove_folder(&deliver::folder(request_id)).await {
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
        format!("{}/{NOTE}{request_id}", self.state)
    }
}
