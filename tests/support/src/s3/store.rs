//! Buckets and their objects, in memory, in the order S3 lists them: by the UTF-8 bytes of the key.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;

use bytes::Bytes;
use jiff::Timestamp;

/// An object as S3 keeps it.
#[derive(Clone, Debug)]
pub struct Object {
    /// The whole body.
    pub body: Bytes,
    /// When it was written; whole seconds go over the wire.
    pub last_modified: Timestamp,
    /// The storage class; objects in `GLACIER` and `DEEP_ARCHIVE` are listed but cannot be read.
    pub storage_class: &'static str,
    etag: u128,
}

impl Object {
    /// An object of class `STANDARD`.
    pub(super) fn new(body: Bytes, last_modified: Timestamp) -> Self {
        let etag = fingerprint(&body);
        Self { body, last_modified, storage_class: "STANDARD", etag }
    }

    /// 32 hexadecimal digits, without quotes.
    pub fn etag(&self) -> String {
        format!("{:032x}", self.etag)
    }

    /// Whether the class has to be restored before a read.
    pub(super) fn is_archived(&self) -> bool {
        matches!(self.storage_class, "GLACIER" | "DEEP_ARCHIVE")
    }
}

/// Two 64-bit hashes: not the MD5 of S3, but no client of S3 may rely on that either.
fn fingerprint(body: &[u8]) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, body).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    (half(0) << 64) | half(1)
}

/// A key that a map can look up by bytes, which is what the bounds of a listing are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Box<str>);

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Where a bucket announces its new objects.
#[derive(Clone, Debug)]
pub enum Destination {
    /// In a queue, those whose keys begin with a prefix.
    Queue {
        /// The queue's ARN.
        arn: String,
        /// The prefix.
        prefix: String,
    },
    /// In the topic with this ARN.
    Topic(String),
    /// In EventBridge.
    EventBridge,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    objects: BTreeMap<Key, Object>,
    /// Where the bucket lives; `None`: wherever the caller thinks.
    pub(super) region: Option<String>,
    /// The queue in which its new objects are announced.
    pub(super) announced_in: Option<String>,
    /// Where it says that they are.
    pub(super) notified: Vec<Destination>,
    /// Whether whoever calls it pays.
    pub(super) requester_pays: bool,
    /// The parts of the uploads that were begun and not ended, by their IDs.
    pub(super) uploads: HashMap<String, BTreeMap<i32, Bytes>>,
}

/// What a listing asks for.
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    /// Empty: none.
    pub(super) delimiter: &'a str,
    /// Only keys from here on.
    pub(super) from: Bound<Vec<u8>>,
    pub(super) max_keys: usize,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Object)>,
    pub(super) common_prefixes: Vec<String>,
    /// Where the next page starts; `None`: this was the last one.
    pub(super) next: Option<Bound<Vec<u8>>>,
}

impl Bucket {
    pub(super) fn begin_upload(&mut self) -> String {
        let id = format!("upload-{}", self.uploads.len());
        self.uploads.insert(id.clone(), BTreeMap::new());
        id
    }

    pub(super) fn put(&mut self, key: &str, object: Object) {
        self.objects.insert(Key(key.into()), object);
    }

    pub(super) fn get(&self, key: &str) -> Option<&Object> {
        self.objects.get(key.as_bytes())
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Object> {
        self.objects.remove(key.as_bytes())
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.objects.keys().map(|key| key.0.to_string()).collect()
    }

    /// A page of `query`. The work grows with what the page names, not with the keys under a common prefix: those
    /// are jumped over.
    pub(super) fn list(&self, query: &Query<'_>) -> Page {
        let mut page = Page::default();
        let mut named = 0;
        let mut from = later(Bound::Included(query.prefix.as_bytes().to_vec()), query.from.clone());
        'jump: loop {
            let range = (as_slice(&from), Bound::Unbounded);
            for (Key(key), object) in self.objects.range::<[u8], _>(range) {
                let Some(rest) = key.strip_prefix(query.prefix) else { return page };
                if named == query.max_keys {
                    page.next = (query.max_keys > 0).then_some(from);
                    return page;
                }
                named += 1;
                match rest.find(query.delimiter) {
                    Some(at) if !query.delimiter.is_empty() => {
                        let end = query.prefix.len() + at + query.delimiter.len();
                        page.common_prefixes.push(key[..end].to_owned());
                        let Some(after) = successor(&key.as_bytes()[..end]) else { return page };
                        from = Bound::Included(after);
                        continue 'jump;
                    }
                    _ => {
                        from = Bound::Excluded(key.as_bytes().to_vec());
                        page.objects.push((key.to_string(), object.clone()));
                    }
                }
            }
            return page;
        }
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// The later of two places to start from.
fn later(one: Bound<Vec<u8>>, other: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
    fn place(bound: &Bound<Vec<u8>>) -> Option<(&[u8], bool)> {
        match bound {
            Bound::Included(key) => Some((key, false)),
            Bound::Excluded(key) => Some((key, true)),
            Bound::Unbounded => None,
        }
    }
    if place(&one) >= place(&other) { one } else { other }
}

/// The first byte string after all those that start with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

/// All buckets by name.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) buckets: HashMap<String, Bucket>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(keys: &[&str]) -> Bucket {
        let mut bucket = Bucket::default();
        for key in keys {
            bucket.put(key, Object::new(Bytes::new(), Timestamp::UNIX_EPOCH));
        }
        bucket
    }

    /// Objects and common prefixes of all pages, page by page.
    fn pages(bucket: &Bucket, prefix: &str, delimiter: &str, max_keys: usize) -> Vec<Vec<String>> {
        let mut from = Bound::Unbounded;
        let mut pages = Vec::new();
        loop {
            let page = bucket.list(&Query { prefix, delimiter, from, max_keys });
            let mut names: Vec<_> = page.objects.into_iter().map(|(key, _)| key).collect();
            names.extend(page.common_prefixes);
            names.sort();
            pages.push(names);
            match page.next {
                Some(next) => from = next,
                None => return pages,
            }
        }
    }

    #[test]
    fn a_common_prefix_counts_once_and_pages_go_on_after_it() {
        let bucket = bucket(&["a", "b/1", "b/2", "b/3", "c/1", "d", "é/1", "z"]);
        assert_eq!(pages(&bucket, "", "/", 2), [vec!["a", "b/"], vec!["c/", "d"], vec!["z", "é/"]]);
        assert_eq!(pages(&bucket, "b/", "/", 2), [vec!["b/1", "b/2"], vec!["b/3"]]);
        assert_eq!(pages(&bucket, "", "", 100)[0].len(), 8);
        assert_eq!(pages(&bucket, "x", "/", 2), [Vec::<String>::new()]);
    }

    #[test]
    fn a_full_last_page_is_not_truncated() {
        assert_eq!(pages(&bucket(&["a", "b"]), "", "", 2).len(), 1);
        assert_eq!(pages(&bucket(&["a/1", "a/2", "b/1"]), "", "/", 2).len(), 1);
        assert_eq!(pages(&bucket(&["a"]), "", "", 0), [Vec::<String>::new()]);
    }

    #[test]
    fn a_listing_starts_after_a_key() {
        let bucket = bucket(&["p/a", "p/b", "p/c"]);
        let from = Bound::Excluded(b"p/a".to_vec());
        let page = bucket.list(&Query { prefix: "p/", delimiter: "", from, max_keys: 10 });
        assert_eq!(page.objects.len(), 2);
        let from = Bound::Excluded(b"a".to_vec());
        let page = bucket.list(&Query { prefix: "p/", delimiter: "", from, max_keys: 10 });
        assert_eq!(page.objects.len(), 3);
    }
}
