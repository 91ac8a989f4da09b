//! Prefixes that have the form of a mistake. S3 takes any text, so that such a prefix is not wrong in itself: it is one
//! if nothing lies below it.

use super::bucket::{arn_of_bucket, is_arn, is_blank, is_url, shortened, without_scheme};
use super::{ConfigError, TRIGGER};

/// S3 has no longer keys.
const LONGEST_KEY_BYTES: usize = 1024;
/// What ends the part of a text that is meant literally: patterns, placeholders, lists.
const PATTERNS: [char; 14] = ['*', '?', '[', ']', '{', '}', '<', '>', '^', '$', '|', ',', ';', '"'];
/// Folders as AWS's documentation writes them, in place of an account, a region or a day.
const PLACEHOLDERS: [&str; 10] = [
    "account_id",
    "account-id",
    "aws_account_id",
    "aws-account-id",
    "accountid",
    "region",
    "aws-region",
    "year",
    "month",
    "yyyy",
];
/// Folders that AWS makes, whose capitals count.
const FOLDERS: [&str; 2] = ["AWSLogs", "vpcflowlogs"];

/// Refuses what no key can begin with.
pub(super) fn check(prefix: &str) -> Result<(), ConfigError> {
    if prefix.len() > LONGEST_KEY_BYTES {
        let problem = format!(
            "property `prefix` is longer than {LONGEST_KEY_BYTES} bytes, and no key in S3 is: enter the start of the keys alone, e.g. AWSLogs/"
        );
        return Err(ConfigError::new(TRIGGER, problem));
    }
    Ok(())
}

/// What is wrong with a prefix of this form in all likelihood, if nothing lies below it.
pub(super) fn mistake(prefix: &str, bucket: &str) -> Option<ConfigError> {
    let (what, meant) = likely(prefix, bucket)?;
    let right = match shortened(&meant).as_str() {
        "" => "leave it empty".to_owned(),
        meant => format!("enter `{meant}`"),
    };
    let problem = format!(
        "nothing lies below property `prefix`, and it {what}: it must be what the keys of the objects begin with; {right}"
    );
    Some(ConfigError::new(TRIGGER, problem))
}

/// What is odd about a prefix, and what is meant by it; `None` if it is as prefixes are.
fn likely(prefix: &str, bucket: &str) -> Option<(String, String)> {
    let mut found: Vec<&str> = Vec::new();
    let mut text = prefix.to_owned();
    let mut step = |text: &mut String, what: &'static str, right: Option<String>| {
        if let Some(right) = right.filter(|right| right != text) {
            found.push(what);
            *text = right;
        }
    };
    let is_around = |letter: char| is_blank(letter) || matches!(letter, '"' | '\'' | '`');
    step(&mut text, "has spaces or quotes around it", Some(prefix.trim_matches(is_around).to_owned()));
    let right = after_bucket(&text);
    step(&mut text, "names a bucket, which goes into `bucket_name`", right);
    let right = decoded(&text);
    step(&mut text, "is encoded as in a URL", right);
    let right = text.replace('\\', "/");
    step(&mut text, "has a \\ in place of a /", Some(right));
    let right = text.trim_start_matches("./").trim_start_matches('/').to_owned();
    step(&mut text, "begins with a /", Some(right));
    let right = text.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
    step(&mut text, "begins with the bucket's name", right);
    let is_pattern = |letter: char| letter.is_control() || PATTERNS.contains(&letter);
    let right = text.split(is_pattern).next().map(|literal| literal.trim_end_matches(is_blank).to_owned());
    step(&mut text, "has a pattern, a placeholder or a list in it, which S3 takes literally", right);
    let right = before_placeholder(&text);
    step(&mut text, "has the name of a folder in it that stands for another", right);
    while text.contains("//") {
        let right = text.replace("//", "/");
        step(&mut text, "has a / twice in a row", Some(right));
    }
    let right = text.split('/').map(in_capitals_of_aws).collect::<Vec<_>>().join("/");
    step(&mut text, "writes a folder of AWS in other capitals", Some(right));
    found.dedup();
    (!found.is_empty()).then(|| (found.join(" and "), text))
}

/// What follows the bucket in `s3://bucket/…`, in an ARN or in a URL.
fn after_bucket(text: &str) -> Option<String> {
    let path = if let Some(rest) = without_scheme(text) {
        rest
    } else if is_arn(text) {
        arn_of_bucket(text).unwrap_or_default()
    } else if is_url(text) {
        let (_, rest) = text.split_once("://")?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        // `https://s3.eu-west-3.amazonaws.com/bucket/…`, or `https://bucket.s3.eu-west-3.amazonaws.com/…`.
        let is_path_style = host.starts_with("s3.") || host.starts_with("s3-");
        return Some(if is_path_style { after_slash(path) } else { path }.to_owned());
    } else {
        return None;
    };
    Some(after_slash(path).to_owned())
}

fn after_slash(path: &str) -> &str {
    path.split_once('/').map_or("", |(_, rest)| rest)
}

/// The text that a URL writes as this one; `None` if it is no such text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let (digits, after) = after.split_at_checked(2)?;
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

fn before_placeholder(text: &str) -> Option<String> {
    let mut from = 0;
    for folder in text.split('/') {
        if PLACEHOLDERS.iter().any(|placeholder| folder.eq_ignore_ascii_case(placeholder)) {
            return text.get(..from).map(str::to_owned);
        }
        from += folder.len() + 1;
    }
    None
}

fn in_capitals_of_aws(folder: &str) -> &str {
    FOLDERS.into_iter().find(|name| folder.eq_ignore_ascii_case(name)).unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_as_they_are_have_nothing_odd() {
        for prefix in [
            "",
            "AWSLogs/",
            "AWSLogs",
            "AWSLogs/111122223333/vpcflowlogs/eu-west-3/2026/11/",
            "network/flow logs/AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=eu-west-3/",
            "Größe/ünïcode/",
            "acme-flow-logs-2/",
            "100%/",
        ] {
            assert!(
                likely(prefix, "acme-flow-logs").is_none(),
                "{prefix}: {:?}",
                likely(prefix, "acme-flow-logs")
            );
        }
    }

    #[test]
    fn what_is_meant_by_an_odd_prefix_is_said() {
        for (prefix, what, right) in [
            ("/AWSLogs/", "begins with a /", "AWSLogs/"),
            ("/", "begins with a /", ""),
            ("./AWSLogs/", "begins with a /", "AWSLogs/"),
            (" AWSLogs/\n", "spaces or quotes", "AWSLogs/"),
            ("\u{feff}AWSLogs/\u{a0}", "spaces or quotes", "AWSLogs/"),
            ("   ", "spaces or quotes", ""),
            ("\"AWSLogs/\"", "spaces or quotes", "AWSLogs/"),
            ("s3://acme-flow-logs/AWSLogs/", "names a bucket", "AWSLogs/"),
            ("S3://acme-flow-logs", "names a bucket", ""),
            ("arn:aws:s3:::acme-flow-logs/AWSLogs/*", "names a bucket", "AWSLogs/"),
            ("arn:aws:iam::111122223333:user/x", "names a bucket", ""),
            (
                "https://acme-flow-logs.s3.eu-west-3.amazonaws.com/AWSLogs/?X-Amz-Signature=hush",
                "names a bucket",
                "AWSLogs/",
            ),
            ("https://s3.eu-west-3.amazonaws.com/acme-flow-logs/AWSLogs/", "names a bucket", "AWSLogs/"),
            ("acme-flow-logs/AWSLogs/", "the bucket's name", "AWSLogs/"),
            ("/acme-flow-logs/AWSLogs/", "begins with a / and begins with the bucket's name", "AWSLogs/"),
            ("AWSLogs/*", "pattern", "AWSLogs/"),
            ("AWSLogs/*/vpcflowlogs/", "pattern", "AWSLogs/"),
            ("AWSLogs/{account-id}/", "placeholder", "AWSLogs/"),
            ("AWSLogs/${aws:PrincipalAccount}/", "placeholder", "AWSLogs/"),
            ("AWSLogs/<account>/", "placeholder", "AWSLogs/"),
            ("^AWSLogs/", "pattern", ""),
            ("AWSLogs/1/, AWSLogs/2/", "list", "AWSLogs/1/"),
            ("AWSLogs/\nAWSLogs/", "list", "AWSLogs/"),
            ("AWSLogs/account_id/vpcflowlogs/region/", "stands for another", "AWSLogs/"),
            ("AWSLogs\\111122223333\\", "in place of a /", "AWSLogs/111122223333/"),
            ("AWSLogs%2F111122223333%2F", "as in a URL", "AWSLogs/111122223333/"),
            ("AWSLogs/aws-account-id%3D111122223333/", "as in a URL", "AWSLogs/aws-account-id=111122223333/"),
            ("AWSLogs//111122223333/", "twice in a row", "AWSLogs/111122223333/"),
            ("awslogs/111122223333/VPCFlowLogs/", "capitals", "AWSLogs/111122223333/vpcflowlogs/"),
        ] {
            let (odd, meant) =
                likely(prefix, "acme-flow-logs").unwrap_or_else(|| panic!("{prefix:?} is odd"));
            assert!(odd.contains(what), "{prefix:?}: {odd}");
            assert_eq!(meant, right, "{prefix:?}");
            let message = mistake(prefix, "acme-flow-logs").unwrap().to_string();
            let right =
                if right.is_empty() { "leave it empty".to_owned() } else { format!("enter `{right}`") };
            assert!(message.contains(&right) && message.contains("`prefix`"), "{message}");
            assert!(!message.contains("hush"), "{message}");
        }
    }

    #[test]
    fn no_text_is_taken_apart_with_a_panic() {
        for prefix in
            ["%", "%2", "%zz", "%é1", "%C3%28", "s3:/", "arn:", "https://", "//", "\u{200b}", "é\\%"]
        {
            likely(prefix, "é");
        }
    }
}
