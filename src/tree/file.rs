//! The fields of each kind of node, as the file writes them; those of the kinds for whoever stays on the line in `staff`.

mod members;
mod staff;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::compile::Compiler;
use super::{Choice, Days, Group, Hangup, Hours, HoursNode, Kind, Menu, Minute, NodeId, Number, Opening, Play, Text};
use super::{DIGIT_PROMPTS, HANGUP_NODE};
use crate::model::Digit;
use crate::model::toml_file::{Table, Value};

/// How long a caller may be waited for.
const WAIT: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(60);

/// Reads `[KIND.NAME]`. None: it could not be read, and why was reported.
pub(super) fn kind(kind: &str, name: &str, table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Kind> {
    let node = match kind {
        "menu" => menu(table, compiler).map(Kind::Menu),
        "play" => play(table, compiler).map(Kind::Play),
        "hours" => hours(table, compiler).map(Kind::Hours),
        "text" => text(table, compiler).map(Kind::Text),
        "number" => number(table, compiler).map(Kind::Number),
        "ring" => staff::ring(table, compiler).map(Kind::Ring),
        "queue" => staff::queue(name, table, compiler).map(Box::new).map(Kind::Queue),
        "voicemail" => staff::voicemail(table, compiler).map(Kind::Voicemail),
        "callback" => staff::callback(table, compiler).map(Kind::Callback),
        "transfer" => staff::transfer(table, compiler).map(Kind::Transfer),
        _ => Some(Kind::Hangup(Hangup { say: prompts(table, "say", compiler) })),
    };
    table.finish();
    node
}

fn menu(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Menu> {
    let say = required_prompts(table, compiler);
    let keys = table.require("keys", "write keys = { 1 = \"text:…\" }").and_then(|keys| keys.table());
    let keys = keys.map(|keys| choices(&keys, compiler));
    Some(Menu {
        say,
        stay: target_or_hangup(table, "stay", compiler),
        wait: duration(table, "wait", WAIT, Duration::from_secs(4)),
        repeat: count(table, "repeat", 0..=9, 1),
        wrong_key: prompts(table, "wrong_key", compiler),
        wrong_keys: count(table, "wrong_keys", 1..=9, 3),
        keys: keys?,
    })
}

fn choices(keys: &Table<'_>, compiler: &Compiler<'_>) -> BTreeMap<Digit, Choice> {
    let mut choices = BTreeMap::new();
    for entry in keys.entries() {
        if let Some(digit) = key_of(&entry) {
            choices.extend(choice(&entry, compiler).map(|choice| (digit, choice)));
        }
    }
    if keys.entries().is_empty() {
        keys.reader().error(keys.place(), "the menu offers no key", "write keys = { 1 = \"text:…\" }");
    }
    choices
}

const KEY: &str = "write one of 0 to 9, \"*\" or \"#\"";

/// The telephone's key that an entry's name is.
fn key_of(entry: &Value<'_>) -> Option<Digit> {
    let digit = only_digit(entry.key());
    if digit.is_none() {
        entry.reader().error(entry.key_span(), format!("`{}` is no key of a telephone", entry.key()), KEY);
    }
    digit
}

/// The telephone's key that a value is: `1` or `"1"`, `"*"`.
fn digit_of(value: &Value<'_>) -> Option<Digit> {
    if !value.is_string() {
        let number = value.integer(0..=9)?;
        return u32::try_from(number).ok().and_then(|number| char::from_digit(number, 10)).and_then(Digit::from_char);
    }
    let text = value.string()?;
    let digit = only_digit(text);
    if digit.is_none() {
        value.error(format!("\"{text}\" is no key of a telephone"), KEY);
    }
    digit
}

fn only_digit(text: &str) -> Option<Digit> {
    let mut chars = text.chars();
    chars.next().and_then(Digit::from_char).filter(|_| chars.next().is_none())
}

/// `"kind:name"`, or `{ language = "es", to = "menu:inicio" }`.
fn choice(entry: &Value<'_>, compiler: &Compiler<'_>) -> Option<Choice> {
    if !entry.is_table() {
        return Some(Choice { to: compiler.target(entry), language: None });
    }
    let table = entry.table()?;
    let language = table.get("language").and_then(|value| compiler.language(&value));
    let to = table.require("to", "say where the key leads: to = \"menu:…\"").map(|value| compiler.target(&value));
    table.finish();
    Some(Choice { to: to?, language })
}

fn play(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Play> {
    Some(Play { say: required_prompts(table, compiler), then: target_or_hangup(table, "then", compiler) })
}

fn hours(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<HoursNode> {
    const OPEN: &str = "write open = [ { days = \"mon-fri\", from = \"08:00\", to = \"17:00\" } ]";
    let open = table.require("open", OPEN).map(|value| openings(&value));
    let closed = table.get("closed").map(|value| holidays(&value, compiler)).unwrap_or_default();
    let when_open = table.require("when_open", "say where to go: when_open = \"menu:…\"");
    let when_closed = table.require("when_closed", "say where to go: when_closed = \"menu:…\"");
    let when_holiday = table.get("when_holiday").map(|value| compiler.target(&value));
    let when_open = when_open.map(|value| compiler.target(&value));
    let when_closed = when_closed.map(|value| compiler.target(&value));
    Some(HoursNode {
        hours: Hours { open: open?, closed },
        when_open: when_open?,
        when_closed: when_closed?,
        when_holiday: when_holiday.or(when_closed)?,
    })
}

fn openings(value: &Value<'_>) -> Vec<Opening> {
    let mut openings: Vec<Opening> = Vec::new();
    for entry in value.list().unwrap_or_default() {
        let Some(opening) = entry.table().and_then(|table| opening(&table)) else { continue };
        if openings.iter().any(|other| other.overlaps(&opening)) {
            let cure = "write each time once; harmless, but one of them is probably meant otherwise";
            value.reader().warning(entry.span(), "this opening overlaps another", cure);
        }
        openings.push(opening);
    }
    openings
}

fn opening(table: &Table<'_>) -> Option<Opening> {
    const TIME: &str = "write it as \"08:00\", from \"00:00\" to \"24:00\"";
    let time = |text: &str| Minute::parse(text).ok_or_else(|| format!("\"{text}\" is no time of day"));
    let days = |text: &str| Days::parse(text).ok_or_else(|| format!("\"{text}\" are no days"));
    let of_days = table.require("days", "write days = \"mon-fri\"");
    let of_days = of_days.and_then(|value| value.parse_with(days, "write \"mon-thu\", \"fri\" or \"mon,wed\""));
    let from = table.require("from", "write from = \"08:00\"").and_then(|value| value.parse_with(time, TIME));
    let to_value = table.require("to", "write to = \"17:00\"");
    let to = to_value.as_ref().and_then(|value| value.parse_with(time, TIME));
    table.finish();
    let opening = Opening { days: of_days?, from: from?, to: to? };
    if opening.to <= opening.from {
        let cure = "an opening past midnight is two: one to \"24:00\", and from \"00:00\" on the next day";
        to_value?.error("the opening ends before it begins", cure);
        return None;
    }
    Some(opening)
}

fn holidays(value: &Value<'_>, compiler: &Compiler<'_>) -> BTreeSet<jiff::civil::Date> {
    let mut all = BTreeSet::new();
    for entry in value.list().unwrap_or_default() {
        let Some(date) = entry.date() else { continue };
        if date < compiler.context.today {
            value.reader().warning(entry.span(), format!("{date} is past"), "write this year's date, or remove it");
        }
        all.insert(date);
    }
    all
}

fn text(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Text> {
    let message = table.require("message", "name a message of messages.toml: message = \"greeting\"");
    let message = message.and_then(|value| compiler.message(&value));
    let ask = number_node(table, compiler);
    Some(Text {
        say: prompts(table, "say", compiler),
        reason: table.get("reason").and_then(|value| value.words().map(str::to_owned)),
        then: target_or_hangup(table, "then", compiler),
        when_refused: table.get("when_refused").map(|value| compiler.target(&value)),
        ask,
        message: message?,
    })
}

/// `ask`: who asks a caller without a number for one.
fn number_node(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<NodeId> {
    let value = table.get("ask")?;
    let id = compiler.target(&value);
    if !value.string()?.starts_with("number:") {
        value.error("`ask` must lead to a number node", "write ask = \"number:…\"");
    }
    Some(id)
}

fn number(table: &Table<'_>, compiler: &Compiler<'_>) -> Option<Number> {
    let say = required_prompts(table, compiler);
    let confirm = table.require("confirm", "name the prompt that says: if that is right, press 1; to type it again, 2");
    let confirm = confirm.map(|value| compiler.prompts(&value)).unwrap_or_default();
    let min_digits = count(table, "min_digits", 3..=15, 7) as usize;
    let max_digits = count(table, "max_digits", 3..=18, 15) as usize;
    if min_digits > max_digits {
        table.reader().error(table.place(), "`min_digits` is more than `max_digits`", "exchange them");
    }
    let language = &compiler.context.language;
    let unrecorded = compiler.unrecorded(&DIGIT_PROMPTS);
    if !unrecorded.is_empty() {
        let message = format!("a number is read back digit by digit, and there is no prompt {}", unrecorded.join(", "));
        table.reader().error(table.place(), message, format!("record them in prompts/{language}/"));
    }
    Some(Number {
        say,
        read_back: prompts(table, "read_back", compiler),
        confirm,
        invalid: prompts(table, "invalid", compiler),
        min_digits,
        max_digits,
        wait: duration(table, "wait", WAIT, Duration::from_secs(6)),
        between_digits: duration(table, "between_digits", WAIT, Duration::from_secs(3)),
        repeat: count(table, "repeat", 0..=9, 2),
        then: table.get("then").map(|value| compiler.target(&value)),
        when_unanswered: target_or_hangup(table, "when_unanswered", compiler),
    })
}

fn prompts(table: &Table<'_>, key: &'static str, compiler: &Compiler<'_>) -> Vec<String> {
    table.get(key).map(|value| compiler.prompts(&value)).unwrap_or_default()
}

fn required_prompts(table: &Table<'_>, compiler: &Compiler<'_>) -> Vec<String> {
    let Some(value) = table.require("say", "name the prompt: say = \"welcome\"") else { return vec![] };
    if value.one_or_more().is_empty() {
        value.error("`say` is empty", "name at least one prompt: say = \"welcome\"");
    }
    compiler.prompts(&value)
}

fn target_or_hangup(table: &Table<'_>, key: &'static str, compiler: &Compiler<'_>) -> NodeId {
    table.get(key).map_or(HANGUP_NODE, |value| compiler.target(&value))
}

fn duration(table: &Table<'_>, key: &'static str, range: RangeInclusive<Duration>, default: Duration) -> Duration {
    table.get(key).and_then(|value| value.duration(range)).unwrap_or(default)
}

fn count(table: &Table<'_>, key: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
    let range = i64::from(*range.start())..=i64::from(*range.end());
    let count = table.get(key).and_then(|value| value.integer(range));
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or(default)
}
