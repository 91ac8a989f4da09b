//! Lists folders, each for itself: one that cannot be listed rests, and the others go on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::context::Context;
use crate::layout::walk::Pages;
use crate::retry::Backoff;
use crate::s3::{Bucket, ListRequest, Page, S3Error, S3Failure};
use crate::shutdown::Stopped;

/// The longest rest of a folder. Somebody who has allowed to list it does not want to wait for a day.
const LONGEST: Duration = Duration::from_secs(3600);
/// How often a page is asked for while S3 is in trouble, before the others have their turn.
const ATTEMPTS: u32 = 3;

/// Lists the folders of a bucket.
#[derive(Debug)]
pub struct Lister {
    /// The bucket, which knows the time by S3's clock.
    pub bucket: Bucket,
    context: Context,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The first rest of a folder.
    first: Duration,
    /// The folders that could not be listed, by the prefix that was asked for, and whether folders were to be folded: a
    /// policy may allow the one and not the other.
    resting: HashMap<(String, bool), Rest>,
    /// Waits while S3 is in trouble, and while no folder can be listed.
    trouble: Backoff,
    shut_out: Backoff,
    /// Whether a folder could be listed in this poll, and why one could not.
    is_answered: bool,
    refusal: Option<S3Error>,
}

#[derive(Debug)]
struct Rest {
    backoff: Backoff,
    until: Instant,
}

/// Whose fault it is that a listing failed.
enum Fault {
    /// The whole bucket's: no other folder would fare better.
    Bucket,
    /// It may pass.
    Passing,
    /// The folder's.
    Folder,
}

impl Fault {
    fn of(failure: &S3Failure) -> Self {
        match failure {
            S3Failure::UnknownKey
            | S3Failure::WrongSecret
            | S3Failure::NoBucket
            | S3Failure::WrongRegion(_)
            | S3Failure::ClockSkew
            | S3Failure::TemporaryKey
            | S3Failure::Disabled
            | S3Failure::Unsendable => Self::Bucket,
            S3Failure::Passing | S3Failure::Unreachable(_) => Self::Passing,
            // A kind that nobody has thought of: that the others go on is never wrong.
            _ => Self::Folder,
        }
    }
}

impl Lister {
    /// Lists folders of `bucket`; the first rest of one that cannot be listed lasts `first`, and each one is twice as
    /// long as the one before.
    pub fn new(bucket: Bucket, context: Context, first: Duration) -> Self {
        let waits = || Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
        let state = State {
            first,
            resting: HashMap::new(),
            trouble: waits(),
            shut_out: waits(),
            is_answered: false,
            refusal: None,
        };
        Self { bucket, context, state: Mutex::new(state) }
    }

    /// A page; `None` where the folder that is its prefix cannot be listed now: whatever is in it is not found, and
    /// nothing may be concluded from that.
    pub async fn list(&self, request: ListRequest<'_>) -> Result<Option<Page>, Stopped> {
        let shutdown = &self.context.shutdown;
        let folder = (request.prefix.to_owned(), request.folded);
        if self.state().resting.get(&folder).is_some_and(|rest| Instant::now() < rest.until) {
            return Ok(None);
        }
        let mut attempts = 0;
        loop {
            let error = match shutdown.race(self.bucket.list(request)).await? {
                Ok(page) => {
                    self.answered(&folder);
                    return Ok(Some(page));
                }
                Err(error) => error,
            };
            attempts += 1;
            match Fault::of(error.failure()) {
                Fault::Passing if attempts >= ATTEMPTS => break self.refused(folder, error),
                Fault::Folder => break self.refused(folder, error),
                Fault::Bucket | Fault::Passing => {}
            }
            let wait = self.state().trouble.next_wait();
            self.wait_out(&error, wait).await?;
        }
        Ok(None)
    }

    /// How many folders rest or have rested after a time, of those that were tried less often than `attempts` times.
    pub fn resting(&self, after: Instant, attempts: Option<u32>) -> usize {
        let is_tried = |rest: &Rest| attempts.is_some_and(|attempts| rest.backoff.attempts() >= attempts);
        self.state().resting.values().filter(|rest| rest.until > after && !is_tried(rest)).count()
    }

    /// When all folders that rest after a time can be tried again.
    pub fn rests_until(&self, after: Instant) -> Option<Instant> {
        self.state().resting.values().map(|rest| rest.until).filter(|until| *until > after).max()
    }

    /// Forgets what was answered so far.
    pub fn begin(&self) {
        let mut state = self.state();
        state.is_answered = false;
        state.refusal = None;
    }

    /// Where some folder could not be listed since [`Lister::begin`] and none could, waits, and has all of them tried
    /// again: true.
    pub async fn is_shut_out(&self) -> Result<bool, Stopped> {
        let (refusal, wait) = {
            let mut state = self.state();
            let is_answered = state.is_answered;
            let Some(refusal) = state.refusal.take().filter(|_| !is_answered) else {
                state.shut_out.reset();
                return Ok(false);
            };
            (refusal, state.shut_out.next_wait())
        };
        self.wait_out(&refusal, wait).await?;
        self.state().resting.values_mut().for_each(|rest| rest.until = Instant::now());
        Ok(true)
    }

    /// Nothing can be listed: says so, and waits.
    async fn wait_out(&self, error: &S3Error, wait: Duration) -> Result<(), Stopped> {
        tracing::error!(%error, retry_in_s = wait.as_secs(), "cannot look for flow logs");
        self.context.health.failed(&self.context.shutdown).await?;
        self.context.shutdown.sleep(wait).await
    }

    fn answered(&self, folder: &(String, bool)) {
        let mut state = self.state();
        state.is_answered = true;
        state.trouble.reset();
        if state.resting.remove(folder).is_some() {
            tracing::info!(folder = folder.0, "a folder can be listed again");
        }
    }

    /// A folder cannot be listed: it rests. It is named the first time.
    fn refused(&self, listed: (String, bool), error: S3Error) {
        let mut state = self.state();
        let first = state.first;
        if !state.resting.contains_key(&listed) {
            let folder = listed.0.as_str();
            let cause = error.what();
            let bucket = self.bucket.name();
            match error.failure() {
                S3Failure::Denied => tracing::warn!(
                    folder,
                    cause,
                    "a folder cannot be listed and nothing in it is delivered, the others go on; if it holds flow \
                     logs, allow s3:ListBucket on arn:aws:s3:::{bucket} with the prefix {folder}* to the account's \
                     user or role; else set a prefix that leaves it out"
                ),
                _ => tracing::warn!(
                    folder,
                    cause,
                    "a folder cannot be listed and nothing in it is delivered until it can, the others go on"
                ),
            }
        }
        let is_passing = matches!(Fault::of(error.failure()), Fault::Passing);
        let rest = state.resting.entry(listed);
        let rest =
            rest.or_insert_with(|| Rest { backoff: Backoff::new(first, LONGEST), until: Instant::now() });
        // What may pass is tried at every poll.
        rest.until = Instant::now() + if is_passing { Duration::ZERO } else { rest.backoff.next_wait() };
        state.refusal = Some(error);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages for Lister {
    type Error = Stopped;

    fn page<'a>(&'a self, request: ListRequest<'a>) -> BoxFuture<'a, Result<Option<Page>, Stopped>> {
        self.list(request).boxed()
    }
}
