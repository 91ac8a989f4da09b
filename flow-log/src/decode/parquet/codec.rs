//! Decompresses pages into as many bytes as their headers say, never into more.

use std::io::{Error, Read, Result};

/// The codecs, by their number in a file's description.
const UNCOMPRESSED: i64 = 0;
const SNAPPY: i64 = 1;
const GZIP: i64 = 2;
const BROTLI: i64 = 4;
const LZ4: i64 = 5;
const ZSTD: i64 = 6;
const LZ4_RAW: i64 = 7;

/// Whether there is anything to decompress.
pub(super) fn compresses(codec: i64) -> bool {
    codec != UNCOMPRESSED
}

/// Fills `output` with what `input` holds, which is exactly as much.
pub(super) fn decompress(codec: i64, input: &[u8], output: &mut [u8]) -> Result<()> {
    match codec {
        SNAPPY => {
            let made = snap::raw::Decoder::new().decompress(input, output)?;
            filled(made, output)
        }
        GZIP => fill(flate2::read::MultiGzDecoder::new(input), output),
        BROTLI => {
            // A window of more than 16 MiB, which is no part of the format that Parquet names.
            if input.first().is_some_and(|first| first & 0x7f == 0x11) {
                return Err(Error::other("the window of its codec is too large"));
            }
            fill(brotli::Decompressor::new(input, 4096), output)
        }
        LZ4 => lz4(input, output),
        ZSTD => {
            let made = zstd::bulk::Decompressor::new()?.decompress_to_buffer(input, output)?;
            filled(made, output)
        }
        LZ4_RAW => {
            let made = lz4_flex::block::decompress_into(input, output).map_err(Error::other)?;
            filled(made, output)
        }
        _ => Err(Error::other("its codec is not known")),
    }
}

/// The codec of this number is three: blocks as Hadoop frames them, LZ4's own frames, or one block.
fn lz4(input: &[u8], output: &mut [u8]) -> Result<()> {
    hadoop(input, output)
        .or_else(|_| fill(lz4_flex::frame::FrameDecoder::new(input), output))
        .or_else(|_| decompress(LZ4_RAW, input, output))
}

/// Blocks, each after the size of what it holds and its own, both with their highest byte first.
fn hadoop(mut input: &[u8], mut output: &mut [u8]) -> Result<()> {
    let wrong = || Error::other("it is not framed as Hadoop does");
    while !input.is_empty() {
        let (sizes, rest) = input.split_first_chunk::<8>().ok_or_else(wrong)?;
        let [a, b, c, d, e, f, g, h] = *sizes;
        let size = |bytes| usize::try_from(u32::from_be_bytes(bytes)).map_err(|_| wrong());
        let (block, rest) = rest.split_at_checked(size([e, f, g, h])?).ok_or_else(wrong)?;
        let (part, after) = output.split_at_mut_checked(size([a, b, c, d])?).ok_or_else(wrong)?;
        decompress(LZ4_RAW, block, part)?;
        (input, output) = (rest, after);
    }
    filled(0, output)
}

/// Fills `output` from a source that ends there.
fn fill(mut source: impl Read, output: &mut [u8]) -> Result<()> {
    source.read_exact(output)?;
    filled(source.read(&mut [0])?, &[])
}

fn filled(made: usize, output: &[u8]) -> Result<()> {
    if made == output.len() { Ok(()) } else { Err(Error::other("it has another size than its header says")) }
}
