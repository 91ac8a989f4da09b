//! The one that is told what becomes of objects and batches: it counts, remembers how old what waits is, and writes the
//! log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::contract::{Cover, FetchError, Verdict};
use crate::layout::fingerprint::Fingerprint;
use crate::observe::progress::Progress;
use crate::observe::summary::{LeftOut, Summary};
use crate::platform::metrics::Metrics;
use crate::s3::{Bucket, Object};

pub mod progress;
pub mod summary;

/// The observer of a run. Clones share what it knows.
#[derive(Clone, Debug)]
pub struct Observer {
    metrics: Metrics,
    progress: Progress,
    summary: Arc<Mutex<Summary>>,
    /// Knows the time by S3's clock, where there is one bucket.
    clock: Option<Bucket>,
}

impl Observer {
    /// Observes a run that reads from `bucket`, or from several.
    pub fn new(bucket: Option<&Bucket>, metrics: &Metrics) -> Self {
        let progress = Progress::new(metrics.clone());
        Self { metrics: metrics.clone(), progress, summary: Arc::default(), clock: bucket.cloned() }
    }

    /// A round begins. What waits is found again, but for what the source `holds` back.
    pub fn round_begins(&self, holds: impl Fn(Fingerprint) -> bool) {
        let mut summary = self.summary();
        *summary = summary.follow();
        self.progress.round_begins(holds);
    }

    /// An object was found that is to be delivered.
    pub fn found(&self, object: &Object) {
        self.progress.found(object);
    }

    /// Records of an object were decoded.
    pub fn decoded(&self, left_out: &mut LeftOut, block: &flow_log::decode::block::Block) {
        self.metrics.records_read(block.tally());
        left_out.count(block.tally());
    }

    /// An object was read to its end, and this was left out of it.
    pub fn read(&self, object: &Object, left_out: &LeftOut) {
        self.summary().read(object, left_out);
    }

    /// An object, or the rest of it, could not be read.
    pub fn failed(&self, object: &Object, error: &FetchError, verdict: Verdict) {
        self.metrics.object_failed(error.cause());
        let key = object.key.as_str();
        match verdict {
            Verdict::Rejected { attempts } => {
                tracing::error!(
                    key,
                    cause = %error,
                    attempts,
                    "object rejected: its records, or the rest of them, are not delivered"
                );
                self.summary().rejected();
                self.rejected(key, error.cause());
            }
            Verdict::Later { attempts } => {
                if error.is_gone() {
                    self.progress.dropped(key);
                }
                self.summary().failed(object, error, attempts);
            }
        }
    }

    /// An object is not delivered, nor the rest of it.
    pub fn rejected(&self, key: &str, cause: &'static str) {
        self.metrics.object_rejected(cause);
        self.progress.dropped(key);
    }

    /// A batch was accepted. `newest` is when S3 took the newest object in it.
    pub fn delivered(&self, covers: &[Cover], records: usize, newest: Option<Timestamp>) {
        self.covered(covers);
        self.summary().delivered(records);
        if let Some(newest) = newest {
            let now = self.clock.as_ref().map_or_else(Timestamp::now, Bucket::now);
            let lag_seconds = now.duration_since(newest).as_secs_f64();
            self.metrics.lag_seconds.set(lag_seconds.max(0.0));
        }
    }

    /// Stretches of objects need no delivery any more.
    pub fn covered(&self, covers: &[Cover]) {
        self.progress.delivered(covers);
    }

    /// Whether an object of this round was read to its end.
    pub fn has_read(&self) -> bool {
        self.summary().objects > 0
    }

    /// A round is over: says what it did.
    pub fn round_ended(&self) {
        self.summary().tell();
    }

    fn summary(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
