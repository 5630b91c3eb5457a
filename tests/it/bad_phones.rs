//! Phones and callers that do what the standard forbids, against the real daemon: each is refused as the standard says,
//! logged and counted, and whoever else is on the line does not notice.

use serde_json::Value;
use threadline::model::Codec;
use threadline::store::export::What;
use tokio::net::UdpSocket;

use super::clinic::PATIENT;
use super::http;
use super::phones::{PATIENCE, Talking};
use super::signalling::phones::credentials;
use super::signalling::{Peer, header, status};
use super::staff::{House, password, press};

/// What the patient's call leads through: phones of another telephone system, one worse than the other.
const TREE: &str = r#"start = "menu:which"
[menu.which]
say = "digit_1"
keys = { 1 = "ring:deaf", 2 = "queue:silent" }
stay = "hangup"
wait = "60s"
[ring.deaf]
ring = ["sip:deaf@PBX"]
when_unanswered = "queue:late"
[queue.late]
ring = ["sip:late@PBX"]
music = "hold"
keys = { 1 = "ring:noisy" }
give_up_after = "5m"
[ring.noisy]
ring = ["sip:noisy@PBX"]
give_up_after = "3m"
[queue.silent]
ring = ["sip:201@SILENT"]
music = "hold"
give_up_after = "10m"
when_nobody = "hangup"
[missed_call]
message = "missed_call"
at_most_every = "24h"
"#;
const OTHER_PATIENT: &str = "+12125550143";
/// Somebody out in the world.
const ABROAD: &str = "sip:+13105550123@127.0.0.1";

fn sdp(port: u16, codec: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {codec}\r\n"
    )
}

/// How often this was counted.
async fn counted(house: &House, counter: &str) -> u64 {
    let text = http::get(format!("http://{}/metrics", house.clinic.web)).await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{counter} ")));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    value.unwrap_or_else(|| panic!("no {counter} in {text}")) as u64
}

async fn bad_legs(house: &House, fault: &str) -> u64 {
    counted(house, &format!("threadline_bad_legs_total{{fault=\"{fault}\"}}")).await
}

/// The next INVITE for this user; what it is answered with carries a tag.
async fn rings(pbx: &Peer, user: &str) -> String {
    let invite = pbx.receive_where(|text| text.starts_with(&format!("INVITE sip:{user}@"))).await;
    let to = header(&invite, "To").unwrap();
    invite.replace(&format!("To: {to}"), &format!("To: {to};tag={user}"))
}

async fn picks_up(pbx: &Peer, invite: &str, sdp: &str) {
    pbx.answer(invite, "200 OK", "Content-Type: application/sdp\r\n", sdp).await;
}

/// It is acknowledged, and hung up on.
async fn hung_up_on(pbx: &Peer, user: &str) {
    let theirs = |text: &str| header(text, "To").is_some_and(|to| to.ends_with(&format!(";tag={user}")));
    pbx.receive_where(|text| text.starts_with("ACK ") && theirs(text)).await;
    let bye = pbx.receive_where(|text| text.starts_with("BYE ") && theirs(text)).await;
    pbx.answer(&bye, "200 OK", "", "").await;
}

/// Three phones for one patient: the first knows no codec of ours, the second answers when it is asked no more, and the
/// third sends garbage before it speaks.
async fn phones_that_ring(house: &House, pbx: &Peer) {
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    patient.say(440.0);
    press(&patient, '1');
    picks_up(pbx, &rings(pbx, "deaf").await, &sdp(40_000, "18")).await;
    hung_up_on(pbx, "deaf").await;
    let late = rings(pbx, "late").await;
    pbx.answer(&late, "180 Ringing", "", "").await;
    press(&patient, '1');
    let cancel = pbx.expect_request("CANCEL").await;
    pbx.answer(&cancel, "200 OK", "", "").await;
    picks_up(pbx, &late, &sdp(40_000, "0")).await;
    hung_up_on(pbx, "late").await;
    house.clinic.until("it is counted", async || bad_legs(house, "late_answer").await == 1).await;

    let audio = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    picks_up(pbx, &rings(pbx, "noisy").await, &sdp(audio.local_addr().unwrap().port(), "0")).await;
    pbx.expect_request("ACK").await;
    noise_then_speech(house, &audio, &patient).await;

    // Nor does the trunk send our callers elsewhere.
    assert!(patient.dialog.refer("sip:911@elsewhere.example").await.is_err());
    assert!(house.clinic.log().contains("a transfer that the caller's side asked for was refused"));
    patient.dialog.bye("").await;
    let bye = pbx.expect_request("BYE").await;
    pbx.answer(&bye, "200 OK", "", "").await;
    patient.ended().await;
    let call = record(house, PATIENT).await;
    assert_eq!(call["path"], serde_json::json!(["menu:which", "ring:deaf", "queue:late", "ring:noisy"]), "{call}");
}

/// The record of this number's call, once it is over.
async fn record(house: &House, number: &str) -> Value {
    let find = || {
        let calls = house.clinic.rows(What::Calls);
        calls.into_iter().find(|call| call["from"] == number && !call["ended_at"].is_null())
    };
    house.clinic.until("the call is over", async || find().is_some()).await;
    find().unwrap()
}

/// A queue whose telephone system says nothing at all holds nobody for its ten minutes.
async fn a_telephone_system_that_is_down(house: &House) {
    let (_phone, mut patient) = house.caller(OTHER_PATIENT, &[Codec::Pcmu]).await;
    press(&patient, '2');
    patient.ended().await;
    let call = record(house, OTHER_PATIENT).await;
    assert_eq!((&call["outcome"], &call["ended_by"]), (&"missed".into(), &"system".into()), "{call}");
}

async fn noise_then_speech(house: &House, audio: &UdpSocket, patient: &Talking) {
    let mut buffer = [0; 2_048];
    let (_, box_) = audio.recv_from(&mut buffer).await.unwrap();
    let header = |sequence: u16| {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 160).to_be_bytes());
        packet.extend([1, 2, 3, 4]);
        packet
    };
    let cut_short = [0xbf, 0xff, 0, 1];
    for garbage in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 1_500], &[0xff; 1_500], &cut_short, &header(1)[..7]] {
        audio.send_to(garbage, box_).await.unwrap();
    }
    let malformed = async || counted(house, "threadline_rtp_packets_total{fate=\"malformed\"}").await >= 4;
    house.clinic.until("the garbage is counted", malformed).await;
    // The patient is still relayed, and what the phone says after all is heard: 1 kHz, as a square.
    let speech: Vec<u8> = [0x80; 4].into_iter().chain([0x00; 4]).cycle().take(160).collect();
    let speaks = async {
        let mut sequence = 0;
        loop {
            audio.send_to(&[header(sequence), speech.clone()].concat(), box_).await.unwrap();
            audio.recv_from(&mut buffer).await.unwrap();
            sequence += 1;
        }
    };
    tokio::select! {
        () = speaks => {}
        () = patient.hears(1_000.0) => {}
    }
}

/// An INVITE of whoever says that they are this extension.
fn invite(peer: &Peer, name: &str, uri: &str, cseq: u32, extra: &str, offer: &str) -> String {
    let request = peer.request("INVITE", &format!("bad-{name}-{}", peer.here.port()), cseq, extra, offer);
    request
        .replace("sip:+16462530142@127.0.0.1", &format!("sip:{name}@127.0.0.1"))
        .replace("sip:+12125550100@127.0.0.1", uri)
}

/// Dials with a password; the final answer.
async fn dials(peer: &Peer, name: &str, secret: &str, uri: &str, cseq: u32) -> String {
    let offer = sdp(40_000, "0");
    peer.send(&invite(peer, name, uri, cseq, "", &offer)).await;
    let challenge = peer.expect(401).await;
    peer.ack(&challenge, cseq, "").await;
    let answer = credentials(&challenge, name, secret, "INVITE", uri);
    peer.send(&invite(peer, name, uri, cseq + 1, &answer, &offer)).await;
    let of_this = format!("{} INVITE", cseq + 1);
    peer.receive_where(|text| {
        text.starts_with("SIP/2.0 ") && status(text) >= 200 && header(text, "CSeq") == Some(of_this.as_str())
    })
    .await
}

/// A colleague's phone that dials and never acknowledges the answer: it takes 64 T1 until that is certain.
async fn a_phone_that_never_acknowledges(house: &House) {
    let mut colleague = house.extension("202", &[Codec::Pcmu]).await;
    let phone = Peer::new(house.clinic.sip).await;
    let (secret, uri) = (password("203"), format!("sip:202@{}", house.clinic.sip));
    let (answer, mut talking) = tokio::join!(dials(&phone, "203", &secret, &uri, 1), colleague.answers());
    assert_eq!(status(&answer), 200);
    let bye = async {
        loop {
            // The 200 again and again.
            if let Some(text) = phone.receive().await.filter(|text| text.starts_with("BYE ")) {
                return text;
            }
        }
    };
    let bye = tokio::time::timeout(PATIENCE, bye).await.expect("it is hung up on");
    phone.answer(&bye, "200 OK", "", "").await;
    talking.ended().await;
    house.clinic.until("it is counted", async || bad_legs(house, "no_ack").await == 1).await;
    assert!(house.clinic.log().contains("never acknowledged"));
}

/// A caller whose audio nobody understands, and one who asks for a transfer without being on the phone.
async fn callers_from_the_trunk(house: &House) {
    let caller = Peer::new(house.clinic.sip).await;
    caller.send(&caller.request("INVITE", "deaf", 1, "", &sdp(40_000, "18"))).await;
    caller.ack(&caller.expect(488).await, 1, "").await;
    caller.send(&caller.request("REFER", "stranger", 1, "Refer-To: <sip:911@elsewhere.example>\r\n", "")).await;
    caller.expect(403).await;
    let refused = async || counted(house, "threadline_phones_total{fate=\"transfer_refused\"}").await >= 1;
    house.clinic.until("it is counted", refused).await;
    assert!(house.clinic.log().contains("a transfer was asked for outside any call"));
}

/// Guesses passwords of an extension that is and of one that is not, to call abroad on the clinic's bill.
async fn a_scanner(house: &House) {
    let scanner = Peer::at("127.0.0.9:0", house.clinic.sip).await;
    let mut refusals = Vec::new();
    for (turn, name) in (0..10).zip(["201", "999"].into_iter().cycle()) {
        let refusal = dials(&scanner, name, "guess", ABROAD, 1 + 2 * turn).await;
        scanner.ack(&refusal, 2 + 2 * turn, "").await;
        // All but what repeats the request, and what is random, must be the same.
        let own = ["Via", "From", "To", "CSeq", "Call-ID"];
        let lines = refusal.lines().filter(|line| !own.iter().any(|name| line.starts_with(name)));
        refusals.push(lines.map(str::to_owned).collect::<Vec<_>>());
    }
    assert!(refusals[0][0].starts_with("SIP/2.0 403"), "{refusals:?}");
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");
    let phones = async |fate: &str| counted(house, &format!("threadline_phones_total{{fate=\"{fate}\"}}")).await;
    assert_eq!((phones("call_unauthenticated").await, phones("locked_out").await), (10, 1));
    assert!(house.clinic.log().contains("127.0.0.9"), "the log says where it came from");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_breaks_the_rules_is_refused_logged_and_counted() {
    let mut house = House::closed(TREE).await;
    let (pbx, carrier) = (Peer::new(house.clinic.sip).await, Peer::new(house.clinic.sip).await);
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap().to_string();
    house.clinic.write_tree(&TREE.replace("PBX", &pbx.here.to_string()).replace("SILENT", &at));
    house.clinic.rewrite(&[
        ("address = \"127.0.0.1:5060\"", &format!("address = \"{}\"", carrier.here)),
        ("127.0.0.0/8", "127.0.0.1/32"),
        ("[sip]\n", "[sip]\nt1 = \"250ms\"\n"),
    ]);
    house.clinic.start().await;
    tokio::join!(
        phones_that_ring(&house, &pbx),
        a_telephone_system_that_is_down(&house),
        a_phone_that_never_acknowledges(&house),
        callers_from_the_trunk(&house),
        a_scanner(&house),
    );
    assert_eq!(bad_legs(&house, "no_common_codec").await, 2, "a phone and a caller");
    let dialled: Vec<_> = carrier.unread().into_iter().filter(|text| text.starts_with("INVITE ")).collect();
    assert!(dialled.is_empty(), "{dialled:?}");
    assert!(house.clinic.rows(What::Calls).iter().all(|call| call["direction"] == "inbound"));
}
