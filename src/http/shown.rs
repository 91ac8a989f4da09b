//! What may be shown of URLs: never who logs in with which password. Messages quote URLs of the configuration, and texts of
//! servers, libraries and proxies that may quote them again.

use reqwest::Url;

/// What stands in the place of user and password.
const HIDDEN: &str = "***";
/// What ends the part of a URL in which user and password are.
const ENDS: [char; 10] = ['/', '?', '#', '\\', '"', '\'', '<', '>', '`', ' '];

/// A URL without user and password.
pub fn url(url: &Url) -> String {
    text(url.as_str())
}

/// A text in which no URL has user and password.
pub fn text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut parts = text.split("://");
    shown.push_str(parts.next().unwrap_or_default());
    for part in parts {
        shown.push_str("://");
        let end =
            part.find(|letter: char| ENDS.contains(&letter) || letter.is_control()).unwrap_or(part.len());
        let (authority, rest) = part.split_at_checked(end).unwrap_or((part, ""));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str(HIDDEN);
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        shown.push_str(rest);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_hidden_and_nothing_else() {
        for (given, expected) in [
            ("GET https://user:hush@host:8000/a@b?c=d@e got", "GET https://***@host:8000/a@b?c=d@e got"),
            ("https://hush@host", "https://***@host"),
            ("https://us@er:hu@sh@host", "https://***@host"),
            (
                "proxy \"http://u:hush@p\", then http://v:hush@q.",
                "proxy \"http://***@p\", then http://***@q.",
            ),
            ("http://u:hush@h\r\nb", "http://***@h\r\nb"),
            ("https://host/a, mail to a@b.c", "https://host/a, mail to a@b.c"),
            ("a://", "a://"),
            ("://hush@", "://***@"),
            ("", ""),
        ] {
            assert_eq!(text(given), expected);
        }
        assert_eq!(url(&Url::parse("https://user:hush@host/api").unwrap()), "https://***@host/api");
    }
}
