//! A stream that is one leg of two: what its peer says goes to the other leg's peer, at once instead of with the next
//! tick.
//!
//! The tick keeps what is this leg's own: a playback and pressed digits, which go before what is relayed, and silence
//! where nothing is. Only the peer's own audio is relayed: valid, from its locked source, in its negotiated codec, once.

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::{Desk, MOST_PER_TICK, Stream, ticks};
use crate::clock::Now;
use crate::media::convert::Conversion;
use crate::media::pacer::Key;
use crate::media::rtp::{self, HEADER};
use crate::media::timeline::{Place, Reached, Timeline};
use crate::model::Codec;

/// So long nothing is relayed before silence is sent instead.
const PATIENCE: Duration = Duration::from_millis(100);
/// A longer payload is not relayed: 150 ms in all our codecs, where 60 is the longest that we agree on.
pub(super) const LONGEST_RELAYED: usize = 1_200;
/// More packets missing than this, and there has been a pause rather than loss.
const MOST_MISSING: u16 = 50;

/// A packet of a peer's audio, in [`Desk::inbox`].
pub struct Heard {
    pub codec: Codec,
    pub payload: Range<usize>,
    pub timestamp: u32,
    pub marker: bool,
    /// Packets lost right before it.
    pub missing: u16,
}

/// What a leg needs for being told by the other.
pub(super) struct Relay {
    /// This leg.
    key: Key,
    /// The other.
    other: Key,
    timeline: Timeline,
    conversion: Option<Conversion>,
    /// For so long nothing has been relayed.
    idle: Duration,
    /// Ticks of the clock that passed without a packet.
    behind: u32,
    /// Whether silence has been sent since the last packet that was relayed.
    filled: bool,
    /// So many datagrams may be read until the next tick.
    budget: usize,
}

impl Relay {
    fn new(key: Key, other: Key) -> Relay {
        Relay {
            key,
            other,
            timeline: Timeline::default(),
            conversion: None,
            idle: PATIENCE,
            behind: 0,
            filled: true,
            budget: MOST_PER_TICK,
        }
    }

    /// Whether the tick may leave this packet time to what is relayed.
    pub fn covers(&mut self, ptime: Duration) -> bool {
        self.idle = self.idle.saturating_add(ptime);
        let covered = self.idle <= PATIENCE;
        if covered {
            self.behind = self.behind.wrapping_add(ticks(ptime) as u32);
        }
        covered
    }

    /// The tick sends something: silence, or what goes before all that is relayed. Gives the ticks of the clock by which
    /// it comes later than the last packet's end.
    pub fn interrupt(&mut self, playback: bool) -> u32 {
        self.filled = true;
        if playback {
            self.timeline.forget();
            self.idle = PATIENCE;
        }
        std::mem::take(&mut self.behind)
    }
}

impl Stream {
    /// Becomes one leg, named `key`, of two.
    pub fn join(&mut self, key: Key, other: Key, desk: &mut Desk) -> io::Result<()> {
        desk.readiness.add(&self.sockets.rtp, key)?;
        self.relay = Some(Relay::new(key, other));
        Ok(())
    }

    /// Is a call of its own again. Who the other leg was.
    pub fn part(&mut self, desk: &mut Desk) -> Option<Key> {
        let relay = self.relay.take()?;
        desk.readiness.remove(&self.sockets.rtp);
        self.numbering.timestamp = self.numbering.timestamp.wrapping_add(relay.behind);
        if let Some(talk) = &mut self.talk {
            talk.quiet = 0;
        }
        Some(relay.other)
    }

    /// The other leg, if there is one.
    pub fn other(&self) -> Option<Key> {
        self.relay.as_ref().map(|relay| relay.other)
    }

    /// A tick: as many datagrams as in a tick of any call may be read again.
    pub(super) fn refill(&mut self, desk: &Desk) {
        if let (Some(relay), Some(_)) = (&mut self.relay, &self.talk) {
            if relay.budget == 0 {
                desk.readiness.resume(&self.sockets.rtp, relay.key);
            }
            relay.budget = MOST_PER_TICK;
        }
    }

    /// Reads one datagram. If it is audio of the peer: for whom, and what.
    pub fn hear(&mut self, now: Now, desk: &mut Desk) -> Option<(Key, Heard)> {
        let relay = self.relay.as_mut()?;
        relay.budget = if self.talk.is_some() { relay.budget.saturating_sub(1) } else { 0 };
        let (other, exhausted) = (relay.other, relay.budget == 0);
        if exhausted {
            desk.readiness.pause(&self.sockets.rtp, relay.key);
        }
        let talk = self.talk.as_ref()?;
        let allowed = talk.plan.flow.receives();
        let datagram = desk.inbox.receive(&self.sockets.rtp, now)?;
        if rtp::is_rtcp(&desk.inbox.data) {
            self.control(datagram, desk);
            return None;
        }
        let heard = self.packet(datagram, desk)?;
        allowed.then_some((other, heard))
    }

    /// Says to this leg's peer what the other's has said.
    pub fn pass_on(&mut self, heard: &Heard, desk: &mut Desk) {
        let own = self.speaks();
        let (Some(talk), Some(relay)) = (&mut self.talk, &mut self.relay) else { return };
        if own || !talk.plan.flow.sends() {
            return relay.timeline.forget();
        }
        let Some(payload) = desk.inbox.data.get(heard.payload.clone()) else { return };
        if payload.is_empty() || payload.len() > LONGEST_RELAYED {
            return;
        }
        let sent = self.numbering.timestamp;
        let reached = Reached { sent, now: sent.wrapping_add(relay.behind), filled: relay.filled };
        let timestamp = match relay.timeline.place(heard.timestamp, heard.marker, reached) {
            Place::Late => return,
            Place::Anew(timestamp) => {
                talk.marker |= timestamp != sent;
                timestamp
            }
            Place::Here(timestamp) => {
                // What was lost before it came to us shows as lost to the one who has to conceal it.
                if !relay.filled && heard.missing <= MOST_MISSING {
                    self.numbering.sequence = self.numbering.sequence.wrapping_add(heard.missing);
                }
                timestamp
            }
        };
        let packet = &mut desk.packet;
        packet.clear();
        packet.resize(HEADER, 0);
        if heard.codec == talk.plan.codec {
            packet.extend_from_slice(payload);
        } else {
            packet.resize(HEADER + payload.len(), 0);
            if !relay.conversion.as_ref().is_some_and(|known| known.joins(heard.codec, talk.plan.codec)) {
                relay.conversion = Conversion::new(heard.codec, talk.plan.codec);
            }
            if let Some(conversion) = &mut relay.conversion {
                conversion.convert(payload, &mut packet[HEADER..]);
            }
        }
        let marker = heard.marker | relay.filled | std::mem::take(&mut talk.marker);
        self.numbering.stamp(packet, talk.plan.payload_type, marker, timestamp);
        self.numbering.timestamp = timestamp.wrapping_add(payload.len() as u32);
        (relay.idle, relay.behind, relay.filled) = (Duration::ZERO, 0, false);
        self.dispatch(desk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    #[test]
    fn the_tick_waits_for_what_is_relayed_but_not_for_long() {
        let mut relay = Relay::new(1, 2);
        assert!(!relay.covers(FRAME), "nothing has been relayed yet");
        (relay.idle, relay.filled) = (Duration::ZERO, false);
        assert_eq!((0..10).filter(|_| relay.covers(FRAME)).count(), 5);
        assert_eq!((relay.interrupt(false), relay.filled), (5 * 160, true));
        assert_eq!(relay.interrupt(false), 0);
    }

    #[test]
    fn a_playback_goes_first_and_then_silence_until_something_is_relayed() {
        let mut relay = Relay::new(1, 2);
        relay.idle = Duration::ZERO;
        assert!(relay.covers(FRAME));
        assert_eq!(relay.interrupt(true), 160);
        assert!(!relay.covers(FRAME));
    }
}
