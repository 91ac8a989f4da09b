//! The trigger `fetch_flowlogs`: what a listing of the bucket finds, to runs of a playbook.

use std::sync::Arc;

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
        let Started { configuration, place: bucket, callback, context, instance } = started;
        watch(configuration, bucket, Arc::new(callback), context, instance)
    };
    start::run(values, logs, shutdown, work).await
}

impl Configuration for TriggerConfiguration {
    type Place = Bucket;

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

    async fn open(
        &self,
        account: &ModuleConfiguration,
        aws: Aws,
        context: &Context,
    ) -> Result<Result<Bucket, ConfigError>, Stopped> {
        preflight::open(account, self, &aws, context).await
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
