//! Finds the lanes below a prefix, and what else there may be: folder by folder where the folders are those that AWS
//! uses, page by page through all the rest.
//!
//! A walk never ends. At first it looks into every folder that can lead to a lane, and once through everything that lies
//! beside them; then it goes round, a step now and then. What it knows is what it saw there last, so that a step costs a
//! call whatever the bucket holds. There is no depth that it does not reach and no number of folders that it gives up at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use futures_util::future::BoxFuture;

use crate::layout::lane::{Holds, Lane, aws_logs_below, is_flow_log};
use crate::s3::{ListRequest, Object, Page};

/// One step of so many goes through what lies beside the folders that AWS uses.
const THOROUGH: u64 = 3;
/// Sorts after every key that begins with what it is added to.
const LAST: char = '\u{10ffff}';

/// Where a walk gets its pages from.
pub trait Pages {
    /// Why there is none.
    type Error;

    /// One page; `None` where the folder that is its prefix cannot be listed now, which keeps nobody from the others.
    fn page<'a>(&'a self, request: ListRequest<'a>) -> BoxFuture<'a, Result<Option<Page>, Self::Error>>;
}

/// What is known of the folders below a prefix, and where the walk is.
#[derive(Debug)]
pub struct Walk {
    prefix: String,
    /// The folders that lead to lanes, or would if there were any.
    folders: BTreeMap<String, Folder>,
    /// Those of them that were not looked into yet.
    fresh: VecDeque<String>,
    /// Those of them that could not be listed.
    refused: BTreeSet<String>,
    /// What lies beside them.
    gaps: BTreeSet<Gap>,
    lanes: BTreeSet<Lane>,
    /// The key of a flow log that lies in no lane.
    loose: Option<String>,
    /// Something that is no flow log.
    other: Option<String>,
    /// The folder that was looked into last.
    last: Option<String>,
    /// The gap that is being gone through, and the last key seen in it.
    place: Option<(Gap, String)>,
    steps: u64,
    /// Whether a folder was seen, and whether all gaps were gone through once.
    is_answered: bool,
    is_round: bool,
}

#[derive(Debug, Default)]
struct Folder {
    /// The folder that it was seen in.
    above: Option<String>,
    gaps: Vec<Gap>,
}

/// Keys in a row of which no folder tells what they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    folder: String,
    /// They sort after this.
    from: String,
    /// They sort before this, or end with the folder.
    to: Option<String>,
    /// Only what lies directly in the folder is meant.
    is_flat: bool,
}

impl Gap {
    /// What lies in `folder` from the folder `below` on.
    fn from(folder: &str, below: &str) -> Self {
        Self { folder: folder.to_owned(), from: below.to_owned(), to: None, is_flat: false }
    }

    /// The objects in an account's folder, which itself leads nowhere.
    fn directly_in(folder: &str) -> Self {
        Self { is_flat: true, ..Self::from(folder, folder) }
    }
}

impl Walk {
    /// Nothing is known yet of what is below `prefix`.
    pub fn new(prefix: &str) -> Self {
        let lane = Lane::around(prefix);
        let mut walk = Self {
            prefix: prefix.to_owned(),
            folders: BTreeMap::new(),
            fresh: VecDeque::new(),
            refused: BTreeSet::new(),
            gaps: BTreeSet::new(),
            lanes: BTreeSet::new(),
            loose: None,
            other: None,
            last: None,
            place: None,
            steps: 0,
            is_answered: false,
            is_round: false,
        };
        match lane {
            Some(lane) => {
                walk.lanes.insert(lane);
            }
            None => walk.lead(prefix.to_owned(), None),
        }
        walk
    }

    /// The lanes.
    pub fn lanes(&self) -> &BTreeSet<Lane> {
        &self.lanes
    }

    /// The key of a flow log that lies in no lane: only a listing of everything finds all of its kind.
    pub fn loose(&self) -> Option<&str> {
        self.loose.as_deref()
    }

    /// A listing of everything has found no such flow log any more.
    pub fn is_not_loose(&mut self) {
        self.loose = None;
    }

    /// Something below the prefix that is no flow log.
    pub fn other(&self) -> Option<&str> {
        self.other.as_deref()
    }

    /// Whether nothing at all lies below the prefix.
    pub fn is_empty(&self) -> bool {
        let is_known = self.other.is_some() || self.loose.is_some() || !self.lanes.is_empty();
        self.is_answered && !is_known && self.folders.len() <= 1 && self.gaps.is_empty()
    }

    /// Whether there are folders that were not looked into yet.
    pub fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Whether it has not seen everything once: there may be more than it knows.
    pub fn is_first_round(&self) -> bool {
        self.has_fresh() || (self.is_answered && !self.is_round && self.loose.is_none())
    }

    /// Looks into every folder once more, and goes once more through what lies beside them.
    pub fn begin_anew(&mut self) {
        self.fresh = self.folders.keys().cloned().collect();
        (self.place, self.is_round) = (None, false);
    }

    /// How many places there are to go round.
    pub fn places(&self) -> usize {
        self.folders.len() + self.gaps.len()
    }

    /// Looks into a folder, or at a page of what no folder tells of. Gives the number of calls.
    pub async fn step<P: Pages>(&mut self, pages: &P) -> Result<usize, P::Error> {
        if let Some(folder) = self.fresh.pop_front() {
            return self.look_into(folder, pages).await;
        }
        self.steps += 1;
        let is_thorough = !self.is_round || self.steps.is_multiple_of(THOROUGH);
        if is_thorough && self.loose.is_none() && self.has_place() {
            return self.go_through(pages).await;
        }
        let after = self.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next =
            self.folders.range((after, Bound::Unbounded)).next().or_else(|| self.folders.iter().next());
        match next.map(|(folder, _)| folder.clone()) {
            Some(folder) => {
                self.last = Some(folder.clone());
                self.look_into(folder, pages).await
            }
            None => Ok(0),
        }
    }

    /// Looks again into the folders that could not be listed.
    pub async fn retry<P: Pages>(&mut self, pages: &P) -> Result<(), P::Error> {
        for folder in std::mem::take(&mut self.refused) {
            if self.folders.contains_key(&folder) {
                self.look_into(folder, pages).await?;
            }
        }
        Ok(())
    }

    /// A folder leads to lanes.
    fn lead(&mut self, folder: String, above: Option<&str>) {
        if !self.folders.contains_key(&folder) {
            let above = above.map(str::to_owned);
            self.folders.insert(folder.clone(), Folder { above, gaps: Vec::new() });
            self.fresh.push_back(folder);
        }
    }

    /// Looks at what lies directly in a folder.
    async fn look_into<P: Pages>(&mut self, folder: String, pages: &P) -> Result<usize, P::Error> {
        let (mut calls, mut continued) = (0, None);
        let (mut lanes, mut leads, mut gaps) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let mut is_gap = false;
        loop {
            let continued_at = continued.as_deref();
            let request =
                ListRequest { prefix: &folder, folded: true, continued: continued_at, start_after: None };
            let page = pages.page(request).await?;
            calls += 1;
            let Some(page) = page else {
                // What was known of it stays.
                self.refused.insert(folder);
                return Ok(calls);
            };
            page.objects.iter().for_each(|object| self.judge(object));
            for below in page.folders {
                let holds = Holds::of(&below);
                let is_anything = holds == Holds::Anything;
                let was_gap = std::mem::replace(&mut is_gap, is_anything);
                if is_anything && !was_gap {
                    gaps.push(Gap::from(&folder, &below));
                } else if !is_anything
                    && was_gap
                    && let Some(gap) = gaps.last_mut()
                {
                    gap.to = Some(below.clone());
                }
                match holds {
                    Holds::Lane(lane) => {
                        lanes.insert(lane.clone());
                        self.lanes.insert(lane);
                    }
                    Holds::Lanes(leading) => {
                        if leading != below {
                            gaps.push(Gap::directly_in(&below));
                        }
                        self.lead(leading.clone(), Some(&folder));
                        leads.insert(leading);
                    }
                    Holds::OtherLogs => {
                        self.other.get_or_insert(below);
                    }
                    Holds::Anything => {}
                }
            }
            continued = page.next;
            if continued.is_none() {
                break;
            }
        }
        self.is_answered = true;
        self.refused.remove(&folder);
        if let Some(known) = self.folders.get_mut(&folder) {
            for gap in known.gaps.drain(..) {
                self.gaps.remove(&gap);
            }
            self.gaps.extend(gaps.iter().cloned());
            known.gaps = gaps;
        }
        self.forget(&folder, &lanes, &leads);
        Ok(calls)
    }

    /// What is not in a folder any more is forgotten, with all that was known below it.
    fn forget(&mut self, folder: &str, lanes: &BTreeSet<Lane>, leads: &BTreeSet<String>) {
        let above = |lane: &Lane| lane.folder().trim_end_matches('/').rfind('/').map_or(0, |end| end + 1);
        self.lanes.retain(|lane| {
            let is_here = lane.folder().get(..above(lane)) == Some(folder);
            !is_here || lanes.contains(lane)
        });
        if lanes.is_empty() && leads.is_empty() && folder != self.prefix {
            // One that was found deep in other folders, and is seen again there if it comes back.
            self.folders.retain(|name, known| name != folder || known.above.is_some());
        }
        let is_gone = |(name, known): (&String, &Folder)| {
            (known.above.as_deref() == Some(folder) && !leads.contains(name)).then(|| name.clone())
        };
        let gone: Vec<String> = self.folders.iter().filter_map(is_gone).collect();
        for gone in gone {
            self.folders.retain(|name, _| !name.starts_with(&gone));
            self.gaps.retain(|gap| !gap.folder.starts_with(&gone));
            self.fresh.retain(|name| !name.starts_with(&gone));
            self.lanes.retain(|lane| !lane.folder().starts_with(&gone));
        }
    }

    /// Whether there is a gap to go through; once there is none any more, all were.
    fn has_place(&mut self) -> bool {
        if self.place.is_none() {
            let gap = self.gap_after(None);
            self.is_round |= gap.is_none() && self.is_answered;
            self.place = gap.map(|gap| (gap.clone(), gap.from));
        }
        self.place.is_some()
    }

    fn gap_after(&self, last: Option<&Gap>) -> Option<Gap> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.gaps.range::<Gap, _>((after, Bound::Unbounded)).next().cloned()
    }

    /// Goes through a page of what no folder tells of.
    async fn go_through<P: Pages>(&mut self, pages: &P) -> Result<usize, P::Error> {
        let Some((gap, after)) = self.place.take() else { return Ok(0) };
        let request = ListRequest {
            prefix: &gap.folder,
            start_after: Some(&after),
            folded: gap.is_flat,
            continued: None,
        };
        let page = pages.page(request).await?.unwrap_or_default();
        if !gap.is_flat && gap.folder == gap.from && page.objects.is_empty() && after == gap.from {
            // A folder in that of an account, which is not there any more.
            self.gaps.remove(&gap);
        }
        let mut next = page.objects.last().map(|object| object.key.clone());
        if let Some(folder) = page.folders.last() {
            next = next.max(Some(format!("{folder}{LAST}")));
        }
        for below in &page.folders {
            match Holds::of(below) {
                Holds::OtherLogs => {
                    self.other.get_or_insert_with(|| below.clone());
                }
                Holds::Anything => {
                    self.gaps.insert(Gap::from(below, below));
                }
                Holds::Lane(_) | Holds::Lanes(_) => {}
            }
        }
        let mut is_over = page.next.is_none();
        for object in &page.objects {
            if gap.to.as_ref().is_some_and(|to| object.key >= *to) {
                is_over = true;
                break;
            }
            if let Some(passed) = self.pass(&object.key, &gap.folder) {
                // Whatever is in there is seen elsewhere.
                (next, is_over) = (Some(format!("{passed}{LAST}")), false);
                break;
            }
            self.judge(object);
        }
        self.place = match next {
            Some(next) if !is_over => Some((gap, next)),
            _ => self.gap_after(Some(&gap)).map(|gap| (gap.clone(), gap.from)),
        };
        self.is_round |= self.place.is_none();
        Ok(1)
    }

    /// The folder that a key lies in if it is, or leads to, a lane.
    fn pass(&mut self, key: &str, folder: &str) -> Option<String> {
        if let Some(root) = aws_logs_below(key, folder) {
            self.lead(root.to_owned(), None);
            return Some(root.to_owned());
        }
        let lane = Lane::around(key)?;
        self.lanes.insert(lane.clone());
        Some(lane.into_folder())
    }

    /// Notes what an object tells that is not in a lane.
    fn judge(&mut self, object: &Object) {
        if object.body_bytes > 0 && is_flow_log(&object.key, &self.prefix) {
            self.loose.get_or_insert_with(|| object.key.clone());
        } else {
            self.other.get_or_insert_with(|| object.key.clone());
        }
    }
}
