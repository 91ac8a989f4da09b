//! Whether the instance that has a batch under way is still alive: the platform starts the new container before it stops
//! the old one, and a batch must not be sent by both.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::context::Context;
use crate::platform::storage::Hold;
use crate::shutdown::Stopped;

/// How long an older instance is waited for. What it has in flight is decided within a minute unless the platform or the
/// storage is down, or the instance hangs; then a repeat is better than to wait for ever.
const PATIENCE: Duration = Duration::from_secs(120);
/// The time from one look to the next.
const LOOK: Duration = Duration::from_millis(500);

/// One run of the trigger's process.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    /// Tells it from all others.
    pub id: Uuid,
    /// The UUID of the trigger's configuration, where the platform gives one: the same in all its instances.
    pub trigger: Option<Uuid>,
    /// When it began: without state, what S3 takes from then on counts as new.
    pub started: Instant,
}

/// This instance's sign of life: a file in the state's folder that it holds until it is dropped or the process ends.
#[derive(Debug)]
pub struct Presence {
    folder: String,
    context: Context,
    own: String,
    after_crash: bool,
    hold: Hold,
}

impl Presence {
    /// Begins to be there, and removes the signs of instances that are gone.
    pub async fn begin(instance: Uuid, folder: &str, context: &Context) -> Result<Self, Stopped> {
        let storage = &context.storage;
        let names = context.until_done("look for other instances", || storage.names(folder)).await?;
        let mut after_crash = false;
        for name in names.iter().filter(|name| name.starts_with(SIGN)) {
            let path = format!("{folder}/{name}");
            if !context.until_done("look for other instances", || storage.is_held(&path)).await? {
                after_crash = true;
                if let Err(error) = storage.remove_file(&path).await {
                    tracing::debug!(%error, "could not remove the sign of an instance that is gone");
                }
            }
        }
        let own = sign(folder, instance);
        let hold = context.until_done("leave a sign of life", || storage.hold(&own)).await?;
        Ok(Self { folder: folder.to_owned(), context: context.clone(), own, after_crash, hold })
    }

    /// Whether an instance was here that did not end as it should: it left its sign.
    pub fn is_after_crash(&self) -> bool {
        self.after_crash
    }

    /// Ends to be there, and leaves no sign.
    pub async fn end(self) {
        let Self { context, own, hold, .. } = self;
        drop(hold);
        if let Err(error) = context.storage.remove_file(&own).await {
            tracing::debug!(%error, "could not remove the own sign of life");
        }
    }

    /// Waits until another instance is gone or finishes its batch, for at most [`PATIENCE`].
    pub async fn outlast(&self, other: Uuid) -> Result<(), Stopped> {
        let Context { storage, shutdown, .. } = &self.context;
        let path = sign(&self.folder, other);
        let began = Instant::now();
        let mut is_told = false;
        while self.context.until_done("look for another instance", || storage.is_held(&path)).await? {
            if !std::mem::replace(&mut is_told, true) {
                tracing::info!("another instance of this trigger has a batch under way; waiting for its end");
            }
            if began.elapsed() > PATIENCE {
                tracing::warn!(
                    "the other instance still has not ended its batch, which may be sent twice now"
                );
                return Ok(());
            }
            shutdown.sleep(LOOK).await?;
        }
        Ok(())
    }
}

/// What the name of a sign begins with; the instance follows.
pub const SIGN: &str = "alive-";

fn sign(folder: &str, instance: Uuid) -> String {
    format!("{folder}/{SIGN}{instance}")
}
