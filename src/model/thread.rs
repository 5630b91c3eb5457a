//! A text thread as it is recorded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ThreadId;

/// Where a thread stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadState {
    /// Somebody owes somebody an answer.
    Open,
    /// Out of sight until a time.
    Snoozed,
    /// Done.
    Closed,
}

/// What opened a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenedBy {
    /// The caller chose to text, left a message, or wants to be called back.
    Call,
    /// The caller left unserved and got the missed-call text.
    MissedCall,
    /// A text came in.
    Text,
    /// A person of the clinic wrote first.
    Staff,
}

/// A number's newest thread: its open one, or else the one closed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestThread {
    /// Which.
    pub id: ThreadId,
    /// Where it stands.
    pub state: ThreadState,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}
