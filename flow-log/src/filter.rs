//! Which records the user does not want: what is left out here costs nothing in the intake.

use self::address::Address;
pub use self::networks::Networks;
pub use self::ports::Ports;
use super::record::{Places, Values, present};

mod address;
mod networks;
mod ports;

/// What to leave out; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Which traffic to leave out of which both ends have private addresses.
    pub internal: Internal,
    /// Leave out accepted traffic.
    pub accepted: bool,
    /// Leave out rejected traffic.
    pub rejected: bool,
    /// Leave out records that say that there was no traffic.
    pub no_data: bool,
    /// Leave out traffic of these networks.
    pub networks: Networks,
    /// Leave out traffic of these ports.
    pub ports: Ports,
}

/// Which internal traffic is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Internal {
    /// None.
    #[default]
    No,
    /// What was accepted: what was rejected may be the trace of an attacker who tries his way on.
    Accepted,
    /// All of it.
    All,
}

/// Why a record was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is of traffic between private addresses.
    InternalTraffic,
    /// Its action is not wanted.
    Action,
    /// It says that there was no traffic.
    NoData,
    /// One of its addresses is in a network that is not wanted.
    Network,
    /// One of its ports is not wanted.
    Port,
    /// None of the fields that go out has a value.
    NoValue,
}

impl Reason {
    /// All of them, each at the place that it has as a number.
    pub const ALL: [Self; 6] =
        [Self::InternalTraffic, Self::Action, Self::NoData, Self::Network, Self::Port, Self::NoValue];

    /// The reason in a word or two, for a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::InternalTraffic => "internal traffic",
            Self::Action => "action",
            Self::NoData => "no data",
            Self::Network => "network",
            Self::Port => "port",
            Self::NoValue => "no value",
        }
    }
}

impl Filter {
    /// Whether anything is left out at all.
    pub fn is_active(&self) -> bool {
        *self != Self::default()
    }

    /// The places of the values that it looks at.
    pub fn looks_at(&self, places: &Places) -> impl Iterator<Item = usize> {
        let if_needed = |is_needed: bool, place: Option<usize>| place.filter(|_| is_needed);
        let by_action = self.accepted || self.rejected || self.internal == Internal::Accepted;
        let by_address = self.internal != Internal::No || !self.networks.is_empty();
        let by_port = !self.ports.is_empty();
        let [source, packet_source] = places.sources.map(|place| if_needed(by_address, place));
        let [destination, packet_destination] = places.destinations.map(|place| if_needed(by_address, place));
        let [source_port, destination_port] = places.ports.map(|place| if_needed(by_port, place));
        [
            if_needed(self.no_data, places.log_status),
            if_needed(by_action, places.action),
            source,
            packet_source,
            destination,
            packet_destination,
            source_port,
            destination_port,
            if_needed(by_port, places.protocol),
        ]
        .into_iter()
        .flatten()
    }

    /// Why a record is left out; `None` if it goes out. Where there are several reasons, it is the first of them.
    pub fn reason(&self, places: &Places, record: &impl Values) -> Option<Reason> {
        let at = |place: Option<usize>| place.and_then(|place| record.text(place)).and_then(present);
        if self.no_data && at(places.log_status) == Some(b"NODATA") {
            return Some(Reason::NoData);
        }
        let by_internal = match self.internal {
            Internal::No => false,
            Internal::Accepted => at(places.action) == Some(b"ACCEPT"),
            Internal::All => true,
        };
        if self.accepted || self.rejected {
            match at(places.action) {
                Some(b"ACCEPT") if self.accepted => return Some(Reason::Action),
                Some(b"REJECT") if self.rejected => return Some(Reason::Action),
                _ => {}
            }
        }
        if by_internal || !self.networks.is_empty() {
            // Most addresses are none of those looked for, which their first number tells.
            let is_near = |first| by_internal && Address::is_near(first) || self.networks.are_near(first);
            let address = |place| {
                at(place).map(|value| match Address::first_of(value) {
                    Some(first) if !is_near(first) => Address::Other,
                    _ => Address::of(value),
                })
            };
            let ([source, packet_source], [destination, packet_destination]) =
                (places.sources, places.destinations);
            let sources = [address(source), address(packet_source)];
            let destinations = [address(destination), address(packet_destination)];
            if sources.into_iter().chain(destinations).flatten().any(|address| address != Address::Other) {
                if by_internal && are_private(sources) && are_private(destinations) {
                    return Some(Reason::InternalTraffic);
                }
                if self.networks.leave_out(sources, destinations) {
                    return Some(Reason::Network);
                }
            }
        }
        if !self.ports.is_empty() {
            let number = |place: Option<usize>| place.and_then(|place| record.number(place));
            let [source, destination] = places.ports;
            if self.ports.leave_out(number(places.protocol), [number(source), number(destination)]) {
                return Some(Reason::Port);
            }
        }
        None
    }
}

/// Whether the addresses of an end are private. After a NAT gateway only that of the packet shows that the traffic left: all
/// that are there count.
fn are_private(addresses: [Option<Address>; 2]) -> bool {
    addresses != [None; 2] && addresses.into_iter().flatten().all(Address::is_private)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 9] = [
        "srcaddr",
        "dstaddr",
        "action",
        "log-status",
        "pkt-srcaddr",
        "pkt-dstaddr",
        "srcport",
        "dstport",
        "protocol",
    ];

    struct Record<'a>(Vec<&'a str>);

    impl Values for Record<'_> {
        fn text(&self, place: usize) -> Option<&[u8]> {
            self.0.get(place).map(|value| value.as_bytes())
        }

        fn number(&self, place: usize) -> Option<u64> {
            self.0.get(place)?.parse().ok()
        }
    }

    fn internal(internal: Internal) -> Filter {
        Filter { internal, ..Filter::default() }
    }

    fn reason(filter: &Filter, record: &str) -> Option<Reason> {
        let record = Record(record.split(' ').collect());
        let places = Places::among(&NAMES[..record.0.len()]);
        let reason = filter.reason(&places, &record);
        // What it does not look at does not matter.
        let seen: Vec<usize> = filter.looks_at(&places).collect();
        let values = record.0.iter().enumerate();
        let others = values.map(|(place, value)| if seen.contains(&place) { *value } else { "-" }).collect();
        assert_eq!(filter.reason(&places, &Record(others)), reason);
        reason
    }

    #[test]
    fn traffic_is_internal_when_every_known_address_of_both_ends_is_private() {
        let all = internal(Internal::All);
        for record in ["10.0.0.1 10.0.0.2 ACCEPT OK", "fd00::1 fe80::1", "10.0.0.1 10.0.0.2 ACCEPT OK - -"] {
            assert_eq!(reason(&all, record), Some(Reason::InternalTraffic), "{record}");
        }
        for record in [
            "10.0.0.1 8.8.8.8 ACCEPT OK",
            "2001:db8::1 fd00::1",
            // No traffic, no addresses: not internal.
            "- - - NODATA",
            "10.0.0.1 - ACCEPT OK",
            "10.0.0.1",
            // To the internet through a NAT gateway.
            "10.0.0.1 10.0.0.2 ACCEPT OK 10.0.0.1 8.8.8.8",
        ] {
            assert_eq!(reason(&all, record), None, "{record}");
        }
    }

    #[test]
    fn internal_traffic_that_was_rejected_can_stay() {
        let accepted = internal(Internal::Accepted);
        assert_eq!(reason(&accepted, "10.0.0.1 10.0.0.2 ACCEPT OK"), Some(Reason::InternalTraffic));
        for record in [
            "10.0.0.1 10.0.0.2 REJECT OK",
            "10.0.0.1 10.0.0.2 - OK",
            "10.0.0.1 10.0.0.2",
            "10.0.0.1 8.8.8.8 ACCEPT",
        ] {
            assert_eq!(reason(&accepted, record), None, "{record}");
        }
    }

    #[test]
    fn networks_and_ports_leave_out_what_has_one_of_them() {
        let networks = Filter { networks: Networks::parse(["192.0.2.0/24"]).unwrap(), ..Filter::default() };
        let ports = Filter { ports: Ports::parse(["tcp/443", "53"]).unwrap(), ..Filter::default() };
        let both = Filter { networks: networks.networks.clone(), ..ports.clone() };
        for (record, expected) in [
            ("192.0.2.1 8.8.8.8", [Some(Reason::Network), None, Some(Reason::Network)]),
            ("8.8.8.8 9.9.9.9 ACCEPT OK - 192.0.2.1", [Some(Reason::Network), None, Some(Reason::Network)]),
            ("8.8.8.8 9.9.9.9 ACCEPT OK - - 40000 443 6", [None, Some(Reason::Port), Some(Reason::Port)]),
            ("8.8.8.8 9.9.9.9 ACCEPT OK - - 443 40000 17", [None, None, None]),
            ("8.8.8.8 9.9.9.9 ACCEPT OK - - 40000 53", [None, Some(Reason::Port), Some(Reason::Port)]),
            (
                "192.0.2.1 9.9.9.9 ACCEPT OK - - 1 53 17",
                [Some(Reason::Network), Some(Reason::Port), Some(Reason::Network)],
            ),
            ("- - - NODATA - - - - -", [None, None, None]),
        ] {
            assert_eq!([&networks, &ports, &both].map(|filter| reason(filter, record)), expected, "{record}");
        }
        assert!(networks.is_active() && ports.is_active());
    }

    #[test]
    fn records_without_action_or_status_stay() {
        let all = Filter { accepted: true, rejected: true, no_data: true, ..internal(Internal::All) };
        assert_eq!(reason(&all, "8.8.8.8 10.0.0.1 ACCEPT OK"), Some(Reason::Action));
        assert_eq!(reason(&all, "8.8.8.8 10.0.0.1 REJECT OK"), Some(Reason::Action));
        assert_eq!(reason(&all, "- - - NODATA"), Some(Reason::NoData));
        for record in ["- - - SKIPDATA", "8.8.8.8 10.0.0.1", "8.8.8.8 10.0.0.1 - OK"] {
            assert_eq!(reason(&all, record), None, "{record}");
        }
        assert_eq!(reason(&Filter::default(), "10.0.0.1 10.0.0.2 REJECT OK"), None);
        assert!(!Filter::default().is_active() && all.is_active());
    }

    #[test]
    fn reasons_are_numbered_in_their_order() {
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
