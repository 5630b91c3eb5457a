//! The clinic's messages: `messages.toml`, one table per template, one text per language in it.
//!
//! ```toml
//! [greeting]
//! en = "This is {clinic}. Write to us here; we answer within {response_target}. Reply STOP to opt out."
//! es = "…"
//! ```
//!
//! A variable stands in braces; a brace itself is written twice. A text with a variable that has no value is refused,
//! never sent with a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::hours;
use super::keywords::Keyword;
use super::segments::{Encoding, Segments, segments, septets};
use super::waiting;
use crate::model::toml_file::{Reader, Value, closest};
use crate::model::{Language, Problem, Problems};
use crate::tree::Hours;

/// More SMS segments than so many cost money and arrive out of order on some phones.
const MOST_SEGMENTS: usize = 3;

/// The longest text that Twilio and its like take.
pub const MOST_CHARACTERS: usize = 1_600;

/// How long a variable's value is taken to be when a template's length is judged.
const TYPICAL_VALUE: usize = 16;

/// What a text may mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// `{clinic}`: the clinic's name.
    Clinic,
    /// `{first_name}`: the patient's, where it is known.
    FirstName,
    /// `{response_target}`: how soon the clinic answers.
    ResponseTarget,
    /// `{hours}`: when the clinic is open.
    Hours,
    /// `{number}`: the clinic's telephone number.
    Number,
    /// `{position}`: the caller's place in the line that they left: "third".
    Position,
    /// `{waited}`: how long they had waited: "four minutes".
    Waited,
}

impl Variable {
    /// All of them.
    pub const ALL: [Variable; 7] = [
        Variable::Clinic,
        Variable::FirstName,
        Variable::ResponseTarget,
        Variable::Hours,
        Variable::Number,
        Variable::Position,
        Variable::Waited,
    ];

    /// Its name between the braces.
    pub fn name(self) -> &'static str {
        match self {
            Variable::Clinic => "clinic",
            Variable::FirstName => "first_name",
            Variable::ResponseTarget => "response_target",
            Variable::Hours => "hours",
            Variable::Number => "number",
            Variable::Position => "position",
            Variable::Waited => "waited",
        }
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.name())
    }
}

/// What is known when a text is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    words: BTreeMap<Variable, String>,
    hours: Option<Hours>,
    position: Option<usize>,
    waited: Option<Duration>,
}

impl Values {
    /// What is known whoever is written to: the clinic's name, the number that texts come from, what it promises.
    pub fn of_clinic(name: &str, number: &str, response_target: Option<&str>) -> Values {
        let clinic = [(Variable::Clinic, name), (Variable::Number, number)].into_iter();
        let target = response_target.map(|target| (Variable::ResponseTarget, target));
        clinic.chain(target).map(|(variable, value)| (variable, value.to_owned())).collect()
    }

    /// The same with one more value.
    pub fn with(mut self, variable: Variable, value: String) -> Values {
        self.words.insert(variable, value);
        self
    }

    /// The same with the opening hours, which each text says in its own language.
    pub fn with_hours(self, hours: Option<&Hours>) -> Values {
        Values { hours: hours.cloned(), ..self }
    }

    /// The same with how the caller has waited, which each text says in its own language: their place in the line, from
    /// 1, where it is known, and how long.
    pub fn with_waiting(self, position: Option<usize>, waited: Duration) -> Values {
        Values { position, waited: Some(waited), ..self }
    }

    /// What `variable` says in a text in `language`; none where it has no value, or a blank one.
    pub fn get(&self, variable: Variable, language: &Language) -> Option<String> {
        let words = self.words.get(&variable).map(|value| value.trim()).filter(|value| !value.is_empty());
        words.map(str::to_owned).or_else(|| match variable {
            Variable::Hours => hours::in_words(self.hours.as_ref()?, language),
            Variable::Position => waiting::position(self.position?, language),
            Variable::Waited => waiting::waited(self.waited?, language),
            Variable::Clinic | Variable::FirstName | Variable::ResponseTarget | Variable::Number => None,
        })
    }
}

impl FromIterator<(Variable, String)> for Values {
    fn from_iter<I: IntoIterator<Item = (Variable, String)>>(values: I) -> Values {
        Values { words: values.into_iter().collect(), ..Values::default() }
    }
}

impl<const N: usize> From<[(Variable, String); N]> for Values {
    fn from(values: [(Variable, String); N]) -> Values {
        values.into_iter().collect()
    }
}

/// Why a text cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no such template.
    #[error("there is no message \"{0}\"; write it in messages.toml")]
    Unknown(String),
    /// A variable has no value, or a blank one.
    #[error("message \"{template}\" needs {variable}, which has no value; give it one or take it out of the message")]
    NoValue {
        /// The template.
        template: String,
        /// What is missing.
        variable: Variable,
    },
}

/// All messages of the clinic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    language: Language,
    texts: BTreeMap<String, BTreeMap<Language, Vec<Part>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Words(String),
    Variable(Variable),
}

impl Templates {
    /// Reads and checks the file. Every template must be written in the clinic's `language`.
    pub fn load(file: &Path, language: &Language) -> Result<(Templates, Vec<Problem>), Problems> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let cure = "create the file, or name another in `messages` of threadline.toml";
            Problems(vec![Problem::of_file(file, format!("cannot be read: {error}"), cure)])
        })?;
        Templates::parse(file, &text, language)
    }

    /// As [`Templates::load`], with the text in hand; `file` is only named in problems.
    pub fn parse(file: &Path, text: &str, language: &Language) -> Result<(Templates, Vec<Problem>), Problems> {
        let reader = Reader::new(file, text);
        let document = reader.document()?;
        let mut texts = BTreeMap::new();
        for entry in reader.root(&document).entries() {
            let Some(table) = entry.table() else { continue };
            let keyword = Keyword::ALL.into_iter().find(|keyword| keyword.template() == entry.key());
            let mut written = BTreeMap::new();
            for text in table.entries() {
                let Some((language, parts)) = translation(&text) else { continue };
                if let Some(keyword) = keyword {
                    judge_reply(keyword, &parts, &text);
                }
                written.insert(language, parts);
            }
            if !table.entries().iter().any(|text| text.key() == language.as_str()) {
                let message = format!("message \"{}\" is not written in `{language}`", entry.key());
                reader.error(entry.key_span(), message, format!("write {language} = \"…\""));
            }
            texts.insert(entry.key().to_owned(), written);
        }
        let warnings = reader.finish()?;
        Ok((Templates { language: language.clone(), texts }, warnings))
    }

    /// Each template with the languages that it is written in.
    pub fn names(&self) -> BTreeMap<String, BTreeSet<Language>> {
        self.texts.iter().map(|(name, texts)| (name.clone(), texts.keys().cloned().collect())).collect()
    }

    /// The variables that a template mentions, each with the languages that mention it.
    pub fn variables(&self, template: &str) -> BTreeMap<Variable, BTreeSet<&Language>> {
        let mut all: BTreeMap<Variable, BTreeSet<&Language>> = BTreeMap::new();
        for (language, part) in self
            .texts
            .get(template)
            .into_iter()
            .flatten()
            .flat_map(|(language, parts)| parts.iter().map(move |part| (language, part)))
        {
            if let Part::Variable(variable) = part {
                all.entry(*variable).or_default().insert(language);
            }
        }
        all
    }

    /// The text of `template` in `language`, or in the clinic's where it is not written in that one.
    pub fn render(&self, template: &str, language: &Language, values: &Values) -> Result<String, TemplateError> {
        let unknown = || TemplateError::Unknown(template.to_owned());
        let texts = self.texts.get(template).ok_or_else(unknown)?;
        let written = texts.get_key_value(language).or_else(|| texts.get_key_value(&self.language));
        let (language, parts) = written.ok_or_else(unknown)?;
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Words(words) => text.push_str(words),
                Part::Variable(variable) => {
                    let no_value = || TemplateError::NoValue { template: template.to_owned(), variable: *variable };
                    text.push_str(&values.get(*variable, language).ok_or_else(no_value)?);
                }
            }
        }
        Ok(text)
    }
}

/// `en = "…"`
fn translation(entry: &Value<'_>) -> Option<(Language, Vec<Part>)> {
    let language = Language::parse(entry.key());
    if let Err(error) = &language {
        entry.reader().error(entry.key_span(), error.to_string(), "write one line for each language: en = \"…\"");
    }
    let parts = parts(entry.words()?, entry)?;
    judge_length(&parts, entry);
    Some((language.ok()?, parts))
}

/// Takes a text apart. What is wrong with it is reported at `entry`.
fn parts(text: &str, entry: &Value<'_>) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut words = String::new();
    let mut fine = true;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        words.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            words.push_str(&rest[..1]);
            rest = &rest[2..];
            continue;
        }
        let Some(end) = rest.find('}').filter(|_| rest.starts_with('{')) else {
            entry.error("a brace without its partner", "write {clinic} for a variable, and a brace itself twice: {{");
            return None;
        };
        let name = &rest[1..end];
        rest = &rest[end + 1..];
        match Variable::ALL.into_iter().find(|variable| variable.name() == name) {
            Some(variable) => {
                parts.push(Part::Words(std::mem::take(&mut words)));
                parts.push(Part::Variable(variable));
            }
            None => {
                fine = false;
                let cure = match closest(name, Variable::ALL.into_iter().map(Variable::name)) {
                    Some(known) => format!("did you mean {{{known}}}?"),
                    None => {
                        let known: Vec<_> = Variable::ALL.iter().map(ToString::to_string).collect();
                        format!("known variables: {}", known.join(", "))
                    }
                };
                entry.error(format!("there is no variable {{{name}}}"), cure);
            }
        }
    }
    words.push_str(rest);
    parts.push(Part::Words(words));
    parts.retain(|part| !matches!(part, Part::Words(words) if words.is_empty()));
    fine.then_some(parts)
}

/// Carriers look for some words in what answers a keyword; a number whose answers lack them may be blocked.
fn judge_reply(keyword: Keyword, parts: &[Part], entry: &Value<'_>) {
    let words: String = parts
        .iter()
        .filter_map(|part| if let Part::Words(words) = part { Some(words.as_str()) } else { None })
        .collect();
    let way_out = keyword.way_out();
    if !parts.contains(&Part::Variable(Variable::Clinic)) {
        let message = "this answer does not say who writes, as carriers want it";
        entry.reader().warning(entry.span(), message, "name the clinic: {clinic}");
    }
    if !way_out.is_empty() && !way_out.iter().any(|word| words.contains(word)) {
        let message = "this answer does not say how to opt out, as carriers want it";
        entry.reader().warning(entry.span(), message, format!("write: Reply {} to opt out", way_out[0]));
    }
}

/// A text may be long, but not by accident: one typographic quote more than doubles its price.
fn judge_length(parts: &[Part], entry: &Value<'_>) {
    let typical: String = parts
        .iter()
        .map(|part| match part {
            Part::Words(words) => words.clone(),
            Part::Variable(_) => "x".repeat(TYPICAL_VALUE),
        })
        .collect();
    if typical.chars().count() > MOST_CHARACTERS {
        entry.error("the text is too long to be sent", format!("write {MOST_CHARACTERS} characters at most"));
        return;
    }
    let Segments { encoding, segments, .. } = segments(&typical);
    let unusual: BTreeSet<char> = typical.chars().filter(|c| septets(*c).is_none()).collect();
    // One or two such characters are a typographic accident; more are a language that is written so.
    if encoding == Encoding::Ucs2 && unusual.len() <= 2 && segments > 1 {
        let unusual: String = unusual.into_iter().collect();
        let message = format!("“{unusual}” makes this text cost {segments} segments");
        entry.reader().warning(entry.span(), message, "write it with plain characters (' \" - ...)");
    } else if segments > MOST_SEGMENTS {
        let message = format!("this text is about {segments} segments long");
        entry.reader().warning(entry.span(), message, format!("shorten it to {MOST_SEGMENTS} segments at most"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Days, Minute, Opening};

    fn parse(text: &str) -> Result<(Templates, Vec<Problem>), Problems> {
        Templates::parse(Path::new("messages.toml"), text, &Language::default())
    }

    fn values(pairs: &[(Variable, &str)]) -> Values {
        pairs.iter().map(|(variable, value)| (*variable, (*value).to_owned())).collect()
    }

    #[test]
    fn a_text_is_filled_in_and_falls_back_to_the_clinics_language() {
        let (templates, warnings) =
            parse("[greeting]\nen = \"Hi {first_name}, {clinic} here {{24h}}\"\nes = \"Hola {clinic}\"\n").unwrap();
        assert_eq!(warnings, []);
        let values = values(&[(Variable::Clinic, "Riverside"), (Variable::FirstName, "Ana")]);
        let render = |tag: &str| templates.render("greeting", &Language::parse(tag).unwrap(), &values).unwrap();
        assert_eq!(render("en"), "Hi Ana, Riverside here {24h}");
        assert_eq!(render("es"), "Hola Riverside");
        assert_eq!(render("fr"), render("en"));
        let (en, es) = (Language::default(), Language::parse("es").unwrap());
        let mentioned = [(Variable::Clinic, [&en, &es].into()), (Variable::FirstName, [&en].into())];
        assert_eq!(templates.variables("greeting"), mentioned.into());
    }

    #[test]
    fn opening_hours_are_said_in_the_language_of_the_text() {
        let (templates, _) =
            parse("[late]\nen = \"Open {hours}\"\nes = \"Abierto {hours}\"\nfr = \"{hours}\"\n").unwrap();
        let open = Opening {
            days: Days::parse("mon-fri").unwrap(),
            from: Minute::parse("08:00").unwrap(),
            to: Minute::parse("17:00").unwrap(),
        };
        let values = Values::default().with_hours(Some(&Hours { open: vec![open], ..Hours::default() }));
        let render = |tag: &str| templates.render("late", &Language::parse(tag).unwrap(), &values);
        assert_eq!(render("es").unwrap(), "Abierto lun-vie 8 am-5 pm");
        // Not written in German, so it is English in words and hours.
        assert_eq!(render("de").unwrap(), "Open Mon-Fri 8 am-5 pm");
        assert!(matches!(render("fr"), Err(TemplateError::NoValue { variable: Variable::Hours, .. })));
    }

    #[test]
    fn a_text_with_a_gap_is_refused() {
        let (templates, _) = parse("[greeting]\nen = \"Hi {first_name}\"\n").unwrap();
        let en = Language::default();
        for values in [values(&[]), values(&[(Variable::FirstName, " ")])] {
            let error = templates.render("greeting", &en, &values).unwrap_err();
            let expected = TemplateError::NoValue { template: "greeting".to_owned(), variable: Variable::FirstName };
            assert_eq!(error, expected);
        }
        assert_eq!(templates.render("x", &en, &values(&[])), Err(TemplateError::Unknown("x".to_owned())));
    }

    #[test]
    fn all_mistakes_are_reported_with_their_lines() {
        let text =
            "[greeting]\nen = \"{clinc} {weather}\"\n[late]\nes = \"x\"\n[odd]\nen = \"a } b\"\nenglish_us = \"x\"\n";
        let shown = parse(text).unwrap_err().to_string();
        for expected in [
            "messages.toml:2:6: error: there is no variable {clinc}\n",
            "did you mean {clinic}?",
            "there is no variable {weather}\n",
            "messages.toml:3:2: error: message \"late\" is not written in `en`",
            "messages.toml:6:6: error: a brace without its partner",
            "messages.toml:7:1: error: “english_us” is not a language",
        ] {
            assert!(shown.contains(expected), "{expected} in:\n{shown}");
        }
    }

    #[test]
    fn an_answer_to_a_keyword_that_carriers_would_not_take_is_warned_of() {
        let warned = |text: &str| -> Vec<_> {
            parse(text).unwrap().1.into_iter().map(|problem| (problem.line, problem.message)).collect()
        };
        let missing = warned(
            "[help]\nen = \"Call us.\"\n[start_confirmation]\nen = \"{clinic}: hello. HELP for help.\"\n\
             [stop_confirmation]\nen = \"Goodbye.\"\n[greeting]\nen = \"Hi\"\n",
        );
        let who = "this answer does not say who writes, as carriers want it".to_owned();
        let way = "this answer does not say how to opt out, as carriers want it".to_owned();
        assert_eq!(missing, [(2, who.clone()), (2, way.clone()), (4, way), (6, who)]);
        let fine = "[help]\nen = \"{clinic}: call us. STOP to opt out.\"\nes = \"{clinic}: ALTO para no recibir\"\n\
                    [stop_confirmation]\nen = \"{clinic}: goodbye.\"\n";
        assert_eq!(warned(fine), []);
    }

    #[test]
    fn an_accidental_quote_and_a_long_text_are_warned_of() {
        let warned = |text: &str| parse(&format!("[greeting]\nen = \"{text}\"\n")).unwrap().1;
        assert_eq!(warned(&format!("{}’s", "a".repeat(60))), []);
        assert!(warned(&format!("{}’s", "a".repeat(100)))[0].message.contains('’'));
        assert!(warned(&"a".repeat(500))[0].message.contains("4 segments"));
        assert!(parse(&format!("[greeting]\nen = \"{}\"\n", "a".repeat(1_601))).is_err());
    }
}
