use super::*;
use crate::sip::digest::Answer;
use crate::sip::rig::{self, Peer};

/// A clinic whose only trunk is this peer.
pub(super) fn trunk(peer: &Peer, account: bool) -> Settings {
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
