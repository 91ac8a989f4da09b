//! S3 and STS on a loopback port: the real wire protocol with signatures, over a store in memory that a test fills,
//! watches and breaks.
//!
//! One address serves both `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL_STS`; buckets are addressed path-style. An
//! unknown access key is answered with `InvalidAccessKeyId` (STS: `InvalidClientTokenId`), a wrong secret with
//! `SignatureDoesNotMatch`.

mod operations;
mod queues;
mod request;
mod rules;
mod sessions;
mod signature;
mod store;
mod sts;

use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Result, s3_error};

pub use queues::Queues;
pub use request::{Operation, Request};
pub use rules::{Rule, Trouble};
pub use sessions::{Role, Sessions, Trust};
pub use store::{Destination, Object};
pub use sts::ACCOUNT;

use crate::clock::Clock;
use crate::wire::Listener;

/// A running S3 with no bucket yet. Stops when dropped.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    control: Control,
}

/// The hand on a [`Server`]: what is in it, what was asked of it, what goes wrong. Clones are the same hand.
#[derive(Clone, Debug, Default)]
pub struct Control {
    store: Arc<RwLock<store::Store>>,
    clock: Clock,
    requests: Arc<Mutex<Vec<Request>>>,
    rules: Arc<Mutex<Vec<Rule>>>,
    sessions: Sessions,
    queues: Queues,
}

impl Server {
    /// Starts a server that knows one account.
    pub async fn start(access_key: &str, secret_access_key: &str) -> Self {
        let control = Control::default();
        let operations =
            operations::Operations { store: Arc::clone(&control.store), clock: control.clock.clone() };
        let mut builder = S3ServiceBuilder::new(operations);
        builder.set_auth(Account {
            access_key: access_key.to_owned(),
            secret_access_key: SecretKey::from(secret_access_key),
            sessions: control.sessions.clone(),
        });
        builder.set_route(sts::Route(control.sessions.clone()));
        let service = builder.build();
        let handler = {
            let (control, secret) = (control.clone(), secret_access_key.to_owned());
            move |request| answer(service.clone(), control.clone(), secret.clone(), request)
        };
        Self { listener: Listener::start(handler).await, control }
    }

    /// The address of both S3 and STS, without a slash at the end.
    pub fn endpoint_url(&self) -> String {
        self.listener.url()
    }

    /// The hand on this server.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

/// Whose signatures are good: those of one account, and of the sessions.
struct Account {
    access_key: String,
    secret_access_key: SecretKey,
    sessions: Sessions,
}

#[async_trait::async_trait]
impl S3Auth for Account {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key {
            return Ok(self.secret_access_key.clone());
        }
        self.sessions.secret(access_key).ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
        })
    }
}

async fn answer(
    service: S3Service,
    control: Control,
    secret: String,
    incoming: hyper::Request<Incoming>,
) -> Response<Body> {
    let request = Request::read(incoming.method(), incoming.uri(), incoming.headers());
    let trouble = control.trouble(&request).or_else(|| {
        if control.is_unpaid(&request) {
            return Some(Trouble::ErrorSaying(403, "AccessDenied", "Access Denied"));
        }
        let (code, message) = control.sessions.fault(&request)?;
        Some(Trouble::ErrorSaying(400, code, message))
    });
    let is_of_s3 = !matches!(trouble, Some(Trouble::Page(..)));
    let number = control.note(request.clone());
    let usual = async {
        if let Some(region) = control.region_elsewhere(&request) {
            return rules::permanent_redirect(&region, &request);
        }
        if request.operation == Operation::Queue {
            let secret = control.sessions.secret_of(&request).unwrap_or(secret);
            return control.queues.answer(&request.key, &secret, incoming).await;
        }
        let response = service.call(incoming.map(Body::from)).await.unwrap_or_else(|_| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        });
        match request.operation {
            Operation::CallerIdentity => sts::in_words_of_sts(response).await,
            _ => response,
        }
    };
    let mut response = rules::play(trouble, &request, usual).await;
    if request.operation == Operation::Queue && !response.status().is_success() {
        response = queues::in_words_of_sqs(response).await;
    }
    control.answered(number, response.status());
    let headers = response.headers_mut();
    headers.insert("date", HeaderValue::from_str(&control.clock.http_date()).expect("a date"));
    if is_of_s3 {
        let id = uuid::Uuid::new_v4().simple().to_string();
        headers.insert("x-amz-request-id", HeaderValue::from_str(&id).expect("hexadecimal"));
    }
    response
}

impl Control {
    /// Creates an empty bucket, in whatever region the caller thinks.
    pub fn create_bucket(&self, bucket: &str) {
        self.store.write().unwrap().buckets.entry(bucket.to_owned()).or_default();
    }

    /// Moves a bucket to a region: requests signed for another one are redirected (301 `PermanentRedirect`).
    pub fn set_region(&self, bucket: &str, region: &str) {
        self.bucket(bucket, |bucket| bucket.region = Some(region.to_owned()));
    }

    /// From now on whoever calls a bucket pays for it, and is refused without being willing to.
    pub fn let_requesters_pay(&self, bucket: &str) {
        self.bucket(bucket, |bucket| bucket.requester_pays = true);
    }

    /// From now on each object that is written to a bucket is announced in a queue.
    pub fn announce(&self, bucket: &str, queue: &str) {
        self.bucket(bucket, |bucket| bucket.announced_in = Some(queue.to_owned()));
        self.notify(bucket, &[Destination::Queue { arn: queues::arn(queue), prefix: String::new() }]);
    }

    /// What the bucket says of where it announces its new objects.
    pub fn notify(&self, bucket: &str, destinations: &[Destination]) {
        self.bucket(bucket, |bucket| bucket.notified = destinations.to_vec());
    }

    /// Writes an object, now by the server's clock.
    pub fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        self.put_at(bucket, key, body, self.clock.now());
    }

    /// Writes an object with a Last-Modified of the caller's choice; whole seconds go over the wire.
    pub fn put_at(&self, bucket: &str, key: &str, body: impl Into<Bytes>, last_modified: Timestamp) {
        let object = Object::new(body.into(), last_modified);
        let message = queues::created(bucket, key, &object);
        let queue = self.bucket(bucket, |bucket| {
            bucket.put(key, object);
            bucket.announced_in.clone()
        });
        if let Some(queue) = queue {
            self.queues.send(&queue, &message.to_string());
        }
    }

    /// Changes the storage class of an object, e.g. to `GLACIER`: still listed, no longer readable.
    pub fn set_storage_class(&self, bucket: &str, key: &str, storage_class: &'static str) {
        self.bucket(bucket, |bucket| {
            let mut object = bucket.get(key).expect("an object").clone();
            object.storage_class = storage_class;
            bucket.put(key, object);
        });
    }

    /// Removes an object, if it is there.
    pub fn remove(&self, bucket: &str, key: &str) {
        self.bucket(bucket, |bucket| bucket.remove(key));
    }

    /// The object under a key.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Object> {
        self.bucket(bucket, |bucket| bucket.get(key).cloned())
    }

    /// All keys of a bucket in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.bucket(bucket, |bucket| bucket.keys())
    }

    /// The clock that `Date` shows, and Last-Modified of what is written without one. Signatures are held
    /// against real time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The roles that can be assumed, and who did.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The queues of SQS.
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// From now on requests that meet `rule` go wrong as it says; the rule that was added first wins.
    pub fn add_rule(&self, rule: Rule) {
        self.rules.lock().unwrap().push(rule);
    }

    /// Nothing goes wrong any longer.
    pub fn clear_rules(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// All requests so far, in the order they came.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests of one kind came so far.
    pub fn count(&self, operation: Operation) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.operation == operation).count()
    }

    fn bucket<T>(&self, name: &str, with: impl FnOnce(&mut store::Bucket) -> T) -> T {
        let mut store = self.store.write().unwrap();
        with(store.buckets.get_mut(name).unwrap_or_else(|| panic!("no bucket {name}: create it first")))
    }

    fn trouble(&self, request: &Request) -> Option<Trouble> {
        self.rules.lock().unwrap().iter_mut().find_map(|rule| rule.meets(request))
    }

    /// The region of the request's bucket, if it was signed for another.
    fn region_elsewhere(&self, request: &Request) -> Option<String> {
        let store = self.store.read().unwrap();
        let region = store.buckets.get(&request.bucket)?.region.as_ref()?;
        let elsewhere = request.region.as_ref().is_some_and(|signed| signed != region);
        (elsewhere && request.operation != Operation::BucketLocation).then(|| region.clone())
    }

    /// Whether somebody must pay for the request and does not say to.
    fn is_unpaid(&self, request: &Request) -> bool {
        let store = self.store.read().unwrap();
        !request.pays && store.buckets.get(&request.bucket).is_some_and(|bucket| bucket.requester_pays)
    }

    fn note(&self, request: Request) -> usize {
        let mut requests = self.requests.lock().unwrap();
        requests.push(request);
        requests.len() - 1
    }

    fn answered(&self, number: usize, status: StatusCode) {
        if let Some(request) = self.requests.lock().unwrap().get_mut(number) {
            request.status = status.as_u16();
        }
    }
}
