//! Audio: what a call hears and what is heard of it.

pub mod dtmf;
