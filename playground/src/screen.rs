//! What is seen while it runs: a banner, what happens, and one line of progress, redrawn if there is a terminal.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write as _, stdout};
use std::time::{Duration, Instant};

use support::module::Process;

use crate::options::Options;
use crate::world::{BUCKET, World};
use crate::writer::EXPECTED;

/// From one line of progress to the next, without a terminal.
const PLAIN: Duration = Duration::from_secs(2);
const CLEAR_LINE: &str = "\r\x1b[2K";

/// The terminal, or whatever stdout is.
pub(crate) struct Screen {
    start: Instant,
    is_terminal: bool,
    shown: Option<Instant>,
    /// How many lines of the user's log were looked at.
    logs: usize,
    /// What the warnings and errors among them said, without the values, and how often.
    said: BTreeMap<String, usize>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            is_terminal: stdout().is_terminal(),
            shown: None,
            logs: 0,
            said: BTreeMap::new(),
        }
    }

    /// What runs where.
    pub(crate) fn banner(&self, world: &World, options: &Options, node: &Process) {
        let bucket = match (&world.s3, &options.bucket) {
            (Some(s3), _) => {
                format!("{}   flow logs of 2 accounts keep arriving in {BUCKET}", s3.endpoint_url())
            }
            (None, bucket) => format!("{}/{}", bucket.as_deref().unwrap_or_default(), options.prefix),
        };
        let platform = world.platform.url_callback();
        let platform = platform.split_once("/api").map_or(platform.as_str(), |(url, _)| url);
        let seconds = options.seconds;
        let flow = world.flow;
        let (does, action) = if flow.is_connector {
            ("hands out the secret and takes the log".to_owned(), "")
        } else {
            (
                format!("runs the playbook \"{}\"", world.playbook_name),
                "\n  action    a process for each event",
            )
        };
        println!(
            "
  S3        {bucket}
  platform  {platform}   {does}
  {:<9} process {}, {}{action}
  intake    {}

  Goes on for {seconds} s, then tells whether anything was lost. Ctrl-C ends it earlier.{}
",
            flow.node,
            node.id().unwrap_or(0),
            world.metrics.url(),
            world.intake_server,
            if world.is_followed() {
                format!(
                    "
  On purpose: {} fail now and then, one object is corrupt, some records are SKIPDATA.
  The {} warns of all that; the verdict counts what is lost in spite of it.
  Objects: delivered of written. Lag: the age of the oldest that is not all there.",
                    flow.failing, flow.node,
                )
            } else {
                String::new()
            },
        );
    }

    /// A line of its own, with the time.
    pub(crate) fn say(&mut self, line: &str) {
        let clear = if self.is_terminal { CLEAR_LINE } else { "" };
        println!("{clear}{:7.1} s  {line}", self.start.elapsed().as_secs_f64());
        self.shown = self.shown.filter(|_| !self.is_terminal);
    }

    /// The progress, if it is time for it, after what the user was told.
    pub(crate) fn show(&mut self, world: &World) {
        self.repeat_logs(world);
        let pause = if self.is_terminal { Duration::ZERO } else { PLAIN };
        if self.shown.is_some_and(|shown| shown.elapsed() < pause) {
            return;
        }
        self.shown = Some(Instant::now());
        let line = self.progress(world);
        if self.is_terminal {
            print!("{CLEAR_LINE}{line}");
            let _ = stdout().flush();
        } else {
            println!("{line}");
        }
    }

    /// The last progress, and the end of it.
    pub(crate) fn end(&mut self, world: &World) {
        self.shown = None;
        self.show(world);
        println!();
        for (said, times) in std::mem::take(&mut self.said) {
            let cause = match (world.is_followed(), is_on_purpose(&said)) {
                (false, _) => "",
                (true, true) => ", caused on purpose",
                (true, false) => ", NOT caused on purpose",
            };
            println!("  {times:>4} × {}{cause}", shortened(said));
        }
        println!();
    }

    /// Shows the warnings and errors that were logged for the user, the first of those that only
    /// differ in their values.
    fn repeat_logs(&mut self, world: &World) {
        let logs = world.platform.logs();
        for line in logs.iter().skip(self.logs).filter(|line| line.level != "info" && line.level != "debug") {
            let sentence =
                line.message.split_once(": ").map_or(line.message.as_str(), |(sentence, _)| sentence);
            let times = self.said.entry(format!("{}: {sentence}", line.level)).or_default();
            *times += 1;
            if *times == 1 {
                self.say(&shortened(format!("{}, {}: {}", world.flow.node, line.level, line.message)));
            }
        }
        self.logs = logs.len();
    }

    fn progress(&self, world: &World) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        if !world.is_followed() {
            let seen = world.metrics.seen();
            return format!(
                "{seconds:7.1} s  objects {} · records {} · batches {} · accepted {} · lag {:.0} s",
                count(seen.objects),
                count(seen.records),
                count(world.batches()),
                count(world.runs.so_far().accepted),
                seen.lag_seconds,
            );
        }
        let ledger = world.ledger.lock().unwrap();
        let sums = ledger.sums();
        format!(
            "{seconds:7.1} s  objects {}/{} · records {} · batches {} · accepted {} · lag {:.1} s",
            count(sums.arrived),
            count(sums.objects),
            count(sums.written),
            count(world.batches()),
            count(sums.accepted),
            ledger.lag().as_secs_f64(),
        )
    }
}

/// Whether a warning or an error comes of a trouble that the writer makes.
fn is_on_purpose(said: &str) -> bool {
    EXPECTED.iter().any(|expected| said.contains(expected))
}

/// The beginning of a long line.
fn shortened(line: String) -> String {
    const WIDTH: usize = 160;
    match line.char_indices().nth(WIDTH) {
        None => line,
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
    }
}

/// A number with its thousands apart: `12,345`.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
