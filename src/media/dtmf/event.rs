//! Digits as RTP telephone-events (RFC 4733).
//!
//! A press is a run of packets with one RTP timestamp, the time at which the key went down, and a growing duration; the
//! last packet, sent three times, carries the E bit. [`EventDetector`] reports the digit at the first packet of a run
//! that arrives, whichever that is, and then needs none of the others.

use crate::model::Digit;

/// How many presses are remembered, so that a late packet of one of them is not taken for a new one.
const REMEMBERED: usize = 16;

/// The longest duration that a packet can say; a longer press goes on in a new segment (RFC 4733 section 2.5.1.3).
const LONGEST_SEGMENT: u32 = 0xFFFF;

/// How much of the end of a segment may be lost and the next segment still be known as its continuation: one second of
/// the usual 8 kHz clock.
const SEGMENT_SLACK: u32 = 8_000;

/// Finds the presses in a stream of telephone-event packets. One detector serves one RTP source (SSRC).
#[derive(Clone, Debug, Default)]
pub struct EventDetector {
    recent: [Option<Event>; REMEMBERED],
    next: usize,
}

/// A packet's event, or what all packets of one event have said so far.
#[derive(Clone, Copy, Debug)]
struct Event {
    digit: Digit,
    timestamp: u32,
    /// The newest packet.
    seq: u16,
    duration: u16,
    ended: bool,
}

impl EventDetector {
    /// Nothing pressed yet.
    pub fn new() -> EventDetector {
        EventDetector::default()
    }

    /// Takes a telephone-event packet as it arrived, duplicates and late ones included, and gives the digit if this is
    /// the first that is heard of its press.
    ///
    /// Payloads that are too short and events that are no digit (flash, fax tones) are ignored.
    pub fn packet(&mut self, seq: u16, timestamp: u32, payload: &[u8]) -> Option<Digit> {
        let packet = Event::parse(seq, timestamp, payload)?;
        if let Some(known) = self.recent.iter_mut().flatten().find(|known| known.is_of(&packet)) {
            known.learn(&packet);
            return None;
        }
        let continues = self.recent.iter().flatten().any(|known| known.continues_as(&packet));
        self.recent[self.next % REMEMBERED] = Some(packet);
        self.next = (self.next + 1) % REMEMBERED;
        (!continues).then_some(packet.digit)
    }
}

impl Event {
    /// Reads the four bytes of RFC 4733 section 2.3: event, E bit, R bit and volume, duration.
    fn parse(seq: u16, timestamp: u32, payload: &[u8]) -> Option<Event> {
        let &[code, flags, high, low, ..] = payload else { return None };
        let digit = Digit::from_event(code)?;
        Some(Event { digit, timestamp, seq, duration: u16::from_be_bytes([high, low]), ended: flags & 0x80 != 0 })
    }

    fn is_of(&self, packet: &Event) -> bool {
        self.digit == packet.digit && self.timestamp == packet.timestamp
    }

    fn learn(&mut self, packet: &Event) {
        self.duration = self.duration.max(packet.duration);
        self.ended |= packet.ended;
        if packet.seq.wrapping_sub(self.seq) < 0x8000 {
            self.seq = packet.seq;
        }
    }

    /// Whether `packet`, which has another timestamp, still belongs to this press.
    fn continues_as(&self, packet: &Event) -> bool {
        if self.digit != packet.digit {
            return false;
        }
        let later = packet.timestamp.wrapping_sub(self.timestamp);
        let duration = u32::from(self.duration);
        // The next segment of a long press starts exactly where this one stopped, and this one has not ended. If the
        // last packets of this one were lost, it must have been close to its longest.
        let abuts = later == duration && later > 0;
        let close = duration + SEGMENT_SLACK >= LONGEST_SEGMENT && (duration..=LONGEST_SEGMENT + 1).contains(&later);
        if !self.ended && (abuts || close) {
            return true;
        }
        // Some senders wrongly move the timestamp on with every packet of one press. Between two presses there is audio,
        // so that their packets never have consecutive numbers and overlapping times.
        let consecutive = packet.seq.wrapping_sub(self.seq) == 1;
        consecutive && packet.duration >= self.duration && later <= u32::from(packet.duration)
    }
}

/// The payload of a telephone-event packet, for a phone that presses keys.
///
/// `volume` is the tone's level in −dBm0, 0 to 63 (10 is usual); `duration` is in ticks of the RTP clock since the packet's
/// timestamp.
pub fn event_payload(digit: Digit, end: bool, volume: u8, duration: u16) -> [u8; 4] {
    let [high, low] = duration.to_be_bytes();
    [digit.event(), u8::from(end) << 7 | volume.min(63), high, low]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    struct Packet {
        press: usize,
        seq: u16,
        timestamp: u32,
        payload: [u8; 4],
    }

    /// A phone that writes down the packets it would send.
    struct Phone {
        seq: u16,
        timestamp: u32,
        presses: usize,
        sent: Vec<Packet>,
    }

    /// One packet each 20 ms at 8 kHz.
    const STEP: u32 = 160;

    impl Phone {
        fn new() -> Phone {
            Phone { seq: 1, timestamp: 1_000, presses: 0, sent: Vec::new() }
        }

        /// Presses for `steps` packets, in segments where it is long, and sends the end three times.
        fn press(&mut self, digit: char, steps: u32) -> &mut Phone {
            let digit = Digit::from_char(digit).unwrap();
            let mut duration = 0;
            for _ in 0..steps {
                if duration + STEP > LONGEST_SEGMENT {
                    let rest = duration + STEP - LONGEST_SEGMENT;
                    self.send(digit, false, LONGEST_SEGMENT);
                    self.timestamp = self.timestamp.wrapping_add(LONGEST_SEGMENT);
                    duration = rest;
                } else {
                    duration += STEP;
                }
                self.send(digit, false, duration);
            }
            for _ in 0..3 {
                self.send(digit, true, duration);
            }
            self.timestamp = self.timestamp.wrapping_add(duration);
            self.presses += 1;
            self
        }

        /// Sends audio for `steps` packets.
        fn pause(&mut self, steps: u16) -> &mut Phone {
            self.seq = self.seq.wrapping_add(steps);
            self.timestamp = self.timestamp.wrapping_add(u32::from(steps) * STEP);
            self
        }

        fn send(&mut self, digit: Digit, end: bool, duration: u32) {
            let payload = event_payload(digit, end, 10, u16::try_from(duration).unwrap());
            self.sent.push(Packet { press: self.presses, seq: self.seq, timestamp: self.timestamp, payload });
            self.seq = self.seq.wrapping_add(1);
        }
    }

    fn heard<'a>(packets: impl IntoIterator<Item = &'a Packet>) -> String {
        let mut detector = EventDetector::new();
        packets
            .into_iter()
            .filter_map(|packet| detector.packet(packet.seq, packet.timestamp, &packet.payload))
            .map(Digit::as_char)
            .collect()
    }

    fn sent(phone: &mut Phone) -> Vec<Packet> {
        std::mem::take(&mut phone.sent)
    }

    #[test]
    fn each_digit_is_reported_at_its_first_packet() {
        for digit in Digit::ALL {
            let packets = sent(Phone::new().press(digit.as_char(), 5));
            assert_eq!(heard(&packets[..1]), digit.to_string());
            assert_eq!(heard(&packets), digit.to_string());
        }
    }

    #[test]
    fn a_lost_start_does_not_lose_the_digit() {
        let packets = sent(Phone::new().press('1', 5));
        for lost in 1..packets.len() {
            assert_eq!(heard(&packets[lost..]), "1");
        }
    }

    #[test]
    fn a_lost_end_does_not_swallow_the_next_press() {
        let mut packets = sent(Phone::new().press('1', 5).pause(5).press('1', 5));
        packets.drain(4..8);
        assert_eq!(heard(&packets), "11");
    }

    #[test]
    fn the_end_may_be_repeated() {
        let mut packets = sent(Phone::new().press('1', 5));
        let end = *packets.last().unwrap();
        packets.extend([end; 5]);
        assert_eq!(heard(&packets), "1");
    }

    #[test]
    fn an_older_press_after_the_newer_one_is_not_a_new_one() {
        let mut packets = sent(Phone::new().press('1', 3).pause(1).press('2', 3));
        packets[3..9].rotate_left(3);
        assert_eq!(heard(&packets), "12");
    }

    #[test]
    fn a_press_that_arrives_only_after_the_next_one_is_still_heard() {
        let mut packets = sent(Phone::new().press('1', 1).pause(1).press('2', 3));
        packets.rotate_left(4);
        assert_eq!(heard(&packets), "21");
    }

    #[test]
    fn a_long_press_in_segments_is_one_digit() {
        // Half a minute: three segments of 8.19 s and a rest.
        let packets = sent(Phone::new().press('0', 1_500).pause(10).press('0', 5));
        assert_eq!(packets.iter().map(|p| p.timestamp).collect::<std::collections::BTreeSet<_>>().len(), 5);
        assert_eq!(heard(&packets), "00");
        // The last half second of each segment is lost.
        let kept =
            packets.iter().filter(|p| !(61_500..=65_535).contains(&u16::from_be_bytes([p.payload[2], p.payload[3]])));
        assert_eq!(heard(kept), "00");
    }

    #[test]
    fn two_digits_back_to_back() {
        assert_eq!(heard(&sent(Phone::new().press('1', 2).press('2', 2).press('1', 2))), "121");
    }

    #[test]
    fn the_same_digit_twice_quickly() {
        assert_eq!(heard(&sent(Phone::new().press('5', 2).pause(1).press('5', 2))), "55");
        assert_eq!(heard(&sent(Phone::new().press('5', 2).press('5', 2))), "55");
    }

    #[test]
    fn timestamps_and_sequence_numbers_wrap() {
        let mut phone = Phone { seq: 0xFFFE, timestamp: u32::MAX - 100, presses: 0, sent: Vec::new() };
        assert_eq!(heard(&sent(phone.press('9', 3).pause(2).press('9', 3))), "99");
        let mut phone = Phone { seq: 0xFFFE, timestamp: u32::MAX - 100, presses: 0, sent: Vec::new() };
        assert_eq!(heard(&sent(phone.press('9', 500))), "9");
    }

    #[test]
    fn a_sender_that_moves_the_timestamp_on_with_each_packet_presses_once() {
        for first in [0, 1] {
            let packets: Vec<_> = (first..8_u16)
                .map(|n| Packet {
                    press: 0,
                    seq: n,
                    timestamp: 160 * u32::from(n),
                    payload: event_payload(Digit::ALL[3], n >= 5, 10, 160 * n.min(5)),
                })
                .collect();
            assert_eq!(heard(&packets), "3");
        }
    }

    #[test]
    fn what_is_no_digit_is_ignored() {
        let mut detector = EventDetector::new();
        for payload in [&[][..], &[1], &[1, 10], &[1, 10, 0], &[16, 10, 0, 160], &[255, 255, 255, 255]] {
            assert_eq!(detector.packet(1, 1, payload), None);
        }
        // A second event in one packet (section 2.5.1.5) is never used for keys; its bytes do not disturb the first.
        assert_eq!(detector.packet(1, 1, &[1, 10, 0, 160, 2, 10, 0, 160]), Some(Digit::ALL[1]));
    }

    #[test]
    fn a_payload_is_written_as_it_is_read() {
        assert_eq!(event_payload(Digit::ALL[11], true, 10, 0x0320), [11, 0x8A, 0x03, 0x20]);
        assert_eq!(event_payload(Digit::ALL[1], false, 255, 160), [1, 63, 0, 160]);
    }

    proptest! {
        /// The model: presses, with a pause between them, count in the order of their first delivered packet, each that has one exactly once.
        #[test]
        fn every_press_with_a_packet_delivered_is_heard_exactly_once(
            presses in prop::collection::vec((0..16_usize, prop_oneof![6 => 1..30_u32, 1 => 420..500_u32], 1..20_u16), 1..12),
            start in (any::<u16>(), any::<u32>()),
            loss in prop::collection::vec(prop::bool::weighted(0.25), 97),
            late in prop::collection::vec(0..6_usize, 89),
            twice in prop::collection::vec(prop::bool::weighted(0.1), 83),
        ) {
            let mut phone = Phone { seq: start.0, timestamp: start.1, presses: 0, sent: Vec::new() };
            for &(digit, steps, pause) in &presses {
                phone.press(Digit::ALL[digit].as_char(), steps).pause(pause);
            }
            let mut arriving: Vec<(usize, Packet)> = Vec::new();
            for (n, packet) in sent(&mut phone).into_iter().enumerate().filter(|&(n, _)| !loss[n % loss.len()]) {
                arriving.push((n + late[n % late.len()], packet));
                if twice[n % twice.len()] {
                    arriving.push((n + 5, packet));
                }
            }
            arriving.sort_by_key(|&(at, _)| at);
            let mut seen = Vec::new();
            for &(_, packet) in &arriving {
                if !seen.contains(&packet.press) {
                    seen.push(packet.press);
                }
            }
            let expected: String = seen.iter().map(|&press| Digit::ALL[presses[press].0].as_char()).collect();
            prop_assert_eq!(heard(arriving.iter().map(|(_, packet)| packet)), expected);
        }

        #[test]
        fn no_packet_panics(packets in prop::collection::vec((any::<u16>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..9)), 0..200)) {
            let mut detector = EventDetector::new();
            for (seq, timestamp, payload) in packets {
                detector.packet(seq, timestamp, &payload);
            }
        }
    }
}
