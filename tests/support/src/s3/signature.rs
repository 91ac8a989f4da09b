//! The signature of a request to SQS: the S3 server checks only those of S3 and STS.

use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use hyper::HeaderMap;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

/// Whether a POST to `/` was signed with this secret.
///
/// Source: the chapter *Create a signed AWS API request* of AWS's IAM user guide.
pub(super) fn is_signed_with(secret: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    check(secret, headers, body).unwrap_or(false)
}

fn check(secret: &str, headers: &HeaderMap, body: &[u8]) -> Option<bool> {
    let value = |name: &str| headers.get(name)?.to_str().ok();
    let authorization = value("authorization")?;
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}="))?;
        rest.split(',').next().map(str::trim)
    };
    let (credential, names, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let (_, scope) = credential.split_once('/')?;
    let [_, region, service, _] = scope.split('/').collect::<Vec<_>>().try_into().ok()?;
    let mut canonical = "POST\n/\n\n".to_owned();
    for name in names.split(';') {
        canonical += &format!("{name}:{}\n", value(name)?.trim());
    }
    canonical += &format!("\n{names}\n{}", sha256(body));
    let date = value("x-amz-date")?;
    let signed = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical));
    let time =
        strtime::parse("%Y%m%dT%H%M%SZ", date).ok()?.to_datetime().ok()?.to_zoned(TimeZone::UTC).ok()?;
    let key = generate_signing_key(secret, SystemTime::from(time.timestamp()), region, service);
    Some(calculate_signature(key, signed.as_bytes()) == signature)
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}
