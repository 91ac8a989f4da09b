//! Faults of S3: which requests go wrong, and how.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use s3s::Body;

use super::request::{Operation, Request};
use crate::wire::{BoxError, Ending};

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An error of S3 in place of an answer, e.g. 503 `SlowDown`.
    Error(u16, &'static str),
    /// The same with a message of the test's choice: for some refusals it is the message that tells them apart.
    ErrorSaying(u16, &'static str, &'static str),
    /// 301 `PermanentRedirect`, naming this region: the bucket lives there.
    WrongRegion(&'static str),
    /// 400 `AuthorizationHeaderMalformed`, expecting this region in the signature.
    WrongSigningRegion(&'static str),
    /// A page for people in place of S3's answer, from something on the way.
    Page(u16, &'static str),
    /// The usual answer, this much later.
    Delay(Duration),
    /// The connection closes without an answer.
    Drop,
    /// No answer, while the connection stays open.
    Hang,
    /// The connection closes after this many bytes of the body.
    CutBody(usize),
    /// Nothing more comes after this many bytes of the body, while the connection stays open.
    StallBody(usize),
    /// The byte at this place of the body is another one.
    CorruptBody(usize),
}

impl Trouble {
    /// 403 `AccessDenied`: the caller's policy does not allow it.
    pub const ACCESS_DENIED: Self = Self::Error(403, "AccessDenied");
    /// 500 `InternalError`.
    pub const INTERNAL_ERROR: Self = Self::Error(500, "InternalError");
    /// 403 `InvalidObjectState`: the object is archived.
    pub const INVALID_OBJECT_STATE: Self = Self::Error(403, "InvalidObjectState");
    /// 400 `KMS.DisabledException`: the object's key is disabled.
    pub const KMS_DISABLED: Self = Self::Error(400, "KMS.DisabledException");
    /// 403 `AccessDenied` in the words for an object whose KMS key the caller may not use.
    pub const KMS_DENIED: Self = Self::ErrorSaying(
        403,
        "AccessDenied",
        "User: arn:aws:iam::111111111111:user/flowlogs is not authorized to perform: kms:Decrypt on the resource \
         associated with this ciphertext because no identity-based policy allows the kms:Decrypt action",
    );
    /// 404 `NoSuchKey`: gone between the listing and the read.
    pub const NO_SUCH_KEY: Self = Self::Error(404, "NoSuchKey");
    /// 503 `SlowDown`: too many requests.
    pub const SLOW_DOWN: Self = Self::Error(503, "SlowDown");
}

/// A rule: `trouble` for the requests of one kind, for every key or some, for some time or for ever.
#[derive(Clone, Debug)]
pub struct Rule {
    operation: Operation,
    key_contains: String,
    skip: usize,
    times: usize,
    trouble: Trouble,
}

impl Rule {
    /// Every request of `operation` meets `trouble`.
    pub fn new(operation: Operation, trouble: Trouble) -> Self {
        Self { operation, key_contains: String::new(), skip: 0, times: usize::MAX, trouble }
    }

    /// Only those whose key (prefix, for a listing) contains `part`.
    #[must_use]
    pub fn key_contains(mut self, part: impl Into<String>) -> Self {
        self.key_contains = part.into();
        self
    }

    /// Only after this many requests that would have matched.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Only this many times.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = count;
        self
    }

    /// Whether `request` meets this rule; counts it.
    pub(super) fn meets(&mut self, request: &Request) -> Option<Trouble> {
        if request.operation != self.operation || !request.key.contains(&self.key_contains) || self.times == 0
        {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.trouble.clone())
    }
}

/// Plays `trouble` around `answer`, the usual answer to `request`.
pub(super) async fn play(
    trouble: Option<Trouble>,
    request: &Request,
    answer: impl Future<Output = Response<Body>>,
) -> Response<Body> {
    match trouble {
        None => answer.await,
        Some(Trouble::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            answer.await
        }
        Some(Trouble::Error(status, code)) => error(status, code, "As the test asked for.", request, ""),
        Some(Trouble::ErrorSaying(status, code, message)) => error(status, code, message, request, ""),
        Some(Trouble::Page(status, page)) => {
            let mut response = Response::new(Body::from(page.to_owned()));
            *response.status_mut() = StatusCode::from_u16(status).expect("an HTTP status");
            response.headers_mut().insert("content-type", HeaderValue::from_static("text/html"));
            response
        }
        Some(Trouble::WrongRegion(region)) => permanent_redirect(region, request),
        Some(Trouble::WrongSigningRegion(region)) => {
            let message =
                format!("The authorization header is malformed; the region is wrong; expecting '{region}'");
            let extra = format!("<Region>{region}</Region>");
            with_region(error(400, "AuthorizationHeaderMalformed", &message, request, &extra), region)
        }
        Some(Trouble::Drop) => Ending::Drop.response(),
        Some(Trouble::Hang) => std::future::pending().await,
        Some(Trouble::CutBody(bytes)) => spoil(answer.await, |body| cut(&body, bytes)).await,
        Some(Trouble::StallBody(bytes)) => spoil(answer.await, |body| stall(&body, bytes)).await,
        Some(Trouble::CorruptBody(place)) => spoil(answer.await, |body| corrupt(&body, place)).await,
    }
}

/// 301 as a regional endpoint of S3 answers for a bucket of another region.
pub(super) fn permanent_redirect(region: &str, request: &Request) -> Response<Body> {
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint.";
    let extra =
        format!("<Endpoint>{0}.s3.{region}.amazonaws.com</Endpoint><Bucket>{0}</Bucket>", request.bucket);
    with_region(error(301, "PermanentRedirect", message, request, &extra), region)
}

fn with_region(mut response: Response<Body>, region: &str) -> Response<Body> {
    response.headers_mut().insert("x-amz-bucket-region", HeaderValue::from_str(region).expect("a region"));
    response
}

/// An error in S3's words; an answer to a HEAD has no body.
fn error(status: u16, code: &str, message: &str, request: &Request, extra: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).expect("an HTTP status");
    if !matches!(request.operation, Operation::Head | Operation::HeadBucket) {
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
             {extra}<RequestId>{}</RequestId></Error>",
            uuid::Uuid::new_v4().simple()
        );
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/xml"));
        *response.body_mut() = Body::from(xml);
    }
    response
}

/// Replaces the body, keeping the `Content-Length` of the whole.
async fn spoil(response: Response<Body>, change: impl FnOnce(Bytes) -> Body) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let whole = BodyExt::collect(body).await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    parts.headers.insert("content-length", whole.len().into());
    Response::from_parts(parts, change(whole))
}

fn cut(body: &Bytes, bytes: usize) -> Body {
    // What was written has to reach the client before the connection closes.
    const FLUSH: Duration = Duration::from_millis(20);
    begin(body, bytes, async {
        tokio::time::sleep(FLUSH).await;
        Err(Ending::Drop.into())
    })
}

fn stall(body: &Bytes, bytes: usize) -> Body {
    begin(body, bytes, std::future::pending())
}

/// The first bytes of a body, and then what `end` comes to.
fn begin(
    body: &Bytes,
    bytes: usize,
    end: impl Future<Output = Result<Frame<Bytes>, BoxError>> + Send + 'static,
) -> Body {
    let bytes = bytes.min(body.len());
    let begin = futures_util::stream::once(std::future::ready(Ok(Frame::data(body.slice(..bytes)))));
    Body::http_body_unsync(StreamBody::new(begin.chain(futures_util::stream::once(end))))
}

fn corrupt(body: &[u8], place: usize) -> Body {
    let mut bytes = body.to_vec();
    if let Some(byte) = bytes.get_mut(place) {
        *byte = !*byte;
    }
    Body::from(bytes)
}
