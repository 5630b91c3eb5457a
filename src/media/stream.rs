//! One call's media as the pacer holds it: what is sent at each tick, and what is made of what comes.

use std::net::{SocketAddr, UdpSocket};
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
use super::recording::Recorder;
use super::rtp::{self, HEADER, Numbering};
use super::schedule::Grid;
use super::source::{Source, Verdict};
use super::srtp::{self, OVERHEAD, Protection};
use super::wire::{Datagram, Inbox};
use super::{MediaEvent, quality, rtcp};
use crate::clock::Now;
use crate::model::{Digit, MediaPlan, MediaQuality};

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
    pub dialer: Dialer,
    pub recorder: Option<Recorder>,
    talk: Option<Talk>,
}

/// What RTCP has told.
#[derive(Default)]
struct Told {
    remote_lost: Option<u64>,
    round_trip: Option<Duration>,
    /// The peer's last sender report and when it came.
    report: Option<(u32, Duration)>,
    /// Where the peer's RTCP comes from.
    from: Option<SocketAddr>,
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
            recorder: None,
            talk: None,
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
        let Some(talk) = &mut self.talk else { return };
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
            ended = self.player.fill(talk.plan.codec, &mut packet[HEADER..]);
            self.numbering.stamp(packet, talk.plan.payload_type, std::mem::take(&mut talk.marker), timestamp);
        }
        self.numbering.timestamp = timestamp.wrapping_add(frame as u32);
        let sealed = talk.protection.as_mut().is_none_or(|protection| protection.protect_rtp(packet).is_ok());
        if sealed && self.sockets.rtp.send_to(packet, talk.source.target()).is_ok() {
            desk.counters.sent.add(1);
        } else {
            desk.counters.unsent.add(1);
        }
        if let Some(id) = ended {
            self.announce(MediaEvent::PlayEnded(id), desk);
        }
    }

    /// Takes in what has come on the RTP port.
    pub fn receive(&mut self, point: u64, now: Now, desk: &mut Desk) {
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

    fn receive_control(&mut self, now: Now, desk: &mut Desk) {
        for _ in 0..MOST_PER_TICK {
            let Some(datagram) = desk.inbox.receive(&self.sockets.rtcp, now) else { break };
            if self.control(datagram, desk) {
                self.told.from = Some(datagram.from);
            }
        }
    }

    /// An RTP packet.
    fn packet(&mut self, datagram: Datagram, desk: &mut Desk) {
        let Some(talk) = &mut self.talk else { return };
        let Datagram { from, at, .. } = datagram;
        if !talk.source.possible(from) {
            return desk.counters.foreign.add(1);
        }
        if let Some(protection) = &mut talk.protection
            && protection.unprotect_rtp(&mut desk.inbox.data).is_err()
        {
            return desk.counters.unauthentic.add(1);
        }
        let Some(packet) = rtp::parse(&desk.inbox.data) else { return desk.counters.malformed.add(1) };
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
            Verdict::Foreign => return desk.counters.foreign.add(1),
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
        if self.reception.packet(packet.sequence) == Standing::Stray {
            return;
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
    }

    /// An RTCP packet; whether it was the peer's.
    fn control(&mut self, datagram: Datagram, desk: &mut Desk) -> bool {
        let Some(talk) = &mut self.talk else { return false };
        let from = datagram.from.ip();
        if from != talk.source.target().ip() && from != talk.plan.remote_rtcp.ip() {
            desk.counters.foreign.add(1);
            return false;
        }
        if let Some(protection) = &mut talk.protection
            && protection.unprotect_rtcp(&mut desk.inbox.data).is_err()
        {
            desk.counters.unauthentic.add(1);
            return false;
        }
        let Ok(told) = rtcp::read(&desk.inbox.data, self.numbering.ssrc) else {
            desk.counters.malformed.add(1);
            return false;
        };
        if let Some(report) = told.sender_report {
            self.told.report = Some((report, datagram.at.mono));
        }
        if let Some(report) = told.on_us {
            self.told.remote_lost = Some(u64::from(report.lost));
            self.told.round_trip = rtcp::round_trip(report, datagram.at.wall).or(self.told.round_trip);
        }
        true
    }

    fn notice_silence(&mut self, now: Now, desk: &Desk) {
        let Some(talk) = &mut self.talk else { return };
        let expected = talk.plan.flow.receives();
        if expected && !talk.silent && now.mono.saturating_sub(talk.heard_at) >= self.silence_timeout {
            talk.silent = true;
            self.announce(MediaEvent::Silent, desk);
        }
    }

    /// Sends a report, the last one with BYE.
    fn report(&mut self, now: Now, bye: bool, desk: &mut Desk) {
        let Some(talk) = &mut self.talk else { return };
        let [chance] = super::random();
        talk.report_at = now.mono + rtcp::interval(chance);
        let sent = (self.numbering.packets > talk.reported).then_some(rtcp::Sent {
            at: now.wall,
            rtp_timestamp: self.numbering.timestamp,
            packets: self.numbering.packets,
            octets: self.numbering.octets,
        });
        talk.reported = self.numbering.packets;
        let heard = (self.reception.received() > 0).then(|| rtcp::Heard {
            ssrc: talk.peer,
            fraction_lost: self.reception.fraction_lost(),
            lost: self.reception.lost(),
            extended_sequence: self.reception.extended_sequence(),
            jitter: (self.reception.jitter_ms() * f64::from(talk.plan.codec.clock_rate()) / 1e3) as u32,
            last_report: self.told.report.map(|(report, at)| (report, now.mono.saturating_sub(at))),
        });
        let report = rtcp::Report { ssrc: self.numbering.ssrc, cname: &self.cname, sent, heard, bye };
        if rtcp::write(&report, &mut desk.packet).is_err() {
            return;
        }
        if let Some(protection) = &mut talk.protection
            && protection.protect_rtcp(&mut desk.packet).is_err()
        {
            return;
        }
        // Lost reports are made good by the next one.
        let _ = if talk.plan.remote_rtcp == talk.plan.remote_rtp {
            self.sockets.rtp.send_to(&desk.packet, talk.source.target())
        } else {
            let target = self.told.from.unwrap_or_else(|| control_target(&talk.plan, &talk.source));
            self.sockets.rtcp.send_to(&desk.packet, target)
        };
    }

    /// How the call sounded so far.
    pub fn quality(&self) -> MediaQuality {
        let share = |lost: u64, of: u64| lost as f64 / of.max(1) as f64;
        let (sent, received) = (self.numbering.packets, self.reception.received());
        let lost = self.reception.lost();
        let remote_lost = self.told.remote_lost.unwrap_or(0);
        let jitter_ms = self.reception.jitter_ms();
        let round_trip_ms = self.told.round_trip.map(|round| round.as_secs_f64() * 1e3);
        // The worse of both directions, with half the round trip, one packet and a buffer of twice the jitter.
        let loss = share(lost, self.reception.expected()).max(share(remote_lost, sent));
        let ptime = self.talk.as_ref().map_or(0.0, |talk| talk.ptime.as_secs_f64() * 1e3);
        let delay = round_trip_ms.unwrap_or(0.0) / 2.0 + ptime + 2.0 * jitter_ms;
        let known = received > 0 || self.told.remote_lost.is_some();
        MediaQuality {
            sent,
            received,
            lost,
            remote_lost,
            jitter_ms: jitter_ms as f32,
            round_trip_ms: round_trip_ms.map(|ms| ms as f32),
            mos: known.then(|| quality::mos(loss, delay) as f32),
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

/// Where RTCP goes before any has come: where signalling says, or beside the source behind a NAT.
fn control_target(plan: &MediaPlan, source: &Source) -> SocketAddr {
    match source.locked() {
        Some(from) if from.ip() != plan.remote_rtp.ip() => SocketAddr::new(from.ip(), from.port().saturating_add(1)),
        _ => plan.remote_rtcp,
    }
}

/// Room for the longest packet that we send.
pub(super) const PACKET_ROOM: usize = HEADER + super::codec::LONGEST_FRAME + OVERHEAD;
