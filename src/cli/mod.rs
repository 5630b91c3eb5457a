//! The command line: one file a subcommand. Errors are one line that names the thing and the cure.

pub mod call;
pub mod calls;
pub mod check;
pub mod demo;
pub mod export;
pub mod files;
pub mod fill;
mod logs;
mod on_record;
pub mod phone;
pub mod prompts;
pub mod serve;
pub mod simulate;
mod story;
pub mod trace;
pub mod user;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A clinic's phone line with a text thread behind every call.
#[derive(Debug, Parser)]
#[command(
    name = "threadline",
    version,
    after_help = "Try it, with nothing to set up and nothing left behind:\n  threadline demo\n\n\
        Run it for real:\n  threadline check --config config/threadline.toml\n  \
        threadline serve --config config/threadline.toml"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(serve::ServeArgs),
    Check(check::CheckArgs),
    Simulate(simulate::SimulateArgs),
    Call(call::CallArgs),
    Calls(calls::CallsArgs),
    Trace(trace::TraceArgs),
    Export(export::ExportArgs),
    Prompts(prompts::PromptsArgs),
    User(user::UserArgs),
}

/// Runs the command line; 0 done, 1 what was asked found a problem, 2 wrong usage.
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => files::check(&args),
        Command::Simulate(args) => files::simulate(&args),
        Command::Call(args) => call::run(&args),
        Command::Calls(args) => files::calls(&args),
        Command::Trace(args) => files::trace(&args),
        Command::Export(args) => files::export(&args),
        Command::Prompts(args) => files::prompts(&args),
        Command::User(args) => files::user(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("threadline: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
