//! Words that call for a person at once.
//!
//! Whole words are looked for, whatever their case, accents and punctuation. What a sentence denies is not understood:
//! "no chest pain" is flagged too, because one flag too many costs a look and one too few may cost a life. A flag is a
//! help to the front desk, not a promise to the patient: every greeting names 911.

use crate::model::is_unseen;

/// What is looked for, in English and Spanish, without accents. The first that is found names the flag.
const PHRASES: [&str; 79] = [
    "911",
    "988",
    "emergency",
    "ambulance",
    "chest pain",
    "chest pains",
    "chest hurts",
    "heart attack",
    "stroke",
    "face drooping",
    "slurred speech",
    "cant breathe",
    "can not breathe",
    "cannot breathe",
    "cant breath",
    "hard to breathe",
    "trouble breathing",
    "difficulty breathing",
    "short of breath",
    "shortness of breath",
    "choking",
    "unconscious",
    "passed out",
    "not responding",
    "unresponsive",
    "seizure",
    "seizures",
    "overdose",
    "overdosed",
    "od",
    "too many pills",
    "poisoned",
    "bleeding",
    "anaphylaxis",
    "allergic reaction",
    "throat closing",
    "suicide",
    "suicidal",
    "kill myself",
    "end my life",
    "want to die",
    "dont want to live",
    "do not want to live",
    "better off dead",
    "hurt myself",
    "harm myself",
    "self harm",
    "kill him",
    "kill her",
    "kill them",
    "water broke",
    "baby not moving",
    "abused me",
    "rape",
    "raped",
    "emergencia",
    "ambulancia",
    "dolor de pecho",
    "dolor en el pecho",
    "duele el pecho",
    "infarto",
    "derrame",
    "no puedo respirar",
    "no puede respirar",
    "me ahogo",
    "falta el aire",
    "falta de aire",
    "dificultad para respirar",
    "inconsciente",
    "se desmayo",
    "convulsion",
    "convulsiones",
    "sobredosis",
    "sangrando",
    "sangrado",
    "suicidio",
    "suicidarme",
    "matarme",
    "quiero morir",
];

/// The first phrase of a text that calls for a person at once.
pub fn find(text: &str) -> Option<&'static str> {
    let words = plain(text);
    PHRASES.into_iter().find(|phrase| words.contains(&format!(" {phrase} ")))
}

/// Small letters without accents, one space between words and at both ends; an apostrophe is nothing ("can't").
fn plain(text: &str) -> String {
    let mut words = String::from(" ");
    for c in text.chars() {
        match c {
            '\'' | '\u{2019}' | '\u{2bc}' => {}
            c if is_unseen(c) => {}
            // Combining accents, as some keyboards write them.
            '\u{300}'..='\u{36f}' => {}
            c if c.is_alphanumeric() => words.extend(c.to_lowercase().map(bare)),
            _ if words.ends_with(' ') => {}
            _ => words.push(' '),
        }
    }
    if !words.ends_with(' ') {
        words.push(' ');
    }
    words
}

fn bare(c: char) -> char {
    match c {
        'á' | 'à' | 'ä' | 'â' => 'a',
        'é' | 'è' | 'ë' | 'ê' => 'e',
        'í' | 'ì' | 'ï' | 'î' => 'i',
        'ó' | 'ò' | 'ö' | 'ô' => 'o',
        'ú' | 'ù' | 'ü' | 'û' => 'u',
        'ñ' => 'n',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_calls_for_a_person_is_found_however_it_is_written() {
        for (text, flag) in [
            ("I have CHEST PAIN!!", "chest pain"),
            ("i can’t breathe", "cant breathe"),
            ("I can't   breathe", "cant breathe"),
            ("should I call 911?", "911"),
            ("thinking about suicide", "suicide"),
            ("he overdosed", "overdosed"),
            ("it is still bleeding.", "bleeding"),
            ("chest\npain since morning", "chest pain"),
            ("chest-pain", "chest pain"),
            ("me duele el pecho", "duele el pecho"),
            ("¡No puedo respirar!", "no puedo respirar"),
            ("se desmayó", "se desmayo"),
            ("una convulsio\u{301}n", "convulsion"),
            ("su\u{200b}icide", "suicide"),
            ("\u{2066}chest\u{2069} pain", "chest pain"),
        ] {
            assert_eq!(find(text), Some(flag), "{text}");
        }
    }

    #[test]
    fn a_denial_is_flagged_too() {
        assert_eq!(find("no chest pain today"), Some("chest pain"));
    }

    #[test]
    fn a_word_within_a_word_is_another_word() {
        for text in
            ["see you at the bleedingheart cafe", "room 9110", "my stroker engine", "bod", "", "…", "today 9 11"]
        {
            assert_eq!(find(text), None, "{text}");
        }
    }

    #[test]
    fn every_phrase_is_written_as_it_is_looked_for() {
        for phrase in PHRASES {
            assert_eq!(plain(phrase), format!(" {phrase} "));
            assert!(find(phrase).is_some());
        }
    }

    proptest! {
        #[test]
        fn a_flag_is_found_amid_anything(before in "[a-z ,.!]{0,40}", after in "[a-z ,.!]{0,40}") {
            let text = format!("{before} Overdose. {after}");
            prop_assert!(find(&text).is_some());
        }
    }
}
