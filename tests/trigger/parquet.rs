//! Flow logs as Parquet that other tools made, or that mean no good.

use std::path::Path;

use support::eventually;
use support::flowlogs::gzip;
use support::parquet::Form;
use support::parser;

use crate::world::{BUCKET, PATIENCE, World, stop};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("flow-log/tests/fixtures/parquet");
    std::fs::read(folder.join(name)).unwrap()
}

/// Guarantee 12: A record of any fields in any order, as text or Parquet, goes out in a form in which the intake's
/// parser finds the values that AWS wrote.
#[tokio::test]
async fn the_parser_finds_the_values_of_whatever_types_a_tool_stored_them_as() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3").parquet();
    for name in ["types.parquet", "types-as-integers.parquet", "types-of-old.parquet"] {
        let object = world.object(&flow_log, 5, 0);
        world.s3.put(BUCKET, &object.key, fixture(name));
    }
    assert!(eventually(PATIENCE, || world.platform.records().len() >= 6).await);
    stop(process).await;
    let header = "version account-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags traffic-path";
    let expected = [
        "5 012345678901 10.0.0.1 10.0.0.2 443 5 6 20 5120 1795377300 1795377300 ACCEPT OK 2 8",
        "5 222222222222 2001:db8::1 - - -1 - 7 1099511627776 1795377358 1795377358 REJECT NODATA - 1",
    ];
    for record in world.platform.records() {
        let parsed = parser::parse(&record);
        assert!(expected.iter().any(|line| parsed == Some(parser::expected(header, line))), "{record}");
    }
}

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what can
/// be put right is tried again.
#[tokio::test]
async fn an_object_that_claims_much_or_is_something_else_is_named_and_the_others_arrive() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    // All the memory that there is: 256 MiB.
    let process = world.module().limited("ulimit -c 0; ulimit -d 262144").start();
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let columns = "metadata class_uid category_uid src_endpoint region action";
    let mut zeros = b"PAR1".to_vec();
    zeros.resize(65 << 20, 0);
    let mut bad = Vec::new();
    for (body, cause) in [
        (fixture("shared-prefix.parquet").into(), "more than 64 MiB"),
        (
            support::parquet::file(columns, &["1 2 3 4 5 6"], &Form::default()),
            "an OCSF file of Security Lake",
        ),
        (
            support::parquet::file("colour shape", &["red round"], &Form::default()),
            "its columns are colour, shape",
        ),
        (gzip(&zeros), "its gzip data is larger"),
    ] {
        let object = world.object(&flow_log, 5, 1);
        world.s3.put(BUCKET, &object.key, body);
        bad.push((object.key, cause));
        world.put(&flow_log, 5, 10);
    }
    world.all_arrive(&process).await;
    for (key, cause) in &bad {
        world.until_logged("error", cause).await;
        let is_named = |line: &str| line.contains(key) && line.contains(cause);
        assert!(world.platform.logs().iter().any(|line| is_named(&line.message)), "{key}");
    }
    stop(process).await;
}

#[tokio::test]
async fn a_flow_log_without_addresses_is_named_once() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    for objects in 1..=3 {
        let object = world.object(&flow_log, 5, 0);
        let body = if objects == 2 {
            support::parquet::file("interface-id bytes", &["eni-0a 5"], &Form::default())
        } else {
            gzip("interface-id bytes\neni-0a 5\n")
        };
        world.s3.put(BUCKET, &object.key, body);
        world.expected.push(r#"{"interface_id":"eni-0a","bytes":5}"#.to_owned());
        world.all_arrive(&process).await;
    }
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
    let logs = world.platform.logs();
    let said = logs.iter().filter(|line| line.message.contains("arrive without addresses"));
    assert_eq!(said.count(), 1, "{logs:#?}");
}
