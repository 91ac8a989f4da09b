//! An intake that answers as a test wants it to: with IDs that show which event they belong to, late, oddly.

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{self, DefaultBodyLimit};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use support::eventually;

use crate::world::PATIENCE;

/// A post: its headers, its body, its events.
pub struct Post {
    pub headers: HeaderMap,
    /// As it came.
    pub wire: Bytes,
    /// The same, inflated if it was compressed.
    pub body: String,
    pub events: Vec<String>,
}

#[derive(Clone)]
struct State {
    posts: Arc<Mutex<Vec<Post>>>,
    answer: Arc<dyn Fn(&Post) -> Response + Send + Sync>,
    held_until: usize,
}

pub struct OddIntake {
    pub server: String,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl OddIntake {
    /// An intake that answers each post with what `answer` makes of it.
    pub async fn start(answer: impl Fn(&Post) -> Response + Send + Sync + 'static) -> Self {
        Self::holding_back(0, answer).await
    }

    /// The same, but the post that begins with the event "0" is answered only when `posts` have come.
    pub async fn holding_back(
        posts: usize,
        answer: impl Fn(&Post) -> Response + Send + Sync + 'static,
    ) -> Self {
        let state = State { posts: Arc::default(), answer: Arc::new(answer), held_until: posts };
        let posts = Arc::clone(&state.posts);
        let router = Router::new()
            .route("/api/v1/intake-http/batch", post(receive))
            .layer(DefaultBodyLimit::disable())
            .with_state(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}/api/v1/intake-http/", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { server, posts }
    }

    pub fn count(&self) -> usize {
        self.posts.lock().unwrap().len()
    }
}

async fn receive(extract::State(state): extract::State<State>, headers: HeaderMap, wire: Bytes) -> Response {
    let mut body = String::new();
    match headers.get("content-encoding") {
        None => wire.as_ref().read_to_string(&mut body).expect("text"),
        Some(_) => MultiGzDecoder::new(wire.as_ref()).read_to_string(&mut body).expect("text in gzip"),
    };
    let parsed: Value = serde_json::from_str(&body).expect("a JSON body");
    let events = parsed["jsons"].as_array().expect("events").iter();
    let events: Vec<String> = events.map(|event| event.as_str().expect("a text").to_owned()).collect();
    let is_first = events.first().is_some_and(|event| event == "0");
    let response = {
        let mut posts = state.posts.lock().unwrap();
        let post = Post { headers, wire, body, events };
        let response = (state.answer)(&post);
        posts.push(post);
        response
    };
    if is_first {
        eventually(PATIENCE, || state.posts.lock().unwrap().len() >= state.held_until).await;
    }
    response
}

/// 200 with an ID for each event, made of the event.
pub fn accept(post: &Post) -> Response {
    let ids: Vec<String> = post.events.iter().map(|event| id_of(event)).collect();
    respond(200, json!({ "event_ids": ids }).to_string())
}

/// The ID of an event: as long as a real one.
pub fn id_of(event: &str) -> String {
    format!("{event:->36}")
}

pub fn respond(status: u16, body: impl Into<String>) -> Response {
    Response::builder().status(status).body(body.into().into()).unwrap()
}
