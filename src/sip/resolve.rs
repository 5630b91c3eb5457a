//! A SIP server's addresses (RFC 3263, without NAPTR: the settings name the transport).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tokio::time::{Instant, timeout_at};

use super::message;
use crate::clock::monotonic;
use crate::settings::{Transport, TrunkAddress};

/// Addresses tried of one name, and servers of one service.
const MOST: usize = 16;
/// A name server that takes longer is of no use to a call.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server of a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    priority: u16,
    weight: u16,
    port: u16,
    host: String,
}

/// The addresses of `address`, in the order in which they are to be tried: itself, or what DNS says (SRV where no port
/// is given). `name_server` is asked in place of the system's. Empty: none.
pub(super) async fn addresses(name_server: Option<SocketAddr>, address: &TrunkAddress) -> Vec<SocketAddr> {
    let host = address.host.trim_matches(['[', ']']);
    let default = if address.transport == Transport::Tls { 5061 } else { 5060 };
    if let Ok(ip) = host.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, address.port.unwrap_or(default))];
    }
    let Some(resolver) = resolver(name_server) else { return Vec::new() };
    let until = Instant::from_std(monotonic()) + PATIENCE;
    // A port that is given says that there is no service to be looked up (RFC 3263 section 4.2).
    let servers = match address.port {
        Some(_) => None,
        None => servers(&resolver, host, address.transport, until).await,
    };
    let servers = servers.unwrap_or_else(|| {
        vec![Server { priority: 0, weight: 0, port: address.port.unwrap_or(default), host: host.to_owned() }]
    });
    let mut found: Vec<SocketAddr> = Vec::new();
    for server in order(servers, draw) {
        // A server without an address must not cost the others theirs.
        let Ok(Ok(looked_up)) = timeout_at(until, resolver.lookup_ip(server.host.as_str())).await else { continue };
        for at in looked_up.iter().map(|ip| SocketAddr::new(ip, server.port)) {
            if !found.contains(&at) && found.len() < MOST {
                found.push(at);
            }
        }
    }
    found
}

/// Made anew for each lookup: the system's name servers change when the box changes its network.
fn resolver(name_server: Option<SocketAddr>) -> Option<TokioResolver> {
    let mut builder = match name_server {
        None => TokioResolver::builder_tokio(),
        Some(at) => {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = at.port();
                connection
            });
            let server = NameServerConfig::new(at.ip(), true, connections.to_vec());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        }
    }
    .and_then(|mut builder| {
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        builder.build()
    });
    if let Err(error) = &mut builder {
        tracing::warn!(%error, "no name server can be asked; check /etc/resolv.conf");
    }
    builder.ok()
}

/// The servers of a domain's SIP service. `None`: it has no such records, or nobody knows. Empty: it says that it has no
/// such service.
async fn servers(resolver: &TokioResolver, domain: &str, transport: Transport, until: Instant) -> Option<Vec<Server>> {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    };
    let found = timeout_at(until, resolver.srv_lookup(format!("{service}.{domain}"))).await.ok()?.ok()?;
    let all: Vec<Server> = found
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => {
                Some(Server { priority: srv.priority, weight: srv.weight, port: srv.port, host: srv.target.to_utf8() })
            }
            _ => None,
        })
        .take(MOST)
        .collect();
    if all.is_empty() {
        return None;
    }
    // RFC 2782: a lone dot as target says that the service is decidedly not there.
    Some(all.into_iter().filter(|server| server.host != ".").collect())
}

/// RFC 2782: by priority, the least first; within one priority drawn in proportion to weight. `draw` gives a number from
/// 0 to its argument.
fn order(mut servers: Vec<Server>, mut draw: impl FnMut(u32) -> u32) -> Vec<Server> {
    // Those of weight 0 stand first in their priority, which makes their chance small and not none.
    servers.sort_by_key(|server| (server.priority, server.weight > 0));
    let mut ordered = Vec::with_capacity(servers.len());
    while let Some(priority) = servers.first().map(|server| server.priority) {
        let group = || servers.iter().take_while(|server| server.priority == priority);
        let mut left = draw(group().map(|server| u32::from(server.weight)).sum());
        let chosen = group().position(|server| {
            let weight = u32::from(server.weight);
            let hit = left <= weight;
            left = left.saturating_sub(weight);
            hit
        });
        ordered.push(servers.remove(chosen.unwrap_or(0)));
    }
    ordered
}

/// A random number from 0 to `most`.
fn draw(most: u32) -> u32 {
    let bits = message::random().get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0);
    u32::try_from(u64::from(bits) % (u64::from(most) + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        let address = |host: &str, port, transport| TrunkAddress { host: host.into(), port, transport };
        for (given, expected) in [
            (address("192.0.2.7", None, Transport::Udp), "192.0.2.7:5060"),
            (address("192.0.2.7", None, Transport::Tls), "192.0.2.7:5061"),
            (address("[2001:db8::7]", Some(5080), Transport::Tcp), "[2001:db8::7]:5080"),
            (address("2001:db8::7", Some(5080), Transport::Tcp), "[2001:db8::7]:5080"),
        ] {
            assert_eq!(addresses(None, &given).await, [expected.parse::<SocketAddr>().unwrap()]);
        }
    }

    fn server(priority: u16, weight: u16, port: u16) -> Server {
        Server { priority, weight, port, host: "h".into() }
    }

    #[test]
    fn priority_goes_before_weight() {
        let servers = vec![server(20, 100, 3), server(10, 0, 1), server(10, 60, 2)];
        let ports = |drawn: u32| {
            let ordered = order(servers.clone(), |most| drawn.min(most));
            ordered.iter().map(|server| server.port).collect::<Vec<_>>()
        };
        assert_eq!(ports(0), [1, 2, 3], "weight 0 has its chance");
        assert_eq!(ports(1), [2, 1, 3]);
        assert_eq!(ports(u32::MAX), [2, 1, 3]);
    }

    #[test]
    fn weight_is_the_share_of_first_places() {
        let servers = vec![server(1, 1, 1), server(1, 3, 2)];
        let mut first = [0, 0];
        // Every number that can be drawn, once.
        for drawn in 0..=4 {
            let mut drawn = Some(drawn);
            let ordered = order(servers.clone(), |most| drawn.take().unwrap_or(0).min(most));
            first[usize::from(ordered[0].port) - 1] += 1;
        }
        assert_eq!(first, [2, 3]);
        assert!((0..100).all(|_| draw(3) <= 3));
    }

    proptest::proptest! {
        #[test]
        fn every_server_is_tried_once(weights in proptest::collection::vec((0..3_u16, 0..9_u16), 0..20), luck in 0..50_u32) {
            let servers: Vec<Server> =
                (0_u16..).zip(&weights).map(|(port, (priority, weight))| server(*priority, *weight, port)).collect();
            let ordered = order(servers.clone(), |most| luck.min(most));
            proptest::prop_assert!(ordered.is_sorted_by_key(|server| server.priority));
            let mut ports: Vec<u16> = ordered.iter().map(|server| server.port).collect();
            ports.sort_unstable();
            proptest::prop_assert_eq!(ports, (0..u16::try_from(weights.len()).unwrap()).collect::<Vec<_>>());
        }
    }
}
