//! How many instructions decoding takes for a record, held against the table `instructions.txt`: `make instructions`.
//!
//! Time depends on the machine and on what else runs there; instructions hardly do, so that a change that makes decoding
//! slower is seen wherever the tests run. callgrind, a tool of valgrind, counts them while an object is decoded, in a
//! process for each kind of object. What is compiled here is the crate as in a release, but for the optimisation across
//! crates and with the allocator of the C library: figures are to be compared with each other, not with the module's.
//!
//! ISA-L, memchr and the C library choose their code by what the processor can do. Where there is AVX2,
//! valgrind passes for one certain processor that has it, and not AVX-512: the table holds for every x86-64 with AVX2.
//! Elsewhere nothing is compared, and neither is it where valgrind is missing; both is said. Another compiler or C library
//! may move figures too.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a tool for developers")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use flate2::Compression;
use flow_log::decode::Decoder;
use flow_log::decode::block::Block;

use self::objects::{Case, cases, decoder};

mod objects;

/// Enough that what each object costs beside its records does not count.
const RECORDS: u32 = 10_000;
/// What may be between the table and the figures, in percent of the table's.
const TOLERANCE: f64 = 5.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--decode", object, how] => {
            decode_twice(&std::fs::read(object).unwrap(), &decoder(how));
            ExitCode::SUCCESS
        }
        ["--write"] => measure(|counts, table| {
            std::fs::write(table, written(counts)).unwrap();
            ExitCode::SUCCESS
        }),
        [] if !cfg!(debug_assertions) => measure(compare),
        _ => {
            println!("instructions: not compiled as the table was: run `make instructions`");
            ExitCode::SUCCESS
        }
    }
}

/// Instructions per record of each object, by its name.
type Counts = [(String, f64)];

/// Text that is not compressed, so that inflating does not hide what its records cost; and what inflating costs, of one
/// member and of two.
fn objects() -> impl Iterator<Item = (String, Case)> {
    let plain = cases(RECORDS as usize, Compression::none()).into_iter();
    let compressed = cases(RECORDS as usize, Compression::default()).into_iter().take(2);
    let named = plain.map(|case| (case.name.to_owned(), case));
    named.chain(compressed.map(|case| (format!("{}, compressed", case.name), case)))
}

/// Counts for all objects, side by side, and hands the figures on where they can be compared.
fn measure(then: impl FnOnce(&Counts, &Path) -> ExitCode) -> ExitCode {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt");
    let folder = tempfile::tempdir().unwrap();
    let mut counting = Vec::new();
    for (name, case) in objects() {
        let object = folder.path().join(&name);
        std::fs::write(&object, &case.object).unwrap();
        match count(&object, &case) {
            Ok(process) => counting.push((name, process)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("instructions: valgrind is missing, NOTHING was compared");
                return ExitCode::SUCCESS;
            }
            Err(error) => panic!("valgrind: {error}"),
        }
    }
    let counts: Vec<_> = counting.into_iter().map(counted).collect();
    if !has_avx2() {
        print!("{}", rows(&counts));
        println!(
            "instructions: this processor has no AVX2, the table is of those that have: NOTHING was compared"
        );
        return ExitCode::SUCCESS;
    }
    then(&counts, &table)
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// This program under callgrind, which counts in [`decode_counted`] and in what that calls.
fn count(object: &Path, case: &Case) -> std::io::Result<Child> {
    Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*decode_counted*"])
        .arg(std::env::current_exe()?)
        .arg("--decode")
        .arg(object)
        .arg(case.how)
        .stderr(Stdio::piped())
        .spawn()
}

fn decode_twice(object: &[u8], decoder: &Decoder) {
    // What is allocated and looked up once in the life of the trigger is not of a record.
    decoder.decode(object, discard).unwrap();
    decode_counted(decoder, object);
}

/// No closure in here: callgrind would take it for the function itself, by its name.
#[inline(never)]
fn decode_counted(decoder: &Decoder, object: &[u8]) {
    decoder.decode(black_box(object), discard).unwrap();
}

fn discard(block: Block) -> ControlFlow<()> {
    black_box(block);
    ControlFlow::Continue(())
}

/// Instructions per record, out of what callgrind says at its end.
fn counted((name, process): (String, Child)) -> (String, f64) {
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse::<u32>().ok()).unwrap_or_default();
    assert!(count > RECORDS, "{name}: nothing was counted: {said}");
    (name, f64::from(count) / f64::from(RECORDS))
}

fn rows(counts: &Counts) -> String {
    counts.iter().fold(String::new(), |mut rows, (name, count)| {
        let _ = writeln!(rows, "{name:40} {count:8.1}");
        rows
    })
}

fn written(counts: &Counts) -> String {
    format!(
        "# Instructions per record on x86-64 with AVX2, {}, written by `make instructions-anew`.\n{}",
        compiler(),
        rows(counts)
    )
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).split(" (").next().unwrap_or_default().to_owned()
}

fn compare(counts: &Counts, table: &Path) -> ExitCode {
    let text = std::fs::read_to_string(table).unwrap();
    let known: BTreeMap<&str, f64> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, count)| Some((name.trim_end(), count.parse().ok()?)))
        .collect();
    let (mut more, mut less) = (false, known.len() != counts.len());
    println!("{:40} {:>8} {:>8}", "instructions per record", "table", "now");
    for (name, count) in counts {
        let known = known.get(name.as_str()).copied().unwrap_or_default();
        let percent = (count / known - 1.0) * 100.0;
        println!("{name:40} {known:8.1} {count:8.1} {percent:+6.1} %");
        more |= percent > TOLERANCE;
        less |= percent < -TOLERANCE;
    }
    if more {
        println!(
            "\nDecoding takes more instructions than it did. Look at the change (`perf stat -e instructions`, `make \
             bench`); if it is worth it, write the table anew with `make instructions-anew` and commit it."
        );
    } else if less {
        println!(
            "\nThe table is old: write it anew with `make instructions-anew` and commit it, so that what was gained is \
             not lost unseen."
        );
    }
    if more || less {
        println!("The table is of:\n{}\nThis is {}.", text.lines().next().unwrap_or_default(), compiler());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
