//! Lines that are merged. The key of a group is the line without what is merged of it: nothing stands between two spaces there.

use std::convert::Infallible;
use std::io::Write as _;
use std::ops::ControlFlow;

use super::{Emit, Known, LineValues, Records};
use crate::aggregate::Group;

impl Records<'_> {
    /// Holds a line, for which there is room, and where its values end is known.
    pub(super) fn hold(&mut self, line: &str, known: Known) {
        let Self { layout: Some(layout), merging: Some(merging), block, ends, groups, .. } = self else {
            return;
        };
        let line = line.as_bytes();
        let values = LineValues::found(line, ends);
        let is_whole = known.values == layout.keys.len();
        let slice = if is_whole { merging.slice(&values) } else { None };
        let key = groups.key();
        let mut from = 0;
        for range in merging.holes(slice.as_ref()).iter().filter_map(|(place, _)| values.range(*place)) {
            key.extend_from_slice(line.get(from..range.start).unwrap_or_default());
            from = range.end;
        }
        key.extend_from_slice(line.get(from..).unwrap_or_default());
        groups.add(block, slice, known.is_plain);
    }

    /// Hands on what is full.
    pub(super) fn hand_on(&mut self, emit: Emit<'_>) -> ControlFlow<()> {
        self.release(emit)?;
        if self.block.is_full() { emit(self.block.finish()) } else { ControlFlow::Continue(()) }
    }

    /// Writes what is held.
    pub(super) fn release(&mut self, emit: Emit<'_>) -> ControlFlow<()> {
        let mut groups = std::mem::take(&mut self.groups);
        let Ok(flow) = groups.release(
            self,
            |records| &mut records.block,
            |records, group, key| {
                records.write_group(group, key);
                let is_full = records.block.is_full();
                let flow = if is_full { emit(records.block.finish()) } else { ControlFlow::Continue(()) };
                Ok::<_, Infallible>(flow)
            },
        );
        self.groups = groups;
        flow
    }

    fn write_group(&mut self, group: &Group, key: &[u8]) {
        let Self { merging: Some(merging), ends, .. } = self else { return };
        let values = LineValues::find(key, ends);
        let mut line = Vec::with_capacity(key.len() + 64);
        let mut from = 0;
        for (place, value) in merging.holes(group.slice.as_ref()) {
            let hole = values.range(*place).map_or(from, |range| range.start);
            line.extend_from_slice(key.get(from..hole).unwrap_or_default());
            from = hole;
            // Writing into a vector cannot fail.
            let _ = match group.value(*value) {
                Some(number) => write!(line, "{number}"),
                None => write!(line, "-"),
            };
        }
        line.extend_from_slice(key.get(from..).unwrap_or_default());
        LineValues::find(&line, ends);
        let spaces = memchr::memchr_iter(b' ', &line).count();
        // It is made of text, and is text again.
        let line = String::from_utf8_lossy(&line);
        self.write(&line, Known { values: spaces + 1, is_plain: group.is_plain }, group.flows);
    }
}
