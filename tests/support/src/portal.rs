//! A server that gives everybody the same answer, whatever is asked: a login page, or a proxy that lets nothing through.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A page that asks for a login, as networks and proxies put it in the place of what was asked for.
pub const LOGIN_PAGE: &str =
    "<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>Please.</body></html>";

/// A running portal. Stops when dropped.
#[derive(Debug)]
pub struct Portal {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accept: AbortHandle,
}

impl Portal {
    /// Starts a portal that answers with this status line, e.g. `200 OK`, these further headers and this body.
    pub async fn start(status: &str, headers: &str, body: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            body.len()
        );
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        let accept = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, noted) = (answer.clone(), Arc::clone(&noted));
                tokio::spawn(async move {
                    let mut asked = Vec::new();
                    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                        match stream.read_buf(&mut asked).await {
                            Ok(0) | Err(_) => return,
                            Ok(_) => {}
                        }
                    }
                    let line = String::from_utf8_lossy(&asked);
                    noted.lock().unwrap().extend(line.split(" HTTP/").next().map(str::to_owned));
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, asked, accept: accept.abort_handle() }
    }

    /// What was asked so far: method and path, or for a proxy `CONNECT host:port`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.accept.abort();
    }
}
