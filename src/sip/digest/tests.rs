use proptest::prelude::*;

use super::*;

fn credentials(username: &str, password: &str) -> Credentials {
    Credentials { username: username.into(), password: Private::new(password.into()) }
}

fn response(header: &str) -> String {
    Answer::parse(header).unwrap().response
}

const GET: Signed<'_> = Signed { method: "GET", uri: "/dir/index.html", body: b"" };

/// RFC 7616 section 3.9.1
const RFC7616: [&str; 2] = [
    "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
    "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
];

#[test]
fn the_vectors_of_rfc_7616() {
    let account = credentials("Mufasa", "Circle of Life");
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let found = challenges(&RFC7616);
    assert_eq!(found.iter().map(|c| c.algorithm).collect::<Vec<_>>(), [Algorithm::Sha256, Algorithm::Md5]);
    let answers: Vec<String> = found.iter().map(|c| c.answer(&account, GET, cnonce, 1)).collect();
    assert_eq!(response(&answers[0]), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    assert_eq!(response(&answers[1]), "8ca523f5e9506fed4657c9700eebdbec");
    assert_eq!(
        answers[1],
        "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
         response=\"8ca523f5e9506fed4657c9700eebdbec\", algorithm=MD5, qop=auth, nc=00000001, \
         cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", \
         opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
    );
}

#[test]
fn the_vectors_of_rfc_2617_and_2069() {
    let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                     nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let answer = challenges(&[challenge])[0].answer(&credentials("Mufasa", "Circle Of Life"), GET, "0a4f113b", 1);
    assert_eq!(response(&answer), "6629fae49393a05397450978507c4ef1");
    // RFC 2069 section 2.4 with its erratum 749.
    let old = challenge.replace("qop=\"auth,auth-int\", ", "");
    let answer = challenges(&[&old])[0].answer(&credentials("Mufasa", "CircleOfLife"), GET, "0a4f113b", 1);
    assert_eq!(response(&answer), "1949323746fe6a43ef61f9606e7febea");
    assert!(!answer.contains("nc=") && !answer.contains("cnonce="));
}

#[test]
fn session_and_body_forms_hash_as_the_rfc_says() {
    // Computed with Python's hashlib from the formulas of RFC 7616 section 3.4.
    let account = credentials("clinic", "secret");
    let request = Signed { method: "REGISTER", uri: "sip:carrier.example", body: b"v=0\r\n" };
    for (rest, expected) in [
        ("qop=\"auth\", algorithm=MD5-sess", "32f9a2e1479b0cdd0b73de6d6973c6e2"),
        ("qop=\"auth\", algorithm=SHA-256-sess", "41fce4824fcc4fbd9f052b8b24528b67dd1f74d682f2e1df39ebc2991851a2bd"),
        ("qop=\"auth-int\", algorithm=md5", "e3e90b4d3b299e7d06d6530265a1175d"),
        ("qop=auth-int,algorithm=\"SHA-256\"", "be3c120dd535c85a120d8601e2812f0e9147c8fd17c58bbb74b745651d4252b4"),
        ("algorithm=SHA-256", "9278da49d005985a7d84024fd870f045aeb6fcf8a584cc7b934de69c86c4c92f"),
    ] {
        let challenge = format!("Digest realm=\"carrier.example\", nonce=\"abc\", {rest}");
        let answer = challenges(&[&challenge])[0].answer(&account, request, "0a4f113b", 10);
        assert_eq!(response(&answer), expected, "{rest}");
        assert!(Answer::parse(&answer).unwrap().proves("secret", "REGISTER", b"v=0\r\n"));
    }
}

#[test]
fn challenges_are_found_among_others_and_in_odd_forms() {
    let realms = |values: &[&str]| challenges(values).into_iter().map(|c| c.realm).collect::<Vec<_>>();
    let mixed = "Basic realm=\"b\", Digest realm=\"one, two\",nonce=\"n\" , algorithm = MD5, \
                 Digest realm=\"strong\", nonce=\"m\", algorithm=SHA-256, Bearer";
    assert_eq!(realms(&[mixed]), ["strong", "one, two"]);
    assert_eq!(realms(&["digest REALM=\"r \\\"q\\\"\", NONCE=\"n\", stale=TRUE"]), ["r \\\"q\\\""]);
    for unusable in [
        "Digest realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5",
        "Digest realm=\"r\", nonce=\"n\", qop=\"auth-conf\"",
        "Digest realm=\"r\"",
        "Basic realm=\"r\", nonce=\"n\"",
        "",
    ] {
        assert!(realms(&[unusable]).is_empty(), "{unusable}");
    }
    let many = vec!["Digest realm=\"r\", nonce=\"n\""; 50];
    assert_eq!(realms(&many).len(), MOST_CHALLENGES);
}

#[test]
fn a_challenge_is_answered_once_a_stale_nonce_again() {
    let mut client = Authenticator::new(credentials("clinic", "secret"));
    let request = Signed { method: "REGISTER", uri: "sip:carrier.example", body: b"" };
    let challenge =
        |nonce: &str, stale: bool| format!("Digest realm=\"r\", qop=\"auth\", nonce=\"{nonce}\", stale={stale}");
    let asked =
        |client: &mut Authenticator, nonce, stale| client.challenged(Asker::Server, &[&challenge(nonce, stale)]);
    assert!(client.headers(request, "c").is_empty());
    assert_eq!(asked(&mut client, "1", false), Ok(()));
    assert!(client.headers(request, "c")[0].1.contains("nc=00000001"));
    assert_eq!(asked(&mut client, "2", true), Ok(()));
    client.headers(request, "c");
    client.accepted();
    // The next request uses the nonce again; when the server wants a new one, that is no refusal.
    assert!(client.headers(request, "c")[0].1.contains("nonce=\"2\"") && client.server.as_ref().unwrap().uses == 2);
    assert_eq!(asked(&mut client, "3", false), Ok(()));
    assert_eq!(asked(&mut client, "4", false), Err(Refused::Credentials));
    assert!(client.headers(request, "c").is_empty());

    assert_eq!(client.challenged(Asker::Server, &["Basic realm=\"r\""]), Err(Refused::Unsupported));
    let stale = (0..10).take_while(|_| asked(&mut client, "5", true).is_ok()).count();
    assert_eq!(stale, usize::from(MOST_STALE));
}

#[test]
fn a_proxy_and_the_far_end_are_answered_side_by_side() {
    let mut client = Authenticator::new(credentials("clinic", "secret"));
    client.challenged(Asker::of(407).unwrap(), &["Digest realm=\"p\", nonce=\"1\""]).unwrap();
    client.challenged(Asker::of(401).unwrap(), &["Digest realm=\"s\", nonce=\"2\""]).unwrap();
    let headers = client.headers(Signed { method: "INVITE", uri: "sip:x@y", body: b"" }, "c");
    assert_eq!(headers.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["Authorization", "Proxy-Authorization"]);
    assert!(headers[0].1.contains("realm=\"s\"") && headers[1].1.contains("realm=\"p\""));
    assert_eq!(Asker::of(403), None);
}

#[test]
fn a_server_tells_right_from_wrong() {
    let challenge = &challenges(&["Digest realm=\"threadline\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256"])[0];
    let request = Signed { method: "REGISTER", uri: "sip:box", body: b"" };
    let header = challenge.answer(&credentials("a\"b\\c", "secret"), request, "c", 256);
    let answer = Answer::parse(&header).unwrap();
    assert_eq!((answer.username.as_str(), answer.count), ("a\"b\\c", Some(256)));
    assert!(answer.proves("secret", "REGISTER", b""));
    assert!(!answer.proves("wrong", "REGISTER", b""));
    assert!(!answer.proves("secret", "INVITE", b""));
    let other = Answer::parse(&header.replace("sip:box", "sip:other")).unwrap();
    assert!(!other.proves("secret", "REGISTER", b""));
    for broken in [header.replace("nc=00000100", "nc=100"), header.replace("response=", "respond="), "Basic x".into()] {
        assert_eq!(Answer::parse(&broken), None, "{broken}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,120}", other in "(Digest|realm|nonce|qop|[=\", a-c\\\\]){0,30}") {
        for value in [text.as_str(), other.as_str()] {
            prop_assert!(challenges(&[value]).len() <= MOST_CHALLENGES);
            Answer::parse(value);
        }
    }

    #[test]
    fn whatever_is_signed_is_believed_and_only_that(
        user in "[ -~]{1,12}", password in "\\PC{0,12}", other in "\\PC{0,12}", count in 1..u32::MAX,
        algorithm in proptest::sample::select(Algorithm::ALL.to_vec()),
        qop in proptest::sample::select(vec!["", ", qop=\"auth\"", ", qop=\"auth-int\""]),
    ) {
        let text = format!("Digest realm=\"r\", nonce=\"n\", algorithm={}{qop}", algorithm.name());
        let request = Signed { method: "INVITE", uri: "sip:1@h", body: b"body" };
        let header = challenges(&[&text])[0].answer(&credentials(&user, &password), request, "c", count);
        let answer = Answer::parse(&header).unwrap();
        prop_assert_eq!(&answer.username, &user);
        prop_assert!(answer.proves(&password, "INVITE", b"body"));
        prop_assert_eq!(answer.proves(&other, "INVITE", b"body"), other == password);
    }
}
