//! The messages that are put into a text: which, in which language, and what one lacks.

use crate::conversation::snippets;
use crate::conversation::templates::{TemplateError, Variable};
use crate::model::Language;
use crate::sms::addressee::Addressee;
use crate::web::Files;
use crate::web::words::compose::Words;

/// A message to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What [`fill`] knows it by.
    pub name: String,
    /// As people read it.
    pub shown: String,
}

/// The messages that people send, in the addressee's language; in `every_language`, the clinic's first, where nobody
/// knows theirs.
pub fn offered(files: &Files, every_language: bool) -> Vec<Offered> {
    let written = files.templates.names();
    let mut all = Vec::new();
    for name in snippets::for_people(&files.templates, &files.tree) {
        let shown = name.replace('_', " ");
        let others = written.get(&name).into_iter().flatten();
        let others = others.filter(|language| every_language && **language != files.settings.clinic.language);
        let others = others
            .map(|language| Offered { name: format!("{name}/{language}"), shown: format!("{shown} ({language})") });
        let others: Vec<_> = others.collect();
        all.push(Offered { name, shown });
        all.extend(others);
    }
    all
}

/// A message that people send, with its variables filled in.
pub fn fill(files: &Files, template: &str, addressee: &Addressee) -> Result<String, TemplateError> {
    let unknown = || TemplateError::Unknown(template.to_owned());
    let (name, chosen) = match template.split_once('/') {
        Some((name, language)) => (name, Some(Language::parse(language).map_err(|_| unknown())?)),
        None => (template, None),
    };
    if !snippets::for_people(&files.templates, &files.tree).iter().any(|known| known == name) {
        return Err(unknown());
    }
    let language = chosen.or_else(|| addressee.language.clone());
    let addressee = Addressee { language, known: addressee.known.clone() };
    addressee.fill(&files.templates, name, files.values(), &files.settings.clinic.language)
}

/// What a message lacks, asked for in words.
pub fn unfilled(why: &TemplateError, words: &Words) -> String {
    match why {
        TemplateError::Unknown(_) => words.no_template.to_owned(),
        TemplateError::NoValue { variable: Variable::FirstName, .. } => words.missing_first_name.to_owned(),
        TemplateError::NoValue { variable: Variable::Hours, .. } => words.missing_hours.to_owned(),
        TemplateError::NoValue { variable, .. } => (words.missing)(&variable.to_string()),
    }
}

/// A message behind what is written.
pub fn behind(written: &str, message: String) -> String {
    if written.trim().is_empty() { message } else { format!("{} {message}", written.trim_end()) }
}
