//! Finds the objects that are to be delivered. What a poll costs grows with the number of accounts and regions and with
//! what is new, not with what the bucket holds:
//!
//! - [`walk`] finds the lanes, the folders of an account and region, and is repeated now and then;
//! - each poll lists each lane from the start of the window of late arrival on, across its days;
//! - [`sweep`] looks through what is older, a little at every poll.
//!
//! A prefix that holds flow logs in other folders than AWS uses is listed whole at every poll.

pub mod lane;
pub mod sweep;
pub mod walk;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use self::lane::{Lane, is_flow_log};
use self::sweep::{Swath, Sweep};
use self::walk::Pages;
use super::checkpoint::Change;
use super::commit::{Ledger, until_listed};
use super::deliver::Delivery;
use super::place::{Day, LogName};
use super::progress::Progress;
use crate::config::TriggerConfiguration;
use crate::s3::{Bucket, ListRequest, Object, Page};
use crate::shutdown::Stopped;

/// Objects that one poll names: then it ends, so that what was delivered can be noted, and the next begins at once.
const NAMED: usize = 5_000;
/// Of the calls that the lanes cost, the share that walks may cost on top while nothing is new; and how many calls a
/// poll that is at most.
const WALK_SHARE: f64 = 0.08;
const WALK_CALLS: f64 = 2.0;
/// The same for the sweep: a bucket with a million objects is swept in some hours.
const SWEEP_SHARE: f64 = 0.1;
const SWEEP_CALLS: f64 = 4.0;

/// Lists the bucket, for as long as it takes to get an answer.
#[derive(Debug)]
pub struct Lister {
    bucket: Bucket,
    delivery: Delivery,
}

impl Lister {
    /// One page.
    async fn list(&self, request: ListRequest<'_>) -> Result<Page, Stopped> {
        until_listed(&self.delivery, async || self.bucket.list(request).await).await
    }
}

impl Pages for Lister {
    type Error = Stopped;

    fn page<'a>(&'a self, request: ListRequest<'a>) -> BoxFuture<'a, Result<Page, Stopped>> {
        self.list(request).boxed()
    }
}

/// What is known of the bucket's folders, and where the slow work stands.
#[derive(Debug)]
pub struct Discovery {
    lister: Lister,
    prefix: String,
    /// How far back each poll looks for objects that come late.
    window: SignedDuration,
    ledger: Ledger,
    progress: Progress,
    lanes: BTreeSet<Lane>,
    /// Lanes whose days have folders for hours.
    hourly: BTreeSet<Lane>,
    /// The flow log of each lane that sorts first, of those whose days have no such folders.
    first: BTreeMap<Lane, String>,
    /// Lanes of which all that the window's first day holds takes more than one call to list; found out anew each hour,
    /// so that an object that sorts before all that was known of its lane is not left to the sweep.
    long: BTreeSet<Lane>,
    /// The hour that the window began in at the last poll, counted from 1970.
    hour: i64,
    /// Whether the last poll named anything: where something is new, there may be more in new folders.
    is_busy: bool,
    /// Whether only a listing of everything finds all flow logs.
    is_loose: bool,
    sweep: Sweep,
    /// What the next walk may cost by now, and what the last one did: it is repeated when it is paid for.
    walk_credit: f64,
    walk_cost: f64,
    /// What the sweep may cost by now.
    sweep_credit: f64,
    /// For each folder that the poll under way got through: the day before which all is named.
    floors: Vec<(String, Day)>,
    newest: Newest,
}

/// The newest that was seen in the bucket. A clock can be wrong: what is to be remembered of the time goes by this.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    /// When S3 took the newest object.
    taken: Option<Timestamp>,
    /// The newest folder of a day.
    day: Option<Day>,
}

impl Newest {
    fn see(&mut self, object: &Object, day: Option<Day>) {
        self.taken = self.taken.max(Some(object.last_modified));
        self.day = self.day.max(day);
    }

    /// The time that it is, and was in the bucket.
    fn time(self, now: Timestamp) -> Option<Timestamp> {
        Some(self.taken?.min(now))
    }

    /// The day of a time, but none that the bucket has not come to.
    fn day(self, time: Timestamp) -> Day {
        let day = Day::of(time);
        self.day.map_or(day, |newest| newest.min(day))
    }
}

/// How a poll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Everything new was named.
    Everything,
    /// There is more: look again at once.
    Some,
}

impl Discovery {
    /// Looks for objects of `bucket` that the ledger wants.
    pub fn new(
        configuration: &TriggerConfiguration,
        bucket: Bucket,
        ledger: Ledger,
        delivery: Delivery,
        progress: Progress,
    ) -> Self {
        Self {
            lister: Lister { bucket, delivery },
            prefix: configuration.prefix.clone(),
            window: configuration.late_window,
            ledger,
            progress,
            lanes: BTreeSet::new(),
            hourly: BTreeSet::new(),
            first: BTreeMap::new(),
            long: BTreeSet::new(),
            hour: 0,
            is_busy: false,
            is_loose: false,
            sweep: Sweep::default(),
            walk_credit: 0.0,
            walk_cost: 0.0,
            // However often the process is started, it sweeps.
            sweep_credit: 1.0,
            floors: Vec::new(),
            newest: Newest::default(),
        }
    }

    /// Names what is new. Ends early at the order to stop, or when nobody takes names any more.
    pub async fn poll(&mut self, names: mpsc::Sender<Object>) -> Result<Found, Stopped> {
        self.floors.clear();
        let mut named = Named { names, left: NAMED, progress: self.progress.clone() };
        if self.is_busy || self.lanes.is_empty() || self.walk_credit >= self.walk_cost {
            self.walk().await?;
        }
        if std::mem::take(&mut self.is_busy) {
            self.sweep_credit = self.sweep_credit.max(1.0);
        }
        let mut calls = 0.0;
        if self.is_loose {
            let prefix = self.prefix.clone();
            let everything = ListRequest { prefix: &prefix, ..ListRequest::default() };
            calls += self.list(everything, None, &mut named).await?;
        }
        for lane in if self.is_loose { BTreeSet::new() } else { self.lanes.clone() } {
            calls += self.list_lane(&lane, &mut named).await?;
        }
        self.walk_credit += (calls * WALK_SHARE).min(WALK_CALLS);
        self.sweep_credit += (calls * SWEEP_SHARE).min(SWEEP_CALLS);
        self.close(&named);
        self.sweep(&mut named).await?;
        self.is_busy = named.left < NAMED;
        Ok(if named.left > 0 { Found::Everything } else { Found::Some })
    }

    /// Everything that the poll named is done, or failed and is left to the sweep: notes which days need no look any
    /// more.
    pub async fn settle(&mut self) -> Result<(), Stopped> {
        let floor = |folder: &str| self.ledger.look(|checkpoint| checkpoint.floor(folder));
        let mut changes = Vec::new();
        for (folder, day) in self.floors.drain(..) {
            if floor(&folder).is_none_or(|floor| floor < day) {
                changes.push(Change::floor(&folder, day));
            }
        }
        if changes.is_empty() { Ok(()) } else { self.ledger.change(&changes).await }
    }

    /// Where all was listed in one go, it is for all folders that the days before the window need no look any more.
    fn close(&mut self, named: &Named) {
        if let Some(day) = self.closing_day().filter(|_| self.is_loose && named.left > 0) {
            let lanes = self.lanes.iter().map(|lane| lane.folder().to_owned());
            self.floors.extend(lanes.chain([String::new()]).map(|folder| (folder, day)));
        }
    }

    /// Sweeps for as long as that is paid for.
    async fn sweep(&mut self, named: &mut Named) -> Result<(), Stopped> {
        let now = self.lister.bucket.now();
        let today = self.newest.time(now).map(|time| self.newest.day(time));
        let swath = Swath { lanes: &self.lanes, prefix: &self.prefix, is_loose: self.is_loose, today };
        while self.sweep_credit >= 1.0 && named.left > 0 {
            self.sweep_credit -= 1.0;
            let is_last = self.sweep.step(&swath, &self.lister, &self.ledger, named).await?;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    async fn walk(&mut self) -> Result<(), Stopped> {
        let layout = walk::walk(&self.lister, &self.prefix).await?;
        self.walk_credit = 0.0;
        self.walk_cost = layout.calls;
        if let Some(reason) = layout.loose.as_ref().filter(|_| !self.is_loose) {
            tracing::warn!(
                prefix = self.prefix,
                reason,
                "every poll lists all objects below the prefix, at the price of a LIST call for each 1000; \
                 a prefix whose flow logs are in the folders that AWS puts them into costs less"
            );
        }
        for lane in layout.lanes.difference(&self.lanes) {
            tracing::info!(folder = lane.folder(), "found the flow logs of an account and region");
        }
        self.is_loose = layout.loose.is_some();
        self.lanes = layout.lanes;
        Ok(())
    }

    /// Lists a lane from the first day on that may hold something new. Gives the number of calls.
    async fn list_lane(&mut self, lane: &Lane, named: &mut Named) -> Result<f64, Stopped> {
        let window_start = self.window_start();
        let window_day = Day::of(window_start);
        let (floor, first) = self
            .ledger
            .look(|checkpoint| (checkpoint.floor(lane.folder()), checkpoint.origin().first_day(self.window)));
        let known = floor.or_else(|| first.map(|day| day.min(window_day)));
        let hour = window_start.as_second() / 3600;
        if std::mem::replace(&mut self.hour, hour) != hour {
            self.long.clear();
        }
        let start = match known {
            None => lane.folder().to_owned(),
            // What is before the floor is for the sweep alone, even where the window was made longer since.
            Some(day) => self.start_within(lane, day).unwrap_or_else(|| lane.day_folder(day)),
        };
        let inner = Some(self.prefix.as_str()).filter(|prefix| prefix.len() > lane.folder().len());
        let prefix = inner.unwrap_or(lane.folder()).to_owned();
        let request = ListRequest { prefix: &prefix, start_after: Some(&start), ..ListRequest::default() };
        let calls = self.list(request, Some(lane), named).await?;
        if calls > 1.0 {
            self.long.insert(lane.clone());
        }
        if named.left > 0 {
            // What is before the day that the listing began with is for the sweep.
            let closed = known.max(self.closing_day());
            self.floors.extend(closed.map(|day| (lane.folder().to_owned(), day)));
        }
        Ok(calls)
    }

    /// Where the window begins in a day, if what the day holds before it is to be left out: where that saves calls.
    fn start_within(&self, lane: &Lane, day: Day) -> Option<String> {
        let is_long = self.long.contains(lane);
        // Where nothing comes any more, the window stays at what came last.
        let last = self.newest.taken.and_then(|taken| taken.checked_sub(self.window).ok());
        let starts = [Some(self.window_start()), last];
        let start = starts.into_iter().flatten().find(|start| Day::of(*start) == day).filter(|_| is_long)?;
        let hourly = self.hourly.contains(lane).then(|| lane.hour_folder(start));
        let flat = self.first.get(lane).map(|first| lane.position(first, start));
        hourly.into_iter().chain(flat).min()
    }

    /// Lists to the end, or until enough is named. Gives the number of calls.
    async fn list(
        &mut self,
        request: ListRequest<'_>,
        lane: Option<&Lane>,
        named: &mut Named,
    ) -> Result<f64, Stopped> {
        let mut calls = 0.0;
        let mut continued = None;
        while named.left > 0 {
            let page = self.lister.list(ListRequest { continued: continued.as_deref(), ..request }).await?;
            calls += 1.0;
            for object in page.objects {
                if let Some(lane) = lane {
                    self.learn(lane, &object.key);
                }
                self.see(lane, &object);
                let is_new = || {
                    self.ledger.look(|checkpoint| checkpoint.wants(&object)) && !self.progress.rests(&object)
                };
                if object.body_bytes == 0 || !is_flow_log(&object.key, &self.prefix) || !is_new() {
                    continue;
                }
                if named.left == 0 {
                    // What is before this day was named whole.
                    let day = lane.and_then(|lane| lane.day_of(&object.key));
                    let closing_day = self.closing_day();
                    if let (Some(lane), Some(day)) = (lane, day.filter(|day| Some(*day) < closing_day)) {
                        self.floors.push((lane.folder().to_owned(), day));
                    }
                    return Ok(calls);
                }
                named.name(object).await?;
            }
            continued = page.next;
            if continued.is_none() {
                break;
            }
        }
        Ok(calls)
    }

    /// Notes what a key tells of its lane.
    fn learn(&mut self, lane: &Lane, key: &str) {
        if lane.is_hourly(key) {
            if !self.hourly.contains(lane) {
                self.hourly.insert(lane.clone());
            }
        } else if let Some(LogName { flow_log, .. }) = LogName::of(key) {
            let is_first = self.first.get(lane).is_none_or(|first| flow_log < first.as_str());
            if is_first {
                self.first.insert(lane.clone(), flow_log.to_owned());
            }
        }
    }

    fn window_start(&self) -> Timestamp {
        self.lister.bucket.now().saturating_sub(self.window).unwrap_or(Timestamp::MIN)
    }

    /// The day that the window begins in, as far as the bucket shows the time: those before it can be closed.
    fn closing_day(&self) -> Option<Day> {
        let time = self.newest.time(self.lister.bucket.now())?;
        Some(self.newest.day(time.saturating_sub(self.window).unwrap_or(Timestamp::MIN)))
    }

    /// Notes what an object tells of the time.
    fn see(&mut self, lane: Option<&Lane>, object: &Object) {
        let day = match lane {
            Some(lane) => lane.day_of(&object.key),
            None => Lane::around(&object.key).and_then(|lane| lane.day_of(&object.key)),
        };
        self.newest.see(object, day);
    }
}

/// Where objects are named.
pub struct Named {
    names: mpsc::Sender<Object>,
    /// How many more this poll names.
    left: usize,
    progress: Progress,
}

impl Named {
    /// Whether an object rests after a failure.
    fn rests(&self, object: &Object) -> bool {
        self.progress.rests(object)
    }

    async fn name(&mut self, object: Object) -> Result<(), Stopped> {
        self.left = self.left.saturating_sub(1);
        self.progress.found(&object);
        self.names.send(object).await.map_err(|_| Stopped)
    }
}
