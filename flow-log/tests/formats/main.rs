//! What the decoder makes of objects of every kind, judged by a checker that knows only what the intake's parser reads.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test ends at what it did not expect"
)]

use std::io::{BufReader, Read as _};
use std::ops::ControlFlow;

use flow_log::decode::block::Block;
use flow_log::decode::{Decoder, ObjectError, RecordFormat};
use flow_log::filter::Filter;
use support::flowlogs::gzip;

mod aggregate;
mod any_fields;
mod blemishes;
mod columns;
mod grouping_model;
mod mistakes;
mod parquet;
mod records;
mod selection;
mod types;

/// All blocks of an object.
pub fn blocks(decoder: &Decoder, object: &[u8]) -> Result<Vec<Block>, ObjectError> {
    let mut blocks = Vec::new();
    decoder.decode(object, |block| {
        blocks.push(block);
        ControlFlow::Continue(())
    })?;
    Ok(blocks)
}

/// All that goes out of an object in a form, but for what a filter leaves out.
pub fn events(format: RecordFormat, filter: Filter, object: &[u8]) -> Result<Vec<String>, ObjectError> {
    decoded(&Decoder::new(format, filter), object)
}

/// All that goes out of an object, the same whether it comes as a whole or in pieces.
pub fn decoded(decoder: &Decoder, object: &[u8]) -> Result<Vec<String>, ObjectError> {
    let mut whole = Vec::new();
    for mut block in blocks(decoder, object)? {
        whole.extend_from_slice(&block.take(usize::MAX));
    }
    let mut pieces = Vec::new();
    let (first, rest) = object.split_at(object.len().min(1));
    decoder.decode(first.chain(BufReader::new(rest)), |mut block| {
        pieces.extend_from_slice(&block.take(usize::MAX));
        ControlFlow::Continue(())
    })?;
    assert!(whole == pieces, "{} and {}", whole.escape_ascii(), pieces.escape_ascii());
    whole.pop_if(|last| *last == b',');
    Ok(serde_json::from_slice(&[b"[", &whole[..], b"]"].concat()).unwrap())
}

/// What goes out of text as the user gets it who sets nothing.
pub fn events_of_text(header: &str, records: &[impl AsRef<str>]) -> Vec<String> {
    events(RecordFormat::Auto, Filter::default(), &text(header, records)).unwrap()
}

/// A text object.
pub fn text(header: &str, records: &[impl AsRef<str>]) -> Vec<u8> {
    let lines = std::iter::once(header).chain(records.iter().map(AsRef::as_ref));
    gzip(lines.map(|line| format!("{line}\n")).collect::<String>()).to_vec()
}
