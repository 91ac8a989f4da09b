//! STS `GetCallerIdentity`, on the same port as S3: a form posted to `/`.

use http_body_util::BodyExt;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, Response, StatusCode, Uri};
use s3s::route::S3Route;
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

/// The account that every caller belongs to.
pub const ACCOUNT: &str = "111111111111";

/// The route that answers once the signature is known to be right.
pub(super) struct CallerIdentity;

#[async_trait::async_trait]
impl S3Route for CallerIdentity {
    fn is_match(&self, method: &Method, uri: &Uri, _: &HeaderMap, _: &mut hyper::http::Extensions) -> bool {
        method == Method::POST && uri.path() == "/"
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        match request.credentials {
            Some(_) => Ok(()),
            None => Err(s3_error!(AccessDenied, "Request is missing Authentication Token")),
        }
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let form = request.input.collect().await.map_err(|source| s3_error!(InvalidRequest, "{source}"))?;
        let form = form.to_bytes();
        let action = form_urlencoded::parse(&form).find(|(name, _)| name == "Action");
        if action.is_none_or(|(_, value)| value != "GetCallerIdentity") {
            return Err(S3Error::new(S3ErrorCode::Custom("InvalidAction".into())));
        }
        let xml = format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/flow-logs</Arn>\
             <UserId>AIDAEXAMPLEEXAMPLE</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>\
             <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
            uuid::Uuid::new_v4()
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
        other => (parts.status.as_u16(), other, "The request failed."),
    };
    let xml = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        uuid::Uuid::new_v4()
    );
    parts.status = StatusCode::from_u16(status).expect("an HTTP status");
    parts.headers.remove("content-length");
    parts.headers.insert("content-type", HeaderValue::from_static("text/xml"));
    Response::from_parts(parts, Body::from(xml))
}
