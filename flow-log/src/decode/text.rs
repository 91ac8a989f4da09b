//! Records out of text: leaves headers and empty lines out, and writes each record as the line that it is or as JSON.
//!
//! It needs one window of memory beside a block of records, whatever the object's size.

use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;

use memchr::memmem;

use super::block::{Block, Filling};
use super::lines::{Line, lines};
use super::{Decoder, ObjectError, RecordFormat, damage};
use crate::record::{Layout, present};

/// Text that is inflated at a time: small enough for the processor's cache, large enough that the calls do not count, in
/// each of which the inflater copies 64 KiB.
const WINDOW_BYTES: usize = 256 * 1024;
/// A record has some hundred bytes, one with every field and tags a few thousand. A longer line is no record.
const LINE_BYTES: usize = 1024 * 1024;

/// What `log-status` says in a record that stands for those that AWS dropped.
pub(super) const SKIP_DATA: &[u8] = b"SKIPDATA";

/// Decodes text into blocks for `emit`, which may break it off.
pub(super) fn decode(
    mut text: impl Read,
    decoder: &Decoder,
    mut emit: impl FnMut(Block) -> ControlFlow<()>,
) -> Result<(), ObjectError> {
    let mut records = Records::new(decoder);
    let mut window = vec![0; WINDOW_BYTES];
    let mut filled = 0;
    loop {
        if filled == window.len() {
            if window.len() >= LINE_BYTES {
                return Err(ObjectError::LongLine { records: records.block.end() });
            }
            window.resize(window.len() * 2, 0);
        }
        let room = window.get_mut(filled..).unwrap_or_default();
        let count = match text.read(room) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(damage(error, records.block.end())),
        };
        let ended = count == 0;
        let fresh = filled..filled + count;
        filled += count;
        // Up to here the lines are whole; a line that the window cuts waits for the rest.
        let newline = memchr::memrchr(b'\n', window.get(fresh.clone()).unwrap_or_default());
        let whole = if ended { filled } else { newline.map_or(0, |newline| fresh.start + newline + 1) };
        if records.read(window.get(..whole).unwrap_or_default(), &mut emit)?.is_break() {
            return Ok(());
        }
        window.copy_within(whole..filled, 0);
        filled -= whole;
        if ended {
            records.block.end_with(emit);
            return Ok(());
        }
    }
}

/// Turns whole lines into records.
struct Records<'a> {
    decoder: &'a Decoder,
    layout: Option<Layout>,
    /// Lines go out as they stand.
    stays: bool,
    /// How many values a line has that goes out as it stands and needs not be looked into; `None` if all need.
    plain_values: Option<usize>,
    /// The last value of a line is the field `log-status`.
    ends_with_status: bool,
    block: Filling,
    /// How many lines were read.
    number: u64,
    /// Where the values of a line end.
    ends: Vec<usize>,
}

/// What is known of a line before its values are.
#[derive(Clone, Copy)]
struct Known {
    /// How many values it has.
    values: usize,
    /// It is ASCII of which nothing needs escaping.
    is_plain: bool,
}

impl<'a> Records<'a> {
    fn new(decoder: &'a Decoder) -> Self {
        Self {
            decoder,
            layout: None,
            stays: false,
            plain_values: None,
            ends_with_status: false,
            block: Filling::default(),
            number: 0,
            ends: Vec::new(),
        }
    }

    fn read(
        &mut self,
        text: &[u8],
        emit: &mut impl FnMut(Block) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ObjectError> {
        self.block.expect_text(text.len());
        for Line { place, spaces, is_plain } in lines(text) {
            let line = text.get(place).unwrap_or_default();
            let known = Known { values: spaces + 1, is_plain };
            if is_plain && self.is_usual(line, known.values) {
                self.number += 1;
                self.block.push_clean(line);
            } else {
                let line = std::str::from_utf8(line)
                    .map_err(|_| ObjectError::NotUtf8 { records: self.block.end() })?;
                self.line(line.strip_suffix('\r').unwrap_or(line), known)?;
            }
            if self.block.is_full() && emit(self.block.finish()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether a line goes out as it stands, is no header and says nothing of dropped records.
    #[inline]
    fn is_usual(&self, line: &[u8], values: usize) -> bool {
        self.plain_values == Some(values)
            && line.first().is_some_and(|first| !first.is_ascii_lowercase())
            && !self.may_skip_data(line)
    }

    /// Whether a line may say that AWS dropped records.
    #[inline]
    fn may_skip_data(&self, line: &[u8]) -> bool {
        if self.ends_with_status {
            line.ends_with(SKIP_DATA)
        } else {
            memmem::find(line, SKIP_DATA).is_some()
        }
    }

    /// The lines that follow have this layout.
    fn learn(&mut self, layout: Layout) {
        self.stays = match self.decoder.format {
            RecordFormat::Raw => true,
            RecordFormat::Auto => layout.is_parsed,
            RecordFormat::Json => false,
        };
        self.block.expect_fields(&layout.places);
        self.ends_with_status = layout.places.log_status.is_some_and(|place| place + 1 == layout.keys.len());
        self.plain_values = (self.stays && !self.decoder.filter.is_active()).then_some(layout.keys.len());
        self.layout = Some(layout);
    }

    fn line(&mut self, line: &str, known: Known) -> Result<(), ObjectError> {
        self.number += 1;
        if line.is_empty() {
            return Ok(());
        }
        if let Some(header) = Layout::of_header(line, self.layout.is_none()) {
            self.learn(header);
            return Ok(());
        }
        if self.layout.is_none()
            && let Some(default) = Layout::of_record(line)
        {
            self.learn(default);
        }
        let is_known = self.plain_values.is_some() && !self.may_skip_data(line.as_bytes());
        let Self { decoder, layout: Some(layout), stays, block, ends, .. } = self else {
            return Err(ObjectError::NotFlowLog);
        };
        let push = |block: &mut Filling| {
            if known.is_plain { block.push_clean(line.as_bytes()) } else { block.push_escaped(line) }
        };
        if known.values != layout.keys.len() {
            if decoder.format == RecordFormat::Raw {
                push(block);
            } else {
                block.reject(self.number);
            }
            return Ok(());
        }
        if is_known {
            push(block);
            return Ok(());
        }
        ends.clear();
        ends.extend(memchr::memchr_iter(b' ', line.as_bytes()).chain([line.len()]));
        let value = |place: usize| {
            let start = place.checked_sub(1).map_or(Some(0), |before| ends.get(before).map(|end| end + 1))?;
            line.get(start..*ends.get(place)?)
        };
        if !decoder.wants(block, &layout.places, value) {
            return Ok(());
        }
        if *stays {
            push(block);
        } else {
            let mut start = 0;
            let Ok(()) = block.push_object(|object| {
                for (key, end) in layout.keys.iter().zip(ends.iter()) {
                    if let Some(value) = line.get(start..*end).and_then(present) {
                        object.text(key, value, known.is_plain);
                    }
                    start = end + 1;
                }
                Ok::<_, std::convert::Infallible>(())
            });
        }
        Ok(())
    }
}
