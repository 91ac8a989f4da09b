//! The trigger `fetch_queued_flowlogs` and the connector `collect_queued_flowlogs`: what a queue announces, to runs of a
//! playbook or to an intake. Any number of them may read one queue.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::aws::Aws;
use crate::config::queue::{QueueConfiguration, QueuedConnectorConfiguration};
use crate::config::{CONNECTOR, ConfigError, ModuleConfiguration, TRIGGER};
use crate::connector;
use crate::context::Context;
use crate::intake::client::Client;
use crate::observe::Observer;
use crate::pipeline::Pipeline;
use crate::platform::logs::LogQueue;
use crate::platform::values::{ValueError, Values};
use crate::retry::{self, Backoff};
use crate::shutdown::{Shutdown, Stopped};
use crate::sink::Sink;
use crate::sink::intake::Intake;
use crate::sink::playbook::Playbook;
use crate::source::queue::Queue;
use crate::source::queue::buckets::Buckets;
use crate::sqs::{Depth, Mailbox, Sqs, SqsError};
use crate::start::{self, Configuration, StartError, Started};

/// How long a batch waits to be full. Each of a playbook starts a run.
const LINGER_OF_RUN: Duration = Duration::from_secs(10);
const LINGER_OF_REQUEST: Duration = Duration::from_secs(1);
/// The folder in the storage for what a playbook leaves.
const NOTES: &str = "aws-flowlogs_queue";

/// Runs the trigger until the shutdown signal comes.
pub async fn run_trigger(values: &Values, logs: LogQueue, shutdown: &Shutdown) -> Result<(), StartError> {
    let work = |started: Started<QueueConfiguration>| async move {
        let Started { configuration, place: aws, callback, context, .. } = started;
        let notes = format!("{NOTES}/{}", configuration.queue.name);
        let sink = Playbook::new(Arc::new(callback), configuration.chunk_size, &notes, &context);
        deliver_queued(&configuration, aws, Arc::new(sink), LINGER_OF_RUN, context).await
    };
    start::run(values, logs, shutdown, work).await
}

/// Runs the connector until the shutdown signal comes.
pub async fn run_connector(values: &Values, logs: LogQueue, shutdown: &Shutdown) -> Result<(), StartError> {
    let work = |started: Started<QueuedConnectorConfiguration>| async move {
        let Started { configuration, place: aws, callback, context, .. } = started;
        let QueuedConnectorConfiguration { queue, intake } = configuration;
        let client = Client::new(callback.http().clone(), intake.batch_url.clone(), &intake.intake_key);
        tracing::info!(server = intake.batch_url.as_str(), "records go to the intake");
        let sink = Intake::new(Arc::new(client), &intake, queue.chunk_size, &context);
        deliver_queued(&queue, aws, Arc::new(sink), LINGER_OF_REQUEST, context).await
    };
    start::run(values, logs, shutdown, work).await
}

/// Delivers what a queue announces until the shutdown signal comes.
async fn deliver_queued(
    configuration: &QueueConfiguration,
    aws: Aws,
    sink: Arc<dyn Sink>,
    linger: Duration,
    context: Context,
) -> Result<(), Stopped> {
    let name = configuration.queue.to_string();
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let failed = |error: SqsError| {
        let wait = backoff.next_wait();
        tracing::error!(%error, retry_in_s = wait.as_secs(), "cannot find the queue");
        Ok(wait)
    };
    let find = || Sqs::find(&aws, &configuration.queue);
    let mailbox = retry::until(&context.shutdown, find, failed).await?;
    tell(&name, context.shutdown.race(mailbox.depth()).await?);
    let buckets = Buckets::new(aws, configuration.requester_pays, context.metrics.clone());
    deliver(configuration, Arc::new(mailbox), buckets, sink, linger, context).await
}

/// The same from `mailbox`.
pub async fn deliver(
    configuration: &QueueConfiguration,
    mailbox: Arc<dyn Mailbox>,
    buckets: Buckets,
    sink: Arc<dyn Sink>,
    linger: Duration,
    context: Context,
) -> Result<(), Stopped> {
    let observer = Observer::new(None, &context.metrics);
    let (name, prefix) = (configuration.queue.to_string(), configuration.prefix.clone());
    let queue = Arc::new(Queue::open(&name, prefix, mailbox, buckets, observer.clone(), context.clone()));
    let decoder = configuration.records.decoder();
    let pipeline = Pipeline::new(decoder, queue.clone(), sink, observer, context);
    let ended = pipeline.lingering(linger).run(Duration::ZERO).await;
    queue.end().await;
    ended
}

/// Says what is known of a queue before it is read.
fn tell(queue: &str, depth: Result<Depth, SqsError>) {
    match depth {
        Ok(Depth { waiting, in_flight, dead_letters, .. }) => {
            tracing::info!(queue, waiting, in_flight, "taking the names of flow logs from the queue");
            if dead_letters.is_none() {
                tracing::warn!(
                    queue,
                    "the queue has no queue for dead letters: a message that can never be settled comes again until it \
                     expires"
                );
            }
        }
        Err(error) => {
            tracing::info!(queue, "taking the names of flow logs from the queue");
            tracing::info!(%error, "what is in the queue is not known");
        }
    }
}

impl Configuration for QueueConfiguration {
    type Place = Aws;

    const NAME: &'static str = TRIGGER;

    fn value(_: &Values) -> Result<&'static str, ValueError> {
        Ok("trigger_configuration")
    }

    /// Nothing is stored.
    fn uuid(_: &Values) -> Result<Option<Uuid>, ValueError> {
        Ok(None)
    }

    fn read(given: Value, _: &Values) -> Result<Self, ConfigError> {
        Self::read(given)
    }

    async fn open(
        &self,
        account: &ModuleConfiguration,
        aws: Aws,
        _: &Context,
    ) -> Result<Result<Aws, ConfigError>, Stopped> {
        Ok(account.check(aws.has_other_s3()).map(|()| aws))
    }
}

impl Configuration for QueuedConnectorConfiguration {
    type Place = Aws;

    const NAME: &'static str = CONNECTOR;

    fn value(values: &Values) -> Result<&'static str, ValueError> {
        connector::value(values)
    }

    fn uuid(_: &Values) -> Result<Option<Uuid>, ValueError> {
        Ok(None)
    }

    fn read(given: Value, values: &Values) -> Result<Self, ConfigError> {
        Self::read(given, connector::intake_url(values)?)
    }

    async fn open(
        &self,
        account: &ModuleConfiguration,
        aws: Aws,
        context: &Context,
    ) -> Result<Result<Aws, ConfigError>, Stopped> {
        self.queue.open(account, aws, context).await
    }
}
