//! What was done, beside what was planned.

use std::fmt;

use serde::Serialize;

use crate::rechunk::plan::{Growth, Plan, Strategy};

/// What a rechunk of one array did.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Measured {
    /// Wall time in seconds.
    pub seconds: f64,
    /// Source chunks (inner chunks of shards) decoded.
    pub decoded_chunks: u64,
    /// Their decoded size in bytes.
    pub decoded_bytes: u64,
    /// Their stored size in bytes.
    pub read_bytes: u64,
    /// Size before encoding of the target chunks that were encoded, in bytes.
    pub encoded_bytes: u64,
    /// Stored size of what was written, in bytes.
    pub written_bytes: u64,
    /// Files made, the metadata document among them.
    pub files: u64,
    /// Bytes of data that passed through the spill file.
    pub spilled_bytes: u64,
    /// The same with the framing of records and segments.
    pub spill_file_bytes: u64,
}

/// One array of a rechunk: its plan and what came of it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ArrayReport {
    /// Path of the array below the source; empty for the source itself.
    pub path: String,
    /// For a node that travels along unread, stored value by stored value: what it needs that this build does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
    /// What was planned.
    pub plan: Plan,
    /// What it would take if the array were 1, 10, 100 and 1000 times as long along its longest axis; only of a plan that is not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub growth: Vec<Growth>,
    /// What was measured; none for a plan that was not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// What a rechunk did, array by array.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// One entry an array; after these, one for each node that travelled along unread.
    pub arrays: Vec<ArrayReport>,
    /// Bytes of work (as [`Progress`] counts them) that an earlier run had done, and that were not done again. What else is said was done by this run.
    pub resumed_bytes: u64,
    /// Wall time in seconds, publication and sync included.
    pub seconds: f64,
    /// Processor time of the process during the run in seconds, where the system tells.
    pub cpu_seconds: Option<f64>,
    /// Peak resident set size of the process in bytes, where the system tells.
    pub peak_rss_bytes: Option<u64>,
    /// What went well but should be known.
    pub warnings: Vec<String>,
}

/// How far a run is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Path of the array in work.
    pub array: String,
    /// Bytes of work done in all arrays: every source chunk read and every target chunk written counts its decoded size.
    pub done_bytes: u64,
    /// Bytes of work in all.
    pub total_bytes: u64,
}

/// A number of bytes, shown in the unit that a person would use: `64 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanBytes(pub u64);

impl fmt::Display for HumanBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let step = if self.0 == 0 { 0 } else { self.0.ilog2() as usize / 10 };
        let scaled = self.0 as f64 / (1_u64 << (10 * step)) as f64;
        let text =
            if step == 0 || scaled.fract() == 0.0 { format!("{scaled} {}", units[step]) } else { format!("{scaled:.1} {}", units[step]) };
        f.pad(&text)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "strategy   {} with {} threads", self.strategy, self.threads.max(self.encode_threads))?;
        if let Strategy::PartialReads | Strategy::ReDecode | Strategy::PartialWrites = self.strategy {
            writeln!(f, "boxes      {} of {:?} elements", self.partition_count, self.partition)?;
            writeln!(f, "visits     {} of source chunks, each {:.1} times on average", self.visits, self.visits_each)?;
        } else if !self.partition.is_empty() {
            writeln!(f, "partitions {} of {:?} elements in each block of {:?}", self.partition_count, self.partition, self.block)?;
            writeln!(f, "levels     {}", self.levels)?;
        }
        if let Some(ranges) = self.ranges {
            let done = if self.strategy == Strategy::PartialReads { "read" } else { "written" };
            writeln!(f, "ranges     about {} are {done}, of {} on average", ranges.count, HumanBytes(ranges.mean_bytes))?;
        }
        writeln!(f, "memory     {} of {}", HumanBytes(self.memory_bytes), HumanBytes(self.budget_bytes))?;
        for share in &self.memory {
            writeln!(
                f,
                "           {:>10} = {} x {:<10} {}",
                HumanBytes(share.bytes()),
                share.count,
                HumanBytes(share.each_bytes),
                share.what
            )?;
        }
        writeln!(f, "decoded    {}", HumanBytes(self.decoded_bytes))?;
        writeln!(f, "encoded    {}", HumanBytes(self.encoded_bytes))?;
        writeln!(f, "spilled    {}", HumanBytes(self.spilled_bytes))?;
        let (read, written) = (HumanBytes(self.read_bytes_estimate), HumanBytes(self.written_bytes_estimate));
        writeln!(f, "stored     {read} read, {written} written, estimated")?;
        writeln!(f, "files      {}", self.files)?;
        writeln!(f, "peak       {} predicted resident", HumanBytes(self.peak_rss_bytes))?;
        write!(f, "time       {:.1} s estimated", self.estimated_seconds)?;
        let Some(second) = &self.second else { return Ok(()) };
        write!(
            f,
            "\nnext best  {}: {:.1} s, decoding {}, spilling {}, in {}",
            second.strategy,
            second.estimated_seconds,
            HumanBytes(second.decoded_bytes),
            HumanBytes(second.spilled_bytes),
            HumanBytes(second.memory_bytes)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_right_unit() {
        assert_eq!(HumanBytes(0).to_string(), "0 B");
        assert_eq!(HumanBytes(1023).to_string(), "1023 B");
        assert_eq!(HumanBytes(64 << 20).to_string(), "64 MiB");
        assert_eq!(HumanBytes(1_500_000).to_string(), "1.4 MiB");
        assert_eq!(HumanBytes(u64::MAX).to_string(), "16 EiB");
    }
}
