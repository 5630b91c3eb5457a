//! `threadline trace` over real calls with several legs.

use serde_json::Value;
use threadline::model::Codec;
use threadline::store::export::What;

use super::signalling::Peer;
use super::staff::{House, both_hear};

const TREE: &str = r#"start = "ring:desk"
[ring.desk]
ring = ["extension:201", "extension:202"]
strategy = "all"
ring_for = "60s"
give_up_after = "3m"
when_unanswered = "hangup"
"#;

/// What the command prints.
fn trace(house: &House, arguments: &[&str]) -> (bool, String, String) {
    let output = house.clinic.command(&[&["trace"], arguments].concat()).env("COLUMNS", "100").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn lines(json: &str) -> Vec<Value> {
    json.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_several_legs_is_shown_while_it_runs_and_afterwards() {
    let mut house = House::closed(TREE).await;
    house.clinic.start().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut other = house.extension("202", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.caller("+12125550142", &[Codec::Pcmu]).await;
    let (ringing, mut elsewhere) = (desk.rings().await, other.rings().await);
    let mut staff = desk.pick_up(ringing).await;
    elsewhere.cancelled().await;

    // In progress: the daemon is asked.
    let call = house.clinic.rows(What::Calls).remove(0);
    let id = call["id"].as_str().unwrap().to_owned();
    let (fine, ladder, errors) = trace(&house, &[&id[..18]]);
    assert!(fine, "{errors}");
    let heads = ladder.lines().nth(2).unwrap();
    let parties: Vec<_> = heads.split_whitespace().collect();
    assert_eq!(parties[..3], ["ms", "caller", "Threadline"], "{ladder}");
    assert!(parties.contains(&"extension:201") && parties.contains(&"extension:202"), "{ladder}");
    assert!(ladder.contains("INVITE sdp") && ladder.contains("200 OK sdp") && ladder.contains("CANCEL"), "{ladder}");
    assert!(!ladder.contains("BYE"), "{ladder}");
    assert!(ladder.contains("\nThe call goes on, or ended a moment ago"), "{ladder}");

    patient.dialog.bye("").await;
    staff.ended().await;
    patient.ended().await;
    let day = house.clinic.store.join("traces");
    let written = async || {
        let days = std::fs::read_dir(&day).into_iter().flatten().flatten();
        days.map(|day| day.path().join(format!("{id}.jsonl"))).any(|file| file.exists())
    };
    house.clinic.until("the trace is written", written).await;

    // Over: found by the id, by the caller's Call-ID and by that of a phone which only rang.
    let (fine, json, errors) = trace(&house, &[&id, "--json"]);
    assert!(fine, "{errors}");
    let all = lines(&json);
    let of = |leg: &str| all.iter().filter(|line| line["leg"] == leg).collect::<Vec<_>>();
    let begins = |line: &Value, with: &str| line["message"].as_str().unwrap().starts_with(with);
    assert!(begins(&all[0], "INVITE ") && all[0]["direction"] == "received" && all[0]["leg"] == "caller", "{json}");
    assert!(
        of("caller").iter().any(|line| begins(line, "BYE ")) && of("extension:201").iter().any(|l| begins(l, "BYE "))
    );
    let refused = of("extension:202");
    assert!(refused.iter().any(|line| begins(line, "CANCEL ")) && refused.iter().any(|l| begins(l, "SIP/2.0 487")));
    assert!(all.iter().all(|line| line["local"] == house.clinic.sip.to_string()), "{json}");
    for name in [call["sip_call_id"].as_str().unwrap(), refused[0]["call_id"].as_str().unwrap()] {
        let (fine, again, errors) = trace(&house, &[name, "--json"]);
        assert!(fine && again == json, "{name}: {errors}");
    }

    // A capture: as many packets as messages.
    let file = house.clinic.folder.path().join("call.pcap");
    let (fine, _, errors) = trace(&house, &[&id, "--pcap", file.to_str().unwrap()]);
    assert!(fine && errors.contains(&format!("{} messages", all.len())), "{errors}");
    let bytes = std::fs::read(&file).unwrap();
    let (mut at, mut packets) = (24, 0);
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap());
        assert_eq!(bytes[at + 16], 0x45);
        at += 16 + length as usize;
        packets += 1;
    }
    assert_eq!((at, packets), (bytes.len(), all.len()));
    if let Ok(read) = std::process::Command::new("tcpdump").args(["-nn", "-r"]).arg(&file).output() {
        let text = String::from_utf8_lossy(&read.stdout).into_owned();
        assert_eq!(text.lines().filter(|line| line.contains(" > ")).count(), all.len(), "{text}");
    }

    let (fine, _, errors) = trace(&house, &["ffffffff"]);
    assert!(!fine && errors.starts_with("threadline: no call ffffffff") && errors.lines().count() == 1, "{errors}");
    let unwritable = house.clinic.folder.path().join("none/call.pcap");
    let (fine, _, errors) = trace(&house, &[&id, "--pcap", unwritable.to_str().unwrap()]);
    assert!(!fine && errors.contains("name another file") && errors.lines().count() == 1, "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_stop_ends_is_kept_and_read_without_a_daemon() {
    let mut house = House::closed(TREE).await;
    house.clinic.start().await;
    let lab = house.extension("203", &[Codec::Pcmu]).await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    // A call between two phones has no row; its signalling is kept all the same.
    let calling = async { lab.dial_as("203", &super::staff::password("203"), &house.uri("201")).await.unwrap() };
    let (mut near, far) = tokio::join!(calling, desk.answers());
    far.dialog.bye("").await;
    near.ended().await;
    house.clinic.signal(nix::sys::signal::Signal::SIGTERM);
    house.clinic.until_ended().await;
    let (fine, json, errors) = trace(&house, &[far.dialog.call_id(), "--json"]);
    assert!(fine, "{errors}");
    let legs: std::collections::BTreeSet<_> = lines(&json).iter().map(|line| line["leg"].to_string()).collect();
    assert_eq!(legs.into_iter().collect::<Vec<_>>(), ["\"extension:201\"", "\"extension:203\""]);
    assert!(json.contains("Authorization: [removed]") && !json.contains("response="), "{json}");
}

/// The ladder of a call that is over, as wide as a terminal is at least.
async fn ladder(house: &House, call: &str) -> String {
    let file = format!("{call}.jsonl");
    let day = house.clinic.store.join("traces");
    let written =
        async || std::fs::read_dir(&day).into_iter().flatten().flatten().any(|day| day.path().join(&file).exists());
    house.clinic.until("the trace is written", written).await;
    let shown = house.clinic.command(&["trace", call]).env("COLUMNS", "80").output().unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let ladder = String::from_utf8(shown.stdout).unwrap();
    assert!(ladder.lines().all(|line| line.chars().count() <= 80), "{ladder}");
    ladder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_handed_on_fits_a_terminal_with_all_its_legs() {
    let mut house = House::closed(TREE).await;
    house.clinic.start().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let mut lab = house.extension("203", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.caller("+12125550142", &[Codec::Pcmu]).await;
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    let referred = staff.dialog.refer(&house.uri("203"));
    let (referred, mut far) = tokio::join!(referred, lab.answers());
    referred.unwrap();
    staff.ended().await;
    patient.dialog.bye("").await;
    far.ended().await;
    patient.ended().await;
    let call = house.record().await["id"].as_str().unwrap().to_owned();
    let ladder = ladder(&house, &call).await;
    let heads: Vec<_> = ladder.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(heads, ["ms", "caller", "Threadline", "extension:201", "extension:203"], "{ladder}");
    for said in ["INVITE sdp", "200 OK sdp", "REFER", "NOTIFY", "200 (NOTIFY)", "BYE"] {
        assert!(ladder.contains(&format!(" {said} ")), "{said}: {ladder}");
    }
    assert!(!ladder.contains("may be more to come"), "{ladder}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_refused_says_why() {
    let mut house = House::closed(TREE).await;
    house.clinic.start().await;
    let peer = Peer::new(house.clinic.sip).await;
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 18\r\n";
    peer.send(&peer.request("INVITE", "refused", 1, "", offer)).await;
    let refused = peer.expect(488).await;
    peer.ack(&refused, 1, "").await;
    let call = house.record().await["id"].as_str().unwrap().to_owned();
    let ladder = ladder(&house, &call).await;
    assert!(ladder.contains(" 488 Not Acceptable Here ") && ladder.contains("Reasons that were given:"), "{ladder}");
    assert!(ladder.contains("caller 488 Not Acceptable Here: no codec in common; allow PCMU,"), "{ladder}");

    // Without its file the call is still known, and why there is none; by its own Call-ID as well.
    std::fs::remove_dir_all(house.clinic.store.join("traces")).unwrap();
    let gone = |wanted: &str| {
        let (fine, shown, said) = trace(&house, &[wanted]);
        assert!(!fine && shown.is_empty() && said.lines().count() == 1, "{said}");
        said
    };
    assert!(gone(&call[..20]).contains(&format!("of call {call} no signalling was kept: the daemon was stopped hard")));
    let conn = rusqlite::Connection::open(house.clinic.store.join("threadline.db")).unwrap();
    conn.execute("UPDATE calls SET ended_at = ended_at - 700000000000", []).unwrap();
    for wanted in [&call[..20], "refused"] {
        let said = gone(wanted);
        assert!(said.contains(&format!("the signalling of call {call} is deleted: it ended on ")), "{said}");
        assert!(said.contains("kept for 7 days; for calls to come, write more at [retention] traces"), "{said}");
    }
}
