//! The command line of rezarr: arguments in, one command run, an exit code out. It sees the public interface of the library only.

mod args;
mod create;
mod demo;
mod get;
mod info;
mod output;
mod progress;
mod rechunk;
mod selection;
mod stop;
mod tree;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use rezarr::Error;

use args::{Cli, Command};

/// What a command ends with when nothing failed: 0, or 1 where the answer is no.
type Answer = Result<bool, Error>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let answer = match &cli.command {
        Command::Rechunk(args) => rechunk::run(args),
        Command::Plan(args) => rechunk::plan(args),
        Command::Info(args) => info::run(args),
        Command::Tree(args) => tree::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Create(args) => create::run(args),
        Command::Get(args) => get::run(args),
        Command::Demo(args) => demo::run(args),
    };
    match answer {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("rezarr: {error}");
            ExitCode::from(exit_code(&error))
        }
    }
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
