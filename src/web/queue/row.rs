//! One thread in the queue.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::bulk;
use crate::conversation::promise::{Promise, Wait};
use crate::model::{OpenedBy, ThreadState};
use crate::store::queue::Queued;
use crate::store::threads::Spoken;
use crate::web::person::Person;
use crate::web::presence::Present;
use crate::web::theirs::theirs;
use crate::web::words::queue::{self as words, Words};
use crate::web::words::refusal::reason;
use crate::web::words::{Ui, calls};
use crate::web::{Files, Web};

/// What all rows of a page have in common.
struct Look<'a> {
    ui: Ui,
    words: &'static Words,
    person: &'a Person,
    files: &'a Files,
    promise: Promise<'a>,
    zone: &'a TimeZone,
    is_open: bool,
    now: Timestamp,
}

/// The list.
pub fn rows(web: &Web, person: &Person, files: &Files, rows: &[Queued]) -> Markup {
    let now = web.clock.now();
    let promise = Promise::new(files.settings.desk.answer_within, &files.tree);
    let look = Look {
        ui: person.ui,
        words: words::words(person.ui),
        person,
        files,
        is_open: promise.is_open(now.wall),
        promise,
        zone: &files.settings.clinic.timezone,
        now: now.wall,
    };
    html! {
        ul.rows role="list" {
            @for row in rows { (look.row(row, &web.presences.at(row.id, now))) }
        }
    }
}

impl Look<'_> {
    fn row(&self, row: &Queued, present: &[Present]) -> Markup {
        let words = self.words;
        let number = row.number.shown_in(self.files.settings.clinic.country);
        let names = row.names.expose().join(" / ");
        let who = if names.is_empty() { &number } else { &names };
        let others: Vec<_> = present.iter().filter(|present| present.name != self.person.name).collect();
        html! {
            li.row #{ "t-" (row.id) } .unread[row.unread] .flagged[row.red_flag.is_some()] {
                label.pick {
                    input #{ "pick-" (row.id) } type="checkbox" name="thread" value=(bulk::row(row.id, row.owner.as_ref()));
                    span.hidden { (words.select) " " (self.theirs(who)) }
                }
                p.who {
                    a #{ "open-" (row.id) } href={ "/threads/" (row.id) } { (self.theirs(who)) }
                    @if !names.is_empty() { " " span.number.faint.small { (number) } }
                    " " span.channel.faint.small { (self.channel(row.opened_by)) }
                    @if let Some(reason) = &row.reason { span.faint.small { " · " (self.theirs(reason)) } }
                }
                p.said {
                    @if row.unread { span.badge.new { (words.unread) } " " }
                    @if row.red_flag.is_some() { span.badge.bad { (words.red_flag) } " " }
                    (self.last_words(row))
                }
                p.marks {
                    @if row.escalated_at.is_some() { span.badge.warn { (words.escalated) } " " }
                    @if let Some(why) = &row.undeliverable { span.badge.bad { (words.undeliverable) ": " (reason(self.ui, why)) } " " }
                    @if let Some(at) = row.follow_up_at {
                        @if at <= self.now { span.badge.warn { (words.follow_up_due) } " " }
                        @else { span.badge.plain { (words.follow_up) " " (self.moment(at)) } " " }
                    }
                    @if row.waiting_since.is_some() && row.opened_since.is_some() {
                        span.badge.plain { (words.opened_unanswered) } " "
                    }
                    @for tag in &row.tags { span.badge { (self.theirs(tag)) } " " }
                    @if row.owner.is_some() || row.team.is_some() { span.badge.plain.whose aria-hidden="true" { (self.owner(row)) } " " }
                    @for other in others {
                        span.presence { (other.shown_as) " " (if other.typing { words.is_typing } else { words.is_looking }) } " "
                    }
                }
                p.wait { (self.stands(row)) }
                p.owner.small {
                    (self.owner(row))
                    @if let Some(since) = row.waiting_since {
                        span.faint.long { " · " (words::waiting(self.ui, self.since(since), &self.moment(since))) }
                    }
                }
            }
        }
    }

    fn channel(&self, opened_by: OpenedBy) -> &'static str {
        match opened_by {
            OpenedBy::Call => self.words.call,
            OpenedBy::MissedCall => self.words.missed_call,
            OpenedBy::Text => self.words.text,
            OpenedBy::Staff => self.words.from_staff,
        }
    }

    fn owner<'a>(&'a self, row: &'a Queued) -> &'a str {
        match (&row.owner, &row.owner_shown_as) {
            (Some(owner), _) if *owner == self.person.name => self.words.you,
            (Some(_), Some(shown_as)) => shown_as,
            (Some(owner), None) => owner.as_str(),
            (None, _) => match row.team.as_ref().map(|team| self.team(team)) {
                Some(team) => team,
                None => self.words.nobody,
            },
        }
    }

    fn team<'a>(&'a self, name: &'a str) -> &'a str {
        self.files.settings.teams.iter().find(|team| team.name == name).map_or(name, |team| &team.shown_as)
    }

    fn last_words(&self, row: &Queued) -> Markup {
        if let Some(spoken) = row.last_spoken {
            let words = calls::words(self.ui);
            return match spoken {
                Spoken::Voicemail => html! { em { (words.left_message) } },
                Spoken::Callback => html! { em { (words.asked_callback) } },
            };
        }
        let Some(last) = &row.last_words else { return html! { span.faint { (self.words.no_words) } } };
        let author = match row.last_author.as_deref() {
            Some("patient") | None => None,
            Some(author) if author == self.person.name.as_str() => Some(self.words.you),
            Some("system") => Some(self.words.automatic),
            Some(author) => Some(row.last_author_shown_as.as_deref().unwrap_or(author)),
        };
        html! { @if let Some(author) = author { span.faint { (author) ": " } } (self.theirs(last.expose())) }
    }

    fn theirs(&self, text: &str) -> Markup {
        theirs(text, self.ui)
    }

    /// Who waits for whom, against the promise.
    fn stands(&self, row: &Queued) -> Markup {
        let words = self.words;
        match row.state {
            ThreadState::Snoozed => {
                let until = row.snoozed_until.map(|at| words::until(self.ui, &self.moment(at)));
                return html! { span.badge.plain { (until.unwrap_or_default()) } };
            }
            ThreadState::Closed => {
                let closed = row.closed_at.map(|at| words::closed_at(self.ui, &self.moment(at)));
                return html! { span.badge.plain { (closed.unwrap_or_default()) } };
            }
            ThreadState::Open => {}
        }
        let Some(since) = row.waiting_since else {
            let patient = row.last_author.as_deref().is_some_and(|author| author != "patient");
            return html! { span.badge.plain { (if patient { words.waits_for_patient } else { words.nobody_waits }) } };
        };
        let wait = self.promise.wait(since, self.now);
        let colour = match wait {
            Wait::Fresh { .. } => "badge good",
            Wait::Soon { .. } => "badge warn",
            Wait::Late { .. } => "badge bad",
        };
        let due = self.moment(self.promise.due(since));
        let (whole, brief) = words::wait(self.ui, wait, &due, self.is_open);
        html! {
            span class=(colour) { span.whole { (whole) } span.brief aria-hidden="true" { (brief) } }
        }
    }

    fn since(&self, at: Timestamp) -> Duration {
        Duration::try_from(self.now.duration_since(at)).unwrap_or_default()
    }

    fn moment(&self, at: Timestamp) -> String {
        words::moment(self.ui, at, self.now, self.zone)
    }
}
