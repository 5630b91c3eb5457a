//! What a changed text changes, line by line.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// Unchanged lines around each change.
const AROUND: usize = 3;
/// So long is looked for what two texts have in common; of texts without end more is said to be changed than need be.
const PATIENCE: Duration = Duration::from_millis(200);

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It stays.
    Same,
    /// It is new.
    Added,
    /// It goes.
    Removed,
}

impl Sign {
    /// As differences are written.
    pub fn as_str(self) -> &'static str {
        match self {
            Sign::Same => " ",
            Sign::Added => "+",
            Sign::Removed => "-",
        }
    }
}

/// Lines that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Where it begins in the old text, counted from 1.
    pub old: usize,
    /// Where it begins in the new text, counted from 1.
    pub new: usize,
    /// Its lines, without their ends.
    pub lines: Vec<(Sign, String)>,
}

/// The changes from `old` to `new`; none: they are the same.
pub fn diff(old: &str, new: &str) -> Vec<Hunk> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let hunks = diff.grouped_ops(AROUND).into_iter().map(|group| {
        let first = group.first();
        let lines = group.iter().flat_map(|op| diff.iter_changes(op)).map(|change| {
            let sign = match change.tag() {
                ChangeTag::Equal => Sign::Same,
                ChangeTag::Insert => Sign::Added,
                ChangeTag::Delete => Sign::Removed,
            };
            (sign, change.value().trim_end_matches(['\r', '\n']).to_owned())
        });
        Hunk {
            old: first.map_or(0, |op| op.old_range().start) + 1,
            new: first.map_or(0, |op| op.new_range().start) + 1,
            lines: lines.collect(),
        }
    });
    hunks.filter(|hunk| !hunk.lines.is_empty()).collect()
}

/// As many lines as there is `room` for by their `size`, and how many are left.
pub fn clip(hunks: Vec<Hunk>, room: usize, size: impl Fn(&str) -> usize) -> (Vec<Hunk>, usize) {
    let (mut kept, mut filled, mut left) = (Vec::new(), 0, 0);
    for mut hunk in hunks {
        let fitting = hunk.lines.iter().take_while(|(_, line)| {
            filled += size(line);
            filled <= room
        });
        let fitting = fitting.count();
        left += hunk.lines.len() - fitting;
        hunk.lines.truncate(fitting);
        kept.extend((fitting > 0).then_some(hunk));
    }
    (kept, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_what_is_around_them() {
        let old = (1..=20).map(|n| format!("line {n}\n")).collect::<String>();
        let new = old.replace("line 10\n", "line ten\n");
        let hunks = diff(&old, &new);
        assert_eq!((hunks.len(), hunks[0].old, hunks[0].lines.len()), (1, 7, 8));
        assert!(hunks[0].lines.contains(&(Sign::Removed, "line 10".to_owned())));
        assert!(hunks[0].lines.contains(&(Sign::Added, "line ten".to_owned())));
        assert_eq!(diff(&old, &old), []);
        let size = |line: &str| line.len();
        assert_eq!(clip(hunks.clone(), 1_000, size), (hunks.clone(), 0));
        let (few, left) = clip([hunks.clone(), hunks.clone()].concat(), 13, size);
        assert_eq!((few.len(), few[0].lines.len(), left), (1, 2, 14));
        assert_eq!(clip(hunks.clone(), 0, size), (vec![], 8));
        assert_eq!(diff("", "a"), [Hunk { old: 1, new: 1, lines: vec![(Sign::Added, "a".to_owned())] }]);
    }
}
