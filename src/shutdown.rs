//! The order to stop. It interrupts waiting, and nothing else: work that must not be torn apart does not look at it.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A handle on the order to stop; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

/// The order to stop came while something was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("told to stop")]
pub struct Stopped;

impl Shutdown {
    /// The order to stop of this process: SIGTERM or SIGINT give it.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::default();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let token = shutdown.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        });
        Ok(shutdown)
    }

    /// Gives the order.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Whether the order was given.
    pub fn is_stopping(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the order.
    pub async fn stopped(&self) {
        self.0.cancelled().await;
    }

    /// Waits for `duration`, or less if the order to stop comes.
    pub async fn sleep(&self, duration: Duration) -> Result<(), Stopped> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that waits")]
        self.race(tokio::time::sleep(duration)).await
    }

    /// Waits for `future`, or drops it if the order to stop comes: only for what may be torn apart.
    pub async fn race<T>(&self, future: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            biased;
            () = self.0.cancelled() => Err(Stopped),
            output = future => Ok(output),
        }
    }
}
