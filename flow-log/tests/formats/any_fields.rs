//! Any fields in any order, as text and as Parquet.

use ::parquet::basic::Compression;
use flow_log::decode::RecordFormat;
use flow_log::filter::Filter;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value};
use support::parquet::Form;
use support::parser;

use crate::{events, text};

/// The fields after version 5, and one that is on no list.
const LATER: &str = "resource-type tgw-id tgw-attachment-id tgw-src-vpc-account-id tgw-dst-vpc-account-id tgw-src-vpc-id \
    tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni tgw-src-az-id tgw-dst-az-id \
    tgw-pair-attachment-id packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded \
    packets-lost-ttl-expired ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id \
    ecs-container-id ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id \
    reject-reason resource-id encryption-status instance-tag instance-tag-2 interface-tag interface-tag-2 asg-tag \
    asg-tag-2 interface-type next-hop-interface-id next-hop-subnet-id next-hop-az-id next-hop-vpc-id \
    next-hop-interface-type field-of-next-year";

fn all_fields() -> Vec<&'static str> {
    parser::fields().chain(LATER.split(' ')).collect()
}

fn is_integer(field: &str) -> bool {
    parser::INTEGERS.contains(&field) || field.starts_with("packets-lost-")
}

/// A value as AWS may write it for a field; the dash, one time in eight.
fn value(field: &'static str) -> BoxedStrategy<String> {
    let there: BoxedStrategy<String> = match field {
        "version" => (2..12_u8).prop_map(|version| version.to_string()).boxed(),
        "bytes" | "packets" => (0..1_u64 << 53).prop_map(|count| count.to_string()).boxed(),
        _ if is_integer(field) => any::<u16>().prop_map(|number| number.to_string()).boxed(),
        // Interfaces that an AWS service made have no account.
        "account-id" => prop_oneof![6 => "[0-9]{12}", 1 => Just("unknown".to_owned())].boxed(),
        "interface-id" => "eni-[0-9a-f]{17}".boxed(),
        "action" => select(vec!["ACCEPT", "REJECT"]).prop_map(str::to_owned).boxed(),
        "log-status" => {
            return select(vec!["OK", "NODATA", "SKIPDATA", "INCOMPLETEDATA"])
                .prop_map(str::to_owned)
                .boxed();
        }
        _ if field.ends_with("addr") => prop_oneof![
            any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
            any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
        ]
        .boxed(),
        // Tags carry whatever a user wrote, but for spaces; bytes that are no text are rejected in Parquet.
        _ if field.contains("tag") || field == "field-of-next-year" => "[^\\s\u{feff}\0]{1,12}".boxed(),
        _ => "[a-z]{2,6}-[0-9a-f]{4}".boxed(),
    };
    // A regional NAT gateway has no interface.
    if matches!(field, "version" | "account-id" | "start" | "end") {
        return there;
    }
    prop_oneof![7 => there, 1 => Just("-".to_owned())].boxed()
}

/// Fields in the order that the parser reads, or any of them in any order.
fn fields() -> impl Strategy<Value = Vec<&'static str>> {
    let count = all_fields().len();
    let ordered =
        select(vec![14, 15, 20, 28, 29, 30, count]).prop_map(|count| all_fields()[..count].to_vec());
    let shuffled = Just(all_fields()).prop_shuffle();
    let any = (shuffled, any::<Index>()).prop_map(|(mut fields, count)| {
        fields.truncate(count.index(fields.len()) + 1);
        // Beside a field that is on no list, one that only flow logs have: else a Parquet file is another log.
        if fields.contains(&"field-of-next-year") && !fields.contains(&"log-status") {
            fields.push("log-status");
        }
        fields
    });
    prop_oneof![1 => ordered, 3 => any]
}

fn objects() -> impl Strategy<Value = (String, Vec<String>)> {
    fields().prop_flat_map(|fields| {
        let record: Vec<_> = fields.iter().map(|field| value(field)).collect();
        let records = prop::collection::vec(record.prop_map(|values| values.join(" ")), 1..8);
        (Just(fields.join(" ")), records)
    })
}

fn forms() -> impl Strategy<Value = Form> {
    let codecs = vec![
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(Default::default()),
    ];
    (select(codecs), 1..9_usize, 1..9_usize, any::<[bool; 3]>()).prop_map(
        |(compression, group_rows, page_rows, [has_dictionaries, is_wide, has_pages_v2])| Form {
            compression,
            group_rows,
            page_rows,
            has_dictionaries,
            is_wide,
            has_pages_v2,
        },
    )
}

/// All that a record holds, as an object ought to have it.
fn whole(header: &str, record: &str) -> Value {
    let values = header.split(' ').zip(record.split(' ')).filter(|(_, value)| *value != "-");
    let typed = values.map(|(name, value)| {
        let value = if is_integer(name) { value.parse::<i64>().unwrap().into() } else { value.into() };
        (name.replace('-', "_"), value)
    });
    typed.collect::<Map<String, Value>>().into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_the_fields_and_their_order_the_parser_finds_what_the_record_says((header, records) in objects(), form in forms()) {
        let parquet = support::parquet::file(&header, &records, &form);
        for (object, is_text) in [(text(&header, &records), true), (parquet.to_vec(), false)] {
            // What has no value at all is no record.
            let has_value = |record: &&String| record.split(' ').any(|value| value != "-");
            let there: Vec<&String> = records.iter().filter(has_value).collect();
            let sent = events(RecordFormat::Auto, Filter::default(), &object).unwrap();
            prop_assert_eq!(sent.len(), there.len());
            for (event, record) in sent.iter().zip(there.iter().copied()) {
                prop_assert_eq!(parser::parse(event), Some(parser::expected(&header, record)), "{}", event);
            }
            let json = events(RecordFormat::Json, Filter::default(), &object).unwrap();
            for (event, record) in json.iter().zip(there) {
                prop_assert_eq!(serde_json::from_str::<Value>(event).unwrap(), whole(&header, record));
            }
            let raw = events(RecordFormat::Raw, Filter::default(), &object).unwrap();
            prop_assert_eq!(&raw, if is_text { &records } else { &json });
        }
    }
}
