//! What somebody else has written (a name, a tag, a text) where a page of ours shows it: it turns nothing around but
//! itself, hides nothing, and is never markup or a link.

use std::fmt::Write;

use maud::{Markup, html};

use super::words::Ui;
use super::words::thread::{self, Words};
use crate::model::is_unseen;

/// In a line with words of ours.
pub fn theirs(text: &str, ui: Ui) -> Markup {
    html! { bdi { (safe(text, thread::words(ui))) } }
}

/// Where no markup can stand: in an option, or in a label that is read aloud.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Ok(seen) => shown.push_str(seen),
            Err(c) => _ = write!(shown, "U+{:04X}", u32::from(c)),
        }
    }
    // First strong isolate, pop directional isolate (UAX 9): only where there is something to turn around.
    if text.chars().any(runs_backwards) { format!("\u{2068}{shown}\u{2069}") } else { shown }
}

/// Whether a letter may be of a script that is written from right to left: their blocks in Unicode, generously.
fn runs_backwards(c: char) -> bool {
    matches!(u32::from(c), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefe | 0x1_0800..=0x1_0fff | 0x1_e800..=0x1_efff)
}

/// A text as it was written, in its own direction. Nothing in it is a link, and what cannot be seen is shown: a mark
/// that turns letters around or hides between them deceives whoever reads.
pub fn safe(text: &str, words: &Words) -> Markup {
    html! {
        @for part in parts(text) {
            @match part {
                Ok(seen) => (seen),
                Err(c) => {
                    span.unseen title={ (words.unseen) " U+" (format!("{:04X}", u32::from(c))) } { "U+" (format!("{:04X}", u32::from(c))) }
                }
            }
        }
    }
}

/// A text in pieces, with each character that cannot be seen apart.
fn parts(text: &str) -> Vec<Result<&str, char>> {
    let mut parts = Vec::new();
    let mut from = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().next();
        if hidden(before, c, next) {
            parts.extend((from < at).then(|| Ok(&text[from..at])));
            parts.push(Err(c));
            from = at + c.len_utf8();
        }
        before = Some(c);
    }
    parts.extend((from < text.len()).then(|| Ok(&text[from..])));
    parts
}

/// Whether a character cannot be seen, or changes how others are seen.
fn hidden(before: Option<char>, c: char, next: Option<char>) -> bool {
    match c {
        '\n' | '\t' => false,
        '\r' => next != Some('\n'),
        // A joiner within an emoji, or between letters of a script that joins them.
        '\u{200c}' | '\u{200d}' => !(before.is_some_and(|c| !c.is_ascii()) && next.is_some_and(|c| !c.is_ascii())),
        '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        c => is_unseen(c) || c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        safe(text, thread::words(Ui::En)).into_string()
    }

    #[test]
    fn what_cannot_be_seen_is_shown_and_nothing_is_markup() {
        assert_eq!(shown("<script>alert(1)</script>"), "&lt;script&gt;alert(1)&lt;/script&gt;");
        assert!(shown("pay\u{202e}gpj.exe").contains("U+202E"));
        assert!(shown("a\u{200b}b").contains("title=\"invisible character U+200B\""));
        assert!(shown("bell\u{7}").contains("U+0007"));
        assert!(!shown("line\r\nbreak\tand tab").contains("U+"));
        assert!(!shown("👩\u{200d}👧 نص عربي").contains("U+"), "joined emoji and Arabic are left alone");
        assert!(shown("a\u{200d}b").contains("U+200D"));
        assert!(!shown("http://example.com").contains("href"));
    }

    #[test]
    fn where_no_markup_can_stand_it_is_shown_as_well() {
        assert_eq!(plain("Ana \u{202e}López"), "Ana U+202ELópez");
        assert_eq!(plain("ليلى"), "\u{2068}ليلى\u{2069}");
        assert_eq!(theirs("<b>ليلى", Ui::En).into_string(), "<bdi>&lt;b&gt;ليلى</bdi>");
    }
}
