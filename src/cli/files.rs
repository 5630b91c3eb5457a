//! The clinic's files, read together: `threadline.toml` and the prompts, messages and phone tree that it names.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};

use crate::clock::Clock;
use crate::conversation::templates::{Values, Variable};
use crate::media::PromptLibrary;
use crate::model::{Outcome, Problem, Problems, PromptCatalog};
use crate::settings::Settings;

use super::check::{self, CheckArgs, Checked};
use super::export::{self, ExportArgs};
use super::simulate::{self, SimulateArgs, World};

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
    let world = World { tree, templates: &templates, values: &values(&settings), prompts: &prompts };
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
    let settings = Settings::load(&args.config).map_err(|problems| anyhow!("{problems}"))?;
    export::run(&settings.store.path, args, &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// What the variables of a message say for a caller whose name nobody knows.
pub fn values(settings: &Settings) -> Values {
    let mut values = Values::from([
        (Variable::Clinic, settings.clinic.name.clone()),
        (Variable::Number, settings.sms.from.as_str().to_owned()),
    ]);
    values.extend(settings.clinic.response_target.clone().map(|target| (Variable::ResponseTarget, target)));
    values
}

/// The files if they can be used; else everything that is wrong with them.
fn usable(config: &Path, checked: Checked) -> Result<Checked> {
    if checked.is_usable() {
        return Ok(checked);
    }
    eprintln!("{}", Problems(checked.problems));
    Err(anyhow!("{} cannot be used; mend the above", config.display()))
}

fn load_catalog(settings: &Settings) -> (PromptCatalog, Vec<Problem>) {
    let (library, problems) = load_prompts(settings);
    (library.catalog(), problems)
}

fn load_prompts(settings: &Settings) -> (PromptLibrary, Vec<Problem>) {
    let folder = &settings.clinic.prompts;
    let (library, errors) = PromptLibrary::load(folder);
    (library, errors.iter().map(|error| Problem::of_file(folder, error.to_string(), "")).collect())
}
