//! `threadline prompts`: what the clinic says, where, whether it is all recorded, and recording it anew.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::model::{Language, PromptCatalog};

/// A recording counts as older than its words by more than this alone: a checkout or an unpacked archive writes both
/// within moments, in any order.
const SAME_TIME: Duration = Duration::from_secs(60);

/// The daemon, which runs as a user of its own, must be able to read what an admin has recorded.
const READABLE: u32 = 0o644;

/// `threadline prompts …`
#[derive(Debug, Args)]
pub struct PromptsArgs {
    /// The box's file; it names the others
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/threadline/threadline.toml")]
    pub config: PathBuf,
    /// What to do with them
    #[command(subcommand)]
    pub command: PromptsCommand,
}

/// What can be done with prompts.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum PromptsCommand {
    /// Every prompt with its length and words
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// What is missing, unreadable, older than its words or never said; exits 1 if a caller would miss something
    Check,
    /// Which nodes of the phone tree say a prompt
    Where {
        /// This prompt alone, such as welcome
        name: Option<String>,
    },
    /// Record those that are missing or older than their words, with the command in `[prompts] render`
    Render {
        /// These prompts, whether they need it or not
        names: Vec<String>,
    },
}

/// What there is, as the caller of this module has loaded it.
#[derive(Clone, Debug)]
pub struct Shelf<'a> {
    /// `prompts/`
    pub folder: &'a Path,
    /// The clinic's language.
    pub language: &'a Language,
    /// All that could be loaded.
    pub catalog: &'a PromptCatalog,
    /// What could not, a line each.
    pub problems: &'a [String],
    /// Each prompt that is said, with the nodes that say it; those said outside of the tree too.
    pub used: &'a [(String, Vec<String>)],
    /// Each prompt that the house says where a clinic lets it come to that, and when: none of them is there in vain, and
    /// none has to be there.
    pub house: &'a [(String, Vec<String>)],
    /// `[prompts] render`
    pub render: Option<&'a [String]>,
}

/// Does `command`; false: it found a problem.
pub fn run(command: &PromptsCommand, shelf: &Shelf<'_>, out: &mut impl Write) -> Result<bool> {
    match command {
        PromptsCommand::List { json } => list(shelf.catalog, *json, out).map(|()| true),
        PromptsCommand::Check => check(shelf, out),
        PromptsCommand::Where { name } => where_used(shelf, name.as_deref(), out),
        PromptsCommand::Render { names } => {
            let Some(template) = shelf.render else {
                bail!("no command is known; write [prompts] render = [\"say\", \"{{text}}\", \"{{out}}\"]");
            };
            render(shelf.folder, template, names, out)
        }
    }
}

/// Every prompt, a line each.
pub fn list(catalog: &PromptCatalog, json: bool, out: &mut impl Write) -> Result<()> {
    let widest = catalog.0.keys().map(|key| key.name.chars().count()).max().unwrap_or_default();
    for (key, info) in &catalog.0 {
        let (language, name, seconds) = (key.language.as_str(), &key.name, info.length.as_secs_f64());
        if json {
            let line = serde_json::json!({
                "language": language, "name": name, "seconds": seconds, "sha256": info.sha256, "words": info.words,
            });
            writeln!(out, "{line}")?;
        } else {
            let words = info.words.split_whitespace().collect::<Vec<_>>().join(" ");
            writeln!(out, "{language}  {name:widest$}  {seconds:5.1} s  {words}")?;
        }
    }
    Ok(())
}

/// Everything wrong with the prompts; false if a caller would miss something.
pub fn check(shelf: &Shelf<'_>, out: &mut impl Write) -> Result<bool> {
    let (mut errors, mut warnings) = (0, 0);
    for problem in shelf.problems {
        writeln!(out, "error: {problem}")?;
        errors += 1;
    }
    for (name, nodes) in shelf.used {
        if shelf.catalog.find(shelf.language, name).is_none() {
            let (language, nodes) = (shelf.language.as_str(), nodes.join(", "));
            let cure = format!("record prompts/{language}/{name}.wav");
            writeln!(out, "error: {nodes} says \"{name}\", which is not recorded in `{language}`; {cure}")?;
            errors += 1;
        }
    }
    for work in work(shelf.folder, &[])? {
        // A missing recording is among the problems already.
        if work.why == Why::Older {
            writeln!(out, "warning: {} is older than its words; run threadline prompts render", work.wav.display())?;
            warnings += 1;
        }
    }
    for key in shelf.catalog.0.keys() {
        if !shelf.used.iter().chain(shelf.house).any(|(name, _)| *name == key.name) {
            let language = key.language.as_str();
            writeln!(out, "warning: {language}/{} is never said; lead the phone tree to it, or remove it", key.name)?;
            warnings += 1;
        }
    }
    writeln!(out, "{} prompts, {errors} errors, {warnings} warnings", shelf.catalog.0.len())?;
    Ok(errors == 0)
}

/// Which nodes say a prompt; false when `name` is not a prompt.
pub fn where_used(shelf: &Shelf<'_>, name: Option<&str>, out: &mut impl Write) -> Result<bool> {
    let mut nodes: BTreeMap<&str, &[String]> = shelf.catalog.0.keys().map(|key| (key.name.as_str(), &[][..])).collect();
    for (name, when) in shelf.house {
        nodes.entry(name).and_modify(|nodes| *nodes = when);
    }
    nodes.extend(shelf.used.iter().map(|(name, nodes)| (name.as_str(), nodes.as_slice())));
    if let Some(name) = name {
        let Some(found) = nodes.get(name).copied() else {
            bail!("there is no prompt \"{name}\"; threadline prompts list shows all");
        };
        nodes = BTreeMap::from([(name, found)]);
    }
    let widest = nodes.keys().map(|name| name.chars().count()).max().unwrap_or_default();
    for (name, nodes) in nodes {
        let nodes = if nodes.is_empty() { "never said".to_owned() } else { nodes.join(", ") };
        writeln!(out, "{name:widest$}  {nodes}")?;
    }
    Ok(true)
}

/// Records what is missing or older than its words, or just `names`; false if one could not be recorded. A recording
/// takes the old one's place in one step, when it is whole.
pub fn render(folder: &Path, template: &[String], names: &[String], out: &mut impl Write) -> Result<bool> {
    let work = work(folder, names)?;
    if let Some(unknown) = names.iter().find(|name| !work.iter().any(|work| work.name() == **name)) {
        bail!("there is no prompt \"{unknown}\"; write its words into {}/LANGUAGE/{unknown}.txt", folder.display());
    }
    if work.is_empty() {
        writeln!(out, "every prompt is recorded and newer than its words")?;
    }
    let mut whole = true;
    for (at, task) in work.iter().enumerate() {
        write!(out, "{}/{} {} ({}) … ", at + 1, work.len(), task.wav.display(), task.why)?;
        out.flush()?;
        match record(task, template) {
            Ok(length) => writeln!(out, "{:.1} s", length.as_secs_f64())?,
            Err(error) => {
                whole = false;
                writeln!(out, "failed: {error:#}")?;
            }
        }
    }
    Ok(whole)
}

/// A recording to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Work {
    words: PathBuf,
    wav: PathBuf,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Missing,
    Older,
    Named,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Why::Missing => "not recorded",
            Why::Older => "older than its words",
            Why::Named => "asked for",
        })
    }
}

impl Work {
    fn name(&self) -> std::borrow::Cow<'_, str> {
        self.words.file_stem().unwrap_or_default().to_string_lossy()
    }
}

/// What is to be recorded: of all prompts those that need it, or each of `names`, in every language that has its words.
fn work(folder: &Path, names: &[String]) -> Result<Vec<Work>> {
    let mut all = vec![];
    for language in files(folder)?.into_iter().filter(|path| path.is_dir()) {
        for words in files(&language)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "txt")) {
            let wav = words.with_extension("wav");
            let why = if names.is_empty() { reason(&words, &wav)? } else { Some(Why::Named) };
            let work = why.map(|why| Work { words, wav, why });
            all.extend(work.filter(|work| names.is_empty() || names.iter().any(|name| work.name() == **name)));
        }
    }
    Ok(all)
}

fn reason(words: &Path, wav: &Path) -> Result<Option<Why>> {
    let Some(recorded) = changed(wav)? else { return Ok(Some(Why::Missing)) };
    let written = changed(words)?.unwrap_or(recorded);
    let older = written.duration_since(recorded).is_ok_and(|by| by > SAME_TIME);
    Ok(older.then_some(Why::Older))
}

/// When a file was last written; none: there is no such file.
fn changed(file: &Path) -> Result<Option<SystemTime>> {
    match fs::metadata(file).and_then(|about| about.modified()) {
        Ok(time) => Ok(Some(time)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be looked at", file.display())),
    }
}

/// What is in a folder, sorted, without hidden names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = entries.with_context(|| format!("{} cannot be read", folder.display()))?;
    paths.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    paths.sort();
    Ok(paths)
}

/// Runs the command into a hidden file beside the recording, sees that it is a WAV file, and puts it in its place.
fn record(work: &Work, template: &[String]) -> Result<Duration> {
    let words = fs::read_to_string(&work.words).with_context(|| format!("{} cannot be read", work.words.display()))?;
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        bail!("{} is empty; write what is to be said", work.words.display());
    }
    let folder = work.wav.parent().unwrap_or(Path::new("."));
    let draft = tempfile::Builder::new().prefix(".draft-").suffix(".wav").tempfile_in(folder);
    let draft = draft.with_context(|| format!("nothing can be written in {}", folder.display()))?.into_temp_path();
    let draft_name = draft.to_str().with_context(|| format!("{} is not a plain name", folder.display()))?;

    let command: Vec<String> = template.iter().map(|part| filled_in(part, &words, draft_name)).collect();
    let [program, arguments @ ..] = command.as_slice() else { bail!("[prompts] render is empty") };
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let run = run.with_context(|| format!("{program} cannot be started; see [prompts] render"))?;
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        bail!("{program} ended with {}: {}", run.status, said.trim().lines().next_back().unwrap_or("it said nothing"));
    }
    let wav = hound::WavReader::open(&draft).with_context(|| format!("{program} wrote no WAV file"))?;
    if wav.duration() == 0 {
        bail!("{program} wrote a WAV file without sound");
    }
    let length = Duration::from_secs_f64(f64::from(wav.duration()) / f64::from(wav.spec().sample_rate.max(1)));
    fs::set_permissions(&draft, fs::Permissions::from_mode(READABLE))
        .context("the recording cannot be made readable")?;
    draft.persist(&work.wav).with_context(|| format!("{} cannot be replaced", work.wav.display()))?;
    Ok(length)
}

/// One part of the command, in one pass: words that contain `{out}` stay as they are.
fn filled_in(part: &str, text: &str, out: &str) -> String {
    let mut filled = String::new();
    let mut rest = part;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        let after = &rest[at..];
        (filled, rest) = match (after.strip_prefix("{text}"), after.strip_prefix("{out}")) {
            (Some(after), _) => (filled + text, after),
            (None, Some(after)) => (filled + out, after),
            (None, None) => (filled + "{", &after[1..]),
        };
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PromptInfo, PromptKey};

    /// A folder with `en/NAME.txt` for each name, and a source WAV outside of it that the command copies.
    fn shelf_of(names: &[&str]) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let top = tempfile::tempdir().unwrap();
        let (prompts, wav) = (top.path().join("prompts"), top.path().join("source.wav"));
        fs::create_dir_all(prompts.join("en")).unwrap();
        for name in names {
            fs::write(prompts.join("en").join(format!("{name}.txt")), format!("The words\nof {name}.\n")).unwrap();
        }
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&wav, spec).unwrap();
        (0..8_000).for_each(|i| writer.write_sample((i % 100) as i16).unwrap());
        writer.finalize().unwrap();
        (top, prompts, wav)
    }

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script, "sh", "{text}", "{out}"].map(str::to_owned).to_vec()
    }

    fn rendered(prompts: &Path, command: &[String], names: &[&str]) -> (Result<bool>, String) {
        let mut out = Vec::new();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let result = render(prompts, command, &names, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_missing_is_recorded_once_and_what_was_edited_again() {
        let (_top, prompts, wav) = shelf_of(&["goodbye", "welcome"]);
        let said = prompts.join("said");
        let copy = shell(&format!("echo \"$1\" >>{}; cat {} >\"$2\"", said.display(), wav.display()));
        let (result, shown) = rendered(&prompts, &copy, &[]);
        assert!(result.unwrap(), "{shown}");
        assert_eq!(fs::read_to_string(&said).unwrap(), "The words of goodbye.\nThe words of welcome.\n");
        assert!(shown.starts_with("1/2 ") && shown.contains("2/2 ") && shown.contains("(not recorded) … 0.5 s"));
        let recorded = prompts.join("en/welcome.wav");
        assert_eq!(fs::read(&recorded).unwrap(), fs::read(&wav).unwrap());
        assert_eq!(fs::metadata(&recorded).unwrap().permissions().mode() & 0o777, READABLE);
        assert_eq!(files(&prompts.join("en")).unwrap().len(), 4, "no draft is left behind");

        assert!(rendered(&prompts, &copy, &[]).1.starts_with("every prompt is recorded"));
        let long_ago = fs::metadata(&recorded).unwrap().modified().unwrap() - 2 * SAME_TIME;
        fs::File::options().append(true).open(&recorded).unwrap().set_modified(long_ago).unwrap();
        let (result, shown) = rendered(&prompts, &copy, &[]);
        assert!(result.unwrap() && shown.contains("1/1 ") && shown.contains("(older than its words)"), "{shown}");
        let (result, shown) = rendered(&prompts, &copy, &["goodbye"]);
        assert!(result.unwrap() && shown.contains("goodbye.wav (asked for)"), "{shown}");
    }

    #[test]
    fn a_command_that_fails_leaves_the_old_recording_and_says_why() {
        let (_top, prompts, wav) = shelf_of(&["welcome"]);
        let recorded = prompts.join("en/welcome.wav");
        fs::copy(&wav, &recorded).unwrap();
        let before = fs::read(&recorded).unwrap();
        for (command, why) in [
            (shell("echo half >\"$2\"; echo no voice >&2; exit 3"), "no voice"),
            (shell("echo not audio >\"$2\""), "wrote no WAV file"),
            (shell("rm \"$2\""), "wrote no WAV file"),
            (vec!["/nowhere/say".to_owned(), "{text}".to_owned(), "{out}".to_owned()], "cannot be started"),
        ] {
            let (result, shown) = rendered(&prompts, &command, &["welcome"]);
            assert!(!result.unwrap() && shown.contains(why), "{why} in {shown}");
            assert_eq!(fs::read(&recorded).unwrap(), before);
            assert_eq!(fs::read_dir(prompts.join("en")).unwrap().count(), 2, "no draft is left behind");
        }
        let (result, _) = rendered(&prompts, &shell(""), &["wellcome"]);
        assert!(result.unwrap_err().to_string().contains("no prompt \"wellcome\""));
    }

    #[test]
    fn the_command_is_filled_in_once_and_never_seen_by_a_shell() {
        assert_eq!(filled_in("--say={text}", "press {out}; $(rm)", "/x.wav"), "--say=press {out}; $(rm)");
        assert_eq!(filled_in("{x}{out}{", "t", "/x.wav"), "{x}/x.wav{");
    }

    #[test]
    fn check_names_what_a_caller_would_miss() {
        let (_top, prompts, _) = shelf_of(&[]);
        let info = PromptInfo {
            words: "Hi,\nthere".to_owned(),
            sha256: "ab".to_owned(),
            length: Duration::from_millis(1_500),
        };
        let key = |name: &str| PromptKey { language: Language::default(), name: name.to_owned() };
        let catalog = PromptCatalog(["welcome", "attic", "recorded"].map(|name| (key(name), info.clone())).into());
        let said = |(name, by): (&str, &str)| (name.to_owned(), vec![by.to_owned()]);
        let used = [("welcome", "menu:welcome"), ("gone", "play:x")].map(said);
        let house = [("recorded", "(a queue records)"), ("hold", "(somebody is on hold)")].map(said);
        let language = Language::default();
        let mut shelf = Shelf {
            folder: &prompts,
            language: &language,
            catalog: &catalog,
            problems: &["en/bad.wav: not a WAV file".to_owned()],
            used: &used,
            house: &house,
            render: None,
        };
        let shown = |shelf: &Shelf<'_>, command| {
            let mut out = Vec::new();
            (run(&command, shelf, &mut out), String::from_utf8(out).unwrap())
        };
        let (found, text) = shown(&shelf, PromptsCommand::Check);
        assert!(!found.unwrap());
        for line in [
            "error: en/bad.wav: not a WAV file",
            "error: play:x says \"gone\"",
            "warning: en/attic is never said",
            "3 prompts, 2 errors, 1 warnings",
        ] {
            assert!(text.contains(line), "{line} in:\n{text}");
        }
        assert!(!text.contains("hold") && !text.contains("recorded is never"), "what the house may say: {text}");
        shelf.problems = &[];
        shelf.used = &used[..1];
        assert!(shown(&shelf, PromptsCommand::Check).0.unwrap());
        let (_, text) = shown(&shelf, PromptsCommand::List { json: false });
        let line = |name| format!("en  {name:8}    1.5 s  Hi, there\n");
        assert_eq!(text, ["attic", "recorded", "welcome"].map(line).concat());
        assert_eq!(shown(&shelf, PromptsCommand::List { json: true }).1.lines().count(), 3);
        let (_, text) = shown(&shelf, PromptsCommand::Where { name: None });
        assert_eq!(text, "attic     never said\nrecorded  (a queue records)\nwelcome   menu:welcome\n");
        assert!(shown(&shelf, PromptsCommand::Where { name: Some("none".to_owned()) }).0.is_err());
        let (result, _) = shown(&shelf, PromptsCommand::Render { names: vec![] });
        assert!(result.unwrap_err().to_string().contains("{text}"));
    }
}
