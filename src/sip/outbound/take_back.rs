//! Taking a call of ours back: CANCEL before the answer, ACK and BYE after an answer that nobody wants any more.

use rsipstack::sip::{Header, Method, Request, Response};
use tokio::time::Instant;

use super::early::MOST_PRACKS;
use crate::clock::monotonic;
use crate::settings::Transport;
use crate::sip::endpoint::{ClientTransaction, Endpoint, Flow};
use crate::sip::header;
use crate::sip::message::{self, all, first};

/// Why an INVITE is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody came, or whoever called hung up.
    GivenUp,
    /// Another phone was picked up.
    Elsewhere,
}

/// Takes an INVITE back (RFC 3261 section 9.1): the same Via, so that it finds the transaction.
pub(super) async fn send_cancel(endpoint: &Endpoint, flow: &Flow, invite: &Request, why: Why) {
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
    if why == Why::Elsewhere {
        cancel.headers.push(Header::Reason("SIP;cause=200;text=\"Call completed elsewhere\"".into()));
    }
    if let Err(error) = endpoint.request(flow, cancel).await {
        tracing::warn!(%error, "cannot send a CANCEL");
    }
}

/// Waits for the end of an INVITE that nobody wants any more: it is cancelled once it is heard of, and hung up if it is
/// answered all the same.
pub(super) async fn reap(
    endpoint: Endpoint,
    flow: Flow,
    mut transaction: ClientTransaction,
    mut cancelled: bool,
    why: Why,
) {
    // So long after a CANCEL, or a word that was never heard, nothing more comes (RFC 3261 section 9.1).
    let patience = || Instant::from_std(monotonic()) + endpoint.0.timers.t1 * 64;
    let mut until = patience();
    while let Ok(Some(response)) = tokio::time::timeout_at(until, transaction.next()).await {
        match message::status(&response) {
            100..=199 if !cancelled => {
                cancelled = true;
                until = patience();
                send_cancel(&endpoint, &flow, &transaction.request, why).await;
            }
            100..=199 => {}
            200..=299 => {
                endpoint.count(|c| &c.late_answers);
                tracing::info!("an answer came after the call was taken back");
                return decline(&endpoint, &flow, &response).await;
            }
            _ => return,
        }
    }
}

/// Hangs up on an answer that comes too late, or after another fork's (RFC 3261 section 13.2.2.4): ACK, then BYE.
pub(in crate::sip) async fn decline(endpoint: &Endpoint, flow: &Flow, response: &Response) {
    let Some(cseq) = message::cseq(&response.headers) else { return };
    // Beyond whatever was acknowledged in that dialog while it was early.
    let last = cseq.saturating_add(MOST_PRACKS + 1);
    let (ack, bye) = (in_dialog(response, Method::Ack, cseq), in_dialog(response, Method::Bye, last));
    let (Some(ack), Some(bye)) = (ack, bye) else { return };
    let way = way(endpoint, flow, response).await;
    // The ACK is kept under a name of its own, and at once no more: the winner's is kept under our tag.
    let name = message::random();
    endpoint.acknowledge(&name, &way, ack).await;
    endpoint.forget_dialog(&name);
    if let Err(error) = endpoint.request(&way, bye).await {
        tracing::warn!(%error, "cannot hang up on a late answer");
    }
}

/// Where requests in the dialog that `response` made go.
pub(super) async fn way(endpoint: &Endpoint, flow: &Flow, response: &Response) -> Flow {
    let route = all!(response, RecordRoute).flat_map(header::list).last();
    let target = route.or(first!(response, Contact)).and_then(header::uri);
    let remote = match target {
        Some(uri) if flow.transport == Transport::Udp && !flow.pinned => endpoint.resolve(uri, flow.remote).await,
        Some(_) | None => None,
    };
    Flow { remote: remote.unwrap_or(flow.remote), ..flow.clone() }
}

/// A request in the dialog that a response to an INVITE made; `None`: it made none.
pub(super) fn in_dialog(response: &Response, method: Method, cseq: u32) -> Option<Request> {
    let mut headers = vec![
        Header::From(first!(response, From)?.into()),
        Header::To(first!(response, To)?.into()),
        Header::CallId(first!(response, CallId)?.into()),
        Header::CSeq(format!("{cseq} {method}").into()),
    ];
    let mut routes: Vec<&str> = all!(response, RecordRoute).flat_map(header::list).collect();
    routes.reverse();
    headers.extend(routes.into_iter().map(|route| Header::Route(route.into())));
    Some(message::request(method, header::uri(first!(response, Contact)?)?, headers))
}
