//! A call that the clinic places: it is on the list of calls in progress from its first ringing, rings whom it is for,
//! lets the two speak, and is written down where it goes out into the world.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::dial::{self, Shown, Stop};
use super::handover::{Asked, Given};
use super::leg::{self, Leg, News};
use super::pair::Pair;
use super::record::{self, Carrier};
use super::registry::{self, InProgress, Presence, Stage, Way};
use super::switchboard::{Connected, OnCall};
use super::trace::{Legs, Traced};
use super::waiting::Failure;
use super::{Line, callback, ringback};
use crate::model::{
    CallEnd, CallId, CallStart, Callee, Caller, Codec, Direction, EndedBy, MediaQuality, Outcome, Phone, StaffName,
    ThreadId,
};
use crate::sip::{Incoming, Replaces};

/// How long a phone out in the world may ring, and one of the clinic.
const RING_OUTSIDE: Duration = Duration::from_secs(60);
pub(super) const RING_INSIDE: Duration = Duration::from_secs(45);

/// A call that is to be placed.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Its id.
    pub id: CallId,
    /// The phone of the clinic.
    pub by: Phone,
    /// Whom it calls.
    pub to: Phone,
    /// Who asked for it in the inbox.
    pub staff: Option<StaffName>,
    /// The thread that it belongs to.
    pub thread: Option<ThreadId>,
    /// The node at which the patient asked for it.
    pub node: Option<String>,
    /// How long they have waited for it.
    pub waited: Duration,
}

impl Wanted {
    /// One that nobody has asked for before.
    pub fn new(id: CallId, by: Phone, to: Phone) -> Wanted {
        Wanted { id, by, to, staff: None, thread: None, node: None, waited: Duration::ZERO }
    }

    /// As it stands in the list of calls in progress.
    pub fn in_progress(&self, stage: Stage, at: Timestamp) -> InProgress {
        let (by, to, node) = (self.by.clone(), self.to.clone(), self.node.clone());
        let placed = registry::Placed { by, to, stage, stage_since: at, node, trunk: None, by_trunk: None };
        InProgress { id: self.id, since: at, way: Way::Out(placed) }
    }

    /// Whom its record names; none: it stays in the house, and nothing is written of it.
    fn callee(&self) -> Option<Callee> {
        match &self.to {
            Phone::Number(number) => Some(Callee::Number(number.clone())),
            Phone::Emergency(digits) => Some(Callee::Emergency(digits.clone())),
            Phone::Extension(_) | Phone::Uri(_) => None,
        }
    }
}

/// Whoever is at a phone of the clinic while another rings for them.
pub(super) enum Near {
    /// They have dialled: their own phone says that it rings elsewhere.
    Dialling(Box<Incoming>),
    /// They have picked up, and hear the ringing from us.
    Listening(Box<Leg>),
}

impl Near {
    fn identity(&self) -> Replaces {
        match self {
            Near::Dialling(incoming) => incoming.identity(),
            Near::Listening(leg) => leg.dialog.identity(),
        }
    }

    fn call_id(&self) -> &str {
        match self {
            Near::Dialling(incoming) => &incoming.call_id,
            Near::Listening(leg) => leg.dialog.call_id(),
        }
    }

    fn codec(&self) -> Option<Codec> {
        match self {
            Near::Dialling(_) => None,
            Near::Listening(leg) => leg.codec(),
        }
    }

    /// Whoever is called rings.
    async fn rings(&mut self) {
        if let Near::Dialling(incoming) = self {
            incoming.ringing().await;
        }
    }

    /// Waits until they hang up; why. Cancel-safe.
    async fn gone(&mut self) -> String {
        match self {
            Near::Dialling(incoming) => {
                incoming.cancelled().await;
                "cancelled".to_owned()
            }
            Near::Listening(leg) => loop {
                let happened = leg.next().await;
                if let Some(News::Ended { cause, .. }) = leg.take(happened) {
                    return cause;
                }
            },
        }
    }

    /// Nobody has picked up.
    async fn refuse(self, why: Failure) {
        match self {
            Near::Dialling(incoming) => incoming.reject(dial::status(why), "").await,
            Near::Listening(leg) => leg.dialog.bye(cause(why)).await,
        }
    }

    /// They are needed no more.
    async fn let_go(self) {
        match self {
            Near::Dialling(incoming) => incoming.reject(480, "Transferred").await,
            Near::Listening(leg) => leg.dialog.bye("").await,
        }
    }

    /// Their leg; none: they have hung up in this moment, or cannot be spoken with.
    async fn leg(self, line: &Line) -> Option<Leg> {
        match self {
            Near::Dialling(incoming) => {
                leg::answer(line, *incoming).await.inspect_err(|why| info!(?why, "a phone could not be answered")).ok()
            }
            Near::Listening(leg) => Some(*leg),
        }
    }
}

/// What came of calling somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// They have picked up, for whoever called or for whom that one has handed the call on to.
    Yes,
    /// They have not.
    No,
    /// Whoever wanted to speak with them hung up before their phone rang.
    NotRung,
}

/// Why nobody was reached.
enum Unreached {
    /// Whoever called has hung up.
    Gone { cause: String, rang: bool },
    /// Nobody has picked up.
    Failed(Failure),
    /// Whoever called has handed it on while it rang: the phone rings for somebody else, and for this call no more. Says
    /// when it is picked up there; an error, that it will not be.
    HandedOn(oneshot::Receiver<()>),
}

/// A call that the clinic places, for as long as it goes on.
pub(super) struct Placed<'a> {
    line: &'a Arc<Line>,
    wanted: Wanted,
    /// Whom its record names, once they are called and there is one.
    callee: Option<Callee>,
    answered_at: Option<Timestamp>,
    legs: Legs,
    _present: Presence,
    _traced: Traced,
}

impl<'a> Placed<'a> {
    /// One that is on the list already; `legs` are the phones that have rung so far, or will.
    pub fn new(line: &'a Arc<Line>, wanted: Wanted, present: Presence, legs: Legs) -> Placed<'a> {
        let traced = line.traces.begin(wanted.id, legs.clone());
        Placed { line, wanted, callee: None, answered_at: None, legs, _present: present, _traced: traced }
    }

    /// One whose other side is called at once.
    pub fn enter(line: &'a Arc<Line>, wanted: Wanted, legs: Legs) -> Placed<'a> {
        let present = line.registry.enter(wanted.in_progress(Stage::Rings, line.clock.now().wall));
        Placed::new(line, wanted, present, legs)
    }

    /// Rings whom it is for, and lets them speak with whoever is `near`, at a phone that is `on_call`. What came of it;
    /// `reached` hears at once that they have picked up. `shown`: what their phone shows.
    pub async fn connect(
        mut self,
        mut near: Near,
        on_call: OnCall,
        shown: Shown,
        reached: impl FnOnce(&Line),
    ) -> Reached {
        self.begin(near.call_id());
        if let Near::Listening(leg) = &near {
            leg.session.play_looped(vec![ringback()]);
        }
        let line = self.line;
        let theirs = line.switchboard.on_call(self.wanted.to.clone());
        let mut asked = line.handovers.open();
        let rings_for = asked.by(near.identity(), &self.wanted.by, 0);
        let shown = Shown { codec: near.codec(), legs: self.legs.clone(), ..shown };
        let far = match self.ring(&mut near, &mut asked, &shown).await {
            Ok(far) => far,
            Err(Unreached::Gone { cause, rang }) => {
                self.end(EndedBy::Staff, &cause, None);
                return if rang { Reached::No } else { Reached::NotRung };
            }
            Err(Unreached::HandedOn(picked_up)) => {
                near.let_go().await;
                drop((on_call, rings_for));
                let is_reached = picked_up.await.is_ok();
                if is_reached {
                    self.answered();
                    reached(line);
                }
                self.end(EndedBy::Staff, "transferred", None);
                return if is_reached { Reached::Yes } else { Reached::No };
            }
            Err(Unreached::Failed(why)) => {
                near.refuse(why).await;
                let (by, cause) = match line.goodbye.is_cancelled() {
                    true => (EndedBy::System, "shutdown"),
                    false => (EndedBy::Network, cause(why)),
                };
                self.end(by, cause, None);
                return Reached::No;
            }
        };
        let Some(near) = near.leg(line).await else {
            far.dialog.bye("").await;
            self.end(EndedBy::Staff, "cancelled", None);
            return Reached::No;
        };
        drop(rings_for);
        self.answered();
        reached(line);
        let near = Connected { leg: near, phone: self.wanted.by.clone(), on_call };
        let far = Connected { leg: far, phone: self.wanted.to.clone(), on_call: theirs };
        let over = Pair::new(line, self.wanted.id, [near, far], asked, self.legs.clone()).speak().await;
        self.end(over.by, &over.cause, over.quality);
        Reached::Yes
    }

    /// Rings whom it is for until they pick up, or whoever is `near` hangs up.
    async fn ring(&self, near: &mut Near, asked: &mut Asked, shown: &Shown) -> Result<Leg, Unreached> {
        let to = &self.wanted.to;
        let ring_for = if matches!(to, Phone::Number(_) | Phone::Emergency(_)) { RING_OUTSIDE } else { RING_INSIDE };
        let (stop, rings) = (Stop::at_goodbye(self.line), CancellationToken::new());
        let mut ringing = std::pin::pin!(dial::ring(self.line, to, shown, ring_for, &stop, &rings));
        let mut told = false;
        loop {
            tokio::select! {
                rung = &mut ringing => return rung.map_err(Unreached::Failed),
                () = rings.cancelled(), if !told => {
                    told = true;
                    near.rings().await;
                }
                request = asked.next() => {
                    stop.stop(true);
                    let _ = ringing.await;
                    let (tell, picked_up) = oneshot::channel();
                    let _ = request.give(Given::Rings(to.clone(), tell));
                    return Err(Unreached::HandedOn(picked_up));
                }
                cause = near.gone() => {
                    stop.stop(false);
                    let _ = ringing.await;
                    return Err(Unreached::Gone { cause, rang: rings.is_cancelled() });
                }
            }
        }
    }

    /// Whom it is for is called now. `sip_call_id`: of the leg to the clinic's own phone.
    fn begin(&mut self, sip_call_id: &str) {
        let (line, at) = (self.line, self.line.clock.now().wall);
        line.registry.comes_to(self.wanted.id, Stage::Rings, None, at);
        let Some(callee) = self.wanted.callee() else { return };
        let book = line.book();
        // What is tried first; where another carries the call in the end, that is noted then.
        let first = line.trunks_in_order(&book.settings).first().map(|trunk| trunk.name.as_str());
        let Carrier { trunk, from } = Carrier::of(&book.settings, first);
        let start = CallStart {
            id: self.wanted.id,
            direction: Direction::Outbound,
            trunk,
            from: Caller::Number(from),
            to: Some(callee.clone()),
            diversion: vec![],
            sip_call_id: sip_call_id.to_owned(),
            at,
        };
        record::placed(&line.store, &start, self.wanted.thread);
        self.callee = Some(callee);
    }

    fn answered(&mut self) {
        let (line, at) = (self.line, self.line.clock.now().wall);
        self.answered_at = Some(at);
        line.registry.comes_to(self.wanted.id, Stage::Speaks, self.trunk(), at);
        if self.callee.is_some() {
            record::carried(&line.store, self.wanted.id, &self.carrier());
        }
        if let Some(Callee::Number(number)) = &self.callee {
            callback::spoken_with(line, number, &self.wanted.by);
        }
    }

    /// The trunk that was tried last.
    fn trunk(&self) -> Option<String> {
        self.legs.trunk_to(&self.wanted.to.to_string())
    }

    fn carrier(&self) -> Carrier {
        Carrier::of(&self.line.book().settings, self.trunk().as_deref())
    }

    fn end(self, by: EndedBy, cause: &str, quality: Option<MediaQuality>) {
        let carrier = self.carrier();
        let Some(callee) = self.callee else { return };
        let outcome = if self.answered_at.is_some() { Outcome::Served } else { Outcome::Missed };
        let end = CallEnd {
            id: self.wanted.id,
            answered_at: self.answered_at,
            at: self.line.clock.now().wall,
            path: self.wanted.node.into_iter().collect(),
            digits: String::new(),
            language: self.line.book().settings.clinic.language.clone(),
            outcome,
            ended_by: by,
            cause: cause.to_owned(),
            waited: self.wanted.waited,
            thread: self.wanted.thread,
            quality,
        };
        info!(?outcome, cause, "call over");
        record::called_out(self.line, callee, carrier, self.wanted.staff, &self.wanted.by, end);
    }
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
