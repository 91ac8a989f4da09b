//! The trigger `fetch_flowlogs`: what a listing of the bucket finds, to runs of a playbook.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;
use uuid::Uuid;

use crate::aws::Aws;
use crate::config::{ConfigError, ModuleConfiguration, TRIGGER, TriggerConfiguration};
use crate::context::Context;
use crate::platform::logs::LogQueue;
use crate::platform::values::{ValueError, Values};
use crate::s3::Bucket;
use crate::shutdown::{Shutdown, Stopped};
use crate::sink::Sink;
use crate::sink::playbook::{Playbook, Runs};
use crate::source::listing::presence::Instance;
use crate::source::listing::{owner, preflight};
use crate::start::{self, Configuration, StartError, Started};

/// Runs the trigger until the shutdown signal comes.
pub async fn run(values: &Values, logs: LogQueue, shutdown: &Shutdown) -> Result<(), StartError> {
    let work = |started: Started<TriggerConfiguration>| {
        let Started { configuration, aws, callback, context, instance } = started;
        let bucket = Bucket::new(&aws, &configuration, context.metrics.clone());
        watch(configuration, bucket, Arc::new(callback), context, instance)
    };
    start::run(values, logs, shutdown, work).await
}

impl Configuration for TriggerConfiguration {
    const NAME: &'static str = TRIGGER;

    fn value(_: &Values) -> Result<&'static str, ValueError> {
        Ok("trigger_configuration")
    }

    fn uuid(values: &Values) -> Result<Option<Uuid>, ValueError> {
        Ok(values.text("trigger_configuration_uuid")?.and_then(|text| owner::uuid(&text)))
    }

    fn read(given: Value, _: &Values) -> Result<Self, ConfigError> {
        Self::read(given)
    }

    fn problem<'a>(
        &'a self,
        account: &'a ModuleConfiguration,
        aws: &'a Aws,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Option<ConfigError>, Stopped>> {
        preflight::problem(account, self, aws, context).boxed()
    }
}

/// Delivers what is new in `bucket` until the shutdown signal comes.
pub async fn watch(
    configuration: TriggerConfiguration,
    bucket: Bucket,
    runs: Arc<dyn Runs>,
    context: Context,
    instance: Instance,
) -> Result<(), Stopped> {
    let (records, surroundings) = (configuration.chunk_size, context.clone());
    let playbook =
        |notes: &str| Arc::new(Playbook::new(runs, records, notes, &surroundings)) as Arc<dyn Sink>;
    start::deliver_listed(configuration, bucket, context, instance, playbook).await
}
