//! Rows that are merged. The key of a group has a line for each column: its value as it is written in JSON, or nothing.

use std::ops::ControlFlow;

use parquet::errors::Result;

use super::fields::Naming;
use super::value::Written;
use super::{NotWritable, RECORD_BYTES, Row, Rows};
use crate::aggregate::merging::{Merging, Slice};
use crate::aggregate::{Group, Groups};
use crate::decode::block::Block;
use crate::record::fields::Kind;
use crate::record::json::{Key, Object};

/// What is held of rows.
pub(super) struct Grouped {
    merging: Merging,
    groups: Groups,
    columns: Vec<Column>,
    /// The key of the row that was read last, and what is merged of it.
    key: Vec<u8>,
    slice: Option<Slice>,
}

struct Column {
    key: Key,
    is_sent: bool,
}

impl Grouped {
    pub(super) fn new(merging: Merging, columns: &[Naming]) -> Self {
        let column = |Naming { name, is_sent, .. }: &Naming| Column {
            key: Key::new(name, Kind::of(name)),
            is_sent: *is_sent,
        };
        let columns = columns.iter().map(column).collect();
        Self { merging, groups: Groups::default(), columns, key: Vec::new(), slice: None }
    }

    /// Writes the key of a row.
    pub(super) fn write_key(&mut self, row: &Row<'_>) -> Written {
        self.slice = self.merging.slice(row);
        self.key.clear();
        let mut holes = self.merging.holes(self.slice.as_ref()).iter().peekable();
        for (place, (cells, column)) in row.cells.iter().zip(&self.columns).enumerate() {
            if holes.next_if(|(hole, _)| *hole == place).is_none() {
                let start = self.key.len();
                cells.write(row.row, &mut Object::part(&mut self.key))?;
                if self.key.len() > start {
                    // Its name, and the comma after it.
                    self.key.drain(start..start + column.key.bytes());
                    self.key.pop();
                }
            }
            self.key.push(b'\n');
            if self.key.len() > RECORD_BYTES {
                return Err(NotWritable);
            }
        }
        Ok(())
    }
}

impl<E: FnMut(Block) -> ControlFlow<()>> Rows<'_, E> {
    /// Holds the row whose key was written last, or writes it if it is too long for that.
    pub(super) fn hold(&mut self, row: &Row<'_>, columns: &[Naming]) -> Result<ControlFlow<()>> {
        let has_room = |rows: &Self| {
            rows.grouped.as_ref().is_some_and(|grouped| grouped.groups.have_room(grouped.key.len()))
        };
        if !has_room(self) && self.release()?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if !has_room(self) {
            // That it can be written is known by its key.
            let _ = self.write(row, columns);
        } else if let Some(Grouped { groups, key, slice, .. }) = &mut self.grouped {
            groups.key().extend_from_slice(key);
            groups.add(&mut self.block, *slice, true);
            let bytes = key.len();
            self.spend(bytes)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Hands on what is full.
    pub(super) fn hand_on(&mut self) -> Result<ControlFlow<()>> {
        if self.release()?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if self.block.is_full() { self.emit() } else { Ok(ControlFlow::Continue(())) }
    }

    /// Writes what is held.
    pub(super) fn release(&mut self) -> Result<ControlFlow<()>> {
        let Some(mut grouped) = self.grouped.take() else { return Ok(ControlFlow::Continue(())) };
        let Grouped { merging, groups, columns, .. } = &mut grouped;
        let flow = groups.release(
            self,
            |rows| &mut rows.block,
            |rows, group, key| {
                rows.write_group(group, key, merging, columns);
                if rows.block.is_full() { rows.emit() } else { Ok(ControlFlow::Continue(())) }
            },
        );
        self.grouped = Some(grouped);
        flow
    }

    fn write_group(&mut self, group: &Group, key: &[u8], merging: &Merging, columns: &[Column]) {
        let mut holes = merging.holes(group.slice.as_ref()).iter().peekable();
        let Ok(()) = self.block.push_object(|object| {
            let values = key.split(|byte| *byte == b'\n');
            for (place, (value, column)) in values.zip(columns).enumerate() {
                let hole = holes.next_if(|(hole, _)| *hole == place);
                if !column.is_sent {
                    continue;
                }
                match hole {
                    Some((_, merged)) => {
                        group.value(*merged).into_iter().for_each(|number| object.plain(&column.key, number));
                    }
                    None if value.is_empty() => {}
                    None => object.written(&column.key, value),
                }
            }
            object.flows(group.flows);
            Ok::<_, std::convert::Infallible>(())
        });
    }
}
