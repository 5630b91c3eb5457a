//! The other side of a conversation: the leg of whoever speaks with the caller, joined with the caller's.

use std::collections::VecDeque;

use super::Line;
use super::features::{Command, Features};
use super::leg::{Leg, News};
use super::switchboard::{Connected, OnCall};
use crate::media::Session;
use crate::model::{Phone, Pressed};
use crate::sip::{Ended, ReferReply, Replaces};

/// Somebody speaks with the caller.
#[derive(Debug)]
pub(super) struct Talk {
    leg: Leg,
    phone: Phone,
    features: Features,
    /// Keys that were let go at once.
    pressed: VecDeque<Command>,
    _on_call: OnCall,
}

/// What the person does.
#[derive(Debug)]
pub(super) enum Said {
    /// Pressed a key that is the caller's to hear.
    Digit(Pressed),
    /// Wants the caller to be texted.
    Text,
    /// Wants the call to be parked.
    Park,
    /// Has put the caller on hold, or taken them off it.
    Held(bool),
    /// Wants the caller to be connected to somebody else.
    Refer { to: String, replaces: Option<Replaces>, reply: ReferReply },
    /// Is gone.
    Ended { by: Ended, cause: String },
}

impl Talk {
    /// Joins the two legs: each hears the other from now on.
    pub fn join(caller: &Session, connected: Connected) -> Talk {
        let Connected { leg, phone, on_call } = connected;
        caller.stop_playing();
        leg.session.stop_playing();
        caller.bridge(&leg.session);
        Talk { leg, phone, features: Features::default(), pressed: VecDeque::new(), _on_call: on_call }
    }

    /// Whose phone it is.
    pub fn phone(&self) -> &Phone {
        &self.phone
    }

    /// What the person hears and says.
    pub fn session(&self) -> &Session {
        &self.leg.session
    }

    /// Their leg.
    pub fn leg(&self) -> &Leg {
        &self.leg
    }

    /// Whether the person has put the caller on hold.
    pub fn holds(&self) -> bool {
        self.leg.is_held()
    }

    /// What they do next. Cancel-safe.
    pub async fn next(&mut self, line: &Line) -> Said {
        loop {
            if let Some(pressed) = self.pressed.pop_front() {
                return match pressed {
                    Command::Carry(pressed) => Said::Digit(pressed),
                    Command::Text => Said::Text,
                    Command::Park => Said::Park,
                };
            }
            let happened = tokio::select! {
                happened = self.leg.next() => happened,
                () = super::until(line, self.features.deadline()) => {
                    self.pressed.extend(self.features.expire(line.clock.now().mono));
                    continue;
                }
            };
            match self.leg.take(happened) {
                Some(News::Digit(pressed)) => {
                    self.pressed.extend(self.features.press(pressed, line.clock.now().mono));
                }
                Some(News::Held(held)) => return Said::Held(held),
                Some(News::Refer { to, replaces, reply }) => return Said::Refer { to, replaces, reply },
                Some(News::Silent) => {
                    return Said::Ended { by: Ended::Lost, cause: "rtp_timeout".to_owned() };
                }
                Some(News::Ended { by, cause }) => return Said::Ended { by, cause },
                Some(News::Confirmed | News::PlayEnded(_)) | None => {}
            }
        }
    }

    /// Lets them go, who have asked for the transfer that has just succeeded.
    pub async fn dismiss(self) {
        self.leg.dismiss().await;
    }

    /// Hangs up on them.
    pub async fn close(self) {
        self.leg.close().await;
    }
}

/// What the person does next; for ever nothing while there is none.
pub(super) async fn next_of(talk: &mut Option<Talk>, line: &Line) -> Said {
    match talk {
        Some(talk) => talk.next(line).await,
        None => std::future::pending().await,
    }
}
