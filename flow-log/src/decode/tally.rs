//! What became of the records of an object that do not go out.

use super::super::filter::Reason;

/// What was read into a block.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Records, those that do not go out included.
    pub read: u32,
    /// Records that are left out, in the order of [`Reason::ALL`].
    pub filtered: [u32; Reason::ALL.len()],
    /// Records that were merged into others before them.
    pub merged: u32,
    /// Records that cannot be read.
    pub rejected: u32,
    /// Which line of text, or which row, the first of those is.
    pub first_rejected: Option<u64>,
    /// What is wrong with it.
    pub first_fault: Option<Fault>,
    /// Records that say that AWS dropped some.
    pub skip_data: u32,
    /// Gzip data after which there is something else, which was left out.
    pub followed: u32,
    /// Whether the records' fields name no address at all.
    pub lacks_addresses: bool,
}

/// What is wrong with a record that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has more or fewer values than its file has fields.
    Values,
    /// It has bytes that are no text.
    NotUtf8,
    /// It is longer than any record.
    Long,
    /// It has a value that AWS cannot have written, or more of them than a record has.
    Foreign,
    /// It is longer than the intake takes.
    TooLongForTheIntake,
}

impl Fault {
    /// The fault in a few words, for the log.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Values => "it has more or fewer values than its file has fields",
            Self::NotUtf8 => "it is not UTF-8",
            Self::Long => "it is longer than 1 MiB",
            Self::TooLongForTheIntake => "it is longer than the 250,000 bytes that the intake takes",
            Self::Foreign => "it has a value that AWS cannot have written, or more than 2 MiB",
        }
    }
}
