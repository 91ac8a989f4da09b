//! What is wrong in a text costs its line at most.

use std::io::Write as _;

use flow_log::decode::tally::{Fault, Tally};
use flow_log::decode::{Decoder, ObjectError, RecordFormat};
use flow_log::filter::Filter;
use support::flowlogs::{HEADER, gzip};
use support::parser;

use crate::{blocks, events, text};

fn record(number: usize) -> String {
    format!(
        "2 111111111111 eni-{number} 10.0.0.1 10.0.0.2 443 49152 6 20 4249 1418530010 1418530070 ACCEPT OK"
    )
}

fn records() -> Vec<String> {
    (0..5).map(record).collect()
}

fn lines(records: &[String]) -> String {
    format!("{HEADER}\n{}\n", records.join("\n"))
}

fn sent(object: &[u8]) -> Vec<String> {
    events(RecordFormat::Auto, Filter::default(), object).unwrap()
}

fn failed(object: &[u8]) -> ObjectError {
    events(RecordFormat::Auto, Filter::default(), object).unwrap_err()
}

/// What all blocks of an object tell.
fn told(object: &[u8]) -> Tally {
    let mut told = Tally::default();
    for block in blocks(&Decoder::default(), object).unwrap() {
        let tally = block.tally();
        told.read += tally.read;
        told.rejected += tally.rejected;
        told.first_rejected = told.first_rejected.or(tally.first_rejected);
        told.first_fault = told.first_fault.or(tally.first_fault);
        told.skip_data += tally.skip_data;
        told.followed += tally.followed;
    }
    told
}

/// Text before the header that is no text to see.
#[test]
fn a_byte_order_mark_is_no_part_of_a_line() {
    let marked = format!("\u{feff}{}", lines(&records()));
    assert_eq!(sent(&gzip(&marked)), records());
    assert_eq!(sent(&[gzip(&marked), gzip(&marked)].concat()).len(), 10);
    assert_eq!(sent(&gzip(format!("\u{feff}{}", record(1)))), [record(1)]);
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(lines(&records()).encode_utf16().flat_map(u16::to_le_bytes));
    for object in [&utf16[..], &gzip(&utf16), &gzip(&utf16[2..])] {
        assert!(failed(object).to_string().contains("UTF-16"));
    }
}

#[test]
fn a_byte_that_is_no_text_costs_its_record_and_in_a_header_nothing() {
    let whole = lines(&records()).into_bytes();
    let lines_of = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] = 0xff;
        let (line, is_header) = (lines_of(&whole[..place]), place < HEADER.len());
        if whole[place].is_ascii_whitespace() && place <= HEADER.len() {
            // Where a name ends cannot be told any more.
            continue;
        }
        let expected: Vec<String> = if is_header {
            records()
        } else {
            // With the end of a line, the next one is lost as well.
            let lost = line..=line + usize::from(whole[place] == b'\n');
            (0..5).filter(|number| !lost.contains(&(number + 1))).map(record).collect()
        };
        let object = gzip(&damaged);
        assert_eq!(sent(&object), expected, "{}", damaged.escape_ascii());
        let tally = told(&object);
        assert_eq!(tally.rejected, u32::from(!is_header));
        if !is_header {
            assert_eq!(
                (tally.first_rejected, tally.first_fault),
                (Some(line as u64 + 1), Some(Fault::NotUtf8))
            );
        }
    }
    // Without a header, and as it stands.
    let headless = [b"2 \xff\n", record(1).as_bytes()].concat();
    assert_eq!(sent(&gzip(&headless)), [record(1)]);
    let raw = [HEADER.as_bytes(), b"\n\xff\n", record(1).as_bytes()].concat();
    assert_eq!(events(RecordFormat::Raw, Filter::default(), &gzip(raw)).unwrap(), [record(1)]);
    for nothing in [&b"2 \xff"[..], b"2 \xff\n3 \xff\n", b"colour \xff\n", b"\xff"] {
        assert_eq!(failed(&gzip(nothing)).cause(), "not utf-8");
    }
}

#[test]
fn what_follows_a_gzip_costs_none_of_its_records() {
    let object = gzip(lines(&records()));
    for (after, followed) in [
        (&[0; 3000][..], 0),
        (b"\n", 0),
        (b"\r\n \0", 0),
        (b"2 111111111111 eni-1", 1),
        (b"{}", 1),
        (b"\0\0{}", 1),
    ] {
        let object = [&object[..], after].concat();
        assert_eq!(sent(&object), records());
        assert_eq!((told(&object).followed, told(&object).read), (followed, 5), "{after:?}");
    }
    // A member of a few bytes, so that what follows is met while it is found out what the object is.
    for small in [gzip(""), gzip("\n")] {
        assert_eq!(told(&[&small[..], b"more"].concat()).followed, 1);
    }
    let parquet = support::parquet::file(HEADER, &records(), &support::parquet::Form::default());
    let followed = [&gzip(&parquet)[..], b"more"].concat();
    assert_eq!((sent(&followed).len(), told(&followed).followed), (5, 1));
    // What begins as a member does is one that is damaged or cut.
    for (after, cause) in [(&b"\x1f\x8b\x08"[..], "cut"), (b"\x1f\x8b\x07\0\0\0\0\0\0\0", "corrupt")] {
        assert_eq!(failed(&[&object[..], after].concat()).cause(), cause);
    }
}

#[test]
fn a_line_that_is_too_long_costs_itself() {
    for length in [1 << 20, (1 << 20) + 1, 3 << 20, 5_000_000] {
        let long = "x".repeat(length);
        let object = gzip(format!("{HEADER}\n{}\n{long}\n{}\n{long}", record(1), record(2)));
        assert_eq!(sent(&object), [record(1), record(2)], "{length}");
        let tally = told(&object);
        assert_eq!((tally.read, tally.rejected, tally.first_rejected), (4, 2, Some(3)), "{length}");
        assert_eq!(tally.first_fault, Some(Fault::Long));
    }
    let almost = "x".repeat((1 << 20) - 1);
    assert_eq!(told(&gzip(format!("{HEADER}\n{almost}\n"))).first_fault, Some(Fault::Values));
    // Gigabytes of one byte.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(format!("{HEADER}\n").as_bytes()).unwrap();
    (0..70).for_each(|_| bomb.write_all(&vec![b'x'; 1 << 20]).unwrap());
    assert_eq!(failed(&bomb.finish().unwrap()).cause(), "not a flow log");
    assert_eq!(failed(&gzip("x".repeat(2 << 20))).cause(), "not a flow log");
}

#[test]
fn spaces_where_none_belong_cost_nothing() {
    let (one, other) = (record(1), record(2));
    for text in [
        format!("{HEADER} \n{one}  \n{other}\t\n"),
        format!("{HEADER} \r\n{one} \r\n{other}\t\r\n"),
        format!(" {HEADER}\n {one}\n{other}\n"),
        format!("{}\n{}\n{}", HEADER.replace(' ', "  "), one.replace(' ', "   "), other.replace(' ', "\t")),
        format!("{}\n{one}\n{other}", HEADER.replace(' ', "\t")),
        format!("{one} \n{other}\t "),
    ] {
        assert_eq!(sent(&gzip(&text)), [one.clone(), other.clone()], "{text:?}");
        assert_eq!(told(&gzip(&text)).rejected, 0);
    }
    // A value that is empty is none; the parser would take the line for another.
    let empty = record(1).replace("eni-1", "");
    assert_eq!(parser::parse(&sent(&text(HEADER, &[&empty]))[0]).unwrap().get("interface_id"), None);
    // Records have their positions, be they blank.
    let blank = text(HEADER, &[record(1), "  ".to_owned(), String::new(), "\t".to_owned(), record(2)]);
    assert_eq!((sent(&blank).len(), told(&blank).read, told(&blank).first_rejected), (2, 4, Some(3)));
}

#[test]
fn a_flow_log_may_be_plain_text_or_compressed_twice() {
    let text = lines(&records());
    assert_eq!(sent(text.as_bytes()), records());
    assert_eq!(sent(record(1).as_bytes()), [record(1)]);
    assert_eq!(sent(&gzip(gzip(&text))), records());
    assert_eq!(sent(&[gzip(gzip(&text)), gzip(gzip(&text))].concat()).len(), 10);
    assert_eq!(sent(b""), Vec::<String>::new());
    assert!(failed(&gzip(gzip(gzip(&text)))).to_string().contains("gzip within gzip"));
    let twice = gzip(gzip(&text));
    assert_eq!(failed(&gzip(&gzip(&text)[..100])).cause(), "cut");
    assert_eq!(failed(&twice[..twice.len() / 2]).cause(), "cut");
    for other in
        ["colour shape\nred round\n", "{\"Records\": []}", "start of the file\n", "the end\n", "\n\nx"]
    {
        assert_eq!(failed(other.as_bytes()).cause(), "not a flow log", "{other}");
        assert_eq!(failed(&gzip(other)).cause(), "not a flow log", "{other}");
    }
    for (other, said) in [
        (&b"\x28\xb5\x2f\xfd rest"[..], "compressed with zstd"),
        (b"PK\x03\x04", "ZIP"),
        (b"\0\0\0\0\0", "binary"),
    ] {
        assert!(failed(other).to_string().contains(said) && failed(&gzip(other)).to_string().contains(said));
    }
}

#[test]
fn a_header_names_its_fields_in_any_spelling() {
    let athena = "version account interfaceid sourceaddress destinationaddress sourceport destinationport protocol \
        numpackets numbytes starttime endtime action logstatus";
    let camel = "version accountId interfaceId srcAddr dstAddr srcPort dstPort protocol packets bytes start end action \
        logStatus";
    for header in [athena, camel, &HEADER.replace('-', "_"), &HEADER.to_ascii_uppercase()] {
        assert_eq!(sent(&text(header, &records())), records(), "{header}");
        assert_eq!(
            sent(&[text(header, &records()), text(header, &records())].concat()).len(),
            10,
            "{header}"
        );
        let (more, longer) = (format!("{header} Next_Year"), record(1) + " next");
        let sent = sent(&text(&more, &[&longer]));
        assert_eq!(parser::parse(&sent[0]), Some(parser::expected(HEADER, &record(1))), "{header}");
    }
}

#[test]
fn both_kinds_of_gaps_are_noticed_wherever_the_status_is() {
    for status in ["SKIPDATA", "INCOMPLETEDATA"] {
        let record = format!("2 1 eni-1 - - - - - - - 1418530010 1418530070 - {status}");
        let moved = format!("{status} {record} -");
        for (header, record) in [
            (HEADER.to_owned(), record.clone()),
            (format!("log-status {} resource-id", HEADER.replace("log-status", "region")), moved),
        ] {
            for format in [RecordFormat::Auto, RecordFormat::Raw, RecordFormat::Json] {
                let object = text(&header, &[&record]);
                let blocks = blocks(&Decoder::new(format, Filter::default()), &object).unwrap();
                assert_eq!(
                    (blocks[0].remaining(), blocks[0].tally().skip_data),
                    (1, 1),
                    "{format:?} {record}"
                );
            }
        }
        assert_eq!(sent(&gzip(&record)), [record], "without a header");
    }
}

/// Lines go out as lines where the parser reads their values, whatever came before them.
#[test]
fn each_line_is_judged_by_its_values() {
    let is_line = |event: &String| !event.starts_with('{');
    let with = |value: &str, other: &str| record(1).replacen(value, other, 1);
    let no_data = Filter { no_data: true, ..Filter::default() };
    for filter in [Filter::default(), no_data] {
        for unlike in [with("2 1111", "11 1111"), with("111111111111", "unknown")] {
            for place in 0..5 {
                let mut records = records();
                records.insert(place, unlike.clone());
                records.insert(4, unlike.clone());
                let sent = events(RecordFormat::Auto, filter.clone(), &text(HEADER, &records)).unwrap();
                for (event, record) in sent.iter().zip(&records) {
                    assert_eq!(is_line(event), *record != unlike, "{event}");
                    assert_eq!(parser::parse(event), Some(parser::expected(HEADER, record)));
                }
            }
        }
        // AWS writes nothing else that the parser does not read. A file of somebody else is known by its first record, or by
        // one of another account or status.
        for unlike in
            [with("eni-1", ""), with("10.0.0.1", "a-host"), with(" 6 ", " tcp "), with("1418530010", "-")]
        {
            let seen = unlike.replace("111111111111", "222222222222");
            let ended = unlike.replace("OK", "SKIPDATA");
            for first in [&unlike, &seen, &ended] {
                let records = [record(0), first.clone(), unlike.clone(), record(2), unlike.clone()];
                let records = if first == &unlike { &records[1..] } else { &records };
                let sent = events(RecordFormat::Auto, filter.clone(), &text(HEADER, records)).unwrap();
                let lines: Vec<_> = sent.iter().filter(|event| is_line(event)).collect();
                assert!(lines.iter().all(|line| parser::parse(line).is_some()), "{sent:#?}");
                assert_eq!(lines.len(), records.len() - 3, "{sent:#?}");
            }
        }
    }
    let unlike = [with("2 1111", "11 1111"), with(" 6 ", " tcp ")];
    assert_eq!(events(RecordFormat::Raw, Filter::default(), &text(HEADER, &unlike)).unwrap(), unlike);
}
