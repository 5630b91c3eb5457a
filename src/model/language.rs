//! [`Language`]: which of the clinic's languages a prompt or text is in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A language tag as the clinic writes it and as `prompts/` names its folders: `en`, `es`, `pt-BR`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(String);

/// A language tag must be 2 to 8 letters, with further parts of letters and digits after hyphens (RFC 5646).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is not a language; write a tag such as \"en\" or \"es\"")]
pub struct LanguageError(String);

impl Language {
    /// Reads a tag.
    pub fn parse(tag: &str) -> Result<Self, LanguageError> {
        let mut parts = tag.split('-');
        let first =
            parts.next().is_some_and(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphabetic()));
        let rest = parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
        if first && rest { Ok(Language(tag.to_owned())) } else { Err(LanguageError(tag.to_owned())) }
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Language {
    fn default() -> Self {
        Language("en".to_owned())
    }
}

impl TryFrom<String> for Language {
    type Error = LanguageError;

    fn try_from(tag: String) -> Result<Self, Self::Error> {
        Language::parse(&tag)
    }
}

impl From<Language> for String {
    fn from(language: Language) -> String {
        language.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_checked_so_that_they_are_safe_as_folder_names() {
        for good in ["en", "es", "pt-BR", "zh-Hant"] {
            assert!(Language::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "e", "../en", "en/", "en-", "en_US"] {
            assert!(Language::parse(bad).is_err(), "{bad}");
        }
    }
}
