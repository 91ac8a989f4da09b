//! What must hold for any bytes that come from outside. The fuzz targets run these on bytes that nobody thought of,
//! and the test `corpora` on those that are committed in `corpus/`.

use std::collections::HashMap;
use std::io::{BufReader, Read as _, Write as _};
use std::ops::ControlFlow;

use aws_flowlogs::action::arguments::Arguments;
use aws_flowlogs::action::events::{Event, EventReader, Form, Input, Rejects};
use aws_flowlogs::config::connector::ConnectorConfiguration;
use aws_flowlogs::config::{ModuleConfiguration, TriggerConfiguration};
use aws_flowlogs::platform::values::Values;
use aws_flowlogs::source::listing::checkpoint::{Change, Checkpoint, Origin};
use aws_flowlogs::source::listing::journal::{seal, unseal};
use flow_log::decode::block::Block;
use flow_log::decode::{Decoder, ObjectError, RecordFormat};
use flow_log::filter::{Filter, Internal};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

#[allow(dead_code, missing_docs, reason = "each target uses its own")]
pub mod counting;
#[allow(dead_code, missing_docs, reason = "each target uses its own")]
mod maker;

/// A file of Parquet that the bytes choose.
///
/// It takes no more memory than it may, and what is sent of it are JSON objects with values.
pub fn parquet(input: &[u8]) {
    /// 64 MiB of pages, 16 MiB of description, 16 MiB of an inflater's window, and what is written.
    const MOST_BYTES: usize = 112 << 20;
    let file = maker::file(&mut maker::Choices::new(input));
    let mut json = Vec::new();
    let peak = counting::peak(|| {
        let _ = Decoder::default().decode(&*file, |mut block| {
            json = block.take(3).to_vec();
            ControlFlow::Continue(())
        });
    });
    assert!(peak < MOST_BYTES, "{} MiB", peak >> 20);
    let text = json.strip_suffix(b",").unwrap_or(&json);
    let records: Vec<String> =
        serde_json::from_slice(&[b"[", text, b"]"].concat()).expect("an array of strings");
    for record in records {
        let object: Map<String, Value> = serde_json::from_str(&record).expect("an object");
        assert!(!object.is_empty() && !record.contains("\\u0000"), "{record}");
    }
}

/// An object of the bucket: as it is, or as the text in the gzip of one. The first byte says which, in which form its
/// records go out, and what is left out.
///
/// Records are JSON strings without a line end, and the same ones in whatever pieces the object arrives, four bytes or
/// more, or as a whole. It is damaged in every way of arriving, or in none, and not if another inflater reads it.
pub fn object(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    let mut body = rest.to_vec();
    if kind % 2 == 1 {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(rest).unwrap();
        body = gzip.finish().unwrap();
    }
    let format = [RecordFormat::Auto, RecordFormat::Raw, RecordFormat::Json][usize::from(kind >> 1) % 3];
    let all = kind & 0x80 == 0x80;
    let internal = if all { Internal::All } else { Internal::No };
    let decoder = Decoder::new(format, Filter { internal, no_data: all, ..Filter::default() });
    let records = |decode: &Decode<'_>| {
        let mut json = Vec::new();
        let ended = decode(&mut |mut block| {
            let (count, before) = (block.remaining(), json.len());
            json.extend_from_slice(&block.take(count));
            let text = &json[before..];
            let text = text.strip_suffix(b",").unwrap_or(text);
            let block = [b"[", text, b"]"].concat();
            let records: Vec<String> = serde_json::from_slice(&block).expect("an array of strings");
            assert_eq!(records.len(), count);
            assert!(records.iter().all(|record| !record.is_empty() && !record.contains('\n')));
            if format == RecordFormat::Json {
                let is_object = |record: &String| serde_json::from_str::<Map<String, Value>>(record).is_ok();
                assert!(records.iter().all(is_object));
            }
            ControlFlow::Continue(())
        });
        (json, ended.map_err(|error| error.cause()))
    };
    let in_pieces = |capacity| BufReader::with_capacity(capacity, body.as_slice());
    let (pieces, other) = records(&|emit| decoder.decode(in_pieces(4 + usize::from(kind >> 4)), emit));
    let large = records(&|emit| decoder.decode(in_pieces(8 * 1024), emit));
    for (whole, one) in [large, records(&|emit| decoder.decode(&*body, emit))] {
        same((whole, one), (&pieces, &other));
    }
    let mut content = Vec::new();
    if flate2::bufread::MultiGzDecoder::new(&*body).read_to_end(&mut content).is_ok() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        gzip.write_all(&content).unwrap();
        let stored = gzip.finish().unwrap();
        same(records(&|emit| decoder.decode(&*stored, emit)), (&pieces, &other));
    }
}

/// A way to decode an object: gives the blocks to what it gets.
type Decode<'a> = dyn Fn(&mut dyn FnMut(Block) -> ControlFlow<()>) -> Result<(), ObjectError> + 'a;

/// Two ways of arriving give the same.
fn same(
    (whole, one): (Vec<u8>, Result<(), &'static str>),
    (pieces, other): (&[u8], &Result<(), &'static str>),
) {
    match (one, other) {
        (Ok(()), Ok(())) => assert_eq!(whole, pieces),
        // Of several faults, another may be met first; what is before it comes in blocks.
        (Err(_), Err(_)) => assert!(whole.starts_with(pieces) || pieces.starts_with(&whole)),
        (one, other) => panic!("in the one way {one:?}, in the other {other:?}"),
    }
}

/// A file of the state: as it is, or as a snapshot with changes after it, a line each.
///
/// What can be read can be written, and is the same when it is read again.
pub fn state(input: &[u8]) {
    let body = unseal(input).unwrap_or_else(|| input.to_vec());
    assert_eq!(unseal(&seal(&body)).as_ref(), Some(&body));
    let mut lines = body.split(|byte| *byte == b'\n');
    let snapshot = Checkpoint::from_json(lines.next().unwrap_or_default());
    let mut checkpoint =
        snapshot.unwrap_or_else(|_| Checkpoint::new(Origin::since("2026-11-22T00:00:00Z".parse().unwrap())));
    for changes in lines.filter_map(|line| serde_json::from_slice::<Vec<Change>>(line).ok()) {
        changes.iter().for_each(|change| checkpoint.apply(change));
    }
    let again = Checkpoint::from_json(&checkpoint.to_json()).expect("what was written can be read");
    assert_eq!(again, checkpoint);
}

/// A value of the platform, as every configuration that may be made of it.
///
/// What cannot be used is refused without a word of it, which may be a secret; but the names of a bucket, a prefix and a region
/// may be quoted.
pub fn values(input: &[u8]) {
    const SECRET: &str = "hush-9b1c";
    const QUOTED: [&str; 5] = ["bucket", "bucket_name", "prefix", "prefix_filter", "aws_region_name"];
    let text = String::from_utf8_lossy(input).replace("SECRET", SECRET);
    let values = Values::new("/nowhere", HashMap::from([("A".to_owned(), text)]));
    let said = match values.required_json("a") {
        Err(error) => error.to_string(),
        Ok(mut json) => {
            for name in QUOTED {
                if let Some(Value::String(text)) = json.get_mut(name) {
                    *text = text.replace(SECRET, "name");
                }
            }
            let secret = json.get("aws_secret_access_key").cloned();
            let secrets =
                secret.map(|secret| ("aws_secret_access_key".to_owned(), secret)).into_iter().collect();
            let account = ModuleConfiguration::read(json.clone(), secrets);
            let account = account.and_then(|account| account.check(false));
            let trigger = TriggerConfiguration::read(json.clone());
            let connector = ConnectorConfiguration::read(json.clone(), None);
            let action = Arguments::read(json);
            [account.err(), trigger.err(), connector.err(), action.err()]
                .into_iter()
                .flatten()
                .map(|error| error.to_string())
                .collect()
        }
    };
    assert!(!said.contains(SECRET), "{said}");
}

/// A file of events: the first byte says whether it should hold one or many.
///
/// What is read is what any reader of JSON reads, and each event that can be sent is a JSON string.
pub fn events(input: &[u8]) {
    let Some((kind, text)) = input.split_first() else { return };
    let form = if kind % 2 == 0 { Form::Many } else { Form::One };
    let mut reader = EventReader::new(Input::of_text("the file", form, text));
    let mut rejected = Rejected::default();
    let mut count = 0;
    let ended = loop {
        match reader.next(&mut rejected) {
            Ok(Some(Event::Ready(json))) => {
                count += 1;
                serde_json::from_slice::<String>(json).expect("a JSON string");
            }
            Ok(Some(Event::Rejected)) => count += 1,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.to_string()),
        }
    };
    let expected = match form {
        Form::Many => serde_json::from_slice::<Vec<&RawValue>>(text).map(|events| events.len()),
        Form::One => serde_json::from_slice::<&RawValue>(text).map(|_| 1),
    };
    match (ended, expected) {
        (Ok(()), Ok(expected)) => assert_eq!(count, expected),
        (Ok(()), Err(error)) => assert!(error.to_string().contains("recursion limit"), "{error}"),
        (Err(said), Ok(_)) => assert!(said.contains("does not hold"), "{said}"),
        (Err(_), Err(_)) => {}
    }
    assert!(rejected.events <= count);
}

#[derive(Default)]
struct Rejected {
    piece: Vec<u8>,
    events: usize,
}

impl Rejects for Rejected {
    fn piece(&mut self, text: &[u8]) -> std::io::Result<()> {
        self.piece.extend_from_slice(text);
        Ok(())
    }

    fn end(&mut self, _: u64, _: &'static str) -> std::io::Result<()> {
        self.events += 1;
        let event: &RawValue = serde_json::from_slice(&self.piece).expect("the JSON of the event");
        assert!(event.get().starts_with('"'));
        self.piece.clear();
        Ok(())
    }
}
