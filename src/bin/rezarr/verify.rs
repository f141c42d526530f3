//! `rezarr verify`.

use rezarr::{Progress, VerifyOptions};

use crate::Answer;
use crate::args::VerifyArgs;
use crate::output::{json, line};
use crate::progress::Reporter;
use crate::stop;

/// Compares; the answer is whether both sides are equal.
pub(crate) fn run(args: &VerifyArgs) -> Answer {
    let stop = stop::flag()?;
    let mut reporter = Reporter::new(&args.talk);
    let mut show = |progress: &Progress| reporter.show(progress);
    let mut options =
        VerifyOptions::new().memory(args.resources.memory).read_mode(args.resources.reads.into()).progress(&mut show).cancel(&stop);
    if let Some(threads) = args.resources.threads {
        options = options.threads(threads.into());
    }
    if let Some(directory) = &args.resources.spill_dir {
        options = options.spill_dir(directory);
    }
    let verdict = rezarr::verify(&args.a, &args.b, options);
    reporter.finish();
    let verdict = verdict?;
    if args.talk.json {
        json(&verdict)?;
    } else if !args.talk.quiet {
        for difference in &verdict.differences {
            line(&format!("differs: {difference}"))?;
        }
        if verdict.equal {
            let undecoded = match verdict.undecoded {
                0 => String::new(),
                count => format!("; {count} nodes that cannot be decoded, byte by byte"),
            };
            line(&format!("equal: {} arrays, {} elements{undecoded}", verdict.arrays, verdict.elements))?;
        }
    }
    Ok(verdict.equal)
}
