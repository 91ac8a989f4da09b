//! The IDs that the intake gives, in memory or, if they are many, in a temporary file.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::intake::client::Accepted;
use crate::platform::rope::Part;

/// IDs that are kept in memory, in bytes; the rest goes into a temporary file. A batch of the trigger stays far below.
const IDS_BYTES_IN_MEMORY: usize = 4 * 1024 * 1024;

/// The IDs of the accepted events, chunk by chunk.
#[derive(Default)]
pub struct Ids {
    /// By the index of the chunk: JSON strings with commas between them.
    pub chunks: BTreeMap<usize, Part>,
    memory_bytes: usize,
    file: Option<Arc<File>>,
    file_bytes: u64,
}

impl Ids {
    /// Adds those of the chunk with this index.
    pub fn add(&mut self, chunk: usize, receipt: Accepted) {
        if receipt.count > 0 {
            let part = self.part(receipt.ids);
            self.chunks.insert(chunk, part);
        }
    }

    fn part(&mut self, ids: String) -> Part {
        if self.memory_bytes + ids.len() > IDS_BYTES_IN_MEMORY {
            match self.part_of_file(ids.as_bytes()) {
                Ok(part) => return part,
                // Rather too much memory than an ID that is lost.
                Err(error) => tracing::debug!(%error, "no temporary file, the ids stay in memory"),
            }
        }
        self.memory_bytes += ids.len();
        Part::Memory(ids.into())
    }

    fn part_of_file(&mut self, ids: &[u8]) -> std::io::Result<Part> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(Arc::new(tempfile::tempfile()?)),
        };
        let (offset, length) = (self.file_bytes, ids.len() as u64);
        file.write_all_at(ids, offset)?;
        self.file_bytes += length;
        Ok(Part::File { file: Arc::clone(file), offset, length })
    }
}
