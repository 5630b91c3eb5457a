//! Placing a call: INVITE to one target after the other until one answers for good.
//!
//! Only the box dials, for its phone tree, its staff and its own phones; nothing that a stranger sends leads here. A call
//! is one task; its handle tells what happens, and dropping the handle hangs up. What is left out on purpose: redirects
//! (a 3xx fails the call: the box calls whom it was told to call, not whom a peer names).

mod early;
mod take_back;
mod target;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rsipstack::sip::{Header, Method, Request, Response};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::early::Forks;
pub(super) use self::take_back::decline;
use self::take_back::{Why, reap, send_cancel, way};
use self::target::Way;
pub use self::target::{Target, TargetError};
use super::capabilities::{ALLOW, SUPPORTED};
use super::dialog::{self, Dialog, Replaces};
use super::digest::{Asker, Authenticator, Signed};
use super::endpoint::{ClientTransaction, Endpoint, Flow};
use super::message::{self, all, first};
use super::trunk::{self, is_theirs};
use crate::clock::monotonic;
use crate::model::PhoneNumber;

/// A peer that has not said even 100 after so many T1 (5 s) is not there: the next one is tried. Timer B would take 32 s.
const SILENCE: u32 = 10;
/// Steps that wait for the caller; beyond, provisional ones are lost.
const STEPS: usize = 32;
/// Requests of a called side that has not answered which wait to be served; beyond, 503.
const EARLY_REQUESTS: usize = 4;
/// The longest display name, in characters: more fits no phone's display.
const LONGEST_NAME: usize = 64;
/// The shortest session timer of RFC 4028, in seconds.
const MIN_SE: u64 = 90;

/// A call to place.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// In failover order: the next is tried when one cannot be reached, does not answer, or says 408 or 503.
    pub targets: Vec<Target>,
    /// The user in From, where a target has no number of its own to show: the clinic's number, or a name such as
    /// `threadline`; towards a phone of ours, who is calling.
    pub from: String,
    /// The name in From, which a phone shows: the caller's number and why they call.
    pub display: Option<String>,
    /// Our offer.
    pub offer: String,
    /// How long it may ring, over all targets.
    pub ring_for: Duration,
    /// The call of the peer's own that this one is to take the place of (RFC 3891).
    pub replaces: Option<Replaces>,
    /// Whatever one target answers, the next is tried: for emergency calls, of which nobody but the last may say no.
    pub insist: bool,
}

/// What happens to a call that we place. After [`Step::Answered`] or [`Step::Failed`] nothing more comes.
#[derive(Debug)]
pub enum Step {
    /// A provisional response: 180 rings, 183 often brings sound.
    Progress {
        /// 101 to 199.
        status: u16,
        /// Which early dialog it belongs to, from 0: a proxy may ring several phones, each with its own SDP.
        fork: usize,
        /// Its answer to our offer, if it holds one.
        sdp: Option<String>,
    },
    /// Somebody picked up, and it has been acknowledged.
    Answered {
        /// The leg.
        dialog: Dialog,
        /// The answer to our offer; `None`: the peer sent none, and there is nothing to do but to hang up.
        sdp: Option<String>,
        /// The trunk that carried it.
        trunk: Option<String>,
    },
    /// Nobody did.
    Failed {
        /// The last status: the peer's; or 408 for no answer, 487 for hung up by us, 503 for a peer that cannot be reached
        /// or says nothing at all.
        status: u16,
    },
}

/// A call being placed. Dropping it hangs up.
#[derive(Debug)]
pub struct Outbound {
    steps: mpsc::Receiver<Step>,
    cancel: CancellationToken,
    elsewhere: Arc<AtomicBool>,
    call_ids: CallIds,
    _alive: DropGuard,
}

/// The Call-IDs of a call's attempts, one for each address that was tried, with its trunk; more may come while it rings.
#[derive(Clone, Debug, Default)]
pub struct CallIds(Arc<Mutex<Vec<Attempt>>>);

#[derive(Clone, Debug)]
struct Attempt {
    call_id: String,
    trunk: Option<String>,
}

impl CallIds {
    /// Of a call that has but one.
    pub fn one(call_id: &str) -> CallIds {
        CallIds(Arc::new(Mutex::new(vec![Attempt { call_id: call_id.to_owned(), trunk: None }])))
    }

    /// Those so far, in order.
    pub fn list(&self) -> Vec<String> {
        self.attempts().iter().map(|attempt| attempt.call_id.clone()).collect()
    }

    /// The trunk that was tried last; once somebody has picked up, the one that carries the call.
    pub fn trunk(&self) -> Option<String> {
        self.attempts().last().and_then(|attempt| attempt.trunk.clone())
    }

    fn add(&self, call_id: &str, trunk: Option<&str>) {
        self.attempts().push(Attempt { call_id: call_id.to_owned(), trunk: trunk.map(str::to_owned) });
    }

    fn attempts(&self) -> MutexGuard<'_, Vec<Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbound {
    /// Places `call`. Must be called within a tokio runtime.
    pub fn dial(endpoint: &Endpoint, call: Call) -> Outbound {
        let (steps, received) = mpsc::channel(STEPS);
        let cancel = CancellationToken::new();
        let elsewhere = Arc::new(AtomicBool::new(false));
        let call_ids = CallIds::default();
        let dialling = Dialling {
            endpoint: endpoint.clone(),
            ring_until: Instant::from_std(monotonic()) + call.ring_for,
            call,
            steps: steps.clone(),
            cancel: cancel.clone(),
            elsewhere: elsewhere.clone(),
            call_ids: call_ids.clone(),
        };
        tokio::spawn(async move {
            let last = dialling.run().await;
            // Nobody listens any more: a leg that was answered ends with its handle.
            let _ = steps.send(last).await;
        });
        Outbound { steps: received, _alive: cancel.clone().drop_guard(), cancel, elsewhere, call_ids }
    }

    /// By what [`Endpoint::trace`] knows it.
    pub fn call_ids(&self) -> CallIds {
        self.call_ids.clone()
    }

    /// What happens next; `None` after the last step. Cancel-safe.
    pub async fn next(&mut self) -> Option<Step> {
        self.steps.recv().await
    }

    /// Gives up: CANCEL to whoever rings. [`Step::Failed`] follows, or [`Step::Answered`] if the answer was faster.
    pub fn hang_up(&self) {
        self.cancel.cancel();
    }

    /// As [`Outbound::hang_up`], because another phone was picked up: whoever rings is told so (RFC 3326), and does not
    /// note a missed call.
    pub fn hang_up_elsewhere(&self) {
        self.elsewhere.store(true, Relaxed);
        self.cancel.cancel();
    }
}

struct Dialling {
    endpoint: Endpoint,
    call: Call,
    ring_until: Instant,
    steps: mpsc::Sender<Step>,
    cancel: CancellationToken,
    elsewhere: Arc<AtomicBool>,
    call_ids: CallIds,
}

/// What one address came to.
enum Tried {
    Over(Step),
    /// Try the next; this status if there is none.
    Next(u16),
}

/// What one INVITE came to.
enum Came {
    Final(Response),
    /// Nothing, and it is taken back: 408, 487, or 503 where the peer has not said a word.
    Nothing(u16),
}

impl Dialling {
    async fn run(self) -> Step {
        let mut status = 503;
        for target in &self.call.targets {
            for address in self.addresses(target).await {
                if self.cancel.is_cancelled() {
                    return Step::Failed { status: 487 };
                }
                match self.attempt(target, address).await {
                    Tried::Over(step) => return step,
                    Tried::Next(last) => status = last,
                }
                if Instant::from_std(monotonic()) >= self.ring_until {
                    return Step::Failed { status };
                }
            }
        }
        Step::Failed { status }
    }

    async fn addresses(&self, target: &Target) -> Vec<SocketAddr> {
        match &target.way {
            Way::Host(address) => self.endpoint.addresses_of(address).await,
            Way::Flow(flow) if flow.closed.is_cancelled() => vec![],
            Way::Flow(flow) => vec![flow.remote],
        }
    }

    fn why(&self) -> Why {
        if self.elsewhere.load(Relaxed) { Why::Elsewhere } else { Why::GivenUp }
    }

    async fn attempt(&self, target: &Target, address: SocketAddr) -> Tried {
        let flow = match &target.way {
            Way::Host(host) => self.endpoint.flow(address, host.transport, host.host.trim_matches(['[', ']'])).await,
            Way::Flow(flow) => {
                // It speaks within this call, though its registration may be over before the call is.
                self.endpoint.allow_peer(address.ip());
                Ok(Flow::clone(flow))
            }
        };
        let flow = match flow {
            Ok(flow) => flow,
            Err(error) => {
                tracing::warn!(trunk = target.trunk, %error, "cannot reach the target of a call");
                return Tried::Next(503);
            }
        };
        let tag = message::random();
        let (early, requests) = mpsc::channel(EARLY_REQUESTS);
        self.endpoint.register_dialog(&tag, early);
        tokio::spawn(early::serve(self.endpoint.clone(), flow.clone(), requests));
        let tried = self.invite_until_answered(target, &flow, &tag).await;
        if !matches!(tried, Tried::Over(Step::Answered { .. })) {
            self.endpoint.forget_dialog(&tag);
        }
        tried
    }

    /// INVITE, again with credentials or a longer session timer where the peer asks for that.
    async fn invite_until_answered(&self, target: &Target, flow: &Flow, tag: &str) -> Tried {
        let call_id = message::random();
        let _traced = self.endpoint.0.tap.hold(&call_id);
        self.call_ids.add(&call_id, target.trunk.as_deref());
        let mut authenticator = target.credentials.clone().map(Authenticator::new);
        let mut session_expires = self.endpoint.settings().sip.session_expires.as_secs().max(MIN_SE);
        for cseq in 1_u32.. {
            let authorization = authenticator.as_mut().map_or_else(Vec::new, |authenticator| {
                let request = Signed { method: "INVITE", uri: target.uri.expose(), body: self.call.offer.as_bytes() };
                authenticator.headers(request, &message::random())
            });
            let mut request = self.invite(target, flow, &call_id, tag, cseq, session_expires);
            for (name, value) in authorization {
                request.headers.push(if name == Asker::Server.answer_header() {
                    Header::Authorization(value.into())
                } else {
                    Header::ProxyAuthorization(value.into())
                });
            }
            let transaction = match self.endpoint.request(flow, request).await {
                Ok(transaction) => transaction,
                Err(error) => {
                    tracing::warn!(trunk = target.trunk, %error, "cannot send an INVITE");
                    return Tried::Next(503);
                }
            };
            let invite = transaction.request.clone();
            let mut forks = Forks::default();
            let response = match self.converse(flow, transaction, &mut forks).await {
                Came::Final(response) => response,
                Came::Nothing(487) => return Tried::Over(Step::Failed { status: 487 }),
                Came::Nothing(status) => return Tried::Next(status),
            };
            match message::status(&response) {
                200..=299 => return Tried::Over(self.answered(target, flow, &invite, &response, &forks).await),
                status @ (401 | 407) => {
                    let values: Vec<&str> = match Asker::of(status) {
                        Some(Asker::Proxy) => all!(response, ProxyAuthenticate).collect(),
                        Some(Asker::Server) | None => all!(response, WwwAuthenticate).collect(),
                    };
                    let answered =
                        Asker::of(status).zip(authenticator.as_mut()).map(|(asker, a)| a.challenged(asker, &values));
                    if !matches!(answered, Some(Ok(()))) {
                        if let Some(Err(reason)) = answered {
                            tracing::warn!(trunk = target.trunk, %reason, "a call was refused");
                        }
                        return Tried::Over(Step::Failed { status });
                    }
                }
                // RFC 4028 section 7.3: once more, with what the peer can bear.
                422 => {
                    let least =
                        first!(response, MinSE).and_then(|text| text.split(';').next()?.trim().parse::<u64>().ok());
                    match least {
                        Some(least) if least > session_expires => session_expires = least,
                        Some(_) | None => return Tried::Over(Step::Failed { status: 422 }),
                    }
                }
                status @ (408 | 503) => return Tried::Next(status),
                status if self.call.insist => return Tried::Next(status),
                status => return Tried::Over(Step::Failed { status }),
            }
        }
        Tried::Next(408)
    }

    fn invite(&self, target: &Target, flow: &Flow, call_id: &str, tag: &str, cseq: u32, expires: u64) -> Request {
        let user = escaped(target.shows.as_ref().map_or(self.call.from.as_str(), PhoneNumber::as_str));
        let from = match (&target.trunk, &target.way) {
            (Some(_), Way::Host(address)) => trunk::server_uri(address, &user),
            _ => format!("sip:{user}@{}", flow.local),
        };
        let name = self.call.display.as_deref().map(quoted).unwrap_or_default();
        let mut headers = vec![
            Header::From(format!("{name}<{from}>;tag={tag}").into()),
            Header::To(format!("<{}>", target.uri.expose()).into()),
            Header::CallId(call_id.into()),
            Header::CSeq(format!("{cseq} INVITE").into()),
            Header::Contact(flow.contact(&user).into()),
            Header::Allow(ALLOW.into()),
            Header::Supported(SUPPORTED.join(", ").into()),
            Header::SessionExpires(expires.to_string().into()),
        ];
        if matches!(target.way, Way::Flow(_)) {
            // To our own phones alone: a trunk gets what it must know (RFC 3325 section 6).
            headers.push(Header::PAssertedIdentity(format!("{name}<{from}>").into()));
        }
        if let Some(replaces) = &self.call.replaces {
            headers.push(Header::Other("Replaces".into(), replaces.render()));
            headers.push(Header::Require("replaces".into()));
        }
        let mut request = message::request(Method::Invite, target.uri.expose(), headers);
        let offer = self.call.offer.clone().into_bytes();
        message::set_body(&mut request.headers, &mut request.body, "application/sdp", offer);
        request
    }

    /// Follows one INVITE to its final response, or takes it back; what comes of that happens behind the caller's back,
    /// who waits for no peer that may be gone.
    async fn converse(&self, flow: &Flow, mut transaction: ClientTransaction, forks: &mut Forks) -> Came {
        let mut heard = false;
        let mut deadline = self.ring_until.min(Instant::from_std(monotonic()) + self.endpoint.0.timers.t1 * SILENCE);
        let status = loop {
            let nothing = if heard { 408 } else { 503 };
            tokio::select! {
                response = transaction.next() => match response {
                    Some(response) if message::status(&response) < 200 => {
                        heard = true;
                        deadline = self.ring_until;
                        self.progress(flow, message::status(&response), &response, forks).await;
                    }
                    Some(response) if is_theirs(&response) => return Came::Final(response),
                    Some(_) | None => return Came::Nothing(nothing),
                },
                () = self.cancel.cancelled() => break 487,
                () = tokio::time::sleep_until(deadline) => break nothing,
            }
        };
        // Before the peer has spoken there is nothing to cancel (RFC 3261 section 9.1).
        if heard {
            send_cancel(&self.endpoint, flow, &transaction.request, self.why()).await;
        }
        tokio::spawn(reap(self.endpoint.clone(), flow.clone(), transaction, heard, self.why()));
        Came::Nothing(status)
    }

    async fn progress(&self, flow: &Flow, status: u16, response: &Response, forks: &mut Forks) {
        let Some(news) = Some(response).filter(|_| status > 100).and_then(|response| forks.provisional(response))
        else {
            return;
        };
        if let Some(prack) = news.prack {
            let way = way(&self.endpoint, flow, response).await;
            // Repeated by its own transaction; a peer that never hears it gives its call up by itself.
            if let Err(error) = self.endpoint.request(&way, prack).await {
                tracing::warn!(%error, "cannot send a PRACK");
            }
        }
        // A caller that does not read loses the ringing, not the answer.
        let _ = self.steps.try_send(Step::Progress { status, fork: news.fork, sdp: news.sdp });
    }

    async fn answered(
        &self,
        target: &Target,
        flow: &Flow,
        invite: &Request,
        response: &Response,
        forks: &Forks,
    ) -> Step {
        let sdp = message::sdp(first!(response, ContentType), &response.body).or_else(|| {
            // Some answer early and leave the 200 empty.
            forks.sdp(response)
        });
        match dialog::calling(&self.endpoint, flow, invite, response, &self.call.offer, forks.sent(response)).await {
            Some(dialog) => Step::Answered { dialog, sdp, trunk: target.trunk.clone() },
            None => {
                tracing::warn!(trunk = target.trunk, "a call was answered without a usable Contact");
                decline(&self.endpoint, flow, response).await;
                Step::Failed { status: 500 }
            }
        }
    }
}

/// A display name in quotes, with the space after it; what would break the header is left out.
fn quoted(name: &str) -> String {
    let plain = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME);
    let escaped: String = plain.flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])).collect();
    format!("\"{escaped}\" ")
}

/// A SIP user, with what may not stand in one escaped (RFC 3261 section 25.1).
fn escaped(user: &str) -> String {
    let mut out = String::new();
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests;
