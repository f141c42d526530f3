//! A Python environment with the pinned readers and writers that rezarr is compared with, made when first needed.
//!
//! 1. The environment lies in the target directory and is only touched under a file lock, so that test binaries that run at the same time
//!    make it once.
//! 2. Its stamp is written last and holds the requirements it was made from: without an equal stamp it is made anew.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Set to 1, it skips every test that needs Python packages or the build of another crate; each one skipped says so.
pub(crate) const SKIP_VARIABLE: &str = "REZARR_SKIP_INTEROP";

const REQUIREMENTS: &str = include_str!("../interop/requirements.txt");

/// Whether the user asked to skip such tests; says on stderr that `test` is skipped.
pub(crate) fn skipped(test: &str) -> bool {
    let skip = std::env::var_os(SKIP_VARIABLE).is_some_and(|value| value == "1");
    if skip {
        // Not eprintln, whose output the test runner keeps to itself when a test passes.
        let told = writeln!(io::stderr(), "SKIPPED {test}: {SKIP_VARIABLE}=1 is set, nothing was compared");
        told.expect("stderr is open");
    }
    skip
}

/// Runs `tests/interop/<script>` in the environment.
///
/// # Panics
/// If the script fails, with all that it said.
pub(crate) fn python<I, S>(script: &str, args: I) -> Output
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    run(&mut command(script, args), &format!("{script} found a difference, or failed itself"))
}

/// The command that [`python`] runs.
pub(crate) fn command<I, S>(script: &str, args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script);
    let mut command = Command::new(interpreter());
    command.args(["-X", "utf8"]).arg(path).args(args);
    // Compiled modules lie in the environment and not in the source tree; only what is imported is ever compiled.
    command.env("PYTHONPYCACHEPREFIX", target_directory().join("interop-venv/pycache")).env_remove("PYTHONDONTWRITEBYTECODE");
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    command
}

/// Runs a command to its end.
///
/// # Panics
/// If it cannot be started or fails: with `meaning`, the command and all that it said.
pub(crate) fn run(command: &mut Command, meaning: &str) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{meaning}\n{command:?} did not start: {error}"));
    assert!(
        output.status.success(),
        "{meaning} ({})\ncommand: {command:?}\nstdout:\n{}\nstderr:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// The target directory of this build.
pub(crate) fn target_directory() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("CARGO_TARGET_TMPDIR lies in the target directory")
}

/// The interpreter of the environment, which is made or renewed first if need be.
fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let directory = target_directory().join("interop-venv");
        let lock_path = target_directory().join("interop-venv.lock");
        let lock = File::create(&lock_path).unwrap_or_else(|error| panic!("create {}: {error}", lock_path.display()));
        lock.lock().unwrap_or_else(|error| panic!("lock {}: {error}", lock_path.display()));
        let stamp = format!("{}\n{REQUIREMENTS}", directory.display());
        if fs::read_to_string(directory.join("stamp")).is_ok_and(|found| found == stamp) {
            return directory.join("bin/python");
        }
        make_environment(&directory);
        fs::write(directory.join("stamp"), stamp).expect("write the stamp of the Python environment");
        directory.join("bin/python")
    })
}

fn make_environment(directory: &Path) {
    if directory.exists() {
        fs::remove_dir_all(directory).unwrap_or_else(|error| panic!("remove {}: {error}", directory.display()));
    }
    let advice = format!(
        "Comparing with other Zarr software needs python3 (3.11 or newer) with its venv module (Debian, Ubuntu: apt install python3-venv) and \
         access to PyPI. To leave these comparisons out, set {SKIP_VARIABLE}=1."
    );
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(directory), &advice);
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/requirements.txt");
    let mut install = Command::new(directory.join("bin/python"));
    install.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile", "--quiet"]);
    run(install.arg("--requirement").arg(requirements), &advice);
}
