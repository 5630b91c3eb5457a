//! Threadline: a clinic's phone line with a text thread behind every call.
//!
//! The map of the house. Who may import whom goes downward only (a test in `tests/` reads the imports):
//!
//! 1. [`model`], [`clock`]: plain domain types; the only place that asks what time it is.
//! 2. [`tree`], [`settings`], [`events`]: the admin's files, checked; what has been committed, announced.
//! 3. [`ivr`], [`conversation`]: the phone menu's engine and the rules of a text thread, without I/O.
//! 4. [`sip`], [`media`], [`store`]: signalling, audio and SQLite; none of them knows the others.
//! 5. [`sms`], [`report`], [`call`]: the text gateways with their outbox; numbers and charts; a call from INVITE to BYE.
//! 6. [`web`]: the front desk's pages, webhooks, health and metrics.
//! 7. [`daemon`], [`cli`]: the wiring and the command line.
//!
//! A call goes `sip` → `call` → `ivr` → (actions) → `media`, `sms`, `store`; nothing below knows what is above.

pub mod call;
pub mod cli;
pub mod clock;
pub mod conversation;
pub mod daemon;
pub mod events;
pub mod ivr;
pub mod media;
pub mod model;
pub mod report;
pub mod settings;
pub mod sip;
pub mod sms;
pub mod store;
pub mod tree;
pub mod web;
