//! Time that passes for a process without anybody waiting for it: the clock of its waits runs ahead. What it reads as the
//! time of day stays as it is, so that signatures hold.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

/// By how much a clock runs ahead. Several processes may have the same.
#[derive(Debug)]
pub struct Ahead {
    folder: TempDir,
    file: File,
    seconds: Mutex<u64>,
}

impl Ahead {
    /// A clock that is right so far.
    ///
    /// # Panics
    /// When the C compiler refuses.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seconds");
        std::fs::write(&path, 0_u64.to_ne_bytes()).expect("a file");
        let file = OpenOptions::new().write(true).open(path).expect("a file");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ahead.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("ahead.so")).arg(source);
        assert!(compiler.status().expect("a C compiler").success(), "{compiler:?}");
        Self { folder, file, seconds: Mutex::new(0) }
    }

    /// Lets whole seconds pass. A wait that is over by then ends within a second or so: when the process wakes next.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn pass(&self, time: Duration) {
        let mut seconds = self.seconds.lock().unwrap();
        *seconds += time.as_secs();
        self.file.write_all_at(&seconds.to_ne_bytes(), 0).expect("written");
    }

    /// The variables of a process that has this clock.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("LD_PRELOAD", self.folder.path().join("ahead.so")),
            ("AHEAD_FILE", self.folder.path().join("seconds")),
        ]
    }
}

impl Default for Ahead {
    fn default() -> Self {
        Self::new()
    }
}
