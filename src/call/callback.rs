//! Calls back: booked in a call, and kept. At its turn staff ring first, then the patient, twice at most.
//!
//! One task looks for those that are due and starts one task each. A call back that keeps a place in a line holds it in
//! the [`switchboard`](super::switchboard) as a caller would.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};

use super::dial::Shown;
use super::switchboard::{Connected, Told};
use super::trace::Legs;
use super::{Line, desk, record};
use crate::ivr::{CallbackRequest, CallbackWhen, JoinRequest, NoCallback, RingRequest};
use crate::model::{CallId, CallStart, CallbackId, Caller, Member, Strategy, ThreadId};
use crate::sms::compose::spoken::{self, AskedCallback};
use crate::store::callbacks::{self, Callback, CallbackState, NotBooked};
use crate::tree::{Due, Kind};

/// So many call backs may wait.
const MOST: usize = 200;
/// So many are begun at once.
const AT_ONCE: usize = 50;
/// The store is looked at so often at least.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two attempts to reach a patient, or the staff who is to call them.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// How long the staff's phones ring for one that is due at a time.
const STAFF_RINGS: Duration = Duration::from_secs(120);

/// The call backs under way. Cloning it gives another handle.
#[derive(Clone, Debug, Default)]
pub struct Callbacks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Each with what ends it.
    under_way: Mutex<HashMap<CallbackId, CancellationToken>>,
    /// One was booked, or is due sooner.
    booked: Notify,
}

/// One is under way for as long as this lives.
struct UnderWay(Callbacks, CallbackId, CancellationToken);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Callbacks {
    fn begin(&self, id: CallbackId) -> Option<UnderWay> {
        match self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner).entry(id) {
            Entry::Occupied(_) => None,
            Entry::Vacant(place) => {
                let off = place.insert(CancellationToken::new()).clone();
                Some(UnderWay(self.clone(), id, off))
            }
        }
    }

    /// Looks at once for those that are due.
    pub(super) fn look(&self) {
        self.0.booked.notify_one();
    }

    /// Ends what is under way for one that was called off.
    pub(super) fn let_go(&self, id: CallbackId) {
        if let Some(off) = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            off.cancel();
        }
    }
}

/// Books a call back; answers its thread.
///
/// # Errors
/// Why there will be none.
pub(super) fn book(
    line: &Line,
    start: &CallStart,
    request: CallbackRequest,
) -> impl Future<Output = Result<ThreadId, NoCallback>> + Send + use<> {
    let now = line.clock.now();
    let (place, due_at) = match request.when {
        CallbackWhen::Turn { line, priority, since } => {
            let waited = SignedDuration::try_from(now.mono.saturating_sub(since)).unwrap_or_default();
            let since = now.wall.checked_sub(waited).unwrap_or(now.wall);
            (Some((line, priority, since)), now.wall)
        }
        CallbackWhen::At(at) => (None, at),
    };
    let asked = AskedCallback {
        id: CallbackId::new(now.wall),
        call: start.id,
        node: request.node,
        to: request.to,
        place,
        due_at,
        most: MOST,
        reason: request.reason,
        language: request.language,
        now: now.wall,
    };
    let (store, callbacks) = (line.store.clone(), line.callbacks.clone());
    async move {
        match store.write(move |tx| spoken::book_callback(tx, &asked)).await {
            Ok(Ok(thread)) => {
                callbacks.look();
                Ok(thread)
            }
            Ok(Err(NotBooked::Already)) => Err(NoCallback::Already),
            Ok(Err(NotBooked::Full)) => Err(NoCallback::Full),
            Err(error) => {
                error!(%error, "a call back could not be booked");
                Err(NoCallback::Failed)
            }
        }
    }
}

/// Begins what is due, until `stop`.
pub async fn run(line: Arc<Line>, stop: CancellationToken) {
    let now = line.clock.now().wall;
    if let Err(error) = line.store.write(move |tx| callbacks::resume(tx, now)).await {
        warn!(%error, "the call backs of the last run could not be taken up");
    }
    loop {
        let now = line.clock.now().wall;
        let due =
            line.store.read(move |conn| Ok((callbacks::due(conn, now, AT_ONCE)?, callbacks::next_due(conn, now)?)));
        let wait = match due.await {
            Ok((due, next)) => {
                for callback in due {
                    let Some(under_way) = line.callbacks.begin(callback.id) else { continue };
                    let span = info_span!("callback", id = %callback.id);
                    let (line, stop) = (line.clone(), stop.clone());
                    tokio::spawn(
                        async move {
                            tokio::select! {
                                () = take(&line, callback) => {}
                                () = under_way.2.cancelled() => info!("a call back was called off"),
                                // The next start takes it up.
                                () = stop.cancelled() => {}
                            }
                            drop(under_way);
                        }
                        .instrument(span),
                    );
                }
                next.and_then(|at| Duration::try_from(at.duration_since(now)).ok()).unwrap_or(LOOK_EVERY)
            }
            Err(error) => {
                warn!(%error, "the call backs that are due could not be read; it is tried again");
                LOOK_EVERY
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = line.callbacks.0.booked.notified() => {}
            () = tokio::time::sleep(wait.clamp(Duration::from_millis(200), LOOK_EVERY)) => {}
        }
    }
}

/// Who calls, as the tree in force says.
fn group(line: &Line, callback: &Callback) -> Option<(Vec<Member>, Strategy)> {
    let book = line.book();
    let node = book.tree.nodes().map(|(_, node)| node).find(|node| node.name == callback.node)?;
    let Kind::Callback(node) = &node.kind else { return None };
    let of_queue = match node.due {
        Due::Turn(queue) => match &book.tree.node(queue).kind {
            Kind::Queue(queue) => Some(&queue.group),
            _ => None,
        },
        Due::Opening(_) => None,
    };
    let group = node.group.as_ref().or(of_queue)?;
    Some((group.members.clone(), group.strategy))
}

/// Sees one call back to its end, or to its next attempt.
async fn take(line: &Arc<Line>, callback: Callback) {
    let Some((members, strategy)) = group(line, &callback) else {
        warn!(node = callback.node, "no call back can be made: the node is gone from the phone tree");
        let now = line.clock.now().wall;
        return written(line.store.write(move |tx| callbacks::fail(tx, callback.id, "no_node", now).map(drop)).await);
    };
    // It waits under its own id, as the call that the patient will be called by does not exist yet.
    let id = CallId::from(callback.id);
    let shown = Shown { reason: callback.reason.clone(), ..Shown::patient(Caller::Number(callback.number.clone())) };
    let legs = shown.legs.clone();
    let mut ticket = match &callback.line {
        Some(name) => {
            let now = line.clock.now();
            let waited = Duration::try_from(now.wall.duration_since(callback.since)).unwrap_or_default();
            let request = JoinRequest {
                node: callback.node.clone(),
                line: name.clone(),
                priority: callback.priority,
                since: now.mono.saturating_sub(waited),
                members,
                strategy,
                most_waiting: usize::MAX,
                reason: callback.reason.clone(),
                record: false,
            };
            line.switchboard.keep_place(id, request, shown)
        }
        None => {
            let request = RingRequest {
                node: callback.node.clone(),
                members,
                strategy,
                give_up_after: STAFF_RINGS,
                reason: callback.reason.clone(),
                record: false,
            };
            line.switchboard.ring(id, request, shown)
        }
    };
    loop {
        match ticket.told().await {
            Told::Connected(staff) => return speak(line, &callback, *staff, legs).await,
            // Nobody of the clinic is there: the patient is not called, and it is no attempt of theirs.
            Told::Unanswered(why) => {
                info!(?why, "nobody of the clinic took a call back; it is tried again");
                return postpone(line, callback.id).await;
            }
            Told::Place(_) | Told::OfferText => {}
        }
    }
}

/// Calls the patient for whoever has picked up.
async fn speak(line: &Arc<Line>, callback: &Callback, staff: Connected, legs: Legs) {
    let (id, actor) = (callback.id, staff.phone.to_string());
    let attempted = move |line: &Line, call: CallId| {
        let now = line.clock.now().wall;
        line.store.try_write_detached("callback attempt", move |tx| callbacks::attempt(tx, id, call, now).map(drop));
    };
    let reached =
        desk::connect_patient(line, staff, &callback.number, None, Some(callback.thread), legs, attempted).await;
    let now = line.clock.now().wall;
    if reached {
        info!("the patient was called back");
        return written(line.store.write(move |tx| callbacks::done(tx, id, &actor, now).map(drop)).await);
    }
    let again = now.checked_add(AGAIN_AFTER).unwrap_or(now);
    match line.store.write(move |tx| callbacks::not_reached(tx, id, "not_reached", again, now)).await {
        Ok(Some(CallbackState::Failed)) => {
            info!("the patient could not be reached");
            record::callback_failed(line, callback);
        }
        Ok(_) => info!("the patient could not be reached; they are called once more"),
        Err(error) => written(Err(error)),
    }
}

/// Tries it again in a while.
async fn postpone(line: &Line, id: CallbackId) {
    let again: Timestamp = line.clock.now().wall.checked_add(AGAIN_AFTER).unwrap_or(line.clock.now().wall);
    written(line.store.write(move |tx| callbacks::postpone(tx, id, again).map(drop)).await);
}

fn written(result: Result<(), crate::store::StoreError>) {
    if let Err(error) = result {
        error!(%error, "what became of a call back could not be written");
    }
}
