//! HTTP clients, what keeps a call from its server, and what answers in its place. The libraries hide their own types of
//! error, so that it is told by their words.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};

pub mod shown;

/// An HTTP client without redirects, so that no credential reaches a host that was not configured.
pub fn client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    builder(timeout).build()
}

/// What every HTTP client has.
pub fn builder(timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
}

/// Whether an answer is a page for people: a proxy or a portal answers in the place of the server.
pub fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let is_html = |value: &str| value.trim_start().to_ascii_lowercase().starts_with("text/html");
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_html)
        && body.trim_ascii_start().starts_with(b"<")
}

/// What stands between this machine and a server, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The proxy asks for a user and a password.
    ProxyLogin,
    /// The proxy does not let the call through.
    ProxyRefusal,
    /// The proxy itself does not answer, or not as one.
    NoProxy,
    /// Nobody that this machine trusts has signed the server's certificate.
    UnknownAuthority,
    /// The server's certificate is wrong in another way.
    Certificate,
    /// Anything else: no route, no name, no time.
    Other,
}

impl Obstacle {
    /// What kept a call from its server.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self::in_words(&causes(error))
    }

    fn in_words(words: &str) -> Self {
        let has = |part: &str| words.contains(part);
        if has("proxy authorization required") {
            Self::ProxyLogin
        } else if has("tunnel error: unsuccessful") {
            Self::ProxyRefusal
        } else if has("tunnel error") {
            Self::NoProxy
        } else if has("UnknownIssuer") || has("CaUsedAsEndEntity") {
            Self::UnknownAuthority
        } else if has("invalid peer certificate") {
            Self::Certificate
        } else {
            Self::Other
        }
    }

    /// What to do, in half a sentence; `None` where the words of the error have to do.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::ProxyLogin => Some(
                "the proxy asks for a user and a password: put them into the URL in HTTPS_PROXY, or name the host in NO_PROXY if it is reached without the proxy",
            ),
            Self::ProxyRefusal => Some(
                "the proxy in HTTPS_PROXY does not let this through: allow the host there, or name it in NO_PROXY if it is reached without the proxy",
            ),
            Self::NoProxy => Some(
                "the proxy in HTTPS_PROXY does not answer as a proxy: check its address, and that this machine reaches it",
            ),
            Self::UnknownAuthority => Some(
                "this machine does not know the authority that signed the server's certificate: if a proxy opens TLS, add its authority to the system's ones, in the file that SSL_CERT_FILE names",
            ),
            Self::Certificate => Some(
                "the server's certificate is not good for this host: see which server answers there, and the clock of this machine",
            ),
            Self::Other => None,
        }
    }
}

/// Why no answer came, and what to do where that can be told.
pub fn no_answer(error: &(dyn Error + 'static)) -> String {
    let reason = causes(error);
    match Obstacle::in_words(&reason).advice() {
        Some(advice) => format!("{reason}; {advice}"),
        None => reason,
    }
}

/// An answer in short: of a page for people, its title.
pub fn quoted(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let from = at + lower.get(at..)?.find('>')? + 1;
        let until = from + lower.get(from..)?.find('<')?;
        text.get(from..until).map(str::trim).filter(|title| !title.is_empty())
    });
    match title {
        Some(title) => format!("a page with the title \"{}\"", excerpt(title.as_bytes())),
        None => excerpt(body),
    }
}

/// The start of a body, on one line, for an error message.
pub fn excerpt(body: &[u8]) -> String {
    const LENGTH: usize = 200;
    let text = shown::text(&String::from_utf8_lossy(body));
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return "(empty body)".to_owned();
    }
    if let Some((end, _)) = words.char_indices().nth(LENGTH) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// An error with its causes, on one line.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    shown::text(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_quoted_by_its_title_and_anything_else_by_its_start() {
        let page = "<!DOCTYPE html>\n<HTML><head><Title lang=\"en\"> Sign in to\n the network </title>";
        assert_eq!(quoted(page.as_bytes()), "a page with the title \"Sign in to the network\"");
        for text in ["<html><title></title>", "<title", "{\"error\": \"no\"}", "<p>İ<title"] {
            assert_eq!(quoted(text.as_bytes()), text);
        }
        assert_eq!(quoted(b""), "(empty body)");
        assert!(quoted(&b"x".repeat(10_000)).len() < 300);
    }
}
