//! Where on our own clock a relayed packet belongs: the gaps between a peer's packets stay what they were, though other
//! things (silence, a prompt, digits) are sent between them.
//!
//! All in ticks of the 8 kHz clock that every codec of ours has, modulo 2³².

/// A gap longer than this, or a step back further than this, is no gap but another clock: 1 s.
const FURTHEST: i32 = 8_000;
/// A packet that begins so little before what has been sent follows it without a gap: 20 ms, the coarseness of our tick.
const OVERLAP: i32 = 160;
/// So many late packets in a row are dropped; who is later still has another idea of the time.
const MOST_LATE: u8 = 10;

/// The offset between the peer's clock and ours, once it is known.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    offset: Option<u32>,
    late: u8,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It belongs there, in the flow of those before it.
    Here(u32),
    /// It belongs there, and what follows has another offset than what was before.
    Anew(u32),
    /// Silence has been sent in its place.
    Late,
}

/// How far we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The end of what has been sent: nothing goes before it.
    pub sent: u32,
    /// The same, with the time that has passed since.
    pub now: u32,
    /// Whether silence has been sent since the last packet that was relayed.
    pub filled: bool,
}

impl Timeline {
    /// The next packet begins anew: something else has been sent for long, or nothing could be.
    pub fn forget(&mut self) {
        *self = Timeline::default();
    }

    /// Places the packet that the peer stamped `timestamp`. `marker`: it says that a talkspurt begins with it, which a
    /// late packet does not.
    pub fn place(&mut self, timestamp: u32, marker: bool, reached: Reached) -> Place {
        let Some(offset) = self.offset else { return self.anew(timestamp, reached.now) };
        let ours = timestamp.wrapping_add(offset);
        let ahead = ours.wrapping_sub(reached.sent) as i32;
        match ahead {
            0..=FURTHEST => {
                self.late = 0;
                Place::Here(ours)
            }
            _ if !(-FURTHEST..0).contains(&ahead) => self.anew(timestamp, reached.now),
            _ if ahead < -OVERLAP && reached.filled && !marker && self.late < MOST_LATE => {
                self.late += 1;
                Place::Late
            }
            _ => self.anew(timestamp, reached.sent),
        }
    }

    fn anew(&mut self, timestamp: u32, ours: u32) -> Place {
        self.offset = Some(ours.wrapping_sub(timestamp));
        self.late = 0;
        Place::Anew(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(sent: u32) -> Reached {
        Reached { sent, now: sent, filled: false }
    }

    fn after_silence(sent: u32) -> Reached {
        Reached { filled: true, ..at(sent) }
    }

    #[test]
    fn a_stream_is_moved_as_a_whole() {
        let mut line = Timeline::default();
        assert_eq!(line.place(u32::MAX - 100, false, at(5_000)), Place::Anew(5_000));
        assert_eq!(line.place(59, false, at(5_160)), Place::Here(5_160));
        // 60 ms that the peer did not speak, shorter than we wait before we send silence.
        assert_eq!(line.place(59 + 4 * 160, false, at(5_320)), Place::Here(5_160 + 4 * 160));
    }

    #[test]
    fn after_silence_a_talkspurt_lies_where_it_would_have_without() {
        let mut line = Timeline::default();
        line.place(0, false, at(5_000));
        assert_eq!(line.place(4_000, true, after_silence(8_960)), Place::Here(9_000));
        // Our tick was a little ahead: it follows at once.
        assert_eq!(line.place(8_000, true, after_silence(13_100)), Place::Anew(13_100));
        assert_eq!(line.place(8_160, false, at(13_260)), Place::Here(13_260));
    }

    #[test]
    fn what_silence_has_replaced_is_dropped_but_not_for_ever() {
        let mut line = Timeline::default();
        line.place(0, false, at(5_000));
        for packet in 1..=10 {
            assert_eq!(line.place(packet * 160, false, after_silence(9_000)), Place::Late);
        }
        assert_eq!(line.place(11 * 160, false, after_silence(9_000)), Place::Anew(9_000));
        assert_eq!(line.place(12 * 160, false, at(9_160)), Place::Here(9_160));
    }

    #[test]
    fn a_clock_that_stands_still_or_starts_again_is_followed() {
        let mut line = Timeline::default();
        line.place(0, false, at(5_000));
        assert_eq!(line.place(0, false, at(5_160)), Place::Anew(5_160));
        assert_eq!(line.place(1 << 31, false, Reached { now: 5_640, ..at(5_320) }), Place::Anew(5_640));
        line.forget();
        assert_eq!(line.place(7, false, at(5_800)), Place::Anew(5_800));
    }

    /// What happens between two packets of the peer.
    #[derive(Clone, Copy, Debug)]
    enum Between {
        Nothing,
        /// The peer pauses for so many packet times, less than it takes for silence to be sent.
        Pause(u8),
        /// So many packet times of silence are sent, with as long a pause of the peer, give or take a tick.
        Silence(u8, i16),
        /// As much silence is sent because its packets are held up: they come afterwards.
        Stall(u8),
        /// Its clock jumps.
        Jump(u32),
        /// Something plays for so long; the peer's packets are not relayed meanwhile.
        Playback(u8),
    }

    fn between() -> impl Strategy<Value = Between> {
        prop_oneof![
            6 => Just(Between::Nothing),
            2 => (1u8..5).prop_map(Between::Pause),
            2 => ((5u8..100), (-160i16..=160)).prop_map(|(n, off)| Between::Silence(n, off)),
            1 => (1u8..30).prop_map(Between::Stall),
            1 => any::<u32>().prop_map(Between::Jump),
            1 => any::<u8>().prop_map(Between::Playback),
        ]
    }

    proptest! {
        #[test]
        fn time_never_goes_back_and_gaps_stay(
            start in any::<u32>(),
            ours in any::<u32>(),
            script in proptest::collection::vec(between(), 1..200),
        ) {
            let mut line = Timeline::default();
            let (mut theirs, mut sent) = (start, ours);
            let mut last: Option<(u32, u32)> = None;
            let (mut filled, mut late) = (false, 0);
            for step in script {
                let mut idle = 0;
                match step {
                    Between::Nothing => {}
                    Between::Pause(n) => {
                        idle = u32::from(n) * 160;
                        theirs = theirs.wrapping_add(idle);
                    }
                    Between::Silence(n, off) => {
                        let silence = u32::from(n) * 160;
                        sent = sent.wrapping_add(silence);
                        theirs = theirs.wrapping_add(silence).wrapping_add_signed(i32::from(off));
                        filled = true;
                    }
                    Between::Stall(n) => {
                        sent = sent.wrapping_add(u32::from(n) * 160);
                        filled = true;
                    }
                    Between::Jump(by) => theirs = theirs.wrapping_add(by),
                    Between::Playback(n) => {
                        sent = sent.wrapping_add(u32::from(n) * 160);
                        theirs = theirs.wrapping_add(u32::from(n) * 160);
                        line.forget();
                        last = None;
                    }
                }
                let reached = Reached { sent, now: sent.wrapping_add(idle), filled };
                match line.place(theirs, false, reached) {
                    Place::Late => {
                        prop_assert!(filled);
                        late += 1;
                        prop_assert!(late <= MOST_LATE);
                    }
                    place @ (Place::Here(placed) | Place::Anew(placed)) => {
                        prop_assert!(placed.wrapping_sub(sent) as i32 >= 0);
                        if let Some((their_last, our_last)) = last {
                            // By how much more they are apart than with the peer.
                            let moved = placed.wrapping_sub(our_last).wrapping_sub(theirs.wrapping_sub(their_last));
                            match (place, step) {
                                (Place::Here(_), _) => prop_assert_eq!(moved, 0),
                                // By less than a tick, which nobody hears.
                                (_, Between::Silence(..)) if late == 0 => prop_assert!(moved <= 160, "{moved}"),
                                (_, Between::Nothing | Between::Pause(_)) => prop_assert!(filled),
                                _ => {}
                            }
                        }
                        last = Some((theirs, placed));
                        sent = placed.wrapping_add(160);
                        (filled, late) = (false, 0);
                    }
                }
                theirs = theirs.wrapping_add(160);
            }
        }
    }
}
