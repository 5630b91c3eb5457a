//! A caller handed to another phone while somebody speaks with them: to whom, and the ringing there.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Line;
use super::dial::{self, Shown, Stop};
use super::dial_plan::Dialled;
use super::leg::Leg;
use super::waiting::Failure;
use crate::model::Phone;
use crate::sip::ReferReply;

/// A transfer under way. Dropping it takes the ringing back.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Who rings.
    pub phone: Phone,
    /// What the person is told who asked for it.
    pub reply: Option<ReferReply>,
    ring: JoinHandle<Result<Leg, Failure>>,
    stop: Stop,
    came: Option<Result<Leg, Failure>>,
}

impl Transfer {
    /// Rings `phone`.
    pub fn begin(line: &Arc<Line>, phone: Phone, shown: Shown, ring_for: Duration, reply: Option<ReferReply>) -> Self {
        let stop = Stop::default();
        let ring = tokio::spawn({
            let (line, phone, stop) = (line.clone(), phone.clone(), stop.clone());
            async move { dial::ring(&line, &phone, &shown, ring_for, &stop, &CancellationToken::new()).await }
        });
        Transfer { phone, reply, ring, stop, came: None }
    }

    /// Waits until the phone was picked up or not. Cancel-safe.
    pub async fn rung(&mut self) {
        if self.came.is_none() {
            self.came = Some((&mut self.ring).await.unwrap_or(Err(Failure::Unreachable)));
        }
    }

    /// What came of it, once it has.
    pub fn outcome(&mut self) -> Result<Leg, Failure> {
        self.came.take().unwrap_or(Err(Failure::NoAnswer))
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.stop.stop(false);
    }
}

/// Whom a phone may transfer a caller to, of what its REFER names. A phone of this box reaches what it could dial; one of
/// another telephone system its own system.
pub(super) fn destination(line: &Line, to: &str, by: &Phone) -> Option<Phone> {
    let (user, host) = parts(to)?;
    match by {
        Phone::Extension(name) => match line.dialled(name, user) {
            Dialled::Extension(name) => Some(Phone::Extension(name)),
            Dialled::Trunk(number) => Some(Phone::Number(number)),
            Dialled::Emergency(_) | Dialled::PickUp | Dialled::Parking(_) | Dialled::Park | Dialled::Refused(_) => None,
        },
        Phone::Uri(uri) => {
            let (_, own) = parts(uri)?;
            (own.eq_ignore_ascii_case(host)).then(|| Phone::Uri(format!("sip:{user}@{host}")))
        }
        // Somebody out in the world sends our callers nowhere.
        Phone::Number(_) | Phone::Emergency(_) => None,
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

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_refer_names_a_user_and_a_host() {
        assert_eq!(parts("<sip:202@10.0.0.20:5060;transport=udp>;method=INVITE"), Some(("202", "10.0.0.20:5060")));
        assert_eq!(parts("sip:+12125550142@box?Replaces=x"), Some(("+12125550142", "box")));
        for none in ["", "tel:12", "sip:10.0.0.20", "sip:@h", "sip:a@"] {
            assert_eq!(parts(none), None, "{none}");
        }
    }
}
