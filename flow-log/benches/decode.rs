//! How fast objects become records, in each format, beside `gzip -dc` of the same bytes: `make bench`.
//!
//! First come times of one thread for 50,000 records, then processor time as the system counts it, of this process and
//! of `gzip`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::hint::black_box;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::ItemsCount;
use flow_log::decode::{Decoder, RecordFormat};
use flow_log::filter::Filter;
use support::flowlogs::{Generator, HEADER, gzip};
use support::parquet::Form;
use support::usage::own_and_childrens_seconds;

/// Of an object that is inflated at once.
const RECORDS: usize = 50_000;
/// Repeats, so that a clock of 10 ms is fine enough.
const ROUNDS: usize = 40;

/// The same records in each format.
struct Objects {
    default: Vec<u8>,
    custom: Vec<u8>,
    parquet: Vec<u8>,
}

static OBJECTS: LazyLock<Objects> = LazyLock::new(|| {
    let mut generator = Generator::new(1);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    let time = "2026-11-22T00:05:00Z".parse().unwrap();
    let object = generator.object(&flow_log, time, RECORDS);
    let custom: String = object.text().lines().map(|line| reversed(line) + "\n").collect();
    let parquet = support::parquet::file(HEADER, &object.records, &Form::default());
    Objects { default: object.body().to_vec(), custom: gzip(custom).to_vec(), parquet: parquet.to_vec() }
});

fn reversed(line: &str) -> String {
    line.split(' ').rev().collect::<Vec<_>>().join(" ")
}

fn decode(object: &[u8], filter: Filter) {
    let decoder = Decoder::new(RecordFormat::Auto, filter);
    let decoded = decoder.decode_whole(object, |block| {
        black_box(block);
        ControlFlow::Continue(())
    });
    decoded.unwrap();
}

#[divan::bench]
fn default_text_as_it_stands(bencher: Bencher) {
    let object = &OBJECTS.default;
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| decode(object, Filter::default()));
}

#[divan::bench]
fn default_text_filtered(bencher: Bencher) {
    let (object, filter) = (&OBJECTS.default, Filter { internal: true, ..Filter::default() });
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| decode(object, filter));
}

#[divan::bench]
fn text_in_another_order_as_json(bencher: Bencher) {
    let object = &OBJECTS.custom;
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| decode(object, Filter::default()));
}

#[divan::bench]
fn parquet_as_json(bencher: Bencher) {
    let object = &OBJECTS.parquet;
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| decode(object, Filter::default()));
}

fn gunzip(object: &[u8]) {
    let mut gzip =
        Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(object).unwrap();
    assert!(gzip.wait().unwrap().success());
}

fn main() {
    divan::main();
    let filter = Filter::default();
    println!("\nprocessor time for {RECORDS} records, {ROUNDS} times");
    println!("{:32} {:>10} {:>16} {:>10} {:>6}", "", "decode", "records/s", "gzip -dc", "ratio");
    for (name, object) in [
        ("default text, as it stands", &OBJECTS.default),
        ("text in another order, as JSON", &OBJECTS.custom),
        ("Parquet, as JSON", &OBJECTS.parquet),
    ] {
        let [before, _] = own_and_childrens_seconds();
        (0..ROUNDS).for_each(|_| decode(object, filter));
        let decoded = own_and_childrens_seconds()[0] - before;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = (RECORDS * ROUNDS) as f64 / decoded;
        print!("{name:32} {decoded:>8.2} s {rate:>16.0}");
        if object.starts_with(b"PAR1") {
            println!(" {:>10} {:>6}", "-", "-");
            continue;
        }
        let [_, before] = own_and_childrens_seconds();
        (0..ROUNDS).for_each(|_| gunzip(object));
        let unzipped = own_and_childrens_seconds()[1] - before;
        println!(" {unzipped:>8.2} s {:>6.2}", decoded / unzipped);
    }
}
