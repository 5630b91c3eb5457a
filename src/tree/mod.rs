//! The phone tree: what a caller can hear and choose, as the clinic's admin writes it in `phone-tree.toml`.
//!
//! The file goes through `compile` (the names, their targets, every prompt and message known; the fields of each kind
//! are in `file`) and `lint` (works, but probably not as meant). What comes out is a [`Tree`]: nothing in it can
//! dangle, so the engine in `ivr/` needs no error path. `hours` answers whether the clinic is open; `staff` has the
//! kinds for whoever stays on the line.

mod compile;
mod file;
mod hours;
mod lint;
mod staff;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::{Country, Digit, Language, Phone, Problem, Problems, PromptCatalog, PromptKey};

pub use hours::{Days, Hours, Minute, Opening, Status, Stretch};
pub use staff::{
    Announce, Announced, Callback, Due, Group, OfferText, Queue, Ring, Transfer, Voicemail, position_prompt,
    wait_prompt,
};

/// What the tree is checked against: the clinic, its prompts and its messages.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The zone of the opening hours.
    pub zone: TimeZone,
    /// How a mobile number is read that the caller types without `+`.
    pub country: Country,
    /// The clinic's language: every prompt and message must exist in it.
    pub language: Language,
    /// The prompts that could be loaded.
    pub prompts: &'a PromptCatalog,
    /// The messages of `messages.toml` and the languages that each is written in.
    pub messages: &'a BTreeMap<String, BTreeSet<Language>>,
    /// Today in the clinic's zone: a holiday before it is probably last year's.
    pub today: Date,
}

/// A checked phone tree. A call holds it in an `Arc` from answer to end.
#[derive(Clone, Debug)]
pub struct Tree {
    file: PathBuf,
    nodes: Vec<Node>,
    start: NodeId,
    missed_call: Option<MissedCall>,
    zone: TimeZone,
    country: Country,
    language: Language,
    spoken: BTreeMap<PromptKey, Duration>,
}

/// A node's place in its tree. It belongs to the tree that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// The prompt that is said when something of ours fails. A clinic may do without it.
pub const SYSTEM_TROUBLE: &str = "system_trouble";

/// The prompt that tells callers that their conversation is recorded, where `record = true` names no other.
pub const CALL_RECORDED: &str = "call_recorded";

/// The plain target `hangup`, which every tree has.
const HANGUP_NODE: NodeId = NodeId(0);

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// As in the file: `menu:welcome`. The plain target `hangup` is a node of that name.
    pub name: String,
    /// What it does.
    pub kind: Kind,
}

/// What a node does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Offers keys.
    Menu(Menu),
    /// Says something and goes on.
    Play(Play),
    /// Branches by the clinic's opening hours.
    Hours(HoursNode),
    /// Sends a text.
    Text(Text),
    /// Asks for a mobile number.
    Number(Number),
    /// Rings phones.
    Ring(Ring),
    /// Lets the caller wait in a line.
    Queue(Box<Queue>),
    /// Records a message.
    Voicemail(Voicemail),
    /// Books a call back.
    Callback(Callback),
    /// Hands the caller to another phone.
    Transfer(Transfer),
    /// Says goodbye and ends the call.
    Hangup(Hangup),
}

/// `[menu.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// The prompts that offer the keys, in order.
    pub say: Vec<String>,
    /// What each key does.
    pub keys: BTreeMap<Digit, Choice>,
    /// Where a caller goes who presses nothing.
    pub stay: NodeId,
    /// How long to wait for a key after the prompts.
    pub wait: Duration,
    /// How often the prompts are said again before `stay`.
    pub repeat: u32,
    /// Said after a key that offers nothing.
    pub wrong_key: Vec<String>,
    /// After so many wrong keys the caller goes to `stay`.
    pub wrong_keys: u32,
}

/// What a menu's key does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Where it leads.
    pub to: NodeId,
    /// The language that it switches to.
    pub language: Option<Language>,
}

/// `[play.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// The prompts, in order.
    pub say: Vec<String>,
    /// Where it goes on.
    pub then: NodeId,
}

/// `[hours.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursNode {
    /// When the clinic is open.
    pub hours: Hours,
    /// Where to go inside an opening.
    pub when_open: NodeId,
    /// Where to go outside of them.
    pub when_closed: NodeId,
    /// Where to go on a day of `closed`; `when_closed` unless the file says otherwise.
    pub when_holiday: NodeId,
}

/// `[text.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Said while the text is on its way.
    pub say: Vec<String>,
    /// The template's name in `messages.toml`.
    pub message: String,
    /// What the thread is about.
    pub reason: Option<String>,
    /// Where it goes on.
    pub then: NodeId,
    /// Where to go when no text can be sent (opted out, the store is full); `then` unless the file says otherwise.
    pub when_refused: Option<NodeId>,
    /// The `number` node that asks a caller for a mobile number whose own takes no texts.
    pub ask: Option<NodeId>,
}

/// `[number.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Asks for the number.
    pub say: Vec<String>,
    /// Said before the digits are read back: "you typed".
    pub read_back: Vec<String>,
    /// Said after the digits: "if that is right, press 1; to type it again, press 2".
    pub confirm: Vec<String>,
    /// Said when the digits are no number that takes texts.
    pub invalid: Vec<String>,
    /// Fewest digits.
    pub min_digits: usize,
    /// Most digits; the last of them ends the entry without `#`.
    pub max_digits: usize,
    /// How long to wait for the first digit, and for 1 or 2, after the prompts.
    pub wait: Duration,
    /// How long a pause between digits ends the entry.
    pub between_digits: Duration,
    /// How often the caller is asked again before `when_unanswered`.
    pub repeat: u32,
    /// Where it goes on with the confirmed number; back to the text that asked when that is what led here.
    pub then: Option<NodeId>,
    /// Where a caller goes who gives no number.
    pub when_unanswered: NodeId,
}

/// `[hangup.NAME]`, or the plain target `hangup`, which says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hangup {
    /// Said before hanging up.
    pub say: Vec<String>,
}

/// `[missed_call]`: the text for whoever leaves unserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedCall {
    /// The template's name in `messages.toml`; its words stand in wherever a case below has none of its own.
    pub message: String,
    /// For who hung up while waiting in a line.
    pub in_line: Option<String>,
    /// For whom nobody came to the phone.
    pub unanswered: Option<String>,
    /// For whose message was too short to be kept.
    pub voicemail_too_short: Option<String>,
    /// For who asked for a call back and could not have one, or was called back in vain.
    pub callback_failed: Option<String>,
    /// A number gets one of them once in so long.
    pub at_most_every: Duration,
}

impl MissedCall {
    /// Every template that it may send.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        let cases = [&self.in_line, &self.unanswered, &self.voicemail_too_short, &self.callback_failed];
        [self.message.as_str()].into_iter().chain(cases.into_iter().flatten().map(String::as_str))
    }
}

impl Tree {
    /// Reads and checks the file. Gives the tree with its warnings, or everything that is wrong with it.
    pub fn load(file: &Path, context: &Context<'_>) -> Result<(Arc<Tree>, Vec<Problem>), Problems> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let cure = "create the file, or name another in `phone_tree` of threadline.toml";
            Problems(vec![Problem::of_file(file, format!("cannot be read: {error}"), cure)])
        })?;
        Tree::parse(file, &text, context)
    }

    /// As [`Tree::load`], with the text in hand; `file` is only named in problems.
    pub fn parse(file: &Path, text: &str, context: &Context<'_>) -> Result<(Arc<Tree>, Vec<Problem>), Problems> {
        let (tree, warnings) = compile::compile(file, text, context)?;
        Ok((Arc::new(tree), warnings))
    }

    /// The file that it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Where a call begins.
    pub fn start(&self) -> NodeId {
        self.start
    }

    /// The node at `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        // An id is only made by the tree's own compiler, which checks it against the same list.
        &self.nodes[id.0]
    }

    /// All nodes with their ids.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(at, node)| (NodeId(at), node))
    }

    /// The text for whoever leaves unserved, if there is one.
    pub fn missed_call(&self) -> Option<&MissedCall> {
        self.missed_call.as_ref()
    }

    /// The zone of its opening hours.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// How a number is read that a caller types.
    pub fn country(&self) -> Country {
        self.country
    }

    /// The clinic's language.
    pub fn language(&self) -> &Language {
        &self.language
    }

    /// The prompt `name` in `language`, or in the clinic's language where it was not recorded in that one.
    pub fn prompt(&self, language: &Language, name: &str) -> PromptKey {
        let key = PromptKey { language: language.clone(), name: name.to_owned() };
        if self.spoken.contains_key(&key) { key } else { PromptKey { language: self.language.clone(), ..key } }
    }

    /// [`SYSTEM_TROUBLE`] in `language` or the clinic's, where it was recorded.
    pub fn trouble(&self, language: &Language) -> Option<PromptKey> {
        Some(self.prompt(language, SYSTEM_TROUBLE)).filter(|key| self.spoken.contains_key(key))
    }

    /// Whether a call that comes to `from` is texted without another key. A `number` node asks for one.
    pub fn texts_without_a_key(&self, from: NodeId) -> bool {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(id) = next.pop() {
            match &self.node(id).kind {
                Kind::Text(_) => return true,
                Kind::Play(_) | Kind::Hours(_) if seen.insert(id) => next.extend(self.node(id).kind.targets()),
                _ => {}
            }
        }
        false
    }

    /// The opening hours of a call that went through the nodes of `path`: those it came to last; or else the tree's only
    /// ones, or those that every call begins with.
    pub fn hours(&self, path: &[String]) -> Option<&Hours> {
        let named = |name: &String| self.all_hours().find(|(node, _)| node == name);
        let mut all = self.all_hours();
        let only = all.next().filter(|_| all.next().is_none());
        path.iter()
            .rev()
            .find_map(named)
            .or(only)
            .or_else(|| named(&self.node(self.start).name))
            .map(|(_, hours)| hours)
    }

    /// Whether [`Tree::hours`] are known wherever `message` is sent.
    pub fn knows_hours_for(&self, message: &str) -> bool {
        if self.hours(&[]).is_some() {
            return true;
        }
        let (mut without, mut next) = (BTreeSet::new(), vec![self.start]);
        while let Some(id) = next.pop() {
            if !matches!(self.node(id).kind, Kind::Hours(_)) && without.insert(id) {
                next.extend(self.node(id).kind.targets());
            }
        }
        let sends = |id: &NodeId| matches!(&self.node(*id).kind, Kind::Text(text) if text.message == message);
        // A caller may hang up anywhere, and who writes a keyword has not called.
        let missed = self.missed_call.iter().flat_map(MissedCall::messages).any(|missed| missed == message);
        self.messages_used().contains(message) && !missed && !without.iter().any(sends)
    }

    /// Every `hours` node's name with its hours.
    pub fn all_hours(&self) -> impl Iterator<Item = (&str, &Hours)> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Hours(hours) => Some((node.name.as_str(), &hours.hours)),
            _ => None,
        })
    }

    /// The node of this name.
    pub fn named(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// How long a prompt plays; zero for one that the tree does not use.
    pub fn length(&self, prompt: &PromptKey) -> Duration {
        self.spoken.get(prompt).copied().unwrap_or_default()
    }

    /// Every prompt that the tree can say, with the nodes that say it.
    pub fn prompts_used(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut used: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in &self.nodes {
            for prompt in node.kind.prompts() {
                let nodes = used.entry(prompt).or_default();
                if nodes.last() != Some(&node.name.as_str()) {
                    nodes.push(&node.name);
                }
            }
        }
        used
    }

    /// Every message that the tree can send.
    pub fn messages_used(&self) -> BTreeSet<&str> {
        let texts = self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Text(text) => Some(text.message.as_str()),
            _ => None,
        });
        texts.chain(self.missed_call.iter().flat_map(MissedCall::messages)).collect()
    }

    /// Whether a text of `message` knows how the caller waited: only the one for who hung up in a line does.
    pub fn knows_waiting_for(&self, message: &str) -> bool {
        let Some(missed) = &self.missed_call else { return false };
        let others = MissedCall { in_line: None, ..missed.clone() };
        let elsewhere = self.nodes.iter().any(|node| matches!(&node.kind, Kind::Text(text) if text.message == message));
        missed.in_line.as_deref() == Some(message) && !elsewhere && !others.messages().any(|other| other == message)
    }

    /// Every phone that it can ring, with the nodes that do.
    pub fn phones(&self) -> BTreeMap<&Phone, Vec<&str>> {
        let mut all: BTreeMap<&Phone, Vec<&str>> = BTreeMap::new();
        for node in &self.nodes {
            let group = match &node.kind {
                Kind::Ring(ring) => Some(&ring.group),
                Kind::Queue(queue) => Some(&queue.group),
                Kind::Callback(callback) => callback.group.as_ref(),
                _ => None,
            };
            let transfer = if let Kind::Transfer(transfer) = &node.kind { Some(&transfer.to) } else { None };
            for phone in group.into_iter().flat_map(|group| &group.members).map(|member| &member.phone).chain(transfer)
            {
                all.entry(phone).or_default().push(&node.name);
            }
        }
        all
    }
}

/// The prompts that read a number back: `digit_0` … `digit_9`.
pub fn digit_prompt(digit: char) -> String {
    format!("digit_{digit}")
}

impl Kind {
    /// Every prompt that the node can play; a `number` node also reads digits, a `queue` says positions or minutes.
    pub fn prompts(&self) -> Vec<&str> {
        let lists: Vec<&Vec<String>> = match self {
            Kind::Menu(menu) => vec![&menu.say, &menu.wrong_key],
            Kind::Play(play) => vec![&play.say],
            Kind::Hours(_) => vec![],
            Kind::Text(text) => vec![&text.say],
            Kind::Number(number) => vec![&number.say, &number.read_back, &number.confirm, &number.invalid],
            Kind::Ring(ring) => vec![&ring.say, &ring.record, &ring.music],
            Kind::Queue(queue) => {
                let offer = queue.offer_text.as_ref().map(|offer| &offer.say);
                [&queue.record, &queue.say].into_iter().chain(offer).chain([&queue.music]).collect()
            }
            Kind::Voicemail(voicemail) => vec![&voicemail.say, &voicemail.thanks, &voicemail.too_short],
            Kind::Callback(callback) => vec![&callback.say, &callback.booked, &callback.already],
            Kind::Transfer(transfer) => vec![&transfer.say],
            Kind::Hangup(hangup) => vec![&hangup.say],
        };
        let numbers = match self {
            Kind::Number(_) => DIGIT_PROMPTS.to_vec(),
            Kind::Queue(queue) => queue.announce.map(|announce| announce.what.prompts()).unwrap_or_default(),
            _ => vec![],
        };
        lists.into_iter().flatten().map(String::as_str).chain(numbers).collect()
    }

    /// Whether it is there for whoever wants a person of the clinic.
    pub fn is_staffed(&self) -> bool {
        match self {
            Kind::Ring(_) | Kind::Queue(_) | Kind::Voicemail(_) | Kind::Callback(_) | Kind::Transfer(_) => true,
            Kind::Menu(_) | Kind::Play(_) | Kind::Hours(_) | Kind::Text(_) | Kind::Number(_) | Kind::Hangup(_) => false,
        }
    }

    /// Every node that it can lead to.
    pub fn targets(&self) -> Vec<NodeId> {
        match self {
            Kind::Menu(menu) => menu.keys.values().map(|choice| choice.to).chain([menu.stay]).collect(),
            Kind::Play(play) => vec![play.then],
            Kind::Hours(hours) => vec![hours.when_open, hours.when_closed, hours.when_holiday],
            Kind::Text(text) => [text.then].into_iter().chain(text.when_refused).chain(text.ask).collect(),
            Kind::Number(number) => number.then.into_iter().chain([number.when_unanswered]).collect(),
            Kind::Ring(ring) => vec![ring.when_unanswered, ring.when_busy, ring.then],
            Kind::Queue(queue) => {
                let offer = queue.offer_text.iter().map(|offer| offer.to);
                let unserved = [queue.when_unanswered, queue.when_full, queue.when_nobody, queue.then];
                offer.chain(queue.keys.values().copied()).chain(unserved).collect()
            }
            Kind::Voicemail(voicemail) => voicemail.keys.values().copied().chain([voicemail.then]).collect(),
            Kind::Callback(callback) => {
                [callback.then].into_iter().chain(callback.when_refused).chain(callback.ask).collect()
            }
            Kind::Transfer(transfer) => vec![transfer.when_failed, transfer.then],
            Kind::Hangup(_) => vec![],
        }
    }
}

const DIGIT_PROMPTS: [&str; 10] =
    ["digit_0", "digit_1", "digit_2", "digit_3", "digit_4", "digit_5", "digit_6", "digit_7", "digit_8", "digit_9"];
