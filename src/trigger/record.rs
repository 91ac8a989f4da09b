//! What a line of a flow log is: a header that names the fields, or a record with a value for each.

/// The fields of all versions, as AWS documents them
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html>).
const FIELDS: &[&str] = &[
    // 2
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
    // 3
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    // 4
    "region",
    "az-id",
    "sublocation-type",
    "sublocation-id",
    // 5
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "flow-direction",
    "traffic-path",
    // 6
    "resource-type",
    "tgw-id",
    "tgw-attachment-id",
    "tgw-src-vpc-account-id",
    "tgw-dst-vpc-account-id",
    "tgw-src-vpc-id",
    "tgw-dst-vpc-id",
    "tgw-src-subnet-id",
    "tgw-dst-subnet-id",
    "tgw-src-eni",
    "tgw-dst-eni",
    "tgw-src-az-id",
    "tgw-dst-az-id",
    "tgw-pair-attachment-id",
    "packets-lost-no-route",
    "packets-lost-blackhole",
    "packets-lost-mtu-exceeded",
    "packets-lost-ttl-expired",
    // 7
    "ecs-cluster-arn",
    "ecs-cluster-name",
    "ecs-container-instance-arn",
    "ecs-container-instance-id",
    "ecs-container-id",
    "ecs-second-container-id",
    "ecs-service-name",
    "ecs-task-definition-arn",
    "ecs-task-arn",
    "ecs-task-id",
    // 8 to 10
    "reject-reason",
    "resource-id",
    "encryption-status",
    // 11
    "instance-tag",
    "instance-tag-2",
    "interface-tag",
    "interface-tag-2",
    "asg-tag",
    "asg-tag-2",
    "interface-type",
    "next-hop-interface-id",
    "next-hop-subnet-id",
    "next-hop-az-id",
    "next-hop-vpc-id",
    "next-hop-interface-type",
];

/// Whether a line is a header: it begins with a known field, all its words look like fields, and most are known.
///
/// A field that is on no list yet must not hide a header, and a record must never pass for one: a value that looks like
/// a field's name is rare, a line of which most values do does not occur.
pub fn is_header(line: &[u8]) -> bool {
    // Nearly every record begins with a digit or an upper-case letter; this decides for them.
    if !line.first().is_some_and(u8::is_ascii_lowercase) {
        return false;
    }
    let mut words = line.split(|byte| *byte == b' ');
    if !words.next().is_some_and(is_known) {
        return false;
    }
    let (mut known, mut unknown) = (1, 0);
    for word in words {
        if is_known(word) {
            known += 1;
        } else if looks_like_field(word) {
            unknown += 1;
        } else {
            return false;
        }
    }
    known > unknown
}

/// Whether a line fits the default format, version 2: fourteen values, the first a version, the last a log status.
pub fn fits_default_format(line: &[u8]) -> bool {
    let values: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let version =
        values.first().is_some_and(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit));
    let status = values.last().is_some_and(|value| matches!(*value, b"OK" | b"NODATA" | b"SKIPDATA"));
    values.len() == 14 && version && status
}

fn is_known(word: &[u8]) -> bool {
    FIELDS.iter().any(|field| field.as_bytes() == word)
}

fn looks_like_field(word: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    word.first().is_some_and(u8::is_ascii_lowercase) && word.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_known_by_their_content() {
        for header in [
            "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status",
            "srcaddr dstaddr field-of-next-year",
            "log-status",
            "tgw-id resource-type version",
        ] {
            assert!(is_header(header.as_bytes()), "{header}");
        }
    }

    #[test]
    fn records_are_not_headers() {
        for record in [
            "2 111111111111 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
            "2 111111111111 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA",
            "eni-1235b8ca123456789 ingress 2001:db8::1",
            "region 10.0.0.1 10.0.0.2",
            "type us-east-1 use1-az1",
            "vpc-0ab region type",
            "",
            " ",
            "-",
        ] {
            assert!(!is_header(record.as_bytes()), "{record}");
        }
    }

    #[test]
    fn the_default_format_is_known_without_a_header() {
        let record = "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 20 4249 1418530010 1418530070 ACCEPT OK";
        assert!(fits_default_format(record.as_bytes()));
        for other in
            ["", "2", "{\"Records\": []}", "2 1 eni-1 a b 1 2 6 20 4249 1418530010 1418530070 ACCEPT FINE"]
        {
            assert!(!fits_default_format(other.as_bytes()), "{other}");
        }
    }
}
