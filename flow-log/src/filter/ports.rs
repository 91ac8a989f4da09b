//! Ports whose traffic is left out.

use std::fmt;
use std::sync::Arc;

/// Entries that a list may have.
const ENTRIES: usize = 1000;
/// The protocols that may be named.
const PROTOCOLS: [(&str, u8); 3] = [("tcp", 6), ("udp", 17), ("sctp", 132)];

/// Ports whose traffic is left out; none by default. Clones share their tables.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ports(Option<Arc<Tables>>);

#[derive(PartialEq, Eq)]
struct Tables {
    /// The entries as they were given.
    entries: Vec<String>,
    /// For each protocol which of the sets is its; the first is that of those without entries of their own.
    of_protocol: [u16; 256],
    sets: Vec<Set>,
}

/// A bit for each port.
type Set = [u64; 1024];

impl Ports {
    /// Reads entries: `53`, `1024-2048`, `tcp/443` or `17/53`. The error names the entry and what is wrong with it.
    pub fn parse(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        let (mut texts, mut stretches) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.as_ref().trim();
            if texts.len() == ENTRIES {
                return Err(format!("there are more than {ENTRIES} ports; take ranges of them"));
            }
            stretches.push(Stretch::parse(entry).map_err(|problem| format!("`{entry}` {problem}"))?);
            texts.push(entry.to_owned());
        }
        Ok(Self((!texts.is_empty()).then(|| Arc::new(Tables::of(texts, &stretches)))))
    }

    /// Whether it leaves out nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether traffic of a protocol between these ports is left out.
    #[inline]
    pub(super) fn leave_out(&self, protocol: Option<u64>, ports: [Option<u64>; 2]) -> bool {
        let Some(tables) = &self.0 else { return false };
        let protocol = protocol.and_then(|protocol| usize::try_from(protocol).ok());
        let set = protocol.and_then(|protocol| tables.of_protocol.get(protocol)).copied().unwrap_or_default();
        let Some(set) = tables.sets.get(usize::from(set)) else { return false };
        let is_in =
            |port: u64| set.get((port >> 6) as usize).is_some_and(|bits| bits >> (port & 63) & 1 == 1);
        ports.into_iter().flatten().any(is_in)
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.as_ref().map_or(&[][..], |tables| &tables.entries);
        formatter.debug_list().entries(entries).finish()
    }
}

/// Ports side by side, of one protocol or of any.
#[derive(Clone, Copy)]
struct Stretch {
    protocol: Option<u8>,
    first: u16,
    last: u16,
}

impl Stretch {
    fn parse(entry: &str) -> Result<Self, String> {
        let (protocol, ports) =
            entry.split_once('/').map_or((None, entry), |(name, ports)| (Some(name), ports));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let port = |text: &str| {
            number(text).ok_or_else(|| "is no port, 0 to 65535, and no range such as `8000-8080`".to_owned())
        };
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err("is a range that ends before it begins".to_owned());
        }
        let known = |name: &str| {
            let known = PROTOCOLS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let protocol = known.map(|(_, number)| *number).or_else(|| number(name)?.try_into().ok());
            protocol.ok_or_else(|| {
                "has a protocol that is not `tcp`, `udp`, `sctp` or a number up to 255".to_owned()
            })
        };
        Ok(Self { protocol: protocol.map(|name| known(name.trim())).transpose()?, first, last })
    }
}

fn number(text: &str) -> Option<u16> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl Tables {
    fn of(entries: Vec<String>, stretches: &[Stretch]) -> Self {
        let mut tables = Self { entries, of_protocol: [0; 256], sets: vec![[0; 1024]] };
        // What is of any protocol first: the others begin with it.
        let (of_any, of_one) =
            stretches.iter().partition::<Vec<&Stretch>, _>(|stretch| stretch.protocol.is_none());
        for stretch in of_any.into_iter().chain(of_one) {
            let place = tables.place(stretch.protocol);
            tables.sets.get_mut(place).into_iter().for_each(|set| mark(set, stretch));
        }
        tables
    }

    /// The place of the set of a protocol, or of any; makes it if there is none.
    fn place(&mut self, protocol: Option<u8>) -> usize {
        let place = protocol.and_then(|protocol| self.of_protocol.get_mut(usize::from(protocol)));
        let Some(place) = place else { return 0 };
        if *place == 0 {
            *place = u16::try_from(self.sets.len()).unwrap_or_default();
            self.sets.extend(self.sets.first().copied());
        }
        usize::from(*place)
    }
}

fn mark(set: &mut Set, stretch: &Stretch) {
    for port in stretch.first..=stretch.last {
        if let Some(bits) = set.get_mut(usize::from(port / 64)) {
            *bits |= 1 << (port % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_either_port_in_the_list_is_left_out() {
        let ports = Ports::parse(["53", " TCP/8000 - 8080 ", "6/443", "udp/123", "1/0", "65535"]).unwrap();
        let leave_out =
            |protocol, source, destination| ports.leave_out(protocol, [Some(source), Some(destination)]);
        for (protocol, port) in
            [(6, 53), (17, 53), (200, 53), (6, 8000), (6, 8080), (6, 443), (17, 123), (1, 0), (132, 65535)]
        {
            assert!(leave_out(Some(protocol), port, 40000), "{protocol}/{port}");
            assert!(leave_out(Some(protocol), 40000, port), "{protocol}/{port}");
        }
        for (protocol, port) in [
            (6, 52),
            (6, 54),
            (17, 8000),
            (6, 7999),
            (6, 8081),
            (17, 443),
            (6, 123),
            (6, 0),
            (256, 443),
            (6, 65536),
        ] {
            assert!(!leave_out(Some(protocol), port, 40000), "{protocol}/{port}");
        }
        assert!(leave_out(None, 53, 1) && !leave_out(None, 443, 1));
        assert!(!ports.leave_out(Some(6), [None, None]) && ports.leave_out(Some(6), [None, Some(53)]));
    }

    #[test]
    fn an_entry_that_cannot_be_meant_is_named_with_what_is_wrong() {
        for (entry, problem) in [
            ("", "`` is no port"),
            ("http", "`http` is no port, 0 to 65535"),
            ("65536", "is no port"),
            ("-1", "is no port"),
            ("+1", "is no port"),
            ("1-2-3", "is no port"),
            ("tcp/", "is no port"),
            ("8080-8000", "`8080-8000` is a range that ends before it begins"),
            ("icmp/1", "`icmp/1` has a protocol that is not `tcp`, `udp`, `sctp`"),
            ("256/1", "a number up to 255"),
            ("/1", "has a protocol"),
        ] {
            let said = Ports::parse(["53", entry]).unwrap_err();
            assert!(said.contains(problem), "{entry}: {said}");
        }
        assert!(Ports::parse(["1"; 1001]).unwrap_err().contains("more than 1000"));
        assert!(Ports::parse([""; 0]).unwrap().is_empty());
    }

    #[test]
    fn every_protocol_may_have_ports_of_its_own() {
        let ports = Ports::parse((0..256).map(|protocol| format!("{protocol}/{protocol}"))).unwrap();
        for protocol in 0..256 {
            let left_out = (0..256).filter(|port| ports.leave_out(Some(protocol), [Some(*port), None]));
            assert_eq!(left_out.collect::<Vec<_>>(), [protocol]);
        }
    }
}
