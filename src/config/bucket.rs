//! The bucket's name in what a user enters for it, and what is refused because it can be no name.

use std::net::Ipv4Addr;

use super::{ConfigError, TRIGGER};

/// What a form takes: a name, perhaps with `s3://` before or `/` after it, the ARN of a bucket, or of an access point.
pub(super) const PATTERN: &str =
    r"^\s*((s3://|arn:[^:/]+:s3:::)?[A-Za-z0-9._-]{3,255}/?|arn:[^:/]+:s3[a-z-]*:[^:/]*:[0-9]+:.+)\s*$";

/// S3 makes no names of more than 63 characters any more, but did in us-east-1 until 2018, with capitals and underscores.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=255;

/// What is put around a text when it is copied, and never belongs to it: white space, and marks without a width.
pub(super) fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{feff}')
}

/// The name of the bucket, or the ARN of an access point as it stands.
pub(super) fn read(given: &str) -> Result<String, ConfigError> {
    let refused = |what: &str| {
        ConfigError::new(
            TRIGGER,
            format!("property `bucket_name` must be the bucket's name alone, e.g. acme-flow-logs, {what}"),
        )
    };
    let text = given.trim_matches(is_blank);
    if is_url(text) {
        return Err(refused("not a URL"));
    }
    if is_arn(text) {
        return match arn_of_bucket(text) {
            Some(named) => name_alone(named),
            None if text.ends_with(".mrap") => {
                Err(refused("or an access point of one region: this one is of several"))
            }
            None if is_access_point(text) => Ok(text.to_owned()),
            None => Err(refused("or the ARN of a bucket or an access point: this one is of something else")),
        };
    }
    name_alone(without_scheme(text).unwrap_or(text))
}

/// The name, if it is one and nothing follows it.
fn name_alone(text: &str) -> Result<String, ConfigError> {
    let refused = |what: &str| Err(ConfigError::new(TRIGGER, format!("property `bucket_name` {what}")));
    let (name, path) = text.split_once('/').unwrap_or((text, ""));
    if !is_name(name) {
        return refused(
            "is no name that a bucket can have: it must be 3 to 255 letters, digits, dots, hyphens and underscores, e.g. acme-flow-logs",
        );
    }
    match path.trim_start_matches('/') {
        "" => Ok(name.to_owned()),
        "*" => refused(&format!("must be the bucket's name alone, without s3:// or a path: enter `{name}`")),
        path => refused(&format!(
            "must be the bucket's name alone, without s3:// or a path: enter `{name}` there, and `{}` as `prefix`",
            shortened(path.split('*').next().unwrap_or_default())
        )),
    }
}

/// Whether S3 has, or had, buckets of such a name. An address of S3 or of a machine is none.
pub(super) fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_address = || {
        let text = text.trim_end_matches(".cn");
        text.ends_with(".amazonaws.com") || text.parse::<Ipv4Addr>().is_ok()
    };
    LENGTHS.contains(&text.len()) && text.bytes().all(is_letter) && !is_address()
}

/// What follows `s3://`, or what the tools of Hadoop write in its place.
pub(super) fn without_scheme(text: &str) -> Option<&str> {
    ["s3://", "s3a://", "s3n://"].iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

pub(super) fn is_url(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.starts_with("https://") || text.starts_with("http://")
}

pub(super) fn is_arn(text: &str) -> bool {
    text.starts_with("arn:")
}

/// What follows `arn:<partition>:s3:::`: the name of a bucket, and perhaps a path in it.
pub(super) fn arn_of_bucket(text: &str) -> Option<&str> {
    let mut parts = text.splitn(6, ':');
    match [(); 6].map(|()| parts.next()) {
        [Some("arn"), Some(_), Some("s3"), Some(""), Some(""), Some(named)] => Some(named),
        _ => None,
    }
}

/// Whether it may be the ARN of an access point; the SDK of AWS says whether it is one.
fn is_access_point(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let (service, resource) = (parts.nth(2).unwrap_or_default(), parts.nth(2).unwrap_or_default());
    service.starts_with("s3") && resource.contains("accesspoint")
}

/// The start of a text that a message quotes.
pub(super) fn shortened(text: &str) -> String {
    const LENGTH: usize = 100;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_every_form_that_means_one() {
        let old = format!("Old_{}", "x".repeat(251));
        for (given, name) in [
            ("acme-flow-logs", "acme-flow-logs"),
            (" acme-flow-logs\n", "acme-flow-logs"),
            ("\u{feff}acme-flow-logs\u{200b}", "acme-flow-logs"),
            ("acme-flow-logs/", "acme-flow-logs"),
            ("s3://acme-flow-logs", "acme-flow-logs"),
            ("S3://acme-flow-logs/", "acme-flow-logs"),
            ("s3a://acme-flow-logs/", "acme-flow-logs"),
            ("arn:aws:s3:::acme-flow-logs", "acme-flow-logs"),
            ("arn:aws-us-gov:s3:::acme-flow-logs", "acme-flow-logs"),
            ("arn:aws-cn:s3:::acme-flow-logs/", "acme-flow-logs"),
            ("My_Logs.of.2010", "My_Logs.of.2010"),
            (&old, &old),
            ("flow-logs-metadata-x1y2z3-s3alias", "flow-logs-metadata-x1y2z3-s3alias"),
            ("flow-logs--euw3-az1--x-s3", "flow-logs--euw3-az1--x-s3"),
        ] {
            assert_eq!(read(given).unwrap(), name, "{given:?}");
        }
        for arn in [
            "arn:aws:s3:eu-west-3:111122223333:accesspoint/flow-logs",
            "arn:aws:s3:eu-west-3:111122223333:accesspoint:flow-logs",
            "arn:aws:s3-outposts:eu-west-3:111122223333:outpost/op-01/accesspoint/flow-logs",
            "arn:aws:s3-object-lambda:eu-west-3:111122223333:accesspoint/flow-logs",
        ] {
            assert_eq!(read(arn).unwrap(), arn);
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_right_form() {
        for (given, told) in [
            ("s3://acme-flow-logs/AWSLogs/", "enter `acme-flow-logs` there, and `AWSLogs/` as `prefix`"),
            ("acme-flow-logs/AWSLogs", "enter `acme-flow-logs` there, and `AWSLogs` as `prefix`"),
            (
                "arn:aws:s3:::acme-flow-logs/AWSLogs/*",
                "enter `acme-flow-logs` there, and `AWSLogs/` as `prefix`",
            ),
            ("arn:aws:s3:::acme-flow-logs/*", "enter `acme-flow-logs`"),
            ("https://user:hush@acme.s3.eu-west-3.amazonaws.com/?X-Amz-Signature=hush", "not a URL"),
            ("acme-flow-logs.s3.eu-west-3.amazonaws.com", "3 to 255 letters"),
            ("acme-flow-logs.s3.cn-north-1.amazonaws.com.cn", "3 to 255 letters"),
            ("arn:aws:iam::111122223333:user/flow-logs", "something else"),
            ("arn:aws:s3::111122223333:accesspoint/x1y2z3.mrap", "an access point of one region"),
            ("arn:aws:s3:::", "3 to 255 letters"),
            ("acme flow logs", "3 to 255 letters"),
            ("\"acme-flow-logs\"", "3 to 255 letters"),
            ("acme-{account-id}-logs", "3 to 255 letters"),
            ("acme\\AWSLogs", "3 to 255 letters"),
            ("lögs", "3 to 255 letters"),
            ("s3://", "3 to 255 letters"),
            ("/AWSLogs/", "3 to 255 letters"),
            ("10.0.0.1", "3 to 255 letters"),
            ("ab", "3 to 255 letters"),
            (&"x".repeat(256), "3 to 255 letters"),
        ] {
            let message = read(given).unwrap_err().to_string();
            assert!(message.contains("`bucket_name`") && message.contains(told), "{given:?}: {message}");
            assert!(message.contains("acme-flow-logs") && !message.contains("hush"), "{message}");
        }
    }
}
