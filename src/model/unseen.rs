//! Characters that nobody sees.

/// Whether a character stands within a word, or around it, without being seen: a soft hyphen, a joiner, a mark of
/// direction (UAX 9), a byte order mark. The telephone numbers and names that people copy are full of them.
///
/// Search looks through the same (`store/migrations/011_unseen.sql`).
pub fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}
