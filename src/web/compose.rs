//! The box that a text is written in: in a thread, and to somebody who has not written. It works without a script;
//! `compose.js` counts as one types, saves drafts and opens the list of messages at `/`.
//!
//! - `typed`: what it sends, read. `templates`: the messages that can be put in.

mod templates;
mod typed;

pub use templates::{Offered, behind, fill, offered, unfilled};
pub use typed::{Typed, not_later};

use std::fmt;

use jiff::SignedDuration;
use maud::{Markup, html};

use super::thread::text::Times;
use super::words::compose::Words;
use crate::conversation::consent::Refusal;
use crate::conversation::segments::{segments, unusual};
use crate::conversation::templates::MOST_CHARACTERS;
use crate::model::{MessageId, NewTextId, ThreadId};
use crate::sms::reply::NotSent;

/// Where somebody writes. Its path is the page's; below it are `answer`, `draft` and `template`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a thread.
    Thread(ThreadId),
    /// To somebody who has no open thread.
    New(NewTextId),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Thread(id) => write!(f, "/threads/{id}"),
            Place::New(id) => write!(f, "/new/{id}"),
        }
    }
}

impl Place {
    /// The one whose path this is.
    pub fn of_path(path: &str) -> Option<Place> {
        let thread = path.strip_prefix("/threads/").and_then(|id| Some(Place::Thread(id.parse().ok()?)));
        thread.or_else(|| Some(Place::New(path.strip_prefix("/new/")?.parse().ok()?)))
    }
}

/// What the box needs to know.
pub struct Compose<'a> {
    /// Where it is.
    pub place: Place,
    /// What is in it.
    pub draft: &'a str,
    /// What it has in a thread besides.
    pub in_thread: Option<InThread>,
    /// What writing in it is called.
    pub does: &'a str,
    /// The messages that can be put in.
    pub templates: &'a [Offered],
    /// How times are written.
    pub times: &'a Times,
    /// Its sentences.
    pub words: &'a Words,
}

/// The choice between a text and a note.
#[derive(Clone, Copy, Debug)]
pub struct InThread {
    /// The newest deed that the page shows.
    pub version: i64,
    /// Whether it is a note that was being written.
    pub note: bool,
    /// Whether no text may be sent at all.
    pub shut: bool,
}

/// The form.
pub fn compose(compose: &Compose<'_>) -> Markup {
    let (words, place) = (compose.words, compose.place);
    let soonest = compose.times.now.checked_add(SignedDuration::from_mins(1)).unwrap_or(compose.times.now);
    let zone = compose.times.zone.iana_name().unwrap_or("UTC");
    // What this form is known by: sent twice, it is one text.
    let form = MessageId::new(compose.times.now);
    html! {
        form #answer method="post" action={ (place) "/answer" } data-place=(place) {
            input type="hidden" name="form" value=(form);
            @if let Some(thread) = compose.in_thread { (switch(thread, compose.does, words)) }
            label.hidden for="words" { (words.box_label) }
            textarea #words name="body" rows="3" dir="auto" aria-describedby="count slash" data-most=(MOST_CHARACTERS)
                autocomplete="off" autofocus[compose.in_thread.is_none()] data-key="r" data-does=(compose.does) {
                "\n" (compose.draft)
            }
            ul #messages role="listbox" tabindex="0" aria-label=(words.template) hidden {}
            p #count .small.faint role="status" aria-live="off" data-count=((words.count)(0, 2))
                data-one=((words.count)(0, 1)) data-forced=((words.forced)('\u{fffd}')) data-long=((words.too_long)(0)) {
                (count(compose.draft, words))
            }
            div.bar {
                button type="submit" name="do" value="send" data-send="" { (words.send) }
                button #save .second type="submit" formaction={ (place) "/draft" } { (words.save) }
                details.later {
                    summary.button.quiet data-key="i l" data-does=(words.send_later) { (words.send_later) }
                    div.inline {
                        div {
                            label for="send_at" { ((words.later_at)(zone)) }
                            input #send_at type="datetime-local" name="send_at" min=(compose.times.field(soonest));
                        }
                        button.second type="submit" name="do" value="later" { (words.later_button) }
                    }
                }
            }
            @if !compose.templates.is_empty() {
                div.inline.templates {
                    div {
                        label for="template" { (words.template) }
                        select #template name="template" {
                            option value="" { (words.template_choose) }
                            @for Offered { name, shown } in compose.templates { option value=(name) { (shown) } }
                        }
                    }
                    button.second type="submit" formaction={ (place) "/template" } { (words.template_insert) }
                    p #slash .small.faint { (words.slash) }
                }
            }
        }
    }
}

fn switch(InThread { version, note, shut }: InThread, does: &str, words: &Words) -> Markup {
    let note = note || shut;
    html! {
        input type="hidden" name="version" value=(version);
        fieldset.switch {
            legend.hidden { (does) }
            label { input type="radio" name="kind" value="text" checked[!note] disabled[shut]; " " (words.to_patient) }
            label { input type="radio" name="kind" value="note" checked[note]; " " (words.to_staff) }
        }
    }
}

/// What a text costs, and what makes it so.
pub fn count(text: &str, words: &Words) -> String {
    let characters = text.chars().count();
    let mut sentence = (words.count)(characters, segments(text).segments);
    if let Some(c) = unusual(text) {
        sentence = format!("{sentence}. {}", (words.forced)(c));
    }
    if characters > MOST_CHARACTERS {
        sentence = format!("{sentence}. {}", (words.too_long)(characters - MOST_CHARACTERS));
    }
    sentence
}

/// Why a text was not sent, and the cure. [`NotSent::Overtaken`] is said by the thread's page, with the words that were
/// first.
pub fn refused(why: &NotSent, words: &Words) -> String {
    match why {
        NotSent::Empty => words.empty.to_owned(),
        NotSent::TooLong(length) => (words.too_long_refused)(*length),
        NotSent::Consent(Refusal::OptedOut) => words.opted_out.to_owned(),
        NotSent::Consent(Refusal::NoConsent) => words.no_consent.to_owned(),
        NotSent::Untextable => words.untextable.to_owned(),
        NotSent::Elsewhere(_) => words.elsewhere.to_owned(),
        NotSent::Missing | NotSent::Merged(_) | NotSent::Forged | NotSent::Overtaken { .. } => words.forged.to_owned(),
    }
}

/// A refusal above the box.
pub fn alert(sentence: &str) -> Markup {
    html! { p.notice.bad role="alert" { (sentence) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::segments::{BASIC, EXTENDED};
    use crate::web::words::Ui;
    use crate::web::words::compose::words;

    #[test]
    fn the_script_counts_by_the_same_alphabet() {
        let script = include_str!("assets/compose.js");
        for (name, alphabet) in [("BASIC", BASIC), ("EXTENDED", EXTENDED)] {
            let written = format!("const {name} = {alphabet:?};").replace("\\u{c}", "\\f");
            assert!(script.contains(&written), "{written}");
        }
    }

    #[test]
    fn a_text_says_what_it_costs_and_why() {
        let counted = |text: &str| count(text, words(Ui::En));
        assert_eq!(counted(""), "0 characters, 1 text");
        assert_eq!(counted(&"a".repeat(161)), "161 characters, 2 texts");
        assert!(counted("It’s fine").contains("“’” makes it more expensive"));
        assert!(counted(&"a".repeat(1_603)).ends_with("3 characters too many; a text may have 1,600"));
        assert!(count("¿Sí?", words(Ui::Es)).contains("«í» lo encarece"));
    }

    #[test]
    fn a_place_is_known_by_its_path() {
        let now = "2026-03-02T09:00:00Z".parse().unwrap();
        for place in [Place::Thread(ThreadId::new(now)), Place::New(NewTextId::new(now))] {
            assert_eq!(Place::of_path(&place.to_string()), Some(place));
        }
        for path in ["", "/new", "/new/", "/new/people", "/threads/bulk", "/calls/00000000-0000-7000-8000-000000000000"]
        {
            assert_eq!(Place::of_path(path), None, "{path}");
        }
    }
}
