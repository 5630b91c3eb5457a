//! What works, but probably not as meant: warnings about a tree that has no mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Context, HANGUP_NODE, Kind, NodeId, Tree};
use crate::model::toml_file::{Reader, Span};
use crate::model::{Language, Strategy};

/// More than so many choices are not remembered.
const MOST_CHOICES: usize = 4;

/// Words that an emergency sentence has, in the languages that clinics record most.
const EMERGENCY: [&str; 9] = ["emergenc", "911", "112", "999", "9-1-1", "nine one one", "urgence", "notfall", "notruf"];

/// Words that an announcement of a recording has, in the same languages.
const RECORDING: [&str; 6] = ["record", "grab", "enregistr", "aufgezeichnet", "aufzeichn", "grava"];

/// Where things stand in the file.
pub(super) struct Places<'a> {
    pub nodes: &'a [Span],
    pub languages: &'a BTreeMap<Language, Span>,
}

pub(super) fn lint(tree: &Tree, context: &Context<'_>, places: &Places<'_>, reader: &Reader<'_>) {
    let lint = Lint { tree, context, places, reader };
    lint.unreachable();
    lint.menus();
    lint.no_way_out();
    lint.silent_rounds();
    lint.hours();
    lint.texts();
    lint.unanswered();
    lint.never_rung();
    lint.other_languages();
    lint.emergency_first();
    lint.recorded_unawares();
    if tree.missed_call.is_none() {
        let cure = "write [missed_call] with message = \"missed_call\"";
        reader.warning(0..0, "a caller who leaves unserved gets no text", cure);
    }
}

struct Lint<'a> {
    tree: &'a Tree,
    context: &'a Context<'a>,
    places: &'a Places<'a>,
    reader: &'a Reader<'a>,
}

impl Lint<'_> {
    fn warn(&self, id: NodeId, message: String, cure: &str) {
        self.reader.warning(self.places.nodes[id.0].clone(), message, cure);
    }

    /// Every node that can be reached from `from` along `edges`, itself among them.
    fn reach(&self, from: NodeId, edges: impl Fn(NodeId) -> Vec<NodeId>) -> BTreeSet<NodeId> {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            if seen.insert(at) {
                next.extend(edges(at));
            }
        }
        seen
    }

    fn targets(&self, id: NodeId) -> Vec<NodeId> {
        self.tree.node(id).kind.targets()
    }

    fn reachable(&self) -> BTreeSet<NodeId> {
        self.reach(self.tree.start, |id| self.targets(id))
    }

    fn unreachable(&self) {
        let reachable = self.reachable();
        // The plain target `hangup` is nobody's to write.
        for (id, node) in self.tree.nodes().skip(1).filter(|(id, _)| !reachable.contains(id)) {
            self.warn(id, format!("no call can come to `{}`", node.name), "lead a target to it, or remove it");
        }
    }

    fn menus(&self) {
        for (id, node) in self.tree.nodes() {
            let Kind::Menu(menu) = &node.kind else { continue };
            if menu.keys.len() > MOST_CHOICES {
                let message = format!("`{}` has {} choices", node.name, menu.keys.len());
                self.warn(id, message, "offer four at most, and the rest in a menu behind one of them");
            }
            let offered = self.reach(id, |id| self.targets(id));
            let serves = |id: &NodeId| {
                let kind = &self.tree.node(*id).kind;
                kind.is_staffed() || matches!(kind, Kind::Text(_))
            };
            if !offered.iter().any(serves) {
                let message = format!("`{}` leads neither to a person nor to a text", node.name);
                self.warn(id, message, "offer one: keys = { 1 = \"text:…\" }");
            }
        }
    }

    fn no_way_out(&self) {
        for id in self.reachable() {
            let ends = |id: &NodeId| matches!(self.tree.node(*id).kind, Kind::Hangup(_));
            if !self.reach(id, |id| self.targets(id)).iter().any(ends) {
                let message = format!("a call that comes to `{}` can never end by itself", self.tree.node(id).name);
                self.warn(id, message, "lead one of the targets after it to \"hangup\"");
            }
        }
    }

    /// Where a caller goes who presses nothing.
    fn silent(&self, id: NodeId) -> Vec<NodeId> {
        match &self.tree.node(id).kind {
            Kind::Menu(menu) => vec![menu.stay],
            Kind::Number(number) => vec![number.when_unanswered],
            Kind::Text(text) => vec![text.then],
            Kind::Queue(queue) => vec![queue.when_unanswered, queue.when_full, queue.when_nobody, queue.then],
            Kind::Voicemail(voicemail) => vec![voicemail.then],
            Kind::Callback(callback) => [callback.then].into_iter().chain(callback.when_refused).collect(),
            Kind::Play(_) | Kind::Hours(_) | Kind::Ring(_) | Kind::Transfer(_) | Kind::Hangup(_) => self.targets(id),
        }
    }

    fn silent_rounds(&self) {
        for id in self.reachable() {
            let comes_back =
                self.silent(id).into_iter().any(|next| self.reach(next, |id| self.silent(id)).contains(&id));
            if comes_back && matches!(self.tree.node(id).kind, Kind::Menu(_) | Kind::Play(_)) {
                let name = &self.tree.node(id).name;
                let message = format!("a caller who presses nothing comes round to `{name}` again and again");
                self.warn(id, message, "lead `stay` or `then` of one node of the round elsewhere");
            }
        }
    }

    fn hours(&self) {
        for (id, node) in self.tree.nodes() {
            if matches!(&node.kind, Kind::Hours(hours) if hours.hours.open.is_empty()) {
                let cure = "write open = [ { days = \"mon-fri\", from = \"08:00\", to = \"17:00\" } ]";
                self.warn(id, format!("`{}` is never open", node.name), cure);
            }
        }
    }

    fn texts(&self) {
        let mut unasked: BTreeSet<NodeId> = BTreeSet::new();
        let silent = |id: NodeId| match &self.tree.node(id).kind {
            Kind::Text(_) => vec![],
            _ => self.silent(id),
        };
        // Whatever key led to a person was pressed for that.
        let starts = self.tree.nodes().filter(|(_, node)| node.kind.is_staffed()).map(|(id, _)| id);
        let starts = starts.chain([self.tree.start]);
        let without_key: BTreeSet<NodeId> = starts.flat_map(|from| self.reach(from, silent)).collect();
        for (id, node) in self.tree.nodes() {
            let Kind::Text(text) = &node.kind else { continue };
            if without_key.contains(&id) {
                unasked.insert(id);
            }
            if text.ask.is_none() {
                let message = format!("`{}` cannot ask an anonymous caller for a mobile number", node.name);
                self.warn(id, message, "write a number node: [number.mobile]");
            }
        }
        for id in unasked {
            let message = format!("`{}` texts a caller who pressed no key", self.tree.node(id).name);
            self.warn(id, message, "offer it by a menu's key: a text needs the caller's consent");
        }
    }

    fn unanswered(&self) {
        for (id, node) in self.tree.nodes() {
            let in_vain = match &node.kind {
                Kind::Ring(ring) => [ring.when_unanswered, ring.when_busy].contains(&HANGUP_NODE),
                Kind::Queue(queue) => {
                    [queue.when_unanswered, queue.when_full, queue.when_nobody].contains(&HANGUP_NODE)
                }
                Kind::Transfer(transfer) => transfer.when_failed == HANGUP_NODE,
                _ => false,
            };
            if in_vain {
                let message = format!("a caller whom nobody answers at `{}` is hung up on without a word", node.name);
                let key = if matches!(node.kind, Kind::Transfer(_)) { "when_failed" } else { "when_unanswered" };
                self.warn(id, message, &format!("write {key} = \"voicemail:…\""));
            }
        }
    }

    /// Phones whose turn comes after the ringing has ended.
    fn never_rung(&self) {
        for (id, node) in self.tree.nodes() {
            let (group, most) = match &node.kind {
                Kind::Ring(ring) => (&ring.group, ring.give_up_after),
                Kind::Queue(queue) => (&queue.group, queue.give_up_after),
                _ => continue,
            };
            let mut turn = Duration::ZERO;
            for member in &group.members {
                let from = if group.strategy == Strategy::InTurn { turn } else { member.delay };
                turn = turn.saturating_add(member.ring_for);
                if from >= most {
                    let message = format!("{} never rings: `{}` gives up before its turn", member.phone, node.name);
                    self.warn(id, message, "let the others ring for a shorter time, or give_up_after be longer");
                }
            }
        }
    }

    fn other_languages(&self) {
        for (language, place) in self.places.languages {
            let unrecorded: Vec<_> = self.tree.prompts_used().into_keys().collect();
            let unrecorded: Vec<_> =
                unrecorded.into_iter().filter(|name| self.context.prompts.find(language, name).is_none()).collect();
            if !unrecorded.is_empty() {
                let message = format!("not recorded in `{language}`: {}", unrecorded.join(", "));
                let cure = format!("record them in prompts/{language}/; until then `{}` is heard", self.tree.language);
                self.reader.warning(place.clone(), message, cure);
            }
            let written =
                |name: &&&str| self.context.messages.get(**name).is_some_and(|languages| !languages.contains(language));
            let used = self.tree.messages_used();
            let unwritten: Vec<_> = used.iter().filter(written).copied().collect();
            if !unwritten.is_empty() {
                let message = format!("not written in `{language}`: message {}", unwritten.join(", "));
                let cure = format!("write them in messages.toml; until then `{}` is sent", self.tree.language);
                self.reader.warning(place.clone(), message, cure);
            }
        }
    }

    fn emergency_first(&self) {
        let first_heard = self.reach(self.tree.start, |id| match &self.tree.node(id).kind {
            Kind::Hours(_) => self.targets(id),
            _ => vec![],
        });
        for id in first_heard {
            let Some(first) = self.tree.node(id).kind.prompts().first().copied() else { continue };
            let Some(info) = self.context.prompts.find(&self.tree.language, first) else { continue };
            let words = info.words.to_lowercase();
            if !EMERGENCY.iter().any(|word| words.contains(word)) {
                let message = format!(
                    "a call that begins at `{}` does not hear first what to do in an emergency",
                    self.tree.node(id).name
                );
                self.warn(id, message, "say it first: say = [\"emergency\", …]");
            }
        }
    }

    /// In every language in which it is heard.
    fn recorded_unawares(&self) {
        let languages = || [&self.tree.language].into_iter().chain(self.places.languages.keys());
        let says_so = |language: &Language, record: &[String]| {
            let mut words = record.iter().filter_map(|name| self.context.prompts.find(language, name)).peekable();
            // Not recorded in that one: it is heard in the clinic's own.
            words.peek().is_none()
                || words.any(|info| RECORDING.iter().any(|word| info.words.to_lowercase().contains(word)))
        };
        for id in self.reachable() {
            let record = match &self.tree.node(id).kind {
                Kind::Ring(ring) => &ring.record,
                Kind::Queue(queue) => &queue.record,
                _ => continue,
            };
            if !languages().all(|language| says_so(language, record)) {
                let message =
                    format!("`{}` records callers, and what it names does not say so", self.tree.node(id).name);
                self.warn(id, message, "write record = true, or name a prompt whose words do");
            }
        }
    }
}
