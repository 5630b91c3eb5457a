//! What somebody meant who wrote a name that nobody knows.

/// The known name that somebody who wrote `name` probably meant.
pub fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const LONGEST: usize = 64; // No known name is longer, and the comparison costs the product of both lengths.
    let length = name.chars().count();
    let allowed = (length / 3).clamp(1, 3);
    known
        .filter(|_| length <= LONGEST)
        .map(|known| (distance(name, known), known))
        .filter(|(distance, known)| *distance <= allowed || (name.len() >= 3 && known.starts_with(name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many characters must be added, removed, changed or exchanged with their neighbour to make one of the other
/// (Damerau and Levenshtein, optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let known = ["menu", "play", "hours", "when_open", "when_closed"];
        for (name, meant) in [
            ("mneu", "menu"),
            ("paly", "play"),
            ("menus", "menu"),
            ("hour", "hours"),
            ("when_opened", "when_open"),
            ("when", "when_open"),
        ] {
            assert_eq!(closest(name, known.into_iter()), Some(meant), "{name}");
        }
        assert_eq!(closest("banana", known.into_iter()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
