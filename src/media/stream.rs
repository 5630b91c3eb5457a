//! One call's media as the pacer holds it: what is sent at each tick, and what is made of what comes.

mod relay;
mod report;

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::counters::Counters;
use super::dialer::Dialer;
use super::digits::Digits;
use super::jitter::{Reception, Standing};
use super::player::Player;
use super::ports::Lease;
use super::prompt::Prompt;
use super::readiness::Readiness;
use super::recording::Recorder;
use super::rtp::{self, HEADER, Numbering, Packet};
use super::schedule::Grid;
use super::source::{Source, Verdict};
use super::srtp::{self, OVERHEAD, Protection};
use super::wire::{Datagram, Inbox};
use super::{MediaEvent, rtcp};
use crate::clock::Now;
use crate::model::{Digit, DigitSource, MediaPlan, Pressed};
use relay::{Heard, LONGEST_RELAYED, Relay};
use report::Told;

/// After a delay so many packets are sent at once to catch up; older ones are skipped.
const BURST: u64 = 3;
/// So many packets of one call are read in a tick; more wait in the kernel, which drops what it cannot hold.
const MOST_PER_TICK: usize = 32;

/// After so many ticks in which nothing came the peer counts as quiet and is asked only now and then: asking in vain
/// costs a good part of what sending does, and whoever is quiet (voice activity detection, a test caller) mostly stays so.
const QUIET_AFTER: u32 = 10;
/// A quiet peer is asked at every so manieth pair of points: what ends its silence is noticed up to 80 ms later.
const QUIET_EVERY: u64 = 4;

/// What all calls share while they are served one after the other.
pub(super) struct Desk {
    pub inbox: Inbox,
    pub packet: Vec<u8>,
    pub samples: Vec<i16>,
    pub counters: Arc<Counters>,
    pub readiness: Readiness,
}

/// The pair of sockets.
pub(super) struct Sockets {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
}

pub(super) struct Stream {
    sockets: Sockets,
    _lease: Lease,
    events: mpsc::Sender<MediaEvent>,
    silence_timeout: Duration,
    cname: String,
    numbering: Numbering,
    reception: Reception,
    told: Told,
    digits: Digits,
    pub player: Player,
    dialer: Dialer,
    /// Digits as tones, for a peer without events.
    tones: Player,
    pub recorder: Option<Recorder>,
    talk: Option<Talk>,
    relay: Option<Relay>,
}

/// What is agreed with the peer, and what goes with it.
struct Talk {
    plan: MediaPlan,
    ptime: Duration,
    /// Points of the grid from packet to packet.
    steps: u64,
    next: u64,
    marker: bool,
    event_timestamp: u32,
    protection: Option<Box<dyn Protection>>,
    source: Source,
    peer: u32,
    /// Ticks without a packet.
    quiet: u32,
    heard_at: Duration,
    silent: bool,
    report_at: Duration,
    reported: u64,
}

impl Stream {
    pub fn new(
        sockets: Sockets,
        lease: Lease,
        events: mpsc::Sender<MediaEvent>,
        silence_timeout: Duration,
        numbering: Numbering,
        cname: String,
    ) -> Stream {
        Stream {
            sockets,
            _lease: lease,
            events,
            silence_timeout,
            cname,
            numbering,
            reception: Reception::default(),
            told: Told::default(),
            digits: Digits::default(),
            player: Player::default(),
            dialer: Dialer::default(),
            tones: Player::default(),
            recorder: None,
            talk: None,
            relay: None,
        }
    }

    /// Begins, or goes on after a re-INVITE: numbering, playback and statistics continue; the lock on the peer's
    /// source and the SRTP state do unless its address or the keys are new.
    pub fn start(&mut self, plan: MediaPlan, grid: &Grid, now: Now, desk: &Desk) {
        let steps = u64::from(plan.ptime_ms / 10).clamp(1, 6);
        let before = self.talk.take();
        let (source, protection) = match before {
            Some(mut before) => {
                before.source.renegotiated(plan.remote_rtp, now.mono);
                let same = before.plan.srtp == plan.srtp;
                (before.source, before.protection.filter(|_| same))
            }
            None => (Source::new(plan.remote_rtp, now.mono), None),
        };
        let protection = match (protection, &plan.srtp) {
            (None, Some(keys)) => match srtp::protection(keys) {
                Ok(protection) => Some(protection),
                // Never in clear: a call without media ends as a silent one does.
                Err(_) => return self.announce(MediaEvent::Silent, desk),
            },
            (protection, _) => protection,
        };
        let [chance] = super::random();
        self.digits.listen(plan.telephone_event.is_none().then_some(plan.codec));
        if plan.telephone_event.is_none() {
            self.dialer.clear();
        }
        self.talk = Some(Talk {
            ptime: super::schedule::STEP * steps as u32,
            steps,
            next: grid.first_for(steps),
            marker: true,
            event_timestamp: 0,
            protection,
            source,
            peer: 0,
            quiet: 0,
            heard_at: now.mono,
            silent: false,
            report_at: now.mono + rtcp::interval(chance) / 2,
            reported: self.numbering.packets,
            plan,
        });
    }

    /// Whether it needs every point of the grid.
    pub fn fine(&self) -> bool {
        self.talk.as_ref().is_some_and(|talk| !talk.steps.is_multiple_of(2))
    }

    /// Sends what is due at `point`.
    pub fn send(&mut self, point: u64, desk: &mut Desk) {
        let Some(talk) = &mut self.talk else { return };
        let Some(behind) = point.checked_sub(talk.next) else { return };
        let due = behind / talk.steps + 1;
        let sends = talk.plan.flow.sends();
        let skip = if sends { due.saturating_sub(BURST) } else { due };
        talk.next += due * talk.steps;
        if skip > 0 {
            // The clock goes on where nothing is sent, and what follows begins a talkspurt (RFC 3551 section 4.1).
            let ticks = skip.wrapping_mul(ticks(talk.ptime));
            self.numbering.timestamp = self.numbering.timestamp.wrapping_add(ticks as u32);
            talk.marker = true;
            if sends {
                desk.counters.skipped.add(skip);
            }
        }
        for _ in skip..due {
            self.send_one(desk);
        }
    }

    fn send_one(&mut self, desk: &mut Desk) {
        let own = self.speaks();
        let Some(talk) = &mut self.talk else { return };
        if let Some(relay) = &mut self.relay {
            if !own && relay.covers(talk.ptime) {
                return;
            }
            let behind = relay.interrupt(own);
            self.numbering.timestamp = self.numbering.timestamp.wrapping_add(behind);
            talk.marker |= behind > 0;
        }
        let timestamp = self.numbering.timestamp;
        let frame = ticks(talk.ptime) as usize;
        let packet = &mut desk.packet;
        packet.clear();
        packet.resize(HEADER + frame, 0);
        let mut ended = None;
        let event =
            talk.plan.telephone_event.and_then(|kind| Some((kind, self.dialer.next(talk.ptime, kind.clock_rate)?)));
        if let Some((kind, event)) = event {
            if event.marker {
                talk.event_timestamp = timestamp;
            }
            packet.truncate(HEADER);
            packet.extend_from_slice(&event.payload);
            self.numbering.stamp(packet, kind.payload_type, event.marker, talk.event_timestamp);
        } else {
            let player = if self.tones.is_playing() { &mut self.tones } else { &mut self.player };
            ended = player.fill(talk.plan.codec, &mut packet[HEADER..]);
            self.numbering.stamp(packet, talk.plan.payload_type, std::mem::take(&mut talk.marker), timestamp);
        }
        self.numbering.timestamp = timestamp.wrapping_add(frame as u32);
        self.dispatch(desk);
        if let Some(id) = ended {
            self.announce(MediaEvent::PlayEnded(id), desk);
        }
    }

    /// Seals and sends the packet on the desk.
    fn dispatch(&mut self, desk: &mut Desk) {
        let Some(talk) = &mut self.talk else { return };
        let packet = &mut desk.packet;
        let sealed = talk.protection.as_mut().is_none_or(|protection| protection.protect_rtp(packet).is_ok());
        if sealed && self.sockets.rtp.send_to(packet, talk.source.target()).is_ok() {
            desk.counters.sent.add(1);
        } else {
            desk.counters.unsent.add(1);
        }
    }

    /// Whether there is something of this call's own to send: a playback, or digits.
    fn speaks(&self) -> bool {
        self.player.is_playing() || self.dialer.is_pressing() || self.tones.is_playing()
    }

    /// Takes in what has come on the RTP port. A bridged call has done so already.
    pub fn receive(&mut self, point: u64, now: Now, desk: &mut Desk) {
        if self.relay.is_some() {
            return self.refill(desk);
        }
        let Some(talk) = &mut self.talk else { return };
        let turn = (point / 2 + u64::from(self.numbering.ssrc)).is_multiple_of(QUIET_EVERY);
        if talk.quiet >= QUIET_AFTER && !turn {
            return;
        }
        talk.quiet = talk.quiet.saturating_add(1);
        let ptime = talk.ptime;
        for _ in 0..MOST_PER_TICK {
            let Some(datagram) = desk.inbox.receive(&self.sockets.rtp, now) else { break };
            if let Some(talk) = &mut self.talk {
                talk.quiet = 0;
            }
            if rtp::is_rtcp(&desk.inbox.data) {
                self.control(datagram, desk);
            } else {
                self.packet(datagram, desk);
            }
            // A packet that is not a packet time old is the newest, nearly always: no need to ask for another now.
            if datagram.age + Duration::from_millis(2) < ptime {
                break;
            }
        }
    }

    /// Reads the peer's reports, whose times are the kernel's: nothing is lost by waiting. Notices silence, and reports
    /// when it is time.
    pub fn attend(&mut self, now: Now, desk: &mut Desk) {
        self.receive_control(now, desk);
        self.notice_silence(now, desk);
        if self.talk.as_ref().is_some_and(|talk| now.mono >= talk.report_at) {
            self.report(now, false, desk);
        }
    }

    /// Takes the peer's last word and says ours.
    pub fn end(&mut self, now: Now, desk: &mut Desk) {
        self.receive_control(now, desk);
        self.report(now, true, desk);
    }

    /// An RTP packet. What the peer says with it, if it is new.
    fn packet(&mut self, datagram: Datagram, desk: &mut Desk) -> Option<Heard> {
        let talk = self.talk.as_mut()?;
        let Datagram { from, at, .. } = datagram;
        if !talk.source.possible(from) {
            desk.counters.foreign.add(1);
            return None;
        }
        if let Some(protection) = &mut talk.protection
            && protection.unprotect_rtp(&mut desk.inbox.data).is_err()
        {
            desk.counters.unauthentic.add(1);
            return None;
        }
        let Some(packet) = rtp::parse(&desk.inbox.data) else {
            desk.counters.malformed.add(1);
            return None;
        };
        let audio = packet.payload_type == talk.plan.payload_type;
        let event = talk.plan.telephone_event.filter(|event| event.payload_type == packet.payload_type);
        let verdict = if audio || event.is_some() {
            talk.source.judge(from, packet.ssrc, packet.sequence, at.mono)
        } else if talk.source.locked() == Some(from) && talk.peer == packet.ssrc {
            // Comfort noise and the like: nothing to hear, but the peer is there.
            Verdict::Ours
        } else {
            Verdict::Foreign
        };
        match verdict {
            Verdict::Foreign => {
                desk.counters.foreign.add(1);
                return None;
            }
            Verdict::NewStream => {
                self.reception.restart();
                self.digits.restart();
                talk.peer = packet.ssrc;
                if let Some(recorder) = &mut self.recorder {
                    recorder.restart();
                }
            }
            Verdict::Ours => {}
        }
        desk.counters.received.add(1);
        talk.heard_at = at.mono;
        talk.silent = false;
        let standing = self.reception.packet(packet.sequence);
        if standing == Standing::Stray {
            return None;
        }
        let announce = |pressed| announce(&self.events, MediaEvent::Digit(pressed), &desk.counters);
        if event.is_some() {
            self.digits.event(&packet, at.mono).into_iter().for_each(announce);
        } else if audio {
            self.digits.audio(packet.payload, at.mono, &mut desk.samples, announce);
            self.reception.timing(packet.timestamp, talk.plan.codec.clock_rate(), at.mono);
            if let Some(recorder) = &mut self.recorder {
                recorder.packet(talk.plan.codec, &packet, &mut desk.samples);
            }
        }
        let Standing::Next { missing } = standing else { return None };
        let payload = rtp::payload_within(&desk.inbox.data, packet.payload.len());
        let Packet { timestamp, marker, .. } = packet;
        audio.then(|| Heard { codec: talk.plan.codec, payload, timestamp, marker, missing })
    }

    fn notice_silence(&mut self, now: Now, desk: &Desk) {
        let Some(talk) = &mut self.talk else { return };
        let expected = talk.plan.flow.receives();
        if expected && !talk.silent && now.mono.saturating_sub(talk.heard_at) >= self.silence_timeout {
            talk.silent = true;
            self.announce(MediaEvent::Silent, desk);
        }
    }

    /// Presses a key by events; not where the peer has agreed on none.
    pub fn press(&mut self, digit: Digit, length: Duration) {
        if self.talk.as_ref().is_none_or(|talk| talk.plan.telephone_event.is_some()) {
            self.dialer.press(digit, length);
        }
    }

    /// Presses a key that the other leg's peer has pressed, `tone` being how it sounds. Where this peer knows no events
    /// either, a tone has come through as the audio that it is.
    pub fn carry(&mut self, pressed: Pressed, length: Duration, tone: Arc<Prompt>) {
        let Some(talk) = &self.talk else { return };
        if talk.plan.telephone_event.is_some() {
            self.dialer.press(pressed.digit, length);
        } else if pressed.source != DigitSource::Tone {
            self.tones.add(tone);
        }
    }

    /// A digit by SIP INFO.
    pub fn info(&mut self, digit: Digit, now: Now, desk: &Desk) {
        if let Some(pressed) = self.digits.info(digit, now.mono) {
            self.announce(MediaEvent::Digit(pressed), desk);
        }
    }

    fn announce(&self, event: MediaEvent, desk: &Desk) {
        announce(&self.events, event, &desk.counters);
    }
}

fn announce(events: &mpsc::Sender<MediaEvent>, event: MediaEvent, counters: &Counters) {
    if let Err(TrySendError::Full(_)) = events.try_send(event) {
        counters.events_dropped.add(1);
    }
}

/// Ticks of the 8 kHz clock in a packet, which are also its bytes: all codecs write 8 in a millisecond.
fn ticks(ptime: Duration) -> u64 {
    ptime.as_millis() as u64 * 8
}

/// Room for the longest packet that we send.
pub(super) const PACKET_ROOM: usize = HEADER + LONGEST_RELAYED + OVERHEAD;
