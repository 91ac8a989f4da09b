//! Flow logs as AWS writes them: keys, and text of version 2 in gzip. The same seed gives the same content.
//!
//! No two records of a [`Generator`] are alike, so that one that got lost or came twice can be named.

use std::io::Write;

use bytes::Bytes;
use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

/// The first line of a text object of version 2.
pub const HEADER: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes \
                          start end action log-status";

/// How the folders above an object are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `AWSLogs/<account>/vpcflowlogs/<region>/YYYY/MM/DD/`.
    #[default]
    Plain,
    /// `AWSLogs/aws-account-id=<account>/aws-service=vpcflowlogs/aws-region=<region>/year=YYYY/month=MM/day=DD/`.
    Hive,
}

/// One flow log: what writes objects to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowLog {
    /// Twelve digits.
    pub account: String,
    /// E.g. `eu-west-3`.
    pub region: String,
    /// `fl-` and 17 hexadecimal digits.
    pub id: String,
    /// The folder in front of `AWSLogs/`, without a slash at its end; empty: none.
    pub folder: String,
    /// The names of the folders.
    pub layout: Layout,
    /// Whether each hour has a folder.
    pub is_hourly: bool,
    /// Whether its files are Parquet; the bodies are up to the caller.
    pub is_parquet: bool,
}

impl FlowLog {
    /// A flow log with the default settings.
    pub fn new(account: &str, region: &str, id: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            id: id.to_owned(),
            folder: String::new(),
            layout: Layout::Plain,
            is_hourly: false,
            is_parquet: false,
        }
    }

    /// Puts its objects below `folder`.
    #[must_use]
    pub fn in_folder(mut self, folder: &str) -> Self {
        folder.trim_end_matches('/').clone_into(&mut self.folder);
        self
    }

    /// Names folders so that Hive takes them for partitions.
    #[must_use]
    pub fn hive(mut self) -> Self {
        self.layout = Layout::Hive;
        self
    }

    /// Gives each hour a folder.
    #[must_use]
    pub fn hourly(mut self) -> Self {
        self.is_hourly = true;
        self
    }

    /// Names its files as Parquet.
    #[must_use]
    pub fn parquet(mut self) -> Self {
        self.is_parquet = true;
        self
    }

    /// What all keys of this flow log's account and region start with, above the dates: `…/<region>/`.
    pub fn prefix(&self) -> String {
        let Self { account, region, .. } = self;
        let folder = if self.folder.is_empty() { String::new() } else { format!("{}/", self.folder) };
        match self.layout {
            Layout::Plain => format!("{folder}AWSLogs/{account}/vpcflowlogs/{region}/"),
            Layout::Hive => {
                format!(
                    "{folder}AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/"
                )
            }
        }
    }

    /// The key of an object for the interval that starts at `time`; `hash` tells objects of one interval apart.
    pub fn key(&self, time: Timestamp, hash: &str) -> String {
        let Self { account, region, id, .. } = self;
        let folders = match (self.layout, self.is_hourly) {
            (Layout::Plain, false) => "%Y/%m/%d",
            (Layout::Plain, true) => "%Y/%m/%d/%H",
            (Layout::Hive, false) => "year=%Y/month=%m/day=%d",
            (Layout::Hive, true) => "year=%Y/month=%m/day=%d/hour=%H",
        };
        let folders = time.strftime(folders);
        let minute = time.strftime("%Y%m%dT%H%MZ");
        let ending = if self.is_parquet { "log.parquet" } else { "log.gz" };
        format!("{}{folders}/{account}_vpcflowlogs_{region}_{id}_{minute}_{hash}.{ending}", self.prefix())
    }
}

/// An object of a flow log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogObject {
    /// Its key.
    pub key: String,
    /// Its records: the lines without the header.
    pub records: Vec<String>,
}

impl LogObject {
    /// Header and records, a line each.
    pub fn text(&self) -> String {
        let mut text = String::from(HEADER);
        for record in &self.records {
            text.push('\n');
            text.push_str(record);
        }
        text.push('\n');
        text
    }

    /// The body as AWS writes it: one gzip member.
    pub fn body(&self) -> Bytes {
        gzip(self.text().as_bytes())
    }

    /// The body in `count` gzip members, cut without regard for lines.
    pub fn body_in_members(&self, count: usize) -> Bytes {
        let text = self.text();
        let size = text.len().div_ceil(count.max(1));
        text.as_bytes().chunks(size).flat_map(gzip).collect()
    }
}

/// One gzip member.
pub fn gzip(content: impl AsRef<[u8]>) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_ref()).expect("a vector takes all");
    encoder.finish().expect("a vector takes all").into()
}

/// A source of flow logs, deterministic from its seed.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Rng,
    /// How many records there were so far.
    serial: u64,
    scramble: u64,
}

impl Generator {
    /// A source that gives the same content for the same seed and calls.
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let scramble = random.u64(..);
        Self { random, serial: 0, scramble }
    }

    /// A flow log of `account` in `region` with an id of its own.
    pub fn flow_log(&mut self, account: &str, region: &str) -> FlowLog {
        let id = format!("fl-0{:016x}", self.random.u64(..));
        FlowLog::new(account, region, &id)
    }

    /// The next object of `flow_log`: the interval that starts at `time`, with this many records.
    pub fn object(&mut self, flow_log: &FlowLog, time: Timestamp, records: usize) -> LogObject {
        let hash = format!("{:08x}", self.random.u32(..));
        LogObject {
            key: flow_log.key(time, &hash),
            records: (0..records).map(|_| self.record(&flow_log.account, time)).collect(),
        }
    }

    /// A record of version 2; its interface is one that no other record has.
    fn record(&mut self, account: &str, time: Timestamp) -> String {
        // Times an odd number, modulo 2^64: different for each serial, and with no order to the eye.
        let interface = self.serial.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.scramble;
        self.serial += 1;
        let random = &mut self.random;
        let start = time.as_second() + random.i64(0..240);
        let end = start + random.i64(1..60);
        match random.u32(0..500) {
            0 => return format!("2 {account} eni-0{interface:016x} - - - - - - - {start} {end} - SKIPDATA"),
            1..10 => {
                return format!("2 {account} eni-0{interface:016x} - - - - - - - {start} {end} - NODATA");
            }
            _ => {}
        }
        let inside = format!("10.{}.{}.{}", random.u8(0..4), random.u8(..), random.u8(1..255));
        let outside =
            format!("{}.{}.{}.{}", random.u8(11..100), random.u8(..), random.u8(..), random.u8(1..255));
        let client_port = random.u16(32_768..61_000);
        let (server_port, protocol) =
            [(443, 6), (443, 6), (80, 6), (22, 6), (53, 17), (123, 17)][random.usize(0..6)];
        let packets = random.u32(1..200);
        let bytes = u64::from(packets) * random.u64(40..1460);
        let action = if random.u8(0..10) == 0 { "REJECT" } else { "ACCEPT" };
        let ends = if random.bool() {
            format!("{inside} {outside} {client_port} {server_port}")
        } else {
            format!("{outside} {inside} {server_port} {client_port}")
        };
        format!(
            "2 {account} eni-0{interface:016x} {ends} {protocol} {packets} {bytes} {start} {end} {action} OK"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn time() -> Timestamp {
        "2026-03-04T05:06:00Z".parse().unwrap()
    }

    #[test]
    fn keys_are_those_of_aws() {
        let log = FlowLog::new("111111111111", "eu-west-3", "fl-0123456789abcdef0");
        let file = "111111111111_vpcflowlogs_eu-west-3_fl-0123456789abcdef0_20260304T0506Z_1a2b3c4d.log.gz";
        assert_eq!(
            log.key(time(), "1a2b3c4d"),
            format!("AWSLogs/111111111111/vpcflowlogs/eu-west-3/2026/03/04/{file}")
        );
        assert_eq!(
            log.hive().hourly().in_folder("a/b/").key(time(), "1a2b3c4d"),
            format!(
                "a/b/AWSLogs/aws-account-id=111111111111/aws-service=vpcflowlogs/aws-region=eu-west-3/\
                 year=2026/month=03/day=04/hour=05/{file}"
            )
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_and_no_record_comes_twice() {
        let object = |seed| {
            let mut generator = Generator::new(seed);
            let log = generator.flow_log("111111111111", "eu-west-3");
            generator.object(&log, time(), 5000)
        };
        assert_eq!(object(1), object(1));
        assert_ne!(object(1), object(2));
        let records: HashSet<_> = object(1).records.into_iter().collect();
        assert_eq!(records.len(), 5000);
        assert!(records.iter().all(|record| record.split(' ').count() == 14));
    }

    #[test]
    fn several_members_are_one_text() {
        let mut generator = Generator::new(1);
        let log = generator.flow_log("111111111111", "eu-west-3");
        let object = generator.object(&log, time(), 10);
        for body in [object.body(), object.body_in_members(3)] {
            let mut text = String::new();
            MultiGzDecoder::new(body.as_ref()).read_to_string(&mut text).unwrap();
            assert_eq!(text, object.text());
        }
    }
}
