//! What S3's refusals mean, and what to do about them.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::aws::role::RoleError;
use crate::config::is_region;
use crate::http::{Obstacle, causes, excerpt, quoted};

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
    /// The key belongs to temporary credentials, which are incomplete or at an end.
    TemporaryKey,
    /// The credentials of the account's role could not be had; what to do.
    Role(&'static str),
    /// The secret does not belong to the access key.
    WrongSecret,
    /// The policies do not allow the call.
    Denied,
    /// AWS has closed the account or the bucket.
    Disabled,
    /// The policies do not allow to decrypt the object, or its KMS key is disabled.
    KmsDenied,
    /// The KMS key of the object is gone, or about to be.
    KmsGone,
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
    /// The SDK makes no request of what is configured.
    Unsendable,
    /// Something answers that is no S3.
    NotS3,
    /// No answer came.
    Unreachable(Obstacle),
    /// S3 is in trouble.
    Passing,
    /// Anything else.
    Other,
}

impl S3Failure {
    /// What to do, in half a sentence.
    pub fn advice(&self) -> String {
        let fixed = match self {
            Self::UnknownKey => "check the access key ID of the account: it does not exist or is disabled",
            Self::TemporaryKey => {
                "with a role, it is tried again with new credentials; else enter an access key of an IAM user in the account, which begins with AKIA: this one belongs to temporary credentials, which end"
            }
            Self::Role(advice) => advice,
            Self::WrongSecret => {
                "check the secret access key of the account: it does not belong to the access key ID"
            }
            Self::Denied => {
                "allow s3:ListBucket on the bucket and s3:GetObject on its objects to the account's user or role"
            }
            Self::Disabled => {
                "check the bucket's name; if it is right, AWS has closed the bucket or its account: ask AWS's support"
            }
            Self::KmsDenied => {
                "allow kms:Decrypt on the objects' KMS key to the account's user or role, and check that it is enabled"
            }
            Self::KmsGone => {
                "the objects' KMS key is gone or about to be: cancel its deletion in KMS, or its objects can never be read"
            }
            Self::NoBucket => "check the bucket's name and the account's region",
            Self::Gone => "nothing to do: it was removed since it was listed",
            Self::Changed => "nothing to do: it is read again at the next poll",
            Self::Archived => "restore the object or let it expire, and start after it",
            Self::ClockSkew => "set the clock of the machine that runs this container",
            Self::Unsendable => "correct the bucket's name or the account's region: AWS was not even asked",
            Self::NotS3 => {
                "something else than S3 answers: if it is a proxy's login page, log in or let S3's hosts pass; a proxy goes into HTTPS_PROXY"
            }
            Self::Unreachable(obstacle) => obstacle.advice().unwrap_or(
                "it is tried again; if it stays, see that this machine resolves and reaches S3, and that the account's region exists; a proxy goes into HTTPS_PROXY",
            ),
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
            Self::UnknownKey | Self::TemporaryKey | Self::WrongSecret | Self::Role(_) => "credentials",
            Self::Denied | Self::Disabled => "access denied",
            Self::KmsDenied | Self::KmsGone => "kms denied",
            Self::NoBucket => "no bucket",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::Archived => "archived",
            Self::WrongRegion(_) => "wrong region",
            Self::ClockSkew => "clock",
            Self::Unsendable => "configuration",
            Self::NotS3 => "not s3",
            Self::Unreachable(_) | Self::Passing | Self::Other => "unreachable",
        }
    }

    fn of(code: &str, message: &str, status: u16, region: Option<String>) -> Self {
        let says = |part: &str| message.contains(part);
        match code {
            // "a non-empty Access Key (AKID) must be provided in the credential"
            "AuthorizationHeaderMalformed" if says("Access Key") => Self::UnknownKey,
            "InvalidAccessKeyId" | "InvalidClientTokenId" | "InvalidSecurity" => Self::UnknownKey,
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "ExpiredTokenException" => {
                Self::TemporaryKey
            }
            "SignatureDoesNotMatch" => Self::WrongSecret,
            "NoSuchBucket" | "InvalidBucketName" | "NoSuchAccessPoint" | "InvalidAccessPointAliasError" => {
                Self::NoBucket
            }
            "NoSuchKey" | "NoSuchVersion" => Self::Gone,
            "PreconditionFailed" => Self::Changed,
            "InvalidObjectState" => Self::Archived,
            "RequestTimeTooSkewed" | "RequestExpired" => Self::ClockSkew,
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "Redirect"
            | "MovedTemporarily"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException" => Self::WrongRegion(region),
            "KMS.NotFoundException" | "KMS.InvalidStateException" | "KMS.KMSInvalidStateException" => {
                Self::KmsGone
            }
            "KMS.ThrottlingException" | "KMS.InternalException" | "KMS.DependencyTimeoutException" => {
                Self::Passing
            }
            "KMS.KMSInternalException" | "RequestTimeout" => Self::Passing,
            _ if code.starts_with("KMS.") => Self::KmsDenied,
            "AccessDenied" if says("kms:") || says("KMS") => Self::KmsDenied,
            "AccessDenied" => Self::Denied,
            "AllAccessDisabled" | "AccountProblem" | "NotSignedUp" | "InvalidPayer" => Self::Disabled,
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

    /// What an answer means that carries none of S3's codes: the answer to a HEAD, or that of something else.
    fn without_code(status: u16, is_of_s3: bool, region: Option<String>) -> Self {
        match status {
            407 => Self::Unreachable(Obstacle::ProxyLogin),
            408 | 429 | 500.. => Self::Passing,
            _ if is_of_s3 => Self::of("", "", status, region),
            _ => Self::NotS3,
        }
    }
}

impl S3Error {
    /// What was asked and what came back, without what to do.
    pub fn what(&self) -> String {
        format!("{} s3://{}/{}: {}", self.call, self.bucket, self.key, self.detail)
    }

    /// What came back.
    pub fn detail(&self) -> &str {
        &self.detail
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
        if let Some(error) = RoleError::in_chain(error) {
            return Self::new(call, bucket, key, error.to_string(), S3Failure::Role(error.advice()));
        }
        let Some(response) = error.raw_response() else {
            let (failure, what) = if is_unsent(error) {
                (S3Failure::Unsendable, "no request can be made")
            } else {
                (S3Failure::Unreachable(Obstacle::of(error)), "no answer")
            };
            return Self::new(call, bucket, key, format!("{what} ({})", causes(error)), failure);
        };
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name);
        let body = response.body().bytes().unwrap_or_default();
        let named = header("x-amz-bucket-region").map(str::to_owned);
        let region = named.or_else(|| region_in(&String::from_utf8_lossy(body)));
        let code = error.code().unwrap_or_default();
        let message = error.message().unwrap_or_default();
        if !code.is_empty() {
            let message =
                if message.is_empty() { String::new() } else { format!(": {}", excerpt(message.as_bytes())) };
            let failure = S3Failure::of(code, message.as_str(), status, region);
            return Self::new(call, bucket, key, format!("HTTP {status}, {code}{message}"), failure);
        }
        let is_of_s3 = header("x-amz-request-id").is_some();
        let failure = S3Failure::without_code(status, is_of_s3, region);
        let detail = match header("location").filter(|_| !is_of_s3) {
            Some(location) => format!("HTTP {status}, a redirect to {}", without_query(location)),
            None if body.is_empty() => format!("HTTP {status}"),
            None if is_of_s3 => format!("HTTP {status}, and its body cannot be read ({})", causes(error)),
            None => format!("HTTP {status}, {}", quoted(body)),
        };
        Self::new(call, bucket, key, detail, failure)
    }
}

/// Whether the SDK refused what it was given, so that nothing was asked.
fn is_unsent<E>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => true,
        // What keeps a connection from being used is of another kind, or marked as passing.
        SdkError::DispatchFailure(failure) => {
            failure.is_other() && failure.as_connector_error().is_some_and(|error| error.as_other().is_none())
        }
        _ => false,
    }
}

/// The region that an error names in its body, as some servers do that stand before S3 or in for it.
fn region_in(body: &str) -> Option<String> {
    let within = |start: &str, end: &str| Some(body.split_once(start)?.1.split_once(end)?.0);
    let endpoint = within("<Endpoint>", "</Endpoint>").into_iter().flat_map(|host| host.split('.'));
    let mut named =
        within("<Region>", "</Region>").into_iter().chain(within("expecting '", "'")).chain(endpoint);
    named.find_map(|name| {
        let name = name.strip_prefix("s3-").unwrap_or(name);
        is_region(name).then(|| name.to_owned())
    })
}

/// A URL without what may be secret in it.
fn without_query(url: &str) -> String {
    excerpt(url.split(['?', '#']).next().unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_s3_has_its_kind() {
        for (code, message, expected) in [
            ("InvalidAccessKeyId", "", S3Failure::UnknownKey),
            (
                "AuthorizationHeaderMalformed",
                "a non-empty Access Key (AKID) must be provided",
                S3Failure::UnknownKey,
            ),
            ("AuthorizationHeaderMalformed", "the region 'a' is wrong", S3Failure::WrongRegion(None)),
            ("ExpiredToken", "The provided token has expired.", S3Failure::TemporaryKey),
            ("InvalidToken", "", S3Failure::TemporaryKey),
            ("SignatureDoesNotMatch", "", S3Failure::WrongSecret),
            ("RequestTimeTooSkewed", "", S3Failure::ClockSkew),
            ("NoSuchBucket", "", S3Failure::NoBucket),
            ("InvalidBucketName", "", S3Failure::NoBucket),
            ("TemporaryRedirect", "", S3Failure::WrongRegion(None)),
            ("AllAccessDisabled", "", S3Failure::Disabled),
            ("AccessDenied", "not authorized to perform: s3:GetObject", S3Failure::Denied),
            ("AccessDenied", "not authorized to perform: kms:Decrypt", S3Failure::KmsDenied),
            ("KMS.DisabledException", "", S3Failure::KmsDenied),
            ("KMS.NotFoundException", "", S3Failure::KmsGone),
            ("KMS.KMSInvalidStateException", "is pending deletion", S3Failure::KmsGone),
            ("KMS.ThrottlingException", "", S3Failure::Passing),
            ("RequestTimeout", "", S3Failure::Passing),
        ] {
            assert_eq!(S3Failure::of(code, message, 400, None), expected, "{code}");
        }
    }

    #[test]
    fn a_region_is_found_wherever_an_error_names_it() {
        for (body, region) in [
            ("<Error><Region>eu-central-1</Region></Error>", Some("eu-central-1")),
            ("the region 'us-east-1' is wrong; expecting 'eu-south-2'", Some("eu-south-2")),
            ("<Endpoint>acme.s3.eu-west-3.amazonaws.com</Endpoint>", Some("eu-west-3")),
            ("<Endpoint>acme.s3-us-west-2.amazonaws.com</Endpoint>", Some("us-west-2")),
            ("<Endpoint>acme.s3.amazonaws.com</Endpoint>", None),
            ("<Region>javascript:alert(1)</Region>", None),
            ("", None),
        ] {
            assert_eq!(region_in(body).as_deref(), region, "{body}");
        }
    }

    #[test]
    fn what_has_no_code_is_no_s3_unless_it_carries_its_headers() {
        assert_eq!(S3Failure::without_code(200, false, None), S3Failure::NotS3);
        assert_eq!(S3Failure::without_code(403, false, None), S3Failure::NotS3);
        assert_eq!(S3Failure::without_code(403, true, None), S3Failure::Denied);
        assert_eq!(S3Failure::without_code(503, false, None), S3Failure::Passing);
        assert_eq!(S3Failure::without_code(407, false, None), S3Failure::Unreachable(Obstacle::ProxyLogin));
    }
}
