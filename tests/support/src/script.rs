//! What goes wrong with the answers of a server, in the order that a test wrote down.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::StatusCode;

use crate::wire::Ending;

/// What becomes of one request instead of a normal answer. Unless it says otherwise, the request is **not**
/// processed: the server has seen it, and nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status, with this body.
    Status(u16, String),
    /// 200 with a page of HTML, as a proxy in between would send.
    Html,
    /// 307 to this URL: the same request, elsewhere.
    Redirect(String),
    /// Bytes that are not HTTP.
    NotHttp,
    /// 200 and the beginning of an answer with IDs; then the connection is closed.
    HalfBody,
    /// The connection is closed without an answer.
    Drop,
    /// No answer, and the connection stays open.
    Hang,
    /// Processed as usual, but only after this time.
    Delay(Duration),
    /// Processed as usual, and the answer is lost to what the inner fault says.
    After(Box<Fault>),
}

impl Fault {
    /// An answer with this status and a short JSON body.
    pub fn status(status: u16) -> Self {
        Self::Status(status, format!(r#"{{"error": "status {status} as the test asked for"}}"#))
    }

    /// The same fault, after the request was processed: accepted, but the sender does not learn of it.
    #[must_use]
    pub fn after_acceptance(self) -> Self {
        Self::After(Box::new(self))
    }

    /// Answers one request; `process` does what the server would do without the fault.
    pub(crate) async fn play(self, process: impl Future<Output = Response>) -> Response {
        match self {
            Self::After(fault) => {
                process.await;
                fault.answer().await
            }
            Self::Delay(delay) => {
                tokio::time::sleep(delay).await;
                process.await
            }
            fault => fault.answer().await,
        }
    }

    async fn answer(self) -> Response {
        match self {
            Self::Status(status, body) => {
                (StatusCode::from_u16(status).expect("an HTTP status"), body).into_response()
            }
            Self::Html => axum::response::Html("<html><body>Please sign in.</body></html>").into_response(),
            Self::Redirect(url) => {
                (StatusCode::TEMPORARY_REDIRECT, [(hyper::header::LOCATION, url)]).into_response()
            }
            Self::NotHttp => Ending::Raw(Bytes::from_static(b"\x15\x03\x01\x00\x02\x02\x16")).response(),
            Self::HalfBody => {
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n";
                Ending::Raw(Bytes::from([head, "{\"event_ids\": [\"a\", \"b"].concat())).response()
            }
            Self::Drop => Ending::Drop.response(),
            Self::Hang => pending().await,
            Self::Delay(delay) => {
                tokio::time::sleep(delay).await;
                Response::new(Body::empty())
            }
            Self::After(fault) => Box::pin(fault.answer()).await,
        }
    }
}

/// The faults of one endpoint: each request takes the next one; with none left, requests are answered normally, or
/// with the fault that [`Script::always`] set. Clones are the same script.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    next: VecDeque<Option<Fault>>,
    always: Option<Fault>,
}

impl Script {
    /// The request after those already provided for meets `fault`.
    pub fn then(&self, fault: Fault) -> &Self {
        self.0.lock().unwrap().next.push_back(Some(fault));
        self
    }

    /// The next `count` requests meet `fault`.
    pub fn then_times(&self, count: usize, fault: &Fault) -> &Self {
        self.0.lock().unwrap().next.extend(std::iter::repeat_n(Some(fault.clone()), count));
        self
    }

    /// The next `count` requests are answered normally.
    pub fn then_normal(&self, count: usize) -> &Self {
        self.0.lock().unwrap().next.extend(std::iter::repeat_n(None, count));
        self
    }

    /// Every request with no line of its own meets `fault`, until [`Script::clear`].
    pub fn always(&self, fault: Fault) -> &Self {
        self.0.lock().unwrap().always = Some(fault);
        self
    }

    /// Everything is normal from now on.
    pub fn clear(&self) {
        *self.0.lock().unwrap() = Lines::default();
    }

    /// How many lines were not played yet.
    pub fn left(&self) -> usize {
        self.0.lock().unwrap().next.len()
    }

    pub(crate) fn take(&self) -> Option<Fault> {
        let mut lines = self.0.lock().unwrap();
        lines.next.pop_front().unwrap_or_else(|| lines.always.clone())
    }
}
