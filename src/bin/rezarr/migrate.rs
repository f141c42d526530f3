//! `rezarr migrate`: what became of each node, a line each.

use rezarr::{MigrateOptions, MigrateOutcome, MigrateReport, MigratedNode};

use crate::Answer;
use crate::args::MigrateArgs;
use crate::output::{complain, escaped, json, line};

/// Migrates, or goes back; the answer is whether all nodes are, or can be, as was asked for.
pub(crate) fn run(args: &MigrateArgs) -> Answer {
    let options = MigrateOptions::new().dry_run(args.dry_run).undo(args.undo).remove_v2(args.remove_v2).locks(!args.no_lock);
    let report = rezarr::migrate(&args.path, &options)?;
    for warning in &report.warnings {
        complain(&format!("warning: {warning}"));
    }
    if args.json {
        json(&report)?;
        return Ok(report.complete);
    }
    for node in &report.nodes {
        line(&describe(node, args))?;
    }
    line(&summary(&report, args))?;
    Ok(report.complete)
}

fn describe(node: &MigratedNode, args: &MigrateArgs) -> String {
    let path = if node.path.is_empty() { "/" } else { &node.path };
    let outcome = match node.outcome {
        MigrateOutcome::Possible => "can be Zarr v3",
        MigrateOutcome::Migrated => "is Zarr v3 now",
        MigrateOutcome::Present => "is Zarr v3 already",
        MigrateOutcome::Impossible => "cannot be Zarr v3",
        MigrateOutcome::Undone if args.dry_run => "can be Zarr v2 again",
        MigrateOutcome::Undone => "is Zarr v2 again",
        _ => "stays Zarr v3",
    };
    let kind = if node.node_type.is_empty() { String::new() } else { format!(" ({})", node.node_type) };
    let reason = node.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    // One line for each node, whatever names and documents hold.
    escaped(&format!("{path}{kind} {outcome}{reason}"))
}

fn summary(report: &MigrateReport, args: &MigrateArgs) -> String {
    let count = |outcome: MigrateOutcome| report.nodes.iter().filter(|node| node.outcome == outcome).count();
    let (removed, nodes) = (report.removed_documents, report.nodes.len());
    match (report.complete, args.undo) {
        (_, true) if nodes == 0 => String::from("nothing to undo: there is no zarr.json"),
        (true, true) if args.dry_run => format!("{nodes} nodes can be Zarr v2 again; nothing was changed"),
        (true, true) => format!("{nodes} nodes are Zarr v2 again"),
        (false, true) => {
            format!("{} of {nodes} nodes stay Zarr v3", count(MigrateOutcome::Kept))
        }
        (false, false) => format!(
            "nothing was changed: {} of {nodes} nodes cannot be Zarr v3 as they are stored; `rezarr rechunk` writes a copy",
            count(MigrateOutcome::Impossible)
        ),
        (true, false) if nodes == 0 && removed == 0 => String::from("nothing to migrate: there is no Zarr v2"),
        (true, false) if args.dry_run && args.remove_v2 => {
            format!("{nodes} nodes can be Zarr v3, and {removed} documents of Zarr v2 go then; nothing was changed")
        }
        (true, false) if args.dry_run => format!("{nodes} nodes can be Zarr v3; nothing was changed"),
        (true, false) if args.remove_v2 => format!("{nodes} nodes are Zarr v3, and {removed} documents of Zarr v2 are removed"),
        (true, false) => {
            format!("{nodes} nodes are Zarr v3; their documents of Zarr v2 are there still (--undo goes back, --remove-v2 removes them)")
        }
    }
}
