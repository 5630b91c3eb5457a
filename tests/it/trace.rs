//! `threadline trace` over real calls with several legs.

use serde_json::Value;
use threadline::model::Codec;
use threadline::store::export::What;

use super::staff::House;

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
