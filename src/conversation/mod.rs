//! The rules of a text thread, as plain functions over plain data: no database, no clock, no I/O.
//!
//! - [`keywords`]: STOP, START and HELP, and what answers them.
//! - [`consent`]: who may be texted what.
//! - [`threading`]: which thread a text belongs to.
//! - [`missed_call`]: who is owed a text after a call.
//! - [`permission`]: what each role may see and do.
//! - [`promise`]: how soon a person answers, in opening hours, and where a wait stands against it.
//! - [`templates`]: what is said, with its variables filled in.

pub mod consent;
pub mod keywords;
pub mod missed_call;
pub mod permission;
pub mod promise;
pub mod templates;
pub mod threading;
