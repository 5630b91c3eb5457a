//! A call from INVITE to its record: one task owns everything about it.
//!
//! [`mod@line`] is what all calls share, [`registry`] who is on the phone now, [`actor`] one call's life, `negotiation`
//! its offers and answers,
//! [`perform`] turns what the phone tree wants into audio and texts, [`record`] writes it down. [`waiting`] holds those
//! who wait for a person and rings phones for them, [`dial_plan`] reads what one of the clinic's own phones dials.
//! What the tree says next is decided in [`crate::ivr`]; nothing here knows a web page.

pub mod actor;
pub mod dial_plan;
pub mod line;
mod negotiation;
pub mod perform;
pub mod record;
pub mod registry;
pub mod waiting;

pub use line::{Book, Line};
pub use negotiation::random_key;
pub use registry::Registry;
