//! Chunks to the intake: side by side, again when it helps, and what came of it.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

pub use self::ids::Ids;
pub use self::intake::{Intake, Patience, PostError};
use super::chunk::{Chunk, PosterEnd};
use crate::intake::SIDE_BY_SIDE;
use crate::intake::client::Accepted;
use crate::shutdown::Shutdown;

pub mod ids;
mod intake;

/// How long posts under way may go on after the shutdown signal: their answer tells whether the events were accepted.
const GRACE: Duration = Duration::from_secs(4);

/// What came of the chunks.
#[derive(Default)]
pub struct Posted {
    /// The IDs of the accepted events, in the order of the events.
    pub ids: Ids,
    /// Events in accepted chunks.
    pub accepted: u64,
    /// Events in all chunks that were cut.
    pub events: u64,
    /// Events in chunks that were on their way when the process had to end: accepted or not, nobody knows.
    pub unknown: u64,
    /// Accepted chunks.
    pub chunks: usize,
    /// The first chunk that was not accepted: its index, and why.
    pub failure: Option<(usize, PostError)>,
    /// Whether the shutdown signal ended it.
    pub stopped: bool,
}

impl Intake {
    /// Sends the chunks of a belt, after those that were already taken from it. Ends when all were tried, or soon
    /// after the shutdown signal. Once a failure concerns all chunks, the others are only counted.
    pub async fn post_all(&self, mut first: Vec<Chunk>, belt: &mut PosterEnd, shutdown: &Shutdown) -> Posted {
        let mut posted = Posted::default();
        let give_up = Shutdown::default();
        let mut posts = FuturesUnordered::new();
        let (mut more, mut under_way) = (true, 0);
        first.reverse();
        while more || !posts.is_empty() {
            let next = async {
                match first.pop() {
                    Some(chunk) => Some(chunk),
                    None => belt.next().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.stopped() => break,
                Some((chunk, sent)) = posts.next() => {
                    under_way -= posted.record(chunk, sent, belt, &give_up);
                }
                chunk = next, if more && posts.len() < SIDE_BY_SIDE => match chunk {
                    None => more = false,
                    Some(chunk) => {
                        posted.events += chunk.events;
                        if give_up.is_stopping() {
                            belt.give_back(chunk.body);
                        } else {
                            under_way += chunk.events;
                            posts.push(self.post(chunk, &give_up, shutdown));
                        }
                    }
                },
            }
        }
        if shutdown.is_stopping() {
            let answers = async {
                while let Some((chunk, sent)) = posts.next().await {
                    under_way -= posted.record(chunk, sent, belt, &give_up);
                }
            };
            let _ = tokio::time::timeout(GRACE, answers).await;
            posted.unknown = under_way;
            posted.stopped = more || posted.accepted < posted.events;
        }
        posted
    }
}

impl Posted {
    /// Notes what came of a chunk, and gives its number of events.
    fn record(
        &mut self,
        chunk: Chunk,
        sent: Result<Accepted, PostError>,
        belt: &PosterEnd,
        give_up: &Shutdown,
    ) -> u64 {
        let Chunk { index, events, body, .. } = chunk;
        belt.give_back(body);
        match sent {
            Ok(receipt) => {
                self.accepted += events;
                self.chunks += 1;
                self.ids.add(index, receipt);
            }
            Err(error) => {
                tracing::warn!(chunk = index, events, "could not send a chunk: {error}");
                if error.concerns_all() {
                    give_up.stop();
                }
                // An interrupted chunk failed because of another one, which says more.
                let rank =
                    |index: usize, error: &PostError| (matches!(error, PostError::Interrupted { .. }), index);
                let is_first = self
                    .failure
                    .as_ref()
                    .is_none_or(|(first, known)| rank(index, &error) < rank(*first, known));
                if is_first {
                    self.failure = Some((index, error));
                }
            }
        }
        events
    }
}
