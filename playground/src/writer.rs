//! What writes flow logs to the bucket, as AWS does, and makes trouble now and then, as the world does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use support::flowlogs::{FlowLog, Generator};
use support::s3::{Operation, Rule, Trouble};
use support::script::Fault;

use crate::flow::Flow;
use crate::options::Options;
use crate::world::{BUCKET, World};

/// From one object to the next.
const PAUSE: Duration = Duration::from_millis(200);
/// Objects that are there before anything is read.
const BACKLOG: usize = 20;
/// From one trouble to the next.
const TROUBLE: Duration = Duration::from_secs(4);

/// What warnings and errors about these troubles, and about SKIPDATA records, contain.
pub(crate) const EXPECTED: [&str; 5] = [
    "(SKIPDATA or INCOMPLETEDATA)",
    "object could not be read",
    "object rejected",
    "did not take a batch",
    "cannot look for flow logs",
];

/// Writes generated flow logs, at the pace that was asked for.
pub(crate) struct Writer {
    world: Arc<World>,
    generator: Generator,
    flow_logs: Vec<FlowLog>,
    records_an_object: usize,
    written: usize,
    next: Instant,
    troubles: usize,
    next_trouble: Instant,
}

impl Writer {
    /// A writer for the world's bucket; `None` if that is the user's, where others write.
    pub(crate) fn new(world: &Arc<World>, options: &Options) -> Option<Self> {
        world.s3.as_ref()?.control().create_bucket(BUCKET);
        let mut generator = Generator::new(1);
        let flow_logs = [
            ("111111111111", "eu-west-3"),
            ("111111111111", "eu-west-3"),
            ("111111111111", "us-east-1"),
            ("222222222222", "eu-west-3"),
            ("222222222222", "us-east-1"),
        ];
        Some(Self {
            world: Arc::clone(world),
            flow_logs: flow_logs.map(|(account, region)| generator.flow_log(account, region)).into(),
            generator,
            records_an_object: (options.rate as usize / 5).max(1),
            written: 0,
            next: Instant::now(),
            troubles: 0,
            next_trouble: Instant::now() + TROUBLE,
        })
    }

    /// Writes the objects that were there before.
    pub(crate) fn write_backlog(&mut self) {
        for _ in 0..BACKLOG {
            self.write();
        }
        self.next = Instant::now();
    }

    /// Writes what is due by now, and makes the trouble that is due by now; says what trouble that is.
    pub(crate) fn write_due(&mut self) -> Option<String> {
        while self.next <= Instant::now() {
            self.next += PAUSE;
            self.write();
        }
        if self.next_trouble > Instant::now() {
            return None;
        }
        self.next_trouble += TROUBLE;
        Some(format!("on purpose: {}", self.trouble()))
    }

    fn write(&mut self) {
        const HOUR: SignedDuration = SignedDuration::from_hours(1);
        self.written += 1;
        // AWS publishes an interval of five minutes about ten minutes late, and sometimes much later.
        let late = match self.written % 25 {
            12 => HOUR * 25,
            24 => HOUR,
            _ => SignedDuration::from_mins(10),
        };
        let time = Timestamp::now() - late;
        let time = Timestamp::from_second(time.as_second().div_euclid(300) * 300).unwrap_or(time);
        let Some(flow_log) = self.flow_logs.get(self.written % self.flow_logs.len()) else { return };
        // From half as many to half as many again.
        let records = self.records_an_object * (50 + self.written * 37 % 101) / 100;
        let object = self.generator.object(flow_log, time, records);
        let body = if self.written.is_multiple_of(10) { object.body_in_members(3) } else { object.body() };
        self.world.ledger.lock().unwrap().write(&object);
        self.put(&object.key, body);
    }

    fn put(&self, key: &str, body: Bytes) {
        if let Some(s3) = &self.world.s3 {
            s3.control().put(BUCKET, key, body);
        }
    }

    /// The next trouble, one after the other; says what it is.
    fn trouble(&mut self) -> String {
        let s3 = |operation, trouble| {
            if let Some(s3) = &self.world.s3 {
                s3.control().add_rule(Rule::new(operation, trouble).times(1));
            }
        };
        let Flow { taker, batch, .. } = self.world.flow;
        let take = |fault| {
            if let Some(script) = self.world.taker() {
                script.then(fault);
            }
        };
        self.troubles += 1;
        let said = match self.troubles % 7 {
            1 => {
                take(Fault::status(503));
                return format!("the {taker} refuses {batch} with 503");
            }
            2 => {
                s3(Operation::Get, Trouble::CutBody(1000));
                "S3 drops the connection in the middle of an object"
            }
            3 => {
                if let Some(intake) = &self.world.intake {
                    intake.script().then(Fault::status(429));
                }
                "the intake asks to slow down with 429"
            }
            4 => {
                if let Some(flow_log) = self.flow_logs.first() {
                    let key = flow_log.key(Timestamp::now(), &format!("bad{:05}", self.troubles));
                    self.world.corrupt.lock().unwrap().push(key.clone());
                    self.put(&key, b"\x1f\x8b\x08\x00 this was gzip once".as_slice().into());
                }
                "a corrupt object is in the bucket"
            }
            5 => {
                take(Fault::Drop);
                return format!("the {taker} drops the connection of {batch}");
            }
            6 => {
                s3(Operation::List, Trouble::SLOW_DOWN);
                "S3 asks to slow down with 503"
            }
            _ => {
                s3(Operation::Get, Trouble::INTERNAL_ERROR);
                "S3 answers a read with 500"
            }
        };
        said.to_owned()
    }
}
