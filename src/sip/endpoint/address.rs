//! Addresses: which of ours a peer is told, and where its URIs lead.

use std::net::{IpAddr, SocketAddr};

use super::{Endpoint, lock};
use crate::settings::{Transport, TrunkAddress};
use crate::sip::outbound::Target;
use crate::sip::{header, resolve, stream};

/// Local addresses remembered by peer; at the bound the table is emptied.
const MAX_ROUTES: usize = 1024;

impl Endpoint {
    /// The address to name towards `peer` for something bound to `bound`: the external address for peers out in the
    /// world, else the address that the machine would send from.
    pub(super) fn advertised(&self, bound: SocketAddr, peer: IpAddr) -> SocketAddr {
        let peer = peer.to_canonical();
        if let Some(external) = self.settings().sip.external_address
            && external.is_ipv4() == peer.is_ipv4()
            && !near(peer)
        {
            return SocketAddr::new(external, bound.port());
        }
        if !bound.ip().is_unspecified() {
            return bound;
        }
        let mut routes = lock(&self.0.routes);
        if routes.len() >= MAX_ROUTES {
            routes.clear();
        }
        let ip = *routes.entry(peer).or_insert_with(|| source_address(peer).unwrap_or(bound.ip()));
        SocketAddr::new(ip, bound.port())
    }

    /// The address to put into an offer to these targets: what the first of them that can be found is told of us.
    pub async fn address_towards(&self, targets: &[Target]) -> Option<IpAddr> {
        for target in targets {
            if let Some(peer) = target.peer(self).await {
                let any: IpAddr = if peer.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
                return Some(self.advertised(SocketAddr::new(any, 0), peer.ip()).ip());
            }
        }
        None
    }

    /// Our own end of what is said to `peer`, as far as it is known now: that of a connection which is open, else where
    /// we listen.
    pub fn local_towards(&self, transport: Transport, peer: SocketAddr) -> SocketAddr {
        if transport != Transport::Udp
            && let Some(stream) = lock(&self.0.streams).get(&peer)
        {
            return stream.local;
        }
        let ours = self.0.listening.iter().filter(|listen| listen.address.is_ipv4() == peer.is_ipv4());
        let of_kind = ours.clone().find(|listen| listen.transport == transport);
        let any: IpAddr = if peer.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
        let bound = of_kind.or(ours.clone().next()).map_or(SocketAddr::new(any, 5060), |listen| listen.address);
        if bound.ip().is_unspecified() {
            SocketAddr::new(source_address(peer.ip()).unwrap_or(bound.ip()), bound.port())
        } else {
            bound
        }
    }

    /// A trunk's addresses, in the order in which they are to be tried.
    pub(in crate::sip) async fn addresses_of(&self, address: &TrunkAddress) -> Vec<SocketAddr> {
        resolve::addresses(self.0.name_server.get().copied(), address).await
    }

    /// Where requests for `uri` go; `spoken` is where its owner spoke from. `None`: cannot be told.
    pub(in crate::sip) async fn resolve(&self, uri: &str, spoken: SocketAddr) -> Option<SocketAddr> {
        let (host, port) = (header::host(uri), header::port(uri)?);
        let address = match host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, port),
            Err(_) => {
                let found = tokio::net::lookup_host((host, port));
                let found = tokio::time::timeout(stream::PATIENCE, found).await.ok()?.ok()?;
                found.into_iter().find(|address| address.is_ipv4() == spoken.is_ipv4())?
            }
        };
        if near(address.ip()) && !near(spoken.ip()) || address.is_ipv4() != spoken.is_ipv4() {
            return None;
        }
        lock(&self.0.guard).allow_peer(address.ip(), self.now());
        Some(address)
    }
}

/// Addresses to which ours are known as they are: loopback, private, link-local.
fn near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// The address that the machine sends from towards `peer`. Connecting a UDP socket sends nothing.
fn source_address(peer: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(SocketAddr::new(peer, 5060)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use crate::sip::rig;

    #[tokio::test]
    async fn the_world_is_told_the_external_address_and_neighbours_the_real_one() {
        let mut settings = rig::settings("");
        settings.sip.external_address = Some("203.0.113.10".parse().unwrap());
        let endpoint = rig::endpoint(&settings).await;
        let named =
            |bound: &str, peer: &str| endpoint.advertised(bound.parse().unwrap(), peer.parse().unwrap()).to_string();
        assert_eq!(named("10.1.1.1:5060", "198.51.100.7"), "203.0.113.10:5060");
        assert_eq!(named("0.0.0.0:5060", "198.51.100.7"), "203.0.113.10:5060");
        assert_eq!(named("10.1.1.1:5060", "::ffff:198.51.100.7"), "203.0.113.10:5060");
        for neighbour in ["10.0.0.20", "192.168.1.9", "127.0.0.1", "169.254.1.1"] {
            assert_eq!(named("10.1.1.1:5060", neighbour), "10.1.1.1:5060", "{neighbour}");
        }
        // The address is one of IPv4: IPv6 needs none.
        assert_eq!(named("[2001:db8::1]:5060", "2001:db8::7"), "[2001:db8::1]:5060");
        assert_eq!(named("0.0.0.0:5060", "127.0.0.1"), "127.0.0.1:5060");
    }
}
