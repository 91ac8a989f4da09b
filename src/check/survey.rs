//! Lists what is new in a bucket of any size with a bounded number of calls: the folders of accounts and regions are
//! walked as the trigger does, then each is listed from the day on that the last two hours lie in.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use crate::layout::lane::{Lane, is_flow_log};
use crate::layout::name::{Day, LogName};
use crate::layout::walk::{Pages, Walk};
use crate::s3::{Bucket, ListRequest, Object, Page, S3Error, S3Failure};

/// Calls in all, and those of them that look for folders.
pub(super) const CALLS: usize = 100;
const WALK_CALLS: usize = 40;
/// Pages that are listed where flow logs are in no folders of AWS.
const LOOSE_CALLS: usize = 10;
/// Folders in which the last day is looked for where there is nothing new anywhere.
const QUIET_LANES: usize = 5;
/// What is looked at, and how often AWS publishes: this is some twenty objects of each flow log.
const RECENT: SignedDuration = SignedDuration::from_hours(2);
const SLOT: SignedDuration = SignedDuration::from_mins(5);

/// What was listed.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The flow logs, by the name that their objects begin with; empty for objects that do not tell.
    pub(super) logs: BTreeMap<String, Log>,
    /// The day from which on it was listed; `None` if that differs from folder to folder.
    pub(super) since: Option<Day>,
    /// Folders of an account and region, and how many of them were listed.
    pub(super) lanes: usize,
    /// See above.
    pub(super) looked: usize,
    /// Whether there are folders that were not looked into.
    pub(super) has_more_folders: bool,
    /// Folders that cannot be listed, each with why.
    pub(super) refused: Vec<(String, S3Error)>,
    /// Why the trigger lists the prefix whole, if it does.
    pub(super) loose: Option<String>,
    /// Whether there is more than was listed.
    pub(super) is_cut: bool,
    /// Something that is there and is no flow log.
    pub(super) other: Option<String>,
    /// Calls that it took.
    pub(super) calls: usize,
}

/// What was listed of a flow log.
#[derive(Debug)]
pub(super) struct Log {
    /// Its objects.
    pub(super) objects: u64,
    /// Their size together.
    pub(super) bytes: u64,
    /// The first and the last time of one.
    pub(super) first: Timestamp,
    /// See above.
    pub(super) last: Timestamp,
    /// The object that S3 took last.
    pub(super) newest: Object,
}

impl Log {
    /// A flow log of which nothing but this is known.
    pub(super) fn new(object: Object) -> Self {
        let time = time_of(&object);
        Self { objects: 1, bytes: object.body_bytes, first: time, last: time, newest: object }
    }

    fn add(&mut self, object: Object) {
        let time = time_of(&object);
        self.objects += 1;
        self.bytes += object.body_bytes;
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        if (object.last_modified, time) > (self.newest.last_modified, time_of(&self.newest)) {
            self.newest = object;
        }
    }

    /// What it writes in an hour, by the times of its objects.
    pub(super) fn bytes_per_hour(&self) -> f64 {
        let hours = (self.last.duration_since(self.first) + SLOT).as_secs_f64() / 3600.0;
        self.bytes as f64 / hours
    }
}

/// When an object is of: the time in its name, else when S3 took it.
pub(super) fn time_of(object: &Object) -> Timestamp {
    LogName::of(&object.key).and_then(|name| name.timestamp()).unwrap_or(object.last_modified)
}

/// Lists with a limit.
struct Lister<'a> {
    bucket: &'a Bucket,
    calls: AtomicUsize,
    limit: usize,
    is_cut: AtomicBool,
    /// Folders that cannot be listed, each with why.
    refused: Mutex<Vec<(String, S3Error)>>,
}

impl Lister<'_> {
    /// A page; an empty one where the limit is reached.
    async fn list(&self, request: ListRequest<'_>) -> Result<Page, S3Error> {
        if !self.has_calls() {
            self.cut();
            return Ok(Page::default());
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bucket.list(request).await
    }

    /// There is more than is listed.
    fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn has_calls(&self) -> bool {
        self.calls() < self.limit
    }

    /// The same; `None` for a folder that cannot be listed, which is noted.
    async fn look(&self, request: ListRequest<'_>) -> Result<Option<Page>, S3Error> {
        match self.list(request).await {
            Ok(page) => Ok(Some(page)),
            Err(error) if matches!(error.failure(), S3Failure::Denied | S3Failure::Other) => {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                if refused.iter().all(|(folder, _)| folder != request.prefix) {
                    refused.push((request.prefix.to_owned(), error));
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Pages for Lister<'_> {
    type Error = S3Error;

    fn page<'a>(&'a self, request: ListRequest<'a>) -> BoxFuture<'a, Result<Option<Page>, S3Error>> {
        self.look(request).boxed()
    }
}

/// A folder of an account and region that is being listed.
struct Listing {
    prefix: String,
    start: String,
    next: Option<String>,
}

/// Looks into a bucket.
pub(super) async fn survey(bucket: &Bucket, prefix: &str) -> Result<Survey, S3Error> {
    let mut lister = Lister {
        bucket,
        calls: AtomicUsize::default(),
        limit: WALK_CALLS,
        is_cut: AtomicBool::default(),
        refused: Mutex::default(),
    };
    let mut survey = Survey::default();
    let mut walk = Walk::new(prefix);
    while walk.is_first_round() && lister.has_calls() {
        walk.step(&lister).await?;
    }
    survey.has_more_folders = walk.is_first_round();
    if survey.has_more_folders {
        lister.cut();
    }
    survey.loose = walk.loose().map(|key| format!("{key} is in no folder that AWS uses"));
    lister.limit = if survey.loose.is_some() { lister.calls() + LOOSE_CALLS } else { CALLS };
    let lanes = walk.lanes();
    survey.lanes = lanes.len();
    if survey.loose.is_some() {
        let everything = Listing { prefix: prefix.to_owned(), start: String::new(), next: None };
        survey.turns(&lister, vec![everything], prefix).await?;
    } else {
        survey.recent(&lister, lanes.iter(), prefix).await?;
        if survey.logs.is_empty() {
            for lane in lanes.iter().take(QUIET_LANES) {
                survey.last_day(&lister, lane, prefix).await?;
            }
            if lanes.len() > QUIET_LANES {
                lister.cut();
                survey.looked = QUIET_LANES;
            }
        }
    }
    survey.is_cut = lister.is_cut.into_inner();
    survey.calls = lister.calls.into_inner();
    survey.refused = lister.refused.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !survey.logs.is_empty() {
        return Ok(survey);
    }
    match survey.refused.pop() {
        Some((_, error)) => Err(error),
        None => {
            survey.other = walk.other().map(str::to_owned);
            Ok(survey)
        }
    }
}

impl Survey {
    /// What is new in each folder.
    async fn recent(
        &mut self,
        lister: &Lister<'_>,
        lanes: impl Iterator<Item = &Lane>,
        prefix: &str,
    ) -> Result<(), S3Error> {
        let mut listings = Vec::new();
        for lane in lanes {
            if !lister.has_calls() {
                lister.cut();
                break;
            }
            // By S3's clock, as the first answers told it.
            let since = lister.bucket.now().saturating_sub(RECENT).unwrap_or_default();
            self.since = Some(Day::of(since));
            self.looked += 1;
            let mut listing =
                Listing { prefix: within(lane, prefix), start: lane.day_folder(Day::of(since)), next: None };
            let Some(page) = listing.page(lister).await? else { continue };
            let is_hourly = page.objects.last().is_some_and(|object| lane.is_hourly(&object.key));
            if page.next.is_some() && is_hourly {
                // The hours before need not be listed.
                listing.start = lane.hour_folder(since);
                listings.push(listing);
                continue;
            }
            listing.next.clone_from(&page.next);
            self.take(page, prefix);
            if listing.next.is_some() {
                listings.push(listing);
            }
        }
        self.turns(lister, listings, prefix).await
    }

    /// Goes on with folders that have more, in turns, for as long as the limit allows.
    async fn turns(
        &mut self,
        lister: &Lister<'_>,
        mut listings: Vec<Listing>,
        prefix: &str,
    ) -> Result<(), S3Error> {
        while !listings.is_empty() && lister.has_calls() {
            let mut more = Vec::new();
            for mut listing in listings {
                let Some(page) = listing.page(lister).await? else { continue };
                listing.next.clone_from(&page.next);
                self.take(page, prefix);
                if listing.next.is_some() {
                    more.push(listing);
                }
            }
            listings = more;
        }
        if !listings.is_empty() {
            lister.cut();
        }
        Ok(())
    }

    /// The last day of a folder that has nothing new, found by the folders of years, months and days.
    async fn last_day(&mut self, lister: &Lister<'_>, lane: &Lane, prefix: &str) -> Result<(), S3Error> {
        let mut folder = within(lane, prefix);
        self.since = None;
        loop {
            let request = ListRequest { prefix: &folder, folded: true, ..ListRequest::default() };
            let Some(page) = lister.look(request).await? else { return Ok(()) };
            let last = page.folders.last().cloned();
            if last.is_none() && page.next.is_some() {
                lister.cut();
            }
            self.take(page, prefix);
            match last {
                Some(below) => folder = below,
                None => return Ok(()),
            }
        }
    }

    /// Notes the flow logs of a page.
    fn take(&mut self, page: Page, prefix: &str) {
        for object in page.objects {
            if object.body_bytes > 0 && is_flow_log(&object.key, prefix) {
                match self.logs.entry(object.flow_log()) {
                    Entry::Vacant(log) => drop(log.insert(Log::new(object))),
                    Entry::Occupied(mut log) => log.get_mut().add(object),
                }
            }
        }
    }
}

impl Listing {
    async fn page(&self, lister: &Lister<'_>) -> Result<Option<Page>, S3Error> {
        let request = ListRequest {
            prefix: &self.prefix,
            start_after: Some(self.start.as_str()).filter(|start| !start.is_empty()),
            continued: self.next.as_deref(),
            folded: false,
        };
        lister.look(request).await
    }
}

/// What to list of a folder: a prefix that leads further than the folder says less.
fn within(lane: &Lane, prefix: &str) -> String {
    if prefix.len() > lane.folder().len() { prefix.to_owned() } else { lane.folder().to_owned() }
}
