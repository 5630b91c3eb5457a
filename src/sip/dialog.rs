//! One leg of a call: a dialog and its session (RFC 3261 sections 12 to 15), ours or theirs.
//!
//! Each runs as one task, so that the peer is answered however busy the call is. [`Dialog`] is the handle; dropping it
//! ends the leg with BYE.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use rsipstack::sip::{Header, Method, Request, Response, SipMessage};
use rsipstack::transaction::transaction::{Transaction, TransactionEvent, TransactionEventSender};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::endpoint::{Endpoint, Flow, capabilities, unsupported};
use super::identity;
use super::inbound::{AnswerError, CallSlot};
use super::message::{self, all, first};
use super::session_timer::{self, Due, MIN_SE, Refresher, SessionExpires, SessionTimer};
use super::{ALLOW, SUPPORTED, wire};

/// Requests of one dialog that wait for it; beyond, 503.
const REQUESTS: usize = 16;
/// Events that wait for the call; beyond, INFO gets 503 and offers 500.
const EVENTS: usize = 32;
/// After so long without any other answer an INVITE gets 100 (RFC 3261 section 17.2.1: within 200 ms).
const TRYING_AFTER: Duration = Duration::from_millis(150);
/// An offer that the call does not answer for so long is refused.
const OFFER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a request waits for an ACK that came just before it.
const ACK_HANDED_ON: Duration = Duration::from_millis(20);

/// What happens on a leg.
#[derive(Debug)]
pub enum DialogEvent {
    /// The ACK is here: the leg is established. `sdp` is the peer's answer, if the offer was ours. Comes again when a
    /// later INVITE without offer is concluded, then always with `sdp`.
    Confirmed {
        /// The peer's answer to our offer.
        sdp: Option<String>,
    },
    /// The peer offers another session (re-INVITE, UPDATE); a refresh repeats the last one. `None`: it asks for our offer.
    Offer {
        /// The offer.
        sdp: Option<String>,
        /// How to answer it.
        reply: OfferReply,
    },
    /// INFO, already answered with 200.
    Info {
        /// Its Content-Type, such as `application/dtmf-relay`.
        content_type: String,
        /// Its body.
        body: Bytes,
    },
    /// The leg is over. Comes again however often one asks.
    Ended {
        /// Who ended it.
        by: Ended,
        /// Why, in a few words: a Reason header's text, a status, what timed out.
        cause: String,
    },
}

/// Who or what ended a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer hung up (BYE), or gave up before the answer (CANCEL).
    Remote,
    /// We did.
    Local,
    /// The peer never acknowledged our answer.
    NoAck,
    /// The session timer ran out.
    SessionExpired,
    /// The peer no longer answers, or no longer knows the call.
    Lost,
}

/// Why our offer came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Another offer is under way; try again in a few seconds.
    #[error("another offer is under way on this call; try again in a few seconds")]
    Pending,
    /// The peer refused it with this status.
    #[error("the peer refused the offer with {0}")]
    Refused(u16),
    /// The leg is over.
    #[error("the call is over")]
    Over,
}

/// One leg of a call.
#[derive(Debug)]
pub struct Dialog {
    events: mpsc::Receiver<DialogEvent>,
    commands: mpsc::Sender<Command>,
    end: Arc<OnceLock<(Ended, String)>>,
    call_id: String,
    peer: SocketAddr,
    local_address: IpAddr,
    _alive: DropGuard,
}

impl Dialog {
    /// What happens next. Cancel-safe.
    pub async fn next(&mut self) -> DialogEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => {
                let (by, cause) = self.end.get().cloned().unwrap_or((Ended::Lost, "endpoint closed".to_owned()));
                DialogEvent::Ended { by, cause }
            }
        }
    }

    /// Hangs up. The BYE (after the ACK, if that is still missing) is sent and repeated in the background; `reason` goes
    /// into its Reason header unless it is empty.
    pub async fn bye(&self, reason: &str) {
        let _ = self.commands.send(Command::Bye(reason.to_owned())).await;
    }

    /// Offers another session (hold, resume, moved media) and returns the peer's answer.
    ///
    /// # Errors
    /// Another offer is under way, the peer refused, or the leg is over.
    pub async fn offer(&self, sdp: String) -> Result<String, OfferError> {
        let (done, answer) = oneshot::channel();
        self.commands.send(Command::Offer { sdp, done }).await.map_err(|_| OfferError::Over)?;
        answer.await.map_err(|_| OfferError::Over)?
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Where the peer's signalling came from.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address to put into SDP towards this peer.
    pub fn local_address(&self) -> IpAddr {
        self.local_address
    }

    pub(super) async fn command(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

/// The right to answer one offer. Dropped unused, it refuses with 488.
#[derive(Debug)]
pub struct OfferReply {
    id: u64,
    commands: Option<mpsc::Sender<Command>>,
}

impl OfferReply {
    /// Answers the offer; where the peer asked for one, `sdp` is ours.
    pub async fn accept(mut self, sdp: Option<String>) {
        if let Some(commands) = self.commands.take() {
            let _ = commands.send(Command::Accept { id: self.id, sdp }).await;
        }
    }

    /// Refuses the offer; the session stays as it was.
    pub async fn refuse(mut self, status: u16) {
        if let Some(commands) = self.commands.take() {
            let _ = commands.send(Command::Refuse { id: self.id, status }).await;
        }
    }
}

impl Drop for OfferReply {
    fn drop(&mut self) {
        if let Some(commands) = self.commands.take() {
            // Full: the offer's own deadline refuses it.
            let _ = commands.try_send(Command::Refuse { id: self.id, status: 488 });
        }
    }
}

/// What the handle asks of the task.
#[derive(Debug)]
pub(super) enum Command {
    Ringing,
    Answer { sdp: String, done: oneshot::Sender<Result<(), AnswerError>> },
    Reject { status: u16, reason: String },
    Bye(String),
    Offer { sdp: String, done: oneshot::Sender<Result<String, OfferError>> },
    Accept { id: u64, sdp: Option<String> },
    Refuse { id: u64, status: u16 },
}

/// Who the two ends are, and how requests between them look.
pub(super) struct Ends {
    call_id: String,
    local_tag: String,
    remote_tag: String,
    /// From of our requests.
    local: String,
    /// To of our requests.
    remote: String,
    /// Where the peer wants our requests: its Contact.
    target: String,
    /// Route of our requests.
    routes: Vec<String>,
    contact: String,
    flow: Flow,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    peer_updates: bool,
    peer_timers: bool,
}

fn supports(message_supported: impl Iterator<Item = impl AsRef<str>>, tag: &str) -> bool {
    message_supported.into_iter().any(|value| value.as_ref().split(',').any(|t| t.trim().eq_ignore_ascii_case(tag)))
}

fn routes<'v>(values: impl Iterator<Item = &'v str>) -> Vec<String> {
    values.flat_map(wire::list).filter(|route| !route.is_empty()).map(str::to_owned).collect()
}

impl Ends {
    /// The called side of a dialog (RFC 3261 section 12.1.1); `None`: the INVITE has no usable Contact or From.
    pub(super) fn called(invite: &Request, flow: Flow) -> Option<Ends> {
        let from = first!(invite, From)?;
        let local_tag = message::random();
        Some(Ends {
            call_id: first!(invite, CallId)?.to_owned(),
            remote_tag: wire::tag(from)?.to_owned(),
            local: format!("{};tag={local_tag}", first!(invite, To)?),
            remote: from.to_owned(),
            local_tag,
            target: identity::uri(first!(invite, Contact)?)?.to_owned(),
            routes: routes(all!(invite, RecordRoute)),
            contact: flow.contact("threadline"),
            flow,
            local_cseq: 0,
            remote_cseq: message::cseq(&invite.headers),
            peer_updates: supports(all!(invite, Allow), "UPDATE"),
            peer_timers: supports(all!(invite, Supported), "timer"),
        })
    }

    /// The calling side (RFC 3261 section 12.1.2); `None`: the response makes no dialog.
    fn calling(invite: &Request, response: &Response, flow: Flow) -> Option<Ends> {
        let (from, to) = (first!(invite, From)?, first!(response, To)?);
        let mut routes = routes(all!(response, RecordRoute));
        routes.reverse();
        Some(Ends {
            call_id: first!(invite, CallId)?.to_owned(),
            local_tag: wire::tag(from)?.to_owned(),
            remote_tag: wire::tag(to)?.to_owned(),
            local: from.to_owned(),
            remote: to.to_owned(),
            target: identity::uri(first!(response, Contact)?)?.to_owned(),
            routes,
            contact: first!(invite, Contact).map_or_else(|| flow.contact("threadline"), str::to_owned),
            flow,
            local_cseq: message::cseq(&invite.headers)?,
            remote_cseq: None,
            peer_updates: supports(all!(response, Allow), "UPDATE"),
            peer_timers: supports(all!(response, Supported), "timer"),
        })
    }

    /// A request within the dialog (RFC 3261 section 12.2.1.1); ACK repeats the CSeq of the INVITE that it is for.
    fn request(&mut self, method: Method) -> Request {
        if method != Method::Ack {
            self.local_cseq = self.local_cseq.saturating_add(1);
        }
        let strict = self.routes.first().is_some_and(|route| {
            identity::uri(route).is_some_and(|uri| {
                wire::parameter(
                    &format!("<>{}", uri.split_once(';').map_or(String::new(), |(_, p)| format!(";{p}"))),
                    "lr",
                )
                .is_none()
            })
        });
        let mut headers = vec![
            Header::From(self.local.as_str().into()),
            Header::To(self.remote.as_str().into()),
            Header::CallId(self.call_id.as_str().into()),
            Header::CSeq(format!("{} {method}", self.local_cseq).into()),
        ];
        let mut uri = self.target.as_str();
        let mut hops: Vec<&str> = self.routes.iter().map(String::as_str).collect();
        let target = format!("<{}>", self.target);
        if strict && let Some(first) = self.routes.first().and_then(|route| identity::uri(route)) {
            uri = first;
            hops.remove(0);
            hops.push(&target);
        }
        headers.extend(hops.into_iter().map(|hop| Header::Route(hop.into())));
        if matches!(method, Method::Invite | Method::Update) {
            headers.push(Header::Contact(self.contact.as_str().into()));
            headers.push(Header::Allow(ALLOW.into()));
            headers.push(Header::Supported(SUPPORTED.join(", ").into()));
        }
        message::request(method, uri, headers)
    }

    /// The way to the next hop: an open stream as it is; over UDP the first Route, else the peer's Contact. A private
    /// address named by a peer that is out in the world is one behind its NAT: then back to where it spoke from.
    async fn way(&self, endpoint: &Endpoint) -> Flow {
        if self.flow.transport != crate::settings::Transport::Udp {
            return match endpoint.flow(self.flow.remote, self.flow.transport, &self.flow.remote.ip().to_string()).await
            {
                Ok(flow) => flow,
                Err(_) => self.flow.clone(),
            };
        }
        let uri = self.routes.first().and_then(|route| identity::uri(route)).unwrap_or(&self.target);
        let Some(remote) = endpoint.resolve(uri, self.flow.remote).await else { return self.flow.clone() };
        Flow { remote, ..self.flow.clone() }
    }
}

/// An INVITE of the peer's that is not concluded.
struct Invite {
    request: Request,
    respond: TransactionEventSender,
    events: mpsc::Receiver<InviteEvent>,
    answered: bool,
    /// It had no offer: the answer to ours comes with the ACK.
    late: bool,
    expires: Option<SessionExpires>,
}

enum InviteEvent {
    Ack(Option<String>),
    Cancelled(String),
    Unacknowledged,
}

impl Invite {
    /// Runs a server transaction in a task of its own; CANCEL is answered there, so that it cannot be missed.
    fn drive(mut transaction: Transaction, tag: String) -> Invite {
        let request = transaction.original.clone();
        let respond = transaction.tu_sender.clone();
        let (happened, events) = mpsc::channel(4);
        tokio::spawn(async move {
            let mut acknowledged = false;
            while let Some(message) = transaction.receive().await {
                let SipMessage::Request(request) = message else { continue };
                match request.method {
                    Method::Ack => {
                        acknowledged = true;
                        let _ = happened
                            .try_send(InviteEvent::Ack(message::sdp(first!(request, ContentType), &request.body)));
                    }
                    Method::Cancel => {
                        let _ = transaction.respond(message::response(&transaction.original, 487, &tag)).await;
                        let _ = happened
                            .try_send(InviteEvent::Cancelled(reason(&request).unwrap_or("cancelled".to_owned())));
                    }
                    _ => {}
                }
            }
            if !acknowledged {
                let _ = happened.try_send(InviteEvent::Unacknowledged);
            }
        });
        let late = message::sdp(first!(request, ContentType), &request.body).is_none();
        Invite { request, respond, events, answered: false, late, expires: None }
    }

    fn respond(&self, response: Response) {
        // Its receiver is the transaction's task; if that is gone, the peer has been answered.
        let _ = self.respond.send(TransactionEvent::Respond(response));
    }
}

/// A provisional response that waits for its PRACK (RFC 3262).
struct Reliable {
    rseq: u32,
    response: Response,
    next: Duration,
    interval: Duration,
    until: Duration,
}

/// The text of a Reason header (RFC 3326), else its cause.
fn reason(request: &Request) -> Option<String> {
    let value = first!(request, Reason)?;
    let text = wire::parameter(value, "text").map(|text| text.trim_matches('"').to_owned());
    text.filter(|text| !text.is_empty()).or_else(|| Some(value.chars().take(120).collect()))
}

/// What came of a request of ours.
enum Outcome {
    Bye,
    Offer { response: Option<Box<Response>>, invite: bool, done: Option<oneshot::Sender<Result<String, OfferError>>> },
}

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
    /// A request of ours with an offer, or a refresh, is under way.
    asking: bool,
    refresh_at: Option<Duration>,
    /// The call hung up before the ACK came.
    bye_wanted: Option<String>,
    ending: bool,
    over: bool,
    timer: Option<SessionTimer>,
    trying_at: Option<Duration>,
    local_sdp: String,
    events: Option<mpsc::Sender<DialogEvent>>,
    commands: mpsc::Sender<Command>,
    outcomes: mpsc::Sender<Outcome>,
    end: Arc<OnceLock<(Ended, String)>>,
    _slot: Option<CallSlot>,
}

struct Inbox {
    /// Boxed: a channel sets room for 32 aside at once, and a transaction is large.
    requests: mpsc::Receiver<Box<Transaction>>,
    commands: mpsc::Receiver<Command>,
    outcomes: mpsc::Receiver<Outcome>,
    abandoned: CancellationToken,
}

/// Starts the leg of a call that comes in.
pub(super) fn called(endpoint: &Endpoint, ends: Ends, transaction: Transaction, slot: CallSlot) -> Dialog {
    let tag = ends.local_tag.clone();
    let (mut task, inbox, dialog) = task(endpoint, ends, Some(slot));
    task.invite = Some(Invite::drive(transaction, tag));
    task.trying_at = Some(endpoint.now() + TRYING_AFTER);
    tokio::spawn(task.run(inbox));
    dialog
}

/// Starts the leg of a call of ours whose INVITE got `response` (2xx), and acknowledges that. `offer` is the SDP that we
/// sent; `answer` goes into the ACK where the offer was the peer's. `None`: the response makes no dialog.
pub(super) async fn calling(
    endpoint: &Endpoint,
    flow: &Flow,
    invite: &Request,
    response: &Response,
    offer: &str,
    answer: Option<String>,
) -> Option<Dialog> {
    let mut ends = Ends::calling(invite, response, flow.clone())?;
    let mut ack = ends.request(Method::Ack);
    // RFC 3261 section 13.2.2.4: the ACK carries the INVITE's credentials.
    ack.headers.extend(
        invite
            .headers
            .iter()
            .filter(|h| matches!(h, Header::Authorization(_) | Header::ProxyAuthorization(_)))
            .cloned()
            .collect(),
    );
    let local_sdp = answer.clone().unwrap_or_else(|| offer.to_owned());
    if let Some(answer) = answer {
        message::set_body(&mut ack.headers, &mut ack.body, "application/sdp", answer.into_bytes());
    }
    let way = ends.way(endpoint).await;
    endpoint.acknowledge(&ends.local_tag, &way, ack).await;
    let (mut task, inbox, dialog) = task(endpoint, ends, None);
    task.confirmed = true;
    task.local_sdp = local_sdp;
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
        call_id: ends.call_id.clone(),
        peer: ends.flow.remote,
        local_address: ends.flow.local.ip(),
        _alive: abandoned.clone().drop_guard(),
    };
    let task = Task {
        endpoint: endpoint.clone(),
        ends,
        confirmed: false,
        invite: None,
        update: None,
        reliable: None,
        offered: None,
        offers: 0,
        asking: false,
        refresh_at: None,
        bye_wanted: None,
        ending: false,
        over: false,
        timer: None,
        trying_at: None,
        local_sdp: String::new(),
        events: Some(events),
        commands,
        outcomes,
        end,
        _slot: slot,
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
            response.headers.extend(super::endpoint::busy());
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

    // ---- Requests of ours

    async fn send_bye(&mut self, reason: &str) {
        self.ending = true;
        self.refuse_pending(487).await;
        let mut bye = self.ends.request(Method::Bye);
        if !reason.is_empty() {
            let text = reason.replace(['"', '\\', '\r', '\n'], "");
            bye.headers.push(Header::Reason(format!("SIP;cause=200;text=\"{text}\"").into()));
        }
        let way = self.ends.way(&self.endpoint).await;
        let sent = self.endpoint.request(&way, bye).await;
        let outcomes = self.outcomes.clone();
        tokio::spawn(async move {
            if let Ok(transaction) = sent {
                transaction.finish().await;
            }
            let _ = outcomes.send(Outcome::Bye).await;
        });
    }

    /// Refreshes the session: by UPDATE where the peer knows it (no offer needed), else by a re-INVITE as before.
    async fn refresh(&mut self) {
        if self.ending || self.end.get().is_some() {
            return;
        }
        if self.asking || self.invite.is_some() || self.offered.is_some() {
            self.refresh_at = Some(self.endpoint.now() + Duration::from_secs(3));
            return;
        }
        if self.ends.peer_updates {
            let update = self.ends.request(Method::Update);
            self.ask(update, None).await;
        } else {
            self.reinvite(None).await;
        }
    }

    async fn reinvite(&mut self, done: Option<oneshot::Sender<Result<String, OfferError>>>) {
        let mut invite = self.ends.request(Method::Invite);
        let sdp = self.local_sdp.clone().into_bytes();
        message::set_body(&mut invite.headers, &mut invite.body, "application/sdp", sdp);
        self.ask(invite, done).await;
    }

    async fn ask(&mut self, mut request: Request, done: Option<oneshot::Sender<Result<String, OfferError>>>) {
        if let Some(timer) = &self.timer {
            request.headers.push(Header::SessionExpires(timer.request().render().into()));
            request.headers.push(Header::MinSE(MIN_SE.as_secs().to_string().into()));
        }
        self.asking = true;
        let invite = request.method == Method::Invite;
        let way = self.ends.way(&self.endpoint).await;
        let sent = self.endpoint.request(&way, request).await;
        let outcomes = self.outcomes.clone();
        tokio::spawn(async move {
            let response = match sent {
                Ok(transaction) => transaction.finish().await.map(Box::new),
                Err(_) => None,
            };
            let _ = outcomes.send(Outcome::Offer { response, invite, done }).await;
        });
    }

    async fn on_outcome(&mut self, outcome: Outcome) {
        let Outcome::Offer { response, invite, done } = outcome else {
            self.over = true;
            return;
        };
        self.asking = false;
        let status = response.as_deref().map_or(408, message::status);
        if let Some(response) = response.filter(|_| status / 100 == 2) {
            self.refresh_target(first!(response, Contact));
            if invite {
                let ack = self.ends.request(Method::Ack);
                let way = self.ends.way(&self.endpoint).await;
                self.endpoint.acknowledge(&self.ends.local_tag, &way, ack).await;
            }
            self.timer = first!(response, SessionExpires)
                .and_then(SessionExpires::parse)
                .map(|expires| SessionTimer::agreed(expires, true, self.endpoint.now()))
                .filter(|_| !self.ending);
            if let Some(done) = done {
                let _ = done.send(Ok(String::from_utf8_lossy(&response.body).into_owned()));
            }
            return;
        }
        if let Some(done) = done {
            let _ = done.send(Err(OfferError::Refused(status)));
        } else if status == 491 {
            // Glare (RFC 3261 section 14.1); a time between 2.1 and 4 s, ours to choose.
            self.refresh_at =
                Some(self.endpoint.now() + Duration::from_millis(2_100 + u64::from(self.ends.local_cseq % 20) * 95));
        } else if !self.ends.peer_updates || matches!(status, 408 | 481) {
            tracing::debug!(call_id = %self.ends.call_id, status, "session refresh refused");
        } else {
            // It said that it knows UPDATE and does not like it: try the other way.
            self.ends.peer_updates = false;
            self.refresh_at = Some(self.endpoint.now());
        }
        // RFC 3261 section 12.2.1.2: the peer does not know the call any more.
        if matches!(status, 408 | 481) && !self.ending && self.end.get().is_none() {
            self.send_bye("").await;
            self.finish(
                Ended::Lost,
                if status == 408 { "peer does not answer" } else { "peer does not know the call" },
            );
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

    // ---- Requests of the peer's

    /// An ACK that came before a request may still be on its way through its own transaction's task.
    async fn settle(&mut self) {
        let Some(invite) = self.invite.as_mut().filter(|invite| invite.answered) else { return };
        if let Ok(event) = tokio::time::timeout(ACK_HANDED_ON, invite.events.recv()).await {
            self.on_invite(event).await;
        }
    }

    async fn on_request(&mut self, transaction: Transaction) {
        self.settle().await;
        let endpoint = self.endpoint.clone();
        let request = &transaction.original;
        let ours = first!(request, CallId) == Some(self.ends.call_id.as_str())
            && first!(request, From).and_then(wire::tag) == Some(self.ends.remote_tag.as_str());
        if !ours || (self.ending && request.method != Method::Bye) {
            return endpoint.refuse(transaction, 481, vec![]).await;
        }
        let cseq = message::cseq(&request.headers);
        if self.ends.remote_cseq.is_some_and(|last| cseq.is_none_or(|cseq| cseq < last)) {
            return endpoint.refuse(transaction, 500, vec![]).await;
        }
        self.ends.remote_cseq = cseq;
        if let Some(unknown) = unsupported(request) {
            return endpoint.refuse(transaction, 420, vec![Header::Unsupported(unknown.into())]).await;
        }
        match request.method {
            Method::Bye => {
                let cause = reason(request).unwrap_or_else(|| "hangup".to_owned());
                self.reply(transaction, 200, vec![]).await;
                self.refuse_pending(487).await;
                self.close(Ended::Remote, &cause);
            }
            Method::Info => {
                let content_type = first!(request, ContentType).unwrap_or_default().to_owned();
                let body = Bytes::from(request.body.clone());
                // An INFO before the answer, or without a body, tells the call nothing.
                let told = !self.confirmed || body.is_empty() || self.tell(DialogEvent::Info { content_type, body });
                self.reply(transaction, if told { 200 } else { 503 }, vec![]).await;
            }
            Method::Options => self.reply(transaction, 200, capabilities()).await,
            Method::PRack => self.prack(transaction).await,
            Method::Update | Method::Invite => self.on_offer(transaction).await,
            _ => self.reply(transaction, 405, vec![Header::Allow(ALLOW.into())]).await,
        }
    }

    async fn reply(&self, transaction: Transaction, status: u16, headers: Vec<Header>) {
        let mut response = message::response(&transaction.original, status, &self.ends.local_tag);
        response.headers.extend(headers);
        self.endpoint.respond(transaction, response).await;
    }

    async fn prack(&mut self, transaction: Transaction) {
        let matches = self.reliable.as_ref().is_some_and(|reliable| {
            let mut parts = first!(transaction.original, RAck).unwrap_or_default().split_ascii_whitespace();
            parts.next() == Some(reliable.rseq.to_string().as_str())
                && parts.next().and_then(|n| n.parse().ok()) == message::cseq(&reliable.response.headers)
                && parts.next() == Some("INVITE")
        });
        if matches {
            self.reliable = None;
        }
        self.reply(transaction, if matches { 200 } else { 481 }, vec![]).await;
    }

    /// A re-INVITE or UPDATE.
    async fn on_offer(&mut self, transaction: Transaction) {
        let request = &transaction.original;
        let invite = request.method == Method::Invite;
        let sdp = message::sdp(first!(request, ContentType), &request.body);
        if sdp.is_none() && !request.body.is_empty() {
            return self.reply(transaction, 415, vec![Header::Accept("application/sdp".into())]).await;
        }
        let offers = invite || sdp.is_some();
        if offers && (self.asking || self.answered()) {
            // Glare (RFC 3261 section 14.2), or the ACK that would conclude the last offer is still missing (RFC 5407).
            return self.reply(transaction, 491, vec![]).await;
        }
        if offers && (self.offered.is_some() || self.invite.is_some()) {
            return self.reply(transaction, 500, vec![Header::RetryAfter("3".into())]).await;
        }
        let Ok(expires) = self.agree_timer(request) else {
            return self.reply(transaction, 422, vec![Header::MinSE(MIN_SE.as_secs().to_string().into())]).await;
        };
        let contact = first!(request, Contact).map(str::to_owned);
        self.refresh_target(contact.as_deref());
        if !offers {
            return self.conclude_update(transaction, expires, None).await;
        }
        self.offers += 1;
        let reply = OfferReply { id: self.offers, commands: Some(self.commands.clone()) };
        if !self.tell(DialogEvent::Offer { sdp, reply }) {
            return self.reply(transaction, 500, vec![Header::RetryAfter("3".into())]).await;
        }
        self.offered = Some((self.offers, self.endpoint.now() + OFFER_PATIENCE));
        if invite {
            let mut driven = Invite::drive(transaction, self.ends.local_tag.clone());
            driven.expires = expires;
            self.invite = Some(driven);
            self.trying_at = Some(self.endpoint.now() + TRYING_AFTER);
        } else {
            self.update = Some((transaction, expires));
        }
    }

    async fn conclude_update(
        &mut self,
        transaction: Transaction,
        expires: Option<SessionExpires>,
        sdp: Option<String>,
    ) {
        let mut response = message::response(&transaction.original, 200, &self.ends.local_tag);
        response.headers.push(Header::Contact(self.ends.contact.as_str().into()));
        response.headers.extend(capabilities());
        add_timer(&mut response, expires, self.ends.peer_timers);
        if let Some(sdp) = sdp {
            message::set_body(&mut response.headers, &mut response.body, "application/sdp", sdp.clone().into_bytes());
            self.local_sdp = sdp;
        }
        self.endpoint.respond(transaction, response).await;
        if self.confirmed {
            self.timer = expires.map(|expires| SessionTimer::agreed(expires, false, self.endpoint.now()));
        }
    }

    async fn accept_offer(&mut self, id: u64, sdp: Option<String>) {
        if self.offered.is_none_or(|(current, _)| current != id) {
            return;
        }
        self.offered = None;
        self.trying_at = None;
        if let Some((transaction, expires)) = self.update.take() {
            return self.conclude_update(transaction, expires, sdp).await;
        }
        let Some(invite) = &self.invite else { return };
        let mut response = self.invite_response(invite, 200);
        let expires = invite.expires;
        add_timer(&mut response, expires, self.ends.peer_timers);
        let sdp = sdp.unwrap_or_else(|| self.local_sdp.clone());
        message::set_body(&mut response.headers, &mut response.body, "application/sdp", sdp.clone().into_bytes());
        invite.respond(response);
        self.local_sdp = sdp;
        self.timer = expires.map(|expires| SessionTimer::agreed(expires, false, self.endpoint.now()));
        if let Some(invite) = &mut self.invite {
            invite.answered = true;
        }
    }

    async fn refuse_offer(&mut self, id: u64, status: u16) {
        if self.offered.is_none_or(|(current, _)| current != id) {
            return;
        }
        self.refuse_pending(status).await;
    }

    /// Refuses whatever of the peer's waits for an answer.
    async fn refuse_pending(&mut self, status: u16) {
        self.offered = None;
        self.trying_at = None;
        if let Some((transaction, _)) = self.update.take() {
            self.reply(transaction, status, vec![]).await;
        }
        if self.invite.as_ref().is_some_and(|invite| !invite.answered) {
            self.refuse_invite(status, "").await;
        }
    }

    /// What the peer's request and we agree on as session timer.
    fn agree_timer(&self, request: &Request) -> Result<Option<SessionExpires>, session_timer::TooSmall> {
        let asked = first!(request, SessionExpires).and_then(SessionExpires::parse);
        let least = first!(request, MinSE).and_then(SessionExpires::parse).map(|least| least.interval);
        let ours = self.endpoint.settings().sip.session_expires;
        session_timer::answer(asked, least, supports(all!(request, Supported), "timer"), ours)
    }

    fn refresh_target(&mut self, contact: Option<&str>) {
        if let Some(uri) = contact.and_then(|contact| wire::list(contact).next()).and_then(identity::uri) {
            self.ends.target = uri.to_owned();
        }
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
