//! The messages that people of the clinic put into an answer: what of `messages.toml` is meant for them, and what its
//! variables say in a thread.

use std::collections::BTreeSet;

use super::templates::{Templates, Values, Variable};
use crate::tree::Tree;

/// What the house sends by itself: in answer to keywords, and to `*1` at a phone of the clinic.
const AUTOMATIC: [&str; 4] = ["help", "stop_confirmation", "start_confirmation", "desk_text"];

/// The messages for people: all but those that the phone tree, a keyword or a key of the desk sends. What greets a caller would be out of
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
pub fn values(values: Values, known: &Known) -> Values {
    match known.people.as_slice() {
        [name] => match name.split_whitespace().next() {
            Some(first) => values.with(Variable::FirstName, first.to_owned()),
            None => values,
        },
        _ => values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Language;

    #[test]
    fn nobody_is_called_by_anothers_name() {
        let language = Language::default();
        let first = |people: &[&str]| {
            let known = Known { people: people.iter().map(|name| (*name).to_owned()).collect() };
            values(Values::default(), &known).get(Variable::FirstName, &language)
        };
        assert_eq!(first(&["Rosa Diaz"]).as_deref(), Some("Rosa"));
        assert_eq!(first(&["Rosa Diaz", "Luis Diaz"]), None);
        assert_eq!(first(&[]), None);
    }
}
