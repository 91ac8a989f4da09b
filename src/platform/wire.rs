//! What goes to the platform as JSON, to the letter.

use serde::Serialize;
use serde_json::Value;

/// An event: what starts a playbook run.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// `aws-flowlog_<seconds since 1970>`.
    pub name: &'a str,
    /// The trigger's results, here `{"records_path": "event.json"}`.
    pub event: Value,
    /// The same for every attempt at the same batch.
    pub request_id: &'a str,
    /// The folder of the files, relative to the storage.
    pub directory: &'a str,
}

/// A line as the platform takes it.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct LogLine {
    /// UTC without offset: `2026-11-22T19:59:54.851224`.
    pub date: String,
    /// `info`, `warning`, `error` or `critical`.
    pub level: &'static str,
    /// One sentence, then its fields as `name=value`.
    pub message: String,
}
