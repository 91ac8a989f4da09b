//! Events that the intake would not take, kept for the user.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use uuid::Uuid;

use super::events::Rejects;
use crate::platform::storage::{Storage, StorageError};

/// The events that the intake would not take, in a temporary file until they are all known.
#[derive(Default)]
pub struct RejectedEvents {
    file: Option<File>,
    /// How many.
    pub count: u64,
    /// The longest of them, in bytes of its text.
    pub longest_bytes: u64,
    written_bytes: u64,
    /// Up to the end of the last event that is complete.
    complete_bytes: u64,
}

impl RejectedEvents {
    /// Puts the events into a file of the storage and gives its path; `None` if there are none.
    pub async fn keep(self, storage: &Storage) -> Result<Option<String>, StorageError> {
        let Some(mut file) = self.file.filter(|_| self.count > 0) else { return Ok(None) };
        let path = format!("rejected_events-{}.json", Uuid::new_v4());
        let closed = close_array(&mut file, self.complete_bytes);
        closed.map_err(|source| StorageError::Io { action: "fill", path: (&path).into(), source })?;
        storage.write_from(&path, file).await?;
        Ok(Some(path))
    }
}

/// Closes the array after the last event that is complete, and goes to its start.
fn close_array(file: &mut File, complete_bytes: u64) -> std::io::Result<()> {
    file.set_len(complete_bytes)?;
    file.seek(SeekFrom::Start(complete_bytes))?;
    file.write_all(b"]")?;
    file.rewind()
}

impl Rejects for RejectedEvents {
    fn piece(&mut self, text: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        if self.written_bytes == self.complete_bytes {
            file.write_all(if self.count == 0 { b"[" } else { b"," })?;
            self.written_bytes += 1;
        }
        file.write_all(text)?;
        self.written_bytes += text.len() as u64;
        Ok(())
    }

    fn end(&mut self, event_bytes: u64, reason: &'static str) -> std::io::Result<()> {
        self.count += 1;
        self.longest_bytes = self.longest_bytes.max(event_bytes);
        self.complete_bytes = self.written_bytes;
        tracing::debug!(event_bytes, reason, "an event cannot be sent");
        Ok(())
    }
}
