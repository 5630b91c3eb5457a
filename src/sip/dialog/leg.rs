//! The task behind a [`Dialog`]: what the call asks for, what the peer sends and what is due, one after the other.

mod asking;
mod ours;
mod theirs;
mod transfers;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rsipstack::sip::{Header, Request, Response};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::asking::Outcome;
use self::transfers::{Referred, Referring};
use super::ends::{Ends, supports};
use super::invite::{Invite, InviteEvent, Reliable};
use super::{Command, Dialog, DialogEvent, Ended, OfferError, Replaces};
use crate::sip::capabilities::{ALLOW, SUPPORTED, busy};
use crate::sip::digest::Authenticator;
use crate::sip::endpoint::{Endpoint, Flow};
use crate::sip::inbound::{AnswerError, CallSlot};
use crate::sip::message::{self, all, first};
use crate::sip::session_timer::{Due, MIN_SE, Refresher, SessionExpires, SessionTimer};
use crate::sip::trace::Held;

/// Requests of one dialog that wait for it; beyond, 503.
const REQUESTS: usize = 16;
/// Events that wait for the call; beyond, INFO gets 503 and offers 500.
const EVENTS: usize = 32;
/// After so long without any other answer an INVITE gets 100 (RFC 3261 section 17.2.1: within 200 ms).
const TRYING_AFTER: Duration = Duration::from_millis(150);

struct Task {
    endpoint: Endpoint,
    ends: Ends,
    confirmed: bool,
    invite: Option<Invite>,
    update: Option<(Transaction, Option<SessionExpires>)>,
    reliable: Option<Reliable>,
    /// The offer that waits for the call's answer, and until when.
    offered: Option<(u64, Duration)>,
    offers: u64,
    referred: Option<Referred>,
    referring: Option<Referring>,
    /// Transfers that the peer has asked for.
    refers: u64,
    /// A request of ours with an offer, or a refresh, is under way.
    asking: bool,
    refresh_at: Option<Duration>,
    /// The call hung up before the ACK came.
    bye_wanted: Option<String>,
    ending: bool,
    over: bool,
    timer: Option<SessionTimer>,
    /// The longest interval that the peer or a proxy has insisted on.
    min_se: Duration,
    trying_at: Option<Duration>,
    local_sdp: String,
    events: Option<mpsc::Sender<DialogEvent>>,
    commands: mpsc::Sender<Command>,
    outcomes: mpsc::Sender<Outcome>,
    end: Arc<OnceLock<(Ended, String)>>,
    _slot: Option<CallSlot>,
    _traced: Held,
}

struct Inbox {
    /// Boxed: a channel sets room for 32 aside at once, and a transaction is large.
    requests: mpsc::Receiver<Box<Transaction>>,
    commands: mpsc::Receiver<Command>,
    outcomes: mpsc::Receiver<Outcome>,
    abandoned: CancellationToken,
}

/// Starts the leg of a call that comes in.
pub(in crate::sip) fn called(endpoint: &Endpoint, ends: Ends, transaction: Transaction, slot: CallSlot) -> Dialog {
    let tag = ends.local_tag.clone();
    let (mut task, inbox, dialog) = task(endpoint, ends, Some(slot));
    task.invite = Some(Invite::drive(transaction, tag));
    task.trying_at = Some(endpoint.now() + TRYING_AFTER);
    tokio::spawn(task.run(inbox));
    dialog
}

/// Starts the leg of a call of ours whose INVITE got `response` (2xx), and acknowledges that. `offer` is the SDP that we
/// sent, `sent` how many requests have gone out since the INVITE, `authenticator` what has told the peer who we are.
/// `None`: the response makes no dialog.
pub(in crate::sip) async fn calling(
    endpoint: &Endpoint,
    flow: &Flow,
    invite: &Request,
    response: &Response,
    offer: &str,
    sent: u32,
    authenticator: Option<Authenticator>,
) -> Option<Dialog> {
    let mut ends = Ends { authenticator, ..Ends::calling(invite, response, flow.clone())? };
    let ack = ends.ack(invite);
    ends.local_cseq = ends.local_cseq.saturating_add(sent);
    let way = ends.way(endpoint).await;
    // Known before the ACK goes out: a peer may hang up in the instant in which it comes.
    let (mut task, inbox, dialog) = task(endpoint, ends, None);
    endpoint.acknowledge(&task.ends.local_tag, &way, ack).await;
    task.confirmed = true;
    task.local_sdp = offer.to_owned();
    task.timer = first!(response, SessionExpires)
        .and_then(SessionExpires::parse)
        .map(|expires| SessionTimer::agreed(expires, true, endpoint.now()));
    tokio::spawn(task.run(inbox));
    Some(dialog)
}

fn task(endpoint: &Endpoint, ends: Ends, slot: Option<CallSlot>) -> (Task, Inbox, Dialog) {
    let (to_task, requests) = mpsc::channel(REQUESTS);
    endpoint.register_dialog(&ends.local_tag, to_task);
    let (events, received) = mpsc::channel(EVENTS);
    let (commands, commanded) = mpsc::channel(EVENTS);
    let (outcomes, came) = mpsc::channel(4);
    let end = Arc::new(OnceLock::new());
    let abandoned = CancellationToken::new();
    let dialog = Dialog {
        events: received,
        commands: commands.clone(),
        end: end.clone(),
        identity: Arc::new(Replaces {
            call_id: ends.call_id.clone(),
            to_tag: ends.local_tag.clone(),
            from_tag: ends.remote_tag.clone(),
        }),
        peer_refers: ends.peer_refers,
        peer: ends.flow.remote,
        local_address: ends.flow.local.ip(),
        _alive: abandoned.clone().drop_guard(),
    };
    let traced = endpoint.0.tap.hold(&ends.call_id);
    let task = Task {
        endpoint: endpoint.clone(),
        ends,
        confirmed: false,
        invite: None,
        update: None,
        reliable: None,
        offered: None,
        offers: 0,
        referred: None,
        referring: None,
        refers: 0,
        asking: false,
        refresh_at: None,
        bye_wanted: None,
        ending: false,
        over: false,
        timer: None,
        min_se: MIN_SE,
        trying_at: None,
        local_sdp: String::new(),
        events: Some(events),
        commands,
        outcomes,
        end,
        _slot: slot,
        _traced: traced,
    };
    (task, Inbox { requests, commands: commanded, outcomes: came, abandoned }, dialog)
}

impl Drop for Task {
    fn drop(&mut self) {
        self.endpoint.forget_dialog(&self.ends.local_tag);
    }
}

impl Task {
    async fn run(mut self, mut inbox: Inbox) {
        let stop = self.endpoint.0.stop.clone();
        let mut abandoned = false;
        while !self.over {
            let now = self.endpoint.now();
            let wait = self.deadline().map(|at| at.saturating_sub(now));
            // A peer that talks without pause must not keep what is due waiting.
            if wait.is_some_and(|wait| wait.is_zero()) {
                self.on_deadline().await;
                continue;
            }
            let invite = async {
                match &mut self.invite {
                    Some(invite) => invite.events.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return self.finish(Ended::Lost, "endpoint closed"),
                event = invite => self.on_invite(event).await,
                Some(transaction) = inbox.requests.recv() => self.on_request(*transaction).await,
                Some(command) = inbox.commands.recv() => self.on_command(command).await,
                Some(outcome) = inbox.outcomes.recv() => self.on_outcome(outcome).await,
                () = inbox.abandoned.cancelled(), if !abandoned => {
                    abandoned = true;
                    // What the handle asked for before it was dropped comes first.
                    while let Ok(command) = inbox.commands.try_recv() {
                        self.on_command(command).await;
                    }
                    self.hang_up(String::new()).await;
                }
                () = sleep(wait) => self.on_deadline().await,
            }
        }
    }

    /// Tells the call that the leg is over.
    fn finish(&mut self, by: Ended, cause: &str) {
        let _ = self.end.set((by, cause.to_owned()));
        self.transfers_end(by == Ended::Remote);
        self.events = None;
        self.timer = None;
        self.reliable = None;
        self.offered = None;
        self.trying_at = None;
    }

    /// The leg is over and nothing more is to be sent.
    fn close(&mut self, by: Ended, cause: &str) {
        self.finish(by, cause);
        self.over = true;
    }

    // ---- Deadlines

    fn deadline(&self) -> Option<Duration> {
        [
            self.trying_at,
            self.reliable.as_ref().map(|r| r.next.min(r.until)),
            self.timer.map(|timer| timer.deadline()),
            self.offered.map(|(_, until)| until),
            self.refresh_at,
            self.referred.as_ref().map(|referred| referred.until),
            self.referring.as_ref().and_then(|referring| referring.until),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    async fn on_deadline(&mut self) {
        let now = self.endpoint.now();
        if self.trying_at.is_some_and(|at| at <= now) {
            self.trying_at = None;
            if let Some(invite) = &self.invite {
                let mut trying = message::response(&invite.request, 100, "");
                trying.headers.retain(|h| !matches!(h, Header::To(_)));
                trying.headers.extend(first!(invite.request, To).map(|to| Header::To(to.into())).into_iter().collect());
                invite.respond(trying);
            }
        }
        let t2 = self.endpoint.0.timers.t2;
        if let Some(reliable) = &mut self.reliable {
            if reliable.until <= now {
                // RFC 3262 section 3: no PRACK in 64*T1, so the call is refused with a 5xx.
                self.refuse_invite(504, "no PRACK").await;
                return self.close(Ended::NoAck, "no PRACK");
            }
            if reliable.next <= now {
                reliable.interval = (reliable.interval * 2).min(t2);
                reliable.next = now + reliable.interval;
                if let Some(invite) = &self.invite {
                    invite.respond(reliable.response.clone());
                }
            }
        }
        if let Some((id, until)) = self.offered
            && until <= now
        {
            self.refuse_offer(id, 500).await;
        }
        self.transfers_due(now).await;
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            self.refresh().await;
        }
        match self.timer.as_mut().and_then(|timer| timer.due(now)) {
            Some(Due::Refresh) => self.refresh().await,
            Some(Due::Expired) => {
                self.timer = None;
                self.send_bye("session timer expired").await;
                self.finish(Ended::SessionExpired, "session timer expired");
            }
            None => {}
        }
    }

    // ---- Commands

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Ringing => self.ringing(),
            Command::Answer { sdp, done } => {
                let _ = done.send(self.answer(sdp));
            }
            Command::Reject { status, reason } => {
                if !self.confirmed && !self.answered() && !self.over {
                    self.refuse_invite(status, &reason).await;
                    self.close(Ended::Local, "rejected");
                }
            }
            Command::Bye(reason) => self.hang_up(reason).await,
            Command::Offer { sdp, done } => {
                if self.ending || self.end.get().is_some() {
                    let _ = done.send(Err(OfferError::Over));
                } else if self.asking || self.invite.is_some() || self.offered.is_some() || !self.confirmed {
                    let _ = done.send(Err(OfferError::Pending));
                } else {
                    self.local_sdp = sdp;
                    self.reinvite(Some(done)).await;
                }
            }
            Command::Accept { id, sdp } => self.accept_offer(id, sdp).await,
            Command::Refuse { id, status } => self.refuse_offer(id, status).await,
            Command::ReferAccept { .. }
            | Command::ReferFinish { .. }
            | Command::ReferRefuse { .. }
            | Command::Refer { .. } => self.on_refer_command(command).await,
        }
    }

    fn answered(&self) -> bool {
        self.invite.as_ref().is_some_and(|invite| invite.answered)
    }

    /// A response to the INVITE that is under way, with what a dialog's responses carry.
    fn invite_response(&self, invite: &Invite, status: u16) -> Response {
        let mut response = message::response(&invite.request, status, &self.ends.local_tag);
        response
            .headers
            .extend(invite.request.headers.iter().filter(|h| matches!(h, Header::RecordRoute(_))).cloned().collect());
        response.headers.push(Header::Contact(self.ends.contact.as_str().into()));
        response.headers.push(Header::Allow(ALLOW.into()));
        response.headers.push(Header::Supported(SUPPORTED.join(", ").into()));
        response
    }

    fn ringing(&mut self) {
        let Some(invite) = &self.invite else { return };
        if invite.answered || self.confirmed || self.reliable.is_some() {
            return;
        }
        self.trying_at = None;
        let mut response = self.invite_response(invite, 180);
        if supports(all!(invite.request, Require), "100rel") {
            let now = self.endpoint.now();
            let t1 = self.endpoint.0.timers.t1;
            let rseq = 1;
            response.headers.push(Header::Require("100rel".into()));
            response.headers.push(Header::RSeq(rseq.to_string().into()));
            self.reliable =
                Some(Reliable { rseq, response: response.clone(), next: now + t1, interval: t1, until: now + t1 * 64 });
        }
        invite.respond(response);
    }

    fn answer(&mut self, sdp: String) -> Result<(), AnswerError> {
        if self.end.get().is_some() {
            return Err(AnswerError::Cancelled);
        }
        let Some(invite) = &self.invite else { return Err(AnswerError::Cancelled) };
        if invite.answered {
            return Err(AnswerError::Cancelled);
        }
        let mut response = self.invite_response(invite, 200);
        let expires = self.agree_timer(&invite.request).unwrap_or(None);
        add_timer(&mut response, expires, self.ends.peer_timers);
        message::set_body(&mut response.headers, &mut response.body, "application/sdp", sdp.clone().into_bytes());
        invite.respond(response);
        self.timer = expires.map(|expires| SessionTimer::agreed(expires, false, self.endpoint.now()));
        self.local_sdp = sdp;
        self.reliable = None;
        self.trying_at = None;
        if let Some(invite) = &mut self.invite {
            invite.answered = true;
        }
        Ok(())
    }

    async fn refuse_invite(&mut self, status: u16, why: &str) {
        let Some(invite) = self.invite.take() else { return };
        let mut response = message::response(&invite.request, status, &self.ends.local_tag);
        if !why.is_empty() {
            response.headers.push(Header::Warning(
                format!("399 threadline \"{}\"", why.replace(['"', '\\', '\r', '\n'], "")).into(),
            ));
        }
        if status == 503 {
            response.headers.extend(busy());
        }
        if status == 415 {
            response.headers.push(Header::Accept("application/sdp".into()));
        }
        invite.respond(response);
    }

    async fn hang_up(&mut self, reason: String) {
        if self.ending || self.over || self.end.get().is_some() {
            return;
        }
        if self.confirmed {
            self.send_bye(&reason).await;
            self.finish(Ended::Local, "hangup");
        } else if self.answered() {
            // RFC 3261 section 15: not before the ACK, or before it is clear that none comes.
            self.bye_wanted = Some(reason);
        } else {
            self.refuse_invite(480, "").await;
            self.close(Ended::Local, "hangup");
        }
    }

    // ---- The peer's INVITE

    async fn on_invite(&mut self, event: Option<InviteEvent>) {
        match event {
            Some(InviteEvent::Ack(sdp)) => {
                let Some(invite) = self.invite.take() else { return };
                let sdp = sdp.filter(|_| invite.late);
                let first = !std::mem::replace(&mut self.confirmed, true);
                if let Some(reason) = self.bye_wanted.take() {
                    self.send_bye(&reason).await;
                    self.finish(Ended::Local, "hangup");
                } else if first || sdp.is_some() {
                    self.tell(DialogEvent::Confirmed { sdp });
                }
            }
            Some(InviteEvent::Cancelled(cause)) => {
                self.invite = None;
                self.offered = None;
                if !self.confirmed {
                    self.close(Ended::Remote, &cause);
                }
            }
            Some(InviteEvent::Unacknowledged) | None => {
                let answered = self.invite.take().is_some_and(|invite| invite.answered);
                if answered && !self.ending {
                    self.endpoint.count(|c| &c.no_ack);
                    tracing::warn!("an answer of ours was never acknowledged");
                    self.send_bye("no ACK").await;
                    self.finish(Ended::NoAck, "no ACK");
                } else if !self.confirmed && !self.ending {
                    self.close(Ended::Lost, "transaction ended");
                }
            }
        }
    }

    /// `false`: the call does not keep up.
    fn tell(&mut self, event: DialogEvent) -> bool {
        self.events.as_ref().is_some_and(|events| events.try_send(event).is_ok())
    }
}

/// Puts what was agreed into a 2xx (RFC 4028 section 9).
fn add_timer(response: &mut Response, expires: Option<SessionExpires>, peer_supports: bool) {
    let Some(expires) = expires else { return };
    response.headers.push(Header::SessionExpires(expires.render().into()));
    if peer_supports && expires.refresher == Some(Refresher::Uac) {
        response.headers.push(Header::Require("timer".into()));
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
