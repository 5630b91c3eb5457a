//! A party handed to another phone while somebody speaks with them: to whom, and how it goes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Line;
use super::dial::{self, Shown, Stop};
use super::dial_plan::Dialled;
use super::handover::Given;
use super::leg::Leg;
use super::switchboard::Connected;
use crate::model::Phone;
use crate::sip::{ReferReply, Replaces};

/// How long a phone rings that somebody is transferred to.
const RINGS: Duration = Duration::from_secs(30);

/// How long the number of a parking place is said, before the phone that asked for one by REFER may hang up.
const PLACE_SAID: Duration = Duration::from_secs(2);

/// What a phone asks for by REFER (RFC 3515).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Somebody else is to be connected in its place.
    Transfer(Whom),
    /// The call is to be parked: at this place, or at the first that is free.
    Park(Option<u8>),
}

/// Who is to be connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Whoever picks up this phone; in the place of a call that its own telephone system knows, if one is named.
    Phone(Phone, Option<Replaces>),
    /// Whoever is called on this other leg of the one who asks, and has picked up or not.
    Consulted(Replaces),
}

/// What the phone `by` may have of what its REFER names. One of this box reaches what it could dial; one of another
/// telephone system its own system.
///
/// # Errors
/// The status to refuse it with.
pub(super) fn wanted(line: &Line, by: &Phone, leg: &Leg, to: &str, replaces: Option<Replaces>) -> Result<Wanted, u16> {
    let phone = |phone, replaces| Ok(Wanted::Transfer(Whom::Phone(phone, replaces)));
    match (by, replaces) {
        // Somebody out in the world sends our callers nowhere.
        (Phone::Number(_) | Phone::Emergency(_), _) => Err(403),
        (Phone::Extension(_), Some(call)) => Ok(Wanted::Transfer(Whom::Consulted(call))),
        (Phone::Uri(_), Some(call)) if line.handovers.knows(&call, by) => Ok(Wanted::Transfer(Whom::Consulted(call))),
        (Phone::Extension(name), None) => match line.dialled(name, parts(to).ok_or(403_u16)?.0) {
            Dialled::Extension(name) => phone(Phone::Extension(name), None),
            Dialled::Trunk(number) => phone(Phone::Number(number), None),
            Dialled::Park => Ok(Wanted::Park(None)),
            Dialled::Parking(place) => Ok(Wanted::Park(Some(place))),
            Dialled::Emergency(_) | Dialled::PickUp | Dialled::Refused(_) => Err(403),
        },
        (Phone::Uri(own), replaces) => {
            let external = line.book().settings.sip.external_address;
            let known = [Some(leg.dialog.peer().ip()), Some(leg.dialog.local_address()), external];
            let is_known = |host: &str| address(host).is_some_and(|address| known.contains(&Some(address)));
            phone(of_the_same_system(own, to, is_known).ok_or(403_u16)?, replaces)
        }
    }
}

/// Whom a phone of another telephone system means of its own system. That calls itself as the tree calls it, by its
/// address or, since we have called it, by ours (`is_known`); it is reached by the way that the tree names in any case.
fn of_the_same_system(own: &str, to: &str, is_known: impl Fn(&str) -> bool) -> Option<Phone> {
    let ((user, host), (own_user, own_host)) = (parts(to)?, parts(own)?);
    if !own_host.eq_ignore_ascii_case(host) && !is_known(host) {
        return None;
    }
    own.replacen(&format!(":{own_user}@"), &format!(":{user}@"), 1).parse().ok()
}

/// A transfer under way. Dropping it takes the ringing back.
#[derive(Debug)]
pub(super) struct Transfer {
    under_way: JoinHandle<Result<Connected, u16>>,
    stop: Stop,
    came: Option<Result<Connected, u16>>,
}

impl Transfer {
    /// Connects whom `by` wants, who is told by `reply` what comes of it.
    pub fn begin(line: &Arc<Line>, by: Phone, whom: Whom, shown: Shown, mut reply: ReferReply) -> Transfer {
        let (line, stop) = (line.clone(), Stop::default());
        let stopped = stop.clone();
        let under_way = tokio::spawn(async move {
            let came = connect(&line, &by, whom, shown, &mut reply, &stopped).await;
            match &came {
                Ok(_) => tokio::spawn(reply.finish(200)),
                Err(status) => tokio::spawn(reply.refuse(*status)),
            };
            came
        });
        Transfer { under_way, stop, came: None }
    }

    /// Rings `phone` for somebody whom it has parked and nobody has fetched.
    pub fn ring_back(line: &Arc<Line>, phone: Phone, shown: Shown, ring_for: Duration) -> Transfer {
        let (line, stop) = (line.clone(), Stop::default());
        let stopped = stop.clone();
        let under_way = tokio::spawn(async move { ring(&line, phone, &shown, ring_for, &stopped).await });
        Transfer { under_way, stop, came: None }
    }

    /// Waits until somebody is there or will not come. Cancel-safe.
    pub async fn done(&mut self) {
        if self.came.is_none() {
            self.came = Some((&mut self.under_way).await.unwrap_or(Err(500)));
        }
    }

    /// Who came, once somebody has; else the status that says why nobody will.
    pub fn outcome(&mut self) -> Result<Connected, u16> {
        self.came.take().unwrap_or(Err(480))
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.stop.stop(false);
    }
}

/// Tells a phone that has asked for its call to be parked whether it is.
pub(super) async fn parked(mut reply: ReferReply, parked: bool) {
    if !parked {
        return reply.refuse(486).await;
    }
    reply.accept().await;
    tokio::time::sleep(PLACE_SAID).await;
    reply.finish(200).await;
}

async fn connect(
    line: &Arc<Line>,
    by: &Phone,
    whom: Whom,
    shown: Shown,
    reply: &mut ReferReply,
    stop: &Stop,
) -> Result<Connected, u16> {
    let (phone, replaces, picked_up) = match whom {
        Whom::Phone(phone, replaces) => (phone, replaces, None),
        Whom::Consulted(leg) => match line.handovers.take_over(&leg, by).await {
            Some(Given::Party(connected)) => return Ok(*connected),
            Some(Given::Rings(phone, picked_up)) => (phone, None, Some(picked_up)),
            None => {
                info!("a transfer to whoever is on a call that is not the phone's own, or is over, was refused");
                return Err(481);
            }
        },
    };
    reply.accept().await;
    let connected = ring(line, phone, &Shown { replaces, ..shown }, RINGS, stop).await?;
    // The call in which they rang at first wants to know; unless it is over meanwhile.
    if let Some(picked_up) = picked_up {
        let _ = picked_up.send(());
    }
    Ok(connected)
}

/// Rings a phone, which counts as on a call from now on.
async fn ring(
    line: &Arc<Line>,
    phone: Phone,
    shown: &Shown,
    ring_for: Duration,
    stop: &Stop,
) -> Result<Connected, u16> {
    let on_call = line.switchboard.on_call(phone.clone());
    match dial::ring(line, &phone, shown, ring_for, stop, &CancellationToken::new()).await {
        Ok(leg) => Ok(Connected { leg, phone, on_call }),
        Err(why) => Err(dial::status(why)),
    }
}

/// User and host (with its port) of a SIP URI, as a REFER or a tree writes it.
fn parts(uri: &str) -> Option<(&str, &str)> {
    let uri = uri.trim().trim_start_matches('<').split('>').next()?;
    let rest = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("sips:"))?;
    let (user, host) = rest.split_once('@')?;
    let host = host.split([';', '?']).next()?;
    (!user.is_empty() && !host.is_empty()).then_some((user, host))
}

/// The address that a host is written as, with or without a port.
fn address(host: &str) -> Option<IpAddr> {
    let with_port = host.parse().map(|socket: SocketAddr| socket.ip()).ok();
    with_port.or_else(|| host.trim_matches(['[', ']']).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refer_names_a_user_and_a_host() {
        assert_eq!(parts("<sip:202@10.0.0.20:5060;transport=udp>;method=INVITE"), Some(("202", "10.0.0.20:5060")));
        assert_eq!(parts("sip:+12125550142@box?Replaces=x"), Some(("+12125550142", "box")));
        for none in ["", "tel:12", "sip:10.0.0.20", "sip:@h", "sip:a@"] {
            assert_eq!(parts(none), None, "{none}");
        }
    }

    #[test]
    fn a_phone_of_another_system_reaches_that_system_by_whatever_name_it_gives_itself() {
        let known = |host: &str| address(host) == Some("10.0.0.20".parse().unwrap());
        let own = "sip:201@pbx.example:5080;transport=tcp";
        let meant = |to: &str| of_the_same_system(own, to, known).map(|phone| phone.to_string());
        let colleague = Some("sip:202@pbx.example:5080;transport=tcp".to_owned());
        for to in ["sip:202@PBX.example:5080", "sip:202@10.0.0.20", "<sip:202@10.0.0.20:5060;user=phone>"] {
            assert_eq!(meant(to), colleague, "{to}");
        }
        for to in ["sip:202@elsewhere.example", "sip:202@10.0.0.21", "sip:10.0.0.20", "sip:2 2@10.0.0.20"] {
            assert_eq!(meant(to), None, "{to}");
        }
    }
}
