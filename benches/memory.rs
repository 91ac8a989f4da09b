//! How much memory the trigger needs for an object of 1 GiB, and how much processor time: `cargo bench --bench memory`.
//! It runs the binary between the stand-ins for S3 and the platform, which need some 5 GiB themselves.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use support::flowlogs::{Generator, HEADER};
use support::module::Module;
use support::parquet::{File, Form};
use support::platform::{Platform, Setup};
use support::s3::Server;

const GIB: usize = 1 << 30;
const RECORDS: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(600);
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// An object of 1 GiB in each format, none of them compressed: that is about memory, and quickly made.
fn objects() -> Vec<(&'static str, Vec<u8>)> {
    let mut generator = Generator::new(1);
    let flow_log = generator.flow_log("111111111111", "eu-west-3");
    let records = generator.object(&flow_log, "2026-11-22T00:05:00Z".parse().unwrap(), RECORDS).records;
    let reversed = |line: &str| line.split(' ').rev().collect::<Vec<_>>().join(" ");
    let gzip = |lines: Vec<String>| {
        let mut member = GzEncoder::new(Vec::new(), Compression::none());
        member.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
        let member = member.finish().unwrap();
        member.repeat(GIB / member.len())
    };
    let text = |turn: &dyn Fn(&str) -> String| {
        gzip(std::iter::once(HEADER).chain(records.iter().map(String::as_str)).map(turn).collect())
    };
    let parquet = |form: &Form| {
        let mut file = File::new(HEADER, form, Vec::new());
        for rows in (0..GIB / 10_000_000).map(|_| &records) {
            file.write(rows);
        }
        file.finish()
    };
    let plain = Form {
        compression: parquet::basic::Compression::UNCOMPRESSED,
        has_dictionaries: false,
        ..Form::default()
    };
    vec![
        ("default text", text(&str::to_owned)),
        ("text in another order, as JSON", text(&reversed)),
        ("Parquet", parquet(&plain)),
    ]
}

#[tokio::main]
async fn main() {
    println!("{:32} {:>10} {:>12} {:>10} {:>12}", "", "object", "records", "processor", "peak memory");
    for (name, object) in objects() {
        let server = Server::start("AKIAIOSFODNN7EXAMPLE", SECRET).await;
        let s3 = server.control();
        s3.create_bucket("logs");
        let key = support::flowlogs::FlowLog::new("111111111111", "eu-west-3", "fl-0")
            .key("2026-11-22T00:05:00Z".parse().unwrap(), "0");
        let object_mib = object.len() / 1024 / 1024;
        s3.put("logs", &key, object);
        let storage = tempfile::tempdir().unwrap();
        let secrets = json!({ "aws_secret_access_key": SECRET });
        let platform = Platform::start(Setup::new(storage.path()).module_secrets(secrets)).await;
        let process = Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), "fetch_flowlogs")
            .value(
                "module_configuration",
                json!({"aws_access_key": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "", "aws_region_name": "eu-west-3"}),
            )
            .value("trigger_configuration", json!({"bucket_name": "logs", "start_from": "beginning"}))
            .value("token", platform.token())
            .value("url_callback", platform.url_callback())
            .value("liveness_port", support::free_port())
            .value("metrics_port", support::free_port())
            .storage(storage.path())
            .aws_endpoint(&server.endpoint_url())
            .start();
        assert!(process.stderr().wait_for("poll ended", PATIENCE).await, "{}", process.stderr().text());
        let stat =
            |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", process.id().unwrap())).unwrap();
        let status = stat("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        // Fields 14 and 15, in ticks of 10 ms.
        let ticks: u64 = stat("stat")
            .rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        let records = platform.events().iter().map(|event| event.records().len()).sum::<usize>();
        let seconds = ticks / 100;
        println!("{name:32} {object_mib:>6} MiB {records:>12} {seconds:>8} s {:>8} MiB", peak_kib / 1024);
    }
}
