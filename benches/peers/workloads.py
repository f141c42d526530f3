"""workloads.py: what the peer comparison rechunks, and the job that every tool is given alike.

Sizes and budgets are fixed: tables of different days and machines compare. `z` is zstd, `r` no codec, `s` into shards, `b` blosc with lz4, `c` chunks
into larger chunks.
"""

import dataclasses
import itertools
import math

MIB = 1 << 20
ZSTD = {"name": "zstd", "level": 3}
BLOSC = {"name": "blosc", "level": 5}
NONE = {"name": "none", "level": 0}
SMALLEST_BUDGET = 16 * MIB


@dataclasses.dataclass(frozen=True)
class Data:
    """Elements that a workload starts from; sources.py knows how to make them."""

    shape: tuple
    dtype: str

    @property
    def item(self):
        return int(self.dtype[-1])

    @property
    def bytes(self):
        return math.prod(self.shape) * self.item


DATA = {
    "curves": Data((140_000, 256, 2, 2), "<f4"),  # object, epoch, band, quantity
    "climate": Data((3650, 180, 360), "<f4"),  # day, latitude, longitude
    "volume": Data((768, 768, 768), "<u2"),
    "matrix": Data((16384, 8192), "<f8"),
    "small": Data((4000, 25600), "<f4"),
}


def layout(chunks, codec=ZSTD, shards=None):
    return {"chunks": list(chunks), "shards": list(shards) if shards else None, "codec": codec}


@dataclasses.dataclass(frozen=True)
class Workload:
    what: str
    data: str
    source: dict
    target: dict
    budget: int = 256 * MIB

    @property
    def source_name(self):
        """Workloads with the same source share it."""
        kind = self.source["codec"]["name"] + ("-shards" if self.source["shards"] else "")
        return f"{self.data}-{kind}"


def both(codec, data, source, target, what, budget=256 * MIB):
    return Workload(what, data, layout(source, codec), layout(target, codec), budget)


EPOCHS, OBJECTS = (140_000, 1, 2, 2), (1000, 256, 2, 2)
MAPS, COLUMNS = (1, 180, 360), (3650, 10, 10)
CUBES, PLANES = (64, 64, 64), (1, 768, 768)
ROWS, STRIPES = (64, 8192), (16384, 32)
SMALL, PACKED = (16, 64), (400, 2560)

WORKLOADS = {
    "W1z": both(ZSTD, "curves", EPOCHS, OBJECTS, "light curves, epochs to objects, zstd"),
    "W1r": both(NONE, "curves", EPOCHS, OBJECTS, "light curves, epochs to objects, uncompressed"),
    "W1s": Workload("light curves, epochs to objects in shards, zstd", "curves", layout(EPOCHS), layout((10, 256, 2, 2), ZSTD, OBJECTS)),
    "W2z": both(ZSTD, "climate", MAPS, COLUMNS, "climate, maps to columns, zstd"),
    "W2r": both(NONE, "climate", MAPS, COLUMNS, "climate, maps to columns, uncompressed"),
    "W3z": both(ZSTD, "volume", CUBES, PLANES, "volume, cubes to planes, zstd"),
    "W3r": both(NONE, "volume", CUBES, PLANES, "volume, cubes to planes, uncompressed"),
    "W3b": both(BLOSC, "volume", CUBES, PLANES, "volume, cubes to planes, blosc with lz4"),
    "W3c": both(ZSTD, "volume", CUBES, (128, 128, 128), "volume, cubes to larger cubes, zstd"),
    "W4z": both(ZSTD, "matrix", ROWS, STRIPES, "matrix, rows to columns, zstd", 64 * MIB),
    "W4r": both(NONE, "matrix", ROWS, STRIPES, "matrix, rows to columns, uncompressed", 64 * MIB),
    "pack": Workload("100 000 small chunks into shards, zstd", "small", layout(SMALL), layout(SMALL, ZSTD, PACKED)),
    "unpack": Workload("shards into 100 000 small chunks, zstd", "small", layout(SMALL, ZSTD, PACKED), layout(SMALL)),
    "recompress": Workload("volume, same cubes, blosc to zstd", "volume", layout(CUBES, BLOSC), layout(CUBES)),
}


QUICK = {"curves": 14_000, "climate": 365, "volume": 128, "matrix": 2048, "small": 400}


def quick():
    """The same with shorter first axes and budgets, to see whether all of it works: times of so little data say nothing."""

    def shorter(layout, size, short):
        first, *rest = layout["chunks"]
        return layout | {"chunks": [short if first == size else first, *rest]}

    for name, workload in WORKLOADS.items():
        size, short = DATA[workload.data].shape[0], QUICK[workload.data]
        parts = {"source": shorter(workload.source, size, short), "target": shorter(workload.target, size, short)}
        budget = max(workload.budget * short // size, SMALLEST_BUDGET)
        WORKLOADS[name] = dataclasses.replace(workload, budget=budget, **parts)
    for name, short in QUICK.items():
        DATA[name] = dataclasses.replace(DATA[name], shape=(short, *DATA[name].shape[1:]))


def unit(layout):
    """The elements of one file."""
    return layout["shards"] or layout["chunks"]


def run(lengths, chunks):
    """Elements that lie one behind the other, both in a chunk and in what a region has of it."""
    elements = 1
    for length, chunk in zip(reversed(lengths), reversed(chunks)):
        elements *= min(length, chunk)
        if length < chunk:
            break
    return elements


def region(shape, item, source, target, budget):
    """The region that a loop over target-aligned regions copies at a time: within half the budget, but one file of the target at least.

    Of all that fit it is the one that decodes the fewest source chunks, then the one with the fewest regions, then the one with the longest rows.
    Of chunks that are not encoded parts can be read alone: there the longest runs of bytes come first.
    """
    edges, chunks = unit(target), source["chunks"]
    options = []
    for size, edge, chunk in zip(shape, edges, chunks):
        axis = []
        for multiple in range(1, math.ceil(size / edge) + 1):
            length = min(size, multiple * edge)
            met = sum(math.ceil(min(size, at + length) / chunk) - at // chunk for at in range(0, size, length))
            axis.append((length, met, math.ceil(size / length)))
        options.append(axis)
    encoded = source["codec"]["name"] != "none"
    best = None
    for choice in itertools.product(*options):
        lengths = [length for length, _, _ in choice]
        if math.prod(lengths) * item > budget // 2 and lengths != list(edges):
            continue
        met = math.prod(met for _, met, _ in choice)
        rank = (0 if encoded else -run(lengths, chunks), met, math.prod(count for _, _, count in choice), [-length for length in reversed(lengths)])
        if best is None or rank < best[0]:
            best = rank, lengths
    return best[1]


def codecs(codec, item):
    """The codecs of zarr.json, without shards."""
    chain = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if codec["name"] == "zstd":
        chain.append({"name": "zstd", "configuration": {"level": codec["level"], "checksum": False}})
    if codec["name"] == "blosc":
        blosc = {"typesize": item, "cname": "lz4", "clevel": codec["level"], "shuffle": "shuffle", "blocksize": 0}
        chain.append({"name": "blosc", "configuration": blosc})
    return chain


def metadata(data, layout):
    """zarr.json of an array."""
    kind = {"f": "float", "u": "uint"}[data.dtype[1]]
    chain = codecs(layout["codec"], data.item)
    if layout["shards"]:
        index = [codecs(NONE, 8)[0], {"name": "crc32c"}]
        sharding = {"chunk_shape": layout["chunks"], "codecs": chain, "index_codecs": index, "index_location": "end"}
        chain = [{"name": "sharding_indexed", "configuration": sharding}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(data.shape),
        "data_type": f"{kind}{8 * data.item}",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(unit(layout))}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": chain,
        "attributes": {},
    }


def job(workload, source, target, budget, threads):
    """Everything that a tool may know."""
    data = DATA[workload.data]
    return {
        "source": str(source),
        "target": str(target),
        "metadata": metadata(data, workload.target),
        "shape": list(data.shape),
        "dtype": data.dtype,
        "item": data.item,
        "from": workload.source,
        "to": workload.target,
        "budget": budget,
        "region": region(data.shape, data.item, workload.source, workload.target, budget),
        "threads": threads,
    }
