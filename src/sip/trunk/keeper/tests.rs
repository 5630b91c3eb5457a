use super::super::tests::trunk;
use super::*;
use crate::sip::rig::{self, Peer};

#[tokio::test]
async fn silence_brings_a_trunk_down_and_an_answer_up_again() {
    let peer = Peer::new().await;
    let settings = trunk(&peer, false);
    let endpoint = rig::endpoint(&settings).await;
    let inner = Inner { endpoint, clock: Clock::system(), running: Mutex::new(Vec::new()) };
    let state = Arc::new(Mutex::new(TrunkState::Starting));
    let (tell, told) = watch::channel(None);
    let (trunk, stop) = (settings.trunks[0].clone(), CancellationToken::new());
    let mut keeper = Keeper::new(&inner, trunk, state.clone(), (tell, Arc::default()), stop);
    let came = |status: Option<u16>| Outcome {
        method: Method::Options,
        number: 1,
        response: status.map(|status| Response { status_code: status.into(), ..Response::default() }),
        local: None,
        closed: None,
        took: Duration::from_millis(7),
    };
    for (status, expected) in [
        (None, TrunkState::Down),
        (Some(200), TrunkState::Up),
        (None, TrunkState::Up),
        (None, TrunkState::Down),
        (Some(405), TrunkState::Up),
        (Some(503), TrunkState::Up),
        (Some(503), TrunkState::Down),
    ] {
        keeper.heard(&came(status)).await;
        assert_eq!(*lock(&state), expected, "{status:?}");
        let told: Heard = told.borrow().unwrap();
        assert_eq!((told.status, told.took), (status, Duration::from_millis(7)), "people see what came");
    }
}

fn response(status: u16, headers: &str) -> Response {
    let text = format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=f\r\nCall-ID: c\r\n\
         CSeq: 1 REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    Response::try_from(text.as_bytes()).unwrap()
}

#[test]
fn what_was_granted_is_read_from_our_contact() {
    let granted = |headers: &str| read_reply(&response(200, headers), &[], "192.0.2.1:5060").expires;
    let two = "Contact: \"A, <B>\" <sip:a@192.0.2.9:5060>;expires=30, <sip:a@192.0.2.1:5060>;q=1;expires=120\r\n";
    assert_eq!(granted(&format!("{two}Expires: 900\r\n")), Some(120));
    assert_eq!(granted("Contact: <sip:a@203.0.113.5:1024>;expires=60\r\nExpires: 900\r\n"), Some(60));
    assert_eq!(granted("Contact: <sip:a@192.0.2.1:5060>\r\nExpires: 900\r\n"), Some(900));
    assert_eq!(granted("Contact: <sip:a@x>;expires=1, <sip:a@y>;expires=2\r\n"), None);
    let brief = read_reply(&response(423, "Min-Expires: 1800\r\nRetry-After: 5 (soon);duration=60\r\n"), &[], "");
    assert_eq!((brief.status, brief.min_expires, brief.retry_after), (423, Some(1800), Some(5)));
}

#[test]
fn the_librarys_own_timeouts_are_told_from_the_peers_words() {
    assert!(!is_theirs(&response(408, "To: <sip:a@h>\r\n")));
    assert!(!is_theirs(&response(503, "To: <sip:a@h>\r\n")));
    assert!(is_theirs(&response(503, "To: <sip:a@h>;tag=t\r\n")));
    assert!(is_theirs(&response(200, "To: <sip:a@h>\r\n")));
}
