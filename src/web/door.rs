//! What is remembered of those who ask, in memory and bounded: tries to sign in, how often pages are asked for, who is
//! between two steps. A restart forgets it, which costs somebody half-way through a sign-in their first step.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::compose::Place;
use super::session;
use crate::conversation::sign_in::Throttle;
use crate::model::{Private, StaffName};

/// Passwords computed at once: each takes 19 MiB and a core.
const HASHES: usize = 2;
/// Between two steps at once; a further one takes the oldest one's place.
const MOST_TICKETS: usize = 2_000;
/// How long a step may take.
const TICKET_VALID: Duration = Duration::from_secs(5 * 60);
/// People whose unsent words are kept at once; a further one takes the place of whose are kept longest.
const MOST_UNSENT: usize = 200;
/// How long they are kept.
const UNSENT_VALID: Duration = Duration::from_secs(15 * 60);
/// A session's use is written at most so often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// A list that renews itself is a look at it for so long.
const LOOK_LASTS: Duration = Duration::from_secs(15 * 60);
/// Keys that are counted; when there are more, all are forgotten, which is kind to everybody.
const MOST_COUNTED: usize = 20_000;

/// Who is between two steps.
#[derive(Clone, Debug)]
pub enum Step {
    /// The password was right; the second factor is owed.
    Factor(StaffName),
    /// A secret for an authenticator app was shown.
    Enrol(StaffName, Private<String>),
    /// A challenge was given to sign in with a passkey, whose ever it is.
    Passkey,
    /// A challenge was given to add a passkey.
    NewPasskey(StaffName),
}

/// Whose requests are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// A session.
    Session(String),
    /// Who is not signed in.
    Address(IpAddr),
}

impl Asker {
    /// Requests that may come at once, and requests a second after that.
    fn allowance(&self) -> (f64, f64) {
        match self {
            Asker::Session(_) => (600.0, 30.0),
            Asker::Address(_) => (300.0, 10.0),
        }
    }
}

/// The memory of the door.
#[derive(Debug)]
pub struct Door {
    /// Tries to sign in.
    throttle: Mutex<Throttle>,
    /// Permits to compute a password.
    pub hashing: Semaphore,
    tickets: Mutex<HashMap<String, (Duration, Step)>>,
    buckets: Mutex<HashMap<Asker, (f64, Duration)>>,
    touched: Mutex<HashMap<String, Duration>>,
    searches: Mutex<HashMap<StaffName, Searches>>,
    looks: Mutex<HashMap<(StaffName, &'static str), Duration>>,
    unsent: Mutex<HashMap<StaffName, (Duration, Unsent)>>,
}

/// What somebody wrote whose session had ended, until they sign in again.
#[derive(Clone, Debug)]
pub struct Unsent {
    /// Where it belongs.
    pub place: Place,
    /// At most [`crate::store::drafts::LONGEST`] characters.
    pub words: Private<String>,
}

/// What somebody has searched for letter by letter, not yet on record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searches {
    /// How often they were answered.
    pub times: u64,
    /// The most that one answer showed.
    pub found: usize,
}

impl Default for Door {
    fn default() -> Self {
        Door {
            throttle: Mutex::default(),
            hashing: Semaphore::new(HASHES),
            tickets: Mutex::default(),
            buckets: Mutex::default(),
            touched: Mutex::default(),
            searches: Mutex::default(),
            looks: Mutex::default(),
            unsent: Mutex::default(),
        }
    }
}

impl Door {
    /// The tries to sign in.
    pub fn throttle(&self) -> MutexGuard<'_, Throttle> {
        lock(&self.throttle)
    }

    /// Remembers a step; its secret takes it up again, once, within five minutes. `now` is a monotonic reading.
    pub fn ticket(&self, step: Step, now: Duration) -> String {
        let secret = session::fresh();
        let mut tickets = lock(&self.tickets);
        if tickets.len() >= MOST_TICKETS {
            tickets.retain(|_, (until, _)| *until > now);
            if let Some(oldest) = tickets.iter().min_by_key(|(_, (until, _))| *until).map(|(id, _)| id.clone())
                && tickets.len() >= MOST_TICKETS
            {
                tickets.remove(&oldest);
            }
        }
        tickets.insert(session::id_of(&secret), (now + TICKET_VALID, step));
        secret
    }

    /// Takes up a step.
    pub fn redeem(&self, secret: &str, now: Duration) -> Option<Step> {
        let (until, step) = lock(&self.tickets).remove(&session::id_of(secret))?;
        (now < until).then_some(step)
    }

    /// Whether one more request may come; else how long to wait.
    pub fn admit(&self, asker: Asker, now: Duration) -> Result<(), Duration> {
        let (burst, rate) = asker.allowance();
        let mut buckets = lock(&self.buckets);
        make_room(&mut buckets, &asker);
        let (left, since) = buckets.entry(asker).or_insert((burst, now));
        *left = (*left + now.saturating_sub(*since).as_secs_f64() * rate).min(burst);
        *since = now;
        if *left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - *left) / rate));
        }
        *left -= 1.0;
        Ok(())
    }

    /// Notes one more answer to somebody who types; true if it is the first of a run, which is then to be put on record
    /// as one, soon, by whoever calls.
    pub fn searched(&self, name: &StaffName, found: usize) -> bool {
        let mut searches = lock(&self.searches);
        let run = searches.entry(name.clone()).or_default();
        *run = Searches { times: run.times + 1, found: run.found.max(found) };
        run.times == 1
    }

    /// Ends the run.
    pub fn searches(&self, name: &StaffName) -> Searches {
        lock(&self.searches).remove(name).unwrap_or_default()
    }

    /// Whether somebody who sees the list `what` now has not seen it lately.
    pub fn looks_anew(&self, name: &StaffName, what: &'static str, now: Duration) -> bool {
        let mut looks = lock(&self.looks);
        let key = (name.clone(), what);
        if looks.get(&key).is_some_and(|last| now.saturating_sub(*last) < LOOK_LASTS) {
            return false;
        }
        make_room(&mut looks, &key);
        looks.insert(key, now);
        true
    }

    /// Keeps somebody's words; `now` is a monotonic reading. Of one person the last are kept.
    pub fn keep_unsent(&self, name: StaffName, unsent: Unsent, now: Duration) {
        let mut all = lock(&self.unsent);
        all.retain(|_, (until, _)| *until > now);
        if all.len() >= MOST_UNSENT
            && !all.contains_key(&name)
            && let Some(oldest) = all.iter().min_by_key(|(_, (until, _))| *until).map(|(name, _)| name.clone())
        {
            all.remove(&oldest);
        }
        all.insert(name, (now + UNSENT_VALID, unsent));
    }

    /// Gives them back, once.
    pub fn take_unsent(&self, name: &StaffName, now: Duration) -> Option<Unsent> {
        let (until, unsent) = lock(&self.unsent).remove(name)?;
        (now < until).then_some(unsent)
    }

    /// Whether a session's use is to be written again.
    pub fn is_due(&self, session: &str, idle: Duration, now: Duration) -> bool {
        let mut touched = lock(&self.touched);
        let every = TOUCH_EVERY.min(idle / 4);
        if touched.get(session).is_some_and(|last| now.saturating_sub(*last) < every) {
            return false;
        }
        make_room(&mut touched, &session.to_owned());
        touched.insert(session.to_owned(), now);
        true
    }
}

fn make_room<K: Hash + Eq, V>(map: &mut HashMap<K, V>, for_whom: &K) {
    if map.len() >= MOST_COUNTED && !map.contains_key(for_whom) {
        map.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ThreadId;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_ticket_is_good_once_and_not_for_long() {
        let door = Door::default();
        let ana: StaffName = "ana".parse().unwrap();
        let ticket = door.ticket(Step::Factor(ana.clone()), seconds(0));
        assert!(door.redeem("another", seconds(1)).is_none());
        assert!(matches!(door.redeem(&ticket, seconds(1)), Some(Step::Factor(name)) if name == ana));
        assert!(door.redeem(&ticket, seconds(1)).is_none());
        let late = door.ticket(Step::Factor(ana), seconds(0));
        assert!(door.redeem(&late, TICKET_VALID).is_none());
    }

    #[test]
    fn tickets_are_bounded_and_the_oldest_goes_first() {
        let door = Door::default();
        let all: Vec<String> =
            (0..MOST_TICKETS as u64 + 1).map(|n| door.ticket(Step::Passkey, Duration::from_millis(n))).collect();
        assert!(door.redeem(&all[0], seconds(3)).is_none());
        assert!(door.redeem(&all[1], seconds(3)).is_some() && door.redeem(&all[MOST_TICKETS], seconds(3)).is_some());
    }

    #[test]
    fn who_asks_too_often_waits() {
        let (door, asker) = (Door::default(), Asker::Address([192, 0, 2, 1].into()));
        for _ in 0..300 {
            assert_eq!(door.admit(asker.clone(), seconds(0)), Ok(()));
        }
        assert_eq!(door.admit(asker.clone(), seconds(0)), Err(Duration::from_millis(100)));
        assert_eq!(door.admit(Asker::Address([192, 0, 2, 2].into()), seconds(0)), Ok(()));
        assert_eq!(door.admit(asker, seconds(1)), Ok(()));
    }

    #[test]
    fn what_is_searched_for_letter_by_letter_is_one_run() {
        let (door, ana): (_, StaffName) = (Door::default(), "ana".parse().unwrap());
        assert!(door.searched(&ana, 3) && !door.searched(&ana, 12) && !door.searched(&ana, 1));
        assert_eq!(door.searches(&ana), Searches { times: 3, found: 12 });
        assert!(door.searched(&ana, 2), "the next run begins");
    }

    #[test]
    fn a_list_that_renews_itself_is_one_look_in_a_quarter_of_an_hour() {
        let (door, ana, ben): (_, StaffName, StaffName) =
            (Door::default(), "ana".parse().unwrap(), "ben".parse().unwrap());
        let looks = |name: &StaffName, what, at| door.looks_anew(name, what, seconds(at));
        assert!(looks(&ana, "queue", 0) && looks(&ben, "queue", 1) && looks(&ana, "calls", 2));
        assert!(!looks(&ana, "queue", 899) && looks(&ana, "queue", 900) && !looks(&ana, "queue", 901));
    }

    #[test]
    fn unsent_words_are_given_back_once_to_whoever_wrote_them_and_not_for_ever() {
        let (door, name) = (Door::default(), |n: usize| format!("staff{n}").parse::<StaffName>().unwrap());
        let unsent = |words: &str| Unsent {
            place: Place::Thread(ThreadId::new(jiff::Timestamp::UNIX_EPOCH)),
            words: Private::new(words.to_owned()),
        };
        door.keep_unsent(name(0), unsent("first"), seconds(0));
        door.keep_unsent(name(0), unsent("second"), seconds(1));
        assert!(door.take_unsent(&name(1), seconds(2)).is_none());
        assert_eq!(door.take_unsent(&name(0), seconds(2)).unwrap().words.expose(), "second");
        assert!(door.take_unsent(&name(0), seconds(2)).is_none());
        door.keep_unsent(name(0), unsent("late"), seconds(0));
        assert!(door.take_unsent(&name(0), UNSENT_VALID).is_none());
        for n in 0..=MOST_UNSENT {
            door.keep_unsent(name(n), unsent("one of many"), Duration::from_millis(n as u64));
        }
        assert!(door.take_unsent(&name(0), seconds(1)).is_none() && door.take_unsent(&name(1), seconds(1)).is_some());
    }

    #[test]
    fn use_is_written_once_a_minute() {
        let door = Door::default();
        assert!(door.is_due("a", seconds(900), seconds(0)) && !door.is_due("a", seconds(900), seconds(59)));
        assert!(door.is_due("b", seconds(900), seconds(59)) && door.is_due("a", seconds(900), seconds(60)));
        assert!(door.is_due("c", seconds(60), seconds(0)) && door.is_due("c", seconds(60), seconds(15)));
    }
}
