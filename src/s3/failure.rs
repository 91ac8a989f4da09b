//! What S3's refusals mean, and what to do about them.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::platform::callback::{causes, excerpt};

/// A call to S3 that failed: which call, on what, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{call} s3://{bucket}/{key}: {detail}; {}", failure.advice())]
pub struct S3Error {
    call: &'static str,
    bucket: String,
    key: String,
    detail: String,
    failure: S3Failure,
}

/// The kinds of failure that need different answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum S3Failure {
    /// There is no such access key.
    UnknownKey,
    /// The secret does not belong to the access key.
    WrongSecret,
    /// The policies do not allow the call.
    Denied,
    /// The policies do not allow to decrypt the object, or its KMS key is disabled.
    KmsDenied,
    /// There is no such bucket.
    NoBucket,
    /// There is no such object, or none any more.
    Gone,
    /// The object was replaced since it was listed.
    Changed,
    /// The object is in an archive class and must be restored before it can be read.
    Archived,
    /// The bucket is in another region, named if S3 said which.
    WrongRegion(Option<String>),
    /// The clock of this machine is too far off for S3.
    ClockSkew,
    /// S3 or the way to it is in trouble.
    Passing,
    /// Anything else.
    Other,
}

impl S3Failure {
    /// What to do, in half a sentence.
    pub fn advice(&self) -> String {
        let fixed = match self {
            Self::UnknownKey => "check the access key ID of the account: it does not exist or is disabled",
            Self::WrongSecret => {
                "check the secret access key of the account: it does not belong to the access key ID"
            }
            Self::Denied => {
                "allow s3:ListBucket on the bucket and s3:GetObject on its objects to the account's user"
            }
            Self::KmsDenied => {
                "allow kms:Decrypt on the objects' KMS key to the account's user, and check that it is enabled"
            }
            Self::NoBucket => "check the bucket's name and the account's region",
            Self::Gone => "nothing to do: it was removed since it was listed",
            Self::Changed => "nothing to do: it is read again at the next poll",
            Self::Archived => "restore the object or let it expire, and start after it",
            Self::ClockSkew => "set the clock of the machine that runs this container",
            Self::Passing => "nothing to do: it is tried again",
            Self::Other => "it is tried again",
            Self::WrongRegion(None) => "set the account's region to that of the bucket",
            Self::WrongRegion(Some(region)) => return format!("set the account's region to {region}"),
        };
        fixed.to_owned()
    }

    /// The cause in a word or two, for a metric.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::UnknownKey | Self::WrongSecret => "credentials",
            Self::Denied => "access denied",
            Self::KmsDenied => "kms denied",
            Self::NoBucket => "no bucket",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::Archived => "archived",
            Self::WrongRegion(_) => "wrong region",
            Self::ClockSkew => "clock",
            Self::Passing | Self::Other => "unreachable",
        }
    }

    fn of(code: &str, message: &str, status: u16, region: Option<String>) -> Self {
        let kms = message.contains("kms:") || message.contains("KMS");
        match code {
            "InvalidAccessKeyId" | "InvalidClientTokenId" => Self::UnknownKey,
            "SignatureDoesNotMatch" => Self::WrongSecret,
            "NoSuchBucket" => Self::NoBucket,
            "NoSuchKey" | "NoSuchVersion" => Self::Gone,
            "PreconditionFailed" => Self::Changed,
            "InvalidObjectState" => Self::Archived,
            "RequestTimeTooSkewed" => Self::ClockSkew,
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
                Self::WrongRegion(region)
            }
            _ if code.starts_with("KMS.") => Self::KmsDenied,
            "AccessDenied" | "AllAccessDisabled" if kms => Self::KmsDenied,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => Self::Denied,
            _ => match status {
                301 | 307 => Self::WrongRegion(region),
                403 => Self::Denied,
                404 => Self::Gone,
                412 => Self::Changed,
                408 | 429 | 500.. => Self::Passing,
                _ => Self::Other,
            },
        }
    }
}

impl S3Error {
    /// What was asked and what came back, without what to do.
    pub fn what(&self) -> String {
        format!("{} s3://{}/{}: {}", self.call, self.bucket, self.key, self.detail)
    }

    /// What kind of failure it is.
    pub fn failure(&self) -> &S3Failure {
        &self.failure
    }

    /// A call on an object, or on a prefix, that failed: `detail` is what came back.
    pub fn new(call: &'static str, bucket: &str, key: &str, detail: String, failure: S3Failure) -> Self {
        Self { call, bucket: bucket.to_owned(), key: key.to_owned(), detail, failure }
    }

    /// What the SDK says of a failed call.
    pub(super) fn from_sdk<E>(call: &'static str, bucket: &str, key: &str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let Some(response) = error.raw_response() else {
            let detail = format!("no answer ({})", causes(error));
            return Self::new(call, bucket, key, detail, S3Failure::Passing);
        };
        let status = response.status().as_u16();
        let code = error.code().unwrap_or_default();
        let message = error.message().unwrap_or_default();
        let region = response.headers().get("x-amz-bucket-region").map(str::to_owned);
        let failure = S3Failure::of(code, message, status, region);
        let detail = match (code, message) {
            ("", "") => format!("HTTP {status}"),
            ("", message) => format!("HTTP {status}, {}", excerpt(message.as_bytes())),
            (code, "") => format!("HTTP {status}, {code}"),
            (code, message) => format!("HTTP {status}, {code}: {}", excerpt(message.as_bytes())),
        };
        Self::new(call, bucket, key, detail, failure)
    }
}
