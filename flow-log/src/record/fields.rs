//! The fields of flow logs: their names, which of them are numbers, and in which order the intake's parser reads them.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

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

/// The fields that hold whole numbers. An account's ID is text: it may begin with a zero.
const INTEGERS: &[&str] = &[
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
    "packets-lost-no-route",
    "packets-lost-blackhole",
    "packets-lost-mtu-exceeded",
    "packets-lost-ttl-expired",
];

/// The fields of the default format, which is version 2.
const DEFAULT: usize = 14;
/// The fields of versions 2 to 5.
const THROUGH_VERSION_5: usize = 29;
/// A longer name is none: AWS's longest has 26 letters. With many long names, a short line would make much JSON.
const NAME_BYTES: usize = 64;

/// Other names of fields. AWS's documentation used these for tables of Athena.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("account", "account-id"),
    ("sourceaddress", "srcaddr"),
    ("destinationaddress", "dstaddr"),
    ("sourceport", "srcport"),
    ("destinationport", "dstport"),
    ("numpackets", "packets"),
    ("numbytes", "bytes"),
    ("starttime", "start"),
    ("endtime", "end"),
];

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| FIELDS.iter().copied().collect());
/// The field of each name without case and separators.
static BY_SQUEEZED: LazyLock<HashMap<String, &str>> = LazyLock::new(|| {
    let fields = FIELDS.iter().map(|field| (squeezed(field), *field));
    fields.chain(OTHER_NAMES.iter().map(|(name, field)| ((*name).to_owned(), *field))).collect()
});

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Text, even where it has digits only.
    Text,
    /// A field that is on no list.
    Unknown,
}

impl Kind {
    /// That of a field, by whatever name it is known.
    pub fn of(name: &str) -> Self {
        match field(name) {
            Some(field) if INTEGERS.contains(&field) => Self::Integer,
            Some(_) => Self::Text,
            None => Self::Unknown,
        }
    }
}

/// The fields of the default format in their order.
pub fn default_format() -> &'static [&'static str] {
    FIELDS.get(..DEFAULT).unwrap_or_default()
}

/// Whether the intake's parser finds every field of a line in this order that it knows: the fourteen fields of version
/// 2 alone, or with all fifteen of versions 3 to 5 after them. Where only some of those follow, or others, it would
/// leave them out or take one for another.
pub fn are_parsed(names: &[&str]) -> bool {
    names == default_format()
        || FIELDS.get(..THROUGH_VERSION_5).is_some_and(|parsed| names.starts_with(parsed))
}

/// Whether it is the name of a field on the list.
pub fn is_known(word: &str) -> bool {
    KNOWN.contains(word)
}

/// The only field on the list that has the same letters as a word wherever that has any.
pub fn resembling(word: &[u8]) -> Option<&'static str> {
    let is_same = |field: &&&str| {
        field.len() == word.len()
            && field.bytes().zip(word).all(|(letter, byte)| letter == *byte || !byte.is_ascii())
    };
    let mut same = FIELDS.iter().filter(is_same);
    same.next().copied().filter(|_| same.next().is_none())
}

/// The field on the list that a name stands for, whatever its case and separators: `accountId`, `ACCOUNT_ID` and `account`
/// are `account-id`.
pub fn field(name: &str) -> Option<&'static str> {
    if name.len() > NAME_BYTES {
        return None;
    }
    KNOWN.get(name).or_else(|| BY_SQUEEZED.get(&squeezed(name))).copied()
}

/// A name without case and separators.
fn squeezed(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '-' | '_' | ' '));
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether it may be the name of a field that is on no list yet.
pub fn looks_like_field(word: &str) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    let bytes = word.as_bytes();
    bytes.len() <= NAME_BYTES
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_whatever_its_case_and_separators() {
        for name in
            ["account-id", "account_id", "accountId", "ACCOUNT_ID", "Account-Id", "account id", "account"]
        {
            assert_eq!(field(name), Some("account-id"), "{name}");
        }
        for known in FIELDS {
            let upper = known.to_ascii_uppercase().replace('-', "_");
            assert_eq!((field(known), field(&upper)), (Some(*known), Some(*known)));
        }
        let athena = "account interfaceid sourceaddress destinationaddress sourceport destinationport protocol \
            numpackets numbytes starttime endtime action logstatus";
        let fields: Vec<_> = athena.split_whitespace().map(|name| field(name).unwrap()).collect();
        assert_eq!(fields, FIELDS[1..DEFAULT]);
        for other in ["", "-", "src_endpoint.ip", "colour", "accounts"] {
            assert_eq!(field(other), None, "{other}");
        }
        assert_eq!(field(&"a".repeat(1 << 20)), None);
    }

    #[test]
    fn no_two_fields_are_one_without_separators() {
        assert_eq!(BY_SQUEEZED.len(), FIELDS.len() + OTHER_NAMES.len());
    }
}
