//! Addresses as flow logs have them.

use std::net::IpAddr;

/// An end of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// IPv4, mapped into IPv6 or not.
    V4(u32),
    V6(u128),
    /// A value that is none.
    Other,
}

impl Address {
    #[inline]
    pub(super) fn of(value: &[u8]) -> Self {
        if let Some(address) = v4(value) {
            return Self::V4(address);
        }
        let address = std::str::from_utf8(value).ok().and_then(|value| value.parse::<IpAddr>().ok());
        address.map_or(Self::Other, Self::from)
    }

    /// The first number of what looks like an IPv4 address.
    #[inline]
    pub(super) fn first_of(value: &[u8]) -> Option<u8> {
        let (first, rest) = part(value)?;
        u8::try_from(first).ok().filter(|_| rest.starts_with(b"."))
    }

    /// Whether private IPv4 addresses have this as their first number.
    pub(super) fn is_near(first: u8) -> bool {
        matches!(first, 10 | 100 | 127 | 169 | 172 | 192)
    }

    /// Whether it is one that the internet does not route: RFC 1918, RFC 4193 (unique local), RFC 6598 (shared),
    /// link-local and loopback.
    pub(super) fn is_private(self) -> bool {
        match self {
            Self::V4(address) => match address.to_be_bytes() {
                [10 | 127, ..] | [192, 168, ..] | [169, 254, ..] => true,
                [172, second, ..] => (16..32).contains(&second),
                [100, second, ..] => (64..128).contains(&second),
                _ => false,
            },
            Self::V6(address) => address >> 121 == 0xfc >> 1 || address >> 118 == 0xfe80 >> 6 || address == 1,
            Self::Other => false,
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6(address.to_bits()),
        }
    }
}

/// An IPv4 address, read in a fraction of the time that the standard library takes: every record has two.
#[inline]
fn v4(value: &[u8]) -> Option<u32> {
    let (first, rest) = part(value)?;
    let (second, rest) = part(rest.strip_prefix(b".")?)?;
    let (third, rest) = part(rest.strip_prefix(b".")?)?;
    let (fourth, rest) = part(rest.strip_prefix(b".")?)?;
    rest.is_empty().then_some(first << 24 | second << 16 | third << 8 | fourth)
}

/// A number up to 255 at the front, and what follows it.
#[inline]
fn part(text: &[u8]) -> Option<(u32, &[u8])> {
    let digit = |byte: &u8| Some(u32::from(byte.wrapping_sub(b'0'))).filter(|digit| *digit < 10);
    let (first, rest) = text.split_first()?;
    let mut number = digit(first)?;
    let Some((second, rest_of_two)) = rest.split_first() else { return Some((number, rest)) };
    let Some(second) = digit(second) else { return Some((number, rest)) };
    if number == 0 {
        // No number begins with a zero but zero itself.
        return None;
    }
    number = number * 10 + second;
    let Some((third, rest_of_three)) = rest_of_two.split_first() else { return Some((number, rest_of_two)) };
    let Some(third) = digit(third) else { return Some((number, rest_of_two)) };
    number = number * 10 + third;
    (number < 256).then_some((number, rest_of_three))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            assert!(Address::of(address.as_bytes()).is_private(), "{address}");
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
            assert!(!Address::of(address.as_bytes()).is_private(), "{address}");
        }
    }

    #[test]
    fn private_addresses_begin_with_few_numbers() {
        for address in (0..=u16::MAX).map(|start| u32::from(start) << 16) {
            let [first, ..] = address.to_be_bytes();
            assert!(!Address::V4(address).is_private() || Address::is_near(first), "{first}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_what_the_standard_library_takes_for_one(
            text in "0?[0-9]{1,2}(\\.0?[0-9]{1,2}){3}|[0-9]{1,4}(\\.[0-9]{0,3}){2,4}|(25[0-9]|[1-9]?[0-9])(\\.(25[0-9]|[1-9]?[0-9])){3}|[0-9a-f:.]{0,12}",
        ) {
            let expected = text.parse::<IpAddr>().map_or(Address::Other, Address::from);
            prop_assert_eq!(Address::of(text.as_bytes()), expected);
        }

        #[test]
        fn any_address_is_read(bits in any::<u128>(), v4 in any::<u32>()) {
            let [v6, v4] = [IpAddr::from(bits.to_be_bytes()), IpAddr::from(v4.to_be_bytes())];
            for address in [v6, v4] {
                prop_assert_eq!(Address::of(address.to_string().as_bytes()), Address::from(address));
            }
        }
    }
}
