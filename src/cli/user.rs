//! `threadline user`: the clinic's people, from the command line. Works while the daemon runs, and before it first did.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::on_record::actor;
use crate::model::{Language, Roles, StaffName};
use crate::settings::Settings;
use crate::store::staff::{self, Change, Staff};
use crate::store::{self, Beside, StoreError, Tx, sign_in_links};
use crate::web::{people, session};

/// Adds people, and helps who cannot sign in. A link that is printed sets a password, once, within 24 hours.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Run it as the daemon's user, who owns the store. Example:\n  \
    sudo -u threadline threadline user add ana --role front_desk --shown-as \"Ana López\"")]
pub struct UserArgs {
    /// The box's file; it names the store.
    #[arg(long, value_name = "FILE", default_value = "/etc/threadline/threadline.toml", global = true)]
    pub config: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub command: UserCommand,
}

/// What can be done.
#[derive(Clone, Debug, Subcommand)]
pub enum UserCommand {
    /// Adds somebody and prints the link to hand over
    Add {
        /// What they sign in with, and how records name them for ever
        name: StaffName,
        /// front_desk, clinical, manager, admin, auditor; several with commas
        #[arg(long)]
        role: Roles,
        /// As others see them; the sign-in name if absent
        #[arg(long, value_name = "NAME")]
        shown_as: Option<String>,
        /// One of threadline.toml's teams
        #[arg(long)]
        team: Option<String>,
        /// The language of their pages: en or es; the clinic's if absent
        #[arg(long, value_parser = |tag: &str| Language::parse(tag).map_err(|error| error.to_string()))]
        language: Option<Language>,
    },
    /// Prints everybody
    List,
    /// Prints a new link for who has forgotten the password
    Link {
        /// Who
        name: StaffName,
    },
    /// Forbids somebody to sign in and signs them out
    Disable {
        /// Who
        name: StaffName,
    },
    /// Lets somebody in again who was disabled
    Enable {
        /// Who
        name: StaffName,
    },
    /// Removes the codes and passkeys of who has lost the phone
    ResetFactor {
        /// Who
        name: StaffName,
    },
}

/// Does it.
pub fn run(settings: &Settings, command: &UserCommand, now: Timestamp, out: &mut dyn Write) -> Result<()> {
    let mut store = store::open_beside(&settings.store.path).with_context(|| "run this as the daemon's user")?;
    match command.clone() {
        UserCommand::Add { name, role, shown_as, team, language } => {
            if let Some(team) = team.as_ref().filter(|team| !settings.teams.iter().any(|known| known.name == **team)) {
                let known: Vec<&str> = settings.teams.iter().map(|team| team.name.as_str()).collect();
                bail!("there is no team \"{team}\"; threadline.toml has {}", known.join(", "));
            }
            let staff = Staff {
                shown_as: shown_as.unwrap_or_else(|| name.to_string()),
                name,
                roles: role,
                team,
                language: language.unwrap_or_else(|| settings.clinic.language.clone()),
                away_until: None,
                disabled_at: None,
            };
            let Some(link) = store.write(|tx| add(tx, &staff, now))? else {
                let name = staff.name;
                bail!(
                    "there is, or was, somebody called {name}; choose another name, or run: threadline user link {name}"
                );
            };
            writeln!(
                out,
                "{} may sign in as {}. Hand over this link; it sets the password, once, within 24 hours:",
                staff.shown_as, staff.name
            )?;
            writeln!(out, "  {}/welcome/{link}", base(settings))?;
        }
        UserCommand::List => list(&store, out)?,
        UserCommand::Link { name } => {
            known(&store, &name)?;
            let secret = session::fresh();
            store.write(|tx| sign_in_links::make(tx, &session::id_of(&secret), &name, &actor(), now))?;
            writeln!(out, "{}/welcome/{secret}", base(settings))?;
        }
        UserCommand::Disable { name } => change(&mut store, name, true, now)?,
        UserCommand::Enable { name } => change(&mut store, name, false, now)?,
        UserCommand::ResetFactor { name } => {
            known(&store, &name)?;
            store.write(|tx| people::forget_factors(tx, &name, &actor(), now))?;
        }
    }
    Ok(())
}

/// Adds somebody; the secret of the link that sets their password. None: there is, or was, somebody of that name.
pub fn add(tx: &Tx<'_>, staff: &Staff, now: Timestamp) -> Result<Option<String>, StoreError> {
    if staff::find(tx, &staff.name)?.is_some() {
        return Ok(None);
    }
    staff::add(tx, staff, &actor(), now)?;
    let secret = session::fresh();
    sign_in_links::make(tx, &session::id_of(&secret), &staff.name, &actor(), now)?;
    Ok(Some(secret))
}

/// The secret of a link that makes the first person, who will be admin and manager; none if somebody is there.
pub fn first_link(tx: &Tx<'_>, now: Timestamp) -> Result<Option<String>, StoreError> {
    if staff::count(tx)? > 0 {
        return Ok(None);
    }
    let secret = session::fresh();
    sign_in_links::make_first(tx, &session::id_of(&secret), &actor(), now)?;
    Ok(Some(secret))
}

/// What links begin with.
pub fn base(settings: &Settings) -> String {
    let scheme = if settings.web.certificate.is_some() { "https" } else { "http" };
    settings.web.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", settings.web.listen))
}

fn known(store: &Beside, name: &StaffName) -> Result<Staff> {
    let found = store.read(|conn| staff::find(conn, name))?;
    found.ok_or_else(|| anyhow!("there is nobody called {name}; threadline user list shows everybody"))
}

fn change(store: &mut Beside, name: StaffName, disabled: bool, now: Timestamp) -> Result<()> {
    match store.write(|tx| staff::set_disabled(tx, &name, disabled, &actor(), now))? {
        Change::Made => Ok(()),
        Change::Nobody => bail!("there is nobody called {name}; threadline user list shows everybody"),
        Change::LastAdmin => bail!("{name} is the last admin; make somebody else an admin first"),
    }
}

fn list(store: &Beside, out: &mut dyn Write) -> Result<()> {
    let all = store.read(staff::list)?;
    if all.is_empty() {
        writeln!(out, "nobody yet; add the first: threadline user add NAME --role admin,manager")?;
    }
    for staff in all {
        let state = if staff.disabled_at.is_some() { "disabled" } else { "" };
        let line = format!(
            "{:<20} {:<36} {:<14} {}",
            staff.name,
            staff.roles.to_string(),
            staff.team.unwrap_or_default(),
            state
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
