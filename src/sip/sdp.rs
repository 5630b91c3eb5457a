//! Offer and answer (RFC 3264) over SDP (RFC 8866): text in, a [`MediaPlan`] and text out. No I/O, no randomness.
//!
//! One audio stream is spoken per call. Of an offer the first audio line that we can speak is taken and every other
//! line refused with port 0, in its place. What is left out on purpose: `rtcp-mux` (RTCP goes to its own port), ICE and
//! DTLS (an offer that has them as an extra is answered without), feedback profiles (`RTP/AVPF`: the line is refused)
//! and host names in `c=` (a name looked up per call is a lookup that a caller chooses).
//!
//! A session refresh repeats our last SDP to the letter: the same text, so the same version in `o=`.

mod line;

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sdp_types::{Media, Session};

use self::line::{Crypto, Format, Line};
use crate::model::{Codec, Flow, LocalMedia, MediaPlan, Srtp, SrtpKey, SrtpPolicy, SrtpSuite, TelephoneEvent};

/// The longest SDP that is read, in bytes.
const LONGEST: usize = 16 * 1024;
/// The most media lines that are read.
const MOST_LINES: usize = 64;
/// What our own offer calls telephone-event.
const EVENT_PAYLOAD_TYPE: u8 = 101;

/// Our session's identity for `o=`: `id` stays for the call, `version` goes up by one whenever our SDP changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId {
    /// Unique on this host: a number drawn for the call.
    pub id: u64,
    /// Starts anywhere, grows by one.
    pub version: u64,
}

impl SessionId {
    /// The identity for an SDP that differs from the last.
    pub fn changed(self) -> SessionId {
        SessionId { version: self.version.wrapping_add(1), ..self }
    }
}

/// Why there is no media plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not SDP.
    #[error("the SDP cannot be read; ask the trunk what it sends")]
    Malformed,
    /// Longer than 16 KiB, or with more than 64 media lines.
    #[error("the SDP is longer than 16 KiB or has more than 64 media lines")]
    TooLarge,
    /// No audio line, or only ones switched off.
    #[error("the SDP has no audio")]
    NoAudio,
    /// A transport other than RTP/AVP and RTP/SAVP.
    #[error("the audio's transport is neither RTP/AVP nor RTP/SAVP; turn feedback and DTLS off at the trunk")]
    Profile,
    /// None of PCMU, PCMA, G722.
    #[error("no codec in common; allow PCMU, PCMA or G722 at the trunk")]
    NoCommonCodec,
    /// A host name, a multicast address, or an address family that ours cannot reach.
    #[error("the audio's address is no unicast IP address that ours can reach")]
    Address,
    /// The trunk's policy asks for SRTP, the peer has none that we can speak.
    #[error(
        "this trunk requires SRTP and the peer offers none that we speak; let it offer SDES, or set srtp = \"optional\""
    )]
    SrtpRequired,
    /// The peer insists on SRTP, the trunk's policy is off.
    #[error("the peer wants SRTP and this trunk has it off; set srtp = \"optional\"")]
    SrtpOff,
    /// An answer that does not answer our offer: other lines, an unknown crypto tag, a codec that was not offered.
    #[error("the answer does not fit the offer")]
    Mismatch,
}

impl SdpError {
    /// The SIP status that tells the peer.
    pub fn status(self) -> u16 {
        match self {
            SdpError::Malformed => 400,
            SdpError::TooLarge => 413,
            SdpError::NoAudio
            | SdpError::Profile
            | SdpError::NoCommonCodec
            | SdpError::Address
            | SdpError::SrtpRequired
            | SdpError::SrtpOff
            | SdpError::Mismatch => 488,
        }
    }
}

/// Answers `offer` with what `local` can do. `key` is drawn only where the answer is encrypted.
pub fn answer(
    offer: &str,
    local: &LocalMedia,
    key: impl FnOnce() -> SrtpKey,
    session: SessionId,
) -> Result<(String, MediaPlan), SdpError> {
    let offered = parse(offer)?;
    let mut reason = SdpError::NoAudio;
    let mut taken = None;
    for (index, media) in offered.medias.iter().enumerate().filter(|(_, media)| is_live_audio(media)) {
        match Line::read(&offered, media).and_then(|line| line.choose(local)) {
            Ok(chosen) => {
                taken = Some((index, chosen));
                break;
            }
            // The first audio line's reason is the one that the admin can do something about.
            Err(error) if reason == SdpError::NoAudio => reason = error,
            Err(_) => {}
        }
    }
    let (taken, chosen) = taken.ok_or(reason)?;
    let srtp = chosen.crypto.map(|crypto| (crypto.tag, crypto.suite, crypto.key, key()));

    let mut text = head(local.address, session, offered.times.first().map_or((0, 0), |t| (t.start_time, t.stop_time)));
    for (index, media) in offered.medias.iter().enumerate() {
        if index != taken {
            line(&mut text, &format!("m={} 0 {} {}", clean(&media.media), clean(&media.proto), clean(&media.fmt)));
            continue;
        }
        let profile = if srtp.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
        let formats = Formats { codecs: &[(chosen.payload_type, chosen.codec)], event: chosen.telephone_event };
        formats.write(&mut text, local.port, profile);
        if let Some((tag, suite, _, key)) = &srtp {
            write_crypto(&mut text, *tag, *suite, key);
        }
        line(&mut text, &format!("a=ptime:{}", chosen.ptime_ms));
        line(&mut text, direction(chosen.flow));
    }
    let plan = MediaPlan {
        codec: chosen.codec,
        payload_type: chosen.payload_type,
        ptime_ms: chosen.ptime_ms,
        telephone_event: chosen.telephone_event,
        remote_rtp: chosen.rtp,
        remote_rtcp: chosen.rtcp,
        flow: chosen.flow,
        srtp: srtp.map(|(_, suite, remote, local)| Srtp { suite, local, remote }),
    };
    Ok((text, plan))
}

/// Offers what `local` can do: all its codecs, telephone-event, 20 ms. A trunk that requires SRTP is offered both
/// suites, each under a key of its own; any other is offered plain RTP.
pub fn offer(local: &LocalMedia, session: SessionId, mut key: impl FnMut() -> SrtpKey) -> String {
    let secure = local.srtp == SrtpPolicy::Required;
    let mut text = head(local.address, session, (0, 0));
    let codecs: Vec<(u8, Codec)> = local.codecs.iter().map(|codec| (codec.payload_type(), *codec)).collect();
    let event = Some(TelephoneEvent { payload_type: EVENT_PAYLOAD_TYPE, clock_rate: 8_000 });
    let profile = if secure { "RTP/SAVP" } else { "RTP/AVP" };
    Formats { codecs: &codecs, event }.write(&mut text, local.port, profile);
    if secure {
        for (tag, suite) in [(1, SrtpSuite::Aes128Sha1_80), (2, SrtpSuite::Aes128Sha1_32)] {
            write_crypto(&mut text, tag, suite, &key());
        }
    }
    line(&mut text, "a=ptime:20");
    line(&mut text, direction(Flow::SendRecv));
    text
}

/// What `answer` makes of our own `offer` (or of our last SDP, sent again as a refresh).
pub fn accept_answer(offer: &str, answer: &str) -> Result<MediaPlan, SdpError> {
    let ours = parse(offer)?;
    let theirs = parse(answer)?;
    if ours.medias.len() != theirs.medias.len() {
        return Err(SdpError::Mismatch);
    }
    let mut pairs = ours.medias.iter().zip(&theirs.medias);
    let (our_media, their_media) =
        pairs.find(|(ours, theirs)| is_live_audio(ours) && is_live_audio(theirs)).ok_or(SdpError::NoAudio)?;
    let ours = Line::read(&ours, our_media)?;
    let line = Line::read(&theirs, their_media)?;
    let offered = |codec: Codec| ours.formats.iter().any(|(_, format)| *format == Format::Audio(codec));
    let (payload_type, codec) = line.codec(offered).ok_or(SdpError::NoCommonCodec)?;
    line.reachable_from(ours.rtp.ip())?;
    let srtp = match (ours.secure, line.secure) {
        (false, false) => None,
        (true, true) => Some(line.crypto.first().ok_or(SdpError::SrtpRequired).and_then(|remote| {
            // The answer repeats the tag of the line that it takes (RFC 4568 section 5.1.2).
            let local = ours.crypto.iter().find(|c| c.tag == remote.tag && c.suite == remote.suite);
            let local = local.ok_or(SdpError::Mismatch)?;
            Ok(Srtp { suite: remote.suite, local: local.key.clone(), remote: remote.key.clone() })
        })?),
        (true, false) => return Err(SdpError::SrtpRequired),
        (false, true) => return Err(SdpError::Mismatch),
    };
    let theirs = mirrored(line.flow());
    let flow = flow_of(theirs.sends() && ours.direction.sends(), theirs.receives() && ours.direction.receives());
    Ok(MediaPlan {
        codec,
        payload_type,
        ptime_ms: line.ptime_ms,
        // Without one in our SDP the peer has none to answer.
        telephone_event: ours.telephone_event(None).and_then(|_| line.telephone_event(Some(payload_type))),
        remote_rtp: line.rtp,
        remote_rtcp: line.rtcp,
        flow,
        srtp,
    })
}

/// For the fuzzer and its corpus: reads `data` as an offer and as an answer, and checks what must hold of the result.
pub fn exercise(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let local = LocalMedia {
        address: IpAddr::from([127, 0, 0, 1]),
        port: 16_384,
        codecs: Codec::ALL.to_vec(),
        srtp: SrtpPolicy::Optional,
    };
    let session = SessionId { id: 1, version: 1 };
    if let Ok((sdp, plan)) = answer(text, &local, || SrtpKey([7; 30]), session) {
        let lines = |text: &str| Session::parse(text.as_bytes()).map(|session| session.medias.len());
        assert_eq!(lines(text), lines(&sdp), "an answer has the offer's lines");
        assert!((10..=60).contains(&plan.ptime_ms) && plan.ptime_ms % 10 == 0);
        assert!(plan.telephone_event.is_none_or(|event| event.payload_type != plan.payload_type));
        assert!(sdp.len() > LONGEST || accept_answer(text, &sdp).is_ok(), "what we answer is an answer");
    }
    let _ = accept_answer(&offer(&local, session, || SrtpKey([7; 30])), text);
}

fn parse(text: &str) -> Result<Session, SdpError> {
    if text.len() > LONGEST {
        return Err(SdpError::TooLarge);
    }
    let session = Session::parse(text.as_bytes()).map_err(|_| SdpError::Malformed)?;
    if session.medias.len() > MOST_LINES { Err(SdpError::TooLarge) } else { Ok(session) }
}

fn is_live_audio(media: &Media) -> bool {
    media.media.eq_ignore_ascii_case("audio") && media.port != 0
}

/// What the author of an SDP says of their audio, for whoever explains a call later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Where they want to hear.
    pub rtp: SocketAddr,
    /// Their first choice among those that we speak.
    pub codec: Option<Codec>,
    /// Whether it is SRTP.
    pub secure: bool,
}

/// Reads the first audio line that is not switched off.
pub fn describe(text: &str) -> Option<Described> {
    let session = parse(text).ok()?;
    let media = session.medias.iter().find(|media| is_live_audio(media))?;
    let line = Line::read(&session, media).ok()?;
    Some(Described { rtp: line.rtp, codec: line.codec(|_| true).map(|(_, codec)| codec), secure: line.secure })
}

/// What we take of an offered line.
struct Chosen {
    codec: Codec,
    payload_type: u8,
    ptime_ms: u8,
    telephone_event: Option<TelephoneEvent>,
    rtp: SocketAddr,
    rtcp: SocketAddr,
    flow: Flow,
    crypto: Option<Crypto>,
}

impl Line {
    fn choose(self, local: &LocalMedia) -> Result<Chosen, SdpError> {
        let (payload_type, codec) = self.codec(|codec| local.codecs.contains(&codec)).ok_or(SdpError::NoCommonCodec)?;
        self.reachable_from(local.address)?;
        let crypto = match (local.srtp, self.secure) {
            (SrtpPolicy::Required, false) => return Err(SdpError::SrtpRequired),
            (SrtpPolicy::Off, true) => return Err(SdpError::SrtpOff),
            (SrtpPolicy::Off | SrtpPolicy::Optional, false) => None,
            (SrtpPolicy::Optional | SrtpPolicy::Required, true) => {
                Some(self.crypto.first().cloned().ok_or(SdpError::SrtpRequired)?)
            }
        };
        Ok(Chosen {
            codec,
            payload_type,
            ptime_ms: self.ptime_ms,
            telephone_event: self.telephone_event(Some(payload_type)),
            rtp: self.rtp,
            rtcp: self.rtcp,
            flow: mirrored(self.flow()),
            crypto,
        })
    }
}

/// The same stream seen from the other side.
fn mirrored(flow: Flow) -> Flow {
    flow_of(flow.receives(), flow.sends())
}

fn flow_of(sends: bool, receives: bool) -> Flow {
    match (sends, receives) {
        (true, true) => Flow::SendRecv,
        (true, false) => Flow::SendOnly,
        (false, true) => Flow::RecvOnly,
        (false, false) => Flow::Inactive,
    }
}

fn direction(flow: Flow) -> &'static str {
    match flow {
        Flow::SendRecv => "a=sendrecv",
        Flow::SendOnly => "a=sendonly",
        Flow::RecvOnly => "a=recvonly",
        Flow::Inactive => "a=inactive",
    }
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push_str("\r\n");
}

/// A peer's words, fit to stand in a line of ours.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn head(address: IpAddr, session: SessionId, (start, stop): (u64, u64)) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let SessionId { id, version } = session;
    format!("v=0\r\no=- {id} {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt={start} {stop}\r\n")
}

/// The payload types of a line of ours.
struct Formats<'a> {
    codecs: &'a [(u8, Codec)],
    event: Option<TelephoneEvent>,
}

impl Formats<'_> {
    fn write(&self, text: &mut String, port: u16, profile: &str) {
        let mut first = format!("m=audio {port} {profile}");
        let mut maps = String::new();
        for (payload_type, codec) in self.codecs {
            // Writing to a String cannot fail.
            let _ = write!(first, " {payload_type}");
            line(&mut maps, &format!("a=rtpmap:{payload_type} {}/{}", codec.name(), codec.clock_rate()));
        }
        if let Some(TelephoneEvent { payload_type, clock_rate }) = self.event {
            let _ = write!(first, " {payload_type}");
            line(&mut maps, &format!("a=rtpmap:{payload_type} telephone-event/{clock_rate}"));
            line(&mut maps, &format!("a=fmtp:{payload_type} 0-15"));
        }
        line(text, &first);
        text.push_str(&maps);
    }
}

fn write_crypto(text: &mut String, tag: u32, suite: SrtpSuite, key: &SrtpKey) {
    line(text, &format!("a=crypto:{tag} {} inline:{}", suite.name(), BASE64.encode(key.0)));
}

#[cfg(test)]
mod tests;
