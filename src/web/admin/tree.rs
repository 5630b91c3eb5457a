//! `/admin/tree`: the phone tree as a picture, and the same as a list with every recording to listen to.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::State;
use maud::{Markup, html};

use super::layout::{HEIGHT, Layout, Point, WIDTH, label, lay_out};
use super::prompts::player;
use crate::conversation::hours;
use crate::conversation::permission::Act;
use crate::model::{Digit, PromptCatalog};
use crate::tree::{Kind, Node, NodeId, Tree};
use crate::web::page::{self, Section};
use crate::web::person::Person;
use crate::web::route::{Access, Route};
use crate::web::words::{Ui, admin};
use crate::web::{Files, Web};

/// Characters of a box's small lines.
const SHORT: usize = 26;
/// Characters of its name, which is larger.
const SHORT_NAME: usize = 21;
/// A letter's width on a line, more or less.
const LETTER: i32 = 7;

/// The routes of the picture.
pub fn routes() -> Vec<Route> {
    vec![Route::get("/admin/tree", Access::May(Act::SeeTree), show)]
}

/// `GET /admin/tree`
async fn show(State(web): State<Web>, person: Person) -> Markup {
    let (words, files) = (admin::words(person.ui), (web.files)());
    let (tree, catalog) = (&files.tree, &files.catalog);
    let nodes = reached(tree);
    let body = html! {
        h1 { (words.tree) }
        section aria-labelledby="picture" {
            h2 #picture .hidden { (words.picture) }
            (picture(person.ui, tree, catalog, &nodes))
        }
        h2 #details { (words.details) }
        @for id in &nodes { (details(person.ui, &files, *id)) }
        section.card {
            @match tree.missed_call() {
                Some(missed) => p {
                    (words.missed)
                    @for message in missed.messages() { " " a href={ "/admin/templates#" (message) } { (message) } }
                },
                None => p { (words.no_missed) },
            }
        }
    };
    page::page(&person, Section::Admin, words.tree, body)
}

/// The nodes that a call can come to, the first first, each before those that it leads to.
fn reached(tree: &Tree) -> Vec<NodeId> {
    let mut all = vec![tree.start()];
    let mut at = 0;
    while let Some(id) = all.get(at).copied() {
        for to in tree.node(id).kind.targets() {
            if !all.contains(&to) {
                all.push(to);
            }
        }
        at += 1;
    }
    all
}

/// Why a call goes from a node to another, and where: `key 1`, `open`.
pub fn ways(ui: Ui, kind: &Kind) -> Vec<(String, NodeId)> {
    let words = admin::words(ui);
    let way = |word: &str, to: NodeId| (word.to_owned(), to);
    match kind {
        Kind::Menu(menu) => {
            let keys = menu.keys.iter().map(|(key, choice)| match &choice.language {
                Some(language) => (format!("{key} ({language})"), choice.to),
                None => (key.to_string(), choice.to),
            });
            keys.chain([way(words.stay, menu.stay)]).collect()
        }
        Kind::Play(play) => vec![way(words.then, play.then)],
        Kind::Hours(hours) => {
            let mut all = vec![way(words.open, hours.when_open), way(words.closed, hours.when_closed)];
            if hours.when_holiday != hours.when_closed {
                all.push(way(words.holiday, hours.when_holiday));
            }
            all
        }
        Kind::Text(text) => {
            let refused = text.when_refused.filter(|to| *to != text.then).map(|to| way(words.refused, to));
            let ask = text.ask.map(|to| way(words.ask, to));
            [way(words.then, text.then)].into_iter().chain(refused).chain(ask).collect()
        }
        Kind::Number(number) => {
            let then = number.then.map(|to| way(words.then, to));
            then.into_iter().chain([way(words.unanswered, number.when_unanswered)]).collect()
        }
        Kind::Ring(ring) => {
            let busy = (ring.when_busy != ring.when_unanswered).then(|| way(words.busy, ring.when_busy));
            [way(words.unanswered, ring.when_unanswered)]
                .into_iter()
                .chain(busy)
                .chain([way(words.then, ring.then)])
                .collect()
        }
        Kind::Queue(queue) => {
            let offer = queue.offer_text.iter().map(|offer| (keyed(words, offer.key), offer.to));
            let keys = queue.keys.iter().map(|(key, to)| (keyed(words, *key), *to));
            let others = [(words.full, queue.when_full), (words.nobody, queue.when_nobody)];
            let others =
                others.into_iter().filter(|(_, to)| *to != queue.when_unanswered).map(|(word, to)| way(word, to));
            let unanswered = way(words.unanswered, queue.when_unanswered);
            offer.chain(keys).chain([unanswered]).chain(others).chain([way(words.then, queue.then)]).collect()
        }
        Kind::Voicemail(voicemail) => {
            let keys = voicemail.keys.iter().map(|(key, to)| (keyed(words, *key), *to));
            keys.chain([way(words.then, voicemail.then)]).collect()
        }
        Kind::Callback(callback) => {
            let refused = callback.when_refused.filter(|to| *to != callback.then).map(|to| way(words.refused, to));
            let ask = callback.ask.map(|to| way(words.ask, to));
            [way(words.then, callback.then)].into_iter().chain(refused).chain(ask).collect()
        }
        Kind::Transfer(transfer) => {
            vec![way(words.unanswered, transfer.when_failed), way(words.then, transfer.then)]
        }
        Kind::Hangup(_) => vec![],
    }
}

fn keyed(words: &admin::Words, key: Digit) -> String {
    format!("{} {key}", words.key)
}

/// What a kind of node is called.
pub fn kind_name(ui: Ui, kind: &Kind) -> &'static str {
    let words = admin::words(ui);
    match kind {
        Kind::Menu(_) => words.menu,
        Kind::Play(_) => words.play,
        Kind::Hours(_) => words.hours,
        Kind::Text(_) => words.text,
        Kind::Number(_) => words.number,
        Kind::Ring(_) => words.ring,
        Kind::Queue(_) => words.queue,
        Kind::Voicemail(_) => words.voicemail,
        Kind::Callback(_) => words.callback,
        Kind::Transfer(_) => words.transfer,
        Kind::Hangup(_) => words.hangup,
    }
}

fn class(kind: &Kind) -> &'static str {
    match kind {
        Kind::Menu(_) => "menu",
        Kind::Play(_) => "play",
        Kind::Hours(_) => "hours",
        Kind::Text(_) => "text",
        Kind::Number(_) => "number",
        Kind::Ring(_) | Kind::Queue(_) | Kind::Voicemail(_) | Kind::Callback(_) | Kind::Transfer(_) => "staff",
        Kind::Hangup(_) => "end",
    }
}

/// The part of `menu:welcome` that the clinic chose.
fn own_name(node: &Node) -> &str {
    node.name.split_once(':').map_or(node.name.as_str(), |(_, name)| name)
}

/// Where the list has a node: `node-menu-welcome`.
pub fn anchor(name: &str) -> String {
    format!("node-{}", name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "-"))
}

/// The first words that a node says, or what else is to be known of it at a glance.
fn first_words(tree: &Tree, catalog: &PromptCatalog, node: &Node) -> String {
    let said = node.kind.prompts();
    let info = said.first().and_then(|name| catalog.find(tree.language(), name));
    match (&node.kind, info) {
        (Kind::Hours(at), _) => hours::in_words(&at.hours, tree.language()).unwrap_or_default(),
        (_, Some(info)) => info.words.split_whitespace().collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

fn picture(ui: Ui, tree: &Tree, catalog: &PromptCatalog, nodes: &[NodeId]) -> Markup {
    let place: BTreeMap<NodeId, usize> = nodes.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    // Several ways between the same two nodes are one line with all their words.
    let mut edges: Vec<(usize, usize)> = vec![];
    let mut labels: Vec<Vec<String>> = vec![];
    for (from, id) in nodes.iter().enumerate() {
        for (word, to) in ways(ui, &tree.node(*id).kind) {
            let Some(to) = place.get(&to).copied() else { continue };
            // What happens in any case needs no words.
            let plain = Some(word).filter(|word| *word != admin::words(ui).then);
            match edges.iter().position(|edge| *edge == (from, to)) {
                Some(at) => labels[at].extend(plain),
                None => {
                    edges.push((from, to));
                    labels.push(plain.into_iter().collect());
                }
            }
        }
    }
    let layout = lay_out(nodes.len(), &edges);
    html! {
        div.picture tabindex="0" role="region" aria-labelledby="picture" {
            svg xmlns="http://www.w3.org/2000/svg" width=(layout.width) height=(layout.height) viewBox={ "0 0 " (layout.width) " " (layout.height) } role="group" {
                defs {
                    marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" {
                        path d="M0 0L8 4L0 8z" {}
                    }
                }
                g aria-hidden="true" { (lines(&layout, &labels)) }
                @for (at, id) in nodes.iter().enumerate() { (one_box(ui, tree, catalog, tree.node(*id), &layout, at)) }
            }
        }
    }
}

fn lines(layout: &Layout, labels: &[Vec<String>]) -> Markup {
    let words: Vec<String> = labels.iter().map(|words| words.join(", ")).collect();
    let widths: Vec<i32> = words.iter().map(|words| words.chars().count() as i32 * LETTER).collect();
    let path = |points: &[Point]| {
        points.iter().enumerate().fold(String::new(), |mut path, (at, point)| {
            let _ = write!(path, "{}{} {}", if at == 0 { "M" } else { "L" }, point.x, point.y);
            path
        })
    };
    html! {
        @for line in &layout.lines { path.way d=(path(&line.points)) marker-end="url(#arrow)" {} }
        @for (point, words) in label(layout, &widths).iter().zip(&words) {
            @if !words.is_empty() { text.label x=(point.x) y=(point.y + 4) text-anchor="middle" { (words) } }
        }
    }
}

fn one_box(ui: Ui, tree: &Tree, catalog: &PromptCatalog, node: &Node, layout: &Layout, at: usize) -> Markup {
    let corner = layout.boxes[at];
    let (x, y) = (corner.x + 12, corner.y);
    html! {
        a href={ "#" (anchor(&node.name)) } {
            rect class={ "node " (class(&node.kind)) } x=(corner.x) y=(corner.y) width=(WIDTH) height=(HEIGHT) rx="8" {}
            text.kind x=(x) y=(y + 18) { (kind_name(ui, &node.kind)) }
            text.name x=(x) y=(y + 37) { (shortened(own_name(node), SHORT_NAME)) }
            text.kind x=(x) y=(y + 55) { (shortened(&first_words(tree, catalog, node), SHORT)) }
        }
    }
}

fn details(ui: Ui, files: &Files, id: NodeId) -> Markup {
    let (words, tree, catalog) = (admin::words(ui), &files.tree, &files.catalog);
    let node = tree.node(id);
    let mut said = node.kind.prompts();
    // What a number is read back with, and what says a place in a line, is on the prompts' page.
    said.retain(|name| !["digit_", "position_", "wait_"].iter().any(|numbers| name.starts_with(numbers)));
    html! {
        section.card.step id=(anchor(&node.name)) {
            h3 { (own_name(node)) " " span.badge { (kind_name(ui, &node.kind)) } }
            @if id == tree.start() { p.faint { (words.begins) } }
            @for name in &said {
                @match catalog.find(tree.language(), name) {
                    Some(info) => { p { q { (info.words) } } (player(tree.language(), name, words.play_it)) },
                    None => p.faint { (name) ": " (words.not_recorded) },
                }
            }
            @match &node.kind {
                Kind::Hours(at) => {
                    p { (words.open_hours) ": " (hours::in_words(&at.hours, tree.language()).unwrap_or_default()) }
                },
                Kind::Text(text) => p { (words.sends) ": " a href={ "/admin/templates#" (text.message) } { (text.message) } },
                _ => {},
            }
            @let ways = ways(ui, &node.kind);
            @if !ways.is_empty() {
                ul {
                    @for (word, to) in &ways {
                        @let target = tree.node(*to);
                        li {
                            @if matches!(node.kind, Kind::Menu(_)) && word != words.stay { (words.key) " " kbd { (word) } } @else { (word) }
                            " → " a href={ "#" (anchor(&target.name)) } { (own_name(target)) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_places_and_long_words_short() {
        assert_eq!(anchor("menu:after_hours"), "node-menu-after_hours");
        assert_eq!(shortened("If this is an emergency, hang up", SHORT), "If this is an emergency, h…");
        assert_eq!(shortened("ñandú", 5), "ñandú");
    }
}
