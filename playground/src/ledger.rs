//! What was written, held against what the intake accepted, record by record.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use support::flowlogs::{HEADER, LogObject};

/// An account of every record.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    objects: Vec<Object>,
    records: HashMap<String, Record>,
    /// Objects before this one have arrived whole.
    oldest: usize,
    sums: Sums,
}

#[derive(Debug)]
struct Object {
    at: Instant,
    /// How many of its records have not arrived.
    missing: usize,
}

#[derive(Debug)]
struct Record {
    object: usize,
    has_arrived: bool,
}

/// The sums of a ledger.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// Objects written whole.
    pub(crate) objects: usize,
    /// Objects of which all records have arrived.
    pub(crate) arrived: usize,
    /// Records that were written.
    pub(crate) written: usize,
    /// Events that the intake accepted.
    pub(crate) accepted: usize,
    /// Records that have not arrived.
    pub(crate) missing: usize,
    /// Events that had arrived before.
    pub(crate) repeated: usize,
    /// Events that are the header of an object.
    pub(crate) headers: usize,
    /// Events with nothing in them.
    pub(crate) empty: usize,
    /// Events that are none of this.
    pub(crate) strange: usize,
}

impl Ledger {
    /// Notes an object, before it is in the bucket: an event must not be faster.
    pub(crate) fn write(&mut self, object: &LogObject) {
        let number = self.objects.len();
        let records = object.records.len();
        self.objects.push(Object { at: Instant::now(), missing: records });
        self.records.extend(
            object
                .records
                .iter()
                .map(|record| (record.clone(), Record { object: number, has_arrived: false })),
        );
        self.sums.objects += 1;
        self.sums.arrived += usize::from(records == 0);
        self.sums.written += records;
        self.sums.missing += records;
    }

    /// Notes an event that the intake accepted.
    pub(crate) fn accept(&mut self, event: &str) {
        self.sums.accepted += 1;
        match self.records.get_mut(event) {
            Some(record) if record.has_arrived => self.sums.repeated += 1,
            Some(record) => {
                record.has_arrived = true;
                self.sums.missing -= 1;
                if let Some(object) = self.objects.get_mut(record.object) {
                    object.missing -= 1;
                    self.sums.arrived += usize::from(object.missing == 0);
                }
            }
            None if event.trim().is_empty() => self.sums.empty += 1,
            None if event.trim_end() == HEADER => self.sums.headers += 1,
            None => self.sums.strange += 1,
        }
        while self.objects.get(self.oldest).is_some_and(|object| object.missing == 0) {
            self.oldest += 1;
        }
    }

    /// How long the oldest object has been waiting for the last of its records to arrive; zero: all is there.
    pub(crate) fn lag(&self) -> Duration {
        self.objects.get(self.oldest).map_or(Duration::ZERO, |object| object.at.elapsed())
    }

    /// The sums so far.
    pub(crate) fn sums(&self) -> Sums {
        self.sums
    }
}
