//! The storage as a folder of this machine, or one that the platform mounts.

use std::cell::Cell;
use std::fs::TryLockError;
use std::io::{BufWriter, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use super::{Answer, Backend, Hold, Pieces, StorageError, UNFINISHED};

/// How long work with files may take before it is said that it does.
const SILENCE: Duration = Duration::from_secs(30);

thread_local! {
    /// Whether this thread may wait for files: nothing else waits for it.
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// A folder.
#[derive(Debug)]
pub struct Local {
    root: Arc<PathBuf>,
}

impl Local {
    /// The folder `root`, which need not be there yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root: Arc::new(root) }
    }

    /// Does file work, on a thread that may wait for it.
    fn blocking<T: Send + 'static>(
        &self,
        path: &Path,
        action: &'static str,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
    ) -> Answer<'static, T> {
        let full = self.root.join(path);
        let named = full.clone();
        let done = async move {
            let done = if MAY_WAIT.get() {
                work(&full)
            } else {
                let working = tokio::task::spawn_blocking(move || work(&full));
                let done = patiently(working, action, &named).await;
                done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
            };
            done.map_err(|source| StorageError::Io { action, path: named, source })
        };
        done.boxed()
    }

    fn write_with(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut std::fs::File) -> std::io::Result<()> + Send + 'static,
    ) -> Answer<'static, ()> {
        self.blocking(path, "write", move |file| {
            temporary(file, fill)?.persist(file).map_err(|error| error.error)?;
            sync_folder_of(file)
        })
    }
}

impl Backend for Local {
    fn read<'a>(&'a self, path: &'a Path) -> Answer<'a, Option<Vec<u8>>> {
        self.blocking(path, "read", |file| match std::fs::read(file) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn open<'a>(&'a self, path: &'a Path) -> Answer<'a, std::fs::File> {
        let root = Arc::clone(&self.root);
        let opened = self.blocking(path, "open", move |file| {
            let is_inside = file.canonicalize()?.starts_with(root.canonicalize()?);
            if !is_inside {
                return Ok(None);
            }
            let opened = std::fs::File::open(file)?;
            if opened.metadata()?.is_dir() {
                return Err(std::io::Error::from(ErrorKind::IsADirectory));
            }
            Ok(Some(opened))
        });
        let outside = || StorageError::Outside { path: path.display().to_string() };
        async move { opened.await?.ok_or_else(outside) }.boxed()
    }

    fn write<'a>(&'a self, path: &'a Path, content: Pieces) -> Answer<'a, ()> {
        self.write_with(path, move |file| {
            // Gathers what is small; what is large passes through it.
            let mut file = BufWriter::new(file);
            content.0.iter().try_for_each(|piece| file.write_all(piece))?;
            file.flush()
        })
    }

    fn write_from<'a>(&'a self, path: &'a Path, mut content: Box<dyn Read + Send>) -> Answer<'a, ()> {
        self.write_with(path, move |file| std::io::copy(&mut content, file).map(drop))
    }

    fn create<'a>(&'a self, path: &'a Path, content: Bytes) -> Answer<'a, bool> {
        self.blocking(path, "create", move |file| {
            match temporary(file, |file| file.write_all(&content))?.persist_noclobber(file) {
                Ok(_) => sync_folder_of(file).map(|()| true),
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error.error),
            }
        })
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> Answer<'a, ()> {
        let target = self.root.join(to);
        self.blocking(from, "rename", move |file| std::fs::rename(file, target))
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> Answer<'a, ()> {
        self.blocking(path, "remove", |file| ignore_missing(std::fs::remove_file(file)))
    }

    fn remove_files<'a>(&'a self, folder: &'a Path, names: Vec<String>) -> Answer<'a, ()> {
        self.blocking(folder, "remove files of", move |folder| {
            names.iter().try_for_each(|name| ignore_missing(std::fs::remove_file(folder.join(name))))
        })
    }

    fn remove_folder<'a>(&'a self, path: &'a Path) -> Answer<'a, ()> {
        self.blocking(path, "remove", |folder| ignore_missing(std::fs::remove_dir_all(folder)))
    }

    fn hold<'a>(&'a self, path: &'a Path) -> Answer<'a, Hold> {
        self.blocking(path, "hold", |file| {
            // Locked before it has its name, so that nobody finds it free. A file system without locks goes without.
            let held = temporary(file, |file| file.try_lock().or(Ok(())))?;
            let held = held.persist(file).map_err(|error| error.error)?;
            Ok(Box::new(held) as Hold)
        })
    }

    fn is_held<'a>(&'a self, path: &'a Path) -> Answer<'a, bool> {
        self.blocking(path, "look at", |file| match std::fs::File::open(file) {
            Ok(file) => Ok(matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn names<'a>(&'a self, path: &'a Path) -> Answer<'a, Vec<String>> {
        self.blocking(path, "list", |folder| {
            let entries = match std::fs::read_dir(folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Vec::new()),
                entries => entries?,
            };
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            let mut names = names.collect::<std::io::Result<Vec<_>>>()?;
            names.sort();
            Ok(names)
        })
    }

    fn together(&self, work: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        let (runtime, root) = (tokio::runtime::Handle::current(), Arc::clone(&self.root));
        let on_one_thread = move || {
            MAY_WAIT.set(true);
            runtime.block_on(work);
            MAY_WAIT.set(false);
        };
        let done = async move {
            let working = tokio::task::spawn_blocking(on_one_thread);
            if let Err(error) = patiently(working, "write a batch", &root).await
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        };
        done.boxed()
    }
}

/// Waits for work of another thread, and says so where it takes long: a file system that does not answer holds up all else,
/// and would do so in silence. To give up would help nobody: the thread would go on with what nobody knows of any more.
async fn patiently<T>(mut working: JoinHandle<T>, action: &str, path: &Path) -> Result<T, JoinError> {
    let began = Instant::now();
    loop {
        match tokio::time::timeout(SILENCE, &mut working).await {
            Ok(done) => return done,
            Err(_) => {
                let (path, waiting_s) = (path.display(), began.elapsed().as_secs());
                tracing::warn!(%path, action, waiting_s, "the storage does not answer, it is waited for");
            }
        }
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
