//! How a caller has waited, in plain words for a text: `third`, `four minutes`.

use std::time::Duration;

use crate::model::Language;

/// The words of a language.
struct Words {
    tag: &'static str,
    /// As in "you were … in line", "estaba en … lugar"; from the first.
    ordinals: [&'static str; 20],
    under_a_minute: &'static str,
    one_minute: &'static str,
    /// From two on; above the last it is written in figures.
    numbers: [&'static str; 19],
    minutes: &'static str,
}

const LANGUAGES: [Words; 2] = [
    Words {
        tag: "en",
        ordinals: [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
            "twentieth",
        ],
        under_a_minute: "less than a minute",
        one_minute: "one minute",
        numbers: [
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ],
        minutes: "minutes",
    },
    Words {
        tag: "es",
        ordinals: [
            "primer",
            "segundo",
            "tercer",
            "cuarto",
            "quinto",
            "sexto",
            "séptimo",
            "octavo",
            "noveno",
            "décimo",
            "undécimo",
            "duodécimo",
            "decimotercer",
            "decimocuarto",
            "decimoquinto",
            "decimosexto",
            "decimoséptimo",
            "decimoctavo",
            "decimonoveno",
            "vigésimo",
        ],
        under_a_minute: "menos de un minuto",
        one_minute: "un minuto",
        numbers: [
            "dos",
            "tres",
            "cuatro",
            "cinco",
            "seis",
            "siete",
            "ocho",
            "nueve",
            "diez",
            "once",
            "doce",
            "trece",
            "catorce",
            "quince",
            "dieciséis",
            "diecisiete",
            "dieciocho",
            "diecinueve",
            "veinte",
        ],
        minutes: "minutos",
    },
];

fn words(language: &Language) -> Option<&'static Words> {
    let primary = language.as_str().split('-').next().unwrap_or_default();
    LANGUAGES.iter().find(|words| words.tag.eq_ignore_ascii_case(primary))
}

/// A place in a line, from 1; none where we do not know the language's words, or beyond the twentieth.
pub fn position(position: usize, language: &Language) -> Option<String> {
    words(language)?.ordinals.get(position.checked_sub(1)?).map(|word| (*word).to_owned())
}

/// How long somebody has waited, to the nearest minute; none where we do not know the language's words.
pub fn waited(time: Duration, language: &Language) -> Option<String> {
    let words = words(language)?;
    let minutes = (time.as_secs() + 30) / 60;
    Some(match minutes {
        0 => words.under_a_minute.to_owned(),
        1 => words.one_minute.to_owned(),
        more => {
            let number = usize::try_from(more - 2).ok().and_then(|at| words.numbers.get(at));
            let number = number.map_or_else(|| more.to_string(), |word| (*word).to_owned());
            format!("{number} {}", words.minutes)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::segments::{Encoding, segments};

    #[test]
    fn waiting_is_told_in_the_languages_that_we_know() {
        let tag = |tag: &str| Language::parse(tag).unwrap();
        let place = |at, language: &str| position(at, &tag(language));
        assert_eq!(place(3, "en").as_deref(), Some("third"));
        assert_eq!(place(3, "es-MX").as_deref(), Some("tercer"));
        assert_eq!([place(0, "en"), place(21, "en"), place(1, "fr")], [None, None, None]);
        let time = |seconds, language: &str| waited(Duration::from_secs(seconds), &tag(language));
        assert_eq!(time(29, "en").as_deref(), Some("less than a minute"));
        assert_eq!(time(31, "es").as_deref(), Some("un minuto"));
        assert_eq!(time(240, "en").as_deref(), Some("four minutes"));
        assert_eq!(time(20 * 60, "es").as_deref(), Some("veinte minutos"));
        assert_eq!(time(21 * 60, "en").as_deref(), Some("21 minutes"));
        assert_eq!(time(60, "fr"), None);
        for words in &LANGUAGES {
            let all = words.ordinals.join(" ") + &words.numbers.join(" ");
            assert_eq!(segments(&all).encoding, Encoding::Gsm7, "{all}");
        }
    }
}
