//! A text thread as it is recorded.

use serde::{Deserialize, Serialize};

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
    /// The caller chose to text.
    Call,
    /// The caller left unserved and got the missed-call text.
    MissedCall,
    /// A text came in.
    Text,
    /// A person of the clinic wrote first.
    Staff,
}
