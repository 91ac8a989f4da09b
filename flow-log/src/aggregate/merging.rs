//! What of a record is merged with others, and where a layout has it.

use super::Aggregate;
use crate::record::{Places, Values};

/// The most that a sum may be: the intake's parser reads eighteen digits for sure.
const MOST: u64 = 999_999_999_999_999_999;
const TCP: u64 = 6;
const UDP: u64 = 17;
/// Ports below are those of services.
const WELL_KNOWN: u64 = 1024;
/// Ports from here on are those that systems give to clients.
const EPHEMERAL: u64 = 32_768;

/// A value that is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Packets,
    Bytes,
    Start,
    End,
    Flags,
    /// The client's port.
    Client,
}

/// Where a layout has the values that are merged.
#[derive(Debug)]
pub(crate) struct Merging {
    packets: usize,
    bytes: usize,
    start: usize,
    end: usize,
    flags: Option<usize>,
    status: Option<usize>,
    /// Of source and destination, and the protocol; only where client's ports are merged.
    ports: Option<[usize; 3]>,
    /// The places in their order: without a client's port, with that of the source, with that of the destination.
    holes: [Vec<(usize, Value)>; 3],
}

/// What of a record, or of several, is merged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    packets: u64,
    bytes: u64,
    start: u64,
    end: u64,
    flags: u64,
    pub(crate) client: Option<Client>,
}

/// The client of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    is_source: bool,
    pub(crate) port: u16,
}

impl Merging {
    /// Where a layout has what is merged; `None` if it lacks some of it: then nothing is.
    pub(crate) fn of(aggregate: Aggregate, places: &Places) -> Option<Self> {
        let [Some(packets), Some(bytes), Some(start), Some(end)] = places.sums else { return None };
        let ports = match (aggregate, places.ports, places.protocol) {
            (Aggregate::Off, ..) => return None,
            (Aggregate::Services, [Some(source), Some(destination)], Some(protocol)) => {
                Some([source, destination, protocol])
            }
            _ => None,
        };
        let flags = places.tcp_flags;
        let holes = |client: Option<usize>| {
            let mut holes = vec![
                (packets, Value::Packets),
                (bytes, Value::Bytes),
                (start, Value::Start),
                (end, Value::End),
            ];
            holes.extend(flags.map(|place| (place, Value::Flags)));
            holes.extend(client.map(|place| (place, Value::Client)));
            holes.sort_unstable_by_key(|(place, _)| *place);
            holes
        };
        let holes = [holes(None), holes(ports.map(|ports| ports[0])), holes(ports.map(|ports| ports[1]))];
        Some(Self { packets, bytes, start, end, flags, status: places.log_status, ports, holes })
    }

    /// What of a record is merged; `None` if it is to stay as it is, because it tells of no traffic or lacks a value.
    pub(crate) fn slice(&self, record: &impl Values) -> Option<Slice> {
        if self.status.is_some_and(|place| record.text(place) != Some(b"OK")) {
            return None;
        }
        Some(Slice {
            packets: record.number(self.packets)?,
            bytes: record.number(self.bytes)?,
            start: record.number(self.start)?,
            end: record.number(self.end)?,
            flags: self.flags.map_or(Some(0), |place| record.number(place))?,
            client: self.client(record),
        })
    }

    /// A port from 1024 on is the client's if the other one is below 1024, or if it is at least 32768 and the other one below.
    fn client(&self, record: &impl Values) -> Option<Client> {
        let [source, destination, protocol] = self.ports?.map(|place| record.number(place));
        let (source, destination) = (source?, destination?);
        let is_client = |port: u64, other: u64| {
            other > 0 && (port >= WELL_KNOWN && other < WELL_KNOWN || port >= EPHEMERAL && other < EPHEMERAL)
        };
        let (is_source, port) = if is_client(source, destination) {
            (true, source)
        } else if is_client(destination, source) {
            (false, destination)
        } else {
            return None;
        };
        matches!(protocol, Some(TCP | UDP)).then_some(Client { is_source, port: u16::try_from(port).ok()? })
    }

    /// The places of the values that are merged, in their order; none of a record that stays as it is.
    pub(crate) fn holes(&self, slice: Option<&Slice>) -> &[(usize, Value)] {
        let [without, source, destination] = &self.holes;
        match slice.map(|slice| slice.client) {
            None => &[],
            Some(None) => without,
            Some(Some(Client { is_source: true, .. })) => source,
            Some(Some(Client { is_source: false, .. })) => destination,
        }
    }
}

impl Slice {
    /// This one and another together, unless a sum would be too large.
    pub(super) fn merged(&self, other: &Self) -> Option<Self> {
        // Each has eighteen digits at most.
        let sum = |one: u64, other: u64| Some(one + other).filter(|sum| *sum <= MOST);
        Some(Self {
            packets: sum(self.packets, other.packets)?,
            bytes: sum(self.bytes, other.bytes)?,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
            flags: self.flags | other.flags,
            client: self.client,
        })
    }

    /// A value as it goes out of a group that stands for so many flows; the client's port only if it is one flow.
    pub(super) fn value(&self, value: Value, flows: u32) -> Option<u64> {
        match value {
            Value::Packets => Some(self.packets),
            Value::Bytes => Some(self.bytes),
            Value::Start => Some(self.start),
            Value::End => Some(self.end),
            Value::Flags => Some(self.flags),
            Value::Client => self.client.filter(|_| flows == 1).map(|client| client.port.into()),
        }
    }
}
