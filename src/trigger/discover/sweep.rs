//! Looks through the days behind the window, slowly, for stragglers: objects that came later than the window reaches
//! back, and objects that could not be read before.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;

use super::super::checkpoint::Change;
use super::super::checkpoint::seen::Missing;
use super::super::commit::Ledger;
use super::super::place::{Day, Place};
use super::Lister;
use super::lane::{Lane, is_flow_log};
use crate::s3::{ListRequest, Object};
use crate::shutdown::Stopped;

/// Where the sweep is: it goes through the lanes one by one, and through each day by day.
#[derive(Debug, Default)]
pub struct Sweep {
    /// The lane that is being swept.
    lane: Option<Lane>,
    /// The last key listed in it.
    behind: Option<String>,
    /// The day that is being listed, and the objects of it that lie behind the origin.
    day: Option<Day>,
    objects: Vec<Object>,
}

impl Sweep {
    /// Lists one page, and gives the stragglers of the days that it completes.
    pub async fn step(
        &mut self,
        lanes: &BTreeSet<Lane>,
        prefix: &str,
        lister: &Lister,
        ledger: &Ledger,
    ) -> Result<Vec<Object>, Stopped> {
        let lane = match self.lane.take() {
            Some(lane) => lane,
            None => match lanes.first() {
                Some(lane) => lane.clone(),
                None => return Ok(Vec::new()),
            },
        };
        let floor = ledger.look(|checkpoint| checkpoint.floor(lane.folder()));
        let start = if prefix.len() > lane.folder().len() { prefix } else { lane.folder() };
        let request =
            ListRequest { prefix: start, start_after: self.behind.as_deref(), ..ListRequest::default() };
        let Some(page) = lister.list(request).await? else {
            // Nothing is known of it: no day of it is done, and the others have their turn.
            (self.day, self.behind) = (None, None);
            self.objects.clear();
            self.lane = lanes.range((Bound::Excluded(&lane), Bound::Unbounded)).next().cloned();
            return Ok(Vec::new());
        };
        let mut stragglers = Vec::new();
        let mut is_over = page.next.is_none() || floor.is_none();
        self.behind = page.objects.last().map(|object| object.key.clone());
        for object in page.objects {
            let day = lane.day_of(&object.key).unwrap_or(object.place().day);
            if floor.is_none_or(|floor| day >= floor) {
                is_over = true;
                break;
            }
            if self.day != Some(day) {
                self.settle(ledger, &mut stragglers).await?;
                self.day = Some(day);
            }
            let is_wanted = || ledger.look(|checkpoint| checkpoint.origin().wants(&object));
            if object.body_bytes > 0 && is_flow_log(&object.key, prefix) && is_wanted() {
                self.objects.push(object);
            }
        }
        if is_over {
            self.settle(ledger, &mut stragglers).await?;
            self.behind = None;
            self.lane = lanes.range((Bound::Excluded(&lane), Bound::Unbounded)).next().cloned();
        } else {
            self.lane = Some(lane);
        }
        Ok(stragglers)
    }

    /// The day is listed to its end: what of it is not done?
    async fn settle(&mut self, ledger: &Ledger, stragglers: &mut Vec<Object>) -> Result<(), Stopped> {
        self.day = None;
        let mut places: BTreeMap<Place, Vec<Object>> = BTreeMap::new();
        for object in self.objects.drain(..) {
            places.entry(object.place()).or_default().push(object);
        }
        for (place, mut objects) in places {
            let seen = ledger.look(|checkpoint| checkpoint.seen(&place).cloned()).unwrap_or_default();
            objects.sort_by_key(|object| object.last_modified);
            let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
            let change = match seen.missing(&keys) {
                Missing::Keys(missing) if missing.is_empty() => {
                    (!seen.is_closed()).then(|| Change::closed(place))
                }
                Missing::Keys(missing) => {
                    let missing: HashSet<&str> = missing.into_iter().collect();
                    stragglers.extend(
                        objects.iter().filter(|object| missing.contains(object.key.as_str())).cloned(),
                    );
                    None
                }
                // Old objects expire. What is left is what was sent; a straggler of that age has no claim to be sought.
                Missing::Shrunk => Some(Change::closed_with(place, &keys)),
                Missing::Unknown => {
                    tracing::warn!(
                        flow_log = place.flow_log,
                        day = ?place.day,
                        objects = keys.len(),
                        "objects came very late and cannot be told from those sent before; the day is sent again"
                    );
                    stragglers.extend(objects.iter().cloned());
                    Some(Change::reopened(place))
                }
            };
            if let Some(change) = change {
                ledger.change(&[change]).await?;
            }
        }
        Ok(())
    }
}
