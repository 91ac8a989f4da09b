//! `check`: checks every step from the account to the platform or the intake for somebody who sets a trigger or
//! a connector up, and says for each step whether it works and what to do if not. No event is sent, nothing is left behind.
//!
//! It takes 3 minutes at most, and in a bucket of any size 100 calls to list, one to find the region, and what it takes
//! to read five objects at most: three calls, and one for each 2 MiB of an object.

use serde_json::{Map, Value};

use self::account::Account;
use self::node::{Node, Reads};
use self::queue::Found;
use self::report::{Needs, Report};
use self::savings::Standing;
use crate::config::TriggerConfiguration;
use crate::config::queue::QueueConfiguration;
use crate::platform::callback::{Callback, CallbackError};
use crate::platform::metrics::{Metrics, Operation};
use crate::platform::values::{ValueError, Values};
use crate::s3::{Bucket, Object};
use crate::shutdown::{Shutdown, Stopped};
use crate::source::queue::buckets::Buckets;

pub(crate) mod account;
pub(crate) mod bucket;
mod format;
mod intake;
pub(crate) mod node;
mod notification;
mod platform;
mod queue;
pub(crate) mod report;
mod sample;
mod savings;
mod survey;
mod volume;

/// Why the check did not end well.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Steps failed; the report on stdout says why.
    #[error("these steps of the check failed: {}", .0.join(", "))]
    Failed(Vec<&'static str>),
    /// The shutdown signal came first.
    #[error("the check was stopped")]
    Stopped(#[from] Stopped),
    /// A value that names an endpoint cannot be read.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// Makes the check, with the values of a trigger or a connector, and prints the report on stdout: as text, or as JSON. `show` says
/// how many records are shown as they would be sent.
pub async fn run(values: &Values, is_json: bool, show: usize, shutdown: &Shutdown) -> Result<(), CheckError> {
    let failed = shutdown.race(walk(values, is_json, show)).await??;
    if failed.is_empty() { Ok(()) } else { Err(CheckError::Failed(failed)) }
}

async fn walk(values: &Values, is_json: bool, show: usize) -> Result<Vec<&'static str>, ValueError> {
    let mut report = Report::new(is_json);
    let (metrics, _) = Metrics::new();

    let platform = account::platform(values);
    let Known { account, node, kind } = know(&mut report, values, platform.as_ref()).await;
    let (account, node) = (have(&account), have(&node));
    let (records, standing) = match node.map(|node| &node.reads) {
        Ok(Reads::Queue(queue)) => {
            (Ok(&queue.records), walk_queue(&mut report, account, queue, &metrics).await)
        }
        Ok(Reads::Listing(listing)) => {
            (Ok(&listing.records), walk_bucket(&mut report, account, Ok(listing), &metrics).await)
        }
        Err(missing) => (Err(missing), walk_bucket(&mut report, account, Err(missing), &metrics).await),
    };
    let decode = async |(records, standing)| savings::savings(records, standing, show).await;
    let first = report.step("savings", both(records, standing), decode).await;
    report.show(first.unwrap_or_default());

    report.step("storage", Ok(()), async |()| platform::storage(values, node.ok()).await).await.ok();
    if kind == node::CONNECTOR {
        let intake = node.and_then(|node| node.intake.as_ref().ok_or(kind));
        report.step("intake", intake, async |intake| intake::intake(intake).await).await.ok();
    } else {
        report.step("callback", Ok(()), async |()| platform::callback(platform.as_ref()).await).await.ok();
    }
    Ok(report.end(&calls(&metrics)))
}

/// What the first steps give.
pub(crate) struct Known {
    /// The account, with a key that AWS knows.
    pub(crate) account: Needs<Account>,
    /// The trigger or connector.
    pub(crate) node: Needs<Node>,
    /// Which of them it is.
    pub(crate) kind: &'static str,
}

/// The steps to what the platform and its user say.
pub(crate) async fn know(
    report: &mut Report,
    values: &Values,
    platform: Option<&Result<Callback, CallbackError>>,
) -> Known {
    let callback = platform.and_then(|platform| platform.as_ref().ok());
    let secrets = report.step("secrets", Ok(()), async |()| account::secrets(platform).await).await;
    let secrets = secrets.as_ref().map(Option::as_ref).map_err(|missing| *missing);
    let account =
        report.step("account", secrets, async |secrets| account::account(values, secrets, callback)).await;
    let of_node = secrets.unwrap_or_default();
    let is_connector = node::is_connector(values);
    let kind = if is_connector { node::CONNECTOR } else { node::TRIGGER };
    let node = report.step(kind, Ok(()), async |()| node::node(is_connector, values, of_node)).await;
    let keys = report.step("keys", have(&account), async |account| account::keys(account).await).await;
    Known { account: keys.and(account), node, kind }
}

/// The steps from the queue to the objects that it announces; gives one of these.
async fn walk_queue(
    report: &mut Report,
    account: Needs<&Account>,
    configuration: &QueueConfiguration,
    metrics: &Metrics,
) -> Needs<Vec<Standing>> {
    let found =
        report.step("queue", account, async |account| queue::queue(account, configuration).await).await;
    let place = both(account, have(&found));
    let buckets = account
        .map(|account| Buckets::new(account.aws.clone(), configuration.requester_pays, metrics.clone()));
    let look = async |((_, found), buckets): ((_, &Found), &Buckets)| {
        queue::message(configuration, found, buckets).await
    };
    let object = report.step("message", both(place, have(&buckets)), look).await;
    let announced = object.as_ref().ok().map(|(bucket, _)| bucket.clone());
    let look = async |(found, buckets): (&Found, &Buckets)| {
        notification::notification(configuration, found, announced, buckets).await
    };
    report.step("notification", both(have(&found), have(&buckets)), look).await.ok();
    let standing = object.clone();
    let get = async |(bucket, object): (Bucket, Object)| bucket::get(&bucket, object).await;
    report.step("get", object, get).await?;
    // The size is known of what S3 announces or may be asked for.
    let standing = standing.into_iter().filter(|(_, object)| object.body_bytes > 1);
    Ok(standing.map(|(bucket, object)| Standing { bucket, object, per_day: None }).collect())
}

/// The steps from the bucket to the records in it; gives objects that stand for all.
async fn walk_bucket(
    report: &mut Report,
    account: Needs<&Account>,
    listing: Needs<&TriggerConfiguration>,
    metrics: &Metrics,
) -> Needs<Vec<Standing>> {
    let bucket = match (account, listing) {
        (Ok(account), Ok(listing)) => Ok(Bucket::new(&account.aws, listing, metrics.clone())),
        (Err(missing), _) | (_, Err(missing)) => Err(missing),
    };
    let bucket = have(&bucket);
    let place = both(bucket, account);
    let region =
        report.step("region", place, async |(bucket, account)| bucket::region(bucket, account).await).await;
    let place = region.and(both(bucket, listing));
    let survey =
        report.step("list", place, async |(bucket, listing)| bucket::list(bucket, listing).await).await;
    let survey = have(&survey);
    let newest = report
        .step("newest", both(bucket, survey), async |(bucket, survey)| bucket::newest(bucket, survey))
        .await;
    let object = both(bucket, newest.clone());
    let start = report.step("get", object, async |(bucket, object)| bucket::get(bucket, object).await).await;
    let sample = report
        .step("format", both(place, start), async |((bucket, listing), start)| {
            format::format(bucket, listing, start).await
        })
        .await;
    let decoded = newest.as_ref().ok().zip(sample.as_ref().ok());
    let samples = report
        .step("flow logs", both(place, survey), async |((bucket, listing), survey)| {
            volume::flow_logs(bucket, listing, survey, decoded).await
        })
        .await;
    let samples = both(survey, sample.and(have(&samples)));
    report.step("volume", samples, async |(survey, samples)| volume::volume(survey, samples)).await?;
    both(bucket, samples).map(|(bucket, (survey, samples))| volume::standing(bucket, survey, samples))
}

/// How many calls were made to S3, by operation.
fn calls(metrics: &Metrics) -> Map<String, Value> {
    let counted = ["head", "list", "get"].map(|operation| {
        (operation.to_owned(), metrics.s3_calls.get_or_create(&Operation { operation }).get().into())
    });
    counted.into_iter().filter(|(_, count)| *count != 0).collect()
}

/// Lends what a step gave.
fn have<T>(given: &Needs<T>) -> Needs<&T> {
    given.as_ref().map_err(|missing| *missing)
}

/// What two steps gave.
fn both<A, B>(one: Needs<A>, other: Needs<B>) -> Needs<(A, B)> {
    Ok((one?, other?))
}
