//! What comes of an object in one answer.

use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use bytes::{Buf as _, Bytes};
use bytes_utils::SegmentedBuf;

/// What comes in pieces shorter than this is put together: with each piece, the inflater copies 64 KiB of what it made.
const PIECE_BYTES: usize = 128 * 1024;

/// The bytes of an object, or of a part of it, in pieces.
pub type Content = SegmentedBuf<Bytes>;

/// The bytes of a body. Of one that is longer than `expected`, those up to a place after that. Long pieces are kept as
/// they come, short ones are copied together: a record of TLS has 16 KiB at most (RFC 8446, 5.1).
pub(super) async fn gather(mut body: ByteStream, expected: u64) -> Result<Content, ByteStreamError> {
    let mut gathered = Content::new();
    let mut short = Vec::new();
    while (gathered.remaining() + short.len()) as u64 <= expected
        && let Some(bytes) = body.try_next().await?
    {
        let is_long = bytes.len() >= PIECE_BYTES;
        if is_long || short.len() + bytes.len() > PIECE_BYTES {
            gathered.push(std::mem::take(&mut short).into());
        }
        if is_long {
            gathered.push(bytes);
            continue;
        }
        if short.is_empty() {
            let missing = expected.saturating_sub(gathered.remaining() as u64);
            short.reserve(usize::try_from(missing).unwrap_or(PIECE_BYTES).min(PIECE_BYTES));
        }
        short.extend_from_slice(&bytes);
    }
    gathered.push(short.into());
    Ok(gathered)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::{Body, Frame};
    use proptest::prelude::*;

    use super::*;

    /// A body that comes in these pieces.
    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    proptest! {
        #[test]
        fn all_of_a_body_comes_and_not_much_more_than_expected(
            lengths in prop::collection::vec(prop_oneof![0..100_usize, 0..300_000_usize], 0..20),
            expected in prop_oneof![Just(u64::MAX), 0..1_000_000_u64],
        ) {
            let bytes = |(number, length): (u8, &usize)| Bytes::from(vec![number; *length]);
            let pieces: VecDeque<_> = (0..).zip(&lengths).map(bytes).collect();
            let whole = pieces.iter().flatten().copied().collect::<Vec<_>>();
            let body = ByteStream::from_body_1_x(Pieces(pieces));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut gathered = runtime.block_on(gather(body, expected)).unwrap();
            let pieces = gathered.segments();
            let gathered = gathered.copy_to_bytes(gathered.remaining());
            prop_assert!(whole.starts_with(&gathered));
            prop_assert!(gathered.len() == whole.len() || gathered.len() as u64 > expected);
            prop_assert!((gathered.len() as u64).saturating_sub(expected) <= 300_000);
            prop_assert!(pieces <= 2 * gathered.len() / PIECE_BYTES + 2, "{pieces} pieces");
        }
    }
}
