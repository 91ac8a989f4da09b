//! What the walk and the lanes find, against what a listing of everything finds: over keys and layouts as proptest draws
//! them.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_flowlogs::config::TriggerConfiguration;
use aws_flowlogs::contract::{Claim, Limits, Position};
use aws_flowlogs::layout::lane::{Lane, is_flow_log};
use aws_flowlogs::observe::Observer;
use aws_flowlogs::pipeline::batch::{Batch, Cursor};
use aws_flowlogs::sink::Receipt;
use aws_flowlogs::source::listing::cooldown::Cooldown;
use aws_flowlogs::source::listing::discover::Discovery;
use aws_flowlogs::source::listing::discover::names::Judges;
use aws_flowlogs::source::listing::ledger::Ledger;
use aws_flowlogs::source::listing::presence::Instance;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::life;
use super::plan::{Plan, Planned};
use super::world::World;

const START: &str = "2026-03-01T01:30:00Z";
/// The second half of the objects comes so long after the first.
const LATER: Duration = Duration::from_secs(600);
/// Polls in which the walk comes round in any of these buckets, and polls in which nothing may be found again.
const ROUND: usize = 2_000;
const AFTER: usize = 50;

/// An object to be: its folder above, its layout, its flow log, and how old its name makes it.
fn key(hours: std::ops::Range<i64>) -> impl Strategy<Value = String> {
    let above = prop::sample::select(vec!["", "", "central/", "a/b/", "AWSLogs-copy/", "a/b/c/d/e/f/"]);
    let account = prop::sample::select(vec!["111111111111", "222222222222", "o-1/111111111111"]);
    let region = prop::sample::select(vec!["eu-west-3", "us-east-1"]);
    let layout = 0..9_u8;
    (above, account, region, layout, 0..4_u8, hours, any::<u16>()).prop_map(
        |(above, account, region, layout, flow_log, hours, hash)| {
            let start: Timestamp = START.parse().unwrap();
            let named = start - SignedDuration::from_hours(hours);
            let day = named.strftime("%Y/%m/%d").to_string();
            let hive_day = named.strftime("year=%Y/month=%m/day=%d").to_string();
            let (hour, hive_hour) = (named.strftime("%H").to_string(), named.strftime("hour=%H").to_string());
            let (organisation, own) = account.split_at(account.rfind('/').map_or(0, |slash| slash + 1));
            let hive =
                format!("{organisation}aws-account-id={own}/aws-service=vpcflowlogs/aws-region={region}");
            let plain = format!("{account}/vpcflowlogs/{region}");
            let time = named.strftime("%Y%m%dT%H%MZ");
            let file = format!("{own}_vpcflowlogs_{region}_fl-{flow_log}_{time}_{hash:04x}.log.gz");
            match layout {
                0..=1 => format!("{above}AWSLogs/{plain}/{day}/{file}"),
                2 => format!("{above}AWSLogs/{plain}/{day}/{hour}/{file}"),
                3 => format!("{above}AWSLogs/{hive}/{hive_day}/{file}"),
                4 => format!("{above}AWSLogs/{hive}/{hive_day}/{hive_hour}/{file}"),
                // What else lies in such buckets.
                5 => format!(
                    "{above}AWSLogs/{account}/CloudTrail/{region}/{day}/{own}_CloudTrail_{hash:04x}.json.gz"
                ),
                6 => {
                    format!("{above}AWSLogs/{account}/elasticloadbalancing/{region}/{day}/{hash:04x}.log.gz")
                }
                7 => format!("{above}AWSLogs/{plain}/{day}/"),
                _ => format!("{above}reports/{hash:04x}.csv"),
            }
        },
    )
}

/// A prefix as users give it: one that stops anywhere in a key.
fn prefix_of(keys: &[String], which: prop::sample::Index, length: prop::sample::Index) -> String {
    let key = which.get(keys);
    key[..length.index(key.len() + 1)].to_owned()
}

fn planned(key: &str, appears: Timestamp) -> Planned {
    let body = if key.ends_with('/') { Bytes::new() } else { Bytes::from_static(b"x") };
    let records = Vec::new();
    Planned {
        key: key.to_owned(),
        body,
        records,
        appears,
        taken: appears,
        vanishes: None,
        replaces: None,
        is_corrupt: false,
    }
}

/// Polls once and takes all that is found for delivered.
async fn poll(discovery: &mut Discovery, ledger: &Ledger) -> Vec<String> {
    let (claims, mut claimed) = mpsc::channel(1_000);
    let mut found = Vec::new();
    let take = async {
        let mut batch =
            Batch::new(Limits { records: 1, bytes: 1, record_bytes: None, side_by_side: 1, linger: None });
        while let Some(Claim { object, .. }) = claimed.recv().await {
            found.push(object.key.clone());
            batch.end(&Cursor::new(None, object, Position::default()));
        }
        if !batch.is_empty() {
            ledger.commit(Receipt::for_no_records(&batch.seal("").pending).unwrap());
            ledger.flush().await.unwrap();
        }
    };
    let (polled, ()) = tokio::join!(discovery.poll(claims), take);
    polled.unwrap();
    discovery.settle().await.unwrap();
    found
}

fn expected<'a>(keys: impl IntoIterator<Item = &'a String>, prefix: &str) -> BTreeSet<&'a str> {
    let keys = keys.into_iter().map(String::as_str);
    keys.filter(|key| key.starts_with(prefix) && is_flow_log(key, prefix) && !key.ends_with('/')).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_walk_finds_exactly_what_a_listing_of_everything_finds(
        old in prop::collection::btree_set(key(0..200), 1..40),
        new in prop::collection::btree_set(key(0..22), 0..20),
        (which, length) in any::<(prop::sample::Index, prop::sample::Index)>(),
        is_whole in any::<bool>(),
    ) {
        let new: BTreeSet<String> = new.difference(&old).cloned().collect();
        let keys: Vec<String> = old.iter().cloned().collect();
        let prefix = if is_whole { String::new() } else { prefix_of(&keys, which, length) };
        let start: Timestamp = START.parse().unwrap();
        let later = start + SignedDuration::try_from(LATER).unwrap();
        let before = old.iter().map(|key| planned(key, start - SignedDuration::from_hours(1)));
        let objects = before.chain(new.iter().map(|key| planned(key, later))).collect();
        let arguments = json!({"bucket_name": "logs", "prefix": prefix, "start_from": "beginning"});
        let plan = Plan { objects, start, arguments, trouble: 0, denied: None, ..Plan::of(0) };
        let world = World::new(plan);
        let configuration = TriggerConfiguration::read(world.plan.arguments.clone()).unwrap();
        let both = life::in_runtime(async {
            world.begin_life();
            let (bucket, context) = life::parts(&world, &configuration, 0);
            let instance = Instance { id: uuid::Uuid::nil(), trigger: None, started: Instant::now() };
            let ledger = Ledger::open(&configuration, &bucket, &context, instance).await.unwrap();
            let (cooldown, observer) =
                (Cooldown::new(configuration.frequency), Observer::new(Some(&bucket), &context.metrics));
            let judges = Judges { bucket, ledger: ledger.clone(), cooldown, observer };
            let mut discovery = Discovery::new(&configuration, judges, context);
            let first = poll(&mut discovery, &ledger).await;
            let idle = poll(&mut discovery, &ledger).await;
            life::pass(LATER).await;
            let next = poll(&mut discovery, &ledger).await;
            // A new account or region is found by the next walk, which is not in every poll.
            let mut second = [idle, next.clone()].concat();
            let wanted = expected(&new, &prefix).len();
            let mut left = ROUND;
            while left > 0 {
                left = if second.len() < wanted { left - 1 } else { left.min(AFTER) - 1 };
                life::pass(configuration.frequency).await;
                second.extend(poll(&mut discovery, &ledger).await);
            }
            Ok((first, next, second))
        });
        let (first, next, second) = both.unwrap();
        let known: BTreeSet<Lane> = first.iter().filter_map(|key| Lane::around(key)).collect();
        let at_once = new.iter().filter(|key| Lane::around(key).is_some_and(|lane| known.contains(&lane)));
        let next: BTreeSet<&str> = next.iter().map(String::as_str).collect();
        prop_assert!(expected(at_once, &prefix).is_subset(&next), "found by the next poll: {:?}", next);
        prop_assert_eq!(first.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected(&old, &prefix));
        prop_assert_eq!(second.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected(&new, &prefix));
        prop_assert_eq!(first.len() + second.len(), expected(&old, &prefix).len() + expected(&new, &prefix).len());
    }
}
