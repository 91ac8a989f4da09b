//! Where objects come from. Each source is a file below this one.

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::contract::{Claim, FetchError, Pending, Verdict};
use crate::shutdown::Stopped;
use crate::sink::Receipt;

pub mod listing;
pub mod queue;

/// Names objects, and is told what becomes of them.
pub trait Source: std::fmt::Debug + Send + Sync {
    /// Names the state: two sources that share a storage differ in it.
    fn owner(&self) -> &str;

    /// What the last run left in flight. Asked once, before anything is claimed.
    fn interrupted(&self) -> Interrupted;

    /// The first of the batches that were in flight when the last run ended is not there any more: its records are claimed
    /// again.
    fn abandon(&self) -> BoxFuture<'_, Result<(), Stopped>>;

    /// Names what is to be delivered, until the round ends. Ends early at the shutdown signal, or when nobody takes claims.
    fn claims(&self, claims: mpsc::Sender<Claim>) -> BoxFuture<'_, Result<Round, Stopped>>;

    /// An object was read to its end.
    fn read(&self, claim: &Claim);

    /// An object, or the rest of it, could not be read. Decides what becomes of it.
    fn failed(&self, claim: &Claim, error: &FetchError) -> Verdict;

    /// Notes that an object, or the rest of it, is not delivered. Nothing of it is in flight, and the log names it already:
    /// a crash must not come between.
    fn reject<'a>(&'a self, claim: &'a Claim, cause: &'a str) -> BoxFuture<'a, Result<(), Stopped>>;

    /// A batch is about to be delivered. Once this is done, all that was committed before outlives a crash.
    fn begin(&self, pending: Pending) -> BoxFuture<'_, Result<(), Stopped>>;

    /// A batch was accepted. Receipts come in the order of the batches. What is noted of it may be put off until the next
    /// [`begin`](Source::begin) or [`flush`](Source::flush).
    fn commit(&self, receipt: Receipt);

    /// All that was committed outlives a crash.
    fn flush(&self) -> BoxFuture<'_, Result<(), Stopped>>;

    /// All that was claimed in a round is delivered and committed, or has failed.
    fn ended(&self) -> BoxFuture<'_, Result<(), Stopped>>;
}

/// What a run left in flight.
#[derive(Debug, Default)]
pub struct Interrupted {
    /// The request ID of the batch that was committed last: what is left of it may still be there.
    pub committed: Option<String>,
    /// The batches that were in flight, in their order.
    pub pending: Vec<Pending>,
}

/// How a round of claims ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Everything new was claimed.
    Complete,
    /// There is more: ask again at once.
    More,
    /// All that there is to claim was claimed before, and there will be no more.
    Ended,
}
