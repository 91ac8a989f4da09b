//! Records that are merged, held against a model that merges them slowly.

use std::collections::{BTreeSet, HashMap};

use flow_log::aggregate::Aggregate;
use flow_log::decode::{Decoder, RecordFormat};
use flow_log::filter::Filter;
use proptest::prelude::*;
use support::flowlogs::HEADER;
use support::parquet::Form;

use crate::aggregate::{WITH_FLAGS, decoder, rest};
use crate::{decoded, text};

/// A record as the model knows it, or a line that no record is.
fn record() -> impl Strategy<Value = Vec<String>> {
    let port = || prop::sample::select(vec!["443", "80", "0", "40000", "40001", "40002", "8080"]);
    let flow = (
        (0..2_u8, 0..2_u8, port(), port(), prop::sample::select(vec!["6", "17", "1"])),
        (
            0..100_u32,
            prop::sample::select(vec!["7", "123456789", "999999999999999999", "007", "-"]),
            0..99_u32,
            0..99_u32,
        ),
        (
            prop::sample::select(vec!["ACCEPT", "ACCEPT", "REJECT"]),
            prop::sample::select(vec!["0", "2", "18", "-"]),
        ),
    );
    let flow = flow.prop_map(|((source, destination, srcport, dstport, protocol), sums, (action, flags))| {
        let (packets, bytes, start, end) = sums;
        let flow = format!(
            "2 1 eni-1 10.0.0.{source} 10.0.1.{destination} {srcport} {dstport} {protocol} {packets} {bytes} {} {} {action} OK \
             {flags} ingress",
            1000 + start,
            1000 + end
        );
        flow.split(' ').map(str::to_owned).collect::<Vec<_>>()
    });
    let no_data =
        "2 1 eni-1 - - - - - - - 10 20 - NODATA - -".split(' ').map(str::to_owned).collect::<Vec<_>>();
    prop_oneof![12 => flow, 1 => Just(no_data), 1 => Just(vec!["too".to_owned(), "few".to_owned()])]
}

/// What the model makes of a window: for each group its values, its flows, and the numbers of its records, counted from 1.
struct Merged {
    values: Vec<String>,
    ports: BTreeSet<String>,
    records: Vec<usize>,
}

fn model(window: &[Vec<String>], aggregate: Aggregate, has_flags: bool) -> Vec<Merged> {
    let mut groups: Vec<Merged> = Vec::new();
    let mut by_key: HashMap<Vec<String>, usize> = HashMap::new();
    for (number, values) in (1..).zip(window).filter(|(_, values)| values.len() > 2) {
        let number_of =
            |place: usize| values[place].parse::<u64>().ok().filter(|n| n.to_string() == values[place]);
        let mut places = vec![8, 9, 10, 11];
        places.extend(has_flags.then_some(14));
        let is_merged = values[13] == "OK" && places.iter().all(|place| number_of(*place).is_some());
        let mut client = None;
        if let (Aggregate::Services, true, "6" | "17") = (aggregate, is_merged, values[7].as_str()) {
            for (own, other) in [(5, 6), (6, 5)] {
                let (port, of_server) = (number_of(own).unwrap(), number_of(other).unwrap());
                let is_lower = port >= 1024 && of_server < 1024 || port >= 32_768 && of_server < 32_768;
                client = client.or((is_lower && of_server > 0).then_some(own));
            }
        }
        let key: Vec<String> = (0..values.len())
            .map(|place| {
                if places.contains(&place) || client == Some(place) {
                    String::new()
                } else {
                    values[place].clone()
                }
            })
            .collect();
        let port = client.map_or_else(String::new, |place| values[place].clone());
        let fits = |group: &Merged| {
            [8, 9].iter().all(|place| {
                group.values[*place].parse::<u64>().unwrap() + number_of(*place).unwrap() < 10_u64.pow(18)
            })
        };
        match by_key.get(&key).filter(|place| is_merged && fits(&groups[**place])) {
            Some(place) => {
                let group = &mut groups[*place];
                for at in &places {
                    let (own, other) = (group.values[*at].parse::<u64>().unwrap(), number_of(*at).unwrap());
                    let merged = match at {
                        8 | 9 => own + other,
                        10 => own.min(other),
                        11 => own.max(other),
                        _ => own | other,
                    };
                    group.values[*at] = merged.to_string();
                }
                group.ports.insert(port);
                group.records.push(number);
                if let Some(place) = client.filter(|_| group.ports.len() > 1) {
                    group.values[place] = "-".to_owned();
                }
            }
            None => {
                if is_merged {
                    by_key.insert(key, groups.len());
                }
                groups.push(Merged { values: values.clone(), ports: [port].into(), records: vec![number] });
            }
        }
    }
    groups
}

/// The windows of an object; each begins with a header.
fn object(header: &str, windows: &[Vec<Vec<String>>]) -> Vec<u8> {
    let fields = header.split(' ').count();
    let lines = windows.iter().flat_map(|window| {
        let lines = window.iter().map(|values| values[..fields.min(values.len())].join(" "));
        std::iter::once(header.to_owned()).chain(lines).collect::<Vec<_>>()
    });
    let lines: Vec<String> = lines.skip(1).collect();
    text(header, &lines)
}

fn windows() -> impl Strategy<Value = Vec<Vec<Vec<String>>>> {
    prop::collection::vec(prop::collection::vec(record(), 1..40), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// As lines, as JSON of text, and as JSON of Parquet: what goes out is what would go out of the model's records.
    #[test]
    fn groups_are_those_of_the_model(
        windows in windows(),
        aggregate in prop::sample::select(vec![Aggregate::Flows, Aggregate::Services]),
        has_flags in any::<bool>(),
    ) {
        let header = if has_flags { WITH_FLAGS } else { HEADER };
        let fields = header.split(' ').count();
        let with_flows = |event: String, merged: &Merged| match event.strip_suffix('}') {
            Some(start) if merged.ports.len() > 1 => format!("{start},\"flow_count\":{}}}", merged.ports.len()),
            _ => event,
        };
        let cut = |window: &Vec<Vec<String>>| window.iter().map(|values| values[..fields.min(values.len())].to_vec()).collect::<Vec<_>>();
        let groups: Vec<Merged> = windows.iter().flat_map(|window| model(&cut(window), aggregate, has_flags)).collect();
        let lines: Vec<String> = groups.iter().map(|merged| merged.values.join(" ")).collect();
        for format in [RecordFormat::Auto, RecordFormat::Json] {
            let plain = decoded(&decoder(format, Aggregate::Off), &text(header, &lines)).unwrap();
            let expected: Vec<String> = plain.into_iter().zip(&groups).map(|(event, merged)| with_flows(event, merged)).collect();
            let sent = decoded(&decoder(format, aggregate), &object(header, &windows)).unwrap();
            prop_assert_eq!(sent, expected);
        }
        // A file of Parquet is one window, and has neither rows of two values nor digits with a zero in front.
        let is_row = |values: &Vec<String>| values.len() > 2 && values[9] != "007";
        let rows: Vec<Vec<String>> = windows.concat().into_iter().filter(is_row).map(|values| values[..fields].to_vec()).collect();
        let file = |rows: Vec<Vec<String>>| {
            let lines: Vec<String> = rows.iter().map(|values| values.join(" ")).collect();
            support::parquet::file(header, &lines, &Form { group_rows: 7, ..Form::default() }).to_vec()
        };
        let groups = model(&rows, aggregate, has_flags);
        let plain = decoded(&Decoder::default(), &file(groups.iter().map(|merged| merged.values.clone()).collect())).unwrap();
        let expected: Vec<String> = plain.into_iter().zip(&groups).map(|(event, merged)| with_flows(event, merged)).collect();
        prop_assert_eq!(decoded(&decoder(RecordFormat::Auto, aggregate), &file(rows)).unwrap(), expected);
    }

    /// After a crash the object is decoded again, and goes on at the position that was delivered last.
    #[test]
    fn an_object_goes_on_at_every_position_and_nothing_is_lost_whatever_the_configuration_was(
        windows in windows(),
        aggregate in prop::sample::select(vec![Aggregate::Flows, Aggregate::Services]),
        no_data in any::<bool>(),
    ) {
        let object = object(WITH_FLAGS, &windows);
        let filter = Filter { no_data, ..Filter::default() };
        let plain = Decoder::new(RecordFormat::Auto, filter.clone());
        let merging = plain.clone().with_aggregate(aggregate);
        let all = rest(&merging, &object, 0);
        let all_plain = rest(&plain, &object, 0);
        // With the same configuration: exactly what follows.
        for (taken, (_, position)) in (1..).zip(&all) {
            prop_assert_eq!(rest(&merging.going_on(merging.grouping()), &object, *position), &all[taken..]);
        }
        // From plain records to groups: the rest stays plain.
        for (taken, (_, position)) in (1..).zip(&all_plain) {
            prop_assert_eq!(rest(&merging.going_on(None), &object, *position), &all_plain[taken..]);
        }
        // From groups to plain records: what was delivered in groups and what follows is all there is.
        let mut positions = all.iter().map(|(_, position)| *position);
        let mut before = 0;
        let mut delivered: BTreeSet<u64> = BTreeSet::new();
        let goes_out: BTreeSet<u64> = all_plain.iter().map(|(_, position)| *position).collect();
        for window in &windows {
            let groups = model(window, aggregate, true);
            for merged in groups.iter().filter(|merged| !no_data || merged.values[13] != "NODATA") {
                delivered.extend(merged.records.iter().map(|number| before + *number as u64));
                let position = positions.next().unwrap();
                let follow = rest(&plain.going_on(merging.grouping()), &object, position);
                let covered: BTreeSet<u64> = delivered.iter().copied().chain(follow.iter().map(|(_, at)| *at)).collect();
                prop_assert!(covered.is_superset(&goes_out), "{} {:?}", position, covered);
            }
            before += window.len() as u64;
        }
        prop_assert_eq!(positions.next(), None);
    }
}
