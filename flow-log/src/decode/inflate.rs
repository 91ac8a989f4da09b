//! Inflates gzip as its bytes come, so that what was made is looked at while the processor has it at hand.
//!
//! Two inflaters can do the work: igzip, which takes half the time and needs an assembler to be compiled (the feature
//! `igzip`), and zlib-rs, which needs nothing. They pass the same tests.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

#[cfg(feature = "igzip")]
mod igzip;
#[cfg(any(test, not(feature = "igzip")))]
mod zlib;

#[cfg(feature = "igzip")]
use self::igzip::Member;
#[cfg(not(feature = "igzip"))]
use self::zlib::Member;

/// The content of gzip: that of all its members, one after the other (RFC 1952).
pub(super) struct Inflated<S, M = Member> {
    source: S,
    member: M,
    /// Why nothing follows what was given.
    damage: Option<&'static str>,
    /// A member has begun.
    has_begun: bool,
    /// What follows the last member is something else.
    is_followed: bool,
}

impl<S: BufRead> Inflated<S> {
    pub(super) fn new(source: S) -> Self {
        Self::by(source)
    }
}

impl<S: BufRead, M: Inflate> Inflated<S, M> {
    /// By an inflater of choice.
    fn by(source: S) -> Self {
        Self { source, member: M::default(), damage: None, has_begun: false, is_followed: false }
    }

    /// Whether its end was found, and after it something that is neither gzip nor padding.
    pub(super) fn is_followed(&self) -> bool {
        self.is_followed
    }
}

impl<S: BufRead, M: Inflate> Read for Inflated<S, M> {
    fn read(&mut self, output: &mut [u8]) -> Result<usize> {
        loop {
            if let Some(damage) = self.damage {
                return Err(Error::new(ErrorKind::InvalidData, damage));
            }
            let input = self.source.fill_buf()?;
            let is_end = input.is_empty();
            if self.member.has_ended() {
                if is_end || self.is_followed {
                    return Ok(0);
                }
                match begin_member(&mut self.source, self.has_begun)? {
                    Begun::Member => {
                        self.has_begun = true;
                        self.member.begin();
                    }
                    Begun::Padding => {}
                    Begun::Damaged => self.damage = Some("what follows is no member of gzip"),
                    Begun::Other => self.is_followed = true,
                }
                continue;
            }
            let Step { taken, made, damage } = self.member.inflate(input, output);
            self.source.consume(taken);
            self.damage = damage;
            if made > 0 || output.is_empty() {
                return Ok(made);
            }
            if taken == 0 && damage.is_none() && !self.member.has_ended() {
                if is_end {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                // With some damage igzip goes on for ever (https://github.com/milesgranger/isal-rs/pull/23).
                self.damage = Some("the inflater makes no progress");
            }
        }
    }
}

/// What there is where a member may begin.
enum Begun {
    /// A member, of which the compressed data follows.
    Member,
    /// Bytes that only fill up a file, which were taken.
    Padding,
    /// A member that cannot be read.
    Damaged,
    /// Something else.
    Other,
}

/// What every member begins with.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Begins a member, the first or one that follows another. After a member there may be zeros, with which tools fill up
/// blocks, or line ends; what follows then is a member whose beginning is damaged if it has most of the magic bytes.
fn begin_member(source: &mut impl BufRead, is_next: bool) -> Result<Begun> {
    if is_next {
        let is_padding = |byte: &&u8| **byte == 0 || byte.is_ascii_whitespace();
        let padding = source.fill_buf()?.iter().take_while(is_padding).count();
        if padding > 0 {
            source.consume(padding);
            return Ok(Begun::Padding);
        }
    }
    let mut magic = Vec::with_capacity(MAGIC.len());
    source.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    let same = magic.iter().zip(MAGIC).filter(|(byte, expected)| **byte == *expected).count();
    match magic.len() {
        3 if same == 3 => skip_header(source),
        3 if same == 2 || !is_next => Ok(Begun::Damaged),
        length if same == length || !is_next => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(Begun::Other),
    }
}

/// Takes what is after the magic bytes and before the compressed data of a member. igzip's own way forgets what is still to
/// come of a header where the source ends a piece inside of it.
fn skip_header(source: &mut impl BufRead) -> Result<Begun> {
    const HAS_CHECKSUM: u8 = 1 << 1;
    const HAS_EXTRA: u8 = 1 << 2;
    const HAS_NAME: u8 = 1 << 3;
    const HAS_COMMENT: u8 = 1 << 4;

    let mut fixed = [0; 7];
    source.read_exact(&mut fixed)?;
    // The three highest flags stand for nothing yet, and what they will stand for cannot be taken.
    let [flags @ ..0x20, ..] = fixed else { return Ok(Begun::Damaged) };
    let mut two = [0; 2];
    if flags & HAS_EXTRA != 0 {
        source.read_exact(&mut two)?;
        let extra_bytes = u64::from(u16::from_le_bytes(two));
        std::io::copy(&mut source.take(extra_bytes), &mut std::io::sink())?;
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            source.skip_until(0)?;
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        source.read_exact(&mut two)?;
    }
    Ok(Begun::Member)
}

/// An inflater, inside a member of gzip after its header, or between two of them.
pub(super) trait Inflate: Default {
    /// Whether the member has ended, its checksum and length included.
    fn has_ended(&self) -> bool;

    /// What follows is the compressed data of another member.
    fn begin(&mut self);

    /// Inflates from `input` into `output`.
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Step;
}

/// What became of a call of the inflater.
pub(super) struct Step {
    /// Bytes of the input that it took.
    pub(super) taken: usize,
    /// Bytes that it made.
    pub(super) made: usize,
    /// Why there are no more of them.
    pub(super) damage: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};

    use flate2::bufread::MultiGzDecoder;
    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    /// By both inflaters, which must agree.
    fn inflated(object: &[u8], piece_bytes: usize, window_bytes: usize) -> Result<Vec<u8>> {
        let zlib = inflated_by::<zlib::Member>(object, piece_bytes, window_bytes);
        #[cfg(feature = "igzip")]
        match (&zlib, inflated_by::<igzip::Member>(object, piece_bytes, window_bytes)) {
            (Ok(zlib), Ok(igzip)) => assert_eq!(zlib, &igzip),
            (Err(zlib), Err(igzip)) => assert_eq!(zlib.kind(), igzip.kind(), "{zlib}, {igzip}"),
            (zlib, igzip) => panic!("{zlib:?}, {igzip:?}"),
        }
        zlib
    }

    fn inflated_by<M: Inflate>(object: &[u8], piece_bytes: usize, window_bytes: usize) -> Result<Vec<u8>> {
        let mut inflated = Inflated::<_, M>::by(BufReader::with_capacity(piece_bytes, object));
        let (mut content, mut window) = (Vec::new(), vec![0; window_bytes]);
        loop {
            match inflated.read(&mut window)? {
                0 => return Ok(content),
                count => content.extend_from_slice(&window[..count]),
            }
        }
    }

    /// One that has a header with everything a header may have.
    fn member(content: &[u8], level: u32) -> Vec<u8> {
        let header = GzBuilder::new().extra([7; 300]).filename("a name").comment("a comment").mtime(1);
        let mut member = header.write(Vec::new(), Compression::new(level));
        member.write_all(content).unwrap();
        member.finish().unwrap()
    }

    fn plain(content: &[u8]) -> Vec<u8> {
        let mut member = GzEncoder::new(Vec::new(), Compression::default());
        member.write_all(content).unwrap();
        member.finish().unwrap()
    }

    proptest! {
        #[test]
        fn the_content_of_all_members_comes_whatever_the_pieces(
            members in proptest::collection::vec(
                (proptest::collection::vec("[a-d]{0,300}|[ -~]{0,30}", 0..60), 0_u32..10, 1_usize..200),
                1..4,
            ),
            piece_bytes in 1_usize..600,
            window_bytes in 1_usize..600,
        ) {
            let (mut object, mut content) = (Vec::new(), Vec::new());
            for (words, level, times) in members {
                let words = words.concat().repeat(times);
                object.extend(member(words.as_bytes(), level));
                content.extend(words.into_bytes());
            }
            prop_assert_eq!(inflated(&object, piece_bytes, window_bytes).unwrap(), content);
        }

        #[test]
        fn damage_is_seen_wherever_another_inflater_sees_it(
            words in "[a-f 0-9]{1,2000}",
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            piece_bytes in 1_usize..600,
        ) {
            let mut object = plain(words.as_bytes());
            for (place, byte) in damage {
                let place = place.index(object.len());
                object[place] = byte;
            }
            let mut content = Vec::new();
            let other = MultiGzDecoder::new(&*object).read_to_end(&mut content).map(|_| content);
            // What is damage to one may be an end that comes too early to another: the kinds of errors may differ.
            let ours = [
                inflated_by::<zlib::Member>(&object, piece_bytes, 500),
                #[cfg(feature = "igzip")]
                inflated_by::<igzip::Member>(&object, piece_bytes, 500),
            ];
            for ours in ours {
                prop_assert_eq!(ours.is_ok(), other.is_ok(), "{:?} {:?}", ours, other);
                if let (Ok(ours), Ok(other)) = (ours, &other) {
                    prop_assert_eq!(&ours, other);
                }
            }
        }
    }

    #[test]
    fn what_is_cut_is_told_from_what_is_damaged() {
        let object = [member(b"first", 6), plain(b"second")].concat();
        let second = object.len() - plain(b"second").len();
        for length in 1..object.len() {
            let ended = inflated(&object[..length], 7, 7);
            if length == second {
                assert_eq!(ended.unwrap(), b"first");
            } else {
                assert_eq!(ended.unwrap_err().kind(), ErrorKind::UnexpectedEof, "cut at {length}");
            }
        }
        let third = plain(b"third");
        for (place, byte) in [(0, 0x1e), (1, 0x8a), (2, 9), (3, 0x20)] {
            let mut damaged = third.clone();
            damaged[place] = byte;
            let ended = inflated(&[object.clone(), damaged].concat(), 7, 7);
            assert_eq!(ended.unwrap_err().to_string(), "what follows is no member of gzip", "{place}");
        }
        let mut wrong = plain(b"second");
        *wrong.last_mut().unwrap() = 1;
        assert!(inflated(&wrong, 7, 7).unwrap_err().to_string().contains("checksum or length"));
    }

    /// Whether something follows the two members of an object.
    fn followed_by<M: Inflate>(object: &[u8], piece_bytes: usize) -> bool {
        let mut inflated = Inflated::<_, M>::by(BufReader::with_capacity(piece_bytes, object));
        let mut content = String::new();
        inflated.read_to_string(&mut content).unwrap();
        assert_eq!((&*content, inflated.read(&mut [0; 9]).unwrap()), ("firstsecond", 0));
        inflated.is_followed()
    }

    #[test]
    fn what_fills_up_a_file_is_no_damage_and_what_else_follows_is_told() {
        let object = [member(b"first", 6), plain(b"second")].concat();
        let zeros = vec![0; 2000];
        for (padding, rest, is_followed) in [
            (&b""[..], &b""[..], false),
            (&zeros, b"", false),
            (b"\n", b"", false),
            (b"\0 \r\n\t", b"", false),
            (b"", b"0", true),
            (b"", b"\x1f0", true),
            (b"", b"0123456789", true),
            (&zeros, b"\x8b\x08", true),
            (b"\n", &object[3..], true),
        ] {
            for piece_bytes in [1, 7, 5000] {
                let object = [&object, padding, rest].concat();
                assert_eq!(followed_by::<zlib::Member>(&object, piece_bytes), is_followed, "{rest:?}");
                #[cfg(feature = "igzip")]
                assert_eq!(followed_by::<igzip::Member>(&object, piece_bytes), is_followed, "{rest:?}");
            }
        }
        // Members go on after what fills up a block.
        assert_eq!(
            inflated(&[&object, &zeros[..], &object].concat(), 7, 7).unwrap(),
            b"firstsecondfirstsecond"
        );
    }
}
