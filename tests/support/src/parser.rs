//! What the intake's parser of the format *AWS Flowlogs* makes of an event. Written from its description alone: it shares
//! nothing with the module, so that it can judge what the module sends.

use std::collections::BTreeMap;

use serde_json::Value;

/// The fields of version 2, in the order in which a line has them.
const VERSION_2: [&str; 14] = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
];
/// Those of versions 3, 4 and 5, which may follow.
const VERSIONS_3_TO_5: [&str; 15] = [
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "region",
    "az-id",
    "sublocation-type",
    "sublocation-id",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "flow-direction",
    "traffic-path",
];
/// Those that hold whole numbers.
pub const INTEGERS: [&str; 10] = [
    "version",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "tcp-flags",
    "traffic-path",
];

/// The values that the parser finds, by the field's name with underscores.
pub type Values = BTreeMap<String, Value>;

/// The fields that the parser reads, all versions.
pub fn fields() -> impl Iterator<Item = &'static str> {
    VERSION_2.into_iter().chain(VERSIONS_3_TO_5)
}

/// What the parser finds in an event; `None` if it does not understand it.
pub fn parse(event: &str) -> Option<Values> {
    if event.starts_with('{') { parse_json(event) } else { parse_line(event) }
}

/// What it ought to find in a record with these fields: those that it reads, without those that have no value.
pub fn expected(header: &str, record: &str) -> Values {
    let read: Vec<&str> = fields().collect();
    let values = header.split(' ').zip(record.split(' '));
    values.filter(|(name, _)| read.contains(name)).filter_map(|(name, value)| typed(name, value)).collect()
}

/// A value that is there, under the key that it has in an event; an integer as one.
fn typed(name: &str, value: &str) -> Option<(String, Value)> {
    let key = name.replace('-', "_");
    match value {
        "-" => None,
        _ if INTEGERS.contains(&name) => Some((key, value.parse::<i64>().ok()?.into())),
        _ => Some((key, value.into())),
    }
}

/// One JSON object. An integer that is not written as one is not understood.
fn parse_json(event: &str) -> Option<Values> {
    let values: Values = serde_json::from_str(event).ok()?;
    let read: Vec<String> = fields().map(|name| name.replace('-', "_")).collect();
    let is_right = |(key, value): (&String, &Value)| {
        let is_integer = INTEGERS.iter().any(|name| name.replace('-', "_") == *key);
        if is_integer { value.is_i64() } else { value.is_string() }
    };
    let values: Values = values.into_iter().filter(|(key, _)| read.contains(key)).collect();
    values.iter().all(is_right).then_some(values)
}

/// A line of version 2, with or without the fields of versions 3 to 5 after them; what follows is ignored. What is in a
/// line decides whether it is read: a value that is not of its field's kind makes it unread, in the fields of versions 3 to
/// 5 it makes those unread.
fn parse_line(event: &str) -> Option<Values> {
    let values: Vec<&str> = event.split(' ').collect();
    let (first, more) = values.split_at_checked(VERSION_2.len())?;
    let are_right = |names: &[&str], values: &[&str]| {
        names.len() <= values.len() && names.iter().zip(values).all(|(name, value)| is_right(name, value))
    };
    if !are_right(&VERSION_2, first) {
        return None;
    }
    let has_more = are_right(&VERSIONS_3_TO_5, more);
    let names = fields().take(if has_more { usize::MAX } else { VERSION_2.len() });
    Some(names.zip(&values).filter_map(|(name, value)| typed(name, value)).collect())
}

/// Whether a value in a line is of the kind that the parser reads in its place.
fn is_right(name: &str, value: &str) -> bool {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match name {
        "version" => is_number && value.len() == 1,
        "account-id" | "start" | "end" => is_number,
        "srcport" | "dstport" | "protocol" | "packets" | "bytes" | "tcp-flags" => value == "-" || is_number,
        "srcaddr" | "dstaddr" | "pkt-srcaddr" | "pkt-dstaddr" => {
            value == "-" || value.parse::<std::net::IpAddr>().is_ok()
        }
        "log-status" => !value.is_empty() && value.bytes().all(is_word),
        // Anything; but a value that is missing shifts those after it.
        _ => !value.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LINE: &str = "2 1 eni-1 10.0.0.1 2001:db8::1 443 22 6 20 4249 1418530010 1418530070 ACCEPT OK";

    #[test]
    fn a_line_is_read_only_in_its_order() {
        let values = parse(LINE).unwrap();
        assert_eq!((values.len(), &values["protocol"]), (14, &json!(6)));
        assert_eq!(parse(&format!("{LINE} vpc-1 subnet-1")).unwrap().len(), 14);
        let more = format!("{LINE}{} 8 reason", " x x x 3 IPv4 x x x x x x x x x".replace(" x", " -"));
        assert_eq!(parse(&more).unwrap()["traffic_path"], json!(8));
        assert_eq!(parse("10.0.0.1 10.0.0.2 443 22 6 20 4249 1 2 ACCEPT OK 2 1 eni-1"), None);
        assert_eq!(parse("2 1 eni-1 - - - - - - - 1 2 - NODATA").unwrap().len(), 6);
        assert_eq!(parse("2 1 - - - - - - - - 1 2 - INCOMPLETEDATA").unwrap().len(), 5);
    }

    #[test]
    fn a_line_is_read_only_with_values_of_the_right_kind() {
        for (place, right, wrong) in [
            (0, &["8"][..], &["11", "-", "x", ""][..]),
            (1, &["0", "123456789012"], &["unknown", "-", "1a", ""]),
            (2, &["-", "x"], &[""]),
            (3, &["-", "::1"], &["10.0.0", "x", "fe80::1%2", ""]),
            (4, &["-", "::"], &["300.0.0.1", ""]),
            (5, &["-", "0"], &["http", "-1", "1.0", ""]),
            (7, &["-"], &["tcp", ""]),
            (9, &["-", "123456789012345678"], &["1e3", ""]),
            (10, &["0"], &["-", "2026-01-01", ""]),
            (11, &["0"], &["-", ""]),
            (12, &["-", "DROP"], &[""]),
            (13, &["SKIPDATA", "x_1"], &["-", "O-K", "OK\r", ""]),
        ] {
            let with = |value: &str| {
                let mut values: Vec<&str> = LINE.split(' ').collect();
                values[place] = value;
                values.join(" ")
            };
            assert!(right.iter().all(|value| parse(&with(value)).is_some()), "{place}");
            assert!(wrong.iter().all(|value| parse(&with(value)).is_none()), "{place}");
        }
        let more = |flags: &str, source: &str| {
            parse(&format!("{LINE} v s i {flags} IPv4 {source} - r a - - - - ingress 1")).unwrap().len()
        };
        assert_eq!((more("3", "::1"), more("-", "-")), (24, 22));
        assert_eq!((more("x", "::1"), more("3", "x"), more("", "::1")), (14, 14, 14));
    }

    #[test]
    fn an_object_is_read_if_its_integers_are_integers() {
        assert_eq!(
            parse(r#"{"protocol":6,"next_year":"x"}"#).unwrap(),
            [("protocol".to_owned(), json!(6))].into()
        );
        for event in [
            r#"{"protocol":6.0}"#,
            r#"{"protocol":"6"}"#,
            r#"{"account_id":1}"#,
            r#"{"srcaddr":null}"#,
            "{",
            "",
        ] {
            assert_eq!(parse(event), None, "{event}");
        }
    }
}
