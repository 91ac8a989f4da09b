//! Opens objects: reads them in parts and decodes them, several at a time, ahead of the batches.
//!
//! An object is handed on when it is decoded to its end, so that nothing is sent of one that proves damaged. Only one
//! that decodes to more than [`HELD_BLOCKS`] is handed on before: then memory decides.

use std::io::{BufRead, Read};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Buf as _;
use flow_log::decode::block::Block;
use flow_log::decode::{Decoder, ObjectError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};

use crate::contract::{Claim, FetchError, Position, Watch};
use crate::pipeline::batch::Cursor;
use crate::s3::{Bucket, Content, Object, S3Error};

/// An object is read in parts of this size, each in one call: a part that fails is read again without the others, and
/// no connection stays open while a batch is delivered. Up to four are in memory of each object: one is decoded, two
/// wait, and one arrives.
const PART_BYTES: u64 = PART_KIB as u64 * 1024;
const PART_KIB: u32 = 2 * 1024;
/// Blocks held of an object that is not decoded to its end: 8 MiB.
const HELD_BLOCKS: usize = 32;
/// Objects opened at a time. Most are small, and their time is the way to S3 and back.
pub const OPENED: usize = 16;
/// What all opened objects may hold together, in kibibytes: one of the largest kind and one as most are, of which one is
/// delivered while the other is fetched and decoded.
const BUDGET_KIB: u32 = OBJECT_KIB + PART_KIB + BLOCKS_KIB;
/// What an object holds at most: its blocks, and its parts.
const OBJECT_KIB: u32 = BLOCKS_KIB + 4 * PART_KIB;
/// What the blocks of an object hold at most.
const BLOCKS_KIB: u32 = 8 * 1024;
/// Objects whose records are merged at a time: what is held of them takes up to 8 MiB each. Each of them ends, or is handed on
/// when it is full, so that the others come to their turn.
const MERGED: usize = 2;
/// Flow logs shrink to a third to a tenth under gzip.
const INFLATION: u32 = 8;

/// Opens objects.
#[derive(Clone, Debug)]
pub struct Opener {
    decoder: Decoder,
    /// How the decoder groups records.
    grouping: Option<u64>,
    budget: Arc<Semaphore>,
    merging: Arc<Semaphore>,
}

/// An object whose records can be taken.
#[derive(Debug)]
pub struct Opened {
    /// The object, as its source named it.
    pub claim: Claim,
    /// How far it was taken.
    pub cursor: Cursor,
    blocks: mpsc::Receiver<Block>,
    /// Set while it is still being decoded.
    decoding: Option<JoinHandle<Result<(), ObjectError>>>,
    _budget: Option<OwnedSemaphorePermit>,
}

/// What an object is opened to.
struct Decoding {
    blocks: mpsc::Receiver<Block>,
    decoding: Option<JoinHandle<Result<(), ObjectError>>>,
    budget: Option<OwnedSemaphorePermit>,
}

/// An object that could not be opened.
#[derive(Debug)]
pub struct Unopened {
    /// The object, as its source named it.
    pub claim: Claim,
    /// Why.
    pub error: FetchError,
}

impl Opener {
    /// Opens objects with a decoder.
    pub fn new(decoder: Decoder) -> Self {
        let grouping = decoder.grouping();
        let budget = Arc::new(Semaphore::new(BUDGET_KIB as usize));
        Self { decoder, grouping, budget, merging: Arc::new(Semaphore::new(MERGED)) }
    }

    /// Opens an object on a task of its own, so that it goes on while a batch is delivered.
    pub async fn open(self, claim: Claim) -> Result<Opened, Box<Unopened>> {
        let (bucket, object, watch) = (claim.bucket.clone(), claim.object.clone(), claim.watch.clone());
        let (decoder, grouping) = if claim.from.records == 0 {
            (self.decoder.clone(), self.grouping)
        } else {
            let decoder = self.decoder.going_on(claim.from.grouping);
            let grouping = decoder.grouping();
            (decoder, grouping)
        };
        let from = Position { grouping, ..claim.from };
        let task =
            tokio::spawn(async move { self.open_here(bucket, object, decoder, watch.as_deref()).await });
        let lost = |error: JoinError| Err(FetchError::Internal(error.to_string()));
        match task.await.unwrap_or_else(lost) {
            Ok(Decoding { blocks, decoding, budget }) => {
                let cursor = Cursor::new(claim.bucket_name(), claim.object.clone(), from);
                Ok(Opened { claim, cursor, blocks, decoding, _budget: budget })
            }
            Err(error) => Err(Box::new(Unopened { claim, error })),
        }
    }

    async fn open_here(
        &self,
        bucket: Bucket,
        object: Object,
        decoder: Decoder,
        watch: Option<&dyn Watch>,
    ) -> Result<Decoding, FetchError> {
        let body_kib = u32::try_from(object.body_bytes / 1024).unwrap_or(u32::MAX);
        let blocks_kib = body_kib.saturating_mul(INFLATION).clamp(64, BLOCKS_KIB);
        let kib = body_kib.saturating_add(blocks_kib).min(OBJECT_KIB);
        let budget = Arc::clone(&self.budget).acquire_many_owned(kib).await.ok();
        // Nearly every object is one part. It is here before a thread is asked for, which would only wait for it.
        let current = bucket.read(&object, 0, PART_BYTES).await?;
        let parts = (object.body_bytes > PART_BYTES).then(|| {
            let (parts_in, parts) = mpsc::channel(1);
            tokio::spawn(read_parts(bucket, object.clone(), parts_in));
            parts
        });
        if let Some(watch) = watch {
            watch.decodes().await.map_err(|_| FetchError::Internal("the process ends".to_owned()))?;
        }
        let merges = decoder.grouping().is_some();
        let merging = if merges { Arc::clone(&self.merging).acquire_owned().await.ok() } else { None };
        let (blocks_in, blocks) = mpsc::channel(HELD_BLOCKS);
        let (full_in, full) = oneshot::channel();
        let mut decoding = tokio::task::spawn_blocking(move || {
            let _merging = merging;
            let mut full_in = Some(full_in);
            let emit = |block| match blocks_in.try_send(block) {
                Ok(()) => ControlFlow::Continue(()),
                Err(mpsc::error::TrySendError::Closed(_)) => ControlFlow::Break(()),
                Err(mpsc::error::TrySendError::Full(block)) => {
                    full_in.take().map(|full_in| full_in.send(()));
                    blocks_in.blocking_send(block).map_or(ControlFlow::Break(()), ControlFlow::Continue)
                }
            };
            decoder.decode(Parts { current, parts }, emit)
        });
        tokio::select! {
            Ok(()) = full => Ok(Decoding { blocks, decoding: Some(decoding), budget }),
            decoded = &mut decoding => {
                outcome(decoded, watch).await.map(|()| Decoding { blocks, decoding: None, budget })
            }
        }
    }
}

impl Opened {
    /// The next records, without those that were delivered before; `None` at the end; an error if the rest of the object
    /// cannot be read.
    pub async fn next_block(&mut self) -> Result<Option<Block>, FetchError> {
        if let Some(mut block) = self.blocks.recv().await {
            self.cursor.end = self.cursor.end.max(block.end());
            block.skip_to(self.claim.from.records);
            return Ok(Some(block));
        }
        match self.decoding.take() {
            None => Ok(None),
            Some(decoding) => outcome(decoding.await, self.claim.watch.as_deref()).await.map(|()| None),
        }
    }
}

/// What became of an object that was decoded as far as it can be.
async fn outcome(
    decoded: Result<Result<(), ObjectError>, JoinError>,
    watch: Option<&dyn Watch>,
) -> Result<(), FetchError> {
    if let Some(watch) = watch {
        // The shutdown signal is seen elsewhere.
        let _ = watch.decoded().await;
    }
    Ok(decoded.map_err(|error| FetchError::Internal(error.to_string()))??)
}

/// Reads the parts of an object after the first, one ahead of the decoder.
async fn read_parts(bucket: Bucket, object: Object, parts: mpsc::Sender<Result<Content, S3Error>>) {
    let mut offset = PART_BYTES;
    while offset < object.body_bytes {
        let part = bucket.read(&object, offset, PART_BYTES).await;
        let failed = part.is_err();
        if parts.send(part).await.is_err() || failed {
            return;
        }
        offset += PART_BYTES;
    }
}

/// The parts of an object as a source of bytes for a blocking thread.
struct Parts {
    current: Content,
    /// Those that follow, if any do.
    parts: Option<mpsc::Receiver<Result<Content, S3Error>>>,
}

impl BufRead for Parts {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if !self.current.has_remaining()
            && let Some(parts) = &mut self.parts
            && let Some(part) = parts.blocking_recv()
        {
            self.current = part.map_err(std::io::Error::other)?;
        }
        Ok(self.current.chunk())
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count.min(self.current.remaining()));
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
