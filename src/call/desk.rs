//! Calls that begin at a phone of the clinic: to another phone of it, out through a trunk, to fetch a parked call or to
//! pick up what rings elsewhere.

use std::sync::Arc;

use tracing::{Instrument, info, info_span, warn};

use super::dial::Shown;
use super::dial_plan::Dialled;
use super::leg::{self, Leg};
use super::placed::{Near, Placed, Wanted};
use super::switchboard::Connected;
use super::trace::Legs;
use super::{Line, record};
use crate::model::{CallId, Phone};
use crate::sip::Incoming;
use crate::sip::outbound::CallIds;

/// Takes a call that a phone of the clinic places.
pub async fn take(line: Arc<Line>, incoming: Incoming, extension: String) {
    let span = info_span!("desk", extension);
    from_extension(line, incoming, extension).instrument(span).await;
}

async fn from_extension(line: Arc<Line>, incoming: Incoming, extension: String) {
    // Calls are taken over by `*8`, `*21` and REFER: no call of ours is one that a phone can name (RFC 3891 section 3).
    if incoming.replaces.is_some() {
        info!("a call that is to take another's place was refused");
        return incoming.reject(481, "").await;
    }
    let by = Phone::Extension(extension.clone());
    match line.dialled(&extension, &incoming.dialled) {
        Dialled::Refused(why) => {
            info!(%why, "a call of an extension was refused");
            incoming.reject(403, &why.to_string()).await;
        }
        Dialled::Parking(place) if !line.parking.is_taken(place) => {
            info!(place, "a call was refused: nothing is parked there");
            incoming.reject(404, "Nothing is parked there").await;
        }
        Dialled::Parking(place) => {
            if let Some(leg) = off_hook(&line, incoming).await {
                let on_call = line.switchboard.on_call(by.clone());
                if let Err(connected) = line.parking.fetch(place, Connected { leg, phone: by, on_call }) {
                    connected.leg.dialog.bye("Nothing is parked there").await;
                }
            }
        }
        Dialled::Park => {
            info!("a call was refused: `*2` parks only during a call");
            incoming.reject(404, "Park by *2 during a call").await;
        }
        Dialled::PickUp => {
            if let Some(leg) = off_hook(&line, incoming).await {
                line.switchboard.pick_up(leg, by);
            }
        }
        Dialled::Extension(name) => place(&line, incoming, by, Phone::Extension(name)).await,
        Dialled::Trunk(number) => place(&line, incoming, by, Phone::Number(number)).await,
        Dialled::Emergency(digits) => {
            warn!("an extension calls the emergency services");
            record::emergency_called(&line, &extension, &digits);
            place(&line, incoming, by, Phone::Emergency(digits)).await;
        }
    }
}

/// Answers a phone that wants to be put through to a call that waits.
async fn off_hook(line: &Line, incoming: Incoming) -> Option<Leg> {
    leg::answer(line, incoming).await.inspect_err(|why| info!(?why, "a phone could not be answered")).ok()
}

/// Rings `to` for a phone of the clinic, and lets the two speak.
async fn place(line: &Arc<Line>, incoming: Incoming, by: Phone, to: Phone) {
    let on_call = line.switchboard.on_call(by.clone());
    let legs = legs_of(&by, &incoming.call_id);
    let shown = Shown::of(&by, &line.book().settings);
    let wanted = Wanted::new(CallId::new(line.clock.now().wall), by, to);
    Placed::enter(line, wanted, legs).connect(Near::Dialling(Box::new(incoming)), on_call, shown, |_| {}).await;
}

/// The legs of a call that a phone has begun.
fn legs_of(phone: &Phone, call_id: &str) -> Legs {
    let legs = Legs::default();
    legs.add(&phone.to_string(), CallIds::one(call_id));
    legs
}
