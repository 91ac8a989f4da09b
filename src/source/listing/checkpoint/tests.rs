use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::source::listing::checkpoint::carried::Listed;

const DAY: &str = "AWSLogs/111111111111/vpcflowlogs/eu-west-3/2026/11/22/";

fn key(flow_log: &str, time: &str, hash: &str) -> String {
    format!("{DAY}111111111111_vpcflowlogs_eu-west-3_{flow_log}_20261122T{time}Z_{hash}.log.gz")
}

fn object(key: &str, last_modified: &str) -> Object {
    let last_modified = format!("2026-11-22T{last_modified}:00Z").parse().unwrap();
    Object { key: key.to_owned(), body_bytes: 1, last_modified, etag: None }
}

#[test]
fn only_what_s3_took_from_the_origin_on_is_wanted() {
    let checkpoint = Checkpoint::new(Origin::since("2026-11-22T10:00:00Z".parse().unwrap()));
    assert!(!checkpoint.wants(&object("a", "09:59")));
    // A late object has an early name and a late time in S3.
    assert!(checkpoint.wants(&object(&key("fl-a", "0005", "h"), "10:00")));
}

fn cover(object: &Object, to: u64, whole: bool) -> Cover {
    let (key, day, etag) = (object.key.clone(), Day::of(object.last_modified), object.etag.clone());
    Cover { bucket: None, key, day, from: 0, to, whole, etag, grouping: None }
}

fn delivered(covers: &[Cover]) -> Change {
    Change(Step::Delivered(covers.to_vec()))
}

/// The state after a restart.
fn reread(checkpoint: &Checkpoint) -> Checkpoint {
    Checkpoint::from_json(&checkpoint.to_json()).unwrap()
}

#[test]
fn a_rejected_object_is_not_wanted_again_even_after_a_restart() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let object = object("a", "10:00");
    assert!(checkpoint.wants(&object));
    checkpoint.apply(&Change::rejected(&object, "corrupt"));
    assert!(!reread(&checkpoint).wants(&object));
}

#[test]
fn a_batch_that_ends_in_an_object_leaves_a_position_in_it() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let (a, b) = (object(&key("fl-a", "1000", "1"), "10:10"), object(&key("fl-b", "1000", "2"), "10:10"));
    checkpoint.apply(&delivered(&[cover(&a, 7, true), cover(&b, 3, false)]));
    let mut checkpoint = reread(&checkpoint);
    assert!(!checkpoint.wants(&a) && checkpoint.wants(&b));
    assert_eq!(checkpoint.position(&b).records, 3);
    checkpoint.apply(&delivered(&[cover(&b, 9, true)]));
    assert!(!checkpoint.wants(&b));
    assert_eq!(checkpoint.position(&b), Position::default());
}

#[test]
fn an_object_that_was_replaced_is_read_from_its_beginning() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let with = |etag: &str| Object { etag: Some(etag.to_owned()), ..object("a", "10:00") };
    checkpoint.apply(&delivered(&[cover(&with("1"), 7, false)]));
    let checkpoint = reread(&checkpoint);
    assert_eq!(
        [with("1"), with("2"), object("a", "10:00")].map(|object| checkpoint.position(&object).records),
        [7, 0, 7]
    );
}

#[test]
fn a_day_that_no_poll_looks_at_is_folded_and_then_known_by_what_is_stored() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let (a, b) = (object(&key("fl-a", "1000", "1"), "10:10"), object(&key("fl-a", "1005", "2"), "10:15"));
    let place = a.place();
    checkpoint.apply(&delivered(&[cover(&a, 7, true)]));
    assert_eq!(checkpoint.foldable(), []);
    checkpoint.apply(&Change::floor(&place.folder, Day::parse("20261123").unwrap()));
    assert!(!checkpoint.wants(&b), "it is for the sweep");
    assert_eq!(checkpoint.foldable(), std::slice::from_ref(&place));
    let stored = Stored { before: None, done: checkpoint.recent(&place).unwrap().clone() };
    checkpoint.folded(std::slice::from_ref(&place));
    let checkpoint = reread(&checkpoint);
    assert!(checkpoint.is_done(&a, &place, &stored) && !checkpoint.is_done(&a, &place, &Stored::default()));
    assert!(!checkpoint.is_done(&b, &place, &stored));
}

#[test]
fn a_folder_that_is_whole_is_so_in_its_old_days_only() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let place = object(&key("fl-a", "1000", "1"), "10:10").place();
    let next = Place { day: Day::parse("20261123").unwrap(), ..place.clone() };
    checkpoint.apply(&Change::whole(&place.folder, next.day));
    let checkpoint = reread(&checkpoint);
    assert_eq!(checkpoint.whole_before(&place), Some(next.day));
    assert_eq!(checkpoint.whole_before(&next), None);
}

/// A state as version 0.1.0 wrote it.
fn carried() -> Checkpoint {
    let fl = |id: &str| {
        format!("AWSLogs/111111111111/vpcflowlogs/eu-west-3/111111111111_vpcflowlogs_eu-west-3_{id}")
    };
    let days = serde_json::json!({
        fl("fl-a"): {"20261122": {"open": "VqNuilcP"}, "20261121": {"closed": {"count": 1, "sum": 5}}},
    });
    let json = serde_json::json!({
        "version": 1, "origin": {"since": "2026-01-01T00:00:00Z", "markers": []}, "logs": days,
        "floors": {}, "rejected": [], "partial": {"a": 3}, "pending": null, "holder": null, "instance": null, "last": null,
    });
    let mut checkpoint = Checkpoint::from_json(&serde_json::to_vec(&json).unwrap()).unwrap();
    let old = |json: serde_json::Value| serde_json::from_value::<Change>(json).unwrap();
    for (id, hash) in [("fl-a", "1"), ("fl-b", "2"), ("fl-b", "3")] {
        let key = key(id, "1000", hash);
        checkpoint.apply(&old(serde_json::json!({"committed": [{"key": key, "day": 20261122, "from": 0, "to": 3, "whole": true}]})));
    }
    let exported = serde_json::json!({"key": "exported/1_vpcflowlogs_r_fl-a_20261122T0000Z_1.gz", "day": 20261122, "from": 0, "to": 3, "whole": true});
    checkpoint.apply(&old(serde_json::json!({"committed": [exported]})));
    checkpoint.apply(&old(serde_json::json!({"troubled": {"flow_log": fl("fl-a"), "day": 20261122}})));
    checkpoint
}

#[test]
fn what_version_0_1_0_knew_is_asked_by_its_own_places() {
    let checkpoint = reread(&carried());
    assert_eq!(checkpoint.position(&object("a", "10:00")).records, 3);
    for hash in ["1", "2", "3"] {
        let id = if hash == "1" { "fl-a" } else { "fl-b" };
        assert!(!checkpoint.wants(&object(&key(id, "1000", hash), "10:10")), "{hash}");
    }
    assert!(checkpoint.wants(&object(&key("fl-a", "1000", "4"), "10:10")));
    let later = "2026-11-25T00:00:00Z".parse().unwrap();
    let exported = object("exported/1_vpcflowlogs_r_fl-a_20261122T0000Z_1.gz", "10:10");
    assert!(!checkpoint.wants(&Object { last_modified: later, ..exported }), "whenever S3 took it");
}

#[test]
fn a_digest_of_version_0_1_0_proves_a_day_that_has_what_it_had() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let objects: Vec<Object> = ["1", "2", "3"].map(|hash| object(&key("fl-a", "1000", hash), "10:10")).into();
    let day = objects[0].place().day;
    for object in &objects {
        checkpoint.carried.insert(&object.key, day);
    }
    checkpoint.carried.close(&objects[0].flow_log(), day);
    assert!(checkpoint.carried().knows(&objects[0].place()));
    assert!(checkpoint.wants(&objects[0]), "it says nothing of a single object");
    let proven = |objects: &[Object]| {
        let mut listed = Listed::default();
        objects.iter().for_each(|object| listed.add(object));
        checkpoint.carried().proven(listed).len()
    };
    assert_eq!(proven(&objects), 3);
    assert_eq!(proven(&objects[..2]), 0, "one is gone");
    let more = [objects.clone(), vec![object(&key("fl-a", "1000", "4"), "10:10")]].concat();
    assert_eq!(proven(&more), 0, "one has come, and does not tell which");
    let newer = [objects.clone(), vec![object(&key("fl-a", "1000", "4"), "10:11")]].concat();
    assert_eq!(proven(&newer), 3, "one has come that S3 took later");
    let others = [objects.clone(), vec![object(&key("fl-b", "1000", "4"), "10:10")]].concat();
    assert_eq!(proven(&others), 3, "another flow log is none of its affair");
    let (mut forgotten, mut over) = (checkpoint.clone(), checkpoint);
    forgotten.apply(&Change::proven(objects[0].place()));
    over.apply(&Change::whole(&objects[0].place().folder, Day::parse("20261123").unwrap()));
    assert!(forgotten.carried().is_empty() && over.carried().is_empty());
}

#[test]
fn the_first_day_reaches_back_by_the_delay_and_to_the_oldest_marker() {
    let delay = SignedDuration::from_hours(24);
    let mut origin = Origin::since("2026-11-22T12:00:00Z".parse().unwrap());
    assert_eq!(origin.first_day(delay), Day::parse("20261121"));
    let key = key("fl-a", "0000", "1").replace("20261122", "20261101");
    origin.markers.push(Marker { prefix: String::new(), key, last_modified: None });
    assert_eq!(origin.first_day(delay), Day::parse("20261031"));
    origin.markers.push(Marker { prefix: String::new(), key: "no time".to_owned(), last_modified: None });
    assert_eq!(origin.first_day(delay), None);
    assert_eq!(Origin::since(Timestamp::MIN).first_day(delay), None);
}

#[test]
fn a_pending_batch_survives_a_restart_and_changes_nothing_until_it_is_accepted() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let object = object("a", "10:00");
    let pending = Pending { request_id: "id".to_owned(), records: 5, covers: vec![cover(&object, 5, true)] };
    checkpoint.apply(&Change::begun(pending));
    let mut read = reread(&checkpoint);
    assert_eq!(read.pending()[0].request_id, "id");
    assert!(read.wants(&object));
    read.apply(&Change::forgotten());
    assert!(read.pending().is_empty() && read.wants(&object));
}

#[test]
fn a_state_of_another_version_or_a_damaged_one_is_no_state() {
    let json = Checkpoint::new(Origin::since(Timestamp::MIN)).to_json();
    let newer = String::from_utf8(json.clone()).unwrap().replace("\"version\":2", "\"version\":3");
    assert!(Checkpoint::from_json(newer.as_bytes()).unwrap_err().contains("version 3"));
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
    let origin = Origin { since: "2026-11-22T12:00:00Z".parse().unwrap(), markers: vec![marker], end: None };
    for (key, last_modified, wanted, why) in [
        (marked, "10:10", false, "the marked object"),
        (key("fl-b", "0955", "9"), "10:05", false, "before the marker's time"),
        (key("fl-b", "1000", "4"), "10:10", false, "same time, passed over"),
        (key("fl-b", "1000", "6"), "10:10", true, "same time, after the marker"),
        (key("fl-a", "1000", "6"), "10:10", true, "same time, another flow log"),
        (key("fl-a", "1005", "1"), "10:10", true, "sorts before the marker, but is newer"),
        (key("fl-a", "0900", "1"), "10:11", true, "late: it came after the marked object"),
        ("other/key".to_owned(), "11:59", false, "no marker, before the start"),
        ("other/key".to_owned(), "12:00", true, "no marker, after the start"),
    ] {
        assert_eq!(origin.wants(&object(&key, last_modified)), wanted, "{why}");
    }
}
