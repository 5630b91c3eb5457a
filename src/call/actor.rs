//! One call's life: one task that owns everything about it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument, info, info_span, warn};

use crate::clock::Now;
use crate::ivr::{CallerFacts, Engine, Input};
use crate::media::{MediaEvent, Session, dtmf};
use crate::model::{
    CallEnd, CallId, CallStart, Codec, Direction, EndedBy, Language, LocalMedia, MediaQuality, Outcome, ThreadId,
};
use crate::sip::{AnswerError, Dialog, DialogEvent, Ended, Incoming, OfferReply};

use super::negotiation::Negotiation;
use super::perform::Performer;
use super::registry::InProgress;
use super::{Book, Line, record};

/// How long a goodbye may take before the line is cut.
const GOODBYE_LIMIT: Duration = Duration::from_secs(8);

/// Takes a call and sees it to its record, whatever happens on the way: a bug in one call ends that call alone.
pub async fn take(line: Arc<Line>, incoming: Incoming) {
    let book = line.book();
    let at = line.clock.now().wall;
    let start = CallStart {
        id: CallId::new(at),
        direction: Direction::Inbound,
        trunk: incoming.trunk.clone(),
        from: incoming.from.clone(),
        to: incoming.to.clone(),
        diversion: incoming.diversion.clone(),
        sip_call_id: incoming.call_id.clone(),
        at,
    };
    let span = info_span!("call", id = %start.id, trunk = %start.trunk);
    let _present = line.registry.enter(InProgress {
        id: start.id,
        trunk: start.trunk.clone(),
        from: start.from.clone(),
        since: at,
        node: None,
        node_since: at,
    });
    record::started(&line.store, &start);

    let life = tokio::spawn(live(line.clone(), book.clone(), start.clone(), incoming).instrument(span.clone()));
    let end = match life.await {
        Ok(end) => end,
        Err(error) => {
            span.in_scope(|| warn!(panicked = error.is_panic(), "the call ended by a fault of ours"));
            Ending::new(Outcome::Failed, EndedBy::System, "internal error").at(&start, line.clock.now(), &book)
        }
    };
    span.in_scope(|| info!(outcome = ?end.outcome, ended_by = ?end.ended_by, cause = %end.cause, "call over"));
    record::ended(&line.store, &book, &start, end);
}

/// How a call went, before it is stamped with what the outside knows.
struct Ending {
    outcome: Outcome,
    ended_by: EndedBy,
    cause: String,
    answered_at: Option<jiff::Timestamp>,
    path: Vec<String>,
    digits: String,
    language: Option<Language>,
    thread: Option<ThreadId>,
    quality: Option<MediaQuality>,
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
        }
    }

    fn at(self, start: &CallStart, now: Now, book: &Book) -> CallEnd {
        CallEnd {
            id: start.id,
            answered_at: self.answered_at,
            at: now.wall,
            path: self.path,
            digits: self.digits,
            language: self.language.unwrap_or_else(|| book.settings.clinic.language.clone()),
            outcome: self.outcome,
            ended_by: self.ended_by,
            cause: self.cause,
            waited: Duration::ZERO,
            thread: self.thread,
            quality: self.quality,
        }
    }
}

async fn live(line: Arc<Line>, book: Arc<Book>, start: CallStart, incoming: Incoming) -> CallEnd {
    let ending = match answer(&line, incoming).await {
        Ok(leg) => converse(&line, &book, &start, leg).await,
        Err(ending) => ending,
    };
    ending.at(&start, line.clock.now(), &book)
}

/// The caller's leg: signalling, audio and what was agreed for it.
struct Leg {
    dialog: Dialog,
    session: Session,
    offer: Negotiation,
}

/// Answers the INVITE, or refuses it with the status that says why.
async fn answer(line: &Line, incoming: Incoming) -> Result<Leg, Ending> {
    // Bound to every address of the family: behind NAT, the one in SDP is not the box's own.
    let any = if incoming.local_address.is_ipv6() {
        IpAddr::from(Ipv6Addr::UNSPECIFIED)
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let session = match line.media.open(any) {
        Ok(session) => session,
        Err(error) => {
            warn!(%error, "no room for media");
            incoming.reject(503, "No media port free").await;
            return Err(Ending::new(Outcome::Rejected, EndedBy::System, "503 No media port free"));
        }
    };
    let local = LocalMedia {
        address: incoming.local_address,
        port: session.port(),
        codecs: Codec::ALL.to_vec(),
        srtp: incoming.srtp,
    };
    let mut negotiation = Negotiation::new(local, line.clock.now());
    match &incoming.offer {
        Some(offer) => match negotiation.answer(offer) {
            Ok(plan) => session.start(plan),
            Err(error) => {
                let cause = format!("{} {error}", error.status());
                info!(%error, "the offer cannot be answered");
                incoming.reject(error.status(), &error.to_string()).await;
                return Err(Ending::new(Outcome::Rejected, EndedBy::System, cause));
            }
        },
        None => negotiation.offer(),
    }
    match incoming.answer(negotiation.sent().to_owned()).await {
        Ok(dialog) => Ok(Leg { dialog, session, offer: negotiation }),
        Err(AnswerError::Cancelled) => Err(Ending::new(Outcome::Abandoned, EndedBy::Caller, "cancelled")),
        Err(error) => Err(Ending::new(Outcome::Failed, EndedBy::Network, error.to_string())),
    }
}

/// The conversation, from the first prompt to the last word.
async fn converse(line: &Line, book: &Arc<Book>, start: &CallStart, leg: Leg) -> Ending {
    let Leg { mut dialog, mut session, mut offer } = leg;
    let answered_at = line.clock.now().wall;
    let mut engine = Engine::new(book.tree.clone(), CallerFacts { caller: start.from.clone(), language: None });
    let mut performer = Performer::new(line, book.clone(), start);
    let mut confirmed = false;

    let (ended_by, cause) = loop {
        let deadline = engine.next_deadline();
        let input = tokio::select! {
            event = dialog.next() => match event {
                DialogEvent::Confirmed { sdp } => {
                    if let Some(answer) = sdp {
                        match offer.accept_answer(&answer) {
                            Ok(plan) => session.start(plan),
                            Err(error) => {
                                dialog.bye("no usable answer").await;
                                break (EndedBy::System, format!("488 {error}"));
                            }
                        }
                    }
                    // Only once: a later ACK confirms a re-INVITE, and the tree runs already.
                    if std::mem::replace(&mut confirmed, true) { continue }
                    info!(story = "call", "answered");
                    Input::Answered
                }
                DialogEvent::Offer { sdp, reply } => {
                    renegotiate(&session, &mut offer, sdp, reply).await;
                    continue;
                }
                DialogEvent::Info { content_type, body } => {
                    if let Some(digit) = dtmf::info::parse(&content_type, &body) {
                        session.info_digit(digit);
                    }
                    continue;
                }
                // Nobody to transfer to yet.
                DialogEvent::Refer { reply, .. } => {
                    reply.refuse(603).await;
                    continue;
                }
                DialogEvent::Ended { by, cause } => break (who(by), cause),
            },
            // A key may overtake the ACK: it waits until the tree has begun.
            event = session.next(), if confirmed => match event {
                MediaEvent::Digit(pressed) => {
                    // The digits of a number that somebody types are nobody's business.
                    if !engine.path().last().is_some_and(|node| node.starts_with("number:")) {
                        info!(story = "digit", key = %pressed.digit, by = ?pressed.source, "pressed");
                    }
                    Input::Digit(pressed)
                }
                MediaEvent::PlayEnded(id) if performer.is_playing(id) => Input::PlayEnded,
                MediaEvent::PlayEnded(_) => continue,
                MediaEvent::Silent => {
                    dialog.bye("RTP timeout").await;
                    break (EndedBy::Network, "rtp_timeout".to_owned());
                }
            },
            result = performer.text_written() => Input::TextResult(result),
            () = until(line, deadline) => Input::Deadline,
            () = line.goodbye.cancelled() => {
                say_goodbye(&mut dialog, &mut session, &mut performer).await;
                break (EndedBy::System, "shutdown".to_owned());
            }
        };
        let actions = engine.handle(line.clock.now(), input);
        if let Some(node) = engine.path().last() {
            line.registry.moved(start.id, node, line.clock.now().wall);
        }
        if let Some(cause) = performer.perform(&session, actions) {
            dialog.bye("").await;
            break (EndedBy::System, cause.as_str().to_owned());
        }
    };

    // A text whose key was pressed is on its way to the disk: the outcome depends on whether it got there.
    let result = performer.settle().await;
    let now = line.clock.now();
    if let Some(result) = result {
        engine.handle(now, Input::TextResult(result));
    }
    engine.handle(now, Input::HungUp);
    let outcome =
        if cause == "shutdown" && engine.outcome().unserved() { Outcome::Interrupted } else { engine.outcome() };
    Ending {
        outcome,
        ended_by,
        cause,
        answered_at: Some(answered_at),
        path: engine.path().to_vec(),
        digits: engine.digits().to_owned(),
        language: Some(engine.language().clone()),
        thread: performer.thread(),
        quality: Some(session.close().await),
    }
}

async fn renegotiate(session: &Session, negotiation: &mut Negotiation, sdp: Option<String>, reply: OfferReply) {
    let Some(offer) = sdp else {
        negotiation.offer();
        return reply.accept(Some(negotiation.sent().to_owned())).await;
    };
    match negotiation.answer(&offer) {
        Ok(plan) => {
            session.start(plan);
            reply.accept(Some(negotiation.sent().to_owned())).await;
        }
        // The session goes on as it was (RFC 3261 section 14.2).
        Err(error) => {
            info!(%error, "a change of the session was refused");
            reply.refuse(error.status()).await;
        }
    }
}

async fn say_goodbye(dialog: &mut Dialog, session: &mut Session, performer: &mut Performer<'_>) {
    if performer.play_goodbye(session) {
        let spoken = async {
            loop {
                tokio::select! {
                    event = session.next() => if matches!(event, MediaEvent::PlayEnded(id) if performer.is_playing(id)) { return },
                    event = dialog.next() => if matches!(event, DialogEvent::Ended { .. }) { return },
                }
            }
        };
        let _ = tokio::time::timeout(GOODBYE_LIMIT, spoken).await;
    }
    dialog.bye("shutdown").await;
}

/// Who ended a leg, as the record says it.
fn who(by: Ended) -> EndedBy {
    match by {
        Ended::Remote => EndedBy::Caller,
        Ended::Local => EndedBy::System,
        Ended::NoAck | Ended::SessionExpired | Ended::Lost => EndedBy::Network,
    }
}

async fn until(line: &Line, deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.saturating_sub(line.clock.now().mono)).await,
        None => std::future::pending().await,
    }
}
