//! `backfill`: delivers, for a person at a terminal, what the bucket holds of a range of time, or what the messages of a
//! dead-letter queue name, with the configuration of a trigger or a connector, and ends.
//!
//! It is what the trigger or the connector does: the same source, pipeline and sink. A range is kept in the storage, so that the
//! same command goes on where it was stopped. Nothing of the trigger's own state is touched.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Map;
use tokio::time::Instant;
use uuid::Uuid;

use self::progress::Progress;
use crate::aws::Aws;
use crate::check::account::Account;
use crate::check::node::{Node, Reads};
use crate::check::report::Report;
use crate::check::{self, Known, account, bucket};
use crate::config::queue::{QueueConfiguration, QueueName};
use crate::config::{ConfigError, End, StartFrom, TriggerConfiguration};
use crate::context::Context;
use crate::http;
use crate::intake::client::Client;
use crate::observe::Observer;
use crate::pipeline::Pipeline;
use crate::platform::callback::Callback;
use crate::platform::health::Health;
use crate::platform::metrics::Metrics;
use crate::platform::storage::{Storage, StorageError};
use crate::platform::values::{ValueError, Values};
use crate::s3::Bucket;
use crate::shutdown::{Shutdown, Stopped};
use crate::sink::Sink;
use crate::sink::intake::Intake;
use crate::sink::playbook::Playbook;
use crate::source::Source;
use crate::source::listing::presence::Instance;
use crate::source::listing::{Listing, owner, preflight};
use crate::source::queue::Queue;
use crate::source::queue::buckets::Buckets;
use crate::sqs::{Mailbox as _, Sqs, SqsError};

mod progress;

/// The time from a look for objects to the next: what failed is tried again soon.
const FREQUENCY: Duration = Duration::from_secs(2);
/// How often an object is tried that cannot be read, in about a quarter of a minute, until the run ends without it.
const ATTEMPTS: u32 = 4;
/// How long a batch waits to be full where a queue names the objects.
const LINGER: Duration = Duration::from_secs(1);
/// Time for a request where no platform is named; the client has a time of its own for each.
const REQUEST: Duration = Duration::from_secs(60);
/// The folder in the storage for what a playbook leaves of a queue.
const NOTES: &str = "aws-flowlogs_backfill";

/// What is to be delivered.
#[derive(Debug, clap::Args)]
pub struct Request {
    /// Deliver what AWS wrote from this time on, e.g. 2026-10-01T00:00:00Z
    #[arg(long, value_name = "TIME", required_unless_present = "dead_letters")]
    from: Option<Timestamp>,
    /// Deliver what AWS wrote before this time
    #[arg(long, value_name = "TIME", required_unless_present = "dead_letters")]
    until: Option<Timestamp>,
    /// The bucket, where the trigger or connector reads a queue
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Only the objects whose key begins with this, in place of the prefix of the trigger or connector
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// In place of a range, deliver what the messages of a dead-letter queue name, and delete them: that of the trigger's or
    /// connector's queue, or this one, by its name, URL or ARN
    #[arg(long, value_name = "QUEUE", num_args = 0..=1, default_missing_value = "")]
    #[arg(conflicts_with_all = ["from", "until", "bucket"])]
    dead_letters: Option<String>,
}

/// Why it did not deliver everything.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// Steps failed; stdout says why.
    #[error("it cannot begin; these steps failed: {}", .0.join(", "))]
    Failed(Vec<&'static str>),
    /// The options and the configuration do not go together.
    #[error("it cannot begin: {0}")]
    Request(String),
    /// What the configuration names cannot be used.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// A value is missing or malformed.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The storage is of a kind that cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The queue cannot be found.
    #[error(transparent)]
    Queue(#[from] SqsError),
    /// No HTTP client can be made.
    #[error("cannot make an HTTP client: {0}; install the system's CA certificates")]
    NoClient(String),
    /// Something is left.
    #[error(
        "not everything was delivered; put right what the lines above name, then run the same command again"
    )]
    Left,
    /// The shutdown signal came first.
    #[error("it was stopped; the same command goes on from here")]
    Stopped(#[from] Stopped),
}

/// Delivers what is asked for, says how far it is, and sums up.
pub async fn run(values: &Values, request: &Request, shutdown: &Shutdown) -> Result<(), BackfillError> {
    let mut report = Report::new(false);
    let platform = account::platform(values);
    let known = check::know(&mut report, values, platform.as_ref());
    let Known { account: Ok(account), node: Ok(node), kind } = shutdown.race(known).await? else {
        return Err(BackfillError::Failed(report.end(&Map::new())));
    };
    let (metrics, _) = Metrics::new();
    let storage = Storage::from_values(values)?;
    let context = Context { storage, health: Health::new(), metrics, shutdown: shutdown.clone() };
    let callback = platform.and_then(Result::ok);
    match &request.dead_letters {
        None => {
            let listing = range(request, &node)?;
            let bucket = Bucket::new(&account.aws, &listing, context.metrics.clone());
            let region = report.step("region", Ok(()), async |()| bucket::region(&bucket, &account).await);
            if shutdown.race(region).await?.is_err() {
                return Err(BackfillError::Failed(report.end(&Map::new())));
            }
            let uuids = ["connector_configuration_uuid", "trigger_configuration_uuid"];
            let [connector, trigger] = uuids.map(|name| values.text(name));
            // Another range, or another node, is another task, with a state of its own.
            let task =
                format!("backfill of {kind} {connector:?} {trigger:?}, {:?}", (request.from, request.until));
            deliver_range(&listing, &task, &account, &node, callback, &context).await
        }
        Some(queue) => deliver_dead_letters(queue, request, &account.aws, &node, callback, &context).await,
    }
}

/// The range, read as the node reads it.
fn range(request: &Request, node: &Node) -> Result<TriggerConfiguration, BackfillError> {
    let (Some(from), Some(until)) = (request.from, request.until) else {
        return Err(BackfillError::Request("a range needs --from and --until".to_owned()));
    };
    if from >= until {
        return Err(BackfillError::Request("--until must be a time after --from".to_owned()));
    }
    let mut listing = match &node.reads {
        Reads::Listing(listing) => listing.clone(),
        Reads::Queue(queue) => TriggerConfiguration {
            bucket: String::new(),
            prefix: queue.prefix.clone(),
            requester_pays: queue.requester_pays,
            start_from: StartFrom::Now,
            end: None,
            frequency: FREQUENCY,
            chunk_size: queue.chunk_size,
            late_window: SignedDuration::from_hours(24),
            records: queue.records.clone(),
        },
    };
    listing.start_from = StartFrom::Time(from);
    listing.end = Some(End { time: until, attempts: Some(ATTEMPTS) });
    listing.frequency = FREQUENCY;
    if let Some(bucket) = &request.bucket {
        listing.bucket = bucket.trim().to_owned();
    }
    if let Some(prefix) = &request.prefix {
        listing.prefix.clone_from(prefix);
    }
    if listing.bucket.is_empty() {
        let problem = "name the bucket with --bucket: a queue names none";
        return Err(BackfillError::Request(problem.to_owned()));
    }
    Ok(listing)
}

/// Delivers a range of a bucket.
async fn deliver_range(
    listing: &TriggerConfiguration,
    task: &str,
    account: &Account,
    node: &Node,
    callback: Option<Callback>,
    context: &Context,
) -> Result<(), BackfillError> {
    let bucket = preflight::open(&account.configuration, listing, &account.aws, context).await??;
    let instance = Instance { id: Uuid::new_v4(), trigger: owner::uuid(task), started: Instant::now() };
    let observer = Observer::new(Some(&bucket), &context.metrics);
    let source = Arc::new(Listing::open(listing, &bucket, &observer, context, instance).await?);
    let sink = sink(node, listing.chunk_size, callback, source.owner(), context)?;
    let progress = Progress::begin(&context.metrics, "object");
    let ended = match source.count(|objects| progress.counted(objects)).await {
        Ok(()) => {
            let decoder = listing.records.decoder();
            let pipeline = Pipeline::new(decoder, source.clone(), sink, observer, context.clone());
            progress.follow(pipeline, FREQUENCY, context).await
        }
        Err(stopped) => Err(stopped),
    };
    let (objects, folders) = source.left().await;
    source.end().await;
    progress.sum_up(ended, &[(objects as u64, "object"), (folders as u64, "folder that cannot be listed")])
}

/// The queue for dead letters that is named, or else that of the node's queue, read as the node reads.
async fn dead_letters(
    named: &str,
    aws: &Aws,
    node: &Node,
    context: &Context,
) -> Result<QueueConfiguration, BackfillError> {
    let mut name = named.trim().to_owned();
    if name.is_empty() {
        let Reads::Queue(QueueConfiguration { queue, .. }) = &node.reads else {
            let problem = "name the queue after --dead-letters: what lists a bucket has none";
            return Err(BackfillError::Request(problem.to_owned()));
        };
        let depth = context.shutdown.race(async { Sqs::find(aws, queue).await?.depth().await }).await??;
        let none = || BackfillError::Request(format!("the queue {queue} has no queue for dead letters"));
        name = depth.dead_letters.ok_or_else(none)?;
    }
    let queue = QueueName::read(&name).map_err(|_| {
        let problem = "--dead-letters must name a queue by its name, its URL or its ARN, as the queue's page in SQS shows them";
        BackfillError::Request(problem.to_owned())
    })?;
    Ok(match &node.reads {
        Reads::Queue(configuration) => QueueConfiguration { queue, ..configuration.clone() },
        Reads::Listing(listing) => QueueConfiguration {
            queue,
            prefix: listing.prefix.clone(),
            chunk_size: listing.chunk_size,
            records: listing.records.clone(),
            requester_pays: listing.requester_pays,
        },
    })
}

/// Delivers what the messages of a dead-letter queue name.
async fn deliver_dead_letters(
    named: &str,
    request: &Request,
    aws: &Aws,
    node: &Node,
    callback: Option<Callback>,
    context: &Context,
) -> Result<(), BackfillError> {
    let queue = dead_letters(named, aws, node, context).await?;
    let prefix = request.prefix.clone().unwrap_or_else(|| queue.prefix.clone());
    let mailbox = Arc::new(context.shutdown.race(Sqs::find(aws, &queue.queue)).await??);
    let observer = Observer::new(None, &context.metrics);
    let buckets = Buckets::new(aws.clone(), queue.requester_pays, context.metrics.clone());
    let shown = queue.queue.to_string();
    let source = Queue::open(&shown, prefix, mailbox.clone(), buckets, observer.clone(), context.clone())
        .until_empty();
    let source = Arc::new(source);
    let sink = sink(node, queue.chunk_size, callback, &format!("{NOTES}/{}", queue.queue.name), context)?;
    let progress = Progress::begin(&context.metrics, "message");
    if let Ok(depth) = context.shutdown.race(mailbox.depth()).await? {
        progress.counted(depth.waiting);
    }
    let decoder = queue.records.decoder();
    let pipeline = Pipeline::new(decoder, source.clone(), sink, observer, context.clone()).lingering(LINGER);
    let ended = progress.follow(pipeline, Duration::ZERO, context).await;
    source.end().await;
    let left = mailbox.depth().await.map_or(0, |depth| depth.waiting + depth.in_flight);
    progress.sum_up(ended, &[(left, "message")])
}

/// Where the node's records go.
fn sink(
    node: &Node,
    chunk_size: usize,
    callback: Option<Callback>,
    notes: &str,
    context: &Context,
) -> Result<Arc<dyn Sink>, BackfillError> {
    if let Some(intake) = &node.intake {
        let http = match callback {
            Some(callback) => callback.http().clone(),
            None => http::client(REQUEST).map_err(|error| BackfillError::NoClient(http::causes(&error)))?,
        };
        let client = Client::new(http, intake.batch_url.clone(), &intake.intake_key);
        return Ok(Arc::new(Intake::new(Arc::new(client), intake, chunk_size, context)));
    }
    let Some(callback) = callback else {
        let problem = "a trigger starts runs on the platform: set `token` and `url_callback`";
        return Err(BackfillError::Request(problem.to_owned()));
    };
    Ok(Arc::new(Playbook::new(Arc::new(callback), chunk_size, notes, context)))
}
