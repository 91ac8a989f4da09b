//! Networks whose traffic is left out, and how they are found at a cost that does not grow with their number.
//!
//! Every network that an entry names is a class of addresses: those of which it is the narrowest. A tree of four bits at
//! a step finds the class of an address, and a table of bits says for two classes whether traffic from the one to the
//! other is left out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::address::Address;

/// Entries that a list may have. Their tables take 8 MiB at most, and as long to make as a person blinks.
const ENTRIES: usize = 1000;
/// Bits of an address that are looked at in a step, and the branches that makes.
const STEP_BITS: u32 = 4;
const BRANCHES: usize = 1 << STEP_BITS;
/// The class of addresses that no entry names.
const NONE: u32 = 0;
/// Marks a branch that leads to another node; the others name a class.
const NODE: u32 = 1 << 31;
/// The nodes at which addresses of each kind begin.
const V4: u32 = 0;
const V6: u32 = 1;

/// Networks whose traffic is left out; none by default. Clones share their tables.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Networks(Option<Arc<Tables>>);

#[derive(PartialEq, Eq)]
struct Tables {
    /// The entries as they were given.
    entries: Vec<String>,
    nodes: Vec<[u32; BRANCHES]>,
    /// For each first number of an IPv4 address whether a network has such addresses.
    near: [bool; 256],
    /// For each class of sources, a bit for each class of destinations.
    left_out: Vec<Vec<u64>>,
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Network {
    root: u32,
    prefix_bits: u32,
    /// The address, its first bit the highest.
    bits: u128,
}

impl Networks {
    /// Reads entries: `10.0.0.0/8`, of which a record has either end, or `10.0.0.0/8>192.0.2.0/24` for what goes from the
    /// one to the other. An address alone is a network of one. The error names the entry and what is wrong with it.
    pub fn parse(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        let (mut texts, mut ends) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.as_ref().trim();
            if texts.len() == ENTRIES {
                return Err(format!("there are more than {ENTRIES} networks; take larger ones"));
            }
            let end =
                |text: &str| Network::parse(text.trim()).map_err(|problem| format!("`{entry}` {problem}"));
            ends.push(match entry.split_once('>') {
                None => (end(entry)?, None),
                Some((source, destination)) => (end(source)?, Some(end(destination)?)),
            });
            texts.push(entry.to_owned());
        }
        Ok(Self((!texts.is_empty()).then(|| Arc::new(Tables::of(texts, &ends)))))
    }

    /// Whether it leaves out nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a network has IPv4 addresses whose first number is this.
    pub(super) fn are_near(&self, first: u8) -> bool {
        let near = self.0.as_ref().map(|tables| tables.near.get(usize::from(first)));
        near.flatten().is_some_and(|is_near| *is_near)
    }

    /// Whether traffic between any of these sources and any of these destinations is left out.
    pub(super) fn leave_out(
        &self,
        sources: [Option<Address>; 2],
        destinations: [Option<Address>; 2],
    ) -> bool {
        let Some(tables) = &self.0 else { return false };
        let class = |end: Option<Address>| end.map_or(NONE, |address| tables.class(address));
        let ([source, packet_source], [destination, packet_destination]) = (sources, destinations);
        let (source, destination) = (class(source), class(destination));
        if tables.leave_out(source, destination) {
            return true;
        }
        let packet = (class(packet_source), class(packet_destination));
        packet != (NONE, NONE)
            && [(source, packet.1), (packet.0, destination), packet]
                .into_iter()
                .any(|(source, destination)| tables.leave_out(source, destination))
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.as_ref().map_or(&[][..], |tables| &tables.entries);
        formatter.debug_list().entries(entries).finish()
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| "is no address and no network such as `10.0.0.0/8` or `2001:db8::/32`".to_owned())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |prefix: &&str| prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix_bits = match prefix {
            None => most,
            Some(prefix) => Some(prefix)
                .filter(is_number)
                .and_then(|prefix| prefix.parse().ok())
                .filter(|bits| *bits <= most)
                .ok_or_else(|| format!("has no length of a prefix after its `/`: that is 0 to {most}"))?,
        };
        let bits = match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let network = Self {
            root: if address.is_ipv4() { V4 } else { V6 },
            prefix_bits,
            bits: bits & mask(prefix_bits),
        };
        if network.bits != bits {
            return Err(format!(
                "has bits that are set after the first {prefix_bits}: its network is `{}/{prefix_bits}`",
                network.address()
            ));
        }
        // In records, a mapped address is the IPv4 address.
        Ok(match address {
            IpAddr::V6(address) if prefix_bits >= 96 && address.to_ipv4_mapped().is_some() => {
                Self { root: V4, prefix_bits: prefix_bits - 96, bits: bits << 96 }
            }
            _ => network,
        })
    }

    fn address(self) -> IpAddr {
        let bytes = self.bits.to_be_bytes();
        match bytes.first_chunk::<4>().filter(|_| self.root == V4) {
            Some(v4) => IpAddr::from(*v4),
            None => IpAddr::from(bytes),
        }
    }

    fn holds(self, other: Self) -> bool {
        self.root == other.root
            && self.prefix_bits <= other.prefix_bits
            && other.bits & mask(self.prefix_bits) == self.bits
    }
}

/// The bits that a prefix has.
fn mask(prefix_bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix_bits).unwrap_or_default()
}

impl Tables {
    /// Those of entries: a network of which either end is left out, or one of sources and one of destinations.
    fn of(entries: Vec<String>, ends: &[(Network, Option<Network>)]) -> Self {
        let mut networks: Vec<Network> =
            ends.iter().flat_map(|(one, other)| [Some(*one), *other]).flatten().collect();
        // Shorter prefixes first: a narrower network takes its part of a wider one.
        networks.sort_unstable();
        networks.dedup();
        let mut nodes = vec![[NONE; BRANCHES]; 2];
        for (class, network) in (1..).zip(&networks) {
            plant(&mut nodes, network, class);
        }
        let classes = networks.len() + 1;
        let within = |wide: &Network| {
            let mut row = vec![0; classes.div_ceil(64)];
            for (class, _) in (1..).zip(&networks).filter(|(_, network)| wide.holds(**network)) {
                set(&mut row, class);
            }
            row
        };
        let mut left_out = vec![vec![0; classes.div_ceil(64)]; classes];
        for (one, other) in ends {
            let sources = within(one);
            let destinations = other.as_ref().map_or_else(|| sources.clone(), within);
            for (class, row) in left_out.iter_mut().enumerate() {
                let is_source = has(&sources, class);
                for (bits, more) in row.iter_mut().zip(&destinations) {
                    *bits |= match other {
                        None if is_source => u64::MAX,
                        None => *more,
                        Some(_) if is_source => *more,
                        Some(_) => 0,
                    };
                }
            }
        }
        let mut near = [false; 256];
        for network in networks.iter().filter(|network| network.root == V4) {
            let [first, ..] = network.bits.to_be_bytes();
            let others = u8::MAX.checked_shr(network.prefix_bits).unwrap_or_default();
            near.get_mut(usize::from(first)..=usize::from(first | others)).unwrap_or_default().fill(true);
        }
        Self { entries, nodes, near, left_out }
    }

    #[inline]
    fn class(&self, address: Address) -> u32 {
        match address {
            Address::V4(address) => self.walk(V4, |bits| address.rotate_left(bits) as usize % BRANCHES),
            Address::V6(address) => self.walk(V6, |bits| branch(address.rotate_left(bits - STEP_BITS))),
            Address::Other => NONE,
        }
    }

    /// The class that is found from a node on. `branch` tells which of its branches the bits choose that end after so many.
    #[inline]
    fn walk(&self, root: u32, branch: impl Fn(u32) -> usize) -> u32 {
        let (mut found, mut bits) = (root | NODE, STEP_BITS);
        // No network is longer than an address: this ends.
        while found & NODE != 0 {
            let node = self.nodes.get((found & !NODE) as usize);
            found = node.and_then(|node| node.get(branch(bits))).copied().unwrap_or(NONE);
            bits += STEP_BITS;
        }
        found
    }

    fn leave_out(&self, source: u32, destination: u32) -> bool {
        self.left_out.get(source as usize).is_some_and(|row| has(row, destination as usize))
    }
}

/// The branch that the first bits choose.
fn branch(bits: u128) -> usize {
    (bits >> (u128::BITS - STEP_BITS)) as usize
}

/// Gives the addresses of a network their class. What it holds that is narrower comes later.
fn plant(nodes: &mut Vec<[u32; BRANCHES]>, network: &Network, class: u32) {
    let (mut node, mut bits, mut left) = (network.root as usize, network.bits, network.prefix_bits);
    while left > STEP_BITS {
        let next = u32::try_from(nodes.len()).unwrap_or(NODE);
        let Some(place) = nodes.get_mut(node).and_then(|node| node.get_mut(branch(bits))) else { return };
        if *place & NODE == 0 {
            let inherited = std::mem::replace(place, next | NODE);
            node = next as usize;
            nodes.push([inherited; BRANCHES]);
        } else {
            node = (*place & !NODE) as usize;
        }
        (bits, left) = (bits << STEP_BITS, left - STEP_BITS);
    }
    let from = branch(bits);
    let places = nodes.get_mut(node).and_then(|node| node.get_mut(from..from + (BRANCHES >> left)));
    places.unwrap_or_default().fill(class);
}

fn set(row: &mut [u64], place: usize) {
    if let Some(bits) = row.get_mut(place / 64) {
        *bits |= 1 << (place % 64);
    }
}

fn has(row: &[u64], place: usize) -> bool {
    row.get(place / 64).is_some_and(|bits| bits >> (place % 64) & 1 == 1)
}

#[cfg(test)]
mod tests;
