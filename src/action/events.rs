//! Events out of the arguments and the files, one at a time, as the JSON strings that the intake takes.
//!
//! A file is read through one buffer and never held as a whole. An event that is a JSON string is not decoded: its raw
//! text is what goes into the body. The usual string, short and whole in the buffer, is found with two searches and
//! lent to the caller; anything else goes through [`json::Machine`], which copes with any length and any split.

use std::io::Read;

use memchr::memchr2;

use self::buffer::{Buffer, FillError};
use self::json::{Fed, Machine, is_space};
use super::arguments::Source;
use crate::platform::storage::{Storage, StorageError};

mod buffer;
mod json;
#[cfg(test)]
mod tests;

pub use crate::intake::EVENT_BYTES_MAX;

/// The longest JSON string of such an event: at worst every byte is written as `\u0000`, and quotes surround it.
pub const ENCODED_BYTES_MAX: usize = 6 * EVENT_BYTES_MAX + 2;

/// What an escape that is still being read counts for more than it will in the end, in bytes.
const ESCAPE_SLACK_BYTES: u64 = 6;

/// Where events are read from.
pub struct Input {
    /// As messages call it: `events_path "batch/event.json"`.
    name: String,
    form: Form,
    reader: Box<dyn Read + Send>,
}

/// What an input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON array, each element an event.
    Many,
    /// One JSON value, which is the event.
    One,
}

/// An event, as the next step needs it.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A JSON string of [`ENCODED_BYTES_MAX`] at most.
    Ready(&'a [u8]),
    /// The intake would not take it: it was written to the rejected events.
    Rejected,
}

/// Takes the events that cannot be sent, in pieces of their JSON string.
pub trait Rejects {
    /// A piece of an event.
    fn piece(&mut self, text: &[u8]) -> std::io::Result<()>;
    /// The event is complete.
    fn end(&mut self, event_bytes: u64, reason: &'static str) -> std::io::Result<()>;
}

/// Why there are no more events.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The storage refused.
    #[error("property `{property}`: {source}")]
    Storage {
        /// The argument with the path.
        property: &'static str,
        /// Why.
        source: StorageError,
    },
    /// There is no such file.
    #[error("property `{property}` names {path:?}, but there is no such file in the storage")]
    Missing {
        /// The argument with the path.
        property: &'static str,
        /// The path as given.
        path: String,
    },
    /// The text is not JSON.
    #[error("{name} is not JSON: {reason} at byte {at}")]
    NotJson {
        /// The input.
        name: String,
        /// Bytes before the place.
        at: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The text is JSON, but not of events.
    #[error("{name} does not hold {expected} but {found}")]
    Form {
        /// The input.
        name: String,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// The file cannot be read on.
    #[error("cannot read {name} at byte {at}: {source}")]
    Read {
        /// The input.
        name: String,
        /// Bytes before the place.
        at: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// An event that cannot be sent can neither be kept.
    #[error("cannot keep an event that the intake would not take: {0}")]
    Reject(std::io::Error),
}

/// Opens what the arguments name, in their order. A path that leads out of the storage is refused.
pub async fn open(storage: &Storage, sources: &[Source]) -> Result<Vec<Input>, EventsError> {
    let mut inputs = Vec::new();
    for source in sources {
        let (property, form) = match source {
            Source::Event(_) => ("event", Form::One),
            Source::EventFile(_) => ("event_path", Form::One),
            Source::Events(_) => ("events", Form::Many),
            Source::EventsFile(_) => ("events_path", Form::Many),
        };
        let input = match source {
            Source::Event(event) => Input::of_text(property, form, event.to_string()),
            Source::Events(events) => {
                Input::of_text(property, form, serde_json::to_string(events).unwrap_or_default())
            }
            Source::EventFile(path) | Source::EventsFile(path) => {
                let file = storage.open(path).await.map_err(|source| {
                    let missing = source.is_not_found();
                    let path = path.clone();
                    if missing {
                        EventsError::Missing { property, path }
                    } else {
                        EventsError::Storage { property, source }
                    }
                })?;
                Input { name: format!("{property} {path:?}"), form, reader: Box::new(file) }
            }
        };
        inputs.push(input);
    }
    Ok(inputs)
}

impl Input {
    /// Events in a text.
    pub fn of_text(name: &str, form: Form, text: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), form, reader: Box::new(std::io::Cursor::new(text.into())) }
    }
}

/// Reads the events of one input.
pub struct EventReader {
    name: String,
    form: Form,
    buffer: Buffer,
    place: Place,
    /// The event that is not a plain string, encoded.
    scratch: Vec<u8>,
}

/// What is expected next, white space aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The first byte of the input.
    Start,
    /// An element.
    Element,
    /// The first element or the end of the array.
    ElementOrEnd,
    /// A comma or the end of the array.
    CommaOrEnd,
    /// Nothing.
    End,
}

impl EventReader {
    /// Before the first event of `input`.
    pub fn new(input: Input) -> Self {
        let Input { name, form, reader } = input;
        Self { name, form, buffer: Buffer::new(reader), place: Place::Start, scratch: Vec::new() }
    }

    /// The next event; `None` when the input has ended as it should.
    pub fn next(&mut self, rejects: &mut dyn Rejects) -> Result<Option<Event<'_>>, EventsError> {
        if !self.find_event()? {
            return Ok(None);
        }
        self.place = if self.form == Form::Many { Place::CommaOrEnd } else { Place::End };
        if let Some(bytes) = plain_string_bytes(self.buffer.available()) {
            return Ok(Some(Event::Ready(self.buffer.take(bytes))));
        }
        let rejected = self.encode_into_scratch(rejects)?;
        Ok(Some(if rejected { Event::Rejected } else { Event::Ready(&self.scratch) }))
    }

    /// Goes to the first byte of the next event. False at the proper end of the input.
    fn find_event(&mut self) -> Result<bool, EventsError> {
        loop {
            let next = self.peek()?;
            match (self.place, next) {
                (Place::Start, None) => return Err(self.not_json(0, "it is empty")),
                (Place::End, None) => return Ok(false),
                (_, None) => return Err(self.not_json(0, "it ends too early")),
                (Place::Start, Some(first)) => {
                    self.check_form(first)?;
                    if self.form == Form::One {
                        return Ok(true);
                    }
                    self.place = Place::ElementOrEnd;
                }
                (Place::ElementOrEnd | Place::CommaOrEnd, Some(b']')) => self.place = Place::End,
                (Place::CommaOrEnd, Some(b',')) => self.place = Place::Element,
                (Place::ElementOrEnd | Place::Element, Some(_)) => return Ok(true),
                (Place::CommaOrEnd | Place::End, Some(_)) => {
                    return Err(self.not_json(0, "unexpected character"));
                }
            }
            self.buffer.skip(1);
        }
    }

    /// The next byte that is no white space; `None` at the end. Leaves the usual event whole in the buffer.
    fn peek(&mut self) -> Result<Option<u8>, EventsError> {
        loop {
            let available = self.buffer.available();
            let spaces = available.iter().take_while(|byte| is_space(**byte)).count();
            self.buffer.skip(spaces);
            self.fill()?;
            match self.buffer.available().first() {
                Some(byte) if is_space(*byte) => {}
                byte => return Ok(byte.copied()),
            }
        }
    }

    /// An input that holds something else altogether gets a better answer than "unexpected character".
    fn check_form(&self, first: u8) -> Result<(), EventsError> {
        let found = match first {
            b'[' => "an array",
            b'{' => "an object",
            b'"' => "a text",
            b'-' | b'0'..=b'9' => "a number",
            b't' | b'f' => "true or false",
            b'n' => "null",
            _ => return Err(self.not_json(0, "unexpected character")),
        };
        let expected = match (self.form, first) {
            (Form::Many, b'[') | (Form::One, b'{' | b'"') => return Ok(()),
            (Form::Many, _) => "an array of events",
            (Form::One, _) => "one event, an object or a text,",
        };
        Err(EventsError::Form { name: self.name.clone(), expected, found })
    }

    /// Reads an event of any kind and length. True if it was rejected.
    fn encode_into_scratch(&mut self, rejects: &mut dyn Rejects) -> Result<bool, EventsError> {
        let is_text = self.buffer.available().first() == Some(&b'"');
        let mut machine = Machine::new();
        let mut event_bytes = 0;
        let mut spilled = false;
        self.scratch.clear();
        if !is_text {
            self.scratch.push(b'"');
        }
        loop {
            let fed = machine.feed(self.buffer.available(), |text| {
                event_bytes += text.len() as u64;
                if is_text { self.scratch.extend_from_slice(text) } else { escape(text, &mut self.scratch) }
            });
            let ended = match fed {
                Ok(Fed::End(count)) => {
                    self.buffer.skip(count);
                    true
                }
                Ok(Fed::More) => {
                    self.buffer.skip(self.buffer.available().len());
                    self.fill()?;
                    self.buffer.available().is_empty()
                }
                Err((before, wrong)) => return Err(self.not_json(before, &wrong.to_string())),
            };
            if ended && !machine.may_end() {
                return Err(self.not_json(0, "it ends too early"));
            }
            if ended {
                break;
            }
            let at_least = event_bytes.saturating_sub(machine.shrinks_by_bytes() + ESCAPE_SLACK_BYTES);
            if spilled || at_least > EVENT_BYTES_MAX as u64 {
                spilled = true;
                rejects.piece(&self.scratch).map_err(EventsError::Reject)?;
                self.scratch.clear();
            }
        }
        if is_text {
            const QUOTES: u64 = 2;
            event_bytes = event_bytes.saturating_sub(QUOTES + machine.shrinks_by_bytes());
        } else {
            self.scratch.push(b'"');
        }
        let reason = if event_bytes > EVENT_BYTES_MAX as u64 {
            "too long"
        } else if machine.is_too_deep() {
            "nested too deep"
        } else if is_text && machine.has_half_character() {
            "no text: an escape names half a character"
        } else {
            return Ok(false);
        };
        rejects.piece(&self.scratch).map_err(EventsError::Reject)?;
        rejects.end(event_bytes, reason).map_err(EventsError::Reject)?;
        // One event that is too long must not cost its memory until the end.
        self.scratch = Vec::new();
        Ok(true)
    }

    fn fill(&mut self) -> Result<(), EventsError> {
        match self.buffer.fill() {
            Ok(()) => Ok(()),
            Err(FillError::NotUtf8) => Err(self.not_json(0, "it is not UTF-8")),
            Err(FillError::Io(source)) => {
                let (name, at) = (self.name.clone(), self.buffer.position());
                Err(EventsError::Read { name, at, source })
            }
        }
    }

    fn not_json(&self, ahead: usize, reason: &str) -> EventsError {
        let at = self.buffer.position() + ahead as u64;
        EventsError::NotJson { name: self.name.clone(), at, reason: reason.to_owned() }
    }
}

/// The length of the JSON string at the start of `text`, if it is whole, within the limit, and without an escape that
/// only decoding can judge.
fn plain_string_bytes(text: &[u8]) -> Option<usize> {
    let (b'"', inside) = text.split_first()? else { return None };
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', inside.get(at..)?)?;
        if inside.get(at) == Some(&b'"') {
            break;
        }
        match inside.get(at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
            _ => return None,
        }
    }
    // One pass without a branch: the compiler makes vector instructions of it.
    let has_control = inside.get(..at)?.iter().fold(false, |found, byte| found | (*byte < 0x20));
    (at <= EVENT_BYTES_MAX && !has_control).then_some(at + 2)
}

/// Writes JSON text as the inside of a JSON string. It has no control characters: JSON text never does.
fn escape(text: &[u8], into: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        into.extend_from_slice(before);
        into.push(b'\\');
        into.extend(from.first());
        rest = from.get(1..).unwrap_or_default();
    }
    into.extend_from_slice(rest);
}
