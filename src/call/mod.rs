//! A call from INVITE to its record: one task owns everything about it.
//!
//! [`mod@line`] is what all calls share, [`registry`] who is on the phone now. A patient's call: [`actor`] its life from
//! INVITE to record, `conversation` what happens in it, `leg` its signalling and audio with `negotiation` of its offers
//! and answers, [`perform`] what the phone tree wants, done, [`record`] what is written down, `recording` what is
//! said, where that is kept, `voicemail` and `callback` what is left for later.
//!
//! People: [`waiting`] decides who waits for whom and which phones ring, without any I/O; [`switchboard`] does it; `dial`
//! rings one phone; `talk` is whoever speaks with a caller, `features` the keys they may press, `transfer`, `handover` and
//! [`parking`] how a caller gets from one to the next, `hand_off` how they are left to the trunk.
//!
//! Calls that the clinic places: [`desk`] are those that begin at its own phones ([`dial_plan`]: whom those may call),
//! `call_out` those that the inbox asks for and calls back; `placed` is what they have in common, `pair` two phones that
//! speak with each other.
//!
//! [`trace`] keeps what the legs of a call have said, [`front_desk`] is what pages see and ask for.
//!
//! What the tree says next is decided in [`crate::ivr`]; nothing here knows a web page.

pub mod actor;
mod call_out;
pub mod callback;
mod conversation;
pub mod desk;
mod dial;
pub mod dial_plan;
mod features;
pub mod front_desk;
mod hand_off;
mod handover;
mod leg;
pub mod line;
mod negotiation;
mod pair;
pub mod parking;
pub mod perform;
mod placed;
pub mod record;
mod recording;
pub mod registry;
pub mod switchboard;
mod talk;
pub mod trace;
mod transfer;
mod voicemail;
pub mod waiting;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::media::{Prompt, Session};
use crate::tree::digit_prompt;

pub use line::{Book, Line};
pub use negotiation::random_key;
pub use registry::Registry;

/// The prompt that whoever is held hears, again and again.
pub const MUSIC: &str = "hold";

/// Music for whoever is held, and the other side again for whoever is not.
fn hold(session: &Session, held: bool, book: &Book) {
    if held {
        session.play_looped(book.prompts.find(&book.settings.clinic.language, MUSIC).into_iter().collect());
    } else {
        session.stop_playing();
    }
}

/// Says digits to somebody of the clinic.
fn say_digits(session: &Session, digits: &str, book: &Book) {
    let language = &book.settings.clinic.language;
    let prompts = digits.chars().filter_map(|digit| book.prompts.find(language, &digit_prompt(digit)));
    session.play(prompts.collect());
}

/// What somebody hears for whom a phone rings.
fn ringback() -> Arc<Prompt> {
    static RINGBACK: LazyLock<Arc<Prompt>> = LazyLock::new(|| Arc::new(Prompt::ringback()));
    RINGBACK.clone()
}

/// Waits for `deadline`, on the clock of [`Now::mono`](crate::clock::Now); for ever where there is none.
async fn until(line: &Line, deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.saturating_sub(line.clock.now().mono)).await,
        None => std::future::pending().await,
    }
}
