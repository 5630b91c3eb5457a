//! Placing a call: INVITE to one target after the other until one answers for good.
//!
//! Only what runs inside the box dials; nothing that comes in by SIP or HTTP leads here. A call is one task; its handle
//! tells what happens, and dropping the handle hangs up. What is left out on purpose: redirects (a 3xx fails the call:
//! the box calls whom it was told to call, not whom a peer names) and reliable provisional responses (we do not offer
//! 100rel in our INVITE).

use std::net::SocketAddr;
use std::time::Duration;

use rsipstack::sip::{Header, Method, Request, Response};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dialog::{self, Dialog};
use super::digest::{Asker, Authenticator, Credentials, Signed};
use super::endpoint::{ClientTransaction, Endpoint, Flow};
use super::message::{self, all, first};
use super::trunk::{self, is_theirs, resolve};
use super::{ALLOW, identity, wire};
use crate::clock::monotonic;
use crate::model::{PhoneNumber, Private};
use crate::settings::{Transport, Trunk, TrunkAddress};

/// A peer that has not said even 100 after so many T1 (6 s) is not there: the next one is tried. Timer B would take 32 s.
const SILENCE: u32 = 12;
/// Early dialogs told apart; the progress of further forks is not reported.
const MOST_FORKS: usize = 8;
/// Steps that wait for the caller; beyond, provisional ones are lost.
const STEPS: usize = 32;
/// The shortest session timer of RFC 4028, in seconds.
const MIN_SE: u64 = 90;

/// Whom to call, and how to get there.
#[derive(Clone, Debug)]
pub struct Target {
    /// Holds the number called.
    uri: Private<String>,
    address: TrunkAddress,
    credentials: Option<Credentials>,
    /// The trunk's name; `None`: straight to the host that the URI names.
    trunk: Option<String>,
}

/// Not a URI that can be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SIP address that can be called; write it like sip:201@10.0.0.20:5060")]
pub struct TargetError;

impl Target {
    /// Straight to the host in `uri`: `sip:201@10.0.0.20`, `sip:201@pbx.example:5080;transport=tcp`, `sips:…`.
    pub fn direct(uri: &str) -> Result<Target, TargetError> {
        let (scheme, rest) = uri.split_once(':').ok_or(TargetError)?;
        if uri.chars().any(|c| c.is_control() || " \t<>\"?".contains(c)) {
            return Err(TargetError);
        }
        let mut parts = rest.split(';');
        let at = parts.next().unwrap_or_default();
        let at = at.rsplit_once('@').map_or(at, |(_, host)| host);
        let named = parts.find_map(|p| p.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("transport")));
        let secure = scheme.eq_ignore_ascii_case("sips");
        let transport = match named.map(|(_, value)| value.to_ascii_lowercase()).as_deref() {
            Some("tls") => Transport::Tls,
            Some("udp") | None if secure => Transport::Tls,
            Some("tcp") if secure => Transport::Tls,
            Some("tcp") => Transport::Tcp,
            Some("udp") | None => Transport::Udp,
            Some(_) => return Err(TargetError),
        };
        let after_bracket = at.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match at.get(after_bracket..).and_then(|tail| tail.find(':')) {
            Some(colon) => {
                let (host, port) = at.split_at(after_bracket + colon);
                (host, Some(port.trim_start_matches(':').parse().map_err(|_| TargetError)?))
            }
            None => (at, None),
        };
        if host.is_empty() || !(secure || scheme.eq_ignore_ascii_case("sip")) {
            return Err(TargetError);
        }
        let address = TrunkAddress { host: host.to_owned(), port, transport };
        Ok(Target { uri: Private::new(uri.to_owned()), address, credentials: None, trunk: None })
    }

    /// A telephone number by way of a trunk, with the trunk's account.
    pub fn through(trunk: &Trunk, number: &PhoneNumber) -> Target {
        Target {
            uri: Private::new(trunk::server_uri(&trunk.address, number.as_str())),
            address: trunk.address.clone(),
            credentials: trunk.register.as_ref().map(trunk::credentials),
            trunk: Some(trunk.name.clone()),
        }
    }

    /// The same, answering a 401 or 407 with these.
    pub fn with_credentials(self, credentials: Credentials) -> Target {
        Target { credentials: Some(credentials), ..self }
    }
}

/// A call to place.
#[derive(Clone, Debug)]
pub struct Call {
    /// In failover order: the next is tried when one cannot be reached, does not answer, or says 408 or 503.
    pub targets: Vec<Target>,
    /// The user in From: the clinic's number, or a name such as `threadline`.
    pub from: String,
    /// Our offer.
    pub offer: String,
    /// How long it may ring, over all targets.
    pub ring_for: Duration,
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
        /// The last status: the peer's; or 408 for no answer, 487 for hung up by us, 503 for not reached.
        status: u16,
    },
}

/// A call being placed. Dropping it hangs up.
#[derive(Debug)]
pub struct Outbound {
    steps: mpsc::Receiver<Step>,
    cancel: CancellationToken,
    _alive: DropGuard,
}

impl Outbound {
    /// Places `call`. Must be called within a tokio runtime.
    pub fn dial(endpoint: &Endpoint, call: Call) -> Outbound {
        let (steps, received) = mpsc::channel(STEPS);
        let cancel = CancellationToken::new();
        let dialling = Dialling {
            endpoint: endpoint.clone(),
            ring_until: Instant::from_std(monotonic()) + call.ring_for,
            call,
            steps: steps.clone(),
            cancel: cancel.clone(),
        };
        tokio::spawn(async move {
            let last = dialling.run().await;
            // Nobody listens any more: a leg that was answered ends with its handle.
            let _ = steps.send(last).await;
        });
        Outbound { steps: received, _alive: cancel.clone().drop_guard(), cancel }
    }

    /// What happens next; `None` after the last step. Cancel-safe.
    pub async fn next(&mut self) -> Option<Step> {
        self.steps.recv().await
    }

    /// Gives up: CANCEL to whoever rings. [`Step::Failed`] follows, or [`Step::Answered`] if the answer was faster.
    pub fn hang_up(&self) {
        self.cancel.cancel();
    }
}

struct Dialling {
    endpoint: Endpoint,
    call: Call,
    ring_until: Instant,
    steps: mpsc::Sender<Step>,
    cancel: CancellationToken,
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
    /// Nothing, and it has been taken back; 408 or 487.
    Nothing(u16),
}

/// An early dialog: its To tag and the last SDP in it.
type Fork = (String, Option<String>);

impl Dialling {
    async fn run(self) -> Step {
        let mut status = 503;
        for target in &self.call.targets {
            for address in resolve::addresses(&target.address).await {
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

    async fn attempt(&self, target: &Target, address: SocketAddr) -> Tried {
        let host = target.address.host.trim_matches(['[', ']']);
        let flow = match self.endpoint.flow(address, target.address.transport, host).await {
            Ok(flow) => flow,
            Err(error) => {
                tracing::warn!(trunk = target.trunk, %error, "cannot reach the target of a call");
                return Tried::Next(503);
            }
        };
        let (call_id, tag) = (message::random(), message::random());
        let mut authenticator = target.credentials.clone().map(Authenticator::new);
        let mut session_expires = self.endpoint.settings().sip.session_expires.as_secs().max(MIN_SE);
        for cseq in 1_u32.. {
            let authorization = authenticator.as_mut().map_or_else(Vec::new, |authenticator| {
                let request = Signed { method: "INVITE", uri: target.uri.expose(), body: self.call.offer.as_bytes() };
                authenticator.headers(request, &message::random())
            });
            let mut request = self.invite(target, &flow, &call_id, &tag, cseq, session_expires);
            for (name, value) in authorization {
                request.headers.push(if name == Asker::Server.answer_header() {
                    Header::Authorization(value.into())
                } else {
                    Header::ProxyAuthorization(value.into())
                });
            }
            let transaction = match self.endpoint.request(&flow, request).await {
                Ok(transaction) => transaction,
                Err(error) => {
                    tracing::warn!(trunk = target.trunk, %error, "cannot send an INVITE");
                    return Tried::Next(503);
                }
            };
            let invite = transaction.request.clone();
            let mut forks: Vec<Fork> = Vec::new();
            let response = match self.converse(&flow, transaction, &mut forks).await {
                Came::Final(response) => response,
                Came::Nothing(408) => return Tried::Next(408),
                Came::Nothing(status) => return Tried::Over(Step::Failed { status }),
            };
            match message::status(&response) {
                200..=299 => return Tried::Over(self.answered(target, &flow, &invite, &response, &forks).await),
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
                status => return Tried::Over(Step::Failed { status }),
            }
        }
        Tried::Next(408)
    }

    fn invite(&self, target: &Target, flow: &Flow, call_id: &str, tag: &str, cseq: u32, expires: u64) -> Request {
        let user = escaped(&self.call.from);
        let from = match target.trunk {
            Some(_) => trunk::server_uri(&target.address, &user),
            None => format!("sip:{user}@{}", flow.local),
        };
        let headers = vec![
            Header::From(format!("<{from}>;tag={tag}").into()),
            Header::To(format!("<{}>", target.uri.expose()).into()),
            Header::CallId(call_id.into()),
            Header::CSeq(format!("{cseq} INVITE").into()),
            Header::Contact(flow.contact(&user).into()),
            Header::Allow(ALLOW.into()),
            Header::Supported("timer".into()),
            Header::SessionExpires(expires.to_string().into()),
        ];
        let mut request = message::request(Method::Invite, target.uri.expose(), headers);
        let offer = self.call.offer.clone().into_bytes();
        message::set_body(&mut request.headers, &mut request.body, "application/sdp", offer);
        request
    }

    /// Follows one INVITE to its final response, or takes it back.
    async fn converse(&self, flow: &Flow, mut transaction: ClientTransaction, forks: &mut Vec<Fork>) -> Came {
        let timers = self.endpoint.0.timers;
        let mut heard = false;
        let mut given_up: Option<u16> = None;
        let mut deadline = self.ring_until.min(Instant::from_std(monotonic()) + timers.t1 * SILENCE);
        loop {
            tokio::select! {
                response = transaction.next() => {
                    let Some(response) = response else { return Came::Nothing(given_up.unwrap_or(408)) };
                    let status = message::status(&response);
                    match given_up {
                        _ if status < 200 => {
                            if !heard && given_up.is_some() {
                                send_cancel(&self.endpoint, flow, &transaction.request).await;
                            } else if given_up.is_none() {
                                deadline = self.ring_until;
                                self.progress(status, &response, forks);
                            }
                            heard = true;
                        }
                        None => return Came::Final(if is_theirs(&response) { response } else { timed_out(response) }),
                        // The answer and our CANCEL crossed.
                        Some(status) => {
                            if message::status(&response) / 100 == 2 {
                                decline(&self.endpoint, flow, &response).await;
                            }
                            return Came::Nothing(status);
                        }
                    }
                }
                () = self.cancel.cancelled(), if given_up.is_none() => {
                    given_up = Some(487);
                    deadline = Instant::from_std(monotonic()) + timers.t1 * 64;
                    if heard {
                        send_cancel(&self.endpoint, flow, &transaction.request).await;
                    }
                }
                () = tokio::time::sleep_until(deadline) => {
                    if given_up.is_none() && heard {
                        // It has rung long enough.
                        given_up = Some(487);
                        deadline = Instant::from_std(monotonic()) + timers.t1 * 64;
                        send_cancel(&self.endpoint, flow, &transaction.request).await;
                        continue;
                    }
                    tokio::spawn(reap(self.endpoint.clone(), flow.clone(), transaction, heard));
                    return Came::Nothing(given_up.unwrap_or(408));
                }
            }
            // Whoever has hung up need not wait for a peer that never spoke; the rest happens behind their back.
            if given_up.is_some() && !heard {
                tokio::spawn(reap(self.endpoint.clone(), flow.clone(), transaction, heard));
                return Came::Nothing(487);
            }
        }
    }

    fn progress(&self, status: u16, response: &Response, forks: &mut Vec<Fork>) {
        let Some(tag) = first!(response, To).and_then(wire::tag).filter(|_| status > 100) else { return };
        let fork = match forks.iter().position(|(known, _)| known == tag) {
            Some(fork) => fork,
            None if forks.len() < MOST_FORKS => {
                forks.push((tag.to_owned(), None));
                forks.len() - 1
            }
            None => return,
        };
        let sdp = message::sdp(first!(response, ContentType), &response.body);
        if let Some((_, last)) = forks.get_mut(fork)
            && sdp.is_some()
        {
            last.clone_from(&sdp);
        }
        // A caller that does not read loses the ringing, not the answer.
        let _ = self.steps.try_send(Step::Progress { status, fork, sdp });
    }

    async fn answered(
        &self,
        target: &Target,
        flow: &Flow,
        invite: &Request,
        response: &Response,
        forks: &[Fork],
    ) -> Step {
        let sdp = message::sdp(first!(response, ContentType), &response.body).or_else(|| {
            // Some answer early and leave the 200 empty.
            let tag = first!(response, To).and_then(wire::tag)?;
            forks.iter().find(|(known, _)| known == tag)?.1.clone()
        });
        match dialog::calling(&self.endpoint, flow, invite, response, &self.call.offer, None).await {
            Some(dialog) => Step::Answered { dialog, sdp, trunk: target.trunk.clone() },
            None => {
                tracing::warn!(trunk = target.trunk, "a call was answered without a usable Contact");
                decline(&self.endpoint, flow, response).await;
                Step::Failed { status: 500 }
            }
        }
    }
}

/// The library's own 408 and 503 are no words of the peer's: both say that it did not answer.
fn timed_out(response: Response) -> Response {
    Response { status_code: 408.into(), ..response }
}

/// Takes an INVITE back (RFC 3261 section 9.1): the same Via, so that it finds the transaction.
async fn send_cancel(endpoint: &Endpoint, flow: &Flow, invite: &Request) {
    let headers = invite.headers.iter().filter_map(|header| match header {
        Header::CSeq(cseq) => {
            let number = cseq.value().split(' ').next().unwrap_or_default();
            Some(Header::CSeq(format!("{number} CANCEL").into()))
        }
        Header::Via(_) | Header::From(_) | Header::To(_) | Header::CallId(_) | Header::Route(_) => Some(header.clone()),
        _ => None,
    });
    let mut cancel = message::request(Method::Cancel, "", headers.collect());
    cancel.uri = invite.uri.clone();
    if let Err(error) = endpoint.request(flow, cancel).await {
        tracing::warn!(%error, "cannot send a CANCEL");
    }
}

/// Waits for the end of an INVITE that nobody wants any more: it is cancelled once it is heard of, and hung up if it is
/// answered all the same.
async fn reap(endpoint: Endpoint, flow: Flow, mut transaction: ClientTransaction, mut cancelled: bool) {
    let until = Instant::from_std(monotonic()) + endpoint.0.timers.t1 * 128;
    while let Ok(Some(response)) = tokio::time::timeout_at(until, transaction.next()).await {
        match message::status(&response) {
            100..=199 if !cancelled => {
                cancelled = true;
                send_cancel(&endpoint, &flow, &transaction.request).await;
            }
            100..=199 => {}
            200..=299 => return decline(&endpoint, &flow, &response).await,
            _ => return,
        }
    }
}

/// Hangs up on an answer that comes too late, or after another fork's (RFC 3261 section 13.2.2.4): ACK, then BYE.
pub(super) async fn decline(endpoint: &Endpoint, flow: &Flow, response: &Response) {
    let (Some(ack), Some(bye)) = (in_dialog(response, Method::Ack), in_dialog(response, Method::Bye)) else { return };
    let target = first!(ack, Route).or(first!(response, Contact)).and_then(identity::uri);
    let remote = match target {
        Some(uri) if flow.transport == Transport::Udp => endpoint.resolve(uri, flow.remote).await,
        Some(_) | None => None,
    };
    let way = Flow { remote: remote.unwrap_or(flow.remote), ..flow.clone() };
    // The ACK is kept under a name of its own, and at once no more: the winner's is kept under our tag.
    let name = message::random();
    endpoint.acknowledge(&name, &way, ack).await;
    endpoint.forget_dialog(&name);
    if let Err(error) = endpoint.request(&way, bye).await {
        tracing::warn!(%error, "cannot hang up on a late answer");
    }
}

/// A request in the dialog that a 2xx of an INVITE made; `None`: it made none.
fn in_dialog(response: &Response, method: Method) -> Option<Request> {
    let cseq = message::cseq(&response.headers)?;
    let cseq = if method == Method::Ack { cseq } else { cseq.saturating_add(1) };
    let mut headers = vec![
        Header::From(first!(response, From)?.into()),
        Header::To(first!(response, To)?.into()),
        Header::CallId(first!(response, CallId)?.into()),
        Header::CSeq(format!("{cseq} {method}").into()),
    ];
    let mut routes: Vec<&str> = all!(response, RecordRoute).flat_map(wire::list).collect();
    routes.reverse();
    headers.extend(routes.into_iter().map(|route| Header::Route(route.into())));
    Some(message::request(method, identity::uri(first!(response, Contact)?)?, headers))
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
