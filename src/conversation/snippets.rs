//! The messages that people of the clinic put into an answer: what of `messages.toml` is meant for them, and what its
//! variables say in a thread.

use std::collections::BTreeSet;

use super::templates::{Templates, Values, Variable};
use crate::tree::Tree;

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

/// What the variables of a message say in a thread, besides what the clinic's `own` say. The first name is known when
/// exactly one person is behind the number: nobody is called by another's name.
pub fn values(own: impl IntoIterator<Item = (Variable, String)>, known: &Known, tree: &Tree) -> Values {
    let first = match known.people.as_slice() {
        [name] => name.split_whitespace().next().map(|first| (Variable::FirstName, first.to_owned())),
        _ => None,
    };
    own.into_iter().chain(first).collect::<Values>().with_hours(tree.hours(&[]))
}
