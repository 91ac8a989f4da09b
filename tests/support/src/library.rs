//! The playbook API as the platform's publishing tool meets it: modules, triggers and actions by their UUID.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hyper::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::wire::{self, Listener};

/// A running playbook API. Stops when dropped.
#[derive(Debug)]
pub struct Library {
    listener: Listener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    api_key: String,
    /// By `<kind>/<uuid>`, e.g. `triggers/5c2f…`.
    items: Mutex<BTreeMap<String, Value>>,
    changes: Mutex<Vec<String>>,
}

impl Library {
    /// Starts an empty library that one API key may change.
    pub async fn start(api_key: &str) -> Self {
        let shared = Arc::new(Shared {
            api_key: api_key.to_owned(),
            items: Mutex::default(),
            changes: Mutex::default(),
        });
        let router = Router::new()
            .route("/{kind}", post(create))
            .route("/{kind}/{uuid}", get(show).patch(update))
            .with_state(Arc::clone(&shared));
        Self { listener: Listener::start(wire::router(router)).await, shared }
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// What is published of a kind: `modules`, `triggers` or `actions`.
    pub fn items(&self, kind: &str) -> Vec<Value> {
        let items = self.shared.items.lock().unwrap();
        items.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, item)| item.clone()).collect()
    }

    /// The changes since the last call, e.g. `POST modules` and `PATCH triggers`, in their order.
    pub fn take_changes(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.changes.lock().unwrap())
    }
}

impl Shared {
    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        headers.get("authorization").is_some_and(|value| *value == format!("Bearer {}", self.api_key))
    }

    fn changed(&self, method: &str, kind: &str) {
        self.changes.lock().unwrap().push(format!("{method} {kind}"));
    }
}

async fn show(State(shared): State<Arc<Shared>>, Path((kind, uuid)): Path<(String, String)>) -> Response {
    match shared.items.lock().unwrap().get(&format!("{kind}/{uuid}")) {
        Some(item) => Json(item.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
    headers: HeaderMap,
    Json(item): Json<Value>,
) -> Response {
    let Some(uuid) = item["uuid"].as_str().filter(|_| shared.is_allowed(&headers)) else {
        return (StatusCode::FORBIDDEN, Json(json!({"error": "no API key, or no UUID"}))).into_response();
    };
    shared.changed("POST", &kind);
    shared.items.lock().unwrap().insert(format!("{kind}/{uuid}"), item.clone());
    Json(item).into_response()
}

async fn update(
    State(shared): State<Arc<Shared>>,
    Path((kind, uuid)): Path<(String, String)>,
    headers: HeaderMap,
    Json(changes): Json<Value>,
) -> Response {
    let mut items = shared.items.lock().unwrap();
    let item = items.get_mut(&format!("{kind}/{uuid}")).and_then(Value::as_object_mut);
    match (item, changes) {
        (Some(item), Value::Object(changes)) if shared.is_allowed(&headers) => {
            shared.changed("PATCH", &kind);
            item.extend(changes);
            Json(item.clone()).into_response()
        }
        _ => (StatusCode::FORBIDDEN, Json(json!({"error": "no API key, or no such item"}))).into_response(),
    }
}
