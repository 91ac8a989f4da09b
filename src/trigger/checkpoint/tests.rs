use super::*;

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
    Cover { key: object.key.clone(), day: object.place().day, from: 0, to, whole }
}

fn committed(covers: &[Cover]) -> Change {
    Change(Step::Committed(covers.to_vec()))
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
    checkpoint.apply(&committed(&[cover(&a, 7, true), cover(&b, 3, false)]));
    let mut checkpoint = reread(&checkpoint);
    assert!(!checkpoint.wants(&a) && checkpoint.wants(&b));
    assert_eq!(checkpoint.position(&b.key), 3);
    checkpoint.apply(&committed(&[cover(&b, 9, true)]));
    assert!(!checkpoint.wants(&b));
    assert_eq!(checkpoint.position(&b.key), 0);
}

#[test]
fn a_closed_day_wants_nothing_until_it_is_opened_again() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let (a, b) = (object(&key("fl-a", "1000", "1"), "10:10"), object(&key("fl-a", "1005", "2"), "10:15"));
    let place = a.place();
    checkpoint.apply(&committed(&[cover(&a, 7, true)]));
    let next = Day::of("2026-11-23T00:00:00Z".parse().unwrap());
    assert_eq!(checkpoint.closable(place.day), []);
    assert_eq!(checkpoint.closable(next), std::slice::from_ref(&place));
    checkpoint.apply(&Change::closed(place.clone()));
    assert!(!checkpoint.wants(&b), "the sweep decides about stragglers");
    assert_eq!(checkpoint.closable(next), []);
    checkpoint.apply(&Change::reopened(place));
    assert!(checkpoint.wants(&a) && checkpoint.wants(&b));
}

#[test]
fn a_day_with_an_object_that_could_not_be_read_is_not_closed() {
    let mut checkpoint = Checkpoint::new(Origin::since(Timestamp::MIN));
    let object = object(&key("fl-a", "1000", "1"), "10:10");
    checkpoint.apply(&Change::troubled(object.place()));
    assert_eq!(reread(&checkpoint).closable(Day::of(Timestamp::MAX)), []);
    assert!(checkpoint.wants(&object));
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
    assert_eq!(read.pending().unwrap().request_id, "id");
    assert!(read.wants(&object));
    read.apply(&Change::forgotten());
    assert!(read.pending().is_none() && read.wants(&object));
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
