//! The clinic's files, read together: `threadline.toml` and the prompts, messages and phone tree that it names.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

use crate::call::perform::GOODBYE;
use crate::call::{Book, MUSIC, line};
use crate::clock::Clock;
use crate::media::PromptLibrary;
use crate::model::{Outcome, Problem, Problems, PromptCatalog};
use crate::settings::Settings;
use crate::tree::{Announced, CALL_RECORDED, SYSTEM_TROUBLE, digit_prompt};
use crate::web::words::Ui;

use super::calls::{self, CallsArgs};
use super::check::{self, CheckArgs, Checked};
use super::export::{self, ExportArgs};
use super::prompts::{self, PromptsArgs, Shelf};
use super::simulate::{self, SimulateArgs, World};
use super::trace::{self, TraceArgs};
use super::user::{self, UserArgs};

/// `threadline check`
pub fn check(args: &CheckArgs) -> Result<ExitCode> {
    let code = check::run(args, Clock::system().now().wall, load_catalog, &mut io::stdout().lock())?;
    Ok(if code == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `threadline simulate`
pub fn simulate(args: &SimulateArgs) -> Result<ExitCode> {
    let now = Clock::system().now().wall;
    let Checked { settings: Some(settings), templates: Some(templates), tree: Some(tree), prompts, .. } =
        usable(&args.config, check::check(&args.config, now, load_catalog))?
    else {
        return Err(anyhow!("{} could not be read", args.config.display()));
    };
    let at = simulate::start_time(args, now, &settings.clinic.timezone).map_err(|error| anyhow!(error))?;
    let caller = simulate::parse_from(&args.from, settings.clinic.country).map_err(|error| anyhow!(error))?;
    let values = line::values(&settings);
    // A command speaks English.
    let world = World { tree, templates: &templates, values: &values, prompts: &prompts, ui: Ui::En };
    let (mut script, interactive): (Box<dyn BufRead>, bool) = match &args.script {
        Some(file) => {
            let opened = File::open(file).with_context(|| format!("the script {} cannot be read", file.display()))?;
            (Box::new(BufReader::new(opened)), false)
        }
        None => (Box::new(io::stdin().lock()), io::stdin().is_terminal()),
    };
    let outcome =
        simulate::simulate(&world, caller, at.timestamp(), &mut script, &mut io::stdout().lock(), interactive)?;
    Ok(if outcome == Outcome::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// `threadline export`
pub fn export(args: &ExportArgs) -> Result<ExitCode> {
    let settings = settings(&args.config)?;
    export::run(&settings.store.path, args, &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// `threadline calls`
pub fn calls(args: &CallsArgs) -> Result<ExitCode> {
    let settings = settings(&args.config)?;
    calls::run(args, &settings.store.path, settings.clinic.country)
}

/// `threadline trace`
pub fn trace(args: &TraceArgs) -> Result<ExitCode> {
    let settings = settings(&args.config)?;
    let (zone, keep) = (&settings.clinic.timezone, settings.retention.traces);
    trace::run(args, &settings.store.path, zone, keep, &mut io::stdout().lock())
}

/// `threadline user`
pub fn user(args: &UserArgs) -> Result<ExitCode> {
    let settings = settings(&args.config)?;
    user::run(&settings, &args.command, Clock::system().now().wall, &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// `threadline prompts`
pub fn prompts(args: &PromptsArgs) -> Result<ExitCode> {
    let settings = settings(&args.config)?;
    let checked = check::check(&args.config, Clock::system().now().wall, load_catalog);
    let (library, problems) = PromptLibrary::load(&settings.clinic.prompts);
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let mut used: Vec<(String, Vec<String>)> = checked.tree.as_ref().map_or_else(Vec::new, |tree| {
        let owned =
            |(prompt, nodes): (&str, Vec<&str>)| (prompt.to_owned(), nodes.into_iter().map(str::to_owned).collect());
        tree.prompts_used().into_iter().map(owned).collect()
    });
    used.push((GOODBYE.to_owned(), vec!["(the daemon stops)".to_owned()]));
    used.push((SYSTEM_TROUBLE.to_owned(), vec!["(something of ours fails)".to_owned()]));
    let shelf = Shelf {
        folder: &settings.clinic.prompts,
        language: &settings.clinic.language,
        catalog: &library.catalog(),
        problems: &problems,
        used: &used,
        house: &house_prompts(),
        render: settings.render.as_deref(),
    };
    let fine = prompts::run(&args.command, &shelf, &mut io::stdout().lock())?;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The prompts that the house says by itself where a clinic lets it come to that, and when.
pub fn house_prompts() -> Vec<(String, Vec<String>)> {
    let digits = ('0'..='9').map(digit_prompt).map(|name| (name, "(the number of a parking place)"));
    let announced = Announced::Wait.prompts().into_iter().map(|name| (name.to_owned(), "(a queue that announces)"));
    let recorded = (CALL_RECORDED.to_owned(), "(a queue or a ring that records)");
    let held = (MUSIC.to_owned(), "(somebody is put on hold)");
    digits.chain(announced).chain([recorded, held]).map(|(name, when)| (name, vec![when.to_owned()])).collect()
}

/// `threadline.toml` alone.
fn settings(config: &Path) -> Result<Settings> {
    Settings::load(config).map_err(|problems| {
        eprintln!("{problems}");
        anyhow!("{} cannot be used; mend the above", config.display())
    })
}

/// The files for the daemon, and what is odd but not wrong about them.
#[derive(Debug)]
pub struct Loaded {
    /// The files.
    pub book: Book,
    /// Warnings alone.
    pub warnings: Vec<Problem>,
}

/// Reads and checks everything that `config` names.
///
/// # Errors
/// Everything that is wrong with any of the files.
pub fn load(config: &Path) -> Result<Loaded, Problems> {
    let mut library = None;
    let checked = check::check(config, Clock::system().now().wall, |settings| {
        let (prompts, problems) = load_prompts(settings);
        let catalog = prompts.catalog();
        library = Some((prompts, catalog.clone()));
        (catalog, problems)
    });
    match (checked.is_usable(), checked.settings, checked.templates, checked.tree, library) {
        (true, Some(settings), Some(templates), Some(tree), Some((prompts, catalog))) => {
            let book = Book {
                settings: Arc::new(settings),
                tree,
                templates: Arc::new(templates),
                prompts: Arc::new(prompts),
                catalog: Arc::new(catalog),
            };
            Ok(Loaded { book, warnings: checked.problems })
        }
        _ => Err(Problems(checked.problems)),
    }
}

/// The files if they can be used; else everything that is wrong with them.
fn usable(config: &Path, checked: Checked) -> Result<Checked> {
    if checked.is_usable() {
        return Ok(checked);
    }
    eprintln!("{}", Problems(checked.problems));
    Err(anyhow!("{} cannot be used; mend the above", config.display()))
}

/// What the prompts say, without their audio.
pub fn load_catalog(settings: &Settings) -> (PromptCatalog, Vec<Problem>) {
    let (library, problems) = load_prompts(settings);
    (library.catalog(), problems)
}

/// The prompts of `[clinic] prompts`, and what is wrong with those that could not be loaded.
pub fn load_prompts(settings: &Settings) -> (PromptLibrary, Vec<Problem>) {
    let folder = &settings.clinic.prompts;
    let (library, errors) = PromptLibrary::load(folder);
    (library, errors.iter().map(|error| Problem::of_file(folder, error.to_string(), "")).collect())
}
