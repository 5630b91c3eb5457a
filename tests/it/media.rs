//! Two sessions talk to each other over loopback: what is played at one end is found at the other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use threadline::media::{Media, MediaConfig, MediaEvent, Prompt, Session};
use threadline::model::{
    Codec, Digit, DigitSource, Flow, MediaPlan, Pressed, Srtp, SrtpKey, SrtpSuite, TelephoneEvent,
};
use tokio::time::timeout;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(20);
const EVENTS: TelephoneEvent = TelephoneEvent { payload_type: 101, clock_rate: 8_000 };

fn media() -> Media {
    media_with(Duration::from_secs(30))
}

fn media_with(silence_timeout: Duration) -> Media {
    Media::start(MediaConfig { ports: (40_000, 49_999), silence_timeout }).unwrap()
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(LOCAL, port)
}

fn plan(codec: Codec, peer: u16) -> MediaPlan {
    MediaPlan {
        codec,
        payload_type: codec.payload_type(),
        ptime_ms: 20,
        telephone_event: Some(EVENTS),
        remote_rtp: at(peer),
        remote_rtcp: at(peer + 1),
        flow: Flow::SendRecv,
        srtp: None,
    }
}

/// Both ends of a call, started with the same plan but for the address; `change` adapts both.
fn call(media: &Media, codec: Codec, change: impl Fn(&mut MediaPlan)) -> (Session, Session) {
    let (a, b) = (media.open(LOCAL).unwrap(), media.open(LOCAL).unwrap());
    for (session, peer) in [(&a, b.port()), (&b, a.port())] {
        let mut plan = plan(codec, peer);
        change(&mut plan);
        session.start(plan);
    }
    (a, b)
}

/// White noise is like nothing but itself: a shift by a single sample shows.
fn noise(samples: usize) -> Vec<i16> {
    let mut state = 0x2545_f491_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 18) as i16 - 8_192
    };
    std::iter::repeat_with(next).take(samples).collect()
}

fn tone(rate: u32, hz: &[f64], ms: u32) -> Vec<i16> {
    (0..rate * ms / 1_000)
        .map(|i| {
            let t = f64::from(i) / f64::from(rate);
            hz.iter().map(|hz| 6_000.0 * (2.0 * std::f64::consts::PI * hz * t).sin()).sum::<f64>() as i16
        })
        .collect()
}

/// How alike two pieces of audio are: 1 the same, 0 nothing in common.
fn likeness(a: &[i16], b: &[i16]) -> f64 {
    let dot = |x: &[i16], y: &[i16]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1.0)
}

/// Where `wanted` begins in `heard`: the offset at which they are most alike.
fn find(wanted: &[i16], heard: &[i16]) -> Option<usize> {
    let probe = &wanted[..wanted.len().min(400)];
    let offsets = 0..heard.len().checked_sub(probe.len())?;
    offsets.max_by(|x, y| {
        let at = |offset: usize| likeness(probe, &heard[offset..offset + probe.len()]);
        at(*x).total_cmp(&at(*y))
    })
}

async fn event(session: &mut Session) -> MediaEvent {
    timeout(PATIENCE, session.next()).await.expect("an event")
}

/// Plays `samples` twice from one end and gives what the other end recorded once it must all have come. Where other
/// work kept the machine from sending for so long that the pacer had to skip, it is played again.
async fn play_through(media: &Media, codec: Codec, samples: &[i16], change: impl Fn(&mut MediaPlan)) -> Vec<i16> {
    for _ in 0..10 {
        let skipped = media.counters().skipped;
        let heard = play_once(media, codec, samples, &change).await;
        if media.counters().skipped == skipped {
            return heard;
        }
    }
    panic!("the machine is too busy to play a second of audio");
}

async fn play_once(media: &Media, codec: Codec, samples: &[i16], change: &impl Fn(&mut MediaPlan)) -> Vec<i16> {
    let prompt = Arc::new(Prompt::from_samples(codec.sample_rate(), samples).unwrap());
    let (mut a, b) = call(media, codec, change);
    let recording = b.record(Duration::from_secs(10));
    let id = a.play(vec![Arc::clone(&prompt), prompt]);
    assert_eq!(event(&mut a).await, MediaEvent::PlayEnded(id));
    // Silence goes on after the prompt: when so much has come, the prompt has.
    let enough = samples.len() * 2 + codec.sample_rate() as usize / 4;
    timeout(PATIENCE, async {
        while recording.samples().len() < enough {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("all of the audio");
    assert_eq!(recording.rate(), codec.sample_rate());
    let quality = b.close().await;
    assert_eq!(quality.lost, 0);
    assert!(quality.mos > Some(4.0), "{quality:?}");
    recording.samples()
}

/// The prompt is there twice, whole, at the right distance to the sample, and each 20 ms of it resembles.
fn assert_sample_aligned(codec: Codec, samples: &[i16], heard: &[i16]) {
    let latest = heard.len() - 2 * samples.len();
    let first = find(samples, &heard[..latest + 400]).unwrap();
    let frame = codec.sample_rate() as usize / 50;
    let twice = samples.repeat(2);
    let again = heard.get(first..first + twice.len()).expect("both in full");
    let least = if codec == Codec::G722 { 0.9 } else { 0.99 };
    for (number, (is, should)) in again.chunks(frame).zip(twice.chunks(frame)).enumerate() {
        let likeness = likeness(is, should);
        // At a sudden beginning or end of noise G.722's filters, 22 samples long, mix it with what is beside it.
        let edge = number % (samples.len() / frame);
        let least = if codec == Codec::G722 && (edge == 0 || edge == samples.len() / frame - 1) { 0.5 } else { least };
        assert!(likeness > least, "{codec:?}: frame {number} at {first}: {likeness}");
    }
}

#[tokio::test]
async fn a_prompt_arrives_sample_aligned_in_every_codec() {
    let media = media();
    for codec in Codec::ALL {
        let samples = noise(codec.sample_rate() as usize / 2);
        let heard = play_through(&media, codec, &samples, |_| {}).await;
        assert_sample_aligned(codec, &samples, &heard);
    }
    media.stop();
}

#[tokio::test]
async fn a_prompt_arrives_sample_aligned_at_every_packet_time() {
    let media = media();
    for ptime in [10, 20, 30, 40, 50, 60] {
        let samples = noise(3_600);
        let heard = play_through(&media, Codec::Pcma, &samples, |plan| plan.ptime_ms = ptime).await;
        assert_sample_aligned(Codec::Pcma, &samples, &heard);
    }
}

#[tokio::test]
async fn a_prompt_arrives_encrypted_in_both_suites() {
    let media = media();
    for suite in [SrtpSuite::Aes128Sha1_80, SrtpSuite::Aes128Sha1_32] {
        let samples = noise(4_000);
        let key = SrtpKey([7; 30]);
        let srtp = Srtp { suite, local: key.clone(), remote: key };
        let heard = play_through(&media, Codec::Pcmu, &samples, |plan| plan.srtp = Some(srtp.clone())).await;
        assert_sample_aligned(Codec::Pcmu, &samples, &heard);
    }
    assert_eq!(media.counters().unauthentic, 0);
}

#[tokio::test]
async fn what_is_encrypted_with_another_key_or_not_at_all_is_dropped() {
    let media = media_with(Duration::from_millis(600));
    let (a, mut b) = (media.open(LOCAL).unwrap(), media.open(LOCAL).unwrap());
    let keys = |local, remote| {
        Some(Srtp { suite: SrtpSuite::Aes128Sha1_80, local: SrtpKey([local; 30]), remote: SrtpKey([remote; 30]) })
    };
    a.start(MediaPlan { srtp: keys(1, 2), ..plan(Codec::Pcmu, b.port()) });
    b.start(MediaPlan { srtp: keys(2, 3), ..plan(Codec::Pcmu, a.port()) });
    assert_eq!(event(&mut b).await, MediaEvent::Silent);
    let with_another_key = media.counters().unauthentic;
    assert!(with_another_key > 0);
    a.start(plan(Codec::Pcmu, b.port()));
    until(|| media.counters().unauthentic > with_another_key + 10).await;
    assert_eq!(b.close().await.received, 0);
}

#[tokio::test]
async fn digits_go_through_as_events_and_count_once_with_info() {
    let media = media();
    let (a, mut b) = call(&media, Codec::G722, |_| {});
    for c in "1#D00".chars() {
        a.send_digit(Digit::from_char(c).unwrap(), Duration::from_millis(80));
    }
    for c in "1#D00".chars() {
        let digit = Digit::from_char(c).unwrap();
        let pressed = Pressed { digit, source: DigitSource::Event };
        assert_eq!(event(&mut b).await, MediaEvent::Digit(pressed));
        b.info_digit(digit);
    }
    let seven = Digit::from_char('7').unwrap();
    b.info_digit(seven);
    assert_eq!(event(&mut b).await, MediaEvent::Digit(Pressed { digit: seven, source: DigitSource::Info }));
}

#[tokio::test]
async fn digits_are_heard_in_the_audio_where_no_events_are_agreed() {
    let media = media();
    for codec in Codec::ALL {
        let rate = codec.sample_rate();
        let mut samples = tone(rate, &[697.0, 1_209.0], 100);
        samples.extend(vec![0; rate as usize / 10]);
        samples.extend(tone(rate, &[941.0, 1_477.0], 100));
        let (a, mut b) = call(&media, codec, |plan| plan.telephone_event = None);
        a.play(vec![Arc::new(Prompt::from_samples(rate, &samples).unwrap())]);
        for c in ['1', '#'] {
            let pressed = Pressed { digit: Digit::from_char(c).unwrap(), source: DigitSource::Tone };
            assert_eq!(event(&mut b).await, MediaEvent::Digit(pressed), "{codec:?}");
        }
    }
}

/// A bare RTP packet of 20 ms.
fn packet(ssrc: u32, sequence: u16, byte: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([byte; 160]);
    packet
}

/// Whether a packet comes from `port`, however many from elsewhere come before it.
fn hears(socket: &UdpSocket, port: u16) -> bool {
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut buffer = [0; 2_000];
    while let Ok((_, from)) = socket.recv_from(&mut buffer) {
        if from.port() == port {
            return true;
        }
    }
    false
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

#[tokio::test]
async fn a_locked_source_cannot_be_stolen() {
    let media = media();
    let session = media.open(LOCAL).unwrap();
    let recording = session.record(Duration::from_secs(5));
    // The peer is behind NAT: it sends from another port than negotiated, and nobody listens on that one.
    let peer = UdpSocket::bind(at(0)).unwrap();
    let thief = UdpSocket::bind("127.0.0.2:0").unwrap();
    session.start(plan(Codec::Pcmu, 9));
    for sequence in 0..5 {
        peer.send_to(&packet(1, sequence, 0x80), at(session.port())).unwrap();
    }
    until(|| media.counters().received == 5).await;
    assert!(hears(&peer, session.port()));
    for sequence in 5..30 {
        thief.send_to(&packet(1, sequence, 0x00), at(session.port())).unwrap();
    }
    until(|| media.counters().foreign == 25).await;
    assert!(hears(&peer, session.port()));
    thief.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(thief.recv_from(&mut [0; 2_000]).is_err());
    let samples = recording.samples();
    assert_eq!(samples.len(), 800);
    assert!(samples.iter().all(|sample| *sample > 0));
    assert_eq!(session.close().await.received, 5);
}

#[tokio::test]
async fn silence_is_noticed_once_and_not_while_the_peer_need_not_send() {
    let media = media_with(Duration::from_millis(200));
    let mut session = media.open(LOCAL).unwrap();
    session.start(MediaPlan { flow: Flow::SendOnly, ..plan(Codec::Pcmu, 9) });
    assert!(timeout(Duration::from_millis(500), session.next()).await.is_err());
    session.start(plan(Codec::Pcmu, 9));
    assert_eq!(event(&mut session).await, MediaEvent::Silent);
    assert!(timeout(Duration::from_millis(500), session.next()).await.is_err());
    let peer = UdpSocket::bind(at(0)).unwrap();
    peer.send_to(&packet(1, 1, 0xff), at(session.port())).unwrap();
    assert_eq!(event(&mut session).await, MediaEvent::Silent);
    media.stop();
    assert_eq!(event(&mut session).await, MediaEvent::Silent);
    assert!(!media.is_running());
    assert!(matches!(media.open(LOCAL), Err(threadline::media::MediaError::Stopped)));
}

#[tokio::test]
async fn on_hold_nothing_is_sent_and_the_prompt_goes_on_afterwards() {
    let media = media();
    let samples = noise(32_000);
    // Encoded before anything is recorded: what is waited for below is the prompt's beginning, not the silence before it.
    let prompt = Arc::new(Prompt::from_samples(8_000, &samples).unwrap());
    let (mut a, b) = call(&media, Codec::Pcmu, |_| {});
    let recording = b.record(Duration::from_secs(30));
    let id = a.play(vec![prompt]);
    until(|| recording.samples().len() > 2_000).await;
    a.start(MediaPlan { flow: Flow::RecvOnly, ..plan(Codec::Pcmu, b.port()) });
    // The hold is measured by the pacer's own clock: 25 packets from B while there is none from A.
    loop {
        let (received, recorded) = (media.counters().received, recording.samples().len());
        until(|| media.counters().received >= received + 25).await;
        if recording.samples().len() == recorded {
            break;
        }
    }
    assert!(timeout(Duration::ZERO, a.next()).await.is_err(), "the prompt stands still");
    a.start(plan(Codec::Pcmu, b.port()));
    assert_eq!(event(&mut a).await, MediaEvent::PlayEnded(id));
    let quality = b.close().await;
    assert_eq!(quality.lost, 0);
    // What was left lies later by as long as the hold was: the clock went on. Some of the 25 were under way before it.
    let heard = recording.samples();
    let start = find(&samples, &heard[..heard.len() - 31_000]).unwrap();
    let later = find(&samples[31_000..], &heard[start + 31_000..]).unwrap();
    assert!(later > 20 * 160, "{start} {later}");
}

#[tokio::test]
async fn garbage_even_from_the_peer_is_counted_and_survived() {
    let media = media();
    let mut session = media.open(LOCAL).unwrap();
    let peer = UdpSocket::bind(at(0)).unwrap();
    session.start(plan(Codec::Pcmu, peer.local_addr().unwrap().port()));
    peer.send_to(&packet(1, 0, 0xff), at(session.port())).unwrap();
    until(|| media.counters().received == 1).await;
    let mut sent = 0;
    for length in [0, 1, 11, 12, 13, 100, 1_500, 2_500] {
        for byte in [0x00, 0x80, 0x9f, 0xbf, 0xc8, 0xff] {
            for port in [session.port(), session.port() + 1] {
                peer.send_to(&vec![byte; length], at(port)).unwrap();
                sent += 1;
            }
        }
    }
    until(|| media.counters().foreign + media.counters().malformed == sent).await;
    let mut event_packet = packet(1, 1, 0);
    event_packet[1] = 101;
    event_packet.truncate(12);
    event_packet.extend([5, 0x0a, 0, 160]);
    peer.send_to(&event_packet, at(session.port())).unwrap();
    let pressed = Pressed { digit: Digit::ALL[5], source: DigitSource::Event };
    assert_eq!(event(&mut session).await, MediaEvent::Digit(pressed));
    assert_eq!(media.counters().panics, 0);
}

#[tokio::test]
async fn reports_go_both_ways_and_end_with_goodbye() {
    let media = media();
    let session = media.open(LOCAL).unwrap();
    let (rtp, rtcp) = (UdpSocket::bind(at(0)).unwrap(), UdpSocket::bind(at(0)).unwrap());
    let (remote_rtp, remote_rtcp) = (rtp.local_addr().unwrap(), rtcp.local_addr().unwrap());
    session.start(MediaPlan { remote_rtp, remote_rtcp, ..plan(Codec::Pcmu, 9) });
    // One of these never comes.
    for sequence in [0, 1, 2, 4] {
        rtp.send_to(&packet(0x0102_0304, sequence, 0xff), at(session.port())).unwrap();
    }
    let (sender, rtcp) = tokio::task::spawn_blocking(move || {
        rtcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 500];
        let (length, _) = rtcp.recv_from(&mut buffer).unwrap();
        (buffer[..length].to_vec(), rtcp)
    })
    .await
    .unwrap();
    assert_eq!(sender[..2], [0x81, 200]);
    assert_eq!(sender[28..32], [1, 2, 3, 4], "the report is on the peer's stream");
    assert_eq!(sender[33..36], [0, 0, 1], "one lost");
    let mut answer = vec![0x81, 201, 0, 7, 1, 2, 3, 4];
    answer.extend(&sender[4..8]);
    answer.extend([0, 0, 0, 3]);
    answer.extend([0; 8]);
    answer.extend(&sender[10..14]);
    answer.extend([0; 4]);
    rtcp.send_to(&answer, at(session.port() + 1)).unwrap();
    let quality = session.close().await;
    assert_eq!((quality.received, quality.lost, quality.remote_lost), (4, 1, 3));
    assert!(quality.round_trip_ms.is_some() && quality.mos.is_some(), "{quality:?}");
    let mut buffer = [0; 500];
    let (length, _) = rtcp.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[length - 8..length - 6], [0x81, 203], "goodbye");
}

#[tokio::test]
async fn ports_are_bounded_and_come_back() {
    let media = Media::start(MediaConfig { ports: (39_990, 39_995), silence_timeout: PATIENCE }).unwrap();
    let sessions: Vec<_> = (0..3).map(|_| media.open(LOCAL).unwrap()).collect();
    let error = media.open(LOCAL).unwrap_err().to_string();
    assert_eq!(error, "all 3 pairs of RTP ports are in use; widen [rtp] ports");
    until(|| media.counters().sessions == 3).await;
    drop(sessions);
    until(|| media.counters().sessions == 0).await;
    assert!(media.open(LOCAL).is_ok());
    let refused = Media::start(MediaConfig { ports: (7, 7), silence_timeout: PATIENCE }).unwrap_err();
    assert!(refused.to_string().contains("16384-17383"), "{refused}");
}

#[tokio::test]
async fn ipv6_works_where_the_box_has_it() {
    let media = media();
    let local: IpAddr = "::1".parse().unwrap();
    let (Ok(a), Ok(mut b)) = (media.open(local), media.open(local)) else { return };
    for (session, peer) in [(&a, b.port()), (&b, a.port())] {
        let remote = |port| SocketAddr::new(local, port);
        session.start(MediaPlan { remote_rtp: remote(peer), remote_rtcp: remote(peer + 1), ..plan(Codec::Pcmu, peer) });
    }
    a.send_digit(Digit::ALL[1], Duration::from_millis(60));
    let pressed = Pressed { digit: Digit::ALL[1], source: DigitSource::Event };
    assert_eq!(event(&mut b).await, MediaEvent::Digit(pressed));
}
