//! The shutdown signal. It cuts waits short; work that must complete gets some seconds more. Whatever still hangs then,
//! be it a system call that does not return, the process ends ([`attended`]).

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The process must be gone 10 s after the shutdown signal.
const LAST: Duration = Duration::from_secs(9);
/// The stack of the thread that does the work: what a first thread has.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// The shutdown signal; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    order: CancellationToken,
    given: Arc<OnceLock<Instant>>,
}

/// The shutdown signal came during a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("told to stop")]
pub struct Stopped;

impl Shutdown {
    /// The shutdown signal of this process: SIGTERM or SIGINT.
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

    /// Gives the signal.
    pub fn stop(&self) {
        self.given.get_or_init(Instant::now);
        self.order.cancel();
    }

    /// Whether the signal was given.
    pub fn is_stopping(&self) -> bool {
        self.order.is_cancelled()
    }

    /// Waits for the signal.
    pub async fn stopped(&self) {
        self.order.cancelled().await;
    }

    /// Waits for `future`, which must not be torn apart at once: it is dropped `last` after the shutdown signal.
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

    /// Waits for `duration`, or less if the shutdown signal comes.
    pub async fn sleep(&self, duration: Duration) -> Result<(), Stopped> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that waits")]
        self.race(tokio::time::sleep(duration)).await
    }

    /// Waits for `future`, or drops it if the shutdown signal comes: only for what may be torn apart.
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
