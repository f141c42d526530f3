//! `rezarr recover`: what interrupted rechunks had left, and what was done about it, a line each.

use rezarr::{RecoverOptions, RecoverStep};

use crate::Answer;
use crate::args::RecoverArgs;
use crate::output::{complain, escaped, json, line};

/// Recovers; the answer is whether nothing is left that was interrupted.
pub(crate) fn run(args: &RecoverArgs) -> Answer {
    let options = RecoverOptions::new().sync(!args.no_sync).exchange(!args.no_exchange).locks(!args.no_lock);
    let recovered = rezarr::recover(&args.path, &options)?;
    for warning in &recovered.warnings {
        complain(&format!("warning: {warning}"));
    }
    if args.json {
        json(&recovered)?;
        return Ok(recovered.complete);
    }
    for node in &recovered.nodes {
        for step in &node.steps {
            line(&escaped(&describe(&node.path, step)))?;
        }
    }
    if recovered.nodes.is_empty() && !args.quiet {
        line("nothing to recover")?;
    }
    Ok(recovered.complete)
}

fn describe(path: &str, step: &RecoverStep) -> String {
    match step {
        RecoverStep::PutInPlace => format!("{path}: the new tree was complete, and is in place now"),
        RecoverStep::OldDeleted => format!("{path}: the old tree was deleted"),
        RecoverStep::BackupKept => format!("{path}: the old tree is kept as {path}.backup"),
        RecoverStep::OldPutBack => format!("{path}: the old tree has its name again, since there was no complete new one"),
        RecoverStep::Discarded => format!("{path}: a new tree that was not complete was deleted; nothing else was changed"),
        RecoverStep::Unfinished => format!("{path}: a new tree that is not complete stays"),
        RecoverStep::Cleaned => format!("{path}: the last traces were removed"),
        RecoverStep::Foreign { path, why } => format!("{path}: left alone: {why}"),
        RecoverStep::Left { path, why } => format!("{path}: left as it is: {why}"),
        _ => format!("{path}: recovered"),
    }
}
