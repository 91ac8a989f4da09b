//! Codecs as they should be, and with more after what they are given: a byte that is repeated.

use super::thrift::varint;

pub fn snappy(page: &[u8], more: usize) -> Vec<u8> {
    let mut packed = Vec::new();
    varint((page.len() + more) as u64, &mut packed);
    for part in page.chunks(1 << 16) {
        packed.push(61 << 2);
        packed.extend_from_slice(&u16::try_from(part.len() - 1).unwrap().to_le_bytes());
        packed.extend_from_slice(part);
    }
    // Copies of the byte before.
    for _ in 0..more / 64 {
        packed.extend([63 << 2 | 2, 1, 0]);
    }
    packed
}

pub fn gzip(page: &[u8], more: usize) -> Vec<u8> {
    use std::io::Write as _;

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(page).unwrap();
    for _ in 0..more >> 16 {
        gzip.write_all(&[0; 1 << 16]).unwrap();
    }
    gzip.finish().unwrap()
}

/// Parts that are not compressed.
pub fn brotli(page: &[u8]) -> Vec<u8> {
    // The last part is empty, and so is the first of a window of 16 bits.
    if page.is_empty() {
        return vec![0x06];
    }
    let mut packed = Vec::new();
    for (number, part) in page.chunks(1 << 16).enumerate() {
        // A bit for the window, before the first; not the last; four digits; one less than its bytes; not compressed.
        let head = u32::try_from(part.len() - 1).unwrap() << 3 | 1 << 19;
        let head = if number == 0 { head << 1 } else { head };
        packed.extend_from_slice(&head.to_le_bytes()[..3]);
        packed.extend_from_slice(part);
    }
    packed.push(0x03);
    packed
}

/// One block: all as it is, then copies of the byte before.
pub fn lz4(page: &[u8], more: usize) -> Vec<u8> {
    fn length(mut length: usize, out: &mut Vec<u8>) {
        while length >= 255 {
            out.push(255);
            length -= 255;
        }
        out.push(u8::try_from(length).unwrap());
    }
    let mut packed = Vec::new();
    let (first, last) = page.split_at(if more > 0 { page.len() / 2 } else { 0 });
    if more > 0 && !first.is_empty() {
        if first.len() < 15 {
            packed.push(u8::try_from(first.len()).unwrap() << 4 | 0xf);
        } else {
            packed.push(0xff);
            length(first.len() - 15, &mut packed);
        }
        packed.extend_from_slice(first);
        packed.extend([1, 0]);
        length(more - 19, &mut packed);
    }
    if last.len() < 15 {
        packed.push(u8::try_from(last.len()).unwrap() << 4);
    } else {
        packed.push(0xf0);
        length(last.len() - 15, &mut packed);
    }
    packed.extend_from_slice(last);
    packed
}

/// Blocks as they are, then blocks of one byte that is repeated.
pub fn zstd(page: &[u8], more: usize) -> Vec<u8> {
    const BLOCK: usize = 1 << 17;
    // A window of 128 KiB, and nothing about what it holds.
    let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let mut block = |kind: usize, bytes: usize, content: &[u8]| {
        packed.extend_from_slice(&(bytes << 3 | kind << 1).to_le_bytes()[..3]);
        packed.extend_from_slice(content);
    };
    page.chunks(BLOCK).for_each(|part| block(0, part.len(), part));
    for part in (0..more).step_by(BLOCK) {
        block(1, BLOCK.min(more - part), &[0]);
    }
    packed.extend([1, 0, 0]);
    packed
}
