//! What it takes to read flow logs from a queue: the model that the table in `docs/sizing.md` is made with. What is measured
//! among its constants is held to `benches/RESULTS.md`, and its smaller predictions to a run of three replicas.

use std::fmt::Write as _;

const DAY_S: f64 = 86_400.0;
const MONTH_DAYS: f64 = 30.0;
const MIB: f64 = 1024.0 * 1024.0;

/// Bytes of a record as a line of the default format, with its end.
pub const RECORD_BYTES: f64 = 116.0;
/// Text for each byte of gzip. AWS's own flow logs shrink to a third at worst.
pub const INFLATION: f64 = 3.0;
/// Records that a replica delivers in a second: five requests in flight to an intake that answers after 200 ms.
pub const RECORDS_A_SECOND: f64 = 400_000.0;
/// Objects that a replica fetches in a second: sixteen at a time from an S3 that answers after 50 ms.
pub const OBJECTS_A_SECOND: f64 = 300.0;
/// Records for a second of processor time.
pub const RECORDS_A_PROCESSOR_SECOND: f64 = 3_000_000.0;
/// Objects, with their messages, for a second of processor time.
pub const OBJECTS_A_PROCESSOR_SECOND: f64 = 4_000.0;
/// Memory of a replica at rest.
const REST_MIB: f64 = 16.0;
/// What its work takes in addition, at most.
pub const WORK_MIB: f64 = 48.0;
/// Memory of a replica at most.
pub const REPLICA_MIB: f64 = REST_MIB + WORK_MIB;
/// Calls of SQS for a message at most, under load.
pub const CALLS_A_MESSAGE: f64 = 0.35;
/// Calls of SQS a minute and replica while no message comes.
pub const IDLE_CALLS_A_MINUTE: f64 = 3.0;
/// An object is read in parts of this size, a call each.
const PART_BYTES: f64 = 2.0 * MIB;
/// The busiest hour against the mean of a day.
const PEAK: f64 = 2.0;
/// US dollars for a million calls: AWS's list prices of a standard queue of SQS and of GET of S3, us-east-1, 2026.
const SQS_DOLLARS: f64 = 0.40;
const GET_DOLLARS: f64 = 0.40;

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Whose flow logs they are.
    pub name: &'static str,
    /// How many; each writes an object every five minutes.
    pub flow_logs: u32,
    /// Their records as lines.
    pub text_bytes_a_day: f64,
}

/// The rows of the table.
pub const LOADS: [Load; 5] = [
    Load { name: "one VPC", flow_logs: 1, text_bytes_a_day: 100e6 },
    Load { name: "10 accounts", flow_logs: 20, text_bytes_a_day: 20e9 },
    Load { name: "200 accounts", flow_logs: 800, text_bytes_a_day: 1e12 },
    Load { name: "1,000 accounts", flow_logs: 4_000, text_bytes_a_day: 10e12 },
    Load { name: "5,000 accounts", flow_logs: 20_000, text_bytes_a_day: 50e12 },
];

/// What that takes.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Enough for the busiest hour.
    pub replicas: f64,
    /// Processors that they keep busy in it, together.
    pub processors: f64,
    /// Of all replicas together.
    pub memory_mib: f64,
    /// Under load, and while no message comes.
    pub sqs_calls_a_month: f64,
    /// Calls of S3.
    pub gets_a_month: f64,
    /// US dollars for these calls.
    pub dollars_a_month: f64,
    /// What leaves S3.
    pub gzip_bytes_a_month: f64,
    /// How long what an hour's outage left waits, at the mean rate.
    pub lag_minutes: f64,
}

impl Load {
    /// Objects that they write in a day.
    pub fn objects_a_day(&self) -> f64 {
        f64::from(self.flow_logs) * DAY_S / 300.0
    }

    /// Records in a second, as a mean.
    pub fn records_a_second(&self) -> f64 {
        self.text_bytes_a_day / RECORD_BYTES / DAY_S
    }

    /// What it takes to read them.
    pub fn needs(&self) -> Needs {
        let (objects, records) = (self.objects_a_day() / DAY_S, self.records_a_second());
        let busy = records / RECORDS_A_SECOND + objects / OBJECTS_A_SECOND;
        let replicas = (busy * PEAK).ceil().max(1.0);
        let processors = PEAK * (records / RECORDS_A_PROCESSOR_SECOND + objects / OBJECTS_A_PROCESSOR_SECOND);
        let gzip_bytes = self.text_bytes_a_day / INFLATION;
        let gets = self.objects_a_day() * (gzip_bytes / self.objects_a_day() / PART_BYTES).ceil().max(1.0);
        let idle = IDLE_CALLS_A_MINUTE * replicas * DAY_S / 60.0;
        let calls = self.objects_a_day() * CALLS_A_MESSAGE + idle;
        Needs {
            replicas,
            processors,
            memory_mib: replicas * REPLICA_MIB,
            sqs_calls_a_month: calls * MONTH_DAYS,
            gets_a_month: gets * MONTH_DAYS,
            dollars_a_month: (calls * SQS_DOLLARS + gets * GET_DOLLARS) * MONTH_DAYS / 1e6,
            gzip_bytes_a_month: gzip_bytes * MONTH_DAYS,
            lag_minutes: 60.0 * busy / (replicas - busy),
        }
    }
}

/// The rows of the table in `docs/sizing.md`.
pub fn table() -> String {
    let mut rows = String::new();
    for load in LOADS {
        let needs = load.needs();
        let _ = writeln!(
            rows,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            load.name,
            thousands(f64::from(load.flow_logs)),
            bytes(load.text_bytes_a_day),
            thousands(load.objects_a_day()),
            needs.replicas,
            processors(needs.processors),
            memory(needs.memory_mib),
            thousands((needs.sqs_calls_a_month + needs.gets_a_month) / 1e6),
            thousands(needs.dollars_a_month.ceil()),
            bytes(needs.gzip_bytes_a_month),
            minutes(needs.lag_minutes),
        );
    }
    rows
}

fn processors(processors: f64) -> String {
    if processors < 0.01 { "under 0.01".to_owned() } else { format!("{processors:.2}") }
}

fn memory(mib: f64) -> String {
    if mib < 1_024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1_024.0) }
}

fn minutes(minutes: f64) -> String {
    if minutes < 1.0 { "under 1 min".to_owned() } else { format!("{:.0} min", minutes.ceil()) }
}

fn bytes(bytes: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB")];
    let (unit, name) = units.into_iter().find(|(unit, _)| bytes >= *unit).unwrap_or((1e6, "MB"));
    let count = bytes / unit;
    if count < 10.0 && count.fract() > 0.05 {
        format!("{count:.1} {name}")
    } else {
        format!("{count:.0} {name}")
    }
}

/// A number with commas between its thousands; with one digit after the point if it is small.
fn thousands(number: f64) -> String {
    if number < 10.0 && number.fract() > 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
