//! `threadline check`: everything that is wrong with the three files and the prompts, at once.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::call::record::DESK_TEXT;
use crate::conversation::hours;
use crate::conversation::keywords::Keyword;
use crate::conversation::templates::{Templates, Values, Variable};
use crate::model::toml_file::closest;
use crate::model::{ClinicFile, Language, Phone, Problem, PromptCatalog, Severity};
use crate::settings::{SecretPlaces, Settings};
use crate::tree::{Context, Tree};
use crate::web::{self, TlsError};

/// Checks the configuration, the phone tree, the messages and the prompts.
///
/// Every mistake is shown with its file, line and what to write instead. Warnings are things that work, but probably
/// not as meant. Nothing is changed, and a running daemon is not touched: check first, then reload it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  threadline check --config config/threadline.toml\n\n\
                        Exit code: 0 usable (perhaps with warnings), 1 an error was found.")]
pub struct CheckArgs {
    /// The box's file; it names the others.
    #[arg(long, value_name = "FILE", default_value = "/etc/threadline/threadline.toml")]
    pub config: PathBuf,
    /// One JSON object a problem: file, line, column, severity, message, cure, source_line.
    #[arg(long)]
    pub json: bool,
}

/// The admin's files, as far as they could be read, with everything that was noticed on the way.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// `threadline.toml`
    pub settings: Option<Settings>,
    /// `messages.toml`
    pub templates: Option<Templates>,
    /// `phone-tree.toml`
    pub tree: Option<Arc<Tree>>,
    /// The prompts that could be loaded.
    pub prompts: PromptCatalog,
    /// Errors and warnings, file by file.
    pub problems: Vec<Problem>,
}

impl Checked {
    /// Whether the files can be used.
    pub fn is_usable(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity == Severity::Warning)
    }
}

/// What one of the files would say, in the place of what it says on disk.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Which file.
    pub file: ClinicFile,
    /// Its whole text.
    pub text: &'a str,
}

/// Reads everything that `config` names. A file that cannot be read does not hide the mistakes of the others, except
/// that without `threadline.toml` nobody knows where they are.
pub fn check(
    config: &Path,
    at: Timestamp,
    load_prompts: impl FnOnce(&Settings) -> (PromptCatalog, Vec<Problem>),
) -> Checked {
    check_draft(config, None, at, load_prompts)
}

/// As [`check`], as if one of the files had already been written.
pub fn check_draft(
    config: &Path,
    draft: Option<Draft<'_>>,
    at: Timestamp,
    load_prompts: impl FnOnce(&Settings) -> (PromptCatalog, Vec<Problem>),
) -> Checked {
    let text_of = |file| draft.filter(|draft| draft.file == file).map(|draft| draft.text);
    let mut checked = Checked::default();
    let settings = match text_of(ClinicFile::Box) {
        Some(text) => {
            let absolute = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
            let folder = absolute.parent().map(Path::to_owned).unwrap_or_default();
            Settings::parse(config, text, &SecretPlaces::of_process(&folder))
        }
        None => Settings::load(config),
    };
    match settings {
        Ok(settings) => checked.settings = Some(settings),
        Err(problems) => checked.problems.extend(problems.0),
    }
    let Some(settings) = checked.settings.clone() else { return checked };
    let clinic = &settings.clinic;
    if let Err(TlsError { file, reason }) = web::acceptor(&settings.web) {
        let cure = "write PEM that the daemon's user may read: the chain, and the key that belongs to it";
        checked.problems.push(Problem::of_file(&file, format!("cannot be used for [web]: {reason}"), cure));
    }

    let (prompts, problems) = load_prompts(&settings);
    checked.prompts = prompts;
    checked.problems.extend(problems);
    let templates = match text_of(ClinicFile::Messages) {
        Some(text) => Templates::parse(&clinic.messages, text, &clinic.language),
        None => Templates::load(&clinic.messages, &clinic.language),
    };
    match templates {
        Ok((templates, warnings)) => {
            checked.templates = Some(templates);
            checked.problems.extend(warnings);
        }
        Err(problems) => checked.problems.extend(problems.0),
    }
    // Without messages, the tree would be blamed for each that it names.
    let Some(templates) = &checked.templates else { return checked };
    let context = Context {
        zone: clinic.timezone.clone(),
        country: clinic.country,
        language: clinic.language.clone(),
        prompts: &checked.prompts,
        messages: &templates.names(),
        today: at.to_zoned(clinic.timezone.clone()).date(),
    };
    let tree = match text_of(ClinicFile::Tree) {
        Some(text) => Tree::parse(&clinic.phone_tree, text, &context),
        None => Tree::load(&clinic.phone_tree, &context),
    };
    match tree {
        Ok((tree, warnings)) => {
            checked.problems.extend(warnings);
            checked.problems.extend(unfilled(&settings, templates, &tree));
            checked.problems.extend(unknown_extensions(&settings, &tree));
            checked.problems.extend(no_desk_text(&settings, templates));
            checked.tree = Some(tree);
        }
        Err(problems) => checked.problems.extend(problems.0),
    }
    checked
}

/// Variables that would have no value in a message that is sent. A call's text would then not go out; what answers a
/// keyword would be replaced by words of ours.
fn unfilled(settings: &Settings, templates: &Templates, tree: &Tree) -> Vec<Problem> {
    let by_calls = tree.messages_used().into_iter().map(|message| (message, Severity::Error));
    let by_keywords = Keyword::ALL.map(|keyword| (keyword.template(), Severity::Warning));
    let mut problems = Vec::new();
    let by_desk = [(DESK_TEXT, Severity::Warning)];
    for (message, severity) in by_calls.chain(by_keywords).chain(by_desk) {
        for (variable, languages) in templates.variables(message) {
            let Some((why, cure)) = gap(settings, tree, message, variable, &languages) else { continue };
            let text = format!("message \"{message}\" needs {variable}, {why}");
            problems.push(Problem { severity, ..Problem::of_file(&settings.clinic.messages, text, cure) });
        }
    }
    problems
}

/// Phones that the tree rings and the box does not have. A box without any is one whose phones are not plugged in yet:
/// its callers go where the tree leads when nobody is there.
fn unknown_extensions(settings: &Settings, tree: &Tree) -> Vec<Problem> {
    let known = || settings.extensions.iter().map(|extension| extension.name.as_str());
    if settings.extensions.is_empty() {
        return Vec::new();
    }
    let unknown = tree.phones().into_iter().filter_map(|(phone, nodes)| match phone {
        Phone::Extension(name) if known().all(|other| other != name) => Some((name, nodes)),
        _ => None,
    });
    unknown
        .map(|(name, nodes)| {
            let message = format!("{} rings \"extension:{name}\", which the box does not have", nodes.join(", "));
            let cure = match closest(name, known()) {
                Some(other) => format!("did you mean \"extension:{other}\"?"),
                None => {
                    format!(
                        "write [[extension]] with name = \"{name}\" in {}, or ring another",
                        settings.file.display()
                    )
                }
            };
            let problem = Problem::of_file(&settings.clinic.phone_tree, message, cure);
            Problem { severity: Severity::Warning, ..problem }
        })
        .collect()
}

/// What `*1` on a phone of the clinic would send.
fn no_desk_text(settings: &Settings, templates: &Templates) -> Option<Problem> {
    if settings.extensions.is_empty() || templates.names().contains_key(DESK_TEXT) {
        return None;
    }
    let message = format!("there is no message \"{DESK_TEXT}\": *1 on a phone of the clinic texts nobody");
    let cure = format!("write [{DESK_TEXT}] with what a caller is sent to whom somebody has promised a text");
    let problem = Problem::of_file(&settings.clinic.messages, message, cure);
    Some(Problem { severity: Severity::Warning, ..problem })
}

/// Why `variable` has no value in `message`, and the cure.
fn gap(
    settings: &Settings,
    tree: &Tree,
    message: &str,
    variable: Variable,
    languages: &BTreeSet<&Language>,
) -> Option<(String, String)> {
    const NO_VALUE: &str = "which has no value";
    match variable {
        Variable::Clinic | Variable::Number => None,
        Variable::ResponseTarget if settings.clinic.response_target.is_some() => None,
        Variable::ResponseTarget => {
            let file = settings.file.display();
            Some((NO_VALUE.to_owned(), format!("write response_target = \"15 minutes\" under [clinic] of {file}")))
        }
        Variable::FirstName => Some((
            "and a new caller's name is not known".to_owned(),
            "take {first_name} out of messages that are sent by themselves".to_owned(),
        )),
        Variable::Position | Variable::Waited if !tree.knows_waiting_for(message) => Some((
            "which is known of callers who hung up in a line alone".to_owned(),
            "write it into a message of its own, and name that one in_line = \"…\" under [missed_call]".to_owned(),
        )),
        Variable::Position | Variable::Waited => {
            let unsaid = |language: &&&Language| {
                let values = Values::default().with_waiting(Some(1), Duration::ZERO);
                values.get(variable, language).is_none()
            };
            let language = languages.iter().find(unsaid)?;
            let cure = format!("say it without {variable} in `{language}`");
            Some((format!("which cannot be put into words in `{language}`"), cure))
        }
        Variable::Hours if !tree.knows_hours_for(message) => Some((
            "and it is sent where nobody can say which hours are meant".to_owned(),
            "keep one [hours.…] in the phone tree, lead every call through one first, or write the hours out"
                .to_owned(),
        )),
        Variable::Hours => {
            let unsaid =
                |language: &&&Language| tree.all_hours().any(|(_, hours)| hours::in_words(hours, language).is_none());
            let language = languages.iter().find(unsaid)?;
            let cure = format!("write the hours out in `{language}`, or say in the phone tree when the clinic is open");
            Some((format!("which cannot be put into words in `{language}`"), cure))
        }
    }
}

/// Writes the report. Gives the exit code: 0 usable, 1 not.
pub fn report(checked: &Checked, json: bool, out: &mut dyn Write) -> io::Result<i32> {
    for problem in &checked.problems {
        if json {
            let object = serde_json::json!({
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
                "severity": problem.severity.to_string(),
                "message": problem.message,
                "cure": problem.cure,
                "source_line": problem.source_line,
            });
            writeln!(out, "{object}")?;
        } else {
            writeln!(out, "{problem}")?;
        }
    }
    let count = |severity| checked.problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if !json {
        let verdict = match (errors, &checked.tree) {
            (0, Some(tree)) => {
                // The plain target `hangup` is in every tree and nobody's to count.
                let nodes = tree.nodes().count() - 1;
                format!("usable: {nodes} nodes, {} prompts, {warnings} warnings", checked.prompts.0.len())
            }
            _ => format!("not usable: {errors} errors, {warnings} warnings"),
        };
        writeln!(out, "{verdict}")?;
    }
    Ok(i32::from(!checked.is_usable()))
}

/// `threadline check`. Gives the exit code.
pub fn run(
    args: &CheckArgs,
    at: Timestamp,
    load_prompts: impl FnOnce(&Settings) -> (PromptCatalog, Vec<Problem>),
    out: &mut dyn Write,
) -> io::Result<i32> {
    report(&check(&args.config, at, load_prompts), args.json, out)
}
