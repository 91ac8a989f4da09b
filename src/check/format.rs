//! The step `format`: what kind of file the newest object is, its fields, and in which form its records go out.

use std::io::Read as _;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flow_log::decode::{ObjectError, RecordFormat, parquet};
use flow_log::record::Layout;
use flow_log::record::fields::{default_format, field};

use super::report::{Step, Told, counted};
use super::sample::{Sample, Sampler};
use crate::config::TriggerConfiguration;
use crate::contract::FetchError;
use crate::s3::{Bucket, Object};

/// Larger objects are not decoded: AWS makes none.
pub(super) const OBJECT_BYTES: u64 = 100 * 1024 * 1024;
/// The end of a Parquet file that is read for its columns: for flow logs, it needs some kilobytes.
const END_BYTES: u64 = 256 * 1024;
/// What is inflated at most to find the first line.
const LINE_BYTES: u64 = 64 * 1024;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    TextWithoutHeader,
    Parquet,
    ParquetInGzip,
}

/// What a file says about its records.
#[derive(Debug)]
struct Shape {
    kind: Kind,
    /// In the file's order, with dashes; `None` if that cannot be told.
    fields: Option<Vec<String>>,
    /// Whether the intake's parser understands a line.
    is_parsed: bool,
}

/// Decodes the newest object, and gives what it came to.
pub(super) async fn format(
    bucket: &Bucket,
    trigger: &TriggerConfiguration,
    (object, start): (Object, Bytes),
) -> Step<Sample> {
    if object.body_bytes > OBJECT_BYTES {
        let found = format!("{} is larger than 100 MiB", object.key);
        return Err(Told::skipped(found));
    }
    let shape = Shape::of(bucket, &object, &start).await;
    let lines =
        shape.as_ref().filter(|shape| shape.kind == Kind::Text).and_then(|shape| shape.fields.as_deref());
    let sample = Sampler::new(bucket, trigger).sample(&object, lines).await;
    let sample = sample.map_err(|error| undecodable(&object, &error))?;
    let Some(shape) = shape else {
        return Ok((Told::ok(counted(sample.records, "record")), sample));
    };
    let kind = match shape.kind {
        Kind::Text => "text with a header",
        Kind::TextWithoutHeader => "text without a header, in the default format",
        Kind::Parquet => "Parquet",
        Kind::ParquetInGzip => "Parquet in gzip",
    };
    let lines_are_parsed = shape.is_parsed
        && sample.unread == 0
        && (trigger.records.format == RecordFormat::Json || sample.json == 0);
    let form = shape.form(trigger.records.format, &sample);
    let names =
        shape.fields.as_ref().map(|fields| format!("; {} fields: {}", fields.len(), fields.join(" ")));
    let mut told = Told::ok(format!(
        "{kind}, {}; {form}{}",
        counted(sample.records, "record"),
        names.unwrap_or_default()
    ));
    told = told.with("kind", kind).with("fields", shape.fields.clone()).with("records", sample.records);
    told = told
        .with("lines_are_parsed", lines_are_parsed)
        .with("events", sample.events)
        .with("json", sample.json)
        .with("skip_data", sample.skip_data);
    if sample.rejected > 0 {
        let (rejected, key) = (sample.rejected, &object.key);
        let advice = "look at the object: a record that has more or fewer values than it has fields, or that is no text, \
                      is not sent";
        told = told.but(format!("{} of {key} rejected", counted(rejected, "record")), advice);
    }
    if sample.followed > 0 {
        let advice = "look at the object: what follows its gzip data is not sent";
        told = told.but(format!("something follows the gzip data of {}", object.key), advice);
    }
    if sample.unread > 0 && shape.is_parsed {
        let advice = match trigger.records.format {
            RecordFormat::Raw => "set `record_format` to `auto`, so that such records go out as JSON",
            _ => {
                "look at the object: AWS does not write such values; set `record_format` to `json` to send them as JSON"
            }
        };
        let unread = counted(sample.unread, "line");
        told = told.but(
            format!("the intake's parser does not read {unread} of these fields, by the values"),
            advice,
        );
    } else if trigger.records.format == RecordFormat::Raw && shape.is_text() && !shape.is_parsed {
        let advice = "set `record_format` to `auto`, so that such records go out as JSON";
        told = told.but("the intake's parser does not read lines of these fields", advice);
    }
    Ok((told, sample))
}

/// Why an object cannot be decoded, and what to do.
pub(super) fn undecodable(object: &Object, error: &FetchError) -> Told {
    let advice = match error {
        FetchError::Read(error) => return super::bucket::refused(error, error.failure().advice()),
        FetchError::Decode(ObjectError::Disk(_)) => {
            "give the container a writable temporary folder with room (TMPDIR)"
        }
        FetchError::Decode(
            ObjectError::NotFlowLog
            | ObjectError::OtherKind(_)
            | ObjectError::OtherColumns { .. }
            | ObjectError::Ocsf
            | ObjectError::NotUtf8
            | ObjectError::Utf16
            | ObjectError::LongLine { .. },
        ) => "set a prefix below which there are flow logs only",
        _ => "look at the object in S3: it is damaged; it is named in the log, and the others are delivered",
    };
    Told::failed(format!("{}: {error}", object.key), advice).with("cause", error.cause())
}

impl Shape {
    /// What the start of an object says, and of a Parquet file its end.
    async fn of(bucket: &Bucket, object: &Object, start: &[u8]) -> Option<Self> {
        if parquet::begins(start) {
            let fields = columns(bucket, object).await;
            return Some(Self { kind: Kind::Parquet, fields, is_parsed: false });
        }
        // What is left of the last line that is there may be cut off, and does not matter.
        let mut content = start.to_vec();
        for _ in 0..2 {
            if content.starts_with(&[0x1f, 0x8b]) {
                let mut inflated = Vec::new();
                let _ = MultiGzDecoder::new(&*content).take(LINE_BYTES).read_to_end(&mut inflated);
                content = inflated;
            }
        }
        if parquet::begins(&content) {
            return Some(Self { kind: Kind::ParquetInGzip, fields: None, is_parsed: false });
        }
        let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Self::of_line(str::from_utf8(line).ok()?.trim_start_matches('\u{feff}').trim_ascii_end())
    }

    fn of_line(line: &str) -> Option<Self> {
        let (kind, layout, names) = match Layout::of_header(line, true) {
            Some(layout) => {
                let names = line.split_ascii_whitespace().map(|name| field(name).unwrap_or(name).to_owned());
                (Kind::Text, layout, names.collect())
            }
            None => {
                let names = default_format().iter().copied().map(str::to_owned).collect();
                (Kind::TextWithoutHeader, Layout::of_record(line)?, names)
            }
        };
        Some(Self { kind, fields: Some(names), is_parsed: layout.is_parsed })
    }

    fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::TextWithoutHeader)
    }

    /// In which form records go out.
    fn form(&self, format: RecordFormat, sample: &Sample) -> String {
        let form = match format {
            RecordFormat::Json => "they go out as JSON, as `record_format` says",
            _ if !self.is_text() => "a row has no line, so they go out as JSON",
            RecordFormat::Raw if !self.is_parsed => "they go out as lines, as `record_format` says",
            _ if self.is_parsed && sample.unread > 0 => "they go out as lines",
            RecordFormat::Auto if !self.is_parsed => {
                "the intake's parser does not read lines of these fields, so they go out as JSON"
            }
            RecordFormat::Auto if sample.json > 0 && sample.json == sample.events => {
                "the intake's parser does not read lines with such a version or account, so they go out as JSON"
            }
            RecordFormat::Auto if sample.json > 0 => {
                return format!(
                    "they go out as lines, which the intake's parser reads, but {} of them as JSON, which have a version \
                     or account that it does not read in a line",
                    sample.json
                );
            }
            RecordFormat::Raw | RecordFormat::Auto => "they go out as lines, which the intake's parser reads",
        };
        form.to_owned()
    }
}

/// The columns of a Parquet file, from its end.
async fn columns(bucket: &Bucket, object: &Object) -> Option<Vec<String>> {
    let size = object.body_bytes;
    let length = size.min(END_BYTES);
    let end = bucket.read_whole(object, size - length, length).await.ok()?;
    parquet::fields(&end, size)
}
