//! Tells SQS what becomes of messages: keeps those that are worked on, deletes those that are settled, and gives back the
//! others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::platform::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::source::queue::messages::Messages;
use crate::sqs::{AT_ONCE, Mailbox, SqsError, SqsFailure};

/// For how long a message is kept from others at a time.
const VISIBILITY: Duration = Duration::from_secs(120);
/// The same where it cannot be kept for longer later: what the longest work takes, a sink that refuses aside.
const ONCE_FOR_ALL: Duration = Duration::from_secs(900);
/// After how long what SQS did not take is told again.
const RETRY: Duration = Duration::from_secs(5);
/// How often it is looked what there is to tell.
const LOOK: Duration = Duration::from_secs(1);

/// What became of messages that come again.
const GIVEN_BACK: &str = "given back";

/// The one that speaks with SQS about messages that were taken.
#[derive(Debug)]
pub(super) struct Keeper {
    mailbox: Arc<dyn Mailbox>,
    messages: Arc<Mutex<Messages>>,
    metrics: Metrics,
    /// Whether the user may not keep messages.
    cannot_keep: AtomicBool,
    /// Held while messages are deleted, so that nobody ends in the middle of it.
    deleting: tokio::sync::Mutex<()>,
}

impl Keeper {
    pub(super) fn new(mailbox: Arc<dyn Mailbox>, messages: Arc<Mutex<Messages>>, metrics: Metrics) -> Self {
        Self {
            mailbox,
            messages,
            metrics,
            cannot_keep: AtomicBool::new(false),
            deleting: tokio::sync::Mutex::default(),
        }
    }

    /// For how long a message is to be nobody else's when it is taken.
    pub(super) fn visibility(&self) -> Duration {
        if self.cannot_keep.load(Ordering::Relaxed) { ONCE_FOR_ALL } else { VISIBILITY }
    }

    /// Keeps, deletes and gives back until the shutdown signal comes.
    pub(super) async fn run(&self, shutdown: &Shutdown) {
        while shutdown.sleep(LOOK).await.is_ok() {
            let due = if self.cannot_keep.load(Ordering::Relaxed) {
                Vec::new()
            } else {
                self.messages().take_due(VISIBILITY)
            };
            self.change(&due, VISIBILITY, "kept").await;
            self.give_back().await;
            self.delete().await;
            let in_flight = self.messages().count();
            self.metrics.messages_in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        }
    }

    /// Deletes what is settled. What SQS does not delete now is tried again.
    pub(super) async fn delete(&self) {
        let _deleting = self.deleting.lock().await;
        let (deletable, late) = {
            let mut messages = self.messages();
            (messages.take_deletable(), messages.take_late())
        };
        self.lost(late);
        for handles in deletable.chunks(AT_ONCE) {
            let left = match self.mailbox.delete(handles).await {
                Ok(left) => {
                    self.metrics.messages("deleted", handles.len() - left.len());
                    left
                }
                Err(error) => {
                    tracing::warn!(%error, "could not delete messages whose records are delivered; it is tried again");
                    handles.to_vec()
                }
            };
            let mut messages = self.messages();
            left.into_iter().for_each(|handle| messages.delete(handle));
        }
    }

    /// Deletes what is settled, and gives back at once what is not.
    pub(super) async fn end(&self) {
        self.delete().await;
        self.give_back().await;
        let all = self.messages().take_all();
        if !all.is_empty() {
            tracing::info!(
                messages = all.len(),
                "messages that are not delivered are given back to the queue"
            );
        }
        self.change(&all, Duration::ZERO, GIVEN_BACK).await;
    }

    async fn give_back(&self) {
        let mut returned = self.messages().take_returned();
        returned.sort_by_key(|(_, again)| *again);
        for same in returned.chunk_by(|(_, one), (_, other)| one == other) {
            let handles: Vec<String> = same.iter().map(|(handle, _)| handle.clone()).collect();
            let again = same.first().map(|(_, again)| *again).unwrap_or_default();
            self.change(&handles, again, GIVEN_BACK).await;
        }
    }

    /// Says from when on others may get messages, and counts what becomes of them.
    async fn change(&self, handles: &[String], visibility: Duration, fate: &'static str) {
        for handles in handles.chunks(AT_ONCE) {
            let until = Instant::now() + visibility;
            match self.mailbox.keep(handles, visibility).await {
                Ok(lost) => {
                    self.metrics.messages(fate, handles.len().saturating_sub(lost.len()));
                    self.messages().kept(handles, until);
                    let count = self.messages().lost(&lost);
                    self.lost(count);
                }
                Err(error) => {
                    self.cannot(&error);
                    self.messages().try_again(handles, RETRY);
                }
            }
        }
    }

    /// Says that messages may be worked on by others, too.
    fn lost(&self, messages: usize) {
        self.metrics.messages("lost", messages);
        if messages > 0 {
            tracing::warn!(
                messages,
                "messages were not kept in time, and another replica may have got them: some records may be sent twice"
            );
        }
    }

    fn cannot(&self, error: &SqsError) {
        if !matches!(error.failure(), SqsFailure::Denied(_)) {
            tracing::warn!(%error, "could not keep messages that are worked on; it is tried again");
        } else if !self.cannot_keep.swap(true, Ordering::Relaxed) {
            let minutes = ONCE_FOR_ALL.as_secs() / 60;
            tracing::warn!(
                %error,
                minutes,
                "messages cannot be kept for longer than they are taken for: what takes longer is sent twice"
            );
        }
    }

    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
