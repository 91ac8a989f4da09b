//! The trigger: at rest, with a backlog, with objects of a gibibyte; and the connectors with the same backlog.

use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use support::eventually;
use support::flowlogs::{Generator, HEADER, gzip};
use support::parquet::{self, File, Form};
use support::s3::Operation;

use crate::action;
use crate::measure::{decompress, median, usage};
use crate::table::Table;
use crate::world::{Delivered, Flow, PATIENCE, Setting, World, deliver};

const GIB: usize = 1 << 30;
const ROUNDS: usize = 5;
const OBJECTS: usize = 40;
const RECORDS: usize = 50_000;
/// How long an intake on the internet takes for an answer.
const ANSWER: Duration = Duration::from_millis(200);
/// How long the platform takes for an event.
const PLATFORM_ANSWER: Duration = Duration::from_millis(50);

/// Memory and time up to the first look into the bucket; gives the memory, in MiB.
pub async fn at_rest(table: &mut Table) -> f64 {
    let (mut memory, mut times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let world = World::new().await;
        let began = Instant::now();
        let mut process = world.start(Flow::Trigger);
        assert!(eventually(PATIENCE, || world.s3().count(Operation::List) > 0).await);
        times.push(began.elapsed().as_secs_f64() * 1e3);
        memory.push(usage(&process).unwrap().peak_mib);
        process.stop(PATIENCE).await;
    }
    let memory = median(memory);
    table.row("trigger, start to the first LIST", &format!("{:.0} ms, {memory:.0} MiB", median(times)));
    memory
}

/// 2,000,000 records of the default format in 40 objects, beside tools that decompress them.
pub async fn backlog(table: &mut Table, rest_mib: f64) {
    let mut generator = Generator::new(1);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    let time = "2026-11-22T00:05:00Z".parse().unwrap();
    let objects: Vec<Bytes> =
        (0..OBJECTS).map(|_| generator.object(&flow_log, time, RECORDS).body()).collect();
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..OBJECTS).map(|number| folder.path().join(format!("{number}.log.gz"))).collect();
    for (file, object) in files.iter().zip(&objects) {
        std::fs::write(file, object).unwrap();
    }
    let tools: [&[&str]; 3] = [&["gzip", "-dc"], &["libdeflate-gunzip", "-c"], &["igzip", "-dc"]];
    let mut tool_seconds = tools.map(|_| Vec::new());
    let connector = |compress| Flow::Connector { compress };
    let slow = |flow, answer| Setting { answer, ..Setting::of(flow) };
    let settings = [
        ("trigger", Setting::of(Flow::Trigger)),
        (
            "trigger, storage on disk, platform answers after 50 ms",
            Setting { is_on_disk: true, ..slow(Flow::Trigger, PLATFORM_ANSWER) },
        ),
        ("connector", Setting::of(connector(false))),
        ("connector, `compress`", Setting::of(connector(true))),
        ("connector, answers after 200 ms", slow(connector(false), ANSWER)),
        ("connector of a queue", Setting::of(Flow::Queued { replicas: 1 })),
        ("three connectors of a queue", Setting::of(Flow::Queued { replicas: 3 })),
    ];
    let mut delivered = settings.each_ref().map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (tool, seconds) in tools.iter().zip(&mut tool_seconds) {
            seconds.extend(decompress(tool, &files));
        }
        for ((_, setting), delivered) in settings.iter().zip(&mut delivered) {
            delivered.push(deliver(&objects, setting).await);
        }
    }
    let gzip_seconds = median(tool_seconds[0].clone());
    let what = "2,000,000 records in 40 objects";
    for (tool, seconds) in tools.iter().zip(tool_seconds) {
        let figure =
            if seconds.is_empty() { "not installed".to_owned() } else { format!("{:.2} s", median(seconds)) };
        table.row(&format!("{what}, `{}`", tool.join(" ")), &figure);
    }
    for ((name, _), delivered) in settings.iter().zip(&delivered) {
        assert!(delivered.iter().all(|delivered| delivered.records == OBJECTS * RECORDS));
        let of = |figure: fn(&Delivered) -> f64| median(delivered.iter().map(figure).collect());
        let (cpu, peak) =
            (of(|delivered| delivered.usage.cpu_seconds), of(|delivered| delivered.usage.peak_mib));
        let ratio = cpu / gzip_seconds;
        table.row(&format!("{what}, {name}"), &format!("{cpu:.2} s, {ratio:.2} × `gzip -dc`"));
        table.row(
            &format!("{what}, {name}, wall"),
            &format!("{:.2} s", of(|delivered| delivered.wall_seconds)),
        );
        let over = peak - rest_mib;
        table.row(&format!("{what}, {name}, peak memory over rest"), &format!("{over:.0} MiB"));
    }
    // One run of the action for each batch that the trigger sent.
    let events = action::usual(&mut generator);
    let mut runs = Vec::new();
    for _ in 0..ROUNDS {
        runs.push(action::run(&events, false).await.cpu_seconds);
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let with_actions =
        |delivered: &Delivered| delivered.usage.cpu_seconds + delivered.runs as f64 * median(runs.clone());
    let cpu = median(delivered[0].iter().map(with_actions).collect());
    let ratio = cpu / gzip_seconds;
    table.row(
        &format!("{what}, trigger and an action for each batch"),
        &format!("{cpu:.2} s, {ratio:.2} × `gzip -dc`"),
    );
}

/// An object of 1 GiB in each format, none of them compressed: that is about memory, and quickly made; and 2,000,000
/// records in objects of the usual size.
pub async fn formats(table: &mut Table, rest_mib: f64) {
    let mut generator = Generator::new(1);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    let records = generator.object(&flow_log, "2026-11-22T00:05:00Z".parse().unwrap(), 100_000).records;
    let reversed = |line: &str| line.split(' ').rev().collect::<Vec<_>>().join(" ");
    let text = |turn: &dyn Fn(&str) -> String| -> String {
        let lines = std::iter::once(HEADER).chain(records.iter().map(String::as_str));
        lines.map(|line| turn(line) + "\n").collect()
    };
    let repeated = |text: &str| {
        let mut member = GzEncoder::new(Vec::new(), Compression::none());
        member.write_all(text.as_bytes()).unwrap();
        let member = member.finish().unwrap();
        Bytes::from(member.repeat(GIB / member.len()))
    };
    let parquet = |compression, times| {
        let form = Form { compression, has_dictionaries: false, ..Form::default() };
        let mut file = File::new(HEADER, &form, Vec::new());
        (0..times).for_each(|_| file.write(&records));
        Bytes::from(file.finish())
    };
    let (default, custom) = (text(&str::to_owned), text(&reversed));
    let uncompressed = parquet::Compression::UNCOMPRESSED;
    let snappy = parquet::Compression::SNAPPY;
    for (name, usual, large) in [
        ("default text", gzip(&default), repeated(&default)),
        ("text in another order, as JSON", gzip(&custom), repeated(&custom)),
        ("Parquet, as JSON", parquet(snappy, 1), parquet(uncompressed, GIB / 10_000_000)),
    ] {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let delivered = deliver(&vec![usual.clone(); 20], &Setting::of(Flow::Trigger)).await;
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            rates.push(delivered.records as f64 / delivered.usage.cpu_seconds / 1e6);
        }
        table.row(&format!("{name}, trigger"), &format!("{:.2} million records per s", median(rates)));
        let mib = large.len() / 1024 / 1024;
        let peak = deliver(&[large], &Setting::of(Flow::Trigger)).await.usage.peak_mib;
        let over = peak - rest_mib;
        let figure = format!("{peak:.0} MiB, {over:.0} MiB over rest");
        table.row(&format!("{name}, one object of {mib} MiB, peak memory"), &figure);
    }
}
