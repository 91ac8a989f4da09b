//! A file that never answers, as on a file system whose server is gone: whoever opens or reads it waits.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::eventually;

/// `O_NONBLOCK` of Linux: the file is opened only if somebody reads it.
const IF_READ: i32 = 0o4000;

/// A file that never answers.
#[derive(Debug)]
pub struct SilentFile(PathBuf);

impl SilentFile {
    /// Puts one in the place of what has this path.
    ///
    /// # Panics
    /// When that cannot be done.
    pub fn at(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let _ = std::fs::remove_file(path);
        let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo");
        assert!(made.success(), "mkfifo {}", path.display());
        Self(path.to_owned())
    }

    /// Waits until somebody reads it, who waits as long as what this gives lives; `None`: nobody did within `timeout`.
    pub async fn read_by_somebody(&self, timeout: Duration) -> Option<File> {
        let mut held = None;
        let is_read = || {
            held = OpenOptions::new().write(true).custom_flags(IF_READ).open(&self.0).ok();
            held.is_some()
        };
        eventually(timeout, is_read).await.then_some(held)?
    }
}
