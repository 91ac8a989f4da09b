//! The intake: `POST /batch` with its limits, and a memory of every event it accepted.

use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::script::{Fault, Script};
use crate::wire::{self, Listener};

/// The largest body, in bytes, both as sent and as decompressed.
pub const MAX_BODY_BYTES: usize = 10_485_760;
/// The largest event, in bytes of UTF-8.
pub const MAX_EVENT_BYTES: usize = 250_000;

/// A post, accepted or not.
#[derive(Clone, Debug)]
pub struct Post {
    /// When its body was read.
    pub at: Timestamp,
    /// Bytes of the body as sent.
    pub body_bytes: usize,
    /// Whether the body was compressed.
    pub is_gzip: bool,
    /// Its headers.
    pub headers: HeaderMap,
    /// The status that the intake answered, or would have, but for a fault; 0 if it did not get to process it.
    pub status: u16,
    /// How many events were accepted.
    pub events: usize,
}

impl Post {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A running intake. Stops when dropped.
#[derive(Debug)]
pub struct Intake {
    listener: Listener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    intake_key: String,
    script: Script,
    accepted: Mutex<Accepted>,
}

#[derive(Debug, Default)]
struct Accepted {
    events: Vec<String>,
    posts: Vec<Post>,
}

impl Intake {
    /// Starts an intake that knows one key.
    pub async fn start(intake_key: &str) -> Self {
        let shared = Arc::new(Shared {
            intake_key: intake_key.to_owned(),
            script: Script::default(),
            accepted: Mutex::default(),
        });
        let router = Router::new().route("/batch", post(receive)).with_state(Arc::clone(&shared));
        Self { listener: Listener::start(wire::router(router)).await, shared }
    }

    /// The base URL that `/batch` is added to; the argument `intake_server`.
    pub fn server(&self) -> String {
        self.listener.url()
    }

    /// The key it accepts; the argument `intake_key`.
    pub fn key(&self) -> &str {
        &self.shared.intake_key
    }

    /// Its faults.
    pub fn script(&self) -> &Script {
        &self.shared.script
    }

    /// Every event accepted so far, in order.
    pub fn events(&self) -> Vec<String> {
        self.shared.accepted.lock().unwrap().events.clone()
    }

    /// The events accepted after the first `count`, in order.
    pub fn events_after(&self, count: usize) -> Vec<String> {
        self.shared.accepted.lock().unwrap().events[count..].to_vec()
    }

    /// How many events were accepted so far.
    pub fn count(&self) -> usize {
        self.shared.accepted.lock().unwrap().events.len()
    }

    /// Every post so far.
    pub fn posts(&self) -> Vec<Post> {
        self.shared.accepted.lock().unwrap().posts.clone()
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let is_gzip = parts.headers.get("content-encoding").is_some_and(|value| value == "gzip");
    let post = Post {
        at: Timestamp::now(),
        body_bytes: body.len(),
        is_gzip,
        headers: parts.headers.clone(),
        status: 0,
        events: 0,
    };
    let number = {
        let mut accepted = shared.accepted.lock().unwrap();
        accepted.posts.push(post);
        accepted.posts.len() - 1
    };
    let fault = shared.script.take();
    let process = {
        let shared = Arc::clone(&shared);
        async move {
            let answer = shared.accept(&parts.headers, &body);
            let (status, events, body) = match answer {
                Ok(ids) => (StatusCode::OK, ids.len(), json!({"event_ids": ids})),
                Err((status, why)) => (status, 0, json!({"error": why})),
            };
            if let Some(post) = shared.accepted.lock().unwrap().posts.get_mut(number) {
                post.status = status.as_u16();
                post.events = events;
            }
            (status, Json(body)).into_response()
        }
    };
    // A task of its own: a sender that gives up waiting does not undo what the intake has begun.
    let answer = tokio::spawn(async move {
        match fault {
            None => process.await,
            Some(fault) => Fault::play(fault, process).await,
        }
    });
    answer.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

impl Shared {
    /// Takes all events of a body or none; one id an event, in order.
    fn accept(&self, headers: &HeaderMap, body: &Bytes) -> Result<Vec<String>, (StatusCode, String)> {
        #[derive(Deserialize)]
        struct Body {
            intake_key: String,
            jsons: Vec<String>,
        }
        let too_large = || (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large".to_owned());
        if body.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        let bad = |error: std::io::Error| (StatusCode::BAD_REQUEST, error.to_string());
        let mut text = Vec::new();
        match headers.get("content-encoding").map(HeaderValue::as_bytes) {
            None => text.extend_from_slice(body),
            Some(b"gzip") => {
                let mut limited = MultiGzDecoder::new(body.as_ref()).take(MAX_BODY_BYTES as u64 + 1);
                limited.read_to_end(&mut text).map_err(bad)?;
            }
            Some(_) => return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "not gzip".to_owned())),
        }
        if text.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        let body: Body =
            serde_json::from_slice(&text).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        if body.intake_key != self.intake_key {
            return Err((StatusCode::UNAUTHORIZED, "the intake key is unknown".to_owned()));
        }
        if let Some(event) = body.jsons.iter().find(|event| event.len() > MAX_EVENT_BYTES) {
            return Err((StatusCode::BAD_REQUEST, format!("an event of {} bytes is too large", event.len())));
        }
        let ids = body.jsons.iter().map(|_| uuid::Uuid::new_v4().to_string()).collect();
        self.accepted.lock().unwrap().events.extend(body.jsons);
        Ok(ids)
    }
}
