//! What happens in a schedule: the objects and when they come, the trigger's arguments, how its lives end.

use std::io::Write as _;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::dice::Dice;

/// A schedule.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) dice: Dice,
    pub(crate) objects: Vec<Planned>,
    pub(crate) arguments: Value,
    /// When the first life begins, by S3's clock.
    pub(crate) start: Timestamp,
    /// How the lives before the last one end.
    pub(crate) lives: Vec<End>,
    /// Of a hundred calls, how many fail until it gets calm; the last life sees calm some time.
    pub(crate) trouble: u64,
    pub(crate) calm_from: Timestamp,
    /// A folder that cannot be listed until some time.
    pub(crate) denied: Option<(String, Timestamp)>,
    /// When the clock that the trigger goes by is wrong.
    pub(crate) clock: Option<WrongClock>,
    /// Whether the records go to an intake, several batches at once, and not to runs of a playbook.
    pub(crate) is_connector: bool,
}

/// A clock that is wrong for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrongClock {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) by: SignedDuration,
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// The process dies at a step, before or after it had its effect.
    Crash { step: u64, is_before: bool },
    /// It is told to stop at a step.
    Stop { step: u64 },
    /// The platform starts the next instance at a step and tells this one to stop, or kills it, some steps later.
    Overtaken { step: u64, later: u64, is_killed: bool },
    /// It dies, and a file of its state is damaged.
    Damage { step: u64 },
}

/// An object of the bucket.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) key: String,
    pub(crate) body: Bytes,
    pub(crate) records: Vec<String>,
    /// When it is there to be listed.
    pub(crate) appears: Timestamp,
    /// Its Last-Modified: the same, but for copies that keep that of their original.
    pub(crate) taken: Timestamp,
    /// When it is removed.
    pub(crate) vanishes: Option<Timestamp>,
    /// The records of the object that was under this key before.
    pub(crate) replaces: Option<Vec<String>>,
    pub(crate) is_corrupt: bool,
}

impl Planned {
    pub(crate) fn is_there(&self, now: Timestamp) -> bool {
        self.appears <= now && self.vanishes.is_none_or(|vanishes| now < vanishes)
    }
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let dice = Dice(seed).about("plan", 0);
        let hours = |hours: u64| SignedDuration::from_hours(i64::try_from(hours).unwrap());
        let start: Timestamp = "2026-02-27T00:00:00Z".parse().unwrap();
        let minutes = i64::try_from(dice.below("start", 4 * 24 * 60)).unwrap();
        let start = start + SignedDuration::from_mins(minutes);
        let is_long = dice.chance("long", 4);
        let horizon = if is_long { 80 } else { 3 };
        let is_loose = dice.chance("loose", 6);
        let above = dice.one_of("above", &["", "", "central/", "a/b/"]);
        let lanes = 1 + dice.below("lanes", 3);
        let count = 1 + dice.below("objects", if dice.chance("many", 20) { 60 } else { 14 });
        let objects: Vec<Planned> = (0..count)
            .flat_map(|number| {
                let dice = dice.about("object", number);
                let object = Shape { dice, number, start, horizon, above, lanes, is_loose };
                object.planned()
            })
            .collect();
        let prefix = match dice.below("prefix", 5) {
            _ if is_loose => "exported/".to_owned(),
            0 => format!("{above}AWSLogs/"),
            1 => format!("{above}AWSLogs/1"),
            2 => format!("{above}AWSLogs"),
            _ => String::new(),
        };
        let start_from = match dice.below("start from", 5) {
            0 => "now".to_owned(),
            1 => (start - hours(dice.below("from", 100))).to_string(),
            _ => "beginning".to_owned(),
        };
        let frequency =
            if is_long { 3600 } else { dice.one_of("frequency", &[60, 300, 300, 900, 900, 1800]) };
        let arguments = json!({
            "bucket_name": "logs",
            "prefix": prefix,
            "start_from": start_from,
            "frequency": frequency,
            "chunk_size": 1 + dice.below("chunk size", 25),
        });
        let clock = (start_from != "now" && dice.chance("wrong clock", 15)).then(|| {
            let from = start + SignedDuration::from_mins(i64::try_from(dice.below("clock", 240)).unwrap());
            let until =
                from + SignedDuration::from_mins(i64::try_from(dice.below("corrected", 240)).unwrap());
            let days = dice.one_of("wrong by", &[3, 3, 40, -2]);
            WrongClock { from, until, by: SignedDuration::from_hours(24 * days) }
        });
        let most = if dice.chance("restless", 10) { 20 } else { 4 };
        let lives = (0..dice.below("lives", most)).map(|life| End::of(dice.about("life", life))).collect();
        let trouble = dice.one_of("trouble", &[0, 2, 5, 10, 25]);
        let calm_from = start + hours(dice.below("calm", 3));
        let denied = dice.chance("denied", 25).then(|| {
            let key = &dice.one_of("denied object", &objects).key;
            let slashes: Vec<usize> = key.match_indices('/').map(|(at, _)| at).collect();
            let folder = key.get(..=dice.one_of("denied folder", &slashes)).unwrap();
            (folder.to_owned(), start + hours(dice.below("denied for", 2 + horizon)))
        });
        let dice = dice.about("world", 0);
        let is_connector = dice.chance("connector", 40);
        Self { dice, objects, arguments, start, lives, trouble, calm_from, denied, clock, is_connector }
    }

    /// A plan with much in it in which nothing goes wrong, to be disturbed at each of its steps.
    pub(crate) fn for_crashes(seed: u64, is_connector: bool) -> Self {
        let arguments =
            json!({"bucket_name": "logs", "start_from": "beginning", "frequency": 900, "chunk_size": 7});
        let plan = Self { trouble: 0, lives: Vec::new(), arguments, denied: None, ..Self::of(seed) };
        let mut plan = Self { is_connector, ..plan };
        plan.objects = (0..16)
            .flat_map(|number| {
                let dice = plan.dice.about("object", number);
                let above = if number % 5 == 0 { "central/" } else { "" };
                Shape { dice, number, start: plan.start, horizon: 1, above, lanes: 3, is_loose: false }
                    .planned()
            })
            .collect();
        plan
    }

    /// Whether files of the state are damaged in it.
    pub(crate) fn is_damaging(&self) -> bool {
        self.lives.iter().any(|end| matches!(end, End::Damage { .. }))
    }

    /// The bucket as it is after the last change of it.
    pub(crate) fn last_change(&self) -> Timestamp {
        let permitted = self.denied.as_ref().map_or(self.start, |(_, until)| *until);
        let last = self.objects.iter().map(|object| object.appears).max().unwrap_or(self.start);
        last.max(self.calm_from).max(permitted)
    }
}

impl End {
    fn of(dice: Dice) -> Self {
        let step = 1 + dice.below("step", dice.one_of("steps", &[12, 60, 300]));
        match dice.below("end", 10) {
            0..=4 => Self::Crash { step, is_before: dice.chance("before", 50) },
            5..=6 => Self::Stop { step },
            7..=8 => Self::Overtaken {
                step,
                later: 1 + dice.below("later", 60),
                is_killed: dice.chance("killed", 30),
            },
            _ => Self::Damage { step },
        }
    }
}

/// What an object is drawn from.
struct Shape<'a> {
    dice: Dice,
    number: u64,
    start: Timestamp,
    /// Objects come until so many hours after the start.
    horizon: u64,
    above: &'a str,
    lanes: u64,
    is_loose: bool,
}

impl Shape<'_> {
    /// An object, and what takes its place, if something does.
    fn planned(&self) -> Vec<Planned> {
        let dice = self.dice;
        let seconds = |name: &str, hours: u64| {
            SignedDuration::from_secs(i64::try_from(dice.below(name, hours * 3600 + 1)).unwrap())
        };
        // Many are there before the start, some from days ago.
        let appears = match dice.below("appears", 10) {
            0..=1 => self.start - seconds("before", 96),
            2..=3 => self.start - seconds("just before", 2),
            _ => self.start + seconds("after", self.horizon),
        };
        let appears = Timestamp::from_second(appears.as_second()).unwrap();
        let named = match dice.below("late", 20) {
            0..=10 => appears - SignedDuration::from_mins(1),
            11..=15 => appears - seconds("hours late", 20),
            16..=18 => appears - seconds("days late", 90),
            // More than a month.
            _ => appears - SignedDuration::from_hours(24 * 31) - seconds("months late", 1000),
        };
        // A copy keeps the time of its original, unless it comes so late that nothing is promised.
        let is_copy =
            dice.chance("copy", 8) && appears.duration_since(named) < SignedDuration::from_hours(24 * 25);
        let taken = if is_copy { named + SignedDuration::from_mins(10) } else { appears };
        let taken = taken.min(appears);
        let named = named.as_second() - named.as_second() % 300;
        let named = Timestamp::from_second(named).unwrap();
        let records_of = |count: u64, content: u64| -> Vec<String> {
            (0..count)
                .map(|record| {
                    let from = named.as_second();
                    format!(
                        "2 1{} eni-{record} 10.0.{content}.{} 10.0.1.1 {} 443 6 {record} 4249 {from} {} ACCEPT OK",
                        self.number % 4,
                        record % 250,
                        self.number,
                        from + 60,
                    )
                })
                .collect()
        };
        let records = records_of(dice.one_of("records", &[0, 1, 3, 7, 30]), 0);
        let is_corrupt = dice.chance("corrupt", 6);
        let life = dice.one_of("kind of life", &[10, 120, 24 * 60]);
        let vanishes = dice.chance("vanishes", 8).then(|| {
            let end = appears + SignedDuration::from_mins(i64::try_from(dice.below("life", life)).unwrap());
            Timestamp::from_second(end.as_second()).unwrap()
        });
        let body = self.body(&records, is_corrupt);
        let (key, replaces) = (self.key(named), None);
        let mut object = Planned { key, body, records, appears, taken, vanishes, replaces, is_corrupt };
        if is_corrupt || !dice.chance("replaced", 4) {
            return vec![object];
        }
        let after =
            appears + SignedDuration::from_mins(i64::try_from(dice.below("replaced after", 90)).unwrap());
        let after = Timestamp::from_second(after.as_second()).unwrap();
        object.vanishes = Some(after);
        let records = records_of(object.records.len() as u64 + 5, 1);
        let body = self.body(&records, false);
        let replaces = Some(object.records.clone());
        let by = Planned {
            body,
            records,
            appears: after,
            taken: after,
            vanishes: None,
            replaces,
            ..object.clone()
        };
        vec![object, by]
    }

    fn key(&self, named: Timestamp) -> String {
        let Self { dice, number, above, .. } = self;
        // Among folders of a user's own, there may be those of AWS.
        if self.is_loose && number % 4 != 0 {
            return format!("exported/{}/part-{number}.gz", number % 3);
        }
        let above = if self.is_loose { &"exported/" } else { above };
        let lane = dice.below("lane", self.lanes);
        let (account, region) =
            (format!("11111111111{}", lane % 2), ["eu-west-3", "us-east-1"][usize::from(lane > 1)]);
        // A flow log keeps its layout.
        let flow_log = dice.below("flow log", 3);
        let hours = if flow_log == 1 { ("/%H", "/hour=%H") } else { ("", "") };
        let folders = if lane == 1 {
            let days = named.strftime(&format!("year=%Y/month=%m/day=%d{}", hours.1)).to_string();
            format!("aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/{days}")
        } else {
            let days = named.strftime(&format!("%Y/%m/%d{}", hours.0)).to_string();
            format!("{account}/vpcflowlogs/{region}/{days}")
        };
        // Nobody keeps others from naming what they put there as they like.
        let day = SignedDuration::from_hours(24);
        let time = match dice.below("name", 12) {
            0 => named - day * i32::try_from(1 + dice.below("named before", 40)).unwrap(),
            1 => named + day * i32::try_from(1 + dice.below("named after", 6)).unwrap(),
            2 => return format!("{above}AWSLogs/{folders}/{number}-copied.log.gz"),
            3 => {
                let lane = folders.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
                let place = dice.one_of("beside the days", &["", "copies/", "0/"]);
                return format!("{above}AWSLogs/{lane}/{place}{number}-copied.log.gz");
            }
            _ => named,
        };
        let time = time.strftime("%Y%m%dT%H%MZ");
        format!(
            "{above}AWSLogs/{folders}/{account}_vpcflowlogs_{region}_fl-{flow_log}_{time}_{number:04x}.log.gz"
        )
    }

    fn body(&self, records: &[String], is_corrupt: bool) -> Bytes {
        let header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
        let gzip = |lines: &[String]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            for line in [header].into_iter().chain(lines.iter().map(String::as_str)) {
                writeln!(encoder, "{line}").unwrap();
            }
            encoder.finish().unwrap()
        };
        let middle = if self.dice.chance("members", 30) { records.len() / 2 } else { records.len() };
        let mut body = gzip(&records[..middle]);
        if middle < records.len() {
            body.extend(gzip(&records[middle..]));
        }
        if is_corrupt {
            match self.dice.below("damage", 3) {
                0 => body.truncate(body.len() - 6),
                1 => body = b"<html>not a flow log</html>".to_vec(),
                _ => {
                    let checksum = body.len() - 7;
                    body[checksum] ^= 0xff;
                }
            }
        }
        body.into()
    }
}
