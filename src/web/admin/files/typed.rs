//! What somebody sends of a file: a text that was typed into the page, or a file of their own, with what is to be done.

use axum::extract::Multipart;
use axum::extract::multipart::MultipartRejection;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::store::timeline::weight;
use crate::web::admin::workshop::Trial;
use crate::web::form::parts;
use crate::web::problem::Problem;
use crate::web::words::{Ui, admin_files, admin_prompts};

/// A larger file is refused: no clinic's is near it.
const LARGEST: usize = 256 * 1024;
/// Bytes that a text may fill on the page that it is typed into: a file that is opened there can grow.
const LARGEST_TYPED: usize = 40_000;

/// How a text comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// It is typed.
    #[default]
    Page,
    /// It is a file.
    Upload,
}

/// The form.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    pub text: String,
    /// What the text is known by that was opened.
    pub base: String,
    pub note: String,
    #[serde(rename = "do")]
    pub what: String,
    pub at: String,
    pub from: String,
    pub script: String,
    #[serde(skip)]
    pub by: By,
}

impl Typed {
    /// What a form with a file brings.
    pub async fn uploaded(form: Result<Multipart, MultipartRejection>, ui: Ui) -> Result<Typed, Problem> {
        let words = admin_files::words(ui);
        let mut fields = parts(form, words.too_large).await?;
        let mut field = |name: &str| {
            let bytes = fields.remove(name).unwrap_or_default();
            String::from_utf8(bytes.into()).map_err(|_| Problem::refused(words.not_text))
        };
        Ok(Typed {
            text: field("file")?,
            base: field("base")?,
            note: field("note")?,
            what: field("do")?,
            at: field("at")?,
            from: field("from")?,
            script: field("script")?,
            by: By::Upload,
        })
    }

    /// As it goes into the file: browsers send every line's end as CR LF, and some editors begin a file with a mark.
    pub fn text(&self, ui: Ui) -> Result<String, Problem> {
        let words = admin_files::words(ui);
        let too_large = |why: &str| Err(Problem::Refused(StatusCode::PAYLOAD_TOO_LARGE, why.to_owned()));
        let mut text = self.text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        if text.len() > LARGEST {
            return too_large(words.too_large);
        }
        match self.by {
            By::Page if weight(&text) > LARGEST_TYPED => return too_large(words.too_large_to_type),
            By::Upload if text.is_empty() => return Err(Problem::refused(admin_prompts::words(ui).nothing)),
            By::Page | By::Upload => {}
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }

    /// The call that is to be tried with it.
    pub fn trial(&self, ui: Ui) -> Trial {
        Trial { at: self.at.clone(), from: self.from.clone(), script: self.script.clone(), ui }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_send_becomes_a_file() {
        let sent = |text: &str, by| Typed { text: text.to_owned(), by, ..Typed::default() }.text(Ui::En).ok();
        assert_eq!(sent("a = 1\r\nb = 2", By::Page).as_deref(), Some("a = 1\nb = 2\n"));
        assert_eq!(sent("\u{feff}a = 1\n", By::Upload).as_deref(), Some("a = 1\n"));
        assert_eq!(sent("", By::Page).as_deref(), Some(""));
        assert_eq!(sent("", By::Upload), None, "no file was chosen");
        let large = "x".repeat(LARGEST - 1);
        assert!(sent(&large, By::Upload).is_some() && sent(&large, By::Page).is_none());
        assert_eq!(sent(&(large + "xx"), By::Upload), None);
        // What counts on a page is what its letters fill there.
        assert!(sent(&"\"".repeat(LARGEST_TYPED / 6), By::Page).is_some());
        assert!(sent(&"\"".repeat(LARGEST_TYPED / 6 + 1), By::Page).is_none());
    }
}
