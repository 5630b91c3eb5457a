//! A registration (RFC 3261 section 10.2) as a state machine without I/O: `handle(now, luck, input)` gives what to do,
//! `next_deadline()` says when to come back. Time is the monotonic time of [`Now`](crate::clock::Now).

use std::time::Duration;

use crate::sip::digest::{Asker, Authenticator, Credentials, Refused, Signed};

/// The first pause after a failure that may pass by itself; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Calls come in by this registration: nobody waits longer than this after the registrar is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// The first pause after a refusal that a person must mend; registrars ban addresses that knock faster.
const FIRST_REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause after refusals.
const LONGEST_REFUSED_PAUSE: Duration = Duration::from_secs(600);
/// A day: a registrar that wants a longer registration is given this.
const LONGEST_EXPIRES: u32 = 86_400;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Begin.
    Start,
    /// The deadline has come.
    Wake,
    /// The registrar answered the request under way.
    Response(&'a Reply<'a>),
    /// The request under way got no answer, or could not be sent.
    NoAnswer,
    /// The trunk is heard again after a silence, or our address has changed: what it knows of us may be gone.
    Reachable,
    /// The daemon stops: take our address back.
    Shutdown,
}

/// What matters of a response to REGISTER.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    /// The status.
    pub status: u16,
    /// The values of WWW-Authenticate (401) or Proxy-Authenticate (407).
    pub challenges: &'a [&'a str],
    /// Seconds granted: the `expires` of our Contact, else Expires.
    pub expires: Option<u32>,
    /// Seconds in Min-Expires (423).
    pub min_expires: Option<u32>,
    /// Seconds in Retry-After.
    pub retry_after: Option<u32>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send REGISTER with this Expires (0 takes the address back) and these headers.
    Register {
        /// Seconds.
        expires: u32,
        /// Authorization and Proxy-Authorization.
        headers: Vec<(&'static str, String)>,
    },
    /// Our standing changed: for the log and `/metrics`.
    Changed(Standing),
    /// It is over: nothing more will be sent.
    Done,
}

/// Whether calls can reach us by this registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not tried yet.
    New,
    /// The registrar knows us.
    Registered,
    /// It does not, and why.
    Failed(Failure),
}

/// Why a registration does not stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No answer, or nothing could be sent.
    #[error("the registrar does not answer; check the trunk's address and the network")]
    NoAnswer,
    /// Our credentials.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Any other status.
    #[error("the registrar answered {0}")]
    Status(u16),
}

/// Chance, handed in.
#[derive(Clone, Copy, Debug)]
pub struct Luck<'a> {
    /// From 0 to 1: spreads pauses and refreshes, so that a thousand boxes do not knock at once after an outage.
    pub jitter: f64,
    /// A client nonce for the digest.
    pub cnonce: &'a str,
}

/// One account's registration.
#[derive(Clone, Debug)]
pub struct Registration {
    registrar: String,
    authenticator: Authenticator,
    wanted: u32,
    phase: Phase,
    standing: Standing,
    /// When the registrar will forget us, where it knows us.
    known_until: Option<Duration>,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// A request is under way.
    Asking,
    /// The same, and something happened meanwhile that calls for another.
    AskingTwice,
    /// Until then.
    Waiting(Duration),
    /// The last request, which takes our address back, is under way.
    Leaving,
    Done,
}

impl Registration {
    /// An account at `registrar` (the Request-URI, such as `sip:carrier.example`), to be held for `expires` at a time.
    pub fn new(registrar: String, credentials: Credentials, expires: Duration) -> Self {
        let wanted = u32::try_from(expires.as_secs()).unwrap_or(LONGEST_EXPIRES).clamp(1, LONGEST_EXPIRES);
        Registration {
            registrar,
            authenticator: Authenticator::new(credentials),
            wanted,
            phase: Phase::Idle,
            standing: Standing::New,
            known_until: None,
            failures: 0,
        }
    }

    /// How we stand with the registrar.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// When to call [`handle`](Self::handle) with [`Input::Wake`]; `None`: not before something happens.
    pub fn next_deadline(&self) -> Option<Duration> {
        let retry = match self.phase {
            Phase::Waiting(until) => Some(until),
            Phase::Idle | Phase::Asking | Phase::AskingTwice | Phase::Leaving | Phase::Done => None,
        };
        // The registration may lapse while we wait for an answer or for the next attempt.
        let lapse = self.known_until.filter(|_| !matches!(self.phase, Phase::Leaving | Phase::Done));
        [retry, lapse].into_iter().flatten().min()
    }

    /// Takes what happened and says what to do, in order.
    pub fn handle(&mut self, now: Duration, luck: Luck<'_>, input: Input<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.known_until.is_some_and(|until| until <= now) && self.phase != Phase::Done {
            self.known_until = None;
            if self.standing == Standing::Registered && self.phase != Phase::Leaving {
                self.stand(Standing::Failed(Failure::NoAnswer), &mut actions);
            }
        }
        match (self.phase, input) {
            (Phase::Done, _) => {}
            (Phase::Leaving, Input::Response(reply)) => self.left(reply, luck, &mut actions),
            (Phase::Leaving, Input::NoAnswer) => self.done(&mut actions),
            (Phase::Leaving, _) => {}
            (Phase::Idle | Phase::Waiting(_), Input::Shutdown) if self.known_until.is_none() => self.done(&mut actions),
            // A request under way may yet be granted: take that back too.
            (_, Input::Shutdown) => {
                self.phase = Phase::Leaving;
                self.send(0, luck, &mut actions);
            }
            (Phase::Asking | Phase::AskingTwice, Input::Response(reply)) => {
                let twice = self.phase == Phase::AskingTwice;
                self.answered(now, luck, reply, &mut actions);
                if twice && matches!(self.phase, Phase::Waiting(_)) {
                    self.ask(luck, &mut actions);
                }
            }
            (Phase::Asking | Phase::AskingTwice, Input::NoAnswer) => {
                self.failed(now, luck, Failure::NoAnswer, None, &mut actions);
            }
            (Phase::Asking, Input::Reachable) => self.phase = Phase::AskingTwice,
            (Phase::Idle, Input::Start) | (Phase::Waiting(_), Input::Reachable) => self.ask(luck, &mut actions),
            (Phase::Waiting(until), Input::Wake) if until <= now => self.ask(luck, &mut actions),
            (_, Input::Start | Input::Wake | Input::Reachable | Input::Response(_) | Input::NoAnswer) => {}
        }
        actions
    }

    fn answered(&mut self, now: Duration, luck: Luck<'_>, reply: &Reply<'_>, actions: &mut Vec<Action>) {
        match (reply.status, Asker::of(reply.status)) {
            (100..=199, _) => {}
            (200..=299, _) => {
                self.authenticator.accepted();
                self.failures = 0;
                let granted = reply.expires.unwrap_or(self.wanted).clamp(1, LONGEST_EXPIRES);
                let granted = Duration::from_secs(granted.into());
                self.known_until = Some(now + granted);
                self.phase = Phase::Waiting(now + granted.mul_f64(0.5 + 0.4 * luck.jitter.clamp(0.0, 1.0)));
                self.stand(Standing::Registered, actions);
            }
            (_, Some(asker)) => match self.authenticator.challenged(asker, reply.challenges) {
                Ok(()) => self.ask(luck, actions),
                Err(refused) => self.failed(now, luck, Failure::Refused(refused), reply.retry_after, actions),
            },
            (423, None) => match reply.min_expires {
                Some(least) if least > self.wanted && least <= LONGEST_EXPIRES => {
                    self.wanted = least;
                    self.ask(luck, actions);
                }
                Some(_) | None => self.failed(now, luck, Failure::Status(423), reply.retry_after, actions),
            },
            (status, None) => self.failed(now, luck, Failure::Status(status), reply.retry_after, actions),
        }
    }

    /// After a failure: a pause, longer each time and longest where only a person can help.
    fn failed(
        &mut self,
        now: Duration,
        luck: Luck<'_>,
        failure: Failure,
        retry_after: Option<u32>,
        actions: &mut Vec<Action>,
    ) {
        let passes = match &failure {
            Failure::NoAnswer | Failure::Status(408 | 423 | 480 | 486 | 491 | 500..=599) => true,
            Failure::Status(_) | Failure::Refused(_) => false,
        };
        let (first, longest) =
            if passes { (FIRST_PAUSE, LONGEST_PAUSE) } else { (FIRST_REFUSED_PAUSE, LONGEST_REFUSED_PAUSE) };
        let pause = first.saturating_mul(1 << self.failures.min(10)).min(longest);
        let pause = pause.mul_f64(0.5 + 0.5 * luck.jitter.clamp(0.0, 1.0));
        let asked = Duration::from_secs(retry_after.unwrap_or(0).into()).min(LONGEST_REFUSED_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting(now + pause.max(asked));
        // The registrar still rings us until what it granted runs out, unless it said that it will not.
        if !passes {
            self.known_until = None;
        }
        if self.known_until.is_none() {
            self.stand(Standing::Failed(failure), actions);
        }
    }

    fn left(&mut self, reply: &Reply<'_>, luck: Luck<'_>, actions: &mut Vec<Action>) {
        let again =
            Asker::of(reply.status).is_some_and(|asker| self.authenticator.challenged(asker, reply.challenges).is_ok());
        match reply.status {
            100..=199 => {}
            _ if again => self.send(0, luck, actions),
            _ => self.done(actions),
        }
    }

    fn done(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Done;
        self.known_until = None;
        actions.push(Action::Done);
    }

    fn ask(&mut self, luck: Luck<'_>, actions: &mut Vec<Action>) {
        self.phase = Phase::Asking;
        self.send(self.wanted, luck, actions);
    }

    fn send(&mut self, expires: u32, luck: Luck<'_>, actions: &mut Vec<Action>) {
        let request = Signed { method: "REGISTER", uri: &self.registrar, body: b"" };
        let headers = self.authenticator.headers(request, luck.cnonce);
        actions.push(Action::Register { expires, headers });
    }

    fn stand(&mut self, standing: Standing, actions: &mut Vec<Action>) {
        if self.standing != standing {
            self.standing = standing.clone();
            actions.push(Action::Changed(standing));
        }
    }
}

#[cfg(test)]
mod tests;
