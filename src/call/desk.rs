//! Calls that begin at a phone of the clinic: to another phone of it, out through a trunk, to fetch a parked call or to
//! pick up what rings elsewhere; and calls that the inbox asks for: first my phone, then the patient.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span, warn};

use super::dial::{self, Shown, Stop};
use super::dial_plan::Dialled;
use super::handover::Given;
use super::leg::{self, Leg, News};
use super::pair::Pair;
use super::registry::InProgress;
use super::switchboard::Connected;
use super::trace::Legs;
use super::waiting::Failure;
use super::{Line, callback, record, ringback};
use crate::model::{
    CallEnd, CallId, CallStart, Caller, Direction, EndedBy, MediaQuality, Outcome, Phone, PhoneNumber, StaffName,
    ThreadId,
};
use crate::sip::Incoming;
use crate::sip::outbound::CallIds;

/// How long a phone out in the world may ring, and one of the clinic.
const RING_OUTSIDE: Duration = Duration::from_secs(60);
const RING_INSIDE: Duration = Duration::from_secs(45);

/// Takes a call that a phone of the clinic places.
pub async fn take(line: Arc<Line>, incoming: Incoming, extension: String) {
    let span = info_span!("desk", extension);
    from_extension(line, incoming, extension).instrument(span).await;
}

async fn from_extension(line: Arc<Line>, incoming: Incoming, extension: String) {
    // Calls are taken over by `*8`, `*21` and REFER: no call of ours is one that a phone can name (RFC 3891 section 3).
    if incoming.replaces.is_some() {
        info!("a call that is to take another's place was refused");
        return incoming.reject(481, "").await;
    }
    let book = line.book();
    let by = Phone::Extension(extension.clone());
    match line.dialled(&extension, &incoming.dialled) {
        Dialled::Refused(why) => {
            info!(%why, "a call of an extension was refused");
            incoming.reject(403, &why.to_string()).await;
        }
        Dialled::Parking(place) if !line.parking.is_taken(place) => {
            info!(place, "a call was refused: nothing is parked there");
            incoming.reject(404, "Nothing is parked there").await;
        }
        Dialled::Parking(place) => {
            if let Some(leg) = off_hook(&line, incoming).await {
                let on_call = line.switchboard.on_call(by.clone());
                if let Err(connected) = line.parking.fetch(place, Connected { leg, phone: by, on_call }) {
                    connected.leg.dialog.bye("Nothing is parked there").await;
                }
            }
        }
        Dialled::Park => {
            info!("a call was refused: `*2` parks only during a call");
            incoming.reject(404, "Park by *2 during a call").await;
        }
        Dialled::PickUp => {
            if let Some(leg) = off_hook(&line, incoming).await {
                line.switchboard.pick_up(leg, by);
            }
        }
        Dialled::Extension(name) => {
            let shown = Shown::colleague(&extension, &book.settings);
            place(&line, incoming, by, Phone::Extension(name), shown, None).await;
        }
        Dialled::Trunk(number) => {
            let wanted = ToPatient {
                id: CallId::new(line.clock.now().wall),
                to: number.clone(),
                staff: None,
                thread: None,
                node: None,
                waited: Duration::ZERO,
            };
            let record = Outward::begin(&line, wanted, &by, incoming.call_id.clone());
            let shown = Shown::colleague(&extension, &book.settings);
            place(&line, incoming, by, Phone::Number(number), shown, Some(record)).await;
        }
        Dialled::Emergency(digits) => {
            warn!(digits, "an extension calls the emergency services");
            record::emergency_called(&line, &extension, &digits);
            let shown = Shown::colleague(&extension, &book.settings);
            place(&line, incoming, by, Phone::Emergency(digits), shown, None).await;
        }
    }
}

/// Answers a phone that wants to be put through to a call that waits.
async fn off_hook(line: &Line, incoming: Incoming) -> Option<Leg> {
    leg::answer(line, incoming).await.inspect_err(|why| info!(?why, "a phone could not be answered")).ok()
}

/// Rings `to` for a phone of the clinic, and lets the two speak.
async fn place(line: &Arc<Line>, mut incoming: Incoming, by: Phone, to: Phone, shown: Shown, outward: Option<Outward>) {
    let on_call = line.switchboard.on_call(by.clone());
    let legs = legs_of(&by, &incoming.call_id);
    let id = outward.as_ref().map_or_else(|| CallId::new(line.clock.now().wall), |outward| outward.start.id);
    let _traced = line.traces.begin(id, legs.clone());
    let shown = Shown { legs: legs.clone(), ..shown };
    let theirs = line.switchboard.on_call(to.clone());
    let mut asked = line.handovers.open();
    let rings_for = asked.by(incoming.identity(), &by, 0);
    let ring_for = if matches!(to, Phone::Number(_) | Phone::Emergency(_)) { RING_OUTSIDE } else { RING_INSIDE };
    let (stop, rings) = (Stop::at_goodbye(line), CancellationToken::new());
    let rung = {
        let mut ringing = std::pin::pin!(dial::ring(line, &to, &shown, ring_for, &stop, &rings));
        let mut told = false;
        loop {
            tokio::select! {
                rung = &mut ringing => break rung,
                () = rings.cancelled(), if !told => {
                    told = true;
                    incoming.ringing().await;
                }
                // A transfer before anybody has picked up: the phone rings for somebody else, and for this call no more.
                request = asked.next() => {
                    stop.stop(true);
                    let _ = ringing.await;
                    let _ = request.give(Given::Rings(to.clone()));
                    incoming.reject(480, "Transferred").await;
                    if let Some(outward) = outward {
                        outward.end(line, EndedBy::Staff, "transferred", None);
                    }
                    return;
                }
                () = incoming.cancelled() => {
                    stop.stop(false);
                    let _ = ringing.await;
                    if let Some(outward) = outward {
                        outward.end(line, EndedBy::Staff, "cancelled", None);
                    }
                    return;
                }
            }
        }
    };
    let far = match rung {
        Ok(far) => far,
        Err(why) => {
            incoming.reject(dial::status(why), "").await;
            if let Some(outward) = outward {
                outward.end(line, EndedBy::Network, cause(why), None);
            }
            return;
        }
    };
    let near = match leg::answer(line, incoming).await {
        Ok(near) => near,
        Err(why) => {
            info!(?why, "a phone could not be answered");
            far.dialog.bye("").await;
            if let Some(outward) = outward {
                outward.end(line, EndedBy::Staff, "cancelled", None);
            }
            return;
        }
    };
    let outward = outward.map(|outward| outward.answered(line));
    drop(rings_for);
    let near = Connected { leg: near, phone: by, on_call };
    let far = Connected { leg: far, phone: to, on_call: theirs };
    let over = Pair::new(line, id, [near, far], asked, legs).speak().await;
    if let Some(outward) = outward {
        outward.end(line, over.by, &over.cause, over.quality);
    }
}

/// The legs of a call that a phone has begun.
fn legs_of(phone: &Phone, call_id: &str) -> Legs {
    let legs = Legs::default();
    legs.add(&phone.to_string(), CallIds::one(call_id));
    legs
}

/// Why nobody picked up, for the record.
fn cause(why: Failure) -> &'static str {
    match why {
        Failure::Busy => "busy",
        Failure::Refused => "refused",
        Failure::NoAnswer => "no answer",
        Failure::Unreachable => "not reachable",
    }
}

/// Somebody wants to speak with a patient: their phone rings first, then the patient's.
#[derive(Clone, Debug)]
pub struct CallOut {
    /// Whose phone.
    pub phone: Phone,
    /// Whom to call.
    pub to: PhoneNumber,
    /// Who asked for it.
    pub staff: StaffName,
    /// The thread that it belongs to.
    pub thread: Option<ThreadId>,
}

/// Places the call that the inbox asks for; it goes on by itself. None begins when the daemon is about to stop.
pub fn call_out(line: &Arc<Line>, wanted: CallOut) {
    if line.closing.is_cancelled() {
        return;
    }
    let span = info_span!("desk", staff = %wanted.staff);
    let clinic = line.clone();
    line.calls.spawn(
        async move {
            let line = clinic;
            let shown = Shown::patient(Caller::Number(wanted.to.clone()));
            let (stop, rings) = (Stop::at_goodbye(&line), CancellationToken::new());
            let on_call = line.switchboard.on_call(wanted.phone.clone());
            let near = match dial::ring(&line, &wanted.phone, &shown, RING_INSIDE, &stop, &rings).await {
                Ok(near) => near,
                Err(why) => return info!(?why, "nobody picked up the phone that asked for a call"),
            };
            let near = Connected { leg: near, phone: wanted.phone, on_call };
            let to = ToPatient {
                id: CallId::new(line.clock.now().wall),
                to: wanted.to,
                staff: Some(wanted.staff),
                thread: wanted.thread,
                node: None,
                waited: Duration::ZERO,
            };
            connect_patient(&line, near, to, shown.legs, |_| {}).await;
        }
        .instrument(span),
    );
}

/// A call that the clinic places to a patient, for its record.
pub(super) struct ToPatient {
    /// Its id.
    pub id: CallId,
    /// Whom.
    pub to: PhoneNumber,
    /// Who asked for it.
    pub staff: Option<StaffName>,
    /// The thread that it belongs to.
    pub thread: Option<ThreadId>,
    /// The node at which the patient asked for it.
    pub node: Option<String>,
    /// How long they have waited for it.
    pub waited: Duration,
}

/// What came of calling a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// They have picked up.
    Yes,
    /// They have not.
    No,
    /// Whoever wanted to speak with them hung up before their phone rang.
    NotRung,
}

/// Rings a patient for somebody who is on the phone already, and lets them speak. Whether the patient picked up, of which
/// `reached` hears at once; `legs` are the phones that have rung so far.
pub(super) async fn connect_patient(
    line: &Arc<Line>,
    near: Connected,
    wanted: ToPatient,
    legs: Legs,
    reached: impl FnOnce(&Line),
) -> Reached {
    let Connected { leg: mut near, phone: by, on_call } = near;
    let phone = Phone::Number(wanted.to.clone());
    let outward = Outward::begin(line, wanted, &by, near.dialog.call_id().to_owned());
    let _traced = line.traces.begin(outward.start.id, legs.clone());
    near.session.play_looped(vec![ringback()]);
    let shown = Shown { codec: near.codec(), legs: legs.clone(), ..Shown::of(&by, &line.book().settings) };
    let (stop, rings) = (Stop::at_goodbye(line), CancellationToken::new());
    let rung = {
        let mut ringing = std::pin::pin!(dial::ring(line, &phone, &shown, RING_OUTSIDE, &stop, &rings));
        loop {
            tokio::select! {
                rung = &mut ringing => break rung,
                happened = near.next() => if let Some(News::Ended { cause, .. }) = near.take(happened) {
                    stop.stop(false);
                    let _ = ringing.await;
                    outward.end(line, EndedBy::Staff, &cause, None);
                    return if rings.is_cancelled() { Reached::No } else { Reached::NotRung };
                },
            }
        }
    };
    near.session.stop_playing();
    let far = match rung {
        Ok(far) => far,
        Err(why) => {
            near.dialog.bye(cause(why)).await;
            let (by, cause) = match line.goodbye.is_cancelled() {
                true => (EndedBy::System, "shutdown"),
                false => (EndedBy::Network, cause(why)),
            };
            outward.end(line, by, cause, None);
            return Reached::No;
        }
    };
    let outward = outward.answered(line);
    reached(line);
    let near = Connected { leg: near, phone: by, on_call };
    let far = Connected { leg: far, on_call: line.switchboard.on_call(phone.clone()), phone };
    let over = Pair::new(line, outward.start.id, [near, far], line.handovers.open(), legs).speak().await;
    outward.end(line, over.by, &over.cause, over.quality);
    Reached::Yes
}

/// The record of a call that the clinic places.
struct Outward {
    start: CallStart,
    wanted: ToPatient,
    phone: Phone,
    answered_at: Option<jiff::Timestamp>,
    _present: super::registry::Presence,
}

impl Outward {
    fn begin(line: &Line, wanted: ToPatient, phone: &Phone, sip_call_id: String) -> Outward {
        let at = line.clock.now().wall;
        let book = line.book();
        let trunk = book.settings.trunks.first();
        let ours = trunk.and_then(|trunk| trunk.numbers.first()).unwrap_or(&book.settings.sms.from);
        let start = CallStart {
            id: wanted.id,
            direction: Direction::Outbound,
            trunk: trunk.map(|trunk| trunk.name.clone()).unwrap_or_default(),
            from: Caller::Number(ours.clone()),
            to: Some(wanted.to.clone()),
            diversion: vec![],
            sip_call_id,
            at,
        };
        let present = line.registry.enter(InProgress {
            id: start.id,
            trunk: start.trunk.clone(),
            from: Caller::Number(wanted.to.clone()),
            since: at,
            node: wanted.node.clone(),
            node_since: at,
            path: wanted.node.iter().cloned().collect(),
            with: Some(phone.clone()),
            place: None,
        });
        record::placed(&line.store, &start, wanted.thread);
        Outward { start, wanted, phone: phone.clone(), answered_at: None, _present: present }
    }

    fn answered(self, line: &Arc<Line>) -> Outward {
        callback::spoken_with(line, &self.wanted.to, &self.phone);
        Outward { answered_at: Some(line.clock.now().wall), ..self }
    }

    fn end(self, line: &Line, by: EndedBy, cause: &str, quality: Option<MediaQuality>) {
        let outcome = if self.answered_at.is_some() { Outcome::Served } else { Outcome::Missed };
        let end = CallEnd {
            id: self.start.id,
            answered_at: self.answered_at,
            at: line.clock.now().wall,
            path: self.wanted.node.into_iter().collect(),
            digits: String::new(),
            language: line.book().settings.clinic.language.clone(),
            outcome,
            ended_by: by,
            cause: cause.to_owned(),
            waited: self.wanted.waited,
            thread: self.wanted.thread,
            quality,
        };
        info!(?outcome, cause, "call over");
        record::called_out(line, self.wanted.to, self.wanted.staff, &self.phone, end);
    }
}
