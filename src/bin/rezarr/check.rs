//! `rezarr check`.

use rezarr::{CheckOptions, CheckReport};

use crate::Answer;
use crate::args::CheckArgs;
use crate::output::{escaped, human, json, line};
use crate::stop;

/// Checks; the answer is whether nothing is wrong.
pub(crate) fn run(args: &CheckArgs) -> Answer {
    let stop = stop::flag()?;
    let mut options = CheckOptions::new().memory(args.memory).read_mode(args.reads.into()).cancel(&stop);
    if let Some(threads) = args.threads {
        options = options.threads(threads.into());
    }
    let report = rezarr::check(&args.path, options)?;
    if args.json {
        json(&report)?;
    } else if !args.quiet {
        for finding in &report.findings {
            line(&escaped(&finding.to_string()))?;
        }
        line(&summary(&report))?;
    }
    Ok(report.clean)
}

fn summary(report: &CheckReport) -> String {
    let many = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let all = report.errors + report.warnings;
    let unlisted = all - (report.findings.len() as u64).min(all);
    let more = if unlisted == 0 { String::new() } else { format!(" ({unlisted} of them not listed)") };
    let looked = [many(report.groups, "group"), many(report.arrays, "array"), many(report.chunks, "chunk")].join(", ");
    format!(
        "{}, {}{more}: {looked} with {} decoded, {} stored",
        many(report.errors, "error"),
        many(report.warnings, "warning"),
        report.decoded,
        human(report.stored_bytes)
    )
}
