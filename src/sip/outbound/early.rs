//! Early dialogs of an INVITE of ours: a proxy may ring several phones, each with its own SDP and its own sequence of
//! reliable provisional responses (RFC 3262). Told apart by their To tags; no I/O but for [`serve`].

use rsipstack::sip::{Header, Method, Request, Response};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc;

use super::take_back::in_dialog;
use crate::sip::capabilities::capabilities;
use crate::sip::endpoint::{Endpoint, Flow};
use crate::sip::header;
use crate::sip::message::{self, all, first};

/// Early dialogs told apart; the progress of further ones is neither reported nor acknowledged.
const MOST_FORKS: usize = 8;
/// BYEs that wait for the dialog of their call.
const MOST_BYES: usize = MOST_FORKS;
/// Reliable responses acknowledged in one early dialog.
pub(super) const MOST_PRACKS: u32 = 100;

/// The early dialogs of one INVITE.
#[derive(Debug, Default)]
pub(super) struct Forks(Vec<Fork>);

#[derive(Debug)]
struct Fork {
    tag: String,
    /// The last SDP in it.
    sdp: Option<String>,
    /// RSeq of the last reliable response.
    rseq: Option<u32>,
    /// PRACKs sent: each has the next CSeq.
    pracks: u32,
}

/// What a provisional response says.
#[derive(Debug)]
pub(super) struct Progress {
    /// Which early dialog, from 0.
    pub fork: usize,
    pub sdp: Option<String>,
    /// To be sent, if it is a reliable one.
    pub prack: Option<Request>,
}

impl Forks {
    /// Takes a response from 101 to 199. `None`: no news: no dialog, a repetition, or a reliable one out of order, which
    /// waits for the one before it (RFC 3262 section 4).
    pub(super) fn provisional(&mut self, response: &Response) -> Option<Progress> {
        let tag = first!(response, To).and_then(header::tag)?;
        let fork = match self.0.iter().position(|fork| fork.tag == tag) {
            Some(fork) => fork,
            None if self.0.len() < MOST_FORKS => {
                self.0.push(Fork { tag: tag.to_owned(), sdp: None, rseq: None, pracks: 0 });
                self.0.len() - 1
            }
            None => return None,
        };
        let known = self.0.get_mut(fork)?;
        let prack = match reliable(response) {
            Some(rseq) if known.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) => {
                tracing::debug!(rseq, "a reliable response again, or before its turn");
                return None;
            }
            Some(rseq) if known.pracks < MOST_PRACKS => {
                known.rseq = Some(rseq);
                known.pracks += 1;
                prack(response, rseq, known.pracks)
            }
            Some(_) | None => None,
        };
        let sdp = message::sdp(first!(response, ContentType), &response.body);
        if sdp.is_some() {
            known.sdp.clone_from(&sdp);
        }
        Some(Progress { fork, sdp, prack })
    }

    /// The last SDP of the early dialog that `response` belongs to.
    pub(super) fn sdp(&self, response: &Response) -> Option<String> {
        self.of(response)?.sdp.clone()
    }

    /// Requests sent in it so far.
    pub(super) fn sent(&self, response: &Response) -> u32 {
        self.of(response).map_or(0, |fork| fork.pracks)
    }

    fn of(&self, response: &Response) -> Option<&Fork> {
        let tag = first!(response, To).and_then(header::tag)?;
        self.0.iter().find(|fork| fork.tag == tag)
    }
}

/// RSeq, where the response asks for a PRACK.
fn reliable(response: &Response) -> Option<u32> {
    let asks = message::tokens(all!(response, Require)).any(|tag| tag.eq_ignore_ascii_case("100rel"));
    first!(response, RSeq).filter(|_| asks)?.trim().parse().ok()
}

/// The `count`th PRACK of the early dialog that `response` makes; `None`: it makes none.
fn prack(response: &Response, rseq: u32, count: u32) -> Option<Request> {
    let invite = message::cseq(&response.headers)?;
    let mut request = in_dialog(response, Method::PRack, invite.saturating_add(count))?;
    request.headers.push(Header::RAck(format!("{rseq} {invite} INVITE").into()));
    Some(request)
}

/// Answers what the called side asks before it has picked up, or before that has been read. Who acknowledges provisional responses may be sent an
/// UPDATE (RFC 3311): one without SDP is taken, another offer is not, and the session stays as it is. A BYE that comes right
/// behind the answer, which RFC 3261 section 15 forbids and phones send, is the dialog's that the answer makes.
pub(super) async fn serve(endpoint: Endpoint, flow: Flow, mut requests: mpsc::Receiver<Box<Transaction>>) {
    let mut byes = Vec::new();
    while let Some(transaction) = requests.recv().await {
        if transaction.original.method == Method::Bye && byes.len() < MOST_BYES {
            byes.push(transaction);
            continue;
        }
        let (status, headers) = match transaction.original.method {
            Method::Update if transaction.original.body.is_empty() => {
                let mut headers = capabilities();
                headers.push(Header::Contact(flow.contact("threadline").into()));
                (200, headers)
            }
            Method::Update => (488, vec![]),
            Method::Options => (200, capabilities()),
            _ => (481, vec![]),
        };
        let mut response = message::response(&transaction.original, status, "");
        response.headers.extend(headers);
        endpoint.respond(*transaction, response).await;
    }
    // By now the tag leads to the dialog, or nowhere.
    for bye in byes {
        endpoint.dispatch(*bye).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ringing(tag: &str, extra: &str) -> Response {
        let text = format!(
            "SIP/2.0 183 X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>;tag={tag}\r\n\
             Call-ID: c\r\nCSeq: 7 INVITE\r\nContact: <sip:{tag}@h>\r\nRecord-Route: <sip:p2;lr>, <sip:p1;lr>\r\n{extra}\
             Content-Length: 0\r\n\r\n"
        );
        Response::try_from(text.as_bytes()).unwrap()
    }

    fn reliable(tag: &str, rseq: u32) -> Response {
        ringing(tag, &format!("Require: 100rel\r\nRSeq: {rseq}\r\n"))
    }

    fn rack(forks: &mut Forks, response: &Response) -> Option<(u32, String)> {
        let prack = forks.provisional(response)?.prack?;
        Some((message::cseq(&prack.headers).unwrap(), first!(prack, RAck).unwrap().to_owned()))
    }

    #[test]
    fn each_early_dialog_has_its_own_sequence() {
        let mut forks = Forks::default();
        assert_eq!(rack(&mut forks, &reliable("a", 40)), Some((8, "40 7 INVITE".to_owned())));
        assert_eq!(rack(&mut forks, &reliable("b", 1)), Some((8, "1 7 INVITE".to_owned())));
        assert_eq!(rack(&mut forks, &reliable("a", 42)), None, "before its turn");
        assert_eq!(rack(&mut forks, &reliable("a", 41)), Some((9, "41 7 INVITE".to_owned())));
        assert_eq!(rack(&mut forks, &reliable("a", 42)), Some((10, "42 7 INVITE".to_owned())));
        for again in [40, 41, 42] {
            assert!(forks.provisional(&reliable("a", again)).is_none(), "{again} is no news");
        }
        assert_eq!((forks.sent(&ringing("a", "")), forks.sent(&ringing("b", ""))), (3, 1));
    }

    #[test]
    fn a_prack_goes_to_the_contact_by_the_route() {
        let mut forks = Forks::default();
        let prack = forks.provisional(&reliable("a", 1)).unwrap().prack.unwrap();
        assert_eq!(prack.uri.to_string(), "sip:a@h");
        assert_eq!(all!(prack, Route).collect::<Vec<_>>(), ["<sip:p1;lr>", "<sip:p2;lr>"]);
        assert_eq!(first!(prack, To), Some("<sip:b@h>;tag=a"));
    }

    #[test]
    fn what_does_not_ask_for_it_gets_no_prack() {
        let mut forks = Forks::default();
        for extra in ["", "RSeq: 1\r\n", "Supported: 100rel\r\nRSeq: 1\r\n", "Require: 100rel\r\n"] {
            assert!(forks.provisional(&ringing("a", extra)).unwrap().prack.is_none(), "{extra}");
        }
    }

    #[test]
    fn what_a_peer_can_fill_is_bounded() {
        let mut forks = Forks::default();
        let mut sent = 0;
        for rseq in 0..1_000 {
            sent += u32::from(rack(&mut forks, &reliable("a", rseq)).is_some());
        }
        assert_eq!(sent, MOST_PRACKS);
        for n in 0..100 {
            forks.provisional(&reliable(&format!("f{n}"), 1));
        }
        assert_eq!(forks.0.len(), MOST_FORKS);
    }
}
