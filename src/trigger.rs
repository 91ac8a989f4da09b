//! The trigger `fetch_flowlogs`: finds new objects, gathers their records into batches, starts a run with each.
//!
//! The steps, each in a file of its name: [`discover`] → [`fetch`] → [`batch`] → [`deliver`] → [`commit`]; between the
//! second and the third, objects go through the crate [`flow_log`], which decodes them.
//! They hand each other values, the last of which, the [`Receipt`], only an accepted callback makes.

pub mod batch;
mod careful;
pub mod checkpoint;
pub mod commit;
pub mod crashes;
pub mod days;
pub mod deliver;
pub mod discover;
pub mod fetch;
pub mod journal;
pub mod leftovers;
pub mod origin;
pub mod owner;
pub mod place;
pub mod poll;
pub mod preflight;
pub mod presence;
pub mod progress;
pub mod resting;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use flow_log::decode::Decoder;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::mpsc;
use uuid::Uuid;

use self::batch::Batch;
use self::checkpoint::Pending;
use self::commit::Ledger;
use self::deliver::{Delivery, Receipt};
use self::discover::{Discovery, Found};
use self::fetch::{FetchError, Opened, Opener};
use self::poll::{LeftOut, Poll};
use self::presence::Instance;
use self::progress::Progress;
use self::resting::Resting;
use crate::config::{self, ConfigError, ModuleConfiguration, TriggerConfiguration};
use crate::platform::callback::{Callback, CallbackError};
use crate::platform::health::{self, Health};
use crate::platform::logs::LogQueue;
use crate::platform::metrics::Metrics;
use crate::platform::secrets::Secrets;
use crate::platform::storage::{Storage, StorageError};
use crate::platform::values::{ValueError, Values};
use crate::s3::{self, Bucket, Object};
use crate::shutdown::{Shutdown, Stopped};

/// Time for the last log lines after the work has ended.
const LAST_LOGS: Duration = Duration::from_secs(2);
/// How long the work may go on after the order to stop: what is under way ends in time, unless something hangs.
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

/// Runs the trigger until it is told to stop.
pub async fn run(values: &Values, logs: LogQueue, shutdown: &Shutdown) -> Result<(), StartError> {
    let (id, started) = (Uuid::new_v4(), tokio::time::Instant::now());
    let instance = Instance { id, trigger: owner::trigger(values)?, started };
    let callback = Callback::from_values(values)?;
    let storage = Storage::from_values(values)?;
    let health = Health::new();
    let (metrics, registry) = Metrics::new();
    let (liveness, exporter) =
        (values.port("liveness_port", health::LIVENESS_PORT)?, values.port("metrics_port", 8020)?);
    tokio::spawn(health::serve_health(health.clone(), liveness, shutdown.clone()));
    tokio::spawn(health::serve_metrics(registry, exporter, shutdown.clone()));
    let forwarding = tokio::spawn(logs.forward(callback.clone(), shutdown.clone()));
    let sink = Arc::new(callback.clone());
    let delivery = Delivery { storage, sink, health, metrics, shutdown: shutdown.clone() };
    let ended = shutdown.within(LAST_WORK, work(values, &callback, delivery, instance)).await;
    let ended = ended.unwrap_or_else(|Stopped| {
        // To break off here is what a crash is, which the next start puts right.
        tracing::warn!("the storage does not answer; the trigger ends without waiting for it any longer");
        Ok(())
    });
    shutdown.stop();
    let _ = tokio::time::timeout(LAST_LOGS, forwarding).await;
    ended
}

/// Delivers until told to stop, if the configuration can be used.
async fn work(
    values: &Values,
    callback: &Callback,
    delivery: Delivery,
    instance: Instance,
) -> Result<(), StartError> {
    let shutdown = delivery.shutdown.clone();
    match configure(values, callback, &delivery).await {
        Ok((configuration, bucket)) => {
            let _: Result<(), Stopped> = watch(configuration, bucket, delivery, instance).await;
            Ok(())
        }
        Err(Unusable::Configuration(error)) => {
            // The platform stops a trigger that says this; to end by ourselves would only make it start us again.
            tracing::error!(critical = true, "{error}");
            shutdown.stopped().await;
            Ok(())
        }
        Err(Unusable::Start(StartError::Callback(CallbackError::Stopped(Stopped)))) => Ok(()),
        Err(Unusable::Start(error)) => {
            tracing::error!("{error}");
            Err(error)
        }
    }
}

/// The configuration with the secrets in it, and the bucket that it names.
async fn configure(
    values: &Values,
    callback: &Callback,
    delivery: &Delivery,
) -> Result<(TriggerConfiguration, Bucket), Unusable> {
    let start = |error| Unusable::Start(error);
    let json = |name, what| match values.required_json(name) {
        Err(error) => Err(Unusable::Configuration(ConfigError::new(what, error.to_string()))),
        Ok(json) => Ok(json),
    };
    let account = json("module_configuration", config::MODULE)?;
    let mut arguments = json("trigger_configuration", config::TRIGGER)?;
    config::check_required::<ModuleConfiguration>(config::MODULE, &account)
        .map_err(Unusable::Configuration)?;
    let check = || delivery.storage.check();
    let stopped = |stopped: Stopped| start(CallbackError::from(stopped).into());
    delivery.until_done("use the storage", check).await.map_err(stopped)?;
    let Secrets { module, node } =
        callback.secrets(&delivery.shutdown).await.map_err(|error| start(error.into()))?;
    config::overlay(&mut arguments, node);
    let configuration = TriggerConfiguration::read(arguments).map_err(Unusable::Configuration)?;
    let account = ModuleConfiguration::read(account, module).map_err(Unusable::Configuration)?;
    let bucket = Bucket::new(&account, &configuration.bucket, values, delivery.metrics.clone());
    let bucket = bucket.map_err(|error| start(error.into()))?;
    let stands_in = s3::endpoint(values).map_err(|error| start(error.into()))?.is_some();
    let problem = preflight::problem(&account, &configuration, &bucket, stands_in, delivery).await;
    match problem.map_err(stopped)? {
        None => Ok((configuration, bucket)),
        Some(problem) => Err(Unusable::Configuration(problem)),
    }
}

/// Delivers what is new in `bucket`, poll by poll, until told to stop.
pub async fn watch(
    configuration: TriggerConfiguration,
    bucket: Bucket,
    delivery: Delivery,
    instance: Instance,
) -> Result<(), Stopped> {
    tracing::info!(bucket = configuration.bucket, prefix = configuration.prefix, "looking for flow logs");
    let ledger = Ledger::open(&configuration, &bucket, &delivery, instance).await?;
    let ended = watch_from(configuration, bucket, delivery, ledger.clone()).await;
    ledger.end().await;
    ended
}

/// Delivers what is new from what is known on.
async fn watch_from(
    configuration: TriggerConfiguration,
    bucket: Bucket,
    delivery: Delivery,
    ledger: Ledger,
) -> Result<(), Stopped> {
    ledger.resume().await?;
    let decoder = Decoder::new(configuration.record_format, configuration.filter);
    let opener = Opener::new(bucket.clone(), decoder);
    let resting = Resting::new(configuration.frequency);
    let progress = Progress::new(delivery.metrics.clone(), resting.clone());
    let (names, listed) = (bucket.clone(), ledger.clone());
    let mut discovery = Discovery::new(&configuration, names, listed, delivery.clone(), progress.clone());
    let poll = Poll::default();
    let mut trigger =
        Trigger { configuration, bucket, opener, ledger, delivery, resting, progress, poll, accepted: None };
    trigger.judge_crashes().await?;
    trigger.polls(&mut discovery).await
}

struct Trigger {
    configuration: TriggerConfiguration,
    bucket: Bucket,
    opener: Opener,
    ledger: Ledger,
    delivery: Delivery,
    resting: Resting,
    progress: Progress,
    poll: Poll,
    /// The platform has this, which is not noted yet.
    accepted: Option<Receipt>,
}

impl Trigger {
    /// Polls until told to stop.
    async fn polls(&mut self, discovery: &mut Discovery) -> Result<(), Stopped> {
        loop {
            let began = tokio::time::Instant::now();
            let found = self.poll(discovery).await?;
            self.delivery.health.heartbeat();
            // Where much is found and nothing of it can be read, haste would not help.
            if found == Found::Some && self.poll.objects > 0 {
                continue;
            }
            let rest = self.configuration.frequency.saturating_sub(began.elapsed());
            self.delivery.shutdown.sleep(rest).await?;
        }
    }

    /// Delivers everything new, or a good part of it if there is very much. While one half finds objects, the other
    /// delivers those found.
    async fn poll(&mut self, discovery: &mut Discovery) -> Result<Found, Stopped> {
        self.poll = self.poll.follow();
        self.resting.poll();
        self.progress.poll_begins();
        // Few, so that it shows soon where nothing can be read.
        let (names, named) = mpsc::channel(100);
        let (found, delivered) = tokio::join!(discovery.poll(names), self.deliver(named));
        // Whatever ended them, be it the order to stop.
        self.settle().await?;
        delivered?;
        let found = found?;
        discovery.settle().await?;
        self.ledger.crashes().poll_ended().await?;
        self.ledger.tidy().await;
        self.poll.tell();
        Ok(found)
    }

    /// Notes what the platform has.
    async fn settle(&mut self) -> Result<(), Stopped> {
        match self.accepted.take() {
            Some(receipt) => self.ledger.commit(receipt).await,
            None => Ok(()),
        }
    }

    /// Waits for what is next. A batch that is ready at once is noted together with the end of the one before; where
    /// there is none, that is not put off.
    async fn wait_for<T>(&mut self, next: impl Future<Output = T>) -> Result<T, Stopped> {
        if self.delivery.shutdown.is_stopping() {
            return Err(Stopped);
        }
        let mut next = pin!(next);
        if let Some(next) = next.as_mut().now_or_never() {
            return Ok(next);
        }
        self.settle().await?;
        self.delivery.shutdown.race(next).await
    }

    /// Delivers the objects that are named. Those under which the process may have died come last, each alone.
    async fn deliver(&mut self, named: mpsc::Receiver<Object>) -> Result<(), Stopped> {
        let crashes = self.ledger.crashes().clone();
        let (suspects, is_careful) = (crashes.suspect_keys(), crashes.is_careful());
        let mut last = Vec::new();
        let mut batch = Batch::new(self.configuration.chunk_size);
        {
            let (opener, crashes) = (&self.opener.clone(), &crashes);
            let mut apart = |object: Object| match suspects.contains(&object.key) {
                true => {
                    last.push(object);
                    None
                }
                false => Some(object),
            };
            let found = stream::unfold(named, async |mut named| Some((named.recv().await?, named)));
            let found = found.filter_map(|object| std::future::ready(apart(object)));
            let found = found.map(async |object| {
                if is_careful {
                    crashes.opens(&object).await?;
                }
                Ok(opener.clone().open(object).await)
            });
            let mut opened = pin!(found.buffer_unordered(if is_careful { 1 } else { fetch::OPENED }));
            while let Some(opened) = self.wait_for(opened.next()).await? {
                self.take(opened?, &mut batch).await?;
            }
        }
        self.hand_over(&mut batch).await?;
        self.deliver_alone(last).await
    }

    /// Moves the records of an object into batches, delivering each that is full.
    async fn drain(&mut self, mut opened: Opened, batch: &mut Batch) -> Result<(), Stopped> {
        let delivered = self.ledger.look(|checkpoint| checkpoint.position(&opened.object));
        let (mut position, mut end) = (delivered, delivered);
        let mut left_out = LeftOut::default();
        loop {
            let mut block = match self.wait_for(opened.next_block()).await? {
                Ok(Some(block)) => block,
                Ok(None) => break,
                Err(error) => return self.fail(&opened.object, &error, batch).await,
            };
            left_out.count(block.tally(), &self.delivery.metrics);
            end = end.max(block.end());
            block.skip_to(delivered);
            while block.remaining() > 0 && batch.take(&opened.object, &mut position, &mut block) {
                self.hand_over(batch).await?;
            }
        }
        batch.end(&opened.object, position, end);
        self.resting.done(&opened.object);
        self.poll.done(&opened.object, &left_out);
        Ok(())
    }

    /// Delivers a batch, then starts the next. What it covers is committed with the beginning of the next, or as soon as
    /// there is something to wait for.
    async fn hand_over(&mut self, batch: &mut Batch) -> Result<(), Stopped> {
        let batch = std::mem::replace(batch, Batch::new(self.configuration.chunk_size));
        if batch.is_empty() {
            return Ok(());
        }
        if self.delivery.shutdown.is_stopping() {
            return Err(Stopped);
        }
        self.ledger.crashes().rests().await?;
        let covered = batch.covers().to_vec();
        let batch = match Receipt::for_no_records(batch) {
            Ok(receipt) => {
                self.settle().await?;
                self.ledger.commit(receipt).await?;
                self.progress.delivered(&covered);
                return Ok(());
            }
            Err(batch) => batch,
        };
        let records = batch.records();
        let newest = batch.newest();
        let request_id = batch.request_id(self.ledger.folder());
        let (file, covers) = batch.into_file();
        let pending = Pending { request_id, records, covers };
        let (ledger, delivery, before) = (self.ledger.clone(), self.delivery.clone(), self.accepted.take());
        let kept = file.clone();
        let begun = async move {
            ledger.begin(pending.clone(), before).await?;
            delivery.write(&pending.request_id, file).await.map(|()| pending)
        };
        let pending = self.delivery.storage.together(begun).await?;
        self.accepted = Some(self.delivery.send(pending, kept).await?);
        self.progress.delivered(&covered);
        self.poll.batches += 1;
        self.poll.records += records as u64;
        if let Some(newest) = newest {
            let lag = self.bucket.now().duration_since(newest).as_secs_f64();
            self.delivery.metrics.lag_seconds.set(lag.max(0.0));
        }
        Ok(())
    }

    /// An object, or the rest of it, cannot be had: says so, and goes on. What was taken of it is delivered first.
    async fn fail(&mut self, object: &Object, error: &FetchError, batch: &mut Batch) -> Result<(), Stopped> {
        self.poll.failed += 1;
        self.delivery.metrics.object_failed(error.cause());
        let key = object.key.as_str();
        if batch.covers().iter().any(|cover| cover.key == key) {
            self.hand_over(batch).await?;
        }
        // Where it is rejected, nothing of it is to be noted behind that.
        self.settle().await?;
        let attempts = self.resting.failed(object);
        if error.is_poison() && Resting::is_hopeless(attempts) {
            tracing::error!(key, cause = %error, attempts, "object rejected: its records, or the rest of them, are not delivered");
            self.delivery.metrics.object_rejected(error.cause());
            self.resting.done(object);
            self.progress.dropped(key);
            return self.ledger.reject(object, error.cause()).await;
        }
        if error.is_gone() {
            self.progress.dropped(key);
        }
        self.poll.rests(object, error, attempts);
        Ok(())
    }
}
