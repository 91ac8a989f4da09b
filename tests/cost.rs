//! What a poll costs in a bucket with a million objects, counted at the server.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the code of a test outside its functions: what breaks ends the test"
)]

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::flowlogs::{FlowLog, Generator};
use support::module::{Module, Process};
use support::platform::{Platform, Setup};
use support::s3::{Operation, Request, Server};
use support::usage::peak_kib;
use support::{eventually, free_port};

const BUCKET: &str = "a-large-bucket";
const PATIENCE: Duration = Duration::from_secs(300);
/// In the hour of the day in which the window holds the most keys.
const LATE: [&str; 2] = ["2026-11-20T23:20:00Z", "2026-11-20T23:50:00Z"];

/// What the trigger did in a bucket as it would be at [`LATE`].
struct Measured {
    /// LIST calls of each poll, the walk and the sweep that fall into it included.
    calls: Vec<usize>,
    /// Peak memory of the process, in KiB.
    peak_kib: usize,
    /// GET calls.
    gets: usize,
}

/// What comes while it is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Traffic {
    /// Nothing new.
    Idle,
    /// A new object in every poll.
    Busy,
}

async fn measure(
    prefix: &str,
    flow_logs: &[FlowLog],
    days: i64,
    polls: usize,
    traffic: Traffic,
    others: &[String],
) -> Measured {
    let server = Server::start("AKIAIOSFODNN7EXAMPLE", "secret").await;
    let s3 = server.control();
    s3.create_bucket(BUCKET);
    let times = LATE.map(|time| time.parse::<Timestamp>().unwrap());
    s3.clock().set_fixed(times[0]);
    let first = times[0].checked_sub(SignedDuration::from_hours(24 * days)).unwrap();
    let fill = |from: Timestamp, to: Timestamp| {
        for flow_log in flow_logs {
            let mut time = from;
            while time < to {
                let key = flow_log.key(time, &format!("{:08x}", time.as_second()));
                s3.put_at(BUCKET, &key, bytes::Bytes::from_static(b"x"), first);
                time += SignedDuration::from_mins(5);
            }
        }
    };
    // AWS is some ten minutes late.
    let behind = SignedDuration::from_mins(10);
    fill(first, times[0] - behind);
    others.iter().for_each(|key| s3.put_at(BUCKET, key, "x", first));
    let storage = tempfile::tempdir().unwrap();
    let platform = Platform::start(
        Setup::new(storage.path()).module_secrets(json!({"aws_secret_access_key": "secret"})),
    )
    .await;
    let arguments = json!({"bucket_name": BUCKET, "prefix": prefix, "frequency": 1});
    let mut process = start(&server, &platform, storage.path(), &arguments);
    // A poll begins with the first lane.
    let lists = || -> Vec<Request> {
        s3.requests().into_iter().filter(|request| request.operation == Operation::List).collect()
    };
    let begins = |request: &Request, first: &Request| {
        request.key == first.key
            && request.query("continuation-token").is_none()
            && request.query("start-after").is_some()
    };
    let polls_of = |lists: &[Request]| -> Vec<usize> {
        // Sweeps list a lane too, but not from a day within the window on.
        let is_lane = |request: &&Request| {
            request
                .query("start-after")
                .is_some_and(|start| start.contains("2026/11/19") || start.contains("day=19"))
        };
        let Some(first) = lists.iter().find(is_lane) else { return Vec::new() };
        let starts =
            lists.iter().enumerate().filter(|(_, request)| is_lane(request) && begins(request, first));
        starts.map(|(place, _)| place).collect()
    };
    let mut generator = Generator::new(1);
    let mut put_new = |time: Timestamp| {
        let object = generator.object(&flow_logs[0], time, 10);
        s3.put(BUCKET, &object.key, object.body());
    };
    let mut calls = Vec::new();
    let mut filled = times[0] - behind;
    for time in times {
        s3.clock().set_fixed(time);
        fill(filled, time - behind);
        filled = time - behind;
        // The first polls at a time learn what is cheapest.
        let before = polls_of(&lists()).len() + 2;
        let (mut listed, mut polled) = (0, 0);
        let has_polled = || {
            // Looking through all requests costs more than the poll itself.
            let lists_so_far = s3.count(Operation::List);
            if std::mem::replace(&mut listed, lists_so_far) == lists_so_far {
                return false;
            }
            let count = polls_of(&lists()).len();
            if std::mem::replace(&mut polled, count) != count && traffic == Traffic::Busy {
                put_new(time - behind);
            }
            count > before + polls / times.len()
        };
        let done = eventually(PATIENCE, has_polled).await;
        assert!(done, "{}", process.stderr().text());
        let starts = polls_of(&lists());
        calls.extend(starts[before..].windows(2).map(|poll| poll[1] - poll[0]));
    }
    let peak_kib = peak_kib(&process).unwrap();
    process.stop(Duration::from_secs(10)).await.unwrap();
    Measured { calls, peak_kib, gets: s3.count(Operation::Get) }
}

fn start(server: &Server, platform: &Platform, storage: &Path, arguments: &Value) -> Process {
    let account = json!({"aws_access_key": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "", "aws_region_name": "eu-west-3"});
    Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), "fetch_flowlogs")
        .value("module_configuration", account)
        .value("trigger_configuration", arguments)
        .value("token", platform.token())
        .value("url_callback", platform.url_callback())
        .value("liveness_port", free_port())
        .value("metrics_port", free_port())
        .storage(storage)
        .aws_endpoint(&server.endpoint_url())
        .start()
}

/// 200 flow logs in 50 lanes.
fn two_hundred_flow_logs() -> Vec<FlowLog> {
    let mut flow_logs = Vec::new();
    for account in 0..10 {
        for region in ["eu-west-1", "eu-west-2", "eu-west-3", "us-east-1", "us-west-2"] {
            for id in 0..4 {
                flow_logs.push(FlowLog::new(
                    &format!("{account:012}"),
                    region,
                    &format!("fl-0{account}{id}"),
                ));
            }
        }
    }
    flow_logs
}

/// Calls of a poll, on average.
fn mean(measured: &Measured) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of calls are small")]
    let (sum, count) = (measured.calls.iter().sum::<usize>() as f64, measured.calls.len() as f64);
    sum / count
}

/// Guarantee 11: The number of calls of a poll does not grow with what the bucket holds.
#[tokio::test]
async fn a_million_objects_of_two_hundred_flow_logs_cost_150_calls_a_poll_at_most() {
    for is_hive in [false, true] {
        let flow_logs = two_hundred_flow_logs().into_iter();
        let flow_logs: Vec<_> =
            flow_logs.map(|flow_log| if is_hive { flow_log.hive() } else { flow_log }).collect();
        let traffic = if is_hive { Traffic::Busy } else { Traffic::Idle };
        let measured = measure("AWSLogs/", &flow_logs, 17, 4, traffic, &[]).await;
        println!("hive: {is_hive}, calls a poll: {:?}, peak: {} KiB", measured.calls, measured.peak_kib);
        assert!(mean(&measured) <= 150.0, "{:?}", measured.calls);
        assert!(measured.peak_kib < 64 * 1024, "{} KiB", measured.peak_kib);
        match traffic {
            Traffic::Idle => assert_eq!(measured.gets, 0, "nothing of the past is read"),
            Traffic::Busy => assert!(measured.gets >= measured.calls.len(), "something is new in every poll"),
        }
    }
}

/// Guarantee 11: The number of calls of a poll does not grow with what the bucket holds.
#[tokio::test]
async fn a_single_flow_log_costs_little_more_than_a_call_a_poll() {
    let flow_log = FlowLog::new("111111111111", "eu-west-3", "fl-0a");
    let flow_logs = std::slice::from_ref(&flow_log);
    // Folders that hold no flow logs, and folders that might.
    let others: Vec<String> = (0..365).map(|day| format!("reports-{day:03}/of/the/day.csv")).collect();
    let prefixes = ["", "AWSLogs/", "AWSLogs/111111111111/vpcflowlogs/eu-west-3/"];
    let cases = [Traffic::Idle, Traffic::Busy].map(|traffic| prefixes.map(|prefix| (prefix, traffic)));
    let cases = cases.as_flattened();
    let measured =
        cases.iter().map(|(prefix, traffic)| measure(prefix, flow_logs, 17, 60, *traffic, &others));
    for ((prefix, traffic), measured) in cases.iter().zip(futures_util::future::join_all(measured).await) {
        let is_busy = *traffic == Traffic::Busy;
        println!(
            "prefix {prefix:?}, busy: {is_busy}, calls a poll: {:.3}, peak: {} KiB",
            mean(&measured),
            measured.peak_kib
        );
        assert!(mean(&measured) <= 1.2, "{prefix:?}, busy: {is_busy}: {:?}", measured.calls);
        assert!(!is_busy || measured.gets >= measured.calls.len(), "something is new in every poll");
    }
}

#[tokio::test]
async fn a_folder_of_fifty_thousand_keys_a_day_costs_two_calls_a_flow_log_at_most() {
    let flow_logs: Vec<_> =
        (0..174).map(|id| FlowLog::new("111111111111", "eu-west-3", &format!("fl-0{id:03}"))).collect();
    let measured = measure("AWSLogs/", &flow_logs, 3, 4, Traffic::Idle, &[]).await;
    println!("calls a poll: {:?}, peak: {} KiB", measured.calls, measured.peak_kib);
    assert!(mean(&measured) <= 1.0 + 2.0 * 174.0, "{:?}", measured.calls);
}

/// A day of objects, all of them new at the first poll.
#[tokio::test]
async fn a_backlog_of_a_day_of_two_hundred_flow_logs_takes_64_mib_of_memory_and_a_mib_of_state() {
    const OBJECTS: usize = 200 * 288;
    let server = Server::start("AKIAIOSFODNN7EXAMPLE", "secret").await;
    let s3 = server.control();
    s3.create_bucket(BUCKET);
    let mut generator = Generator::new(1);
    let now = Timestamp::now();
    for flow_log in two_hundred_flow_logs() {
        for interval in 1..=288 {
            let object = generator.object(&flow_log, now - SignedDuration::from_mins(5 * interval), 10);
            s3.put(BUCKET, &object.key, object.body());
        }
    }
    let storage = tempfile::tempdir().unwrap();
    let platform = Platform::start(
        Setup::new(storage.path()).module_secrets(json!({"aws_secret_access_key": "secret"})),
    )
    .await;
    let arguments =
        json!({"bucket_name": BUCKET, "prefix": "AWSLogs/", "frequency": 1, "start_from": "beginning"});
    let mut process = start(&server, &platform, storage.path(), &arguments);
    let stderr = process.stderr();
    let count = |line: &String| -> Option<usize> {
        line.split_once("poll ended")?.1.split_once("objects=")?.1.split(' ').next()?.parse().ok()
    };
    let delivered = || stderr.all().iter().filter_map(count).sum::<usize>();
    let done = eventually(PATIENCE, || delivered() == OBJECTS).await;
    assert!(done, "{} objects: {}", delivered(), stderr.text());
    let peak_kib = peak_kib(&process).unwrap();
    process.stop(Duration::from_secs(10)).await.unwrap();
    let state = storage.path().join("aws-flowlogs_state").read_dir().unwrap().next().unwrap().unwrap();
    let files = state.path().read_dir().unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    let (files, bytes) = files.fold((0, 0), |(files, bytes), length| (files + 1, bytes + length));
    println!("{bytes} bytes in {files} files, peak: {peak_kib} KiB");
    assert!(bytes < 1024 * 1024, "{bytes} bytes of state");
    assert!(peak_kib < 64 * 1024, "{peak_kib} KiB");
}
