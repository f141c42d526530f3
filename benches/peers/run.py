#!/usr/bin/env python3
"""run.py: rezarr and its peers rechunk the same arrays in turn; time, memory and results are compared.

    python3 benches/peers/run.py                               # every workload, every tool, three rounds
    python3 benches/peers/run.py --only W1z,W3c --tools limit,rezarr,rezarr@1/4,ts-blocks
    python3 benches/peers/run.py --quick --rounds 1            # an eighth of the data, to see whether all of it works
    python3 benches/peers/run.py --cgroup 256MiB               # as root: a hard limit, a cold cache, half the limit as the budget
    python3 benches/peers/run.py --everything                  # all of this
    python3 benches/peers/plot.py                              # benches/peers.svg of the last results

Needs python3 (3.11 or newer, with venv), cargo and a C compiler, access to PyPI and crates.io the first time, 12 GB of disk and 6 GiB of memory.
Everything lies in target/peers: sources stay there between runs (`--clean` deletes them), results are in target/peers/results. In the first round
each result is compared with its source bit for bit.

The limit is what reading, decoding, scattering, encoding and writing cost alone on one thread with the page cache warm, over the cores. Times are
medians, of the whole process from start to end; a tool that took more than --patience seconds is not run again.
"""

import argparse
import datetime
import fcntl
import fractions
import json
import os
import platform
import shutil
import signal
import subprocess
import sys

import measure
import plot
import report
import tools
import workloads

MIB = 1 << 20
FEWEST_BYTES_FREE = 6 << 30
RESULTS = tools.PEERS / "results"


def size(text):
    for suffix, factor in (("GiB", 1 << 30), ("MiB", MIB), ("KiB", 1 << 10)):
        if text.endswith(suffix):
            return int(float(text.removesuffix(suffix)) * factor)
    return int(text)


class Bench:
    def __init__(self, options, group=None):
        self.options, self.group = options, group
        self.threads = len(os.sched_getaffinity(0))
        self.python = tools.PEERS / "venv-peers/bin/python"
        self.sources, self.work = tools.PEERS / ("sources-quick" if options.quick else "sources"), tools.PEERS / "work"
        self.target = self.work / "target"
        self.results = {"heading": self.heading(), "cells": {}}

    def heading(self):
        amount = "an eighth of the data, " if self.options.quick else ""
        where = f"{amount}{platform.system()} {platform.release()}, {self.threads} cores, {datetime.date.today()}"
        if self.group:
            return f"In a control group of {self.group.limit // MIB} MiB, with half of it as the budget and a cold page cache ({where}, {self.options.rounds} rounds)."
        return f"Page cache {'cold' if self.options.cold else 'warm'} ({where}, {self.options.rounds} rounds, medians)."

    def source(self, workload):
        """Written once, and again if what it should be has changed."""
        data = workloads.DATA[workload.data]
        path, metadata = self.sources / workload.source_name, workloads.metadata(data, workload.source)
        document = path.with_suffix(".json")
        done = path.with_suffix(".done")
        wanted = json.dumps(metadata) + (tools.HERE / "sources.py").read_text(encoding="utf-8")
        if not done.exists() or done.read_text(encoding="utf-8") != wanted:
            tools.say(f"writing {path.name}")
            done.unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)
            self.sources.mkdir(parents=True, exist_ok=True)
            document.write_text(json.dumps(metadata), encoding="utf-8")
            subprocess.run([self.python, tools.HERE / "sources.py", workload.data, document, path], check=True)
            done.write_text(wanted, encoding="utf-8")
        return path

    def old_format(self, workload, source):
        """The same chunks as an array of Zarr v2: only documents differ."""
        path = self.work / "v2"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        data, codec = workloads.DATA[workload.data], workload.source["codec"]
        blosc = {"id": "blosc", "cname": "lz4", "clevel": codec["level"], "shuffle": 1, "blocksize": 0}
        compressor = {"none": None, "zstd": {"id": "zstd", "level": codec["level"]}, "blosc": blosc}[codec["name"]]
        fixed = {"zarr_format": 2, "order": "C", "filters": None, "fill_value": 0, "dimension_separator": "/"}
        document = fixed | {"shape": data.shape, "chunks": workload.source["chunks"], "dtype": data.dtype, "compressor": compressor}
        (path / ".zarray").write_text(json.dumps(document), encoding="utf-8")
        for child in (source / "c").iterdir():
            (path / child.name).symlink_to(child)
        return path

    def clear(self):
        """Removes what a run has written, and waits until the disk is at rest."""
        for path in self.work.glob("target*"):
            shutil.rmtree(path)
        os.sync()

    def job(self, workload, way, source):
        whole = self.group.limit // 2 if self.group else workload.budget
        job = workloads.job(workload, source, self.target, way.budget(whole), self.threads)
        data = workloads.DATA[workload.data]
        job["sync"] = way.tool.name == "rezarr-synced"
        job["piece"] = workloads.region(data.shape, data.item, workload.source, workload.target, 1 << 30)
        if way.tool.name == "rechunker" and not way.tool.lacks(job):
            job["source_v2"] = str(self.old_format(workload, source))
        return job

    def once(self, workload, way, source, first):
        self.clear()
        file = self.work / "job.json"
        job = self.job(workload, way, source)
        lacks = way.tool.lacks(job)
        if lacks:
            return {"failed": f"cannot: {lacks}"}
        tools.write_job(file, job)
        (measure.cold if self.group or self.options.cold else measure.warm)(source)
        run = measure.measured(way.tool.command(job, file), self.options.timeout, self.group)
        run["budget"] = job["budget"]
        if way.tool.name == "limit" and "failed" not in run:
            run["parts"] = json.loads(run["printed"])
        if first and way.tool.result and "failed" not in run:
            compared = subprocess.run([self.python, tools.HERE / "compare.py", file], capture_output=True, text=True)
            if compared.returncode != 0:
                run["failed"] = "wrong: " + (compared.stderr.strip().splitlines() or ["no message"])[-1]
        return run

    def workload(self, name, chosen):
        """All ways in turn, and again."""
        workload = workloads.WORKLOADS[name]
        source = self.source(workload)
        cell = self.results["cells"].setdefault(name, {})
        for number in range(self.options.rounds):
            for way in chosen:
                runs = cell.setdefault(way.name, [])
                if runs and ("failed" in runs[-1] or runs[-1]["wall"] > self.options.patience):
                    continue
                runs.append(self.once(workload, way, source, number == 0))
                run = runs[-1]
                said = run.get("failed") or f"{run['wall']:.2f} s, {run['peak'] / MIB:.0f} MiB"
                tools.say(f"{name}, round {number + 1}: {way.name}: {said}")
        self.clear()

    def run(self, chosen, names, file):
        self.work.mkdir(parents=True, exist_ok=True)
        RESULTS.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.work).free
        if free < FEWEST_BYTES_FREE:
            raise SystemExit(f"{self.work}: {free >> 30} GiB free, {FEWEST_BYTES_FREE >> 30} GiB are needed")
        for name in names:
            self.workload(name, chosen)
            # What was measured so far is kept, whatever happens next.
            (RESULTS / file).write_text(json.dumps(self.results, indent=1), encoding="utf-8")
        peers = {tool.name for tool in tools.TOOLS if tool.peer}
        text = report.markdown(self.results, peers)
        (RESULTS / file).with_suffix(".md").write_text(text, encoding="utf-8")
        print(text, flush=True)
        return any(run.get("failed", "").startswith("wrong") for cell in self.results["cells"].values() for runs in cell.values() for run in runs)


LIMITED = ["W1z", "W2z", "W4r", "W3z"]


def names(text):
    chosen = text.split(",") if text else list(workloads.WORKLOADS)
    for name in chosen:
        if name not in workloads.WORKLOADS:
            raise SystemExit(f"--only: {name} is none of {', '.join(workloads.WORKLOADS)}")
    return chosen


def limited(options, chosen, wanted, file):
    group = measure.Group(size(options.cgroup))
    try:
        return Bench(options, group).run(chosen, wanted, file)
    finally:
        group.close()


def compare(options):
    every = [tool.name for tool in tools.TOOLS]
    if options.everything:
        at = every.index("rezarr") + 1
        every[at:at] = ["rezarr@1/4", "rezarr@1/16"]
    fractions_wanted = [fractions.Fraction(text) for text in options.budget_fraction.split(",")]
    chosen = tools.ways(options.tools.split(",") if options.tools else every, fractions_wanted)
    wanted = names(options.only)
    tools.install(chosen)
    wrong = False
    if options.everything or not options.cgroup:
        wrong = Bench(options).run(chosen, wanted, f"{options.name}.json")
        plot.write(RESULTS / f"{options.name}.json", RESULTS / f"{options.name}.svg")
    if options.everything or options.cgroup:
        options.cgroup = options.cgroup or "256MiB"
        # The limit is one of a warm page cache, and of any memory.
        inside = [way for way in chosen if way.fraction == 1 and way.tool.name != "limit"] if options.everything else chosen
        some = [name for name in LIMITED if name in wanted] if options.everything else wanted
        wrong |= limited(options, inside, some, f"{options.name}-limited.json")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"workloads: {', '.join(workloads.WORKLOADS)}")
    parser.add_argument("--tools", help=f"tools, each as NAME or NAME@FRACTION: {', '.join(tool.name for tool in tools.TOOLS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget-fraction", default="1", help="of the workload's budget, for tools that take one: 1, 1/4, 1/16, or several with commas")
    parser.add_argument("--cgroup", metavar="SIZE", help="run each tool in a control group of this much memory, with half of it as the budget")
    parser.add_argument("--cold", action="store_true", help="take the source out of the page cache before each run")
    parser.add_argument("--everything", action="store_true", help="rezarr with a quarter and a sixteenth of the budget, too, and then some workloads in a control group of 256 MiB")
    parser.add_argument("--name", help="of the results: results, or quick")
    parser.add_argument("--quick", action="store_true", help="about an eighth of the data, to see whether all of it works")
    parser.add_argument("--timeout", type=float, default=120, help="seconds after which a run is ended")
    parser.add_argument("--patience", type=float, default=20, help="seconds after which a tool is not run again")
    parser.add_argument("--clean", action="store_true", help="delete the sources, and do nothing else")
    options = parser.parse_args()
    options.name = options.name or ("quick" if options.quick else "results")
    if options.quick:
        workloads.quick()
    if options.clean:
        for name in ("sources", "sources-quick"):
            shutil.rmtree(tools.PEERS / name, ignore_errors=True)
        return 0
    # So that what was written is deleted then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    tools.PEERS.mkdir(parents=True, exist_ok=True)
    with open(tools.PEERS / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return "another comparison is running: two would measure each other"
        try:
            return int(compare(options))
        finally:
            shutil.rmtree(tools.PEERS / "work", ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
