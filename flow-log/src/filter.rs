//! Which records the user does not want: what is left out here costs nothing in the intake.

use std::net::IpAddr;

use super::record::{Places, present};

/// What to leave out; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Leave out traffic of which both ends have private addresses.
    pub internal: bool,
    /// Leave out accepted traffic.
    pub accepted: bool,
    /// Leave out rejected traffic.
    pub rejected: bool,
    /// Leave out records that say that there was no traffic.
    pub no_data: bool,
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
}

impl Reason {
    /// All of them, each at the place that it has as a number.
    pub const ALL: [Self; 3] = [Self::InternalTraffic, Self::Action, Self::NoData];

    /// The reason in a word or two, for a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::InternalTraffic => "internal traffic",
            Self::Action => "action",
            Self::NoData => "no data",
        }
    }
}

impl Filter {
    /// Whether anything is left out at all.
    pub fn is_active(&self) -> bool {
        *self != Self::default()
    }

    /// Why a record is left out; `None` if it goes out. `value` tells the value at a place of its layout.
    pub fn reason<'a>(&self, places: &Places, value: impl Fn(usize) -> Option<&'a str>) -> Option<Reason> {
        let at = |place: Option<usize>| place.and_then(&value).and_then(present);
        if self.no_data && at(places.log_status) == Some("NODATA") {
            return Some(Reason::NoData);
        }
        match at(places.action) {
            Some("ACCEPT") if self.accepted => return Some(Reason::Action),
            Some("REJECT") if self.rejected => return Some(Reason::Action),
            _ => {}
        }
        let is_internal = || {
            // After a NAT gateway only the address of the packet shows that the traffic left: all that are there count.
            [places.sources, places.destinations].into_iter().all(|end| {
                let mut addresses = end.into_iter().filter_map(at).peekable();
                addresses.peek().is_some() && addresses.all(is_private)
            })
        };
        (self.internal && is_internal()).then_some(Reason::InternalTraffic)
    }
}

/// Whether an address is one that the internet does not route: RFC 1918, RFC 4193 (unique local), RFC 6598 (shared),
/// link-local and loopback.
fn is_private(address: &str) -> bool {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_link_local() || address.is_loopback() || is_shared
        }
        Ok(IpAddr::V6(address)) => {
            address.is_unique_local() || address.is_unicast_link_local() || address.is_loopback()
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["srcaddr", "dstaddr", "action", "log-status", "pkt-srcaddr", "pkt-dstaddr"];
    const INTERNAL: Filter = Filter { internal: true, accepted: false, rejected: false, no_data: false };

    fn reason(filter: Filter, record: &str) -> Option<Reason> {
        let values: Vec<&str> = record.split(' ').collect();
        filter.reason(&Places::among(&NAMES[..values.len()]), |place| values.get(place).copied())
    }

    #[test]
    fn private_addresses_are_those_that_the_internet_does_not_route() {
        for address in [
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "127.0.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private(address), "{address}");
        }
        for address in [
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.0.1",
            "192.169.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "8.8.8.8",
            "2001:db8::1",
            "fbff::1",
            "fe00::1",
            "fec0::1",
            "::2",
            "::ffff:8.8.8.8",
            "-",
            "",
            "10.0.0",
            "example",
        ] {
            assert!(!is_private(address), "{address}");
        }
    }

    #[test]
    fn traffic_is_internal_when_every_known_address_of_both_ends_is_private() {
        for record in ["10.0.0.1 10.0.0.2 ACCEPT OK", "fd00::1 fe80::1", "10.0.0.1 10.0.0.2 ACCEPT OK - -"] {
            assert_eq!(reason(INTERNAL, record), Some(Reason::InternalTraffic), "{record}");
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
            assert_eq!(reason(INTERNAL, record), None, "{record}");
        }
    }

    #[test]
    fn records_without_action_or_status_stay() {
        let all = Filter { internal: true, accepted: true, rejected: true, no_data: true };
        assert_eq!(reason(all, "8.8.8.8 10.0.0.1 ACCEPT OK"), Some(Reason::Action));
        assert_eq!(reason(all, "8.8.8.8 10.0.0.1 REJECT OK"), Some(Reason::Action));
        assert_eq!(reason(all, "- - - NODATA"), Some(Reason::NoData));
        for record in ["- - - SKIPDATA", "8.8.8.8 10.0.0.1", "8.8.8.8 10.0.0.1 - OK"] {
            assert_eq!(reason(all, record), None, "{record}");
        }
        assert_eq!(reason(Filter::default(), "10.0.0.1 10.0.0.2 REJECT OK"), None);
        assert!(!Filter::default().is_active() && all.is_active());
    }

    #[test]
    fn reasons_are_numbered_in_their_order() {
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
