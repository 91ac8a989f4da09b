//! Where batches go. Each sink is a file below this one.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::contract::{Cover, Limits, Pending, Sealed};
use crate::shutdown::Stopped;

pub mod intake;
pub mod playbook;

/// Takes batches. None of its calls gives up: a batch is kept and tried again until it is accepted or the shutdown signal
/// comes.
pub trait Sink: std::fmt::Debug + Send + Sync {
    /// What it takes.
    fn limits(&self) -> Limits;

    /// Makes what must be there before a batch can be delivered. The source has noted the batch before.
    fn prepare<'a>(&'a self, batch: &'a Sealed) -> BoxFuture<'a, Result<(), Stopped>>;

    /// Delivers a batch. After the shutdown signal, a call that is under way may end: an answer spares a repeat.
    fn deliver(&self, batch: Sealed) -> BoxFuture<'_, Result<Receipt, Stopped>>;

    /// Delivers a batch that was in flight when the last run ended; `None` if nothing of it is left, so that its records
    /// are to be read again.
    fn resume(&self, pending: Pending) -> BoxFuture<'_, Result<Option<Receipt>, Stopped>>;

    /// Removes what is left of a batch that the source has committed.
    fn forget<'a>(&'a self, request_id: &'a str) -> BoxFuture<'a, ()>;

    /// Nothing is in flight: time to remove what could not be removed before.
    fn tidy(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// The proof that a batch was accepted. Only a sink makes one, or a batch without records.
#[derive(Debug)]
pub struct Receipt {
    covers: Vec<Cover>,
    request_id: Option<String>,
}

impl Receipt {
    /// The receipt of a batch that was accepted.
    fn of(pending: Pending) -> Self {
        Self { covers: pending.covers, request_id: Some(pending.request_id) }
    }

    /// The receipt of a batch that has no record to deliver; `None` for one that has.
    pub fn for_no_records(pending: &Pending) -> Option<Self> {
        (pending.records == 0).then(|| Self { covers: pending.covers.clone(), request_id: None })
    }

    /// What the batch covers.
    pub fn covers(&self) -> &[Cover] {
        &self.covers
    }

    /// The batch's request ID; `None` for one without records, which was never noted as pending.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// What the batch covers.
    pub fn into_covers(self) -> Vec<Cover> {
        self.covers
    }
}
