#!/usr/bin/env python3
"""survey.py: rechunks a survey of light curves, larger than memory is allowed to be, and times it beside zarr-python.

A store of 2 GiB (float32; object, epoch, band, quantity; one epoch a chunk; zstd) is written by zarr-python and rechunked for reading by
object: into chunks of 1000 objects and all epochs, and into shards of that shape with inner chunks of 10 objects. Three ways take turns:
rezarr in 64 MiB without waiting for the disk, zarr-python reading the whole array into memory and writing it under the same layout, and
rezarr until the result would survive a power cut. The page cache holds the source before each run, and no data wait to be written. Then
zarr-python and TensorStore compare both results with the source bit for bit.

    cargo build --release --features cli && python3 benches/survey.py

Needs python3 (3.11 or newer, with venv), access to PyPI the first time, about 6 GiB of disk, and memory for twice the array. Everything lies
in target/; the data are deleted at the end. Prints a Markdown table; exit code 1 if an element differs, or a chunk was decoded twice.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
INTEROP = ROOT / "tests/interop"
REQUIREMENTS = INTEROP / "requirements.txt"
BANDS, QUANTITIES = 2, 2
OBJECTS_A_CHUNK, OBJECTS_AN_INNER_CHUNK = 1000, 10
MIB = 1 << 20

WHOLE = f"object={OBJECTS_A_CHUNK},epoch=all"
TARGETS = {
    "chunks": ["--chunks", WHOLE],
    "shards": ["--chunks", f"object={OBJECTS_AN_INNER_CHUNK},epoch=all", "--shards", WHOLE],
}


def interpreter(target):
    """Python with the packages that the interoperability tests pin, in an environment of its own."""
    directory = target / "bench-venv"
    stamp = directory / "stamp"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != REQUIREMENTS.read_text(encoding="utf-8"):
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        install = ["pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", REQUIREMENTS]
        subprocess.run([directory / "bin/python", "-m", *install], check=True)
        stamp.write_text(REQUIREMENTS.read_text(encoding="utf-8"), encoding="utf-8")
    return str(directory / "bin/python")


def measured(command):
    """Runs a command: its wall time and processor time in seconds, its peak memory in bytes, and what it printed.

    This program itself stays small: the kernel counts its image as the child's until the child has called exec.
    """
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            printed = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            process.terminate()
            raise
    wall = time.perf_counter() - begun
    if process.returncode != 0:
        raise SystemExit(f"{command} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * unit, "printed": printed}


def warm(directory):
    """Reads all files, so that each run finds the source in the page cache, and waits for what earlier runs left to be written."""
    os.sync()
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(4 * MIB):
                    pass


class Bench:
    def __init__(self, options, data, target):
        self.options, self.data = options, data
        self.source = data / "epochs"
        self.rezarr = str(target / "release/rezarr")
        self.python = interpreter(target)

    def write_source(self):
        arguments = [self.source, self.options.objects, self.options.epochs, "-", self.options.level]
        print(subprocess.run([self.python, INTEROP / "write_survey.py", *map(str, arguments)], check=True, capture_output=True, text=True).stdout, end="")

    def run(self, way, layout, result):
        """One way to one layout, from the array alone."""
        source = str(self.source / "lightcurves")
        if result.exists():
            shutil.rmtree(result)
        warm(self.source)
        if way == "zarr-python":
            return measured([self.python, __file__, "--copy", source, str(result), layout])
        sync = [] if way == "rezarr, synced" else ["--no-sync"]
        run = measured([self.rezarr, "rechunk", source, str(result), *TARGETS[layout], "--memory", self.options.memory, "--json", *sync])
        run["report"] = json.loads(run["printed"])["arrays"][0]
        return run

    def rounds(self, layout):
        """All ways in turn, first in one order, then in the other. The last results are kept, to be compared."""
        ways = ["rezarr", "zarr-python", "rezarr, synced"]
        runs = {way: [] for way in ways}
        for number in range(self.options.rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                runs[way].append(self.run(way, layout, self.data / layout / way.replace(", ", "-")))
                print(f"{layout}, round {number + 1}: {way} {runs[way][-1]['wall']:.1f} s", file=sys.stderr)
        shutil.rmtree(self.data / layout / "zarr-python")
        return runs

    def compare(self, layout):
        results = [str(self.data / layout / way) for way in ("rezarr", "rezarr-synced")]
        subprocess.run([self.python, __file__, "--compare", str(self.source / "lightcurves"), *results], check=True)


def mib(count):
    return f"{count / MIB:.0f}"


def row(layout, way, runs, baseline):
    """One line of the table: medians, with the plan's prediction behind each figure that the plan predicts.

    The ratio is the median of the ratios to the run of zarr-python in the same round: other load on the machine meets both.
    """
    middle = {key: statistics.median(run[key] for run in runs) for key in ("wall", "cpu", "peak")}
    spread = f"{min(run['wall'] for run in runs):.1f} to {max(run['wall'] for run in runs):.1f}"
    ratio = statistics.median(run["wall"] / other["wall"] for run, other in zip(runs, baseline))
    cells = [layout, way, f"{middle['wall']:.1f}", spread, f"{middle['cpu']:.1f}", mib(middle["peak"]), "", ""]
    if "report" in runs[0]:
        plan, done = runs[-1]["report"]["plan"], runs[-1]["report"]["measured"]
        cells[2] += f" ({plan['estimated_seconds']:.1f})"
        cells[5] += f" (<= {mib(plan['peak_rss_bytes'])})"
        cells[6] = f"{mib(done['spilled_bytes'])} ({mib(plan['spilled_bytes'])})"
        cells[7] = f"{mib(done['decoded_bytes'])} ({mib(plan['decoded_bytes'])})"
    cells.append(f"{ratio:.2f}")
    return "| " + " | ".join(cells) + " |"


HEAD = ["layout", "program", "wall s", "range s", "processor s", "peak MiB", "spilled MiB", "decoded MiB", "wall to zarr-python"]


def bench(options):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    if not (target / "release/rezarr").exists():
        raise SystemExit(f"{target}/release/rezarr is missing: cargo build --release --features cli")
    data = target / "bench/survey"
    # So that the data are deleted then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    try:
        once = Bench(options, data, target)
        once.write_source()
        source_bytes = options.objects * options.epochs * BANDS * QUANTITIES * 4
        print(f"{source_bytes / MIB:.0f} MiB, {os.cpu_count()} cores, {options.memory} for rezarr, median of {options.rounds} rounds, prediction in ()\n")
        lines, wrong = [], []
        for layout in TARGETS:
            (data / layout).mkdir()
            runs = once.rounds(layout)
            lines += [row(layout, way, runs[way], runs["zarr-python"]) for way in runs]
            decoded = {run["report"]["measured"]["decoded_bytes"] for way in runs for run in runs[way] if "report" in run}
            wrong += [f"{layout}: {count} bytes decoded of {source_bytes}" for count in decoded if count != source_bytes]
            once.compare(layout)
            shutil.rmtree(data / layout)
        print("\n".join(["", "| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD), *lines]))
        return "\n".join(wrong) or None
    finally:
        if not options.keep:
            shutil.rmtree(data)


def copy(source, result, layout):
    """What a person with enough memory does in zarr-python."""
    import zarr

    array = zarr.open_array(store=source, mode="r")
    whole = (OBJECTS_A_CHUNK, *array.shape[1:])
    inner = (OBJECTS_AN_INNER_CHUNK, *array.shape[1:])
    target = zarr.create_array(
        store=result,
        shape=array.shape,
        chunks=whole if layout == "chunks" else inner,
        shards=None if layout == "chunks" else whole,
        dtype=array.dtype,
        fill_value=array.fill_value,
        compressors=array.compressors,
        dimension_names=array.metadata.dimension_names,
        attributes=dict(array.attrs),
    )
    target[...] = array[...]


def compare(source, *results):
    """Fails unless zarr-python and TensorStore read in each result the elements of the source, bit for bit."""
    import numpy as np
    import tensorstore
    import zarr

    def bits(path, reader):
        if reader == "zarr-python":
            return zarr.open_array(store=path, mode="r")[...].view(np.uint32)
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}
        return np.asarray(tensorstore.open(spec, open=True).result().read().result()).view(np.uint32)

    expected = bits(source, "zarr-python")
    for path in results:
        for reader in ("zarr-python", "tensorstore"):
            if not np.array_equal(bits(path, reader), expected):
                raise SystemExit(f"{path} differs from {source} as {reader} reads it")
        print(f"{path}: zarr-python and TensorStore read the {expected.size} elements of the source", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=525_000, help="with 256 epochs, 525000 objects are 2 GiB")
    parser.add_argument("--epochs", type=int, default=256)
    parser.add_argument("--level", type=int, default=0, help="of zstd; 0 is what zarr-python writes by default")
    parser.add_argument("--memory", default="64MiB", help="budget of rezarr")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="do not delete the source at the end")
    return bench(parser.parse_args())


if __name__ == "__main__":
    steps = {"--copy": copy, "--compare": compare}
    if len(sys.argv) > 1 and sys.argv[1] in steps:
        sys.exit(steps[sys.argv[1]](*sys.argv[2:]))
    sys.exit(main())
