//! What every step works with.

use std::time::Duration;

use crate::platform::health::Health;
use crate::platform::metrics::Metrics;
use crate::platform::storage::{Storage, StorageError};
use crate::retry::{self, Backoff};
use crate::shutdown::{Shutdown, Stopped};

/// The surroundings of a run. Clones share them.
#[derive(Clone, Debug)]
pub struct Context {
    /// The storage that the platform lends: the state is kept there, and the platform takes files from there.
    pub storage: Storage,
    /// Told of successes and failures.
    pub health: Health,
    /// Counts them.
    pub metrics: Metrics,
    /// Cuts waits short.
    pub shutdown: Shutdown,
}

impl Context {
    /// Tries something in the storage until it works. `what` follows on "could not".
    pub async fn until_done<T, F>(&self, what: &str, attempt: impl FnMut() -> F) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let mut backoff = Self::of_storage();
        let failed = |error| Ok(told(what, &error, &mut backoff));
        retry::until(&self.shutdown, attempt, failed).await
    }

    /// Something in the storage failed: says so, and waits until it is to be tried again. `what` follows on "could not".
    pub async fn again(
        &self,
        what: &str,
        error: &StorageError,
        backoff: &mut Backoff,
    ) -> Result<(), Stopped> {
        self.shutdown.sleep(told(what, error, backoff)).await
    }

    /// The waits after failures of the storage.
    pub fn of_storage() -> Backoff {
        Backoff::new(Duration::from_secs(1), Duration::from_secs(60))
    }
}

/// Says that something in the storage failed, and gives the wait until it is to be tried again.
fn told(what: &str, error: &StorageError, backoff: &mut Backoff) -> Duration {
    tracing::error!(%error, "could not {what}, it is tried again");
    backoff.next_wait()
}
