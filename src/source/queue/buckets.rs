//! The buckets that a queue announces objects of, each read in its region.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::aws::Aws;
use crate::platform::metrics::Metrics;
use crate::s3::Bucket;

/// Buckets that have a client; beyond, one is made anew for each object.
const KEPT: usize = 100;

/// Makes a bucket of a name and a region.
type Make = Box<dyn Fn(&str, &str) -> Bucket + Send + Sync>;

/// Buckets by name.
pub struct Buckets {
    region: String,
    make: Make,
    known: Mutex<HashMap<String, Bucket>>,
}

impl fmt::Debug for Buckets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Buckets").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Buckets {
    /// Those that are read as `aws` has it.
    pub fn new(aws: Aws, requester_pays: bool, metrics: Metrics) -> Self {
        let region = aws.region().to_owned();
        Self::over(&region, move |name, region| {
            Bucket::in_region(&aws, name, region, requester_pays, metrics.clone())
        })
    }

    /// Those that `make` makes of a name and a region; in `region` where nothing else is known.
    pub fn over(region: &str, make: impl Fn(&str, &str) -> Bucket + Send + Sync + 'static) -> Self {
        Self { region: region.to_owned(), make: Box::new(make), known: Mutex::default() }
    }

    /// The bucket `name`, in `region` if nothing else is known, and in the account's region otherwise.
    pub fn get(&self, name: &str, region: Option<&str>) -> Bucket {
        if let Some(known) = self.lock().get(name) {
            return known.clone();
        }
        self.moved(name, region.unwrap_or(&self.region))
    }

    /// From now on, the bucket `name` is read in `region`.
    pub fn moved(&self, name: &str, region: &str) -> Bucket {
        let bucket = (self.make)(name, region);
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
