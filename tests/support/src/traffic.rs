//! The flow logs of a VPC on an ordinary day, as Nitro instances write them: a record for each minute, direction and interface.
//! The same seed gives the same content.
//!
//! Browsers reach a load balancer, each with several connections; it reaches the application and looks after its health; the
//! application keeps connections to a database, asks for names, and calls some services on the internet; strangers try ports, and
//! so does something inside. Unlike those of [`Generator`](crate::flowlogs::Generator), many records are alike in all but a few
//! values.

use fastrand::Rng;

/// Seconds that an object covers, and a record.
const OBJECT_S: u64 = 300;
const SLICE_S: u64 = 60;
const ACCOUNT: &str = "111111111111";

/// Who is at an end of a flow.
#[derive(Clone, Copy)]
enum End {
    /// The load balancer's interfaces.
    Balancer,
    Application,
    Database,
    Resolver,
    /// People with browsers.
    Browser,
    /// Services that the application calls.
    Service,
    /// Anybody.
    Stranger,
}

/// A kind of flow.
struct Kind {
    /// How many there are of it among a thousand.
    per_mille: u32,
    client: End,
    server: End,
    protocol: u8,
    /// The server's port; none is any.
    port: Option<u16>,
    /// How long a flow lasts at most.
    seconds: u64,
    is_accepted: bool,
}

const fn kind(per_mille: u32, client: End, server: End, protocol: u8, port: u16, seconds: u64) -> Kind {
    Kind { per_mille, client, server, protocol, port: Some(port), seconds, is_accepted: true }
}

const KINDS: [Kind; 9] = [
    kind(240, End::Browser, End::Balancer, 6, 443, 90),
    kind(230, End::Balancer, End::Application, 6, 8080, 60),
    // Health checks.
    kind(80, End::Balancer, End::Application, 6, 8081, 1),
    kind(60, End::Application, End::Database, 6, 5432, OBJECT_S),
    kind(220, End::Application, End::Resolver, 17, 53, 1),
    kind(20, End::Application, End::Service, 17, 123, 1),
    kind(100, End::Application, End::Service, 6, 443, 30),
    Kind {
        per_mille: 45,
        client: End::Stranger,
        server: End::Application,
        protocol: 6,
        port: None,
        seconds: 1,
        is_accepted: false,
    },
    Kind { is_accepted: false, ..kind(5, End::Application, End::Database, 6, 22, 1) },
];

/// The records of an object that begins at `start_s`, as lines of the default format: this many.
pub fn records(seed: u64, start_s: u64, count: usize) -> Vec<String> {
    let mut random = Rng::with_seed(seed);
    let mut records = Vec::with_capacity(count + 64);
    while records.len() < count {
        flow(&mut random, start_s, &mut records);
    }
    // AWS collects from all interfaces, minute by minute.
    records.sort_by_key(|(minute, order, _)| (*minute, *order));
    records.truncate(count);
    records.into_iter().map(|(_, _, line)| line).collect()
}

/// An address, and its interface if the flow log has it.
fn host(end: End, random: &mut Rng) -> (String, Option<String>) {
    let (network, count) = match end {
        End::Balancer => (1, 3),
        End::Application => (2, 60),
        End::Database => (3, 2),
        End::Resolver => return ("10.0.0.2".to_owned(), None),
        End::Browser => return (format!("81.2.{}.{}", random.u8(0..2), random.u8(1..255)), None),
        End::Service => return (format!("52.94.7.{}", random.u8(1..30)), None),
        End::Stranger => {
            let address = [random.u8(11..100), random.u8(..), random.u8(..), random.u8(1..255)];
            return (std::net::Ipv4Addr::from(address).to_string(), None);
        }
    };
    let number = random.u32(0..count) + 10;
    (format!("10.0.{network}.{number}"), Some(format!("eni-0{network:08x}{number:08x}")))
}

fn flow(random: &mut Rng, start_s: u64, records: &mut Vec<(u64, u32, String)>) {
    let mut choice = random.u32(0..1000);
    let is_chosen = |kind: &&Kind| match choice.checked_sub(kind.per_mille) {
        Some(rest) => {
            choice = rest;
            false
        }
        None => true,
    };
    let kind = KINDS.iter().find(is_chosen).unwrap_or(&KINDS[0]);
    let ((client, client_interface), (server, server_interface)) =
        (host(kind.client, random), host(kind.server, random));
    let client_port = random.u16(32_768..61_000);
    let server_port = kind.port.unwrap_or_else(|| random.u16(1..10_000));
    let from = random.u64(0..OBJECT_S);
    let to = (from + random.u64(0..kind.seconds)).min(OBJECT_S - 1);
    let (action, protocol) = (if kind.is_accepted { "ACCEPT" } else { "REJECT" }, kind.protocol);
    let there = format!("{client} {server} {client_port} {server_port} {protocol}");
    let back = format!("{server} {client} {server_port} {client_port} {protocol}");
    for minute in from / SLICE_S..=to / SLICE_S {
        let start = start_s + (minute * SLICE_S).max(from);
        let end = start_s + ((minute + 1) * SLICE_S - 1).min(to);
        for ends in [&there, &back].into_iter().take(if kind.is_accepted { 2 } else { 1 }) {
            let packets = random.u64(1..40);
            let bytes = packets * random.u64(40..1460);
            for interface in [&client_interface, &server_interface].into_iter().flatten() {
                let line =
                    format!("2 {ACCOUNT} {interface} {ends} {packets} {bytes} {start} {end} {action} OK");
                records.push((minute, random.u32(..), line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_and_flows_have_several_slices() {
        let lines = records(1, 1_795_377_300, 20_000);
        assert!(lines == records(1, 1_795_377_300, 20_000) && lines != records(2, 1_795_377_300, 20_000));
        let flow = |line: &String| line.split(' ').take(8).collect::<Vec<_>>().join(" ");
        let flows: HashSet<String> = lines.iter().map(flow).collect();
        assert!((10_000..19_000).contains(&flows.len()), "{}", flows.len());
        assert!(lines.iter().all(|line| line.split(' ').count() == 14));
    }
}
