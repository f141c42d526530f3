//! Arguments of all commands, checked as far as they can be without looking at a store.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rezarr::{ChunkKeyEncoding, ChunkSpec, Codecs, DataType, ReadMode, Selection, Shards};

/// Chunked arrays in Zarr v3, and rechunking within a memory budget.
#[derive(Debug, Parser)]
#[command(name = "rezarr", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Rewrite an array, or the arrays of a group, under another chunk grid: beside, or in place
    Rechunk(RechunkArgs),
    /// Say how a rechunk would be done, and what it would cost
    Plan(RechunkArgs),
    /// Complete or remove what interrupted rechunks have left; exit code 1 if something must be left as it is
    Recover(RecoverArgs),
    /// Describe an array or a group
    Info(InfoArgs),
    /// Show the hierarchy below a group
    Tree(TreeArgs),
    /// Compare two arrays or groups bit by bit; exit code 1 if they differ
    Verify(VerifyArgs),
    /// Make Zarr v2 into Zarr v3 in place, without touching a chunk; exit code 1 if something cannot be
    Migrate(MigrateArgs),
    /// Make an empty array
    Create(CreateArgs),
    /// Read a box of an array
    Get(GetArgs),
    /// Decode every stored chunk and look at every name; exit code 1 if something is wrong
    Check(CheckArgs),
    /// Pack an array or group into a zip file, as the last step: zip files are read like directories, and not changed
    Pack(PackArgs),
    /// Make a light-curve survey, rechunk it for reading by object, verify it, and read one light curve
    Demo(DemoArgs),
}

/// What the run may use.
#[derive(Args, Debug)]
pub(crate) struct Resources {
    /// Memory budget, for example 64MiB or 2GiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub(crate) memory: u64,
    /// Threads at most [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Directory of the spill file [default: beside the target; for verify the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) spill_dir: Option<PathBuf>,
    /// How files are read: maps are fastest, positioned reads bear with programs that truncate files while they are read
    #[arg(long, value_enum, default_value_t = Reads::Mapped)]
    pub(crate) reads: Reads,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reads {
    Mapped,
    Positioned,
}

impl From<Reads> for ReadMode {
    fn from(reads: Reads) -> Self {
        match reads {
            Reads::Mapped => Self::Mapped,
            Reads::Positioned => Self::Positioned,
        }
    }
}

/// How a command talks.
#[derive(Args, Debug)]
pub(crate) struct Talk {
    /// Print one JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print more
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Progress on standard error: a bar on terminals only, a bar, JSON lines, or none
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto)]
    pub(crate) progress: ProgressMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    Auto,
    Bar,
    Json,
    None,
}

/// How chunks are named, with the separator where it is not the usual one.
fn key_encoding(text: &str) -> Result<ChunkKeyEncoding, String> {
    match text {
        "default" | "default/" => Ok(ChunkKeyEncoding::Default { separator: '/' }),
        "default." => Ok(ChunkKeyEncoding::Default { separator: '.' }),
        "v2" | "v2." => Ok(ChunkKeyEncoding::V2 { separator: '.' }),
        "v2/" => Ok(ChunkKeyEncoding::V2 { separator: '/' }),
        _ => Err(String::from("accepted are default, default., v2 and v2/")),
    }
}

#[derive(Args, Debug)]
pub(crate) struct RechunkArgs {
    /// Array or group to be rechunked
    pub(crate) source: PathBuf,
    /// Where the result goes [default: in place: it replaces the source, in one step and once it is complete]
    pub(crate) target: Option<PathBuf>,
    /// Chunks by dimension name (time=all,lat=20) or by position (1000,all,2,2); all or -1 is the whole axis
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) chunks: Option<ChunkSpec>,
    /// Shards, in the same form; none stores chunks singly
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) shards: Option<Shards>,
    /// Codecs, for example zstd:3, gzip:5, zstd:3,crc32c, none, or a JSON list
    #[arg(long, value_name = "CODECS")]
    pub(crate) codec: Option<Codecs>,
    /// Fill value, for example nan, -1, 0x7fc00000
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) fill: Option<String>,
    /// Type of the elements, for example float32 or int16; a value beyond its range is an error
    #[arg(long, value_name = "TYPE", value_parser = DataType::parse)]
    pub(crate) dtype: Option<DataType>,
    /// Part that is taken, by dimension name (time=0:100,lat=-90:) or by position (0:10,:,5)
    #[arg(long, value_name = "SELECTION", allow_hyphen_values = true)]
    pub(crate) select: Option<Selection>,
    /// Names of chunks: default (c/0/0), default. (c.0.0), v2 (0.0), or v2/ (0/0)
    #[arg(long, value_name = "KEYS", value_parser = key_encoding)]
    pub(crate) keys: Option<ChunkKeyEncoding>,
    #[command(flatten)]
    pub(crate) resources: Resources,
    /// Replace an existing array or group at the target, in one step and once the new one is complete
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Keep what was replaced as <name>.backup
    #[arg(long)]
    pub(crate) keep_backup: bool,
    /// Do not wait until the result would survive a power cut
    #[arg(long)]
    pub(crate) no_sync: bool,
    /// Go on where a run that died or was stopped has come to; the source, and what is asked for, must be as they were
    #[arg(long)]
    pub(crate) resume: bool,
    /// How much is written from one checkpoint to the next; for tests
    #[arg(long, value_name = "SIZE", value_parser = size, hide = true)]
    pub(crate) checkpoint: Option<u64>,
    /// Take no locks, where a file system has none: then nobody else may write to the target meanwhile
    #[arg(long)]
    pub(crate) no_lock: bool,
    /// Begin even where the disk seems too small
    #[arg(long)]
    pub(crate) no_space_check: bool,
    /// Replace by two renames, as on file systems that cannot exchange two directories in one step
    #[arg(long, hide = true)]
    pub(crate) no_exchange: bool,
    /// Plan only
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// First measure what work takes on this machine (two seconds), and keep it for the estimates of later runs
    #[arg(long)]
    pub(crate) calibrate: bool,
    #[command(flatten)]
    pub(crate) talk: Talk,
}

#[derive(Args, Debug)]
pub(crate) struct RecoverArgs {
    /// Array or group that was being made or replaced (it may be missing), or a directory of such
    pub(crate) path: PathBuf,
    /// Do not wait until what is done would survive a power cut
    #[arg(long)]
    pub(crate) no_sync: bool,
    /// Replace by two renames, as on file systems that cannot exchange two directories in one step
    #[arg(long, hide = true)]
    pub(crate) no_exchange: bool,
    /// Take no locks, where a file system has none: then nobody else may write there meanwhile
    #[arg(long)]
    pub(crate) no_lock: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing where there is nothing to recover
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Args, Debug)]
pub(crate) struct InfoArgs {
    /// Array or group
    pub(crate) path: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TreeArgs {
    /// Group or array
    pub(crate) path: PathBuf,
    /// Levels to show at most
    #[arg(short = 'L', long, value_name = "N")]
    pub(crate) level: Option<usize>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// One array or group
    pub(crate) a: PathBuf,
    /// The other
    pub(crate) b: PathBuf,
    #[command(flatten)]
    pub(crate) resources: Resources,
    #[command(flatten)]
    pub(crate) talk: Talk,
}

#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    /// Array or group of Zarr v2
    pub(crate) path: PathBuf,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go back: remove each zarr.json that a migration would write now
    #[arg(long, conflicts_with = "remove_v2")]
    pub(crate) undo: bool,
    /// Remove the documents of Zarr v2 once all is Zarr v3
    #[arg(long)]
    pub(crate) remove_v2: bool,
    /// Take no locks, where a file system has none: then nobody else may write there meanwhile
    #[arg(long)]
    pub(crate) no_lock: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Where the array goes
    pub(crate) path: PathBuf,
    /// Shape, for example 3650,180,360
    #[arg(long, value_name = "N,N,...", value_parser = shape)]
    pub(crate) shape: Shape,
    /// Data type, for example float32 or f4
    #[arg(long, value_name = "TYPE", value_parser = DataType::parse)]
    pub(crate) dtype: DataType,
    /// Chunks, as for rechunk [default: about 1 MiB each]
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) chunks: Option<ChunkSpec>,
    /// Shards, as for rechunk
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) shards: Option<Shards>,
    /// Codecs, as for rechunk
    #[arg(long, value_name = "CODECS", default_value = "zstd:3")]
    pub(crate) codec: Codecs,
    /// Fill value [default: 0]
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) fill: Option<String>,
    /// Dimension names, for example time,lat,lon
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) dims: Option<Vec<String>>,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Array, with a selection in brackets: maps.zarr/tas[0:10,:,5]
    pub(crate) path: String,
    /// Write the elements as they are: little-endian, in C order
    #[arg(long)]
    pub(crate) raw: bool,
    /// File to write, - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Memory budget for the elements held at one time
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub(crate) memory: u64,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Array or group
    pub(crate) path: PathBuf,
    /// Memory budget for chunks, for example 64MiB or 2GiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub(crate) memory: u64,
    /// Threads at most [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// How files are read, as for rechunk
    #[arg(long, value_enum, default_value_t = Reads::Mapped)]
    pub(crate) reads: Reads,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing but errors of the check itself
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PackArgs {
    /// Array or group
    pub(crate) source: PathBuf,
    /// The zip file to be made
    pub(crate) zip: PathBuf,
    /// Replace an existing zip file, in one step and once the new one is complete
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Do not wait until the result would survive a power cut
    #[arg(long)]
    pub(crate) no_sync: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Directory that is made for the demonstration's stores
    #[arg(long, value_name = "DIR", default_value = "rezarr-demo")]
    pub(crate) dir: PathBuf,
    /// Memory budget of the rechunk
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub(crate) memory: u64,
    /// Objects of the survey
    #[arg(long, value_name = "N", default_value_t = 140_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) objects: u32,
    /// Epochs of the survey
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) epochs: u32,
}

/// A shape on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Shape(pub(crate) Vec<u64>);

fn shape(text: &str) -> Result<Shape, String> {
    if text.trim().is_empty() {
        return Ok(Shape(Vec::new()));
    }
    let lengths: Result<Vec<u64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    lengths.map(Shape).map_err(|_| format!("{text:?}: accepted are whole numbers with commas, as 3650,180,360"))
}

/// A number of bytes: 67108864, 64MiB, 64M (both binary), 64MB (decimal).
fn size(text: &str) -> Result<u64, String> {
    let fault = || format!("{text:?}: accepted are sizes such as 67108864, 64MiB, 2GiB or 500MB");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(fault()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(fault);
    }
    let fraction: f64 = number.parse().map_err(|_| fault())?;
    let bytes = fraction * factor as f64;
    // What is not a whole number of bytes is rounded down.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    if bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("64m"), Ok(64 << 20));
        assert_eq!(size("1.5 GiB"), Ok(3 << 29));
        assert_eq!(size("500MB"), Ok(500_000_000));
        assert_eq!(size("12"), Ok(12));
        for text in ["", "MiB", "-1", "1XB", "99999999999999999999", "1.2.3"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
