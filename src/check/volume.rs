//! The steps `flow logs` and `volume`: which flow logs there are, and how much they will send.

use flow_log::decode::RecordFormat;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::format::{OBJECT_BYTES, undecodable};
use super::report::{Step, Told, counted};
use super::sample::{Sample, Sampler};
use super::savings::Standing;
use super::survey::Survey;
use crate::config::TriggerConfiguration;
use crate::s3::{Bucket, Object};

/// Flow logs of which an object is decoded, beside that of the newest object; and their size together.
const SAMPLED: usize = 4;
const SAMPLED_BYTES: u64 = 64 * 1024 * 1024;
/// Flow logs that are named on a terminal, and for machines.
const NAMED: usize = 5;
const LISTED: usize = 200;

/// What was decoded of each flow log.
pub(super) type Samples = BTreeMap<String, Sample>;

/// Names the flow logs, and decodes an object of some of them.
pub(super) async fn flow_logs(
    bucket: &Bucket,
    trigger: &TriggerConfiguration,
    survey: &Survey,
    newest: Option<(&Object, &Sample)>,
) -> Step<Samples> {
    if survey.logs.is_empty() {
        return Err(Told::skipped("there is no object"));
    }
    let mut samples = Samples::new();
    if let Some((object, sample)) = newest {
        samples.insert(object.flow_log(), sample.clone());
        let sampler = Sampler::new(bucket, trigger);
        let mut room = SAMPLED_BYTES;
        for (name, log) in &survey.logs {
            let object = &log.newest;
            let is_large = object.body_bytes > room.min(OBJECT_BYTES);
            if is_large || samples.contains_key(name) || samples.len() > SAMPLED {
                continue;
            }
            room -= object.body_bytes;
            // Lines that the parser understands begin with the default format. Others, which only `raw` sends, do not tell.
            let unknown = (trigger.records.format == RecordFormat::Raw).then_some([].as_slice());
            match sampler.sample(object, unknown).await {
                Ok(sample) => drop(samples.insert(name.clone(), sample)),
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(undecodable(object, &error)),
            }
        }
    }
    let logs: Vec<Log> = survey.logs.keys().map(|name| Log::of(name, samples.get(name))).collect();
    let count = |part: fn(&Log) -> &str| {
        let mut parts: Vec<&str> = logs.iter().map(part).filter(|part| !part.is_empty()).collect();
        parts.sort_unstable();
        parts.dedup();
        parts.len()
    };
    let (accounts, regions) = (count(|log| &log.account), count(|log| &log.region));
    let least = if survey.is_cut { "at least " } else { "" };
    let named: Vec<String> = logs.iter().take(NAMED).map(Log::in_words).collect();
    let more = logs.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let told = Told::ok(format!(
        "{least}{} of {} in {}: {}{more}",
        counted(logs.len() as u64, "flow log"),
        counted(accounts as u64, "account"),
        counted(regions as u64, "region"),
        named.join(", "),
    ));
    let listed: Vec<Value> = logs.iter().take(LISTED).map(Log::for_machines).collect();
    let told = told.with("count", logs.len()).with("accounts", accounts).with("regions", regions);
    Ok((told.with("flow_logs", listed).with("is_complete", !survey.is_cut), samples))
}

/// Estimates what the flow logs will send.
pub(super) fn volume(survey: &Survey, samples: &Samples) -> Step<()> {
    let times = times_an_hour(survey, samples);
    if times.is_empty() {
        return Err(Told::skipped("nothing was decoded"));
    }
    let per_hour = |part: fn(&Sample) -> u64| -> f64 {
        times.iter().filter_map(|(name, times)| Some(part(samples.get(*name)?) as f64 * times)).sum()
    };
    let records_per_hour = per_hour(|sample| sample.records);
    let events_per_hour = per_hour(|sample| sample.events);
    let gb_per_day = per_hour(|sample| sample.event_bytes) * 24.0 / 1e9;
    let filtered = if samples.values().any(|sample| sample.events < sample.records) {
        format!(", of which {} go out", rounded(events_per_hour))
    } else {
        String::new()
    };
    let objects: u64 = survey.logs.values().map(|log| log.objects).sum();
    let basis = format!(
        "from the sizes of {} and {} decoded",
        counted(objects, "object"),
        counted(samples.len() as u64, "object")
    );
    let least = if survey.is_cut { "at least " } else { "about " };
    let found = format!(
        "{least}{} records an hour{filtered}; {} a day to the intake ({basis})",
        rounded(records_per_hour),
        size(gb_per_day)
    );
    let told = Told::ok(found).with("records_per_hour", records_per_hour.round());
    let told = told.with("events_per_hour", events_per_hour.round()).with("intake_gb_per_day", gb_per_day);
    Ok((told.with("objects", objects).with("decoded", samples.len()), ()))
}

/// How many objects like the one that was decoded of a flow log are written in an hour, those of the flow logs and folders
/// included that it stands for.
fn times_an_hour<'a>(survey: &Survey, samples: &'a Samples) -> BTreeMap<&'a str, f64> {
    // Folders that the limit of calls left out are taken to be like those that were listed.
    let scale = if survey.looked > 0 { survey.lanes as f64 / survey.looked as f64 } else { 1.0 };
    let stored: u64 = samples.values().map(|sample| sample.stored_bytes).sum();
    // Flow logs of which nothing was decoded are taken to be like all others together.
    let others = survey.logs.iter().filter(|(name, _)| !samples.contains_key(*name));
    let others: f64 = others.map(|(_, log)| log.bytes_per_hour()).sum();
    let decoded = samples.iter().filter(|(_, sample)| sample.stored_bytes > 0);
    let times = decoded.filter_map(|(name, sample)| {
        let own = survey.logs.get(name)?.bytes_per_hour() / sample.stored_bytes as f64;
        Some((name.as_str(), (own + others / stored as f64) * scale))
    });
    times.collect()
}

/// The objects that were decoded, and what they stand for.
pub(super) fn standing(bucket: &Bucket, survey: &Survey, samples: &Samples) -> Vec<Standing> {
    let times = times_an_hour(survey, samples).into_iter();
    let standing = times.filter_map(|(name, times)| {
        let object = survey.logs.get(name)?.newest.clone();
        Some(Standing { bucket: bucket.clone(), object, per_day: Some(times * 24.0) })
    });
    standing.collect()
}

/// What a flow log's name says.
struct Log {
    account: String,
    region: String,
    id: String,
    interval_s: Option<u64>,
}

impl Log {
    /// Of `[<folder>/]<account>_vpcflowlogs_<region>_<flow log id>`, or of nothing.
    fn of(name: &str, sample: Option<&Sample>) -> Self {
        let (_, file) = name.rsplit_once('/').unwrap_or(("", name));
        let (account, rest) = file.split_once("_vpcflowlogs_").unwrap_or_default();
        let (region, id) = rest.rsplit_once('_').unwrap_or_default();
        let interval_s = sample.and_then(|sample| sample.interval_s);
        Self { account: account.to_owned(), region: region.to_owned(), id: id.to_owned(), interval_s }
    }

    /// The longest interval that AWS puts into a record: 1 or 10 minutes.
    fn aggregation_min(&self) -> Option<u64> {
        self.interval_s.map(|seconds| if seconds > 60 { 10 } else { 1 })
    }

    fn in_words(&self) -> String {
        if self.id.is_empty() {
            return "objects whose names do not tell".to_owned();
        }
        let aggregation = self.aggregation_min().map(|minutes| format!(", aggregated over {minutes} min"));
        format!("{} ({}, {}{})", self.id, self.account, self.region, aggregation.unwrap_or_default())
    }

    fn for_machines(&self) -> Value {
        let aggregation_min = self.aggregation_min();
        json!({"account": self.account, "region": self.region, "id": self.id, "aggregation_min": aggregation_min})
    }
}

/// A number in two or three digits and a word.
pub(super) fn rounded(number: f64) -> String {
    match number {
        1e9.. => format!("{:.1} billion", number / 1e9),
        1e6.. => format!("{:.1} million", number / 1e6),
        1e4.. => format!("{:.0} thousand", number / 1e3),
        _ => format!("{number:.0}"),
    }
}

/// Gigabytes in words.
pub(super) fn size(gb: f64) -> String {
    match gb {
        1.0.. => format!("{gb:.1} GB"),
        0.001.. => format!("{gb:.3} GB"),
        _ => format!("{gb:.6} GB"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::survey;
    use super::*;

    #[test]
    fn an_estimate_goes_by_the_times_of_the_objects_and_by_what_was_decoded() {
        let time: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let log = || {
            let newest = Object { key: "x".to_owned(), body_bytes: 1_000, last_modified: time, etag: None };
            // 24 objects of five minutes each.
            let last = time + SignedDuration::from_mins(115);
            survey::Log { objects: 24, bytes: 24_000, last, ..survey::Log::new(newest) }
        };
        assert!((log().bytes_per_hour() - 12_000.0).abs() < 0.1);
        let sample = |records| Sample {
            stored_bytes: 1_000,
            records,
            events: 50,
            event_bytes: 5_000,
            ..Sample::default()
        };
        let logs = BTreeMap::from(["one", "two", "three"].map(|name| (name.to_owned(), log())));
        let survey = Survey { logs, lanes: 4, looked: 2, ..Survey::default() };
        let samples = BTreeMap::from([("one".to_owned(), sample(100)), ("two".to_owned(), sample(300))]);
        let (told, ()) = volume(&survey, &samples).unwrap();
        let told = serde_json::to_value(told).unwrap();
        // 12,000 bytes of objects an hour are 1200, 3600, and as a mean of both 2400 records; twice that with the
        // folders that were not listed.
        assert_eq!(told["details"]["records_per_hour"], 14_400.0);
        assert_eq!(told["details"]["events_per_hour"], 3_600.0);
        assert_eq!(told["details"]["intake_gb_per_day"], 0.00864);
        assert!(volume(&survey, &Samples::new()).is_err());
    }

    #[test]
    fn a_flow_log_is_told_by_its_name() {
        let sample = |interval_s| Sample { interval_s: Some(interval_s), ..Sample::default() };
        let name = "AWSLogs/1/vpcflowlogs/eu-west-3/111111111111_vpcflowlogs_eu-west-3_fl-0a";
        let log = Log::of(name, Some(&sample(59)));
        assert_eq!(log.in_words(), "fl-0a (111111111111, eu-west-3, aggregated over 1 min)");
        assert_eq!(Log::of(name, Some(&sample(600))).aggregation_min(), Some(10));
        assert_eq!(Log::of(name, None).in_words(), "fl-0a (111111111111, eu-west-3)");
        assert_eq!(Log::of("", None).in_words(), "objects whose names do not tell");
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in
            [(0.4, "0"), (9_999.0, "9999"), (12_345.0, "12 thousand"), (2.54e6, "2.5 million")]
        {
            assert_eq!(rounded(number), text);
        }
        assert_eq!(
            (size(1.25), size(0.0345), size(0.000_012)),
            ("1.2 GB".into(), "0.035 GB".into(), "0.000012 GB".into())
        );
    }
}
