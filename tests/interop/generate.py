"""generate.py DIR SEED COUNT: writes COUNT arrays with zarr-python, each of them drawn from all that it accepts, v2 and v3.

The draw follows from the seed alone. DIR/manifest.json is as write_corpus.py has it, with the whole document of each array in the name of its
case when it is reported; elements are random, dumps as data_types.py has them.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import zarr
from zarr.core.dtype import parse_dtype

import data_types as types
from cases import bytes_codec, codec
from cases_v2 import V2Case

CNAMES = ["lz4", "lz4hc", "blosclz", "zstd", "zlib"]
PLAIN = ["bool", *(f"{sign}int{8 << n}" for sign in ("", "u") for n in range(4)), "float16", "float32", "float64", "complex64", "complex128"]


class Draw:
    """One array: what the random numbers of `rng` make of it."""

    def __init__(self, rng, name):
        self.rng, self.name = rng, name

    def one_of(self, *options):
        return options[self.rng.integers(len(options))]

    def chance(self, probability):
        return self.rng.random() < probability

    def shape(self):
        rank = self.one_of(0, 1, 1, 2, 2, 3, 4)
        shape = tuple(int(n) for n in self.rng.integers(1, {0: 2, 1: 60, 2: 15, 3: 9, 4: 6}[rank], rank))
        if rank and self.chance(0.05):
            shape = (*shape[:-1], 0)
        return shape

    def chunks(self, shape):
        return tuple(int(self.rng.integers(1, max(n, 1) + 3)) for n in shape)

    def data_type(self):
        kind = self.one_of(*["plain"] * 6, "string", "bytes", "utf32", "null_terminated", "raw", "time", "time", "structured")
        size = int(self.rng.integers(1, 9))
        return {
            "plain": lambda: self.one_of(*PLAIN),
            "string": lambda: "string",
            "bytes": lambda: "variable_length_bytes",
            "utf32": lambda: types.utf32(size),
            "null_terminated": lambda: types.null_terminated(size),
            "raw": lambda: types.raw_bytes(size),
            "time": lambda: types.time(self.one_of("datetime", "timedelta"), self.one_of(*types.UNITS[:-1]), self.one_of(1, 1, 7, 1000)),
            "structured": lambda: types.structured(a=self.one_of(*PLAIN), b=self.one_of(*PLAIN), c=types.null_terminated(3)),
        }[kind]()

    def elements(self, shape, data_type):
        values = types.interesting(f"{self.name} {self.rng.integers(1 << 40)}", shape, data_type)
        if self.chance(0.3):
            # Large parts are alike, and some chunks only fill.
            values[tuple(slice(0, n // 2) for n in shape)] = values.ravel()[:1][0] if values.size else 0
        return values

    def fill(self, data_type):
        """An element, zero most of the time."""
        if types.is_ragged(data_type):
            text = data_type == "string"
            return self.one_of("" if text else b"", "füll" if text else b"\0f")
        dtype = types.numpy_type(data_type)
        if dtype.names or self.chance(0.5):
            return np.zeros((), dtype)[()]
        value = types.interesting(f"fill {self.rng.integers(1 << 40)}", (9,), data_type)[self.rng.integers(9)]
        # zarr-python keeps a NaN as "NaN" whatever its bits; those of `interesting` are the usual one.
        return value

    def bytes_codec(self, multi_byte):
        return bytes_codec(self.one_of("little", "big")) if multi_byte else codec("bytes")

    def compressors(self, item):
        """Up to three codecs of bytes."""
        out = []
        for _ in range(self.one_of(0, 1, 1, 1, 2, 3)):
            level = int(self.rng.integers(0, 10))
            checksum = self.one_of("crc32", "crc32c", "adler32", "fletcher32")
            out.append(
                self.one_of(
                    codec("gzip", level=level),
                    codec("zstd", level=int(self.rng.integers(-5, 20)), checksum=self.chance(0.5)),
                    codec("blosc", cname=self.one_of(*CNAMES), clevel=level, shuffle=self.one_of("noshuffle", "shuffle", "bitshuffle"), typesize=item, blocksize=self.one_of(0, 0, 256)),
                    codec("crc32c"),
                    numcodec("zlib", level=level),
                    numcodec("bz2", level=max(level, 1)),
                    numcodec("lz4", acceleration=level + 1),
                    numcodec("zstd", level=level),
                    numcodec(checksum) if out or checksum != "fletcher32" else codec("crc32c"),
                )
            )
        if item > 1 and self.chance(0.2):
            out.insert(0, numcodec("shuffle", elementsize=item))
        return out

    def filters(self, shape, data_type):
        """Codecs of arrays under which nothing is lost."""
        out = []
        if self.chance(0.3) and shape:
            out.append(codec("transpose", order=[int(axis) for axis in self.rng.permutation(len(shape))]))
        name = types.name_of(data_type)
        # zarr-python 3.1.6 stores what goes through delta otherwise than it says where it is transposed or big endian.
        if not out and name in ("int16", "int32", "int64", "uint8", "uint32") and self.chance(0.3):
            kind = np.dtype(name).str
            out.append(numcodec("delta", dtype=kind, astype=kind))
        return out

    def shards(self, shape, chunks):
        return tuple(int(n * self.rng.integers(1, 4)) for n in chunks)


def numcodec(name, **configuration):
    return {"name": f"numcodecs.{name}", "configuration": configuration}


def draw_v3(draw):
    """Keyword arguments of zarr.create_array, and the elements."""
    shape, data_type = draw.shape(), draw.data_type()
    chunks, dtype = draw.chunks(shape), types.numpy_type(data_type)
    ragged = types.is_ragged(data_type)
    item = 1 if ragged else min(dtype.itemsize, 255)
    order_matters = dtype.kind in "iufcmMU" and (dtype.itemsize > 1) and types.name_of(data_type) != "bool"
    # zarr-python 3.1.6 stores transposed elements of variable length, and structs in big endian, otherwise than it says.
    filters = [] if ragged else draw.filters(shape, data_type)
    if ragged:
        serializer = codec("vlen-utf8" if data_type == "string" else "vlen-bytes")
    else:
        serializer = bytes_codec() if dtype.names or any("delta" in one["name"] for one in filters) else draw.bytes_codec(order_matters)
    shards = draw.shards(shape, chunks) if shape and 0 not in shape and not filters and draw.chance(0.35) else None
    arguments = dict(
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype=parse_dtype(data_type, zarr_format=3),
        fill_value=draw.fill(data_type),
        filters=filters or None,
        serializer=serializer,
        compressors=draw.compressors(item) or None,
        chunk_key_encoding=draw.one_of({"name": "default", "separator": "/"}, {"name": "default", "separator": "."}, {"name": "v2", "separator": "."}, {"name": "v2", "separator": "/"}),
        dimension_names=[f"axis {n}" for n in range(len(shape))] if draw.chance(0.3) else None,
        attributes={"λ": [1, {"x": None}]} if draw.chance(0.3) else None,
        zarr_format=3,
    )
    return arguments, data_type, draw.elements(shape, data_type)


def draw_v2(draw):
    """A case of Zarr v2."""
    shape = draw.shape()
    objects = draw.one_of(None, None, None, None, None, "string", "bytes")
    kinds = ["|b1", "|i1", "|u1", *(order + kind for order in "<>" for kind in ("i2", "i4", "u8", "f2", "f4", "f8", "c8", "c16", "M8[s]", "m8[3ns]", "U3")), "|S5", "|V3"]
    dtype = "|O" if objects else draw.one_of(*kinds)
    level = int(draw.rng.integers(1, 10))
    blosc = {"id": "blosc", "cname": draw.one_of(*CNAMES), "clevel": level, "shuffle": draw.one_of(-1, 0, 1, 2), "blocksize": 0}
    compressor = draw.one_of(None, blosc, blosc, {"id": "zlib", "level": level}, {"id": "gzip", "level": level}, {"id": "bz2", "level": level}, {"id": "zstd", "level": level}, {"id": "lz4", "acceleration": 1})
    filters = None
    size = 1 if objects else np.dtype(dtype).itemsize
    if not objects and dtype[1] in "iu" and size > 1 and draw.chance(0.3):
        filters = [{"id": "delta", "dtype": dtype, "astype": dtype}]
    elif not objects and size > 1 and draw.chance(0.3):
        filters = [{"id": "shuffle", "elementsize": size}]
    fill = {"b": False, "S": "", "U": "", "V": "AAAA", "M": "NaT", "m": -(2**63), "O": ""}.get(dtype[1], draw.one_of(0, None) if dtype[1] != "c" else None)
    # zarr-python 3.1.6 stores elements of variable length in order F otherwise than it says; filters as well.
    order = "C" if objects or filters else draw.one_of("C", "F")
    return V2Case(draw.name, dtype, fill, shape, draw.chunks(shape), order, draw.one_of(".", "/"), compressor, filters, objects=objects)


def one(directory, number, rng):
    """Draws and writes an array; gives its entry."""
    name = f"{number:04}"
    draw, path = Draw(rng, name), directory / name
    if draw.chance(0.3):
        case = draw_v2(draw)
        elements = case.handed_over()
        path.mkdir()
        (path / ".zarray").write_text(json.dumps(case.document()), encoding="utf-8")
        array = zarr.open_array(store=str(path), mode="r+", zarr_format=2)
        attributes, names = {}, None
    else:
        arguments, data_type, elements = draw_v3(draw)
        array = zarr.create_array(store=str(path), **arguments)
        attributes, names = arguments["attributes"] or {}, arguments["dimension_names"]
    if elements.size:
        array[...] = elements
    raw = f"{name}.raw"
    (directory / raw).write_bytes(types.dump(elements))
    return {
        "name": name,
        "path": name,
        "raw": raw,
        "shape": list(array.shape),
        "dtype": types.comparable(elements.dtype),
        "ragged": elements.dtype == object,
        "writer": "zarr-python",
        "attributes": attributes,
        "dimension_names": names,
    }


def main(directory, seed, count):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    entries, refused = [], []
    for number in range(int(count)):
        try:
            entries.append(one(directory, number, np.random.default_rng([int(seed), number])))
        except Exception as error:
            refused.append(f"array {number}: {type(error).__name__}: {error}")
    if len(refused) > int(count) / 10:
        raise SystemExit("\n".join(["zarr-python does not write much of what was drawn:", *refused]))
    (directory / "manifest.json").write_text(json.dumps(entries), encoding="utf-8")
    print("\n".join([f"{len(entries)} arrays drawn with seed {seed}, {len(refused)} refused by zarr-python", *refused]))


if __name__ == "__main__":
    main(*sys.argv[1:])
