//! How a call went through the tree, told afterwards from what its record holds: the nodes and the keys, in order.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::model::{Digit, Language};
use crate::tree::{Kind, NodeId, Ring, Status, Transfer, Tree};

/// Why a call went on from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// This key was pressed.
    Key(Digit),
    /// No key that offers anything was pressed.
    NoKey,
    /// The clinic was open, closed, or on a holiday.
    Hours(Status),
    /// The node leads nowhere else.
    OnlyWay,
    /// A text could be sent, as far as the way tells.
    Sent,
    /// No text could be sent.
    Refused,
    /// The caller's own number takes no texts: another was asked for.
    Asked,
    /// A number was typed and confirmed.
    Given,
    /// None was.
    NotGiven,
    /// Nobody came to the phone.
    NoPerson,
    /// The record and the tree do not say.
    Unknown,
}

/// One node of a call's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// As recorded: `menu:welcome`.
    pub name: String,
    /// The node; none if the tree has none of that name.
    pub node: Option<NodeId>,
    /// The language that the caller heard it in.
    pub language: Language,
    /// Keys that offered nothing there.
    pub wrong: Vec<char>,
    /// Why it went on; none: it ended there.
    pub why: Option<Why>,
}

/// The steps of a call. `path` and `digits` are those of its record, `at` is when it came.
pub fn retrace(tree: &Tree, path: &[String], digits: &str, at: Timestamp) -> Vec<Step> {
    let find = |name: &String| tree.nodes().find(|(_, node)| node.name == *name).map(|(id, _)| id);
    let mut keys: VecDeque<char> = digits.chars().collect();
    let mut language = tree.language().clone();
    let mut steps = Vec::with_capacity(path.len());
    for (place, name) in path.iter().enumerate() {
        let node = find(name);
        let next = path.get(place + 1).map(find);
        let mut step = Step { name: name.clone(), node, language: language.clone(), wrong: vec![], why: None };
        match (node, next) {
            // Whoever hung up here may have pressed keys that led nowhere.
            (_, None) => step.wrong = keys.drain(..).filter(|key| *key != '•').collect(),
            (Some(id), Some(Some(to))) => {
                let kind = &tree.node(id).kind;
                step.why = Some(why(tree, kind, to, &mut keys, &mut step.wrong, at));
                if let (Kind::Menu(menu), Some(Why::Key(key))) = (kind, &step.why)
                    && let Some(chosen) = menu.keys.get(key).and_then(|choice| choice.language.clone())
                {
                    language = chosen;
                }
            }
            _ => step.why = Some(Why::Unknown),
        }
        steps.push(step);
    }
    steps
}

fn why(tree: &Tree, kind: &Kind, to: NodeId, keys: &mut VecDeque<char>, wrong: &mut Vec<char>, at: Timestamp) -> Why {
    match kind {
        Kind::Menu(menu) => {
            let offered = |key: &char| Digit::from_char(*key).filter(|key| menu.keys.contains_key(key));
            // What comes before the first key that is offered here was either wrong here or is meant for a later node.
            let first = keys.iter().position(|key| offered(key).is_some());
            let chosen = first.and_then(|first| offered(&keys[first]).map(|key| (first, key)));
            match chosen.filter(|(_, key)| menu.keys.get(key).is_some_and(|choice| choice.to == to)) {
                Some((first, key)) => {
                    wrong.extend(keys.drain(..=first).take(first));
                    Why::Key(key)
                }
                None if to == menu.stay => Why::NoKey,
                None => Why::Unknown,
            }
        }
        Kind::Hours(hours) => {
            // The way itself tells, but where two ways are one: there the clock does, as it was when the call came.
            let ways = [
                (Status::Open, hours.when_open),
                (Status::Closed, hours.when_closed),
                (Status::Holiday, hours.when_holiday),
            ];
            let mut fitting = ways.into_iter().filter(|(_, way)| *way == to).map(|(status, _)| status);
            match (fitting.next(), fitting.next()) {
                (Some(status), None) => Why::Hours(status),
                (Some(_), Some(_)) => Why::Hours(hours.hours.status(at, tree.zone())),
                (None, _) => Why::Unknown,
            }
        }
        Kind::Play(play) if play.then == to => Why::OnlyWay,
        Kind::Text(text) if text.ask == Some(to) => Why::Asked,
        Kind::Text(text) if text.then == to && text.when_refused.is_some_and(|refused| refused != to) => Why::Sent,
        Kind::Text(text) if text.then == to => Why::OnlyWay,
        Kind::Text(text) if text.when_refused == Some(to) => Why::Refused,
        Kind::Number(number) => {
            while keys.front() == Some(&'•') {
                keys.pop_front();
            }
            let asked = matches!(&tree.node(to).kind, Kind::Text(_) | Kind::Callback(_));
            match number.then == Some(to) || asked {
                _ if number.when_unanswered == to && number.then != Some(to) => Why::NotGiven,
                true => Why::Given,
                false => Why::Unknown,
            }
        }
        Kind::Queue(queue) => {
            let offer = queue.offer_text.iter().map(|offer| (offer.key, offer.to));
            match pressed(offer.chain(queue.keys.iter().map(|(key, to)| (*key, *to))), to, keys) {
                Some(key) => Why::Key(key),
                None if [queue.when_unanswered, queue.when_full, queue.when_nobody].contains(&to) => Why::NoPerson,
                None if queue.then == to => Why::OnlyWay,
                None => Why::Unknown,
            }
        }
        Kind::Voicemail(voicemail) => match pressed(voicemail.keys.iter().map(|(key, to)| (*key, *to)), to, keys) {
            Some(key) => Why::Key(key),
            None if voicemail.then == to => Why::OnlyWay,
            None => Why::Unknown,
        },
        Kind::Ring(ring) if [ring.when_unanswered, ring.when_busy].contains(&to) => Why::NoPerson,
        Kind::Transfer(transfer) if transfer.when_failed == to => Why::NoPerson,
        Kind::Ring(Ring { then, .. }) | Kind::Transfer(Transfer { then, .. }) if *then == to => Why::OnlyWay,
        Kind::Callback(callback) if callback.ask == Some(to) => Why::Asked,
        Kind::Callback(callback) if callback.then == to => Why::OnlyWay,
        _ => Why::Unknown,
    }
}

/// The key that led to `to`: the next of the record, if that is what it does here. Other keys are not recorded here.
fn pressed(offered: impl Iterator<Item = (Digit, NodeId)>, to: NodeId, keys: &mut VecDeque<char>) -> Option<Digit> {
    let next = keys.front().copied().and_then(Digit::from_char)?;
    let (key, _) = offered.into_iter().find(|(key, leads)| *key == next && *leads == to)?;
    keys.pop_front();
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::{Country, PromptCatalog, PromptInfo, PromptKey};
    use crate::tree::{Context, digit_prompt};

    const TREE: &str = r#"
        start = "hours:clinic"
        [hours.clinic]
        open = [{ days = "mon-fri", from = "08:00", to = "17:00" }]
        when_open = "menu:welcome"
        when_closed = "hangup"
        [menu.welcome]
        say = "words"
        keys = { 1 = "text:general", 3 = "menu:welcome" }
        stay = "hangup"
        wait = "4s"
        repeat = 0
        [text.general]
        message = "greeting"
        then = "hangup:goodbye"
        ask = "number:mobile"
        when_refused = "hangup"
        [number.mobile]
        say = "words"
        confirm = "words"
        when_unanswered = "hangup"
        [hangup.goodbye]
    "#;

    fn tree() -> Arc<Tree> {
        let language = Language::default();
        let named = |name: String| {
            let info = PromptInfo { words: name.clone(), sha256: String::new(), length: Duration::from_secs(1) };
            (PromptKey { language: language.clone(), name }, info)
        };
        let names = ('0'..='9').map(digit_prompt).chain(["words".to_owned()]);
        let context = Context {
            zone: TimeZone::UTC,
            country: "US".parse::<Country>().unwrap(),
            language: language.clone(),
            prompts: &PromptCatalog(names.map(named).collect()),
            messages: &BTreeMap::from([("greeting".to_owned(), [language.clone()].into())]),
            today: date(2026, 11, 2),
        };
        Tree::parse(Path::new("tree.toml"), TREE, &context).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    fn told(path: &[&str], digits: &str) -> Vec<(Option<Why>, String)> {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        let steps = retrace(&tree(), &path, digits, "2026-11-02T16:00:00Z".parse().unwrap());
        steps.into_iter().map(|step| (step.why, step.wrong.into_iter().collect())).collect()
    }

    fn key(key: char) -> Option<Why> {
        Digit::from_char(key).map(Why::Key)
    }

    #[test]
    fn keys_fall_to_the_menus_that_took_them() {
        let way = ["hours:clinic", "menu:welcome", "menu:welcome", "text:general", "hangup:goodbye"];
        assert_eq!(
            told(&way, "9391"),
            [
                (Some(Why::Hours(Status::Open)), String::new()),
                (key('3'), "9".to_owned()),
                (key('1'), "9".to_owned()),
                (Some(Why::Sent), String::new()),
                (None, String::new()),
            ]
        );
    }

    #[test]
    fn silence_and_a_key_that_led_nowhere_are_told_apart() {
        assert_eq!(told(&["menu:welcome", "hangup"], ""), [(Some(Why::NoKey), String::new()), (None, String::new())]);
        assert_eq!(told(&["menu:welcome"], "5"), [(None, "5".to_owned())]);
    }

    #[test]
    fn what_the_tree_does_not_know_is_unknown() {
        let steps = told(&["hours:clinic", "menu:old", "hangup:goodbye"], "1");
        assert_eq!(steps[0].0, Some(Why::Unknown));
        assert_eq!(steps[1].0, Some(Why::Unknown));
        assert_eq!(told(&["menu:welcome", "hangup:goodbye"], "1")[0].0, Some(Why::Unknown));
    }

    #[test]
    fn a_typed_number_leads_back_to_the_text() {
        let way = ["menu:welcome", "text:general", "number:mobile", "text:general", "hangup:goodbye"];
        let whys: Vec<_> = told(&way, "1••••••••••").into_iter().map(|(why, _)| why).collect();
        assert_eq!(whys, [key('1'), Some(Why::Asked), Some(Why::Given), Some(Why::Sent), None]);
    }
}
