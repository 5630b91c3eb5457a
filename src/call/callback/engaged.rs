//! Whether the patient is on the phone with the clinic already: then nobody rings for their call back until they have hung
//! up.

use crate::call::Line;
use crate::call::registry::{InProgress, Presence};
use crate::store::callbacks::Callback;

/// Whether this call keeps a call back waiting: the patient is on it or is called by it, or it is the one in which they
/// have asked, from whatever phone.
fn keeps_waiting(call: &InProgress, callback: &Callback) -> bool {
    call.id == callback.call || call.numbers().any(|number| *number == callback.number)
}

/// Whether any call does now.
pub(super) fn is_engaged(line: &Line, callback: &Callback) -> bool {
    line.registry.any(|call| keeps_waiting(call, callback))
}

/// Waits until one does (`engaged`), or until none does any more. Cancel-safe.
pub(super) async fn until(line: &Line, callback: &Callback, engaged: bool) {
    let mut changes = line.registry.watch();
    while is_engaged(line, callback) != engaged {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Puts the call to the patient on the list, unless one keeps it waiting that has come in this moment.
pub(super) fn claim(line: &Line, callback: &Callback, call: InProgress) -> Option<Presence> {
    line.registry.enter_unless(call, |other| keeps_waiting(other, callback))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::hours::tests::callback;
    use super::*;
    use crate::call::registry::{Placed, Registry, Stage, Way};
    use crate::model::{CallId, Caller, Phone, PhoneNumber};

    fn at() -> Timestamp {
        "2026-07-06T10:30:00Z".parse().unwrap()
    }

    fn number(digits: &str) -> PhoneNumber {
        PhoneNumber::e164(digits).unwrap()
    }

    fn inbound(from: Caller) -> InProgress {
        InProgress::came_in(CallId::new(at()), "carrier".into(), from, at())
    }

    fn placed(by: Phone, to: Phone, stage: Stage) -> InProgress {
        let placed = Placed { by, to, stage, stage_since: at(), node: None, trunk: None, by_trunk: None };
        InProgress { id: CallId::new(at()), since: at(), way: Way::Out(placed) }
    }

    #[test]
    fn a_call_back_waits_for_every_call_that_the_patient_is_on_or_called_by_and_for_no_other() {
        let callback = callback(None);
        let theirs = || Phone::Number(callback.number.clone());
        let other = || Phone::Number(number("+12125550143"));
        let desk = || Phone::Extension("201".into());
        let asked = InProgress { id: callback.call, ..inbound(Caller::Anonymous) };
        let mut sent_on = inbound(Caller::Number(number("+12125550143")));
        if let Way::In(call) = &mut sent_on.way {
            call.with = Some(theirs());
        }
        for call in [
            inbound(Caller::Number(callback.number.clone())),
            asked,
            sent_on,
            placed(desk(), theirs(), Stage::OwnRings),
            placed(desk(), theirs(), Stage::Rings),
            placed(desk(), theirs(), Stage::Speaks),
            placed(theirs(), desk(), Stage::Speaks),
        ] {
            assert!(keeps_waiting(&call, &callback), "{call:?}");
        }
        for call in [
            inbound(Caller::Anonymous),
            inbound(Caller::Number(number("+12125550143"))),
            placed(desk(), other(), Stage::Rings),
            placed(desk(), Phone::Extension("202".into()), Stage::Speaks),
        ] {
            assert!(!keeps_waiting(&call, &callback), "{call:?}");
        }
    }

    #[test]
    fn the_patients_number_is_claimed_while_no_call_has_it() {
        let (registry, callback) = (Registry::default(), callback(None));
        let call = || placed(Phone::Extension("201".into()), Phone::Number(callback.number.clone()), Stage::Rings);
        let claim = || registry.enter_unless(call(), |other| keeps_waiting(other, &callback));
        let theirs = registry.enter(inbound(Caller::Number(callback.number.clone())));
        assert!(claim().is_none());
        drop(theirs);
        let _first = claim().unwrap();
        assert!(claim().is_none());
        assert_eq!(registry.count(), 1);
    }
}
