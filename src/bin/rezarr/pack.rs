//! `rezarr pack`.

use rezarr::PackOptions;

use crate::Answer;
use crate::args::PackArgs;
use crate::output::{human, json, line};
use crate::stop;

/// Packs, and says what was packed.
pub(crate) fn run(args: &PackArgs) -> Answer {
    let stop = stop::flag()?;
    let options = PackOptions::new().overwrite(args.overwrite).sync(!args.no_sync).cancel(&stop);
    let report = rezarr::pack(&args.source, &args.zip, options)?;
    if args.json {
        json(&report)?;
    } else if !args.quiet {
        line(&format!("{} entries, {} in a zip file of {}", report.entries, human(report.value_bytes), human(report.zip_bytes)))?;
    }
    Ok(true)
}
