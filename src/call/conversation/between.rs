//! A caller between two people: parked, or being handed on.

use std::time::Duration;

use tracing::info;

use super::super::parking::ParkingPlace;
use super::super::switchboard::Connected;
use super::super::transfer::{self, Transfer, Wanted};
use super::super::{features, hold, record};
use super::Conversation;
use crate::ivr::Input;
use crate::model::{Phone, Unanswered};
use crate::sip::{ReferReply, Replaces};

/// Between two people.
#[derive(Debug)]
pub(super) enum Between {
    /// Parked, until somebody fetches the call or it has waited for too long.
    Parked { place: ParkingPlace, by: Phone, until: Duration },
    /// A phone rings for them.
    Ringing,
    /// The person who spoke with them has asked, from this phone, for another to be connected.
    Transferring(Phone, Box<Transfer>),
}

impl Between {
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Between::Parked { until, .. } => Some(*until),
            Between::Ringing | Between::Transferring(..) => None,
        }
    }

    /// What becomes of it; for ever nothing while it is none of these. Cancel-safe.
    pub(super) async fn next(between: &mut Option<Between>) -> Change {
        match between {
            Some(Between::Parked { place, .. }) => Change::Fetched(place.fetched().await),
            Some(Between::Transferring(_, transfer)) => {
                transfer.done().await;
                Change::Rung
            }
            Some(Between::Ringing) | None => std::future::pending().await,
        }
    }
}

/// What becomes of who is between two people.
pub(super) enum Change {
    /// Somebody has taken up the parked call.
    Fetched(Box<Connected>),
    /// The phone of a transfer was picked up, or not.
    Rung,
}

impl Conversation<'_> {
    /// Nobody takes the caller over: back to the person who is still there, or on in the tree.
    pub(super) fn nobody_came(&mut self, why: Unanswered) -> Option<Input> {
        if self.between.take().is_some() {
            self.caller.session.stop_playing();
        }
        match &self.talk {
            Some(talk) => {
                self.caller.session.bridge(talk.session());
                hold(&self.caller.session, talk.holds(), self.book);
                None
            }
            None => {
                self.performer.conversation_over();
                Some(Input::Unanswered(why))
            }
        }
    }

    /// Puts the call down at `wanted`, or at the first place that is free: the person hears its number and may hang up.
    /// Whether there was one.
    pub(super) fn park(&mut self, wanted: Option<u8>) -> bool {
        let Some(talk) = self.talk.as_ref().filter(|_| self.between.is_none()) else { return false };
        let Some(place) = self.line.parking.park(self.start.id, wanted) else {
            info!("no parking place is free");
            talk.session().play(features::sign(false));
            return false;
        };
        self.caller.session.unbridge();
        self.performer.say_digits(talk.session(), &place.number().to_string());
        hold(&self.caller.session, true, self.book);
        let (by, until) = (talk.phone().clone(), self.line.clock.now().mono.saturating_add(self.parked_for()));
        info!(place = place.number(), "parked");
        self.between = Some(Between::Parked { place, by, until });
        true
    }

    fn parked_for(&self) -> Duration {
        self.book.settings.phones.parked_for
    }

    /// A parked call that nobody has fetched comes back to whoever put it down; who has stayed on the line since has it
    /// again.
    pub(super) fn ring_back(&mut self) {
        if self.talk.is_some() {
            self.nobody_came(Unanswered::NoAnswer);
            return;
        }
        let Some(Between::Parked { by, .. }) = self.between.take() else { return };
        self.between = Some(Between::Ringing);
        let shown = self.performer.shown(&self.caller);
        self.performer.ring_one(shown, "parked".to_owned(), by, self.parked_for());
    }

    /// Connects the caller to somebody else, as the person asks who speaks with them (RFC 3515, RFC 3891).
    pub(super) async fn refer(&mut self, to: &str, replaces: Option<Replaces>, reply: ReferReply) {
        let Some(talk) = self.talk.as_ref().filter(|_| self.between.is_none()) else {
            return drop(tokio::spawn(reply.refuse(603)));
        };
        let whom = match transfer::wanted(self.line, talk.phone(), talk.leg(), to, replaces) {
            Ok(Wanted::Transfer(whom)) => whom,
            Ok(Wanted::Park(place)) => {
                let parked = self.park(place);
                tokio::spawn(transfer::parked(reply, parked));
                return;
            }
            Err(status) => {
                info!(status, "a transfer to where this phone may not call was refused");
                return drop(tokio::spawn(reply.refuse(status)));
            }
        };
        info!("a transfer begins");
        let by = talk.phone().clone();
        self.caller.session.unbridge();
        hold(&self.caller.session, true, self.book);
        let transfer = Transfer::begin(self.line, by.clone(), whom, self.performer.shown(&self.caller), reply);
        self.between = Some(Between::Transferring(by, Box::new(transfer)));
    }

    /// Somebody else is there for the caller, or will not come.
    pub(super) fn transferred(&mut self) -> Option<Input> {
        let Some(Between::Transferring(by, transfer)) = &mut self.between else { return None };
        match transfer.outcome() {
            Ok(connected) => {
                record::leg_out(self.line, self.start.id, &connected, Some(by));
                self.connect(connected);
                None
            }
            Err(_) => self.nobody_came(Unanswered::NoAnswer),
        }
    }
}
