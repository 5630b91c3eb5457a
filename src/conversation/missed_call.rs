//! Who is owed a text after a call: whoever left unserved, once in a while, unless they do not want one.

use std::time::Duration;

use jiff::Timestamp;

use super::consent::{Purpose, may_text};
use super::threading::within;
use crate::model::{Caller, ConsentState, Outcome, PhoneNumber};

/// Somebody who texted so shortly before the call's end is in conversation already.
pub const JUST_TEXTED: Duration = Duration::from_secs(15 * 60);

/// What is known of the call and its caller.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What became of the call.
    pub outcome: Outcome,
    /// Who called.
    pub caller: &'a Caller,
    /// The clinic's own numbers.
    pub own: &'a [PhoneNumber],
    /// The caller's consent in force.
    pub consent: Option<ConsentState>,
    /// When they last got a missed-call text.
    pub last_missed_call: Option<Timestamp>,
    /// When they last texted us.
    pub last_inbound: Option<Timestamp>,
    /// Whether this call has brought them a text already.
    pub texted_in_call: bool,
    /// Not more than one missed-call text in so long.
    pub at_most_every: Duration,
    /// The time.
    pub now: Timestamp,
}

/// Why a caller is owed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOwed {
    /// They got what they called for, or we refused the call.
    #[error("the call was served")]
    Served,
    /// No number, or one that takes no texts.
    #[error("the caller has no number that takes texts")]
    Untextable,
    /// The clinic called itself.
    #[error("the call came from the clinic's own number")]
    Own,
    /// They said STOP.
    #[error("they have opted out")]
    OptedOut,
    /// This call has brought them a text already.
    #[error("they got a text in this call")]
    TextedInCall,
    /// They are texting with us.
    #[error("they have just texted")]
    JustTexted,
    /// They had one not long ago.
    #[error("they got a missed-call text not long ago")]
    Recent,
}

/// The number that is owed the missed-call text.
pub fn owed<'a>(facts: &Facts<'a>) -> Result<&'a PhoneNumber, NotOwed> {
    if !facts.outcome.unserved() {
        return Err(NotOwed::Served);
    }
    let number = facts.caller.number().ok_or(NotOwed::Untextable)?;
    if facts.own.contains(number) {
        return Err(NotOwed::Own);
    }
    if !number.can_text() {
        return Err(NotOwed::Untextable);
    }
    may_text(facts.consent, Purpose::MissedCall).map_err(|_| NotOwed::OptedOut)?;
    if facts.texted_in_call {
        return Err(NotOwed::TextedInCall);
    }
    let recent = |at: Option<Timestamp>, span| at.is_some_and(|at| within(at, span, facts.now));
    if recent(facts.last_inbound, JUST_TEXTED) {
        return Err(NotOwed::JustTexted);
    }
    if recent(facts.last_missed_call, facts.at_most_every) {
        return Err(NotOwed::Recent);
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Private;

    const NOW: &str = "2026-03-02T09:00:00Z";
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn facts(caller: &Caller) -> Facts<'_> {
        Facts {
            outcome: Outcome::Abandoned,
            caller,
            own: &[],
            consent: None,
            last_missed_call: None,
            last_inbound: None,
            texted_in_call: false,
            at_most_every: DAY,
            now: NOW.parse().unwrap(),
        }
    }

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::e164(text).unwrap()
    }

    #[test]
    fn whoever_left_unserved_is_owed_a_text_once_a_day() {
        let caller = Caller::Number(number("+16462530142"));
        let base = facts(&caller);
        let ago = |seconds: u64| Some(base.now - Duration::from_secs(seconds));
        assert!(owed(&base).is_ok());
        assert!(owed(&Facts { consent: Some(ConsentState::Granted), ..base }).is_ok());
        for (facts, why) in [
            (Facts { outcome: Outcome::Texted, ..base }, NotOwed::Served),
            (Facts { outcome: Outcome::Rejected, ..base }, NotOwed::Served),
            (Facts { consent: Some(ConsentState::Revoked), ..base }, NotOwed::OptedOut),
            (Facts { texted_in_call: true, ..base }, NotOwed::TextedInCall),
            (Facts { last_inbound: ago(60), ..base }, NotOwed::JustTexted),
            (Facts { last_missed_call: ago(24 * 3600 - 1), ..base }, NotOwed::Recent),
        ] {
            assert_eq!(owed(&facts), Err(why));
        }
        assert!(owed(&Facts { last_inbound: ago(15 * 60), ..base }).is_ok());
        assert!(owed(&Facts { last_missed_call: ago(24 * 3600), ..base }).is_ok());
    }

    #[test]
    fn nobody_is_texted_who_cannot_be() {
        let own = [number("+16462530100")];
        for (caller, why) in [
            (Caller::Anonymous, NotOwed::Untextable),
            (Caller::Other(Private::new("201".into())), NotOwed::Untextable),
            (Caller::Number(number("+18002530142")), NotOwed::Untextable),
            (Caller::Number(own[0].clone()), NotOwed::Own),
        ] {
            assert_eq!(owed(&Facts { own: &own, ..facts(&caller) }), Err(why), "{caller:?}");
        }
    }
}
