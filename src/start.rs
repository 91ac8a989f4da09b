//! How a process that reads flow logs starts and ends: ports, log, configuration, secrets.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::aws::Aws;
use crate::config::{self, ConfigError, ModuleConfiguration, TriggerConfiguration};
use crate::context::Context;
use crate::observe::Observer;
use crate::pipeline::Pipeline;
use crate::platform::callback::{Callback, CallbackError};
use crate::platform::health::{self, Health};
use crate::platform::identity::Identity;
use crate::platform::logs::LogQueue;
use crate::platform::metrics::Metrics;
use crate::platform::secrets::Secrets;
use crate::platform::storage::{Storage, StorageError};
use crate::platform::values::{ValueError, Values};
use crate::s3::Bucket;
use crate::shutdown::{Shutdown, Stopped};
use crate::sink::Sink;
use crate::source::Source as _;
use crate::source::listing::Listing;
use crate::source::listing::presence::Instance;

/// Time for the last log lines after the work has ended.
const LAST_LOGS: Duration = Duration::from_secs(2);
/// How long the work may go on after the shutdown signal: what is under way ends in time, unless something hangs.
const LAST_WORK: Duration = Duration::from_secs(8);

/// What keeps the trigger from starting at all: it cannot even tell the platform.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A value is missing or malformed.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The platform cannot be reached, or does not hand over the secrets.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// The storage is of a kind that cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What keeps the trigger from working until it is started anew.
enum Unusable {
    Start(StartError),
    Configuration(ConfigError),
}

/// What a kind of node is configured with.
pub trait Configuration: Sized {
    /// What it reads.
    type Place;

    /// Its name in messages.
    const NAME: &'static str;

    /// The platform's value that has it.
    fn value(values: &Values) -> Result<&'static str, ValueError>;

    /// The UUID of this one, where the platform gives one: the same in all instances, and another one in each node.
    fn uuid(values: &Values) -> Result<Option<Uuid>, ValueError>;

    /// Reads it.
    fn read(given: Value, values: &Values) -> Result<Self, ConfigError>;

    /// Opens what it reads, unless something can be known wrong with it, or with the account, before the work begins.
    fn open(
        &self,
        account: &ModuleConfiguration,
        aws: Aws,
        context: &Context,
    ) -> impl Future<Output = Result<Result<Self::Place, ConfigError>, Stopped>>;
}

/// What a process that reads flow logs works with.
#[derive(Debug)]
pub struct Started<C: Configuration> {
    /// The arguments, with the secrets in them.
    pub configuration: C,
    /// What they name.
    pub place: C::Place,
    /// The platform.
    pub callback: Callback,
    /// All else.
    pub context: Context,
    /// This process.
    pub instance: Instance,
}

/// Starts what serves the platform, reads the configuration, and does `work` until the shutdown signal comes.
pub async fn run<C: Configuration, F>(
    values: &Values,
    logs: LogQueue,
    shutdown: &Shutdown,
    work: impl FnOnce(Started<C>) -> F,
) -> Result<(), StartError>
where
    F: Future<Output = Result<(), Stopped>>,
{
    let (id, started) = (Uuid::new_v4(), tokio::time::Instant::now());
    let instance = Instance { id, trigger: C::uuid(values)?, started };
    let callback = Callback::from_values(values)?;
    let storage = Storage::from_values(values)?;
    let health = Health::new();
    let (metrics, registry) = Metrics::new();
    let (liveness, exporter) =
        (values.port("liveness_port", health::LIVENESS_PORT)?, values.port("metrics_port", 8020)?);
    tokio::spawn(health::serve_health(health.clone(), liveness, shutdown.clone()));
    tokio::spawn(health::serve_metrics(registry, exporter, shutdown.clone()));
    let forwarding = tokio::spawn(logs.forward(callback.clone(), shutdown.clone()));
    let context = Context { storage, health, metrics, shutdown: shutdown.clone() };
    let ended = shutdown.within(LAST_WORK, configured(values, callback, context, instance, work)).await;
    let ended = ended.unwrap_or_else(|Stopped| {
        // To break off here is what a crash is, which the next start puts right.
        tracing::warn!("the storage does not answer; the trigger ends without waiting for it any longer");
        Ok(())
    });
    shutdown.stop();
    let _ = tokio::time::timeout(LAST_LOGS, forwarding).await;
    ended
}

/// Delivers what a listing of `bucket` finds to a sink until the shutdown signal comes, whether or not the range has an end.
/// `sink` is given the folder of the state, which nobody shares.
pub async fn deliver_listed(
    configuration: TriggerConfiguration,
    bucket: Bucket,
    context: Context,
    instance: Instance,
    sink: impl FnOnce(&str) -> Arc<dyn Sink>,
) -> Result<(), Stopped> {
    tracing::info!(bucket = configuration.bucket, prefix = configuration.prefix, "looking for flow logs");
    let shutdown = context.shutdown.clone();
    let observer = Observer::new(Some(&bucket), &context.metrics);
    let listing = Arc::new(Listing::open(&configuration, &bucket, &observer, &context, instance).await?);
    let sink = sink(listing.owner());
    let decoder = configuration.records.decoder();
    let mut pipeline = Pipeline::new(decoder, listing.clone(), sink, observer, context);
    let ended = pipeline.run(configuration.frequency).await;
    listing.end().await;
    ended?;
    let end = configuration.end.map(|end| end.time.to_string());
    tracing::info!(
        end,
        "all flow logs up to end_at are delivered; nothing more is looked for until end_at is changed"
    );
    shutdown.stopped().await;
    Ok(())
}

/// Does the work, if the configuration can be used.
async fn configured<C: Configuration, F>(
    values: &Values,
    callback: Callback,
    context: Context,
    instance: Instance,
    work: impl FnOnce(Started<C>) -> F,
) -> Result<(), StartError>
where
    F: Future<Output = Result<(), Stopped>>,
{
    match configure(values, &callback, &context).await {
        Ok((configuration, place)) => {
            let _: Result<(), Stopped> =
                work(Started { configuration, place, callback, context, instance }).await;
            Ok(())
        }
        Err(Unusable::Configuration(error)) => {
            // The platform stops a trigger that says this; to end by ourselves would only make it start us again.
            tracing::error!(critical = true, "{error}");
            context.shutdown.stopped().await;
            Ok(())
        }
        Err(Unusable::Start(StartError::Callback(CallbackError::Stopped(Stopped)))) => Ok(()),
        Err(Unusable::Start(error)) => {
            tracing::error!("{error}");
            Err(error)
        }
    }
}

/// The configuration with the secrets in it, and what it names.
async fn configure<C: Configuration>(
    values: &Values,
    callback: &Callback,
    context: &Context,
) -> Result<(C, C::Place), Unusable> {
    let start = |error| Unusable::Start(error);
    let json = |name, what| match values.required_json(name) {
        Err(error) => Err(Unusable::Configuration(ConfigError::new(what, error.to_string()))),
        Ok(json) => Ok(json),
    };
    let account = json("module_configuration", config::MODULE)?;
    let mut arguments = json(C::value(values).map_err(|error| start(error.into()))?, C::NAME)?;
    config::check_required::<ModuleConfiguration>(config::MODULE, &account)
        .map_err(Unusable::Configuration)?;
    let check = || context.storage.check();
    let stopped = |stopped: Stopped| start(CallbackError::from(stopped).into());
    context.until_done("use the storage", check).await.map_err(stopped)?;
    let Secrets { module, node } =
        callback.secrets(&context.shutdown).await.map_err(|error| start(error.into()))?;
    config::overlay(&mut arguments, node);
    let configuration = C::read(arguments, values).map_err(Unusable::Configuration)?;
    let account = ModuleConfiguration::read(account, module).map_err(Unusable::Configuration)?;
    let identity = Identity::new(callback, values).map_err(|error| start(error.into()))?;
    let aws = Aws::new(&account, values, Some(identity)).map_err(|error| start(error.into()))?;
    match configuration.open(&account, aws, context).await.map_err(stopped)? {
        Ok(place) => Ok((configuration, place)),
        Err(problem) => Err(Unusable::Configuration(problem.of_node(C::NAME))),
    }
}
