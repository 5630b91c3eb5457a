//! What the peer says, kept as samples: a message for the staff, a recorded call, the test phone's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::codec::Decoder;
use super::convert::Doubler;
use super::rtp::Packet;
use crate::clock;
use crate::model::Codec;

/// A packet whose samples are louder than this on average holds more than a line's noise: some −42 dBm0 of speech.
const LOUD: u64 = 180;
/// A pause within what somebody says is no longer than this; what follows a longer one is said anew.
const PAUSE: Duration = Duration::from_secs(1);
/// In a recording that goes by the clock, audio may lie so far from the moment at which it came: what the network does
/// to packets. Timestamps that lead further away are the peer's mistake, or worse.
const SLACK: Duration = Duration::from_secs(1);

/// Audio being recorded; it grows while the session lives and somebody holds this, and is bounded by the limit given at
/// its start.
#[derive(Clone, Debug)]
pub struct Recording(Arc<Mutex<Audio>>);

#[derive(Debug)]
struct Audio {
    rate: u32,
    /// When the recording began.
    began: Instant,
    /// Whether a sample's place is the moment at which it came, counted from the beginning.
    by_the_clock: bool,
    samples: Vec<i16>,
    /// So many samples before those have been taken.
    drained: usize,
    /// When the peer was last heard to say something; before that, when the recording began.
    loud_at: Instant,
    /// How much was said, and the sample after its last.
    spoken: usize,
    spoken_until: usize,
}

impl Recording {
    pub(super) fn new() -> Recording {
        Recording::begin(0, false)
    }

    /// One that goes by the clock.
    pub(super) fn by_the_clock(rate: u32) -> Recording {
        Recording::begin(rate, true)
    }

    fn begin(rate: u32, by_the_clock: bool) -> Recording {
        let now = clock::monotonic();
        let audio = Audio {
            rate,
            began: now,
            by_the_clock,
            samples: Vec::new(),
            drained: 0,
            loud_at: now,
            spoken: 0,
            spoken_until: 0,
        };
        Recording(Arc::new(Mutex::new(audio)))
    }

    /// Samples a second, the same until its end; 0 before the first packet.
    pub fn rate(&self) -> u32 {
        self.audio().rate
    }

    /// The samples so far that have not been drained, each at the time that its packet names: a lost packet leaves
    /// silence.
    pub fn samples(&self) -> Vec<i16> {
        self.audio().samples.clone()
    }

    /// Takes the samples so far; those to come follow on them. Who writes a long recording to the disk calls this every
    /// few seconds, so that it never lies in memory as a whole. What arrives late for what has been taken is dropped.
    pub fn drain(&self) -> Vec<i16> {
        let mut audio = self.audio();
        let taken = std::mem::take(&mut audio.samples);
        audio.drained += taken.len();
        taken
    }

    /// Takes the samples up to `until` after its beginning, no more and no less: what has not come is silence. For a
    /// recording that goes by the clock.
    pub fn drain_until(&self, until: Duration) -> Vec<i16> {
        let mut audio = self.audio();
        let end = until.as_micros() * u128::from(audio.rate) / 1_000_000;
        let due = usize::try_from(end).unwrap_or(usize::MAX).saturating_sub(audio.drained);
        let there = due.min(audio.samples.len());
        let later = audio.samples.split_off(there);
        let mut taken = std::mem::replace(&mut audio.samples, later);
        taken.resize(due, 0);
        audio.drained += due;
        taken
    }

    /// How long ago it began.
    pub fn age(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.audio().began)
    }

    /// How long it is, with what has been drained. While the peer sends nothing it does not grow; the gap is silence
    /// once the peer goes on.
    pub fn length(&self) -> Duration {
        let audio = self.audio();
        audio.time(audio.drained + audio.samples.len())
    }

    /// How much of it the peer has said something, with the short pauses between words: a click, or the noise of a line,
    /// is next to nothing.
    pub fn spoken(&self) -> Duration {
        let audio = self.audio();
        audio.time(audio.spoken)
    }

    /// For how long the peer has said nothing: has sent noise fainter than speech, or nothing at all. Counts from the
    /// recording's beginning.
    pub fn quiet_for(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.audio().loud_at)
    }

    fn audio(&self) -> MutexGuard<'_, Audio> {
        lock(&self.0)
    }
}

impl Audio {
    /// How long so many samples are.
    fn time(&self, samples: usize) -> Duration {
        Duration::from_secs(1).mul_f64(samples as f64 / f64::from(self.rate.max(1)))
    }

    /// Something was said in these samples.
    fn say(&mut self, from: usize, to: usize) {
        let pause = (PAUSE.as_secs_f64() * f64::from(self.rate)) as usize;
        let goes_on = self.spoken > 0 && from <= self.spoken_until.saturating_add(pause);
        let since = if goes_on { self.spoken_until } else { from };
        self.spoken += to.saturating_sub(since);
        self.spoken_until = self.spoken_until.max(to);
    }
}

fn lock(audio: &Mutex<Audio>) -> MutexGuard<'_, Audio> {
    audio.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fills a [`Recording`] for as long as somebody holds it. Only a recorded call pays for its decoding, allocation and
/// lock.
pub struct Recorder {
    recording: Weak<Mutex<Audio>>,
    limit: Duration,
    decoder: Option<(Codec, Decoder, Option<Doubler>)>,
    /// A timestamp of the stream and the sample that it belongs to.
    anchor: Option<(u32, usize)>,
}

impl Recorder {
    /// Records into `recording`, at most `limit` of it; what comes later is dropped.
    pub fn new(recording: &Recording, limit: Duration) -> Recorder {
        Recorder { recording: Arc::downgrade(&recording.0), limit, decoder: None, anchor: None }
    }

    /// The peer starts a new stream: it goes on where the last one ended.
    pub fn restart(&mut self) {
        self.anchor = None;
    }

    /// Keeps one packet's audio; `scratch` holds the samples of the longest packet.
    pub fn packet(&mut self, codec: Codec, packet: &Packet<'_>, scratch: &mut [i16]) {
        let Some(audio) = self.recording.upgrade() else { return };
        let mut audio = lock(&audio);
        if self.decoder.as_ref().is_none_or(|(now, ..)| *now != codec) {
            // The first codec's rate is the recording's: what another in mid-call brings is fitted to it.
            if audio.rate == 0 {
                audio.rate = codec.sample_rate();
            }
            let decoder = if audio.rate == 8_000 { Decoder::narrow(codec) } else { Decoder::new(codec) };
            let doubler = (decoder.rate() < audio.rate).then(Doubler::default);
            self.decoder = Some((codec, decoder, doubler));
            self.anchor = None;
        }
        let Some((_, decoder, doubler)) = &mut self.decoder else { return };
        let mut decoded = decoder.decode(packet.payload, scratch);
        if let Some(doubler) = doubler {
            decoded = doubler.double_in_place(scratch, decoded);
        }
        let samples = scratch.get(..decoded).unwrap_or_default();
        let now = clock::monotonic();
        let loud =
            samples.iter().map(|sample| u64::from(sample.unsigned_abs())).sum::<u64>() > LOUD * samples.len() as u64;
        if loud {
            audio.loud_at = now;
        }
        let per_tick = (audio.rate / codec.clock_rate()).max(1) as usize;
        let (home, slack) = if audio.by_the_clock {
            let rate = f64::from(audio.rate);
            let until_now = (now.saturating_duration_since(audio.began).as_secs_f64() * rate) as usize;
            (until_now.saturating_sub(samples.len()), Some((SLACK.as_secs_f64() * rate) as usize))
        } else {
            (audio.drained + audio.samples.len(), None)
        };
        let Some(from) = self.place(packet.timestamp, per_tick, home, slack) else { return };
        let limit = (self.limit.as_secs_f64() * f64::from(audio.rate)) as usize;
        let to = from.saturating_add(samples.len()).min(limit);
        if loud {
            audio.say(from, to);
        }
        // What has been drained is nobody's to change.
        let late = audio.drained.saturating_sub(from);
        let (Some(from), Some(to)) = ((from + late).checked_sub(audio.drained), to.checked_sub(audio.drained)) else {
            return;
        };
        if from >= to {
            return;
        }
        if audio.samples.len() < to {
            audio.samples.resize(to, 0);
        }
        if let Some(room) = audio.samples.get_mut(from..to) {
            room.copy_from_slice(&samples[late..late + to - from]);
        }
    }

    /// The sample at which a packet's audio belongs. A stream begins at `home` and goes on as its timestamps say; where
    /// those lead further than `slack` from home, it begins anew.
    fn place(&mut self, timestamp: u32, per_tick: usize, home: usize, slack: Option<usize>) -> Option<usize> {
        let told = self.anchor.map(|(first, sample)| {
            let ticks = timestamp.wrapping_sub(first);
            (ticks <= u32::MAX / 2).then(|| sample.saturating_add((ticks as usize).saturating_mul(per_tick)))
        });
        match (told, slack) {
            (Some(told), None) => told,
            (Some(Some(told)), Some(slack)) if told.abs_diff(home) <= slack => Some(told),
            _ => {
                self.anchor = Some((timestamp, home));
                Some(home)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(timestamp: u32, payload: &[u8]) -> Packet<'_> {
        Packet { payload_type: 0, marker: false, sequence: 0, timestamp, ssrc: 1, payload }
    }

    #[test]
    fn audio_lies_where_its_timestamp_says_up_to_the_limit() {
        let recording = Recording::new();
        let mut recorder = Recorder::new(&recording, Duration::from_millis(5));
        let mut scratch = [0; 100];
        for (timestamp, byte) in [(1_000, 0x80), (1_024, 0x00), (1_008, 0x80), (990, 0x80), (1_036, 0x00), (9_999, 0)] {
            recorder.packet(Codec::Pcmu, &packet(timestamp, &[byte; 8]), &mut scratch);
        }
        let samples = recording.samples();
        assert_eq!(recording.rate(), 8_000);
        assert_eq!(samples.len(), 40);
        assert!(samples[..16].iter().all(|s| *s > 30_000) && samples[24..32].iter().all(|s| *s < -30_000));
        assert!(samples[16..24].iter().chain(&samples[32..36]).all(|s| *s == 0));
    }

    #[test]
    fn what_was_said_is_more_than_its_words_and_less_than_its_silence() {
        // Each with the second at which a fifth of one is loud.
        let spoken = |seconds: &[f64]| {
            let recording = Recording::new();
            let mut recorder = Recorder::new(&recording, Duration::from_secs(60));
            let mut scratch = [0; 1_600];
            recorder.packet(Codec::Pcmu, &packet(0, &[0xff; 160]), &mut scratch);
            for second in seconds {
                recorder.packet(Codec::Pcmu, &packet((second * 8_000.0) as u32, &[0x80; 1_600]), &mut scratch);
            }
            recording.spoken().as_millis()
        };
        assert_eq!(spoken(&[]), 0);
        assert_eq!(spoken(&[2.0, 3.0, 4.1]), 2_300, "pauses between words");
        assert_eq!(spoken(&[0.5, 5.0]), 400, "two clicks");
        assert_eq!(spoken(&[3.0, 1.0, 3.1]), 300, "late and twice");
        assert_eq!(spoken(&[59.9, 61.0]), 100, "up to the limit");
    }

    #[test]
    fn drained_in_pieces_it_is_the_same() {
        let packets: Vec<(u32, u8)> =
            (0..200u32).filter(|n| n % 7 != 3).map(|n| (1_000 + n * 16, (n % 100) as u8)).collect();
        let mut scratch = [0; 100];
        let mut record = |every: usize| {
            let recording = Recording::new();
            let mut recorder = Recorder::new(&recording, Duration::from_millis(390));
            let mut taken = Vec::new();
            for (at, (timestamp, byte)) in packets.iter().enumerate() {
                recorder.packet(Codec::Pcma, &packet(*timestamp, &[*byte; 16]), &mut scratch);
                if at % every == every - 1 {
                    taken.extend(recording.drain());
                }
            }
            taken.extend(recording.drain());
            assert_eq!(recording.length(), Duration::from_millis(390));
            taken
        };
        let whole = record(1_000);
        assert_eq!(whole.len(), 3_120);
        for every in [1, 2, 13] {
            assert_eq!(record(every), whole, "each {every}");
        }
    }

    #[test]
    fn what_comes_late_for_a_drained_piece_is_dropped() {
        let recording = Recording::new();
        let mut recorder = Recorder::new(&recording, Duration::from_secs(1));
        let mut scratch = [0; 100];
        recorder.packet(Codec::Pcmu, &packet(0, &[0x80; 8]), &mut scratch);
        recorder.packet(Codec::Pcmu, &packet(16, &[0x80; 8]), &mut scratch);
        assert_eq!(recording.drain().len(), 24);
        recorder.packet(Codec::Pcmu, &packet(8, &[0x00; 8]), &mut scratch);
        assert!(recording.samples().is_empty());
        // Half of it is late.
        recorder.packet(Codec::Pcmu, &packet(20, &[0x00; 8]), &mut scratch);
        assert_eq!(recording.samples(), [-32_124; 4]);
        recorder.restart();
        recorder.packet(Codec::Pcmu, &packet(9_000, &[0x80; 4]), &mut scratch);
        assert_eq!(recording.drain(), [-32_124, -32_124, -32_124, -32_124, 32_124, 32_124, 32_124, 32_124]);
        assert_eq!(recording.length(), Duration::from_millis(4));
    }

    #[test]
    fn another_codec_in_mid_call_goes_on_at_the_same_rate() {
        let mut scratch = [0; 4_096];
        for codecs in [[Codec::Pcmu, Codec::G722, Codec::Pcma], [Codec::G722, Codec::Pcma, Codec::G722]] {
            let recording = Recording::new();
            let mut recorder = Recorder::new(&recording, Duration::from_secs(1));
            for codec in codecs {
                for timestamp in [0, 160] {
                    recorder.packet(codec, &packet(timestamp, &[0x55; 160]), &mut scratch);
                }
            }
            assert_eq!(recording.rate(), codecs[0].sample_rate());
            assert_eq!(recording.length(), Duration::from_millis(120), "{codecs:?}");
        }
    }

    #[test]
    fn by_the_clock_a_stream_begins_where_it_is_heard_and_no_timestamp_leads_far_away() {
        let mut recorder = Recorder::new(&Recording::by_the_clock(8_000), Duration::from_secs(60));
        let mut place = |timestamp, home| recorder.place(timestamp, 1, home, Some(8_000));
        assert_eq!(place(5_000, 16_000), Some(16_000), "two seconds of silence");
        assert_eq!(place(5_160, 19_000), Some(16_160), "late, and where it belongs");
        assert_eq!(place(5_320, 16_300), Some(16_320), "early");
        assert_eq!(place(5_480, 40_000), Some(40_000), "the timestamps stood still meanwhile");
        assert_eq!(place(5_640, 40_160), Some(40_160));
        assert_eq!(place(2_000_000_000, 40_320), Some(40_320), "out of this world");
        assert_eq!(place(7, 40_480), Some(40_480), "back to the beginning");
    }

    #[test]
    fn two_recordings_are_drained_in_step_whatever_came() {
        let mut scratch = [0; 400];
        let [spoken, silent] = [16_000, 16_000].map(Recording::by_the_clock);
        let mut recorder = Recorder::new(&spoken, Duration::from_secs(60));
        recorder.packet(Codec::Pcmu, &packet(0, &[0x80; 160]), &mut scratch);
        let until = spoken.age() + Duration::from_millis(20);
        let (left, right) = (spoken.drain_until(until), silent.drain_until(until));
        assert_eq!(left.len(), right.len());
        assert!(left.iter().any(|sample| *sample > 30_000), "narrow audio at the wide rate");
        assert!(right.iter().all(|sample| *sample == 0));
        assert!(spoken.drain_until(until).is_empty());
        assert_eq!(spoken.drain_until(until + Duration::from_millis(10)).len(), 160);
    }

    #[test]
    fn what_nobody_holds_is_recorded_no_further() {
        let recording = Recording::new();
        let mut recorder = Recorder::new(&recording, Duration::from_secs(1));
        drop(recording);
        recorder.packet(Codec::Pcmu, &packet(0, &[0x80; 8]), &mut [0; 100]);
        assert!(recorder.decoder.is_none());
    }

    #[test]
    fn only_speech_breaks_the_quiet() {
        let mut scratch = [0; 200];
        let recording = Recording::new();
        let mut recorder = Recorder::new(&recording, Duration::from_secs(1));
        let began = recording.audio().loud_at;
        // The faintest steps of the law, then some hundreds.
        recorder.packet(Codec::Pcmu, &packet(0, &[0xfe; 160]), &mut scratch);
        assert_eq!(recording.audio().loud_at, began);
        recorder.packet(Codec::Pcmu, &packet(160, &[0x40; 160]), &mut scratch);
        assert!(recording.audio().loud_at > began);
    }
}
