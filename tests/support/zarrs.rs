//! The crate zarrs as a judge: the package `tests/zarrs-judge`, built when first needed, reads and writes what a manifest lists. `tests/interop/read_corpus.py` and `write_corpus.py` start it.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::python::{SKIP_VARIABLE, run, target_directory};

/// The binary of the judge, built when first asked for. Cargo's own lock keeps parallel builds apart, but waits in silence: ours says who is building.
pub(crate) fn judge() -> &'static Path {
    static JUDGE: OnceLock<PathBuf> = OnceLock::new();
    JUDGE.get_or_init(|| {
        let target = target_directory().join("zarrs-judge");
        let lock = File::create(target_directory().join("zarrs-judge.lock")).expect("create the lock of the zarrs judge");
        lock.lock().expect("lock the build of the zarrs judge");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zarrs-judge/Cargo.toml");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--manifest-path"]).arg(manifest).arg("--target-dir").arg(&target);
        // Flags meant for rezarr (a sanitizer, coverage) are not for the judge.
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"] {
            cargo.env_remove(variable);
        }
        run(&mut cargo, &format!("the zarrs judge does not build; to leave comparisons with other software out, set {SKIP_VARIABLE}=1"));
        target.join("debug/zarrs-judge")
    })
}
