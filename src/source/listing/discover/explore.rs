//! How far the walk goes in a poll, and what the log says of what it finds.

use crate::s3::ListRequest;
use crate::shutdown::Stopped;
use crate::source::listing::discover::{Discovery, WALK_CALLS};

/// Calls of a poll that look into folders not known before, and that go through everything for the first time.
const FRESH_CALLS: usize = 2_000;
const FIRST_CALLS: usize = 100;

impl Discovery {
    /// Walks on: into what is new at once, and round as far as it is paid for.
    pub(super) async fn walk(&mut self) -> Result<(), Stopped> {
        // Those that rest cost no call.
        self.walk.retry(&self.lister).await?;
        let (mut fresh, mut first) = (0, 0);
        loop {
            let calls = match (self.walk.has_fresh(), self.walk.is_first_round()) {
                (true, _) if fresh < FRESH_CALLS => &mut fresh,
                (false, true) if first < FIRST_CALLS => &mut first,
                _ => break,
            };
            *calls += self.walk.step(&self.lister).await?;
        }
        let is_idle = self.walk.lanes().is_empty() && !self.is_loose;
        if is_idle {
            self.walk_credit = self.walk_credit.max(WALK_CALLS);
        }
        if std::mem::take(&mut self.is_busy) {
            let ahead = self.walk_ahead.div_ceil(2);
            self.walk_ahead -= ahead;
            self.walk_credit += count(ahead);
        }
        for _ in 0..self.walk.places() {
            if self.walk_credit < 1.0 {
                break;
            }
            self.walk_credit -= count(self.walk.step(&self.lister).await?);
        }
        if self.walk.places() == 0 && !self.is_told {
            // The prefix lies in a lane: there is nothing to walk.
            let request = ListRequest { prefix: &self.prefix, ..ListRequest::default() };
            let page = self.lister.list(request).await?;
            self.is_told = page.is_some();
            if page.is_some_and(|page| page.objects.is_empty()) {
                self.tell_of_nothing();
            }
        }
        self.tell();
        Ok(())
    }

    /// Says what the walk has found, once.
    fn tell(&mut self) {
        let is_loose = self.walk.loose().is_some();
        if let Some(key) = self.walk.loose().filter(|_| !self.is_loose) {
            tracing::warn!(
                prefix = self.prefix,
                key,
                "flow logs are in no folder that AWS uses: every poll lists all objects below the prefix, at the price \
                 of a LIST call for each 1000; a prefix whose flow logs are in the folders that AWS puts them into costs \
                 less"
            );
        }
        self.is_loose = is_loose;
        for lane in self.walk.lanes().difference(&self.told) {
            tracing::info!(folder = lane.folder(), "found the flow logs of an account and region");
        }
        if self.told != *self.walk.lanes() {
            self.told.clone_from(self.walk.lanes());
        }
        let is_found = is_loose || !self.told.is_empty();
        if self.is_told || self.walk.is_first_round() {
            return;
        }
        self.is_told = is_found || self.walk.other().is_some() || self.walk.is_empty();
        match self.walk.other() {
            Some(other) if !is_found => tracing::warn!(
                prefix = self.prefix,
                other,
                "no flow log lies below the prefix, only other things; see that the prefix is right and that the flow \
                 log delivers to this bucket"
            ),
            None if self.walk.is_empty() => self.tell_of_nothing(),
            _ => {}
        }
    }

    fn tell_of_nothing(&self) {
        tracing::warn!(
            prefix = self.prefix,
            "nothing lies below the prefix; see that it is written as the keys in the bucket begin, and that the flow \
             log delivers to this bucket"
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "calls of a poll are few")]
fn count(calls: usize) -> f64 {
    calls as f64
}
