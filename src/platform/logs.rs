//! Log lines on their way to the playbook's user, who sees them on the trigger's node.
//!
//! Every event of this crate at `info` or above becomes a line; an `error` with the field `critical` a critical one.
//! Lines go out every 5 s, or when 50 wait, or at once for an error. The same level and message is sent once a minute.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::callback::Callback;
use super::wire::LogLine;
use crate::shutdown::Shutdown;

const INTERVAL: Duration = Duration::from_secs(5);
const BATCH: usize = 50;
const REPEAT: Duration = Duration::from_secs(60);
/// Lines kept while the platform does not take them; then the oldest go.
const KEPT: usize = 5_000;
/// Messages remembered for the limit on repeats, as many as the platform's SDK remembers.
const REMEMBERED: usize = 4_096;
/// How long the end of the process waits for the last lines to be taken.
const LAST_POST: Duration = Duration::from_secs(2);
/// The wait between attempts in this time.
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// The lines that wait. Clones share them.
#[derive(Clone, Default)]
pub struct LogQueue {
    state: Arc<Mutex<State>>,
    urgent: Arc<Notify>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<LogLine>,
    /// How many lines there was no room for any more.
    dropped: u64,
    last_sent: HashMap<(&'static str, String), Instant>,
    critical_sent: bool,
}

impl LogQueue {
    /// The lines of an action, as the text that its results carry; `None` if there are none.
    pub fn text(&self) -> Option<String> {
        let state = self.lock();
        let line =
            |line: &LogLine| format!("{}: {}: {}\n", line.date.replace('T', " "), line.level, line.message);
        (!state.waiting.is_empty()).then(|| state.waiting.iter().map(line).collect())
    }

    /// Sends lines until told to stop, then what is left. A post that is under way is not torn apart by the order to
    /// stop: the platform may have taken it, and its lines would come twice.
    pub async fn forward(self, callback: Callback, shutdown: Shutdown) {
        // One that is never given: the shutdown signal has come when these waits begin.
        let unstopped = Shutdown::default();
        let lines = async {
            while !shutdown.is_stopping() {
                tokio::select! {
                    _ = shutdown.sleep(INTERVAL) => {}
                    () = self.urgent.notified() => {}
                }
                self.post(&callback).await;
            }
            while !self.post(&callback).await {
                let _ = unstopped.sleep(LAST_PAUSE).await;
            }
        };
        let end = async {
            shutdown.stopped().await;
            let _ = unstopped.sleep(LAST_POST).await;
        };
        tokio::select! {
            () = lines => {}
            () = end => {}
        }
    }

    /// Posts what waits; lines leave the queue only when the platform has taken them. Whether it took all.
    async fn post(&self, callback: &Callback) -> bool {
        loop {
            let (lines, dropped): (Vec<LogLine>, u64) = {
                let state = self.lock();
                (state.waiting.iter().take(BATCH).cloned().collect(), state.dropped)
            };
            if lines.is_empty() {
                return true;
            }
            if let Err(error) = callback.send_logs(&lines).await {
                // To stderr only: a line about lines that do not arrive must not join them.
                tracing::debug!(%error, "could not send logs to the platform");
                return false;
            }
            let mut state = self.lock();
            // What was dropped meanwhile were the first of them.
            let dropped = usize::try_from(state.dropped - dropped).unwrap_or(usize::MAX);
            let count = lines.len().saturating_sub(dropped).min(state.waiting.len());
            state.waiting.drain(..count);
        }
    }

    fn push(&self, mut level: &'static str, message: String) {
        let mut state = self.lock();
        if level == "critical" && std::mem::replace(&mut state.critical_sent, true) {
            level = "error";
        }
        if level != "critical" && state.is_repeat(level, &message) {
            return;
        }
        if state.waiting.len() >= KEPT {
            state.waiting.pop_front();
            state.dropped += 1;
        }
        let now = Timestamp::now();
        state.waiting.push_back(LogLine {
            date: now.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string(),
            level,
            message,
        });
        let urgent = matches!(level, "error" | "critical") || state.waiting.len() >= BATCH;
        drop(state);
        if urgent {
            self.urgent.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_repeat(&mut self, level: &'static str, message: &str) -> bool {
        let now = Instant::now();
        if self.last_sent.len() >= REMEMBERED {
            self.last_sent.retain(|_, sent| now.duration_since(*sent) < REPEAT);
        }
        if self.last_sent.len() >= REMEMBERED {
            self.last_sent.clear();
        }
        let key = (level, message.to_owned());
        match self.last_sent.get(&key) {
            Some(sent) if now.duration_since(*sent) < REPEAT => true,
            _ => {
                self.last_sent.insert(key, now);
                false
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for LogQueue {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || !metadata.target().starts_with(env!("CARGO_CRATE_NAME")) {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *metadata.level() {
            Level::ERROR if line.critical => "critical",
            Level::ERROR => "error",
            Level::WARN => "warning",
            _ => "info",
        };
        self.push(level, line.message + &line.fields);
    }
}

/// An event as text.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
    critical: bool,
}

impl Visit for Line {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "critical" {
            self.critical = value;
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => {
                write!(self.fields, "{} {name}={value:?}", if self.fields.is_empty() { ":" } else { "," })
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn lines(log: impl FnOnce()) -> Vec<(&'static str, String)> {
        let queue = LogQueue::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(queue.clone()), log);
        let state = queue.lock();
        state.waiting.iter().map(|line| (line.level, line.message.clone())).collect()
    }

    #[test]
    fn fields_follow_the_sentence() {
        let lines = lines(|| tracing::warn!(key = %"a/b.log.gz", records = 3, "object rejected"));
        assert_eq!(lines, [("warning", "object rejected: key=a/b.log.gz, records=3".to_owned())]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_minute_a_repeated_message_is_sent_again() {
        let (queue, start) = (LogQueue::default(), Instant::now());
        for (seconds, count) in [(0, 1), (59, 1), (60, 2), (119, 2), (120, 3)] {
            tokio::time::advance(start + Duration::from_secs(seconds) - Instant::now()).await;
            queue.push("info", "poll ended".to_owned());
            assert_eq!(queue.lock().waiting.len(), count, "{seconds} s");
        }
    }

    #[test]
    fn a_repeated_message_is_sent_once_a_minute_and_one_critical_for_ever() {
        let lines = lines(|| {
            for _ in 0..3 {
                tracing::info!("poll ended");
                tracing::debug!("not for the user");
                tracing::error!(critical = true, "configuration error");
            }
        });
        let levels: Vec<_> = lines.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, ["info", "critical", "error"]);
    }
}
