//! One leg of a call: its signalling, its audio, and what was agreed for both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tracing::{info, warn};

use super::Line;
use super::negotiation::Negotiation;
use crate::media::{MediaError, MediaEvent, PlayId, Session, dtmf};
use crate::model::{Codec, Flow, LocalMedia, MediaPlan, MediaQuality, Pressed, SrtpPolicy};
use crate::sip::{AnswerError, Dialog, DialogEvent, Ended, Incoming, OfferReply, ReferReply, Replaces};

/// How long a phone has to hang up by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// Signalling, audio, and what was agreed.
#[derive(Debug)]
pub(super) struct Leg {
    pub dialog: Dialog,
    pub session: Session,
    offer: Negotiation,
    /// What is in force.
    plan: Option<MediaPlan>,
    /// A key may overtake the ACK: the leg's audio is not listened to before.
    confirmed: bool,
    /// The peer has put us on hold.
    held: bool,
    /// The trunk that carries it, where we have placed it through one.
    trunk: Option<String>,
}

/// What happened on a leg, as it came. What it means is [`Leg::take`]'s to say.
#[derive(Debug)]
pub(super) enum Happened {
    Signalling(DialogEvent),
    Media(MediaEvent),
}

/// What happened on a leg, once what needs no decision was done.
#[derive(Debug)]
pub(super) enum News {
    /// The ACK is here, the first one.
    Confirmed,
    Digit(Pressed),
    PlayEnded(PlayId),
    /// No audio has come for the configured time.
    Silent,
    /// The peer has put us on hold, or taken us off it.
    Held(bool),
    /// The peer wants the other party to be connected to somebody else.
    Refer {
        to: String,
        replaces: Option<Replaces>,
        reply: ReferReply,
    },
    Ended {
        by: Ended,
        cause: String,
    },
}

impl Leg {
    /// A leg whose peer will send, or has sent, what `negotiation` began.
    pub fn new(dialog: Dialog, session: Session, offer: Negotiation, plan: Option<MediaPlan>, confirmed: bool) -> Leg {
        let held = plan.as_ref().is_some_and(holds);
        Leg { dialog, session, offer, plan, confirmed, held, trunk: None }
    }

    /// The same, carried by this trunk.
    pub fn through(self, trunk: Option<String>) -> Leg {
        Leg { trunk, ..self }
    }

    /// The trunk that carries it, where we have placed it through one.
    pub fn trunk(&self) -> Option<&str> {
        self.trunk.as_deref()
    }

    /// What happens next. Cancel-safe.
    pub async fn next(&mut self) -> Happened {
        tokio::select! {
            event = self.dialog.next() => Happened::Signalling(event),
            event = self.session.next(), if self.confirmed => Happened::Media(event),
        }
    }

    /// Answers what needs no decision; says what is left.
    pub fn take(&mut self, happened: Happened) -> Option<News> {
        match happened {
            Happened::Media(MediaEvent::Digit(pressed)) => Some(News::Digit(pressed)),
            Happened::Media(MediaEvent::PlayEnded(id)) => Some(News::PlayEnded(id)),
            Happened::Media(MediaEvent::Silent) => Some(News::Silent),
            Happened::Signalling(DialogEvent::Confirmed { sdp }) => {
                let first = !std::mem::replace(&mut self.confirmed, true);
                if let Some(answer) = sdp {
                    match self.offer.accept_answer(&answer) {
                        Ok(plan) => drop(self.agreed(plan)),
                        Err(error) => {
                            return Some(News::Ended {
                                by: Ended::Local,
                                cause: format!("{} {error}", error.status()),
                            });
                        }
                    }
                }
                // Only once: a later ACK confirms a re-INVITE, and the call runs already.
                first.then_some(News::Confirmed)
            }
            Happened::Signalling(DialogEvent::Offer { sdp, reply }) => self.renegotiate(sdp, reply),
            Happened::Signalling(DialogEvent::Info { content_type, body }) => {
                if let Some(digit) = dtmf::info::parse(&content_type, &body) {
                    self.session.info_digit(digit);
                }
                None
            }
            Happened::Signalling(DialogEvent::Refer { to, replaces, reply }) => {
                Some(News::Refer { to, replaces, reply })
            }
            Happened::Signalling(DialogEvent::Ended { by, cause }) => Some(News::Ended { by, cause }),
        }
    }

    /// The codec in force.
    pub fn codec(&self) -> Option<Codec> {
        self.plan.as_ref().map(|plan| plan.codec)
    }

    /// Whether the peer has put us on hold.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Hangs up, and tells how it sounded.
    pub async fn close(self) -> MediaQuality {
        self.dialog.bye("").await;
        self.session.close().await
    }

    /// Lets a phone go whose transfer has succeeded: it hangs up by itself once it has heard so (RFC 5589 section 6.1);
    /// one that does not is hung up on.
    pub async fn dismiss(mut self) {
        let gone = async { while !matches!(self.next().await, Happened::Signalling(DialogEvent::Ended { .. })) {} };
        let _ = tokio::time::timeout(FAREWELL, gone).await;
        self.close().await;
    }

    /// Answers a change of the session. Whoever answers it waits for nobody: the reply goes its own way.
    fn renegotiate(&mut self, sdp: Option<String>, reply: OfferReply) -> Option<News> {
        let Some(offer) = sdp else {
            self.offer.offer();
            tokio::spawn(reply.accept(Some(self.offer.sent().to_owned())));
            return None;
        };
        match self.offer.answer(&offer) {
            Ok(plan) => {
                tokio::spawn(reply.accept(Some(self.offer.sent().to_owned())));
                self.agreed(plan)
            }
            // The session goes on as it was (RFC 3261 section 14.2).
            Err(error) => {
                info!(%error, "a change of the session was refused");
                tokio::spawn(reply.refuse(error.status()));
                None
            }
        }
    }

    fn agreed(&mut self, plan: MediaPlan) -> Option<News> {
        let held = holds(&plan);
        self.session.start(plan.clone());
        self.plan = Some(plan);
        (std::mem::replace(&mut self.held, held) != held).then_some(News::Held(held))
    }
}

/// Whether the peer does not want to hear us: on hold (RFC 3264 section 8.4).
fn holds(plan: &MediaPlan) -> bool {
    matches!(plan.flow, Flow::RecvOnly | Flow::Inactive)
}

/// Opens the audio of a leg. Bound to every address of the family: behind NAT, the one in SDP is not the box's own.
pub(super) fn open(
    line: &Line,
    address: IpAddr,
    codecs: Vec<Codec>,
    srtp: SrtpPolicy,
) -> Result<(Session, Negotiation), MediaError> {
    let any = if address.is_ipv6() { IpAddr::from(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
    let session = line.media.open(any)?;
    let local = LocalMedia { address, port: session.port(), codecs, srtp };
    Ok((session, Negotiation::new(local, line.clock.now())))
}

/// Why a call that came in has no leg.
#[derive(Debug)]
pub(super) enum NoLeg {
    /// We refused it, with this status.
    Refused(String),
    /// The caller gave up first.
    Cancelled,
    /// Something broke.
    Failed(String),
}

/// Answers an INVITE, or refuses it with the status that says why.
pub(super) async fn answer(line: &Line, incoming: Incoming) -> Result<Leg, NoLeg> {
    let (session, mut negotiation) = match open(line, incoming.local_address, Codec::ALL.to_vec(), incoming.srtp) {
        Ok(opened) => opened,
        Err(error) => {
            warn!(%error, "no room for media");
            incoming.reject(503, "No media port free").await;
            return Err(NoLeg::Refused("503 No media port free".to_owned()));
        }
    };
    let plan = match &incoming.offer {
        Some(offer) => match negotiation.answer(offer) {
            Ok(plan) => {
                session.start(plan.clone());
                Some(plan)
            }
            Err(error) => {
                let cause = format!("{} {error}", error.status());
                line.endpoint.count_no_common_codec();
                info!(%error, "the offer cannot be answered");
                incoming.reject(error.status(), &error.to_string()).await;
                return Err(NoLeg::Refused(cause));
            }
        },
        None => {
            negotiation.offer();
            None
        }
    };
    match incoming.answer(negotiation.sent().to_owned()).await {
        Ok(dialog) => Ok(Leg::new(dialog, session, negotiation, plan, false)),
        Err(AnswerError::Cancelled) => Err(NoLeg::Cancelled),
        Err(error) => Err(NoLeg::Failed(error.to_string())),
    }
}

/// All codecs, one before the others: what the other leg speaks passes untouched.
pub(super) fn codecs_like(first: Option<Codec>) -> Vec<Codec> {
    let rest = Codec::ALL.into_iter().filter(|codec| Some(*codec) != first);
    first.into_iter().chain(rest).collect()
}
