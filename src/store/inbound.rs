//! Texts that come in: each once, however often the gateway's webhook brings it.

use rusqlite::{OptionalExtension, params};

use super::column::At;
use super::messages::{self, NewMessage};
use super::{StoreError, Tx};
use crate::model::{MessageDirection, MessageId, MessageStatus};

/// The message that a gateway's id has been stored as.
pub fn known(tx: &Tx<'_>, gateway: &str, gateway_id: &str) -> Result<Option<MessageId>, StoreError> {
    let found = tx
        .prepare_cached("SELECT message FROM inbound WHERE gateway = ? AND gateway_id = ?")?
        .query_row([gateway, gateway_id], |row| row.get(0))
        .optional()?;
    Ok(found)
}

/// Stores a text. Fails if the gateway's id is [`known`]: look first, in the same transaction.
pub fn store(tx: &Tx<'_>, message: &NewMessage, gateway: &str, gateway_id: &str) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO inbound (gateway, gateway_id, message, at) VALUES (?, ?, ?, ?)")?
        .execute(params![gateway, gateway_id, message.id, At(message.at)])?;
    let direction = MessageDirection::Inbound;
    messages::insert(tx, message, direction, MessageStatus::Received, Some((gateway, gateway_id)))
}
