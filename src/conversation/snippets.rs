//! The messages that people of the clinic put into an answer: what of `messages.toml` is meant for them, and what its
//! variables say in a thread.

use std::collections::BTreeSet;

use super::templates::{Templates, Values, Variable};
use crate::model::Language;
use crate::tree::{Hours, Kind, Tree};

/// What the house sends by itself, in answer to keywords.
const AUTOMATIC: [&str; 3] = ["help", "stop_confirmation", "start_confirmation"];

/// The messages for people: all but those that the phone tree or a keyword sends. What greets a caller would be out of
/// place in the middle of a conversation.
pub fn for_people(templates: &Templates, tree: &Tree) -> Vec<String> {
    let used: BTreeSet<&str> = tree.messages_used();
    let names = templates.names().into_keys();
    names.filter(|name| !used.contains(name.as_str()) && !AUTOMATIC.contains(&name.as_str())).collect()
}

/// What is known of a thread's patient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The names of the people behind the number.
    pub people: Vec<String>,
}

/// What the variables of a message say in a thread, besides what the clinic's own `values` say. The first name is known
/// when exactly one person is behind the number: nobody is called by another's name.
pub fn values(mut values: Values, known: &Known, tree: &Tree, language: &Language) -> Values {
    if let [name] = known.people.as_slice()
        && let Some(first) = name.split_whitespace().next()
    {
        values.insert(Variable::FirstName, first.to_owned());
    }
    if let Some(hours) = opening_hours(tree) {
        values.insert(Variable::Hours, in_words(hours, language));
    }
    values
}

/// The clinic's opening hours: of the node where calls start, or else the first that asks for them.
fn opening_hours(tree: &Tree) -> Option<&Hours> {
    fn hours(kind: &Kind) -> Option<&Hours> {
        match kind {
            Kind::Hours(node) if !node.hours.open.is_empty() => Some(&node.hours),
            _ => None,
        }
    }
    hours(&tree.node(tree.start()).kind).or_else(|| tree.nodes().find_map(|(_, node)| hours(&node.kind)))
}

/// `Mon-Thu 08:00-12:00, 13:00-17:30; Fri 08:00-15:00`, in plain letters.
pub fn in_words(hours: &Hours, language: &Language) -> String {
    let spanish = language.as_str().split('-').next().is_some_and(|tag| tag.eq_ignore_ascii_case("es"));
    let names = if spanish {
        ["lun", "mar", "mie", "jue", "vie", "sab", "dom"]
    } else {
        ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    };
    let days: Vec<String> = (0..7_i8)
        .map(|offset| {
            let Ok(day) = jiff::civil::Weekday::from_monday_zero_offset(offset) else { return String::new() };
            let mut open: Vec<_> = hours.open.iter().filter(|opening| opening.days.contains(day)).collect();
            open.sort_by_key(|opening| opening.from);
            let spans: Vec<_> = open.iter().map(|opening| format!("{}-{}", opening.from, opening.to)).collect();
            spans.join(", ")
        })
        .collect();
    let mut runs: Vec<String> = Vec::new();
    let mut at = 0;
    while at < days.len() {
        let last = (at..days.len()).take_while(|day| days[*day] == days[at]).last().unwrap_or(at);
        if !days[at].is_empty() {
            let name = if last == at { names[at].to_owned() } else { format!("{}-{}", names[at], names[last]) };
            runs.push(format!("{name} {}", days[at]));
        }
        at = last + 1;
    }
    runs.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Days, Minute, Opening};

    fn opening(days: &str, from: &str, to: &str) -> Opening {
        Opening { days: Days::parse(days).unwrap(), from: Minute::parse(from).unwrap(), to: Minute::parse(to).unwrap() }
    }

    #[test]
    fn hours_are_said_in_runs_of_days() {
        let open = vec![
            opening("mon-thu", "13:00", "17:30"),
            opening("mon-thu", "08:00", "12:00"),
            opening("fri", "8:00", "15:00"),
        ];
        let hours = Hours { open, closed: BTreeSet::new() };
        let en = in_words(&hours, &Language::default());
        assert_eq!(en, "Mon-Thu 08:00-12:00, 13:00-17:30; Fri 08:00-15:00");
        assert_eq!(
            in_words(&hours, &Language::parse("es-MX").unwrap()),
            "lun-jue 08:00-12:00, 13:00-17:30; vie 08:00-15:00"
        );
        let apart = Hours { open: vec![opening("mon,wed,sun", "8:00", "9:00")], closed: BTreeSet::new() };
        assert_eq!(in_words(&apart, &Language::default()), "Mon 08:00-09:00; Wed 08:00-09:00; Sun 08:00-09:00");
    }
}
