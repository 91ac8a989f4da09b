//! Records of one object that are merged: what goes out comes to the same packets and bytes, whenever the process ends and
//! whatever the user says the next time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use support::eventually;
use support::flowlogs::{HEADER, gzip};
use support::intake::Intake;
use support::platform::Endpoint;
use support::script::Fault;
use support::traffic;

use crate::world::{BUCKET, PATIENCE, World, stop};

const START_S: u64 = 1_795_377_300;
/// What merging sums up or takes the least or most of, among the fields of a line.
const PACKETS: usize = 8;
const BYTES: usize = 9;
const START: usize = 10;
const END: usize = 11;

/// Records as they go out with `flows`: the sums of those that agree in everything else, in the order of the first.
fn flows(records: &[String]) -> Vec<String> {
    let mut flows: Vec<Vec<String>> = Vec::new();
    let mut places: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for record in records {
        let fields: Vec<String> = record.split(' ').map(str::to_owned).collect();
        let mut key = fields.clone();
        for place in [PACKETS, BYTES, START, END] {
            key[place].clear();
        }
        match places.get(&key) {
            None => {
                places.insert(key, flows.len());
                flows.push(fields);
            }
            Some(place) => {
                let flow = &mut flows[*place];
                let number = |text: &String| text.parse::<u64>().unwrap();
                for place in [PACKETS, BYTES] {
                    flow[place] = (number(&flow[place]) + number(&fields[place])).to_string();
                }
                flow[START] = number(&flow[START]).min(number(&fields[START])).to_string();
                flow[END] = number(&flow[END]).max(number(&fields[END])).to_string();
            }
        }
    }
    flows.into_iter().map(|flow| flow.join(" ")).collect()
}

/// Packets and bytes of each action and pair of addresses, of lines.
fn totals(records: &[String]) -> BTreeMap<String, [u64; 2]> {
    let mut totals: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for record in records {
        let fields: Vec<&str> = record.split(' ').collect();
        let total = totals.entry(format!("{} {} {}", fields[3], fields[4], fields[12])).or_default();
        total[0] += fields[PACKETS].parse::<u64>().unwrap();
        total[1] += fields[BYTES].parse::<u64>().unwrap();
    }
    totals
}

/// Puts an object with these records into the bucket.
fn put(world: &mut World, records: &[String]) {
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.object(&flow_log, 10, 0);
    world.s3.put(BUCKET, &object.key, gzip(format!("{HEADER}\n{}\n", records.join("\n"))));
}

/// Guarantee 16: Records that are merged come to the same packets and bytes.
#[tokio::test]
async fn the_slices_of_a_flow_go_out_as_one_record_and_are_counted() {
    let records = traffic::records(1, START_S, 4_000);
    let expected = flows(&records);
    assert!(expected.len() < records.len() * 9 / 10, "{}", expected.len());
    let merged = format!("aws_flowlogs_records_merged_total {}", records.len() - expected.len());

    let mut world = World::new().await;
    world.argument("start_from", "beginning").argument("aggregate", "flows");
    put(&mut world, &records);
    let process = world.start().await;
    world.expected = expected.clone();
    world.all_arrive(&process).await;
    world.until_told(&[&merged, "aws_flowlogs_objects_delivered_total 1"]).await;
    stop(process).await;

    let mut world = World::new().await;
    put(&mut world, &records);
    let intake = Intake::start("key").await;
    let arguments = json!({
        "bucket_name": BUCKET, "frequency": 1, "start_from": "beginning", "aggregate": "flows",
        "intake_key": "key", "intake_server": intake.server(),
    });
    let connector = world.module_as("collect_flowlogs").without_value("trigger_configuration");
    let process = connector.value("connector_configuration", &arguments).start();
    world.expected = expected;
    let arrived = eventually(PATIENCE, || intake.count() >= world.expected.len()).await;
    assert!(arrived, "{}", process.stderr().text());
    assert_eq!(world.difference(intake.events()), BTreeMap::new());
    world.until_told(&[&merged, "aws_flowlogs_objects_delivered_total 1"]).await;
    stop(process).await;
}

#[tokio::test]
async fn flows_of_a_service_go_out_as_one_record_that_says_how_many_they_are() {
    let line = |port: u16, packets: u32| {
        format!(
            "2 111111111111 eni-1 10.0.0.1 10.0.0.2 {port} 443 6 {packets} 60 {START_S} {START_S} ACCEPT OK"
        )
    };
    let records = [line(40_001, 1), line(40_002, 2), line(40_001, 3)];
    let sent = async |format: &str| {
        let mut world = World::new().await;
        world.argument("start_from", "beginning").argument("aggregate", "services");
        world.argument("record_format", format);
        put(&mut world, &records);
        let process = world.start().await;
        let has_come = || world.platform.records().len() == 1;
        assert!(eventually(PATIENCE, has_come).await, "{}", process.stderr().text());
        stop(process).await;
        world.platform.records().remove(0)
    };
    let text = format!("2 111111111111 eni-1 10.0.0.1 10.0.0.2 - 443 6 6 180 {START_S} {START_S} ACCEPT OK");
    assert_eq!(sent("auto").await, text);
    let record: Value = serde_json::from_str(&sent("json").await).unwrap();
    assert_eq!(
        (&record["flow_count"], &record["packets"], &record["dstport"]),
        (&2.into(), &6.into(), &443.into())
    );
    assert_eq!(record.get("srcport"), None, "{record}");
}

/// What arrives of an object with these records, larger than is held at a time, when the process is killed after some batches
/// of it, and goes on with another value for `aggregate` each time.
async fn arrives_in_part(records: &[String], merges: [&str; 4]) -> Vec<String> {
    let mut world = World::new().await;
    world.argument("start_from", "beginning").argument("chunk_size", 1_500);
    put(&mut world, records);
    for (start, merge) in merges.into_iter().enumerate() {
        world.argument("aggregate", merge);
        let is_last = start + 1 == merges.len();
        let events = world.platform.script(Endpoint::Events);
        events.clear();
        if !is_last {
            events.then_times(2, &Fault::Delay(Duration::ZERO));
            events.always(Fault::status(503));
        }
        let before = world.platform.received_at(Endpoint::Events).len();
        let mut process = world.module().start();
        if is_last {
            let goes_on = || world.platform.received_at(Endpoint::Events).len() > before;
            assert!(eventually(PATIENCE, goes_on).await, "{}", process.stderr().text());
            world.until_counted("aws_flowlogs_objects_delivered_total 1").await;
            stop(process).await;
        } else {
            let is_refused = || world.platform.received_at(Endpoint::Events).len() >= before + 3;
            assert!(eventually(PATIENCE, is_refused).await, "{}", process.stderr().text());
            process.kill();
            process.exited(PATIENCE).await.unwrap();
        }
    }
    world.platform.records()
}

/// Guarantee 16: Records that are merged come to the same packets and bytes.
#[tokio::test]
async fn an_object_that_is_delivered_in_part_comes_to_the_same_sums() {
    let records = traffic::records(2, START_S, 80_000);
    for merge in ["flows", "services"] {
        let arrived = arrives_in_part(&records, [merge; 4]).await;
        assert!(arrived.len() < records.len() * 9 / 10, "{}", arrived.len());
        assert_eq!(totals(&arrived), totals(&records), "{merge}");
    }
}

/// Guarantee 16: Records that are merged come to the same packets and bytes.
#[tokio::test]
async fn nothing_is_lost_of_an_object_that_was_begun_under_another_configuration() {
    let records = traffic::records(3, START_S, 80_000);
    for merges in [["flows", "off", "services", "flows"], ["off", "services", "services", "off"]] {
        let arrived = totals(&arrives_in_part(&records, merges).await);
        let all = totals(&records);
        let lost = all.iter().filter(|(key, [packets, bytes])| {
            arrived.get(*key).is_none_or(|arrived| arrived[0] < *packets || arrived[1] < *bytes)
        });
        assert_eq!(lost.collect::<Vec<_>>(), [], "{merges:?}");
    }
}
