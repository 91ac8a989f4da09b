//! Claims objects within the budget of a poll: what is new before what has failed before, and last, each alone, those under
//! which the process may have died ([`crashes`](crate::source::listing::crashes)).

use std::collections::BinaryHeap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::contract::{Claim, Watch};
use crate::observe::Observer;
use crate::s3::{Bucket, Object};
use crate::shutdown::Stopped;
use crate::source::listing::cooldown::{Cooldown, Standing};
use crate::source::listing::ledger::Ledger;

/// Objects that one poll names: then it ends, so that what was delivered can be noted, and the next begins at once.
pub const NAMED: usize = 5_000;
/// Of those, the objects that have failed before: few, for what is new waits for the end of the poll.
const AGAIN: usize = 200;

/// Where objects are named.
#[derive(Debug)]
pub struct Names {
    claims: mpsc::Sender<Claim>,
    left: usize,
    judges: Judges,
    /// Those under which the process may have died.
    suspects: Vec<Object>,
    /// Those to be tried again once all that is new was named: the ones that could have been for the longest time.
    again: BinaryHeap<Again>,
    has_more: bool,
    /// Differs from poll to poll.
    draw: u64,
}

/// Those who know what an object is to the poll. Clones share them.
#[derive(Clone, Debug)]
pub struct Judges {
    /// Where the objects are.
    pub bucket: Bucket,
    /// What is done.
    pub ledger: Ledger,
    /// What has failed.
    pub cooldown: Cooldown,
    /// Who is told of what was found.
    pub observer: Observer,
}

/// An object to be tried again.
#[derive(Debug)]
struct Again {
    since: Instant,
    /// Of many that rest together each has its chance.
    lot: u64,
    object: Object,
}

impl Names {
    /// Where a poll names objects; `draw` is another number at each poll.
    pub fn new(claims: mpsc::Sender<Claim>, judges: Judges, draw: u64) -> Self {
        let (suspects, again) = (Vec::new(), BinaryHeap::new());
        Self { claims, left: NAMED, judges, suspects, again, has_more: false, draw }
    }

    /// How many may be named yet.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Whether there is more than was named.
    pub fn has_more(&self) -> bool {
        self.left == 0 || self.has_more
    }

    /// Whether nothing was named so far or is to be tried again.
    pub fn is_idle(&self) -> bool {
        !self.is_used() && self.again.is_empty()
    }

    /// Whether anything was named.
    pub fn is_used(&self) -> bool {
        self.left < NAMED
    }

    /// Whether an object is to be named now. One that rests is not, and one that has failed before is put aside.
    pub fn is_new(&mut self, object: &Object) -> bool {
        match self.judges.cooldown.standing(object) {
            Standing::New => true,
            Standing::Resting => false,
            Standing::Due(since) => {
                let hasher = BuildHasherDefault::<DefaultHasher>::default();
                let lot = hasher.hash_one((&object.key, self.draw));
                self.again.push(Again { since, lot, object: object.clone() });
                if self.again.len() > AGAIN {
                    self.again.pop();
                    self.has_more = true;
                }
                false
            }
        }
    }

    /// Names an object.
    pub async fn name(&mut self, object: Object) -> Result<(), Stopped> {
        self.left = self.left.saturating_sub(1);
        self.judges.observer.found(&object);
        let crashes = self.judges.ledger.crashes();
        if crashes.suspects_object(&object.key) {
            self.suspects.push(object);
            return Ok(());
        }
        let watch = crashes.claims(&object).await?;
        self.claim(object, watch).await
    }

    async fn claim(&self, object: Object, watch: Option<Arc<dyn Watch>>) -> Result<(), Stopped> {
        let from = self.judges.ledger.look(|checkpoint| checkpoint.position(&object));
        let claim = Claim { from, watch, ..Claim::whole(&self.judges.bucket, object) };
        self.claims.send(claim).await.map_err(|_| Stopped)
    }

    /// Names what was put aside.
    pub async fn name_again(&mut self) -> Result<(), Stopped> {
        for Again { object, .. } in std::mem::take(&mut self.again).into_sorted_vec() {
            if self.left == 0 {
                break;
            }
            self.name(object).await?;
        }
        Ok(())
    }

    /// Names those under which the process may have died, each when the one before was read.
    pub async fn name_suspects(&mut self) -> Result<(), Stopped> {
        let crashes = self.judges.ledger.crashes().clone();
        for object in std::mem::take(&mut self.suspects) {
            let watch = crashes.claims_alone(&object).await?;
            self.claim(object, Some(watch)).await?;
        }
        Ok(())
    }
}

impl Ord for Again {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.since, self.lot).cmp(&(other.since, other.lot))
    }
}

impl PartialOrd for Again {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Again {}

impl PartialEq for Again {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
