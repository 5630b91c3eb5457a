//! Transfers: what a REFER asks for, how the one who asked is told what came of it (RFC 3515), and which call a new one
//! takes the place of (RFC 3891). The leg's task does the sending.

use rsipstack::sip::{Request, StatusCode};
use tokio::sync::mpsc;

use super::Command;
use crate::sip::header;
use crate::sip::message::{all, first};

/// The longest address that is transferred to, in bytes.
const LONGEST: usize = 1_024;

/// Which call a new one takes the place of, as whoever is asked to do so knows it (RFC 3891 section 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of whoever is asked.
    pub to_tag: String,
    /// The tag of the party that leaves.
    pub from_tag: String,
}

impl Replaces {
    /// Reads a Replaces header.
    pub(in crate::sip) fn parse(value: &str) -> Option<Replaces> {
        let (call_id, parameters) = value.split_once(';')?;
        let parameters = format!("<>;{parameters}");
        let tag = |name| header::parameter(&parameters, name).filter(|tag| !tag.is_empty()).map(str::to_owned);
        let call_id = call_id.trim();
        (!call_id.is_empty() && call_id.len() <= LONGEST).then_some(())?;
        Some(Replaces { call_id: call_id.to_owned(), to_tag: tag("to-tag")?, from_tag: tag("from-tag")? })
    }

    /// As it stands in a header.
    pub(in crate::sip) fn render(&self) -> String {
        format!("{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)
    }
}

/// Why a transfer that we asked for came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferError {
    /// Not an address.
    #[error("not an address that can be called; write it like sip:201@10.0.0.20")]
    Target,
    /// Another transfer is under way on this leg, or it is not established yet.
    #[error("another transfer is under way on this call, or it is not answered yet")]
    Pending,
    /// The peer does not do it, and says so with this status: 405, 603, …
    #[error("the peer refused the transfer with {0}")]
    Refused(u16),
    /// The peer tried, and whoever it called said this.
    #[error("the transfer failed with {0}")]
    Failed(u16),
    /// The peer agreed and never said what came of it.
    #[error("the peer never said what came of the transfer")]
    Silent,
    /// The peer agreed, and hung up before it said what came of it: some do once the other call stands.
    #[error("the peer hung up before it said what came of the transfer")]
    HungUp,
    /// The leg is over, and nothing was agreed.
    #[error("the call is over")]
    Over,
}

/// The right to answer a transfer that the peer asks for. Dropped unanswered it refuses with 603; dropped after
/// [`ReferReply::accept`] it reports 503.
#[derive(Debug)]
pub struct ReferReply {
    id: u64,
    accepted: bool,
    commands: Option<mpsc::Sender<Command>>,
}

impl ReferReply {
    pub(super) fn new(id: u64, commands: mpsc::Sender<Command>) -> ReferReply {
        ReferReply { id, accepted: false, commands: Some(commands) }
    }

    /// Agrees (202) and tells the peer that it is being tried.
    pub async fn accept(&mut self) {
        self.accepted = true;
        if let Some(commands) = &self.commands {
            let _ = commands.send(Command::ReferAccept { id: self.id }).await;
        }
    }

    /// Tells the peer what came of it: 200, or the status that the other side answered. Without
    /// [`ReferReply::accept`] before it, it agrees first.
    pub async fn finish(mut self, status: u16) {
        if !self.accepted {
            self.accept().await;
        }
        if let Some(commands) = self.commands.take() {
            let _ = commands.send(Command::ReferFinish { id: self.id, status }).await;
        }
    }

    /// Refuses with `status`, such as 603; after [`ReferReply::accept`] as [`ReferReply::finish`].
    pub async fn refuse(mut self, status: u16) {
        if let Some(commands) = self.commands.take() {
            let id = self.id;
            let command =
                if self.accepted { Command::ReferFinish { id, status } } else { Command::ReferRefuse { id, status } };
            let _ = commands.send(command).await;
        }
    }
}

impl Drop for ReferReply {
    fn drop(&mut self) {
        let Some(commands) = self.commands.take() else { return };
        let id = self.id;
        // Full: the transfer's own deadline does the same.
        let _ = commands.try_send(match self.accepted {
            true => Command::ReferFinish { id, status: 503 },
            false => Command::ReferRefuse { id, status: 603 },
        });
    }
}

/// What a REFER asks for: whom to call, and which call that takes the place of.
///
/// # Errors
/// The status to refuse it with.
pub(super) fn read(request: &Request) -> Result<(String, Option<Replaces>), u16> {
    let mut values = all!(request, ReferTo);
    // Exactly one (RFC 3515 section 2.4.2).
    let (Some(value), None) = (values.next(), values.next()) else { return Err(400) };
    let uri = header::uri(value).filter(|uri| uri.len() <= LONGEST).ok_or(400_u16)?;
    let (to, headers) = uri.split_once('?').unwrap_or((uri, ""));
    if !["sip:", "sips:", "tel:"]
        .iter()
        .any(|scheme| to.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)))
    {
        return Err(416);
    }
    if header::parameter(&format!("<>{}", to.find(';').and_then(|at| to.get(at..)).unwrap_or_default()), "method")
        .is_some_and(|method| !method.eq_ignore_ascii_case("INVITE"))
    {
        // We place calls; we do not send requests of the peer's choice.
        return Err(501);
    }
    let replaces = headers
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("Replaces")));
    let replaces = match replaces {
        Some((_, value)) => Some(Replaces::parse(&unescaped(value).ok_or(400_u16)?).ok_or(400_u16)?),
        None => None,
    };
    Ok((to.to_owned(), replaces))
}

/// Refer-To for a REFER of ours.
///
/// # Errors
/// `to` is no address.
pub(super) fn refer_to(to: &str, replaces: Option<&Replaces>) -> Result<String, ReferError> {
    let odd = |c: char| c.is_control() || " \t<>\"?".contains(c);
    if to.len() > LONGEST || to.contains(odd) || to.split_once(':').is_none_or(|(_, rest)| rest.is_empty()) {
        return Err(ReferError::Target);
    }
    Ok(match replaces {
        Some(replaces) => format!("<{to}?Replaces={}>", escaped(&replaces.render())),
        None => format!("<{to}>"),
    })
}

/// What a NOTIFY of a transfer says (RFC 3515 section 2.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// Of the `message/sipfrag`, if it holds one.
    pub status: Option<u16>,
    /// Nothing more will come.
    pub last: bool,
}

/// `None`: it is about something else.
pub(super) fn news(notify: &Request) -> Option<News> {
    let event = first!(notify, Event)?;
    event.split(';').next().is_some_and(|package| package.trim().eq_ignore_ascii_case("refer")).then_some(())?;
    let status = std::str::from_utf8(&notify.body).ok().and_then(|body| {
        let mut words = body.lines().next()?.split(' ');
        words.next()?.eq_ignore_ascii_case("SIP/2.0").then_some(())?;
        words.next()?.parse().ok().filter(|status| (100..700).contains(status))
    });
    let state = first!(notify, SubscriptionState).unwrap_or_default();
    let last = state.split(';').next().is_some_and(|state| state.trim().eq_ignore_ascii_case("terminated"));
    Some(News { status, last })
}

/// The body of a NOTIFY of ours.
pub(super) fn fragment(status: u16) -> Vec<u8> {
    format!("SIP/2.0 {}\r\n", StatusCode::from(status)).into_bytes()
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    let text = String::from_utf8(out).ok()?;
    (!text.contains(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, headers: &str, body: &str) -> Request {
        let text = format!(
            "{method} sip:box SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=f\r\n\
             To: <sip:b@box>;tag=t\r\nCall-ID: c\r\nCSeq: 7 {method}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Request::try_from(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_refer_asks_for() {
        let asked = |headers: &str| read(&request("REFER", headers, ""));
        assert_eq!(asked("Refer-To: \"Lab, <1>\" <sip:202@box>\r\n"), Ok(("sip:202@box".into(), None)));
        assert_eq!(asked("Refer-To: sip:202@box;user=phone\r\n"), Ok(("sip:202@box".into(), None)));
        let attended = "Refer-To: <sip:202@box?Replaces=a%40b%3Bto-tag%3Dx%3Bfrom-tag%3Dy&Require=replaces>\r\n";
        let replaces = Replaces { call_id: "a@b".into(), to_tag: "x".into(), from_tag: "y".into() };
        assert_eq!(asked(attended), Ok(("sip:202@box".into(), Some(replaces.clone()))));
        assert_eq!(
            refer_to("sip:202@box", Some(&replaces)).unwrap(),
            "<sip:202@box?Replaces=a%40b%3Bto-tag%3Dx%3Bfrom-tag%3Dy>"
        );
        for (headers, status) in [
            ("", 400),
            ("Refer-To: <sip:a@b>\r\nRefer-To: <sip:c@d>\r\n", 400),
            ("Refer-To: nobody\r\n", 400),
            ("Refer-To: <http://a/b>\r\n", 416),
            ("Refer-To: <sip:a@b;method=BYE>\r\n", 501),
            ("Refer-To: <sip:a@b?Replaces=c>\r\n", 400),
            ("Refer-To: <sip:a@b?Replaces=c%3Bto-tag%3Dx%3Bfrom-tag%3D%0D%0A>\r\n", 400),
            ("Refer-To: <sip:a@b?Replaces=%zz>\r\n", 400),
        ] {
            assert_eq!(asked(headers), Err(status), "{headers}");
        }
    }

    #[test]
    fn what_cannot_be_called_is_not_asked_for() {
        for to in ["", "202", "sip:", "sip:a@b>\r\nX: y", "sip:a@b?Subject=x"] {
            assert_eq!(refer_to(to, None), Err(ReferError::Target), "{to}");
        }
        assert_eq!(refer_to("sip:202@box", None).unwrap(), "<sip:202@box>");
    }

    #[test]
    fn what_a_notify_says() {
        let says = |headers: &str, body: &str| news(&request("NOTIFY", headers, body));
        let active = "Event: refer;id=2\r\nSubscription-State: active;expires=60\r\n";
        let over = "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n";
        assert_eq!(says(active, "SIP/2.0 100 Trying\r\n"), Some(News { status: Some(100), last: false }));
        assert_eq!(says(over, "SIP/2.0 486 Busy Here"), Some(News { status: Some(486), last: true }));
        for body in ["", "HTTP/1.1 200 OK", "SIP/2.0", "SIP/2.0 9999 x", "SIP/2.0 \u{fe}"] {
            assert_eq!(says(over, body), Some(News { status: None, last: true }), "{body}");
        }
        assert_eq!(says("Event: message-summary\r\n", ""), None);
        assert_eq!(fragment(603), b"SIP/2.0 603 Decline\r\n");
    }
}
