//! Calls that somebody speaks in and may hand on: the far side of a person's own call, for a transfer that they have
//! announced there first (RFC 3891, RFC 5589 section 7).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::switchboard::Connected;

/// Asks a call for its far side.
pub(super) type Request = oneshot::Sender<Connected>;

/// The calls that can be asked, by the Call-ID of their near side. Cloning it gives another handle.
#[derive(Clone, Debug, Default)]
pub struct Handovers(Arc<Mutex<HashMap<String, mpsc::Sender<Request>>>>);

/// A call's entry; it is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    handovers: Handovers,
    call_id: String,
}

impl Handovers {
    /// Lets the call be asked; its requests come out of the receiver.
    pub(super) fn offer(&self, call_id: &str) -> (Entry, mpsc::Receiver<Request>) {
        let (ask, requests) = mpsc::channel(1);
        self.calls().insert(call_id.to_owned(), ask);
        (Entry { handovers: self.clone(), call_id: call_id.to_owned() }, requests)
    }

    /// Takes the far side out of the call; `None`: there is no such call, or it is over.
    pub(super) async fn take_over(&self, call_id: &str) -> Option<Connected> {
        let call = self.calls().get(call_id).cloned()?;
        let (request, far_side) = oneshot::channel();
        call.send(request).await.ok()?;
        far_side.await.ok()
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Request>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.handovers.calls().remove(&self.call_id);
    }
}
