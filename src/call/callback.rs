//! Calls back: booked in a call, and kept. At its turn staff ring first, each once, and again after ten minutes if nobody
//! picks up; then the patient, twice at most.
//!
//! One task looks for those that are due and starts one task each. A call back that keeps a place in a line holds it in
//! the [`switchboard`](super::switchboard) as a caller would. `book` books them, `hours` says when each may be made,
//! `engaged` that none is while the patient is on the phone with the clinic.

mod book;
mod engaged;
mod hours;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};

use super::call_out;
use super::dial::Shown;
use super::placed::{Reached, Wanted};
use super::registry::Stage;
use super::switchboard::{Connected, Told};
use super::trace::Legs;
use super::{Line, record};
use crate::ivr::{JoinRequest, RingRequest};
use crate::model::{CallId, CallbackId, Caller, Member, Phone, PhoneNumber, Strategy};
use crate::store::callbacks::{self, Again, Callback, CallbackState};
use crate::tree::{Due, Kind, Tree};

pub(super) use book::book;

/// So many are begun at once.
const AT_ONCE: usize = 50;
/// The store is looked at so often at least.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two attempts to reach a patient, or the staff who is to call them.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// Why it has failed for which nobody of the clinic was there in its time.
const NOBODY: &str = "nobody_there";
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

/// Begins what is due, until `stop`.
pub async fn run(line: Arc<Line>, stop: CancellationToken) {
    resume(&line).await;
    loop {
        let now = line.clock.now().wall;
        let due =
            line.store.read(move |conn| Ok((callbacks::due(conn, now, AT_ONCE)?, callbacks::next_due(conn, now)?)));
        let wait = match due.await {
            Ok((due, next)) => {
                for callback in due {
                    let Some(under_way) = line.callbacks.begin(callback.id) else { continue };
                    let span = info_span!("callback", id = %callback.id);
                    let clinic = line.clone();
                    line.calls.spawn(
                        async move {
                            take(&clinic, callback, &under_way.2).await;
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
            () = line.closing.cancelled() => return,
            () = line.callbacks.0.booked.notified() => {}
            () = tokio::time::sleep(wait.clamp(Duration::from_millis(200), LOOK_EVERY)) => {}
        }
    }
}

/// Who calls, as the tree in force says.
fn group(tree: &Tree, callback: &Callback) -> Option<(Vec<Member>, Strategy)> {
    let Kind::Callback(node) = &tree.named(&callback.node)?.kind else { return None };
    let of_queue = match node.due {
        Due::Turn(queue) => match &tree.node(queue).kind {
            Kind::Queue(queue) => Some(&queue.group),
            _ => None,
        },
        Due::Opening(_) => None,
    };
    let group = node.group.as_ref().or(of_queue)?;
    Some((group.members.clone(), group.strategy))
}

/// Sees one call back to its end, or to its next attempt; `off` ends it as long as the patient does not ring.
async fn take(line: &Arc<Line>, callback: Callback, off: &CancellationToken) {
    while let Next::WhenFree = begin(line, &callback, off).await {
        info!("the patient is on the phone with the clinic: a call back waits until they have hung up");
    }
}

/// What becomes of a call back that was begun.
enum Next {
    /// It is over, or is written down for another time.
    Over,
    /// The patient is on another call: it begins anew once that is over.
    WhenFree,
}

/// Sees to one call back as soon as the patient is on no other call.
async fn begin(line: &Arc<Line>, callback: &Callback, off: &CancellationToken) -> Next {
    tokio::select! {
        () = engaged::until(line, callback, false) => {}
        () = off.cancelled() => return Next::Over,
        () = line.closing.cancelled() => return Next::Over,
    }
    let book = line.book();
    let Some(group) = group(&book.tree, callback) else {
        warn!(node = callback.node, "no call back can be made: the node is gone from the phone tree");
        fail(line, callback, "no_node").await;
        return Next::Over;
    };
    let until = match hours::due(&book.tree, callback, line.clock.now().wall) {
        hours::Due::Now { until } => until,
        hours::Due::Later(again) => {
            postpone(line, callback.id, again).await;
            return Next::Over;
        }
        hours::Due::Never => {
            fail(line, callback, NOBODY).await;
            return Next::Over;
        }
    };
    let shown = Shown { reason: callback.reason.clone(), ..Shown::patient(Caller::Number(callback.number.clone())) };
    let legs = shown.legs.clone();
    match seek(line, callback, group, shown, until, off).await {
        Sought::Connected(staff) => speak(line, callback, *staff, legs).await,
        Sought::Engaged => Next::WhenFree,
        Sought::Stopped => Next::Over,
        Sought::Nobody(again) => {
            // The patient is not called, and it is no attempt of theirs.
            match hours::next(&line.book().tree, callback, again) {
                Some(again) => postpone(line, callback.id, again).await,
                None => fail(line, callback, NOBODY).await,
            }
            Next::Over
        }
    }
}

/// What came of looking for somebody of the clinic who calls.
enum Sought {
    /// They have picked up.
    Connected(Box<Connected>),
    /// Nobody is there: it is tried again, not before then.
    Nobody(Timestamp),
    /// The patient is on another call.
    Engaged,
    /// It was called off, or the daemon stops: the next start takes it up.
    Stopped,
}

/// Rings the phones of the clinic, or waits for the turn.
async fn seek(
    line: &Arc<Line>,
    callback: &Callback,
    (members, strategy): (Vec<Member>, Strategy),
    shown: Shown,
    until: Timestamp,
    off: &CancellationToken,
) -> Sought {
    // It waits under its own id, as the call that the patient will be called by does not exist yet.
    let id = CallId::from(callback.id);
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
    let mut over = pin!(until_wall(line, until));
    let mut engaged = pin!(engaged::until(line, callback, true));
    loop {
        tokio::select! {
            told = ticket.told() => match told {
                Told::Connected(staff) => return Sought::Connected(staff),
                Told::Unanswered(why) => {
                    info!(?why, "nobody of the clinic took a call back; it is tried again");
                    let now = line.clock.now().wall;
                    return Sought::Nobody(now.checked_add(AGAIN_AFTER).unwrap_or(now));
                }
                Told::Place(_) | Told::OfferText => {}
            },
            () = &mut engaged => return Sought::Engaged,
            () = &mut over => {
                info!("nobody of the clinic took a call back in its hours");
                return Sought::Nobody(until);
            }
            () = off.cancelled() => {
                info!("a call back was called off");
                return Sought::Stopped;
            }
            () = line.closing.cancelled() => return Sought::Stopped,
        }
    }
}

/// Waits until the clock on the wall shows `at`, which may be set meanwhile.
async fn until_wall(line: &Line, at: Timestamp) {
    while let Ok(left) = Duration::try_from(at.duration_since(line.clock.now().wall))
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    }
}

/// Calls the patient for whoever has picked up.
async fn speak(line: &Arc<Line>, callback: &Callback, staff: Connected, legs: Legs) -> Next {
    let (id, actor, now) = (callback.id, staff.phone.to_string(), line.clock.now().wall);
    let call = CallId::new(now);
    let wanted = Wanted {
        thread: Some(callback.thread),
        node: Some(callback.node.clone()),
        waited: Duration::try_from(now.duration_since(callback.since)).unwrap_or_default(),
        ..Wanted::new(call, staff.phone.clone(), Phone::Number(callback.number.clone()))
    };
    let Some(present) = engaged::claim(line, callback, wanted.in_progress(Stage::Rings, now)) else {
        staff.leg.close().await;
        return Next::WhenFree;
    };
    match line.store.write(move |tx| callbacks::attempt(tx, id, call, now)).await {
        Ok(true) => {}
        Ok(false) => {
            info!("a call back was called off as it was picked up");
            staff.leg.close().await;
            return Next::Over;
        }
        // Somebody is on the phone to call a patient who was promised it.
        Err(error) => written(Err(error)),
    }
    // Written as soon as they speak: whatever happens then, they are not called again.
    let reached = |line: &Line| {
        info!("the patient was called back");
        let now = line.clock.now().wall;
        line.store.try_write_detached("call back", move |tx| callbacks::done(tx, id, &actor, now).map(drop));
    };
    match call_out::connect_patient(line, staff, (wanted, present), legs, reached).await {
        Reached::Yes => {}
        // They were busy with us: they have called in this moment.
        Reached::No if engaged::is_engaged(line, callback) => not_called(line, callback).await,
        Reached::No => not_reached(line, callback, "not_reached").await,
        Reached::NotRung => not_called(line, callback).await,
    }
    Next::Over
}

/// Somebody of the clinic speaks with a patient in another call: they are not called back any more.
pub(super) fn spoken_with(line: &Arc<Line>, patient: &PhoneNumber, by: &Phone) {
    let (clinic, patient, actor) = (line.clone(), patient.clone(), by.to_string());
    let now = line.clock.now().wall;
    line.calls.spawn(
        async move {
            let line = clinic;
            match line.store.write(move |tx| callbacks::spoken_with(tx, &patient, &actor, now)).await {
                Ok(Some(id)) => {
                    info!("a call back is not needed any more: the patient is on the phone");
                    line.callbacks.let_go(id);
                }
                Ok(None) => {}
                Err(error) => written(Err(error)),
            }
        }
        .in_current_span(),
    );
}

/// Whoever picked up is gone and the patient has heard nothing of it, or they have called in themselves.
async fn not_called(line: &Line, callback: &Callback) {
    info!("the patient has not been called; it is tried again");
    let (id, now) = (callback.id, line.clock.now().wall);
    let again = now.checked_add(AGAIN_AFTER).unwrap_or(now);
    match hours::next(&line.book().tree, callback, again) {
        Some(again) => written(line.store.write(move |tx| callbacks::not_called(tx, id, again, now)).await.map(drop)),
        None => fail(line, callback, NOBODY).await,
    }
}

/// They are called once more, or texted that it was in vain.
async fn not_reached(line: &Line, callback: &Callback, cause: &'static str) {
    let (id, now) = (callback.id, line.clock.now().wall);
    let again = now.checked_add(AGAIN_AFTER).unwrap_or(now);
    let again = hours::next(&line.book().tree, callback, again);
    match line.store.write(move |tx| callbacks::not_reached(tx, id, cause, again, now)).await {
        Ok(Some(callback)) if callback.state == CallbackState::Failed => {
            info!("the patient could not be reached");
            record::callback_failed(line, &callback);
        }
        Ok(_) => info!("the patient could not be reached; they are called once more"),
        Err(error) => written(Err(error)),
    }
}

/// Tries it again at another time.
async fn postpone(line: &Line, id: CallbackId, again: Again) {
    written(line.store.write(move |tx| callbacks::postpone(tx, id, again).map(drop)).await);
}

/// It can no longer be made: the patient is told.
async fn fail(line: &Line, callback: &Callback, cause: &'static str) {
    let (id, now) = (callback.id, line.clock.now().wall);
    match line.store.write(move |tx| callbacks::fail(tx, id, cause, now)).await {
        Ok(failed) => {
            info!(cause, "a call back has failed");
            failed.iter().for_each(|callback| record::callback_failed(line, callback));
        }
        Err(error) => written(Err(error)),
    }
}

/// The patients who were being called when the last run ended have not been reached.
async fn resume(line: &Line) {
    match line.store.read(callbacks::stopped).await {
        Ok(stopped) => {
            for callback in stopped {
                not_reached(line, &callback, "restart").await;
            }
        }
        Err(error) => warn!(%error, "the call backs of the last run could not be taken up"),
    }
}

fn written(result: Result<(), crate::store::StoreError>) {
    if let Err(error) = result {
        error!(%error, "what became of a call back could not be written");
    }
}
