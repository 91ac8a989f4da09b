//! Finds objects by listing the bucket, and remembers in the storage what is done.

pub mod checkpoint;
pub mod cooldown;
pub mod crashes;
pub mod days;
pub mod discover;
pub mod journal;
pub mod ledger;
pub mod origin;
pub mod owner;
pub mod preflight;
pub mod presence;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, OnceCell, mpsc};

use self::cooldown::Cooldown;
use self::discover::Discovery;
use self::discover::names::Judges;
use self::ledger::Ledger;
use self::presence::Instance;
use super::{Interrupted, Round, Source, Verdict};
use crate::config::TriggerConfiguration;
use crate::context::Context;
use crate::contract::{Claim, FetchError, Pending};
use crate::observe::Observer;
use crate::s3::Bucket;
use crate::shutdown::Stopped;
use crate::sink::Receipt;

/// The objects below a prefix of a bucket, poll by poll.
#[derive(Debug)]
pub struct Listing {
    ledger: Ledger,
    cooldown: Cooldown,
    observer: Observer,
    discovery: Mutex<Discovery>,
    /// Whether it was decided what becomes of the objects under which the process died.
    judged: OnceCell<()>,
}

impl Listing {
    /// Reads the state of a bucket and prefix, or begins one. An older instance that is still alive does nothing from here
    /// on but end what it has in flight, and that is waited for.
    pub async fn open(
        configuration: &TriggerConfiguration,
        bucket: &Bucket,
        observer: &Observer,
        context: &Context,
        instance: Instance,
    ) -> Result<Self, Stopped> {
        let ledger = Ledger::open(configuration, bucket, context, instance).await?;
        let (cooldown, observer) = (Cooldown::new(configuration.frequency), observer.clone());
        let judges = Judges {
            bucket: bucket.clone(),
            ledger: ledger.clone(),
            cooldown: cooldown.clone(),
            observer: observer.clone(),
        };
        let discovery = Discovery::new(configuration, judges, context.clone());
        let (discovery, judged) = (Mutex::new(discovery), OnceCell::new());
        Ok(Self { ledger, cooldown, observer, discovery, judged })
    }

    /// Ends as it should: the next instance finds neither a sign of life nor a suspicion.
    pub async fn end(&self) {
        self.ledger.end().await;
    }

    /// Counts what of the range is to be delivered, before anything is; `told` the number so far, now and then.
    pub async fn count(&self, told: impl Fn(u64)) -> Result<(), Stopped> {
        self.discovery.lock().await.count(told).await
    }

    /// What of the range is not done: objects, or days of a flow log, and folders that cannot be listed.
    pub async fn left(&self) -> (usize, usize) {
        self.discovery.lock().await.left()
    }

    async fn poll(&self, claims: mpsc::Sender<Claim>) -> Result<Round, Stopped> {
        self.judged.get_or_try_init(|| self.judge_crashes()).await?;
        self.cooldown.poll();
        self.observer.round_begins(|object| self.cooldown.holds(object));
        self.discovery.lock().await.poll(claims).await
    }

    /// Rejects the objects under which the process died again and again. Those that may be such ones rest first.
    async fn judge_crashes(&self) -> Result<(), Stopped> {
        let crashes = self.ledger.crashes();
        for (object, deaths) in crashes.take_given_up() {
            if self.ledger.look(|checkpoint| checkpoint.wants(&object)) {
                let key = object.key.as_str();
                tracing::error!(
                    key,
                    deaths,
                    "object rejected: the process died each time that it read it; its records, or the rest of them, are not delivered"
                );
                self.observer.rejected(key, crashes::CAUSE);
                self.ledger.reject(&object, crashes::CAUSE).await?;
            }
        }
        for suspect in crashes.suspects() {
            if self.ledger.look(|checkpoint| checkpoint.wants(&suspect)) {
                self.cooldown.failed(&suspect);
            } else {
                crashes.survived(&suspect.key).await?;
            }
        }
        crashes.write().await
    }
}

impl Source for Listing {
    fn owner(&self) -> &str {
        self.ledger.folder()
    }

    fn interrupted(&self) -> Interrupted {
        self.ledger.look(|checkpoint| Interrupted {
            committed: checkpoint.last().map(str::to_owned),
            pending: checkpoint.pending().to_vec(),
        })
    }

    fn abandon(&self) -> BoxFuture<'_, Result<(), Stopped>> {
        self.ledger.abandon().boxed()
    }

    fn claims(&self, claims: mpsc::Sender<Claim>) -> BoxFuture<'_, Result<Round, Stopped>> {
        self.poll(claims).boxed()
    }

    fn read(&self, claim: &Claim) {
        self.cooldown.done(&claim.object);
    }

    /// An object that is damaged is rejected after some attempts; whatever else is wrong may pass, or be put right.
    fn failed(&self, claim: &Claim, error: &FetchError) -> Verdict {
        let attempts = self.cooldown.failed(&claim.object);
        if !error.is_poison() || !Cooldown::is_final(attempts) {
            return Verdict::Later { attempts };
        }
        self.cooldown.done(&claim.object);
        Verdict::Rejected { attempts }
    }

    fn reject<'a>(&'a self, claim: &'a Claim, cause: &'a str) -> BoxFuture<'a, Result<(), Stopped>> {
        self.ledger.reject(&claim.object, cause).boxed()
    }

    fn begin(&self, pending: Pending) -> BoxFuture<'_, Result<(), Stopped>> {
        let begun = async move {
            // A death while something is delivered is not that of the object that is open.
            self.ledger.crashes().rests().await?;
            self.ledger.begin(pending).await
        };
        begun.boxed()
    }

    fn commit(&self, receipt: Receipt) {
        self.ledger.commit(receipt);
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Stopped>> {
        self.ledger.flush().boxed()
    }

    fn ended(&self) -> BoxFuture<'_, Result<(), Stopped>> {
        let ended = async move {
            self.discovery.lock().await.settle().await?;
            self.ledger.crashes().poll_ended().await
        };
        ended.boxed()
    }
}
