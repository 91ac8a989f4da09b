//! Takes the names of objects from a queue of SQS in which S3 announces them. A message is deleted when every record of
//! every object that it names was accepted, or rejected by name; until then it is kept from others, and at the shutdown
//! signal it is given back. Nothing is stored: what was not deleted comes again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use self::buckets::Buckets;
use self::keeper::Keeper;
use self::messages::{Messages, Name};
use self::notification::{Announced, Event, Notification};
use super::{Interrupted, Round, Source, Verdict};
use crate::context::Context;
use crate::contract::{Claim, FetchError, Pending};
use crate::layout::lane::is_flow_log;
use crate::observe::Observer;
use crate::retry::Backoff;
use crate::s3::{Object, S3Failure};
use crate::shutdown::Stopped;
use crate::sink::Receipt;
use crate::sqs::{Mailbox, Message};

pub mod buckets;
mod keeper;
pub mod messages;
pub mod notification;

/// How long a round lasts: then the log says what it did.
const ROUND: Duration = Duration::from_secs(60);
/// Messages in flight at most. With fewer, those that wait for a batch to be full would keep others from being taken.
const HELD: usize = 1_000;
/// Attempts after which an object that is damaged is rejected.
const ATTEMPTS: u32 = 3;
/// After how long a message comes again whose object could not be read: twice as long each time, up to an hour, so that a queue
/// for dead letters does not fill with what passes; sooner where it may have passed already.
const AGAIN: Duration = Duration::from_secs(30);
const AGAIN_SOON: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_secs(3_600);
/// How long messages may still be deleted after the shutdown signal: those that are not come again. The process must be gone
/// within 10 s.
const LAST_DELETE: Duration = Duration::from_secs(4);

/// The objects that a queue announces.
#[derive(Debug)]
pub struct Queue {
    /// Names this replica: two that get the same message must not share a folder in the storage.
    owner: String,
    prefix: String,
    mailbox: Arc<dyn Mailbox>,
    buckets: Buckets,
    messages: Arc<Mutex<Messages>>,
    /// Rings when a message is settled.
    settled: Arc<Notify>,
    keeper: Arc<Keeper>,
    observer: Observer,
    context: Context,
    /// Whether it ends when the queue is empty.
    ends: bool,
    _keeping: AbortOnDropHandle<()>,
}

impl Queue {
    /// The objects below `prefix` that the queue `name` announces.
    pub fn open(
        name: &str,
        prefix: String,
        mailbox: Arc<dyn Mailbox>,
        buckets: Buckets,
        observer: Observer,
        context: Context,
    ) -> Self {
        let messages = Arc::<Mutex<Messages>>::default();
        let keeper =
            Arc::new(Keeper::new(Arc::clone(&mailbox), Arc::clone(&messages), context.metrics.clone()));
        let (kept, shutdown) = (Arc::clone(&keeper), context.shutdown.clone());
        let _keeping = AbortOnDropHandle::new(tokio::spawn(async move { kept.run(&shutdown).await }));
        let settled = Arc::default();
        let owner = format!("{name} {}", Uuid::new_v4());
        Self {
            owner,
            prefix,
            mailbox,
            buckets,
            messages,
            settled,
            keeper,
            observer,
            context,
            ends: false,
            _keeping,
        }
    }

    /// The same until no message comes any more.
    #[must_use]
    pub fn until_empty(mut self) -> Self {
        self.ends = true;
        self
    }

    /// Deletes what is settled, and gives back at once what is not.
    pub async fn end(&self) {
        self.keeper.end().await;
    }

    async fn round(&self, claims: mpsc::Sender<Claim>) -> Result<Round, Stopped> {
        let shutdown = &self.context.shutdown;
        self.observer.round_begins(|_| false);
        let end = Instant::now() + ROUND;
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        while Instant::now() < end {
            while self.messages().count() >= HELD {
                let settled = tokio::time::timeout_at(end, self.settled.notified());
                if shutdown.race(settled).await?.is_err() {
                    return Ok(Round::More);
                }
            }
            let (asked, visibility) = (Instant::now(), self.keeper.visibility());
            match shutdown.race(self.mailbox.receive(visibility)).await? {
                Ok(received) => {
                    backoff.reset();
                    if self.ends && received.is_empty() && self.messages().count() == 0 {
                        return Ok(Round::Ended);
                    }
                    self.context.health.heartbeat();
                    self.context.metrics.messages("received", received.len());
                    self.messages().received(&received);
                    for message in received {
                        for claim in self.take(message, asked, visibility).await? {
                            claims.send(claim).await.map_err(|_| Stopped)?;
                        }
                    }
                }
                Err(error) => {
                    let wait = backoff.next_wait();
                    tracing::error!(%error, retry_in_s = wait.as_secs(), "cannot take messages from the queue");
                    self.context.health.failed(shutdown).await?;
                    shutdown.sleep(wait).await?;
                }
            }
        }
        Ok(Round::More)
    }

    /// What a message wants delivered.
    async fn take(
        &self,
        message: Message,
        asked: Instant,
        visibility: Duration,
    ) -> Result<Vec<Claim>, Stopped> {
        let announced = match Notification::read(&message.body) {
            Notification::Objects(announced) => announced,
            Notification::Test => {
                tracing::info!("the queue works: S3's test event came");
                self.messages().delete(message.handle);
                return Ok(Vec::new());
            }
            Notification::Unknown(why) => {
                // It is left: it comes again until it expires or is a dead letter.
                self.context.metrics.messages("unknown", 1);
                self.messages().left(&message.handle);
                let message = message.id;
                tracing::warn!(
                    message,
                    why,
                    "a message of the queue is no notification of S3 and is left in the queue"
                );
                return Ok(Vec::new());
            }
        };
        let (mut wanted, mut objects) = (Vec::new(), Vec::new());
        for announced in announced.into_iter().filter(|announced| announced.event == Event::Readable) {
            if let Some((claim, name)) = self.claim(announced, message.receives).await? {
                wanted.push((name.clone(), claim.object.etag.clone()));
                objects.push((name, claim));
            }
        }
        let new = self.messages().took(&message, asked, visibility, wanted);
        let claims = new.into_iter().filter_map(|(name, from)| {
            let place = objects.iter().position(|(known, _)| *known == name)?;
            let (_, claim) = objects.swap_remove(place);
            self.observer.found(&claim.object);
            Some(Claim { from, ..claim })
        });
        Ok(claims.collect())
    }

    /// The object that is announced, if it is a flow log. What is not known of it, or may have changed since, is asked.
    async fn claim(&self, announced: Announced, receives: u32) -> Result<Option<(Claim, Name)>, Stopped> {
        let bucket = self.buckets.get(&announced.bucket, announced.region.as_deref());
        let keys: Vec<String> = std::iter::once(announced.key).chain(announced.or_key).collect();
        let keys: Vec<String> = keys.into_iter().filter(|key| wants(&self.prefix, key)).collect();
        let Some(key) = keys.first().cloned() else { return Ok(None) };
        let is_known = keys.len() == 1 && announced.etag.is_some() && receives <= 1;
        let known = announced.body_bytes.filter(|_| is_known);
        let mut object = Object {
            key,
            body_bytes: announced.body_bytes.unwrap_or_default(),
            last_modified: announced.time.unwrap_or_else(Timestamp::now),
            etag: announced.etag,
        };
        if known.is_none() {
            for key in keys {
                // What cannot be asked is told when it is read.
                if let Ok(Some(found)) = self.context.shutdown.race(bucket.look(&key)).await? {
                    object = found;
                    break;
                }
            }
        } else if known == Some(0) {
            return Ok(None);
        }
        let name = Name { bucket: bucket.name().into(), key: object.key.clone() };
        Ok(Some((Claim { is_of_many: true, ..Claim::whole(&bucket, object) }, name)))
    }

    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a key is that of a flow log below the prefix.
pub fn wants(prefix: &str, key: &str) -> bool {
    key.starts_with(prefix) && is_flow_log(key, prefix)
}

fn name(claim: &Claim) -> Name {
    Name { bucket: claim.bucket.name().into(), key: claim.object.key.clone() }
}

impl Source for Queue {
    fn owner(&self) -> &str {
        &self.owner
    }

    fn interrupted(&self) -> Interrupted {
        Interrupted::default()
    }

    fn abandon(&self) -> BoxFuture<'_, Result<(), Stopped>> {
        std::future::ready(Ok(())).boxed()
    }

    fn claims(&self, claims: mpsc::Sender<Claim>) -> BoxFuture<'_, Result<Round, Stopped>> {
        self.round(claims).boxed()
    }

    fn read(&self, _: &Claim) {}

    /// What is gone needs no delivery, what is damaged is rejected when it was read again, and whatever else is wrong may
    /// pass, or be put right: then the message comes again.
    fn failed(&self, claim: &Claim, error: &FetchError) -> Verdict {
        let mut messages = self.messages();
        let attempts = messages.attempts(&name(claim));
        if error.is_gone() {
            messages.done(&name(claim));
            return Verdict::Later { attempts };
        }
        if error.is_poison() && attempts >= ATTEMPTS {
            return Verdict::Rejected { attempts };
        }
        let is_passing = matches!(error, FetchError::Read(error)
            if matches!(error.failure(), S3Failure::Passing | S3Failure::Unreachable(_)));
        let first = if is_passing { AGAIN_SOON } else { AGAIN };
        let mut again = first.saturating_mul(1 << attempts.saturating_sub(1).min(11)).min(LONGEST);
        if let FetchError::Read(error) = error
            && let S3Failure::WrongRegion(Some(region)) = error.failure()
        {
            self.buckets.moved(claim.bucket.name(), region);
            again = Duration::ZERO;
        }
        messages.failed(&name(claim), again);
        drop(messages);
        self.settled.notify_one();
        Verdict::Later { attempts }
    }

    fn reject<'a>(&'a self, claim: &'a Claim, _: &'a str) -> BoxFuture<'a, Result<(), Stopped>> {
        self.messages().done(&name(claim));
        self.settled.notify_one();
        std::future::ready(Ok(())).boxed()
    }

    fn begin(&self, _: Pending) -> BoxFuture<'_, Result<(), Stopped>> {
        std::future::ready(Ok(())).boxed()
    }

    fn commit(&self, receipt: Receipt) {
        let mut messages = self.messages();
        for cover in receipt.into_covers() {
            let end = cover.end();
            let name = Name { bucket: cover.bucket.unwrap_or_default(), key: cover.key };
            if cover.whole {
                messages.done(&name);
            } else {
                messages.delivered_to(&name, end);
            }
        }
        drop(messages);
        self.settled.notify_one();
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Stopped>> {
        let flushed = async move {
            self.context.shutdown.within(LAST_DELETE, self.keeper.delete()).await?;
            Ok(())
        };
        flushed.boxed()
    }

    fn ended(&self) -> BoxFuture<'_, Result<(), Stopped>> {
        std::future::ready(Ok(())).boxed()
    }
}
