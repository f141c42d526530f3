//! Runs of a program under the tracer (the package `tests/tracer`, built when first needed): its calls that change files are counted, and
//! one of them is killed, torn, shortened or failed.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

use super::python::{self, run, target_directory};

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The program is killed before it.
    Before,
    /// The program is killed once it is made.
    After,
    /// It writes half, and then the program is killed. What writes nothing is killed before.
    Torn,
    /// It writes half.
    Short,
    /// It fails with this error.
    Fails(&'static str),
    /// It fails with this error, and all calls behind it as well.
    FailsOnwards(&'static str),
    /// Nothing; where a hook is wanted at one call.
    Pass,
}

/// What is asked of a traced run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracing {
    /// The call, numbered from 1, and what is done to it.
    pub(crate) at: Option<(u64, Fault)>,
    /// Whether syncs are made; otherwise they are counted, and only seem to be.
    pub(crate) real_syncs: bool,
    /// Whether the system cannot exchange two names.
    pub(crate) no_exchange: bool,
    /// Whether each call is listed.
    pub(crate) list: bool,
    /// A program that is run while the call, or every call, is held: number and name of the call, and what it is called on.
    pub(crate) hook: Option<PathBuf>,
    /// How long it may take, in seconds; a minute if it is 0.
    pub(crate) limit: u64,
}

/// A call that was listed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Listed {
    pub(crate) number: u64,
    pub(crate) call: String,
    /// What it was called on, and what that became.
    pub(crate) paths: Vec<PathBuf>,
    /// What the system has answered; none where the program did not live to see it.
    pub(crate) result: Option<i64>,
    /// How many bytes it has written.
    pub(crate) bytes: u64,
}

/// How a traced run has ended.
#[derive(Debug, Deserialize)]
pub(crate) struct Traced {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// Calls that change files.
    pub(crate) points: u64,
    /// How often something was done to a call.
    pub(crate) hits: u64,
    /// Calls by name.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Ways of changing files that no call shows: writable shared maps, and rings.
    pub(crate) hidden: Vec<String>,
    pub(crate) calls: Vec<Listed>,
    #[serde(default)]
    pub(crate) stdout: String,
    #[serde(default)]
    pub(crate) stderr: String,
}

impl Fault {
    fn words(self) -> Vec<&'static str> {
        match self {
            Self::Before => vec!["before"],
            Self::After => vec!["after"],
            Self::Torn => vec!["tear"],
            Self::Short => vec!["short"],
            Self::Pass => vec!["pass"],
            Self::Fails(errno) => vec![errno],
            Self::FailsOnwards(errno) => vec![errno, "--onwards"],
        }
    }
}

impl Tracing {
    /// Nothing but this fault at this call.
    pub(crate) fn at(number: u64, fault: Fault) -> Self {
        Self { at: Some((number, fault)), ..Self::default() }
    }

    /// All calls are listed, and nothing is done to any.
    pub(crate) fn listed() -> Self {
        Self { list: true, ..Self::default() }
    }

    /// Runs a command, in its working directory and environment, to its end.
    pub(crate) fn run(&self, command: &Command) -> Traced {
        let report = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut tracer = Command::new(tracer());
        tracer.arg("--report").arg(report.path());
        if let Some((number, fault)) = self.at {
            tracer.args(["--at", &number.to_string(), "--do"]).args(fault.words());
        }
        for (word, wanted) in [("--skip-syncs", !self.real_syncs), ("--no-exchange", self.no_exchange), ("--list", self.list)] {
            tracer.args(wanted.then_some(word));
        }
        if let Some(hook) = &self.hook {
            tracer.arg("--hook").arg(hook);
        }
        if self.limit > 0 {
            tracer.args(["--limit", &self.limit.to_string()]);
        }
        tracer.arg("--").arg(command.get_program()).args(command.get_args());
        if let Some(directory) = command.get_current_dir() {
            tracer.current_dir(directory);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => tracer.env(name, value),
                None => tracer.env_remove(name),
            };
        }
        let output = tracer.stdin(Stdio::null()).output().expect("the tracer starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{tracer:?}: {:?}\n{}", output.status, text(&output.stderr));
        let traced: Traced = serde_json::from_reader(report.reopen().unwrap()).unwrap();
        assert_eq!(traced.hidden, [""; 0], "{command:?} changes files where the tracer cannot see it");
        Traced { stdout: text(&output.stdout), stderr: text(&output.stderr), ..traced }
    }
}

/// Whether traced runs are not to be had: says on stderr that `test` is skipped, and why.
pub(crate) fn skipped(test: &str) -> bool {
    if python::skipped(test) {
        return true;
    }
    let why = if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        String::from("the tracer knows Linux on x86_64 alone")
    } else if let Some(refused) = refusal() {
        format!("processes cannot be traced here: {refused}")
    } else {
        return false;
    };
    // Not eprintln, whose output the test runner keeps to itself when a test passes.
    writeln!(io::stderr(), "SKIPPED {test}: {why}").expect("stderr is open");
    true
}

/// What the tracer says where tracing is not permitted.
fn refusal() -> Option<&'static str> {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    let ask = || {
        let output = Command::new(tracer()).args(["--report", "/dev/null", "--", "true"]).output().expect("the tracer starts");
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    REFUSAL.get_or_init(ask).as_deref()
}

/// The binary of the tracer, built when first asked for. Cargo's own lock keeps parallel builds apart, but waits in silence: ours says who is building.
fn tracer() -> &'static Path {
    static TRACER: OnceLock<PathBuf> = OnceLock::new();
    TRACER.get_or_init(|| {
        let target = target_directory().join("tracer");
        let lock = File::create(target_directory().join("tracer.lock")).expect("create the lock of the tracer");
        lock.lock().expect("lock the build of the tracer");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tracer/Cargo.toml");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--manifest-path"]).arg(manifest).arg("--target-dir").arg(&target);
        // Flags meant for rezarr (a sanitizer, coverage) are not for the tracer.
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"] {
            cargo.env_remove(variable);
        }
        run(&mut cargo, &format!("the tracer does not build; to leave out what needs it, set {}=1", python::SKIP_VARIABLE));
        target.join("debug/rezarr-tracer")
    })
}
