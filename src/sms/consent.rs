//! Whether a text may still go, asked once more right before it goes.

use super::gateway::Refusal;
use crate::model::{ConsentState, MessageId, PhoneNumber};
use crate::store::messages::{self, MessageKind};
use crate::store::{Connection, StoreError, consents};

/// Whether `message` may go to `to`: to who has opted out goes nothing but the answers to STOP and HELP.
pub fn may_send(conn: &Connection, message: MessageId, to: &PhoneNumber) -> Result<bool, StoreError> {
    if consents::state(conn, to)? != Some(ConsentState::Revoked) {
        return Ok(true);
    }
    Ok(matches!(messages::kind(conn, message)?, Some(MessageKind::StopReply | MessageKind::HelpReply)))
}

/// What the thread says of a text that consent no longer covers.
pub fn refused() -> Refusal {
    Refusal { code: None, reason: "the patient has opted out; only their own START lifts it".into(), opted_out: true }
}
