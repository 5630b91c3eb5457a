//! The box to answer in. It works without a script; `thread.js` counts as one types, saves drafts and opens the list of
//! messages at `/`.

use jiff::SignedDuration;
use maud::{Markup, html};

use super::text::Times;
use crate::conversation::consent::Refusal;
use crate::conversation::segments::{Encoding, segments, unusual};
use crate::conversation::templates::MOST_CHARACTERS;
use crate::model::{MessageId, Private, ThreadId};
use crate::sms::reply::NotSent;
use crate::web::theirs::{plain, safe};
use crate::web::words::thread::Words;

/// What the box needs to know.
pub struct Compose<'a> {
    /// In which thread.
    pub thread: ThreadId,
    /// The newest deed that the page shows.
    pub version: i64,
    /// What is in it.
    pub draft: &'a str,
    /// Whether it is a note that was being written.
    pub note: bool,
    /// Why no text may be sent at all.
    pub refusal: Option<&'a NotSent>,
    /// What is to be said about the last try.
    pub notice: Option<Markup>,
    /// The messages that can be put in.
    pub templates: &'a [String],
    /// How times are written.
    pub times: &'a Times,
    /// Its sentences.
    pub words: &'a Words,
}

/// The form.
pub fn compose(compose: &Compose<'_>) -> Markup {
    let (words, thread) = (compose.words, compose.thread);
    let shut = compose.refusal.is_some();
    let note = compose.note || shut;
    let soonest = compose.times.now.checked_add(SignedDuration::from_mins(1)).unwrap_or(compose.times.now);
    let zone = compose.times.zone.iana_name().unwrap_or("UTC");
    // What this form is known by: sent twice, it is one text.
    let form = MessageId::new(compose.times.now);
    html! {
        @if let Some(notice) = &compose.notice { (notice) }
        @if let Some(refusal) = compose.refusal {
            p.notice.warn { strong { (words.cannot_text) } " " (refused(refusal, words)) }
        }
        form #answer method="post" action={ "/threads/" (thread) "/answer" } data-draft={ "/threads/" (thread) "/draft" } {
            input type="hidden" name="version" value=(compose.version);
            input type="hidden" name="form" value=(form);
            fieldset.switch {
                legend.hidden { (words.answer) }
                label { input type="radio" name="kind" value="text" checked[!note] disabled[shut]; " " (words.to_patient) }
                label { input type="radio" name="kind" value="note" checked[note]; " " (words.to_staff) }
            }
            label.hidden for="words" { (words.box_label) }
            textarea #words name="body" rows="3" dir="auto" aria-describedby="count slash" data-most=(MOST_CHARACTERS)
                autocomplete="off" data-key="r" data-does=(words.answer) { "\n" (compose.draft) }
            ul #messages role="listbox" aria-label=(words.template) hidden {}
            p #count .small.faint role="status" aria-live="off" data-count=((words.count)(0, 2, false))
                data-one=((words.count)(0, 1, false)) data-forced=((words.forced)('\u{fffd}')) data-long=((words.too_long)(0)) {
                (count(compose.draft, words))
            }
            div.bar {
                button type="submit" name="do" value="send" { (words.send) }
                button #save .second type="submit" formaction={ "/threads/" (thread) "/draft" } { (words.save) }
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
                            @for name in compose.templates { option value=(name) { (name.replace('_', " ")) } }
                        }
                    }
                    button.second type="submit" formaction={ "/threads/" (thread) "/template" } { (words.template_insert) }
                    p #slash .small.faint hidden { (words.slash) }
                }
            }
        }
    }
}

/// What a text costs, and what makes it so.
pub fn count(text: &str, words: &Words) -> String {
    let characters = text.chars().count();
    let cost = segments(text);
    let mut sentence = (words.count)(characters, cost.segments, cost.encoding == Encoding::Ucs2);
    if let Some(c) = unusual(text) {
        sentence = format!("{sentence}. {}", (words.forced)(c));
    }
    if characters > MOST_CHARACTERS {
        sentence = format!("{sentence}. {}", (words.too_long)(characters - MOST_CHARACTERS));
    }
    sentence
}

/// Why a text was not sent, and the cure. [`NotSent::Overtaken`] is said by [`overtaken`].
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

/// Who was first, with their words.
pub fn overtaken(by: &str, body: &Private<String>, at: &str, words: &Words) -> Markup {
    html! {
        div.notice.warn role="alert" {
            p { strong { ((words.overtaken)(&plain(by), at)) } }
            blockquote.words dir="auto" { (safe(body.expose(), words)) }
            p { (words.overtaken_cure) }
        }
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
    use crate::web::words::thread::words;

    #[test]
    fn the_script_counts_by_the_same_alphabet() {
        let script = include_str!("../assets/thread.js");
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
}
