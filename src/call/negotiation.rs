//! Our side of offer and answer (RFC 3264) through a whole call.

use ring::rand::{SecureRandom, SystemRandom};

use crate::clock::Now;
use crate::model::{LocalMedia, MediaPlan, SrtpKey};
use crate::sip::sdp::{self, SdpError, SessionId};

/// What we can do and what we last said, kept for the next round.
#[derive(Debug)]
pub struct Negotiation {
    local: LocalMedia,
    /// Drawn when the peer first wants one.
    key: Option<SrtpKey>,
    id: SessionId,
    sent: String,
}

impl Negotiation {
    /// Before the first word.
    pub fn new(local: LocalMedia, now: Now) -> Negotiation {
        let id = SessionId { id: u64::try_from(now.wall.as_microsecond()).unwrap_or(0), version: 1 };
        Negotiation { local, key: None, id, sent: String::new() }
    }

    /// The last description that we made.
    pub fn sent(&self) -> &str {
        &self.sent
    }

    /// Answers the peer's offer. The version rises only when what we say changes (RFC 3264 section 8).
    ///
    /// # Errors
    /// The offer cannot be answered; what was agreed before stands.
    pub fn answer(&mut self, offer: &str) -> Result<MediaPlan, SdpError> {
        let mut key = || self.key.get_or_insert_with(random_key).clone();
        let (mut text, mut plan) = sdp::answer(offer, &self.local, &mut key, self.id)?;
        if !self.sent.is_empty() && text != self.sent {
            self.id = self.id.changed();
            (text, plan) = sdp::answer(offer, &self.local, &mut key, self.id)?;
        }
        self.sent = text;
        Ok(plan)
    }

    /// Offers what we can, for a peer that leaves the first word to us.
    pub fn offer(&mut self) {
        if !self.sent.is_empty() {
            self.id = self.id.changed();
        }
        // Each suite has a key of its own (RFC 4568 section 6.1).
        self.sent = sdp::offer(&self.local, self.id, random_key);
    }

    /// What the peer's answer makes of our last offer.
    ///
    /// # Errors
    /// The answer does not fit the offer.
    pub fn accept_answer(&self, answer: &str) -> Result<MediaPlan, SdpError> {
        sdp::accept_answer(&self.sent, answer)
    }
}

/// A fresh SRTP master key and salt.
pub fn random_key() -> SrtpKey {
    let mut key = [0; 30];
    // The kernel's generator fails only before it is seeded, long before a call can come; a call under a guessable key
    // must not begin, and a panic ends that call alone.
    SystemRandom::new().fill(&mut key).expect("the kernel gives random numbers");
    SrtpKey(key)
}
