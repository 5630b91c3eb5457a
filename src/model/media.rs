//! What signalling negotiated for media, in plain types: `sip` writes them, `media` obeys them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Digit;

/// An audio codec that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0 (RFC 3551).
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722, static payload type 9: 16 kHz audio on an 8 kHz RTP clock (RFC 3551 section 4.5.2).
    G722,
}

impl Codec {
    /// All codecs, in our order of preference.
    pub const ALL: [Codec; 3] = [Codec::G722, Codec::Pcmu, Codec::Pcma];

    /// Its name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
        }
    }

    /// Its static RTP payload type.
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
        }
    }

    /// The sampling rate of its audio, in Hz.
    pub fn sample_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8_000,
            Codec::G722 => 16_000,
        }
    }

    /// Its RTP clock, in Hz.
    pub fn clock_rate(self) -> u32 {
        8_000
    }

    /// Bytes of payload for a millisecond: all three run at 64 kbit/s.
    pub fn bytes_per_ms(self) -> usize {
        8
    }
}

/// RFC 4733 telephone-event as negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The payload type that the peer wants to see and sends.
    pub payload_type: u8,
    /// Its clock, in Hz.
    pub clock_rate: u32,
}

/// An SRTP protection profile (RFC 4568 section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpSuite {
    /// AES_CM_128_HMAC_SHA1_80
    Aes128Sha1_80,
    /// AES_CM_128_HMAC_SHA1_32
    Aes128Sha1_32,
}

impl SrtpSuite {
    /// Its name in `a=crypto`.
    pub fn name(self) -> &'static str {
        match self {
            SrtpSuite::Aes128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            SrtpSuite::Aes128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }
}

/// A master key and salt: 16 + 14 bytes. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKey(pub [u8; 30]);

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

/// Both directions' keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srtp {
    /// The protection profile.
    pub suite: SrtpSuite,
    /// What we send under.
    pub local: SrtpKey,
    /// What the peer sends under.
    pub remote: SrtpKey,
}

/// Whether a trunk's media is encrypted; the later, the stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SrtpPolicy {
    /// Never.
    #[default]
    Off,
    /// Where the peer offers it.
    Optional,
    /// Or no call.
    Required,
}

/// Which way audio flows, as seen from us (RFC 3264 section 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send, the peer does not.
    SendOnly,
    /// The peer sends, we do not: we are on hold.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Flow {
    /// Whether we send audio.
    pub fn sends(self) -> bool {
        matches!(self, Flow::SendRecv | Flow::SendOnly)
    }

    /// Whether we are sent audio.
    pub fn receives(self) -> bool {
        matches!(self, Flow::SendRecv | Flow::RecvOnly)
    }
}

/// What our side can do, for an offer or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address that the peer shall send to.
    pub address: IpAddr,
    /// The RTP port that the peer shall send to; RTCP is the next one.
    pub port: u16,
    /// In order of preference.
    pub codecs: Vec<Codec>,
    /// Whether the trunk wants SRTP.
    pub srtp: SrtpPolicy,
}

/// What both sides agreed on: all that `media` needs to speak to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlan {
    /// The one audio codec.
    pub codec: Codec,
    /// Its RTP payload type in this session.
    pub payload_type: u8,
    /// Packet time in ms as the peer wants it, 10 to 60.
    pub ptime_ms: u8,
    /// Digits as events, if the peer offers them; else they are listened for in the audio.
    pub telephone_event: Option<TelephoneEvent>,
    /// Where to send RTP.
    pub remote_rtp: SocketAddr,
    /// Where to send RTCP.
    pub remote_rtcp: SocketAddr,
    /// Which way audio flows.
    pub flow: Flow,
    /// Keys, if encrypted.
    pub srtp: Option<Srtp>,
}

/// How a digit came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitSource {
    /// An RFC 4733 telephone-event.
    Event,
    /// A tone in the audio.
    Tone,
    /// A SIP INFO.
    Info,
}

/// One digit, pressed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// Which.
    pub digit: Digit,
    /// How it came first.
    pub source: DigitSource,
}

/// How a call sounded: from RTCP and our own counting.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MediaQuality {
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets received.
    pub received: u64,
    /// Packets that the caller sent and we did not get.
    pub lost: u64,
    /// Packets that we sent and the caller reports as lost.
    pub remote_lost: u64,
    /// Interarrival jitter (RFC 3550 section 6.4.1), in ms.
    pub jitter_ms: f32,
    /// Round trip by RTCP, in ms, where the peer's reports allow it.
    pub round_trip_ms: Option<f32>,
    /// Mean opinion score, 1 to 4.5, estimated by the E-model (ITU-T G.107).
    pub mos: Option<f32>,
}
