//! Records out of lines: leaves headers and empty lines out, and writes each record as the line that it is or as JSON.
//!
//! A line that cannot be read costs itself alone. It keeps a position, as every record does.

use std::ops::ControlFlow;

use memchr::memmem;

use super::super::block::Filling;
use super::super::lines::{Line, lines};
use super::super::tally::Fault;
use super::super::{Decoder, Emit, ObjectError, RecordFormat};
use super::values::LineValues;
use crate::aggregate::Groups;
use crate::aggregate::merging::Merging;
use crate::filter::Reason;
use crate::record::parsed::{self, Beginning};
use crate::record::{Layout, present};

mod grouped;

/// Turns whole lines into records.
pub(super) struct Records<'a> {
    decoder: &'a Decoder,
    layout: Option<Layout>,
    form: Form,
    /// How many values a line has that goes out as it stands and needs not be looked into; none has 0.
    plain_values: usize,
    /// How many of the first values of a line tell whether a filter leaves it out; none without a filter.
    looked_at: usize,
    /// What usual lines begin with; those of layouts that do not end with the status are not looked for so.
    usual: Beginning,
    status: Status,
    judge: Judge,
    block: Filling,
    /// Where the layout has what is merged, if anything is.
    merging: Option<Merging>,
    groups: Groups,
    /// How many lines were read.
    number: u64,
    /// Room for where the values of a line end.
    ends: Vec<usize>,
}

/// How records of a layout go out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As the line, whatever is in it.
    Line,
    /// As the line if the intake's parser reads it, otherwise as JSON.
    LineIfRead,
    /// As JSON.
    Json,
}

/// Where a layout has the field `log-status`.
#[derive(Clone, Copy)]
enum Status {
    Nowhere,
    Last,
    Elsewhere,
}

/// Judges whether the intake's parser reads a line.
///
/// Of what AWS writes in an order that the parser reads, only the version and the account may be something that it does
/// not read. Where a line has the same ones as a line that was looked into as a whole, and is an ordinary one by its end, it
/// is taken for read: to look at every value of every line would cost a fifth of decoding. A file in which another value is
/// found that the parser does not read was not written by AWS, and there every line is looked into.
struct Judge {
    /// What lines begin with that need not be looked into.
    beginning: Beginning,
    is_strict: bool,
}

/// What is known of a line before its values are.
#[derive(Clone, Copy)]
struct Known {
    /// How many values it has.
    values: usize,
    /// It is ASCII of which nothing needs escaping.
    is_plain: bool,
}

impl Judge {
    /// Whether the parser reads a line with these values.
    fn reads<'v>(&mut self, line: &str, values: impl ExactSizeIterator<Item = &'v str>) -> bool {
        match parsed::unread(values) {
            None => {
                if !self.is_strict {
                    self.beginning = Beginning::of(line);
                }
                true
            }
            Some(place) => {
                if place >= parsed::DIFFERS {
                    *self = Self { beginning: Beginning::NONE, is_strict: true };
                }
                false
            }
        }
    }
}

impl<'a> Records<'a> {
    pub(super) fn new(decoder: &'a Decoder) -> Self {
        Self {
            decoder,
            layout: None,
            form: Form::Json,
            plain_values: 0,
            looked_at: 0,
            usual: Beginning::NONE,
            status: Status::Nowhere,
            judge: Judge { beginning: Beginning::NONE, is_strict: false },
            block: Filling::default(),
            merging: None,
            groups: Groups::default(),
            number: 0,
            ends: Vec::new(),
        }
    }

    /// The position after the last record.
    pub(super) fn position(&self) -> u64 {
        self.block.end()
    }

    /// Reads whole lines.
    pub(super) fn read(&mut self, text: &[u8], emit: Emit<'_>) -> Result<ControlFlow<()>, ObjectError> {
        self.block.expect_text(text.len());
        for Line { place, spaces, is_plain } in lines(text) {
            let line = text.get(place).unwrap_or_default();
            let known = Known { values: spaces + 1, is_plain };
            if is_plain && known.values == self.plain_values && self.is_usual(line) {
                self.number += 1;
                self.usual_line(line);
            } else if self.line(line, known, emit)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.block.is_full() && self.hand_on(emit).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A usual line, which goes out as it stands unless a filter leaves it out.
    #[inline]
    fn usual_line(&mut self, line: &[u8]) {
        let reason = if self.looked_at > 0 { self.reason(line) } else { None };
        match reason {
            Some(reason) => self.block.filter(reason),
            None => self.block.push_clean(line),
        }
    }

    /// Why a filter leaves out a line with a value for each field.
    fn reason(&mut self, line: &[u8]) -> Option<Reason> {
        let values = LineValues::find(line, self.ends.get_mut(..self.looked_at)?);
        self.decoder.filter.reason(&self.layout.as_ref()?.places, &values)
    }

    /// There was a line that is too long for a record.
    pub(super) fn long_line(&mut self) -> Result<(), ObjectError> {
        if self.layout.is_none() {
            return Err(ObjectError::LongLine { records: self.position() });
        }
        self.number += 1;
        self.block.reject(self.number, Fault::Long);
        Ok(())
    }

    /// The text has ended.
    pub(super) fn end(&mut self, emit: Emit<'_>) -> Result<(), ObjectError> {
        if self.layout.is_none() && self.position() > 0 {
            return Err(ObjectError::NotUtf8);
        }
        if self.release(emit).is_continue() {
            self.block.end_with(emit);
        }
        Ok(())
    }

    /// Whether a line with a value for each field needs not be looked into, to know whether it is a header, is read by the
    /// parser, and says something of dropped records.
    #[inline]
    fn is_usual(&self, line: &[u8]) -> bool {
        (self.usual.is_of(line) && has_usual_end(line)) || self.is_known(line)
    }

    /// The same, in any layout.
    fn is_known(&self, line: &[u8]) -> bool {
        let begins = match self.form {
            Form::LineIfRead => self.judge.beginning.is_of(line),
            Form::Line => line.first().is_some_and(|first| !first.is_ascii_alphabetic()),
            Form::Json => false,
        };
        begins
            && match self.status {
                Status::Nowhere => true,
                Status::Last => has_usual_end(line),
                Status::Elsewhere => memmem::find(line, b"DATA").is_none(),
            }
    }

    /// The lines that follow have this layout.
    fn learn(&mut self, mut layout: Layout, emit: Emit<'_>) -> ControlFlow<()> {
        self.release(emit)?;
        layout.select(&self.decoder.selection);
        self.form = match self.decoder.format {
            RecordFormat::Raw => Form::Line,
            RecordFormat::Auto if layout.is_parsed => Form::LineIfRead,
            RecordFormat::Auto | RecordFormat::Json => Form::Json,
        };
        self.block.expect_fields(&layout.places);
        self.status = match layout.places.log_status {
            None => Status::Nowhere,
            Some(place) if place + 1 == layout.keys.len() => Status::Last,
            Some(_) => Status::Elsewhere,
        };
        self.merging = Merging::of(self.decoder.aggregate, &layout.places);
        let is_plain = self.form != Form::Json && self.merging.is_none();
        self.plain_values = if is_plain { layout.keys.len() } else { 0 };
        self.looked_at = self.decoder.filter.looks_at(&layout.places).max().map_or(0, |last| last + 1);
        self.ends = vec![0; layout.keys.len()];
        self.judge.beginning = Beginning::NONE;
        self.usual = Beginning::NONE;
        self.layout = Some(layout);
        ControlFlow::Continue(())
    }

    /// A line of bytes that are no text. It may be a header with a byte that is wrong, or the first record of a text without
    /// one; else, where nothing is known yet, the whole is no text.
    fn not_text(&mut self, line: &[u8], emit: Emit<'_>) -> Result<ControlFlow<()>, ObjectError> {
        if let Some(header) = Layout::of_damaged_header(line) {
            return Ok(self.learn(header, emit));
        }
        if self.layout.is_none() && !line.first().is_some_and(u8::is_ascii_digit) {
            return Err(ObjectError::NotUtf8);
        }
        self.block.reject(self.number, Fault::NotUtf8);
        Ok(ControlFlow::Continue(()))
    }

    fn line(
        &mut self,
        line: &[u8],
        mut known: Known,
        emit: Emit<'_>,
    ) -> Result<ControlFlow<()>, ObjectError> {
        self.number += 1;
        let Ok(line) = std::str::from_utf8(line) else { return self.not_text(line, emit) };
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        if let Some(header) = Layout::of_header(line, self.layout.is_none()) {
            return Ok(self.learn(header, emit));
        }
        if self.layout.is_none()
            && let Some(default) = Layout::of_record(line.trim_ascii_end())
        {
            // Nothing is held that could be handed on.
            let _ = self.learn(default, &mut *emit);
        }
        let Some(fields) = self.layout.as_ref().map(|layout| layout.keys.len()) else {
            return Err(ObjectError::NotFlowLog);
        };
        let trimmed = line.trim_ascii_end();
        if self.form == Form::Line || trimmed.len() == line.len() && known.values == fields {
            return Ok(self.record(line, known, emit));
        }
        // The line as it would be without spaces where none belong.
        let mut mended = trimmed.to_owned();
        if trimmed.bytes().filter(|byte| *byte == b' ').count() + 1 != fields {
            mended = trimmed.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        }
        known = Known { values: mended.split(' ').count(), is_plain: false };
        if known.values == fields {
            return Ok(self.record(&mended, known, emit));
        }
        self.block.reject(self.number, Fault::Values);
        Ok(ControlFlow::Continue(()))
    }

    /// A record with a value for each field, or a line that goes out whatever it is.
    fn record(&mut self, line: &str, known: Known, emit: Emit<'_>) -> ControlFlow<()> {
        if self.looked_at == 0 && self.plain_values == known.values && self.is_known(line.as_bytes()) {
            push(&mut self.block, line, known);
            return ControlFlow::Continue(());
        }
        let has_room = self.merging.is_none() || self.groups.have_room(line.len());
        if !has_room {
            self.release(emit)?;
        }
        let Self { decoder, layout: Some(layout), block, ends, .. } = self else {
            return ControlFlow::Continue(());
        };
        let is_whole = known.values == layout.keys.len();
        let values = LineValues::find(line.as_bytes(), ends);
        if is_whole && !decoder.wants(block, &layout.places, &values) {
            return ControlFlow::Continue(());
        }
        if self.merging.is_some() && self.groups.have_room(line.len()) {
            self.hold(line, known);
        } else {
            self.write(line, known, 1);
        }
        ControlFlow::Continue(())
    }

    /// Writes a record, or several that were merged into one, where its values end is known.
    fn write(&mut self, line: &str, known: Known, flows: u32) {
        let is_known = self.is_known(line.as_bytes());
        let Self { layout: Some(layout), form, status, usual, judge, block, ends, .. } = self else {
            return;
        };
        let values = LineValues::found(line.as_bytes(), ends);
        let text = |place| line.get(values.range(place)?);
        let goes_as_line = match form {
            Form::Line => true,
            Form::LineIfRead if is_known => true,
            Form::LineIfRead => {
                let values = (0..known.values).map(|place| text(place).unwrap_or_default());
                let is_read = judge.reads(line, values);
                *usual = if matches!(status, Status::Last) { judge.beginning } else { Beginning::NONE };
                is_read
            }
            Form::Json => false,
        };
        if goes_as_line {
            return push(block, line, known);
        }
        let Ok(()) = block.push_object(|object| {
            if !known.is_plain || !object.plain_line(&layout.keys, line.as_bytes(), ends) {
                for (place, key) in layout.keys.iter().enumerate() {
                    if let Some(key) = key
                        && let Some(value) = text(place).and_then(present)
                    {
                        object.text(key, value, known.is_plain);
                    }
                }
            }
            object.flows(flows);
            Ok::<_, std::convert::Infallible>(())
        });
    }
}

/// Whether a line that ends with a status has one that says nothing of dropped records.
#[inline]
fn has_usual_end(line: &[u8]) -> bool {
    line.last_chunk().is_some_and(|end| u32::from_le_bytes(*end) >> 8 == OK) || line.ends_with(b" NODATA")
}

/// The last three bytes of a record as AWS writes nearly all, as they are compared.
const OK: u32 = u32::from_le_bytes(*b" OK\0");

/// A record as the line.
fn push(block: &mut Filling, line: &str, known: Known) {
    if known.is_plain { block.push_clean(line.as_bytes()) } else { block.push_escaped(line) }
}
