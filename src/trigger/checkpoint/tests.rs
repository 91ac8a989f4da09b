use super::*;

const DAY: &str = "AWSLogs/111111111111/vpcflowlogs/eu-west-3/2026/11/22/";

fn key(flow_log: &str, time: &str, hash: &str) -> String {
    format!("{DAY}111111111111_vpcflowlogs_eu-west-3_{flow_log}_20261122T{time}Z_{hash}.log.gz")
}

fn object(key: &str, last_modified: &str) -> Object {
    let last_modified = format!("2026-11-22T{last_modified}:00Z").parse().unwrap();
    Object { key: key.to_owned(), body_bytes: 1, last_modified, etag: None }
}

fn pending(covers: &[Cover]) -> Pending {
    Pending { request_id: "id".to_owned(), records: 1, covers: covers.to_vec() }
}

#[test]
fn only_what_s3_took_from_the_origin_on_is_wanted() {
    let checkpoint = Checkpoint::new(Origin::since("2026-11-22T10:00:00Z".parse().unwrap()));
    assert!(!checkpoint.wants(&object("a", "09:59")));
    // A late object has an early name and a late time in S3.
    assert!(checkpoint.wants(&object(&key("fl-a", "0005", "h"), "10:00")));
}

#[test]
fn a_rejected_object_is_not_wanted_again_even_after_a_restart() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    assert!(checkpoint.wants(&object("a", "10:00")));
    checkpoint.reject("a", "corrupt");
    let read = Checkpoint::from_json(&checkpoint.to_json()).unwrap();
    assert!(!read.wants(&object("a", "10:00")));
}

#[test]
fn a_pending_batch_survives_a_restart_and_changes_nothing_until_it_is_accepted() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let cover = Cover { key: "a".to_owned(), from: 0, to: 5, whole: true };
    checkpoint.begin(pending(&[cover]));
    let mut read = Checkpoint::from_json(&checkpoint.to_json()).unwrap();
    assert_eq!(read.pending().unwrap().request_id, "id");
    assert!(read.wants(&object("a", "10:00")));
    read.forget_pending();
    assert!(read.pending().is_none() && read.wants(&object("a", "10:00")));
}

#[test]
fn a_state_of_another_version_or_a_damaged_one_is_no_state() {
    let json = Checkpoint::new(Origin::since(Timestamp::MIN)).to_json();
    let newer = String::from_utf8(json.clone()).unwrap().replace("\"version\":1", "\"version\":2");
    assert!(Checkpoint::from_json(newer.as_bytes()).unwrap_err().contains("version 2"));
    for length in 0..json.len() {
        assert!(Checkpoint::from_json(&json[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn a_marker_of_the_python_module_hides_only_what_that_surely_sent() {
    let marked = key("fl-b", "1000", "5");
    let marker = Marker {
        prefix: "AWSLogs/".to_owned(),
        key: marked.clone(),
        last_modified: Some("2026-11-22T10:10:00Z".parse().unwrap()),
    };
    let origin = Origin { since: "2026-11-22T12:00:00Z".parse().unwrap(), markers: vec![marker] };
    for (key, last_modified, wanted, why) in [
        (marked, "10:10", false, "the marked object"),
        (key("fl-b", "0955", "9"), "10:05", false, "before the marker's time"),
        (key("fl-b", "1000", "4"), "10:10", false, "same time, passed over"),
        (key("fl-b", "1000", "6"), "10:10", true, "same time, behind the marker"),
        (key("fl-a", "1000", "6"), "10:10", true, "same time, another flow log"),
        (key("fl-a", "1005", "1"), "10:10", true, "sorts before the marker, but is newer"),
        (key("fl-a", "0900", "1"), "10:11", true, "late: it came after the marked object"),
        ("other/key".to_owned(), "11:59", false, "no marker, before the start"),
        ("other/key".to_owned(), "12:00", true, "no marker, after the start"),
    ] {
        assert_eq!(origin.wants(&object(&key, last_modified)), wanted, "{why}");
    }
}

#[test]
fn names_are_read_whatever_the_layout() {
    for folder in [DAY, "", "a_b/c_d/"] {
        let key = format!("{folder}111111111111_vpcflowlogs_eu-west-3_fl-0a_20261122T0005Z_4f2c.log.parquet");
        let name = LogName::of(&key).unwrap();
        assert_eq!(name.flow_log, "111111111111_vpcflowlogs_eu-west-3_fl-0a");
        assert_eq!(name.timestamp().unwrap().to_string(), "2026-11-22T00:05:00Z");
    }
    for key in ["", "a", "a_b_c", "a_vpcflowlogs_b_20261122T0005_c.gz", "a_b_20261122T0005Z_c.gz", "é_é_é"]
    {
        assert_eq!(LogName::of(key), None, "{key}");
    }
}
