//! The buckets that a queue announces objects of, each read in its region.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::aws::Aws;
use crate::platform::metrics::Metrics;
use crate::s3::Bucket;

/// Buckets that have a client; beyond, one is made anew for each object.
const KEPT: usize = 100;

/// Buckets by name.
#[derive(Debug)]
pub struct Buckets {
    aws: Aws,
    requester_pays: bool,
    metrics: Metrics,
    known: Mutex<HashMap<String, Bucket>>,
}

impl Buckets {
    /// None yet.
    pub fn new(aws: Aws, requester_pays: bool, metrics: Metrics) -> Self {
        Self { aws, requester_pays, metrics, known: Mutex::default() }
    }

    /// The bucket `name`, in `region` if nothing else is known, and in the account's region otherwise.
    pub fn get(&self, name: &str, region: Option<&str>) -> Bucket {
        if let Some(known) = self.lock().get(name) {
            return known.clone();
        }
        self.moved(name, region.unwrap_or(self.aws.region()))
    }

    /// From now on, the bucket `name` is read in `region`.
    pub fn moved(&self, name: &str, region: &str) -> Bucket {
        let bucket = Bucket::in_region(&self.aws, name, region, self.requester_pays, self.metrics.clone());
        let mut known = self.lock();
        if known.len() < KEPT || known.contains_key(name) {
            known.insert(name.to_owned(), bucket.clone());
        }
        bucket
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Bucket>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
