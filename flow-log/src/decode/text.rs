//! Records out of text: leaves headers and empty lines out, and writes each record as the line that it is or as JSON.
//!
//! Text that comes in pieces needs one window of memory beside a block of records, whatever the object's size.

use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;

use memchr::memmem;

use super::block::{Block, Filling};
use super::{Decoder, ObjectError, RecordFormat, damage};
use crate::record::json::is_special;
use crate::record::{Layout, present};

/// Text that is inflated at a time: large enough that the calls do not count, small enough for the processor's cache.
const WINDOW_BYTES: usize = 256 * 1024;
/// A record has some hundred bytes, one with every field and tags a few thousand. A longer line is no record.
const LINE_BYTES: usize = 1024 * 1024;

/// Decodes text that is in memory as a whole, as [`decode`] does.
pub(super) fn decode_whole(
    text: &[u8],
    decoder: &Decoder,
    mut emit: impl FnMut(Block) -> ControlFlow<()>,
) -> Result<(), ObjectError> {
    let mut lines = Lines::new(decoder);
    let mut rest = text;
    while !rest.is_empty() {
        let newline = |bytes| memchr::memrchr(b'\n', rest.get(..bytes).unwrap_or(rest));
        let whole = match newline(WINDOW_BYTES).or_else(|| newline(LINE_BYTES)) {
            Some(newline) => newline + 1,
            None if rest.len() < LINE_BYTES => rest.len(),
            None => return Err(ObjectError::LongLine { records: lines.block.end() }),
        };
        let (window, behind) = rest.split_at(whole);
        if lines.read(window, &mut emit)?.is_break() {
            return Ok(());
        }
        rest = behind;
    }
    lines.block.end_with(emit);
    Ok(())
}

/// Decodes text into blocks for `emit`, which may break it off.
pub(super) fn decode(
    mut text: impl Read,
    decoder: &Decoder,
    mut emit: impl FnMut(Block) -> ControlFlow<()>,
) -> Result<(), ObjectError> {
    let mut lines = Lines::new(decoder);
    let mut window = vec![0; WINDOW_BYTES];
    let mut filled = 0;
    loop {
        if filled == window.len() {
            if window.len() >= LINE_BYTES {
                return Err(ObjectError::LongLine { records: lines.block.end() });
            }
            window.resize(window.len() * 2, 0);
        }
        let room = window.get_mut(filled..).unwrap_or_default();
        let count = match text.read(room) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(damage(error, lines.block.end())),
        };
        let ended = count == 0;
        let fresh = filled..filled + count;
        filled += count;
        // Up to here the lines are whole; a line that the window cuts waits for the rest.
        let newline = memchr::memrchr(b'\n', window.get(fresh.clone()).unwrap_or_default());
        let whole = if ended { filled } else { newline.map_or(0, |newline| fresh.start + newline + 1) };
        if lines.read(window.get(..whole).unwrap_or_default(), &mut emit)?.is_break() {
            return Ok(());
        }
        window.copy_within(whole..filled, 0);
        filled -= whole;
        if ended {
            lines.block.end_with(emit);
            return Ok(());
        }
    }
}

/// Turns whole lines into records.
struct Lines<'a> {
    decoder: &'a Decoder,
    layout: Option<Layout>,
    /// Lines go out as they stand.
    stays: bool,
    /// How many values a line has that goes out as it stands and needs not be looked into; `None` if all need.
    plain_values: Option<usize>,
    block: Filling,
    /// How many lines were read.
    number: u64,
    /// Where the values of a line end.
    ends: Vec<usize>,
}

/// What is known of a line before its values are.
#[derive(Clone, Copy)]
struct Known {
    /// Nothing in it needs escaping.
    is_clean: bool,
    /// It may say that AWS dropped records.
    has_skip_data: bool,
}

impl<'a> Lines<'a> {
    fn new(decoder: &'a Decoder) -> Self {
        Self {
            decoder,
            layout: None,
            stays: false,
            plain_values: None,
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
        // Nearly all text is ASCII that needs no escaping; one pass over the window proves it for all of its lines.
        let Look { is_clean, is_ascii } = Look::at(text);
        let utf8 = |bytes| {
            std::str::from_utf8(bytes).map_err(|_| ObjectError::NotUtf8 { records: self.block.end() })
        };
        let checked = if is_ascii && self.plain_values.is_some() { None } else { Some(utf8(text)?) };
        let mut skip_data = memmem::find_iter(text, b"SKIPDATA").peekable();
        // The last line of a file may have no end.
        let open = !text.is_empty() && !text.ends_with(b"\n");
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text).chain(open.then_some(text.len())) {
            let place = start..end;
            start = end + 1;
            let line = text.get(place.clone()).unwrap_or_default();
            let has_skip_data = skip_data.next_if(|place| *place < end).is_some();
            if is_clean && is_ascii && !has_skip_data && self.is_plain(line) {
                self.number += 1;
                self.block.push_clean(line);
            } else {
                let line = match checked {
                    Some(text) => text.get(place).unwrap_or_default(),
                    None => std::str::from_utf8(line).unwrap_or_default(),
                };
                self.line(line.strip_suffix('\r').unwrap_or(line), Known { is_clean, has_skip_data })?;
            }
            if self.block.is_full() && emit(self.block.finish()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether a line goes out as it stands, and is no header.
    fn is_plain(&self, line: &[u8]) -> bool {
        self.plain_values.is_some_and(|values| spaces(line) + 1 == values)
            && line.first().is_some_and(|first| !first.is_ascii_lowercase())
    }

    /// The lines that follow have this layout.
    fn learn(&mut self, layout: Layout) {
        self.stays = match self.decoder.format {
            RecordFormat::Raw => true,
            RecordFormat::Auto => layout.is_parsed,
            RecordFormat::Json => false,
        };
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
        let Self { decoder, layout: Some(layout), stays, plain_values, block, ends, .. } = self else {
            return Err(ObjectError::NotFlowLog);
        };
        let push = |block: &mut Filling| {
            if known.is_clean { block.push_clean(line.as_bytes()) } else { block.push_escaped(line) }
        };
        let is_complete = spaces(line.as_bytes()) + 1 == layout.keys.len();
        if !is_complete {
            if decoder.format == RecordFormat::Raw {
                push(block);
            } else {
                block.reject(self.number);
            }
            return Ok(());
        }
        if plain_values.is_some() && !known.has_skip_data {
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
                        object.text(key, value, known.is_clean);
                    }
                    start = end + 1;
                }
                Ok::<_, std::convert::Infallible>(())
            });
        }
        Ok(())
    }
}

/// What is known of all lines of a window.
struct Look {
    /// Nothing but line ends has to be escaped in a JSON string.
    is_clean: bool,
    is_ascii: bool,
}

impl Look {
    /// Looks at every byte, without a way out in the middle, so that the compiler makes wide instructions of it.
    fn at(text: &[u8]) -> Self {
        let (mut special, mut bits) = (0, 0);
        for byte in text {
            special |= u8::from(is_special(*byte) & (*byte != b'\n'));
            bits |= byte;
        }
        Self { is_clean: special == 0, is_ascii: bits < 0x80 }
    }
}

/// How many spaces there are, counted so that the compiler makes wide instructions of it: this runs for every record.
fn spaces(line: &[u8]) -> usize {
    let count = |chunk: &[u8]| chunk.iter().fold(0_u8, |count, byte| count + u8::from(*byte == b' '));
    line.chunks(255).map(|chunk| usize::from(count(chunk))).sum()
}
