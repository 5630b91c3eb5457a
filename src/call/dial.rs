//! Ringing a phone: of the clinic, of another telephone system, or out through a trunk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Line;
use super::leg::{self, Leg};
use super::trace::Legs;
use super::waiting::Failure;
use crate::model::{Caller, Codec, Phone, PhoneNumber, SrtpPolicy};
use crate::settings::{Settings, Trunk};
use crate::sip::Replaces;
use crate::sip::outbound::{Call, Outbound, Step, Target};

/// What a phone rings for: what it shows of who calls, and the call that its leg will belong to.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// Who is calling.
    pub who: Who,
    /// What they chose.
    pub reason: Option<String>,
    /// What their leg speaks: what passes untouched is offered first.
    pub codec: Option<Codec>,
    /// Where the leg is noted, for the trace of the call.
    pub legs: Legs,
    /// The call of the phone's own telephone system whose place this one is to take (RFC 3891).
    pub replaces: Option<Replaces>,
}

/// Who calls a phone of the clinic. Out in the world it is always the clinic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A patient.
    Caller(Caller),
    /// An extension, by its name and what it is shown as.
    Colleague(String, String),
    /// Nobody in particular.
    Clinic,
}

impl Shown {
    fn new(who: Who) -> Shown {
        Shown { who, reason: None, codec: None, legs: Legs::default(), replaces: None }
    }

    /// A patient who called, or is to be called.
    pub fn patient(from: Caller) -> Shown {
        Shown::new(Who::Caller(from))
    }

    /// An extension.
    pub fn colleague(name: &str, settings: &Settings) -> Shown {
        let known = settings.extensions.iter().find(|extension| extension.name == name);
        let shown_as = known.map_or(name, |extension| &extension.shown_as);
        Shown::new(Who::Colleague(name.to_owned(), shown_as.to_owned()))
    }

    /// Whoever is at `phone`.
    pub fn of(phone: &Phone, settings: &Settings) -> Shown {
        match phone {
            Phone::Extension(name) => Shown::colleague(name, settings),
            Phone::Number(number) => Shown::patient(Caller::Number(number.clone())),
            Phone::Uri(_) | Phone::Emergency(_) => Shown::new(Who::Clinic),
        }
    }

    /// The user and the name for From: `+12125550142` and `(212) 555-0142 · appointments`.
    fn from(&self, settings: &Settings) -> (String, String) {
        let (user, name) = match &self.who {
            Who::Caller(Caller::Number(number)) => {
                (number.as_str().to_owned(), number.shown_in(settings.clinic.country))
            }
            Who::Caller(Caller::Anonymous) => ("anonymous".to_owned(), "number withheld".to_owned()),
            Who::Caller(Caller::Other(name)) => ("anonymous".to_owned(), name.expose().clone()),
            Who::Colleague(name, shown_as) => (name.clone(), shown_as.clone()),
            Who::Clinic => (settings.sms.from.as_str().to_owned(), settings.clinic.name.clone()),
        };
        match &self.reason {
            Some(reason) => (user, format!("{name} · {reason}")),
            None => (user, name),
        }
    }
}

/// Takes a ringing back. Cloning it gives another handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    now: CancellationToken,
    elsewhere: Arc<AtomicBool>,
}

impl Stop {
    /// Is taken back at the daemon's goodbye at the latest.
    pub fn at_goodbye(line: &Line) -> Stop {
        Stop { now: line.goodbye.child_token(), elsewhere: Arc::default() }
    }

    /// Nobody needs the phone any more; `elsewhere`: because another was picked up (RFC 3326).
    pub fn stop(&self, elsewhere: bool) {
        self.elsewhere.store(elsewhere, Ordering::Relaxed);
        self.now.cancel();
    }
}

/// Rings `phone` until it is picked up, for `ring_for` at most; `rings` is cancelled when the first of its devices does.
/// Every device that an extension has registered rings, and the first one wins.
///
/// # Errors
/// Why nobody picked up.
pub(super) async fn ring(
    line: &Arc<Line>,
    phone: &Phone,
    shown: &Shown,
    ring_for: Duration,
    stop: &Stop,
    rings: &CancellationToken,
) -> Result<Leg, Failure> {
    let ways = ways(line, phone);
    let mut devices = JoinSet::new();
    let others = Stop::default();
    for way in ways {
        let (line, shown, stop, others, rings) =
            (line.clone(), shown.clone(), stop.clone(), others.clone(), rings.clone());
        let name = phone.to_string();
        devices.spawn(async move { one(&line, (&name, way), &shown, ring_for, &stop, &others, &rings).await });
    }
    let mut failure = Failure::Unreachable;
    while let Some(rung) = devices.join_next().await {
        match rung {
            Ok(Ok(leg)) => {
                others.stop(true);
                // They are cancelled by themselves; what one of them still answers is hung up with its handle.
                devices.detach_all();
                return Ok(leg);
            }
            // One that is busy or refuses says more of its owner than one that does not answer.
            Ok(Err(why)) if says_more(why, failure) => failure = why,
            Ok(Err(_)) => {}
            Err(error) => warn!(panicked = error.is_panic(), "a ringing ended by a fault of ours"),
        }
    }
    Err(failure)
}

fn says_more(why: Failure, than: Failure) -> bool {
    let rank = |failure| match failure {
        Failure::Unreachable => 0,
        Failure::NoAnswer => 1,
        Failure::Refused => 2,
        Failure::Busy => 3,
    };
    rank(why) > rank(than)
}

/// One way to a phone: where to send the INVITE (in failover order), and how its audio is protected.
struct Way {
    targets: Vec<Target>,
    /// The clinic's number, where a target has none of its own; none: who is calling.
    from: Option<PhoneNumber>,
    srtp: SrtpPolicy,
    /// Whatever one target says, the next is tried.
    insist: bool,
}

/// The ways to a phone: one for each device of an extension.
fn ways(line: &Line, phone: &Phone) -> Vec<Way> {
    let book = line.book();
    let one = |target: Target, srtp| Way { targets: vec![target], from: None, srtp, insist: false };
    match phone {
        Phone::Extension(name) => {
            let known = book.settings.extensions.iter().find(|extension| extension.name == *name);
            let srtp = known.map_or(SrtpPolicy::Off, |extension| extension.srtp);
            line.phones.targets(name).into_iter().map(|target| one(target, srtp)).collect()
        }
        Phone::Uri(uri) => match Target::direct(uri) {
            Ok(target) => vec![one(target, SrtpPolicy::Off)],
            Err(error) => {
                warn!(%error, "a phone of the tree cannot be called");
                vec![]
            }
        },
        Phone::Number(_) | Phone::Emergency(_) => {
            let trunks = line.trunks_in_order(&book.settings);
            // One offer goes to all of them: as strict as the strictest.
            let srtp = trunks.iter().map(|trunk| trunk.srtp).max().unwrap_or_default();
            let through = |trunk: &Trunk| match phone {
                Phone::Emergency(digits) => Some(Target::through_as_dialled(trunk, digits.expose())),
                Phone::Number(number) => Some(Target::through(trunk, number)),
                Phone::Extension(_) | Phone::Uri(_) => None,
            };
            let targets: Vec<_> = trunks.into_iter().filter_map(through).collect();
            let from = Some(book.settings.sms.from.clone());
            let insist = matches!(phone, Phone::Emergency(_));
            if targets.is_empty() { vec![] } else { vec![Way { targets, from, srtp, insist }] }
        }
    }
}

async fn one(
    line: &Arc<Line>,
    (name, way): (&str, Way),
    shown: &Shown,
    ring_for: Duration,
    stop: &Stop,
    others: &Stop,
    rings: &CancellationToken,
) -> Result<Leg, Failure> {
    let book = line.book();
    let Some(address) = line.endpoint.address_towards(&way.targets).await else { return Err(Failure::Unreachable) };
    let codecs = leg::codecs_like(shown.codec);
    let (session, mut negotiation) = leg::open(line, address, codecs, way.srtp).map_err(|error| {
        warn!(%error, "no room for media");
        Failure::Unreachable
    })?;
    negotiation.offer();
    // The clinic's number goes out into the world, the caller's to the clinic's own phones.
    let (from, display) = match &way.from {
        Some(ours) => (ours.as_str().to_owned(), None),
        None => {
            let (user, name) = shown.from(&book.settings);
            (user, Some(name))
        }
    };
    let call = Call {
        targets: way.targets,
        from,
        display,
        offer: negotiation.sent().to_owned(),
        ring_for,
        replaces: shown.replaces.clone(),
        insist: way.insist,
    };
    let mut placing = Outbound::dial(&line.endpoint, call);
    shown.legs.add(name, placing.call_ids());
    let mut given_up = false;
    loop {
        let step = tokio::select! {
            step = placing.next() => step,
            () = stop.now.cancelled(), if !given_up => {
                given_up = true;
                take_back(&placing, stop.elsewhere.load(Ordering::Relaxed));
                continue;
            }
            () = others.now.cancelled(), if !given_up => {
                given_up = true;
                take_back(&placing, true);
                continue;
            }
        };
        return match step {
            Some(Step::Progress { status, .. }) => {
                if status == 180 || status == 183 {
                    rings.cancel();
                }
                continue;
            }
            Some(Step::Answered { dialog, .. }) if given_up => {
                dialog.bye("Call completed elsewhere").await;
                Err(Failure::NoAnswer)
            }
            Some(Step::Answered { dialog, sdp: Some(answer), trunk }) => match negotiation.accept_answer(&answer) {
                Ok(plan) => {
                    session.start(plan.clone());
                    Ok(Leg::new(dialog, session, negotiation, Some(plan), true).through(trunk))
                }
                Err(error) => {
                    line.endpoint.count_no_common_codec();
                    warn!(%error, "a phone was picked up that cannot be spoken with");
                    dialog.bye("no usable answer").await;
                    Err(Failure::Unreachable)
                }
            },
            Some(Step::Answered { dialog, .. }) => {
                line.endpoint.count_no_common_codec();
                warn!("a phone was picked up that says nothing of its audio");
                dialog.bye("no SDP").await;
                Err(Failure::Unreachable)
            }
            Some(Step::Failed { status }) => {
                info!(status, "a phone was not picked up");
                Err(failure(status))
            }
            None => Err(Failure::Unreachable),
        };
    }
}

fn take_back(placing: &Outbound, elsewhere: bool) {
    if elsewhere { placing.hang_up_elsewhere() } else { placing.hang_up() }
}

/// What a final status says of a phone (RFC 3261 section 21).
fn failure(status: u16) -> Failure {
    match status {
        486 | 600 => Failure::Busy,
        403 | 480 | 603 | 607 => Failure::Refused,
        408 | 487 => Failure::NoAnswer,
        _ => Failure::Unreachable,
    }
}

/// The status that tells a phone why another was not picked up.
pub(super) fn status(why: Failure) -> u16 {
    match why {
        Failure::Busy => 486,
        Failure::Refused => 603,
        Failure::NoAnswer => 480,
        Failure::Unreachable => 503,
    }
}
