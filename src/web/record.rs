//! Puts on record what somebody does or looks at, off the way of the page.

use serde_json::Value;

use super::Web;
use super::person::Person;
use crate::store::audit::{self, Entry};

/// Appends to the audit chain what `person` does: `detail` is never more than what was asked for, and how much was seen.
pub fn record(web: &Web, person: &Person, action: &'static str, subject: impl Into<String>, detail: Value) {
    let (name, at, subject) = (person.name.clone(), web.clock.now().wall, subject.into());
    web.store.try_write_detached(action, move |tx| {
        let detail = detail.clone();
        audit::append(tx, Entry { at, actor: name.as_str(), action, subject: &subject, detail })?;
        Ok(())
    });
}

/// As [`record`], for a list that may renew itself all day while somebody has it open (`is_part`): then it is on record
/// once in a quarter of an hour. The page itself is on record each time.
pub fn looked(web: &Web, person: &Person, is_part: bool, action: &'static str, subject: &'static str, detail: Value) {
    if web.door.looks_anew(&person.name, subject, web.clock.now().mono) || !is_part {
        record(web, person, action, subject, detail);
    }
}
