//! The column beside the timeline: who works the thread, what can be done with it, who is behind the number, and
//! whether they may be texted. Each form does one thing and works without a script.

use maud::{Markup, html};

use super::opened::Opened;
use super::text::{GAP, Times};
use crate::conversation::permission::Act;
use crate::model::{Consent, ConsentMethod, ConsentState, Country, Resolution, ThreadState};
use crate::settings::Settings;
use crate::store::callbacks::{Callback, CallbackState};
use crate::store::people::Contact;
use crate::web::person::Person;
use crate::web::theirs::{plain, safe, theirs};
use crate::web::words::thread_work::{self, Words};
use crate::web::words::{Ui, calls, thread};

/// The whole column.
pub fn side(opened: &Opened, person: &Person, settings: &Settings, times: &Times) -> Markup {
    let words = thread_work::words(person.ui);
    let works = person.may(Act::WorkThreads) && opened.thread.merged_into.is_none();
    html! {
        div #presence data-thread=(opened.thread.id) {}
        (work(opened, person, settings, words, works))
        @if works && person.may(Act::HandleCalls) { (calling(opened, person, times)) }
        @if works { (finish(opened, person.ui, words)) (later(opened, words, times)) (clinical(opened, words)) }
        (people(opened, person.ui, words, works))
        (consent(opened, person, words, times))
        @if works && person.may(Act::ChangeConsent) { (merge(opened, person.ui, words, settings.clinic.country, times)) }
    }
}

/// To call the patient, and what became of the call back that they asked for.
fn calling(opened: &Opened, person: &Person, times: &Times) -> Markup {
    let words = calls::words(person.ui);
    let waiting = opened.callback.as_ref().filter(|callback| callback.state == CallbackState::Waiting);
    html! {
        section.card aria-labelledby="calling" {
            h2 #calling { (words.call_them) }
            @if let Some(callback) = &opened.callback { p { (callback_state(callback, times)) } }
            div.bar {
                form.now method="post" action={ "/threads/" (opened.thread.id) "/call" } data-quiet data-said=(words.my_phone_rings) {
                    button.second type="submit" data-key="d" data-does=(words.call_them) { (words.call) }
                }
                @if let Some(callback) = waiting {
                    @if callback.due_at > times.now {
                        form.now method="post" action={ "/callbacks/" (callback.id) "/now" } data-quiet {
                            button.second type="submit" { (words.call_now) }
                        }
                    }
                    form.now method="post" action={ "/callbacks/" (callback.id) "/cancel" } data-quiet {
                        button.quiet type="submit" { (words.cancel) }
                    }
                }
            }
            @if waiting.is_some_and(|callback| callback.due_at <= times.now) {
                p.hint { a href="/calls" { (words.title) } ": " (words.already_due) }
            }
        }
    }
}

/// Where a call back stands, in a sentence or two.
pub fn callback_state(callback: &Callback, times: &Times) -> String {
    let words = calls::words(times.ui);
    let ended = || callback.ended_at.map(|at| times.short(at)).unwrap_or_default();
    let state = match callback.state {
        CallbackState::Waiting if callback.line.is_some() && callback.due_at <= times.now => {
            words.callback_in_line.to_owned()
        }
        CallbackState::Waiting => (words.callback_waits)(&times.short(callback.due_at)),
        CallbackState::Ringing => words.callback_rings.to_owned(),
        CallbackState::Done => (words.callback_done)(&ended()),
        CallbackState::Failed => (words.callback_failed)(&ended()),
        CallbackState::Cancelled => (words.callback_cancelled)(&ended()),
    };
    match callback.last_attempt_at.filter(|_| callback.attempts > 0 && callback.state != CallbackState::Done) {
        Some(last) => format!("{state} {}", (words.attempts)(callback.attempts, &times.short(last))),
        None => state,
    }
}

/// A form with one button.
fn act(opened: &Opened, to: &str, button: &str, class: &str, key: Option<&str>) -> Markup {
    html! {
        form.now method="post" action={ "/threads/" (opened.thread.id) "/" (to) } data-quiet {
            button.(class) type="submit" data-key=[key] data-does=[key.map(|_| button)] { (button) }
        }
    }
}

fn work(opened: &Opened, person: &Person, settings: &Settings, words: &Words, works: bool) -> Markup {
    let thread = &opened.thread;
    let to = |name: &str| format!("/threads/{}/{name}", thread.id);
    let owner = thread.owner.as_ref().map(|owner| opened.name(owner));
    let team = |name: &str| {
        settings.teams.iter().find(|team| team.name == name).map_or(name.to_owned(), |team| team.shown_as.clone())
    };
    html! {
        section.card aria-labelledby="work" {
            h2 #work { (words.work) }
            dl.facts {
                dt { (words.owner) } dd { (owner.as_deref().unwrap_or(words.nobody)) }
                dt { (words.team) } dd { (thread.team.as_deref().map_or(words.no_team.to_owned(), team)) }
                dt { (words.reason) } dd { (theirs(thread.reason.as_deref().unwrap_or("–"), person.ui)) }
                dt { (words.tags) }
                dd {
                    @if thread.tags.is_empty() { "–" }
                    @for tag in &thread.tags {
                        span.tag {
                            span.badge { (theirs(tag, person.ui)) }
                            @if works {
                                form.now method="post" action=(to("untag")) data-quiet {
                                    button.quiet type="submit" name="tag" value=(tag) aria-label=((words.remove_tag)(&plain(tag))) { "×" }
                                }
                            }
                        }
                    }
                }
            }
            @if works {
                div.bar {
                    @if thread.owner.as_ref() == Some(&person.name) { (act(opened, "release", words.release, "second", Some("u"))) }
                    @else {
                        form.now method="post" action=(to("take")) data-quiet {
                            input type="hidden" name="owner" value=[&thread.owner];
                            button type="submit" data-key="t" data-does=(words.take) { (words.take) }
                        }
                    }
                }
                details {
                    summary data-key="a" data-does=(words.assign) { (words.assign) }
                    form.inline method="post" action=(to("assign")) data-quiet {
                        div {
                            label for="to" { (words.assign_to) }
                            select #to name="to" {
                                @for staff in opened.workers() {
                                    option value=(staff.name) selected[thread.owner.as_ref() == Some(&staff.name)] {
                                        (staff.shown_as) @if opened.is_away(staff) { " (" (words.away) ")" }
                                    }
                                }
                            }
                        }
                        button.second type="submit" { (words.assign) }
                    }
                    form.inline method="post" action=(to("team")) data-quiet {
                        div {
                            label for="team" { (words.team) }
                            select #team name="team" data-key="i t" data-does=(words.team) {
                                option value="" { (words.no_team) }
                                @for team in &settings.teams {
                                    option value=(team.name) selected[thread.team.as_ref() == Some(&team.name)] { (team.shown_as) }
                                }
                            }
                        }
                        button.second type="submit" { (words.set) }
                    }
                    form.inline method="post" action=(to("reason")) data-quiet {
                        div {
                            label for="reason" { (words.reason) }
                            input #reason name="reason" data-key="i r" data-does=(words.reason) maxlength="80" autocomplete="off" dir="auto" value=(thread.reason.as_deref().unwrap_or_default());
                        }
                        button.second type="submit" { (words.set) }
                    }
                    form.inline method="post" action=(to("tag")) data-quiet {
                        div {
                            label for="tag" { (words.add_tag) }
                            input #tag name="tag" data-key="i g" data-does=(words.add_tag) maxlength="40" autocomplete="off" list="tags" dir="auto" required;
                            datalist #tags { @for tag in &opened.suggestions { option value=(tag) {} } }
                        }
                        button.second type="submit" { (words.add) }
                    }
                }
            }
        }
    }
}

fn finish(opened: &Opened, ui: Ui, words: &Words) -> Markup {
    let to = |name: &str| format!("/threads/{}/{name}", opened.thread.id);
    let flagged = opened.thread.red_flag.is_some();
    html! {
        section.card aria-labelledby="finish" {
            h2 #finish { (words.close) }
            @if opened.thread.state == ThreadState::Closed { (act(opened, "reopen", words.reopen, "second", Some("o"))) }
            @else {
                form method="post" action=(to("close")) data-quiet {
                    @if flagged {
                        div.field { label for="close_why" { (words.clear_flag_why) } textarea #close_why name="note" rows="2" dir="auto" required {} }
                    }
                    div.inline {
                        div {
                            label for="resolution" { (words.close_as) }
                            select #resolution name="resolution" data-key="i c" data-does=(words.close_as) {
                                @for known in Resolution::CHOICES {
                                    option value=(known.as_str()) { (thread_work::resolution(ui, known)) }
                                }
                            }
                        }
                        button type="submit" data-key="c" data-does=(words.close) { (words.close) }
                        @if opened.can_offer {
                            button.second type="submit" formaction=(to("offer")) data-key="x" data-does=(words.offer) { (words.offer) }
                        }
                    }
                }
                div.bar {
                    @if opened.thread.moved_to_voice.is_none() { (act(opened, "voice", words.voice, "second", Some("v"))) }
                }
            }
        }
    }
}

fn later(opened: &Opened, words: &Words, times: &Times) -> Markup {
    let to = |name: &str| format!("/threads/{}/{name}", opened.thread.id);
    let choice = |value: &str, text: &str, key: &str| {
        html! { button.second type="submit" name="for" value=(value) data-key=(key) data-does={ (words.snooze) ": " (text) } { (text) } }
    };
    html! {
        @if opened.thread.state != ThreadState::Closed {
            section.card aria-labelledby="later" {
                h2 #later { (words.later) }
                @if opened.thread.state == ThreadState::Snoozed { (act(opened, "wake", words.wake, "second", Some("w"))) }
                @if opened.thread.red_flag.is_none() { form method="post" action=(to("snooze")) data-quiet {
                    p.hint { (words.snooze) }
                    div.bar {
                        (choice("hour", words.hour, "s h"))
                        (choice("tomorrow", words.tomorrow, "s t"))
                        (choice("monday", words.monday, "s m"))
                    }
                    details {
                        summary { (words.until) " …" }
                        div.inline {
                            div { label for="until" { (words.until) } input #until type="datetime-local" name="at" min=(times.field(times.now)); }
                            button.second type="submit" name="for" value="at" { (words.snooze) }
                        }
                    }
                } }
                details {
                    summary data-key="f" data-does=(words.follow_up) { (words.follow_up) }
                    form method="post" action=(to("follow-up")) data-quiet {
                        div.field { label for="follow_up_at" { (words.follow_up_at) } input #follow_up_at type="datetime-local" name="at" min=(times.field(times.now)) required; }
                        div.field { label for="follow_up_why" { (words.why) } textarea #follow_up_why name="note" rows="2" dir="auto" {} }
                        button.second type="submit" { (words.follow_up) }
                    }
                    @if opened.thread.follow_up_at.is_some() { (act(opened, "follow-up", words.no_follow_up, "quiet", None)) }
                }
            }
        }
    }
}

fn clinical(opened: &Opened, words: &Words) -> Markup {
    let to = |name: &str| format!("/threads/{}/{name}", opened.thread.id);
    html! {
        @if opened.thread.state != ThreadState::Closed {
            section.card {
                @if opened.thread.red_flag.is_some() {
                    form method="post" action=(to("clear-flag")) data-quiet {
                        div.field { label for="flag_why" { (words.clear_flag_why) } textarea #flag_why name="note" data-key="i f" data-does=(words.clear_flag) rows="2" dir="auto" required {} }
                        button.danger type="submit" { (words.clear_flag) }
                    }
                }
                details {
                    summary data-key="e" data-does=(words.clinical) { (words.clinical) }
                    form method="post" action=(to("escalate")) data-quiet {
                        div.field { label for="escalate_why" { (words.escalate_why) } textarea #escalate_why name="note" rows="3" dir="auto" required {} }
                        button.danger type="submit" { (words.escalate) }
                    }
                }
            }
        }
    }
}

fn people(opened: &Opened, ui: Ui, words: &Words, works: bool) -> Markup {
    html! {
        section.card aria-labelledby="people" {
            h2 #people { (words.people) }
            @for (at, contact) in opened.people.iter().enumerate() {
                div.contact {
                    p {
                        strong { (theirs(&contact.name, ui)) }
                        @if let Some(whom) = &contact.on_behalf_of { (GAP) (words.on_behalf_of) " " (theirs(whom, ui)) }
                        @if let Some(language) = &contact.language { (GAP) (spoken(language.as_str(), words)) }
                    }
                    @if !contact.note.is_empty() { p.words.small dir="auto" { (safe(&contact.note, thread::words(ui))) } }
                    @if works {
                        details {
                            summary data-key=[(at == 0).then_some("i e")] data-does=[(at == 0).then_some(words.edit)] aria-label={ (words.edit) " " (plain(&contact.name)) } { (words.edit) }
                            (contact_form(&format!("/people/{}", contact.id), Some(contact), opened, words))
                            form.now method="post" action={ "/people/" (contact.id) "/remove" } data-quiet {
                                input type="hidden" name="thread" value=(opened.thread.id);
                                button.danger type="submit" { (words.remove) }
                            }
                        }
                    }
                }
            }
            @if opened.people.is_empty() { p.faint { (words.people_hint) } }
            @if works {
                details {
                    summary data-key="p" data-does=(words.add_person) { (words.add_person) }
                    (contact_form(&format!("/threads/{}/people", opened.thread.id), None, opened, words))
                }
            }
        }
    }
}

fn contact_form(to: &str, contact: Option<&Contact>, opened: &Opened, words: &Words) -> Markup {
    let id = contact.map_or("new".to_owned(), |contact| contact.id.to_string());
    let language = contact.and_then(|contact| contact.language.as_ref()).map_or("", |language| language.as_str());
    let field = |name: &str| format!("{name}-{id}");
    html! {
        form method="post" action=(to) data-quiet {
            input type="hidden" name="thread" value=(opened.thread.id);
            div.field { label for=(field("name")) { (words.name) }
                input id=(field("name")) name="name" maxlength="120" autocomplete="off" dir="auto" required value=(contact.map_or("", |contact| contact.name.as_str())); }
            div.field { label for=(field("for")) { (words.on_behalf_of) " " span.hint { (words.on_behalf_hint) } }
                input id=(field("for")) name="on_behalf_of" maxlength="120" autocomplete="off" dir="auto" value=(contact.and_then(|contact| contact.on_behalf_of.as_deref()).unwrap_or_default()); }
            div.field { label for=(field("language")) { (words.language) }
                select id=(field("language")) name="language" {
                    @for (tag, name) in ["", "en", "es"].into_iter().zip(words.languages) {
                        option value=(tag) selected[tag == language] { (name) }
                    }
                } }
            div.field { label for=(field("note")) { (words.note) }
                textarea id=(field("note")) name="note" rows="2" maxlength="2000" dir="auto" { "\n" (contact.map_or("", |contact| contact.note.as_str())) } }
            button.second type="submit" { (words.save) }
        }
    }
}

fn spoken<'a>(tag: &'a str, words: &Words) -> &'a str {
    match tag {
        "en" => words.languages[1],
        "es" => words.languages[2],
        other => other,
    }
}

fn consent(opened: &Opened, person: &Person, words: &Words, times: &Times) -> Markup {
    let to = |name: &str| format!("/threads/{}/{name}", opened.thread.id);
    let may = person.may(Act::ChangeConsent) && opened.thread.merged_into.is_none();
    let granted = opened.consent.as_ref().is_some_and(|consent| consent.state == ConsentState::Granted);
    html! {
        section.card aria-labelledby="consent" {
            h2 #consent { (words.consent) }
            @match &opened.consent {
                None => p { span.badge.plain { (words.never) } },
                Some(consent) => (evidence(opened, consent, person.ui, words, times)),
            }
            @if may && granted {
                details {
                    summary data-key="i o" data-does=(words.opt_out) { (words.opt_out) }
                    form method="post" action=(to("opt-out")) data-quiet {
                        div.field { label for="opt_out_why" { (words.opt_out_why) } textarea #opt_out_why name="words" rows="2" dir="auto" required {} }
                        button.danger type="submit" { (words.opt_out) }
                    }
                }
            }
            @if may && !granted {
                details {
                    summary data-key="i o" data-does=(words.grant) { (words.grant) }
                    form method="post" action=(to("consent")) data-quiet {
                        div.field { label for="grant_words" { (words.grant_words) } textarea #grant_words name="words" rows="2" dir="auto" required {} }
                        button.second type="submit" { (words.grant) }
                    }
                }
            }
        }
    }
}

fn evidence(opened: &Opened, consent: &Consent, ui: Ui, words: &Words, times: &Times) -> Markup {
    let method = match consent.method {
        ConsentMethod::Keypress => words.methods[0],
        ConsentMethod::Text => words.methods[1],
        ConsentMethod::Staff => words.methods[2],
        ConsentMethod::Gateway => words.methods[3],
    };
    let staff = consent.method == ConsentMethod::Staff;
    html! {
        p {
            @match consent.state {
                ConsentState::Granted => span.badge.good { (words.granted) },
                ConsentState::Revoked => span.badge.bad { (words.revoked) },
            }
            " " (method) (GAP) (times.mark(consent.at, &times.short(consent.at)))
            @if staff { (GAP) ((words.recorded_by)(&opened.shown(&consent.actor))) }
            @if let Some(digit) = consent.digit { (GAP) ((words.key)(digit.as_char())) }
        }
        @if let Some(said) = &consent.disclosure {
            details {
                summary { (words.heard) }
                blockquote.words dir="auto" { (safe(said, thread::words(ui))) }
                @if let Some(hash) = &consent.prompt_sha256 {
                    p.small.faint { ((words.prompts)(hash.get(..12).unwrap_or(hash))) }
                }
            }
        }
    }
}

fn merge(opened: &Opened, ui: Ui, words: &Words, country: Country, times: &Times) -> Markup {
    html! {
        section.card {
            details {
                summary data-key="i m" data-does=(words.merge) { (words.merge) }
                p.hint { (words.merge_hint) }
                form method="post" action={ "/threads/" (opened.thread.id) "/merge" } {
                    @if !opened.earlier.is_empty() {
                        div.field { label for="into" { (words.merge_into) }
                            select #into name="into" {
                                option value="" { (words.merge_choose) }
                                @for other in &opened.earlier {
                                    option value=(other.id) {
                                        (times.date(other.opened_at))
                                        @if let Some(how) = other.resolution { ", " (thread_work::resolution(ui, how)) }
                                    }
                                }
                            } }
                    }
                    div.field { label for="merge_number" { (words.merge_number) }
                        input #merge_number name="number" type="tel" autocomplete="off" maxlength="40"; }
                    button.second type="submit" { (words.merge) }
                }
            }
            @for part in &opened.merged { p.small.faint { bdi { (part.number.shown_in(country)) } (GAP) (times.date(part.opened_at)) } }
        }
    }
}
