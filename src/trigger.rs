//! The trigger `fetch_flowlogs`: what a listing of the bucket finds, to runs of a playbook.

use std::sync::Arc;

use flow_log::decode::Decoder;

use crate::config::TriggerConfiguration;
use crate::context::Context;
use crate::pipeline::Pipeline;
use crate::pipeline::observe::Observer;
use crate::platform::logs::LogQueue;
use crate::platform::values::Values;
use crate::s3::Bucket;
use crate::shutdown::{Shutdown, Stopped};
use crate::sink::playbook::{Playbook, Runs};
use crate::source::Source as _;
use crate::source::listing::Listing;
use crate::source::listing::presence::Instance;
use crate::start::{self, StartError, Started};

/// Runs the trigger until the shutdown signal comes.
pub async fn run(values: &Values, logs: LogQueue, shutdown: &Shutdown) -> Result<(), StartError> {
    start::run(values, logs, shutdown, |Started { configuration, bucket, callback, context, instance }| {
        watch(configuration, bucket, Arc::new(callback), context, instance)
    })
    .await
}

/// Delivers what is new in `bucket` until the shutdown signal comes.
pub async fn watch(
    configuration: TriggerConfiguration,
    bucket: Bucket,
    runs: Arc<dyn Runs>,
    context: Context,
    instance: Instance,
) -> Result<(), Stopped> {
    tracing::info!(bucket = configuration.bucket, prefix = configuration.prefix, "looking for flow logs");
    let observer = Observer::new(&bucket, &context.metrics);
    let listing = Arc::new(Listing::open(&configuration, &bucket, &observer, &context, instance).await?);
    let playbook = Arc::new(Playbook::new(runs, configuration.chunk_size, listing.owner(), &context));
    let decoder = Decoder::new(configuration.record_format, configuration.filter);
    let mut pipeline = Pipeline::new(&bucket, decoder, listing.clone(), playbook, observer, context);
    let ended = pipeline.run(configuration.frequency).await;
    listing.end().await;
    ended
}
