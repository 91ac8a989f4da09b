//! The HTTP/1 server under all others: a loopback port, and answers that can go wrong below HTTP.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// An error of any kind.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// How a connection ends in place of a response. A handler returns it as an extension of any response.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// Closed without a byte.
    Drop,
    /// These bytes, whatever they are, then closed.
    Raw(Bytes),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends without an answer")
    }
}

impl Error for Ending {}

impl Ending {
    /// A response that only carries this ending.
    pub(crate) fn response<B: Default>(self) -> Response<B> {
        let mut response = Response::new(B::default());
        response.extensions_mut().insert(self);
        response
    }
}

/// A server on a port of its own. Dropping it closes the port and every connection.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    accept: AbortHandle,
}

impl Listener {
    /// Listens on 127.0.0.1 and answers every request with `handler`.
    pub(crate) async fn start<H, F, B>(handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let accept = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        connections.spawn(serve(stream, handler.clone()));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { address, accept: accept.abort_handle() }
    }

    /// Where it listens, without a slash at the end: `http://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn serve<H, F, B>(stream: TcpStream, handler: H)
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let response = handler(request);
        Box::pin(async {
            let mut response = response.await;
            match response.extensions_mut().remove::<Ending>() {
                None => Ok(response),
                Some(ending) => Err(ending),
            }
        })
    });
    let mut connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = poll_fn(|context| connection.poll_without_shutdown(context)).await
        && let Some(Ending::Raw(bytes)) = error.source().and_then(|source| source.downcast_ref())
    {
        let mut stream = connection.into_parts().io.into_inner();
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
    }
}

/// The answers of an axum router as a handler of [`Listener::start`].
pub(crate) fn router(
    router: axum::Router,
) -> impl Fn(Request<Incoming>) -> BoxedResponse + Clone + Send + Sync + 'static {
    use hyper::service::Service;
    let service = hyper_util::service::TowerToHyperService::new(router);
    move |request| {
        let response = service.call(request);
        Box::pin(async move {
            let answer: Result<_, Infallible> = response.await;
            answer.unwrap_or_else(|never| match never {})
        })
    }
}

type BoxedResponse = std::pin::Pin<Box<dyn Future<Output = Response<axum::body::Body>> + Send>>;
