//! Who may be texted what.

use crate::model::{Consent, ConsentMethod, ConsentState};

/// Why a text is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The clinic writes: they have asked for it by a key, a text or at the desk.
    Conversation,
    /// One text to somebody who has just called and was not served: the call invites it.
    MissedCall,
    /// The one confirmation of STOP, and answers to START and HELP (CTIA Messaging Principles, 5.1.3).
    KeywordReply,
}

/// Why a text may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// They said STOP, or were opted out.
    #[error("they have opted out; they can text START to the clinic's number")]
    OptedOut,
    /// They never agreed to be texted.
    #[error("they have not agreed to be texted; ask them, or wait until they text first")]
    NoConsent,
}

/// Whether a number with this consent may be sent a text for this purpose.
pub fn may_text(consent: Option<ConsentState>, purpose: Purpose) -> Result<(), Refusal> {
    match (purpose, consent) {
        (Purpose::KeywordReply, _) | (_, Some(ConsentState::Granted)) | (Purpose::MissedCall, None) => Ok(()),
        (_, Some(ConsentState::Revoked)) => Err(Refusal::OptedOut),
        (Purpose::Conversation, None) => Err(Refusal::NoConsent),
    }
}

/// Whether staff may record that consent was given at the desk: not over the patient's own STOP, which only their own
/// START lifts (47 CFR 64.1200(a)(10)).
pub fn may_record(current: Option<&Consent>) -> Result<(), Refusal> {
    let own = |consent: &&Consent| consent.state == ConsentState::Revoked && consent.method != ConsentMethod::Staff;
    if current.filter(own).is_some() { Err(Refusal::OptedOut) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PhoneNumber;

    #[test]
    fn staff_lift_what_staff_have_set_and_no_stop() {
        let consent = |state, method| {
            Consent::new(PhoneNumber::e164("+16462530142").unwrap(), state, method, "x", jiff::Timestamp::UNIX_EPOCH)
        };
        let may = |state, method| may_record(Some(&consent(state, method)));
        assert_eq!(may_record(None), Ok(()));
        assert_eq!(may(ConsentState::Revoked, ConsentMethod::Staff), Ok(()));
        assert_eq!(may(ConsentState::Granted, ConsentMethod::Text), Ok(()));
        assert_eq!(may(ConsentState::Revoked, ConsentMethod::Text), Err(Refusal::OptedOut));
        assert_eq!(may(ConsentState::Revoked, ConsentMethod::Gateway), Err(Refusal::OptedOut));
    }

    #[test]
    fn stop_holds_against_everything_but_its_own_confirmation() {
        let stopped = Some(ConsentState::Revoked);
        assert_eq!(may_text(stopped, Purpose::Conversation), Err(Refusal::OptedOut));
        assert_eq!(may_text(stopped, Purpose::MissedCall), Err(Refusal::OptedOut));
        assert_eq!(may_text(stopped, Purpose::KeywordReply), Ok(()));
    }

    #[test]
    fn without_consent_only_a_caller_is_texted() {
        assert_eq!(may_text(None, Purpose::Conversation), Err(Refusal::NoConsent));
        assert_eq!(may_text(None, Purpose::MissedCall), Ok(()));
        assert_eq!(may_text(Some(ConsentState::Granted), Purpose::Conversation), Ok(()));
    }
}
