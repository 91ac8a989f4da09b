//! Mistakes that others made with these records.

use flow_log::decode::RecordFormat;
use flow_log::filter::{Filter, Internal};
use support::flowlogs::{HEADER, gzip};
use support::parser;

use crate::{events, events_of_text, text};

fn all_internal() -> Filter {
    Filter { internal: Internal::All, ..Filter::default() }
}

/// The lines of intervals without traffic have no addresses, and were thrown away as private ones.
#[test]
fn a_record_without_traffic_is_not_internal_traffic() {
    let lines = [
        "2 1 eni-1 - - - - - - - 1418530010 1418530070 - NODATA",
        "2 1 eni-1 - - - - - - - 1418530010 1418530070 - SKIPDATA",
    ];
    assert_eq!(events(RecordFormat::Auto, all_internal(), &text(HEADER, &lines)).unwrap(), lines);
}

/// The first line was skipped as the header, whatever it was.
#[test]
fn a_record_is_not_skipped_as_the_header() {
    let records = [
        "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 20 4249 1418530010 1418530070 ACCEPT OK",
        "2 1 eni-2 10.0.0.1 10.0.0.2 1 2 6 20 4249 1418530010 1418530070 ACCEPT OK",
    ];
    assert_eq!(events(RecordFormat::Auto, Filter::default(), &gzip(records.join("\n"))).unwrap(), records);
    // A record that begins as a field's name does.
    let header = "interface-type region flow-direction";
    let records = ["interface eu-west-3 ingress", "region eu-west-3 egress"];
    assert_eq!(events(RecordFormat::Raw, Filter::default(), &text(header, &records)).unwrap(), records);
}

#[test]
fn addresses_of_version_6_are_addresses() {
    let line = "2 1 eni-1 2001:db8:1234:a100:8d6e:3477:df66:f105 fd00::2 34892 22 6 54 8855 1477913708 1477913820 ACCEPT OK";
    assert_eq!(events_of_text(HEADER, &[line]), [line]);
    let record = "fd00::1 fd00::2 6";
    let sent = events_of_text("srcaddr dstaddr protocol", &[record]);
    assert_eq!(sent, [r#"{"srcaddr":"fd00::1","dstaddr":"fd00::2","protocol":6}"#]);
    assert_eq!(parser::parse(&sent[0]), Some(parser::expected("srcaddr dstaddr protocol", record)));
    assert_eq!(events(RecordFormat::Auto, all_internal(), &text(HEADER, &[line])).unwrap(), [line]);
    let internal = line.replace("2001:db8:1234:a100:8d6e:3477:df66:f105", "fe80::1");
    assert!(events(RecordFormat::Auto, all_internal(), &text(HEADER, &[internal])).unwrap().is_empty());
}

/// A line in an order of the user's went out as it was, and no parser understood it.
#[test]
fn a_line_in_another_order_is_not_sent_as_a_line() {
    let other = HEADER.replace("srcaddr dstaddr", "dstaddr srcaddr");
    let line = "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 20 4249 1418530010 1418530070 ACCEPT OK";
    let sent = events_of_text(&other, &[line]);
    assert_eq!(parser::parse(&sent[0]).unwrap()["dstaddr"], "10.0.0.1");
    assert!(sent[0].starts_with('{'));
    // Some fields of version 3 after those of version 2: as a line, the parser would not see them.
    let sent = events_of_text(&format!("{HEADER} vpc-id"), &[format!("{line} vpc-1")]);
    assert_eq!(parser::parse(&sent[0]).unwrap()["vpc_id"], "vpc-1");
}

#[test]
fn each_member_of_a_gzip_may_have_a_header_of_its_own() {
    let one = text("srcaddr dstaddr", &["10.0.0.1 10.0.0.2"]);
    let other = text("dstaddr srcaddr", &["10.0.0.2 10.0.0.1"]);
    let sent = events(RecordFormat::Auto, Filter::default(), &[one.clone(), one, other].concat()).unwrap();
    let expected = r#"{"srcaddr":"10.0.0.1","dstaddr":"10.0.0.2"}"#;
    assert_eq!(sent, [expected, expected, r#"{"dstaddr":"10.0.0.2","srcaddr":"10.0.0.1"}"#]);
}

#[test]
fn a_file_that_names_no_fields_is_rejected_by_name() {
    for text in ["10.0.0.1 10.0.0.2 443", "colour shape\nred round", "{\"srcaddr\": 1}", "2 1 eni-1 OK"] {
        let error = events(RecordFormat::Auto, Filter::default(), &gzip(text)).unwrap_err();
        assert_eq!(error.cause(), "not a flow log", "{text}");
    }
}
