//! Which fields go out.

use flow_log::decode::{Decoder, RecordFormat};
use flow_log::filter::{Filter, Internal, Networks, Ports, Reason};
use flow_log::record::selection::Selection;
use serde_json::{Map, Value};
use support::flowlogs::HEADER;
use support::parquet::Form;

use crate::{blocks, decoded, text};

const LINES: [&str; 4] = [
    "2 1 eni-1 10.0.0.1 8.8.8.8 40000 443 6 20 4249 1418530010 1418530070 ACCEPT OK",
    "2 1 eni-1 10.0.0.1 10.0.0.2 40000 53 17 20 4249 1418530010 1418530070 ACCEPT OK",
    "2 1 eni-1 192.0.2.1 10.0.0.2 40000 80 6 20 4249 1418530010 1418530070 REJECT OK",
    "2 1 eni-1 - - - - - - - 1418530010 1418530070 - NODATA",
];

fn decoder(format: RecordFormat, filter: Filter, names: &[&str]) -> Decoder {
    Decoder::new(format, filter).with_fields(Selection::parse(names).unwrap())
}

fn objects() -> [Vec<u8>; 2] {
    [text(HEADER, &LINES), support::parquet::file(HEADER, &LINES, &Form::default()).to_vec()]
}

#[test]
fn of_the_fields_that_are_named_those_with_a_value_go_out_in_the_order_of_the_file() {
    let names = ["dstport", "SrcAddr", "interface_id", "vpc-id", "start"];
    for object in objects() {
        let all = decoded(&Decoder::new(RecordFormat::Json, Filter::default()), &object).unwrap();
        let sent = decoded(&decoder(RecordFormat::Json, Filter::default(), &names), &object).unwrap();
        assert_eq!(
            sent[0],
            r#"{"interface_id":"eni-1","srcaddr":"10.0.0.1","dstport":443,"start":1418530010}"#
        );
        assert_eq!(sent[3], r#"{"interface_id":"eni-1","start":1418530010}"#);
        for (sent, all) in sent.iter().zip(&all) {
            let [sent, mut all] =
                [sent, all].map(|event| serde_json::from_str::<Map<String, Value>>(event).unwrap());
            all.retain(|key, _| ["interface_id", "srcaddr", "dstport", "start"].contains(&key.as_str()));
            assert_eq!(sent, all);
        }
    }
}

/// What goes out and what does not, does so whatever is written of it.
#[test]
fn filters_look_at_fields_that_do_not_go_out() {
    let filters = [
        Filter { internal: Internal::Accepted, ..Filter::default() },
        Filter { rejected: true, ..Filter::default() },
        Filter { no_data: true, ..Filter::default() },
        Filter { networks: Networks::parse(["192.0.2.0/24>10.0.0.0/8"]).unwrap(), ..Filter::default() },
        Filter { ports: Ports::parse(["udp/53"]).unwrap(), ..Filter::default() },
    ];
    for object in objects() {
        for (filter, place) in filters.iter().zip([1, 2, 3, 2, 1]) {
            let all = decoded(&decoder(RecordFormat::Json, Filter::default(), &["start"]), &object).unwrap();
            let decoder = decoder(RecordFormat::Json, filter.clone(), &["start"]);
            let mut expected = all.clone();
            expected.remove(place);
            assert_eq!(decoded(&decoder, &object).unwrap(), expected, "{filter:?}");
            let block = blocks(&decoder, &object).unwrap().remove(0);
            assert_eq!(block.tally().filtered.iter().sum::<u32>(), 1, "{filter:?}");
        }
    }
}

#[test]
fn a_record_without_a_value_for_any_of_the_fields_is_counted() {
    for object in objects() {
        let decoder = decoder(RecordFormat::Json, Filter::default(), &["srcaddr", "tgw-id"]);
        let mut block = blocks(&decoder, &object).unwrap().remove(0);
        assert_eq!((block.remaining(), block.end()), (3, 4));
        assert_eq!(block.tally().filtered[Reason::NoValue as usize], 1);
        block.take(3);
        assert_eq!(block.position(), 3);
        let none =
            blocks(&self::decoder(RecordFormat::Json, Filter::default(), &["tgw-id"]), &object).unwrap();
        assert_eq!((none[0].remaining(), none[0].tally().filtered[Reason::NoValue as usize]), (0, 4));
    }
}

#[test]
fn lines_go_out_whole_and_their_addresses_are_known_to_be_there() {
    let decoder = decoder(RecordFormat::Auto, Filter::default(), &["start"]);
    let [lines, rows] = objects();
    assert_eq!(decoded(&decoder, &lines).unwrap(), LINES);
    assert!(!blocks(&decoder, &rows).unwrap()[0].tally().lacks_addresses);
}

/// Whatever is wrong with it.
#[test]
fn a_column_that_is_not_needed_is_not_read() {
    let form = Form {
        has_dictionaries: false,
        compression: support::parquet::Compression::UNCOMPRESSED,
        ..Form::default()
    };
    let mut file = support::parquet::file("srcaddr dstaddr bytes", &["a b 7", "ééé b 8"], &form).to_vec();
    // The length of a value, in the bytes before it.
    let place = file.windows(6).position(|bytes| bytes == "ééé".as_bytes()).unwrap();
    file[place - 4] = 0xff;
    let decoded = |names: &[&str]| decoded(&decoder(RecordFormat::Json, Filter::default(), names), &file);
    assert_eq!(
        decoded(&["dstaddr", "bytes"]).unwrap(),
        [r#"{"dstaddr":"b","bytes":7}"#, r#"{"dstaddr":"b","bytes":8}"#]
    );
    assert_eq!(decoded(&["srcaddr"]).unwrap_err().cause(), "parquet");
}
