//! What the steps after decoding cost: records into batches in the trigger, events into bodies in the action:
//! `make bench`. How fast objects are decoded, the benchmark of the crate `flow-log` tells.
#![allow(clippy::unwrap_used, reason = "a tool for developers")]

use std::ops::ControlFlow;
use std::sync::LazyLock;

use aws_flowlogs::action::chunk::{Envelope, belt, cut};
use aws_flowlogs::action::events::{Form, Input};
use aws_flowlogs::contract::{Limits, Position};
use aws_flowlogs::pipeline::batch::{Batch, Cursor};
use aws_flowlogs::s3;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use flow_log::decode::block::Block;
use flow_log::decode::{Decoder, RecordFormat};
use flow_log::filter::Filter;
use jiff::Timestamp;
use support::flowlogs::{Generator, LogObject};

/// Records of a batch: as many as a playbook run gets unless the user says otherwise.
const RECORDS: usize = 10_000;
/// Objects of a batch.
const OBJECTS: usize = 4;
/// Events of a file, enough for several bodies.
const EVENTS: usize = 100_000;

fn object(records: usize) -> LogObject {
    let mut generator = Generator::new(1);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    generator.object(&flow_log, "2026-11-22T00:05:00Z".parse().unwrap(), records)
}

/// The blocks of an object.
fn blocks(decoder: &Decoder, object: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let decoded = decoder.decode(object, |block| {
        blocks.push(block);
        ControlFlow::Continue(())
    });
    decoded.unwrap();
    blocks
}

/// A batch out of the blocks of a few objects, up to the pieces of its file and its request ID.
#[divan::bench]
fn batch(bencher: Bencher) {
    let log = object(RECORDS / OBJECTS);
    let (key, body) = (log.key.clone(), log.body());
    let object = |number| s3::Object {
        key: format!("{key}-{number}"),
        body_bytes: body.len() as u64,
        last_modified: Timestamp::UNIX_EPOCH,
        etag: None,
    };
    let objects: Vec<s3::Object> = (0..OBJECTS).map(object).collect();
    let decoder = Decoder::new(RecordFormat::Auto, Filter::default());
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| objects.iter().map(|_| blocks(&decoder, &body)).collect::<Vec<_>>())
        .bench_values(|blocks| {
            let bytes = 16 * 1024 * 1024;
            let mut batch = Batch::new(Limits {
                records: RECORDS,
                bytes,
                record_bytes: None,
                side_by_side: 1,
                linger: None,
            });
            for (object, blocks) in objects.iter().zip(blocks) {
                let mut cursor = Cursor::new(None, object.clone(), Position::default());
                for mut block in blocks {
                    cursor.end = block.end();
                    batch.take(&mut cursor, &mut block);
                }
                batch.end(&cursor);
            }
            assert_eq!(batch.records(), RECORDS);
            batch.seal("acme-flow-logs")
        });
}

/// Files of events: as the trigger writes them of default text, and of JSON, in which every quotation mark is escaped.
static FILES: LazyLock<[(&str, Vec<u8>); 2]> = LazyLock::new(|| {
    let file = |format| {
        let decoder = Decoder::new(format, Filter::default());
        let mut file = b"[".to_vec();
        for mut block in blocks(&decoder, &object(EVENTS).body()) {
            file.extend_from_slice(&block.take(usize::MAX));
        }
        file.pop();
        file.push(b']');
        file
    };
    [("nothing to escape", file(RecordFormat::Auto)), ("escaped", file(RecordFormat::Json))]
});

/// The events of a file into the bodies of posts, which are given back at once.
#[divan::bench(args = FILES.iter().map(|(name, _)| *name))]
fn chunk(bencher: Bencher, name: &str) {
    bodies(bencher, name, false);
}

/// The same, with the bodies compressed.
#[divan::bench(args = FILES.iter().map(|(name, _)| *name))]
fn chunk_compressed(bencher: Bencher, name: &str) {
    bodies(bencher, name, true);
}

fn bodies(bencher: Bencher, name: &str, compress: bool) {
    let (_, file) = FILES.iter().find(|(file, _)| *file == name).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bencher
        .counter(ItemsCount::new(EVENTS))
        .counter(BytesCount::of_slice(file))
        .with_inputs(|| vec![Input::of_text("events", Form::Many, file.clone())])
        .bench_local_values(|inputs| {
            let (cutter_end, mut poster_end) = belt();
            let cutter =
                std::thread::spawn(move || cut(inputs, &Envelope::new(&"key".into(), compress), cutter_end));
            let mut events = 0;
            while let Some(chunk) = runtime.block_on(poster_end.next()) {
                events += chunk.events;
                poster_end.give_back(black_box(chunk).body);
            }
            cutter.join().unwrap();
            assert_eq!(events, EVENTS as u64);
        });
}

fn main() {
    divan::main();
}
