//! What has been committed, announced to whoever listens. Ids only: a listener reads the store for the rest.

use tokio::sync::broadcast;

use crate::model::{CallId, MessageId, ThreadId};

/// How many announcements a slow listener may fall behind before it must read the store anew.
const BACKLOG: usize = 1024;

/// Something that is now in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call's row was written or changed.
    Call(CallId),
    /// A thread was opened, continued or changed.
    Thread(ThreadId),
    /// A message was written, or its delivery state changed.
    Message(MessageId),
    /// A message waits in the outbox.
    Outbox,
    /// An emergency number was called from a phone of the clinic, or somebody has seen the notice of it.
    Emergency,
    /// A session was ended, or what its person may do has changed: whoever serves one looks at it again.
    Sessions,
}

/// The announcer. Cloning it gives another handle on the same announcements.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Events(broadcast::channel(BACKLOG).0)
    }
}

impl Events {
    /// Announces `event`. Nobody listening is no error.
    pub fn announce(&self, event: Event) {
        let _ = self.0.send(event);
    }

    /// Everything announced from now on. A listener that lags is told so and reads the store.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
