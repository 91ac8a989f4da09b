//! Finds the objects that are to be delivered: lists the prefix and leaves out what is no flow log or is done.

use std::collections::VecDeque;

use futures_util::{Stream, stream};

use super::commit::{Ledger, until_listed};
use super::deliver::Delivery;
use crate::s3::{Bucket, ListRequest, Object};

/// The objects of `prefix` that the ledger wants, page by page as they are taken. Ends early at the order to stop.
pub fn discover<'a>(
    bucket: &'a Bucket,
    prefix: &'a str,
    ledger: &'a Ledger,
    delivery: &'a Delivery,
) -> impl Stream<Item = Object> + 'a {
    let listing = Listing { continued: None, ended: false, page: VecDeque::new() };
    stream::unfold(listing, async move |mut listing| {
        while listing.page.is_empty() && !listing.ended {
            let request = ListRequest { prefix, continued: listing.continued.as_deref() };
            let page = until_listed(delivery, async || bucket.list(request).await).await.ok()?;
            listing.ended = page.next.is_none();
            listing.continued = page.next;
            let is_new = |object: &Object| {
                is_flow_log(&object.key, prefix)
                    && object.body_bytes > 0
                    && ledger.look(|state| state.wants(object))
            };
            let mut objects: Vec<Object> = page.objects.into_iter().filter(is_new).collect();
            objects.sort_by_key(|object| object.last_modified);
            listing.page = objects.into();
            delivery.metrics.objects_waiting.inc_by(i64::try_from(listing.page.len()).unwrap_or(0));
        }
        listing.page.pop_front().map(|object| (object, listing))
    })
}

struct Listing {
    continued: Option<String>,
    ended: bool,
    page: VecDeque<Object>,
}

/// Whether a key is that of a flow log. Below a prefix that the user gave, a key in no layout of AWS counts as one too;
/// in a whole bucket only what is named as AWS names flow logs.
fn is_flow_log(key: &str, prefix: &str) -> bool {
    let (folders, file) = key.rsplit_once('/').unwrap_or(("", key));
    if file.is_empty() {
        return false;
    }
    if file.contains("_vpcflowlogs_") {
        return true;
    }
    // AWSLogs/<account>/<service>/… or AWSLogs/aws-account-id=<account>/aws-service=<service>/…
    let mut below = folders.split('/').skip_while(|folder| *folder != "AWSLogs").skip(2);
    let service = below.next().map(|service| service.strip_prefix("aws-service=").unwrap_or(service));
    match service {
        Some(service) => service == "vpcflowlogs",
        None => !prefix.is_empty() && !folders.split('/').any(|folder| folder == "AWSLogs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flow_logs_are_told_from_other_objects() {
        let name = "111111111111_vpcflowlogs_eu-west-3_fl-0a1b_20261122T0005Z_abcd.log.gz";
        let default = format!("AWSLogs/111111111111/vpcflowlogs/eu-west-3/2026/11/22/{name}");
        let hive =
            format!("x/AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=r/year=2026/{name}");
        for key in [default.as_str(), &hive, name, &format!("copied/{name}")] {
            assert!(is_flow_log(key, ""), "{key}");
        }
        for key in [
            "",
            "AWSLogs/",
            "AWSLogs/111111111111/vpcflowlogs/",
            "AWSLogs/111111111111/CloudTrail/eu-west-3/2026/11/22/111_CloudTrail_x.json.gz",
            "AWSLogs/111111111111/elasticloadbalancing/r/x.log.gz",
            "AWSLogs/aws-account-id=1/aws-service=cloudtrail/x.gz",
            "AWSLogs/readme.txt",
        ] {
            assert!(!is_flow_log(key, "") && !is_flow_log(key, "AWSLogs/"), "{key}");
        }
        assert!(is_flow_log("exported/part-0001.gz", "exported/"));
        assert!(!is_flow_log("exported/part-0001.gz", ""));
    }
}
