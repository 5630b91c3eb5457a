//! How much of what somebody wrote is on a timeline's page: enough to know what it is, never so much that the page grows
//! with it. Whoever wants all of it asks for it.

use crate::model::{Private, is_unseen};

/// Characters of a note that are shown.
pub const NOTE: usize = 600;
/// Lines of either that are shown.
const LINES: usize = 40;
/// Bytes that either may fill: every text that the clinic can send, whatever its letters, is shown whole.
const WEIGHT: usize = 12_000;

/// Bytes that a text fills on a page: a letter of HTML is written out, and what cannot be seen is told by its name.
pub fn weight(text: &str) -> usize {
    text.chars().map(weighs).sum()
}

fn weighs(c: char) -> usize {
    match c {
        '"' => 6,
        '&' => 5,
        '<' | '>' => 4,
        '\n' | '\t' | '\r' => 1,
        '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => 90,
        c if is_unseen(c) || c.is_control() => 90,
        c => c.len_utf8(),
    }
}

/// The beginning of a text, of `most` characters at most; true beside it if that is all of it.
pub fn fold(text: String, most: usize) -> (Private<String>, bool) {
    let (mut filled, mut lines) = (0, 1);
    let end = text.char_indices().enumerate().find_map(|(count, (at, c))| {
        filled += weighs(c);
        lines += usize::from(c == '\n');
        // A last line's end is no further line.
        let over = lines > LINES && at + 1 < text.len();
        (count >= most || filled > WEIGHT || over).then_some(at)
    });
    match end {
        Some(end) => (Private::new(text[..end].to_owned()), false),
        None => (Private::new(text), true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str, most: usize) -> (usize, bool) {
        let (shown, whole) = fold(text.to_owned(), most);
        assert!(text.starts_with(shown.expose().as_str()));
        (shown.expose().chars().count(), whole)
    }

    #[test]
    fn what_is_short_is_shown_whole_and_what_is_long_by_its_beginning() {
        assert_eq!(folded("", NOTE), (0, true));
        assert_eq!(folded(&"é".repeat(NOTE), NOTE), (NOTE, true));
        assert_eq!(folded(&"é".repeat(NOTE + 1), NOTE), (NOTE, false));
        assert_eq!(folded(&"a\n".repeat(LINES), NOTE), (2 * LINES, true));
        assert_eq!(folded(&"a\n".repeat(LINES + 1), NOTE), (2 * LINES - 1, false));
        // Any text that can be sent.
        assert_eq!(folded(&"\"".repeat(1_600), usize::MAX), (1_600, true));
    }

    #[test]
    fn whatever_the_letters_are_it_fills_no_more_than_it_may() {
        for letter in ["<", "\"", "&", "\u{202e}", "\u{0}", "漢", "a\n"] {
            let (shown, whole) = fold(letter.repeat(1 << 20), usize::MAX);
            assert!(!whole && weight(shown.expose()) <= WEIGHT, "{letter:?}");
        }
    }
}
