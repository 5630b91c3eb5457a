//! What pages say, in English and Spanish: one file a page, so that the compiler misses no sentence.
//!
//! A file holds a struct of its page's sentences and one constant of it for each language.

#![allow(missing_docs)] // A sentence's documentation is its English, which stands in the same file.

pub mod account;
pub mod admin;
pub mod admin_files;
pub mod admin_prompts;
pub mod admin_system;
pub mod admin_why;
pub mod audit;
pub mod calls;
pub mod compose;
pub mod day;
pub mod help;
pub mod new_text;
pub mod palette;
pub mod people;
pub mod phone;
pub mod problem;
pub mod queue;
pub mod refusal;
pub mod search;
pub mod shell;
pub mod sign_in;
pub mod thread;
pub mod thread_work;
pub mod trial;

use axum::http::{HeaderMap, header};

use crate::model::Language;

tokio::task_local! {
    static HERE: Ui;
}

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

    /// The language that a browser asks for (`Accept-Language`): Spanish if it names it before English.
    pub fn asked_by(headers: &HeaderMap) -> Ui {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let tags = asked.split(',').map(|tag| tag.trim().to_ascii_lowercase());
        let known = tags.filter_map(|tag| match tag.get(..2) {
            Some("es") => Some(Ui::Es),
            Some("en") => Some(Ui::En),
            _ => None,
        });
        known.into_iter().next().unwrap_or_default()
    }

    /// The language of whoever is being answered, for what is said far from where they are known.
    pub fn here() -> Ui {
        HERE.try_with(|ui| *ui).unwrap_or_default()
    }

    /// Answers in this language.
    pub async fn scope<T>(self, answer: impl Future<Output = T>) -> T {
        HERE.scope(self, answer).await
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
