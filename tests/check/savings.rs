//! What options would save, and records as they would be sent.

use jiff::Timestamp;
use support::flowlogs::{HEADER, gzip};
use support::traffic;

use crate::world::{BUCKET, Checked, World};

/// How many percent of records and bytes an option would save.
pub(crate) fn saved(checked: &Checked, option: &str, value: &str) -> (f64, f64) {
    let all = checked.step("savings")["details"]["saved"].as_array().unwrap();
    let one = all.iter().find(|one| one["option"] == option && one["value"] == value).unwrap();
    (one["records_percent"].as_f64().unwrap(), one["bytes_percent"].as_f64().unwrap())
}

#[tokio::test]
async fn what_each_option_would_save_is_told() {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.generator.object(&flow_log, Timestamp::now(), 0);
    let records = traffic::records(1, 1_795_377_300, 4_000);
    world.s3.put(BUCKET, &object.key, gzip(format!("{HEADER}\n{}\n", records.join("\n"))));
    world.argument("exclude_ports", serde_json::json!(["udp/53"]));
    world.argument("aggregate", "services");
    let checked = world.check().await;
    checked.is("savings", "ok", &["1 object decoded"]);
    let share = |count: usize| 100.0 * count as f64 / records.len() as f64;
    let names = |line: &&String| line.contains(" 53 17 ") || line.contains(" 53 ") && line.contains(" 17 ");
    assert_eq!(
        saved(&checked, "exclude_ports", "as configured").0,
        share(records.iter().filter(names).count())
    );
    let [internal, accepted, flows, services, all] = [
        ("exclude_internal_traffic", "true"),
        ("exclude_internal_traffic", "accepted"),
        ("aggregate", "flows"),
        ("aggregate", "services"),
        ("all", "as configured"),
    ]
    .map(|(option, value)| saved(&checked, option, value));
    assert!(0.0 < accepted.0 && accepted.0 <= internal.0 && internal.0 < 100.0, "{accepted:?} {internal:?}");
    assert!(0.0 < flows.1 && flows.0 < services.0 && services.0 < all.0, "{flows:?} {services:?} {all:?}");
    for part in ["\n                    exclude_internal_traffic accepted ", " % of the bytes\n"] {
        assert!(checked.text.contains(part), "{}", checked.text);
    }
}

#[tokio::test]
async fn records_are_shown_as_they_would_be_sent() {
    let mut world = World::new().await;
    let line = |port: u16, bytes: u64| {
        format!("2 111111111111 eni-1 10.0.0.1 192.0.2.7 {port} 443 6 1 {bytes} 100 160 ACCEPT OK")
    };
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.generator.object(&flow_log, Timestamp::now(), 0);
    let records = [line(40_001, 40), line(40_001, 2), line(40_002, 7), line(40_003, 8)].join("\n");
    world.s3.put(BUCKET, &object.key, gzip(format!("{HEADER}\n{records}\n")));
    world.argument("aggregate", "flows");
    let shown = async |world: &World, number: &str| {
        let show = world.module().argument("--show").argument(number);
        let (code, text, _) = world.run(show.clone()).await;
        assert_eq!(code, 0, "{text}");
        let (_, json, _) = world.run(show.argument("--json")).await;
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        let records: Vec<String> = serde_json::from_value(report["shown"].clone()).unwrap_or_default();
        let in_text = format!("\nAs they would be sent:\n{}\n", records.join("\n"));
        assert_eq!(text.contains(&in_text), !records.is_empty(), "{text}");
        records
    };
    assert_eq!(shown(&world, "2").await, [line(40_001, 42).replace(" 1 42 ", " 2 42 "), line(40_002, 7)]);
    assert_eq!(shown(&world, "9").await.len(), 3);
    assert_eq!(shown(&world, "0").await.len(), 0);
    world.argument("fields", serde_json::json!(["srcaddr", "bytes"]));
    assert_eq!(shown(&world, "1").await, [r#"{"srcaddr":"10.0.0.1","bytes":42}"#]);
}
