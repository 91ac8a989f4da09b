//! Merges records of one object: what is paid for in the intake is how many there are.
//!
//! Records are held until there is no room for the next one, or their object or its layout ends. What is held is a *window*,
//! and goes out as groups, in the order of their first records. The window from position P up to Q with G groups gives its
//! k-th group the position P + k, and its last one Q. So all that was read up to P + k and goes out is in one of the first k
//! groups: each of these k records, if it goes out, is the first of a group or in one that began before it, and no more than k
//! groups begin among them. Whoever goes on at P + k loses nothing, whether he groups from there on or not.
//!
//! Windows depend on nothing but the object and how it is decoded: the same object gives the same groups again.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::ops::ControlFlow;

use self::merging::{Slice, Value};
use super::decode::block::Filling;

pub(crate) mod merging;

/// Which records are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregate {
    /// None.
    #[default]
    Off,
    /// Those that agree in everything but packets, bytes, start, end and TCP flags: the slices of one flow.
    Flows,
    /// In addition those that differ in the client's port: the flows from one client to one service.
    Services,
}

/// Names the rules by which records are grouped, and the bounds below: to be changed with them, so that no position is taken for
/// one under other rules.
pub(crate) const RULES: u32 = 2;
/// Groups of a window: those of a busy flow log's minute and more, so that the slices of a flow meet. With their keys and ports
/// they take 8 MiB at most; whoever decodes lets two objects be merged at a time. Of text, the keys of as many groups have about
/// as many bytes.
const GROUPS: usize = 32 * 1024;
/// Bytes of the keys of a window.
const KEY_BYTES: usize = 7 * 512 * 1024;
/// Client's ports of a window beside the first of each group.
const PORTS: usize = 40_000;
/// A longer record is not held: few of them would fill a window.
const HELD_BYTES: usize = 16 * 1024;

/// 48 bits of a hash, which is the same in every process: so are the groups.
type KeyHash = [u8; 6];

fn hash_of(key: &[u8]) -> KeyHash {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    let [a, b, c, d, e, f, ..] = hasher.finish().to_le_bytes();
    [a, b, c, d, e, f]
}

/// The groups of a window.
#[derive(Default)]
pub(crate) struct Groups {
    /// The keys of the groups, one after the other.
    keys: Vec<u8>,
    groups: Vec<Group>,
    /// The groups by hashes of their keys. Of keys with the same hash, which hardly occur, the last one is found.
    by_key: HashMap<KeyHash, u16>,
    /// The groups' client's ports but the first of each.
    ports: HashSet<(u16, u16)>,
    /// The position at which the window begins.
    from: u64,
    /// Records in the window.
    records: u32,
}

/// Records that are merged into one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// Where its key ends.
    key_end: usize,
    /// Whether nothing in its key has to be escaped.
    pub(crate) is_plain: bool,
    /// For how many flows it stands.
    pub(crate) flows: u32,
    /// What was merged; none of a record that stays as it is.
    pub(crate) slice: Option<Slice>,
}

impl Groups {
    /// Whether there is room for a record of so many bytes. For one that is too long there never is.
    pub(crate) fn have_room(&self, bytes: usize) -> bool {
        let has_more = self.groups.len() < GROUPS && self.ports.len() < PORTS;
        has_more && bytes <= HELD_BYTES && self.keys.len() + bytes <= KEY_BYTES
    }

    /// Where the key of the next record is to be written.
    pub(crate) fn key(&mut self) -> &mut Vec<u8> {
        if self.keys.capacity() == 0 {
            self.keys.reserve_exact(KEY_BYTES);
            self.groups.reserve_exact(GROUPS);
        }
        &mut self.keys
    }

    /// Holds the record whose key was written; there is room for it. `slice` is what is merged of it, none if it is to stay as
    /// it is.
    pub(crate) fn add(&mut self, block: &mut Filling, slice: Option<Slice>, is_plain: bool) {
        if self.groups.is_empty() {
            self.from = block.end();
        }
        block.hold();
        self.records += 1;
        let Some(slice) = slice else {
            self.begin(None, is_plain);
            return;
        };
        let start = self.start_of(self.groups.len());
        let key = self.keys.get(start..).unwrap_or_default();
        let hash = hash_of(key);
        let number = self.by_key.get(&hash).copied().filter(|number| self.key_of((*number).into()) == key);
        let group = number.and_then(|number| self.groups.get_mut(usize::from(number)));
        if let (Some(number), Some(group)) = (number, group)
            && group.merge(&slice)
        {
            self.keys.truncate(start);
            let is_new = |port| self.ports.insert((number, port));
            group.flows += u32::from(group.other_port(&slice).is_some_and(is_new));
            return;
        }
        // Of two with the same key, the first one is full.
        let new = self.begin(Some(slice), is_plain);
        self.by_key.insert(hash, new);
    }

    /// Begins a group with the key that was written.
    fn begin(&mut self, slice: Option<Slice>, is_plain: bool) -> u16 {
        let number = u16::try_from(self.groups.len()).unwrap_or(u16::MAX);
        self.groups.push(Group { key_end: self.keys.len(), is_plain, flows: 1, slice });
        number
    }

    /// Ends the window: each group is written, and the block is handed on by `write` when it is full.
    pub(crate) fn release<W, E>(
        &mut self,
        writer: &mut W,
        block: impl Fn(&mut W) -> &mut Filling,
        mut write: impl FnMut(&mut W, &Group, &[u8]) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        let Some(last) = self.groups.len().checked_sub(1) else { return Ok(ControlFlow::Continue(())) };
        let mut behind = block(writer).rewind(self.from);
        block(writer).merged(self.records - u32::try_from(self.groups.len()).unwrap_or_default());
        let mut flow = Ok(ControlFlow::Continue(()));
        for (number, group) in self.groups.iter().enumerate() {
            behind = behind.saturating_sub(1);
            if number == last {
                block(writer).pass(behind);
            }
            flow = write(writer, group, self.key_of(number));
            if !matches!(flow, Ok(ControlFlow::Continue(()))) {
                break;
            }
        }
        self.keys.clear();
        self.groups.clear();
        self.by_key.clear();
        self.ports.clear();
        self.records = 0;
        flow
    }

    fn key_of(&self, number: usize) -> &[u8] {
        let range = self.groups.get(number).map(|group| self.start_of(number)..group.key_end);
        range.and_then(|range| self.keys.get(range)).unwrap_or_default()
    }

    fn start_of(&self, number: usize) -> usize {
        number.checked_sub(1).and_then(|before| self.groups.get(before)).map_or(0, |group| group.key_end)
    }
}

impl Group {
    /// A value as it goes out; none of a client's port where there are several.
    pub(crate) fn value(&self, value: Value) -> Option<u64> {
        self.slice?.value(value, self.flows)
    }

    /// Takes a record in, if the sums stay what the intake's parser reads.
    fn merge(&mut self, slice: &Slice) -> bool {
        let merged = self.slice.and_then(|own| own.merged(slice));
        self.slice = merged.or(self.slice);
        merged.is_some()
    }

    /// The client's port of a record, if it is not the first of the group.
    fn other_port(&self, slice: &Slice) -> Option<u16> {
        let own = self.slice?.client?.port;
        slice.client.map(|client| client.port).filter(|port| *port != own)
    }
}
