//! What a round did, and what the log says of it: a user must be able to read it, so that of what happens often only the
//! first is named, and the others are counted.

use std::collections::{BTreeMap, BTreeSet};

use flow_log::decode::tally::{Fault, Tally};

use crate::contract::FetchError;
use crate::s3::Object;

/// Objects of the same trouble that a round names in the log.
const NAMED: u64 = 20;
/// Flow logs that are remembered as named; beyond, one may be named again.
const REMEMBERED: usize = 10_000;

/// What a round did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Objects that were read to their end.
    pub objects: u64,
    /// Objects that could not be read, or not to their end.
    failed: u64,
    /// Records that were delivered.
    records: u64,
    /// Batches that were delivered.
    batches: u64,
    /// How many objects failed for each cause.
    causes: BTreeMap<&'static str, u64>,
    /// How many objects had records that cannot be read.
    mismatched: u64,
    /// How many objects had something after their gzip data.
    followed: u64,
    /// For each flow log with records that tell of others which AWS dropped: such objects, and records in them.
    skip_data: BTreeMap<String, (u64, u64)>,
    /// The flow logs of which the log said that their records have no addresses, in this round or before it.
    addressless: BTreeSet<String>,
}

/// Records of an object that do not go out, and those that tell of others that AWS dropped.
#[derive(Debug, Default)]
pub struct LeftOut {
    rejected: u64,
    first_rejected: Option<u64>,
    first_fault: Option<Fault>,
    skip_data: u64,
    is_followed: bool,
    lacks_addresses: bool,
}

impl LeftOut {
    /// Counts what was read into a block.
    pub fn count(&mut self, tally: &Tally) {
        self.rejected += u64::from(tally.rejected);
        self.first_rejected = self.first_rejected.or(tally.first_rejected);
        self.first_fault = self.first_fault.or(tally.first_fault);
        self.is_followed |= tally.followed > 0;
        self.skip_data += u64::from(tally.skip_data);
        self.lacks_addresses |= tally.lacks_addresses;
    }
}

impl Summary {
    /// The round after this one.
    pub fn follow(&mut self) -> Self {
        let addressless = std::mem::take(&mut self.addressless);
        Self { addressless, ..Self::default() }
    }

    /// An object was read to its end, and this was left out of it.
    pub fn read(&mut self, object: &Object, left_out: &LeftOut) {
        self.objects += 1;
        let key = object.key.as_str();
        if let Some(line) = left_out.first_rejected {
            let records = left_out.rejected;
            let cause = left_out.first_fault.map(Fault::cause);
            self.mismatched += 1;
            if self.mismatched <= NAMED {
                tracing::warn!(
                    key,
                    records,
                    line,
                    cause,
                    "records were rejected; the first is in this line or row"
                );
            }
        }
        if left_out.is_followed {
            self.followed += 1;
            if self.followed <= NAMED {
                tracing::warn!(key, "something follows the gzip data of the object, and was left out");
            }
        }
        if left_out.lacks_addresses {
            self.lacks_addresses(object.flow_log(), key);
        }
        if left_out.skip_data > 0 {
            let (flow_log, records) = (object.flow_log(), left_out.skip_data);
            let (objects, all_records) = self.skip_data.entry(flow_log.clone()).or_default();
            (*objects, *all_records) = (*objects + 1, *all_records + records);
            if *objects == 1 {
                tracing::warn!(
                    flow_log,
                    key,
                    records,
                    "AWS dropped records of this flow log (SKIPDATA or INCOMPLETEDATA)"
                );
            }
        }
    }

    /// Says once of a flow log that its records have no addresses.
    fn lacks_addresses(&mut self, flow_log: String, key: &str) {
        if self.addressless.contains(&flow_log) {
            return;
        }
        tracing::warn!(
            flow_log,
            key,
            "records of this flow log arrive without addresses: none of its fields is one"
        );
        if self.addressless.len() < REMEMBERED {
            self.addressless.insert(flow_log);
        }
    }

    /// A batch was accepted.
    pub fn delivered(&mut self, records: usize) {
        self.batches += 1;
        self.records += records as u64;
    }

    /// An object was rejected.
    pub fn rejected(&mut self) {
        self.failed += 1;
    }

    /// An object could not be read, for the time being.
    pub fn failed(&mut self, object: &Object, error: &FetchError, attempts: u32) {
        self.failed += 1;
        let key = object.key.as_str();
        let same = self.causes.entry(error.cause()).or_default();
        *same += 1;
        if *same > NAMED {
            tracing::debug!(key, cause = %error, attempts, "object could not be read");
        } else if error.is_gone() {
            tracing::warn!(key, cause = %error, "object is gone since it was listed");
        } else {
            tracing::warn!(key, cause = %error, attempts, "object could not be read, it is tried again later");
        }
    }

    /// Says what it did, once it is over.
    pub fn tell(&self) {
        for (cause, count) in self.causes.iter().filter(|(_, count)| **count > NAMED) {
            let objects = count - NAMED;
            tracing::warn!(
                objects,
                cause,
                "more objects could not be read for the same cause, they are tried again later"
            );
        }
        if self.mismatched > NAMED {
            let objects = self.mismatched - NAMED;
            tracing::warn!(objects, "more objects have records that were rejected");
        }
        if self.followed > NAMED {
            let objects = self.followed - NAMED;
            tracing::warn!(objects, "more objects have something after their gzip data");
        }
        for (flow_log, (objects, records)) in self.skip_data.iter().filter(|(_, (objects, _))| *objects > 1) {
            tracing::warn!(
                flow_log,
                objects,
                records,
                "AWS dropped records of this flow log (SKIPDATA or INCOMPLETEDATA), in all"
            );
        }
        let Self { objects, failed, records, batches, .. } = *self;
        if objects + failed > 0 {
            tracing::info!(objects, failed, records, batches, "poll ended");
        }
    }
}
