//! A test phone: a SIP user agent of our own signalling and media, for `threadline call` and the demo.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::media::{Media, MediaConfig, Recording, Session};
use crate::model::{Codec, Digit, LocalMedia, SrtpPolicy};
use crate::settings::{SecretPlaces, Settings};
use crate::sip::outbound::{Call, Outbound, Step, Target};
use crate::sip::sdp::{self, SessionId};
use crate::sip::{Dialog, DialogEvent, Endpoint, Incoming};

/// How long a key is held down.
const PRESS: Duration = Duration::from_millis(120);
/// How long the phone lets it ring.
const RING_FOR: Duration = Duration::from_secs(30);
/// The longest recording.
const RECORD_LIMIT: Duration = Duration::from_secs(600);

/// A telephone that can call one address.
pub struct Phone {
    endpoint: Endpoint,
    media: Media,
    local: IpAddr,
    /// Held so that the endpoint runs; nobody calls this phone.
    _incoming: mpsc::Receiver<Incoming>,
}

/// A call that was answered.
pub struct PhoneCall {
    dialog: Dialog,
    session: Session,
    recording: Recording,
}

/// The host that a SIP address names, as an address and port to find our own way to it.
pub fn address_of(uri: &str) -> Result<SocketAddr> {
    use std::net::ToSocketAddrs;
    let at = uri.rsplit_once('@').map_or_else(|| uri.split_once(':').map_or(uri, |(_, rest)| rest), |(_, host)| host);
    let host = at.split([';', '?']).next().unwrap_or_default();
    let found = host.to_socket_addrs().or_else(|_| (host.trim_matches(['[', ']']), 5060).to_socket_addrs());
    found
        .ok()
        .and_then(|mut all| all.next())
        .ok_or_else(|| anyhow!("{uri} names no host that can be found; write sip:NUMBER@HOST:PORT"))
}

impl Phone {
    /// A phone that can call whoever is at `peer`.
    pub async fn start(peer: SocketAddr) -> Result<Phone> {
        let local = way_to(peer)?;
        let settings = settings(local, peer)?;
        let media =
            Media::start(MediaConfig { ports: settings.rtp.ports, silence_timeout: settings.rtp.silence_timeout })?;
        let (endpoint, incoming) = Endpoint::bind(&settings, Clock::system()).await?;
        Ok(Phone { endpoint, media, local, _incoming: incoming })
    }

    /// Dials `uri` as `from` and waits until somebody picks up.
    pub async fn dial(&self, uri: &str, from: &str) -> Result<PhoneCall> {
        let session = self.media.open(self.local)?;
        let local = LocalMedia {
            address: self.local,
            port: session.port(),
            codecs: Codec::ALL.to_vec(),
            srtp: SrtpPolicy::Off,
        };
        let key = crate::call::random_key;
        let offer = sdp::offer(&local, SessionId { id: 1, version: 1 }, key);
        let targets = vec![Target::direct(uri)?];
        let call = Call {
            targets,
            from: from.to_owned(),
            display: None,
            offer: offer.clone(),
            ring_for: RING_FOR,
            ..Call::default()
        };
        let mut placing = Outbound::dial(&self.endpoint, call);
        loop {
            match placing.next().await {
                Some(Step::Answered { dialog, sdp: Some(answer), .. }) => {
                    session.start(sdp::accept_answer(&offer, &answer).context("the answer is not to be understood")?);
                    let recording = session.record(RECORD_LIMIT);
                    return Ok(PhoneCall { dialog, session, recording });
                }
                Some(Step::Answered { dialog, .. }) => {
                    dialog.bye("no SDP").await;
                    bail!("{uri} answered without saying where to send audio");
                }
                Some(Step::Progress { .. }) => {}
                Some(Step::Failed { status }) => bail!("{uri} did not answer: {}", why(status)),
                None => bail!("{uri} did not answer"),
            }
        }
    }

    /// Lets go of the ports.
    pub async fn stop(self) {
        self.endpoint.close().await;
        self.media.stop();
    }
}

impl PhoneCall {
    /// Holds a key down for a moment.
    pub fn press(&self, digit: Digit) {
        self.session.send_digit(digit, PRESS);
    }

    /// What has been heard so far.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Waits until the other side hangs up; answers why. Cancel-safe.
    pub async fn ended(&mut self) -> String {
        loop {
            match self.dialog.next().await {
                DialogEvent::Ended { cause, .. } => return cause,
                // The phone keeps what it has: a change that is not answered is refused when its reply is dropped.
                DialogEvent::Offer { .. }
                | DialogEvent::Refer { .. }
                | DialogEvent::Confirmed { .. }
                | DialogEvent::Info { .. } => {}
            }
        }
    }

    /// Hangs up.
    pub async fn hang_up(self) {
        self.dialog.bye("").await;
        self.session.close().await;
    }
}

/// What a person can do about a status.
fn why(status: u16) -> String {
    match status {
        403 => "403, this machine is not in the trunk's accept_from".to_owned(),
        404 => "404, no such number there".to_owned(),
        488 => "488, no common codec".to_owned(),
        408 | 503 => format!(
            "{status}, nothing answers, or it is full; is it running, and is this machine in the trunk's accept_from?"
        ),
        other => other.to_string(),
    }
}

/// The address of ours that packets to `peer` leave from.
fn way_to(peer: SocketAddr) -> Result<IpAddr> {
    let any: SocketAddr = if peer.is_ipv6() { "[::]:0".parse()? } else { "0.0.0.0:0".parse()? };
    let socket = UdpSocket::bind(any)?;
    socket.connect(peer).with_context(|| format!("there is no way to {peer}"))?;
    Ok(socket.local_addr()?.ip())
}

fn settings(local: IpAddr, peer: SocketAddr) -> Result<Settings> {
    let bits = if peer.is_ipv6() { 128 } else { 32 };
    let (listen, peer) = (SocketAddr::new(local, 0), peer.ip());
    let text = format!(
        "[clinic]\nname = \"Test phone\"\ntimezone = \"UTC\"\ncountry = \"US\"\nlanguage = \"en\"\n\
         phone_tree = \"none\"\nmessages = \"none\"\nprompts = \"none\"\n\
         [sip]\nlisten = [\"udp:{listen}\", \"tcp:{listen}\"]\n\
         [[trunk]]\nname = \"callee\"\naddress = \"{}\"\naccept_from = [\"{peer}/{bits}\"]\n\
         [rtp]\nports = \"30000-39999\"\n\
         [sms]\ngateway = \"sandbox\"\nfrom = \"+12125550100\"\n\
         [web]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"none\"\n",
        SocketAddr::new(peer, 5060)
    );
    Settings::parse(Path::new("test phone"), &text, &SecretPlaces::of_process(Path::new("/")))
        .map_err(|problems| anyhow!("{problems}"))
}
