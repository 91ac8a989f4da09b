//! Looks through the days that no poll looks at any more, slowly, for stragglers: objects that came later than the
//! window reaches back, and objects that could not be read before.
//!
//! It judges page by page, against what the storage remembers of the places on the page. Once it has been through a
//! lane, what S3 took more than a month before is whole, but for the days that it found something in: those keep their
//! files, and all others need none any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::layout::fingerprint::Fingerprint;
use crate::layout::lane::{Lane, is_flow_log};
use crate::layout::name::Day;
use crate::layout::place::Place;
use crate::s3::{ListRequest, Object};
use crate::shutdown::Stopped;
use crate::source::listing::checkpoint::carried::Listed;
use crate::source::listing::checkpoint::seen::Stored;
use crate::source::listing::checkpoint::{Change, Swept};
use crate::source::listing::discover::lister::Lister;
use crate::source::listing::discover::names::Names;
use crate::source::listing::ledger::Ledger;

/// What was delivered is remembered object by object for so many days.
const REMEMBERED_DAYS: i64 = 31;
/// How often the storage is told where the sweep is; the first time after its first page, so that it comes on however
/// often the process is started.
const NOTED: Duration = Duration::from_secs(300);

/// Where the sweep is: it goes through the lanes one by one, or through all that is below a prefix.
#[derive(Debug, Default)]
pub struct Sweep {
    at: Option<Swept>,
    noted: Option<Instant>,
    /// Whether an area was passed by since it began anew.
    has_gap: bool,
}

/// What is swept, as a poll knows it.
pub struct Swath<'a> {
    /// The lanes.
    pub lanes: &'a BTreeSet<Lane>,
    /// The prefix of the trigger.
    pub prefix: &'a str,
    /// Whether all below the prefix is listed in one go.
    pub is_loose: bool,
    /// The day that it is in the bucket, as far as that is known.
    pub today: Option<Day>,
    /// Whether what polls list is looked at as well.
    pub is_whole: bool,
}

impl Sweep {
    /// Begins with the first area, wherever it was.
    pub fn begin_anew(&mut self) {
        self.at = Some(Swept::default());
        self.has_gap = false;
    }

    /// Whether an area was passed by since it began anew.
    pub fn has_gap(&self) -> bool {
        self.has_gap
    }

    /// Lists one page, and names the stragglers on it. True if it was the last one of a round: in one poll, nothing is to
    /// be looked at twice.
    pub async fn step(
        &mut self,
        swath: &Swath<'_>,
        lister: &Lister,
        ledger: &Ledger,
        names: &mut Names,
    ) -> Result<bool, Stopped> {
        let areas = swath.areas(ledger);
        let at = self.at.take().or_else(|| ledger.look(|checkpoint| checkpoint.swept().cloned()));
        let Some(mut at) = at.and_then(|at| resumed(at, &areas)).or_else(|| first(&areas)) else {
            return Ok(true);
        };
        if at.after.is_none() && at.kept.is_empty() {
            let end = ledger.look(|checkpoint| checkpoint.origin().end).map(Day::of);
            // What S3 took after the end is not known to be done, whatever its day.
            at.before = swath
                .today
                .map(|today| today.before(REMEMBERED_DAYS))
                .map(|day| end.map_or(day, |end| day.min(end)));
        }
        let start = if swath.prefix.len() > at.area.len() { swath.prefix } else { &at.area }.to_owned();
        let request =
            ListRequest { prefix: &start, start_after: at.after.as_deref(), ..ListRequest::default() };
        let Some(page) = lister.list(request).await? else {
            return Ok(self.pass_by(at, &areas));
        };
        let last = page.objects.last().map(|object| object.key.clone());
        let mut places: BTreeMap<Place, Vec<Object>> = BTreeMap::new();
        for object in page.objects {
            let is_wanted = || ledger.look(|checkpoint| checkpoint.origin().wants(&object));
            if object.body_bytes > 0 && is_flow_log(&object.key, swath.prefix) && is_wanted() {
                places.entry(object.place()).or_default().push(object);
            }
        }
        let mut is_whole = true;
        for (place, objects) in places {
            if ledger.look(|checkpoint| checkpoint.carried().knows(&place) && !checkpoint.is_polled(&place)) {
                let is_listed = prove(&place, swath, lister, ledger).await?;
                if !is_listed {
                    return Ok(self.pass_by(at, &areas));
                }
            }
            let stored = ledger.stored(&place).await?;
            is_whole &= judge(&place, objects, &stored, &mut at, swath, ledger, names).await?;
        }
        let mut is_last = false;
        if is_whole && page.next.is_none() {
            self.finish(&at, swath, ledger).await?;
            (at, is_last) = next(&at, &areas);
        } else if is_whole {
            at.after = last;
        }
        self.note(&at, ledger).await?;
        self.at = Some(at);
        Ok(is_last)
    }

    /// An area cannot be listed now: nothing is known of it, and none of it is whole. The others have their turn, then it
    /// is begun anew; if there is no other, the sweep stays. True if nothing else is left of this round.
    fn pass_by(&mut self, at: Swept, areas: &BTreeSet<String>) -> bool {
        self.has_gap = true;
        let (after, is_last) = if areas.len() > 1 { next(&at, areas) } else { (at, true) };
        self.at = Some(after);
        is_last
    }

    /// An area was gone through to its end.
    async fn finish(&self, at: &Swept, swath: &Swath<'_>, ledger: &Ledger) -> Result<(), Stopped> {
        let Some(before) = at.before else { return Ok(()) };
        let loose = swath.is_loose.then_some("");
        let lanes =
            swath.lanes.iter().map(Lane::folder).filter(|folder| swath.is_loose || *folder == at.area);
        let gone = (!swath.is_loose && !swath.lanes.iter().any(|lane| lane.folder() == at.area))
            .then_some(at.area.as_str());
        let none = BTreeSet::new();
        for folder in loose.into_iter().chain(lanes).chain(gone) {
            ledger.whole(folder, before, at.kept.get(folder).unwrap_or(&none)).await?;
        }
        Ok(())
    }

    /// Tells the storage now and then where the sweep is.
    async fn note(&mut self, at: &Swept, ledger: &Ledger) -> Result<(), Stopped> {
        let is_due = self.noted.is_none_or(|noted| noted.elapsed() >= NOTED);
        if is_due && ledger.look(|checkpoint| checkpoint.swept() != Some(at)) {
            ledger.change(&[Change::swept(at.clone())]).await?;
            self.noted = Some(Instant::now());
        }
        Ok(())
    }
}

impl Swath<'_> {
    /// What is gone through, in order: lanes that are not there any more, too, so that what is kept of them goes.
    fn areas(&self, ledger: &Ledger) -> BTreeSet<String> {
        if self.is_loose {
            return BTreeSet::from([self.prefix.to_owned()]);
        }
        let known: Vec<String> = ledger.look(|checkpoint| checkpoint.folders().map(str::to_owned).collect());
        let lanes = self.lanes.iter().map(|lane| lane.folder().to_owned());
        lanes.chain(known.into_iter().filter(|folder| !folder.is_empty())).collect()
    }
}

/// The place of the sweep, if there still is such an area; else the beginning of the next one.
fn resumed(at: Swept, areas: &BTreeSet<String>) -> Option<Swept> {
    if areas.contains(&at.area) {
        return Some(at);
    }
    let next = areas.range(at.area..).next()?;
    Some(Swept { area: next.clone(), ..Swept::default() })
}

fn first(areas: &BTreeSet<String>) -> Option<Swept> {
    Some(Swept { area: areas.first()?.clone(), ..Swept::default() })
}

/// The beginning of the area after this one, and whether that is the first of another round.
fn next(at: &Swept, areas: &BTreeSet<String>) -> (Swept, bool) {
    let next = areas.range(at.area.clone()..).find(|area| **area != at.area);
    let area = next.or(areas.first()).cloned().unwrap_or_default();
    (Swept { area, ..Swept::default() }, next.is_none())
}

/// Names what is not done of the objects of a place, unless polls do, and notes whether the place is whole. False if
/// there was no room for all.
async fn judge(
    place: &Place,
    objects: Vec<Object>,
    stored: &Stored,
    at: &mut Swept,
    swath: &Swath<'_>,
    ledger: &Ledger,
    names: &mut Names,
) -> Result<bool, Stopped> {
    let floor = ledger.look(|checkpoint| checkpoint.floor(&place.folder));
    let is_old = at.before.is_some_and(|before| place.day < before);
    for object in objects {
        let is_done = ledger.look(|checkpoint| checkpoint.is_done(&object, place, stored));
        let is_late = at.before.is_some_and(|before| Day::of(object.last_modified) >= before);
        if is_old && (!is_done || is_late) {
            at.kept.entry(place.folder.clone()).or_default().insert(place.day);
        }
        // Polls list a lane from the folder of its floor on, and a loose prefix from its beginning.
        let lane = Lane::around(&object.key).filter(|_| !swath.is_loose);
        let is_listed =
            floor.is_none_or(|floor| lane.is_none_or(|lane| object.key >= lane.day_folder(floor)));
        let is_polled = !swath.is_whole && is_listed && floor.is_none_or(|floor| place.day >= floor);
        if is_done || is_polled || !names.is_new(&object) {
            continue;
        }
        if names.left() == 0 {
            return Ok(false);
        }
        names.name(object).await?;
    }
    Ok(true)
}

/// Holds what version 0.1.0 knew of a day of a lane against all that the day has, once: what is proven to be done is
/// noted as this version does, and the rest is sent again. False if the day cannot be listed now.
async fn prove(place: &Place, swath: &Swath<'_>, lister: &Lister, ledger: &Ledger) -> Result<bool, Stopped> {
    let Some(lane) = Lane::around(&place.folder) else { return Ok(true) };
    let stored = ledger.stored(place).await?;
    let folder = lane.day_folder(place.day);
    let start = if swath.prefix.starts_with(&folder) { swath.prefix } else { &folder };
    let (mut done, mut listed) = (Vec::new(), Listed::default());
    let mut continued = None;
    loop {
        let request =
            ListRequest { prefix: start, continued: continued.as_deref(), ..ListRequest::default() };
        let Some(page) = lister.list(request).await? else { return Ok(false) };
        for object in &page.objects {
            let is_wanted = || ledger.look(|checkpoint| checkpoint.origin().wants(object));
            if object.body_bytes == 0 || !is_flow_log(&object.key, swath.prefix) || !is_wanted() {
                continue;
            }
            let fingerprint = Fingerprint::of(&object.key);
            if stored.contains(fingerprint, object.last_modified) {
                continue;
            }
            match ledger.look(|checkpoint| checkpoint.carried().contains(object)) {
                true => done.push(fingerprint),
                false => listed.add(object),
            }
        }
        continued = page.next;
        if continued.is_none() {
            break;
        }
    }
    let count = listed.count();
    let proven = ledger.look(|checkpoint| checkpoint.carried().proven(listed));
    let unknown = count - proven.len();
    if unknown > 0 {
        tracing::warn!(
            folder,
            objects = unknown,
            "objects of an old day cannot be told from those that version 0.1.0 sent; they are sent, perhaps again"
        );
    }
    ledger.store(place, done.into_iter().chain(proven).collect()).await?;
    ledger.change(&[Change::proven(place.clone())]).await?;
    Ok(true)
}
