//! Texts out and in.
//!
//! - [`compose`]: a text and all that belongs to it, in one transaction.

pub mod compose;
