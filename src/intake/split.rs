//! Halves a batch that is too large for the intake.

use bytes::Bytes;

/// Records as JSON strings with commas between them, in pieces: split in two at a record near the middle. The number is that
/// of the records in the first half. `None` if it is a single record.
pub fn halves(pieces: &[Bytes]) -> Option<(usize, [Vec<Bytes>; 2])> {
    let whole = Bytes::from(pieces.concat());
    let middle = whole.len() / 2;
    let (before, comma) = commas(&whole).enumerate().min_by_key(|(_, comma)| comma.abs_diff(middle))?;
    Some((before + 1, [vec![whole.slice(..comma)], vec![whole.slice(comma + 1..)]]))
}

/// Where the commas between JSON strings are.
fn commas(strings: &[u8]) -> impl Iterator<Item = usize> {
    let (mut is_inside, mut is_escaped) = (false, false);
    strings.iter().enumerate().filter_map(move |(at, byte)| {
        match byte {
            _ if std::mem::take(&mut is_escaped) => {}
            b'\\' => is_escaped = true,
            b'"' => is_inside = !is_inside,
            b',' if !is_inside => return Some(at),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_halved_between_records_whatever_is_in_them() {
        let pieces: [Bytes; 2] =
            [r#""a,b","\"c\",\\","#, r#""d,","e""#].map(|piece: &str| Bytes::from_static(piece.as_bytes()));
        let (of_first, [first, second]) = halves(&pieces).unwrap();
        assert_eq!(of_first, 2);
        assert_eq!(first.concat(), br#""a,b","\"c\",\\""#);
        assert_eq!(second.concat(), br#""d,","e""#);
        assert!(halves(&[Bytes::from_static(br#""one, and only""#)]).is_none());
    }
}
