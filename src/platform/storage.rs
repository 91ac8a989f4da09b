//! The storage that the platform lends to a module: files under one root, named by relative paths.

use std::io::{Read, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::values::{ValueError, Values};

/// Where the platform mounts the storage, unless `SYMPHONY_DATA_DIR` names another folder.
const DIRECTORY: &str = "/symphony_data";

/// What the name of a file begins with while it is being written.
const UNFINISHED: &str = ".writing-";

/// The storage. Clones share it.
#[derive(Clone, Debug)]
pub struct Storage {
    root: Arc<PathBuf>,
}

/// Why the storage could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A value that describes the storage is wrong.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The platform wants a kind of storage that this version does not speak.
    #[error(
        "value `file_backend` asks for storage in a bucket, which this version cannot use: only local storage works"
    )]
    Unsupported,
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
    /// Whether the file or folder simply is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

impl Storage {
    /// The storage that the values describe: `/symphony_data` (or `SYMPHONY_DATA_DIR`), in it `sub_folder` if set.
    pub fn from_values(values: &Values) -> Result<Self, StorageError> {
        let backend = values.text("file_backend")?;
        if backend.is_some_and(|backend| backend.trim().eq_ignore_ascii_case("s3")) {
            return Err(StorageError::Unsupported);
        }
        let root = values.text("symphony_data_dir")?.map_or_else(|| DIRECTORY.into(), PathBuf::from);
        match values.text("sub_folder")? {
            None => Ok(Self::new(root)),
            Some(folder) => Ok(Self::new(root.join(relative(&folder)?))),
        }
    }

    /// The storage in the folder `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: Arc::new(root.into()) }
    }

    /// Checks that files can be written, creating the root where it is missing.
    pub async fn check(&self) -> Result<(), StorageError> {
        let probe = ".aws-flowlogs-write-check";
        self.write(probe, Vec::new()).await?;
        self.remove_file(probe).await
    }

    /// The content of a file; `None` if there is none.
    pub async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.blocking(path, "read", |file| match std::fs::read(file) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Opens a file for reading. A link that leads out of the storage is refused.
    pub async fn open(&self, path: &str) -> Result<std::fs::File, StorageError> {
        let root = Arc::clone(&self.root);
        let given = path.to_owned();
        self.blocking(path, "open", move |file| {
            let inside = file.canonicalize()?.starts_with(root.canonicalize()?);
            if !inside {
                return Ok(Err(StorageError::Outside { path: given }));
            }
            let opened = std::fs::File::open(file)?;
            if opened.metadata()?.is_dir() {
                return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory));
            }
            Ok(Ok(opened))
        })
        .await?
    }

    /// Writes a file so that it is there whole or not at all, and survives a crash of the machine.
    pub async fn write(
        &self,
        path: &str,
        content: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), StorageError> {
        self.write_with(path, move |file| file.write_all(content.as_ref())).await
    }

    /// Writes a file as [`Storage::write`] does, with all that `content` gives, which need not fit into memory.
    pub async fn write_from(
        &self,
        path: &str,
        mut content: impl Read + Send + 'static,
    ) -> Result<(), StorageError> {
        self.write_with(path, move |file| std::io::copy(&mut content, file).map(drop)).await
    }

    async fn write_with(
        &self,
        path: &str,
        fill: impl FnOnce(&mut std::fs::File) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), StorageError> {
        self.blocking(path, "write", move |file| {
            temporary(file, fill)?.persist(file).map_err(|error| error.error)?;
            sync_folder_of(file)
        })
        .await
    }

    /// Writes a file as [`Storage::write`] does, but only if there is none of that name: says whether it did.
    pub async fn create(
        &self,
        path: &str,
        content: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<bool, StorageError> {
        self.blocking(path, "create", move |file| {
            match temporary(file, |file| file.write_all(content.as_ref()))?.persist_noclobber(file) {
                Ok(_) => sync_folder_of(file).map(|()| true),
                Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error.error),
            }
        })
        .await
    }

    /// Whether a name is that of a file that a crash left half written.
    pub fn is_unfinished(name: &str) -> bool {
        name.starts_with(UNFINISHED)
    }

    /// Gives a file another name, replacing what has that name.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let target = self.root.join(relative(to)?);
        self.blocking(from, "rename", move |file| std::fs::rename(file, target)).await
    }

    /// Removes a file; it is no error if there is none.
    pub async fn remove_file(&self, path: &str) -> Result<(), StorageError> {
        self.blocking(path, "remove", |file| ignore_missing(std::fs::remove_file(file))).await
    }

    /// Removes a folder with all that is in it; it is no error if there is none.
    pub async fn remove_folder(&self, path: &str) -> Result<(), StorageError> {
        self.blocking(path, "remove", |folder| ignore_missing(std::fs::remove_dir_all(folder))).await
    }

    /// The names in a folder, sorted; none if there is no such folder.
    pub async fn names(&self, path: &str) -> Result<Vec<String>, StorageError> {
        self.blocking(path, "list", |folder| {
            let entries = match std::fs::read_dir(folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(Vec::new()),
                entries => entries?,
            };
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            let mut names = names.collect::<std::io::Result<Vec<_>>>()?;
            names.sort();
            Ok(names)
        })
        .await
    }

    /// Runs file work off the async runtime.
    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        action: &'static str,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let full = self.root.join(relative(path)?);
        let named = full.clone();
        let done = tokio::task::spawn_blocking(move || work(&full)).await;
        let done = done.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        done.map_err(|source| StorageError::Io { action, path: named, source })
    }
}

/// A filled file beside `file`, under a name of its own, that will survive a crash of the machine.
fn temporary(
    file: &Path,
    fill: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = folder_of(file);
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    fill(temporary.as_file_mut())?;
    make_readable(temporary.as_file())?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}

/// Makes the name of a file survive a crash of the machine.
fn sync_folder_of(file: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder_of(file))?.sync_all()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("."))
}

/// A temporary file is private to its writer; the platform reads as somebody else.
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn ignore_missing(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
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
