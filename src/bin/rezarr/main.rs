//! The command line of rezarr: arguments in, one command run, an exit code out. It sees the public interface of the library only.

mod args;
mod check;
mod costs;
mod create;
mod demo;
mod get;
mod info;
mod migrate;
mod output;
mod pack;
mod progress;
mod rechunk;
mod recover;
mod selection;
mod stop;
mod tree;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use rezarr::Error;

use args::{Cli, Command};

/// What a command ends with when nothing failed: 0, or 1 where the answer is no.
type Answer = Result<bool, Error>;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version go to standard output as they are.
        Err(error) if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        Err(error) => {
            output::complain(&usage(&error));
            return ExitCode::from(2);
        }
    };
    let answer = stop::survive_size_limit().and_then(|()| run(&cli.command));
    match answer {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            output::complain(&advised(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn run(command: &Command) -> Answer {
    match command {
        Command::Rechunk(args) => rechunk::run(args),
        Command::Plan(args) => rechunk::plan(args),
        Command::Recover(args) => recover::run(args),
        Command::Info(args) => info::run(args),
        Command::Tree(args) => tree::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Migrate(args) => migrate::run(args),
        Command::Create(args) => create::run(args),
        Command::Get(args) => get::run(args),
        Command::Check(args) => check::run(args),
        Command::Pack(args) => pack::run(args),
        Command::Demo(args) => demo::run(args),
    }
}

/// An error, and the argument that there is against it.
fn advised(error: &Error) -> String {
    match error {
        Error::DiskFull { free_bytes: Some(_), .. } => format!("{error}; nothing was written (--no-space-check begins anyway)"),
        _ => error.to_string(),
    }
}

/// What is wrong with the arguments, without the usage that follows it.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let words: Vec<&str> = first.split_whitespace().collect();
    format!("{}; see --help", words.join(" "))
}

/// The exit code of an error: what a script can do about it.
fn exit_code(error: &Error) -> u8 {
    match error {
        Error::InvalidArgument { .. } | Error::AlreadyExists { .. } => 2,
        Error::NotFound { .. } => 3,
        Error::Corrupt { .. } | Error::ChecksumMismatch { .. } | Error::Metadata { .. } | Error::Unsupported { .. } => 4,
        Error::BudgetTooSmall { .. } => 5,
        Error::Cancelled => 7,
        _ => 6,
    }
}
