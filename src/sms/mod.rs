//! Texts out and in: the gateway port, one file per gateway, the outbox worker.
//!
//! - [`gateway`]: what every gateway can do, and what it can answer.
//! - [`twilio`], [`sandbox`]: the adapters. [`signature`]: how Twilio and its kin sign their webhooks.
//! - [`policy`]: what becomes of a message after an answer, as plain functions. [`pace`]: how fast we may send.
//! - [`compose`]: a text and all that belongs to it, in one transaction.
//! - [`outbox`]: the worker that leases, sends and records.
//! - [`inbound`]: what a verified webhook does to the store.

pub mod compose;
pub mod gateway;
pub mod pace;
pub mod policy;
pub mod signature;
pub mod twilio;

pub use gateway::*;
