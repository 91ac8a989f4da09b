//! Text, window by window: finds whole lines in it, and has records made of them.
//!
//! It needs one window of memory beside a block of records, whatever the object's size.

use std::io::{ErrorKind, Read};

use self::records::Records;
use super::{Decoder, Emit, ObjectError, damage};

mod records;
mod values;

/// Text that is inflated at a time: small enough for the processor's cache, large enough that the calls do not count, in
/// each of which the inflater copies 64 KiB.
const WINDOW_BYTES: usize = 256 * 1024;
/// A record has some hundred bytes, one with every field and tags a few thousand. A longer line is no record.
const LINE_BYTES: usize = 1024 * 1024;
/// A text with such a line is none: a few megabytes of gzip can hold gigabytes of the same byte.
const SKIPPED_BYTES: usize = 64 * 1024 * 1024;

/// Decodes text into blocks for `emit`, which may break it off.
pub(super) fn decode(text: &mut dyn Read, decoder: &Decoder, emit: Emit<'_>) -> Result<(), ObjectError> {
    let mut records = Records::new(decoder);
    let mut window = vec![0; WINDOW_BYTES];
    let mut filled = 0;
    // How many bytes were dropped of a line that is too long; `None` outside of one.
    let mut skipped = None;
    loop {
        if filled == window.len() {
            if window.len() < LINE_BYTES {
                window.resize(window.len() * 2, 0);
            } else {
                records.long_line()?;
                skipped = Some(std::mem::take(&mut filled));
            }
        }
        let room = window.get_mut(filled..).unwrap_or_default();
        let count = match text.read(room) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(damage(error, records.position())),
        };
        let ended = count == 0;
        let mut fresh = filled..filled + count;
        filled += count;
        if let Some(bytes) = skipped {
            let end = memchr::memchr(b'\n', window.get(fresh.clone()).unwrap_or_default());
            let dropped = end.map_or(filled, |newline| newline + 1);
            skipped = end.is_none().then_some(bytes + dropped);
            if skipped.is_some_and(|bytes| bytes > SKIPPED_BYTES) {
                return Err(ObjectError::LongLine { records: records.position() });
            }
            window.copy_within(dropped..filled, 0);
            filled -= dropped;
            fresh = 0..filled;
        }
        // Up to here the lines are whole; a line that the window cuts waits for the rest.
        let newline = memchr::memrchr(b'\n', window.get(fresh.clone()).unwrap_or_default());
        let whole = if ended { filled } else { newline.map_or(0, |newline| fresh.start + newline + 1) };
        if records.read(window.get(..whole).unwrap_or_default(), emit)?.is_break() {
            return Ok(());
        }
        window.copy_within(whole..filled, 0);
        filled -= whole;
        if ended {
            return records.end(emit);
        }
    }
}
