//! What a request to S3 asks for, told from its method and address before anything answers it.

use hyper::{HeaderMap, Method, Uri};
use jiff::Timestamp;

/// The calls this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `ListObjectsV2`.
    List,
    /// `GetObject`.
    Get,
    /// `HeadObject`.
    Head,
    /// `PutObject`.
    Put,
    /// `DeleteObject`.
    Delete,
    /// `DeleteObjects`.
    DeleteMany,
    /// `HeadBucket`.
    HeadBucket,
    /// `GetBucketLocation`.
    BucketLocation,
    /// `GetBucketNotificationConfiguration`.
    Notification,
    /// STS `GetCallerIdentity`.
    CallerIdentity,
    /// SQS; its action is the request's key.
    Queue,
    /// Anything else.
    Other,
}

/// One request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// Real time of its arrival.
    pub at: Timestamp,
    /// The call.
    pub operation: Operation,
    /// The bucket, or nothing for STS.
    pub bucket: String,
    /// The object's key; for a [`Operation::List`] the prefix asked for.
    pub key: String,
    /// The query's pairs, decoded.
    pub query: Vec<(String, String)>,
    /// The access key that signed it.
    pub access_key: Option<String>,
    /// The region it was signed for.
    pub region: Option<String>,
    /// The session token that it carried, as temporary credentials have one.
    pub session_token: Option<String>,
    /// Whether whoever signed it is willing to pay for it.
    pub pays: bool,
    /// The status it was answered with; 0 while it is under way, or when no answer was sent.
    pub status: u16,
}

impl Request {
    /// The value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn read(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let query: Vec<(String, String)> =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let has = |name: &str| query.iter().any(|(key, _)| key == name);
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy();
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let queued = super::queues::action(headers);
        let operation = match (method, bucket.is_empty(), key.is_empty()) {
            (&Method::POST, true, _) if queued.is_some() => Operation::Queue,
            (&Method::POST, true, _) => Operation::CallerIdentity,
            (&Method::GET, false, true) if has("location") => Operation::BucketLocation,
            (&Method::GET, false, true) if has("notification") => Operation::Notification,
            (&Method::GET, false, true) if has("list-type") => Operation::List,
            (&Method::HEAD, false, true) => Operation::HeadBucket,
            (&Method::POST, false, true) if has("delete") => Operation::DeleteMany,
            (&Method::GET, false, false) => Operation::Get,
            (&Method::HEAD, false, false) => Operation::Head,
            (&Method::PUT, false, false) => Operation::Put,
            (&Method::DELETE, false, false) => Operation::Delete,
            _ => Operation::Other,
        };
        let mut key = key.to_owned();
        if operation == Operation::List {
            key =
                query.iter().find(|(name, _)| name == "prefix").map_or_else(String::new, |(_, v)| v.clone());
        }
        if let Some(action) = queued {
            key = action;
        }
        let (access_key, region) = signer(headers).unzip();
        Self {
            at: Timestamp::now(),
            operation,
            bucket: bucket.to_owned(),
            key,
            query,
            access_key,
            region,
            session_token: headers
                .get("x-amz-security-token")
                .and_then(|token| token.to_str().ok())
                .map(str::to_owned),
            pays: headers.get("x-amz-request-payer").is_some_and(|payer| payer == "requester"),
            status: 0,
        }
    }
}

/// Access key and region of the header `Authorization: AWS4-HMAC-SHA256 Credential=<key>/<day>/<region>/…`.
fn signer(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get("authorization")?.to_str().ok()?;
    let scope = value.split_once("Credential=")?.1.split(',').next()?;
    let mut parts = scope.split('/');
    let access_key = parts.next()?.to_owned();
    let region = parts.nth(1)?.to_owned();
    Some((access_key, region))
}
