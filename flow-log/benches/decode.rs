//! How fast objects become records, in each format, beside `gzip -dc` of the same bytes, and what escaping costs:
//! `make bench`.
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
use divan::counter::{BytesCount, ItemsCount};
use flate2::Compression;
use flow_log::record::fields::Kind;
use flow_log::record::json::{Key, Object};
use support::usage::own_and_childrens_seconds;

use self::objects::{Case, cases, decoder};

#[path = "instructions/objects.rs"]
mod objects;

/// Of an object as AWS delivers them: 6 MB of text.
const RECORDS: usize = 50_000;
/// Repeats, so that a clock of 10 ms is fine enough.
const ROUNDS: usize = 40;

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| cases(RECORDS, Compression::default()));

impl std::fmt::Display for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.name.fmt(formatter)
    }
}

fn decode_once(case: &Case) {
    let decoded = decoder(case.how).decode(&*case.object, |block| {
        black_box(block);
        ControlFlow::Continue(())
    });
    decoded.unwrap();
}

#[divan::bench(args = CASES.iter())]
fn decode(bencher: Bencher, case: &Case) {
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| decode_once(case));
}

/// A value, as it is written into a JSON string that holds JSON: nothing of it needs escaping, or some of it.
#[divan::bench(args = ["eni-0123456789abcdef0", "the \"name\" of a thing"])]
fn escape(bencher: Bencher, value: &str) {
    let key = Key::new("field-of-next-year", Kind::Unknown);
    let mut out = Vec::with_capacity(1024);
    bencher.counter(BytesCount::of_str(value)).bench_local(|| {
        out.clear();
        Object::begin(&mut out).text(&key, black_box(value), false);
    });
}

fn gunzip(object: &[u8]) {
    let mut gzip =
        Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(object).unwrap();
    assert!(gzip.wait().unwrap().success());
}

fn main() {
    divan::main();
    println!("\nprocessor time for {RECORDS} records, {ROUNDS} times");
    println!("{:40} {:>10} {:>16} {:>10} {:>6}", "", "decode", "records/s", "gzip -dc", "ratio");
    for case in CASES.iter() {
        let [before, _] = own_and_childrens_seconds();
        (0..ROUNDS).for_each(|_| decode_once(case));
        let decoded = own_and_childrens_seconds()[0] - before;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = (RECORDS * ROUNDS) as f64 / decoded;
        print!("{:40} {decoded:>8.2} s {rate:>16.0}", case.name);
        if case.object.starts_with(b"PAR1") {
            println!(" {:>10} {:>6}", "-", "-");
            continue;
        }
        let [_, before] = own_and_childrens_seconds();
        (0..ROUNDS).for_each(|_| gunzip(&case.object));
        let unzipped = own_and_childrens_seconds()[1] - before;
        println!(" {unzipped:>8.2} s {:>6.2}", decoded / unzipped);
    }
}
