//! STS, on the same port as S3: a form posted to `/`.

use std::collections::HashMap;

use http_body_util::BodyExt;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, Response, StatusCode, Uri};
use s3s::route::S3Route;
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use uuid::Uuid;

use super::sessions::{Sessions, refusal};

/// The account that every caller belongs to.
pub const ACCOUNT: &str = "111111111111";

/// The route that answers once the signature is known to be right, or that none is needed.
pub(super) struct Route(pub(super) Sessions);

#[async_trait::async_trait]
impl S3Route for Route {
    fn is_match(&self, method: &Method, uri: &Uri, _: &HeaderMap, _: &mut hyper::http::Extensions) -> bool {
        method == Method::POST && uri.path() == "/"
    }

    async fn check_access(&self, _: &mut S3Request<Body>) -> S3Result<()> {
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let caller = request.credentials.map(|credentials| credentials.access_key);
        let form = request.input.collect().await.map_err(|source| s3_error!(InvalidRequest, "{source}"))?;
        let form: HashMap<String, String> = form_urlencoded::parse(&form.to_bytes()).into_owned().collect();
        let action = form.get("Action").map(String::as_str).unwrap_or_default();
        let caller = match (action, caller) {
            ("AssumeRoleWithWebIdentity", _) => String::new(),
            (_, Some(caller)) => caller,
            (_, None) => return Err(refusal("AccessDenied", "Request is missing Authentication Token")),
        };
        let result = match action {
            "GetCallerIdentity" => self.0.caller_identity(&caller),
            "AssumeRoleWithWebIdentity" => self.0.assume_with_identity(&form)?,
            "AssumeRole" => self.0.assume(&caller, &form)?,
            _ => return Err(S3Error::new(S3ErrorCode::Custom("InvalidAction".into()))),
        };
        let xml = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{result}\
             </{action}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
            Uuid::new_v4()
        );
        Ok(S3Response::new(Body::from(xml)))
    }
}

/// Says an error of S3 in the words of STS: other codes, another form.
pub(super) async fn in_words_of_sts(response: Response<Body>) -> Response<Body> {
    if response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let xml = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let xml = String::from_utf8_lossy(&xml);
    let code = xml
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map_or("", |(code, _)| code);
    let message = xml
        .split_once("<Message>")
        .and_then(|(_, rest)| rest.split_once("</Message>"))
        .map_or("", |(message, _)| message);
    let (status, code, message) = match code {
        "InvalidAccessKeyId" => {
            (403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        }
        "SignatureDoesNotMatch" => (
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        ),
        "AccessDenied" => (403, code, message),
        "" => (parts.status.as_u16(), code, "The request failed."),
        other => (parts.status.as_u16(), other, message),
    };
    let xml = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        Uuid::new_v4()
    );
    parts.status = StatusCode::from_u16(status).expect("an HTTP status");
    parts.headers.remove("content-length");
    parts.headers.insert("content-type", HeaderValue::from_static("text/xml"));
    Response::from_parts(parts, Body::from(xml))
}
