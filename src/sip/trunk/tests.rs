use super::*;
use crate::sip::digest::Answer;
use crate::sip::rig::{self, Peer};

fn trunk(peer: &Peer, account: bool) -> Settings {
    let register = "register = { username = \"clinic\", password = { env = \"P\" }, expires = \"10m\" }\n";
    let register = if account { register } else { "accept_from = [\"127.0.0.1\"]\n" };
    rig::settings(&format!("[[trunk]]\nname = \"carrier\"\naddress = \"{}\"\n{register}", peer.address()))
}

async fn until(trunks: &Trunks, state: TrunkState) {
    let wait = async {
        while trunks.states() != [("carrier".to_owned(), state)] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("{:?}", trunks.states()));
}

#[tokio::test]
async fn an_account_is_registered_with_its_digest_and_taken_back_at_the_end() {
    let peer = Peer::new().await;
    let settings = trunk(&peer, true);
    let endpoint = rig::endpoint(&settings).await;
    let trunks = Trunks::start(&endpoint, &settings, Clock::system());
    assert_eq!(trunks.states(), [("carrier".to_owned(), TrunkState::Starting)]);

    let first = peer.next("REGISTER").await;
    assert_eq!(first.uri(), format!("sip:{}", peer.address()));
    assert_eq!(first.header("Expires"), "600");
    assert!(first.header("To").starts_with(&format!("<sip:clinic@{}>", peer.address())));
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256\r\n";
    peer.reply(&first, 401, "x", challenge, "").await;
    let second = loop {
        let register = peer.next("REGISTER").await;
        if register.find("Authorization").is_some() {
            break register;
        }
    };
    assert!(Answer::parse(second.header("Authorization")).unwrap().proves("secret", "REGISTER", b""));
    assert_eq!(second.header("Call-ID"), first.header("Call-ID"));
    peer.reply(&second, 200, "x", &format!("Contact: {};expires=60\r\n", second.header("Contact")), "").await;
    until(&trunks, TrunkState::Up).await;

    let stopping = tokio::spawn(async move { trunks.stop().await });
    let last = loop {
        let register = peer.next("REGISTER").await;
        if register.header("Expires") == "0" {
            break register;
        }
    };
    assert!(last.header("Authorization").contains("nc=00000002"));
    peer.reply(&last, 200, "x", "", "").await;
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_refused_account_is_down() {
    let peer = Peer::new().await;
    let settings = trunk(&peer, true);
    let trunks = Trunks::start(&rig::endpoint(&settings).await, &settings, Clock::system());
    peer.reply(&peer.next("REGISTER").await, 403, "x", "", "").await;
    until(&trunks, TrunkState::Down).await;
}

#[tokio::test]
async fn a_trunk_without_account_is_up_when_it_answers() {
    let peer = Peer::new().await;
    let settings = trunk(&peer, false);
    let trunks = Trunks::start(&rig::endpoint(&settings).await, &settings, Clock::system());
    let options = loop {
        let heard = peer.any().await;
        if heard.method() == "OPTIONS" {
            break heard;
        }
    };
    peer.reply(&options, 404, "x", "", "").await;
    until(&trunks, TrunkState::Up).await;

    // The same trunk stays as it is over a reload; another takes its place.
    trunks.reload(&settings);
    until(&trunks, TrunkState::Up).await;
    trunks.reload(&trunk(&Peer::new().await, false));
    assert_eq!(trunks.states(), [("carrier".to_owned(), TrunkState::Starting)]);
}

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

#[tokio::test]
async fn a_trunk_is_asked_when_somebody_wants_to_know() {
    let peer = Peer::new().await;
    let settings = trunk(&peer, false);
    let trunks = Trunks::start(&rig::endpoint(&settings).await, &settings, Clock::system());
    let first = peer.next("OPTIONS").await;
    peer.reply(&first, 200, "x", "", "").await;
    until(&trunks, TrunkState::Up).await;
    // Long before the next half minute.
    let asked = tokio::spawn({
        let trunks = trunks.clone();
        async move { trunks.probe("carrier").await }
    });
    let second = peer.next("OPTIONS").await;
    peer.reply(&second, 405, "x", "", "").await;
    let heard = asked.await.unwrap().unwrap();
    assert_eq!(heard.status, Some(405));
    assert_eq!(trunks.shown()[0].heard, Some(heard));
    assert_eq!(trunks.probe("another").await, None);
}

#[test]
fn a_call_out_tries_the_trunks_in_their_order_those_that_are_down_last() {
    let table =
        |name| format!("[[trunk]]\nname = \"{name}\"\naddress = \"192.0.2.1\"\naccept_from = [\"192.0.2.1\"]\n");
    let settings = rig::settings(&["one", "two", "three"].map(table).concat());
    let order = |states: &[(&str, TrunkState)]| {
        let states: Vec<_> = states.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect();
        in_order(&settings.trunks, &states).into_iter().map(|trunk| trunk.name.as_str()).collect::<Vec<_>>()
    };
    let (up, down, starting) = (TrunkState::Up, TrunkState::Down, TrunkState::Starting);
    assert_eq!(order(&[("one", up), ("two", up), ("three", up)]), ["one", "two", "three"]);
    assert_eq!(order(&[("one", down), ("two", up), ("three", up)]), ["two", "three", "one"]);
    assert_eq!(order(&[("one", down), ("two", up), ("three", down)]), ["two", "one", "three"]);
    assert_eq!(order(&[("one", starting), ("two", down), ("three", up)]), ["one", "three", "two"]);
    // Where none is up, or nothing is known of them, they are tried as they stand.
    assert_eq!(order(&[("one", down), ("two", down), ("three", down)]), ["one", "two", "three"]);
    assert_eq!(order(&[]), ["one", "two", "three"]);
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
