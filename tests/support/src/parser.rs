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

/// A line of version 2, with or without the fields of versions 3 to 5 behind; what follows is ignored.
fn parse_line(event: &str) -> Option<Values> {
    let values: Vec<&str> = event.split(' ').collect();
    let integer = |value: &str| value == "-" || value.parse::<u64>().is_ok();
    let address = |value: &str| value == "-" || value.parse::<std::net::IpAddr>().is_ok();
    for (name, place) in VERSION_2.into_iter().zip(0..) {
        let value = *values.get(place)?;
        let is_right = match name {
            "version" => value.parse::<u8>().is_ok(),
            "srcaddr" | "dstaddr" => address(value),
            "action" => matches!(value, "ACCEPT" | "REJECT" | "-"),
            "log-status" => matches!(value, "OK" | "NODATA" | "SKIPDATA"),
            _ if INTEGERS.contains(&name) => integer(value),
            _ => !value.is_empty(),
        };
        is_right.then_some(())?;
    }
    let has_more = values.len() >= VERSION_2.len() + VERSIONS_3_TO_5.len();
    let names = fields().take(if has_more { usize::MAX } else { VERSION_2.len() });
    Some(names.zip(&values).filter_map(|(name, value)| typed(name, value)).collect())
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
