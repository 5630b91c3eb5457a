//! What pages say, in English and Spanish: one file a page, so that the compiler misses no sentence.
//!
//! A file holds a struct of its page's sentences and one constant of it for each language.

#![allow(missing_docs)] // A sentence's documentation is its English, which stands in the same file.

pub mod day;
pub mod problem;
pub mod queue;
pub mod shell;

use crate::model::Language;

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ui {
    /// English.
    #[default]
    En,
    /// Spanish.
    Es,
}

impl Ui {
    /// The language of the pages for a person who reads `language`: Spanish, or else English.
    pub fn of(language: &Language) -> Ui {
        let spanish = language.as_str().split('-').next().is_some_and(|tag| tag.eq_ignore_ascii_case("es"));
        if spanish { Ui::Es } else { Ui::En }
    }

    /// The tag for `lang`.
    pub fn tag(self) -> &'static str {
        match self {
            Ui::En => "en",
            Ui::Es => "es",
        }
    }

    /// One of the two.
    pub fn pick<T>(self, english: T, spanish: T) -> T {
        match self {
            Ui::En => english,
            Ui::Es => spanish,
        }
    }
}
