//! One call's life: one task that owns everything about it.

use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument, info, info_span, warn};

use crate::clock::Now;
use crate::model::{
    CallEnd, CallId, CallStart, Callee, Direction, EndedBy, Language, MediaQuality, Outcome, ThreadId, Unserved,
};
use crate::sip::Incoming;
use crate::sip::outbound::CallIds;

use super::conversation::Conversation;
use super::leg::{self, Leg, NoLeg};
use super::registry::InProgress;
use super::trace::{self, Legs};
use super::{Book, Line, record};

/// Takes a call and sees it to its record, whatever happens on the way: a bug in one call ends that call alone.
pub async fn take(line: Arc<Line>, incoming: Incoming) {
    let book = line.book();
    let at = line.clock.now().wall;
    let start = CallStart {
        id: CallId::new(at),
        direction: Direction::Inbound,
        trunk: incoming.trunk.clone(),
        from: incoming.from.clone(),
        to: incoming.to.clone().map(Callee::Number),
        diversion: incoming.diversion.clone(),
        sip_call_id: incoming.call_id.clone(),
        at,
    };
    let span = info_span!("call", id = %start.id, trunk = %start.trunk);
    let called = InProgress::came_in(start.id, start.trunk.clone(), start.from.clone(), at);
    let _present = line.registry.enter(called);
    let legs = Legs::default();
    legs.add(trace::CALLER, CallIds::one(&start.sip_call_id));
    let _traced = line.traces.begin(start.id, legs);
    record::started(&line.store, &start);

    let life = tokio::spawn(live(line.clone(), book.clone(), start.clone(), incoming).instrument(span.clone()));
    let (end, unserved) = match life.await {
        Ok(end) => end,
        Err(error) => {
            span.in_scope(|| warn!(panicked = error.is_panic(), "the call ended by a fault of ours"));
            Ending::new(Outcome::Failed, EndedBy::System, "internal error").at(&start, line.clock.now(), &book)
        }
    };
    span.in_scope(|| info!(outcome = ?end.outcome, ended_by = ?end.ended_by, cause = %end.cause, "call over"));
    record::ended(&line.store, &book, &start, end, unserved);
}

/// How a call went, before it is stamped with what the outside knows.
pub(super) struct Ending {
    pub outcome: Outcome,
    pub ended_by: EndedBy,
    pub cause: String,
    pub answered_at: Option<jiff::Timestamp>,
    pub path: Vec<String>,
    pub digits: String,
    pub language: Option<Language>,
    pub thread: Option<ThreadId>,
    pub quality: Option<MediaQuality>,
    pub waited: Duration,
    pub unserved: Option<Unserved>,
}

impl Ending {
    fn new(outcome: Outcome, ended_by: EndedBy, cause: impl Into<String>) -> Ending {
        Ending {
            outcome,
            ended_by,
            cause: cause.into(),
            answered_at: None,
            path: Vec::new(),
            digits: String::new(),
            language: None,
            thread: None,
            quality: None,
            waited: Duration::ZERO,
            unserved: None,
        }
    }

    fn at(self, start: &CallStart, now: Now, book: &Book) -> (CallEnd, Option<Unserved>) {
        let unserved = self.unserved;
        let end = CallEnd {
            id: start.id,
            answered_at: self.answered_at,
            at: now.wall,
            path: self.path,
            digits: self.digits,
            language: self.language.unwrap_or_else(|| book.settings.clinic.language.clone()),
            outcome: self.outcome,
            ended_by: self.ended_by,
            cause: self.cause,
            waited: self.waited,
            thread: self.thread,
            quality: self.quality,
        };
        (end, unserved)
    }
}

async fn live(line: Arc<Line>, book: Arc<Book>, start: CallStart, incoming: Incoming) -> (CallEnd, Option<Unserved>) {
    let ending = match answer(&line, incoming).await {
        Ok(leg) => Conversation::new(&line, &book, &start, leg).run().await,
        Err(ending) => ending,
    };
    ending.at(&start, line.clock.now(), &book)
}

/// Answers the INVITE, or refuses it with the status that says why.
async fn answer(line: &Line, incoming: Incoming) -> Result<Leg, Ending> {
    match leg::answer(line, incoming).await {
        Ok(leg) => Ok(leg),
        Err(NoLeg::Refused(cause)) => Err(Ending::new(Outcome::Rejected, EndedBy::System, cause)),
        Err(NoLeg::Cancelled) => Err(Ending::new(Outcome::Abandoned, EndedBy::Caller, "cancelled")),
        Err(NoLeg::Failed(cause)) => Err(Ending::new(Outcome::Failed, EndedBy::Network, cause)),
    }
}
