//! `threadline trace --pcap`: what is in the file, read here byte by byte and by tshark.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use threadline::media::Prompt;
use threadline::model::{Codec, SrtpPolicy};
use threadline::store::export::What;
use threadline::store::{self, recordings};

use super::signalling::{Peer, header, status};
use super::staff::{House, both_hear, press};

/// The caller keys a number before they reach the queue, whose conversations are recorded.
const TREE: &str = r#"start = "number:mobile"
[number.mobile]
say = "digit_4"
confirm = "digit_3"
max_digits = 10
then = "queue:recorded"
when_unanswered = "queue:recorded"
[queue.recorded]
ring = ["extension:201"]
record = "digit_6"
give_up_after = "5m"
"#;
const NUMBER: &str = "2125550187";

/// A datagram of a capture.
#[derive(Debug)]
pub struct Datagram {
    /// Microseconds.
    at: i64,
    from: SocketAddr,
    to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// Reads a capture of IPv4 and UDP: the format of tcpdump.org/manpages/pcap-savefile.5.html, RFC 791 and RFC 768.
pub fn read(file: &Path) -> Vec<Datagram> {
    let bytes = std::fs::read(file).unwrap();
    let little = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((little(0), little(20)), (0xa1b2_c3d4, 101), "microseconds, raw IP");
    let (mut at, mut all) = (24, vec![]);
    while at < bytes.len() {
        let length = little(at + 8) as usize;
        assert_eq!(length, little(at + 12) as usize, "nothing is cut off");
        let packet = &bytes[at + 16..at + 16 + length];
        let big = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        assert_eq!((packet[0], packet[9], usize::from(big(2))), (0x45, 17, length));
        assert_eq!(usize::from(big(24)), length - 20);
        assert_eq!(sum(&packet[..20]), 0xffff, "the header's checksum");
        let pseudo = [&packet[12..20], &[0, 17], &packet[24..26], &packet[20..]].concat();
        assert_eq!(sum(&pseudo), 0xffff, "the datagram's checksum");
        let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
        all.push(Datagram {
            at: i64::from(little(at)) * 1_000_000 + i64::from(little(at + 4)),
            from: (address(12), big(20)).into(),
            to: (address(16), big(22)).into(),
            bytes: packet[28..].to_vec(),
        });
        at += 16 + length;
    }
    assert_eq!(at, bytes.len());
    all
}

/// The one's complement sum of 16-bit words.
fn sum(bytes: &[u8]) -> u32 {
    let sum = bytes.chunks(2).map(|pair| u32::from(pair[0]) * 256 + pair.get(1).map_or(0, |low| u32::from(*low))).sum();
    (0..2).fold(sum, |sum: u32, _| (sum & 0xffff) + (sum >> 16))
}

/// G.711, by the formulas of ITU-T G.711 and not by our codec.
fn decode(payload_type: u8, byte: u8) -> i16 {
    let law = if payload_type == 8 { byte ^ 0x55 } else { !byte };
    let (exponent, mantissa) = (i32::from(law >> 4 & 7), i32::from(law & 15));
    let size = match (payload_type, exponent) {
        (8, 0) => mantissa * 16 + 8,
        (8, _) => (mantissa * 16 + 264) << (exponent - 1),
        _ => (((mantissa * 8) + 132) << exponent) - 132,
    };
    let positive = (law & 0x80 != 0) == (payload_type == 8);
    (if positive { size } else { -size }) as i16
}

/// One stream of a capture.
struct Stream {
    from: SocketAddr,
    to: SocketAddr,
    payload_type: u8,
    began: i64,
    samples: Vec<i16>,
}

/// The streams of RTP, in the order of their SSRCs; each counts as RFC 3550 section 5.1 wants it, a packet each 20 ms.
fn streams(capture: &[Datagram]) -> Vec<Stream> {
    let mut streams: BTreeMap<u32, Stream> = BTreeMap::new();
    for packet in capture.iter().filter(|packet| packet.bytes[0] == 0x80) {
        let bytes = &packet.bytes;
        let (payload_type, sequence) = (bytes[1] & 0x7f, u16::from_be_bytes([bytes[2], bytes[3]]));
        let big = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(bytes.len(), 12 + 160);
        let stream = streams.entry(big(8)).or_insert_with(|| {
            assert_eq!((sequence, bytes[1] & 0x80), (0, 0x80), "the first has the marker");
            Stream { from: packet.from, to: packet.to, payload_type, began: packet.at, samples: vec![] }
        });
        assert_eq!((packet.from, packet.to, payload_type), (stream.from, stream.to, stream.payload_type));
        assert_eq!(big(4) as usize, stream.samples.len());
        assert_eq!(usize::from(sequence), stream.samples.len() / 160);
        assert_eq!(packet.at - stream.began, i64::from(sequence) * 20_000);
        stream.samples.extend(bytes[12..].iter().map(|byte| decode(payload_type, *byte)));
    }
    streams.into_values().collect()
}

/// What tshark prints; none: it is not installed, and need not be.
fn tshark(file: &Path, arguments: &[&str]) -> Option<String> {
    match Command::new("tshark").arg("-r").arg(file).args(arguments).output() {
        Ok(read) => {
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
            Some(String::from_utf8(read.stdout).unwrap())
        }
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "tshark: {error}; install tshark");
            None
        }
    }
}

/// A tone of two frequencies, as a key sounds.
fn key_tone(low: f64, high: f64) -> Arc<Prompt> {
    let wave = |hz: f64, i: u32| (std::f64::consts::TAU * hz * f64::from(i) / 8_000.0).sin();
    let samples: Vec<i16> = (0..8_000).map(|i| (6_000.0 * (wave(low, i) + wave(high, i))) as i16).collect();
    Arc::new(Prompt::from_samples(8_000, &samples).unwrap())
}

/// The largest part that a tone has in any 50 ms, by power.
fn strongest(samples: &[i16], hz: f64) -> f64 {
    let part = |samples: &[i16]| {
        let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
        for (i, sample) in samples.iter().enumerate() {
            let (sin, cos) = (std::f64::consts::TAU * hz * i as f64 / 8_000.0).sin_cos();
            let sample = f64::from(*sample);
            re += sample * cos;
            im += sample * sin;
            all += sample * sample;
        }
        if all < 1e6 { 0.0 } else { 2.0 * (re * re + im * im) / (all * samples.len() as f64) }
    };
    samples.as_chunks::<400>().0.iter().map(|chunk| part(chunk)).fold(0.0, f64::max)
}

/// A call in which a number was keyed, with its tones to be heard, and then a conversation was recorded.
async fn recorded(srtp: SrtpPolicy, codecs: [Codec; 2]) -> (House, String, recordings::Recording) {
    let mut house = House::closed(TREE).await;
    if srtp != SrtpPolicy::Off {
        house.clinic.rewrite(&[("accept_from", "srtp = \"optional\"\naccept_from")]);
    }
    house.clinic.start().await;
    let mut desk = house.extension("201", &codecs[1..]).await;
    let mut phone = super::phones::Telephone::of_patient(house.clinic.sip, &codecs[..1]).await;
    phone.srtp = srtp;
    let mut patient = phone.dial(&house.uri("+12125550100"), "anonymous").await.unwrap();
    patient.session.play_looped(vec![key_tone(770.0, 1_336.0)]);
    for digit in NUMBER.chars() {
        press(&patient, digit);
    }
    house.clinic.until("the number is read back", async || house.clinic.log().contains("digit_3")).await;
    patient.session.stop_playing();
    press(&patient, '1');
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    let size = || {
        let years = std::fs::read_dir(house.clinic.store.join("recording")).into_iter().flatten().flatten();
        let files = years.flat_map(|year| std::fs::read_dir(year.path()).unwrap().flatten());
        files.map(|file| file.metadata().unwrap().len()).sum::<u64>()
    };
    house.clinic.until("some of it is written", async || size() > 40_000).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    staff.ended().await;
    let call = house.record().await["id"].as_str().unwrap().to_owned();
    let day = house.clinic.store.join("traces");
    let kept = async || {
        let days = std::fs::read_dir(&day).into_iter().flatten().flatten();
        days.map(|day| day.path().join(format!("{call}.jsonl"))).any(|file| file.exists())
    };
    house.clinic.until("the trace is written", kept).await;
    let conn = store::open_read_only(&house.clinic.store).unwrap();
    let recording = recordings::of_call(&conn, call.parse().unwrap()).unwrap().remove(0);
    (house, call, recording)
}

/// Runs the command; what it says, and the capture.
fn capture(house: &House, call: &str, more: &[&str]) -> (String, PathBuf) {
    let file = house.clinic.folder.path().join("call.pcap");
    let arguments = [&["trace", call, "--pcap", file.to_str().unwrap()], more].concat();
    let output = house.clinic.command(&arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (said, file)
}

fn heard(house: &House) -> usize {
    house.clinic.rows(What::Audit).iter().filter(|row| row["action"] == "recording.heard").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_sides_said_is_in_the_capture_where_the_sdp_says_and_no_key_of_a_number_is() {
    let (house, call, recording) = recorded(SrtpPolicy::Off, [Codec::Pcma, Codec::Pcmu]).await;
    let (said, file) = capture(&house, &call, &[]);
    assert!(said.contains("--media adds what was said"), "{said}");
    let messages = read(&file);
    assert!(streams(&messages).is_empty() && heard(&house) == 0);

    let (said, file) = capture(&house, &call, &["--media"]);
    assert!(said.contains("made from the recording, not captured from the wire"), "{said}");
    let all = read(&file);
    assert!(all.windows(2).all(|two| two[0].at <= two[1].at), "by time");
    let streams = streams(&all);
    let payload_types: Vec<_> = streams.iter().map(|stream| stream.payload_type).collect();
    assert_eq!(payload_types, [8, 0]);
    assert_eq!(all.len(), messages.len() + streams.iter().map(|stream| stream.samples.len() / 160).sum::<usize>());

    // Sample for sample what the WAV holds: G.711 brought into G.711 once more is the same.
    let mut wav = hound::WavReader::open(house.clinic.store.join(&recording.file)).unwrap();
    assert_eq!((wav.spec().channels, wav.spec().sample_rate), (2, 8_000));
    let wav: Vec<i16> = wav.samples().map(Result::unwrap).collect();
    for (side, stream) in streams.iter().enumerate() {
        let channel: Vec<i16> = wav.iter().skip(side).step_by(2).copied().collect();
        assert_eq!(channel.len().div_ceil(160) * 160, stream.samples.len());
        let differ = channel.iter().zip(&stream.samples).filter(|(one, other)| (**one - **other).abs() > 8).count();
        assert_eq!(differ, 0, "of {}", channel.len());
        assert_eq!(stream.began, recording.started_at.as_microsecond());
    }
    for (stream, own, other) in [(&streams[0], 440.0, 1_000.0), (&streams[1], 1_000.0, 440.0)] {
        assert!(strongest(&stream.samples, own) > 0.8 && strongest(&stream.samples, other) < 0.2);
        for key in [770.0, 1_336.0] {
            let part = strongest(&stream.samples, key);
            assert!(part < 0.2, "the tones of the keys are not in it: {key} Hz {part}");
        }
    }
    // Both listenings, and by whom.
    assert_eq!(heard(&house), 1);
    let rows = house.clinic.rows(What::Audit);
    let of = |action: &str| rows.iter().filter(|row| row["action"] == action).collect::<Vec<_>>();
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let (traced, heard) = (of("call.traced"), of("recording.heard"));
    assert_eq!(traced.len(), 2);
    assert!(traced.iter().all(|row| row["subject"] == format!("call:{call}") && row["detail"]["as"] == "pcap"));
    assert_eq!(heard[0]["subject"], format!("recording:{}", recording.id));
    let signed_in = std::fs::read_to_string("/proc/self/loginuid").is_ok_and(|uid| uid.trim() != "4294967295");
    if !signed_in {
        assert!(traced.iter().chain(&heard).all(|row| row["actor"] == format!("cli:{}", user.trim())), "{traced:?}");
    }

    // tshark takes for RTP only what the SDP announces: it finds both streams, whole.
    let Some(found) = tshark(&file, &["-q", "-z", "rtp,streams"]) else { return };
    let mut rows: Vec<Vec<&str>> = found.lines().filter(|line| line.contains("0x7472")).map(words).collect();
    rows.sort_by_key(|row| row[6]);
    assert_eq!(rows.len(), 2, "{found}");
    for (row, stream) in rows.iter().zip(&streams) {
        let port = |address: SocketAddr| address.port().to_string();
        assert_eq!((row[3], row[5]), (port(stream.from).as_str(), port(stream.to).as_str()), "{found}");
        let codec = if stream.payload_type == 8 { "g711A" } else { "g711U" };
        assert_eq!((row[7], row[8]), (codec, (stream.samples.len() / 160).to_string().as_str()), "{found}");
        assert_eq!((row[9], row[10]), ("0", "(0.0%)"), "{found}");
    }
    let wrong = tshark(&file, &["-Y", "_ws.malformed || udp.checksum.status == 0 || ip.checksum.status == 0"]);
    assert_eq!(wrong.as_deref(), Some(""));
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_and_wideband_calls_are_there_in_clear_and_narrow_on_a_port_of_their_own() {
    let (house, call, recording) = recorded(SrtpPolicy::Required, [Codec::G722, Codec::G722]).await;
    let (_, file) = capture(&house, &call, &["--media"]);
    let streams = streams(&read(&file));
    assert_eq!(streams.iter().map(|stream| stream.payload_type).collect::<Vec<_>>(), [0, 0]);
    assert_eq!((streams[0].from.port(), streams[0].to.port()), (5_004, 5_004), "the SDP says SRTP");
    assert_ne!(streams[1].from.port(), 5_004);
    let length = recording.length.as_millis() as usize;
    for (stream, own) in [(&streams[0], 440.0), (&streams[1], 1_000.0)] {
        assert_eq!(stream.samples.len(), length.div_ceil(20) * 160);
        assert!(strongest(&stream.samples, own) > 0.8);
        assert!(strongest(&stream.samples, 770.0) < 0.2);
    }
    let began = Timestamp::from_microsecond(streams[0].began).unwrap();
    assert_eq!(began.as_microsecond(), recording.started_at.as_microsecond());
    let Some(found) = tshark(&file, &["-d", "udp.port==5004,rtp", "-q", "-z", "rtp,streams"]) else { return };
    assert_eq!(found.lines().filter(|line| line.contains("0x7472") && line.contains("g711U")).count(), 2, "{found}");

    // A file that is gone is said to be; a recording whose time is over is in no capture, and nobody has heard it.
    std::fs::remove_file(house.clinic.store.join(&recording.file)).unwrap();
    let arguments = ["trace", &call, "--media", "--pcap", file.to_str().unwrap()];
    let output = house.clinic.command(&arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("cannot be read") && said.lines().count() == 1, "{said}");
    let conn = rusqlite::Connection::open(house.clinic.store.join("threadline.db")).unwrap();
    conn.execute("DELETE FROM recordings", []).unwrap();
    let before = heard(&house);
    let (said, _) = capture(&house, &call, &["--media"]);
    assert!(said.contains("no audio: the call was not recorded"), "{said}");
    assert_eq!(heard(&house), before);
}

/// How phones send a key, and in what: the first six are taken for keys, the others only look like them.
const KEY_INFOS: [(&str, &str); 10] = [
    ("Content-Type: application/dtmf-relay\r\n", "Signal=@\r\nDuration=160\r\n"),
    ("c: application/dtmf-relay\r\n", "Signal= @\nDuration=160\n"),
    ("CONTENT-TYPE: application/dtmf\r\n", "@"),
    ("content-type:\r\n Application/DTMF-Relay\r\n", "Duration=160\rSignal=@"),
    ("C:application/dtmf;x=y\r\n", "@\n"),
    ("Content-Type: application/dtmf-relay\n", "Signal=@\n"),
    ("Content-Type: audio/telephone-event\r\n", "@\r\n"),
    ("Content-Type: text/plain\r\n", "Signal=@\r\n"),
    (
        "Content-Type: multipart/mixed;\r\n boundary=\"bound\"\r\n",
        "--bound\r\nC: application/dtmf-relay\r\n\r\nSignal=@\r\nDuration=160\r\n--bound--\r\n",
    ),
    ("c: multipart/mixed; boundary=bound\n", "--bound\nContent-Type: application/dtmf\n\n@\n--bound--\n"),
];

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_number_that_came_by_info_are_in_neither_ladder_nor_capture_nor_file() {
    let mut house = House::closed(TREE).await;
    house.clinic.start().await;
    let peer = Peer::new(house.clinic.sip).await;
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
    peer.send(&peer.request("INVITE", "keyed", 1, "", offer)).await;
    let ok = peer.expect(200).await;
    peer.ack(&ok, 1, "").await;
    let to = header(&ok, "To").unwrap();
    let mut cseq = 1;
    let mut key = async |(kind, body): (&str, &str), digit: char| {
        cseq += 1;
        let body = body.replace('@', &digit.to_string());
        let end = format!("{kind}Content-Length: {}\r\n\r\n{body}", body.len());
        let info = peer.to("INFO", "keyed", cseq, to, "", "").replace("Content-Length: 0\r\n\r\n", &end);
        // The whole head ends its lines as the type does.
        let bare = kind.ends_with('\n') && !kind.contains('\r');
        peer.send(&if bare { info.replace("\r\n", "\n") } else { info }).await;
        let answered = peer.receive_where(|text| header(text, "CSeq") == Some(&format!("{cseq} INFO"))).await;
        assert!(status(&answered) == 200, "{kind}: {answered}");
    };
    let sent = key_infos(&mut key).await;
    house.clinic.until("the number is complete", async || house.clinic.log().contains("digit_3")).await;

    let id = house.clinic.rows(What::Calls)[0]["id"].as_str().unwrap().to_owned();
    // While it goes on, and afterwards.
    for over in [false, true] {
        if over {
            peer.send(&peer.to("BYE", "keyed", 100, to, "", "")).await;
            peer.expect(200).await;
            let traces = house.clinic.store.join("traces");
            let kept = async || std::fs::read_dir(&traces).is_ok_and(|mut days| days.next().is_some());
            house.clinic.until("the trace is written", kept).await;
        }
        let (_, file) = capture(&house, &id, &[]);
        let show = |arguments: &[&str]| {
            let shown = house.clinic.command(arguments).output().unwrap();
            assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
            String::from_utf8(shown.stdout).unwrap()
        };
        let ladder = show(&["trace", &id]);
        assert_eq!(ladder.matches(" INFO ").count(), sent, "{ladder}");
        assert!(ladder.contains("Digits are masked."), "{ladder}");
        let lines: Vec<serde_json::Value> =
            show(&["trace", &id, "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lines = lines.into_iter().map(|line| line["message"].as_str().unwrap().to_owned());
        let packets = read(&file).into_iter().map(|packet| String::from_utf8(packet.bytes).unwrap());
        let mut infos = 0;
        for message in lines.chain(packets).filter(|message| message.starts_with("INFO ")) {
            let blank = message.find("\r\n\r\n").map(|at| at + 4).or(message.find("\n\n").map(|at| at + 2));
            let (_, body) = message.split_at(blank.unwrap());
            let keyed = body.replace("Duration=160", "");
            assert!(!body.is_empty() && !keyed.contains(|c: char| c.is_ascii_digit()), "{message}");
            infos += 1;
        }
        assert_eq!(infos, 2 * sent);
    }
    assert!(!house.clinic.log().contains(NUMBER));
}

/// Keys the number in every way that is taken, and in between digits in ways that are not; how many messages it were.
async fn key_infos(key: &mut impl AsyncFnMut((&'static str, &'static str), char)) -> usize {
    let (taken, others) = KEY_INFOS.split_at(6);
    for (way, digit) in others.iter().zip("4936".chars()) {
        key(*way, digit).await;
    }
    for (way, digit) in taken.iter().cycle().zip(NUMBER.chars()) {
        key(*way, digit).await;
    }
    others.len() + NUMBER.len()
}
