//! A clinic's past, made up: `threadline demo --fill`. The same number of messages gives the same past, up to now.

mod texts;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};

use crate::model::{
    CallId, Consent, ConsentMethod, ConsentState, Language, MessageDirection, MessageId, MessageStatus, OpenedBy,
    PhoneNumber, Roles, StaffName, ThreadId, ThreadState,
};
use crate::store::past::{self, PastCall, PastMessage, PastThread};
use crate::store::staff::{self, Staff};
use crate::store::{Store, StoreError, consents};

use texts::{DAYS, DOCTORS, DRUGS, FIRST, LAST, NOTES, PHARMACIES, STREETS, Says, TOPICS, Topic};

/// Messages a thread has on average.
const A_THREAD: u64 = 10;
/// The past begins so long ago.
const YEARS: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);
/// Threads that are still open, at most.
const OPEN: u64 = 300;
/// Rows in one transaction.
const AT_ONCE: usize = 5_000;
/// Numbers set aside for examples: +1 NXX 555 01XX, from area code 213 on.
const NUMBERS: u64 = 70_000;

/// The people of the made-up desk: sign-in name, name, roles, team.
const DESK: [(&str, &str, &str, Option<&str>); 7] = [
    ("carla.ruiz", "Carla Ruiz", "front_desk", Some("front_desk")),
    ("ben.carter", "Ben Carter", "front_desk", Some("front_desk")),
    ("dana.wu", "Dana Wu", "front_desk", Some("billing")),
    ("eli.stone", "Eli Stone", "front_desk", None),
    ("nurse.kim", "Joy Kim", "clinical", Some("nurses")),
    ("pat.reyes", "Pat Reyes", "clinical", Some("nurses")),
    ("mona.hart", "Mona Hart", "manager", None),
];

/// Something to be written, in its time's turn.
enum Row {
    Person(PhoneNumber, String, Language, Timestamp),
    Thread(Box<PastThread>, Option<Box<PastCall>>),
    Message(PastMessage),
    Note(ThreadId, StaffName, String, Timestamp),
}

/// Fills `store` with about `messages` messages that end at `now`, and says on stderr how far it is.
pub fn fill(store: &Store, messages: u64, clinic: &PhoneNumber, now: Timestamp) -> Result<()> {
    let names = people(store, now)?;
    let threads = (messages / A_THREAD).max(1);
    let start = now.checked_sub(YEARS)?;
    let mut past = Past { dice: Dice(1), clinic: clinic.clone(), names, now, messages: 0 };
    let mut waiting: BinaryHeap<Reverse<Due>> = BinaryHeap::new();
    let mut rows = Vec::with_capacity(AT_ONCE);
    let mut order = 0;
    let mut shown = 0;
    for at in 0..threads {
        // The newest threads are the open ones, each with a number of its own.
        let span = YEARS.as_secs().unsigned_abs();
        let opened_at = start.checked_add(SignedDuration::from_secs(i64::try_from(span * at / threads)?))?;
        while waiting.peek().is_some_and(|Reverse(due)| due.at <= opened_at) {
            if let Some(Reverse(due)) = waiting.pop() {
                rows.push(due.row);
            }
        }
        let left = threads - at;
        let due = messages.saturating_sub(past.messages) / left.max(1);
        for (at, row) in past.thread(at, left <= OPEN.min(threads / 4), due, opened_at)? {
            order += 1;
            waiting.push(Reverse(Due { at, order, row }));
        }
        if rows.len() >= AT_ONCE {
            write(store, std::mem::take(&mut rows))?;
        }
        let percent = (at + 1) * 100 / threads;
        if percent > shown {
            shown = percent;
            progress(percent, past.messages);
        }
    }
    rows.extend(waiting.into_sorted_vec().into_iter().rev().map(|Reverse(due)| due.row));
    write(store, rows)
}

fn progress(percent: u64, messages: u64) {
    let mut err = std::io::stderr();
    let end = if err.is_terminal() && percent < 100 { '\r' } else { '\n' };
    if end == '\r' || percent.is_multiple_of(10) {
        let _ = write!(err, "a clinic’s past: {percent} %, {messages} messages{end}");
        let _ = err.flush();
    }
}

/// A row, and when its turn is. Of two at the same time, the one made first goes first.
struct Due {
    at: Timestamp,
    order: u64,
    row: Row,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

fn people(store: &Store, now: Timestamp) -> Result<Vec<(StaffName, Option<&'static str>)>> {
    let mut names = Vec::new();
    for (name, shown_as, roles, team) in DESK {
        let name: StaffName = name.parse()?;
        let roles: Roles = roles.parse()?;
        let person = Staff {
            name: name.clone(),
            shown_as: shown_as.into(),
            roles,
            team: team.map(str::to_owned),
            language: Language::default(),
            away_until: None,
            disabled_at: None,
        };
        store.write_blocking(move |tx| match staff::find(tx, &person.name)? {
            Some(_) => Ok(()),
            None => staff::add(tx, &person, "system", now),
        })?;
        names.push((name, team));
    }
    Ok(names)
}

fn write(store: &Store, rows: Vec<Row>) -> Result<()> {
    let named_by: StaffName = DESK[0].0.parse()?;
    store.write_blocking(move |tx| {
        for row in rows {
            match row {
                Row::Person(number, name, language, at) => {
                    past::person(tx, &number, &name, &language, &named_by, at)?;
                    let consent = Consent::new(number, ConsentState::Granted, ConsentMethod::Text, "patient", at);
                    consents::append(tx, &consent)?;
                }
                Row::Thread(thread, call) => {
                    past::thread(tx, &thread)?;
                    if let Some(call) = call {
                        past::call(tx, &call)?;
                    }
                }
                Row::Message(message) => past::message(tx, &message)?,
                Row::Note(thread, author, body, at) => past::note(tx, thread, &author, &body, at)?,
            }
        }
        Ok::<(), StoreError>(())
    })?;
    Ok(())
}

/// The one who makes it up.
struct Past {
    dice: Dice,
    clinic: PhoneNumber,
    names: Vec<(StaffName, Option<&'static str>)>,
    now: Timestamp,
    messages: u64,
}

impl Past {
    /// One thread of about `length` messages, with its call, notes and person.
    fn thread(&mut self, at: u64, open: bool, length: u64, opened_at: Timestamp) -> Result<Vec<(Timestamp, Row)>> {
        // Patients come back: the numbers go round, so that those of the newest threads differ.
        let patient = at % NUMBERS;
        let number = number(patient)?;
        let mut own = Dice(patient + 7);
        let (first, last) = (own.word(&FIRST), own.word(&LAST));
        let spanish = own.one_in(4);
        let language = Language::parse(if spanish { "es" } else { "en" })?;
        let topic = self.dice.of(&TOPICS);
        let (owner, team) = self.dice.of(&self.names).clone();
        let (id, call_id) = (ThreadId::new(opened_at), CallId::new(opened_at));
        let by_call = !self.dice.one_in(3);
        let mut rows = Vec::new();
        if at < NUMBERS {
            rows.push((opened_at, Row::Person(number.clone(), format!("{first} {last}"), language.clone(), opened_at)));
        }
        let wanted = self.dice.below(length.max(1) * 2).clamp(2, 60);
        let (messages, first_reply_at) =
            self.talk(id, &number, topic, spanish, first, &owner, wanted, opened_at, open)?;
        self.messages += messages.len() as u64;
        let newest = messages.last().context("a thread has a message")?;
        let last = (newest.at, newest.author.clone(), newest.body.chars().take(160).collect());
        let ends = newest.at;
        let waits = newest.direction == MessageDirection::Inbound;
        let undeliverable = !waits && self.dice.one_in(60);
        let snoozed = open && !waits && self.dice.one_in(3);
        let thread = PastThread {
            id,
            number: number.clone(),
            state: match (open, snoozed) {
                (false, _) => ThreadState::Closed,
                (true, true) => ThreadState::Snoozed,
                (true, false) => ThreadState::Open,
            },
            owner: (!open || first_reply_at.is_some()).then(|| owner.clone()),
            team: team.map(str::to_owned),
            tags: if self.dice.one_in(3) { vec![] } else { vec![topic.tag.to_owned()] },
            reason: Some(topic.reason.to_owned()),
            language: language.clone(),
            opened_by: if by_call { OpenedBy::Call } else { OpenedBy::Text },
            call: by_call.then_some(call_id),
            opened_at,
            first_reply_at,
            waiting_since: (open && waits).then_some(ends),
            closed_at: (!open).then(|| later(ends, 600).min(self.now)),
            snoozed_until: snoozed.then(|| later(self.now, 20 * 3600)),
            follow_up_at: (open && self.dice.one_in(10)).then(|| later(self.now, 48 * 3600)),
            red_flag: (open && waits && self.dice.one_in(40)).then(|| "chest pain".to_owned()),
            undeliverable: undeliverable.then(|| "30006: the number is a landline".to_owned()),
            last,
        };
        let call = by_call.then(|| {
            Box::new(PastCall {
                id: call_id,
                caller: number.clone(),
                clinic: self.clinic.clone(),
                language,
                path: vec!["hours:clinic".into(), "menu:welcome".into(), format!("text:{}", topic.reason)],
                digits: "1".into(),
                outcome: "texted",
                thread: Some(id),
                at: opened_at,
                ended_at: later(opened_at, 24),
            })
        });
        rows.push((opened_at, Row::Thread(Box::new(thread), call)));
        if self.dice.one_in(8) {
            let note = self.dice.word(&NOTES);
            let body = self.fill_in(note, false, first);
            rows.push((ends, Row::Note(id, owner, body, ends)));
        }
        rows.extend(messages.into_iter().map(|message| (message.at, Row::Message(message))));
        Ok(rows)
    }

    /// What is written in a thread, and when a person first answered.
    #[allow(clippy::too_many_arguments)] // one caller, which has just made up all of it
    fn talk(
        &mut self,
        thread: ThreadId,
        number: &PhoneNumber,
        topic: &Topic,
        spanish: bool,
        first: &str,
        owner: &StaffName,
        wanted: u64,
        opened_at: Timestamp,
        open: bool,
    ) -> Result<(Vec<PastMessage>, Option<Timestamp>)> {
        let mut messages = Vec::new();
        let mut first_reply_at = None;
        let mut at = opened_at;
        let mut topic = topic;
        while (messages.len() as u64) < wanted {
            let lines = if spanish { topic.es } else { topic.en };
            for (says, line) in lines {
                if messages.len() as u64 >= wanted {
                    break;
                }
                at = later(at, 20 + self.dice.below(if *says == Says::Staff { 900 } else { 1_500 })).min(self.now);
                let staff = *says == Says::Staff;
                if staff && first_reply_at.is_none() {
                    first_reply_at = Some(at);
                }
                messages.push(PastMessage {
                    id: MessageId::new(at),
                    thread,
                    direction: if staff { MessageDirection::Outbound } else { MessageDirection::Inbound },
                    author: if staff { owner.to_string() } else { "patient".into() },
                    patient: number.clone(),
                    clinic: self.clinic.clone(),
                    body: self.fill_in(line, spanish, first),
                    status: if staff { MessageStatus::Delivered } else { MessageStatus::Received },
                    at,
                });
            }
            topic = self.dice.of(&TOPICS);
        }
        // Somebody closes a thread once it has been answered; many open ones wait for that.
        if !open && messages.last().is_some_and(|message| message.direction == MessageDirection::Inbound) {
            let at = later(at, 60 + self.dice.below(600)).min(self.now);
            first_reply_at = first_reply_at.or(Some(at));
            messages.push(PastMessage {
                id: MessageId::new(at),
                direction: MessageDirection::Outbound,
                author: owner.to_string(),
                body: if spanish { "Con mucho gusto. ¡Que le vaya bien!" } else { "You are welcome. Take care!" }
                    .into(),
                status: MessageStatus::Delivered,
                at,
                ..messages.last().context("there is a last message")?.clone()
            });
        }
        Ok((messages, first_reply_at))
    }

    fn fill_in(&mut self, line: &str, spanish: bool, first: &str) -> String {
        let mut text = String::with_capacity(line.len() + 16);
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (gap, after) = after.split_once('}').unwrap_or((after, ""));
            match gap {
                "first" => text.push_str(first),
                "day" => text.push_str(self.dice.word(&DAYS[usize::from(spanish)])),
                "time" | "other" => {
                    text.push_str(&format!(
                        "{}:{}",
                        8 + self.dice.below(10),
                        self.dice.word(&["00", "15", "30", "45"])
                    ));
                }
                "doctor" => text.push_str(self.dice.word(&DOCTORS)),
                "street" => text.push_str(self.dice.word(&STREETS)),
                "drug" => text.push_str(self.dice.word(&DRUGS)),
                "pharmacy" => text.push_str(self.dice.word(&PHARMACIES)),
                "amount" => text.push_str(&(20 + self.dice.below(400)).to_string()),
                _ => text.push_str(&self.code()),
            }
            rest = after;
        }
        text + rest
    }

    /// A reference that is hardly ever the same twice.
    fn code(&mut self) -> String {
        let mut letter = || char::from(b'A' + u8::try_from(self.dice.below(26)).unwrap_or(0));
        let (a, b, c) = (letter(), letter(), letter());
        format!("{a}{b}{c}{}", 1000 + self.dice.below(9000))
    }
}

fn number(patient: u64) -> Result<PhoneNumber> {
    Ok(PhoneNumber::e164(&format!("+1{}55501{:02}", 213 + patient / 100, patient % 100))?)
}

fn later(at: Timestamp, seconds: u64) -> Timestamp {
    let seconds = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0));
    at.checked_add(seconds).unwrap_or(Timestamp::MAX)
}

/// Numbers that look like chance and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(all.len() as u64)).unwrap_or(0);
        &all[at]
    }
    fn word(&mut self, all: &[&'static str]) -> &'static str {
        self.of::<&str>(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;
    use crate::store::search::{Filters, Terms, contacts, texts};
    use crate::store::{audit, export};

    fn filled() -> (tempfile::TempDir, Store, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Events::default()).unwrap();
        let now = "2026-11-02T16:00:00Z".parse().unwrap();
        fill(&store, 2_000, &PhoneNumber::e164("+12125550100").unwrap(), now).unwrap();
        let mut bodies = Vec::new();
        let read = |conn: &_| {
            export::rows(conn, export::What::Messages, None, |line| -> Result<(), StoreError> {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(row["created_at"].as_str().unwrap() <= "2026-11-02T16:00:00Z", "{row}");
                bodies.push(row["body"].as_str().unwrap().to_owned());
                Ok(())
            })
        };
        store.read_blocking(read).unwrap();
        (folder, store, bodies)
    }

    #[test]
    fn a_made_up_past_is_whole_and_the_same_each_time() {
        let ((_one, store, bodies), (_two, _, again)) = (filled(), filled());
        assert!((1_900..=2_100).contains(&bodies.len()), "{}", bodies.len());
        let sorted = |mut all: Vec<String>| {
            all.sort();
            all
        };
        assert_eq!(sorted(bodies.clone()), sorted(again));
        assert!(bodies.iter().all(|body| !body.contains(['{', '}'])), "a gap was left");
        store
            .read_blocking(|conn| {
                assert!(audit::verify(conn).unwrap() > 400);
                let found = texts(conn, &Terms::parse("appoin"), &Filters::default(), None)?;
                assert_eq!(found.hits.len(), crate::store::search::PAGE);
                assert!(found.hits.is_sorted_by(|a, b| a.at >= b.at), "they were not written in their order");
                assert!(!contacts(conn, &Terms::parse("garcia"))?.is_empty());
                Ok(())
            })
            .unwrap();
    }
}
