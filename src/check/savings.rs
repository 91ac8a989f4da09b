//! The step `savings`: how many records and bytes each option would keep from being sent, alone, and all as configured.

use std::ops::ControlFlow;

use bytes::{Buf as _, Bytes};
use flow_log::aggregate::Aggregate;
use flow_log::decode::ObjectError;
use flow_log::filter::{Filter, Internal};
use flow_log::record::selection::Selection;
use serde_json::{Value, json};

use super::format::undecodable;
use super::report::{Step, Told, counted};
use super::sample::events;
use super::volume::{rounded, size};
use crate::config::Records;
use crate::contract::FetchError;
use crate::s3::{Bucket, Object};

/// Larger objects are not decoded for it: they are in memory whole.
const OBJECT_BYTES: u64 = 32 * 1024 * 1024;

/// An object that stands for others.
#[derive(Debug)]
pub(super) struct Standing {
    /// Where it is.
    pub(super) bucket: Bucket,
    /// The object.
    pub(super) object: Object,
    /// How many like it are written in a day; `None` if that is not known.
    pub(super) per_day: Option<f64>,
}

/// What goes out.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    records: f64,
    bytes: f64,
}

/// Values of one option.
struct Choice {
    option: &'static str,
    value: &'static str,
    records: Records,
}

impl Choice {
    /// Each option alone, then all as configured. Of those that have a list, what is in it.
    fn all(configured: &Records) -> Vec<Self> {
        let alone = |option, value, change: &dyn Fn(&mut Records)| {
            let mut records = everything(configured);
            change(&mut records);
            Self { option, value, records }
        };
        let filter = |option, value, filter: Filter| {
            alone(option, value, &|records: &mut Records| records.filter.clone_from(&filter))
        };
        let internal = |internal| Filter { internal, ..Filter::default() };
        let mut choices = vec![
            filter("exclude_internal_traffic", "accepted", internal(Internal::Accepted)),
            filter("exclude_internal_traffic", "true", internal(Internal::All)),
            filter("actions", "[\"REJECT\"]", Filter { accepted: true, ..Filter::default() }),
            filter("exclude_no_data", "true", Filter { no_data: true, ..Filter::default() }),
        ];
        let Filter { networks, ports, .. } = &configured.filter;
        if !networks.is_empty() {
            let only = Filter { networks: networks.clone(), ..Filter::default() };
            choices.push(filter("exclude_networks", "as configured", only));
        }
        if !ports.is_empty() {
            let only = Filter { ports: ports.clone(), ..Filter::default() };
            choices.push(filter("exclude_ports", "as configured", only));
        }
        for (value, aggregate) in [("flows", Aggregate::Flows), ("services", Aggregate::Services)] {
            choices.push(alone("aggregate", value, &|records| records.aggregate = aggregate));
        }
        if configured.fields != Selection::default() {
            let fields = &configured.fields;
            choices.push(alone("fields", "as configured", &|records| records.fields.clone_from(fields)));
        }
        choices.push(Self { option: "all", value: "as configured", records: configured.clone() });
        choices
    }
}

/// All records, in the form in which they go out.
fn everything(configured: &Records) -> Records {
    Records { format: configured.format, ..Records::default() }
}

/// Decodes objects under each option; gives the first records as they would be sent, `show` at most.
pub(super) async fn savings(configured: &Records, objects: Vec<Standing>, show: usize) -> Step<Vec<String>> {
    let choices = Choice::all(configured);
    let mut all = Sent::default();
    let mut sent = vec![Sent::default(); choices.len()];
    let mut shown = Vec::new();
    let is_of_days = objects.iter().all(|standing| standing.per_day.is_some());
    let mut decoded: u64 = 0;
    for Standing { bucket, object, per_day } in &objects {
        if object.body_bytes > OBJECT_BYTES {
            continue;
        }
        let failed = |error: FetchError| undecodable(object, &error);
        let body =
            bucket.read_whole(object, 0, object.body_bytes).await.map_err(|error| failed(error.into()))?;
        let times = per_day.unwrap_or(1.0);
        let (whole, _) = decode(&everything(configured), &body, 0).await.map_err(failed)?;
        all.add(whole, times);
        for (choice, sent) in choices.iter().zip(&mut sent) {
            let (one, first) = decode(&choice.records, &body, show - shown.len()).await.map_err(failed)?;
            sent.add(one, times);
            if choice.option == "all" {
                shown.extend(first);
            }
        }
        decoded += 1;
    }
    if all.records == 0.0 {
        return Err(Told::skipped("there is no record to look at, in no object of at most 32 MiB"));
    }
    let span = if is_of_days { " a day" } else { "" };
    let mut told = Told::ok(format!(
        "of {} records{span} ({}), each of these alone would save (from {} decoded):",
        rounded(all.records),
        size(all.bytes / 1e9),
        counted(decoded, "object"),
    ));
    let mut details = Vec::new();
    for (Choice { option, value, .. }, sent) in choices.iter().zip(&sent) {
        let saved = all.less(*sent);
        // As JSON, records are longer than their lines.
        let share = |part: f64, of: f64| if of > 0.0 { 100.0 * part / of } else { 0.0 };
        let (records, bytes) = (share(saved.records, all.records), share(saved.bytes, all.bytes));
        told = told.line(format!(
            "{:<34} {records:>4.0} % of the records ({}{span}), {bytes:.0} % of the bytes",
            format!("{option} {value}"),
            rounded(saved.records),
        ));
        details.push(json!({
            "option": option, "value": value, "records": saved.records.round(), "gb": saved.bytes / 1e9,
            "records_percent": records, "bytes_percent": bytes,
        }));
    }
    let per = if is_of_days { "day" } else { "object" };
    let told = told.with("per", per).with("records", all.records.round()).with("gb", all.bytes / 1e9);
    Ok((told.with("saved", Value::Array(details)), shown))
}

/// What goes out of an object, and the first `show` records of it.
async fn decode(records: &Records, body: &Bytes, show: usize) -> Result<(Sent, Vec<String>), FetchError> {
    let (decoder, body) = (records.decoder(), body.clone());
    let decoding = tokio::task::spawn_blocking(move || {
        let (mut sent, mut shown) = (Sent::default(), Vec::new());
        decoder.decode(body.reader(), |mut block| {
            for event in events(&block.take(usize::MAX)) {
                sent.records += 1.0;
                sent.bytes += event.len() as f64;
                if shown.len() < show {
                    shown.push(event);
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok::<_, ObjectError>((sent, shown))
    });
    Ok(decoding.await.map_err(|error| FetchError::Internal(error.to_string()))??)
}

impl Sent {
    fn add(&mut self, other: Self, times: f64) {
        self.records += other.records * times;
        self.bytes += other.bytes * times;
    }

    fn less(self, other: Self) -> Self {
        Self { records: self.records - other.records, bytes: self.bytes - other.bytes }
    }
}
