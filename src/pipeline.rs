//! Moves records from any source to any sink: claims → [`fetch`] → [`batch`] → the sink → commits.
//!
//! Who runs where: the source names objects while this task reads and delivers; each object is read on a task of its own
//! and decoded on a thread that may block ([`fetch`]); each batch in flight is delivered on a task of its own. This task
//! waits for whichever is next. Batches are noted, and receipts committed, in the order in which the batches were filled:
//! after a crash, what is repeated is what was in flight, and nothing before it is missing.
//!
//! Where as many batches are in flight as the sink takes, nothing is read until the oldest of them is accepted.

pub mod batch;
pub mod fetch;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use flow_log::decode::Decoder;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::batch::Batch;
use self::fetch::{Opened, Opener};
use crate::context::Context;
use crate::contract::{Claim, FetchError, Limits, Verdict};
use crate::observe::Observer;
use crate::observe::summary::LeftOut;
use crate::shutdown::Stopped;
use crate::sink::{Receipt, Sink};
use crate::source::{Interrupted, Round, Source};

/// Claims that wait to be opened. Few, so that it shows soon where nothing can be read.
const CLAIMS: usize = 100;

/// A source, a sink, and what is between them.
#[derive(Debug)]
pub struct Pipeline {
    source: Arc<dyn Source>,
    sink: Arc<dyn Sink>,
    limits: Limits,
    opener: Opener,
    observer: Observer,
    context: Context,
    /// In the order in which they were filled.
    in_flight: FuturesOrdered<AbortOnDropHandle<Result<Landed, Stopped>>>,
    /// The request IDs of batches that were committed since the source made sure of what was committed.
    committed: Vec<String>,
}

/// A batch that was accepted.
#[derive(Debug)]
struct Landed {
    receipt: Receipt,
    records: usize,
    newest: Option<Timestamp>,
}

impl Pipeline {
    /// Reads the objects that `source` names, and delivers what `decoder` makes of them to `sink`.
    pub fn new(
        decoder: Decoder,
        source: Arc<dyn Source>,
        sink: Arc<dyn Sink>,
        observer: Observer,
        context: Context,
    ) -> Self {
        let (limits, opener) = (sink.limits(), Opener::new(decoder));
        let (in_flight, committed) = (FuturesOrdered::new(), Vec::new());
        Self { source, sink, limits, opener, observer, context, in_flight, committed }
    }

    /// The same, with batches that wait no longer than this to be full.
    #[must_use]
    pub fn lingering(mut self, linger: Duration) -> Self {
        self.limits.linger = Some(linger);
        self
    }

    /// Delivers round after round, each `frequency` after the one before or at once if there is more, until the source has
    /// ended or the shutdown signal comes.
    pub async fn run(&mut self, frequency: Duration) -> Result<(), Stopped> {
        self.resume().await?;
        loop {
            let began = Instant::now();
            let round = self.round().await?;
            self.context.health.heartbeat();
            match round {
                Round::Ended => return Ok(()),
                // Where nothing of much can be read, haste would not help.
                Round::More if self.observer.has_read() => continue,
                Round::More | Round::Complete => {}
            }
            self.context.shutdown.sleep(frequency.saturating_sub(began.elapsed())).await?;
        }
    }

    /// Delivers the batches that were in flight when the last run ended, and removes what it left of others.
    async fn resume(&mut self) -> Result<(), Stopped> {
        let Interrupted { committed, pending } = self.source.interrupted();
        if let Some(request_id) = committed {
            self.sink.forget(&request_id).await;
        }
        for pending in pending {
            let request_id = pending.request_id.clone();
            if let Some(receipt) = self.sink.resume(pending).await? {
                self.source.commit(receipt);
                self.source.flush().await?;
            } else {
                self.source.abandon().await?;
            }
            self.sink.forget(&request_id).await;
        }
        self.sink.tidy().await;
        Ok(())
    }

    /// Delivers what the source names in a round. While it finds objects, those found are delivered.
    async fn round(&mut self) -> Result<Round, Stopped> {
        let (claims_in, claims) = mpsc::channel(CLAIMS);
        let source = Arc::clone(&self.source);
        let (round, delivered) = tokio::join!(source.claims(claims_in), self.deliver(claims));
        // Whatever ended them, be it the shutdown signal.
        let landed = self.land_all().await;
        self.flush().await?;
        delivered.and(landed)?;
        let round = round?;
        self.source.ended().await?;
        self.sink.tidy().await;
        self.observer.round_ended();
        Ok(round)
    }

    /// Delivers the objects that are claimed.
    async fn deliver(&mut self, claims: mpsc::Receiver<Claim>) -> Result<(), Stopped> {
        let opener = self.opener.clone();
        let claims = stream::unfold(claims, async |mut claims| Some((claims.recv().await?, claims)));
        let opened = claims.map(move |claim| opener.clone().open(claim));
        let mut opened = pin!(opened.buffer_unordered(fetch::OPENED));
        let mut batch = Batch::new(self.limits);
        while let Some(opened) = self.wait_for(opened.next(), &mut batch).await? {
            match opened {
                Ok(opened) => self.drain(opened, &mut batch).await?,
                Err(unopened) => self.fail(&unopened.claim, &unopened.error).await?,
            }
        }
        self.hand_over(&mut batch).await
    }

    /// Moves the records of an object into batches, delivering each that is full.
    async fn drain(&mut self, mut opened: Opened, batch: &mut Batch) -> Result<(), Stopped> {
        let mut left_out = LeftOut::default();
        loop {
            let mut block = match self.wait_for(opened.next_block(), batch).await? {
                Ok(Some(block)) => block,
                Ok(None) => break,
                Err(error) => {
                    // What was taken of it is delivered, and noted before what becomes of the rest is.
                    if batch.has(&opened.cursor) {
                        self.hand_over(batch).await?;
                    }
                    self.land_all().await?;
                    return self.fail(&opened.claim, &error).await;
                }
            };
            if let Some(record_bytes) = self.limits.record_bytes {
                block.reject_longer(record_bytes);
            }
            self.observer.decoded(&mut left_out, &block);
            while block.remaining() > 0 && batch.take(&mut opened.cursor, &mut block) {
                self.hand_over(batch).await?;
            }
        }
        batch.end(&opened.cursor);
        self.source.read(&opened.claim);
        self.observer.read(&opened.claim.object, &left_out);
        Ok(())
    }

    /// An object, or the rest of it, could not be read. The source decides what becomes of it.
    async fn fail(&self, claim: &Claim, error: &FetchError) -> Result<(), Stopped> {
        let verdict = self.source.failed(claim, error);
        self.observer.failed(&claim.object, error, verdict);
        match verdict {
            Verdict::Later { .. } => Ok(()),
            Verdict::Rejected { .. } => self.source.reject(claim, error.cause()).await,
        }
    }

    /// Delivers a batch, and leaves an empty one. What it covers is committed together with the beginning of a later
    /// batch, or as soon as there is something to wait for.
    async fn hand_over(&mut self, batch: &mut Batch) -> Result<(), Stopped> {
        let batch = std::mem::replace(batch, Batch::new(self.limits));
        if batch.is_empty() {
            return Ok(());
        }
        if self.context.shutdown.is_stopping() {
            return Err(Stopped);
        }
        let batch = batch.seal(self.source.owner());
        if let Some(receipt) = Receipt::for_no_records(&batch.pending) {
            // It may be the rest of an object that is in flight.
            self.land_all().await?;
            self.observer.covered(receipt.covers());
            self.source.commit(receipt);
            return Ok(());
        }
        let (source, sink) = (Arc::clone(&self.source), Arc::clone(&self.sink));
        let committed = std::mem::take(&mut self.committed);
        let begun = async move {
            source.begin(batch.pending.clone()).await?;
            for request_id in committed {
                sink.forget(&request_id).await;
            }
            sink.prepare(&batch).await.map(|()| batch)
        };
        // All files of a batch are written in one go.
        let batch = self.context.storage.together(begun).await?;
        let (sink, records, newest) = (Arc::clone(&self.sink), batch.pending.records, batch.newest);
        let delivering = async move {
            let receipt = sink.deliver(batch).await?;
            Ok(Landed { receipt, records, newest })
        };
        self.in_flight.push_back(AbortOnDropHandle::new(tokio::spawn(delivering)));
        while self.in_flight.len() >= self.limits.side_by_side.max(1) {
            self.land_oldest().await?;
        }
        Ok(())
    }

    /// Waits for `next`. If that is not there at once, makes sure of what was committed before waiting, and meanwhile lets
    /// batches land; one that waits to be full is delivered when it has waited long enough.
    async fn wait_for<T>(&mut self, next: impl Future<Output = T>, batch: &mut Batch) -> Result<T, Stopped> {
        let shutdown = self.context.shutdown.clone();
        if shutdown.is_stopping() {
            return Err(Stopped);
        }
        let mut next = pin!(next);
        if let Some(next) = next.as_mut().now_or_never() {
            return Ok(next);
        }
        loop {
            self.flush().await?;
            let due = self.limits.linger.zip(batch.begun()).map(|(linger, begun)| begun + linger);
            tokio::select! {
                biased;
                () = shutdown.stopped() => return Err(Stopped),
                next = &mut next => return Ok(next),
                Some(landed) = self.in_flight.next() => self.landed(landed)?,
                () = until(due) => self.hand_over(batch).await?,
            }
        }
    }

    /// Waits for the oldest batch in flight.
    async fn land_oldest(&mut self) -> Result<(), Stopped> {
        match self.in_flight.next().await {
            Some(landed) => self.landed(landed),
            None => Ok(()),
        }
    }

    /// Waits for all batches in flight.
    async fn land_all(&mut self) -> Result<(), Stopped> {
        while !self.in_flight.is_empty() {
            self.land_oldest().await?;
        }
        Ok(())
    }

    /// A batch was accepted, or given up at the shutdown signal: then none after it counts, for it may be the beginning of
    /// an object that they go on with.
    fn landed(&mut self, landed: Result<Result<Landed, Stopped>, JoinError>) -> Result<(), Stopped> {
        let landed = landed.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Stopped),
        });
        let Landed { receipt, records, newest } = landed.inspect_err(|_| self.in_flight.clear())?;
        self.committed.extend(receipt.request_id().map(str::to_owned));
        self.observer.delivered(receipt.covers(), records, newest);
        self.source.commit(receipt);
        Ok(())
    }

    /// Makes sure of what was committed, then removes what is left of those batches.
    async fn flush(&mut self) -> Result<(), Stopped> {
        self.source.flush().await?;
        for request_id in std::mem::take(&mut self.committed) {
            self.sink.forget(&request_id).await;
        }
        Ok(())
    }
}

/// Waits until a time; for ever if there is none.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
