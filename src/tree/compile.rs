//! From the file's text to a checked [`Tree`]: names become nodes, and what a node mentions must exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::{Context, HANGUP_NODE, Hangup, Kind, MissedCall, Node, NodeId, SYSTEM_TROUBLE, Tree, file, lint};
use crate::model::toml_file::{Reader, Span, Table, Value, closest};
use crate::model::{Language, Problem, Problems, PromptKey};

/// What a node may be.
const KINDS: [&str; 11] =
    ["menu", "play", "hours", "text", "number", "ring", "queue", "voicemail", "callback", "transfer", "hangup"];

/// How the plain target that only hangs up is written, and its node's name.
const HANGUP: &str = "hangup";

/// Where the plain target stands: it has no table of its own.
const NOWHERE: Span = 0..0;

/// What is known of all nodes before any of them is read, and what reading them finds out.
pub(super) struct Compiler<'a> {
    pub context: &'a Context<'a>,
    ids: BTreeMap<String, NodeId>,
    /// Where each node stands in the file, by its id.
    pub places: Vec<Span>,
    /// Languages that a key switches to, and where the first one does.
    pub languages: std::cell::RefCell<BTreeMap<Language, Span>>,
}

pub(super) fn compile(path: &Path, text: &str, context: &Context<'_>) -> Result<(Tree, Vec<Problem>), Problems> {
    let reader = Reader::new(path, text);
    let document = reader.document()?;
    let root = reader.root(&document);
    let declared = declared(&root);
    let compiler = Compiler::new(context, &declared);

    let start = root.require("start", "say where a call begins, such as start = \"menu:welcome\"");
    let start = start.map(|value| compiler.target(&value));
    let missed_call = root.get("missed_call").and_then(|value| missed_call(&compiler, value.table()?));
    let mut nodes = vec![Node { name: HANGUP.to_owned(), kind: Kind::Hangup(Hangup::default()) }];
    for (kind, entry) in &declared {
        let kind = entry.table().and_then(|table| file::kind(kind, entry.key(), &table, &compiler));
        let name = compiler.name_of(nodes.len());
        // A node that could not be read has reported why, so this stand-in never answers a call.
        nodes.push(Node { name, kind: kind.unwrap_or(Kind::Hangup(Hangup::default())) });
    }
    root.finish();
    fill_in_questions(&mut nodes, &compiler, &reader);
    report_endless_rounds(&nodes, &compiler, &reader);

    let spoken = spoken(&nodes, &compiler);
    let places = compiler.places;
    let languages = compiler.languages.into_inner();
    let tree = Tree {
        file: path.to_owned(),
        nodes,
        start: start.unwrap_or(HANGUP_NODE),
        missed_call,
        zone: context.zone.clone(),
        country: context.country,
        language: context.language.clone(),
        spoken,
    };
    report_texts_without_offer(&tree, &places, &reader);
    if !reader.has_errors() {
        lint::lint(&tree, context, &lint::Places { nodes: &places, languages: &languages }, &reader);
    }
    let warnings = reader.finish()?;
    Ok((tree, warnings))
}

/// Every `[kind.name]`, in the order of the file.
fn declared<'r>(root: &Table<'r>) -> Vec<(&'static str, Value<'r>)> {
    let mut declared = Vec::new();
    for kind in KINDS {
        let Some(names) = root.get(kind).and_then(|value| value.table()) else { continue };
        declared.extend(names.entries().into_iter().map(|entry| (kind, entry)));
    }
    declared.sort_by_key(|(_, entry)| entry.key_span().start);
    declared
}

fn missed_call(compiler: &Compiler<'_>, table: Table<'_>) -> Option<MissedCall> {
    const DAY: Duration = Duration::from_secs(86_400);
    let message = table.require("message", "name a message of messages.toml, such as message = \"missed_call\"");
    let message = message.and_then(|value| compiler.message(&value));
    let at_most_every = table.get("at_most_every").map(|value| value.duration(Duration::from_secs(60)..=30 * DAY));
    let wording = |case: &'static str| table.get(case).and_then(|value| compiler.message(&value));
    let (in_line, unanswered) = (wording("in_line"), wording("unanswered"));
    let (voicemail_too_short, callback_failed) = (wording("voicemail_too_short"), wording("callback_failed"));
    table.finish();
    Some(MissedCall {
        message: message?,
        in_line,
        unanswered,
        voicemail_too_short,
        callback_failed,
        at_most_every: at_most_every.unwrap_or(Some(DAY))?,
    })
}

impl<'a> Compiler<'a> {
    fn new(context: &'a Context<'a>, declared: &[(&'static str, Value<'_>)]) -> Self {
        let mut ids = BTreeMap::from([(HANGUP.to_owned(), HANGUP_NODE)]);
        let mut places = vec![NOWHERE];
        for (kind, entry) in declared {
            ids.insert(format!("{kind}:{}", entry.key()), NodeId(places.len()));
            places.push(entry.key_span());
        }
        Compiler { context, ids, places, languages: Default::default() }
    }

    fn name_of(&self, at: usize) -> String {
        let found = self.ids.iter().find(|(_, id)| id.0 == at);
        found.map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// The node that a target names. One that names none is reported, and a stand-in given.
    pub fn target(&self, value: &Value<'_>) -> NodeId {
        let Some(target) = value.string() else { return HANGUP_NODE };
        if let Some(id) = self.ids.get(target) {
            return *id;
        }
        let kind = target.split(':').next().unwrap_or_default();
        if !KINDS.contains(&kind) {
            let cure = match closest(kind, KINDS.into_iter()) {
                Some(known) => format!("did you mean \"{known}:…\"?"),
                None => "write \"kind:name\", such as \"menu:welcome\", or \"hangup\"".to_owned(),
            };
            value.error(format!("\"{target}\" is no target"), cure);
        } else {
            let cure = match closest(target, self.ids.keys().map(String::as_str)) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("write [{}], or lead to another node", target.replacen(':', ".", 1)),
            };
            value.error(format!("there is no \"{target}\""), cure);
        }
        HANGUP_NODE
    }

    /// One prompt or a list of them; each must be recorded in the clinic's language.
    pub fn prompts(&self, value: &Value<'_>) -> Vec<String> {
        value.one_or_more().iter().filter_map(|value| self.prompt(value)).collect()
    }

    fn prompt(&self, value: &Value<'_>) -> Option<String> {
        let name = value.words()?;
        let language = &self.context.language;
        if self.context.prompts.find(language, name).is_none() {
            let known = self.context.prompts.0.keys().filter(|key| key.language == *language);
            let cure = match closest(name, known.map(|key| key.name.as_str())) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("record prompts/{language}/{name}.wav and write its words in {name}.txt beside it"),
            };
            value.error(format!("there is no prompt \"{name}\" in `{language}`"), cure);
        }
        Some(name.to_owned())
    }

    /// Those of `names` that are not recorded in the clinic's language.
    pub fn unrecorded<N: AsRef<str>>(&self, names: &[N]) -> Vec<String> {
        let unrecorded = |name: &&str| self.context.prompts.find(&self.context.language, name).is_none();
        names.iter().map(AsRef::as_ref).filter(unrecorded).map(str::to_owned).collect()
    }

    /// A message of `messages.toml`.
    pub fn message(&self, value: &Value<'_>) -> Option<String> {
        let name = value.words()?;
        if !self.context.messages.contains_key(name) {
            let cure = match closest(name, self.context.messages.keys().map(String::as_str)) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("write [{name}] in messages.toml"),
            };
            value.error(format!("there is no message \"{name}\""), cure);
        }
        Some(name.to_owned())
    }

    /// A language that the clinic has prompts in.
    pub fn language(&self, value: &Value<'_>) -> Option<Language> {
        let read = |text: &str| Language::parse(text).map_err(|error| error.to_string());
        let language = value.parse_with(read, "write a tag such as \"en\" or \"es\"")?;
        if !self.context.prompts.languages().contains(&language) {
            value
                .error(format!("no prompt is recorded in `{language}`"), format!("record some in prompts/{language}/"));
        }
        self.languages.borrow_mut().entry(language.clone()).or_insert(value.span());
        Some(language)
    }
}

/// A `text` or `callback` that does not say which `number` asks for a number takes the only one there is.
fn fill_in_questions(nodes: &mut [Node], compiler: &Compiler<'_>, reader: &Reader<'_>) {
    let numbers: Vec<_> = (0..nodes.len()).filter(|at| matches!(nodes[*at].kind, Kind::Number(_))).collect();
    for (at, node) in nodes.iter_mut().enumerate() {
        let ask = match &mut node.kind {
            Kind::Text(text) => &mut text.ask,
            Kind::Callback(callback) => &mut callback.ask,
            _ => continue,
        };
        if ask.is_none() && numbers.len() > 1 {
            let message =
                format!("`{}` does not say which number node asks a caller who has no mobile number", node.name);
            reader.error(compiler.places[at].clone(), message, "write ask = \"number:…\"");
        }
        *ask = ask.or(numbers.first().map(|at| NodeId(*at)));
    }
    let is_number = |id: &NodeId| numbers.contains(&id.0);
    let asking: BTreeSet<NodeId> = nodes
        .iter()
        .filter(|node| !matches!(node.kind, Kind::Text(_) | Kind::Callback(_)))
        .flat_map(|node| node.kind.targets())
        .filter(is_number)
        .collect();
    for id in asking {
        if matches!(&nodes[id.0].kind, Kind::Number(number) if number.then.is_none()) {
            let message = format!(
                "`{}` is led to by a node that is no text and no callback, and does not say where it goes on",
                nodes[id.0].name
            );
            reader.error(compiler.places[id.0].clone(), message, "write then = \"text:…\"");
        }
    }
}

/// A round of nodes that take no time would never let the caller hear anything.
fn report_endless_rounds(nodes: &[Node], compiler: &Compiler<'_>, reader: &Reader<'_>) {
    // Where a call may be sent on at once.
    let at_once = |id: NodeId| match &nodes[id.0].kind {
        kind @ Kind::Hours(_) => kind.targets(),
        kind @ Kind::Text(text) if text.say.is_empty() => kind.targets(),
        Kind::Ring(ring) if ring.say.is_empty() && ring.record.is_empty() => vec![ring.when_busy, ring.when_unanswered],
        Kind::Queue(queue) => vec![queue.when_full, queue.when_nobody],
        kind @ Kind::Callback(callback) if callback.say.is_empty() => kind.targets(),
        Kind::Transfer(transfer) if transfer.say.is_empty() => vec![transfer.when_failed],
        _ => vec![],
    };
    for id in (0..nodes.len()).map(NodeId) {
        let mut seen = BTreeSet::new();
        let mut next = at_once(id);
        while let Some(at) = next.pop() {
            if seen.insert(at) {
                next.extend(at_once(at));
            }
        }
        if seen.contains(&id) {
            let message = format!("`{}` leads back to itself without saying anything", nodes[id.0].name);
            reader.error(compiler.places[id.0].clone(), message, "lead one of the round's targets to a menu or a play");
        }
    }
}

/// A text needs the caller's consent to what was offered: a key of a line that leads to one would have no offer.
fn report_texts_without_offer(tree: &Tree, places: &[Span], reader: &Reader<'_>) {
    for (id, node) in tree.nodes() {
        let Kind::Queue(queue) = &node.kind else { continue };
        for (key, _) in queue.keys.iter().filter(|(_, to)| tree.texts_without_a_key(**to)) {
            let message = format!("key {key} of `{}` texts the caller without an offer that was heard", node.name);
            let cure = "write offer_text = { say = \"…\", key = 1, to = \"text:…\" } instead";
            reader.error(places[id.0].clone(), message, cure);
        }
    }
}

/// Every recorded prompt that a call can hear, in the clinic's language and those that a key switches to, with its
/// length.
fn spoken(nodes: &[Node], compiler: &Compiler<'_>) -> BTreeMap<PromptKey, Duration> {
    let languages = compiler.languages.borrow();
    let languages: BTreeSet<&Language> = languages.keys().chain([&compiler.context.language]).collect();
    let mut spoken = BTreeMap::new();
    for name in nodes.iter().flat_map(|node| node.kind.prompts()).chain([SYSTEM_TROUBLE]) {
        for language in &languages {
            if let Some(info) = compiler.context.prompts.find(language, name) {
                let key = PromptKey { language: (*language).clone(), name: name.to_owned() };
                spoken.insert(key, info.length);
            }
        }
    }
    spoken
}
