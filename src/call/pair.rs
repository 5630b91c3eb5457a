//! Two phones that speak with each other, at least one of them the clinic's own; the phone tree has no part in it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info;

use super::Line;
use super::dial::{self, Shown};
use super::handover::Request;
use super::leg::{Happened, Leg, News};
use super::switchboard::Connected;
use super::trace::Legs;
use super::transfer::{self, Transfer};
use crate::model::{EndedBy, MediaQuality, Phone};
use crate::sip::outbound::CallIds;
use crate::sip::{Ended, ReferReply, Replaces};

/// How long a phone rings that somebody is transferred to.
const TRANSFER_RINGS: Duration = Duration::from_secs(30);

/// Two phones that speak with each other.
pub(super) struct Pair<'a> {
    line: &'a Arc<Line>,
    /// Who called, and whom. One is missing while the other is handed on.
    legs: [Option<Leg>; 2],
    phones: [Phone; 2],
    /// Somebody wants the far side.
    requests: mpsc::Receiver<Request>,
    /// Who has asked for another to be connected in their place, and how far that is.
    transfer: Option<(usize, Transfer)>,
    /// For the trace of the call.
    known: Legs,
}

/// How it ended.
pub(super) struct PairOver {
    pub by: EndedBy,
    pub cause: String,
    /// How the far side sounded.
    pub quality: Option<MediaQuality>,
}

impl<'a> Pair<'a> {
    /// Who called, and whom; `requests` ask for the far side, and `known` are the legs for the trace.
    pub fn new(
        line: &'a Arc<Line>,
        legs: [Leg; 2],
        phones: [Phone; 2],
        requests: mpsc::Receiver<Request>,
        known: Legs,
    ) -> Self {
        Pair { line, legs: legs.map(Some), phones, requests, transfer: None, known }
    }

    /// Lets them speak until one hangs up.
    pub async fn speak(mut self) -> PairOver {
        self.join();
        loop {
            let [near, far] = &mut self.legs;
            let (side, happened) = tokio::select! {
                happened = next_of(near) => (0, happened),
                happened = next_of(far) => (1, happened),
                Some(request) = self.requests.recv() => match self.hand_over(request) {
                    Some(over) => return over,
                    None => continue,
                },
                () = rung(&mut self.transfer) => match self.transferred() {
                    Some(cause) => return self.over(EndedBy::Network, cause).await,
                    None => continue,
                },
                () = self.line.goodbye.cancelled() => return self.over(EndedBy::System, "shutdown").await,
            };
            let Some(news) = self.legs[side].as_mut().and_then(|leg| leg.take(happened)) else { continue };
            match news {
                News::Digit(pressed) => {
                    if let (Some(other), None) = (&self.legs[1 - side], &self.transfer) {
                        other.session.carry_digit(pressed);
                    }
                }
                News::Held(held) => self.hold(1 - side, held),
                News::Refer { to, replaces, reply } => self.refer(side, &to, replaces, reply).await,
                // A transfer goes on without whoever asked for it.
                News::Ended { .. } if self.asked_by(side) => self.close(side).await,
                News::Ended { by, cause } => {
                    let by = match (by, &self.phones[side]) {
                        (Ended::Remote, Phone::Number(_)) => EndedBy::Caller,
                        (Ended::Remote, _) => EndedBy::Staff,
                        _ => EndedBy::Network,
                    };
                    return self.over(by, &cause).await;
                }
                News::Silent => return self.over(EndedBy::Network, "rtp_timeout").await,
                News::Confirmed | News::PlayEnded(_) => {}
            }
        }
    }

    fn join(&self) {
        if let [Some(near), Some(far)] = &self.legs {
            near.session.stop_playing();
            far.session.stop_playing();
            near.session.bridge(&far.session);
            for (side, leg) in [near, far].into_iter().enumerate() {
                if leg.is_held() {
                    self.hold(1 - side, true);
                }
            }
        }
    }

    fn hold(&self, side: usize, held: bool) {
        if let Some(leg) = &self.legs[side] {
            super::hold(&leg.session, held, &self.line.book());
        }
    }

    fn asked_by(&self, side: usize) -> bool {
        self.transfer.as_ref().is_some_and(|(asker, _)| *asker == side)
    }

    /// Connects the other to somebody else, as `side` asks (RFC 3515, RFC 3891).
    async fn refer(&mut self, side: usize, to: &str, replaces: Option<Replaces>, mut reply: ReferReply) {
        if self.transfer.is_some() {
            return drop(tokio::spawn(reply.refuse(491)));
        }
        if let Some(replaces) = replaces {
            let Some(Connected { leg, phone, .. }) = self.line.handovers.take_over(&replaces.call_id).await else {
                return drop(tokio::spawn(reply.refuse(481)));
            };
            tokio::spawn(reply.finish(200));
            self.put(side, leg, phone);
            return;
        }
        let Some(phone) = transfer::destination(self.line, to, &self.phones[side]) else {
            info!("a transfer to where this phone may not call was refused");
            return drop(tokio::spawn(reply.refuse(403)));
        };
        reply.accept().await;
        if let Some(leg) = &self.legs[side] {
            leg.session.unbridge();
        }
        self.hold(1 - side, true);
        let codec = self.legs[1 - side].as_ref().and_then(Leg::codec);
        let shown =
            Shown { codec, legs: self.known.clone(), ..Shown::of(&self.phones[1 - side], &self.line.book().settings) };
        self.transfer = Some((side, Transfer::begin(self.line, phone, shown, TRANSFER_RINGS, Some(reply))));
    }

    /// The other phone was picked up, or not; why it is all over, if it is.
    fn transferred(&mut self) -> Option<&'static str> {
        let (asker, mut transfer) = self.transfer.take()?;
        let outcome = transfer.outcome();
        if let Some(progress) = transfer.reply.take() {
            tokio::spawn(progress.finish(outcome.as_ref().map_or_else(|why| dial::status(*why), |_| 200)));
        }
        match outcome {
            Ok(leg) => self.put(asker, leg, transfer.phone.clone()),
            Err(_) if self.legs[asker].is_none() => return Some("the transfer failed"),
            Err(_) => self.join(),
        }
        None
    }

    /// Puts a leg in the place of another, which is hung up.
    fn put(&mut self, side: usize, leg: Leg, phone: Phone) {
        self.known.add(&phone.to_string(), CallIds::one(leg.dialog.call_id()));
        if let Some(before) = self.legs[side].replace(leg) {
            tokio::spawn(before.dismiss());
        }
        self.phones[side] = phone;
        self.join();
    }

    async fn close(&mut self, side: usize) {
        if let Some(leg) = self.legs[side].take() {
            leg.close().await;
        }
    }

    /// Gives the far side away: what is left of the call is over.
    fn hand_over(&mut self, request: Request) -> Option<PairOver> {
        if self.transfer.is_some() {
            return None;
        }
        let far = self.legs[1].take()?;
        far.session.unbridge();
        let phone = self.phones[1].clone();
        let on_call = self.line.switchboard.on_call(phone.clone());
        if let Err(Connected { leg, .. }) = request.send(Connected { leg: far, phone, on_call }) {
            // Whoever asked is gone: the two go on.
            self.legs[1] = Some(leg);
            self.join();
            return None;
        }
        if let Some(near) = self.legs[0].take() {
            tokio::spawn(near.close());
        }
        Some(PairOver { by: EndedBy::Staff, cause: "transferred".to_owned(), quality: None })
    }

    async fn over(&mut self, by: EndedBy, cause: &str) -> PairOver {
        self.close(0).await;
        let quality = match self.legs[1].take() {
            Some(leg) => Some(leg.close().await),
            None => None,
        };
        PairOver { by, cause: cause.to_owned(), quality }
    }
}

/// What happens next on a leg; for ever nothing where there is none.
async fn next_of(leg: &mut Option<Leg>) -> Happened {
    match leg {
        Some(leg) => leg.next().await,
        None => std::future::pending().await,
    }
}

async fn rung(transfer: &mut Option<(usize, Transfer)>) {
    match transfer {
        Some((_, transfer)) => transfer.rung().await,
        None => std::future::pending().await,
    }
}
