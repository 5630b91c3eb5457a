//! A text message and what became of it.

use serde::{Deserialize, Serialize};

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageDirection {
    /// From the patient.
    Inbound,
    /// To the patient.
    Outbound,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// In our outbox.
    Queued,
    /// Leased by the worker: on its way to the gateway.
    Sending,
    /// The gateway has taken it.
    Sent,
    /// The handset has it.
    Delivered,
    /// The gateway or carrier refused it for good.
    Failed,
    /// The gateway took it and could not deliver it.
    Undelivered,
    /// We crashed or lost the answer in mid-send, and the gateway cannot say.
    Unknown,
    /// Too old to be of use; never sent.
    Expired,
    /// Taken back by who wrote it, before it was sent.
    Cancelled,
    /// It came in.
    Received,
}
