//! What the trigger does when nothing goes wrong.

use support::eventually;
use support::platform::Endpoint;
use support::s3::Operation;

use crate::world::{BUCKET, PATIENCE, World, stop};

/// Guarantee 1: Every record of an object that lies after the start is delivered once, whatever flow log,
/// account, region or day it belongs to, and however late it comes.
#[tokio::test]
async fn records_of_several_flow_logs_accounts_and_regions_arrive_once_without_headers() {
    let mut world = World::new().await;
    let process = world.start().await;
    for account in ["111111111111", "222222222222"] {
        for region in ["eu-west-3", "us-east-1"] {
            for _ in 0..2 {
                let flow_log = world.generator.flow_log(account, region);
                world.put(&flow_log, 10, 130);
                world.put(&flow_log, 5, 7);
            }
        }
    }
    world.all_arrive(&process).await;
    // Objects that sort before what was delivered, and objects of the day before.
    let earlier = world.generator.flow_log("000000000000", "ap-east-1");
    world.put(&earlier, 24 * 60, 5);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 36 * 60, 5);
    world.all_arrive(&process).await;
    stop(process).await;
    assert_eq!(world.batch_folders(), 0);
}

#[tokio::test]
async fn an_event_has_the_form_of_the_protocol() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 250);
    world.all_arrive(&process).await;
    stop(process).await;
    let events = world.platform.events();
    let sizes: Vec<usize> = events.iter().map(|event| event.records().len()).collect();
    assert_eq!(sizes, [100, 100, 50], "batches are full, and the last does not wait for the next poll");
    for event in &events {
        let (before, seconds) = event.name.split_once('_').unwrap();
        assert_eq!(before, "aws-flowlog");
        assert!(seconds.split_once('.').is_some_and(|(_, fraction)| fraction.len() == 6), "{seconds}");
        assert_eq!(event.event, serde_json::json!({"records_path": "event.json"}));
        let directory = event.directory.as_deref().unwrap();
        let id = directory.strip_prefix("AWS Flowlog_events/").unwrap();
        assert!(uuid::Uuid::parse_str(id).is_ok() && uuid::Uuid::parse_str(&event.request_id).is_ok());
    }
    let post = &world.platform.received_at(Endpoint::Events)[0];
    assert_eq!(post.headers["content-type"], "application/json");
}

/// Guarantee 3: A restart goes on where the last run stopped, also before the first batch.
#[tokio::test]
async fn a_restart_delivers_what_came_between_and_nothing_twice() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 30, 120);
    world.all_arrive(&process).await;
    stop(process).await;
    world.put(&flow_log, 20, 40);
    world.put(&flow_log, 40, 40);
    let process = world.start().await;
    world.put(&flow_log, 10, 40);
    world.all_arrive(&process).await;
    stop(process).await;
}

/// Guarantee 3: A restart goes on where the last run stopped, also before the first batch.
#[tokio::test]
async fn a_restart_before_the_first_record_begins_where_the_first_start_began() {
    let mut world = World::new().await;
    stop(world.start().await).await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
}

#[tokio::test]
async fn without_state_only_new_objects_count_unless_start_from_says_otherwise() {
    let old = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(48);
    for (start_from, with_old) in
        [(None, false), (Some("beginning".to_owned()), true), (Some(old.to_string()), true)]
    {
        let mut world = World::new().await;
        world.argument("start_from", start_from.clone());
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        let object = world.object(&flow_log, 48 * 60, 20);
        world.s3.put_at(BUCKET, &object.key, object.body(), old);
        if with_old {
            world.expected.extend(object.records);
        }
        let process = world.start().await;
        world.put(&flow_log, 5, 10);
        world.all_arrive(&process).await;
        stop(process).await;
    }
}

#[tokio::test]
async fn without_a_prefix_the_whole_bucket_counts_but_only_flow_logs() {
    let mut world = World::new().await;
    world.argument("prefix", serde_json::Value::Null);
    let process = world.start().await;
    for key in ["AWSLogs/", "AWSLogs/1/CloudTrail/eu-west-3/2026/11/22/1_CloudTrail_x.json.gz", "readme.txt"]
    {
        world.s3.put(BUCKET, key, "not a flow log");
    }
    let nested = world.generator.flow_log("111111111111", "eu-west-3").in_folder("central/logs");
    let hive = world.generator.flow_log("222222222222", "eu-west-3").hive().hourly();
    world.put(&nested, 5, 10);
    world.put(&hive, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
    assert!(!world.is_logged("error", ""), "{:#?}", world.platform.logs());
}

#[tokio::test]
async fn the_state_of_the_python_module_is_taken_over() {
    let mut world = World::new().await;
    let prefix = "AWSLogs/111111111111/vpcflowlogs/eu-west-3/";
    world.argument("prefix", prefix);
    let mut flow_logs = [(); 2].map(|()| world.generator.flow_log("111111111111", "eu-west-3"));
    flow_logs.sort_by(|a, b| a.id.cmp(&b.id));
    let [first, last] = flow_logs;
    let mut marker = String::new();
    // Each object reached S3 some minutes after the time in its name. The module listed all of the last flow log's up to its
    // marker; of the first it passed over what came later in time but sorts before.
    for minutes in [60, 55, 50, 45] {
        for flow_log in [&first, &last] {
            let object = world.object(flow_log, minutes, 10);
            let arrived = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes - 5);
            world.s3.put_at(BUCKET, &object.key, object.body(), arrived);
            if minutes < 50 || (minutes == 50 && flow_log == &first) {
                world.expected.extend(object.records);
            } else if flow_log == &last {
                marker = object.key;
            }
        }
    }
    let folder = world.storage.path().join(prefix);
    std::fs::create_dir_all(&folder).unwrap();
    let context = serde_json::json!({ "marker": marker }).to_string();
    std::fs::write(folder.join("context.json"), &context).unwrap();
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
    assert_eq!(
        std::fs::read_to_string(folder.join("context.json")).unwrap(),
        context,
        "the way back stays open"
    );
}

#[tokio::test]
async fn values_may_be_files_and_the_alias_of_the_python_module_works() {
    let mut world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let listed = world.s3.count(Operation::List);
    let module = world.module_as("flowlog_records_trigger").values_in(folder.path().join("symphony"));
    let process = module.start();
    assert!(eventually(PATIENCE, || world.s3.count(Operation::List) > listed + 1).await);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
}

#[tokio::test]
async fn health_and_metrics_answer_as_the_protocol_says() {
    let mut world = World::new().await;
    let port = support::free_port();
    let listed = world.s3.count(Operation::List);
    let process = world.module().value("liveness_port", port).start();
    assert!(eventually(PATIENCE, || world.s3.count(Operation::List) > listed + 1).await);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 130);
    world.all_arrive(&process).await;
    world.until_logged("info", "poll ended").await;
    let get = async |port: u16, path: &str| {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, body) = get(port, "/health").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error_count"]), (200, &serde_json::json!(0)));
    for field in ["last_events_time", "last_heartbeat"] {
        let date: jiff::civil::DateTime = body[field].as_str().unwrap().parse().unwrap();
        assert!(date.year() >= 2026);
    }
    for field in ["seconds_without_events_threshold", "last_heartbeat_threshold"] {
        assert!(body[field].is_u64(), "{body}");
    }
    let (status, body) = get(port, "/elsewhere").await;
    assert_eq!((status, body.as_str()), (404, r#"{"status_code":404,"reason":"Endpoint doesn't exist"}"#));
    let (_, metrics) = get(world.metrics_port, "/metrics").await;
    for line in [
        "symphony_module_common_forwarded_events_total 130",
        "symphony_module_aws_collected_events_total 130",
        "symphony_module_common_discarded_events_total 0",
        "symphony_module_common_forward_events_duration_count 2",
        "aws_flowlogs_batches_delivered_total 2",
        "aws_flowlogs_objects_delivered_total 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains("symphony_module_common_events_lags "), "{metrics}");
    stop(process).await;
}

/// Guarantee 10: The customer's bucket is reached with the account's key or role and region, never with what the environment
/// holds.
#[tokio::test]
async fn only_the_accounts_own_key_and_region_reach_s3() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
    for request in world.s3.requests() {
        assert_eq!(request.access_key.as_deref(), Some(crate::world::ACCESS_KEY));
        assert_eq!(request.region.as_deref(), Some("eu-west-3"));
        assert!(request.session_token.is_none());
    }
}

#[tokio::test]
async fn more_objects_than_a_page_of_a_listing_holds_all_arrive() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning").argument("chunk_size", 500);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    for minutes in 0..1100 {
        world.put(&flow_log, 5 * minutes, 1);
    }
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
    assert_eq!(world.platform.events().len(), 3, "batches go across objects and pages");
}

#[tokio::test]
async fn a_layout_of_the_users_own_is_listed_whole_and_the_log_says_what_that_costs() {
    let mut world = World::new().await;
    world.argument("prefix", "exported/");
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    for number in 0..3 {
        let object = world.object(&flow_log, 5, 10);
        world.s3.put(BUCKET, &format!("exported/some/folder/part-{number}.gz"), object.body());
        world.expected.extend(object.records);
    }
    world.all_arrive(&process).await;
    world.until_logged("warning", "every poll lists all objects").await;
    stop(process).await;
    let process = world.start().await;
    world.put(&flow_log.in_folder("exported/other"), 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
}

#[tokio::test]
async fn a_prefix_may_stop_anywhere() {
    let mut flow_log_world = World::new().await;
    let flow_log = flow_log_world.generator.flow_log("111111111111", "eu-west-3");
    let other = flow_log_world.generator.flow_log("222222222222", "us-east-1");
    let day = jiff::Timestamp::now().strftime("%Y/%m/%d/").to_string();
    let lane = "AWSLogs/111111111111/vpcflowlogs/eu-west-3/";
    for prefix in [
        "AWSL".to_owned(),
        "AWSLogs/1111".to_owned(),
        "AWSLogs/111111111111/vpcf".to_owned(),
        "AWSLogs/111111111111/vpcflowlogs/eu-".to_owned(),
        lane.to_owned(),
        format!("{lane}{day}"),
        format!("{lane}{day}111111111111_vpc"),
    ] {
        let mut world = World::new().await;
        world.argument("prefix", prefix.clone()).argument("start_from", "beginning");
        world.put(&flow_log, 0, 10);
        if prefix == "AWSL" {
            world.put(&other, 0, 10);
        } else {
            let elsewhere = world.object(&other, 0, 10);
            world.s3.put(BUCKET, &elsewhere.key, elsewhere.body());
        }
        let process = world.start().await;
        world.all_arrive(&process).await;
        stop(process).await;
    }
}

#[tokio::test]
async fn a_poll_that_finds_nothing_costs_a_call_for_a_flow_log_whatever_the_bucket_holds() {
    let mut world = World::new().await;
    world.argument("prefix", serde_json::Value::Null);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let old = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * 30);
    for day in 3..23 {
        for number in 0..288 {
            let object = world.object(&flow_log, day * 24 * 60 + 5 * number, 1);
            world.s3.put_at(BUCKET, &object.key, object.body(), old);
        }
    }
    let process = world.start().await;
    world.put(&flow_log, 5, 1);
    world.all_arrive(&process).await;
    assert!(process.stderr().wait_for("poll ended", PATIENCE).await);
    // The walk and the sweep that follow something new.
    let listed = world.s3.count(Operation::List);
    assert!(eventually(PATIENCE, || world.s3.count(Operation::List) >= listed + 6).await);
    let (before, polls) = (world.s3.count(Operation::List), 20);
    let is_poll = |request: &&support::s3::Request| {
        request.operation == Operation::List
            && request.query("start-after").is_some_and(|key| key.contains("/vpcflowlogs/"))
    };
    let polled = || world.s3.requests().iter().filter(is_poll).count();
    let first = polled();
    assert!(eventually(PATIENCE, || polled() >= first + polls).await);
    let calls = world.s3.count(Operation::List) - before;
    stop(process).await;
    assert!(calls <= polls + 6, "{calls} calls in {polls} polls");
}

#[tokio::test]
async fn a_bucket_whose_requesters_pay_is_read_if_the_user_says_so() {
    let mut world = World::new().await;
    world.s3.let_requesters_pay(BUCKET);
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let process = world.module().start();
    world.until_logged("error", "s3:ListBucket").await;
    stop(process).await;
    world.argument("requester_pays", true);
    let process = world.start().await;
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
}
