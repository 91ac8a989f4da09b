//! What records take that are held to be merged: so much more than without, whatever they are.

use std::ops::ControlFlow;

use flow_log::aggregate::Aggregate;
use flow_log::decode::Decoder;
use support::parquet::Form;
use support::{flowlogs, traffic};

use crate::counting;

/// Two objects may be merged at a time, and 16 MiB are what both of them may take.
const MOST_BYTES: usize = 8 << 20;

fn peak(aggregate: Aggregate, object: &[u8]) -> usize {
    let decoder = Decoder::default().with_aggregate(aggregate);
    counting::peak(|| decoder.decode(object, |_| ControlFlow::Continue(())).unwrap())
}

#[test]
fn what_is_held_takes_no_more_than_a_window_may() {
    let header = format!("{} instance-tag", flowlogs::HEADER);
    let lines = traffic::records(1, 1_795_377_300, 60_000);
    let many_ports: Vec<String> = (0..60_000)
        .map(|number| {
            let (server, client) = (number % 7 + 1, 32_768 + number / 2);
            format!("2 1 eni-1 10.0.0.1 10.0.0.2 {client} {server} 6 1 40 10 20 ACCEPT OK")
        })
        .collect();
    let short: Vec<String> =
        (0..60_000).map(|number| format!("2 1 {number} - - - - 1 1 1 1 1 - OK")).collect();
    let long: Vec<String> =
        (0..500).map(|number| format!("{} {}", lines[number], "x".repeat(1 << (number % 15)))).collect();
    let longest: Vec<String> =
        (0..300).map(|number| format!("{} {}", lines[number], "x".repeat(16_250))).collect();
    let cases = [
        (flowlogs::HEADER, &lines),
        (flowlogs::HEADER, &many_ports),
        (flowlogs::HEADER, &short),
        (&header, &long),
        (&header, &longest),
    ];
    let mut most = 0;
    for (header, lines) in cases {
        let text =
            std::iter::once(header).chain(lines.iter().map(String::as_str)).collect::<Vec<_>>().join("\n");
        let file = support::parquet::file(header, lines, &Form { page_rows: 1000, ..Form::default() });
        for object in [flowlogs::gzip(text), file] {
            let without = peak(Aggregate::Off, &object);
            for aggregate in [Aggregate::Flows, Aggregate::Services] {
                let with = peak(aggregate, &object);
                assert!(with < without + MOST_BYTES, "{with} {without} {aggregate:?} {header}");
                most = most.max(with.saturating_sub(without));
            }
        }
    }
    assert!(most > MOST_BYTES / 2, "{most} bytes are no full window");
}
