//! Signalling: SIP behind a wall of our own. Nothing outside this module names the SIP library.

pub mod digest;
pub mod identity;
pub mod sdp;
pub mod trunk;
