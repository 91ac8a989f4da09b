//! The order to stop. It interrupts waiting, and work that must not be torn apart gets some seconds more. Whatever hangs
//! then, be it a call of the system that does not return, the process ends ([`attended`]).

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The process must be gone 10 s after the order to stop.
const LAST: Duration = Duration::from_secs(9);
/// The stack of the thread that does the work: what a first thread has.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// A handle on the order to stop; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    order: CancellationToken,
    given: Arc<OnceLock<Instant>>,
}

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
        let given = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            given.stop();
        });
        Ok(shutdown)
    }

    /// Gives the order.
    pub fn stop(&self) {
        self.given.get_or_init(Instant::now);
        self.order.cancel();
    }

    /// Whether the order was given.
    pub fn is_stopping(&self) -> bool {
        self.order.is_cancelled()
    }

    /// Waits for the order.
    pub async fn stopped(&self) {
        self.order.cancelled().await;
    }

    /// Waits for `future`, which must not be torn apart at once: it is dropped when the order to stop is `last` ago.
    pub async fn within<T>(&self, last: Duration, future: impl Future<Output = T>) -> Result<T, Stopped> {
        let over = async {
            self.stopped().await;
            let given = self.given.get().copied().unwrap_or_else(Instant::now);
            tokio::time::sleep_until(given + last).await;
        };
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = over => Err(Stopped),
        }
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
            () = self.order.cancelled() => Err(Stopped),
            output = future => Ok(output),
        }
    }
}

/// Does `work` on a thread of its own and gives what it comes to. This thread does nothing but wait for that and for the
/// order to stop, so that it hangs in nothing: 9 s after the order it goes on, with `None` if `work` has not ended. That
/// thread, and all that it began, ends with the process.
pub fn attended<T: Send + 'static>(
    work: impl FnOnce(&Shutdown) -> T + Send + 'static,
) -> std::io::Result<Option<T>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        let (done_in, done) = oneshot::channel();
        let told = shutdown.clone();
        let work = move || drop(done_in.send(work(&told)));
        std::thread::Builder::new().name("work".to_owned()).stack_size(STACK_BYTES).spawn(work)?;
        match shutdown.within(LAST, done).await {
            Ok(Ok(done)) => Ok(Some(done)),
            Ok(Err(_)) => Err(std::io::Error::other("it broke off, see above")),
            Err(Stopped) => Ok(None),
        }
    })
}
