//! What the trigger or the connector says of itself on its metrics port.

use std::sync::Mutex;
use std::time::Duration;

/// A reader of its metrics that survives its restarts.
pub(crate) struct Metrics {
    url: String,
    client: reqwest::Client,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// What processes that have ended had counted.
    before: Seen,
    now: Seen,
}

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Objects delivered whole.
    pub(crate) objects: usize,
    /// Records read.
    pub(crate) records: usize,
    /// From an object's writing to its delivery to the platform, the last time.
    pub(crate) lag_seconds: f64,
}

impl Metrics {
    pub(crate) fn new(port: u16) -> Self {
        Self {
            url: format!("http://127.0.0.1:{port}/metrics"),
            client: reqwest::Client::builder().no_proxy().build().unwrap_or_default(),
            memory: Mutex::default(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Looks at the metrics; leaves things as they are when they cannot be read.
    pub(crate) async fn read(&self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        let Ok(answer) = self.client.get(&self.url).timeout(PATIENCE).send().await else { return };
        let Ok(text) = answer.text().await else { return };
        let now = Seen {
            objects: value(&text, "aws_flowlogs_objects_delivered_total").unwrap_or(0),
            records: value(&text, "symphony_module_aws_collected_events_total").unwrap_or(0),
            lag_seconds: value(&text, "symphony_module_common_events_lags").unwrap_or(0.0),
        };
        let mut memory = self.memory.lock().unwrap();
        if now.records < memory.now.records {
            memory.before = memory.seen();
        }
        memory.now = now;
    }

    pub(crate) fn seen(&self) -> Seen {
        self.memory.lock().unwrap().seen()
    }
}

impl Memory {
    fn seen(&self) -> Seen {
        Seen {
            objects: self.before.objects + self.now.objects,
            records: self.before.records + self.now.records,
            lag_seconds: self.now.lag_seconds,
        }
    }
}

/// The value of a metric without labels in Prometheus text.
fn value<T: std::str::FromStr>(text: &str, name: &str) -> Option<T> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}
