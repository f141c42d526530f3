#!/usr/bin/env python3
"""codecs.py: throughput of every codec in rezarr, beside numcodecs and the zarrs crate, in one run.

A chunk of 4 MiB as climate models give them (float32: a smooth field with noise, in steps of 1/64; int16: the same packed; bool: where it is
warm) is encoded and decoded by each in turn, on one thread and in memory: rezarr's pipeline without store and array, as a rechunk uses it, with
buffers and contexts that live from chunk to chunk; the codecs of numcodecs (threads off), which decode into a buffer that lives as long; and zarrs'
chain of codecs, which gives a new buffer each time. The three take turns within a round, each round in another order. A ratio is the median
over the rounds of rezarr's time to the other's in the same round: below 1, rezarr is faster. Left out are codecs that rezarr or both others
lack (blosc with snappy is not encoded), and those of strings.

    cargo build --release --features lzma --example codec_throughput
    cargo build --release --manifest-path tests/zarrs-judge/Cargo.toml --target-dir target/zarrs-judge
    python3 benches/codecs.py

Needs python3 (3.11 or newer, with venv) and access to PyPI the first time. Prints a Markdown table.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import survey

MIB = 1 << 20
CNAMES = ["lz4", "lz4hc", "blosclz", "zstd", "zlib", "snappy"]
SHUFFLES = ["noshuffle", "shuffle", "bitshuffle"]
TYPES = {"float32": 4, "int16": 2, "bool": 1}
READY = "REZARR_BENCH_READY"


def codec(name, **configuration):
    return {"name": name, "configuration": configuration}


def cases(dtype):
    """(label, codecs of zarr.json besides bytes, names of numcodecs' classes with their arguments; none where it has no such codec)."""
    size = TYPES[dtype]
    if dtype == "bool":
        yield "packbits", [codec("packbits", padding_encoding="first_byte")], [("PackBits", {})]
        return
    kind = "<" + dtype[0] + str(size)
    yield "crc32c", [codec("crc32c")], [("CRC32C", dict(location="end"))]
    for level in (1, 6):
        yield f"gzip {level}", [codec("gzip", level=level)], [("GZip", dict(level=level))]
    for level in (1, 3, 9):
        yield f"zstd {level}", [codec("zstd", level=level, checksum=False)], [("Zstd", dict(level=level))]
    yield "zstd 3, crc32c", [codec("zstd", level=3, checksum=False), codec("crc32c")], [("Zstd", dict(level=3)), ("CRC32C", dict(location="end"))]
    yield "numcodecs.zlib 1", [codec("numcodecs.zlib", level=1)], [("Zlib", dict(level=1))]
    yield "numcodecs.bz2 1", [codec("numcodecs.bz2", level=1)], [("BZ2", dict(level=1))]
    yield "numcodecs.lz4", [codec("numcodecs.lz4", acceleration=1)], [("LZ4", dict(acceleration=1))]
    yield "numcodecs.lzma 1", [codec("numcodecs.lzma", preset=1)], [("LZMA", dict(preset=1))]
    shuffle = codec("numcodecs.shuffle", elementsize=size)
    yield "numcodecs.shuffle", [shuffle], [("Shuffle", dict(elementsize=size))]
    yield "numcodecs.shuffle, zlib 1", [shuffle, codec("numcodecs.zlib", level=1)], [("Shuffle", dict(elementsize=size)), ("Zlib", dict(level=1))]
    for name, label in (("crc32", "CRC32"), ("adler32", "Adler32"), ("fletcher32", "Fletcher32")):
        yield f"numcodecs.{name}", [codec(f"numcodecs.{name}")], [(label, {})]
    if dtype == "int16":
        yield "numcodecs.delta", [codec("numcodecs.delta", dtype=kind, astype=kind)], [("Delta", dict(dtype=kind))]
    else:
        scale = dict(scale=64, offset=280, dtype="<f4", astype="<i2")
        yield "numcodecs.fixedscaleoffset", [codec("numcodecs.fixedscaleoffset", **scale)], [("FixedScaleOffset", scale)]
        yield "numcodecs.quantize 2", [codec("numcodecs.quantize", digits=2, dtype="<f4")], [("Quantize", dict(digits=2, dtype="<f4"))]
        yield "bitround 16", [codec("bitround", keepbits=16)], [("BitRound", dict(keepbits=16))]
        yield "numcodecs.astype", [codec("numcodecs.astype", encode_dtype="<f8", decode_dtype="<f4")], [("AsType", dict(encode_dtype="<f8", decode_dtype="<f4"))]
    for cname in CNAMES[:5]:
        for shuffle in SHUFFLES:
            arguments = dict(cname=cname, clevel=5, shuffle=SHUFFLES.index(shuffle), blocksize=0)
            configuration = dict(cname=cname, clevel=5, shuffle=shuffle, typesize=size, blocksize=0)
            yield f"blosc {cname} {shuffle}", [codec("blosc", **configuration)], [("Blosc", arguments)]


# Codecs between arrays stand before bytes, all others behind.
ARRAY_TO_ARRAY = ("numcodecs.delta", "numcodecs.fixedscaleoffset", "numcodecs.quantize", "numcodecs.astype", "bitround")


def document(shape, dtype, codecs):
    before = [one for one in codecs if one["name"] in ARRAY_TO_ARRAY]
    behind = [one for one in codecs if one["name"] not in ARRAY_TO_ARRAY]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": dtype,
        "chunk_grid": codec("regular", chunk_shape=shape),
        "chunk_key_encoding": codec("default", separator="/"),
        "fill_value": False if dtype == "bool" else 0,
        "codecs": codecs if dtype == "bool" else [*before, codec("bytes", endian="little"), *behind],
    }


def climate(size_bytes, dtype):
    """Temperatures: waves over the globe, a wave in time, noise of some hundredths of a degree, as they are rounded for storage."""
    import numpy as np

    side = 64
    steps = max(size_bytes // TYPES[dtype] // side**2, 1)
    t, y, x = np.meshgrid(np.arange(steps), np.linspace(-1.5, 1.5, side), np.linspace(0, 6.28, side), indexing="ij")
    field = 280 + 25 * np.cos(y) + 4 * np.sin(3 * x + 0.1 * t) * np.cos(2 * y) + np.random.default_rng(1).normal(0, 0.03, (steps, side, side))
    if dtype == "int16":
        return np.round((field - 280) * 100).astype("<i2")
    if dtype == "bool":
        return field > 280
    # To a step that binary numbers have, so that rounding filters give back what they get.
    return (np.round(field * 64) / 64).astype("<f4")


class Program:
    """A program that answers requests, one a line."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ask(self, command, argument):
        """The answer, or none if the program ended instead."""
        try:
            self.process.stdin.write(f"{command} {argument}\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            print(f"{command} {argument}: {self.process.communicate()[1].strip().splitlines()[-1:]}", file=sys.stderr)
        return float(answer) if answer else None

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Numcodecs:
    """The same requests within this process."""

    def __init__(self, elements, chain):
        import numcodecs
        import numpy as np

        numcodecs.blosc.use_threads = False
        numcodecs.blosc.set_nthreads(1)
        self.elements, self.out = elements, np.empty_like(elements)
        make = {name: getattr(numcodecs, name, None) or getattr(numcodecs.checksum32, name) for name, _ in chain}
        self.codecs = [make[name](**arguments) for name, arguments in chain]
        self.encoded = self.encode()
        self.decode()
        if not np.array_equal(self.out, elements):
            raise SystemExit(f"{self.codecs}: numcodecs decodes other elements than it encoded")

    def encode(self):
        stored = self.elements
        for one in self.codecs:
            stored = one.encode(stored)
        return stored

    def decode(self):
        stored = self.encoded
        for position, one in reversed(list(enumerate(self.codecs))):
            # All of those that are measured take a buffer for what comes out.
            stored = one.decode(stored, out=self.out) if position == 0 else one.decode(stored)
        return stored

    def size(self):
        return memoryview(self.encoded).nbytes

    def ask(self, command, times):
        step = self.encode if command == "encode" else self.decode
        begun = time.perf_counter()
        for _ in range(times):
            step()
        return time.perf_counter() - begun


def measure(programs, command, options):
    """Seconds a chunk, of each program in each round. Nobody repeats so seldom that the clock would matter."""
    repeats = {}
    for name, program in programs.items():
        once = max(program.ask(command, 1), 1e-6)
        repeats[name] = max(int(options.seconds / once), 1)
    seconds = {name: [] for name in programs}
    names = list(programs)
    for number in range(options.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            seconds[name].append(programs[name].ask(command, repeats[name]) / repeats[name])
    return seconds


def ratio(seconds, other):
    if other not in seconds:
        return ""
    return f"{statistics.median(a / b for a, b in zip(seconds['rezarr'], seconds[other])):.2f}"


def row(label, dtype, size_bytes, sizes, results):
    cells = [label, dtype]
    for command in ("encode", "decode"):
        seconds = results[command]
        cells.append(f"{size_bytes / MIB / statistics.median(seconds['rezarr']):.0f}")
        cells += [ratio(seconds, "numcodecs"), ratio(seconds, "zarrs")]
    cells += [f"{sizes[name] / size_bytes:.3f}" if name in sizes else "" for name in ("rezarr", "numcodecs", "zarrs")]
    return "| " + " | ".join(cells) + " |"


HEAD = ["codec", "type", "encode MiB/s", "to numcodecs", "to zarrs", "decode MiB/s", "to numcodecs", "to zarrs", "size", "numcodecs'", "zarrs'"]


def one(label, dtype, codecs, chain, directory, options):
    elements = climate(options.kib << 10, dtype)
    (directory / "chunk.raw").write_bytes(elements.tobytes())
    (directory / "zarr.json").write_text(json.dumps(document(list(elements.shape), dtype, codecs)), encoding="utf-8")
    programs, sizes = {}, {}
    for name, command in {"rezarr": [options.rezarr], "zarrs": [options.zarrs, "bench"]}.items():
        program = Program(command)
        size = program.ask("open", directory)
        if size is not None:
            programs[name], sizes[name] = program, size
    if "rezarr" not in programs:
        return f"| {label} | {dtype} | not supported |"
    numcodecs = Numcodecs(elements, chain)
    programs["numcodecs"], sizes["numcodecs"] = numcodecs, numcodecs.size()
    results = {command: measure(programs, command, options) for command in ("encode", "decode")}
    for name in ("rezarr", "zarrs"):
        if name in programs:
            programs[name].close()
    return row(label, dtype, elements.nbytes, sizes, results)


def main():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", survey.ROOT / "target")).resolve()
    if READY not in os.environ:
        # Again, with the packages that the interoperability tests pin.
        python = survey.interpreter(target)
        os.execve(python, [python, __file__, *sys.argv[1:]], {**os.environ, READY: "1"})
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rezarr", default=str(target / "release/examples/codec_throughput"))
    parser.add_argument("--zarrs", default=str(target / "zarrs-judge/release/zarrs-judge"))
    parser.add_argument("--kib", type=int, default=4096, help="size of the chunk")
    parser.add_argument("--seconds", type=float, default=0.2, help="of one program in one round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="codecs whose label contains this")
    options = parser.parse_args()
    directory = target / "bench/codecs"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        print(f"chunks of {options.kib} KiB, one thread, medians of {options.rounds} rounds; ratios of time, below 1 rezarr is faster\n")
        print("\n".join(["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]))
        for dtype in TYPES:
            for label, codecs, chain in cases(dtype):
                if options.only in label:
                    print(one(label, dtype, codecs, chain, directory, options), flush=True)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
