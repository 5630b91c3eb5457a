//! Whom to call, and by which way.

use std::net::SocketAddr;

use crate::model::{PhoneNumber, Private};
use crate::settings::{Transport, Trunk, TrunkAddress};
use crate::sip::digest::Credentials;
use crate::sip::endpoint::{Endpoint, Flow};
use crate::sip::trunk;

/// Whom to call, and how to get there.
#[derive(Clone, Debug)]
pub struct Target {
    /// Holds the number called.
    pub(super) uri: Private<String>,
    pub(super) way: Way,
    pub(super) credentials: Option<Credentials>,
    /// The trunk's name; `None`: straight to the host that the URI names.
    pub(super) trunk: Option<String>,
    /// The clinic's number to show there, where it is not the call's: carriers refuse or replace one that is not theirs.
    pub(super) shows: Option<PhoneNumber>,
}

/// How to get there.
#[derive(Clone)]
pub(super) enum Way {
    /// To a host, by the addresses of its name.
    Host(TrunkAddress),
    /// The way that a phone of ours registered by.
    Flow(Box<Flow>),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Way::Host(address) => address.fmt(f),
            Way::Flow(flow) => write!(f, "{:?} {}", flow.transport, flow.remote),
        }
    }
}

/// Not a URI that can be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SIP address that can be called; write it like sip:201@10.0.0.20:5060")]
pub struct TargetError;

impl Target {
    /// Straight to the host in `uri`: `sip:201@10.0.0.20`, `sip:201@pbx.example:5080;transport=tcp`, `sips:…`.
    pub fn direct(uri: &str) -> Result<Target, TargetError> {
        let (scheme, rest) = uri.split_once(':').ok_or(TargetError)?;
        if uri.chars().any(|c| c.is_control() || " \t<>\"?".contains(c)) {
            return Err(TargetError);
        }
        let mut parts = rest.split(';');
        let at = parts.next().unwrap_or_default();
        let at = at.rsplit_once('@').map_or(at, |(_, host)| host);
        let named = parts.find_map(|p| p.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("transport")));
        let secure = scheme.eq_ignore_ascii_case("sips");
        let transport = match named.map(|(_, value)| value.to_ascii_lowercase()).as_deref() {
            Some("tls") => Transport::Tls,
            Some("udp") | None if secure => Transport::Tls,
            Some("tcp") if secure => Transport::Tls,
            Some("tcp") => Transport::Tcp,
            Some("udp") | None => Transport::Udp,
            Some(_) => return Err(TargetError),
        };
        let after_bracket = at.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match at.get(after_bracket..).and_then(|tail| tail.find(':')) {
            Some(colon) => {
                let (host, port) = at.split_at(after_bracket + colon);
                (host, Some(port.trim_start_matches(':').parse().map_err(|_| TargetError)?))
            }
            None => (at, None),
        };
        if host.is_empty() || !(secure || scheme.eq_ignore_ascii_case("sip")) {
            return Err(TargetError);
        }
        let address = TrunkAddress { host: host.to_owned(), port, transport };
        Ok(Target {
            uri: Private::new(uri.to_owned()),
            way: Way::Host(address),
            credentials: None,
            trunk: None,
            shows: None,
        })
    }

    /// A phone of ours, by the way that it registered by; `uri` is its Contact.
    pub(in crate::sip) fn by(uri: &str, flow: Flow) -> Target {
        Target {
            uri: Private::new(uri.to_owned()),
            way: Way::Flow(Box::new(flow)),
            credentials: None,
            trunk: None,
            shows: None,
        }
    }

    /// A telephone number by way of a trunk, with the trunk's account and number.
    pub fn through(trunk: &Trunk, number: &PhoneNumber) -> Target {
        Target::through_as_dialled(trunk, number.as_str())
    }

    /// What was dialled, as it was, by way of a trunk: an emergency number is no number in E.164.
    pub fn through_as_dialled(trunk: &Trunk, digits: &str) -> Target {
        Target {
            uri: Private::new(trunk::server_uri(&trunk.address, digits)),
            way: Way::Host(trunk.address.clone()),
            credentials: trunk.register.as_ref().map(trunk::credentials),
            trunk: Some(trunk.name.clone()),
            shows: trunk.numbers.first().cloned(),
        }
    }

    /// Its SIP URI.
    pub fn uri(&self) -> &Private<String> {
        &self.uri
    }

    /// Where it is, as far as can be told before it is called.
    pub(in crate::sip) async fn peer(&self, endpoint: &Endpoint) -> Option<SocketAddr> {
        match &self.way {
            Way::Flow(flow) => Some(flow.remote),
            Way::Host(address) => endpoint.addresses_of(address).await.first().copied(),
        }
    }

    /// The same, answering a 401 or 407 with these.
    pub fn with_credentials(self, credentials: Credentials) -> Target {
        Target { credentials: Some(credentials), ..self }
    }
}
