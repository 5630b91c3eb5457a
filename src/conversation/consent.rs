//! Who may be texted what.

use crate::model::ConsentState;

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

#[cfg(test)]
mod tests {
    use super::*;

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
