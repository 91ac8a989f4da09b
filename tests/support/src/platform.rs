//! The platform as a module meets it: secrets, events, logs and the callbacks of action runs, with a bearer token.
//!
//! Like the real one it copies an event's files into the storage of a new run *before* it answers, so that a trigger
//! may delete them once it has the answer. What it received can be read back at any time; each endpoint has a
//! [`Script`] of faults. Modules on the real platform's SDK run against it too: the tests of the folder `conformance`.

mod action;
mod storage;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

pub use action::{ActionRun, Outcome};

use crate::identity::Claims;
use crate::s3::Control;
use crate::script::{Fault, Script};
use crate::wire::{self, Listener};

/// What the platform knows about the playbook's trigger.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The bearer token of every call.
    pub token: String,
    /// The real values of the module configuration's secret properties; a JSON object.
    pub module_secrets: Value,
    /// The same for the trigger's configuration; `null` for none.
    pub trigger_secrets: Value,
    /// The trigger's storage, where an event's `directory` is looked for.
    pub trigger_storage: PathBuf,
    /// The same where the storage is a bucket: the hand on its server, the bucket, and the folder in it with its `/`.
    pub trigger_bucket: Option<(Control, String, String)>,
    /// Where the runs have their storage.
    pub runs_in: PathBuf,
}

impl Setup {
    /// A platform for a trigger that keeps its files in `trigger_storage`, with a token of its own and no secrets.
    pub fn new(trigger_storage: impl Into<PathBuf>) -> Self {
        Self {
            token: format!("token-{}", uuid::Uuid::new_v4().simple()),
            module_secrets: json!({}),
            trigger_secrets: Value::Null,
            trigger_storage: trigger_storage.into(),
            trigger_bucket: None,
            runs_in: std::env::temp_dir(),
        }
    }

    /// Sets [`Setup::module_secrets`].
    #[must_use]
    pub fn module_secrets(mut self, secrets: Value) -> Self {
        self.module_secrets = secrets;
        self
    }
}

/// A group of requests that can be made to fail on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `GET url_secrets`.
    Secrets,
    /// `POST url_callback` of the trigger: one event.
    Events,
    /// `POST url_logs`.
    Logs,
    /// `PATCH url_callback` of an action run.
    Actions,
    /// `GET …/oidc/token`: who the module is.
    Identity,
}

/// A request as it came in, accepted or not.
#[derive(Clone, Debug)]
pub struct Received {
    /// When its body was read.
    pub at: Timestamp,
    /// Which endpoint it asked; `None`: there is no such.
    pub endpoint: Option<Endpoint>,
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// What follows `?`.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Received {
    /// The body as JSON; `null` if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// An event that was accepted: one playbook run to be.
#[derive(Clone, Debug)]
pub struct Event {
    /// The run's name.
    pub name: String,
    /// The trigger's results, e.g. `{"records_path": "…"}`.
    pub event: Value,
    /// What the trigger calls this request.
    pub request_id: String,
    /// The directory that was copied, relative to the trigger's storage.
    pub directory: Option<String>,
    /// The storage of the new run, with the copied files in it.
    pub run_storage: PathBuf,
    /// Whether an event with this `request_id` was accepted before.
    pub is_repeat: bool,
    /// When it was accepted.
    pub at: Timestamp,
}

impl Event {
    /// The records of this event: the file named in `records_path`, a JSON array of strings.
    ///
    /// # Panics
    /// When the file is not there or not of that shape.
    pub fn records(&self) -> Vec<String> {
        let path = self.event["records_path"].as_str().expect("a records_path");
        let text =
            std::fs::read(self.run_storage.join(path)).expect("the records' file in the run's storage");
        serde_json::from_slice(&text).expect("an array of strings")
    }
}

/// A line that the trigger logged for the playbook's user.
#[derive(Clone, Debug, Deserialize)]
pub struct LogLine {
    /// UTC, without offset.
    pub date: String,
    /// `debug`, `info`, `warning`, `error` or `critical`.
    pub level: String,
    /// The text.
    pub message: String,
}

/// A running platform. Stops when dropped, and takes the storage of its runs with it.
#[derive(Debug)]
pub struct Platform {
    listener: Listener,
    shared: Arc<Shared>,
    accepted: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    runs: TempDir,
}

#[derive(Debug)]
struct Shared {
    setup: Setup,
    runs: PathBuf,
    scripts: HashMap<Endpoint, Script>,
    received: Mutex<Vec<Received>>,
    events: Mutex<Vec<Event>>,
    request_ids: Mutex<HashSet<String>>,
    logs: Mutex<Vec<LogLine>>,
    actions: Mutex<HashMap<String, Arc<action::Shared>>>,
    accept: mpsc::UnboundedSender<Event>,
}

impl Platform {
    /// Starts a platform.
    pub async fn start(setup: Setup) -> Self {
        let runs = tempfile::Builder::new().prefix("playbook-runs-").tempdir_in(&setup.runs_in);
        let runs = runs.expect("a folder for runs");
        let (accept, accepted) = mpsc::unbounded_channel();
        use Endpoint::{Actions, Events, Identity, Logs, Secrets};
        let endpoints = [Secrets, Events, Logs, Actions, Identity];
        let shared = Arc::new(Shared {
            setup,
            runs: runs.path().to_owned(),
            scripts: endpoints.map(|endpoint| (endpoint, Script::default())).into(),
            received: Mutex::default(),
            events: Mutex::default(),
            request_ids: Mutex::default(),
            logs: Mutex::default(),
            actions: Mutex::default(),
            accept,
        });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let listener = Listener::start(wire::router(router)).await;
        Self { listener, shared, accepted: accepted.into(), runs }
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.shared.setup.token
    }

    /// The trigger's `url_callback`; those of secrets and logs follow from it.
    pub fn url_callback(&self) -> String {
        format!("{}/api/callback/trigger", self.listener.url())
    }

    /// The faults of an endpoint.
    pub fn script(&self, endpoint: Endpoint) -> &Script {
        &self.shared.scripts[&endpoint]
    }

    /// Every request so far, in the order they came.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Every request to one endpoint so far.
    pub fn received_at(&self, endpoint: Endpoint) -> Vec<Received> {
        self.received().into_iter().filter(|received| received.endpoint == Some(endpoint)).collect()
    }

    /// Every event accepted so far, repeats included.
    pub fn events(&self) -> Vec<Event> {
        self.shared.events.lock().unwrap().clone()
    }

    /// The records of every event accepted so far, in order, without those of repeated requests.
    ///
    /// # Panics
    /// When an event's file is missing or malformed.
    pub fn records(&self) -> Vec<String> {
        self.events().iter().filter(|event| !event.is_repeat).flat_map(Event::records).collect()
    }

    /// Waits for the next accepted event; each is given out once. Whoever runs the playbook calls it.
    pub async fn next_event(&self) -> Event {
        self.accepted.lock().await.recv().await.expect("the sender lives as long as the platform")
    }

    /// Every line logged so far.
    pub fn logs(&self) -> Vec<LogLine> {
        self.shared.logs.lock().unwrap().clone()
    }

    /// A new run of an action with the files it finds in `storage`.
    pub fn action_run_in(&self, storage: impl Into<PathBuf>) -> ActionRun {
        self.new_run(storage.into(), false)
    }

    /// A new validation of the account. It gets the secrets without asking for them.
    pub fn validation_run(&self) -> ActionRun {
        self.new_run(PathBuf::new(), true)
    }

    fn new_run(&self, storage: PathBuf, is_validation: bool) -> ActionRun {
        let id = uuid::Uuid::new_v4().to_string();
        let run = ActionRun::new(&id, &self.listener.url(), storage, is_validation);
        self.shared.actions.lock().unwrap().insert(id, run.shared());
        run
    }

    /// A new run of an action with a storage of its own, empty.
    pub fn action_run(&self) -> ActionRun {
        let storage = self.runs.path().join(format!("action-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&storage).expect("a folder for the run");
        self.action_run_in(storage)
    }
}

/// Notes a request, and answers it with what it deserves or what the script says.
async fn receive(State(shared): State<Arc<Shared>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let endpoint = match (&parts.method, path.as_str()) {
        (&Method::GET, "/api/secrets/trigger") => Some(Endpoint::Secrets),
        (&Method::GET, "/api/v1/symphony/oidc/token") => Some(Endpoint::Identity),
        (&Method::POST, "/api/callback/trigger") => Some(Endpoint::Events),
        (&Method::POST, path) if path.starts_with("/api/logs/") => Some(Endpoint::Logs),
        (&Method::PATCH, path) if path.starts_with("/api/callback/action/") => Some(Endpoint::Actions),
        _ => None,
    };
    let (at, method, headers) = (Timestamp::now(), parts.method, parts.headers);
    let received = Received { at, endpoint, method, path, query, headers, body };
    shared.received.lock().unwrap().push(received.clone());
    let Some(endpoint) = endpoint else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let fault = shared.scripts[&endpoint].take();
    let process = async move { shared.process(endpoint, received).await };
    // A task of its own: a sender that gives up waiting does not undo what the platform has begun.
    let answer = tokio::spawn(async move {
        match fault {
            None => process.await,
            Some(fault) => Fault::play(fault, process).await,
        }
    });
    answer.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

impl Shared {
    async fn process(self: Arc<Self>, endpoint: Endpoint, received: Received) -> Response {
        let expected = format!("Bearer {}", self.setup.token);
        if received.headers.get("authorization").is_none_or(|value| value.as_bytes() != expected.as_bytes()) {
            return refuse(StatusCode::UNAUTHORIZED, "the token is missing or wrong");
        }
        match endpoint {
            Endpoint::Secrets => Json(json!({
                "value": self.setup.module_secrets,
                "node_value": self.setup.trigger_secrets,
            }))
            .into_response(),
            Endpoint::Events => {
                tokio::task::spawn_blocking(move || self.accept(&received)).await.expect("no panic")
            }
            Endpoint::Logs => self.log(&received),
            Endpoint::Identity => {
                let audience = received.query.rsplit("audience=").next().unwrap_or_default();
                Json(json!({"token": Claims::of_platform(audience).token()})).into_response()
            }
            Endpoint::Actions => {
                let id = received.path.rsplit('/').next().unwrap_or_default();
                let run = self.actions.lock().unwrap().get(id).cloned();
                match run {
                    Some(run) => run.patch(&received.json(), &self.setup.module_secrets),
                    None => refuse(StatusCode::NOT_FOUND, "no such action run"),
                }
            }
        }
    }

    fn accept(&self, received: &Received) -> Response {
        #[derive(Deserialize)]
        struct Body {
            name: String,
            event: Value,
            request_id: String,
            directory: Option<String>,
        }
        let body: Body = match serde_json::from_slice(&received.body) {
            Ok(body) => body,
            Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        let run_storage = self.runs.join(format!("event-{}", uuid::Uuid::new_v4()));
        let copied = match &body.directory {
            None => std::fs::create_dir_all(&run_storage),
            Some(directory) => match &self.setup.trigger_bucket {
                Some((control, bucket, folder)) => {
                    storage::copy_from_bucket(control, bucket, &format!("{folder}{directory}/"), &run_storage)
                }
                None => storage::copy_folder(&self.setup.trigger_storage, Path::new(directory), &run_storage),
            },
        };
        if let Err(error) = copied {
            return refuse(StatusCode::BAD_REQUEST, &format!("directory {:?}: {error}", body.directory));
        }
        let event = Event {
            is_repeat: !self.request_ids.lock().unwrap().insert(body.request_id.clone()),
            name: body.name,
            event: body.event,
            request_id: body.request_id,
            directory: body.directory,
            run_storage,
            at: Timestamp::now(),
        };
        self.events.lock().unwrap().push(event.clone());
        let _ = self.accept.send(event);
        Json(json!({})).into_response()
    }

    fn log(&self, received: &Received) -> Response {
        #[derive(Deserialize)]
        struct Body {
            logs: Vec<LogLine>,
        }
        match serde_json::from_slice::<Body>(&received.body) {
            Ok(body) => {
                self.logs.lock().unwrap().extend(body.logs);
                Json(json!({})).into_response()
            }
            Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }
}

fn refuse(status: StatusCode, why: &str) -> Response<Body> {
    (status, Json(json!({"error": why}))).into_response()
}
