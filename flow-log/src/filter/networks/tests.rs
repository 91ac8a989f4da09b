use proptest::prelude::*;

use super::*;

fn address(text: &str) -> Option<Address> {
    Some(Address::of(text.as_bytes()))
}

fn leaves_out(entries: &[&str], source: &str, destination: &str) -> bool {
    let networks = Networks::parse(entries).unwrap();
    networks.leave_out([address(source), None], [address(destination), None])
}

#[test]
fn a_record_with_either_end_in_a_network_is_left_out() {
    let entries = [" 10.0.0.0/8 ", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120"];
    for inside in
        ["10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8:1::1", "198.51.100.9", "::ffff:10.1.1.1"]
    {
        assert!(leaves_out(&entries, inside, "8.8.8.8"), "{inside}");
        assert!(leaves_out(&entries, "8.8.8.8", inside), "{inside}");
    }
    for outside in
        ["9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "2001:db9::", "198.51.101.0", "-", "a00::"]
    {
        assert!(!leaves_out(&entries, outside, "8.8.8.8"), "{outside}");
        assert!(!leaves_out(&entries, "8.8.8.8", outside), "{outside}");
    }
    assert!(leaves_out(&["0.0.0.0/0"], "8.8.8.8", "::1"));
    assert!(!leaves_out(&["0.0.0.0/0"], "2001:db8::1", "::1"));
}

#[test]
fn an_entry_with_a_direction_is_of_what_goes_that_way() {
    let entries = ["10.0.0.0/8 > 192.0.2.0/24", "10.1.0.0/16>0.0.0.0/0"];
    assert!(leaves_out(&entries, "10.0.0.1", "192.0.2.1"));
    assert!(leaves_out(&entries, "10.1.0.1", "8.8.8.8"));
    assert!(!leaves_out(&entries, "192.0.2.1", "10.0.0.1"));
    assert!(!leaves_out(&entries, "10.0.0.1", "8.8.8.8"));
    assert!(!leaves_out(&entries, "10.1.0.1", "-"));
}

#[test]
fn every_address_of_a_record_counts() {
    let networks = Networks::parse(["192.0.2.0/24", "10.0.0.0/8>198.51.100.0/24"]).unwrap();
    let leave_out = |sources: [&str; 2], destinations: [&str; 2]| {
        networks.leave_out(sources.map(address), destinations.map(address))
    };
    assert!(leave_out(["172.16.0.1", "192.0.2.1"], ["8.8.8.8", "8.8.8.8"]));
    assert!(leave_out(["172.16.0.1", "172.16.0.1"], ["8.8.8.8", "192.0.2.1"]));
    assert!(leave_out(["10.0.0.1", "172.16.0.1"], ["8.8.8.8", "198.51.100.1"]));
    assert!(leave_out(["172.16.0.1", "10.0.0.1"], ["198.51.100.1", "8.8.8.8"]));
    assert!(!leave_out(["172.16.0.1", "198.51.100.1"], ["10.0.0.1", "8.8.8.8"]));
}

#[test]
fn an_entry_that_cannot_be_meant_is_named_with_what_is_wrong() {
    for (entry, problem) in [
        ("", "`` is no address"),
        ("ten", "`ten` is no address"),
        ("10.0.0/8", "`10.0.0/8` is no address"),
        ("10.0.0.0/", "`10.0.0.0/` has no length of a prefix after its `/`: that is 0 to 32"),
        ("10.0.0.0/33", "0 to 32"),
        ("10.0.0.0/+8", "0 to 32"),
        ("::/129", "0 to 128"),
        ("10.0.0.5/8", "`10.0.0.5/8` has bits that are set after the first 8: its network is `10.0.0.0/8`"),
        ("2001:db8::1/32", "its network is `2001:db8::/32`"),
        ("10.0.0.0/8>", "`10.0.0.0/8>` is no address"),
        ("10.0.0.0/8>10.0.0.0/8>10.0.0.0/8", "has no length"),
    ] {
        let said = Networks::parse(["10.0.0.0/8", entry]).unwrap_err();
        assert!(said.contains(problem), "{entry}: {said}");
    }
    let many =
        |count: u32| Networks::parse((0..count).map(|number| IpAddr::from(number.to_be_bytes()).to_string()));
    assert!(many(1001).unwrap_err().contains("more than 1000"));
    assert!(many(1000).is_ok() && Networks::parse([""; 0]).unwrap().is_empty());
}

/// Networks and addresses in a small world, so that they meet often.
fn network() -> impl Strategy<Value = (bool, u32, u32)> {
    (any::<bool>(), 0_u32..=32, 0_u32..8)
}

fn placed(is_v4: bool, number: u32) -> IpAddr {
    let bits = number.wrapping_mul(0x2000_0101);
    if is_v4 {
        IpAddr::from(bits.to_be_bytes())
    } else {
        IpAddr::from((u128::from(bits) << 96).to_be_bytes())
    }
}

fn shown((is_v4, prefix, number): (bool, u32, u32)) -> (IpAddr, u32) {
    let IpAddr::V4(address) = placed(true, number) else { unreachable!() };
    let bits = address.to_bits() & u32::MAX.checked_shl(32 - prefix).unwrap_or_default();
    let address = if is_v4 {
        IpAddr::from(bits.to_be_bytes())
    } else {
        IpAddr::from((u128::from(bits) << 96).to_be_bytes())
    };
    (address, prefix)
}

fn holds((network, prefix): (IpAddr, u32), address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (4, u128::from(address.to_bits()) << 96),
        IpAddr::V6(address) => (6, address.to_bits()),
    };
    let ((kind, network), (other, address)) = (bits(network), bits(address));
    kind == other && (prefix == 0 || (network ^ address) >> (128 - prefix) == 0)
}

proptest! {
    #[test]
    fn what_is_left_out_is_what_a_look_at_every_entry_finds(
        entries in prop::collection::vec((network(), prop::option::of(network())), 1..12),
        ends in prop::collection::vec(((any::<bool>(), 0_u32..8), (any::<bool>(), 0_u32..8)), 1..20),
    ) {
        let entries: Vec<_> = entries.into_iter().map(|(one, other)| (shown(one), other.map(shown))).collect();
        let text = |(address, prefix): &(IpAddr, u32)| format!("{address}/{prefix}");
        let texts = entries.iter().map(|(one, other)| match other {
            None => text(one),
            Some(other) => format!("{}>{}", text(one), text(other)),
        });
        let networks = Networks::parse(texts).unwrap();
        for ((is_v4, source), (is_other_v4, destination)) in ends {
            let (source, destination) = (placed(is_v4, source), placed(is_other_v4, destination));
            let expected = entries.iter().any(|(one, other)| match other {
                None => holds(*one, source) || holds(*one, destination),
                Some(other) => holds(*one, source) && holds(*other, destination),
            });
            let found = networks.leave_out([Some(source.into()), None], [Some(destination.into()), None]);
            prop_assert_eq!(found, expected, "{} {} {:?}", source, destination, networks);
        }
    }
}
