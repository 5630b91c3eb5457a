//! Who is owed a text after a call, and in which words: whoever left unserved, once in a while, unless they do not want
//! one.

use std::time::Duration;

use jiff::Timestamp;

use super::consent::{Purpose, may_text};
use super::templates::{TemplateError, Templates, Values};
use super::threading::within;
use crate::model::{Caller, ConsentState, Language, Outcome, PhoneNumber, Unserved};
use crate::tree::MissedCall;

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

/// The template for how somebody was left unserved.
pub fn template(missed: &MissedCall, unserved: Unserved) -> &str {
    let case = match unserved {
        Unserved::InMenu => &None,
        Unserved::InLine { .. } => &missed.in_line,
        Unserved::Unanswered => &missed.unanswered,
        Unserved::VoicemailTooShort => &missed.voicemail_too_short,
        Unserved::CallbackFailed => &missed.callback_failed,
    };
    case.as_ref().unwrap_or(&missed.message)
}

/// The text for how somebody was left unserved. Where its own words cannot be filled in (they left before they had a
/// place in the line, say), the general ones stand in.
///
/// # Errors
/// The general words cannot be filled in either.
pub fn text(
    templates: &Templates,
    missed: &MissedCall,
    unserved: Unserved,
    language: &Language,
    values: &Values,
) -> Result<String, TemplateError> {
    let values = match unserved {
        Unserved::InLine { position, waited } => values.clone().with_waiting(position, waited),
        _ => values.clone(),
    };
    let own = templates.render(template(missed, unserved), language, &values);
    own.or_else(|_| templates.render(&missed.message, language, &values))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
    fn the_words_are_those_of_the_case() {
        let messages = "[missed]\nen = \"sorry\"\nes = \"perdone\"\n\
                        [line]\nen = \"{position} after {waited}\"\nes = \"en {position} lugar, {waited}\"\n\
                        [short]\nen = \"too short\"\n";
        let templates = Templates::parse(Path::new("m.toml"), messages, &Language::default()).unwrap().0;
        let mut missed = MissedCall {
            message: "missed".to_owned(),
            in_line: Some("line".to_owned()),
            unanswered: None,
            voicemail_too_short: Some("short".to_owned()),
            callback_failed: None,
            at_most_every: DAY,
        };
        let told = |missed: &MissedCall, unserved, language: &str| {
            let language = Language::parse(language).unwrap();
            text(&templates, missed, unserved, &language, &Values::default()).unwrap()
        };
        let in_line = |position| Unserved::InLine { position, waited: Duration::from_secs(247) };
        assert_eq!(told(&missed, in_line(Some(3)), "en"), "third after four minutes");
        assert_eq!(told(&missed, in_line(Some(3)), "es"), "en tercer lugar, cuatro minutos");
        assert_eq!(told(&missed, in_line(None), "en"), "sorry", "nobody told them their place");
        assert_eq!(told(&missed, Unserved::VoicemailTooShort, "en"), "too short");
        for unserved in [Unserved::InMenu, Unserved::Unanswered, Unserved::CallbackFailed] {
            assert_eq!(told(&missed, unserved, "es"), "perdone");
        }
        missed.in_line = None;
        assert_eq!(told(&missed, in_line(Some(3)), "en"), "sorry");
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
