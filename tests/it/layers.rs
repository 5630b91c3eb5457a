//! Who may import whom: the house's layers, read from the sources. A line of the table is the whole rule for a module.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the crate's root, and what it may import of the others; `"clock::Now"` allows that one name.
/// None: anything, because wiring everybody together is its subject.
const MAY_IMPORT: &[(&str, Option<&[&str]>)] = &[
    // 1. Plain types, and the time.
    ("model", Some(&[])),
    ("clock", Some(&[])),
    // 2. The admin's files; what has been committed.
    ("tree", Some(&["model"])),
    ("settings", Some(&["model"])),
    ("events", Some(&["model"])),
    // 3. Logic without I/O: it is handed the time and has no clock to ask.
    ("ivr", Some(&["tree", "model", "clock::Now"])),
    ("conversation", Some(&["tree", "model", "clock::Now"])),
    // 4. Signalling, audio, SQLite: none knows the others; what is negotiated travels as `model`.
    ("sip", Some(&["tree", "settings", "events", "model", "clock"])),
    ("media", Some(&["tree", "settings", "events", "model", "clock"])),
    ("store", Some(&["tree", "settings", "events", "model", "clock"])),
    // 5. Texts, numbers, and a call from INVITE to BYE. Of the texts, a call only needs their composing.
    ("sms", Some(&["store", "conversation", "settings", "events", "model", "clock"])),
    ("report", Some(&["store", "conversation", "settings", "events", "model", "clock"])),
    (
        "call",
        Some(&[
            "ivr",
            "conversation",
            "sip",
            "media",
            "store",
            "sms::compose",
            "tree",
            "settings",
            "events",
            "model",
            "clock",
        ]),
    ),
    // 6. Pages and webhooks: never signalling or audio.
    (
        "web",
        Some(&[
            "call::registry",
            "call::front_desk",
            "sms",
            "report",
            "store",
            "conversation",
            "tree",
            "settings",
            "events",
            "model",
            "clock",
        ]),
    ),
    // 7. The wiring.
    ("daemon", None),
    ("cli", None),
    ("main", None),
    ("lib", None),
];

/// Crates that only the named modules may name, so that they can be replaced, or kept out of plain logic.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rsipstack", &["sip"]),
    ("rusqlite", &["store"]),
    ("reqwest", &["sms"]),
    ("axum", &["web", "daemon"]),
    ("tokio", &["events", "sip", "media", "store", "sms", "report", "call", "web", "daemon", "cli", "main"]),
];

/// What asks the machine for the time or sleeps, and the only file where it may.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now", "thread::sleep"];

#[test]
fn imports_go_downward_only() {
    let sources = sources();
    assert!(sources.iter().any(|source| source.module == "model"), "no sources were found");
    report(sources.iter().flat_map(upward).collect());
}

#[test]
fn a_crate_that_may_be_replaced_is_named_in_one_place() {
    report(sources().iter().flat_map(misplaced).collect());
}

#[test]
fn only_the_clock_asks_what_time_it_is() {
    report(sources().iter().flat_map(clocks).collect());
}

fn report(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// A source file without its comments, texts and tests.
struct Source {
    file: PathBuf,
    /// The module of the root that it belongs to.
    module: String,
    /// How many modules deep it lies below the root.
    depth: usize,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut all) = (vec![root.clone()], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|e| e == "rs") && !file.ends_with("tests.rs") {
                all.push(Source::new(file.strip_prefix(&root).unwrap(), &fs::read_to_string(&file).unwrap()));
            }
        }
    }
    all
}

impl Source {
    fn new(file: &Path, text: &str) -> Source {
        let mut parts: Vec<String> =
            file.with_extension("").components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
        if parts.len() > 1 && parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        let code = without_tests(&without_texts(text));
        Source { file: file.to_owned(), module: parts[0].clone(), depth: parts.len(), code }
    }

    /// Every path of the crate that it names, from the root: `store::Store`.
    fn imports(&self) -> Vec<String> {
        let to_root = "super::".repeat(self.depth);
        let starts = ["crate::", to_root.as_str()];
        let mut imports = vec![];
        for start in starts {
            for (at, _) in self.code.match_indices(start) {
                let before = self.code[..at].chars().next_back();
                // Part of a longer name, or a chain of `super` that began earlier.
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                    continue;
                }
                expand("", &self.code[at + start.len()..], &mut imports);
            }
        }
        imports
    }
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`; answers what follows.
fn expand<'a>(prefix: &str, text: &'a str, into: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if rest.is_empty() || rest.starts_with('}') {
                return rest.strip_prefix('}').unwrap_or(rest);
            }
            let after = expand(prefix, rest, into);
            // An alias: `Store as Db`.
            let after = &after[after.find([',', '}']).unwrap_or(after.len())..];
            rest = if after.len() < rest.len() { after } else { "" };
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..end]);
    match text[end..].strip_prefix("::") {
        Some(rest) if rest.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => {
            expand(&format!("{path}::"), rest, into)
        }
        _ => {
            into.push(path);
            &text[end..]
        }
    }
}

fn upward(source: &Source) -> Vec<String> {
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(module, _)| *module == source.module) else {
        let cure = "give it a line in tests/it/layers.rs";
        return vec![format!("src/{}: the module `{}` has no layer; {cure}", source.file.display(), source.module)];
    };
    let Some(allowed) = allowed else { return vec![] };
    let known = |path: &str| MAY_IMPORT.iter().any(|(module, _)| path.split("::").next() == Some(module));
    let within = |path: &str, allowed: &str| path == allowed || path.starts_with(&format!("{allowed}::"));
    let mut complaints: Vec<_> = source
        .imports()
        .into_iter()
        .filter(|path| known(path) && !within(path, &source.module))
        .filter(|path| !allowed.iter().any(|allowed| within(path, allowed)))
        .map(|path| {
            let may = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
            format!("src/{}: `{}` may not import `{path}`; it may import {may}", source.file.display(), source.module)
        })
        .collect();
    complaints.dedup();
    complaints
}

fn misplaced(source: &Source) -> Vec<String> {
    let names = |name: &str| {
        source.code.match_indices(name).any(|(at, _)| {
            let of_name = |c: char| c.is_alphanumeric() || c == '_';
            !source.code[..at].ends_with(of_name) && source.code[at + name.len()..].starts_with("::")
        })
    };
    ONLY_IN
        .iter()
        .filter(|(name, places)| names(name) && !places.contains(&source.module.as_str()))
        .map(|(name, places)| format!("src/{}: names `{name}`, which belongs to {places:?}", source.file.display()))
        .collect()
}

fn clocks(source: &Source) -> Vec<String> {
    if source.file == Path::new("clock.rs") {
        return vec![];
    }
    let cure = "take `now` as an argument, or ask clock.rs";
    let asked = CLOCKS.iter().filter(|name| source.code.contains(*name));
    asked.map(|name| format!("src/{}: `{name}`; {cure}", source.file.display())).collect()
}

/// The code without comments, and with every text and character emptied.
fn without_texts(source: &str) -> String {
    let (mut code, mut rest) = (String::new(), source);
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_text(rest, code.chars().next_back()) {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len())
        } else if c == '"' {
            1 + quoted(&rest[1..])
        } else if c == '\'' {
            character(rest).unwrap_or(0)
        } else {
            0
        };
        if skip == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            rest = &rest[skip..];
        }
    }
    code
}

/// `r"`, `r#"`, `r##"`: how many hashes; `before` is the character before it.
fn raw_text(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| (c.is_alphanumeric() && c != 'b') || c == '_') {
        return None;
    }
    let after = rest.strip_prefix('r')?;
    let hashes = after.chars().take_while(|c| *c == '#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length up to and with the closing quote.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `'x'` or `'\n'`; a lifetime has no closing quote.
fn character(text: &str) -> Option<usize> {
    let inner = &text[1..];
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map(|end| 1 + 2 + end + 1);
    }
    let first = inner.chars().next()?;
    inner[first.len_utf8()..].starts_with('\'').then_some(1 + first.len_utf8() + 1)
}

/// The code without its `#[cfg(test)]` items.
fn without_tests(code: &str) -> String {
    let (mut kept, mut rest) = (String::new(), code);
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = match item.find(['{', ';']) {
            Some(open) if item[open..].starts_with('{') => {
                let mut depth = 0;
                let closing = item[open..].char_indices().find(|(_, c)| {
                    depth += i32::from(*c == '{') - i32::from(*c == '}');
                    depth == 0
                });
                closing.map_or(item.len(), |(at, _)| open + at + 1)
            }
            Some(semicolon) => semicolon + 1,
            None => item.len(),
        };
        rest = &item[end..];
    }
    kept + rest
}

#[test]
fn the_reader_of_imports_sees_what_is_there() {
    let source = |file: &str, text: &str| Source::new(Path::new(file), text);
    let call = source(
        "call/actor.rs",
        r##"
        //! crate::web in a comment
        use crate::{clock::{Clock, Now}, sms::compose as words, store};
        use super::super::sip::Inbound;
        use super::line::Line;
        fn f() -> char { let _ = ("crate::web::x", r#"crate::"web"#, '"', '\''); crate::daemon::start::<'x'>() }
        #[cfg(test)]
        mod tests { use crate::web; fn g() { std::thread::sleep(x) } }
        "##,
    );
    let mut imports = call.imports();
    imports.sort();
    let expected = ["clock::Clock", "clock::Now", "daemon::start", "sip::Inbound", "sms::compose", "store"];
    assert_eq!(imports, expected);
    assert_eq!(upward(&call).len(), 1, "{:?}", upward(&call));
    assert!(upward(&call)[0].contains("`call` may not import `daemon::start`"));
    assert!(clocks(&call).is_empty());

    let ivr = source("ivr/mod.rs", "use crate::clock::{Now, Clock};\nuse tokio::time;\nfn f() { Instant::now() }");
    assert_eq!(upward(&ivr).len(), 1, "{:?}", upward(&ivr));
    assert_eq!(misplaced(&ivr).len(), 1);
    assert_eq!(clocks(&ivr).len(), 1);

    assert_eq!(upward(&source("sip/sdp.rs", "use crate::media::rtp;")).len(), 1);
    assert_eq!(upward(&source("web/live.rs", "use crate::call::actor;")).len(), 1);
    assert!(upward(&source("web/live.rs", "use crate::call::registry::Registry;")).is_empty());
    assert_eq!(upward(&source("attic.rs", "")).len(), 1);
}
