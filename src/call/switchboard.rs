//! Who waits and which phones ring: one task that does what [`Waiting`](super::waiting) decides, for all calls.
//!
//! A call asks by [`Switchboard`] and hears of what became of it by its `Ticket`; without that it is not waited for. A leg
//! that was picked up is handed over whole; its phone counts as on a call for as long as its `OnCall` lives.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Line;
use super::dial::{self, Shown, Stop};
use super::leg::Leg;
use super::waiting::{Do, Failure, Happened, NoAnswering, RingId, Snapshot, Waiting, Who};
use crate::ivr::{JoinRequest, Place, RingRequest};
use crate::model::{CallId, Phone, Unanswered};

/// What a call is told of its place, or of its ringing.
#[derive(Debug)]
pub(super) enum Told {
    /// Its place in the line.
    Place(Place),
    /// A person has picked up.
    Connected(Box<Connected>),
    /// Nobody will.
    Unanswered(Unanswered),
    /// Somebody of the clinic wants them to hear the offer of a text.
    OfferText,
}

/// A person who has picked up.
#[derive(Debug)]
pub(super) struct Connected {
    pub leg: Leg,
    pub phone: Phone,
    pub on_call: OnCall,
}

/// A phone is on a call for as long as this lives. Of numbers that were not rung for a group nobody keeps account: they
/// are anybody's, also patients'.
#[derive(Debug)]
pub(super) struct OnCall(Option<(Phone, mpsc::UnboundedSender<Ask>)>);

impl Drop for OnCall {
    fn drop(&mut self) {
        if let Some((phone, asks)) = self.0.take() {
            let _ = asks.send(Ask::Free(phone));
        }
    }
}

/// What one call has asked for: the answers come by it, and by no other. Dropping it gives up the ringing, or the place;
/// whoever has picked up in this moment is hung up on.
#[derive(Debug)]
pub(super) struct Ticket {
    call: CallId,
    told: mpsc::UnboundedReceiver<Told>,
    asks: mpsc::UnboundedSender<Ask>,
}

impl Ticket {
    /// What the switchboard says next; after [`Told::Connected`] and [`Told::Unanswered`] nothing more. Cancel-safe.
    pub async fn told(&mut self) -> Told {
        match self.told.recv().await {
            Some(told) => told,
            // The switchboard has ended, and the daemon with it: nobody is told so as if phones had rung in vain.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Before the word, which may come after the call's next request: that one still listens.
        self.told.close();
        let _ = self.asks.send(Ask::Leave(self.call));
    }
}

enum Ask {
    Ring {
        call: CallId,
        request: RingRequest,
        shown: Shown,
        told: mpsc::UnboundedSender<Told>,
    },
    Join {
        call: CallId,
        request: JoinRequest,
        who: Who,
        shown: Shown,
        told: mpsc::UnboundedSender<Told>,
    },
    /// Whoever no longer listens is gone.
    Leave(CallId),
    Answer {
        call: CallId,
        phone: Phone,
        done: oneshot::Sender<Result<(), NoAnswering>>,
    },
    OfferText {
        call: CallId,
        done: oneshot::Sender<bool>,
    },
    PickUp {
        leg: Box<Leg>,
        phone: Phone,
    },
    Take(Phone),
    Claim {
        phone: Phone,
        done: oneshot::Sender<Result<OnCall, NoAnswering>>,
    },
    Free(Phone),
    Snapshot(oneshot::Sender<Snapshot>),
}

/// Asks the switchboard. Cloning it gives another handle. A call makes a few requests each, and the calls are bounded.
#[derive(Clone, Debug)]
pub struct Switchboard(mpsc::UnboundedSender<Ask>);

/// What the task reads.
pub(super) struct Inbox(mpsc::UnboundedReceiver<Ask>);

impl Switchboard {
    /// A switchboard that [`run`] will serve.
    pub(super) fn new() -> (Switchboard, Inbox) {
        let (asks, inbox) = mpsc::unbounded_channel();
        (Switchboard(asks), Inbox(inbox))
    }

    /// Rings phones for a caller.
    pub(super) fn ring(&self, call: CallId, request: RingRequest, shown: Shown) -> Ticket {
        self.ticket(call, |told| Ask::Ring { call, request, shown, told })
    }

    /// Takes a place in a line for a caller.
    pub(super) fn join(&self, call: CallId, request: JoinRequest, shown: Shown) -> Ticket {
        self.ticket(call, |told| Ask::Join { call, request, who: Who::Caller, shown, told })
    }

    /// Takes up a place that was kept for a call back.
    pub(super) fn keep_place(&self, call: CallId, request: JoinRequest, shown: Shown) -> Ticket {
        self.ticket(call, |told| Ask::Join { call, request, who: Who::Callback, shown, told })
    }

    /// Notes that a phone is on a call that was not rung from here.
    pub(super) fn on_call(&self, phone: Phone) -> OnCall {
        if matches!(phone, Phone::Number(_) | Phone::Emergency(_)) {
            return OnCall(None);
        }
        self.ask(Ask::Take(phone.clone()));
        OnCall(Some((phone, self.0.clone())))
    }

    /// Notes that a phone is on a call that is to ring it now, if nothing else has it. Of two who ask in the same instant
    /// one gets it.
    ///
    /// # Errors
    /// It rings or is on a call, or cannot ring.
    pub(super) async fn claim(&self, phone: Phone) -> Result<OnCall, NoAnswering> {
        let (done, claimed) = oneshot::channel();
        self.ask(Ask::Claim { phone, done });
        claimed.await.unwrap_or(Err(NoAnswering::Unreachable))
    }

    /// Rings `phone` for a caller who waits, out of turn: somebody has chosen them.
    ///
    /// # Errors
    /// The caller is gone, or the phone cannot ring.
    pub async fn answer(&self, call: CallId, phone: Phone) -> Result<(), NoAnswering> {
        let (done, answered) = oneshot::channel();
        self.ask(Ask::Answer { call, phone, done });
        answered.await.unwrap_or(Err(NoAnswering::Gone))
    }

    /// Has a caller who waits hear the offer of a text. False: they wait no longer.
    pub async fn offer_text(&self, call: CallId) -> bool {
        let (done, told) = oneshot::channel();
        self.ask(Ask::OfferText { call, done });
        told.await.unwrap_or(false)
    }

    /// Connects whoever asks to the caller for whom the phones of their group ring. Where none does, they are hung up on.
    pub(super) fn pick_up(&self, leg: Leg, phone: Phone) {
        self.ask(Ask::PickUp { leg: Box::new(leg), phone });
    }

    /// Who waits, and what the phones do.
    pub async fn snapshot(&self) -> Snapshot {
        let (done, snapshot) = oneshot::channel();
        self.ask(Ask::Snapshot(done));
        snapshot.await.unwrap_or_default()
    }

    fn ticket(&self, call: CallId, ask: impl FnOnce(mpsc::UnboundedSender<Told>) -> Ask) -> Ticket {
        let (tell, told) = mpsc::unbounded_channel();
        self.ask(ask(tell));
        Ticket { call, told, asks: self.0.clone() }
    }

    fn ask(&self, ask: Ask) {
        // After the task's end there is nobody to connect and nothing to leave.
        let _ = self.0.send(ask);
    }
}

/// A call that waits.
struct Waiter {
    shown: Shown,
    told: mpsc::UnboundedSender<Told>,
}

/// The calls that wait, each by its newest request.
#[derive(Default)]
struct Waiters(HashMap<CallId, Waiter>);

impl Waiters {
    /// Takes out a call that no longer listens; false: it does, having asked for something else, or is none of these.
    fn leave(&mut self, call: CallId) -> bool {
        let gone = self.0.get(&call).is_some_and(|waiter| waiter.told.is_closed());
        gone && self.0.remove(&call).is_some()
    }
}

/// What came of a ring.
type Rung = (RingId, Result<Leg, Failure>);

struct Desk {
    line: Arc<Line>,
    waiting: Waiting,
    waiters: Waiters,
    rings: HashMap<RingId, Stop>,
    /// Picked up, and waiting for the decision whom they are connected to.
    up: HashMap<RingId, Leg>,
    dials: JoinSet<Rung>,
    /// Which ring each task is, for the one that falls over.
    tasks: HashMap<task::Id, RingId>,
    /// Off the hook, for whoever rings elsewhere.
    picking_up: Option<Leg>,
}

/// Serves until `stop`.
pub(super) async fn run(line: Arc<Line>, inbox: Inbox, stop: CancellationToken) {
    let Inbox(mut asks) = inbox;
    let mut phones = line.phones.watch();
    let mut desk = Desk {
        waiting: Waiting::default(),
        waiters: Waiters::default(),
        rings: HashMap::new(),
        up: HashMap::new(),
        dials: JoinSet::new(),
        tasks: HashMap::new(),
        picking_up: None,
        line,
    };
    desk.tell(Happened::Reachable(desk.registered()));
    loop {
        let deadline = desk.waiting.next_deadline();
        tokio::select! {
            ask = asks.recv() => match ask {
                Some(ask) => desk.asked(ask),
                None => return,
            },
            Some(rung) = desk.dials.join_next_with_id() => desk.rung(rung),
            Ok(()) = phones.changed() => desk.tell(Happened::Reachable(desk.registered())),
            () = super::until(&desk.line, deadline) => desk.tell(Happened::Deadline),
            () = stop.cancelled() => return,
        }
    }
}

impl Desk {
    fn registered(&self) -> BTreeSet<Phone> {
        self.line.phones.list().into_iter().map(|phone| Phone::Extension(phone.extension)).collect()
    }

    fn asked(&mut self, ask: Ask) {
        match ask {
            Ask::Ring { call, request, shown, told } => {
                self.waiters.0.insert(call, Waiter { shown, told });
                let RingRequest { members, strategy, give_up_after, .. } = request;
                self.tell(Happened::Ring { call, members, strategy, give_up_after });
            }
            Ask::Join { call, request, who, shown, told } => {
                self.waiters.0.insert(call, Waiter { shown, told });
                let JoinRequest { line, priority, since, members, strategy, most_waiting, .. } = request;
                self.tell(Happened::Join {
                    call,
                    line,
                    priority,
                    members,
                    strategy,
                    most_waiting,
                    since: Some(since),
                    who,
                });
            }
            Ask::Leave(call) => {
                if self.waiters.leave(call) {
                    self.tell(Happened::Leave { call });
                }
            }
            Ask::Answer { call, phone, done } => {
                let acts = self.waiting.handle(self.now(), Happened::Answer { call, phone });
                let refused = acts.iter().find_map(|act| match act {
                    Do::Refused { why, .. } => Some(*why),
                    _ => None,
                });
                let _ = done.send(refused.map_or(Ok(()), Err));
                self.act_all(acts);
            }
            Ask::OfferText { call, done } => {
                let told = self.waiters.0.get(&call).is_some_and(|waiter| waiter.told.send(Told::OfferText).is_ok());
                let _ = done.send(told);
            }
            Ask::PickUp { leg, phone } => {
                self.picking_up = Some(*leg);
                self.tell(Happened::PickUp { phone });
                // Nothing rang: dropping the leg hangs up.
                self.picking_up = None;
            }
            Ask::Take(phone) => self.tell(Happened::Taken { phone }),
            Ask::Claim { phone, done } => {
                let claimed = self.waiting.can_take(&phone, self.now()).map(|()| {
                    self.tell(Happened::Taken { phone: phone.clone() });
                    OnCall(Some((phone, self.asks())))
                });
                // Whoever asked and is gone gives it back.
                let _ = done.send(claimed);
            }
            Ask::Free(phone) => self.tell(Happened::HungUp { phone }),
            Ask::Snapshot(done) => drop(done.send(self.waiting.snapshot())),
        }
    }

    /// A phone was picked up, or not.
    fn rung(&mut self, rung: Result<(task::Id, Rung), JoinError>) {
        match rung {
            Ok((id, (ring, result))) => {
                self.tasks.remove(&id);
                match result {
                    Ok(leg) => {
                        self.up.insert(ring, leg);
                        self.tell(Happened::PickedUp { ring });
                    }
                    Err(why) => {
                        self.rings.remove(&ring);
                        self.tell(Happened::RingFailed { ring, why });
                    }
                }
            }
            Err(error) => {
                warn!(panicked = error.is_panic(), "a ringing ended by a fault of ours");
                if let Some(ring) = self.tasks.remove(&error.id()) {
                    self.rings.remove(&ring);
                    self.tell(Happened::RingFailed { ring, why: Failure::Unreachable });
                }
            }
        }
    }

    /// Hands in what happened and does what follows.
    fn tell(&mut self, happened: Happened) {
        let acts = self.waiting.handle(self.now(), happened);
        self.act_all(acts);
    }

    fn act_all(&mut self, acts: Vec<Do>) {
        let changed = !acts.is_empty();
        for act in acts {
            self.act(act);
        }
        if changed {
            self.line.registry.touch();
        }
    }

    fn now(&self) -> Duration {
        self.line.clock.now().mono
    }

    fn act(&mut self, act: Do) {
        match act {
            Do::Ring { ring, phone, call, ring_for } => self.ring(ring, phone, call, ring_for),
            Do::Cancel { ring, elsewhere } => {
                if let Some(ringing) = self.rings.remove(&ring) {
                    ringing.stop(elsewhere);
                }
            }
            // Dropping the leg hangs up.
            Do::HangUp { ring } => {
                self.rings.remove(&ring);
                self.up.remove(&ring);
            }
            Do::Connect { call, ring, phone } => {
                self.rings.remove(&ring);
                if let Some(leg) = self.up.remove(&ring) {
                    self.connect(call, leg, phone);
                }
            }
            Do::HandOver { call, phone } => {
                if let Some(leg) = self.picking_up.take() {
                    self.connect(call, leg, phone);
                }
            }
            // Whoever asked is answered where they ask.
            Do::Refused { .. } | Do::NothingRings { .. } => {}
            Do::Place { call, place } => {
                if let Some(waiter) = self.waiters.0.get(&call) {
                    let _ = waiter.told.send(Told::Place(place));
                }
            }
            Do::Unanswered { call, why } => {
                if let Some(waiter) = self.waiters.0.remove(&call) {
                    let _ = waiter.told.send(Told::Unanswered(why));
                }
            }
        }
    }

    /// The machine counts the phone as on a call from now on, until [`OnCall`] says that it is not.
    fn connect(&mut self, call: CallId, leg: Leg, phone: Phone) {
        let on_call = OnCall(Some((phone.clone(), self.asks())));
        let Some(waiter) = self.waiters.0.remove(&call) else { return };
        // A caller who has left in this moment: the leg is dropped, and so hung up.
        let _ = waiter.told.send(Told::Connected(Box::new(Connected { leg, phone, on_call })));
    }

    fn ring(&mut self, ring: RingId, phone: Phone, call: CallId, ring_for: Duration) {
        let Some(waiter) = self.waiters.0.get(&call) else { return };
        let (line, shown, stop) = (self.line.clone(), waiter.shown.clone(), Stop::default());
        info!(%call, "a phone rings");
        self.rings.insert(ring, stop.clone());
        let task = self.dials.spawn(async move {
            let rings = CancellationToken::new();
            (ring, dial::ring(&line, &phone, &shown, ring_for, &stop, &rings).await)
        });
        self.tasks.insert(task.id(), ring);
    }

    fn asks(&self) -> mpsc::UnboundedSender<Ask> {
        self.line.switchboard.0.clone()
    }
}
