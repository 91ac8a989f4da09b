//! The storage as a bucket that the platform lends: any store that speaks S3.

use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, TryFutureExt as _, TryStreamExt as _};
use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::path::Path as Key;
use object_store::{
    Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload, RetryConfig, WriteMultipart,
};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::super::values::Values;
use super::{Answer, Backend, Hold, Pieces, StorageError};
use crate::http::{builder, causes, excerpt};

/// Time for one call. The largest are batches and parts of files.
const CALL: Duration = Duration::from_secs(30);
/// A call that fails is tried again for so long; then whoever asked decides, and can be told to stop meanwhile.
const RETRIES: usize = 2;
/// Files that do not fit into memory are sent in parts of this size, so many at a time.
const PART_BYTES: usize = 8 * 1024 * 1024;
const PARTS: usize = 2;
/// A file that is held is written again this often; one that was not for longer is held by nobody.
const RENEWED: Duration = Duration::from_secs(10);
const ABANDONED: i64 = 30;

/// A bucket, or a folder of one.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<AmazonS3>,
    /// What keys begin with: empty, or a path without a `/` at its end.
    folder: String,
    name: String,
}

/// Gives out the HTTP client with the certificates that the platform gave.
#[derive(Clone, Debug)]
struct Certified(reqwest::Client);

impl HttpConnector for Certified {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl Bucket {
    /// The bucket that the values describe: `aws_bucket_name`, `aws_access_key_id`, `aws_secret_access_key`, and where
    /// they are set `aws_session_token`, `aws_default_region`, `aws_s3_endpoint_url`, `ca_cert`, `client_cert` and
    /// `client_key` (PEM); keys begin with `folder`.
    pub fn from_values(values: &Values, folder: &str) -> Result<Self, StorageError> {
        let name = values.required_text("aws_bucket_name")?.trim().to_owned();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&name)
            .with_access_key_id(values.required_text("aws_access_key_id")?.trim())
            .with_secret_access_key(values.required_secret("aws_secret_access_key")?.expose_secret().trim())
            .with_retry(RetryConfig { max_retries: RETRIES, retry_timeout: CALL, ..RetryConfig::default() })
            .with_http_connector(Certified(client(values)?));
        if let Some(token) = values.text("aws_session_token")? {
            builder = builder.with_token(token.trim());
        }
        if let Some(region) = values.text("aws_default_region")? {
            builder = builder.with_region(region.trim());
        }
        if let Some(endpoint) = values.text("aws_s3_endpoint_url")? {
            let endpoint = endpoint.trim();
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|error| StorageError::Bucket(causes(&error)))?;
        Ok(Self { store: Arc::new(store), folder: folder.trim_matches('/').to_owned(), name })
    }

    /// Makes a call about a file or folder, given its key.
    fn call<'a, T, F>(
        &'a self,
        action: &'static str,
        path: &'a Path,
        call: impl FnOnce(Arc<AmazonS3>, Key) -> F + Send + 'a,
    ) -> Answer<'a, T>
    where
        T: Send + 'a,
        F: Future<Output = std::io::Result<T>> + Send + 'a,
    {
        let called = async move {
            let key = self.key(path)?;
            call(Arc::clone(&self.store), key).await
        };
        let named = move |source| {
            let path = PathBuf::from(format!("s3://{}/{}", self.name, self.folder)).join(path);
            StorageError::Io { action, path, source }
        };
        called.map_err(named).boxed()
    }

    fn key(&self, path: &Path) -> std::io::Result<Key> {
        let mut parts: Vec<&str> = self.folder.split('/').filter(|part| !part.is_empty()).collect();
        for part in path.components().filter(|part| *part != Component::CurDir) {
            parts.push(part.as_os_str().to_str().ok_or(ErrorKind::InvalidFilename)?);
        }
        Key::parse(parts.join("/")).map_err(std::io::Error::other)
    }
}

impl Backend for Bucket {
    fn read<'a>(&'a self, path: &'a Path) -> Answer<'a, Option<Vec<u8>>> {
        self.call("read", path, async |store, key| match store.get(&key).await {
            Ok(found) => Ok(Some(found.bytes().await.map_err(failed)?.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        })
    }

    fn open<'a>(&'a self, path: &'a Path) -> Answer<'a, std::fs::File> {
        self.call("open", path, async |store, key| {
            let mut content = store.get(&key).await.map_err(failed)?.into_stream();
            let mut file = tokio::fs::File::from_std(tempfile::tempfile()?);
            while let Some(part) = content.try_next().await.map_err(failed)? {
                file.write_all(&part).await?;
            }
            file.flush().await?;
            file.rewind().await?;
            Ok(file.into_std().await)
        })
    }

    fn write<'a>(&'a self, path: &'a Path, content: Pieces) -> Answer<'a, ()> {
        self.call("write", path, async |store, key| {
            store.put(&key, PutPayload::from_iter(content.0)).await.map(drop).map_err(failed)
        })
    }

    fn write_from<'a>(&'a self, path: &'a Path, mut content: Box<dyn Read + Send>) -> Answer<'a, ()> {
        self.call("write", path, async move |store, key| {
            let upload = store.put_multipart(&key).await.map_err(failed)?;
            let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            loop {
                let read = tokio::task::spawn_blocking(move || {
                    let mut part = Vec::new();
                    let count = content.by_ref().take(PART_BYTES as u64).read_to_end(&mut part)?;
                    Ok::<_, std::io::Error>((count, part, content))
                });
                let (count, part, rest) = read.await.map_err(std::io::Error::other)??;
                content = rest;
                if count == 0 {
                    return writer.finish().await.map(drop).map_err(failed);
                }
                writer.wait_for_capacity(PARTS).await.map_err(failed)?;
                writer.put(part.into());
            }
        })
    }

    fn create<'a>(&'a self, path: &'a Path, content: Bytes) -> Answer<'a, bool> {
        self.call("create", path, async |store, key| {
            let created = store.put_opts(&key, content.clone().into(), PutMode::Create.into()).await;
            match created {
                Ok(_) => Ok(true),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
                Err(error) if reason(&error).contains("NotImplemented") => {
                    // A store without conditional writes. Instances look for each other before they write (`hold`);
                    // only two that start in the same moment may both take the file for theirs.
                    match store.head(&key).await {
                        Ok(_) => Ok(false),
                        Err(Error::NotFound { .. }) => {
                            store.put(&key, content.into()).await.map(|_| true).map_err(failed)
                        }
                        Err(error) => Err(failed(error)),
                    }
                }
                Err(error) => Err(failed(error)),
            }
        })
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> Answer<'a, ()> {
        let target = self.key(to);
        self.call("rename", from, async move |store, key| store.rename(&key, &target?).await.map_err(failed))
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> Answer<'a, ()> {
        self.call("remove", path, async |store, key| ignore_missing(store.delete(&key).await))
    }

    fn remove_folder<'a>(&'a self, path: &'a Path) -> Answer<'a, ()> {
        self.call("remove", path, async |store, key| {
            let mut files = store.list(Some(&key));
            while let Some(file) = files.try_next().await.map_err(failed)? {
                ignore_missing(store.delete(&file.location).await)?;
            }
            Ok(())
        })
    }

    fn hold<'a>(&'a self, path: &'a Path) -> Answer<'a, Hold> {
        self.call("hold", path, async |store, key| {
            store.put(&key, Bytes::new().into()).await.map_err(failed)?;
            let renewing = async move {
                let mut renewals = tokio::time::interval_at(Instant::now() + RENEWED, RENEWED);
                loop {
                    renewals.tick().await;
                    if let Err(error) = store.put(&key, Bytes::new().into()).await {
                        tracing::debug!(%error, "could not renew the sign of life");
                    }
                }
            };
            Ok(Box::new(AbortOnDropHandle::<()>::new(tokio::spawn(renewing))) as Hold)
        })
    }

    fn is_held<'a>(&'a self, path: &'a Path) -> Answer<'a, bool> {
        self.call("look at", path, async |store, key| match store.head(&key).await {
            Ok(found) => {
                let renewed = found.last_modified.timestamp();
                Ok((Timestamp::now().as_second() - renewed).abs() < ABANDONED)
            }
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        })
    }

    fn names<'a>(&'a self, path: &'a Path) -> Answer<'a, Vec<String>> {
        self.call("list", path, async |store, key| {
            let found = store.list_with_delimiter(Some(&key)).await.map_err(failed)?;
            let files = found.objects.into_iter().map(|file| file.location);
            let below = found.common_prefixes.into_iter().chain(files);
            let mut names: Vec<String> =
                below.filter_map(|path| path.filename().map(str::to_owned)).collect();
            names.sort();
            Ok(names)
        })
    }
}

/// The client of the storage. It follows no redirects: the request is signed for one host.
fn client(values: &Values) -> Result<reqwest::Client, StorageError> {
    let wrong = |error: reqwest::Error| StorageError::Bucket(causes(&error));
    let mut builder = builder(CALL);
    if let Some(authority) = values.text("ca_cert")? {
        for certificate in reqwest::Certificate::from_pem_bundle(authority.as_bytes()).map_err(wrong)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let (Some(certificate), Some(key)) = (values.text("client_cert")?, values.text("client_key")?) {
        let both = format!("{certificate}\n{key}\n");
        builder = builder.identity(reqwest::Identity::from_pem(both.as_bytes()).map_err(wrong)?);
    }
    builder.build().map_err(wrong)
}

/// What the store said, of a kind that the system's errors have.
#[expect(clippy::needless_pass_by_value, reason = "it is mapped over results")]
fn failed(error: Error) -> std::io::Error {
    let kind = match &error {
        Error::NotFound { .. } => ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => ErrorKind::PermissionDenied,
        _ => ErrorKind::Other,
    };
    std::io::Error::new(kind, reason(&error))
}

/// What went wrong, in words that stay the same from attempt to attempt, so that a log can tell that it was said: the
/// library counts and times its attempts, and S3 writes the ID of each request into its answer.
fn reason(error: &Error) -> String {
    let links = std::iter::successors(Some(error as &dyn std::error::Error), |link| link.source());
    let mut of_the_call = links.skip_while(|link| link.to_string().contains("Error performing"));
    let text = of_the_call.next().map_or_else(|| causes(error), causes);
    match (element(&text, "Code"), element(&text, "Message")) {
        (Some(code), Some(message)) => {
            let before = text.split('<').next().unwrap_or_default().trim_end_matches([':', ' ']);
            format!("{before}: {code}: {message}")
        }
        _ => excerpt(text.as_bytes()),
    }
}

/// The text of an element of an answer in XML.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

fn ignore_missing(done: Result<(), Error>) -> std::io::Result<()> {
    match done {
        Err(Error::NotFound { .. }) => Ok(()),
        done => done.map_err(failed),
    }
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Bucket(s3://{}/{})", self.name, self.folder)
    }
}
