//! What somebody typed into the search field, taken apart. Nothing of it reaches FTS5 but letters, digits and marks
//! inside quotes of our own: its operators mean nothing here, and no input is a mistake.

use crate::model::is_unseen;

/// Terms that are used; the rest of a longer query is ignored.
const MOST: usize = 8;
/// Characters of a query that are read.
const LONGEST: usize = 200;
/// Digits in a row that mean a telephone number.
const NUMBER: usize = 4;

/// What is looked for: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The words and phrases.
    pub words: Vec<Term>,
    /// The digits of a number, or of a part of one: four at least.
    pub digits: Option<String>,
}

/// Something that a text must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A word, or the beginning of one.
    Word(String),
    /// Words in this order.
    Phrase(Vec<String>),
}

impl Terms {
    /// Reads a query. Quotes hold a phrase together; a word with marks inside (`o'brien`) is one, too. Marks that nobody
    /// sees are not there.
    pub fn parse(text: &str) -> Terms {
        let text: String = text.chars().filter(|c| !is_unseen(*c)).take(LONGEST).collect();
        let mut words = Vec::new();
        for (at, part) in text.split(['"', '“', '”', '«', '»']).enumerate() {
            if at % 2 == 1 {
                words.extend(term(part, true));
            } else {
                words.extend(part.split_whitespace().filter_map(|chunk| term(chunk, false)));
            }
        }
        words.truncate(MOST);
        Terms { words, digits: digits(&text) }
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether a number is all that is looked for.
    pub fn only_number(&self) -> bool {
        let numeric = |term: &Term| term.words().iter().all(|word| word.bytes().all(|b| b.is_ascii_digit()));
        self.digits.is_some() && self.words.iter().all(numeric)
    }
}

impl Term {
    /// Its words.
    pub fn words(&self) -> &[String] {
        match self {
            Term::Word(word) => std::slice::from_ref(word),
            Term::Phrase(words) => words,
        }
    }
}

fn term(text: &str, quoted: bool) -> Option<Term> {
    let mut words: Vec<String> =
        text.split(|c: char| !is_letter(c)).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    match words.len() {
        0 => None,
        1 if !quoted => words.pop().map(Term::Word),
        _ => Some(Term::Phrase(words)),
    }
}

/// As `unicode61` of FTS5 sees it: letters, digits, and the marks that are written over them.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c)
}

/// The longest run of digits, with what people write between them.
fn digits(text: &str) -> Option<String> {
    text.split(|c: char| !(c.is_ascii_digit() || " +-().\u{a0}/‐–".contains(c)))
        .map(|run| run.chars().filter(char::is_ascii_digit).collect::<String>())
        .filter(|digits| digits.len() >= NUMBER)
        .max_by_key(String::len)
}

/// The query for FTS5, where every term may be the beginning of a word.
pub(super) fn prefixes(terms: &[Term]) -> String {
    terms.iter().map(|term| format!("{}{}", quoted(term.words()), star(term))).collect::<Vec<_>>().join(" AND ")
}

/// A term as FTS5 takes it without looking for operators.
pub(super) fn quoted(words: &[String]) -> String {
    format!("\"{}\"", words.join(" ").replace('"', ""))
}

fn star(term: &Term) -> &'static str {
    match term {
        Term::Word(_) => " *",
        Term::Phrase(_) => "",
    }
}

/// A word as the index has it, if that is plain: small letters, no marks. For others FTS5 is asked itself.
pub(super) fn plain(word: &str) -> Option<String> {
    word.chars()
        .map(|c| match c {
            'á' | 'à' | 'â' | 'ä' | 'ã' => Some('a'),
            'é' | 'è' | 'ê' | 'ë' => Some('e'),
            'í' | 'ì' | 'î' | 'ï' => Some('i'),
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' => Some('o'),
            'ú' | 'ù' | 'û' | 'ü' => Some('u'),
            'ñ' => Some('n'),
            'ç' => Some('c'),
            c if c.is_ascii_lowercase() || c.is_ascii_digit() => Some(c),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Term {
        Term::Word(text.into())
    }

    fn phrase(words: &[&str]) -> Term {
        Term::Phrase(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn words_phrases_and_numbers_are_told_apart() {
        let terms = Terms::parse("Refill  \"knee brace\" o'Brien");
        assert_eq!(terms.words, [word("refill"), phrase(&["knee", "brace"]), phrase(&["o", "brien"])]);
        assert_eq!(terms.digits, None);
        assert_eq!(Terms::parse("call (212) 555-0142 now").digits.unwrap(), "2125550142");
        assert_eq!(Terms::parse("0142").digits.unwrap(), "0142");
        assert!(Terms::parse("(212) 555-0142").only_number() && !Terms::parse("ana 0142").only_number());
        assert_eq!(Terms::parse("at 3 or 14").digits, None);
        // As another program hands it out.
        assert_eq!(Terms::parse("\u{202a}+1 212\u{200b}555 0142\u{202c}").digits.unwrap(), "12125550142");
        assert_eq!(Terms::parse("\u{feff}re\u{ad}fill").words, [word("refill")]);
    }

    #[test]
    fn operators_are_words_and_marks_are_nothing() {
        assert_eq!(Terms::parse("NEAR(a b) OR NOT body:x* ^y"), Terms::parse("near(a b) or not body:x* ^y"));
        assert!(Terms::parse("* \" ' ( ) : ^ - + , ; 🙂").is_empty());
        assert_eq!(Terms::parse("\"never closed").words, [phrase(&["never", "closed"])]);
        assert_eq!(prefixes(&Terms::parse("a-b c").words), "\"a b\" AND \"c\" *");
    }
}
