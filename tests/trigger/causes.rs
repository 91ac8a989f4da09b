//! What is in the way is said in words that help: what it is, and what to set.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use support::free_port;
use support::module::Module;
use support::portal::{LOGIN_PAGE, Portal};
use support::s3::{Operation, Rule, Trouble};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::world::{BUCKET, World, stop};

/// Starts the trigger, waits until it says these parts in one error, and stops it.
async fn says(world: &World, module: Module, parts: &[&str]) {
    let process = module.start();
    world.until_logged("error", parts[0]).await;
    let logs = world.platform.logs();
    let line = logs.iter().find(|line| line.level == "error" && line.message.contains(parts[0])).unwrap();
    for part in parts {
        assert!(line.message.contains(part), "{part:?} is not in {}", line.message);
    }
    stop(process).await;
}

#[tokio::test]
async fn what_is_no_s3_is_quoted_in_short() {
    let titled = "a page with the title \"Sign in to the network\"";
    for (status, headers, body, told) in [
        ("200 OK", "", LOGIN_PAGE, ["HTTP 200", titled, "else than S3"]),
        ("403 Forbidden", "", LOGIN_PAGE, ["HTTP 403", titled, "else than S3"]),
        ("404 Not Found", "", "no such route", ["HTTP 404", "no such route", "else than S3"]),
        ("200 OK", "", "{}", ["HTTP 200", "{}", "else than S3"]),
        ("200 OK", "", "", ["HTTP 200", "s3://acme-flow-logs/AWSLogs/", "else than S3"]),
        (
            "302 Found",
            "Location: http://login.example/start?session=hush\r\n",
            "",
            ["HTTP 302", "a redirect to http://login.example/start;", "else than S3"],
        ),
        ("407 Proxy Authentication Required", "", "", ["HTTP 407", "user and a password", "HTTPS_PROXY"]),
    ] {
        let world = World::new().await;
        let portal = Portal::start(status, headers, body).await;
        says(&world, world.module().env("AWS_ENDPOINT_URL_S3", portal.url()), &told).await;
        assert!(!world.is_logged("error", "hush"), "{status}");
    }
}

#[tokio::test]
async fn a_page_in_place_of_an_object_is_no_object() {
    let mut world = World::new().await;
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::Page(200, LOGIN_PAGE)));
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.put(&flow_log, 5, 10);
    world.until_logged("warning", "a page with the title \"Sign in to the network\"").await;
    assert!(world.is_logged("warning", &object.key) && world.is_logged("warning", "something else than S3"));
    world.s3.clear_rules();
    world.all_arrive(&process).await;
    stop(process).await;
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_what_to_set() {
    for (status, told) in [
        (
            "407 Proxy Authentication Required",
            ["no answer", "user and a password", "HTTPS_PROXY", "NO_PROXY"],
        ),
        ("403 Forbidden", ["no answer", "does not let this through", "HTTPS_PROXY", "NO_PROXY"]),
    ] {
        let world = World::new().await;
        let proxy = Portal::start(status, "", LOGIN_PAGE).await;
        // AWS itself is named, and only the proxy is asked.
        let module = world.module().env("AWS_ENDPOINT_URL_S3", "").env("HTTPS_PROXY", proxy.url());
        says(&world, module, &told).await;
    }
    let world = World::new().await;
    let proxy = format!("http://127.0.0.1:{}", free_port());
    let module = world.module().env("AWS_ENDPOINT_URL_S3", "").env("HTTPS_PROXY", proxy);
    says(&world, module, &["no answer", "does not answer as a proxy: check its address"]).await;
}

/// A server with a certificate of an authority of its own, which answers everything with the login page; gives its URL
/// and the authority's certificate.
async fn door() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut inside) = acceptor.accept(stream).await else { return };
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{LOGIN_PAGE}", LOGIN_PAGE.len());
                let _ = inside.write_all(answer.as_bytes()).await;
                let _ = inside.shutdown().await;
            });
        }
    });
    (url, authority)
}

#[tokio::test]
async fn an_unknown_authority_is_named_with_what_to_set_and_that_helps() {
    let (url, authority) = door().await;
    let world = World::new().await;
    let module = world.module().env("AWS_ENDPOINT_URL_S3", &url);
    says(&world, module.clone(), &["no answer", "UnknownIssuer", "authority", "SSL_CERT_FILE"]).await;

    let file = world.storage.path().join("authorities.pem");
    std::fs::write(&file, authority).unwrap();
    let world = World::new().await;
    let module = world.module().env("AWS_ENDPOINT_URL_S3", &url).env("SSL_CERT_FILE", &file);
    says(&world, module, &["HTTP 200", "something else than S3"]).await;
}

#[tokio::test]
async fn each_refusal_of_s3_says_what_to_do() {
    for (trouble, told) in [
        (Trouble::Error(400, "ExpiredToken"), ["ExpiredToken", "begins with AKIA"]),
        (Trouble::Error(403, "AllAccessDisabled"), ["AllAccessDisabled", "ask AWS's support"]),
        (Trouble::Error(400, "InvalidBucketName"), ["InvalidBucketName", "check the bucket's name"]),
        (Trouble::Error(403, "RequestTimeTooSkewed"), ["RequestTimeTooSkewed", "set the clock"]),
        (
            Trouble::WrongSigningRegion("eu-central-1"),
            ["AuthorizationHeaderMalformed", "region to eu-central-1"],
        ),
        (Trouble::WrongRegion("us-east-2"), ["PermanentRedirect", "region to us-east-2"]),
        (Trouble::Error(302, "MovedTemporarily"), ["MovedTemporarily", "to that of the bucket"]),
        (Trouble::Error(503, "SlowDown"), ["SlowDown", "nothing to do: it is tried again"]),
    ] {
        let world = World::new().await;
        world.s3.add_rule(Rule::new(Operation::List, trouble));
        says(&world, world.module(), &told).await;
    }
    let mut world = World::new().await;
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::Error(400, "KMS.NotFoundException")));
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let process = world.start().await;
    world.s3.put(BUCKET, &flow_log.key(jiff::Timestamp::now(), "1"), "x");
    world.until_logged("warning", "cancel its deletion in KMS").await;
    stop(process).await;
}
