//! `rezarr rechunk` and `rezarr plan`.

use std::sync::atomic::AtomicBool;

use rezarr::{ArrayReport, Costs, Error, Growth, Progress, RechunkOptions, Report};

use crate::Answer;
use crate::args::RechunkArgs;
use crate::costs;
use crate::output::{complain, human, json, line};
use crate::progress::Reporter;
use crate::stop;

/// Options of the library as the arguments say them.
fn options<'a>(args: &RechunkArgs, costs: Costs) -> RechunkOptions<'a> {
    let mut options = RechunkOptions::new()
        .memory(args.resources.memory)
        .read_mode(args.resources.reads.into())
        .overwrite(args.overwrite)
        .keep_backup(args.keep_backup)
        .sync(!args.no_sync)
        .resume(args.resume)
        .locks(!args.no_lock)
        .space_check(!args.no_space_check)
        .exchange(!args.no_exchange)
        .costs(costs);
    if let Some(bytes) = args.checkpoint {
        options = options.checkpoint_bytes(bytes);
    }
    if let Some(chunks) = &args.chunks {
        options = options.chunks(chunks.clone());
    }
    if let Some(shards) = &args.shards {
        options = options.shards(shards.clone());
    }
    if let Some(codecs) = &args.codec {
        options = options.codecs(codecs.clone());
    }
    if let Some(fill) = &args.fill {
        options = options.fill(fill.clone());
    }
    if let Some(data_type) = &args.dtype {
        options = options.data_type(data_type.clone());
    }
    if let Some(selection) = &args.select {
        options = options.select(selection.clone());
    }
    if let Some(keys) = args.keys {
        options = options.key_encoding(keys);
    }
    if let Some(threads) = args.resources.threads {
        options = options.threads(threads.into());
    }
    if let Some(directory) = &args.resources.spill_dir {
        options = options.spill_dir(directory);
    }
    options
}

fn check(args: &RechunkArgs) -> Result<(), Error> {
    let layout = args.chunks.is_some() || args.shards.is_some() || args.codec.is_some() || args.keys.is_some();
    if !(layout || args.fill.is_some() || args.dtype.is_some() || args.select.is_some()) {
        return Err(Error::InvalidArgument {
            what: format!(
                "{}: nothing to change; give at least one of --chunks, --shards, --codec, --fill, --dtype, --select, --keys",
                args.source.display()
            ),
        });
    }
    if args.keep_backup && args.target.is_some() && !args.overwrite {
        let what = "--keep-backup: nothing is replaced; give --overwrite, or leave the target out to rechunk in place";
        return Err(Error::InvalidArgument { what: what.into() });
    }
    Ok(())
}

/// What work takes on this machine: measured, where that is asked for, and otherwise what is known.
fn calibrate(args: &RechunkArgs) -> Result<Costs, Error> {
    if !args.calibrate {
        return Ok(costs::known());
    }
    let directory = args.resources.spill_dir.clone().unwrap_or_else(std::env::temp_dir);
    let (measured, kept) = costs::calibrate(&directory)?;
    if !args.talk.quiet {
        let place = kept.map_or_else(|| String::from("nowhere, since there is no home directory"), |path| path.display().to_string());
        complain(&format!("what work takes on this machine was measured, and is kept in {place}"));
    }
    Ok(measured)
}

/// `rezarr plan`.
pub(crate) fn plan(args: &RechunkArgs) -> Answer {
    check(args)?;
    let costs = calibrate(args)?;
    let plans = rezarr::plan_rechunk(&args.source, &options(args, costs))?;
    if args.talk.json {
        json(&plans)?;
    } else if !args.talk.quiet {
        plans.iter().try_for_each(|array| print_plan(array, args.talk.verbose))?;
    }
    Ok(true)
}

/// Arrays that travel along unchanged are one line, unless more is asked for.
fn print_plan(array: &ArrayReport, verbose: bool) -> Result<(), Error> {
    let name = if array.path.is_empty() { "/" } else { &array.path };
    if let Some(reason) = &array.unsupported {
        return line(&format!("{name}: travels along unread, {} files ({reason})", array.plan.files));
    }
    if array.plan.strategy == rezarr::Strategy::PassThrough && !verbose {
        return line(&format!("{name}: stored chunks are moved as they are, {} files at most", array.plan.files));
    }
    line(&format!("{name}\n{}", indented(&array.plan.to_string())))?;
    print_growth(&array.growth)
}

/// What the same would take for longer arrays: a table.
fn print_growth(growth: &[Growth]) -> Result<(), Error> {
    if growth.is_empty() {
        return Ok(());
    }
    line(&format!("  {:<10} {:>12} {:>12} {:>11} {:>11}  strategy", "grown", "array", "time", "spilled", "memory"))?;
    for grown in growth {
        let factor = format!("{}x", grown.factor);
        let size = human(grown.array_bytes);
        let Some(cost) = &grown.cost else {
            let required = grown.required_bytes.map_or_else(|| String::from("more memory than there is"), human);
            line(&format!("  {factor:<10} {size:>12}  needs a budget of {required}"))?;
            continue;
        };
        let (time, spilled, memory) = (duration(cost.estimated_seconds), human(cost.spilled_bytes), human(cost.memory_bytes));
        line(&format!("  {factor:<10} {size:>12} {time:>12} {spilled:>11} {memory:>11}  {}", cost.strategy))?;
    }
    Ok(())
}

/// A time as a person would say it.
fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.1} h", seconds / 3600.0),
        seconds => format!("{:.1} days", seconds / 86_400.0),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// `rezarr rechunk`.
pub(crate) fn run(args: &RechunkArgs) -> Answer {
    check(args)?;
    if args.dry_run {
        return plan(args);
    }
    let costs = calibrate(args)?;
    let stop = stop::flag()?;
    let report = run_reported(args, costs, &stop)?;
    for warning in &report.warnings {
        complain(&format!("warning: {warning}"));
    }
    if args.talk.json {
        json(&report)?;
    } else if !args.talk.quiet {
        print_report(&report, args.talk.verbose)?;
    }
    Ok(true)
}

fn run_reported(args: &RechunkArgs, costs: Costs, stop: &AtomicBool) -> Result<Report, Error> {
    let mut reporter = Reporter::new(&args.talk);
    let mut show = |progress: &Progress| reporter.show(progress);
    let result = rezarr::rechunk(&args.source, args.target.as_deref(), options(args, costs).progress(&mut show).cancel(stop));
    reporter.finish();
    if matches!(result, Err(Error::Cancelled)) && has_left(args) {
        complain("what was done so far stays; --resume goes on with it");
    }
    result
}

/// Whether a run that was stopped has left something to go on with.
fn has_left(args: &RechunkArgs) -> bool {
    let mut staged = args.target.as_ref().unwrap_or(&args.source).clone().into_os_string();
    staged.push(".rechunked");
    std::path::Path::new(&staged).exists()
}

/// What was measured beside what was planned.
pub(crate) fn print_report(report: &Report, verbose: bool) -> Result<(), Error> {
    let mut moved = 0;
    for array in &report.arrays {
        let (plan, Some(measured)) = (&array.plan, &array.measured) else { continue };
        if plan.strategy == rezarr::Strategy::PassThrough && !verbose {
            moved += 1;
            continue;
        }
        let name = if array.path.is_empty() { "/" } else { &array.path };
        line(&format!("{name}: {} with {} threads", plan.strategy, plan.threads.max(plan.encode_threads)))?;
        line(&format!("  {:<10}{:>14}{:>14}", "", "planned", "measured"))?;
        let rows = [
            ("decoded", plan.decoded_bytes, measured.decoded_bytes),
            ("encoded", plan.encoded_bytes, measured.encoded_bytes),
            ("spilled", plan.spilled_bytes, measured.spilled_bytes),
        ];
        for (what, planned, measured) in rows {
            line(&format!("  {what:<10}{:>14}{:>14}", human(planned), human(measured)))?;
        }
        line(&format!("  {:<10}{:>14}{:>14}", "files", format!("<= {}", plan.files), measured.files))?;
        let times = (format!("{:.1} s", plan.estimated_seconds), format!("{:.1} s", measured.seconds));
        line(&format!("  {:<10}{:>14}{:>14}", "time", times.0, times.1))?;
        line(&format!("  {:<10}{:>14}{:>14}", "stored", human(measured.read_bytes), human(measured.written_bytes)))?;
    }
    if report.resumed_bytes > 0 {
        line(&format!(
            "{} of the work had been done by an earlier run; measured is what was done by this one",
            human(report.resumed_bytes)
        ))?;
    }
    if moved > 0 {
        line(&format!("{moved} arrays were moved as they are stored"))?;
    }
    let planned = report.arrays.iter().map(|array| array.plan.peak_rss_bytes).max().unwrap_or(0);
    let peak = report.peak_rss_bytes.map_or_else(|| String::from("unknown"), human);
    let cpu = report.cpu_seconds.map_or_else(|| String::from("unknown"), |seconds| format!("{seconds:.1} s"));
    line(&format!("{:.1} s in all, {cpu} of processor time, peak memory {peak} (predicted {} at most)", report.seconds, human(planned)))
}
