//! Two legs, one call: what one phone says is heard by the other, over real sockets. The phones are bare UDP sockets
//! that write and read RTP themselves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use audio_codec::{CodecType, create_decoder, create_encoder};
use threadline::clock::monotonic;
use threadline::media::dtmf::{EventDetector, ToneDetector};
use threadline::media::{Media, MediaConfig, MediaEvent, Prompt, Session};
use threadline::model::{
    Codec, Digit, DigitSource, Flow, MediaPlan, Pressed, Srtp, SrtpKey, SrtpSuite, TelephoneEvent,
};
use tokio::time::timeout;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(20);
const FRAME: Duration = Duration::from_millis(20);
const EVENTS: TelephoneEvent = TelephoneEvent { payload_type: 101, clock_rate: 8_000 };

fn media() -> Media {
    Media::start(MediaConfig { ports: (50_000, 55_999), silence_timeout: PATIENCE }).unwrap()
}

/// A phone without anything but a socket, and the session that talks to it.
struct Leg {
    session: Session,
    phone: UdpSocket,
    codec: Codec,
    sequence: u16,
    timestamp: u32,
    /// It has not spoken for a while: what follows begins a talkspurt.
    paused: bool,
}

/// What a phone has been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Got {
    kind: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

impl Leg {
    fn new(media: &Media, codec: Codec) -> Leg {
        let leg = Leg::unstarted(media, codec);
        leg.session.start(leg.plan());
        leg
    }

    fn unstarted(media: &Media, codec: Codec) -> Leg {
        let phone = UdpSocket::bind((LOCAL, 0)).unwrap();
        phone.set_read_timeout(Some(PATIENCE)).unwrap();
        let (sequence, timestamp) = (65_000, u32::MAX - 4_000);
        Leg { session: media.open(LOCAL).unwrap(), phone, codec, sequence, timestamp, paused: true }
    }

    fn plan(&self) -> MediaPlan {
        let address = self.phone.local_addr().unwrap();
        MediaPlan {
            codec: self.codec,
            payload_type: self.codec.payload_type(),
            ptime_ms: 20,
            telephone_event: Some(EVENTS),
            remote_rtp: address,
            remote_rtcp: SocketAddr::new(LOCAL, 9),
            flow: Flow::SendRecv,
            srtp: None,
        }
    }

    /// The next packet that the phone sends; `lost` of them do not arrive.
    fn packet(&mut self, kind: u8, payload: &[u8], lost: u16) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(lost);
        self.timestamp = self.timestamp.wrapping_add(u32::from(lost) * 160);
        let marker = u8::from(std::mem::take(&mut self.paused)) << 7;
        let mut packet = vec![0x80, kind | marker];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(0xbeef_u32.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        packet
    }

    fn say(&mut self, payload: &[u8]) {
        let packet = self.packet(self.codec.payload_type(), payload, 0);
        self.send(&packet);
    }

    fn send(&self, packet: &[u8]) {
        self.phone.send_to(packet, (LOCAL, self.session.port())).unwrap();
    }

    fn get(&self) -> Got {
        let mut buffer = [0; 2_000];
        let length = self.phone.recv(&mut buffer).expect("a packet");
        let packet = &buffer[..length];
        let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        assert_eq!(packet[0], 0x80);
        Got {
            kind: packet[1] & 0x7f,
            marker: packet[1] & 0x80 != 0,
            sequence: word(0) as u16,
            timestamp: word(4),
            ssrc: word(8),
            payload: packet[12..].to_vec(),
        }
    }

    /// The next packet that holds what somebody said.
    fn get_said(&self) -> Got {
        std::iter::repeat_with(|| self.get()).take(500).find(|got| self.is_said(got)).expect("something said")
    }

    /// Neither silence nor an event. Silence in G.722 is what the coder makes of it.
    fn is_said(&self, got: &Got) -> bool {
        let loudest = decoded(self.codec, &got.payload).iter().map(|sample| sample.unsigned_abs()).max();
        got.kind == self.codec.payload_type() && loudest > Some(100)
    }
}

fn rtp_kind(codec: Codec) -> CodecType {
    match codec {
        Codec::Pcmu => CodecType::PCMU,
        Codec::Pcma => CodecType::PCMA,
        Codec::G722 => CodecType::G722,
    }
}

fn decoded(codec: Codec, payload: &[u8]) -> Vec<i16> {
    create_decoder(rtp_kind(codec)).decode(payload)
}

/// `ms` of a tone in a codec.
fn tone(codec: Codec, hz: f64, ms: u32) -> Vec<u8> {
    let rate = codec.sample_rate();
    let step = std::f64::consts::TAU * hz / f64::from(rate);
    let samples: Vec<i16> = (0..rate * ms / 1_000).map(|i| (8_000.0 * (step * f64::from(i)).sin()) as i16).collect();
    create_encoder(rtp_kind(codec)).encode(&samples)
}

/// How much of the power of what was heard lies at `hz`: nearly 1 for a tone of that frequency.
fn purity(rate: u32, hz: f64, samples: &[i16]) -> f64 {
    let step = std::f64::consts::TAU * hz / f64::from(rate);
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        let (sin, cos) = (step * i as f64).sin_cos();
        re += f64::from(*sample) * cos;
        im += f64::from(*sample) * sin;
        power += f64::from(*sample).powi(2);
    }
    2.0 * (re * re + im * im) / samples.len() as f64 / f64::max(power, 1.0)
}

/// How many of the pieces of 30 ms are that tone. Where a busy machine let silence come in between, the tone has a seam
/// and a piece or two are not.
fn pure(rate: u32, hz: f64, samples: &[i16]) -> f64 {
    let pieces: Vec<_> = samples.chunks_exact(rate as usize * 3 / 100).collect();
    let pure = pieces.iter().filter(|piece| purity(rate, hz, piece) > 0.95).count();
    pure as f64 / pieces.len() as f64
}

/// One phone says `payload` in real time, and what the other is sent from its first sound on.
fn say_through(from: &mut Leg, to: &Leg, payload: &[u8]) -> Vec<Got> {
    let start = monotonic();
    let mut heard = Vec::new();
    from.paused = true;
    for (n, frame) in (0u32..).zip(payload.as_chunks::<160>().0) {
        from.say(frame);
        let due = start + FRAME * (n + 1);
        while let Some(left) = due.checked_duration_since(monotonic()).filter(|left| !left.is_zero()) {
            to.phone.set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            let mut byte = [0; 1];
            if to.phone.peek(&mut byte).is_ok() {
                heard.push(to.get());
            }
        }
    }
    to.phone.set_read_timeout(Some(PATIENCE)).unwrap();
    let first = heard.iter().position(|got| to.is_said(got)).expect("something to hear");
    heard.split_off(first)
}

async fn event(session: &mut Session) -> MediaEvent {
    timeout(PATIENCE, session.next()).await.expect("an event")
}

async fn until(mut reached: impl FnMut() -> bool) {
    timeout(PATIENCE, async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it to happen");
}

/// Bridged, and the pacer knows: what is said comes through.
fn bridge(media: &Media, codecs: [Codec; 2]) -> (Leg, Leg) {
    let [a, b] = codecs.map(|codec| Leg::new(media, codec));
    a.session.bridge(&b.session);
    let (mut a, mut b) = (a, b);
    connect(&mut a, &mut b);
    (a, b)
}

/// Both speak until each has heard the other.
fn connect(a: &mut Leg, b: &mut Leg) {
    let wake =
        |from: &mut Leg, to: &Leg| {
            let loud = tone(from.codec, 1_000.0, 20);
            to.phone.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            let mut buffer = [0; 2_000];
            let heard = (0..2_000).any(|_| {
                from.say(&loud);
                let Ok(length) = to.phone.recv(&mut buffer) else { return false };
                let payload = &buffer[12..length];
                decoded(to.codec, payload).iter().any(|sample| sample.unsigned_abs() > 2_000)
            });
            assert!(heard, "they are bridged");
            to.phone.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            // What is still under way.
            while to.phone.recv(&mut buffer).is_ok_and(|length| {
                decoded(to.codec, &buffer[12..length]).iter().any(|sample| sample.unsigned_abs() > 100)
            }) {}
            to.phone.set_read_timeout(Some(PATIENCE)).unwrap();
        };
    wake(a, b);
    wake(b, a);
    (a.paused, b.paused) = (true, true);
}

#[tokio::test]
async fn in_one_codec_the_payload_passes_untouched_both_ways_under_our_own_numbering() {
    let media = media();
    for codec in Codec::ALL {
        let (mut a, mut b) = bridge(&media, [codec, codec]);
        let (high, low) = (tone(codec, 1_800.0, 400), tone(codec, 700.0, 400));
        for _ in 0..10 {
            let skipped = media.counters().skipped;
            let at_b = say_through(&mut a, &b, &high);
            let at_a = say_through(&mut b, &a, &low);
            if media.counters().skipped > skipped {
                continue;
            }
            for (heard, said) in [(at_b, &high), (at_a, &low)] {
                let bytes: Vec<u8> = heard.iter().flat_map(|got| got.payload.clone()).collect();
                // The machine may be so busy that silence came in between; the payloads are still those that were sent.
                let said: Vec<&[u8]> = said.chunks(160).collect();
                let through = heard.iter().filter(|got| said.contains(&&got.payload[..])).count();
                assert!(through >= said.len() - 1, "{codec:?}: {through} of {}, {} bytes", said.len(), bytes.len());
                assert_one_stream(&heard);
            }
            break;
        }
        assert_eq!(media.counters().panics, 0);
    }
}

/// One SSRC that is not the other phone's, sequence numbers without a gap, time that never goes back.
fn assert_one_stream(heard: &[Got]) {
    for pair in heard.windows(2) {
        assert!(pair[0].ssrc == pair[1].ssrc && pair[0].ssrc != 0xbeef);
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((160..32_000).contains(&step), "{step} after {:?}", pair[0]);
    }
}

#[tokio::test]
async fn between_any_two_codecs_a_tone_said_is_the_tone_heard_both_ways() {
    let media = media();
    for [one, two] in [[Codec::Pcmu, Codec::G722], [Codec::Pcma, Codec::G722], [Codec::Pcmu, Codec::Pcma]] {
        let (mut a, mut b) = bridge(&media, [one, two]);
        for hz in [600.0, 2_500.0] {
            for back in [false, true] {
                let (from, to) = if back { (&mut b, &a) } else { (&mut a, &b) };
                let heard = say_through(from, to, &tone(from.codec, hz, 500));
                let payload: Vec<u8> =
                    heard.iter().filter(|got| to.is_said(got)).flat_map(|got| got.payload.clone()).collect();
                let samples = decoded(to.codec, &payload);
                let rate = to.codec.sample_rate();
                assert!(samples.len() >= rate as usize * 4 / 10, "{} samples", samples.len());
                // Without the first 50 ms, in which the coders learn the signal.
                let pure = pure(rate, hz, &samples[rate as usize / 20..]);
                assert!(pure > 0.7, "{:?} to {:?} at {hz} Hz: {pure}", from.codec, to.codec);
                assert!(heard.iter().all(|got| got.kind == to.codec.payload_type()));
            }
        }
    }
}

#[tokio::test]
async fn a_packet_goes_on_at_once_and_not_with_the_next_tick() {
    let media = media();
    let (mut a, b) = bridge(&media, [Codec::Pcmu, Codec::Pcmu]);
    let (mut sent, mut before_any_tick) = (0, 0);
    let payload = tone(Codec::Pcmu, 1_000.0, 20);
    // Five packets faster than ticks come: a relay that waits for its tick could pass none of them on meanwhile.
    while sent < 200 {
        for _ in 0..5 {
            a.say(&payload);
            sent += 1;
            b.phone.set_read_timeout(Some(Duration::from_millis(4))).unwrap();
            let mut buffer = [0; 2_000];
            before_any_tick += u32::from(b.phone.recv(&mut buffer).is_ok_and(|length| buffer[12..length] == payload));
        }
        tokio::time::sleep(FRAME * 3).await;
    }
    assert!(before_any_tick > 150, "{before_any_tick} of {sent}");
}

#[tokio::test]
async fn the_gaps_between_packets_stay_and_loss_shows_as_loss() {
    let media = media();
    let (mut a, b) = bridge(&media, [Codec::Pcma, Codec::Pcma]);
    let payload = tone(Codec::Pcma, 1_000.0, 20);
    for _ in 0..50 {
        a.say(&payload);
        let before = b.get_said();
        // Two lost on their way to us; then a pause that the phone marks as such.
        let packet = a.packet(8, &payload, 2);
        a.send(&packet);
        let after_loss = b.get_said();
        a.timestamp = a.timestamp.wrapping_add(3 * 160);
        let packet = a.packet(8 | 0x80, &payload, 0);
        a.send(&packet);
        let after_pause = b.get_said();
        // Overtaken and repeated ones go nowhere.
        a.send(&packet);
        a.say(&payload);
        let last = b.get_said();
        let steps = |x: &Got, y: &Got| (y.sequence.wrapping_sub(x.sequence), y.timestamp.wrapping_sub(x.timestamp));
        // If the machine was held up for so long that silence was sent in between, the steps are others.
        let all = [steps(&before, &after_loss), steps(&after_loss, &after_pause), steps(&after_pause, &last)];
        if all == [(3, 480), (1, 640), (1, 160)] && after_pause.marker && !last.marker {
            return;
        }
        tokio::time::sleep(FRAME).await;
    }
    panic!("never were the steps as they should be");
}

#[tokio::test]
async fn one_leg_encrypts_and_the_other_does_not() {
    let media = media();
    let keys = |local, remote| {
        Some(Srtp { suite: SrtpSuite::Aes128Sha1_80, local: SrtpKey([local; 30]), remote: SrtpKey([remote; 30]) })
    };
    // The encrypted phone is a session of ours, which can do SRTP.
    let (mut plain, sealed) = (Leg::new(&media, Codec::Pcmu), media.open(LOCAL).unwrap());
    let far = media.open(LOCAL).unwrap();
    let plan = |peer: &Session, srtp| MediaPlan {
        remote_rtp: SocketAddr::new(LOCAL, peer.port()),
        remote_rtcp: SocketAddr::new(LOCAL, peer.port() + 1),
        srtp,
        ..plain.plan()
    };
    sealed.start(plan(&far, keys(1, 2)));
    far.start(plan(&sealed, keys(2, 1)));
    plain.session.bridge(&sealed);
    far.play_looped(vec![Arc::new(Prompt::tone(900.0, Duration::from_millis(400)))]);
    let recording = far.record(Duration::from_secs(60));
    let loud = tone(Codec::Pcmu, 1_500.0, 20);
    let mut heard = Vec::new();
    let found = |hz, samples: &[i16]| samples.windows(800).step_by(160).any(|part| purity(8_000, hz, part) > 0.9);
    for _ in 0..500 {
        plain.say(&loud);
        let got = plain.get();
        heard.extend(decoded(Codec::Pcmu, &got.payload));
        if found(900.0, &heard) && found(1_500.0, &recording.samples()) {
            assert_eq!(media.counters().unauthentic, 0);
            return;
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    panic!("the tones did not come through");
}

#[tokio::test]
async fn digits_cross_in_the_form_of_each_leg_and_never_raw() {
    let media = media();
    let one = Digit::ALL[1];
    // Events on one leg, tones in the audio on the other.
    let mut events = Leg::new(&media, Codec::Pcmu);
    let mut tones = Leg::unstarted(&media, Codec::G722);
    tones.session.start(MediaPlan { telephone_event: None, ..tones.plan() });
    events.session.bridge(&tones.session);
    connect(&mut events, &mut tones);

    // From events to a tone.
    let start = events.timestamp;
    for (n, end) in [(1u16, 0), (2, 0), (3, 0x80), (3, 0x80)] {
        let [high, low] = (n * 160).to_be_bytes();
        let mut packet = events.packet(101 | if n == 1 { 0x80 } else { 0 }, &[1, end | 10, high, low], 0);
        packet[4..8].copy_from_slice(&start.to_be_bytes());
        events.send(&packet);
    }
    let pressed = Pressed { digit: one, source: DigitSource::Event };
    assert_eq!(event(&mut events.session).await, MediaEvent::Digit(pressed));
    tones.session.carry_digit(pressed);
    let mut decoder = create_decoder(CodecType::G722);
    let mut detector = ToneDetector::new(16_000);
    let mut heard = Vec::new();
    for _ in 0..500 {
        if !heard.is_empty() {
            break;
        }
        let got = tones.get();
        assert_eq!(got.kind, 9, "no event goes to a leg that has agreed on none");
        detector.samples(&decoder.decode(&got.payload), |digit| heard.push(digit));
    }
    assert_eq!(heard, [one]);

    // From a tone to events.
    let seven = Digit::ALL[7];
    let press: Vec<i16> = (0..1_600)
        .map(|i| {
            let wave = |hz: f64| (std::f64::consts::TAU * hz * f64::from(i) / 16_000.0).sin();
            (5_000.0 * (wave(852.0) + wave(1_209.0))) as i16
        })
        .collect();
    for frame in create_encoder(CodecType::G722).encode(&press).chunks(160) {
        tones.say(frame);
    }
    let pressed = Pressed { digit: seven, source: DigitSource::Tone };
    assert_eq!(event(&mut tones.session).await, MediaEvent::Digit(pressed));
    events.session.carry_digit(pressed);
    let mut detector = EventDetector::new();
    let digit = std::iter::repeat_with(|| events.get())
        .take(500)
        .filter(|got| got.kind == 101)
        .find_map(|got| detector.packet(got.sequence, got.timestamp, &got.payload));
    assert_eq!(digit, Some(seven));

    // From a tone to tones: it came as audio, and is not made again. A marker press shows that nothing was in between.
    tones.session.carry_digit(Pressed { digit: seven, source: DigitSource::Tone });
    tones.session.carry_digit(Pressed { digit: one, source: DigitSource::Info });
    let (mut decoder, mut detector, mut heard) = (create_decoder(CodecType::G722), ToneDetector::new(16_000), vec![]);
    for _ in 0..500 {
        if !heard.is_empty() {
            break;
        }
        detector.samples(&decoder.decode(&tones.get().payload), |digit| heard.push(digit));
    }
    assert_eq!(heard, [one]);
}

#[tokio::test]
async fn music_goes_before_what_is_relayed_without_a_seam_in_the_numbering() {
    let media = media();
    let (mut a, b) = bridge(&media, [Codec::Pcmu, Codec::Pcmu]);
    let said = tone(Codec::Pcmu, 1_500.0, 2_000);
    let music = Arc::new(Prompt::tone(500.0, Duration::from_millis(170)));
    let mut said = said.as_chunks::<160>().0.iter().map(<[u8; 160]>::as_slice).cycle();
    let mut heard = Vec::new();
    let talk = |a: &mut Leg, heard: &mut Vec<Got>, said: &mut dyn Iterator<Item = &[u8]>, hz: f64| {
        let from = heard.len();
        for _ in 0..500 {
            a.say(said.next().unwrap());
            heard.push(b.get());
            let samples: Vec<i16> = heard[from..].iter().flat_map(|got| decoded(Codec::Pcmu, &got.payload)).collect();
            let steady = samples.len() >= 1_200 && purity(8_000, hz, &samples[samples.len() - 1_200..]) > 0.95;
            if steady {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{hz} Hz is not heard");
    };
    talk(&mut a, &mut heard, &mut said, 1_500.0);
    b.session.play_looped(vec![music]);
    talk(&mut a, &mut heard, &mut said, 500.0);
    b.session.stop_playing();
    talk(&mut a, &mut heard, &mut said, 1_500.0);
    assert_one_stream(&heard);
}

#[tokio::test]
async fn a_leg_on_hold_is_sent_nothing_and_goes_on_afterwards() {
    let media = media();
    let (mut a, mut b) = bridge(&media, [Codec::Pcmu, Codec::Pcmu]);
    b.session.start(MediaPlan { flow: Flow::RecvOnly, ..b.plan() });
    let payload = tone(Codec::Pcmu, 1_000.0, 20);
    // The hold is there once nothing comes any more while A goes on speaking.
    b.phone.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut quiet = false;
    for _ in 0..100 {
        a.say(&payload);
        if b.phone.recv(&mut [0; 2_000]).is_err() {
            quiet = true;
            break;
        }
    }
    assert!(quiet);
    for _ in 0..25 {
        a.say(&payload);
    }
    assert!(b.phone.recv(&mut [0; 2_000]).is_err());
    // A leg that is held by us sends nothing that anybody would hear.
    a.session.start(MediaPlan { flow: Flow::SendOnly, ..a.plan() });
    b.session.start(b.plan());
    let received = media.counters().received;
    for _ in 0..25 {
        a.say(&payload);
        b.phone.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(!b.is_said(&b.get()));
    }
    until(|| media.counters().received >= received + 25).await;
    a.session.start(a.plan());
    connect(&mut a, &mut b);
}

#[tokio::test]
async fn another_codec_in_mid_bridge_is_converted_from_then_on() {
    let media = media();
    let (mut a, mut b) = bridge(&media, [Codec::Pcmu, Codec::Pcmu]);
    for (left, right) in [(Codec::G722, Codec::Pcmu), (Codec::G722, Codec::Pcma), (Codec::Pcma, Codec::Pcma)] {
        (a.codec, b.codec) = (left, right);
        a.session.start(a.plan());
        b.session.start(b.plan());
        // Until the change has been obeyed what is said is of no known codec, and goes nowhere.
        connect(&mut a, &mut b);
        let heard = say_through(&mut a, &b, &tone(left, 800.0, 400));
        let payload: Vec<u8> = heard.iter().filter(|got| b.is_said(got)).flat_map(|got| got.payload.clone()).collect();
        let samples = decoded(right, &payload);
        let pure = pure(8_000, 800.0, &samples[400..]);
        assert!(pure > 0.7, "{left:?} to {right:?}: {pure}");
    }
}

#[tokio::test]
async fn garbage_goes_nowhere() {
    let media = media();
    let (mut a, b) = bridge(&media, [Codec::Pcmu, Codec::Pcmu]);
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    let payload = tone(Codec::Pcmu, 1_000.0, 20);
    let before = media.counters();
    let mut sent = 0;
    for length in [0, 1, 11, 12, 13, 100, 172, 1_500, 2_500] {
        for byte in [0x00, 0x7f, 0x9f, 0xbf, 0xff] {
            a.send(&vec![byte; length]);
            sent += 1;
        }
    }
    // Audio from somebody else, of a payload type that was not agreed on, and far too long.
    let foreign = a.packet(0, &payload, 0);
    stranger.send_to(&foreign, (LOCAL, a.session.port())).unwrap();
    let unknown = a.packet(13, &payload, 0);
    a.send(&unknown);
    let long = a.packet(0, &[0x00; 1_300], 0);
    a.send(&long);
    let counted = || {
        let now = media.counters();
        (now.foreign + now.malformed + now.received) - (before.foreign + before.malformed + before.received)
    };
    until(|| counted() == sent + 3).await;
    // The first that is said again is the first that is heard.
    a.timestamp = a.timestamp.wrapping_add(80_000);
    let marked = tone(Codec::Pcmu, 2_000.0, 20);
    a.say(&marked);
    assert_eq!(b.get_said().payload, marked);
    assert_eq!(media.counters().panics, 0);
}

#[tokio::test]
async fn a_flood_on_one_leg_does_not_hold_up_the_others() {
    let media = media();
    let (mut a, _b) = bridge(&media, [Codec::Pcmu, Codec::Pcmu]);
    let (mut c, mut d) = bridge(&media, [Codec::Pcmu, Codec::Pcmu]);
    let payload = tone(Codec::Pcmu, 1_000.0, 20);
    let (start, sent) = (monotonic(), media.counters().sent);
    for _ in 0..5_000 {
        a.say(&payload);
    }
    // 32 of them in a tick; and what four legs send by themselves, had all of it to be caught up with.
    let sent = media.counters().sent - sent;
    let ticks = (start.elapsed().as_millis() / 20 + 2) as u64;
    assert!(sent <= ticks * (32 + 4 * 3), "{sent} in {ticks} ticks");
    connect(&mut c, &mut d);
}

#[tokio::test]
async fn closing_one_leg_leaves_the_other_in_silence() {
    let media = media();
    let (mut a, b) = bridge(&media, [Codec::Pcmu, Codec::Pcmu]);
    let (mut c, mut d) = bridge(&media, [Codec::Pcmu, Codec::Pcmu]);
    b.session.close().await;
    let payload = tone(Codec::Pcmu, 1_000.0, 20);
    for _ in 0..10 {
        a.say(&payload);
        assert!(!a.is_said(&a.get()));
    }
    // It can be the leg of another call then; the third party is parted from its own.
    a.session.bridge(&c.session);
    connect(&mut a, &mut c);
    for _ in 0..10 {
        d.say(&payload);
        assert!(!a.is_said(&a.get()) && !c.is_said(&c.get()));
    }
    a.session.unbridge();
    until(|| {
        d.say(&payload);
        a.say(&payload);
        !c.is_said(&c.get())
    })
    .await;
    drop(a);
    c.session.bridge(&d.session);
    connect(&mut c, &mut d);
    c.session.bridge(&c.session);
    connect(&mut c, &mut d);
    drop((c, d));
    until(|| media.counters().sessions == 0).await;
    assert_eq!(media.counters().panics, 0);
}

#[tokio::test]
async fn a_bridged_leg_is_recorded_and_tells_for_how_long_nobody_has_spoken() {
    let media = media();
    let (mut a, b) = bridge(&media, [Codec::Pcmu, Codec::Pcma]);
    let recording = a.session.record(Duration::from_secs(30));
    until(|| {
        a.say(&[0xff; 160]);
        !recording.samples().is_empty()
    })
    .await;
    // What is still under way is silence, too.
    let (marked, payload) = (tone(Codec::Pcmu, 2_000.0, 20), tone(Codec::Pcmu, 1_000.0, 400));
    a.say(&marked);
    b.get_said();
    let before = recording.drain().len() as u64;
    let mut pieces = Vec::new();
    for frame in payload.chunks(160) {
        a.say(frame);
        b.get_said();
        pieces.extend(recording.drain());
    }
    until(|| recording.quiet_for() > Duration::from_millis(100)).await;
    pieces.extend(recording.drain());
    assert_eq!(pieces.len(), 3_200);
    assert!(purity(8_000, 1_000.0, &pieces) > 0.9);
    let length = Duration::from_micros((before + 3_200) * 125);
    assert_eq!(recording.length(), length);
    // Sending silence is as quiet as sending nothing.
    let spoken = recording.quiet_for();
    for _ in 0..10 {
        a.say(&[0xff; 160]);
    }
    until(|| recording.length() > length).await;
    assert!(recording.quiet_for() >= spoken);
}
