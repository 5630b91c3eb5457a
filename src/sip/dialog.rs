//! One leg of a call: a dialog and its session (RFC 3261 sections 12 to 15), ours or theirs.
//!
//! Each runs as one task ([`leg`]), so that the peer is answered however busy the call is. [`Dialog`] is the handle;
//! dropping it ends the leg with BYE.

mod ends;
mod invite;
mod leg;
mod refer;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::DropGuard;

pub(super) use self::ends::Ends;
pub(super) use self::leg::{called, calling};
pub use self::refer::{ReferError, ReferReply, Replaces};
use super::inbound::AnswerError;

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
    /// The peer asks us to connect its other side with somebody else (REFER, RFC 3515).
    Refer {
        /// Whom: a SIP or tel URI.
        to: String,
        /// Which call that takes the place of: compare it with [`Dialog::identity`].
        replaces: Option<Replaces>,
        /// How to answer it.
        reply: ReferReply,
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

/// For the fuzzer.
pub(super) fn exercise(request: &rsipstack::sip::Request) {
    let _ = refer::read(request);
    let _ = refer::news(request);
}

/// One leg of a call.
#[derive(Debug)]
pub struct Dialog {
    events: mpsc::Receiver<DialogEvent>,
    commands: mpsc::Sender<Command>,
    end: Arc<OnceLock<(Ended, String)>>,
    identity: Arc<Replaces>,
    peer_refers: bool,
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

    /// Asks the peer to call `to` in our place, and waits for what comes of it, three minutes at most. The leg goes on: on
    /// success it is ours to hang up, unless the peer does.
    ///
    /// # Errors
    /// The peer does not do that (405, 603), whoever it called did not answer, or it never said.
    pub fn refer(&self, to: &str) -> impl Future<Output = Result<(), ReferError>> + Send + use<> {
        self.ask_refer(to, None)
    }

    /// As [`Dialog::refer`], where we have spoken with `to`, or ring them, on a leg of ours (see [`Dialog::identity`]): the
    /// peer's new call takes that one's place (RFC 5589 section 7).
    ///
    /// # Errors
    /// As [`Dialog::refer`].
    pub async fn refer_replacing(&self, to: &str, other: Replaces) -> Result<(), ReferError> {
        // As the other party knows that call: its own tag comes first.
        let Replaces { call_id, to_tag, from_tag } = other;
        self.ask_refer(to, Some(Replaces { call_id, to_tag: from_tag, from_tag: to_tag })).await
    }

    fn ask_refer(
        &self,
        to: &str,
        replaces: Option<Replaces>,
    ) -> impl Future<Output = Result<(), ReferError>> + Send + use<> {
        let (done, came) = oneshot::channel();
        let command = Command::Refer { to: to.to_owned(), replaces, done };
        let commands = self.commands.clone();
        async move {
            commands.send(command).await.map_err(|_| ReferError::Over)?;
            came.await.map_err(|_| ReferError::Over)?
        }
    }

    /// Whether the peer says that it takes REFER.
    pub fn takes_refer(&self) -> bool {
        self.peer_refers
    }

    /// How the peer, or a call that it sends to us, names this leg to have its place taken.
    pub fn identity(&self) -> Replaces {
        Replaces::clone(&self.identity)
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        &self.identity.call_id
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
    ReferAccept { id: u64 },
    ReferFinish { id: u64, status: u16 },
    ReferRefuse { id: u64, status: u16 },
    Refer { to: String, replaces: Option<Replaces>, done: oneshot::Sender<Result<(), ReferError>> },
}
