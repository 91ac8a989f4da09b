//! The customer's bucket: listing, reading, and what its refusals mean.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::{
    Region, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{EncodingType, RequestPayer};
use bytes::{Buf as _, Bytes};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use tokio::time::Instant;

use self::clock::ServerClock;
use crate::aws::role::Session;
use crate::aws::{self, Aws};
use crate::config::TriggerConfiguration;
use crate::http::{causes, quoted};
use crate::platform::metrics::{Metrics, Operation};

mod announce;
mod clock;
mod content;
mod failure;

pub use announce::{Announcements, Target};
pub use content::Content;
pub use failure::{S3Error, S3Failure};

/// Time for one attempt at a call. A part of an object is 2 MiB at most: this is 70 kB/s.
const ATTEMPT: Duration = Duration::from_secs(30);

/// As much as is looked at of an answer that is no S3's.
const QUOTED_BYTES: usize = 16 * 1024;

/// A bucket of the customer's. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Bucket {
    name: Arc<str>,
    store: Arc<dyn Store>,
    metrics: Metrics,
}

/// What holds the objects: S3, or a simulation of it.
pub trait Store: std::fmt::Debug + Send + Sync {
    /// One page of a listing.
    fn list<'a>(&'a self, request: ListRequest<'a>) -> Answer<'a, Page>;

    /// `length` bytes of an object from `offset` on, or fewer where it ends or the answer broke off. Fails if the
    /// object is not the one that was listed any more.
    fn read<'a>(&'a self, object: &'a Object, offset: u64, length: u64) -> Answer<'a, Content>;

    /// The time by the store's clock, as its last answer showed it; the local time before the first answer.
    fn now(&self) -> Timestamp;

    /// What there is under a key; `None` if that cannot be told.
    fn look<'a>(&'a self, _key: &'a str) -> Answer<'a, Option<Object>> {
        async { Ok(None) }.boxed()
    }

    /// Fails if no request can be made of what is configured; asks nobody.
    fn check(&self) -> Answer<'_, ()> {
        async { Ok(()) }.boxed()
    }

    /// Where the bucket announces new objects.
    fn announcements(&self) -> Answer<'_, Announcements> {
        async { Ok(Announcements::default()) }.boxed()
    }

    /// The region that the bucket is in; `None` if the store does not say.
    fn region(&self) -> Answer<'_, Option<String>> {
        async { Ok(None) }.boxed()
    }
}

/// What a [`Store`] answers, some time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, S3Error>>;

/// S3 as a [`Store`].
#[derive(Debug)]
struct S3 {
    client: aws_sdk_s3::Client,
    bucket: Arc<str>,
    /// Who pays for the calls, if not the bucket's owner.
    payer: Option<RequestPayer>,
    clock: ServerClock,
    /// Where the credentials are a role's.
    session: Option<Arc<Session>>,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The whole key.
    pub key: String,
    /// Size in bytes, as stored.
    pub body_bytes: u64,
    /// When S3 took it, by S3's clock, to the second.
    pub last_modified: Timestamp,
    /// What tells this content from another under the same key.
    pub etag: Option<String>,
}

/// What a listing asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListRequest<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Only keys after this one, in the order of their bytes.
    pub start_after: Option<&'a str>,
    /// Folds the keys that have a `/` after the prefix into folders.
    pub folded: bool,
    /// Goes on with a listing where a page ended: its [`Page::next`].
    pub continued: Option<&'a str>,
}

/// One answer to a listing: 1000 entries at most.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Objects in the order of their keys.
    pub objects: Vec<Object>,
    /// Prefixes up to and with the next `/`, in order, if folded.
    pub folders: Vec<String>,
    /// S3's token for the next page; `None` on the last one.
    pub next: Option<String>,
}

impl Bucket {
    /// The bucket of `configuration`, read as `aws` has it.
    pub fn new(aws: &Aws, configuration: &TriggerConfiguration, metrics: Metrics) -> Self {
        Self::in_region(aws, &configuration.bucket, aws.region(), configuration.requester_pays, metrics)
    }

    /// The bucket `name`, asked in `region`.
    pub fn in_region(aws: &Aws, name: &str, region: &str, requester_pays: bool, metrics: Metrics) -> Self {
        let clock = ServerClock::default();
        let config = aws
            .s3()
            .region(Region::new(region.to_owned()))
            .timeout_config(aws::time_limits(Some(ATTEMPT), None))
            // [`ATTEMPT`] bounds the body too, without a look at the clock for each of its pieces.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // A reader has nothing to checksum, and a gzip member and a Parquet page carry sums of their own.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .interceptor(clock.clone());
        let client = aws_sdk_s3::Client::from_conf(config.build());
        let payer = requester_pays.then_some(RequestPayer::Requester);
        let session = aws.session().cloned();
        Self::over(name, S3 { client, bucket: name.into(), payer, clock, session }, metrics)
    }

    /// The bucket `name` of a store.
    pub fn over(name: &str, store: impl Store + 'static, metrics: Metrics) -> Self {
        Self { name: name.into(), store: Arc::new(store), metrics }
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time by S3's clock, as its last answer showed it; the local time before the first answer.
    pub fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// One page of a listing.
    pub async fn list(&self, request: ListRequest<'_>) -> Result<Page, S3Error> {
        self.count("list");
        self.store.list(request).await
    }

    /// `length` bytes of an object from `offset` on, or fewer where it ends. Fails if the object is not the one that
    /// was listed any more.
    pub async fn read(&self, object: &Object, offset: u64, length: u64) -> Result<Content, S3Error> {
        self.count("get");
        let body = self.store.read(object, offset, length).await?;
        let expected = object.expected(offset, length);
        if body.remaining() as u64 != expected {
            let detail = format!("{} bytes came where {expected} were asked for", body.remaining());
            return Err(S3Error::new("get", &self.name, &object.key, detail, S3Failure::Passing));
        }
        self.metrics.object_bytes.inc_by(expected);
        Ok(body)
    }

    /// What [`Bucket::read`] gives, in one piece.
    pub async fn read_whole(&self, object: &Object, offset: u64, length: u64) -> Result<Bytes, S3Error> {
        let mut content = self.read(object, offset, length).await?;
        Ok(content.copy_to_bytes(content.remaining()))
    }

    /// What there is under a key; `None` if that cannot be told, because it is gone or may not be asked for instance.
    pub async fn look(&self, key: &str) -> Result<Option<Object>, S3Error> {
        self.count("head");
        self.store.look(key).await
    }

    /// Fails if no request can be made of the bucket's name and the account's region; asks nobody.
    pub async fn check(&self) -> Result<(), S3Error> {
        self.store.check().await
    }

    /// The region that the bucket is in, e.g. `eu-west-3`, whichever region was asked; `None` if S3 does not say. It may
    /// say so even where it allows nothing else.
    pub async fn region(&self) -> Result<Option<String>, S3Error> {
        self.count("head");
        self.store.region().await
    }

    /// Where the bucket announces new objects.
    pub async fn announcements(&self) -> Result<Announcements, S3Error> {
        self.store.announcements().await
    }

    fn count(&self, operation: &'static str) {
        self.metrics.s3_calls.get_or_create(&Operation { operation }).inc();
    }
}

impl S3 {
    /// Makes a call, and once more if the role's credentials turn out to have ended: with new ones.
    async fn with_credentials<T, F>(&self, call: impl Fn() -> F) -> Result<T, S3Error>
    where
        F: Future<Output = Result<T, S3Error>>,
    {
        let since = Instant::now();
        let called = call().await;
        match (&called, &self.session) {
            (Err(error), Some(session)) if *error.failure() == S3Failure::TemporaryKey => {
                session.give_up(since);
                call().await
            }
            _ => called,
        }
    }
}

impl Store for S3 {
    fn list<'a>(&'a self, request: ListRequest<'a>) -> Answer<'a, Page> {
        let list = move || async move {
            let listed = self
                .client
                .list_objects_v2()
                .bucket(&*self.bucket)
                .prefix(request.prefix)
                .set_start_after(request.start_after.map(str::to_owned))
                .set_delimiter(request.folded.then(|| "/".to_owned()))
                .set_continuation_token(request.continued.map(str::to_owned))
                // A key may hold characters that XML cannot.
                .encoding_type(EncodingType::Url)
                .set_request_payer(self.payer.clone())
                .send()
                .await
                .map_err(|error| S3Error::from_sdk("list", &self.bucket, request.prefix, &error))?;
            let is_encoded = listed.encoding_type == Some(EncodingType::Url);
            let next = listed.next_continuation_token.filter(|_| listed.is_truncated.unwrap_or(false));
            let objects = listed.contents.unwrap_or_default().into_iter();
            let objects: Option<Vec<Object>> = objects.map(|listed| object(listed, is_encoded)).collect();
            let folders = listed.common_prefixes.unwrap_or_default().into_iter();
            let folders: Option<Vec<String>> =
                folders.map(|folder| Some(decoded(folder.prefix?, is_encoded))).collect();
            let page = objects.zip(folders).map(|(objects, folders)| Page { objects, folders, next });
            page.ok_or_else(|| {
                let detail = "an entry of the listing has no key or no time".to_owned();
                S3Error::new("list", &self.bucket, request.prefix, detail, S3Failure::Other)
            })
        };
        self.with_credentials(list).boxed()
    }

    fn read<'a>(&'a self, object: &'a Object, offset: u64, length: u64) -> Answer<'a, Content> {
        let whole = offset == 0 && length >= object.body_bytes;
        let range =
            (!whole).then(|| format!("bytes={offset}-{}", offset.saturating_add(length).saturating_sub(1)));
        let read = move || {
            let range = range.clone();
            async move {
                let answer = self
                    .client
                    .get_object()
                    .bucket(&*self.bucket)
                    .key(&object.key)
                    .set_range(range)
                    .set_if_match(object.etag.clone().filter(|_| !whole))
                    .set_request_payer(self.payer.clone())
                    .send()
                    .await
                    .map_err(|error| S3Error::from_sdk("get", &self.bucket, &object.key, &error))?;
                let broken =
                    |detail| S3Error::new("get", &self.bucket, &object.key, detail, S3Failure::Passing);
                let expected = object.expected(offset, length);
                let is_of_s3 = answer.e_tag.is_some();
                let body = tokio::time::timeout(ATTEMPT, content::gather(answer.body, expected)).await;
                let late = |_| broken(format!("the body did not arrive within {} s", ATTEMPT.as_secs()));
                let mut body = body.map_err(late)?.map_err(|error| broken(causes(&error)))?;
                if !is_of_s3 && body.remaining() as u64 != expected {
                    let detail = quoted(&body.copy_to_bytes(body.remaining().min(QUOTED_BYTES)));
                    return Err(S3Error::new("get", &self.bucket, &object.key, detail, S3Failure::NotS3));
                }
                Ok(body)
            }
        };
        async move { self.with_credentials(read).await }.boxed()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn look<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Object>> {
        let looked = async move {
            let asked = self.client.head_object().bucket(&*self.bucket).key(key);
            let asked = asked.set_request_payer(self.payer.clone()).send().await;
            // The answer to a HEAD has no body that could say why not.
            Ok(asked.ok().and_then(|found| {
                Some(Object {
                    key: key.to_owned(),
                    body_bytes: found.content_length?.try_into().ok()?,
                    last_modified: Timestamp::from_second(found.last_modified?.secs()).ok()?,
                    etag: found.e_tag,
                })
            }))
        };
        looked.boxed()
    }

    fn check(&self) -> Answer<'_, ()> {
        let checked = async move {
            // To sign a URL takes all that a call takes, but the call.
            let time = PresigningConfig::expires_in(Duration::from_secs(1));
            let Ok(time) = time else { return Ok(()) };
            let signed = self.client.get_object().bucket(&*self.bucket).key("key").presigned(time).await;
            signed.map(drop).map_err(|error| S3Error::from_sdk("make a request of", &self.bucket, "", &error))
        };
        checked.boxed()
    }

    fn announcements(&self) -> Answer<'_, Announcements> {
        Self::announcements(self).boxed()
    }

    fn region(&self) -> Answer<'_, Option<String>> {
        let asked = async move {
            let error = match self.client.head_bucket().bucket(&*self.bucket).send().await {
                Ok(answer) => return Ok(answer.bucket_region),
                Err(error) => error,
            };
            let answer = error.raw_response();
            let region = answer.and_then(|answer| answer.headers().get("x-amz-bucket-region"));
            if let Some(region) = region {
                return Ok(Some(region.to_owned()));
            }
            // The answer to a HEAD has no body that could say more than the status.
            match answer.map(|answer| answer.status().as_u16()) {
                Some(403) => Ok(None),
                Some(404) => {
                    let detail = "there is no such bucket (HTTP 404)".to_owned();
                    Err(S3Error::new("head", &self.bucket, "", detail, S3Failure::NoBucket))
                }
                _ => Err(S3Error::from_sdk("head", &self.bucket, "", &error)),
            }
        };
        asked.boxed()
    }
}

impl Object {
    /// How many bytes there are of it from `offset` on, `length` at most.
    fn expected(&self, offset: u64, length: u64) -> u64 {
        length.min(self.body_bytes.saturating_sub(offset))
    }
}

fn object(listed: aws_sdk_s3::types::Object, is_encoded: bool) -> Option<Object> {
    Some(Object {
        key: decoded(listed.key?, is_encoded),
        body_bytes: listed.size.and_then(|size| size.try_into().ok()).unwrap_or(0),
        last_modified: Timestamp::from_second(listed.last_modified?.secs()).ok()?,
        etag: listed.e_tag,
    })
}

/// A key as it is, if it came in the form that URLs have it.
fn decoded(key: String, is_encoded: bool) -> String {
    if !is_encoded || !key.contains(['%', '+']) {
        return key;
    }
    let key = key.replace('+', " ");
    percent_decode_str(&key).decode_utf8_lossy().into_owned()
}
