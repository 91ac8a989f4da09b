//! Numbered entries in the storage, and now and then a snapshot of what they come to.
//!
//! An entry is a file of its own, made under a number that nobody has used: it is there whole or not at all, a commit
//! writes no more than what it changes, and of two instances that write the same number, one learns that it was
//! overtaken. A snapshot makes entries superfluous; the one before it stays, with the entries since, for the case that
//! the newer one is damaged.

use std::io::Read as _;
use std::pin::pin;

use flate2::Crc;
use flate2::bufread::GzDecoder;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use crate::gzip::compress;
use crate::platform::storage::{Storage, StorageError};

/// Files that are read at a time.
const SIDE_BY_SIDE: usize = 16;
/// Entries between two snapshots, and their bytes: together with two snapshots of 57,600 objects (200 flow logs, a day)
/// they stay below a megabyte.
const ENTRIES: u64 = 100;
const ENTRIES_BYTES: usize = 64 * 1024;

/// The end of a journal, where entries are appended.
#[derive(Debug)]
pub struct Journal {
    storage: Storage,
    folder: String,
    next: u64,
    /// The numbers of the snapshots that are kept, the newest last.
    snapshots: Vec<u64>,
    /// Bytes of the entries since the newest.
    entries_bytes: usize,
}

/// What a journal holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The newest snapshot that is whole.
    pub snapshot: Option<Vec<u8>>,
    /// The entries after it, in order.
    pub entries: Vec<Vec<u8>>,
    /// Files that are damaged and were set aside now.
    pub damaged: Vec<String>,
    /// Whether there is no snapshot, but what is there shows that there was one.
    pub is_snapshot_lost: bool,
}

/// What came of appending an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is there.
    Done,
    /// Another instance has written an entry of this number.
    Overtaken,
}

impl Journal {
    /// Reads a journal. Files that are damaged are renamed, so that they are there to look at.
    pub async fn open(storage: &Storage, folder: &str) -> Result<(Self, Contents), StorageError> {
        let mut snapshots = Vec::new();
        let mut entries = Vec::new();
        let mut contents = Contents::default();
        let names = storage.names(folder).await?;
        let last = names.iter().filter_map(|name| number(name)).max();
        // Also where the last start did not get further than to set the damaged files aside.
        let is_begun = names.iter().any(|name| number(name).is_some() || name.ends_with(DAMAGED));
        for name in names.iter().filter(|name| Storage::is_unfinished(name)) {
            if let Err(error) = storage.remove_file(&format!("{folder}/{name}")).await {
                tracing::debug!(%error, "could not remove what a crash left half written");
            }
        }
        let files: Vec<_> = names.into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
        let read = stream::iter(files).map(|(number, name)| {
            let (storage, path) = (storage.clone(), format!("{folder}/{name}"));
            async move {
                let file = match storage.read(&path).await {
                    // As damaged as an empty file.
                    Err(error) if error.is_folder() => Some(Vec::new()),
                    read => read?,
                };
                Ok::<_, StorageError>((number, name, path, file))
            }
        });
        let mut read = pin!(read.buffered(SIDE_BY_SIDE));
        while let Some((number, name, path, file)) = read.try_next().await? {
            let Some(file) = file else { continue };
            let Some(body) = unseal(&file) else {
                set_aside(storage, &path).await?;
                contents.damaged.push(path);
                continue;
            };
            if name.ends_with(SNAPSHOT) {
                snapshots.push(number);
                contents.snapshot = Some(body);
            } else {
                entries.push((number, body, file.len()));
            }
        }
        contents.is_snapshot_lost = is_begun && contents.snapshot.is_none();
        let newest = snapshots.last().copied();
        let mut entries_bytes = 0;
        for (_, body, bytes) in
            entries.into_iter().filter(|(number, ..)| newest.is_none_or(|newest| *number > newest))
        {
            entries_bytes += bytes;
            contents.entries.push(body);
        }
        let next = last.map_or(1, |last| last + 1);
        let (storage, folder) = (storage.clone(), folder.to_owned());
        Ok((Self { storage, folder, next, snapshots, entries_bytes }, contents))
    }

    /// Appends an entry.
    pub async fn append(&mut self, body: &[u8]) -> Result<Appended, StorageError> {
        let path = self.path(self.next, ENTRY);
        let file = seal(body);
        // A file that is there may be our own: written, and the answer lost.
        let is_ours = self.storage.create(&path, file.clone()).await?
            || self.storage.read(&path).await?.is_some_and(|found| found == file);
        if !is_ours {
            return Ok(Appended::Overtaken);
        }
        self.next += 1;
        self.entries_bytes += file.len();
        Ok(Appended::Done)
    }

    /// Appends an entry although others were appended since this journal was read, if `is_harmless` holds for each of
    /// them.
    pub async fn append_after(
        &mut self,
        body: &[u8],
        is_harmless: impl Fn(&[u8]) -> bool,
    ) -> Result<Appended, StorageError> {
        while self.append(body).await? == Appended::Overtaken {
            let found = self.storage.read(&self.path(self.next, ENTRY)).await?;
            if !found.as_deref().and_then(unseal).is_some_and(|found| is_harmless(&found)) {
                return Ok(Appended::Overtaken);
            }
            self.next += 1;
        }
        Ok(Appended::Done)
    }

    /// Whether the snapshot is still there that this journal begins with. As long as it is, so are all entries after it,
    /// and an entry could not be appended in the place of one that was removed.
    pub async fn is_current(&self) -> Result<bool, StorageError> {
        let names = self.storage.names(&self.folder).await?;
        let newest = self.snapshots.last().copied();
        Ok(names.iter().any(|name| name.ends_with(SNAPSHOT) && number(name) == newest))
    }

    /// Whether it is time for a snapshot.
    pub fn is_long(&self) -> bool {
        let entries = self.next.saturating_sub(self.snapshots.last().copied().unwrap_or(0));
        entries > ENTRIES || self.entries_bytes > ENTRIES_BYTES
    }

    /// Whether one damaged snapshot would leave another.
    pub fn has_spare_snapshot(&self) -> bool {
        self.snapshots.len() > 1
    }

    /// Writes the snapshot that all begins with, unless another instance has.
    pub async fn begin(&self, body: &[u8]) -> Result<(), StorageError> {
        self.storage.create(&self.path(self.next - 1, SNAPSHOT), seal(body)).await.map(drop)
    }

    /// Writes what all entries so far come to, and removes what the snapshot before it made superfluous.
    pub async fn snapshot(&mut self, body: &[u8]) -> Result<(), StorageError> {
        let newest = self.next - 1;
        self.storage.write(&self.path(newest, SNAPSHOT), seal(body)).await?;
        self.snapshots.retain(|number| *number != newest);
        self.snapshots.push(newest);
        self.entries_bytes = 0;
        let superfluous = self.snapshots.len().saturating_sub(2);
        let Some(oldest) = self.snapshots.get(superfluous).copied().filter(|_| superfluous > 0) else {
            return Ok(());
        };
        let is_superfluous = |name: &str| {
            number(name).is_some_and(|number| match name.ends_with(SNAPSHOT) {
                true => number < oldest,
                false => number <= oldest,
            })
        };
        let mut names = self.storage.names(&self.folder).await?;
        names.retain(|name| is_superfluous(name));
        self.storage.remove_files(&self.folder, names).await?;
        self.snapshots.drain(..superfluous);
        Ok(())
    }

    fn path(&self, number: u64, ending: &str) -> String {
        format!("{}/{number:016}{ending}", self.folder)
    }
}

/// The content of a file; `None` if there is none. A folder of that name is set aside: it would be in the way for ever.
pub async fn read_file(storage: &Storage, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
    match storage.read(path).await {
        Err(error) if error.is_folder() => set_aside(storage, path).await.map(|()| None),
        read => read,
    }
}

/// Renames what is damaged, so that it is there to look at.
async fn set_aside(storage: &Storage, path: &str) -> Result<(), StorageError> {
    let renamed = storage.rename(path, &format!("{path}{DAMAGED}")).await;
    match renamed {
        // One of that name was set aside before.
        Err(_) => storage.rename(path, &format!("{path}-{}{DAMAGED}", Uuid::new_v4())).await,
        Ok(()) => Ok(()),
    }
}

const ENTRY: &str = ".entry";
const SNAPSHOT: &str = ".snapshot";
/// The end of the name of a damaged file that was set aside.
pub const DAMAGED: &str = ".damaged";

/// The number of an entry or a snapshot. A snapshot has that of the last entry in it.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(ENTRY).or_else(|| name.strip_suffix(SNAPSHOT))?;
    digits.parse().ok().filter(|_| digits.len() == 16)
}

/// What takes no more than this takes no less room on a disk when it is compressed.
const PAGE_BYTES: u16 = 4096;

/// A file is the body in gzip, whose checksum it carries: what was cut or scrambled does not pass for whole.
pub fn seal(body: &[u8]) -> Vec<u8> {
    match u16::try_from(body.len()) {
        Ok(length) if length <= PAGE_BYTES => stored(body, length),
        _ => compress(std::iter::once(body)),
    }
}

/// A member of gzip (RFC 1952) of a single block that is not compressed (RFC 1951): a compressor prepares 270 kB for it.
fn stored(body: &[u8], length: u16) -> Vec<u8> {
    let mut checksum = Crc::new();
    checksum.update(body);
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    let (length, not_length) = (length.to_le_bytes(), (!length).to_le_bytes());
    let trailer = [checksum.sum().to_le_bytes(), checksum.amount().to_le_bytes()];
    [&header, &length[..], &not_length, body, trailer.as_flattened()].concat()
}

/// The body of a file; `None` if it is damaged.
pub fn unseal(file: &[u8]) -> Option<Vec<u8>> {
    let mut rest = file;
    let mut body = Vec::new();
    GzDecoder::new(&mut rest).read_to_end(&mut body).ok()?;
    rest.is_empty().then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        _folder: tempfile::TempDir,
        root: std::path::PathBuf,
        storage: Storage,
    }

    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path());
        World { root: folder.path().join("state"), _folder: folder, storage }
    }

    fn texts(contents: &Contents) -> (Option<String>, Vec<String>) {
        let text = |body: &Vec<u8>| String::from_utf8(body.clone()).unwrap();
        (contents.snapshot.as_ref().map(text), contents.entries.iter().map(text).collect())
    }

    /// Twelve entries, with snapshots after the fifth and the tenth.
    async fn written(world: &World) {
        let (mut journal, contents) = Journal::open(&world.storage, "state").await.unwrap();
        assert_eq!(texts(&contents), (None, vec![]));
        for number in 1..=12 {
            journal.append(number.to_string().as_bytes()).await.unwrap();
            if number % 5 == 0 {
                journal.snapshot(format!("up to {number}").as_bytes()).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn entries_come_back_in_order_after_the_newest_snapshot() {
        let world = world();
        written(&world).await;
        let (mut journal, contents) = Journal::open(&world.storage, "state").await.unwrap();
        assert_eq!(texts(&contents), (Some("up to 10".into()), vec!["11".into(), "12".into()]));
        journal.append(b"13").await.unwrap();
        let (_, contents) = Journal::open(&world.storage, "state").await.unwrap();
        assert_eq!(contents.entries.len(), 3);
    }

    #[tokio::test]
    async fn a_damaged_snapshot_costs_nothing_and_a_damaged_entry_only_itself() {
        for damage in [&b""[..], b"scrambled", b"00000000 up to 10"] {
            let world = world();
            written(&world).await;
            std::fs::write(world.root.join("0000000000000010.snapshot"), damage).unwrap();
            std::fs::write(world.root.join("0000000000000008.entry"), damage).unwrap();
            let (mut journal, contents) = Journal::open(&world.storage, "state").await.unwrap();
            let (snapshot, entries) = texts(&contents);
            assert_eq!(snapshot.as_deref(), Some("up to 5"));
            assert_eq!(entries, ["6", "7", "9", "10", "11", "12"]);
            assert_eq!(contents.damaged.len(), 2);
            journal.append(b"13").await.unwrap();
            journal.snapshot(b"up to 13").await.unwrap();
            let (_, contents) = Journal::open(&world.storage, "state").await.unwrap();
            assert_eq!(texts(&contents), (Some("up to 13".into()), vec![]));
            assert_eq!(contents.damaged, Vec::<String>::new(), "what was set aside is not read again");
        }
    }

    #[tokio::test]
    async fn a_folder_named_like_a_file_of_the_journal_is_set_aside() {
        let world = world();
        written(&world).await;
        for name in ["0000000000000013.entry", "0000000000000014.snapshot", ".writing-1"] {
            std::fs::create_dir_all(world.root.join(name).join("inside")).unwrap();
        }
        // One was set aside before.
        std::fs::create_dir_all(world.root.join("0000000000000013.entry.damaged/inside")).unwrap();
        let (mut journal, contents) = Journal::open(&world.storage, "state").await.unwrap();
        assert_eq!(texts(&contents), (Some("up to 10".into()), vec!["11".into(), "12".into()]));
        assert_eq!(contents.damaged.len(), 2);
        journal.append(b"15").await.unwrap();
        let (_, contents) = Journal::open(&world.storage, "state").await.unwrap();
        assert_eq!((contents.entries.len(), contents.damaged.len()), (3, 0));
    }

    #[tokio::test]
    async fn the_older_of_two_instances_learns_that_it_was_overtaken() {
        let world = world();
        let (mut older, _) = Journal::open(&world.storage, "state").await.unwrap();
        older.append(b"older").await.unwrap();
        let (mut newer, _) = Journal::open(&world.storage, "state").await.unwrap();
        newer.append(b"newer").await.unwrap();
        assert_eq!(older.append(b"older again").await.unwrap(), Appended::Overtaken);
        newer.append(b"newer again").await.unwrap();
    }
}
