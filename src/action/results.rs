//! What a run leaves behind: the IDs of what was accepted, the file of what could not be sent, and the last report.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::chunk::Cut;
use super::events::EVENT_BYTES_MAX;
use super::post::{Ids, Posted};
use super::rejects::RejectedEvents;
use crate::platform::rope::Rope;
use crate::platform::storage::Storage;
use crate::shutdown::{Shutdown, Stopped};

/// How long after the shutdown signal files may be under way: then there is no more time than for the last report.
pub const LAST_FILES: Duration = Duration::from_millis(4_500);
/// Why a file was not waited for any longer.
pub const SILENT: &str = "the storage did not answer before the run was stopped";

/// The results of the action, as the manifest declares them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Results of Push events")]
pub struct PushResults {
    /// The IDs that the intake gave to the events, in the order of the events, e.g. 5b3c1f0e-7d52-4a39-9b1e-2f6a8c4d0e77
    #[schemars(title = "Event IDs")]
    pub event_ids: Vec<String>,
    /// How many events the intake would not take because they are longer than 250,000 bytes, e.g. 2; absent if there are none
    #[schemars(title = "Rejected events")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_events: Option<u64>,
    /// The file with those events as a JSON array, relative to the storage of the playbook run, e.g. rejected_events-5b3c1f0e-7d52-4a39-9b1e-2f6a8c4d0e77.json; absent if there are none
    #[schemars(title = "File of rejected events")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_events_path: Option<String>,
}

/// How a run ended.
#[derive(Default)]
pub struct Outcome {
    /// What was sent, if it came to sending.
    pub sent: Option<Sent>,
    /// Why not everything was.
    pub error: Option<String>,
}

/// What was sent, and what was not.
#[derive(Default)]
pub struct Sent {
    /// The IDs of the accepted events.
    pub ids: Ids,
    /// How many events were rejected before they were sent.
    pub rejected: u64,
    /// The file that holds them.
    pub rejected_path: Option<String>,
}

/// Sums up: what was accepted, what is missing, and where the rejected events are.
pub async fn conclude(posted: Posted, cut: Option<Cut>, storage: &Storage, shutdown: &Shutdown) -> Outcome {
    let (ended, rejected) = match cut {
        Some(Cut { ended, rejected }) => (ended.map_err(|error| error.to_string()), rejected),
        None => (Err("reading the events broke off".to_owned()), RejectedEvents::default()),
    };
    let mut error = shortfall(&posted, ended);
    let (rejected_count, longest_bytes) = (rejected.count, rejected.longest_bytes);
    let kept = match shutdown.within(LAST_FILES, rejected.keep(storage)).await {
        Ok(kept) => kept.map_err(|error| error.to_string()),
        Err(Stopped) => Err(SILENT.to_owned()),
    };
    let rejected_path = kept.unwrap_or_else(|cause| {
        let lost = format!("{rejected_count} events that the intake would not take cannot be kept: {cause}");
        error = Some(
            error
                .take()
                .map_or_else(|| format!("{lost}; no file is removed"), |error| format!("{error}; {lost}")),
        );
        None
    });
    if rejected_count > 0 {
        let file = rejected_path.as_deref();
        tracing::warn!(
            events = rejected_count,
            longest_bytes,
            file,
            "events were set aside that the intake would not take: they are longer than {EVENT_BYTES_MAX} bytes, no text, or nested too deep"
        );
    }
    let Posted { ids, accepted, chunks, .. } = posted;
    tracing::info!(events = accepted, posts = chunks, "the intake accepted events");
    Outcome { sent: Some(Sent { ids, rejected: rejected_count, rejected_path }), error }
}

/// Says why not all events were accepted; `None` if they were.
fn shortfall(posted: &Posted, ended: Result<(), String>) -> Option<String> {
    let Posted { accepted, events, unknown, failure, stopped, .. } = posted;
    let (why, count) = match (failure, ended) {
        (_, _) if *stopped => {
            ("stopped by the platform before all events were sent".to_owned(), format!("at least {events}"))
        }
        (Some((_, error)), Ok(())) => (error.to_string(), events.to_string()),
        (Some((_, error)), Err(end)) => (format!("{error}, and {end}"), format!("at least {events}")),
        (None, Err(end)) => (end, format!("at least {events}")),
        (None, Ok(())) => return None,
    };
    let mut text = format!("{why}; {accepted} of {count} events were accepted");
    if *unknown > 0 {
        text.push_str(&format!(", and {unknown} more may have been"));
    }
    text.push_str("; no file is removed");
    if accepted + unknown > 0 {
        text.push_str(", sending all of it again would repeat what was accepted");
    }
    Some(text)
}

impl Outcome {
    /// A run that came to nothing.
    pub fn failed(error: &dyn std::fmt::Display) -> Self {
        Self { sent: None, error: Some(error.to_string()) }
    }

    /// The report to the platform, with the keys that have a value: `status`, `results`, `error`, `logs`.
    pub fn into_report(self, logs: Option<String>) -> Rope {
        let mut report = Rope::default();
        report.push_text(r#"{"status":"finished""#);
        if let Some(sent) = self.sent {
            report.push_text(r#","results":{"event_ids":["#);
            for (place, part) in sent.ids.chunks.into_values().enumerate() {
                if place > 0 {
                    report.push_text(",");
                }
                report.push(part);
            }
            report.push_text("]");
            if sent.rejected > 0 {
                report.push_text(format!(r#","rejected_events":{}"#, sent.rejected));
            }
            if let Some(path) = sent.rejected_path {
                report.push_text(format!(r#","rejected_events_path":{}"#, json!(path)));
            }
            report.push_text("}");
        }
        for (name, text) in [("error", self.error), ("logs", logs)] {
            if let Some(text) = text {
                report.push_text(format!(r#","{name}":{}"#, json!(text)));
            }
        }
        report.push_text("}");
        report
    }
}
