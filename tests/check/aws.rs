//! The steps from the account to the records.

use jiff::{SignedDuration, Timestamp};
use support::flowlogs::{FlowLog, HEADER, gzip};
use support::parquet::{self, Form};
use support::portal::{LOGIN_PAGE, Portal};
use support::s3::{Operation, Rule, Trouble};

use crate::savings::saved;
use crate::world::{BUCKET, World};

/// The steps that read the bucket, in their order.
pub(crate) const READING: [&str; 7] = ["list", "newest", "get", "format", "flow logs", "volume", "savings"];

#[tokio::test]
async fn where_all_is_well_every_step_says_what_was_found() {
    let mut world = World::new().await;
    let quiet = world.generator.flow_log("111111111111", "eu-west-3");
    let busy = world.generator.flow_log("222222222222", "us-east-1").hive();
    world.an_hour_of(&quiet, 100);
    let newest = world.an_hour_of(&busy, 300);
    let newer = world.generator.object(&busy, Timestamp::now(), 300);
    world.s3.put(BUCKET, &newer.key, newer.body());
    let checked = world.check().await;
    assert_eq!(checked.code, 0, "{}", checked.text);
    checked.all_ok_but(&[]);
    assert_ne!(newest, newer.key);
    assert_eq!(checked.step("newest")["details"]["key"], newer.key);
    checked.is("account", "ok", &["ends in MPLE", "eu-west-3"]);
    checked.is("keys", "ok", &["arn:aws:iam::111111111111:user/"]);
    checked.is("list", "ok", &["25 objects", "AWSLogs/", "2 folders"]);
    checked.is("format", "ok", &["text with a header", "300 records", "lines", HEADER]);
    for log in [&quiet, &busy] {
        let named = format!("{} ({}, {}, aggregated over 1 min)", log.id, log.account, log.region);
        checked.is("flow logs", "ok", &["2 flow logs of 2 accounts in 2 regions", &named]);
    }
    // 12 objects an hour of each flow log.
    let details = &checked.step("volume")["details"];
    let records = details["records_per_hour"].as_f64().unwrap();
    assert!((4_400.0..5_200.0).contains(&records), "{records}");
    let gb = details["intake_gb_per_day"].as_f64().unwrap();
    let event_bytes = gb * 1e9 / 24.0 / records;
    assert!((80.0..140.0).contains(&event_bytes), "{event_bytes} bytes of an event");
    // What each option would save, in numbers that fit those of the volume.
    let savings = &checked.step("savings")["details"];
    let a_day = savings["records"].as_f64().unwrap();
    assert!(savings["per"] == "day" && (a_day - records * 24.0).abs() < 24.0, "{savings:#}");
    assert_eq!(saved(&checked, "all", "as configured"), (0.0, 0.0));
    let (rejected, no_data) =
        (saved(&checked, "actions", "[\"REJECT\"]"), saved(&checked, "exclude_no_data", "true"));
    assert!(no_data.0 > 0.0 && rejected.0 > 50.0, "{savings:#}");
    // What is left out is not in the estimate.
    world.argument("actions", serde_json::json!(["REJECT"]));
    world.argument("exclude_no_data", true);
    let checked = world.check().await;
    let details = checked.step("volume")["details"].clone();
    let events = details["events_per_hour"].as_f64().unwrap();
    assert!(events < records / 4.0, "{details}");
    assert!(details["intake_gb_per_day"].as_f64().unwrap() < gb / 4.0, "{details}");
    let savings = checked.step("savings")["details"]["saved"].as_array().unwrap().last().unwrap().clone();
    let left = a_day - savings["records"].as_f64().unwrap();
    assert!((left - 24.0 * events).abs() < 30.0, "{savings} {events}");
}

#[tokio::test]
async fn a_key_that_aws_does_not_take_ends_what_depends_on_it_and_nothing_else() {
    let world = World::with_secret("something else").await;
    let checked = world.check().await;
    checked.is("keys", "failed", &["`aws_secret_access_key`", "SignatureDoesNotMatch"]);
    checked.is("region", "skipped", &["`keys`"]);
    checked.are_skipped(&READING, "keys");
    checked.is("storage", "ok", &[]);
    checked.is("callback", "ok", &[]);
    assert_eq!(world.s3.count(Operation::List) + world.s3.count(Operation::HeadBucket), 0);
}

#[tokio::test]
async fn sts_out_of_reach_is_no_failure_because_the_trigger_does_not_need_it() {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.an_hour_of(&flow_log, 10);
    let gone = format!("http://127.0.0.1:{}", support::free_port());
    let checked = world.check_as(world.module().env("AWS_ENDPOINT_URL_STS", gone)).await;
    checked.is("keys", "warning", &["cannot reach AWS", "S3, not STS"]);
    checked.all_ok_but(&["keys"]);
}

#[tokio::test]
async fn s3_out_of_reach_is_told() {
    let world = World::new().await;
    let port = support::free_port().to_string();
    let gone = format!("http://127.0.0.1:{port}");
    let checked = world.check_as(world.module().env("AWS_ENDPOINT_URL_S3", gone)).await;
    checked.is("region", "failed", &["no answer", "reaches S3"]);
    checked.are_skipped(&READING, "region");
}

#[tokio::test]
async fn a_bucket_that_is_missing_or_elsewhere_is_told() {
    let mut world = World::new().await;
    world.s3.set_region(BUCKET, "us-east-2");
    let checked = world.check().await;
    checked.is("region", "failed", &["us-east-2", "eu-west-3", "set the account's region to us-east-2"]);
    checked.are_skipped(&READING, "region");
    world.argument("bucket_name", "no-such-bucket");
    let checked = world.check().await;
    checked.is("region", "failed", &["no-such-bucket", "check the bucket's name"]);
    checked.are_skipped(&READING, "region");
}

#[tokio::test]
async fn a_prefix_in_the_form_of_a_mistake_is_told_if_nothing_lies_below_it() {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.an_hour_of(&flow_log, 10);
    world.argument("prefix", "/AWSLogs/");
    let checked = world.check().await;
    checked.is("list", "failed", &["`prefix`, and it begins with a /", "enter `AWSLogs/`"]);
    checked.are_skipped(&READING[1..], "list");
    world.s3.add_rule(Rule::new(Operation::List, Trouble::ACCESS_DENIED));
    world.check().await.is("list", "failed", &["enter `AWSLogs/`"]);
    world.s3.clear_rules();
    let object = world.generator.object(&flow_log, Timestamp::now(), 10);
    world.s3.put(BUCKET, &format!("/{}", object.key), object.body());
    world.check().await.is("list", "ok", &["1 object "]);
}

#[tokio::test]
async fn what_answers_in_place_of_s3_and_what_cannot_be_asked_is_told() {
    let mut world = World::new().await;
    let portal = Portal::start("403 Forbidden", "", LOGIN_PAGE).await;
    let checked = world.check_as(world.module().env("AWS_ENDPOINT_URL_S3", portal.url())).await;
    checked.is("list", "failed", &["HTTP 403", "Sign in to the network", "something else than S3 answers"]);
    world.argument("bucket_name", "arn:aws:s3:eu-west-3:111122223333:accesspoint");
    let checked = world.check().await;
    checked.is("region", "failed", &["no request can be made", "AWS was not even asked"]);
    world.argument("bucket_name", "acme-flow-logs/AWSLogs");
    world.check().await.is("trigger", "failed", &["enter `acme-flow-logs` there, and `AWSLogs` as `prefix`"]);
}

#[tokio::test]
async fn without_the_permission_to_list_it_is_named() {
    let world = World::new().await;
    world.s3.add_rule(Rule::new(Operation::List, Trouble::ACCESS_DENIED));
    // S3 refuses both for want of the same permission.
    world.s3.add_rule(Rule::new(Operation::HeadBucket, Trouble::ACCESS_DENIED));
    let checked = world.check().await;
    checked.is("region", "ok", &["does not say"]);
    checked.is("list", "failed", &["AccessDenied", "s3:ListBucket on arn:aws:s3:::acme-flow-logs to"]);
    checked.are_skipped(&READING[1..], "list");
    checked.is("storage", "ok", &[]);
}

#[tokio::test]
async fn without_the_permission_to_get_or_to_decrypt_it_is_named() {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.an_hour_of(&flow_log, 10);
    for (trouble, parts) in [
        (Trouble::ACCESS_DENIED, ["AccessDenied", "s3:GetObject on arn:aws:s3:::acme-flow-logs/*"]),
        (Trouble::KMS_DENIED, ["kms:Decrypt on the resource", "allow kms:Decrypt on the objects' KMS key"]),
        (Trouble::KMS_DISABLED, ["KMS.DisabledException", "check that it is enabled"]),
    ] {
        world.s3.clear_rules();
        world.s3.add_rule(Rule::new(Operation::Get, trouble));
        let checked = world.check().await;
        checked.is("get", "failed", &parts);
        checked.are_skipped(&["format", "volume"], "get");
        checked.is("flow logs", "ok", &[&flow_log.id]);
    }
}

#[tokio::test]
async fn a_flow_log_whose_key_is_not_allowed_is_found_beside_one_that_can_be_read() {
    let mut world = World::new().await;
    let readable = world.generator.flow_log("222222222222", "eu-west-3");
    let encrypted = world.generator.flow_log("111111111111", "eu-west-3");
    world.an_hour_of(&encrypted, 10);
    world.an_hour_of(&readable, 10);
    let newest = world.generator.object(&readable, Timestamp::now(), 10);
    world.s3.put(BUCKET, &newest.key, newest.body());
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::KMS_DENIED).key_contains("111111111111"));
    let checked = world.check().await;
    checked.is("get", "ok", &[]);
    checked.is("flow logs", "failed", &[&encrypted.id, "kms:Decrypt"]);
}

#[tokio::test]
async fn nothing_there_yet_is_a_warning_and_so_is_nothing_new() {
    let mut world = World::new().await;
    let checked = world.check().await;
    checked.is("list", "warning", &["no flow log below AWSLogs/", "flow log is active"]);
    checked.are_skipped(&["get", "format"], "newest");
    assert_eq!(checked.code, 0);

    world.s3.put(BUCKET, "AWSLogs/111111111111/CloudTrail/eu-west-3/2026/11/22/x.json.gz", "x");
    let checked = world.check().await;
    checked.is("list", "warning", &["no flow log", "AWSLogs/111111111111/"]);

    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let time = Timestamp::now() - SignedDuration::from_hours(24 * 40);
    for (hours, records) in [(0, 5), (30, 10)] {
        let time = time + SignedDuration::from_hours(hours);
        let object = world.generator.object(&flow_log, time, records);
        world.s3.put_at(BUCKET, &object.key, object.body(), time);
    }
    let checked = world.check().await;
    checked.is("newest", "warning", &["38 d ", "still active"]);
    checked.is("format", "ok", &["10 records"]);
    assert_eq!(checked.code, 0);
}

#[tokio::test]
async fn what_is_no_flow_log_is_told() {
    let mut world = World::new().await;
    world.argument("prefix", "exported/");
    world.s3.put(BUCKET, "exported/part-1.gz", gzip("colour shape\nred round\n"));
    let checked = world.check().await;
    checked.is("list", "warning", &["1 object ", "in no folder that AWS uses"]);
    checked.is("format", "failed", &["exported/part-1.gz", "not a flow log", "set a prefix"]);
    checked.are_skipped(&["volume"], "format");
}

#[tokio::test]
async fn a_folder_that_cannot_be_listed_is_told_and_the_others_are_looked_at() {
    for folder in
        ["AWSLogs/222222222222/vpcflowlogs/", "AWSLogs/222222222222/vpcflowlogs/eu-west-3/", "AWSLogs/o-1/"]
    {
        let mut world = World::new().await;
        let healthy = world.generator.flow_log("111111111111", "eu-west-3");
        let denied = world.generator.flow_log("222222222222", "eu-west-3");
        world.an_hour_of(&healthy, 10);
        world.an_hour_of(&denied, 10);
        world.s3.put(BUCKET, "AWSLogs/o-1/111111111111/x", "x");
        world.s3.add_rule(Rule::new(Operation::List, Trouble::ACCESS_DENIED).key_contains(folder));
        let checked = world.check().await;
        let right =
            format!("allow s3:ListBucket on arn:aws:s3:::acme-flow-logs with the prefix {folder}* to");
        let told = format!("what is in {folder} is not delivered");
        let objects = if folder == "AWSLogs/o-1/" { "24 objects" } else { "12 objects" };
        checked.is("list", "warning", &[objects, &told, "AccessDenied", &right]);
        checked.is("format", "ok", &[]);
        // Where there is nothing else, it is a failure.
        for key in world.s3.keys(BUCKET).iter().filter(|key| key.contains("/111111111111_")) {
            world.s3.remove(BUCKET, key);
        }
        if folder.contains("222222222222") {
            let checked = world.check().await;
            checked.is("list", "failed", &["AccessDenied", folder]);
        }
    }
}

#[tokio::test]
async fn flow_logs_in_folders_of_any_depth_are_found() {
    let cases = [
        ("", "a/b/c/d/e/f/AWSLogs/", "ok", "in 1 folder of account and region"),
        ("", "awslogs/", "warning", "in no folder that AWS uses"),
        ("", "AWSLogs/unit/team/", "warning", "in no folder that AWS uses"),
        ("exports/", "exports/2026/11/22/05/part/", "warning", "in no folder that AWS uses"),
    ];
    for (prefix, folder, outcome, part) in cases {
        let mut world = World::new().await;
        world.argument("prefix", prefix);
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        let object = world.generator.object(&flow_log, Timestamp::now(), 10);
        world.s3.put(BUCKET, &object.key.replace("AWSLogs/", folder), object.body());
        let checked = world.check().await;
        checked.is("list", outcome, &["1 object", part]);
        checked.is("format", "ok", &["10 records"]);
    }
}

#[tokio::test]
async fn that_not_everything_was_looked_through_is_told() {
    let mut world = World::new().await;
    world.argument("prefix", "");
    for folder in 0..50_000 {
        world.s3.put(BUCKET, &format!("reports/{folder}/x.csv"), "x");
    }
    let checked = world.check().await;
    checked.is("list", "warning", &["no flow log", "set the prefix to the folder that holds AWSLogs/"]);
    assert_eq!(checked.step("list")["details"]["is_complete"], false);
}

#[tokio::test]
async fn parquet_and_lines_that_the_parser_does_not_read_go_out_as_json() {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3").parquet();
    let records = world.generator.object(&flow_log, Timestamp::now(), 50).records;
    let body = parquet::file(HEADER, &records, &Form::default());
    world.s3.put(BUCKET, &flow_log.key(Timestamp::now(), "1"), body);
    let checked = world.check().await;
    checked.is("format", "ok", &["Parquet", "50 records", "JSON", HEADER]);
    assert_eq!(checked.step("format")["details"]["json"], 50);

    let mut world = World::new().await;
    let text = "srcaddr dstaddr start end\n10.0.0.1 10.0.0.2 100 700\n10.0.0.1 10.0.0.2\n";
    let key = FlowLog::new("111111111111", "eu-west-3", "fl-1").key(Timestamp::now(), "1");
    world.s3.put(BUCKET, &key, gzip(text));
    let checked = world.check().await;
    let wrong = "1 record of ";
    checked.is("format", "warning", &["does not read", "JSON", "4 fields: srcaddr dstaddr start end", wrong]);
    checked.is("flow logs", "ok", &["aggregated over 10 min"]);
    world.argument("record_format", "raw");
    world.check().await.is(
        "format",
        "warning",
        &["as `record_format` says", "set `record_format` to `auto`"],
    );
}

#[tokio::test]
async fn lines_that_the_parser_does_not_read_for_their_values_are_told_from_those_it_reads() {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.generator.object(&flow_log, Timestamp::now(), 20);
    let mut records = object.records;
    records[3] = records[3].replacen("111111111111", "unknown", 1);
    let text = |records: &[String]| format!("{HEADER}\n{}\n", records.join("\n"));
    world.s3.put(BUCKET, &object.key, [&gzip(text(&records))[..], b"more"].concat());
    let checked = world.check().await;
    checked.is(
        "format",
        "warning",
        &["20 records", "lines", "1 of them as JSON", "something follows the gzip data"],
    );
    assert_eq!(checked.step("format")["details"]["lines_are_parsed"], false);
    // Without gzip.
    world.s3.put(BUCKET, &object.key, text(&records));
    world.check().await.is("format", "ok", &["text with a header", "20 records", "1 of them as JSON"]);
    world.argument("record_format", "raw");
    let advice = "set `record_format` to `auto`";
    world.check().await.is("format", "warning", &["does not read 1 line of these fields", advice]);
    records.iter_mut().for_each(|record| *record = record.replacen("2 ", "11 ", 1));
    world.s3.put(BUCKET, &object.key, gzip(text(&records)));
    world.check().await.is("format", "warning", &["does not read 20 lines of these fields", advice]);
    world.argument("record_format", "auto");
    world.check().await.is("format", "ok", &["with such a version or account, so they go out as JSON"]);
}

#[tokio::test]
async fn of_a_day_in_folders_of_hours_only_the_last_ones_are_looked_at_where_it_is_long() {
    let mut world = World::new().await;
    let now: Timestamp = "2026-11-20T23:30:00Z".parse().unwrap();
    world.s3.clock().set_fixed(now);
    for number in 1..=5 {
        let log = FlowLog::new("111111111111", "eu-west-3", &format!("fl-{number:017x}")).hourly();
        for slot in 1..=282 {
            let object = world.generator.object(&log, now - SignedDuration::from_mins(slot * 5), 1);
            let time = now - SignedDuration::from_mins(slot * 5);
            world.s3.put_at(BUCKET, &object.key, object.body(), time);
        }
    }
    let checked = world.check().await;
    // From 21:00 to 23:25, in a call for each of the three folders above, one that shows the hours and one for them.
    checked.is("list", "ok", &["150 objects"]);
    assert_eq!(checked.step("list")["details"]["calls"], 5);
    assert_eq!(checked.step("list")["details"]["is_complete"], true);
    let newest = checked.step("newest")["details"]["key"].as_str().unwrap().to_owned();
    assert!(newest.contains("20261120T2325Z"), "{newest}");
}

#[tokio::test]
async fn a_bucket_with_many_flow_logs_takes_a_hundred_calls_to_list_at_most() {
    let mut world = World::new().await;
    let now: Timestamp = "2026-11-20T23:30:00Z".parse().unwrap();
    world.s3.clock().set_fixed(now);
    let one = world.generator.object(&FlowLog::new("1", "r", "fl"), now, 10).body();
    // 50 accounts in two regions, ten flow logs in each, from noon on.
    for log in 0..1_000 {
        let account = format!("{:012}", 111_111_111_111_u64 + log % 50);
        let region = if log % 100 < 50 { "eu-west-3" } else { "us-east-1" };
        let log = FlowLog::new(&account, region, &format!("fl-{log:017x}"));
        for slot in 1..=120 {
            let time = now - SignedDuration::from_mins(slot * 5);
            world.s3.put_at(BUCKET, &log.key(time, "1"), one.clone(), time);
        }
    }
    let (_, before) = (world.check().await, world.s3.requests().len());
    let checked = world.check().await;
    let requests = world.s3.requests().split_off(before);
    let count = |operation| requests.iter().filter(|request| request.operation == operation).count();
    // The check was made twice, as text and as JSON.
    assert_eq!(count(Operation::List), 2 * 100);
    assert!(count(Operation::Get) <= 2 * 11, "{}", count(Operation::Get));
    checked.is("list", "ok", &["at least", "in 60 of at least 78 folders"]);
    checked.is("volume", "ok", &["at least"]);
    assert_eq!(checked.step("list")["details"]["is_complete"], false);
    assert_eq!(checked.code, 0, "{}", checked.text);
}
