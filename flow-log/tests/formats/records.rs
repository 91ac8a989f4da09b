//! Lines that do not match their header, filters, and the positions of records.

use flow_log::decode::block::Block;
use flow_log::decode::{Decoder, RecordFormat};
use flow_log::filter::{Filter, Internal, Networks, Ports, Reason};
use support::parquet::Form;

use crate::{blocks, events, text};

const HEADER: &str = "srcaddr dstaddr action log-status";

fn no_data() -> Filter {
    Filter { no_data: true, ..Filter::default() }
}

fn only(mut blocks: Vec<Block>) -> Block {
    assert_eq!(blocks.len(), 1);
    blocks.remove(0)
}

#[test]
fn a_line_that_does_not_match_its_header_is_rejected_by_its_number_and_the_rest_goes_out() {
    let default = support::flowlogs::HEADER;
    let right = "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 20 4249 1418530010 1418530070 ACCEPT OK";
    for (header, right, wrong) in [
        (
            HEADER,
            "10.0.0.1 8.8.8.8 ACCEPT OK",
            ["10.0.0.1 8.8.8.8 ACCEPT", "10.0.0.1 8.8.8.8 ACCEPT OK more"],
        ),
        (
            default,
            right,
            [
                "2 1 eni-1 10.0.0.1",
                "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 20 4249 1418530010 1418530070 ACCEPT OK more",
            ],
        ),
    ] {
        let object = text(header, &[right, "", wrong[0], right, wrong[1]]);
        for format in [RecordFormat::Auto, RecordFormat::Json] {
            let block = only(blocks(&Decoder::new(format, Filter::default()), &object).unwrap());
            assert_eq!(block.remaining(), 2);
            assert_eq!((block.tally().rejected, block.tally().first_rejected), (2, Some(4)), "{header}");
        }
        let raw = events(RecordFormat::Raw, no_data(), &object).unwrap();
        assert_eq!(raw, [right, wrong[0], right, wrong[1]]);
    }
}

#[test]
fn a_row_that_is_no_text_is_rejected_by_its_number() {
    let mut file = support::parquet::file(
        HEADER,
        &["a b ACCEPT OK", "ééé b ACCEPT OK"],
        &Form {
            compression: parquet::basic::Compression::UNCOMPRESSED,
            has_dictionaries: false,
            ..Form::default()
        },
    )
    .to_vec();
    let place = file.windows(6).position(|bytes| bytes == "ééé".as_bytes()).unwrap();
    file[place] = 0xff;
    let block = only(blocks(&Decoder::default(), &file).unwrap());
    assert_eq!((block.remaining(), block.tally().rejected, block.tally().first_rejected), (1, 1, Some(2)));
}

#[test]
fn what_a_filter_leaves_out_is_counted_by_reason_in_text_and_parquet() {
    let records = [
        "10.0.0.1 10.0.0.2 ACCEPT OK",
        "10.0.0.1 8.8.8.8 ACCEPT OK",
        "8.8.8.8 10.0.0.1 REJECT OK",
        "fd00::1 fe80::2 REJECT OK",
        "- - - NODATA",
        "- - - SKIPDATA",
    ];
    let cases = [
        (Filter { internal: Internal::All, ..Filter::default() }, vec![1, 2, 4, 5], [2, 0, 0, 0, 0, 0]),
        (
            Filter { internal: Internal::Accepted, ..Filter::default() },
            vec![1, 2, 3, 4, 5],
            [1, 0, 0, 0, 0, 0],
        ),
        (Filter { accepted: true, ..Filter::default() }, vec![2, 3, 4, 5], [0, 2, 0, 0, 0, 0]),
        (Filter { rejected: true, ..Filter::default() }, vec![0, 1, 4, 5], [0, 2, 0, 0, 0, 0]),
        (no_data(), vec![0, 1, 2, 3, 5], [0, 0, 1, 0, 0, 0]),
        (
            Filter { internal: Internal::All, rejected: true, no_data: true, ..Filter::default() },
            vec![1, 5],
            [1, 2, 1, 0, 0, 0],
        ),
        (
            Filter { networks: Networks::parse(["8.8.8.8", "fe80::/10"]).unwrap(), ..Filter::default() },
            vec![0, 4, 5],
            [0, 0, 0, 3, 0, 0],
        ),
    ];
    let file = support::parquet::file(HEADER, &records, &Form::default()).to_vec();
    for object in [text(HEADER, &records), file] {
        let everything = events(RecordFormat::Auto, Filter::default(), &object).unwrap();
        for (filter, kept, counts) in &cases {
            let sent = events(RecordFormat::Auto, filter.clone(), &object).unwrap();
            let expected: Vec<&String> = kept.iter().map(|place| &everything[*place]).collect();
            assert_eq!(sent.iter().collect::<Vec<_>>(), expected, "{filter:?}");
            let block = only(blocks(&Decoder::new(RecordFormat::Auto, filter.clone()), &object).unwrap());
            assert_eq!(&block.tally().filtered, counts, "{filter:?}");
            assert_eq!((block.tally().read, block.tally().skip_data), (6, 1), "{filter:?}");
        }
    }
    assert_eq!(
        Reason::ALL.map(Reason::name),
        ["internal traffic", "action", "no data", "network", "port", "no value"]
    );
}

/// Lines, lines as JSON, and rows, whose ports may be numbers of any type.
#[test]
fn ports_and_networks_leave_out_the_same_of_every_form() {
    let header = support::flowlogs::HEADER;
    let records = [
        ("10.0.0.1 8.8.8.8 40000 443 6", None),
        ("10.0.0.1 8.8.8.8 40000 443 17", Some(Reason::Port)),
        ("8.8.8.8 10.0.0.1 53 40000 17", Some(Reason::Port)),
        ("10.0.0.1 192.0.2.1 40000 80 6", Some(Reason::Network)),
        ("192.0.2.1 10.0.0.1 80 40000 6", None),
        ("2001:db8::1 2001:db8::2 40000 80 6", Some(Reason::Network)),
        ("- - - - -", None),
    ];
    let lines: Vec<String> = records
        .iter()
        .map(|(ends, _)| format!("2 1 eni-1 {ends} 20 4249 1418530010 1418530070 ACCEPT OK"))
        .collect();
    let reversed = |line: &str| line.rsplit(' ').collect::<Vec<_>>().join(" ");
    let backwards: Vec<String> = lines.iter().map(|line| reversed(line)).collect();
    let filter = Filter {
        networks: Networks::parse(["10.0.0.0/8>192.0.2.0/24", "2001:db8::/32"]).unwrap(),
        ports: Ports::parse(["53", "udp/400-500"]).unwrap(),
        ..Filter::default()
    };
    let wide = Form { is_wide: true, ..Form::default() };
    let objects = [
        text(header, &lines),
        text(&reversed(header), &backwards),
        support::parquet::file(header, &lines, &Form::default()).to_vec(),
        support::parquet::file(header, &lines, &wide).to_vec(),
    ];
    for object in objects {
        let everything = events(RecordFormat::Auto, Filter::default(), &object).unwrap();
        let sent = events(RecordFormat::Auto, filter.clone(), &object).unwrap();
        let kept = everything.iter().zip(&records).filter(|(_, (_, reason))| reason.is_none());
        assert_eq!(sent.iter().collect::<Vec<_>>(), kept.map(|(event, _)| event).collect::<Vec<_>>());
        let block = only(blocks(&Decoder::new(RecordFormat::Auto, filter.clone()), &object).unwrap());
        let counts = |wanted| records.iter().filter(|(_, reason)| *reason == Some(wanted)).count();
        assert_eq!(block.tally().filtered.map(|count| count as usize), Reason::ALL.map(counts));
    }
}

#[test]
fn dropped_records_are_noticed_without_filters_and_in_any_form() {
    let line = "2 1 eni-1 - - - - - - - 1418530010 1418530070 - SKIPDATA";
    for format in [RecordFormat::Auto, RecordFormat::Raw, RecordFormat::Json] {
        let object = text(support::flowlogs::HEADER, &[line]);
        let block = only(blocks(&Decoder::new(format, Filter::default()), &object).unwrap());
        assert_eq!((block.remaining(), block.tally().skip_data), (1, 1));
    }
}

/// What a filter leaves out keeps its position: a filter may change while an object is delivered in part.
#[test]
fn positions_are_the_same_whatever_is_left_out_and_however_records_are_taken() {
    let records: Vec<String> = (0..20_000)
        .map(|number| match number % 5 {
            0 => format!("- {number} - NODATA"),
            1 => format!("too few {number}"),
            _ => format!("10.0.0.1 {number} ACCEPT OK"),
        })
        .collect();
    let object = text(HEADER, &records);
    let positions = |filter: Filter, step: usize| {
        let mut positions = Vec::new();
        for mut block in blocks(&Decoder::new(RecordFormat::Auto, filter), &object).unwrap() {
            while block.remaining() > 0 {
                let taken = String::from_utf8(block.take(step).to_vec()).unwrap();
                // The number in a record is its position.
                let last = taken.rsplit("dstaddr").next().unwrap();
                let number: String = last.chars().filter(char::is_ascii_digit).collect();
                assert_eq!(block.position(), number.parse::<u64>().unwrap() + 1, "{taken}");
                positions.push(block.position());
            }
        }
        positions
    };
    let all = positions(Filter::default(), 1);
    let kept = positions(no_data(), 1);
    assert_eq!((all.len(), kept.len()), (16_000, 12_000));
    assert!(kept.iter().all(|position| all.binary_search(position).is_ok()));
    for step in [7, 1000] {
        assert!(positions(no_data(), step).iter().all(|position| kept.binary_search(position).is_ok()));
    }
    let end = blocks(&Decoder::new(RecordFormat::Auto, no_data()), &object).unwrap().last().unwrap().end();
    assert_eq!(end, 20_000);
    // Going on at a position gives what follows it, with any filter.
    for from in [0_u64, 1, 2, 9_999, 19_999, 20_000] {
        let rest: usize = blocks(&Decoder::new(RecordFormat::Auto, no_data()), &object)
            .unwrap()
            .iter_mut()
            .map(|block| {
                block.skip_to(from);
                block.remaining()
            })
            .sum();
        assert_eq!(rest, kept.iter().filter(|position| **position > from).count(), "{from}");
    }
}
