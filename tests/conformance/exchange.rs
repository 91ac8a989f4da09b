//! A request in a form that can be compared: what differs from run to run has a name in place of its value.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use support::platform::{Endpoint, Received};
use uuid::Uuid;

use crate::world::Recorded;

/// The headers that matter to the platform.
const HEADERS: [&str; 3] = ["authorization", "content-type", "accept"];

/// A request.
#[derive(Debug, PartialEq)]
pub struct Exchange {
    method: String,
    path: String,
    headers: Vec<(&'static str, Option<String>)>,
    /// Whether its length was told before it: not every server takes a body without.
    has_length: bool,
    body: Value,
}

impl Exchange {
    pub fn of(received: &Received) -> Self {
        let header = |name: &'static str| {
            let value = received.headers.get(name);
            (name, value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()))
        };
        Self {
            method: received.method.to_string(),
            path: named(&received.path),
            headers: HEADERS.map(header).into(),
            has_length: received.headers.get("transfer-encoding").is_none(),
            body: normal("", received.json()),
        }
    }
}

impl Recorded {
    /// Its requests but for logs, in their order.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let is_log = |received: &&Received| received.endpoint != Some(Endpoint::Logs);
        self.requests.iter().filter(is_log).map(Exchange::of).collect()
    }

    /// The forms that its posts of logs have, however many lines they carry and whatever these say.
    pub fn log_forms(&self) -> Vec<Exchange> {
        let mut forms: Vec<Exchange> = Vec::new();
        for post in self.requests.iter().filter(|received| received.endpoint == Some(Endpoint::Logs)) {
            let mut form = Exchange::of(post);
            if let Some(lines) = form.body["logs"].as_array_mut() {
                lines.dedup();
            }
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms
    }

    /// Its requests and its end in a few words, for instance `GET secrets, POST event 1, exit 0`. Events are numbered by
    /// their request IDs.
    pub fn summary(&self) -> String {
        let mut ids: Vec<String> = Vec::new();
        let mut words: Vec<String> = Vec::new();
        for received in &self.requests {
            let body = received.json();
            let what = match received.endpoint {
                Some(Endpoint::Identity) => "identity".to_owned(),
                Some(Endpoint::Secrets) => "secrets".to_owned(),
                Some(Endpoint::Logs) => continue,
                Some(Endpoint::Events) => {
                    let id = body["request_id"].as_str().unwrap_or_default().to_owned();
                    if !ids.contains(&id) {
                        ids.push(id.clone());
                    }
                    let number = ids.iter().position(|known| *known == id).unwrap_or_default() + 1;
                    format!("event {number}")
                }
                Some(Endpoint::Actions) => {
                    let status = body["status"].as_str().unwrap_or_default();
                    let error = if body.get("error").is_some() { " with error" } else { "" };
                    format!("{status}{error}")
                }
                None => received.path.clone(),
            };
            words.push(format!("{} {what}", received.method));
        }
        words.push(format!(
            "exit {}",
            self.exit.map_or_else(|| "by signal".to_owned(), |exit| exit.to_string())
        ));
        words.join(", ")
    }

    /// The levels of the lines that the platform was sent, each once.
    pub fn log_levels(&self) -> BTreeSet<String> {
        let posts = self.requests.iter().filter(|received| received.endpoint == Some(Endpoint::Logs));
        let lines = posts.flat_map(|post| post.json()["logs"].as_array().cloned().unwrap_or_default());
        lines.filter_map(|line| line["level"].as_str().map(str::to_owned)).collect()
    }
}

/// A value of a body. Texts for people have only their form compared.
fn normal(name: &str, value: Value) -> Value {
    match value {
        Value::Object(mut properties) => {
            // Whether an error is in the logs as well is a row of the differences.
            if properties.contains_key("error") {
                properties.remove("logs");
            }
            let properties = properties.into_iter().map(|(name, value)| {
                let value = normal(&name, value);
                (name, value)
            });
            Value::Object(properties.collect::<Map<_, _>>())
        }
        Value::Array(values) => values.into_iter().map(|value| normal(name, value)).collect(),
        Value::String(text) => Value::String(match name {
            "error" | "message" => "<text>".to_owned(),
            "level" => "<level>".to_owned(),
            "date" => date(&text, 'T').to_owned(),
            "logs" => logs(&text),
            _ => named(&text),
        }),
        value => value,
    }
}

/// A text with the names of what changes from run to run.
fn named(text: &str) -> String {
    if let Some(time) = text.strip_prefix("aws-flowlog_")
        && time
            .split_once('.')
            .is_some_and(|(seconds, rest)| seconds.len() == 10 && rest.parse::<u32>().is_ok())
    {
        return "aws-flowlog_<time>".to_owned();
    }
    let parts = text.split('/').map(|part| if Uuid::parse_str(part).is_ok() { "<uuid>" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// `<date>` for a date as the SDK writes it: UTC without offset, microseconds unless they are zero.
fn date(text: &str, separator: char) -> &str {
    let is_date = text.contains(separator)
        && !text.ends_with('Z')
        && (text.len() == 26 || text.len() == 19)
        && text.parse::<jiff::civil::DateTime>().is_ok();
    if is_date { "<date>" } else { text }
}

/// The lines of an action's logs: `<date>: <level>: <message>`, with a line end each.
fn logs(text: &str) -> String {
    let mut forms = BTreeSet::new();
    for line in text.split_inclusive('\n') {
        // A message may have several lines, as the SDK's own about exceptions have.
        let mut parts = line.splitn(3, ": ");
        if let (Some(at), Some(level), Some(message)) = (parts.next(), parts.next(), parts.next())
            && date(at, ' ') == "<date>"
            && ["debug", "info", "warning", "error", "critical"].contains(&level)
        {
            let end = if message.ends_with('\n') { "" } else { " without a line end" };
            forms.insert(format!("<date>: <level>: <message>{end}"));
        }
    }
    forms.into_iter().collect::<Vec<_>>().join("\n")
}
