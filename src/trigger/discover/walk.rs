//! Finds the lanes below a prefix by its folders, without looking at the objects in them.

use std::collections::{BTreeSet, VecDeque};

use futures_util::future::BoxFuture;

use super::lane::{Lane, flow_logs_of_account, is_flow_log, leads_to_lanes};
use crate::s3::{ListRequest, Page};

/// Folders looked into in one walk. Accounts are folders too, and an organisation has hundreds of them; a bucket with
/// more folders than this above its flow logs needs a prefix.
const FOLDERS: usize = 2_000;
/// Folders above `AWSLogs/` are looked into so far below the prefix. AWS allows any folder there; people use few.
const DEPTH: usize = 4;

/// What lies below a prefix.
#[derive(Debug, Default)]
pub struct Layout {
    /// The lanes.
    pub lanes: BTreeSet<Lane>,
    /// Why only a listing of everything finds all flow logs, if so: there are some in no lane.
    pub loose: Option<String>,
    /// Calls that the walk cost.
    pub calls: f64,
}

/// Where a walk gets its pages from.
pub trait Pages {
    /// Why there is none.
    type Error;

    /// One page.
    fn page<'a>(&'a self, request: ListRequest<'a>) -> BoxFuture<'a, Result<Page, Self::Error>>;
}

/// Walks the folders below `prefix`.
pub async fn walk<P: Pages>(pages: &P, prefix: &str) -> Result<Layout, P::Error> {
    if let Some(lane) = Lane::around(prefix) {
        return Ok(Layout { lanes: BTreeSet::from([lane]), loose: None, calls: 0.0 });
    }
    let mut layout = Layout::default();
    let mut folders = VecDeque::from([prefix.to_owned()]);
    let mut found = 1;
    while let Some(folder) = folders.pop_front() {
        let mut continued = None;
        loop {
            let request = ListRequest {
                prefix: &folder,
                folded: true,
                continued: continued.as_deref(),
                start_after: None,
            };
            let page = pages.page(request).await?;
            layout.calls += 1.0;
            let flow_log =
                page.objects.iter().find(|object| object.body_bytes > 0 && is_flow_log(&object.key, prefix));
            if let Some(object) = flow_log {
                layout.loose.get_or_insert_with(|| format!("{} is in no folder that AWS uses", object.key));
            }
            for below in page.folders {
                let depth = below.matches('/').count() - prefix.matches('/').count();
                if let Some(lane) = Lane::around(&below) {
                    layout.lanes.insert(lane);
                } else if leads_to_lanes(&below) && (below.contains("AWSLogs/") || depth <= DEPTH) {
                    found += 1;
                    folders.push_back(flow_logs_of_account(below));
                }
            }
            continued = page.next;
            if continued.is_none() || found > FOLDERS {
                break;
            }
        }
        if found > FOLDERS {
            layout.loose = Some(format!("there are more than {FOLDERS} folders to look into"));
            break;
        }
    }
    Ok(layout)
}
