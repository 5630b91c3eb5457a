//! Who looks at a thread, and who types in it: in memory, and gone when they stop saying so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use tokio::sync::broadcast;

use super::Web;
use super::person::Person;
use super::problem::Problem;
use super::route::{Access, Route};
use super::words::queue;
use crate::clock::Now;
use crate::conversation::permission::Act;
use crate::model::{StaffName, ThreadId};
use crate::web::form::{Form, Path};

/// Somebody is there for so long after they last said so; their page says it every 15 seconds.
const STAYS: Duration = Duration::from_secs(40);
/// People at threads at once; a further one is not noted.
const MOST: usize = 2000;
/// Changes that a slow listener may fall behind.
const BACKLOG: usize = 256;

/// Who is where. Cloning it gives another handle on the same.
#[derive(Clone, Debug)]
pub struct Presences(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    looks: Mutex<BTreeMap<(ThreadId, StaffName), Look>>,
    changed: broadcast::Sender<ThreadId>,
}

#[derive(Clone, Debug)]
struct Look {
    shown_as: String,
    typing: bool,
    /// On the clock's monotonic side.
    until: Duration,
}

/// Somebody at a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Who.
    pub name: StaffName,
    /// As people read it.
    pub shown_as: String,
    /// Whether they are writing.
    pub typing: bool,
}

impl Default for Presences {
    fn default() -> Self {
        Presences(Arc::new(Inner { looks: Mutex::default(), changed: broadcast::channel(BACKLOG).0 }))
    }
}

impl Presences {
    /// Notes that somebody is at a thread.
    pub fn here(&self, thread: ThreadId, name: &StaffName, shown_as: &str, typing: bool, now: Now) {
        self.sweep(now);
        let mut looks = self.looks();
        let key = (thread, name.clone());
        if looks.len() >= MOST && !looks.contains_key(&key) {
            return;
        }
        let look = Look { shown_as: shown_as.to_owned(), typing, until: now.mono + STAYS };
        let before = looks.insert(key, look);
        drop(looks);
        if before.is_none_or(|before| before.typing != typing) {
            self.announce(thread);
        }
    }

    /// Notes that somebody has left a thread.
    pub fn gone(&self, thread: ThreadId, name: &StaffName) {
        if self.looks().remove(&(thread, name.clone())).is_some() {
            self.announce(thread);
        }
    }

    /// Who is at a thread, by name.
    pub fn at(&self, thread: ThreadId, now: Now) -> Vec<Present> {
        self.sweep(now);
        let looks = self.looks();
        // No name is the empty text, which sorts before all of them.
        let here = looks.iter().skip_while(|((at, _), _)| *at < thread).take_while(|((at, _), _)| *at == thread);
        here.map(|((_, name), look)| Present {
            name: name.clone(),
            shown_as: look.shown_as.clone(),
            typing: look.typing,
        })
        .collect()
    }

    /// Takes off whoever has not said for `STAYS` that they are there, and announces their threads.
    pub fn sweep(&self, now: Now) {
        let mut left = Vec::new();
        self.looks().retain(|(thread, _), look| {
            let stays = now.mono < look.until;
            if !stays {
                left.push(*thread);
            }
            stays
        });
        left.into_iter().for_each(|thread| self.announce(thread));
    }

    /// The threads at which somebody has come, gone, begun or ceased to type, from now on.
    pub fn listen(&self) -> broadcast::Receiver<ThreadId> {
        self.0.changed.subscribe()
    }

    fn announce(&self, thread: ThreadId) {
        let _ = self.0.changed.send(thread);
    }

    fn looks(&self) -> MutexGuard<'_, BTreeMap<(ThreadId, StaffName), Look>> {
        self.0.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/threads/{id}/presence", Access::May(Act::ReadThreads), show),
        Route::post("/threads/{id}/presence", Access::May(Act::ReadThreads), note),
    ]
}

/// What a thread's page says of its person.
#[derive(Debug, Deserialize)]
struct Said {
    #[serde(default)]
    typing: u8,
    #[serde(default)]
    gone: u8,
}

/// `POST /threads/{id}/presence`: every 15 seconds while the page is looked at, and when typing begins or ends
/// (`typing=1`, `typing=0`); `gone=1` when the page is left.
async fn note(
    State(web): State<Web>,
    person: Person,
    Path(thread): Path<String>,
    Form(said): Form<Said>,
) -> Result<StatusCode, Problem> {
    let thread = thread.parse().map_err(|_| Problem::NotFound)?;
    match said.gone {
        0 => web.presences.here(thread, &person.name, &person.shown_as, said.typing != 0, web.clock.now()),
        _ => web.presences.gone(thread, &person.name),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /threads/{id}/presence`: who else is there, for people who look and who listen.
async fn show(State(web): State<Web>, person: Person, Path(thread): Path<String>) -> Result<Markup, Problem> {
    let thread = thread.parse().map_err(|_| Problem::NotFound)?;
    Ok(line(&web, &person, thread))
}

/// "Ben is typing…", for a thread's page. Oneself is not named.
pub fn line(web: &Web, person: &Person, thread: ThreadId) -> Markup {
    let mut others = web.presences.at(thread, web.clock.now());
    others.retain(|other| other.name != person.name);
    let words = queue::words(person.ui);
    let named = |typing: bool| -> Vec<&str> {
        others.iter().filter(|other| other.typing == typing).map(|other| other.shown_as.as_str()).collect()
    };
    html! {
        span role="status" {
            @for (typing, verb) in [(true, words.is_typing), (false, words.is_looking)] {
                @for name in named(typing) { span.presence data-typing[typing] { (name) " " (verb) } " " }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn somebody_is_there_until_they_have_been_silent_for_a_while() {
        let presences = Presences::default();
        let start = Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH };
        let [thread, other] = [1, 2].map(|second| ThreadId::new(Timestamp::from_second(second).unwrap()));
        let [ana, ben]: [StaffName; 2] = ["ana", "ben"].map(|name| name.parse().unwrap());
        let mut heard = presences.listen();
        let mut announced = || std::iter::from_fn(|| heard.try_recv().ok()).count();
        presences.here(thread, &ana, "Ana", false, start);
        presences.here(other, &ana, "Ana", false, start);
        assert_eq!(announced(), 2);
        let later = start.later(Duration::from_secs(15));
        presences.here(thread, &ana, "Ana", false, later);
        assert_eq!(announced(), 0, "nothing has changed");
        presences.here(thread, &ben, "Ben", true, later);
        assert_eq!(announced(), 1);
        let names = |now| presences.at(thread, now).into_iter().map(|p| (p.shown_as, p.typing)).collect::<Vec<_>>();
        assert_eq!(names(later), [("Ana".to_owned(), false), ("Ben".to_owned(), true)]);
        presences.gone(thread, &ben);
        assert_eq!(announced(), 1);
        let much_later = start.later(Duration::from_secs(54));
        assert_eq!(names(much_later).len(), 1);
        assert_eq!(presences.at(other, much_later), []);
        assert!(names(start.later(Duration::from_secs(55))).is_empty());
        assert_eq!(announced(), 2);
    }

    #[test]
    fn the_list_is_bounded() {
        let presences = Presences::default();
        let now = Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH };
        let ana: StaffName = "ana".parse().unwrap();
        for second in 0..MOST as i64 + 10 {
            presences.here(ThreadId::new(Timestamp::from_second(second).unwrap()), &ana, "Ana", false, now);
        }
        assert_eq!(presences.looks().len(), MOST);
    }
}
