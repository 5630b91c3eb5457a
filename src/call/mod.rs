//! A call from INVITE to its record: one task owns everything about it.
//!
//! [`mod@line`] is what all calls share, [`registry`] who is on the phone now, [`actor`] one call's life, `negotiation`
//! its offers and answers,
//! [`perform`] turns what the phone tree wants into audio and texts, [`record`] writes it down.
//! What the tree says next is decided in [`crate::ivr`]; nothing here knows a web page.

pub mod actor;
pub mod line;
mod negotiation;
pub mod perform;
pub mod record;
pub mod registry;

pub use line::{Book, Line};
pub use negotiation::random_key;
pub use registry::Registry;
