//! A call that comes in: is it for us, is there room, can we speak with whoever calls?

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;

use rsipstack::sip::{Header, Request, SipMessage};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::oneshot;

use super::authentication::{self, Denied};
use super::capabilities::busy;
use super::dialog::{self, Command, Dialog, DialogEvent, Ends, Replaces};
use super::endpoint::{Endpoint, Flow};
use super::message::{self, all, first};
use super::session_timer::{self, MIN_SE, SessionExpires};
use super::{header, identity, trunk};
use crate::model::{Caller, PhoneNumber, Private, SrtpPolicy};
use crate::settings::{Settings, Trunk};

/// Why a call could not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The caller gave up first.
    #[error("the caller gave up before the answer")]
    Cancelled,
    /// The endpoint has closed.
    #[error("the SIP endpoint has closed")]
    Closed,
}

/// A call that waits for our answer. Dropped, it is refused with 480.
#[derive(Debug)]
pub struct Incoming {
    /// The trunk's name; empty where a phone of ours calls.
    pub trunk: String,
    /// The extension that calls: it has proven who it is. What it dialled is in `dialled`.
    pub extension: Option<String>,
    /// Who is calling.
    pub from: Caller,
    /// The clinic's number that was dialled, as far as it is one.
    pub to: Option<PhoneNumber>,
    /// The user part of the Request-URI, as it came.
    pub dialled: String,
    /// Numbers that the call was diverted from, last first.
    pub diversion: Vec<Private<String>>,
    /// The Call-ID.
    pub call_id: String,
    /// The offer as SDP; `None`: ours is asked for (late offer).
    pub offer: Option<String>,
    /// The address to put into SDP towards this peer.
    pub local_address: IpAddr,
    /// The call that this one is to take the place of: compare it with [`Dialog::identity`]; 481 if there is none.
    pub replaces: Option<Replaces>,
    /// Whether the trunk's media is encrypted.
    pub srtp: SrtpPolicy,
    /// Where the INVITE came from.
    pub peer: SocketAddr,
    dialog: Dialog,
}

impl Incoming {
    /// What names this call, see [`Dialog::identity`].
    pub fn identity(&self) -> Replaces {
        self.dialog.identity()
    }

    /// Tells the caller that it rings (180; reliably where the caller requires that).
    pub async fn ringing(&mut self) {
        self.dialog.command(Command::Ringing).await;
    }

    /// Answers with 200, which is repeated until the ACK comes; without one in 64*T1 the leg ends with BYE.
    ///
    /// # Errors
    /// The caller has given up, or the endpoint has closed.
    pub async fn answer(self, sdp: String) -> Result<Dialog, AnswerError> {
        let (done, answered) = oneshot::channel();
        self.dialog.command(Command::Answer { sdp, done }).await;
        // No word back: the leg's task is gone, and only CANCEL or BYE ends it so early.
        answered.await.map_err(|_| AnswerError::Cancelled)??;
        Ok(self.dialog)
    }

    /// Refuses with `status` (300 to 699; anything else becomes 480); `reason` goes into a Warning unless it is empty.
    pub async fn reject(self, status: u16, reason: &str) {
        let status = if (300..700).contains(&status) { status } else { 480 };
        self.dialog.command(Command::Reject { status, reason: reason.to_owned() }).await;
    }

    /// Waits until the caller gives up. Cancel-safe.
    pub async fn cancelled(&mut self) {
        while !matches!(self.dialog.next().await, DialogEvent::Ended { .. }) {}
    }
}

/// So many emergency calls of the clinic's own phones find room beside `[sip] max_calls`, also while the daemon waits for
/// its last calls.
const EMERGENCIES: usize = 10;

/// A call's place among `[sip] max_calls`; with it goes the memory of its INVITE.
#[derive(Debug)]
pub(super) struct CallSlot {
    endpoint: EndpointHandle,
    invite: String,
}

struct EndpointHandle(Endpoint);

impl std::fmt::Debug for EndpointHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Endpoint")
    }
}

impl Drop for CallSlot {
    fn drop(&mut self) {
        self.endpoint.0.forget_invite(&self.invite);
        self.endpoint.0.0.calls.fetch_sub(1, Relaxed);
    }
}

impl CallSlot {
    /// `None`: there are `limit` already.
    fn take(endpoint: &Endpoint, limit: usize, invite: &str) -> Option<CallSlot> {
        let calls = &endpoint.0.calls;
        calls.try_update(Relaxed, Relaxed, |calls| (calls < limit).then_some(calls + 1)).ok()?;
        Some(CallSlot { endpoint: EndpointHandle(endpoint.clone()), invite: invite.to_owned() })
    }
}

/// An INVITE that belongs to no call.
pub(super) async fn arrive(endpoint: &Endpoint, transaction: Transaction) {
    let settings = endpoint.settings();
    let Some(flow) = endpoint.flow_of(&transaction) else {
        return endpoint.refuse(transaction, 500, vec![]).await;
    };
    let request = &transaction.original;
    if let Some((status, headers)) = refusal(request) {
        return endpoint.refuse(transaction, status, headers).await;
    }
    let country = settings.clinic.country;
    let uri = request.uri.to_string();
    let to = identity::dialled(&uri, first!(request, To).unwrap_or_default(), country);
    let party = match party(endpoint, &settings, request, &flow, to.as_ref()) {
        Ok(party) => party,
        Err(denied) => return endpoint.refuse(transaction, denied.status, denied.headers).await,
    };
    let replaces = match (all!(request, Replaces).next(), all!(request, Replaces).nth(1)) {
        (None, _) => Ok(None),
        (Some(value), None) => Replaces::parse(value).map(Some).ok_or(()),
        (Some(_), Some(_)) => Err(()),
    };
    let Ok(replaces) = replaces else {
        let why = Header::Warning("399 threadline \"malformed Replaces\"".into());
        return endpoint.refuse(transaction, 400, vec![why]).await;
    };
    let flow = Flow { pinned: matches!(party, Party::Extension(_)), ..flow };
    let dialled = request.uri.auth.as_ref().map(|auth| auth.user.clone()).unwrap_or_else(|| user(&uri));
    let emergency = matches!(party, Party::Extension(_)) && settings.phones.emergency.contains(&dialled);
    if !emergency && !endpoint.0.accepting.load(Relaxed) {
        endpoint.count(|c| &c.calls_rejected_busy);
        return endpoint.refuse(transaction, 503, busy()).await;
    }
    let key = invite_key(request);
    if !endpoint.note_invite(&key) {
        return endpoint.refuse(transaction, 482, vec![]).await;
    }
    let Some(slot) = CallSlot::take(endpoint, settings.sip.max_calls + if emergency { EMERGENCIES } else { 0 }, &key)
    else {
        endpoint.forget_invite(&key);
        endpoint.count(|c| &c.calls_rejected_busy);
        return endpoint.refuse(transaction, 503, busy()).await;
    };
    let Some(ends) = Ends::called(request, flow.clone()) else {
        return endpoint
            .refuse(transaction, 400, vec![Header::Warning("399 threadline \"no usable Contact\"".into())])
            .await;
    };
    // A place in the queue first: a call that cannot be handed on gets 503 and no dialog.
    let Ok(place) = endpoint.0.incoming.try_reserve() else {
        endpoint.count(|c| &c.calls_rejected_busy);
        return endpoint.refuse(transaction, 503, busy()).await;
    };
    let asserted: Vec<&str> = all!(request, PAssertedIdentity).collect();
    let privacy: Vec<&str> = all!(request, Privacy).collect();
    let diversion: Vec<&str> = all!(request, Diversion).collect();
    let history: Vec<&str> = all!(request, HistoryInfo).collect();
    let call = (
        identity::caller(first!(request, From).unwrap_or_default(), &asserted, &privacy, country),
        identity::diversions(&diversion, &history),
        first!(request, CallId).unwrap_or_default().to_owned(),
        message::sdp(first!(request, ContentType), &request.body),
    );
    let (from, diversion, call_id, offer) = call;
    let (trunk, extension, srtp, account) = match party {
        Party::Trunk(trunk) => (trunk.name.clone(), None, trunk.srtp, trunk.register.as_ref().map(trunk::credentials)),
        Party::Extension(name) => (String::new(), Some(name), SrtpPolicy::Optional, None),
    };
    let dialog = dialog::called(endpoint, ends.known_by(account), transaction, slot);
    endpoint.count(|c| &c.calls);
    place.send(Incoming {
        trunk,
        extension,
        from,
        to,
        dialled,
        diversion,
        call_id,
        offer,
        local_address: flow.local.ip(),
        replaces,
        srtp,
        peer: flow.remote,
        dialog,
    });
}

/// Who calls.
enum Party<'s> {
    /// The outside world, by this trunk.
    Trunk(&'s Trunk),
    /// A phone of ours.
    Extension(String),
}

/// Who calls. From a trunk's address may also come one of our own phones: one that is registered from there, that shows
/// its password, or that names an extension as its own while the number dialled is not one that the trunk brings. It has
/// to prove itself like any other, and is never taken for the trunk.
fn party<'s>(
    endpoint: &Endpoint,
    settings: &'s Settings,
    request: &Request,
    flow: &Flow,
    to: Option<&PhoneNumber>,
) -> Result<Party<'s>, Denied> {
    let names = endpoint.trunks_of(flow.remote.ip());
    let extension = |name: &str| settings.extensions.iter().any(|extension| extension.name == name);
    let brought = || {
        let of_trunk = settings.trunks.iter().filter(|trunk| names.contains(&trunk.name));
        to.is_some_and(|to| of_trunk.flat_map(|trunk| &trunk.numbers).any(|number| number == to))
    };
    let claims = || first!(request, From).and_then(header::uri).and_then(header::user).is_some_and(extension);
    let ours = !settings.extensions.is_empty()
        && (names.is_empty()
            || authentication::answers_us(request)
            || endpoint.phones().speaks_from(flow.remote, flow.transport)
            || claims() && !brought());
    if !ours {
        let not_ours = Denied { status: 404, headers: vec![] };
        return choose(settings, &names, to).map(Party::Trunk).ok_or(not_ours);
    }
    let name = authentication::authenticate(endpoint, request, flow.remote.ip()).inspect_err(|denied| {
        if denied.status != 401 {
            endpoint.count(|c| &c.calls_unauthenticated);
        }
    })?;
    // Whatever it says within this call is heard, though it may not be registered.
    endpoint.allow_peer(flow.remote.ip());
    let invite = SipMessage::from(request.clone()).to_bytes();
    endpoint.0.tap.begin(flow.remote, flow.transport, &invite);
    Ok(Party::Extension(name))
}

/// The user part, or the number of a `tel:` URI.
fn user(uri: &str) -> String {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split([';', '@']).next().unwrap_or_default().to_owned()
}

/// What makes the same INVITE by another way the same.
fn invite_key(request: &Request) -> String {
    format!(
        "{} {} {}",
        first!(request, CallId).unwrap_or_default(),
        first!(request, From).and_then(header::tag).unwrap_or_default(),
        first!(request, CSeq).unwrap_or_default()
    )
}

/// The trunk that a call came by: of those with its address, the one whose numbers hold the dialled one, else one that
/// takes any. `None`: the number is not ours.
fn choose<'s>(settings: &'s Settings, names: &[String], to: Option<&PhoneNumber>) -> Option<&'s Trunk> {
    let ours = || settings.trunks.iter().filter(|trunk| names.contains(&trunk.name));
    ours()
        .find(|trunk| to.is_some_and(|to| trunk.numbers.contains(to)))
        .or_else(|| ours().find(|trunk| trunk.numbers.is_empty()))
}

/// Why an INVITE cannot be served, whoever it is for.
fn refusal(request: &Request) -> Option<(u16, Vec<Header>)> {
    if first!(request, MaxForwards).is_some_and(|hops| hops.trim() == "0") {
        return Some((483, vec![]));
    }
    let content_type = first!(request, ContentType);
    if !request.body.is_empty() && message::sdp(content_type, &request.body).is_none() {
        return Some((415, vec![Header::Accept("application/sdp".into())]));
    }
    if all!(request, ContentEncoding).any(|encoding| !encoding.trim().eq_ignore_ascii_case("identity")) {
        return Some((415, vec![Header::AcceptEncoding("identity".into())]));
    }
    let mut accepts = message::tokens(all!(request, Accept))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .peekable();
    if accepts.peek().is_some()
        && !accepts.any(|range| {
            ["application/sdp", "application/*", "*/*"].iter().any(|ours| range.eq_ignore_ascii_case(ours))
        })
    {
        return Some((406, vec![]));
    }
    let asked = first!(request, SessionExpires).and_then(SessionExpires::parse);
    let timers = message::tokens(all!(request, Supported)).any(|tag| tag.eq_ignore_ascii_case("timer"));
    if session_timer::answer(asked, None, timers, MIN_SE).is_err() {
        return Some((422, vec![Header::MinSE(MIN_SE.as_secs().to_string().into())]));
    }
    None
}
