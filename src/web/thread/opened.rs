//! A thread with all that stands beside it on its page, read at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::conversation::attendance::absence;
use crate::conversation::closing;
use crate::conversation::deeds::{self, Deed};
use crate::conversation::permission::{Act, may};
use crate::conversation::promise::opening_hours;
use crate::model::{Consent, PhoneNumber, StaffName, ThreadId};
use crate::sms::reply::{self, NotSent};
use crate::store::callbacks::{self, Callback};
use crate::store::people::Contact;
use crate::store::staff::{self, Staff};
use crate::store::threads::{self, Thread};
use crate::store::{Connection, StoreError, consents, labels, people};
use crate::web::problem::Problem;
use crate::web::{Files, Web};

/// So many earlier conversations of a number are listed.
const EARLIER: usize = 20;

/// A thread with all that stands beside it.
#[derive(Debug)]
pub struct Opened {
    pub thread: Thread,
    pub people: Vec<Contact>,
    pub consent: Option<Consent>,
    pub staff: Vec<Staff>,
    pub earlier: Vec<Thread>,
    pub merged: Vec<Thread>,
    pub suggestions: Vec<String>,
    /// Whether "anything else?" can be asked now.
    pub can_offer: bool,
    pub callback: Option<Callback>,
    absent: BTreeSet<StaffName>,
}

impl Opened {
    fn find(conn: &Connection, id: ThreadId, now: Timestamp, files: &Files) -> Result<Option<Opened>, StoreError> {
        let Some(thread) = threads::find(conn, id)? else { return Ok(None) };
        let (hours, zone) = (opening_hours(&files.tree), &files.settings.clinic.timezone);
        let attendance = staff::attendance(conn)?.into_iter();
        let absent = attendance.filter(|(_, of)| absence(of, hours, zone, now).is_some()).map(|(name, _)| name);
        let mut earlier = threads::of_number(conn, &thread.number, EARLIER)?;
        earlier.retain(|other| other.id != id && other.merged_into.is_none());
        let mut opened = Opened {
            people: people::of_number(conn, &thread.number)?,
            consent: consents::current(conn, &thread.number)?,
            staff: staff::list(conn)?,
            merged: threads::merged_into(conn, id)?,
            suggestions: labels::tags(conn)?,
            callback: callbacks::of_thread(conn, id)?,
            thread,
            earlier,
            can_offer: false,
            absent: absent.collect(),
        };
        opened.can_offer = files.templates.names().contains_key(closing::OFFER)
            && opened.thread.close_offered_at.is_none()
            && deeds::may(Deed::Offer, &opened.thread.standing()).is_ok()
            && opened.refusal(&files.settings.sms.from).is_none();
        Ok(Some(opened))
    }

    /// What somebody of the clinic is called.
    pub fn name(&self, name: &StaffName) -> String {
        self.staff.iter().find(|staff| staff.name == *name).map_or(name.to_string(), |staff| staff.shown_as.clone())
    }

    /// What an actor is called.
    pub fn shown(&self, actor: &str) -> String {
        StaffName::parse(actor).map_or(actor.to_owned(), |name| self.name(&name))
    }

    /// Everybody to whom the thread can be given.
    pub fn workers(&self) -> impl Iterator<Item = &Staff> {
        self.staff.iter().filter(|staff| staff.disabled_at.is_none() && may(&staff.roles, Act::WorkThreads))
    }

    /// Whether somebody is not at work, so that what waits for them goes back to the queue.
    pub fn is_away(&self, staff: &Staff) -> bool {
        self.absent.contains(&staff.name)
    }

    pub fn names(&self) -> BTreeMap<StaffName, String> {
        self.staff.iter().map(|staff| (staff.name.clone(), staff.shown_as.clone())).collect()
    }

    /// Why no text may be sent in this thread at all.
    pub fn refusal(&self, from: &PhoneNumber) -> Option<NotSent> {
        let state = self.consent.as_ref().map(|consent| consent.state);
        reply::allowed(&self.thread.number, from, state).err()
    }
}

/// Reads a thread and something more of it; without a thread, 404.
pub async fn read<T: Send + 'static>(
    web: &Web,
    files: &Files,
    id: ThreadId,
    more: impl FnOnce(&Connection, &Thread) -> Result<T, StoreError> + Send + 'static,
) -> Result<(Opened, T), Problem> {
    let now = web.clock.now().wall;
    let files = files.clone();
    let found = web
        .store
        .read(move |conn| {
            let Some(opened) = Opened::find(conn, id, now, &files)? else { return Ok(None) };
            let more = more(conn, &opened.thread)?;
            Ok(Some((opened, more)))
        })
        .await?;
    found.ok_or(Problem::NotFound)
}
