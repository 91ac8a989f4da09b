//! A server that takes everything: what must not be sent to it is seen, and what must be.

use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::json;

use crate::platform::Received;
use crate::wire::{self, Listener};

/// A running recorder. Answers every request with 200 and `{}`. Stops when dropped.
#[derive(Debug)]
pub struct Recorder {
    listener: Listener,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Recorder {
    /// Starts a recorder.
    pub async fn start() -> Self {
        let received = Arc::default();
        let router = Router::new().fallback(receive).with_state(Arc::clone(&received));
        Self { listener: Listener::start(wire::router(router)).await, received }
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// Every request so far, in the order they came.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn receive(
    State(received): State<Arc<Mutex<Vec<Received>>>>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let (path, method, headers) = (parts.uri.path().to_owned(), parts.method, parts.headers);
    let request = Received { at: Timestamp::now(), endpoint: None, method, path, query, headers, body };
    received.lock().unwrap().push(request);
    Json(json!({})).into_response()
}
