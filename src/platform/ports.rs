//! Small HTTP servers on ports that anybody may reach: whoever connects holds neither memory nor open files for long.
//!
//! A connection is for one request and is closed after [`LASTS`], whatever came by then. There are [`CONNECTIONS`] of a
//! port at a time: one more, and the oldest gives way, so that many that only wait keep out nobody who asks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::shutdown::Shutdown;

/// How long a connection lasts at most: a request of these servers is a line, its answer some kilobytes.
const LASTS: Duration = Duration::from_secs(5);
/// Connections of a port at a time. The platform and a monitoring have one each, for a moment.
const CONNECTIONS: usize = 16;
/// What a connection holds of a request at most; the least that the library takes.
const REQUEST_BYTES: usize = 8 * 1024;
/// The wait after no connection could be taken, because the process has no more files for instance.
const RETRY: Duration = Duration::from_secs(1);

/// What a path is answered with.
pub type Answer = Response<Full<Bytes>>;

/// An answer of this type of content.
pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    answer
}

/// Serves the paths that `answer` knows on `port` until told to stop. A port that is taken is a nuisance, not a reason to
/// lose records: it is said, and the trigger goes on.
pub async fn serve(
    what: &'static str,
    port: u16,
    shutdown: Shutdown,
    answer: impl Fn(&str) -> Option<Answer> + Clone + Send + 'static,
) {
    let address = SocketAddr::from(([0, 0, 0, 0], port));
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let _ = shutdown.race(accept(listener, &shutdown, answer)).await;
        }
        Err(error) => tracing::warn!(%error, %address, "cannot serve {what}; the trigger goes on without it"),
    }
}

async fn accept(
    listener: TcpListener,
    shutdown: &Shutdown,
    answer: impl Fn(&str) -> Option<Answer> + Clone + Send + 'static,
) {
    let mut connections = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_of_the_peer(&error) => continue,
            Err(error) => {
                tracing::debug!(%error, "could not accept a connection");
                if shutdown.sleep(RETRY).await.is_err() {
                    return;
                }
                continue;
            }
        };
        connections.retain(|connection: &AbortOnDropHandle<()>| !connection.is_finished());
        if connections.len() >= CONNECTIONS {
            connections.pop_front();
            // Its file is closed before another one is opened.
            tokio::task::yield_now().await;
        }
        connections.push_back(AbortOnDropHandle::new(tokio::spawn(converse(stream, answer.clone()))));
    }
}

/// Whether nothing is wrong but a peer that did not stay.
fn is_of_the_peer(error: &std::io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn converse(stream: TcpStream, answer: impl Fn(&str) -> Option<Answer> + Send + 'static) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answered = respond(request.method(), request.uri().path(), &answer);
        async move { Ok::<_, Infallible>(answered) }
    });
    let mut server = http1::Builder::new();
    let conversation =
        server.keep_alive(false).max_buf_size(REQUEST_BYTES).serve_connection(TokioIo::new(stream), service);
    // A peer that hangs up, sends something else or nothing is no trouble of this process.
    let _ = tokio::time::timeout(LASTS, conversation).await;
}

fn respond(method: &Method, path: &str, known: impl Fn(&str) -> Option<Answer>) -> Answer {
    match known(path) {
        Some(answer) if matches!(*method, Method::GET | Method::HEAD) => answer,
        Some(_) => {
            let mut refusal = Response::new(Full::default());
            *refusal.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            refusal.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET,HEAD"));
            refusal
        }
        None => {
            let body = r#"{"status_code":404,"reason":"Endpoint doesn't exist"}"#;
            answer(StatusCode::NOT_FOUND, "application/json", body)
        }
    }
}
