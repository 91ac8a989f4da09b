//! The way to a server, which can be cut: a process that goes this way loses the server while others still reach it.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A way to a server. Ends when dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    accept: AbortHandle,
}

impl Link {
    /// A way to the server at `url`, e.g. `http://127.0.0.1:1234`.
    ///
    /// # Panics
    /// When that is no address.
    pub async fn to(url: &str) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let is_cut = watch::Sender::new(false);
        let cut = is_cut.subscribe();
        let accept = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut cut = cut.clone();
                tokio::spawn(async move {
                    let carry = async {
                        let mut server = TcpStream::connect(server).await?;
                        copy_bidirectional(&mut stream, &mut server).await
                    };
                    tokio::select! {
                        biased;
                        _ = cut.wait_for(|is_cut| *is_cut) => {}
                        _ = carry => {}
                    }
                });
            }
        });
        Self { address, is_cut, accept: accept.abort_handle() }
    }

    /// Where the server is reached this way, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every connection breaks, those that are open and those that are tried.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// The server is reached again.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accept.abort();
    }
}
