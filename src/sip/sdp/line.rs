//! One audio line as its author describes it: payload types, addresses, direction and keys, read from `m=` and its `a=`.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sdp_types::{Attribute, Media, Session};

use super::{SdpError, flow_of};
use crate::model::{Codec, Flow, SrtpKey, SrtpSuite, TelephoneEvent};

/// Payload types and crypto lines considered per media line; further ones are not looked at.
const MOST_CHOICES: usize = 64;

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Audio(Codec),
    Event { clock_rate: u32 },
}

/// An `a=crypto` that we can speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crypto {
    pub(super) tag: u32,
    pub(super) suite: SrtpSuite,
    pub(super) key: SrtpKey,
}

/// An audio line as its author describes it.
#[derive(Debug)]
pub(super) struct Line {
    /// In the author's order; what we do not speak is left out.
    pub(super) formats: Vec<(u8, Format)>,
    pub(super) ptime_ms: u8,
    pub(super) rtp: SocketAddr,
    pub(super) rtcp: SocketAddr,
    /// As written, so from the author's side.
    pub(super) direction: Flow,
    pub(super) secure: bool,
    pub(super) crypto: Vec<Crypto>,
}

impl Line {
    pub(super) fn read(session: &Session, media: &Media) -> Result<Line, SdpError> {
        let secure = match media.proto.to_ascii_uppercase().as_str() {
            "RTP/AVP" => false,
            "RTP/SAVP" => true,
            _ => return Err(SdpError::Profile),
        };
        let connection = media.connections.first().or(session.connection.as_ref()).ok_or(SdpError::Address)?;
        let ip = connection.try_address().map_err(|_| SdpError::Address)?.ip;
        let rtp = SocketAddr::new(unicast(ip)?, media.port);
        let direction =
            read_direction(&media.attributes).or_else(|| read_direction(&session.attributes)).unwrap_or_default();
        let crypto = values(media, "crypto").filter_map(Crypto::parse).take(MOST_CHOICES).collect();
        Ok(Line {
            formats: read_formats(media),
            ptime_ms: read_ptime(media),
            rtp,
            rtcp: read_rtcp(media, rtp)?,
            direction,
            secure,
            crypto,
        })
    }

    /// The author's first choice among those that are ours.
    pub(super) fn codec(&self, ours: impl Fn(Codec) -> bool) -> Option<(u8, Codec)> {
        self.formats.iter().find_map(|(payload_type, format)| match format {
            Format::Audio(codec) if ours(*codec) => Some((*payload_type, *codec)),
            Format::Audio(_) | Format::Event { .. } => None,
        })
    }

    /// The event that runs on the audio's clock (RFC 4733 section 2.1 wants them equal), else the first.
    pub(super) fn telephone_event(&self, audio: Option<u8>) -> Option<TelephoneEvent> {
        let events = || {
            self.formats.iter().filter_map(|(payload_type, format)| match format {
                Format::Event { clock_rate } if Some(*payload_type) != audio => {
                    Some(TelephoneEvent { payload_type: *payload_type, clock_rate: *clock_rate })
                }
                Format::Event { .. } | Format::Audio(_) => None,
            })
        };
        events().find(|event| event.clock_rate == 8_000).or_else(|| events().next())
    }

    /// The author's direction; an address of zeros is the old way to say "do not send to me" (RFC 3264 section 8.4).
    pub(super) fn flow(&self) -> Flow {
        if self.rtp.ip().is_unspecified() { flow_of(self.direction.sends(), false) } else { self.direction }
    }

    pub(super) fn reachable_from(&self, ours: IpAddr) -> Result<(), SdpError> {
        let nowhere = self.rtp.ip().is_unspecified() || ours.is_unspecified();
        let reachable = self.rtp.is_ipv4() == ours.is_ipv4() || nowhere;
        if reachable { Ok(()) } else { Err(SdpError::Address) }
    }
}

impl Crypto {
    /// Reads `TAG SUITE inline:KEY[|LIFETIME][|MKI:LENGTH] [PARAMETERS]` (RFC 4568 section 9.1). A line with an MKI,
    /// with several keys or with a parameter that changes how packets are protected is not one that we speak.
    pub(super) fn parse(value: &str) -> Option<Crypto> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9 && tag.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
        let suite = words.next()?;
        let suite = [SrtpSuite::Aes128Sha1_80, SrtpSuite::Aes128Sha1_32]
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(suite))?;
        let (method, key) = words.next()?.split_once(':')?;
        if !method.eq_ignore_ascii_case("inline") {
            return None;
        }
        // A replay window's size is the receiver's own affair; the rest would change the packets.
        if words.any(|word| !word.to_ascii_uppercase().starts_with("WSH=")) {
            return None;
        }
        let mut parts = key.split('|');
        let key = BASE64.decode(parts.next()?).ok()?;
        let lifetime = |text: &str| {
            let digits = text.strip_prefix("2^").unwrap_or(text);
            !digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit())
        };
        if !parts.next().is_none_or(lifetime) || parts.next().is_some() {
            return None;
        }
        Some(Crypto { tag, suite, key: SrtpKey(key.try_into().ok()?) })
    }
}

fn values<'a>(media: &'a Media, name: &str) -> impl Iterator<Item = &'a str> {
    media.attributes.iter().filter(move |a| a.attribute.eq_ignore_ascii_case(name)).filter_map(|a| a.value.as_deref())
}

fn read_direction(attributes: &[Attribute]) -> Option<Flow> {
    attributes.iter().find_map(|a| match a.attribute.to_ascii_lowercase().as_str() {
        "sendrecv" => Some(Flow::SendRecv),
        "sendonly" => Some(Flow::SendOnly),
        "recvonly" => Some(Flow::RecvOnly),
        "inactive" => Some(Flow::Inactive),
        _ => None,
    })
}

/// The payload types in the author's order with what we make of them: by `a=rtpmap`, else by RFC 3551's table.
fn read_formats(media: &Media) -> Vec<(u8, Format)> {
    let maps: Vec<(u8, &str)> = values(media, "rtpmap")
        .filter_map(|value| {
            let (payload_type, encoding) = value.trim().split_once(' ')?;
            Some((payload_type.parse().ok()?, encoding.trim()))
        })
        .take(2 * MOST_CHOICES)
        .collect();
    let mut formats: Vec<(u8, Format)> = Vec::new();
    for payload_type in media.fmt.split_ascii_whitespace().take(MOST_CHOICES) {
        let Some(payload_type) = payload_type.parse::<u8>().ok().filter(|pt| *pt < 128) else { continue };
        let mut encodings = maps.iter().filter(|(mapped, _)| *mapped == payload_type).map(|(_, encoding)| *encoding);
        let format = match (encodings.next(), encodings.next()) {
            (None, _) => Codec::ALL.into_iter().find(|codec| codec.payload_type() == payload_type).map(Format::Audio),
            (Some(encoding), None) => read_encoding(encoding),
            // Two meanings for one number: neither can be told from the other in a packet.
            (Some(one), Some(other)) if one.eq_ignore_ascii_case(other) => read_encoding(one),
            (Some(_), Some(_)) => None,
        };
        if let Some(format) = format
            && !formats.iter().any(|(known, _)| *known == payload_type)
        {
            formats.push((payload_type, format));
        }
    }
    formats
}

/// `NAME/CLOCK[/CHANNELS]`
fn read_encoding(encoding: &str) -> Option<Format> {
    let mut parts = encoding.split('/');
    let name = parts.next()?;
    let clock_rate: u32 = parts.next()?.parse().ok()?;
    if parts.next().is_some_and(|channels| channels != "1") {
        return None;
    }
    if name.eq_ignore_ascii_case("telephone-event") {
        return (1_000..=192_000).contains(&clock_rate).then_some(Format::Event { clock_rate });
    }
    Codec::ALL
        .into_iter()
        .find(|codec| codec.name().eq_ignore_ascii_case(name) && codec.clock_rate() == clock_rate)
        .map(Format::Audio)
}

/// Packet time in whole tens of ms: what is asked for, no more than `maxptime`, between 10 and 60; else 20.
fn read_ptime(media: &Media) -> u8 {
    // Some write a fraction.
    let read = |name| values(media, name).find_map(|v| v.trim().split('.').next()?.parse::<u32>().ok());
    let wanted = read("ptime").filter(|ms| *ms > 0).unwrap_or(20);
    let most = read("maxptime").filter(|ms| *ms > 0).unwrap_or(60);
    let tens = wanted.min(most).clamp(10, 60) / 10;
    u8::try_from(tens * 10).unwrap_or(20)
}

/// `a=rtcp:PORT [IN IP4 ADDRESS]` (RFC 3605), else the next port.
fn read_rtcp(media: &Media, rtp: SocketAddr) -> Result<SocketAddr, SdpError> {
    let next = SocketAddr::new(rtp.ip(), rtp.port().checked_add(1).unwrap_or(rtp.port()));
    let Some(value) = values(media, "rtcp").next() else { return Ok(next) };
    let mut words = value.split_ascii_whitespace();
    let Some(port) = words.next().and_then(|port| port.parse::<u16>().ok()).filter(|port| *port != 0) else {
        return Ok(next);
    };
    match words.nth(2) {
        None => Ok(SocketAddr::new(rtp.ip(), port)),
        // Reports are no reason to lose a call: a name, or a family that RTP does not use, falls back.
        Some(address) => match address.parse::<IpAddr>() {
            Ok(ip) if ip.is_ipv4() == rtp.is_ipv4() => Ok(SocketAddr::new(unicast(ip)?, port)),
            _ => Ok(next),
        },
    }
}

/// One host's address; nobody may make us send to many.
fn unicast(ip: IpAddr) -> Result<IpAddr, SdpError> {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if ip.is_multicast() || broadcast { Err(SdpError::Address) } else { Ok(ip) }
}
