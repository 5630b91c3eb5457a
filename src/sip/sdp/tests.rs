use proptest::prelude::*;

use super::*;

const SESSION: SessionId = SessionId { id: 77, version: 3 };

fn local(srtp: SrtpPolicy) -> LocalMedia {
    LocalMedia { address: IpAddr::from([192, 0, 2, 1]), port: 16_384, codecs: Codec::ALL.to_vec(), srtp }
}

fn answered(offer: &str) -> Result<(String, MediaPlan), SdpError> {
    answer(offer, &local(SrtpPolicy::Off), || SrtpKey([9; 30]), SESSION)
}

/// An offer of one audio line; `media` holds the `m=` line and what follows it.
fn sdp(media: &str) -> String {
    let media = media.trim().replace('\n', "\r\n");
    format!("v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n{media}\r\n")
}

const TWILIO: &str = "v=0\r\no=root 1184198173 1184198173 IN IP4 172.25.48.102\r\ns=Twilio Media Gateway\r\n\
c=IN IP4 168.86.128.73\r\nt=0 0\r\nm=audio 13342 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:150\r\na=sendrecv\r\n";

/// A mobile network's: AMR first, two telephone-events, bandwidth and QoS lines that are not ours to answer.
const VOLTE: &str = "v=0\r\no=- 3890000000 3890000000 IN IP6 2001:db8::7\r\ns=-\r\nc=IN IP6 2001:db8::7\r\nb=AS:80\r\n\
t=0 0\r\nm=audio 49000 RTP/AVP 104 96 8 110 100\r\nb=AS:49\r\nb=RS:600\r\na=rtpmap:104 AMR-WB/16000/1\r\n\
a=fmtp:104 mode-change-capability=2;max-red=0\r\na=rtpmap:96 AMR/8000/1\r\na=rtpmap:110 telephone-event/16000\r\n\
a=fmtp:110 0-15\r\na=rtpmap:100 telephone-event/8000\r\na=fmtp:100 0-15\r\na=curr:qos local none\r\n\
a=des:qos mandatory local sendrecv\r\na=ptime:20\r\na=maxptime:240\r\nm=video 49002 RTP/AVPF 113\r\n\
a=rtpmap:113 H264/90000\r\nm=text 0 RTP/AVP 98\r\n";

const ASTERISK_SRTP: &str = "v=0\r\no=- 1517 1517 IN IP4 198.51.100.9\r\ns=Asterisk\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n\
m=audio 10540 RTP/SAVP 9 0 8 101\r\n\
a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\
a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw|2^20|1:4\r\n\
a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw|2^31 WSH=64\r\n\
a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ice-ufrag:x\r\na=rtcp-mux\r\na=ptime:20\r\na=sendrecv\r\n";

#[test]
fn a_carriers_offer_gets_the_answer_it_expects() {
    let (sdp, plan) = answered(TWILIO).unwrap();
    assert_eq!(
        sdp,
        "v=0\r\no=- 77 3 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    assert_eq!(
        plan,
        MediaPlan {
            codec: Codec::Pcmu,
            payload_type: 0,
            ptime_ms: 20,
            telephone_event: Some(TelephoneEvent { payload_type: 101, clock_rate: 8_000 }),
            remote_rtp: "168.86.128.73:13342".parse().unwrap(),
            remote_rtcp: "168.86.128.73:13343".parse().unwrap(),
            flow: Flow::SendRecv,
            srtp: None,
        }
    );
}

#[test]
fn other_lines_are_refused_in_their_places() {
    let local = LocalMedia { address: "2001:db8::1".parse().unwrap(), ..local(SrtpPolicy::Off) };
    let (sdp, plan) = answer(VOLTE, &local, || SrtpKey([9; 30]), SESSION).unwrap();
    let lines: Vec<&str> = sdp.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=audio 16384 RTP/AVP 8 100", "m=video 0 RTP/AVPF 113", "m=text 0 RTP/AVP 98"]);
    assert!(sdp.contains("c=IN IP6 2001:db8::1\r\n"));
    assert_eq!((plan.codec, plan.telephone_event.unwrap().payload_type), (Codec::Pcma, 100));
    assert_eq!(plan.remote_rtp, "[2001:db8::7]:49000".parse().unwrap());

    // An IPv4 box cannot send there.
    assert_eq!(answered(VOLTE), Err(SdpError::Address));
    // The first audio line that can be spoken is taken, wherever it stands.
    let two = "m=audio 4000 RTP/AVP 18\nm=audio 0 RTP/AVP 0\nm=audio 5000 RTP/AVP 8\nm=audio 6000 RTP/AVP 0";
    let (text, plan) = answered(&self::sdp(two)).unwrap();
    exercise(self::sdp(two).as_bytes());
    let ports: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("m=audio ")?.split(' ').next()).collect();
    assert_eq!(ports, ["0", "0", "16384", "0"]);
    assert_eq!(plan.remote_rtp.port(), 5000);
}

#[test]
fn the_peers_first_choice_wins_and_dynamic_types_are_read() {
    let chosen = |media: &str| answered(&sdp(media)).map(|(_, plan)| (plan.codec, plan.payload_type));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 8 0 9"), Ok((Codec::Pcma, 8)));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 97 0\na=rtpmap:97 g722/8000"), Ok((Codec::G722, 97)));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 97 0\na=rtpmap:97 PCMU/16000"), Ok((Codec::Pcmu, 0)));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 97 8\na=rtpmap:97 PCMU/8000/2"), Ok((Codec::Pcma, 8)));
    // A static number that the peer gives another meaning is not ours to read as before.
    assert_eq!(chosen("m=audio 4000 RTP/AVP 0\na=rtpmap:0 opus/48000/2"), Err(SdpError::NoCommonCodec));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 18 3"), Err(SdpError::NoCommonCodec));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 0 0 300 x 8"), Ok((Codec::Pcmu, 0)));
}

#[test]
fn telephone_events_are_taken_at_any_number_and_clock() {
    let event = |media: &str| {
        answered(&sdp(media)).unwrap().1.telephone_event.map(|event| (event.payload_type, event.clock_rate))
    };
    let two = "a=rtpmap:96 telephone-event/48000\na=rtpmap:97 telephone-event/8000";
    assert_eq!(event(&format!("m=audio 4000 RTP/AVP 0 96 97\n{two}")), Some((97, 8_000)));
    assert_eq!(event("m=audio 4000 RTP/AVP 0 96\na=rtpmap:96 TELEPHONE-EVENT/48000"), Some((96, 48_000)));
    assert_eq!(event("m=audio 4000 RTP/AVP 0"), None);
    // Listed in no format, or two things under one number: no events.
    assert_eq!(event("m=audio 4000 RTP/AVP 0\na=rtpmap:96 telephone-event/8000"), None);
    let shared = "a=rtpmap:96 telephone-event/8000\na=rtpmap:96 speex/8000";
    assert_eq!(event(&format!("m=audio 4000 RTP/AVP 0 96\n{shared}")), None);
    assert_eq!(event("m=audio 4000 RTP/AVP 0 96\na=rtpmap:96 telephone-event/0"), None);
}

#[test]
fn packet_time_keeps_within_what_both_can() {
    let ptime = |lines: &str| answered(&sdp(&format!("m=audio 4000 RTP/AVP 0\n{lines}"))).unwrap().1.ptime_ms;
    for (lines, expected) in [
        ("", 20),
        ("a=ptime:30", 30),
        ("a=ptime:60\na=maxptime:40", 40),
        ("a=maxptime:10", 10),
        ("a=ptime:5", 10),
        ("a=ptime:25", 20),
        ("a=ptime:20.0", 20),
        ("a=ptime:4000000000", 60),
        ("a=ptime:0", 20),
        ("a=ptime:soon", 20),
    ] {
        assert_eq!(ptime(lines), expected, "{lines}");
    }
}

#[test]
fn hold_and_its_forms_are_mirrored() {
    let flow = |text: &str| {
        let (answer, plan) = answered(text).unwrap();
        assert!(answer.contains(&format!("{}\r\n", direction(plan.flow))));
        plan.flow
    };
    for (line, expected) in [
        ("a=sendonly", Flow::RecvOnly),
        ("a=recvonly", Flow::SendOnly),
        ("a=inactive", Flow::Inactive),
        ("a=sendrecv", Flow::SendRecv),
        ("c=IN IP4 0.0.0.0", Flow::RecvOnly),
        ("c=IN IP4 0.0.0.0\na=recvonly", Flow::Inactive),
    ] {
        assert_eq!(flow(&sdp(&format!("m=audio 4000 RTP/AVP 0\n{line}"))), expected, "{line}");
    }
    let session_wide = sdp("m=audio 4000 RTP/AVP 0").replace("t=0 0", "t=0 0\r\na=inactive");
    assert_eq!(flow(&session_wide), Flow::Inactive);
    assert_eq!(flow(&session_wide.replace("AVP 0\r\n", "AVP 0\r\na=sendrecv\r\n")), Flow::SendRecv);
}

#[test]
fn rtcp_goes_where_the_peer_says() {
    let rtcp =
        |line: &str| answered(&sdp(&format!("m=audio 4000 RTP/AVP 0\n{line}"))).unwrap().1.remote_rtcp.to_string();
    assert_eq!(rtcp("a=rtcp:4010"), "198.51.100.7:4010");
    assert_eq!(rtcp("a=rtcp:4010 IN IP4 198.51.100.8"), "198.51.100.8:4010");
    assert_eq!(rtcp("a=rtcp:4010 IN IP4 host.example"), "198.51.100.7:4001");
    assert_eq!(rtcp("a=rtcp-mux"), "198.51.100.7:4001");
    let (_, plan) = answered(&sdp("m=audio 65535 RTP/AVP 0")).unwrap();
    assert_eq!(plan.remote_rtcp.port(), 65_535);
}

#[test]
fn addresses_that_are_no_single_host_are_refused() {
    for address in ["host.example", "224.2.1.1/127/3", "255.255.255.255"] {
        let offer = sdp(&format!("m=audio 4000 RTP/AVP 0\nc=IN IP4 {address}"));
        assert_eq!(answered(&offer), Err(SdpError::Address), "{address}");
    }
    let nowhere = sdp("m=audio 4000 RTP/AVP 0").replace("c=IN IP4 198.51.100.7\r\n", "");
    assert_eq!(answered(&nowhere), Err(SdpError::Address));
    assert_eq!(SdpError::Address.status(), 488);
}

#[test]
fn what_cannot_be_answered_says_why() {
    assert_eq!(answered("hello"), Err(SdpError::Malformed));
    assert_eq!(answered(""), Err(SdpError::Malformed));
    assert_eq!(SdpError::Malformed.status(), 400);
    assert_eq!(answered(&"v=0\r\n".repeat(4_000)), Err(SdpError::TooLarge));
    assert_eq!(answered(&sdp(&"m=video 0 RTP/AVP 1\n".repeat(65))), Err(SdpError::TooLarge));
    assert!(answered(&sdp(&format!("m=audio 4 RTP/AVP 0\n{}", "m=video 0 RTP/AVP 1\n".repeat(63)))).is_ok());
    assert_eq!(answered(&sdp("m=audio 0 RTP/AVP 0")), Err(SdpError::NoAudio));
    assert_eq!(answered(&sdp("m=video 4000 RTP/AVP 31")), Err(SdpError::NoAudio));
    for profile in ["RTP/AVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP"] {
        assert_eq!(answered(&sdp(&format!("m=audio 4000 {profile} 0"))), Err(SdpError::Profile));
    }
}

#[test]
fn srtp_follows_the_trunks_policy() {
    let take = |offer: &str, policy| answer(offer, &local(policy), || SrtpKey([9; 30]), SESSION);
    assert_eq!(take(ASTERISK_SRTP, SrtpPolicy::Off), Err(SdpError::SrtpOff));
    assert_eq!(take(TWILIO, SrtpPolicy::Required), Err(SdpError::SrtpRequired));
    assert!(take(TWILIO, SrtpPolicy::Optional).unwrap().1.srtp.is_none());
    for policy in [SrtpPolicy::Optional, SrtpPolicy::Required] {
        let (sdp, plan) = take(ASTERISK_SRTP, policy).unwrap();
        // Tag 1 is a cipher that we do not speak, tag 2 has an MKI.
        assert!(sdp.contains("m=audio 16384 RTP/SAVP 9 101\r\n"));
        let ours = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";
        assert!(sdp.contains(&format!("a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:{ours}\r\n")), "{sdp}");
        assert!(!sdp.contains("mux"));
        let srtp = plan.srtp.unwrap();
        assert_eq!((srtp.suite, srtp.local), (SrtpSuite::Aes128Sha1_32, SrtpKey([9; 30])));
        assert_eq!(&srtp.remote.0, b"123456789012345678901234567890");
    }
    let unusable = ASTERISK_SRTP.replace("WSH=64", "UNENCRYPTED_SRTP");
    assert_eq!(take(&unusable, SrtpPolicy::Optional), Err(SdpError::SrtpRequired));
}

#[test]
fn crypto_lines_are_read_strictly() {
    let key = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw";
    let suite = "AES_CM_128_HMAC_SHA1_80";
    for good in [format!("1 {suite} inline:{key}"), format!("12 {suite} inline:{key}|1048576")] {
        assert!(Crypto::parse(&good).is_some(), "{good}");
    }
    for bad in [
        format!("1 {suite} inline:{key}|1:4"),
        format!("1 {suite} inline:{key}|2^20|1:4"),
        format!("1 {suite} inline:{key};inline:{key}"),
        format!("1 {suite} inline:{}", &key[4..]),
        format!("1 {suite} {key}"),
        format!("1 {suite} inline:{key} KDR=1"),
        format!("1234567890 {suite} inline:{key}"),
        format!("-1 {suite} inline:{key}"),
        format!("1 F8_128_HMAC_SHA1_80 inline:{key}"),
        String::new(),
    ] {
        assert_eq!(Crypto::parse(&bad), None, "{bad}");
    }
}

#[test]
fn an_answer_must_fit_our_offer() {
    let ours = offer(&local(SrtpPolicy::Off), SESSION, || SrtpKey([1; 30]));
    let accepted = |media: &str| accept_answer(&ours, &sdp(media));
    let plan = accepted("m=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\na=ptime:30").unwrap();
    assert_eq!((plan.codec, plan.ptime_ms, plan.flow), (Codec::Pcma, 30, Flow::SendRecv));
    assert_eq!(accepted("m=audio 4000 RTP/AVP 0\na=sendonly").unwrap().flow, Flow::RecvOnly);
    assert_eq!(accepted("m=audio 0 RTP/AVP 0"), Err(SdpError::NoAudio));
    assert_eq!(accepted("m=audio 4000 RTP/AVP 18"), Err(SdpError::NoCommonCodec));
    assert_eq!(accepted("m=audio 4000 RTP/SAVP 0"), Err(SdpError::Mismatch));
    assert_eq!(accepted("m=audio 4000 RTP/AVP 0\nm=video 0 RTP/AVP 31"), Err(SdpError::Mismatch));

    let secure = offer(&local(SrtpPolicy::Required), SESSION, || SrtpKey([1; 30]));
    let key = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw";
    let accepted = |crypto: &str| accept_answer(&secure, &sdp(&format!("m=audio 4000 RTP/SAVP 0\n{crypto}")));
    let srtp = accepted(&format!("a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{key}")).unwrap().srtp.unwrap();
    assert_eq!(srtp.suite, SrtpSuite::Aes128Sha1_32);
    let wrong_tag = accepted(&format!("a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{key}"));
    assert_eq!(wrong_tag, Err(SdpError::Mismatch));
    assert_eq!(accepted("a=ptime:20"), Err(SdpError::SrtpRequired));
    assert_eq!(accept_answer(&secure, TWILIO), Err(SdpError::SrtpRequired));
}

#[test]
fn our_last_sdp_can_be_sent_again_and_a_change_has_a_new_version() {
    // We answered; later we refresh by offering the same text, and the peer answers with its own.
    let (ours, plan) = answered(VOLTE.replace("IP6 2001:db8::7", "IP4 198.51.100.7").as_str()).unwrap();
    let theirs = sdp(
        "m=audio 49000 RTP/AVP 8 100\na=rtpmap:100 telephone-event/8000\nm=video 0 RTP/AVPF 113\nm=text 0 RTP/AVP 98",
    );
    assert_eq!(accept_answer(&ours, &theirs).unwrap(), plan);
    assert_eq!(SESSION.changed(), SessionId { id: 77, version: 4 });
}

fn codecs() -> impl Strategy<Value = Vec<Codec>> {
    proptest::sample::subsequence(Codec::ALL.to_vec(), 1..=3).prop_shuffle()
}

fn policy() -> impl Strategy<Value = SrtpPolicy> {
    proptest::sample::select(vec![SrtpPolicy::Off, SrtpPolicy::Optional, SrtpPolicy::Required])
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        exercise(&data);
        let mut offer = TWILIO.as_bytes().to_vec();
        offer.extend(&data);
        exercise(&offer);
    }

    #[test]
    fn mutated_offers_never_panic(
        which in 0..3_usize,
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0..3_u8), 0..12),
    ) {
        let mut data = [TWILIO, VOLTE, ASTERISK_SRTP][which].as_bytes().to_vec();
        for (at, byte, how) in edits {
            let at = at.index(data.len());
            match how {
                0 => data[at] = byte,
                1 => data.insert(at, byte),
                _ => { data.remove(at); }
            }
        }
        exercise(&data);
    }

    /// Two of us, whatever their codecs and policies: both ends come to the same plan, or both to none.
    #[test]
    fn both_ends_agree(ours in codecs(), theirs in codecs(), offering in policy(), answering in policy()) {
        let offerer = LocalMedia { codecs: ours.clone(), ..local(offering) };
        let answerer = LocalMedia {
            address: IpAddr::from([192, 0, 2, 2]), port: 20_000, codecs: theirs.clone(), srtp: answering,
        };
        let mut drawn = 0;
        let sdp = offer(&offerer, SESSION, || { drawn += 1; SrtpKey([drawn; 30]) });
        let result = answer(&sdp, &answerer, || SrtpKey([200; 30]), SESSION);
        let common = ours.iter().find(|codec| theirs.contains(codec)).copied();
        let (secure, clear) = (offering == SrtpPolicy::Required, offering != SrtpPolicy::Required);
        let fits = !(secure && answering == SrtpPolicy::Off || clear && answering == SrtpPolicy::Required);
        match (common, fits) {
            (Some(codec), true) => {
                let (answer, theirs) = result.unwrap();
                let ours = accept_answer(&sdp, &answer).unwrap();
                prop_assert_eq!((ours.codec, theirs.codec), (codec, codec));
                prop_assert_eq!(ours.payload_type, theirs.payload_type);
                prop_assert_eq!(ours.telephone_event, theirs.telephone_event);
                prop_assert_eq!(ours.remote_rtp.to_string(), "192.0.2.2:20000");
                prop_assert_eq!(theirs.remote_rtp.to_string(), "192.0.2.1:16384");
                prop_assert_eq!(ours.srtp.is_some(), secure);
                if let (Some(ours), Some(theirs)) = (ours.srtp, theirs.srtp) {
                    prop_assert_eq!(ours.suite, theirs.suite);
                    prop_assert_eq!(ours.local, theirs.remote);
                    prop_assert_eq!(ours.remote, theirs.local);
                }
            }
            _ => { prop_assert!(result.is_err()); }
        }
    }
}
