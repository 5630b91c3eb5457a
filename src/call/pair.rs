//! Two phones that speak with each other, at least one of them the clinic's own; the phone tree has no part in it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::dial::Shown;
use super::features::{self, Command, Features};
use super::handover::{Asked, Entry, Given, Request};
use super::leg::{Happened, Leg, News};
use super::parking::ParkingPlace;
use super::switchboard::{Connected, OnCall};
use super::trace::Legs;
use super::transfer::{self, Transfer, Wanted};
use super::{Line, record};
use crate::model::{CallId, Caller, EndedBy, MediaQuality, Phone, PhoneNumber};
use crate::sip::outbound::CallIds;
use crate::sip::{Ended, ReferReply, Replaces};

/// Two phones that speak with each other.
pub(super) struct Pair<'a> {
    line: &'a Arc<Line>,
    /// Who called, and whom. One is missing while the other is handed on.
    legs: [Option<Leg>; 2],
    phones: [Phone; 2],
    on_call: [Option<OnCall>; 2],
    /// Somebody wants one of the two.
    asked: Asked,
    /// What lets each ask for the other elsewhere.
    entries: [Option<Entry>; 2],
    /// Who has asked for another to be connected in their place, and how far that is.
    transfer: Option<(usize, Transfer)>,
    /// Where the patient is parked, and until when.
    parked: Option<(ParkingPlace, Duration)>,
    /// For the trace of the call.
    known: Legs,
    /// The call, for what is written of it.
    call: CallId,
    /// The keys that somebody of the clinic presses for themselves.
    features: Features,
    /// A text that is being written, and how many were before.
    text: Option<JoinHandle<bool>>,
    texts: usize,
}

/// How it ended.
pub(super) struct PairOver {
    pub by: EndedBy,
    pub cause: String,
    /// How the far side sounded.
    pub quality: Option<MediaQuality>,
}

impl<'a> Pair<'a> {
    /// Who called, and whom, one of whom may be `asked` for; `known` are the legs for the trace of `call`.
    pub fn new(line: &'a Arc<Line>, call: CallId, [near, far]: [Connected; 2], asked: Asked, known: Legs) -> Self {
        let entries =
            [asked.by(near.leg.dialog.identity(), &near.phone, 0), asked.by(far.leg.dialog.identity(), &far.phone, 1)];
        Pair {
            line,
            legs: [Some(near.leg), Some(far.leg)],
            phones: [near.phone, far.phone],
            on_call: [Some(near.on_call), Some(far.on_call)],
            asked,
            entries,
            transfer: None,
            parked: None,
            known,
            call,
            features: Features::default(),
            text: None,
            texts: 0,
        }
    }

    /// Lets them speak until one hangs up.
    pub async fn speak(mut self) -> PairOver {
        self.join();
        loop {
            let parked_until = self.parked.as_ref().map(|(_, until)| *until);
            let [near, far] = &mut self.legs;
            let (side, happened) = tokio::select! {
                happened = next_of(near) => (0, happened),
                happened = next_of(far) => (1, happened),
                request = self.asked.next() => match self.hand_over(request) {
                    Some(over) => return over,
                    None => continue,
                },
                () = rung(&mut self.transfer) => match self.transferred() {
                    Some(cause) => return self.over(EndedBy::Network, cause).await,
                    None => continue,
                },
                by = fetched(&mut self.parked) => {
                    self.parked = None;
                    self.put(0, *by);
                    continue;
                }
                () = super::until(self.line, parked_until) => {
                    self.ring_back();
                    continue;
                }
                () = super::until(self.line, self.features.deadline()) => {
                    let commands = self.features.expire(self.line.clock.now().mono);
                    self.obey(0, commands);
                    continue;
                }
                sent = texted(&mut self.text) => {
                    if let Some(near) = &self.legs[0] {
                        near.session.play(features::sign(sent));
                    }
                    continue;
                }
                () = self.line.goodbye.cancelled() => return self.over(EndedBy::System, "shutdown").await,
            };
            let Some(news) = self.legs[side].as_mut().and_then(|leg| leg.take(happened)) else { continue };
            match news {
                // Whoever of the clinic speaks with a patient has keys of their own.
                News::Digit(pressed) if side == 0 && self.patient().is_some() => {
                    let commands = self.features.press(pressed, self.line.clock.now().mono);
                    self.obey(side, commands);
                }
                News::Digit(pressed) => self.obey(side, vec![Command::Carry(pressed)]),
                News::Held(_) if self.parked.is_some() => {}
                News::Held(held) => self.hold(1 - side, held),
                News::Refer { to, replaces, reply } => self.refer(side, &to, replaces, reply),
                // A transfer goes on without whoever asked for it, and so does who is parked.
                News::Ended { .. } if self.asked_by(side) || side == 0 && self.parked.is_some() => {
                    self.close(side).await;
                    self.on_call[side] = None;
                }
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

    /// The patient whom the clinic has called.
    fn patient(&self) -> Option<&PhoneNumber> {
        match &self.phones {
            [Phone::Extension(_) | Phone::Uri(_), Phone::Number(number)] => Some(number),
            _ => None,
        }
    }

    /// Does what the keys of `side` come to.
    fn obey(&mut self, side: usize, commands: Vec<Command>) {
        for command in commands {
            match (command, &self.legs[1 - side]) {
                (Command::Carry(pressed), Some(other)) if !self.is_between() => other.session.carry_digit(pressed),
                (Command::Text, _) if self.text.is_none() => self.text_patient(),
                (Command::Park, _) => drop(self.park(None)),
                (Command::Carry(_) | Command::Text, _) => {}
            }
        }
    }

    /// Texts the patient, as `*1` asks.
    fn text_patient(&mut self) {
        let Some(to) = self.patient().cloned() else { return };
        let book = self.line.book();
        let language = book.settings.clinic.language.clone();
        let to = Caller::Number(to);
        let writing = record::desk_text(self.line, &book, self.call, &to, self.texts, &[], &language, &self.phones[0]);
        self.texts += 1;
        self.text = Some(tokio::spawn(async move {
            let written = writing.await;
            if let Err(why) = &written {
                warn!(?why, "a text from the desk could not be sent");
            }
            written.is_ok()
        }));
    }

    /// Whether one of the two is parked, or being handed on.
    fn is_between(&self) -> bool {
        self.transfer.is_some() || self.parked.is_some()
    }

    /// Puts the patient down at `wanted`, or at the first place that is free, as a caller is: whoever speaks with them
    /// hears its number and may hang up. Whether there was one.
    fn park(&mut self, wanted: Option<u8>) -> bool {
        let (false, Some(_), Some(near)) = (self.is_between(), self.patient(), &self.legs[0]) else { return false };
        let Some(place) = self.line.parking.park(self.call, wanted) else {
            info!("no parking place is free");
            near.session.play(features::sign(false));
            return false;
        };
        let book = self.line.book();
        near.session.unbridge();
        super::say_digits(&near.session, &place.number().to_string(), &book);
        self.hold(1, true);
        info!(place = place.number(), "parked");
        let until = self.line.clock.now().mono.saturating_add(book.settings.phones.parked_for);
        self.parked = Some((place, until));
        true
    }

    /// A patient whom nobody has fetched comes back to whoever put them down; who has stayed on the line since has them
    /// again.
    fn ring_back(&mut self) {
        self.parked = None;
        if self.legs[0].is_some() {
            return self.join();
        }
        let (phone, ring_for) = (self.phones[0].clone(), self.line.book().settings.phones.parked_for);
        let transfer = Transfer::ring_back(self.line, phone, self.shown(1), ring_for);
        self.transfer = Some((0, transfer));
    }

    /// What a phone shows that rings for `side`.
    fn shown(&self, side: usize) -> Shown {
        let codec = self.legs[side].as_ref().and_then(Leg::codec);
        Shown { codec, legs: self.known.clone(), ..Shown::of(&self.phones[side], &self.line.book().settings) }
    }

    fn asked_by(&self, side: usize) -> bool {
        self.transfer.as_ref().is_some_and(|(asker, _)| *asker == side)
    }

    /// Connects the other to somebody else, as `side` asks (RFC 3515, RFC 3891). What is asked for may be this very call:
    /// nobody waits for it here.
    fn refer(&mut self, side: usize, to: &str, replaces: Option<Replaces>, reply: ReferReply) {
        let Some(leg) = self.legs[side].as_ref().filter(|_| !self.is_between()) else {
            return drop(tokio::spawn(reply.refuse(491)));
        };
        let by = self.phones[side].clone();
        let whom = match transfer::wanted(self.line, &by, leg, to, replaces) {
            Ok(Wanted::Transfer(whom)) => whom,
            Ok(Wanted::Park(place)) if side == 0 && self.patient().is_some() => {
                let parked = self.park(place);
                return drop(tokio::spawn(transfer::parked(reply, parked)));
            }
            // Patients are parked, by whoever of the clinic speaks with them.
            Ok(Wanted::Park(_)) => return drop(tokio::spawn(reply.refuse(403))),
            Err(status) => {
                info!(status, "a transfer to where this phone may not call was refused");
                return drop(tokio::spawn(reply.refuse(status)));
            }
        };
        leg.session.unbridge();
        self.hold(1 - side, true);
        let shown = self.shown(1 - side);
        self.transfer = Some((side, Transfer::begin(self.line, by, whom, shown, reply)));
    }

    /// Somebody else is there, or will not come; why it is all over, if it is.
    fn transferred(&mut self) -> Option<&'static str> {
        let (asker, mut transfer) = self.transfer.take()?;
        match transfer.outcome() {
            Ok(connected) => {
                record::leg_out(self.line, self.call, &connected, Some(&self.phones[asker]));
                self.put(asker, connected);
            }
            Err(_) if self.legs[asker].is_none() => return Some("the transfer failed"),
            Err(_) => self.join(),
        }
        None
    }

    /// Puts somebody in the place of another, who is hung up on.
    fn put(&mut self, side: usize, connected: Connected) {
        let Connected { leg, phone, on_call } = connected;
        self.known.add(&phone.to_string(), CallIds::one(leg.dialog.call_id()));
        self.entries[side] = self.asked.by(leg.dialog.identity(), &phone, side);
        if let Some(before) = self.legs[side].replace(leg) {
            tokio::spawn(before.dismiss());
        }
        self.phones[side] = phone;
        self.on_call[side] = Some(on_call);
        let speaks = |side: usize| (self.phones[side].clone(), self.trunk(side));
        self.line.registry.speak(self.call, [0, 1].map(speaks));
        self.join();
    }

    /// The trunk that carries one of the two.
    fn trunk(&self, side: usize) -> Option<String> {
        self.legs[side].as_ref().and_then(Leg::trunk).map(str::to_owned)
    }

    async fn close(&mut self, side: usize) {
        if let Some(leg) = self.legs[side].take() {
            leg.close().await;
        }
    }

    /// Gives away whoever is not to leave: what is left of the call is over. A call that is itself handing somebody on
    /// gives nobody away.
    fn hand_over(&mut self, request: Request) -> Option<PairOver> {
        if self.is_between() {
            return None;
        }
        let (leaves, stays) = (request.leaves, 1 - request.leaves);
        let (leg, on_call) = (self.legs[stays].take()?, self.on_call[stays].take()?);
        leg.session.unbridge();
        let connected = Connected { leg, phone: self.phones[stays].clone(), on_call };
        if let Err(Given::Party(back)) = request.give(Given::Party(Box::new(connected))) {
            // Whoever asked is gone: the two go on.
            self.legs[stays] = Some(back.leg);
            self.on_call[stays] = Some(back.on_call);
            self.join();
            return None;
        }
        if let Some(leg) = self.legs[leaves].take() {
            tokio::spawn(leg.close());
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

/// Whether the text is on its way; for ever nothing while there is none.
async fn texted(text: &mut Option<JoinHandle<bool>>) -> bool {
    match text {
        Some(writing) => {
            let sent = writing.await.unwrap_or(false);
            *text = None;
            sent
        }
        None => std::future::pending().await,
    }
}

/// Who fetches the patient; for ever nothing while they are not parked.
async fn fetched(parked: &mut Option<(ParkingPlace, Duration)>) -> Box<Connected> {
    match parked {
        Some((place, _)) => place.fetched().await,
        None => std::future::pending().await,
    }
}

async fn rung(transfer: &mut Option<(usize, Transfer)>) {
    match transfer {
        Some((_, transfer)) => transfer.done().await,
        None => std::future::pending().await,
    }
}
