//! zlib-rs, written in Rust: where there is no assembler to compile igzip with.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Inflate, Step};

/// Bytes after the compressed data of a member: its checksum and its length.
const TRAILER_BYTES: usize = 8;

/// The inflater, inside a member or between two.
pub(crate) struct Member {
    data: Decompress,
    /// That of what was made.
    checksum: Crc,
    stage: Stage,
}

enum Stage {
    Data,
    /// What came of the checksum and the length.
    Trailer(Vec<u8>),
    Ended,
}

impl Default for Member {
    fn default() -> Self {
        Self { data: Decompress::new(false), checksum: Crc::new(), stage: Stage::Ended }
    }
}

impl Inflate for Member {
    fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    fn begin(&mut self) {
        self.data.reset(false);
        self.checksum.reset();
        self.stage = Stage::Data;
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut step = Step { taken: 0, made: 0, damage: None };
        if let Stage::Data = self.stage {
            let (taken, made) = (self.data.total_in(), self.data.total_out());
            let status = self.data.decompress(input, output, FlushDecompress::None);
            let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
            step.taken = count(self.data.total_in(), taken);
            step.made = count(self.data.total_out(), made);
            self.checksum.update(output.get(..step.made).unwrap_or_default());
            match status {
                Ok(Status::StreamEnd) => self.stage = Stage::Trailer(Vec::with_capacity(TRAILER_BYTES)),
                Ok(Status::Ok | Status::BufError) => {}
                Err(_) => step.damage = Some("the compressed data is damaged"),
            }
        }
        if let Stage::Trailer(trailer) = &mut self.stage {
            let rest = input.get(step.taken..).unwrap_or_default();
            let wanted = rest.len().min(TRAILER_BYTES - trailer.len());
            trailer.extend_from_slice(rest.get(..wanted).unwrap_or_default());
            step.taken += wanted;
            if trailer.len() == TRAILER_BYTES {
                let expected =
                    [self.checksum.sum().to_le_bytes(), self.checksum.amount().to_le_bytes()].concat();
                if *trailer != expected {
                    step.damage = Some("its checksum or length does not match its content");
                }
                self.stage = Stage::Ended;
            }
        }
        step
    }
}
