//! `ring = [ … ]`: the phones of a group.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Group, duration};
use crate::model::toml_file::{Table, Value};
use crate::model::{Member, Phone, Strategy};

/// How long a phone may ring.
pub(super) const RINGS: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(300);

/// How long a phone may wait until the others have rung.
const DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(300);

/// How long each phone rings unless the file says otherwise.
const RING_FOR: Duration = Duration::from_secs(25);

/// More phones do not ring for one caller.
const MOST_MEMBERS: usize = 50;

pub(super) const PHONE: &str = "write \"extension:201\", \"sip:201@10.0.0.20\" or a number such as \"+12125550123\"";

/// `ring`, `strategy` and `ring_for`. Without `ring` there is no group; that is a mistake where one is `required`.
pub(super) fn group(table: &Table<'_>, required: bool) -> Option<Group> {
    const WHOM: &str = "say whose phones ring: ring = [\"extension:201\"]";
    let strategies = [("all", Strategy::All), ("in_turn", Strategy::InTurn), ("longest_idle", Strategy::LongestIdle)];
    let strategy = table.get("strategy").and_then(|value| value.choice(&strategies));
    let ring_for = duration(table, "ring_for", RINGS, RING_FOR);
    let list = if required { table.require("ring", WHOM) } else { table.get("ring") }?;
    let mut members: Vec<Member> = Vec::new();
    for entry in list.one_or_more() {
        let Some(member) = member(&entry, ring_for) else { continue };
        if members.iter().any(|other| other.phone == member.phone) {
            entry.reader().warning(entry.span(), format!("{} rings twice", member.phone), "name it once");
            continue;
        }
        members.push(member);
    }
    if list.one_or_more().is_empty() {
        list.error("`ring` is empty: nobody would be rung", WHOM);
    }
    if members.len() > MOST_MEMBERS {
        list.error(
            format!("{} phones are too many for one group", members.len()),
            format!("name {MOST_MEMBERS} at most"),
        );
    }
    Some(Group { members, strategy: strategy.unwrap_or_default() })
}

/// `"extension:201"`, or `{ phone = "extension:203", delay = "10s", for = "15s" }`.
fn member(entry: &Value<'_>, ring_for: Duration) -> Option<Member> {
    if !entry.is_table() {
        return Some(Member { phone: phone(entry)?, delay: Duration::ZERO, ring_for });
    }
    let table = entry.table()?;
    let of = table.require("phone", "say which: phone = \"extension:201\"");
    let delay = duration(&table, "delay", DELAY, Duration::ZERO);
    let ring_for = duration(&table, "for", RINGS, ring_for);
    table.finish();
    Some(Member { phone: phone(&of?)?, delay, ring_for })
}

pub(super) fn phone(value: &Value<'_>) -> Option<Phone> {
    let read = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is no phone"));
    value.parse_with(read, PHONE)
}
