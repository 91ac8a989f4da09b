//! What a line of a flow log is: a header that names the fields, or a record with a value for each.

use self::fields::{Kind, are_parsed, default_format, field, looks_like_field, resembling};
use self::json::Key;
use self::selection::Selection;

pub mod fields;
pub mod json;
pub mod parsed;
pub mod selection;

/// The fields of a file's records, in their order.
#[derive(Debug)]
pub struct Layout {
    /// The key of each field; none of one that is not wanted.
    pub keys: Vec<Option<Key>>,
    /// The name of each field, with dashes where it is on the list.
    names: Vec<String>,
    /// Whether the intake's parser understands a line in this order as it stands.
    pub is_parsed: bool,
    /// Where the fields are that decide about a record.
    pub places: Places,
}

/// Where the fields are that decide about a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// `log-status`.
    pub log_status: Option<usize>,
    /// `action`.
    pub action: Option<usize>,
    /// `srcaddr` and `pkt-srcaddr`.
    pub sources: [Option<usize>; 2],
    /// `dstaddr` and `pkt-dstaddr`.
    pub destinations: [Option<usize>; 2],
    /// `srcport` and `dstport`.
    pub ports: [Option<usize>; 2],
    /// `protocol`.
    pub protocol: Option<usize>,
    /// `packets`, `bytes`, `start` and `end`.
    pub sums: [Option<usize>; 4],
    /// `tcp-flags`.
    pub tcp_flags: Option<usize>,
}

/// The values of a record, by their places among its fields.
pub trait Values {
    /// A value, if there is one and it is text.
    fn text(&self, place: usize) -> Option<&[u8]>;
    /// A value, if there is one and it is a whole number.
    fn number(&self, place: usize) -> Option<u64>;
}

impl Layout {
    /// The layout that a header names; `None` if the line is no header.
    pub fn of_header(line: &str, is_first: bool) -> Option<Self> {
        is_header(line, is_first).then(|| {
            // A name that another one stands for already is left as it is.
            let mut names: Vec<&str> = Vec::new();
            for word in line.split_ascii_whitespace() {
                let known = field(word).filter(|field| !names.contains(field));
                names.push(known.unwrap_or(word));
            }
            Self::of(&names)
        })
    }

    /// The layout that a header names in which bytes are wrong, none of them ASCII, if it is clear for which letters of which
    /// fields they stand.
    pub fn of_damaged_header(line: &[u8]) -> Option<Self> {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let names = words.map(|word| match std::str::from_utf8(word) {
            Ok(word) => field(word),
            Err(_) => resembling(word),
        });
        names.collect::<Option<Vec<_>>>().filter(|names| !names.is_empty()).map(|names| Self::of(&names))
    }

    /// The layout of a file without header, if its first record has the default format.
    pub fn of_record(line: &str) -> Option<Self> {
        fits_default_format(line).then(|| Self::of(default_format()))
    }

    /// Leaves out the keys of fields that are not wanted.
    pub fn select(&mut self, selection: &Selection) {
        for (key, name) in self.keys.iter_mut().zip(&self.names) {
            key.take_if(|_| !selection.wants(name));
        }
    }

    fn of(names: &[&str]) -> Self {
        Self {
            keys: names.iter().map(|name| Some(Key::new(name, Kind::of(name)))).collect(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            is_parsed: are_parsed(names),
            places: Places::among(names),
        }
    }
}

impl Places {
    /// Those among fields whose names have dashes.
    pub fn among(names: &[&str]) -> Self {
        let place = |name| names.iter().position(|field| *field == name);
        Self {
            log_status: place("log-status"),
            action: place("action"),
            sources: [place("srcaddr"), place("pkt-srcaddr")],
            destinations: [place("dstaddr"), place("pkt-dstaddr")],
            ports: [place("srcport"), place("dstport")],
            protocol: place("protocol"),
            sums: [place("packets"), place("bytes"), place("start"), place("end")],
            tcp_flags: place("tcp-flags"),
        }
    }
}

/// The value that stands for itself: none, if there is nothing or the dash that AWS writes for nothing.
#[inline]
pub fn present<T: AsRef<[u8]> + ?Sized>(value: &T) -> Option<&T> {
    (!matches!(value.as_ref(), [] | [b'-'])).then_some(value)
}

/// The whole number that digits stand for, written as JSON has it. No more than eighteen digits: the intake's parser takes no
/// more for sure.
#[inline]
pub fn number(digits: &[u8]) -> Option<u64> {
    let is_written_so = (1..=18).contains(&digits.len()) && (digits.len() == 1 || !digits.starts_with(b"0"));
    if !is_written_so {
        return None;
    }
    let mut number = 0;
    for digit in digits.iter().map(|byte| byte.wrapping_sub(b'0')) {
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// Whether a line is a header: all its words look like fields, and some of them are known.
///
/// A field that is on no list yet must not hide a header, and neither a record nor ordinary text must ever pass for one. The
/// first line may name more fields that are not known than fields that are, but not as many words without a dash: all fields
/// that are one word are known, and `bytes`, `type` and `end` are words of any text. After it, where members of a gzip may
/// repeat their header, the first word must be known, which decides at once about nearly every record, and most words: a value
/// that looks like a field's name is rare, a line of which most values do does not occur.
fn is_header(line: &str, is_first: bool) -> bool {
    if !line.trim_ascii_start().as_bytes().first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    let (mut known, mut unknown, mut plain) = (0, 0, 0);
    for word in line.split_ascii_whitespace() {
        if may_be_field(word) && field(word).is_some() {
            known += 1;
        } else if (is_first || known > 0) && looks_like_field(&word.to_ascii_lowercase().replace('_', "-")) {
            unknown += 1;
            plain += usize::from(!word.contains(['-', '_']));
        } else {
            return false;
        }
    }
    known > if is_first { plain } else { unknown }
}

/// Whether a word is worth a look at the list: no field is shorter, and only the ends of some have digits. This decides about
/// the first value of nearly every record.
fn may_be_field(word: &str) -> bool {
    let start = word.as_bytes().get(..word.len().saturating_sub(2)).unwrap_or_default();
    !start.is_empty() && !start.iter().any(u8::is_ascii_digit)
}

/// Whether a line fits the default format, version 2: fourteen values, the first a version, the last a log status.
fn fits_default_format(line: &str) -> bool {
    let mut values = line.split_ascii_whitespace();
    let version = values
        .next()
        .is_some_and(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()));
    let status = values
        .next_back()
        .is_some_and(|value| matches!(value, "OK" | "NODATA" | "SKIPDATA" | "INCOMPLETEDATA"));
    version && status && values.count() == default_format().len() - 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_known_by_their_content() {
        for header in [
            "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status",
            "srcaddr dstaddr field-of-next-year",
            "log-status",
            "tgw-id resource-type version",
            "account_id accountId Account-Id",
            "account interfaceid sourceaddress destinationaddress sourceport destinationport protocol numpackets numbytes starttime endtime action logstatus",
        ] {
            assert!(is_header(header, true) && is_header(header, false), "{header}");
        }
        for header in ["field-of-next-year srcaddr dstaddr", "field-of-next-year another-one action"] {
            assert!(is_header(header, true), "{header}");
        }
        for text in [
            "colour shape",
            "the end",
            "start of the file",
            "Start of the file",
            "type of it all",
            "bytes: 7",
        ] {
            assert!(!is_header(text, true), "{text}");
        }
        assert!(is_header(" log-status\tsrcaddr  dstaddr ", true));
        assert_eq!(Layout::of_header("log-status srcaddr", true).unwrap().places.sources, [Some(1), None]);
    }

    #[test]
    fn records_are_not_headers() {
        for record in [
            "2 111111111111 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
            "2 111111111111 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA",
            "eni-1235b8ca123456789 ingress 2001:db8::1",
            "eni-1235b8ca123456789 subnet-0a vpc-0b us-east-1 egress",
            "region 10.0.0.1 10.0.0.2",
            "type us-east-1 use1-az1",
            "vpc-0ab region type",
            "",
            " ",
            "-",
        ] {
            assert!(!is_header(record, false), "{record}");
        }
    }

    #[test]
    fn the_default_format_is_known_without_a_header() {
        let record = "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 20 4249 1418530010 1418530070 ACCEPT OK";
        assert!(fits_default_format(record));
        for other in
            ["", "2", "{\"Records\": []}", "2 1 eni-1 a b 1 2 6 20 4249 1418530010 1418530070 ACCEPT FINE"]
        {
            assert!(!fits_default_format(other), "{other}");
        }
    }

    #[test]
    fn the_parser_reads_the_default_format_and_versions_3_to_5_in_full() {
        let all = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path reject-reason next-year";
        let names: Vec<&str> = all.split(' ').collect();
        for (count, is_parsed) in [
            (14, true),
            (29, true),
            (30, true),
            (31, true),
            (13, false),
            (15, false),
            (21, false),
            (28, false),
        ] {
            assert_eq!(are_parsed(&names[..count]), is_parsed, "{count} fields");
        }
        let mut other = names.clone();
        other.swap(3, 4);
        assert!(!are_parsed(&other));
        other = names[..14].to_vec();
        other.push("reject-reason");
        assert!(!are_parsed(&other));
    }
}
