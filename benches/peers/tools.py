"""tools.py: the programs that are compared, how each is installed below target/, and the command that does a job."""

import dataclasses
import fractions
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys

import workloads

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PEERS = TARGET / "peers"
NATIVE = PEERS / "native/release/peers-native"
REZARR = TARGET / "release/rezarr"
ZARRS_TOOLS = "0.8.1"
REENCODE = PEERS / "zarrs_tools/bin/zarrs_reencode"


def say(text):
    print(text, file=sys.stderr, flush=True)


def venv(name):
    """Python with the pinned packages of requirements-NAME.txt."""
    directory, requirements = PEERS / f"venv-{name}", HERE / f"requirements-{name}.txt"
    stamp, wanted = directory / "stamp", requirements.read_text(encoding="utf-8")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        say(f"installing {requirements.name}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        install = ["pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", requirements]
        subprocess.run([directory / "bin/python", "-m", *install], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return directory / "bin/python"


def cargo(*arguments):
    # Not from the root of the project: the settings of its own build are its own.
    subprocess.run(["cargo", *map(str, arguments)], check=True, cwd=PEERS)


def build_native():
    cargo("build", "--quiet", "--release", "--locked", "--manifest-path", HERE / "native/Cargo.toml", "--target-dir", PEERS / "native")


def build_rezarr():
    cargo("build", "--quiet", "--release", "--locked", "--features", "cli", "--manifest-path", ROOT / "Cargo.toml", "--target-dir", TARGET)


def install_zarrs_tools():
    if not REENCODE.exists():
        say(f"installing zarrs_tools {ZARRS_TOOLS}; this takes minutes")
        build = PEERS / "zarrs_tools-build"
        cargo("install", "--quiet", "zarrs_tools", "--version", ZARRS_TOOLS, "--locked", "--root", PEERS / "zarrs_tools", "--target-dir", build)
        shutil.rmtree(build)


@dataclasses.dataclass(frozen=True)
class Tool:
    """A way to do a job: `command` makes the arguments from the job and its file."""

    name: str
    command: object
    install: tuple = ()
    # Is told a budget, so that running it with less makes sense.
    bounded: bool = False
    # What it cannot do, as a function of the job: a reason, or nothing.
    lacks: object = lambda job: None
    # Leaves an array behind that can be compared.
    result: bool = True
    # A peer: what rezarr is measured against.
    peer: bool = True


def rezarr(job, _file):
    def numbers(shape):
        return ",".join(map(str, shape)) if shape else "none"

    to = job["to"]
    codec = {"none": "none", "zstd": f"zstd:{to['codec']['level']}", "blosc": f"blosc:lz4:{to['codec']['level']}:shuffle"}[to["codec"]["name"]]
    layout = ["--chunks", numbers(to["chunks"]), "--shards", numbers(to["shards"]), "--codec", codec]
    sync = [] if job["sync"] else ["--no-sync"]
    return [REZARR, "rechunk", job["source"], job["target"], *layout, "--memory", str(job["budget"]), "--threads", str(job["threads"]), "--json", *sync]


def python(name, way):
    return lambda job, file: [PEERS / f"venv-{name}/bin/python", HERE / "peers.py", way, file]


def native(way):
    return lambda job, file: [NATIVE, way, file]


def reencode(cache):
    """zarrs_reencode keeps the chunks of an unsharded source whatever it is told, but obeys where the target has shards: of one chunk each, then."""

    def command(job, _file):
        def numbers(shape):
            return ",".join(map(str, shape))

        to = job["to"]
        compressors = json.dumps(workloads.codecs(to["codec"], job["item"])[1:])
        layout = ["--chunk-shape", numbers(to["chunks"]), "--shard-shape", numbers(workloads.unit(to)), "--bytes-to-bytes-codecs", compressors]
        return [REENCODE, *layout, *(["--cache-size", str(cache(job))] if cache else []), job["source"], job["target"]]

    return command


def more_than_the_array(job):
    return 2 * math.prod(job["shape"]) * job["item"]


def packages():
    venv("peers")


def packages_v2():
    venv("rechunker")


def no_shards(job):
    return "Zarr v2 has no shards" if job["to"]["shards"] or job["from"]["shards"] else None


TOOLS = [
    Tool("limit", native("limit"), (build_native,), result=False, peer=False),
    Tool("ideal-ram", native("ideal-ram"), (build_native,), peer=False),
    Tool("rezarr", rezarr, (build_rezarr,), bounded=True, peer=False),
    Tool("rezarr-synced", rezarr, (build_rezarr,), bounded=True, peer=False),
    Tool("zarrs-blocks", native("zarrs-blocks"), (build_native,), bounded=True),
    Tool("ts-blocks", python("peers", "ts-blocks"), (packages,), bounded=True),
    Tool("ts-whole", python("peers", "ts-whole"), (packages,)),
    Tool("zarr-blocks", python("peers", "zarr-blocks"), (packages,), bounded=True),
    Tool("zarr-whole", python("peers", "zarr-whole"), (packages,)),
    Tool("dask-tasks", python("peers", "dask-tasks"), (packages,)),
    Tool("rechunker", python("rechunker", "rechunker"), (packages_v2,), bounded=True, lacks=no_shards),
    Tool("zarrs_reencode", reencode(None), (install_zarrs_tools,)),
    Tool("zarrs_reencode-cache", reencode(lambda job: job["budget"]), (install_zarrs_tools,), bounded=True),
    Tool("zarrs_reencode-bigcache", reencode(more_than_the_array), (install_zarrs_tools,)),
    Tool("cp-r", lambda job, file: ["cp", "-r", job["source"], job["target"]], result=False, peer=False),
]


@dataclasses.dataclass(frozen=True)
class Way:
    """A tool, with the whole budget of a workload or a fraction of it."""

    tool: Tool
    fraction: fractions.Fraction

    @property
    def name(self):
        return self.tool.name + ("" if self.fraction == 1 else f"@{self.fraction}")

    def budget(self, whole):
        return max(int(whole * self.fraction), min(whole, workloads.SMALLEST_BUDGET))


def ways(names, fractions_wanted):
    """`rezarr`, `rezarr@1/4`: tools without a fraction of their own run with each that is wanted, if a budget means anything to them."""
    known = {tool.name: tool for tool in TOOLS}
    out = []
    for name in names:
        name, _, own = name.partition("@")
        if name not in known:
            raise SystemExit(f"--tools: {name} is none of {', '.join(known)}")
        tool = known[name]
        for fraction in [fractions.Fraction(own)] if own else fractions_wanted if tool.bounded else [fractions.Fraction(1)]:
            out.append(Way(tool, fraction))
    return list(dict.fromkeys(out))


def install(chosen):
    PEERS.mkdir(parents=True, exist_ok=True)
    steps = dict.fromkeys([packages, build_native, *(step for way in chosen for step in way.tool.install)])
    for step in steps:
        step()


def write_job(file, job):
    file.write_text(json.dumps(job), encoding="utf-8")
