//! How the timeline looks.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::text::{GAP, Times, length};
use crate::model::{Country, Direction, EndedBy, MessageDirection, MessageStatus, Outcome, StaffName, ThreadId};
use crate::store::messages::MessageKind;
use crate::store::recordings::Recording;
use crate::store::timeline::{Call, Deed, Entry, Note, Text, Timeline, What};
use crate::store::voicemails::Voicemail;
use crate::web::Files;
use crate::web::calls::phone_name;
use crate::web::theirs::{safe, theirs};
use crate::web::voicemails::clock;
use crate::web::words::calls;
use crate::web::words::refusal::reason;
use crate::web::words::thread::Words;
use crate::web::words::thread_work;

/// What its entries need to know.
pub struct Around<'a> {
    /// The thread whose page it is.
    pub thread: ThreadId,
    /// The newest deed that the page shows.
    pub version: i64,
    /// How times are written.
    pub times: &'a Times,
    /// Its sentences.
    pub words: &'a Words,
    /// What people are called, by their sign-in name.
    pub names: &'a BTreeMap<StaffName, String>,
    /// Numbers of threads that became a part of this one.
    pub others: &'a BTreeMap<ThreadId, String>,
    /// Whether the reader may take texts back and resend them.
    pub works: bool,
    /// Whether they may hear voice messages, delete them, and hear recorded calls.
    pub hears: bool,
    pub deletes: bool,
    pub listens: bool,
    /// The clinic's files.
    pub files: &'a Files,
}

impl Around<'_> {
    /// What an author or actor is called.
    pub fn name(&self, name: &str) -> String {
        match name {
            "patient" | "caller" => self.words.patient.to_owned(),
            "system" | "automation" => self.words.house.to_owned(),
            name => StaffName::parse(name)
                .ok()
                .and_then(|name| self.names.get(&name).cloned())
                .unwrap_or_else(|| name.to_owned()),
        }
    }
}

/// A page of it. `path` is where the page before is fetched.
pub fn timeline(around: &Around<'_>, timeline: &Timeline, path: &str) -> Markup {
    let entries = &timeline.entries;
    html! {
        @if let Some(earlier) = &timeline.earlier {
            p.earlier {
                a.button.second href={ (path) "?before=" (earlier) } data-earlier { (around.words.earlier) }
            }
        }
        ol.timeline data-version=(timeline.version) {
            @for (index, entry) in entries.iter().enumerate() {
                @if index == 0 || !around.times.same_day(entries[index - 1].at, entry.at) {
                    li.day id={ "d" (entry.thread) "-" (around.times.field(entry.at).get(..10).unwrap_or_default()) } { h3 { (around.times.day(entry.at, around.words)) } }
                }
                (entry_row(around, entry))
            }
        }
    }
}

fn entry_row(around: &Around<'_>, entry: &Entry) -> Markup {
    let time = around.times.mark(entry.at, &around.times.clock(entry.at));
    let other = around.others.get(&entry.thread).filter(|_| entry.thread != around.thread);
    let other = html! { @if let Some(other) = other { (GAP) bdi { ((around.words.from_number)(other)) } } };
    // By its name a script knows which row it has already.
    let id = match &entry.what {
        What::Call(row) => format!("c{}", row.id),
        What::Text(row) => format!("m{}", row.id),
        What::Note(row) => format!("n{}", row.id),
        What::Deed(row) => format!("e{}", row.seq),
    };
    match &entry.what {
        What::Call(row) => html! { li.event.call id=(id) { (call(around, row, &time)) } },
        What::Text(row) => {
            let inbound = row.direction == MessageDirection::Inbound;
            let cancelled = row.status == MessageStatus::Cancelled;
            html! {
                li.message.in[inbound].out[!inbound].cancelled[cancelled] id=(id) { (text(around, row, &time, &other)) }
            }
        }
        What::Note(row) => html! { li.message.note id=(id) { (note(around, row, &time)) } },
        What::Deed(row) => html! { li.event id=(id) { (deed(around, row, &time)) } },
    }
}

fn call(around: &Around<'_>, call: &Call, time: &Markup) -> Markup {
    let words = around.words;
    let outcome = call.outcome.map_or(words.call_running, |outcome| words.outcomes[outcome_index(outcome)]);
    let lasted = match (call.answered_at, call.ended_at) {
        (Some(from), Some(to)) => i64::try_from(to.duration_since(from).as_millis()).ok(),
        _ => None,
    };
    html! {
            p {
                (time) " " strong { (if call.direction == Direction::Outbound { words.call_out } else { words.call }) } ": " (outcome)
                @if let Some(who) = answerer(around, call) { (GAP) (who) }
                @if let Some(lasted) = lasted { (GAP) ((words.call_length)(&length(lasted))) }
                @if let Some(waited) = call.waited_ms.filter(|waited| *waited >= 1000) {
                    (GAP) ((words.call_waited)(&length(waited)))
                }
                @if let Some(ended) = call.ended_by { (GAP) (words.ended_by[ended_index(ended)]) }
            }
            @if !call.path.is_empty() {
                p.small.faint {
                    a href={ "/calls/" (call.id) } { (words.call_path) } ": " (way(&call.path, words))
                    @if !call.digits.is_empty() { (GAP) ((words.call_keys)(&call.digits)) }
                    @if let Some(language) = &call.language { (GAP) ((words.call_language)(language.as_str())) }
                }
            }
            @for voicemail in &call.voicemails { (spoken(around, voicemail)) }
            @for recording in &call.recordings { (recorded(around, recording)) }
            @if let Some(callback) = &call.callback { p.small { (super::side::callback_state(callback, around.times)) } }
    }
}

/// Who of the clinic spoke on a call: the person, or else the phone.
fn answerer(around: &Around<'_>, call: &Call) -> Option<String> {
    let words = calls::words(around.times.ui);
    let phone = call.answered_by.as_ref().map(|phone| phone_name(around.files, phone));
    let who = match (&call.staff, phone) {
        (Some(staff), Some(phone)) => format!("{} ({phone})", around.name(staff.as_str())),
        (Some(staff), None) => around.name(staff.as_str()),
        (None, Some(phone)) => phone,
        (None, None) => return None,
    };
    let say = if call.direction == Direction::Outbound { words.placed_by } else { words.answered_by };
    Some(say(&who))
}

/// A voice message.
fn spoken(around: &Around<'_>, voicemail: &Voicemail) -> Markup {
    let (words, times) = (calls::words(around.times.ui), around.times);
    let at = times.short(voicemail.recorded_at);
    html! {
        div.spoken {
            p.small {
                strong { (words.voicemail) } " " (clock(voicemail.length)) (GAP)
                @match &voicemail.heard {
                    Some((name, when)) => span.faint { ((words.heard_by)(&around.name(name.as_str()), &times.short(*when))) },
                    None => span.badge.new { (words.unheard) },
                }
                @if voicemail.deleted_at.is_some() { (GAP) span.faint { (words.deleted) } }
            }
            @if around.hears && voicemail.deleted_at.is_none() {
                audio controls preload="none" src={ "/voicemails/" (voicemail.id) } aria-label=((words.play)(&at)) {}
                @if around.deletes {
                    form.now method="post" action={ "/voicemails/" (voicemail.id) "/delete" } data-quiet {
                        button.quiet type="submit" aria-label={ (words.delete) ": " ((words.play)(&at)) } { (words.delete) }
                    }
                }
            }
        }
    }
}

/// A recorded conversation.
fn recorded(around: &Around<'_>, recording: &Recording) -> Markup {
    let (words, times) = (calls::words(around.times.ui), around.times);
    html! {
        div.spoken {
            p.small {
                strong { (words.recording) } " " (clock(recording.length)) (GAP)
                span.faint { ((words.recording_until)(&times.date(recording.delete_after))) }
            }
            @if around.listens {
                audio controls preload="none" src={ "/recordings/" (recording.id) } aria-label={ (words.recording) " " (times.short(recording.started_at)) } {}
            }
        }
    }
}

/// The way of a call through the tree: `opening hours “clinic” → menu “welcome” → text “general”`
pub fn way(path: &[String], words: &Words) -> String {
    const KINDS: [&str; 11] =
        ["menu", "play", "hours", "text", "queue", "ring", "voicemail", "number", "transfer", "hangup", "callback"];
    let step = |node: &String| {
        let (kind, name) = node.split_once(':').unwrap_or((node, ""));
        let kind = KINDS.iter().position(|known| *known == kind).map_or(kind, |at| words.nodes[at]);
        if name.is_empty() { kind.to_owned() } else { format!("{kind} “{}”", name.replace('_', " ")) }
    };
    path.iter().map(step).collect::<Vec<_>>().join(" → ")
}

fn text(around: &Around<'_>, text: &Text, time: &Markup, other: &Markup) -> Markup {
    let words = around.words;
    let inbound = text.direction == MessageDirection::Inbound;
    let kind = match text.kind {
        MessageKind::Offer => Some(words.kinds[0]),
        MessageKind::MissedCall => Some(words.kinds[1]),
        MessageKind::StopReply => Some(words.kinds[2]),
        MessageKind::StartReply => Some(words.kinds[3]),
        MessageKind::HelpReply => Some(words.kinds[4]),
        MessageKind::Keyword | MessageKind::Chat => None,
    };
    let cancelled = text.status == MessageStatus::Cancelled;
    let said = html! { p.words dir="auto" { (safe(text.body.expose(), words)) @if !text.whole { " …" } } };
    html! {
            p.meta { strong { (theirs(&around.name(&text.author), around.times.ui)) } " " (time) (other) @if let Some(kind) = kind { (GAP) (kind) } }
            @if cancelled { del { (said) } } @else { (said) }
            @if !text.whole { (in_full(around, &format!("texts/{}", text.id), words.whole_text)) }
            @if !text.media.is_empty() {
                details.media {
                    summary { ((words.media)(text.media.len())) }
                    p.small.faint { (words.media_hint) }
                    @for address in &text.media { p.small { code { (safe(address.expose(), words)) } } }
                }
            }
            @if !inbound { (delivery(around, text)) }
    }
}

/// Where a text stands, why, and what to do.
fn delivery(around: &Around<'_>, text: &Text) -> Markup {
    let (words, times) = (around.words, around.times);
    let waits = text.due_at.filter(|due| text.status == MessageStatus::Queued && *due > times.now);
    let form = |to: &str, button: &str, class: &str| {
        html! {
            form.now method="post" action={ "/messages/" (text.id) "/" (to) } data-quiet {
                button.(class) type="submit" { (button) }
            }
        }
    };
    let staff = StaffName::parse(&text.author).is_ok();
    html! {
        @match text.status {
            MessageStatus::Queued if waits.is_some() => {
                p.meta.waits {
                    @if let Some(due) = waits {
                        span.badge.warn { (times.mark(due, &(words.goes_at)(&times.short(due)))) }
                    }
                }
                @if around.works && staff {
                    div.bar { (form("undo", words.undo, "second")) (form("now", words.send_now, "quiet")) }
                }
            }
            MessageStatus::Queued => p.meta { (words.queued) @if let Some(error) = &text.error { (GAP) (reason(around.times.ui, error)) } },
            MessageStatus::Sending => p.meta { (words.sending) },
            MessageStatus::Sent => p.meta { (words.sent) },
            MessageStatus::Delivered => p.meta {
                @match text.delivered_at {
                    Some(at) => (times.mark(at, &(words.delivered)(&times.short(at)))),
                    None => (words.sent),
                }
            },
            MessageStatus::Cancelled => p.meta { (words.cancelled) },
            MessageStatus::Received => {},
            MessageStatus::Failed | MessageStatus::Undelivered | MessageStatus::Unknown | MessageStatus::Expired => {
                p.notice.bad {
                    strong { (trouble(text.status, words)) } ": "
                    @match &text.error {
                        Some(error) => (reason(around.times.ui, error)),
                        None => (words.no_reason),
                    }
                    ". "
                    (cure(text.status, text.error.as_deref().unwrap_or_default(), words))
                }
                @if around.works {
                    div.bar {
                        form.now method="post" action={ "/messages/" (text.id) "/resend" } data-quiet {
                            input type="hidden" name="version" value=(around.version);
                            button.second type="submit" { (words.resend) }
                        }
                    }
                }
            }
        }
    }
}

fn trouble(status: MessageStatus, words: &Words) -> &'static str {
    match status {
        MessageStatus::Undelivered => words.not_delivered,
        MessageStatus::Unknown => words.unknown,
        MessageStatus::Expired => words.expired,
        _ => words.not_sent,
    }
}

/// What to do about a text that did not arrive, by the code that the gateway gave in brackets.
fn cure(status: MessageStatus, error: &str, words: &Words) -> &'static str {
    let code = error.rsplit_once('(').map_or("", |(_, code)| code.trim_end_matches(')'));
    match code {
        "30006" | "21614" => words.cure_landline,
        "21610" => words.cure_opted_out,
        "30003" => words.cure_unreachable,
        "30004" | "30007" | "30034" | "30032" | "21408" => words.cure_blocked,
        "21211" | "21217" | "30005" => words.cure_number,
        _ if error.contains("opted out") => words.cure_opted_out,
        _ if status == MessageStatus::Unknown => words.cure_unknown,
        _ => words.cure_else,
    }
}

fn note(around: &Around<'_>, note: &Note, time: &Markup) -> Markup {
    let words = around.words;
    html! {
            p.meta { strong { (theirs(&around.name(&note.author), around.times.ui)) } " " (time) (GAP) (words.note) }
            p.words dir="auto" { (safe(note.body.expose(), words)) @if !note.whole { " …" } }
            @if !note.whole { (in_full(around, &format!("notes/{}", note.id), words.whole_note)) }
    }
}

/// What is too long for the page: it comes when somebody opens it, without a script on a page of its own.
fn in_full(around: &Around<'_>, what: &str, title: &str) -> Markup {
    let path = format!("/threads/{}/{what}", around.thread);
    html! {
        details.whole data-part=(path) {
            summary { (title) }
            div { p { a href=(path) { (around.words.open_it) } } }
        }
    }
}

fn deed(around: &Around<'_>, deed: &Deed, time: &Markup) -> Markup {
    let at = |text: &str| text.parse().map(|at| around.times.short(at)).unwrap_or_default();
    let sentence = thread_work::deed(
        around.times.ui,
        &deed.what,
        &around.name(&deed.actor),
        &deed.detail,
        |name| around.name(name),
        at,
    );
    html! { p { (time) " " (theirs(&sentence, around.times.ui)) } }
}

fn outcome_index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Texted => 0,
        Outcome::Served => 1,
        Outcome::Voicemail => 2,
        Outcome::Callback => 3,
        Outcome::Transferred => 4,
        Outcome::Informed => 5,
        Outcome::Abandoned => 6,
        Outcome::Missed => 7,
        Outcome::Rejected => 8,
        Outcome::Failed => 9,
        Outcome::Interrupted => 10,
    }
}

fn ended_index(ended: EndedBy) -> usize {
    match ended {
        EndedBy::Caller => 0,
        EndedBy::System => 1,
        EndedBy::Staff => 2,
        EndedBy::Network => 3,
    }
}

/// The numbers of the parts of a thread, as they are shown beside their texts.
pub fn others<'a>(
    parts: impl Iterator<Item = &'a crate::store::threads::Thread>,
    country: Country,
) -> BTreeMap<ThreadId, String> {
    parts.map(|part| (part.id, part.number.shown_in(country))).collect()
}
