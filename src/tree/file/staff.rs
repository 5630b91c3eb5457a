//! The fields of the kinds for whoever stays on the line: `ring`, `queue`, `voicemail`, `callback`, `transfer`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::members::{RINGS, group, phone};
use super::{count, digit_of, duration, number_node, prompts, required_prompts, target_or_hangup};
use crate::model::Digit;
use crate::model::toml_file::{Table, Value};
use crate::tree::compile::Compiler;
use crate::tree::{
    Announce, Announced, CALL_RECORDED, Callback, Due, NodeId, OfferText, Queue, Ring, Transfer, Voicemail,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// How long somebody may be kept waiting for a person.
const PATIENCE: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(2 * 3_600);

/// How often something may be said to somebody who waits.
const SAYS: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3_600);

pub(super) fn ring(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Ring> {
    let group = group(table, true);
    let when_unanswered = target_or_hangup(table, "when_unanswered", compiler);
    Some(Ring {
        give_up_after: duration(table, "give_up_after", PATIENCE, 40 * SECOND),
        say: prompts(table, "say", compiler),
        music: prompts(table, "music", compiler),
        record: announcement(table, compiler),
        reason: words(table, "reason"),
        when_unanswered,
        when_busy: target(table, "when_busy", compiler).unwrap_or(when_unanswered),
        then: target_or_hangup(table, "then", compiler),
        group: group?,
    })
}

pub(super) fn queue(name: &str, table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Queue> {
    let group = group(table, true);
    let when_unanswered = target_or_hangup(table, "when_unanswered", compiler);
    let give_up_after = duration(table, "give_up_after", PATIENCE, 10 * MINUTE);
    let offer_text = table.get("offer_text").and_then(|value| offer_text(&value, give_up_after, compiler));
    let keys = keys(table, compiler);
    if let Some(offer) = offer_text.as_ref().filter(|offer| keys.contains_key(&offer.key)) {
        let message = format!("key {} takes the text and stands in `keys` as well", offer.key);
        table.reader().error(table.place(), message, "give one of them another key");
    }
    Some(Queue {
        line: words(table, "line").unwrap_or_else(|| name.to_owned()),
        priority: u8::try_from(count(table, "priority", 0..=9, 0)).unwrap_or_default(),
        say: prompts(table, "say", compiler),
        music: prompts(table, "music", compiler),
        record: announcement(table, compiler),
        offer_text,
        announce: announce(table, compiler),
        keys,
        give_up_after,
        most_waiting: count(table, "most_waiting", 1..=500, 20) as usize,
        reason: words(table, "reason"),
        when_unanswered,
        when_full: target(table, "when_full", compiler).unwrap_or(when_unanswered),
        when_nobody: target(table, "when_nobody", compiler).unwrap_or(when_unanswered),
        then: target_or_hangup(table, "then", compiler),
        group: group?,
    })
}

/// What tells callers that their conversation is recorded; nothing: it is not. `true` takes the words that every clinic
/// has.
fn announcement(table: &Table<'_>, compiler: &Compiler<'_>) -> Vec<String> {
    let Some(value) = table.get("record") else { return vec![] };
    if value.is_boolean() {
        if value.boolean() != Some(true) {
            return vec![];
        }
        if !compiler.unrecorded(&[CALL_RECORDED]).is_empty() {
            let message = format!("callers are told that they are recorded, and there is no prompt {CALL_RECORDED}");
            value.error(message, format!("record it in prompts/{}/", compiler.context.language));
        }
        return vec![CALL_RECORDED.to_owned()];
    }
    if value.one_or_more().is_empty() {
        value.error("nobody is recorded who has not been told", "write record = true, or name a prompt that says so");
    }
    compiler.prompts(&value)
}

fn offer_text(value: &Value<'_>, give_up_after: Duration, compiler: &Compiler<'_>) -> Option<OfferText> {
    let table = value.table()?;
    let say = required_prompts(&table, compiler);
    let after = duration(&table, "after", Duration::ZERO..=Duration::from_secs(3_600), 30 * SECOND);
    let every = duration(&table, "every", SAYS, MINUTE);
    let key = table.require("key", "say which key takes it: key = 1").and_then(|value| digit_of(&value));
    let to = table.require("to", "say which text: to = \"text:…\"").and_then(|value| {
        let id = compiler.target(&value);
        if !value.string()?.starts_with("text:") {
            value.error("`to` must lead to a text", "write to = \"text:…\"");
        }
        Some(id)
    });
    table.finish();
    if after >= give_up_after {
        let cure = "make `after` shorter, or `give_up_after` longer";
        value.reader().warning(value.key_span(), "the text is never offered: the waiting ends before", cure);
    }
    Some(OfferText { after, every, say, key: key?, to: to? })
}

fn announce(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Announce> {
    let whats = [("position", Announced::Position), ("wait", Announced::Wait)];
    let what = table.get("announce");
    let every = table.get("announce_position");
    if let (Some(what), None) = (&what, &every) {
        what.error("`announce` does not say how often", "write announce_position = \"45s\" beside it");
    }
    let what = what.map_or(Some(Announced::Position), |value| value.choice(&whats))?;
    let every = every?;
    let unrecorded = compiler.unrecorded(&what.prompts());
    if !unrecorded.is_empty() {
        let message = format!("callers are told where they stand, and there is no prompt {}", unrecorded.join(", "));
        every.error(message, format!("record them in prompts/{}/", compiler.context.language));
    }
    Some(Announce { every: every.duration(SAYS)?, what })
}

pub(super) fn voicemail(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Voicemail> {
    let say = required_prompts(table, compiler);
    let finish = table.get("finish").map_or(Digit::from_char('#'), |value| digit_of(&value));
    let keys = keys(table, compiler);
    if let Some(finish) = finish.filter(|finish| keys.contains_key(finish)) {
        let message = format!("key {finish} ends the message and stands in `keys` as well");
        table.reader().error(table.place(), message, "give one of them another key");
    }
    let shortest = duration(table, "shortest", Duration::ZERO..=30 * SECOND, SECOND);
    let longest = duration(table, "longest", 10 * SECOND..=30 * MINUTE, 3 * MINUTE);
    Some(Voicemail {
        say,
        longest,
        shortest,
        silence: duration(table, "silence", 2 * SECOND..=MINUTE, 6 * SECOND),
        keys,
        thanks: prompts(table, "thanks", compiler),
        too_short: prompts(table, "too_short", compiler),
        reason: words(table, "reason"),
        team: words(table, "team"),
        then: target_or_hangup(table, "then", compiler),
        finish: finish?,
    })
}

pub(super) fn callback(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Callback> {
    const WHEN: &str = "write queue = \"queue:…\" to keep the place in a line, or opening = \"hours:…\"";
    let queue = table.get("queue");
    let opening = table.get("opening");
    let due = match (&queue, &opening) {
        (Some(queue), None) => of_kind(queue, "queue", compiler).map(Due::Turn),
        (None, Some(opening)) => of_kind(opening, "hours", compiler).map(Due::Opening),
        (Some(_), Some(opening)) => {
            opening.error("a call back is due either at the caller's turn or at an opening", "remove one of them");
            None
        }
        (None, None) => {
            table.reader().error(table.place(), "it does not say when the call back is due", WHEN);
            None
        }
    };
    let group = group(table, opening.is_some() && queue.is_none());
    Some(Callback {
        say: prompts(table, "say", compiler),
        group,
        booked: prompts(table, "booked", compiler),
        already: prompts(table, "already", compiler),
        reason: words(table, "reason"),
        then: target_or_hangup(table, "then", compiler),
        when_refused: target(table, "when_refused", compiler),
        ask: number_node(table, compiler),
        due: due?,
    })
}

pub(super) fn transfer(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Transfer> {
    let to = table.require("to", "say to whom: to = \"+12125550123\"").and_then(|value| phone(&value));
    Some(Transfer {
        say: prompts(table, "say", compiler),
        ring_for: duration(table, "ring_for", RINGS, 30 * SECOND),
        refer: table.get("refer").and_then(|value| value.boolean()).unwrap_or_default(),
        reason: words(table, "reason"),
        when_failed: target_or_hangup(table, "when_failed", compiler),
        then: target_or_hangup(table, "then", compiler),
        to: to?,
    })
}

/// A target that must be of `kind`.
fn of_kind(value: &Value<'_>, kind: &str, compiler: &Compiler<'_>) -> Option<NodeId> {
    let id = compiler.target(value);
    if value.string()?.split(':').next() != Some(kind) {
        value.error(format!("`{}` must name a node of the kind `{kind}`", value.key()), format!("write \"{kind}:…\""));
        return None;
    }
    Some(id)
}

fn keys(table: &Table<'_>, compiler: &Compiler<'_>) -> BTreeMap<Digit, NodeId> {
    let Some(keys) = table.get("keys").and_then(|value| value.table()) else { return BTreeMap::new() };
    let read = |entry: &Value<'_>| Some((super::key_of(entry)?, compiler.target(entry)));
    keys.entries().iter().filter_map(read).collect()
}

fn target(table: &Table<'_>, key: &'static str, compiler: &Compiler<'_>) -> Option<NodeId> {
    table.get(key).map(|value| compiler.target(&value))
}

fn words(table: &Table<'_>, key: &'static str) -> Option<String> {
    table.get(key).and_then(|value| value.words().map(str::to_owned))
}
