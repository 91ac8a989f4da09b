//! Values of every type that Parquet knows: each is written as AWS would have written it, or its record is rejected.

use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use flow_log::decode::{Decoder, RecordFormat};
use flow_log::filter::Filter;
use support::parquet::{Compression, of_columns};

use crate::parquet::{fixture, sent};
use crate::{blocks, events};

/// What AWS would have written of the types that pyarrow and other tools store fields as.
const TYPED: [&str; 2] = [
    r#"{"version":5,"account_id":"012345678901","srcaddr":"10.0.0.1","dstaddr":"10.0.0.2","srcport":443,"dstport":5,"protocol":6,"packets":20,"bytes":5120,"start":1795377300,"end":1795377300,"action":"ACCEPT","log_status":"OK","tcp_flags":2,"traffic_path":8,"a_day":"2026-11-22","a_time":"00:05:00.25","a_short_time":"00:05:00.25","a_moment":"2026-11-22T19:55:00Z","a_local_moment":"2026-11-22T19:55:00","a_uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f","a_price":1.5,"a_truth":true,"a_ratio":0.1}"#,
    r#"{"version":5,"account_id":"222222222222","srcaddr":"2001:db8::1","dstport":-1,"packets":7,"bytes":1099511627776,"start":1795377358,"end":1795377358,"action":"REJECT","log_status":"NODATA","traffic_path":1,"a_day":"1969-12-31","a_time":"00:00:00","a_short_time":"00:00:00","a_moment":"2026-11-22T19:55:58.5Z","a_local_moment":"2026-11-22T19:55:58.5","a_price":-0.005,"a_truth":false,"a_ratio":3}"#,
];

#[test]
fn every_logical_type_of_pyarrow_is_written_as_aws_would_have() {
    for name in ["types.parquet", "types-as-integers.parquet"] {
        assert_eq!(sent(&fixture(name)), TYPED, "{name}");
    }
    // Times of 96 bits say nothing of a zone; they are taken for UTC, as by all who write them.
    let old = TYPED
        .map(|event| event.replace(r#"19:55:00","#, r#"19:55:00Z","#).replace(r#"58.5","#, r#"58.5Z","#));
    assert_eq!(sent(&fixture("types-of-old.parquet")), old);
}

/// What becomes of values in a column beside addresses: what is sent of it, or `None` for a record that is rejected.
fn written<T: DataType>(column: &str, values: &[T::T]) -> Vec<Option<String>> {
    let schema = format!("required binary srcaddr (UTF8); required binary dstaddr (UTF8); {column};");
    let addresses = vec![ByteArray::from("10.0.0.1"); values.len()];
    let file = of_columns(&schema, Compression::UNCOMPRESSED, |place, writer| {
        if place < 2 {
            writer.typed::<ByteArrayType>().write_batch(&addresses, None, None).unwrap();
        } else {
            writer.typed::<T>().write_batch(values, None, None).unwrap();
        }
    });
    let rejected: u32 =
        blocks(&Decoder::default(), &file).unwrap().iter().map(|block| block.tally().rejected).sum();
    let sent = events(RecordFormat::Auto, Filter::default(), &file).unwrap();
    assert_eq!(sent.len() + rejected as usize, values.len());
    // Each value is asked for by itself, so that it is known which was rejected.
    if values.len() == 1 {
        let value = |event: String| {
            let (_, rest) = event.split_once(r#""dstaddr":"10.0.0.1""#).unwrap();
            rest.trim_start_matches(',').trim_end_matches('}').to_owned()
        };
        return vec![sent.into_iter().next().map(value)];
    }
    values.iter().flat_map(|value| written::<T>(column, std::slice::from_ref(value))).collect()
}

/// Each value of a column with what is sent of it.
fn is<T: DataType>(column: &str, cases: &[(T::T, Option<&str>)]) {
    let values: Vec<T::T> = cases.iter().map(|(value, _)| value.clone()).collect();
    let expected: Vec<Option<String>> = cases.iter().map(|(_, sent)| sent.map(str::to_owned)).collect();
    assert_eq!(written::<T>(column, &values), expected, "{column}");
}

#[test]
fn decimals_are_numbers_without_the_zeros_of_their_scale() {
    is::<Int32Type>(
        "required int32 bytes (DECIMAL(9,2))",
        &[
            (512_000, Some(r#""bytes":5120"#)),
            (0, Some(r#""bytes":0"#)),
            (-700, Some(r#""bytes":-7"#)),
            (512_050, None),
        ],
    );
    is::<Int64Type>(
        "required int64 start (DECIMAL(18,6))",
        &[(1_795_377_300_000_000, Some(r#""start":1795377300"#)), (1_795_377_300_500_000, None)],
    );
    is::<Int64Type>(
        "required int64 account_id (DECIMAL(18,0))",
        &[(12_345_678_901, Some(r#""account_id":"012345678901""#)), (1_234_567_890_123, None), (-1, None)],
    );
    is::<Int32Type>(
        "required int32 price (DECIMAL(9,3))",
        &[(1500, Some(r#""price":1.5"#)), (-5, Some(r#""price":-0.005"#)), (2000, Some(r#""price":2"#))],
    );
    let bytes = |bytes: &[u8]| ByteArray::from(bytes.to_vec());
    is::<ByteArrayType>(
        "required binary packets (DECIMAL(38,2))",
        &[
            (bytes(&[0x07, 0xd0]), Some(r#""packets":20"#)),
            (bytes(&[0xff; 20]), None),
            (bytes(&[0xfe, 0x0c]), Some(r#""packets":-5"#)),
            (bytes(&[]), None),
            // More than any counter holds.
            (bytes(&[0x7f; 16]), None),
            (bytes(&[[0; 9].as_slice(), &[0x07, 0xd0]].concat()), Some(r#""packets":20"#)),
        ],
    );
    let fixed = |bytes: &[u8]| FixedLenByteArray::from(bytes.to_vec());
    is::<FixedLenByteArrayType>(
        "required fixed_len_byte_array(9) bytes (DECIMAL(20,0))",
        &[
            (fixed(&[0, 0, 0, 0, 0, 0, 0, 0x14, 0]), Some(r#""bytes":5120"#)),
            (
                fixed(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
                Some(r#""bytes":18446744073709551615"#),
            ),
            (fixed(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), None),
        ],
    );
    // A number that readers of JSON would round stays text where nothing says what the field holds.
    is::<FixedLenByteArrayType>(
        "required fixed_len_byte_array(9) price (DECIMAL(20,4))",
        &[(
            fixed(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Some(r#""price":"1844674407370955.1615""#),
        )],
    );
}

#[test]
fn times_are_seconds_where_seconds_are_meant_and_text_elsewhere() {
    for (unit, factor) in [("MILLIS", 1000), ("MICROS", 1_000_000), ("NANOS", 1_000_000_000)] {
        for utc in [true, false] {
            is::<Int64Type>(
                &format!("required int64 starttime (TIMESTAMP({unit},{utc}))"),
                &[
                    (1_795_377_300 * factor, Some(r#""start":1795377300"#)),
                    (1_795_377_300 * factor + factor / 2, Some(r#""start":1795377300"#)),
                    (-factor / 2, Some(r#""start":-1"#)),
                ],
            );
        }
        is::<Int64Type>(
            &format!("required int64 seen (TIMESTAMP({unit},true))"),
            &[
                (1_795_377_300 * factor, Some(r#""seen":"2026-11-22T19:55:00Z""#)),
                (factor / 4, Some(r#""seen":"1970-01-01T00:00:00.25Z""#)),
            ],
        );
        is::<Int64Type>(&format!("required int64 bytes (TIMESTAMP({unit},true))"), &[(5, None)]);
    }
    is::<Int64Type>("required int64 seen (TIMESTAMP(MILLIS,true))", &[(i64::MAX, None), (i64::MIN, None)]);
    is::<Int64Type>("required int64 start (TIMESTAMP_MILLIS)", &[(5000, Some(r#""start":5"#))]);
    let mut moment = Int96::new();
    moment.set_data(500_000_000, 0, 2_440_589);
    is::<Int96Type>("required int96 end", &[(moment, Some(r#""end":86400"#))]);
    is::<Int96Type>("required int96 seen", &[(moment, Some(r#""seen":"1970-01-02T00:00:00.5Z""#))]);
    is::<Int96Type>("required int96 bytes", &[(moment, None)]);
    is::<Int32Type>("required int32 start (DATE)", &[(20_779, None)]);
    is::<Int32Type>(
        "required int32 seen (DATE)",
        &[(20_779, Some(r#""seen":"2026-11-22""#)), (i32::MAX, None)],
    );
    is::<Int32Type>(
        "required int32 seen (TIME_MILLIS)",
        &[(1, Some(r#""seen":"00:00:00.001""#)), (-1, None)],
    );
    is::<Int64Type>("required int64 seen (TIME_MICROS)", &[(86_400_000_000, None)]);
}

#[test]
fn floats_are_integers_where_they_are_exact() {
    is::<DoubleType>(
        "required double bytes",
        &[
            (5120.0, Some(r#""bytes":5120"#)),
            (-0.0, Some(r#""bytes":0"#)),
            (f64::NAN, Some("")),
            (0.5, None),
            (f64::INFINITY, None),
            // It may have been another number before.
            (9_007_199_254_740_992.0, None),
        ],
    );
    is::<FloatType>("required float start", &[(60.0, Some(r#""start":60"#)), (1_795_377_300.0, None)]);
    is::<DoubleType>(
        "required double account_id",
        &[(12_345_678_901.0, Some(r#""account_id":"012345678901""#)), (1.5, None)],
    );
    is::<FloatType>("required float ratio", &[(0.1, Some(r#""ratio":0.1"#)), (3.0, Some(r#""ratio":3"#))]);
    let half = |bits: u16| FixedLenByteArray::from(bits.to_le_bytes().to_vec());
    is::<FixedLenByteArrayType>(
        "required fixed_len_byte_array(2) protocol (FLOAT16)",
        &[
            (half(0x4600), Some(r#""protocol":6"#)),
            (half(0x3800), None),
            (half(0x7e00), Some("")),
            (half(0x6800), None),
        ],
    );
}

#[test]
fn integers_are_those_of_their_annotation() {
    is::<Int32Type>("required int32 bytes (UINT_32)", &[(-1, Some(r#""bytes":4294967295"#))]);
    is::<Int64Type>("required int64 bytes (UINT_64)", &[(-1, Some(r#""bytes":18446744073709551615"#))]);
    is::<Int32Type>(
        "required int32 protocol (UINT_8)",
        &[(6, Some(r#""protocol":6"#)), (256, None), (-1, None)],
    );
    is::<Int32Type>("required int32 protocol (INT_8)", &[(-128, Some(r#""protocol":-128"#)), (128, None)]);
    is::<Int32Type>("required int32 srcport (INT_16)", &[(443, Some(r#""srcport":443"#)), (65_535, None)]);
    is::<Int64Type>("required int64 account_id", &[(12_345_678_901, Some(r#""account_id":"012345678901""#))]);
    // An address that became a number has lost which byte comes first.
    is::<Int64Type>("required int64 pkt_srcaddr", &[(167_772_161, None)]);
    is::<BoolType>("required boolean tcp_flags", &[(true, None)]);
    is::<BoolType>("required boolean is_new", &[(true, Some(r#""is_new":true"#))]);
}

#[test]
fn text_is_text_whatever_it_is_called_and_nothing_else_is() {
    let text = |text: &str| ByteArray::from(text);
    for kind in ["", "(UTF8)", "(ENUM)", "(JSON)"] {
        is::<ByteArrayType>(
            &format!("required binary action {kind}"),
            &[
                (text("ACCEPT"), Some(r#""action":"ACCEPT""#)),
                (text("-"), Some("")),
                (text(""), Some("")),
                (text("a\0b"), None),
                (ByteArray::from(vec![0xff, 0xfe]), None),
            ],
        );
        is::<ByteArrayType>(
            &format!("required binary bytes {kind}"),
            &[
                (text("5120"), Some(r#""bytes":5120"#)),
                (text("5120.00"), Some(r#""bytes":5120"#)),
                (text("18446744073709551615"), Some(r#""bytes":18446744073709551615"#)),
                (text("5120.5"), None),
                (text("many"), None),
                (text("-"), Some("")),
            ],
        );
        is::<ByteArrayType>(
            &format!("required binary account {kind}"),
            &[
                (text("unknown"), Some(r#""account_id":"unknown""#)),
                (text("012345678901"), Some(r#""account_id":"012345678901""#)),
                (text("12345678901"), Some(r#""account_id":"012345678901""#)),
                (text("12345678901.0"), Some(r#""account_id":"012345678901""#)),
            ],
        );
    }
    is::<ByteArrayType>("required binary action (BSON)", &[(text("ACCEPT"), None)]);
    // The bytes of an address, which may look like text.
    is::<ByteArrayType>(
        "required binary pkt_srcaddr",
        &[(text("1234"), None), (text("::1"), Some(r#""pkt_srcaddr":"::1""#))],
    );
    let fixed = |text: &str| FixedLenByteArray::from(ByteArray::from(text));
    is::<FixedLenByteArrayType>(
        "required fixed_len_byte_array(8) action",
        &[
            (fixed("ACCEPT\0\0"), Some(r#""action":"ACCEPT""#)),
            (fixed("\0\0\0\0\0\0\0\0"), Some("")),
            (fixed("A\0CCEPT\0"), None),
        ],
    );
    is::<FixedLenByteArrayType>(
        "required fixed_len_byte_array(4) pkt_dstaddr",
        &[(fixed("\n\0\0\x01"), None), (fixed("1234"), None)],
    );
    is::<FixedLenByteArrayType>(
        "required fixed_len_byte_array(12) start (INTERVAL)",
        &[(fixed("000000000000"), None)],
    );
    is::<FixedLenByteArrayType>(
        "required fixed_len_byte_array(16) bytes (UUID)",
        &[(fixed("0000000000000000"), None)],
    );
}

#[test]
fn a_value_that_is_too_large_for_a_record_costs_its_record() {
    let long = ByteArray::from("x".repeat(2 << 20).as_str());
    is::<ByteArrayType>(
        "required binary instance_tag (UTF8)",
        &[(long, None), (ByteArray::from("x"), Some(r#""instance_tag":"x""#))],
    );
}
