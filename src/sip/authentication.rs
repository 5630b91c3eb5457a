//! Which of our own phones a request comes from: digest (RFC 3261 section 22, RFC 7616, RFC 8760), ours as the server.
//!
//! Whoever asks learns nothing but whether their own password fits: a name that does not exist gets the same challenge,
//! the same work and the same 403.

mod lockout;
mod nonces;
mod offered;

use std::net::IpAddr;
use std::time::Duration;

use rsipstack::sip::{Header, Request};

use self::lockout::Lockout;
use self::nonces::{Nonces, State};
use self::offered::Offered;
use super::digest::{Algorithm, Answer};
use super::endpoint::Endpoint;
use super::header;
use super::message::{self, all, first};
use crate::model::extension_name;
use crate::settings::Extension;

/// What our digests are for: the name that a phone may show when it asks for a password.
pub(super) const REALM: &str = "threadline";

/// What has been asked and answered so far.
pub(super) struct Authentication {
    nonces: Nonces,
    lockout: Lockout,
    offered: Offered,
    /// The password of every extension that does not exist.
    nobody: String,
}

/// What of a request proves who sent it.
struct Presented<'a> {
    method: &'a str,
    /// The Request-URI.
    uri: &'a str,
    body: &'a [u8],
    source: IpAddr,
}

/// What came of checking.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is this extension.
    Known(String),
    /// No answer to a challenge of ours, or to one that is over.
    Challenge { stale: bool },
    /// Wrong user name or password.
    Wrong { locked_now: bool },
    /// Too many wrong ones before.
    Locked,
}

impl Default for Authentication {
    fn default() -> Self {
        Authentication {
            nonces: Nonces::default(),
            lockout: Lockout::default(),
            offered: Offered::default(),
            nobody: message::random(),
        }
    }
}

impl Authentication {
    /// `at_home` says whether an extension is registered from where the request comes: guesses of others must not lock
    /// a phone out that works.
    fn check(
        &mut self,
        extensions: &[Extension],
        presented: &Presented<'_>,
        answer: Option<&Answer>,
        at_home: impl Fn(&str) -> bool,
        now: Duration,
    ) -> Verdict {
        let Some(answer) = answer else { return Verdict::Challenge { stale: false } };
        // An answer without a count (RFC 2069) may use its nonce once.
        let count = answer.count.unwrap_or(1);
        if self.nonces.state(&answer.nonce, count, now) != State::Fresh {
            return Verdict::Challenge { stale: true };
        }
        if self.lockout.is_locked(presented.source, &answer.username, at_home(&answer.username), now) {
            return Verdict::Locked;
        }
        let known = extensions.iter().find(|extension| extension.name == answer.username);
        let password = known.map_or(self.nobody.as_str(), |extension| extension.password.expose());
        let proven = answer.proves(password, presented.method, presented.body);
        match known {
            Some(extension) if proven && same_resource(&answer.uri, presented.uri) => {
                self.nonces.used(&answer.nonce, count, now);
                self.lockout.forgive(presented.source, &extension.name);
                Verdict::Known(extension.name.clone())
            }
            _ => Verdict::Wrong { locked_now: self.lockout.failed(presented.source, &answer.username, now) },
        }
    }

    /// Whether a source has failed so often that it is not even answered.
    pub(super) fn is_locked_out(&self, source: IpAddr, now: Duration) -> bool {
        self.lockout.is_source_locked(source, now)
    }

    /// `account` is who asks, as it says; `answered` what it answered with, if it did.
    fn challenge(
        &mut self,
        source: IpAddr,
        account: &str,
        answered: Option<Algorithm>,
        stale: bool,
        now: Duration,
    ) -> Vec<Header> {
        let nonce = self.nonces.mint(now);
        let stale = if stale { ", stale=true" } else { "" };
        let algorithms = self.offered.to(source, account, answered, now);
        algorithms
            .iter()
            .map(|algorithm| {
                let value =
                    format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}{stale}");
                Header::WwwAuthenticate(value.into())
            })
            .collect()
    }
}

/// Whether a digest's `uri` and the Request-URI mean the same: some phones leave parameters out of one of them.
fn same_resource(signed: &str, asked: &str) -> bool {
    header::user(signed) == header::user(asked) && header::host(signed).eq_ignore_ascii_case(header::host(asked))
}

/// Whether a request answers a challenge of ours, right or wrong.
pub(super) fn answers_us(request: &Request) -> bool {
    answer_of(request).is_some()
}

fn answer_of(request: &Request) -> Option<Answer> {
    all!(request, Authorization)
        .chain(all!(request, ProxyAuthorization))
        .take(8)
        .filter_map(Answer::parse)
        .find(|answer| answer.realm == REALM)
}

/// How a request is to be refused.
pub(super) struct Denied {
    pub status: u16,
    pub headers: Vec<Header>,
}

/// Which extension a request comes from.
///
/// # Errors
/// 401 with a challenge, or 403 where the answer was wrong or too many were. Wrong answers are logged and counted.
pub(super) fn authenticate(endpoint: &Endpoint, request: &Request, source: IpAddr) -> Result<String, Denied> {
    let settings = endpoint.settings();
    let now = endpoint.now();
    let answer = answer_of(request);
    let method = request.method.to_string();
    let uri = request.uri.to_string();
    let presented = Presented { method: &method, uri: &uri, body: &request.body, source };
    let account = first!(request, From).and_then(header::uri).and_then(header::user).unwrap_or_default();
    let at_home = |name: &str| endpoint.phones().is_at(name, source);
    let verdict = endpoint.with_authentication(|authentication| {
        match answer.as_ref().map(Answer::algorithm) {
            Some(Algorithm::Sha256 | Algorithm::Sha256Sess) => authentication.offered.knows_better(source, account),
            Some(Algorithm::Md5 | Algorithm::Md5Sess) => authentication.offered.knows_no_better(source, account, now),
            None => {}
        }
        let verdict = authentication.check(&settings.extensions, &presented, answer.as_ref(), at_home, now);
        match verdict {
            Verdict::Challenge { stale } => {
                let answered = answer.as_ref().map(Answer::algorithm);
                let headers = authentication.challenge(source, account, answered, stale, now);
                Err(Denied { status: 401, headers })
            }
            other => Ok(other),
        }
    })?;
    let reason = match verdict {
        Verdict::Known(name) => return Ok(name),
        Verdict::Wrong { locked_now: false } | Verdict::Challenge { .. } => "wrong user name or password",
        Verdict::Wrong { locked_now: true } => {
            endpoint.count(|c| &c.lockouts);
            "wrong user name or password once too often: locked for five minutes"
        }
        Verdict::Locked => "locked after too many wrong passwords",
    };
    let name = answer.map(|answer| answer.username).filter(|name| extension_name(name)).unwrap_or_default();
    tracing::warn!(%source, method, extension = name, reason, "refused");
    Err(Denied { status: 403, headers: vec![] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Private;
    use crate::sip::digest::{Challenge, Credentials, Signed, challenges};

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const URI: &str = "sip:box.example";

    fn extensions() -> Vec<Extension> {
        let password = Private::new("swordfish-17".to_owned());
        let one = |name: &str| Extension {
            name: name.to_owned(),
            shown_as: name.to_owned(),
            password: password.clone(),
            may_call: vec![],
            contacts: 3,
            srtp: crate::model::SrtpPolicy::Off,
        };
        vec![one("201"), one("202")]
    }

    fn challenge(authentication: &mut Authentication, now: Duration) -> Vec<Challenge> {
        let headers = authentication.challenge(SOURCE, "201", Some(Algorithm::Sha256), false, now);
        let values: Vec<String> = headers
            .iter()
            .map(|header| match header {
                Header::WwwAuthenticate(value) => value.value().to_owned(),
                other => panic!("{other}"),
            })
            .collect();
        challenges(&values.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn answer(challenge: &Challenge, name: &str, password: &str, count: u32) -> Answer {
        let credentials = Credentials { username: name.into(), password: Private::new(password.into()) };
        let signed = Signed { method: "REGISTER", uri: URI, body: b"" };
        Answer::parse(&challenge.answer(&credentials, signed, "c", count)).unwrap()
    }

    fn check(authentication: &mut Authentication, answer: Option<&Answer>, now: Duration) -> Verdict {
        let presented = Presented { method: "REGISTER", uri: URI, body: b"", source: SOURCE };
        authentication.check(&extensions(), &presented, answer, |_| false, now)
    }

    const WRONG: Verdict = Verdict::Wrong { locked_now: false };
    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn either_algorithm_proves_who_it_is() {
        let mut authentication = Authentication::default();
        assert_eq!(check(&mut authentication, None, NOW), Verdict::Challenge { stale: false });
        let offered = challenge(&mut authentication, NOW);
        assert_eq!(offered.len(), 2);
        for (challenge, count) in offered.iter().zip(1..) {
            let right = answer(challenge, "201", "swordfish-17", count);
            assert_eq!(check(&mut authentication, Some(&right), NOW), Verdict::Known("201".into()));
        }
    }

    #[test]
    fn a_wrong_password_and_an_unknown_name_are_the_same() {
        let mut authentication = Authentication::default();
        let offered = challenge(&mut authentication, NOW);
        for (name, password) in [("201", "wrong"), ("999", "swordfish-17"), ("", "")] {
            assert_eq!(check(&mut authentication, Some(&answer(&offered[0], name, password, 1)), NOW), WRONG, "{name}");
        }
    }

    #[test]
    fn an_answer_is_taken_once() {
        let mut authentication = Authentication::default();
        let offered = challenge(&mut authentication, NOW);
        let right = answer(&offered[0], "201", "swordfish-17", 1);
        assert_eq!(check(&mut authentication, Some(&right), NOW), Verdict::Known("201".into()));
        assert_eq!(check(&mut authentication, Some(&right), NOW), Verdict::Challenge { stale: true }, "replayed");
        let next = answer(&offered[0], "201", "swordfish-17", 2);
        assert_eq!(check(&mut authentication, Some(&next), NOW), Verdict::Known("201".into()));
        let old = answer(&offered[0], "201", "swordfish-17", 3);
        let later = NOW + Duration::from_secs(301);
        assert_eq!(check(&mut authentication, Some(&old), later), Verdict::Challenge { stale: true }, "expired");
    }

    #[test]
    fn a_nonce_that_is_not_ours_is_stale() {
        let mut authentication = Authentication::default();
        let theirs = challenge(&mut Authentication::default(), NOW);
        let right = answer(&theirs[0], "201", "swordfish-17", 1);
        assert_eq!(check(&mut authentication, Some(&right), NOW), Verdict::Challenge { stale: true });
    }

    #[test]
    fn what_was_signed_is_what_is_asked() {
        let mut authentication = Authentication::default();
        let offered = challenge(&mut authentication, NOW);
        let right = answer(&offered[0], "201", "swordfish-17", 1);
        for (method, uri) in
            [("INVITE", URI), ("REGISTER", "sip:elsewhere.example"), ("REGISTER", "sip:911@box.example")]
        {
            let presented = Presented { method, uri, body: b"", source: SOURCE };
            assert_eq!(
                authentication.check(&extensions(), &presented, Some(&right), |_| false, NOW),
                WRONG,
                "{method} {uri}"
            );
        }
    }

    #[test]
    fn whoever_guesses_is_locked_out_and_a_working_phone_is_not() {
        let mut authentication = Authentication::default();
        let offered = challenge(&mut authentication, NOW);
        let wrong = answer(&offered[0], "201", "guess", 1);
        for _ in 0..9 {
            assert_eq!(check(&mut authentication, Some(&wrong), NOW), WRONG);
        }
        assert_eq!(check(&mut authentication, Some(&wrong), NOW), Verdict::Wrong { locked_now: true });
        let right = answer(&offered[0], "201", "swordfish-17", 1);
        assert_eq!(check(&mut authentication, Some(&right), NOW), Verdict::Locked, "from there");
        let elsewhere = Presented { method: "REGISTER", uri: URI, body: b"", source: "198.51.100.9".parse().unwrap() };
        let mut from_elsewhere = |at_home: bool| {
            authentication.check(&extensions(), &elsewhere, Some(&right), |name| at_home && name == "201", NOW)
        };
        assert_eq!(from_elsewhere(false), Verdict::Locked, "and that name from anywhere");
        assert_eq!(from_elsewhere(true), Verdict::Known("201".into()), "but for the phone that is registered");
        let later = NOW + Duration::from_secs(300);
        let offered = challenge(&mut authentication, later);
        let right = answer(&offered[0], "201", "swordfish-17", 1);
        assert_eq!(check(&mut authentication, Some(&right), later), Verdict::Known("201".into()), "until it is over");
    }
}
