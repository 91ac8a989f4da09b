//! Finds the objects that are to be delivered. What a poll costs grows with the number of accounts and regions and with
//! what is new, not with what the bucket holds:
//!
//! - [`walk`](crate::layout::walk) finds the lanes, the folders of an account and region, and what else there may be: all of it once at the
//!   start, then a step now and then;
//! - each poll lists each lane from the start of the window of late arrival on, across its days;
//! - [`sweep`] looks through what is older, a little at every poll.
//!
//! A prefix that holds flow logs in other folders than AWS uses is listed whole at every poll. A folder that cannot be
//! listed rests ([`lister`]), and no lane waits for what is found in another ([`names`]).

mod explore;
pub mod lister;
pub mod names;
pub mod newest;
pub mod range;
pub mod sweep;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::config::TriggerConfiguration;
use crate::context::Context;
use crate::contract::Claim;
use crate::layout::lane::{Lane, is_flow_log, is_loose_flow_log};
use crate::layout::name::{Day, LogName};
use crate::layout::walk::Walk;
use crate::s3::ListRequest;
use crate::shutdown::Stopped;
use crate::source::Round;
use crate::source::listing::checkpoint::Change;
use crate::source::listing::discover::lister::Lister;
use crate::source::listing::discover::names::{Judges, NAMED, Names};
use crate::source::listing::discover::newest::Newest;
use crate::source::listing::discover::range::Range;
use crate::source::listing::discover::sweep::{Swath, Sweep};
use crate::source::listing::ledger::Ledger;

/// What a lane may name at least, however many there are, before the next has its turn.
const SHARE: usize = 20;
/// Of the calls that the lanes cost, the share that the walk may cost on top; and how many calls a poll that is at most.
const WALK_SHARE: f64 = 0.06;
const WALK_CALLS: f64 = 2.0;
/// Calls that a walk may be ahead of that, after the first polls that find something: there may be more in new folders.
const WALK_AHEAD: usize = 4;
/// The same for the sweep as for the walk: a bucket with a million objects is swept in some hours.
const SWEEP_SHARE: f64 = 0.1;
const SWEEP_CALLS: f64 = 4.0;

/// What is known of the bucket's folders, and where the slow work stands.
#[derive(Debug)]
pub struct Discovery {
    lister: Lister,
    prefix: String,
    /// How far back each poll looks for objects that come late.
    window: SignedDuration,
    ledger: Ledger,
    judges: Judges,
    walk: Walk,
    /// The lanes and layouts that the log has told of.
    told: BTreeSet<Lane>,
    is_told: bool,
    /// The lane that is listed first in the next poll.
    turn: Option<Lane>,
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
    /// Whether the last poll listed everything in one go.
    is_in_one: bool,
    sweep: Sweep,
    /// What is looked through, where that has an end.
    range: Option<Range>,
    /// Polls so far.
    polls: u64,
    /// What the walk may cost by now.
    walk_credit: f64,
    walk_ahead: usize,
    /// What the sweep may cost by now.
    sweep_credit: f64,
    /// For each folder that the poll under way got through: the day before which all is named.
    floors: Vec<(String, Day)>,
    newest: Newest,
}

impl Discovery {
    /// Looks for objects that the ledger wants.
    pub fn new(configuration: &TriggerConfiguration, judges: Judges, context: Context) -> Self {
        Self {
            lister: Lister::new(judges.bucket.clone(), context, configuration.frequency),
            prefix: configuration.prefix.clone(),
            window: configuration.late_window,
            ledger: judges.ledger.clone(),
            judges,
            walk: Walk::new(&configuration.prefix),
            told: BTreeSet::new(),
            is_told: false,
            turn: None,
            hourly: BTreeSet::new(),
            first: BTreeMap::new(),
            long: BTreeSet::new(),
            hour: 0,
            is_busy: false,
            is_loose: false,
            is_in_one: false,
            sweep: Sweep::default(),
            range: configuration.end.map(Range::new),
            polls: 0,
            walk_credit: 0.0,
            walk_ahead: WALK_AHEAD,
            // However often the process is started, it sweeps.
            sweep_credit: 1.0,
            floors: Vec::new(),
            newest: Newest::default(),
        }
    }

    /// Names what is new. Ends early at the shutdown signal, or when nobody takes names any more.
    pub async fn poll(&mut self, claims: mpsc::Sender<Claim>) -> Result<Round, Stopped> {
        self.polls += 1;
        let mut names = Names::new(claims, self.judges.clone(), self.polls);
        let calls = loop {
            self.floors.clear();
            self.lister.begin();
            self.walk().await?;
            if self.is_loose || !self.walk.lanes().is_empty() {
                // That there are folders is no comfort where no flow log can be listed.
                self.lister.begin();
            }
            let calls = self.list_all(&mut names).await?;
            if !self.lister.is_shut_out().await? {
                break calls;
            }
            self.walk_credit = self.walk_credit.max(1.0);
        };
        self.walk_credit += (calls * WALK_SHARE).min(WALK_CALLS);
        self.sweep_credit += (calls * SWEEP_SHARE).min(SWEEP_CALLS);
        self.close_range(&names);
        self.sweep(&mut names).await?;
        names.name_again().await?;
        names.name_suspects().await?;
        self.is_busy = names.is_used();
        Ok(match names.has_more() {
            true => Round::More,
            false if self.is_over(&names) => Round::Ended,
            false => Round::Complete,
        })
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

    /// Sweeps for as long as that is paid for.
    async fn sweep(&mut self, names: &mut Names) -> Result<(), Stopped> {
        let now = self.lister.bucket.now();
        let today = self.newest.time(now).map(|time| self.newest.day(time));
        let (lanes, prefix) = (self.walk.lanes(), &self.prefix);
        let is_whole = self.range.as_ref().is_some_and(Range::is_closed);
        let swath = Swath { lanes, prefix, is_loose: self.is_in_one, today, is_whole };
        while self.sweep_credit >= 1.0 && names.left() > 0 {
            self.sweep_credit -= 1.0;
            if self.sweep.step(&swath, &self.lister, &self.ledger, names).await? {
                self.range.iter_mut().for_each(Range::swept);
                break;
            }
        }
        Ok(())
    }

    /// Where all was listed in one go, it is for all folders that the days before the window need no look any more.
    fn close(&mut self) {
        if let Some(day) = self.closing_day() {
            let lanes = self.walk.lanes().iter().map(|lane| lane.folder().to_owned());
            self.floors.extend(lanes.chain([String::new()]).map(|folder| (folder, day)));
        }
    }

    /// Lists all that may hold something new. Gives the number of calls.
    async fn list_all(&mut self, names: &mut Names) -> Result<f64, Stopped> {
        let mut calls = 0.0;
        self.is_in_one = self.is_loose;
        if self.is_loose {
            let prefix = self.prefix.clone();
            let everything = ListRequest { prefix: &prefix, ..ListRequest::default() };
            let listed = self.list(everything, None, NAMED, names).await?;
            calls += listed.calls;
            match listed.end {
                End::Whole => {
                    self.close();
                    if !listed.is_loose {
                        tracing::info!(
                            "all flow logs are in the folders that AWS uses, and these alone are listed again"
                        );
                        self.walk.is_not_loose();
                    }
                    return Ok(calls);
                }
                End::Full(_) => return Ok(calls),
                // A policy may allow the folders one by one.
                End::Unlisted => self.is_in_one = false,
            }
        }
        let mut lanes: Vec<Lane> = self.walk.lanes().iter().cloned().collect();
        let first = self.turn.take().map_or(0, |turn| lanes.partition_point(|lane| *lane < turn));
        let count = lanes.len();
        lanes.rotate_left(first % count.max(1));
        // The next poll begins with the lane that this one does not reach, or else with the second.
        self.turn = lanes.get(1).cloned();
        let share = (NAMED / count.max(1)).max(SHARE);
        let mut more = Vec::new();
        for lane in lanes {
            if names.left() == 0 {
                self.turn = Some(lane);
                break;
            }
            let listed = self.list_lane(&lane, None, share, names).await?;
            calls += listed.calls;
            if let End::Full(after) = listed.end {
                more.push((lane, after));
            }
        }
        for (lane, after) in more {
            if names.left() > 0 {
                calls += self.list_lane(&lane, Some(&after), NAMED, names).await?.calls;
            }
        }
        Ok(calls)
    }

    /// Lists a lane from the first day on that may hold something new, or after a key; names `share` objects at most.
    async fn list_lane(
        &mut self,
        lane: &Lane,
        after: Option<&str>,
        share: usize,
        names: &mut Names,
    ) -> Result<Listed, Stopped> {
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
        let start = after.unwrap_or(&start);
        let request = ListRequest { prefix: &prefix, start_after: Some(start), ..ListRequest::default() };
        let listed = self.list(request, Some(lane), share, names).await?;
        if listed.calls > 1.0 {
            self.long.insert(lane.clone());
        }
        if matches!(listed.end, End::Whole) {
            // What is before the day that the listing began with is for the sweep.
            let closed = known.max(self.closing_day());
            self.floors.extend(closed.map(|day| (lane.folder().to_owned(), day)));
        }
        Ok(listed)
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

    /// Lists to the end, or until `share` objects are named or no more may be.
    async fn list(
        &mut self,
        request: ListRequest<'_>,
        lane: Option<&Lane>,
        share: usize,
        names: &mut Names,
    ) -> Result<Listed, Stopped> {
        let least = names.left().saturating_sub(share);
        let mut listed = Listed { calls: 0.0, end: End::Whole, is_loose: false };
        let mut continued = None;
        let mut before = request.start_after.unwrap_or_default().to_owned();
        loop {
            let page = self.lister.list(ListRequest { continued: continued.as_deref(), ..request }).await?;
            listed.calls += 1.0;
            let Some(page) = page else {
                return Ok(Listed { end: End::Unlisted, ..listed });
            };
            for object in page.objects {
                match lane {
                    Some(lane) => self.learn(lane, &object.key),
                    None => listed.is_loose |= is_loose_flow_log(&object, &self.prefix),
                }
                self.newest.see(lane, &object);
                let previous = std::mem::replace(&mut before, object.key.clone());
                let is_wanted = || self.ledger.look(|checkpoint| checkpoint.wants(&object));
                if object.body_bytes == 0
                    || !is_flow_log(&object.key, &self.prefix)
                    || !is_wanted()
                    || !names.is_new(&object)
                {
                    continue;
                }
                if names.left() == least {
                    // What is before this day was named whole.
                    let day = lane.and_then(|lane| lane.day_of(&object.key));
                    let closing_day = self.closing_day();
                    if let (Some(lane), Some(day)) = (lane, day.filter(|day| Some(*day) < closing_day)) {
                        self.floors.push((lane.folder().to_owned(), day));
                    }
                    return Ok(Listed { end: End::Full(previous), ..listed });
                }
                names.name(object).await?;
            }
            continued = page.next;
            if continued.is_none() {
                return Ok(listed);
            }
        }
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
}

/// What a listing came to.
struct Listed {
    calls: f64,
    end: End,
    /// Whether a flow log lies in no lane, where all lanes were listed together.
    is_loose: bool,
}

/// How a listing ended.
enum End {
    /// With the last key.
    Whole,
    /// With this one: no more may be named.
    Full(String),
    /// The folder cannot be listed now: what it holds is not known.
    Unlisted,
}
