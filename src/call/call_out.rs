//! Calls that the inbox asks for, and calls back: first a phone of the clinic rings, then the patient's.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span};

use super::dial::{self, Shown, Stop};
use super::placed::{Near, Placed, RING_INSIDE, Reached, Wanted};
use super::registry::{Presence, Stage};
use super::switchboard::Connected;
use super::trace::Legs;
use super::waiting::NoAnswering;
use super::{Line, record};
use crate::model::{CallId, Caller, Phone, PhoneNumber, StaffName, ThreadId};

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

/// Why nobody is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCalled {
    /// The phone that is to ring first cannot.
    Phone(NoAnswering),
    /// The clinic calls that number already, or speaks with it.
    Already,
    /// The phone may not call that number: `may_call` says how the numbers begin that it may, `pbx_may_call` for phones of
    /// another telephone system.
    NotAllowed,
    /// The daemon is about to stop.
    Stopping,
}

/// Places the call that the inbox asks for; it goes on by itself.
///
/// # Errors
/// Why it is not placed. Once it is taken, the daemon stops after it alone.
pub(super) async fn call_out(line: &Arc<Line>, asked: CallOut) -> Result<(), NotCalled> {
    // While this lives the daemon waits for the calls in progress: it is told to stop before, or this call is one of them.
    let under_way = line.calls.token();
    if line.closing.is_cancelled() {
        return Err(NotCalled::Stopping);
    }
    if !line.book().settings.may_click_to_call(&asked.phone, &asked.to) {
        return Err(NotCalled::NotAllowed);
    }
    let now = line.clock.now().wall;
    let shown = Shown::patient(Caller::Number(asked.to.clone()));
    let span = info_span!("desk", staff = %asked.staff);
    let wanted = Wanted {
        staff: Some(asked.staff),
        thread: asked.thread,
        ..Wanted::new(CallId::new(now), asked.phone, Phone::Number(asked.to))
    };
    let present = line.registry.claim(wanted.in_progress(Stage::OwnRings, now)).ok_or(NotCalled::Already)?;
    let on_call = line.switchboard.claim(wanted.by.clone()).await.map_err(NotCalled::Phone)?;
    let clinic = line.clone();
    line.calls.spawn(
        async move {
            let (line, by, asked_in) = (clinic, wanted.by.clone(), wanted.thread.zip(wanted.staff.clone()));
            let call = Placed::new(&line, wanted, present, shown.legs.clone());
            let (stop, rings) = (Stop::at_goodbye(&line), CancellationToken::new());
            let near = match dial::ring(&line, &by, &shown, RING_INSIDE, &stop, &rings).await {
                Ok(near) => near,
                Err(why) => {
                    info!(?why, "nobody picked up the phone that asked for a call");
                    if let Some((thread, staff)) = asked_in {
                        record::own_phone_unanswered(&line, thread, staff, &by);
                    }
                    return;
                }
            };
            let shown = Shown::of(&by, &line.book().settings);
            call.connect(Near::Listening(Box::new(near)), on_call, shown, |_| {}).await;
        }
        .instrument(span),
    );
    drop(under_way);
    Ok(())
}

/// Rings a patient for somebody who is on the phone already, and lets them speak, in a call that is on the list. What came
/// of it; `reached` hears at once that they have picked up; `legs` are the phones that have rung so far.
pub(super) async fn connect_patient(
    line: &Arc<Line>,
    near: Connected,
    (wanted, present): (Wanted, Presence),
    legs: Legs,
    reached: impl FnOnce(&Line),
) -> Reached {
    let Connected { leg, phone, on_call } = near;
    let shown = Shown::of(&phone, &line.book().settings);
    let call = Placed::new(line, wanted, present, legs);
    call.connect(Near::Listening(Box::new(leg)), on_call, shown, reached).await
}
