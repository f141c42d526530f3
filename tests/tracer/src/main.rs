//! Runs a program and counts its system calls that change files, over all its threads; kills it before or behind the N-th, tears it in
//! half, shortens it, or lets it fail. What came of it is written as JSON.
//!
//! `rezarr-tracer --report FILE [--at N --do before|after|tear|short|pass|ERRNO] [--onwards] [--skip-syncs] [--no-exchange] [--hook PROGRAM]
//! [--list] [--limit SECONDS] -- PROGRAM [ARGUMENT]...`
//!
//! It ends with 0 whatever became of the program, and with 125 when it could not do what it was asked for.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("the tracer knows the system calls and registers of Linux on x86_64, and no others");

mod calls;
mod filter;
mod session;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;
use serde_json::{Value, json};

use session::{Action, Listed, Outcome, Wanted};

struct Arguments {
    report: PathBuf,
    wanted: Wanted,
    limit: Duration,
    program: OsString,
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    let done = arguments(std::env::args_os().skip(1)).and_then(|arguments| {
        let limit = arguments.limit;
        // Nothing that is traced outlives this process.
        std::thread::spawn(move || {
            std::thread::sleep(limit);
            eprintln!("tracer: it took more than {limit:?}");
            std::process::exit(125);
        });
        let outcome = session::run(&arguments.wanted, &arguments.program, &arguments.arguments)?;
        std::fs::write(&arguments.report, report(&outcome).to_string()).map_err(|error| format!("{}: {error}", arguments.report.display()))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("tracer: {what}");
            ExitCode::from(125)
        }
    }
}

fn arguments(mut words: impl Iterator<Item = OsString>) -> Result<Arguments, String> {
    let (mut wanted, mut report, mut at, mut action, mut limit) = (Wanted::default(), None, None, None, 60);
    loop {
        let word = words.next().ok_or("no program is given behind --")?;
        let mut value = || words.next().ok_or(format!("{} needs a value", word.display()));
        match word.to_str() {
            Some("--") => break,
            Some("--report") => report = Some(PathBuf::from(value()?)),
            Some("--at") => at = Some(number(&value()?)?),
            Some("--do") => action = Some(parse_action(&value()?)?),
            Some("--onwards") => wanted.onwards = true,
            Some("--skip-syncs") => wanted.skip_syncs = true,
            Some("--no-exchange") => wanted.no_exchange = true,
            Some("--hook") => wanted.hook = Some(value()?),
            Some("--list") => wanted.list = true,
            Some("--limit") => limit = number(&value()?)?,
            _ => return Err(format!("{word:?} is not known")),
        }
    }
    wanted.at = at.zip(action);
    if wanted.at.is_none() && (at.is_some() || action.is_some()) {
        return Err("--at and --do belong together".into());
    }
    let program = words.next().ok_or("no program is given behind --")?;
    let report = report.ok_or("--report is missing")?;
    Ok(Arguments { report, wanted, limit: Duration::from_secs(limit), program, arguments: words.collect() })
}

fn number(word: &OsString) -> Result<u64, String> {
    word.to_str().and_then(|word| word.parse().ok()).ok_or(format!("{word:?} is no number"))
}

fn parse_action(word: &OsString) -> Result<Action, String> {
    Ok(match word.to_str() {
        Some("before") => Action::KillBefore,
        Some("after") => Action::KillAfter,
        Some("tear") => Action::Tear,
        Some("short") => Action::Short,
        Some("pass") => Action::Pass,
        Some("ENOSPC") => Action::Fail(Errno::ENOSPC),
        Some("EIO") => Action::Fail(Errno::EIO),
        Some("EDQUOT") => Action::Fail(Errno::EDQUOT),
        Some("EINTR") => Action::Fail(Errno::EINTR),
        Some("EFBIG") => Action::Fail(Errno::EFBIG),
        _ => return Err(format!("{word:?} is nothing that can be done to a call")),
    })
}

fn report(outcome: &Outcome) -> Value {
    let listed = |(number, Listed { call, result }): (usize, &Listed)| {
        let paths: Vec<_> = call.paths.iter().map(|path| path.to_string_lossy()).collect();
        let bytes = result.filter(|&result| call.writes() && result > 0).unwrap_or(0);
        json!({"number": number + 1, "call": call.name, "paths": paths, "result": result, "bytes": bytes})
    };
    json!({
        "code": outcome.code,
        "signal": outcome.signal,
        "points": outcome.points,
        "hits": outcome.hits,
        "counts": outcome.counts,
        "hidden": outcome.hidden,
        "calls": outcome.calls.iter().enumerate().map(listed).collect::<Vec<_>>(),
    })
}
