//! A SIP server's addresses (RFC 3263, without NAPTR: the settings name the transport).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rsipstack::resolver::SipResolver;
use rsipstack::sip::Domain;

use crate::settings::{Transport, TrunkAddress};

/// Addresses tried of one name.
const MOST: usize = 16;
/// A name server that takes longer is of no use to a call.
const PATIENCE: Duration = Duration::from_secs(5);

/// The addresses of `address`, best first: itself, or what DNS says (SRV where no port is given). Empty: none.
pub(in crate::sip) async fn addresses(address: &TrunkAddress) -> Vec<SocketAddr> {
    let host = address.host.trim_matches(['[', ']']);
    let default = if address.transport == Transport::Tls { 5061 } else { 5060 };
    if let Ok(ip) = host.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, address.port.unwrap_or(default))];
    }
    let (transport, secure) = match address.transport {
        Transport::Udp => (rsipstack::sip::Transport::Udp, false),
        Transport::Tcp => (rsipstack::sip::Transport::Tcp, false),
        Transport::Tls => (rsipstack::sip::Transport::Tls, true),
    };
    let domain = Domain::from(host.to_owned());
    let resolver = SipResolver::new();
    let found = resolver.lookup(&domain, address.port.map(Into::into), Some(transport), secure);
    let found = tokio::time::timeout(PATIENCE, found).await;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    // A name server that is slow, an unknown name and an error come to the same: no address now.
    for target in found.ok().and_then(Result::ok).unwrap_or_default() {
        if !addresses.contains(&target.addr) && addresses.len() < MOST {
            addresses.push(target.addr);
        }
    }
    addresses
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
            assert_eq!(addresses(&given).await, [expected.parse::<SocketAddr>().unwrap()]);
        }
    }
}
