//! What the page answers to what somebody sent: mistakes, differences, a tried call, why nothing was published. However
//! much there is to say, an answer fills so much of a page and no more.

use std::borrow::Cow;
use std::path::Path;

use maud::{Markup, html};

use crate::model::{Problem, Severity};
use crate::store::timeline::weight;
use crate::web::admin::diff::{Sign, clip, diff};
use crate::web::admin::let_write;
use crate::web::admin::workshop::{PublishError, TrialError};
use crate::web::words::admin_files::Words;

/// Bytes that an answer may fill.
const LARGEST: usize = 20_000;
/// What stands around a finding, and around a line of a difference.
const AROUND_FINDING: usize = 300;
const AROUND_LINE: usize = 16;
/// Characters that are shown of a line, and of a sentence about it.
const LONGEST_LINE: usize = 200;
const LONGEST_SENTENCE: usize = 500;

/// Who says it.
pub struct Said<'a> {
    pub words: &'static Words,
    /// The file that is spoken of.
    pub path: &'a Path,
    /// The text is on the page, and a line of it can be gone to.
    pub lines_are_links: bool,
}

impl Said<'_> {
    /// What the checker says, each beside its line.
    pub fn findings(&self, found: &[Problem]) -> Markup {
        let words = self.words;
        let mut room = LARGEST;
        let mut group = |severity: Severity, class: &str, title: &str| {
            let of: Vec<&Problem> = found.iter().filter(|problem| problem.severity == severity).collect();
            let shown = of.iter().take_while(|problem| takes(&mut room, size(problem))).count();
            html! {
                @if !of.is_empty() {
                    section.notice.{ (class) } role="alert" {
                        p { strong { (title) } @if let Some(english) = words.checker_english { " " span.small { (english) } } }
                        ul.findings {
                            @for problem in &of[..shown] { (self.finding(problem)) }
                            @if shown < of.len() { li { ((words.more)(of.len() - shown)) } }
                        }
                    }
                }
            }
        };
        let (mistakes, warnings) =
            (group(Severity::Error, "bad", words.mistakes), group(Severity::Warning, "warn", words.warnings));
        html! {
            @if found.is_empty() { p.notice.good role="status" { (words.fine) } }
            (mistakes)
            (warnings)
        }
    }

    fn finding(&self, problem: &Problem) -> Markup {
        let words = self.words;
        let here = problem.file == self.path || problem.file.file_name() == self.path.file_name();
        html! {
            li {
                @if !here { (words.other_file) " " code { (problem.file.display()) } " " }
                @if problem.line > 0 {
                    @if here && self.lines_are_links { a href="#text" data-to-line=(problem.line) { (words.line) " " (problem.line) } }
                    @else { (words.line) " " (problem.line) }
                    ": "
                }
                span lang="en" { (beginning(&problem.message, LONGEST_SENTENCE)) }
                @if problem.line > 0 { pre { (beginning(problem.source_line.trim_end(), LONGEST_LINE)) } }
                @if !problem.cure.is_empty() {
                    p { strong { (words.cure) } " " span lang="en" { (beginning(&problem.cure, LONGEST_SENTENCE)) } }
                }
            }
        }
    }

    /// What would change.
    pub fn differences(&self, old: &str, new: &str) -> Markup {
        differences(self.words, old, new)
    }

    /// What a tried call came to.
    pub fn tried(&self, told: Result<String, TrialError>) -> Markup {
        let words = self.words;
        let no = |why: &str| html! { p.notice.bad role="alert" { (why) } };
        match told {
            Ok(told) => {
                let mut room = LARGEST;
                let shown: Vec<_> = told
                    .lines()
                    .map(|line| beginning(line, LONGEST_SENTENCE))
                    .take_while(|line| takes(&mut room, weight(line) + 1))
                    .collect();
                let left = told.lines().count() - shown.len();
                html! {
                    section.card {
                        h2 { (words.trial) }
                        pre.wrap role="status" { @for line in &shown { (line) "\n" } @if left > 0 { ((words.more)(left)) } }
                    }
                }
            }
            Err(TrialError::Mistakes(found)) => self.findings(&found),
            Err(TrialError::Time) => no(words.bad_time),
            Err(TrialError::Caller) => no(words.bad_caller),
            Err(TrialError::TooLong) => no(words.too_long_trial),
        }
    }

    /// Why nothing was published.
    pub fn not_published(&self, error: PublishError) -> Markup {
        let with = |why: &str, found: &[Problem]| {
            html! { p.notice.bad role="alert" { (why) } (self.findings(found)) }
        };
        match error {
            PublishError::Changed => html! { p.notice.warn role="alert" { (self.words.changed) } },
            PublishError::Mistakes(found) => with(self.words.not_published, &found),
            PublishError::NotTaken(found) => with(self.words.not_taken, &found),
            PublishError::Unwritable(why) => self.unwritable(&why),
        }
    }

    fn unwritable(&self, why: &str) -> Markup {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        html! {
            div.notice.bad role="alert" {
                p { (self.words.unwritable) " " code { (self.path.display()) } ": " (why) }
                p { (self.words.unwritable_cure) }
                (let_write(folder, "", &format!("{0} {0}/*.toml", folder.display())))
            }
        }
    }
}

/// What changes from one text to another.
pub fn differences(words: &Words, old: &str, new: &str) -> Markup {
    let (hunks, left) = clip(diff(old, new), LARGEST, |line| weight(&beginning(line, LONGEST_LINE)) + AROUND_LINE);
    html! {
        section.card role="region" aria-label=(words.difference) {
            h2 { (words.difference) }
            @if hunks.is_empty() { p { (words.no_difference) } }
            @for hunk in &hunks {
                pre.diff {
                    span.faint { "@@ -" (hunk.old) " +" (hunk.new) "\n" }
                    @for (sign, line) in &hunk.lines {
                        @let line = beginning(line, LONGEST_LINE);
                        @match sign {
                            Sign::Same => { (sign.as_str()) (line) "\n" },
                            Sign::Added => { ins { (sign.as_str()) (line) } "\n" },
                            Sign::Removed => { del { (sign.as_str()) (line) } "\n" },
                        }
                    }
                }
            }
            @if left > 0 { p { ((words.more)(left)) } }
        }
    }
}

/// The beginning of a text, if it is a very long one.
pub fn beginning(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{} …", &text[..end]).into(),
        None => text.into(),
    }
}

fn size(problem: &Problem) -> usize {
    let sentences =
        [&problem.message, &problem.cure].into_iter().map(|said| weight(&beginning(said, LONGEST_SENTENCE)));
    AROUND_FINDING + sentences.sum::<usize>() + weight(&beginning(&problem.source_line, LONGEST_LINE))
}

/// Takes so many bytes of the room that is left; once there is too little, nothing more is taken.
fn takes(room: &mut usize, bytes: usize) -> bool {
    let left = room.checked_sub(bytes);
    *room = left.unwrap_or(0);
    left.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::{Ui, admin_files};

    fn said() -> Said<'static> {
        Said { words: admin_files::words(Ui::En), path: Path::new("/etc/tree.toml"), lines_are_links: true }
    }

    #[test]
    fn no_answer_fills_a_page_whatever_it_says() {
        let said = said();
        for letters in ["\"", "<", "x", "é\u{202e}"] {
            let long = letters.repeat(100_000);
            let found: Vec<Problem> = (0..1_000)
                .map(|_| Problem { source_line: long.clone(), line: 3, ..Problem::of_file(said.path, &long, &long) })
                .collect();
            let lines = format!("{}\n", letters.repeat(50)).repeat(5_000);
            for shown in [
                said.findings(&found),
                said.differences("", &lines),
                said.differences(&long, &lines),
                said.tried(Ok(lines.clone())),
                said.tried(Ok(long.clone())),
                said.not_published(PublishError::NotTaken(found.clone())),
            ] {
                let shown = shown.into_string();
                assert!(shown.len() < LARGEST + 1_500, "{letters:?}: {}: {}", shown.len(), &shown[..200]);
                assert!(shown.contains("more") || shown.contains('…'), "{letters:?}: {}", &shown[..200]);
            }
        }
    }

    #[test]
    fn what_there_is_room_for_is_said_whole() {
        let found = [Problem::of_file(Path::new("/etc/tree.toml"), "no start", "write one")];
        let shown = said().findings(&found).into_string();
        assert!(shown.contains("no start") && shown.contains("write one") && !shown.contains("more"), "{shown}");
        let shown = said().tried(Ok("00:00.0 hears\noutcome texted\n".to_owned())).into_string();
        assert!(shown.contains("00:00.0 hears\noutcome texted\n</pre>"), "{shown}");
    }
}
