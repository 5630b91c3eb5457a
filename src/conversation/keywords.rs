//! STOP, START and HELP: obeyed before any person or automation sees the message.
//!
//! A keyword counts when it is the whole message, whatever its case, spaces and punctuation (47 CFR 64.1200(a)(10) for
//! the words of revocation; Twilio and the CTIA guidelines for the rest).

use super::templates::{Templates, Values, Variable};
use crate::model::{ConsentState, Language};

/// What a keyword asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// No more texts.
    Stop,
    /// Texts again.
    Start,
    /// Who is this?
    Help,
}

const STOP: [&str; 9] = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "ALTO"];
const START: [&str; 2] = ["START", "UNSTOP"];
const HELP: [&str; 2] = ["HELP", "INFO"];
/// Spanish, besides ALTO.
const PARAR: [&str; 1] = ["PARAR"];
const AYUDA: [&str; 1] = ["AYUDA"];
/// Longer than every keyword with its punctuation.
const LONGEST: usize = 64;

impl Keyword {
    /// All of them.
    pub const ALL: [Keyword; 3] = [Keyword::Stop, Keyword::Start, Keyword::Help];

    /// The message of `messages.toml` that answers it.
    pub fn template(self) -> &'static str {
        match self {
            Keyword::Stop => "stop_confirmation",
            Keyword::Start => "start_confirmation",
            Keyword::Help => "help",
        }
    }

    /// The words of which carriers want one in the answer, in any language: how to get out (CTIA Short Code Monitoring
    /// Handbook, on HELP and opt-in messages). The answer to STOP needs none: they are out.
    pub fn way_out(self) -> &'static [&'static str] {
        match self {
            Keyword::Stop => &[],
            Keyword::Start | Keyword::Help => &["STOP", "ALTO", "PARAR"],
        }
    }

    /// The keyword that a message is, if it is one. A YES is START only for those who are opted out: for everybody
    /// else it answers a question.
    pub fn of(body: &str, consent: Option<ConsentState>) -> Option<Keyword> {
        if body.len() > LONGEST {
            return None;
        }
        let word: String = body.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect();
        let word = word.as_str();
        let again = consent == Some(ConsentState::Revoked) && word == "YES";
        if STOP.contains(&word) || PARAR.contains(&word) {
            Some(Keyword::Stop)
        } else if START.contains(&word) || again {
            Some(Keyword::Start)
        } else if HELP.contains(&word) || AYUDA.contains(&word) {
            Some(Keyword::Help)
        } else {
            None
        }
    }
}

/// What the clinic answers to a keyword, in `language`: its own message, or ours where it has written none or a
/// variable of it has no value. Somebody who wrote STOP or HELP is answered in any case.
pub fn reply(keyword: Keyword, templates: &Templates, values: &Values, language: &Language) -> String {
    templates.render(keyword.template(), language, values).unwrap_or_else(|_| {
        let clinic = values.get(Variable::Clinic, language).unwrap_or_default();
        built_in(keyword, &clinic, language)
    })
}

/// In Spanish, or else in English. Within one text of 160 characters for a clinic's name of ordinary length.
fn built_in(keyword: Keyword, clinic: &str, language: &Language) -> String {
    let spanish = language.as_str().split('-').next().is_some_and(|tag| tag.eq_ignore_ascii_case("es"));
    match (keyword, spanish) {
        (Keyword::Stop, false) => {
            format!("{clinic}: you will get no more texts from us. Text START to change that. Calls work as always.")
        }
        (Keyword::Start, false) => {
            format!("{clinic}: you can text us again here. Reply HELP for help, STOP to stop.")
        }
        (Keyword::Help, false) => {
            format!(
                "{clinic}: our staff read this number. For help, call it. Emergency: call 911. Reply STOP to stop texts."
            )
        }
        (Keyword::Stop, true) => {
            format!("{clinic}: no le enviaremos más mensajes. Escriba START para volver a recibirlos.")
        }
        (Keyword::Start, true) => {
            format!("{clinic}: puede escribirnos de nuevo aquí. AYUDA para ayuda, ALTO para no recibir más.")
        }
        (Keyword::Help, true) => {
            format!(
                "{clinic}: nuestro personal lee este número; también puede llamar. Emergencia: 911. ALTO para no recibir más."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keywords_are_known_however_they_are_written() {
        for stop in
            ["STOP", "stop", " Stop. ", "“STOP!”", "stop all", "Opt-Out", "opt out", "Unsubscribe", "alto", "Parar"]
        {
            assert_eq!(Keyword::of(stop, None), Some(Keyword::Stop), "{stop}");
        }
        for start in ["START", "unstop", "Start!"] {
            assert_eq!(Keyword::of(start, None), Some(Keyword::Start), "{start}");
        }
        for help in ["help", "INFO?", "¡Ayuda!"] {
            assert_eq!(Keyword::of(help, None), Some(Keyword::Help), "{help}");
        }
    }

    #[test]
    fn a_keyword_inside_a_sentence_is_a_sentence() {
        for text in ["please stop by at 3", "Can I cancel my appointment?", "Start when?", "", "…", "I need help"] {
            assert_eq!(Keyword::of(text, None), None, "{text}");
        }
    }

    #[test]
    fn yes_is_an_answer_unless_they_are_opted_out() {
        assert_eq!(Keyword::of("Yes", Some(ConsentState::Granted)), None);
        assert_eq!(Keyword::of("Yes", None), None);
        assert_eq!(Keyword::of("Yes!", Some(ConsentState::Revoked)), Some(Keyword::Start));
    }

    #[test]
    fn built_in_replies_fit_one_text_and_name_the_clinic() {
        for language in ["en", "es", "es-MX", "fr"] {
            for keyword in Keyword::ALL {
                let text = built_in(keyword, "Riverside Therapy", &Language::parse(language).unwrap());
                assert!(text.starts_with("Riverside Therapy: "), "{text}");
                assert!(text.chars().count() <= 160, "{text}");
            }
        }
    }

    #[test]
    fn the_clinics_own_words_answer_where_it_has_some() {
        let written = "[help]\nen = \"{clinic} en\"\nes = \"{clinic} es\"\n[stop_confirmation]\nen = \"{hours}\"\n";
        let (templates, _) = Templates::parse(Path::new("messages.toml"), written, &Language::default()).unwrap();
        let values = Values::from([(Variable::Clinic, "Riverside".to_owned())]);
        let reply = |keyword, tag| reply(keyword, &templates, &values, &Language::parse(tag).unwrap());
        assert_eq!(reply(Keyword::Help, "es"), "Riverside es");
        // In the clinic's language where the message is not written in theirs.
        assert_eq!(reply(Keyword::Help, "fr"), "Riverside en");
        let not_written = reply(Keyword::Start, "es");
        assert!(not_written.starts_with("Riverside: puede escribirnos"), "{not_written}");
        let no_value = reply(Keyword::Stop, "en");
        assert!(no_value.starts_with("Riverside: you will get no more texts"), "{no_value}");
    }

    proptest! {
        #[test]
        fn any_dressing_of_stop_is_stop(before in "[ .,!\"'*-]{0,10}", after in "[ .,!?\"'\n-]{0,10}", upper: [bool; 4]) {
            let word: String = "stop".chars().zip(upper).map(|(c, up)| if up { c.to_ascii_uppercase() } else { c }).collect();
            prop_assert_eq!(Keyword::of(&format!("{before}{word}{after}"), None), Some(Keyword::Stop));
        }
    }
}
