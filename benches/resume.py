#!/usr/bin/env python3
"""Kills a rechunk that spills at parts of its way, resumes it, and counts the bytes that both runs pass to write calls.

What is shown: killed (-9) at 25, 50, 75 and 95 %, both runs write at most 5 % and 256 MiB more than one that is left alone. Counted is `wchar` of
/proc/PID/io: what write calls were given, to the output, the spill file and the journal alike.

    cargo build --release
    benches/resume.py [--mib 4096] [--directory target/resume] [--binary target/release/rezarr]

Needs the Python that is there, and three times the size in disk space.
"""

import argparse
import gzip
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROWS = 16
ARGUMENTS = ["--codec", "zstd:1", "--memory", "64MiB", "--progress", "json", "--json"]


def make(path, side):
    """A square array of float32, chunked by rows, each chunk a member of gzip that holds it as it is: it cannot be read in parts."""
    shutil.rmtree(path, ignore_errors=True)
    (path / "c").mkdir(parents=True)
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [side, side],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [ROWS, side]}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip", "configuration": {"level": 0}}],
        "attributes": {},
    }
    (path / "zarr.json").write_text(json.dumps(document))
    for row in range(side // ROWS):
        (path / "c" / str(row)).mkdir()
        (path / "c" / str(row) / "0").write_bytes(gzip.compress(os.urandom(ROWS * side * 4), 0))


def written(pid):
    """Bytes that a process, alive or not waited for yet, has passed to write calls."""
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1])
    raise RuntimeError("no wchar")


def run(binary, directory, side, extra=(), kill_at=None):
    """Runs, and kills at a part of the way if asked to; returns bytes written, seconds, and the report of a run that ended."""
    command = [binary, "rechunk", "a", "b", "--chunks", f"{side},{ROWS}", *ARGUMENTS, *extra]
    begun = time.monotonic()
    with open(directory / "report.json", "wb") as report:
        child = subprocess.Popen(command, cwd=directory, stdout=report, stderr=subprocess.PIPE, text=True)
    for line in child.stderr:
        if not line.startswith("{"):
            print(line, end="", file=sys.stderr)
            continue
        event = json.loads(line)
        if kill_at is not None and event["done_bytes"] >= kill_at * event["total_bytes"]:
            os.kill(child.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED)
            count = written(child.pid)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            return count, time.monotonic() - begun, None
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    count = written(child.pid)
    if child.wait() != 0:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    if kill_at is not None:
        raise SystemExit("the run ended before it could be killed")
    return count, time.monotonic() - begun, json.loads((directory / "report.json").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=4096)
    parser.add_argument("--directory", type=pathlib.Path, default=pathlib.Path("target/resume"))
    parser.add_argument("--binary", type=pathlib.Path, default=pathlib.Path("target/release/rezarr"))
    arguments = parser.parse_args()
    side = int((arguments.mib * 2**18) ** 0.5) // ROWS * ROWS
    directory, binary = arguments.directory.resolve(), str(arguments.binary.resolve())
    directory.mkdir(parents=True, exist_ok=True)
    make(directory / "a", side)
    clear = lambda: [shutil.rmtree(directory / name, ignore_errors=True) for name in ("b", "b.rechunked")]
    mib = 2**20
    clear()
    whole, seconds, report = run(binary, directory, side)
    plan = report["arrays"][0]["plan"]
    print(f"{4 * side * side // mib} MiB, {plan['strategy']} of {plan['levels']} levels: {whole // mib} MiB written in {seconds:.1f} s")
    if plan["spilled_bytes"] == 0:
        raise SystemExit("this plan does not spill")
    bound = whole * 1.05 + 256 * mib
    good = True
    print(f"{'killed at':>10}{'first':>10}{'second':>10}{'resumed':>10}{'more':>10}{'bound':>10}  MiB")
    for part in (0.25, 0.5, 0.75, 0.95):
        clear()
        first, _, _ = run(binary, directory, side, kill_at=part)
        second, _, report = run(binary, directory, side, ["--resume"])
        verdict = subprocess.run([binary, "verify", "a", "b", "-q"], cwd=directory, check=False).returncode
        left = sorted(path.name for path in directory.iterdir())
        good &= first + second <= bound and verdict == 0 and left == ["a", "b", "report.json"]
        row = [first, second, report["resumed_bytes"], first + second - whole, bound - whole]
        print(f"{part:>10.0%}" + "".join(f"{number / mib:>10.1f}" for number in row) + f"  verify {verdict}, left {left}")
    clear()
    print("within the bound" if good else "NOT within the bound")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
