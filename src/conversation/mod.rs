//! The rules of a text thread, as plain functions over plain data: no database, no clock, no I/O.
//!
//! - [`keywords`]: STOP, START and HELP, and what answers them.
//! - [`consent`]: who may be texted what.
//! - [`threading`]: which thread a text belongs to.
//! - [`deeds`]: what may be done with a thread as it stands. [`closing`]: how it ends when the patient stays silent.
//! - [`merging`]: whether two threads can become one, and how.
//! - [`later`]: times to come back at. [`red_flags`]: words that call for a person.
//! - [`missed_call`]: who is owed a text after a call, and in which words. [`waiting`]: how they waited, in plain words.
//! - [`permission`]: what each role may see and do.
//! - [`templates`]: the admin's texts, with their variables filled in. [`hours`]: the opening hours in plain words.
//!   [`snippets`]: those texts that people of the clinic use. [`segments`]: what a text costs.
//! - [`sign_in`]: who may try to sign in, and what a password must be. [`totp`]: the second factor.
//! - [`attendance`]: who is at work.
//! - [`promise`]: how soon a person answers, in opening hours, and where a wait stands against it.

pub mod attendance;
pub mod closing;
pub mod consent;
pub mod deeds;
pub mod hours;
pub mod keywords;
pub mod later;
pub mod merging;
pub mod missed_call;
pub mod permission;
pub mod promise;
pub mod red_flags;
pub mod segments;
pub mod sign_in;
pub mod snippets;
pub mod templates;
pub mod threading;
pub mod totp;
pub mod waiting;
