//! Events into the bodies of posts, cut by their encoded size.
//!
//! A body is `{"intake_key":"…","jsons":["…","…"]}`, in gzip if the user wants that. Buffers go round on a belt: the
//! cutter fills one, the poster sends it and gives it back. There is a fixed number of them, which bounds the memory of
//! a push of any length, and makes the cutter wait when the intake is slow.

use bytes::BytesMut;
use secrecy::SecretString;
use tokio::sync::mpsc;

use super::events::{Event, EventReader, EventsError, Input};
use super::rejects::RejectedEvents;
use crate::gzip::compress;
use crate::intake::{self, BODY_BYTES, EVENTS_MAX, SIDE_BY_SIDE, TAIL};

/// One buffer is filled while as many as are posted side by side are on their way.
const BUFFERS: usize = SIDE_BY_SIDE + 1;

/// What every body begins and ends with, and whether it is compressed. The beginning carries the intake key: never
/// print it.
pub struct Envelope {
    head: Vec<u8>,
    compress: bool,
}

/// Events on their way to the intake.
pub struct Chunk {
    /// Its place among the chunks, from 0.
    pub index: usize,
    /// How many events it carries.
    pub events: u64,
    /// The body as it is sent. It carries the intake key: never print it.
    pub body: BytesMut,
    /// Whether the body is in gzip.
    pub is_gzip: bool,
}

/// What became of the inputs.
pub struct Cut {
    /// Whether all inputs ended as they should.
    pub ended: Result<(), EventsError>,
    /// Events that are not in any chunk, because the intake would not take them.
    pub rejected: RejectedEvents,
}

/// The cutter's end of the belt.
pub struct CutterEnd {
    empty: mpsc::Receiver<BytesMut>,
    full: mpsc::Sender<Full>,
}

/// The poster's end of the belt.
pub struct PosterEnd {
    empty: mpsc::Sender<BytesMut>,
    full: mpsc::Receiver<Full>,
    cut: Option<Cut>,
}

/// What lies on the belt.
enum Full {
    Chunk(Chunk),
    End(Cut),
}

/// A belt with its buffers, all empty.
pub fn belt() -> (CutterEnd, PosterEnd) {
    let (give_back, empty) = mpsc::channel(BUFFERS);
    let (full, chunks) = mpsc::channel(BUFFERS + 1);
    for _ in 0..BUFFERS {
        // A buffer is allocated when it is first filled: most pushes need one.
        let _ = give_back.try_send(BytesMut::new());
    }
    (CutterEnd { empty, full }, PosterEnd { empty: give_back, full: chunks, cut: None })
}

impl PosterEnd {
    /// The next chunk; `None` after the last. Loses nothing when it is dropped.
    pub async fn next(&mut self) -> Option<Chunk> {
        match self.full.recv().await? {
            Full::Chunk(chunk) => Some(chunk),
            Full::End(cut) => {
                self.cut = Some(cut);
                None
            }
        }
    }

    /// As many chunks as are posted side by side, or all if there are fewer: then it is known how the inputs ended
    /// before anything of them was sent, and inputs that broke off are an error.
    pub async fn first(&mut self) -> Result<Vec<Chunk>, EventsError> {
        let mut chunks = Vec::new();
        while chunks.len() < SIDE_BY_SIDE {
            match self.next().await {
                Some(chunk) => chunks.push(chunk),
                None => break,
            }
        }
        match self.cut.take() {
            Some(Cut { ended: Err(error), .. }) => Err(error),
            cut => {
                self.cut = cut;
                Ok(chunks)
            }
        }
    }

    /// What became of the inputs. `None` before the last chunk, and if the cutter broke off.
    pub fn into_cut(self) -> Option<Cut> {
        self.cut
    }

    /// Gives a buffer back.
    pub fn give_back(&self, mut buffer: BytesMut) {
        buffer.clear();
        // There is a place for each buffer; if the cutter is gone, nobody needs it.
        let _ = self.empty.try_send(buffer);
    }
}

impl Envelope {
    /// The envelope of one intake.
    pub fn new(intake_key: &SecretString, compress: bool) -> Self {
        Self { head: intake::head(intake_key), compress }
    }
}

/// Cuts the events of `inputs` into chunks, in order. Blocks: on reading, and while no buffer is free.
pub fn cut(inputs: Vec<Input>, envelope: &Envelope, belt: CutterEnd) {
    let mut cutter = Cutter { envelope, belt, body: BytesMut::new(), events: 0, index: 0 };
    let mut rejected = RejectedEvents::default();
    let ended = cutter.cut_all(inputs, &mut rejected);
    let _ = cutter.belt.full.blocking_send(Full::End(Cut { ended, rejected }));
}

struct Cutter<'a> {
    envelope: &'a Envelope,
    belt: CutterEnd,
    /// What is filled: a buffer of the belt, or one that stays here and is compressed into one of the belt.
    body: BytesMut,
    events: usize,
    index: usize,
}

/// The poster does not want any more chunks.
struct PosterGone;

impl Cutter<'_> {
    fn cut_all(&mut self, inputs: Vec<Input>, rejected: &mut RejectedEvents) -> Result<(), EventsError> {
        for input in inputs {
            let mut reader = EventReader::new(input);
            while let Some(event) = reader.next(rejected)? {
                if let Event::Ready(text) = event
                    && self.add(text).is_err()
                {
                    return Ok(());
                }
            }
        }
        let _ = self.hand_over();
        Ok(())
    }

    fn add(&mut self, text: &[u8]) -> Result<(), PosterGone> {
        let comma = usize::from(self.events > 0);
        let is_full = self.body.len() + comma + text.len() + TAIL.len() > BODY_BYTES;
        if self.events > 0 && (is_full || self.events >= EVENTS_MAX) {
            self.hand_over()?;
        }
        if self.events == 0 {
            if !self.envelope.compress {
                self.body = self.belt.empty.blocking_recv().ok_or(PosterGone)?;
            }
            self.body.reserve(BODY_BYTES);
            self.body.extend_from_slice(&self.envelope.head);
        } else {
            self.body.extend_from_slice(b",");
        }
        self.body.extend_from_slice(text);
        self.events += 1;
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), PosterGone> {
        if self.events == 0 {
            return Ok(());
        }
        self.body.extend_from_slice(TAIL);
        let events = std::mem::take(&mut self.events) as u64;
        let (body, is_gzip) = self.packed()?;
        let chunk = Chunk { index: self.index, events, body, is_gzip };
        self.index += 1;
        self.belt.full.blocking_send(Full::Chunk(chunk)).map_err(|_| PosterGone)
    }

    /// The body as it is sent, in a buffer of the belt, and whether it is in gzip. It is compressed here, once, on a
    /// thread that may block, and not at each attempt to send it.
    fn packed(&mut self) -> Result<(BytesMut, bool), PosterGone> {
        if !self.envelope.compress {
            return Ok((std::mem::take(&mut self.body), false));
        }
        let mut packed = self.belt.empty.blocking_recv().ok_or(PosterGone)?;
        packed.extend_from_slice(&compress(std::iter::once(&self.body[..])));
        self.body.clear();
        Ok((packed, true))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::events::{EVENT_BYTES_MAX, Form};
    use super::*;

    /// Cuts while a poster takes each chunk; gives their bodies, which are the same with and without gzip.
    fn bodies(inputs: &dyn Fn() -> Vec<Input>) -> Vec<serde_json::Value> {
        let [plain, compressed] = [false, true].map(|compress| bodies_of(inputs(), compress));
        assert_eq!(plain, compressed);
        plain
    }

    fn bodies_of(inputs: Vec<Input>, compress: bool) -> Vec<serde_json::Value> {
        let envelope = Envelope::new(&"key \"1\"".into(), compress);
        let (cutter_end, mut poster_end) = belt();
        let cutter = std::thread::spawn(move || cut(inputs, &envelope, cutter_end));
        let mut bodies: Vec<serde_json::Value> = Vec::new();
        while let Some(Full::Chunk(chunk)) = poster_end.full.blocking_recv() {
            assert_eq!(chunk.index, bodies.len());
            assert!(chunk.body.len() <= BODY_BYTES && chunk.body.capacity() <= 2 * BODY_BYTES);
            assert_eq!(chunk.is_gzip, compress);
            let mut text = Vec::new();
            if compress {
                flate2::read::GzDecoder::new(&chunk.body[..]).read_to_end(&mut text).unwrap();
                assert!(text.len() <= BODY_BYTES);
            } else {
                text.extend_from_slice(&chunk.body);
            }
            let body: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(body["jsons"].as_array().unwrap().len() as u64, chunk.events);
            bodies.push(body);
            poster_end.give_back(chunk.body);
        }
        cutter.join().unwrap();
        bodies
    }

    fn many(events: &[&str]) -> Vec<Input> {
        vec![Input::of_text("events", Form::Many, serde_json::to_string(events).unwrap())]
    }

    #[test]
    fn events_of_all_inputs_keep_their_order() {
        let inputs = || {
            vec![
                Input::of_text("event", Form::One, r#"{"a": 1}"#),
                Input::of_text("events", Form::Many, r#"["b", "c"]"#),
            ]
        };
        let expected = serde_json::json!({"intake_key": "key \"1\"", "jsons": ["{\"a\":1}", "b", "c"]});
        assert_eq!(bodies(&inputs), [expected]);
        assert!(bodies(&|| vec![Input::of_text("events", Form::Many, "[]")]).is_empty());
    }

    #[test]
    fn a_body_stays_within_its_size_however_much_escapes_add() {
        // Each event doubles when it is escaped: lengths of the text would not do.
        let event = "\"\\".repeat(EVENT_BYTES_MAX / 2);
        let events: Vec<&str> = std::iter::repeat_n(event.as_str(), 40).collect();
        let bodies = bodies(&|| many(&events));
        assert_eq!(bodies.len(), 5);
        let sent = bodies.iter().flat_map(|body| body["jsons"].as_array().unwrap());
        assert!(sent.clone().all(|sent| sent == &event));
        assert_eq!(sent.count(), 40);
    }

    #[test]
    fn the_number_of_events_in_a_body_is_bounded() {
        let events = vec![""; EVENTS_MAX + 1];
        let bodies = bodies(&|| many(&events));
        let counts: Vec<usize> = bodies.iter().map(|body| body["jsons"].as_array().unwrap().len()).collect();
        assert_eq!(counts, [EVENTS_MAX, 1]);
    }

    #[test]
    fn the_cutter_ends_when_the_poster_is_gone() {
        let events = vec!["x".repeat(200_000); 400];
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        for compress in [false, true] {
            let (cutter_end, poster_end) = belt();
            drop(poster_end);
            cut(many(&events), &Envelope::new(&"key".into(), compress), cutter_end);
        }
    }
}
