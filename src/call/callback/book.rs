//! A call back that a caller asks for, booked.

use std::future::Future;

use jiff::SignedDuration;
use tracing::error;

use crate::call::Line;
use crate::ivr::{CallbackRequest, CallbackWhen, NoCallback};
use crate::model::{CallStart, CallbackId, ThreadId};
use crate::sms::compose::spoken::{self, AskedCallback};
use crate::store::callbacks::NotBooked;

/// So many call backs may wait.
const MOST: usize = 200;

/// Books a call back; answers its thread.
///
/// # Errors
/// Why there will be none.
pub(in crate::call) fn book(
    line: &Line,
    start: &CallStart,
    request: CallbackRequest,
) -> impl Future<Output = Result<ThreadId, NoCallback>> + Send + use<> {
    let now = line.clock.now();
    let window = request.window;
    let place = match request.when {
        CallbackWhen::Turn { line, priority, since } => {
            let waited = SignedDuration::try_from(now.mono.saturating_sub(since)).unwrap_or_default();
            let since = now.wall.checked_sub(waited).unwrap_or(now.wall);
            Some((line, priority, since))
        }
        CallbackWhen::Opening => None,
    };
    let asked = AskedCallback {
        id: CallbackId::new(now.wall),
        call: start.id,
        node: request.node,
        to: request.to,
        place,
        hours: window.hours,
        due_at: window.from,
        due_until: window.until,
        last_at: window.last,
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
