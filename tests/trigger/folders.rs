//! Folders: those that cannot be listed, those that AWS does not use, and what no listing shows at all.

use support::eventually;
use support::flowlogs::FlowLog;
use support::module::Process;
use support::s3::{Operation, Rule, Trouble};

use crate::world::{BUCKET, PATIENCE, World, stop};

/// How many lines of the log contain all of these.
fn said(process: &Process, parts: &[&str]) -> usize {
    let lines = process.stderr().all();
    lines.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

/// Waits for so many polls that list something.
async fn polls(world: &World, count: usize) {
    let listed = world.s3.count(Operation::List) + count;
    assert!(eventually(PATIENCE, || world.s3.count(Operation::List) >= listed).await);
}

/// A trigger that has delivered two flow logs, of which the folder of the first can be listed no longer.
async fn one_of_two_denied() -> (World, Process, [FlowLog; 2]) {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let denied = world.generator.flow_log("111111111111", "eu-west-3");
    let other = world.generator.flow_log("222222222222", "eu-west-3");
    world.put(&denied, 5, 10);
    world.put(&other, 5, 10);
    let process = world.start().await;
    world.all_arrive(&process).await;
    world.s3.add_rule(Rule::new(Operation::List, Trouble::ACCESS_DENIED).key_contains(denied.prefix()));
    world.until_logged("warning", "a folder cannot be listed").await;
    (world, process, [denied, other])
}

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what
/// can be put right is tried again.
#[tokio::test]
async fn folders_that_cannot_be_listed_hold_back_no_other_and_all_of_them_arrives_once_they_can() {
    let mut world = World::new().await;
    world.argument("prefix", "");
    world.argument("start_from", "beginning");
    let healthy = world.generator.flow_log("555555555555", "eu-west-3");
    // An account; a region; an organisation; a folder that is found by those beside it; one whose page is no XML.
    let bad = [
        ("AWSLogs/111111111111/vpcflowlogs/", Trouble::ACCESS_DENIED),
        ("AWSLogs/222222222222/vpcflowlogs/us-east-1/", Trouble::ACCESS_DENIED),
        ("AWSLogs/o-1/", Trouble::ACCESS_DENIED),
        ("central/AWSLogs/", Trouble::ACCESS_DENIED),
        ("AWSLogs/333333333333/vpcflowlogs/", Trouble::CorruptBody(0)),
    ];
    let flow_logs = [
        ("111111111111", "eu-west-3", ""),
        ("222222222222", "us-east-1", ""),
        ("222222222222", "us-east-1", "AWSLogs/o-1/"),
        ("222222222222", "us-east-1", "central/AWSLogs/"),
        ("333333333333", "eu-west-3", ""),
    ];
    for (folder, trouble) in &bad {
        world.s3.add_rule(Rule::new(Operation::List, trouble.clone()).key_contains(*folder));
    }
    let mut held = Vec::new();
    let mut put_all = |world: &mut World| {
        for (account, region, above) in flow_logs {
            let flow_log = world.generator.flow_log(account, region);
            let object = world.object(&flow_log, 5, 10);
            let key =
                if above.is_empty() { object.key.clone() } else { object.key.replace("AWSLogs/", above) };
            world.s3.put(BUCKET, &key, object.body());
            held.extend(object.records);
        }
    };
    put_all(&mut world);
    world.put(&healthy, 5, 10);
    let process = world.start().await;
    world.all_arrive(&process).await;
    put_all(&mut world);
    for _ in 0..3 {
        world.put(&healthy, 5, 10);
        world.all_arrive(&process).await;
    }
    for (folder, trouble) in bad {
        let cause = if trouble == Trouble::ACCESS_DENIED { "AccessDenied" } else { "HTTP 200" };
        let named = ["WARN", "a folder cannot be listed", &format!("folder={folder:?}"), cause];
        let is_named = || {
            said(&process, &named) == 1 || said(&process, &["a folder cannot be listed", folder, cause]) == 1
        };
        assert!(eventually(PATIENCE, is_named).await, "{folder}: {}", process.stderr().text());
        let right = format!("allow s3:ListBucket on arn:aws:s3:::{BUCKET} with the prefix {folder}* ");
        assert_eq!(said(&process, &[&right]), usize::from(cause == "AccessDenied"), "{right}");
    }
    assert_eq!(said(&process, &["cannot look for flow logs"]), 0);
    world.s3.clear_rules();
    world.expected.extend(held);
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what
/// can be put right is tried again.
#[tokio::test]
async fn a_folder_is_not_done_with_while_it_cannot_be_listed() {
    let (mut world, process, [denied, other]) = one_of_two_denied().await;
    let late = world.object(&denied, 5, 10);
    world.s3.put(BUCKET, &late.key, late.body());
    // Four days go by, in which the window passes the object.
    world.s3.clock().set_skew(jiff::SignedDuration::from_hours(96));
    for _ in 0..3 {
        world.put(&other, 5, 10);
        world.all_arrive(&process).await;
    }
    let before = world.s3.requests().len();
    world.s3.clear_rules();
    world.expected.extend(late.records);
    world.all_arrive(&process).await;
    // The first listing that is allowed finds it, not the sweep.
    let requests = world.s3.requests().split_off(before);
    let listed = requests.iter().find(|request| request.key == denied.prefix() && request.status == 200);
    assert!(listed.unwrap().query("start-after").is_some_and(|start| start < late.key.as_str()));
    stop(process).await;
}

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what
/// can be put right is tried again.
#[tokio::test]
async fn a_straggler_is_found_although_the_folder_that_is_swept_before_its_own_cannot_be_listed() {
    let (mut world, process, [_, other]) = one_of_two_denied().await;
    world.put(&other, 5 * 24 * 60, 10);
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what
/// can be put right is tried again.
#[tokio::test]
async fn a_prefix_that_is_listed_whole_and_cannot_be_for_a_while_loses_nothing() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    world.argument("prefix", "exports/");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let put = |world: &mut World, minutes: i64| {
        let object = world.object(&flow_log, minutes, 10);
        world.s3.put(BUCKET, &object.key.replace("AWSLogs/", "exports/of/it/"), object.body());
        world.expected.extend(object.records);
    };
    put(&mut world, 5);
    let process = world.start().await;
    world.all_arrive(&process).await;
    world.s3.add_rule(Rule::new(Operation::List, Trouble::ACCESS_DENIED));
    world.until_logged("error", "cannot look for flow logs").await;
    put(&mut world, 5);
    put(&mut world, 5 * 24 * 60);
    world.s3.clear_rules();
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 14: Every object below the prefix is delivered, known not to be a flow log, or named.
#[tokio::test]
async fn flow_logs_are_found_in_whatever_folders_they_lie() {
    let layouts: [(&str, &str, &str); 8] = [
        ("", "AWSLogs/", "a/b/c/d/e/f/AWSLogs/"),
        ("a/", "AWSLogs/", "a/b/c/d/e/f/g/AWSLogs/"),
        ("", "AWSLogs/", "awslogs/"),
        ("", "AWSLogs/", "AWSLogs/unit/team/"),
        ("AWSLogs/", "AWSLogs/", "AWSLogs/a/b/c/d/"),
        ("", "AWSLogs/", "backup/of/2026/11/22/05/"),
        ("AWSLogs/", "vpcflowlogs/eu-west-3/", ""),
        ("exports/", "AWSLogs/", "exports/2026/11/22/05/part/of/it/"),
    ];
    for (prefix, part, replaced) in layouts {
        let mut world = World::new().await;
        world.argument("prefix", prefix);
        world.argument("start_from", "beginning");
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        for _ in 0..2 {
            let object = world.object(&flow_log, 5, 10);
            world.s3.put(BUCKET, &object.key.replace(part, replaced), object.body());
            world.expected.extend(object.records);
        }
        // Other things that are there.
        for day in 1..29 {
            world.s3.put(BUCKET, &format!("2026-02-{day:02}/report.csv"), "a,b");
        }
        let process = world.start().await;
        world.all_arrive(&process).await;
        // What lies in the folders that AWS uses, wherever they are, is not listed whole.
        let is_whole = !replaced.ends_with("/AWSLogs/");
        let warned = said(&process, &["every poll lists all objects below the prefix"]);
        assert_eq!(warned, usize::from(is_whole), "{prefix:?} {replaced:?}: {}", process.stderr().text());
        let object = world.object(&flow_log, 5, 10);
        world.s3.put(BUCKET, &object.key.replace(part, replaced), object.body());
        world.expected.extend(object.records);
        world.all_arrive(&process).await;
        stop(process).await;
    }
}

/// Guarantee 14: Every object below the prefix is delivered, known not to be a flow log, or named.
#[tokio::test]
async fn keys_with_any_characters_are_found_and_read() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let process = world.start().await;
    for odd in ["a b+c", "100%25", "\u{1}\u{b}\u{1f}", "line\nend\r", "é&<>\"'", "\u{ffff}"] {
        let object = world.object(&flow_log, 5, 10);
        world.s3.put(BUCKET, &object.key.replace(".log.gz", &format!("{odd}.log.gz")), object.body());
        world.expected.extend(object.records);
    }
    world.all_arrive(&process).await;
    stop(process).await;
    // In the names of folders too, and in a prefix.
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    world.argument("prefix", "our logs+\u{1}/");
    for folder in ["our logs+\u{1}/a b/", "our logs+\u{1}/\u{2}/AWSLogs/"] {
        let object = world.object(&flow_log, 5, 10);
        world.s3.put(BUCKET, &object.key.replace("AWSLogs/", folder), object.body());
        world.expected.extend(object.records);
    }
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 14: Every object below the prefix is delivered, known not to be a flow log, or named.
#[tokio::test]
async fn a_prefix_below_which_there_is_no_flow_log_is_said_once() {
    const NOTHING: &str = "nothing lies below the prefix";
    const OTHERS: &str = "no flow log lies below the prefix, only other things";
    let cases = [
        ("AWSLogs-misspelt/", NOTHING),
        ("AWSLogs/111111111111/vpcflowlogs/eu-west-3/", NOTHING),
        ("other/", OTHERS),
        ("AWSLogs/222222222222/", OTHERS),
    ];
    for (prefix, message) in cases {
        let mut world = World::new().await;
        world.argument("prefix", prefix);
        world.s3.put(BUCKET, "other/AWSLogs/111111111111/CloudTrail/eu-west-3/x.json.gz", "x");
        world.s3.put(BUCKET, "AWSLogs/222222222222/CloudTrail/eu-west-3/x.json.gz", "x");
        let process = world.start().await;
        world.until_logged("warning", message).await;
        assert_eq!(said(&process, &[prefix, message]), 1, "{}", process.stderr().text());
        polls(&world, 4).await;
        assert_eq!(said(&process, &["the prefix"]), 1, "{}", process.stderr().text());
        stop(process).await;
    }
}
