//! One run of an action, as the platform sees it through its callback.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What an action run came to: the `finished` callback.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// `results`; `null` when there were none.
    pub results: Value,
    /// `error`.
    pub error: Option<String>,
    /// `logs`: one line a message.
    pub logs: Option<String>,
}

/// A run of an action: its callback and its storage.
#[derive(Debug)]
pub struct ActionRun {
    url_callback: String,
    storage: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    state: watch::Sender<State>,
    /// A validation has secrets without asking for them.
    is_validation: bool,
}

#[derive(Clone, Debug, Default)]
struct State {
    is_running: bool,
    outcome: Option<Outcome>,
}

impl ActionRun {
    pub(super) fn new(id: &str, url: &str, storage: PathBuf, is_validation: bool) -> Self {
        let shared = Arc::new(Shared { is_validation, ..Shared::default() });
        Self { url_callback: format!("{url}/api/callback/action/{id}"), storage, shared }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The run's `url_callback`.
    pub fn url_callback(&self) -> &str {
        &self.url_callback
    }

    /// The run's storage: its `SYMPHONY_DATA_DIR`.
    pub fn storage(&self) -> &Path {
        &self.storage
    }

    /// Whether the run has said that it is running.
    pub fn is_running(&self) -> bool {
        self.shared.state.borrow().is_running
    }

    /// What the run came to, if it has finished.
    pub fn outcome(&self) -> Option<Outcome> {
        self.shared.state.borrow().outcome.clone()
    }

    /// Waits for the run to finish, for at most `timeout`.
    pub async fn finished(&self, timeout: Duration) -> Option<Outcome> {
        let mut state = self.shared.state.subscribe();
        let finished = state.wait_for(|state| state.outcome.is_some());
        tokio::time::timeout(timeout, finished).await.ok()?.ok()?.outcome.clone()
    }
}

impl Shared {
    /// Answers a PATCH: the secrets to a run that asks for them, 409 to one that finished before.
    pub(super) fn patch(&self, body: &Value, secrets: &Value) -> Response {
        if self.state.borrow().outcome.is_some() {
            return super::refuse(StatusCode::CONFLICT, "the run has finished");
        }
        match body["status"].as_str() {
            Some("running") => {
                self.state.send_modify(|state| state.is_running = true);
                if self.is_validation || body["need_secrets"] == json!(true) {
                    Json(json!({"module_configuration": {"value": secrets}})).into_response()
                } else {
                    Json(json!({})).into_response()
                }
            }
            Some("finished") => {
                let text = |name: &str| body[name].as_str().map(str::to_owned);
                let outcome =
                    Outcome { results: body["results"].clone(), error: text("error"), logs: text("logs") };
                self.state.send_modify(|state| state.outcome = Some(outcome));
                Json(json!({})).into_response()
            }
            _ => super::refuse(StatusCode::BAD_REQUEST, "no known status"),
        }
    }
}
