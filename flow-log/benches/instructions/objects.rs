//! The same records as an object of every kind that is decoded in a way of its own.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use flow_log::aggregate::Aggregate;
use flow_log::decode::{Decoder, RecordFormat};
use flow_log::filter::{Filter, Internal, Networks, Ports};
use flow_log::record::selection::Selection;
use support::flowlogs::{Generator, HEADER};
use support::parquet::Form;
use support::traffic;

/// An object, and how it is decoded.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) object: Vec<u8>,
    pub(crate) how: &'static str,
}

/// The decoder that decodes as `how` says.
pub(crate) fn decoder(how: &str) -> Decoder {
    let networks = (0..100).map(|number| format!("172.16.{number}.0/24"));
    let filter = match how {
        "internal" => Filter { internal: Internal::All, ..Filter::default() },
        // What none of the records has, so that all of them go out.
        "networks and ports" => Filter {
            networks: Networks::parse(networks).unwrap(),
            ports: Ports::parse(["8000-8080", "udp/5353", "tcp/25"]).unwrap(),
            ..Filter::default()
        },
        _ => Filter::default(),
    };
    let format = if how == "fields" { RecordFormat::Json } else { RecordFormat::Auto };
    let aggregate = match how {
        "flows" => Aggregate::Flows,
        "services" => Aggregate::Services,
        _ => Aggregate::Off,
    };
    let fields = if how == "fields" { &FIELDS[..] } else { &[] };
    let selection = Selection::parse(fields).unwrap();
    Decoder::new(format, filter).with_aggregate(aggregate).with_fields(selection)
}

/// Half of those of the default format.
const FIELDS: [&str; 7] = ["srcaddr", "dstaddr", "dstport", "protocol", "bytes", "start", "action"];

/// All of them, each with this many records: the same bytes every time. `level` is that of gzip.
pub(crate) fn cases(records: usize, level: Compression) -> Vec<Case> {
    let mut generator = Generator::new(1);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    let log = generator.object(&flow_log, "2026-11-22T00:05:00Z".parse().unwrap(), records);
    let text = log.text();
    let quoted = text.replace(" eni-", " \"eni\"-");
    let gzip = |text: &str| {
        let mut member = GzEncoder::new(Vec::new(), level);
        member.write_all(text.as_bytes()).unwrap();
        member.finish().unwrap()
    };
    let (first, second) = text.split_at(text.len() / 2);
    let parquet = support::parquet::file(HEADER, &log.records, &Form::default()).to_vec();
    let traffic = traffic::records(1, 1_795_305_900, records);
    let traffic_text = format!("{HEADER}\n{}\n", traffic.join("\n"));
    let traffic_file = support::parquet::file(HEADER, &traffic, &Form::default()).to_vec();
    let case = |name, object, how| Case { name, object, how };
    vec![
        case("default text, as it stands", gzip(&text), "all"),
        case("default text, in two members", [gzip(first), gzip(second)].concat(), "all"),
        case("default text, filtered", gzip(&text), "internal"),
        case("default text, by networks and ports", gzip(&text), "networks and ports"),
        case("text that needs escaping, as it stands", gzip(&quoted), "all"),
        case("text in another order, as JSON", gzip(&reversed(&text)), "all"),
        case("text that needs escaping, as JSON", gzip(&reversed(&quoted)), "all"),
        case("Parquet, as JSON", parquet.clone(), "all"),
        case("Parquet, by networks and ports", parquet.clone(), "networks and ports"),
        case("text in another order, some fields", gzip(&reversed(&text)), "fields"),
        case("Parquet, some fields", parquet, "fields"),
        case("traffic, as it stands", gzip(&traffic_text), "all"),
        case("traffic, flows", gzip(&traffic_text), "flows"),
        case("traffic, services", gzip(&traffic_text), "services"),
        case("traffic, flows as JSON", gzip(&reversed(&traffic_text)), "flows"),
        case("traffic as Parquet, services", traffic_file, "services"),
    ]
}

/// The values of each line in the opposite order.
fn reversed(text: &str) -> String {
    text.lines().map(|line| line.split(' ').rev().collect::<Vec<_>>().join(" ") + "\n").collect()
}
