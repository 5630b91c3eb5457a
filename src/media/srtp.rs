//! SDES-SRTP (RFC 3711, RFC 4568): AES_CM_128 with HMAC-SHA1 of 80 or 32 bits.
//!
//! Keys come from signalling. Key lifetimes, MKI and other suites are left out: we never offer them.

use std::collections::VecDeque;

use libsrtp::{MasterKey, ProtectionProfile, RecvSession, SendSession, StreamConfig};

use crate::model::{Srtp, SrtpKey, SrtpSuite};

/// Room that a protected packet may need beyond the plain one: the tag, and the index of SRTCP.
pub const OVERHEAD: usize = 16;

/// Why a packet was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Wrong key, altered, repeated or no SRTP at all.
    #[error("the packet is not authentic")]
    NotAuthentic,
    /// Our own packet could not be protected; it must not be sent in clear.
    #[error("the packet could not be encrypted")]
    NotProtected,
}

/// Encrypts what we send and decrypts what we receive, in place.
///
/// On an error the packet is unusable and must be dropped.
pub trait Protection: Send {
    /// Encrypts an RTP packet.
    fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError>;
    /// Encrypts an RTCP packet.
    fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError>;
    /// Authenticates and decrypts an RTP packet; a repeated one is refused.
    fn unprotect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError>;
    /// Authenticates and decrypts an RTCP packet; a repeated one is refused.
    fn unprotect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError>;
}

/// The protection that `srtp` names.
pub fn protection(srtp: &Srtp) -> Result<Box<dyn Protection>, SrtpError> {
    let mut send = SendSession::new();
    let mut receive = RecvSession::new();
    send.add_stream(None, &config(srtp.suite, &srtp.local)).map_err(|_| SrtpError::NotProtected)?;
    receive.add_stream(None, &config(srtp.suite, &srtp.remote)).map_err(|_| SrtpError::NotProtected)?;
    Ok(Box::new(Sdes { send, receive, known: VecDeque::with_capacity(MOST_STREAMS + 1) }))
}

/// The library keeps state for each SSRC that has proved authentic; of more than so many the oldest is forgotten.
const MOST_STREAMS: usize = 8;

struct Sdes {
    send: SendSession,
    receive: RecvSession,
    known: VecDeque<u32>,
}

impl Sdes {
    /// Remembers the SSRC that stands at `offset` of an authentic packet.
    fn remember(&mut self, packet: &[u8], offset: usize) {
        let Some(ssrc) = packet.get(offset..).and_then(|rest| rest.first_chunk()).copied().map(u32::from_be_bytes)
        else {
            return;
        };
        if self.known.contains(&ssrc) {
            return;
        }
        self.known.push_back(ssrc);
        if self.known.len() > MOST_STREAMS
            && let Some(oldest) = self.known.pop_front()
        {
            // It is there, and if it were not, all the better.
            let _ = self.receive.remove_stream(oldest);
        }
    }
}

/// SRTCP always carries the 80-bit tag (RFC 4568 section 6.2).
fn config(suite: SrtpSuite, key: &SrtpKey) -> StreamConfig {
    let rtp = match suite {
        SrtpSuite::Aes128Sha1_80 => ProtectionProfile::Aes128CmHmacSha180,
        SrtpSuite::Aes128Sha1_32 => ProtectionProfile::Aes128CmHmacSha132,
    };
    let (key, salt) = key.0.split_at(16);
    StreamConfig::new(vec![MasterKey::new(key, salt, &None)], &rtp, &ProtectionProfile::Aes128CmHmacSha180)
}

/// The library takes a packet and gives it back: the same allocation, unless it fails.
fn in_place(
    packet: &mut Vec<u8>,
    transform: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, libsrtp::SrtpError>,
    error: SrtpError,
) -> Result<(), SrtpError> {
    *packet = transform(std::mem::take(packet)).map_err(|_| error)?;
    Ok(())
}

impl Protection for Sdes {
    fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        in_place(packet, |p| self.send.rtp_protect(p), SrtpError::NotProtected)
    }

    fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        in_place(packet, |p| self.send.rtcp_protect(p), SrtpError::NotProtected)
    }

    fn unprotect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        in_place(packet, |p| self.receive.rtp_unprotect(p), SrtpError::NotAuthentic)?;
        self.remember(packet, 8);
        Ok(())
    }

    fn unprotect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        in_place(packet, |p| self.receive.rtcp_unprotect(p), SrtpError::NotAuthentic)?;
        self.remember(packet, 4);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtp::Numbering;
    use proptest::prelude::*;
    use ring::hmac;

    const KEY: [u8; 30] = [
        0xE1, 0xF9, 0x7A, 0x0D, 0x3E, 0x01, 0x8B, 0xE0, 0xD6, 0x4F, 0xA3, 0x2C, 0x06, 0xDE, 0x41, 0x39, 0x0E, 0xC6,
        0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6,
    ];

    fn pair(suite: SrtpSuite) -> (Box<dyn Protection>, Box<dyn Protection>) {
        let (a, b) = (SrtpKey(KEY), SrtpKey([9; 30]));
        let ours = Srtp { suite, local: a.clone(), remote: b.clone() };
        let theirs = Srtp { suite, local: b, remote: a };
        (protection(&ours).unwrap(), protection(&theirs).unwrap())
    }

    fn packet(numbering: &mut Numbering) -> Vec<u8> {
        let mut packet = vec![0xab; 32];
        numbering.stamp(&mut packet, 0, false, 77);
        packet
    }

    /// RFC 3711 appendix B.3 gives the session keys of this master key: the tag must be made with that HMAC key.
    #[test]
    fn the_tag_is_made_with_the_session_key_of_rfc_3711() {
        let auth_key = [
            0xCE, 0xBE, 0x32, 0x1F, 0x6F, 0xF7, 0x71, 0x6B, 0x6F, 0xD4, 0xAB, 0x49, 0xAF, 0x25, 0x6A, 0x15, 0x6D, 0x38,
            0xBA, 0xA4,
        ];
        for (suite, tag) in [(SrtpSuite::Aes128Sha1_80, 10), (SrtpSuite::Aes128Sha1_32, 4)] {
            let mut sealed = packet(&mut Numbering::new(0xcafe_babe, 0x1234, 0));
            let plain = sealed.clone();
            pair(suite).0.protect_rtp(&mut sealed).unwrap();
            assert_eq!(sealed.len(), plain.len() + tag);
            assert_eq!(sealed[..12], plain[..12]);
            assert_ne!(sealed[12..32], plain[12..32]);
            // The authenticated part is the packet and the rollover counter, here 0 (section 4.2).
            let mut signed = sealed[..32].to_vec();
            signed.extend([0; 4]);
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth_key);
            assert_eq!(hmac::sign(&key, &signed).as_ref()[..tag], sealed[32..]);
        }
    }

    #[test]
    fn packets_pass_over_a_rollover_and_repeats_are_refused() {
        for suite in [SrtpSuite::Aes128Sha1_80, SrtpSuite::Aes128Sha1_32] {
            let (mut ours, mut theirs) = pair(suite);
            let mut numbering = Numbering::new(1, 65_000, 0);
            for _ in 0..1_500 {
                let plain = packet(&mut numbering);
                let mut wire = plain.clone();
                ours.protect_rtp(&mut wire).unwrap();
                let repeat = wire.clone();
                theirs.unprotect_rtp(&mut wire).unwrap();
                assert_eq!(wire, plain);
                assert_eq!(theirs.unprotect_rtp(&mut repeat.clone()), Err(SrtpError::NotAuthentic));
            }
        }
    }

    #[test]
    fn a_peer_with_many_streams_is_understood_and_the_oldest_forgotten() {
        let (mut ours, mut theirs) = pair(SrtpSuite::Aes128Sha1_80);
        let sealed: Vec<_> = (0..=MOST_STREAMS as u32)
            .map(|ssrc| {
                let mut wire = packet(&mut Numbering::new(ssrc, 1, 0));
                ours.protect_rtp(&mut wire).unwrap();
                wire
            })
            .collect();
        for wire in &sealed {
            theirs.unprotect_rtp(&mut wire.clone()).unwrap();
        }
        let repeats = sealed.iter().rev().map(|wire| theirs.unprotect_rtp(&mut wire.clone()).is_err());
        assert_eq!(repeats.filter(|refused| *refused).count(), MOST_STREAMS);
    }

    #[test]
    fn an_altered_packet_is_refused() {
        let (mut ours, mut theirs) = pair(SrtpSuite::Aes128Sha1_32);
        let mut wire = packet(&mut Numbering::new(1, 1, 0));
        ours.protect_rtp(&mut wire).unwrap();
        for at in [1, 11, 20, wire.len() - 1] {
            let mut altered = wire.clone();
            altered[at] ^= 1;
            assert_eq!(theirs.unprotect_rtp(&mut altered), Err(SrtpError::NotAuthentic), "byte {at}");
        }
        theirs.unprotect_rtp(&mut wire).unwrap();
    }

    #[test]
    fn control_packets_pass_once() {
        let (mut ours, mut theirs) = pair(SrtpSuite::Aes128Sha1_32);
        let plain = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        let mut wire = plain.clone();
        ours.protect_rtcp(&mut wire).unwrap();
        assert_eq!(wire.len(), plain.len() + 14);
        let mut repeat = wire.clone();
        theirs.unprotect_rtcp(&mut wire).unwrap();
        assert_eq!(wire, plain);
        assert!(theirs.unprotect_rtcp(&mut repeat).is_err());
        assert!(theirs.unprotect_rtcp(&mut plain.clone()).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(first) = bytes.first_mut() {
                *first = 0x80 | (*first & 0x3f);
            }
            let (_, mut theirs) = pair(SrtpSuite::Aes128Sha1_80);
            prop_assert!(theirs.unprotect_rtp(&mut bytes.clone()).is_err());
            prop_assert!(theirs.unprotect_rtcp(&mut bytes).is_err());
        }
    }
}
