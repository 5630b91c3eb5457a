//! Live updates: what has been committed, told to browsers as server-sent events (WHATWG HTML, section 9.2).
//!
//! Ids only. A browser fetches anew what it shows, so nothing is missed when several things are told as one, and a
//! browser that has been away is told `AGAIN` and fetches everything. Each stream is one task with a bounded
//! buffer: a browser that does not read loses its stream, never anybody else's time.

use std::collections::{BTreeSet, HashMap};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::Web;
use super::person::Person;
use super::problem::Problem;
use super::route::{Access, Route};
use super::words::queue;
use crate::conversation::permission::Act;
use crate::events::Event;
use crate::model::{StaffName, ThreadId};
use crate::store::sessions;

/// Streams of one person: their browsers, since the tabs of a browser share one.
pub const MOST_EACH: usize = 8;
/// Streams in all.
pub const MOST: usize = 400;
/// What changes within this is told together.
const GAP: Duration = Duration::from_millis(250);
/// How often a stream says that it is alive, and looks whether its session has grown old; one that somebody ends, ends
/// its streams at once.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Pieces that a browser may leave unread.
const UNREAD: usize = 32;
/// Ids told at once; if there are more, everything is to be fetched anew.
const MOST_IDS: usize = 100;
/// "Fetch everything anew": after a gap.
const AGAIN: &str = "event: again\ndata: {}\n\n";

/// The streams that are open. Cloning it gives another handle on the same.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<Mutex<HashMap<StaffName, usize>>>);

impl Streams {
    /// A place for one more stream of `name`; none if there are too many.
    fn enter(&self, name: &StaffName) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, all) = (open.get(name).copied().unwrap_or(0), open.values().sum::<usize>());
        if own >= MOST_EACH || all >= MOST {
            return None;
        }
        open.insert(name.clone(), own + 1);
        Some(Place { streams: self.clone(), name: name.clone() })
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

/// The place of a stream, until it is dropped.
struct Place {
    streams: Streams,
    name: StaffName,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.name) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.name);
            }
        }
    }
}

/// What a stream asks of the connection that it is on: not to be ended for its age, and to say when all must end.
#[derive(Clone, Debug)]
pub struct Connection {
    streams: Arc<AtomicUsize>,
    closing: CancellationToken,
}

impl Connection {
    /// A connection without streams, which is to end when `closing` is cancelled.
    pub fn new(closing: CancellationToken) -> Connection {
        Connection { streams: Arc::default(), closing }
    }

    /// Whether a stream is on it.
    pub fn has_stream(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    /// A place for one that takes as long as it takes.
    pub(super) fn stream(&self) -> OnConnection {
        self.streams.fetch_add(1, Ordering::Relaxed);
        OnConnection(self.streams.clone())
    }
}

/// A stream is on the connection, until this is dropped.
pub(super) struct OnConnection(Arc<AtomicUsize>);

impl Drop for OnConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    vec![Route::get("/live", Access::SignedIn, live)]
}

/// `GET /live`
async fn live(State(web): State<Web>, person: Person, Extension(connection): Extension<Connection>) -> Response {
    let Some(place) = web.streams.enter(&person.name) else {
        let why = queue::words(person.ui).too_many_streams.to_owned();
        return Problem::Refused(StatusCode::SERVICE_UNAVAILABLE, why).for_person(&person);
    };
    let (pieces, unread) = mpsc::channel(UNREAD);
    let held = (place, connection.stream());
    let mut stream = Stream { web, person, pieces, told: Told::default() };
    tokio::spawn(async move {
        let _held = held;
        tokio::select! {
            () = stream.run() => {}
            () = connection.closing.cancelled() => {}
        }
    });
    // Nginx would gather the pieces.
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::new(Pieces(unread))).into_response()
}

/// One browser's stream.
struct Stream {
    web: Web,
    person: Person,
    pieces: mpsc::Sender<Bytes>,
    told: Told,
}

/// What is to be told at the next occasion.
#[derive(Debug, Default)]
struct Told {
    again: bool,
    calls: bool,
    notices: bool,
    threads: BTreeSet<ThreadId>,
    presence: BTreeSet<ThreadId>,
}

impl Told {
    fn is_empty(&self) -> bool {
        !self.again && !self.calls && !self.notices && self.threads.is_empty() && self.presence.is_empty()
    }

    /// As events. A list that is too long is "everything".
    fn write(&mut self) -> String {
        let told = std::mem::take(self);
        if told.again || told.threads.len() > MOST_IDS || told.presence.len() > MOST_IDS {
            return AGAIN.to_owned();
        }
        let mut text = String::new();
        if !told.threads.is_empty() {
            text += "event: queue\ndata: {}\n\n";
            text += &format!("event: thread\ndata: {}\n\n", json!({ "ids": told.threads }));
        }
        if !told.presence.is_empty() {
            text += &format!("event: presence\ndata: {}\n\n", json!({ "ids": told.presence }));
        }
        if told.calls {
            text += "event: call\ndata: {}\n\n";
        }
        if told.notices {
            text += "event: notice\ndata: {}\n\n";
        }
        text
    }
}

impl Stream {
    /// Tells until the browser leaves, does not read, or its session ends.
    async fn run(&mut self) {
        let mut events = self.web.events.listen();
        let mut presence = self.web.presences.listen();
        let mut calls = self.web.registry.watch();
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.tick().await;
        let mut gap = pin!(sleep(Duration::ZERO));
        // Only threads are held back from whoever may not read them.
        let reads = self.person.may(Act::ReadThreads);
        let pieces = self.pieces.clone();
        if !self.tell("retry: 2000\nevent: beat\ndata: {}\n\n".to_owned()) {
            return;
        }
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(Event::Thread(id)) if reads => drop(self.told.threads.insert(id)),
                    Ok(Event::Call(_)) => self.told.calls = true,
                    Ok(Event::Emergency) => self.told.notices = true,
                    // A message's thread is announced beside it.
                    Ok(Event::Thread(_) | Event::Message(_) | Event::Outbox) => {}
                    Ok(Event::Sessions) => if self.has_ended().await { return },
                    Err(RecvError::Lagged(_)) => self.told.again = true,
                    Err(RecvError::Closed) => return,
                },
                thread = presence.recv() => match thread {
                    Ok(id) if reads => drop(self.told.presence.insert(id)),
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.told.again = true,
                    Err(RecvError::Closed) => return,
                },
                changed = calls.changed() => match changed {
                    Ok(()) => self.told.calls = true,
                    Err(_) => return,
                },
                () = &mut gap, if !self.told.is_empty() => {
                    gap.set(sleep(GAP));
                    let text = self.told.write();
                    if !self.tell(text) {
                        return;
                    }
                }
                _ = heartbeat.tick() => {
                    self.web.presences.sweep(self.web.clock.now());
                    if self.has_ended().await {
                        return;
                    }
                    if !self.tell("event: beat\ndata: {}\n\n".to_owned()) {
                        return;
                    }
                }
                () = pieces.closed() => return,
            }
        }
    }

    /// Tells the browser so if its session has ended.
    async fn has_ended(&self) -> bool {
        let ended = !self.session_lives().await;
        if ended {
            self.tell("event: signed-out\ndata: {}\n\n".to_owned());
        }
        ended
    }

    /// Hands a piece to the browser; whether it still reads.
    fn tell(&self, text: String) -> bool {
        self.pieces.try_send(text.into()).is_ok()
    }

    /// Whether the session is still its person's. A database that cannot be read ends nobody's.
    async fn session_lives(&self) -> bool {
        let (id, now) = (self.person.session.clone(), self.web.clock.now().wall);
        let idle = (self.web.files)().settings.desk.sign_out_after;
        let found = self.web.store.read(move |conn| sessions::find(conn, &id, idle, now)).await;
        found.map_or(true, |staff| staff.is_some_and(|staff| staff.roles == self.person.roles))
    }
}

/// A body that is written piece by piece.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_person_has_a_few_streams_and_the_house_has_a_bound() {
        let streams = Streams::default();
        let ana: StaffName = "ana".parse().unwrap();
        let mut places: Vec<_> = (0..MOST_EACH).map(|_| streams.enter(&ana).unwrap()).collect();
        assert!(streams.enter(&ana).is_none());
        places.pop();
        places.push(streams.enter(&ana).unwrap());
        for other in 0.. {
            match streams.enter(&format!("staff{other}").parse().unwrap()) {
                Some(place) => places.push(place),
                None => break,
            }
        }
        assert_eq!(streams.count(), MOST);
        places.clear();
        assert_eq!(streams.count(), 0);
    }

    #[test]
    fn many_changes_are_told_as_few_events_and_too_many_as_one() {
        let id = |second| ThreadId::new(Timestamp::from_second(second).unwrap());
        let first = id(1);
        let mut told = Told { calls: true, threads: [first, id(2)].into(), ..Told::default() };
        let text = told.write();
        assert_eq!(text.matches("event:").count(), 3, "{text}");
        assert!(text.contains(&first.to_string()) && told.is_empty());
        told.threads = (0..MOST_IDS as i64 + 1).map(id).collect();
        assert_eq!(told.write(), AGAIN);
    }
}
