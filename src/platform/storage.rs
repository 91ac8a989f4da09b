//! The storage that the platform lends to a module: files under one root, named by relative paths.

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::values::{ValueError, Values};

pub mod bucket;
pub mod local;

use self::bucket::Bucket;
use self::local::Local;

/// Where the platform mounts the storage, unless `SYMPHONY_DATA_DIR` names another folder.
const DIRECTORY: &str = "/symphony_data";

/// What the name of a file begins with while it is being written.
const UNFINISHED: &str = ".writing-";

/// The storage. Clones share it.
#[derive(Clone, Debug)]
pub struct Storage {
    backend: Arc<dyn Backend>,
}

/// What keeps the files. Paths are relative and do not lead out of the storage.
pub trait Backend: std::fmt::Debug + Send + Sync {
    /// The content of a file; `None` if there is none.
    fn read<'a>(&'a self, path: &'a Path) -> Answer<'a, Option<Vec<u8>>>;

    /// Opens a file for reading. A link that leads out of the storage is refused.
    fn open<'a>(&'a self, path: &'a Path) -> Answer<'a, std::fs::File>;

    /// Writes a file so that it is there whole or not at all, and survives a crash of the machine.
    fn write<'a>(&'a self, path: &'a Path, content: Pieces) -> Answer<'a, ()>;

    /// Writes a file as [`Backend::write`] does, with all that `content` gives, which need not fit into memory.
    fn write_from<'a>(&'a self, path: &'a Path, content: Box<dyn Read + Send>) -> Answer<'a, ()>;

    /// Writes a file as [`Backend::write`] does, but only if there is none of that name: says whether it did.
    fn create<'a>(&'a self, path: &'a Path, content: Bytes) -> Answer<'a, bool>;

    /// Gives a file another name, replacing what has that name.
    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> Answer<'a, ()>;

    /// Removes a file; it is no error if there is none.
    fn remove_file<'a>(&'a self, path: &'a Path) -> Answer<'a, ()>;

    /// Removes files of a folder, as [`Backend::remove_file`] does, in this order.
    fn remove_files<'a>(&'a self, folder: &'a Path, names: Vec<String>) -> Answer<'a, ()> {
        let removed = async move {
            for name in names {
                self.remove_file(&folder.join(name)).await?;
            }
            Ok(())
        };
        removed.boxed()
    }

    /// Removes a folder with all that is in it; it is no error if there is none.
    fn remove_folder<'a>(&'a self, path: &'a Path) -> Answer<'a, ()>;

    /// Makes a file that is held by this process until the value is dropped or the process ends, however it ends.
    fn hold<'a>(&'a self, path: &'a Path) -> Answer<'a, Hold>;

    /// Whether a process holds a file; false if there is none.
    fn is_held<'a>(&'a self, path: &'a Path) -> Answer<'a, bool>;

    /// The names in a folder, sorted; none if there is no such folder.
    fn names<'a>(&'a self, path: &'a Path) -> Answer<'a, Vec<String>>;

    /// Does work that calls this backend several times, on the thread where that costs least.
    fn together(&self, work: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        work
    }
}

/// The content of a file, in pieces that follow on each other.
#[derive(Clone, Debug, Default)]
pub struct Pieces(pub Vec<Bytes>);

impl FromIterator<Bytes> for Pieces {
    fn from_iter<T: IntoIterator<Item = Bytes>>(pieces: T) -> Self {
        Self(pieces.into_iter().collect())
    }
}

impl<T> From<T> for Pieces
where
    Bytes: From<T>,
{
    fn from(piece: T) -> Self {
        Self(vec![piece.into()])
    }
}

/// A file is held as long as this lives.
pub type Hold = Box<dyn std::fmt::Debug + Send + Sync>;

/// What a [`Backend`] answers, some time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StorageError>>;

/// Why the storage could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A value that describes the storage is wrong.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The values do not describe a bucket that can be used.
    #[error("the storage's bucket cannot be used: {0}; this is for the platform's operator to put right")]
    Bucket(String),
    /// The path is absolute, empty, or leads out of the storage.
    #[error("path {path:?} is refused: it must be relative to the storage and must not lead out of it")]
    Outside {
        /// The path as given.
        path: String,
    },
    /// The system refused.
    #[error("cannot {action} {path} in the storage: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StorageError {
    /// Whether there is a folder where a file should be.
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::IsADirectory)
    }

    /// Whether the file or folder simply is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

impl Storage {
    /// The storage that the values describe: a bucket if `file_backend` is `S3`, else the folder `/symphony_data` (or
    /// `SYMPHONY_DATA_DIR`); in either the folder `sub_folder`, if set.
    pub fn from_values(values: &Values) -> Result<Self, StorageError> {
        let folder = values.text("sub_folder")?;
        let folder = folder.as_deref().map(relative).transpose()?.unwrap_or(Path::new(""));
        let backend = values.text("file_backend")?;
        if backend.is_some_and(|backend| backend.trim().eq_ignore_ascii_case("s3")) {
            return Ok(Self::over(Bucket::from_values(values, &folder.to_string_lossy())?));
        }
        let root = values.text("symphony_data_dir")?.map_or_else(|| DIRECTORY.into(), PathBuf::from);
        Ok(Self::new(root.join(folder)))
    }

    /// The storage in the folder `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::over(Local::new(root.into()))
    }

    /// The storage that `backend` keeps.
    pub fn over(backend: impl Backend + 'static) -> Self {
        Self { backend: Arc::new(backend) }
    }

    /// Checks that files can be written, creating the root where it is missing.
    pub async fn check(&self) -> Result<(), StorageError> {
        let probe = ".aws-flowlogs-write-check";
        self.write(probe, "").await?;
        self.remove_file(probe).await
    }

    /// The content of a file; `None` if there is none.
    pub async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.backend.read(relative(path)?).await
    }

    /// Opens a file for reading. A link that leads out of the storage is refused.
    pub async fn open(&self, path: &str) -> Result<std::fs::File, StorageError> {
        self.backend.open(relative(path)?).await
    }

    /// Writes a file so that it is there whole or not at all, and survives a crash of the machine.
    pub async fn write(&self, path: &str, content: impl Into<Pieces>) -> Result<(), StorageError> {
        self.backend.write(relative(path)?, content.into()).await
    }

    /// Writes a file as [`Storage::write`] does, with all that `content` gives, which need not fit into memory.
    pub async fn write_from(
        &self,
        path: &str,
        content: impl Read + Send + 'static,
    ) -> Result<(), StorageError> {
        self.backend.write_from(relative(path)?, Box::new(content)).await
    }

    /// Writes a file as [`Storage::write`] does, but only if there is none of that name: says whether it did.
    pub async fn create(&self, path: &str, content: impl Into<Bytes>) -> Result<bool, StorageError> {
        self.backend.create(relative(path)?, content.into()).await
    }

    /// Whether a name is that of a file that a crash left half written.
    pub fn is_unfinished(name: &str) -> bool {
        name.starts_with(UNFINISHED)
    }

    /// Gives a file another name, replacing what has that name.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.backend.rename(relative(from)?, relative(to)?).await
    }

    /// Removes a file; it is no error if there is none.
    pub async fn remove_file(&self, path: &str) -> Result<(), StorageError> {
        self.backend.remove_file(relative(path)?).await
    }

    /// Removes files of a folder, as [`Storage::remove_file`] does, in this order.
    pub async fn remove_files(&self, folder: &str, names: Vec<String>) -> Result<(), StorageError> {
        for name in &names {
            relative(name)?;
        }
        self.backend.remove_files(relative(folder)?, names).await
    }

    /// Removes a folder with all that is in it; it is no error if there is none.
    pub async fn remove_folder(&self, path: &str) -> Result<(), StorageError> {
        self.backend.remove_folder(relative(path)?).await
    }

    /// Makes a file that is held by this process until the value is dropped or the process ends, however it ends.
    pub async fn hold(&self, path: &str) -> Result<Hold, StorageError> {
        self.backend.hold(relative(path)?).await
    }

    /// Whether a process holds a file; false if there is none.
    pub async fn is_held(&self, path: &str) -> Result<bool, StorageError> {
        self.backend.is_held(relative(path)?).await
    }

    /// The names in a folder, sorted; none if there is no such folder.
    pub async fn names(&self, path: &str) -> Result<Vec<String>, StorageError> {
        self.backend.names(relative(path)?).await
    }

    /// Does work that calls the storage several times. Where each call would go to a thread for files and back, which
    /// costs as much as what a small one does there, the work as a whole goes there.
    pub async fn together<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (done_in, done) = oneshot::channel();
        self.backend.together(work.map(|done| drop(done_in.send(done))).boxed()).await;
        match done.await {
            Ok(done) => done,
            // Only where the runtime ends, and all that waits with it.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The path if it stays below the folder it is joined to.
fn relative(path: &str) -> Result<&Path, StorageError> {
    let outside = || StorageError::Outside { path: path.to_owned() };
    let stays = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    let parsed = Path::new(path);
    let has_name = parsed.components().any(|component| matches!(component, Component::Normal(_)));
    if has_name && parsed.components().all(stays) && !path.contains('\0') {
        Ok(parsed)
    } else {
        Err(outside())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn paths_that_lead_out_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        let storage = Storage::new(folder.path().join("inside"));
        storage.write("a/b.json", "[]").await.unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), folder.path().join("inside/link")).unwrap();
        for path in ["/etc/passwd", "../secret", "a/../../secret", "", ".", "link"] {
            assert!(matches!(storage.open(path).await, Err(StorageError::Outside { .. })), "{path}");
        }
        storage.open("a/b.json").await.unwrap();
        storage.open("./a/b.json").await.unwrap();
    }

    #[tokio::test]
    async fn a_written_file_is_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path());
        storage.write("batches/1/event.json", "[1]").await.unwrap();
        storage.write("batches/1/event.json", "[2]").await.unwrap();
        assert_eq!(storage.read("batches/1/event.json").await.unwrap().unwrap(), b"[2]");
        assert_eq!(storage.names("batches/1").await.unwrap(), ["event.json"]);
        storage.remove_folder("batches/1").await.unwrap();
        storage.remove_folder("batches/1").await.unwrap();
        assert!(storage.read("batches/1/event.json").await.unwrap().is_none());
    }
}
