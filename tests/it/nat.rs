//! A box behind NAT that knows its external address: what it tells a carrier out in the world, and audio for a carrier
//! that names an address of its own inside. In a network namespace of the test's own, where addresses of the world are
//! on the loopback: nothing leaves the machine.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::clinic::Clinic;
use super::gateway::FakeTwilio;

/// The box on its own network.
const INSIDE: &str = "10.1.1.1";
/// What the world sees of it.
const EXTERNAL: &str = "203.0.113.10";
/// The carrier (RFC 5737).
const CARRIER: &str = "198.51.100.7";
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_box_behind_nat_names_its_external_address_and_audio_finds_its_way() {
    // A user of the machine may have no namespaces; then there is no such network to test in.
    let may = Command::new("unshare").args(["--user", "--map-root-user", "--net", "ip", "link"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs `unshare --net` and `ip` (util-linux, iproute2), and a kernel that lets us");
        return;
    }
    let script = format!(
        "ip link set lo up && ip address add {INSIDE}/32 dev lo && ip address add {CARRIER}/32 dev lo && \
         exec \"$0\" --exact nat::in_a_network_of_its_own --ignored --nocapture"
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", &script]).arg(std::env::current_exe().unwrap());
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The next message of this method, or response with this CSeq.
async fn next(socket: &UdpSocket, wanted: &str) -> (String, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    loop {
        let received = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer)).await;
        let (length, from) = received.unwrap_or_else(|_| panic!("no {wanted} came")).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with(wanted) {
            return (text, from);
        }
    }
}

fn line<'t>(text: &'t str, start: &str) -> &'t str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in the namespace that the test above makes"]
async fn in_a_network_of_its_own() {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    let carrier = UdpSocket::bind((CARRIER, 0)).await.unwrap();
    let here = carrier.local_addr().unwrap();
    let mut clinic = Clinic::new(gateway.address);
    let sip = SocketAddr::new(INSIDE.parse().unwrap(), clinic.sip.port());
    let listen = format!("listen = [\"udp:{}\"]", clinic.sip);
    clinic.rewrite(&[
        (&listen, &format!("listen = [\"udp:{sip}\"]\nexternal_address = \"{EXTERNAL}\"")),
        ("\"127.0.0.1:5060\"", &format!("\"{here}\"")),
        ("127.0.0.0/8", CARRIER),
    ]);
    clinic.sip = sip;
    clinic.start().await;
    let external = format!("{EXTERNAL}:{}", sip.port());

    // What the box asks on its own names the external address, and wants the port that NAT gave it (RFC 3581).
    let (options, _) = next(&carrier, "OPTIONS ").await;
    let via = line(&options, "Via: ");
    assert!(via.starts_with(&format!("Via: SIP/2.0/UDP {external};")) && via.contains(";rport"), "{options}");
    assert!(line(&options, "Contact: ").contains(&external), "{options}");

    // A call, from a carrier whose SDP names an address of its own inside.
    let rtp = UdpSocket::bind((CARRIER, 0)).await.unwrap();
    let offer = "v=0\r\no=- 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let request = |method: &str, to: &str, body: &str| {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:+12125550100@{external} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bK{method}\r\n\
             From: <sip:+16462530142@{here}>;tag=t\r\nTo: {to}\r\nCall-ID: nat\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:{here}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let invite = request("INVITE", "<sip:+12125550100@h>", offer);
    carrier.send_to(invite.as_bytes(), sip).await.unwrap();
    let (ok, _) = next(&carrier, "SIP/2.0 200 ").await;
    assert!(line(&ok, "Contact: ").contains(&format!("@{external}>")), "{ok}");
    assert!(line(&ok, "o=").ends_with(&format!(" IN IP4 {EXTERNAL}")), "{ok}");
    assert_eq!(line(&ok, "c="), format!("c=IN IP4 {EXTERNAL}"));
    let port: u16 = line(&ok, "m=audio ").split(' ').nth(1).unwrap().parse().unwrap();
    let to = line(&ok, "To: ").trim_start_matches("To: ");
    carrier.send_to(request("ACK", to, "").as_bytes(), sip).await.unwrap();

    // Audio comes back to where it came from, whatever the SDP said (symmetric RTP, RFC 4961).
    let mut packet = [[0x80, 0].as_slice(), &[0; 10], &[0xff; 160]].concat();
    let mut heard = [0; 2_048];
    let mut sequence = 0_u16;
    let answered = async {
        loop {
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
            sequence += 1;
            rtp.send_to(&packet, (INSIDE, port)).await.unwrap();
            let came = tokio::time::timeout(Duration::from_millis(20), rtp.recv_from(&mut heard)).await;
            if let Ok(Ok((length, _))) = came {
                return length;
            }
        }
    };
    let length = tokio::time::timeout(PATIENCE, answered).await.expect("no audio came back");
    assert_eq!((length, heard[0]), (172, 0x80), "a packet of 20 ms");
}
