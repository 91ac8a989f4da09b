//! Decodes an object as the trigger does, and measures what would be sent of it. Nothing is sent.

use bytes::Bytes;
use flow_log::record::fields::default_format;
use flow_log::record::parsed::is_read;
use serde_json::Value;

use crate::config::TriggerConfiguration;
use crate::contract::{Claim, FetchError};
use crate::pipeline::fetch::Opener;
use crate::s3::{Bucket, Object};

/// Events that are looked into for how long an interval is.
const LOOKED_INTO: usize = 1_000;

/// What an object comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// Its size in S3.
    pub(super) stored_bytes: u64,
    /// Its records.
    pub(super) records: u64,
    /// Those that go out, and their bytes as the intake gets them.
    pub(super) events: u64,
    /// See above.
    pub(super) event_bytes: u64,
    /// Records that cannot be read.
    pub(super) rejected: u64,
    /// Records that say that AWS dropped others.
    pub(super) skip_data: u64,
    /// Lines that the intake's parser does not read, of those whose fields it reads.
    pub(super) unread: u64,
    /// How often something follows gzip data.
    pub(super) followed: u64,
    /// Events that are JSON.
    pub(super) json: u64,
    /// The longest interval that a record covers, in seconds.
    pub(super) interval_s: Option<u64>,
}

/// Reads and decodes objects with the trigger's own code.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    bucket: Bucket,
    opener: Opener,
}

impl Sampler {
    /// One that decodes as `trigger` says.
    pub(super) fn new(bucket: &Bucket, trigger: &TriggerConfiguration) -> Self {
        let decoder = trigger.records.decoder();
        Self { bucket: bucket.clone(), opener: Opener::new(decoder) }
    }

    /// Decodes an object to its end. `fields` names those of its lines, if it is text.
    pub(super) async fn sample(
        &self,
        object: &Object,
        fields: Option<&[String]>,
    ) -> Result<Sample, FetchError> {
        let mut sample = Sample { stored_bytes: object.body_bytes, ..Sample::default() };
        let places = Interval::of(fields);
        let mut opened = self
            .opener
            .clone()
            .open(Claim::whole(&self.bucket, object.clone()))
            .await
            .map_err(|unopened| unopened.error)?;
        while let Some(mut block) = opened.next_block().await? {
            let tally = block.tally();
            sample.records += u64::from(tally.read);
            sample.rejected += u64::from(tally.rejected);
            sample.skip_data += u64::from(tally.skip_data);
            sample.followed += u64::from(tally.followed);
            for event in events(&block.take(usize::MAX)) {
                if sample.events < LOOKED_INTO as u64 {
                    sample.interval_s = sample.interval_s.max(places.seconds(&event));
                }
                sample.events += 1;
                sample.event_bytes += event.len() as u64;
                let is_json = event.starts_with('{');
                sample.json += u64::from(is_json);
                sample.unread += u64::from(!is_json && !is_read(&event));
            }
        }
        Ok(sample)
    }
}

/// The events in the JSON strings of a block, each of which has a comma after it.
pub(super) fn events(json: &Bytes) -> Vec<String> {
    let strings = json.strip_suffix(b",").unwrap_or(json);
    serde_json::from_slice(&[b"[", strings, b"]"].concat()).unwrap_or_default()
}

/// Where the values `start` and `end` are in a line.
struct Interval {
    start: Option<usize>,
    end: Option<usize>,
}

impl Interval {
    fn of(fields: Option<&[String]>) -> Self {
        let place = |name: &str| match fields {
            Some(fields) => fields.iter().position(|field| field == name),
            None => default_format().iter().position(|field| *field == name),
        };
        Self { start: place("start"), end: place("end") }
    }

    /// How long the interval of a record is.
    fn seconds(&self, event: &str) -> Option<u64> {
        let (start, end) = if event.starts_with('{') {
            let record: Value = serde_json::from_str(event).ok()?;
            (record.get("start")?.as_u64()?, record.get("end")?.as_u64()?)
        } else {
            let value = |place: usize| event.split(' ').nth(place)?.parse::<u64>().ok();
            (value(self.start?)?, value(self.end?)?)
        };
        end.checked_sub(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_found_in_lines_and_in_json() {
        let fields = ["end", "srcaddr", "start"].map(str::to_owned);
        let custom = Interval::of(Some(&fields));
        assert_eq!(custom.seconds("160 10.0.0.1 100"), Some(60));
        assert_eq!(custom.seconds(r#"{"start":100,"end":700}"#), Some(600));
        assert_eq!(custom.seconds("- 10.0.0.1 100"), None);
        assert_eq!(custom.seconds("100 10.0.0.1 160"), None);
        let default = Interval::of(None);
        let line = "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 20 4249 1418530010 1418530070 ACCEPT OK";
        assert_eq!(default.seconds(line), Some(60));
    }

    #[test]
    fn events_are_taken_out_of_a_block() {
        assert_eq!(events(&Bytes::from_static(br#""a \"b\"","c","#)), ["a \"b\"", "c"]);
        assert!(events(&Bytes::new()).is_empty());
    }
}
