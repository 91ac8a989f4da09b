//! The trigger's metrics, as Prometheus text on `metrics_port`. The names with `symphony_module` are those that the
//! platform's dashboards know.

use std::sync::atomic::AtomicU64;

use flow_log::decode::tally::Tally;
use flow_log::filter::Reason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Why an object or a record was not delivered.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Cause {
    /// The cause in a few words, one of a fixed set.
    pub cause: &'static str,
}

/// Why a record was left out.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct FilteredBy {
    /// The name of a [`Reason`].
    pub reason: &'static str,
}

/// An operation of S3.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Operation {
    /// `list` or `get`.
    pub operation: &'static str,
}

/// What became of messages.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Fate {
    /// `received`, `deleted`, `kept`, `given back`, `lost` or `unknown`.
    pub fate: &'static str,
}

/// A flow log.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct FlowLog {
    /// `<account>_vpcflowlogs_<region>_<flow log id>`.
    pub flow_log: String,
}

/// The metrics of a trigger. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Records that the platform accepted.
    pub records_delivered: Counter,
    /// Records rejected or filtered, as the platform's dashboards know them.
    pub records_discarded: Counter,
    /// Records read from objects.
    pub records_collected: Counter,
    /// Records left out because the user does not want them, by reason.
    pub records_filtered: Family<FilteredBy, Counter>,
    /// Records merged into others of their object.
    pub records_merged: Counter,
    /// Records rejected because they cannot be read.
    pub records_rejected: Counter,
    /// Records that say that AWS dropped others.
    pub records_skip_data: Counter,
    /// Batches that the platform accepted.
    pub batches_delivered: Counter,
    /// Objects delivered whole.
    pub objects_delivered: Counter,
    /// Objects with something after their gzip data, which was left out.
    pub objects_followed: Counter,
    /// Bytes of objects as stored in S3.
    pub object_bytes: Counter,
    /// Attempts at objects that failed, by cause.
    pub objects_failed: Family<Cause, Counter>,
    /// Objects rejected for good, by cause.
    pub objects_rejected: Family<Cause, Counter>,
    /// The same for all causes; it is told at a terminal alone.
    pub objects_rejected_in_all: Counter,
    /// Calls to S3.
    pub s3_calls: Family<Operation, Counter>,
    /// Messages of a queue, by what became of them.
    pub messages: Family<Fate, Counter>,
    /// Messages of a queue that are worked on.
    pub messages_in_flight: Gauge,
    /// Callbacks that were tried again.
    pub callback_retries: Counter,
    /// Seconds from the start of a batch's delivery to its acceptance.
    pub delivery_seconds: Histogram,
    /// Seconds between the last change of the newest delivered object and its delivery.
    pub lag_seconds: Gauge<f64, AtomicU64>,
    /// Objects found and not delivered yet, those that rest after a failure included.
    pub objects_waiting: Gauge,
    /// When S3 took the oldest of them, in seconds since 1970; 0 if there is none.
    pub oldest_waiting: Gauge,
    /// The time in the name of the newest delivered object, in seconds since 1970; the start of the process before it.
    pub newest_delivered: Gauge,
    /// Five-minute slots of which nothing was delivered, by flow log.
    pub slots_missing: Family<FlowLog, Counter>,
}

impl Metrics {
    /// The metrics, and the registry that encodes them.
    pub fn new() -> (Self, Registry) {
        let metrics = Self {
            records_delivered: Counter::default(),
            records_discarded: Counter::default(),
            records_collected: Counter::default(),
            records_filtered: Family::default(),
            records_merged: Counter::default(),
            records_rejected: Counter::default(),
            records_skip_data: Counter::default(),
            batches_delivered: Counter::default(),
            objects_delivered: Counter::default(),
            objects_followed: Counter::default(),
            object_bytes: Counter::default(),
            objects_failed: Family::default(),
            objects_rejected: Family::default(),
            objects_rejected_in_all: Counter::default(),
            s3_calls: Family::default(),
            messages: Family::default(),
            messages_in_flight: Gauge::default(),
            callback_retries: Counter::default(),
            delivery_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 14)),
            lag_seconds: Gauge::default(),
            objects_waiting: Gauge::default(),
            oldest_waiting: Gauge::default(),
            newest_delivered: Gauge::default(),
            slots_missing: Family::default(),
        };
        let mut registry = Registry::default();
        let common = registry.sub_registry_with_prefix("symphony_module_common");
        common.register(
            "forwarded_events",
            "Records that the platform accepted",
            metrics.records_delivered.clone(),
        );
        common.register(
            "discarded_events",
            "Records that were not delivered",
            metrics.records_discarded.clone(),
        );
        // The platform's dashboards know these two without a unit in the name.
        common.register(
            "forward_events_duration",
            "Seconds to deliver a batch",
            metrics.delivery_seconds.clone(),
        );
        common.register(
            "events_lags",
            "Seconds from an object's writing to its delivery",
            metrics.lag_seconds.clone(),
        );
        let aws = registry.sub_registry_with_prefix("symphony_module_aws");
        aws.register("collected_events", "Records read from objects", metrics.records_collected.clone());
        let own = registry.sub_registry_with_prefix("aws_flowlogs");
        own.register(
            "batches_delivered",
            "Batches that the platform accepted",
            metrics.batches_delivered.clone(),
        );
        own.register("objects_delivered", "Objects delivered whole", metrics.objects_delivered.clone());
        own.register(
            "objects_with_trailing_data",
            "Objects with something after their gzip data",
            metrics.objects_followed.clone(),
        );
        own.register_with_unit(
            "objects_read",
            "Bytes of objects as in S3",
            Unit::Bytes,
            metrics.object_bytes.clone(),
        );
        own.register(
            "objects_failed",
            "Attempts at objects that failed, by cause",
            metrics.objects_failed.clone(),
        );
        own.register("objects_rejected", "Objects not delivered, by cause", metrics.objects_rejected.clone());
        own.register(
            "objects_waiting",
            "Objects found and not delivered yet",
            metrics.objects_waiting.clone(),
        );
        own.register_with_unit(
            "oldest_waiting_timestamp",
            "When S3 took the oldest object that waits, 0 if none does",
            Unit::Seconds,
            metrics.oldest_waiting.clone(),
        );
        own.register_with_unit(
            "newest_delivered_timestamp",
            "The time in the name of the newest delivered object",
            Unit::Seconds,
            metrics.newest_delivered.clone(),
        );
        own.register(
            "slots_missing",
            "Five-minute slots of which nothing was delivered, by flow log",
            metrics.slots_missing.clone(),
        );
        own.register("s3_calls", "Calls to S3, by operation", metrics.s3_calls.clone());
        own.register("messages", "Messages of a queue, by what became of them", metrics.messages.clone());
        own.register(
            "messages_in_flight",
            "Messages of a queue that are worked on",
            metrics.messages_in_flight.clone(),
        );
        own.register(
            "records_filtered",
            "Records left out by a filter, by reason",
            metrics.records_filtered.clone(),
        );
        own.register("records_merged", "Records merged into others", metrics.records_merged.clone());
        own.register("records_rejected", "Records that cannot be read", metrics.records_rejected.clone());
        own.register(
            "records_skip_data",
            "Records that tell of dropped ones",
            metrics.records_skip_data.clone(),
        );
        own.register("callback_retries", "Callbacks that were tried again", metrics.callback_retries.clone());
        (metrics, registry)
    }

    /// Counts the records that were read into a block.
    pub fn records_read(&self, tally: &Tally) {
        self.records_collected.inc_by(tally.read.into());
        self.records_merged.inc_by(tally.merged.into());
        self.records_rejected.inc_by(tally.rejected.into());
        self.records_skip_data.inc_by(tally.skip_data.into());
        self.objects_followed.inc_by(tally.followed.into());
        let mut discarded = tally.rejected;
        for (reason, count) in Reason::ALL.into_iter().zip(tally.filtered).filter(|(_, count)| *count > 0) {
            self.records_filtered.get_or_create(&FilteredBy { reason: reason.name() }).inc_by(count.into());
            discarded += count;
        }
        self.records_discarded.inc_by(discarded.into());
    }

    /// Counts an attempt that failed.
    pub fn object_failed(&self, cause: &'static str) {
        self.objects_failed.get_or_create(&Cause { cause }).inc();
    }

    /// Counts messages of a queue.
    pub fn messages(&self, fate: &'static str, count: usize) {
        if count > 0 {
            self.messages.get_or_create(&Fate { fate }).inc_by(count as u64);
        }
    }

    /// Counts an object that is not delivered.
    pub fn object_rejected(&self, cause: &'static str) {
        self.objects_rejected.get_or_create(&Cause { cause }).inc();
        self.objects_rejected_in_all.inc();
    }
}
