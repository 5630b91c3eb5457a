//! The rules of a text thread, as plain functions over plain data: no database, no clock, no I/O.
//!
//! - [`keywords`]: STOP, START and HELP, and what answers them.
//! - [`consent`]: who may be texted what.
//! - [`threading`]: which thread a text belongs to.
//! - [`missed_call`]: who is owed a text after a call.
//! - [`permission`]: what each role may see and do.
//! - [`templates`]: the admin's texts, with their variables filled in. [`hours`]: the opening hours in plain words.
//! - [`sign_in`]: who may try to sign in, and what a password must be. [`totp`]: the second factor.
//! - [`attendance`]: who is at work.

pub mod attendance;
pub mod consent;
pub mod hours;
pub mod keywords;
pub mod missed_call;
pub mod permission;
pub mod sign_in;
pub mod templates;
pub mod threading;
pub mod totp;
