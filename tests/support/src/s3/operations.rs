//! The operations of S3 over the store.

use std::ops::Bound;
use std::sync::{Arc, RwLock};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::TryStreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::store::{self, Bucket, Destination, Query, Store};
use crate::clock::Clock;

/// What a listing encodes on request: all but letters, digits and `-_.*/`; a space becomes `+`.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');
/// S3 limits a page to this, whatever `max-keys` says.
const MAX_KEYS: i32 = 1000;

pub(super) struct Operations {
    pub(super) store: Arc<RwLock<Store>>,
    pub(super) clock: Clock,
}

impl Operations {
    fn read<T>(&self, bucket: &str, read: impl FnOnce(&Bucket) -> S3Result<T>) -> S3Result<T> {
        let store = self.store.read().unwrap();
        read(store.buckets.get(bucket).ok_or_else(|| no_such_bucket(bucket))?)
    }

    fn write<T>(&self, bucket: &str, write: impl FnOnce(&mut Bucket) -> S3Result<T>) -> S3Result<T> {
        let mut store = self.store.write().unwrap();
        write(store.buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?)
    }

    fn object(&self, bucket: &str, key: &str) -> S3Result<store::Object> {
        self.read(bucket, |bucket| {
            bucket.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
        })
    }
}

fn no_such_bucket(name: &str) -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist: {name}")
}

fn time(at: jiff::Timestamp) -> Timestamp {
    // S3 keeps whole seconds.
    let seconds = u64::try_from(at.as_second()).unwrap_or(0);
    Timestamp::from(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

fn etag(object: &store::Object) -> ETag {
    ETag::Strong(object.etag())
}

/// Whether the object under a key fits `If-Match` and `If-None-Match`.
fn check(
    object: Option<&store::Object>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let fits = |condition: &ETagCondition, object: &store::Object| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(tag) => tag.value() == object.etag(),
    };
    let failed =
        || s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold");
    match (if_match, object) {
        (Some(_), None) => return Err(S3Error::new(S3ErrorCode::NoSuchKey)),
        (Some(condition), Some(object)) if !fits(condition, object) => return Err(failed()),
        _ => {}
    }
    match (if_none_match, object) {
        (Some(condition), Some(object)) if fits(condition, object) => Err(failed()),
        _ => Ok(()),
    }
}

/// The opaque token of a place in a listing, and back.
fn token(place: &Bound<Vec<u8>>) -> String {
    let (kind, key) = match place {
        Bound::Included(key) => (b'i', key.as_slice()),
        Bound::Excluded(key) => (b'x', key.as_slice()),
        Bound::Unbounded => (b'i', &[][..]),
    };
    BASE64_URL_SAFE_NO_PAD.encode([&[kind], key].concat())
}

fn place(token: &str) -> S3Result<Bound<Vec<u8>>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    match bytes.split_first() {
        Some((b'i', key)) => Ok(Bound::Included(key.to_vec())),
        Some((b'x', key)) => Ok(Bound::Excluded(key.to_vec())),
        _ => Err(s3_error!(InvalidArgument, "The continuation token provided is incorrect")),
    }
}

fn no_such_upload() -> S3Error {
    s3_error!(NoSuchUpload, "The specified multipart upload does not exist.")
}

async fn whole(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let mut whole = Vec::new();
    if let Some(mut stream) = body {
        while let Some(chunk) =
            stream.try_next().await.map_err(|source| s3_error!(IncompleteBody, "{source}"))?
        {
            whole.extend_from_slice(&chunk);
        }
    }
    Ok(Bytes::from(whole))
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let from = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => place(token)?,
            (None, Some(key)) => Bound::Excluded(key.as_bytes().to_vec()),
            (None, None) => Bound::Unbounded,
        };
        let max_keys = input.max_keys.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS);
        let page = self.read(&input.bucket, |bucket| {
            Ok(bucket.list(&Query {
                prefix: input.prefix.as_deref().unwrap_or_default(),
                delimiter: input.delimiter.as_deref().unwrap_or_default(),
                from,
                max_keys: usize::try_from(max_keys).unwrap_or(0),
            }))
        })?;
        // As S3 does: everything but what needs no encoding, and a space as `+`.
        let is_encoded = input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL);
        let told = |key: String| match is_encoded {
            true => utf8_percent_encode(&key, ENCODED).to_string().replace(' ', "+"),
            false => key,
        };
        let key_count = i32::try_from(page.objects.len() + page.common_prefixes.len()).ok();
        let contents = page.objects.into_iter().map(|(key, object)| Object {
            e_tag: Some(etag(&object)),
            last_modified: Some(time(object.last_modified)),
            size: i64::try_from(object.body.len()).ok(),
            storage_class: Some(ObjectStorageClass::from_static(object.storage_class)),
            key: Some(told(key)),
            ..Object::default()
        });
        let common_prefixes =
            page.common_prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(told(prefix)) });
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(contents.collect()),
            common_prefixes: Some(common_prefixes.collect()),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.as_ref().map(token),
            key_count,
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            prefix: Some(told(input.prefix.unwrap_or_default())),
            continuation_token: input.continuation_token,
            delimiter: input.delimiter,
            encoding_type: input.encoding_type,
            start_after: input.start_after.map(told),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key)?;
        check(Some(&object), input.if_match.as_ref(), None)?;
        if object.is_archived() {
            return Err(s3_error!(
                InvalidObjectState,
                "The operation is not valid for the object's storage class"
            ));
        }
        let length = object.body.len() as u64;
        let range = input.range.map(|range| range.check(length)).transpose();
        let range = range.map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?;
        let content_range = range
            .as_ref()
            .map(|range| format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1)));
        let body = match range {
            None => object.body.clone(),
            Some(range) => object.body.slice(range.start as usize..range.end as usize),
        };
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(body.len()).ok(),
            content_range,
            content_type: Some("application/octet-stream".to_owned()),
            e_tag: Some(etag(&object)),
            last_modified: Some(time(object.last_modified)),
            storage_class: Some(StorageClass::from_static(object.storage_class)),
            body: Some(StreamingBlob::from(s3s::Body::from(body))),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key)?;
        check(Some(&object), input.if_match.as_ref(), None)?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(object.body.len()).ok(),
            e_tag: Some(etag(&object)),
            last_modified: Some(time(object.last_modified)),
            storage_class: Some(StorageClass::from_static(object.storage_class)),
            ..HeadObjectOutput::default()
        }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let region = request.region.map(|region| region.as_str().to_owned());
        let bucket_region =
            self.read(&request.input.bucket, |bucket| Ok(bucket.region.clone().or(region)))?;
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..HeadBucketOutput::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let region = self.read(&request.input.bucket, |bucket| Ok(bucket.region.clone()))?;
        // For historical reasons the first region of all has no name here.
        let location_constraint =
            region.filter(|region| region != "us-east-1").map(BucketLocationConstraint::from);
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn get_bucket_notification_configuration(
        &self,
        request: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
        let destinations = self.read(&request.input.bucket, |bucket| Ok(bucket.notified.clone()))?;
        let events = || vec![Event::from("s3:ObjectCreated:*".to_owned())];
        let mut told = GetBucketNotificationConfigurationOutput::default();
        for destination in destinations {
            match destination {
                Destination::Queue { arn, prefix } => {
                    let name = Some(FilterRuleName::from_static("Prefix"));
                    let rule = FilterRule { name, value: Some(prefix) };
                    let key = Some(S3KeyFilter { filter_rules: Some(vec![rule]) });
                    let filter = Some(NotificationConfigurationFilter { key });
                    let queue = QueueConfiguration { events: events(), filter, id: None, queue_arn: arn };
                    told.queue_configurations.get_or_insert_default().push(queue);
                }
                Destination::Topic(topic_arn) => {
                    let topic = TopicConfiguration { events: events(), filter: None, id: None, topic_arn };
                    told.topic_configurations.get_or_insert_default().push(topic);
                }
                Destination::EventBridge => {
                    told.event_bridge_configuration = Some(EventBridgeConfiguration::default());
                }
            }
        }
        Ok(S3Response::new(told))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let object = store::Object::new(whole(input.body).await?, self.clock.now());
        let e_tag = Some(etag(&object));
        self.write(&input.bucket, |bucket| {
            check(bucket.get(&input.key), input.if_match.as_ref(), input.if_none_match.as_ref())?;
            bucket.put(&input.key, object);
            Ok(())
        })?;
        Ok(S3Response::new(PutObjectOutput { e_tag, ..PutObjectOutput::default() }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        self.write(&input.bucket, |bucket| Ok(bucket.remove(&input.key)))?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let keys: Vec<_> = input.delete.objects.into_iter().map(|object| object.key).collect();
        self.write(&input.bucket, |bucket| {
            for key in &keys {
                bucket.remove(key);
            }
            Ok(())
        })?;
        let quiet = input.delete.quiet.unwrap_or(false);
        let deleted =
            keys.into_iter().map(|key| DeletedObject { key: Some(key), ..DeletedObject::default() });
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (!quiet).then(|| deleted.collect()),
            ..DeleteObjectsOutput::default()
        }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(InvalidArgument, "The copy source is no object of a bucket"));
        };
        let object = self.object(bucket, key)?;
        let result = CopyObjectResult { e_tag: Some(etag(&object)), ..CopyObjectResult::default() };
        let copy = store::Object::new(object.body, self.clock.now());
        self.write(&input.bucket, |bucket| {
            bucket.put(&input.key, copy);
            Ok(())
        })?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..CopyObjectOutput::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let CreateMultipartUploadInput { bucket, key, .. } = request.input;
        let upload_id = self.write(&bucket, |bucket| Ok(bucket.begin_upload()))?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(upload_id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let part = store::Object::new(whole(input.body).await?, self.clock.now());
        let e_tag = Some(etag(&part));
        self.write(&input.bucket, |bucket| {
            let parts = bucket.uploads.get_mut(&input.upload_id).ok_or_else(no_such_upload)?;
            parts.insert(input.part_number, part.body);
            Ok(())
        })?;
        Ok(S3Response::new(UploadPartOutput { e_tag, ..UploadPartOutput::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let CompleteMultipartUploadInput { bucket: name, key, upload_id, .. } = request.input;
        let e_tag = self.write(&name, |bucket| {
            let parts = bucket.uploads.remove(&upload_id).ok_or_else(no_such_upload)?;
            let body: Vec<u8> = parts.into_values().flatten().collect();
            let object = store::Object::new(Bytes::from(body), self.clock.now());
            let e_tag = etag(&object);
            bucket.put(&key, object);
            Ok(e_tag)
        })?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(name),
            key: Some(key),
            e_tag: Some(e_tag),
            ..CompleteMultipartUploadOutput::default()
        }))
    }
}
