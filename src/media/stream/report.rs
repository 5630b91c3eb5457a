//! RTCP of a stream: what the peer reports of us, what we report of it, and what both say of how the call sounds.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Desk, MOST_PER_TICK, Stream};
use crate::clock::Now;
use crate::media::source::Source;
use crate::media::wire::Datagram;
use crate::media::{quality, rtcp};
use crate::model::{MediaPlan, MediaQuality};

/// What RTCP has told.
#[derive(Default)]
pub(super) struct Told {
    remote_lost: Option<u64>,
    round_trip: Option<Duration>,
    /// The peer's last sender report and when it came.
    report: Option<(u32, Duration)>,
    /// Where the peer's RTCP comes from.
    from: Option<SocketAddr>,
}

impl Stream {
    pub(super) fn receive_control(&mut self, now: Now, desk: &mut Desk) {
        for _ in 0..MOST_PER_TICK {
            let Some(datagram) = desk.inbox.receive(&self.sockets.rtcp, now) else { break };
            if self.control(datagram, desk) {
                self.told.from = Some(datagram.from);
            }
        }
    }

    /// An RTCP packet; whether it was the peer's.
    pub(super) fn control(&mut self, datagram: Datagram, desk: &mut Desk) -> bool {
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

    /// Sends a report, the last one with BYE.
    pub(super) fn report(&mut self, now: Now, bye: bool, desk: &mut Desk) {
        let Some(talk) = &mut self.talk else { return };
        let [chance] = crate::media::random();
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
}

/// Where RTCP goes before any has come: where signalling says, or beside the source behind a NAT.
fn control_target(plan: &MediaPlan, source: &Source) -> SocketAddr {
    match source.locked() {
        Some(from) if from.ip() != plan.remote_rtp.ip() => SocketAddr::new(from.ip(), from.port().saturating_add(1)),
        _ => plan.remote_rtcp,
    }
}
