//! Who the two ends of a dialog are, and how requests between them look (RFC 3261 section 12).

use rsipstack::sip::{Header, Method, Request, Response};

use crate::settings::Transport;
use crate::sip::capabilities::{ALLOW, SUPPORTED};
use crate::sip::digest::{Authenticator, Credentials};
use crate::sip::endpoint::{Endpoint, Flow};
use crate::sip::header;
use crate::sip::message::{self, all, first};

/// Who the two ends are, and how requests between them look.
pub(in crate::sip) struct Ends {
    pub(super) call_id: String,
    pub(super) local_tag: String,
    pub(super) remote_tag: String,
    /// From of our requests.
    pub(super) local: String,
    /// To of our requests.
    pub(super) remote: String,
    /// Where the peer wants our requests: its Contact.
    pub(super) target: String,
    /// Route of our requests.
    pub(super) routes: Vec<String>,
    pub(super) contact: String,
    pub(super) flow: Flow,
    pub(super) local_cseq: u32,
    pub(super) remote_cseq: Option<u32>,
    pub(super) peer_updates: bool,
    pub(super) peer_timers: bool,
    /// It says that it takes REFER.
    pub(super) peer_refers: bool,
    /// What tells a trunk who we are, where it knows us by an account.
    pub(super) authenticator: Option<Authenticator>,
}

/// Whether an option tag or method is in a comma list.
pub(super) fn supports(message_supported: impl Iterator<Item = impl AsRef<str>>, tag: &str) -> bool {
    message_supported.into_iter().any(|value| value.as_ref().split(',').any(|t| t.trim().eq_ignore_ascii_case(tag)))
}

fn routes<'v>(values: impl Iterator<Item = &'v str>) -> Vec<String> {
    values.flat_map(header::list).filter(|route| !route.is_empty()).map(str::to_owned).collect()
}

impl Ends {
    /// The called side of a dialog (RFC 3261 section 12.1.1); `None`: the INVITE has no usable Contact or From.
    pub(in crate::sip) fn called(invite: &Request, flow: Flow) -> Option<Ends> {
        let from = first!(invite, From)?;
        let local_tag = message::random();
        Some(Ends {
            call_id: first!(invite, CallId)?.to_owned(),
            remote_tag: header::tag(from)?.to_owned(),
            local: format!("{};tag={local_tag}", first!(invite, To)?),
            remote: from.to_owned(),
            local_tag,
            target: header::uri(first!(invite, Contact)?)?.to_owned(),
            routes: routes(all!(invite, RecordRoute)),
            contact: flow.contact("threadline"),
            flow,
            local_cseq: 0,
            remote_cseq: message::cseq(&invite.headers),
            peer_updates: supports(all!(invite, Allow), "UPDATE"),
            peer_timers: supports(all!(invite, Supported), "timer"),
            peer_refers: supports(all!(invite, Allow), "REFER"),
            authenticator: None,
        })
    }

    /// The same, answering a 401 or 407 to requests of ours with these.
    pub(in crate::sip) fn known_by(self, account: Option<Credentials>) -> Ends {
        Ends { authenticator: account.map(Authenticator::new), ..self }
    }

    /// The calling side (RFC 3261 section 12.1.2); `None`: the response makes no dialog.
    pub(super) fn calling(invite: &Request, response: &Response, flow: Flow) -> Option<Ends> {
        let (from, to) = (first!(invite, From)?, first!(response, To)?);
        let mut routes = routes(all!(response, RecordRoute));
        routes.reverse();
        Some(Ends {
            call_id: first!(invite, CallId)?.to_owned(),
            local_tag: header::tag(from)?.to_owned(),
            remote_tag: header::tag(to)?.to_owned(),
            local: from.to_owned(),
            remote: to.to_owned(),
            target: header::uri(first!(response, Contact)?)?.to_owned(),
            routes,
            contact: first!(invite, Contact).map_or_else(|| flow.contact("threadline"), str::to_owned),
            flow,
            local_cseq: message::cseq(&invite.headers)?,
            remote_cseq: None,
            peer_updates: supports(all!(response, Allow), "UPDATE"),
            peer_timers: supports(all!(response, Supported), "timer"),
            peer_refers: supports(all!(response, Allow), "REFER"),
            authenticator: None,
        })
    }

    /// A request within the dialog (RFC 3261 section 12.2.1.1).
    pub(super) fn request(&mut self, method: Method) -> Request {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.numbered(method, self.local_cseq)
    }

    /// The ACK of a 2xx to `invite`: with its number and its credentials (RFC 3261 section 13.2.2.4).
    pub(super) fn ack(&self, invite: &Request) -> Request {
        let mut ack = self.numbered(Method::Ack, message::cseq(&invite.headers).unwrap_or(self.local_cseq));
        let of_account = |h: &&Header| matches!(h, Header::Authorization(_) | Header::ProxyAuthorization(_));
        ack.headers.extend(invite.headers.iter().filter(of_account).cloned().collect());
        ack
    }

    /// Makes a request the next of the dialog, which has been sent before.
    pub(super) fn renumber(&mut self, request: &mut Request) {
        self.local_cseq = self.local_cseq.saturating_add(1);
        request.headers.retain(|h| !matches!(h, Header::CSeq(_)));
        request.headers.push(Header::CSeq(format!("{} {}", self.local_cseq, request.method).into()));
    }

    fn numbered(&self, method: Method, cseq: u32) -> Request {
        let strict = self.routes.first().is_some_and(|route| {
            header::uri(route).is_some_and(|uri| {
                header::parameter(
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
            Header::CSeq(format!("{cseq} {method}").into()),
        ];
        let mut uri = self.target.as_str();
        let mut hops: Vec<&str> = self.routes.iter().map(String::as_str).collect();
        let target = format!("<{}>", self.target);
        if strict && let Some(first) = self.routes.first().and_then(|route| header::uri(route)) {
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
    /// address named by a peer that is out in the world is one behind its NAT: then back to where it spoke from. A stream
    /// that has ended is opened anew: ours to where it led, the peer's to where its Route or Contact says.
    pub(super) async fn way(&self, endpoint: &Endpoint) -> Flow {
        let stream = self.flow.transport != Transport::Udp;
        if (stream || self.flow.pinned) && !self.flow.closed.is_cancelled() {
            return self.flow.clone();
        }
        let uri = self.routes.first().and_then(|route| header::uri(route)).unwrap_or(&self.target);
        let remote = match &self.flow.host {
            Some(_) => Some(self.flow.remote),
            None => endpoint.resolve(uri, self.flow.remote).await,
        };
        let Some(remote) = remote else { return self.flow.clone() };
        if !stream {
            return Flow { remote, ..self.flow.clone() };
        }
        let host = self.flow.host.as_deref().unwrap_or_else(|| header::host(uri));
        endpoint.flow(remote, self.flow.transport, host).await.unwrap_or_else(|_| self.flow.clone())
    }
}
