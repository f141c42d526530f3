"""write_v2.py DIR: writes a hierarchy of Zarr v2 with zarr-python, and what its arrays hold.

DIR/store            a group with attributes and consolidated metadata; groups and arrays below it
DIR/raw/<n>.raw      the elements of an array of fixed-size elements: little endian, in C order
DIR/manifest.json    [{path, shape, raw or strings, dimension_names}]
"""

import json
import pathlib
import sys
import warnings

import numcodecs
import numpy as np
import zarr

warnings.simplefilter("ignore")

RANDOM = np.random.default_rng(5)

COMPRESSORS = {
    "none": None,
    "zlib": numcodecs.Zlib(level=6),
    "gzip": numcodecs.GZip(level=1),
    "zstd": numcodecs.Zstd(level=3),
    "zstd_checksum": numcodecs.Zstd(level=1, checksum=True),
    "bz2": numcodecs.BZ2(level=9),
    "lz4": numcodecs.LZ4(acceleration=2),
    "lzma": numcodecs.LZMA(),
    **{
        f"blosc_{cname}_{shuffle}": numcodecs.Blosc(cname=cname, clevel=5, shuffle=shuffle)
        for cname in ["lz4", "lz4hc", "blosclz", "zstd", "zlib"]
        for shuffle in [-1, 0, 1, 2]
    },
}

TYPES = ["|b1", "|i1", "|u1"] + [
    order + code for order in "<>" for code in ["i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", "U3", "M8[ns]", "m8[s]"]
] + ["|S4", "|V5", "<M8[D]", "<m8[10ms]"]

STRUCTS = {
    "little": [("id", "<i4"), ("value", "<f8"), ("flag", "|b1"), ("name", "|S3")],
    "bytes": [("a", "|u1"), ("b", "|b1")],
}


def elements(shape, dtype):
    """Elements that differ, with special values where the type has some."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=int))
    if dtype.kind == "b":
        values = RANDOM.integers(0, 2, count).astype(dtype)
    elif dtype.kind in "iu":
        values = RANDOM.integers(0, 100, count).cumsum().astype(dtype)
    elif dtype.kind in "fc":
        values = np.round(RANDOM.normal(size=count) * 100, 1).astype(dtype)
        if count > 3:
            values[1], values[2] = np.nan, -np.inf
    elif dtype.kind in "mM":
        values = RANDOM.integers(0, 10**6, count).astype("i8").view(dtype.newbyteorder("=")).astype(dtype)
        if count > 1:
            values[1] = "NaT"
    elif dtype.kind == "U":
        values = np.array(["λ%d" % (number % 10) for number in range(count)], dtype=dtype)
    elif dtype.kind == "S":
        values = np.array([b"s%d" % (number % 100) for number in range(count)], dtype=dtype)
    else:
        values = np.frombuffer(RANDOM.bytes(count * dtype.itemsize), dtype=np.dtype("V%d" % dtype.itemsize)).copy().view(dtype)
        if dtype.names is not None:
            for name in dtype.names:
                if dtype[name].names is None:
                    values[name] = elements((count,), dtype[name])
    return values.reshape(shape)


def native(values):
    """The bytes of elements, little endian."""
    return np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()


class Writer:
    def __init__(self, directory):
        self.directory = directory
        self.entries = []
        (directory / "raw").mkdir(parents=True)
        self.root = zarr.create_group(store=str(directory / "store"), zarr_format=2, attributes={"title": "v2", "list": [1, {"a": None}]})

    def add(self, path, values, dtype, chunks, region=None, names=None, attributes=None, **options):
        attributes = dict(attributes or {})
        if names is not None:
            attributes["_ARRAY_DIMENSIONS"] = names
        options = {"compressors": None, **options}
        array = self.root.create_array(path, shape=values.shape, chunks=chunks, dtype=dtype, attributes=attributes, **options)
        if region is None:
            array[...] = values
        else:
            array[region] = values[region]
        entry = {"path": path, "shape": list(values.shape), "dimension_names": names}
        values = np.asarray(array[...])
        if values.dtype.kind in "OT":
            entry["strings"] = [value if isinstance(value, str) else value.hex() for value in values.reshape(-1)]
        else:
            entry["raw"] = f"raw/{len(self.entries)}.raw"
            (self.directory / entry["raw"]).write_bytes(native(values))
        self.entries.append(entry)


def write(directory):
    writer = Writer(directory)
    add = writer.add
    for dtype in TYPES:
        name = dtype.replace("<", "little_").replace(">", "big_").replace("|", "").replace("[", "_").replace("]", "")
        for order in "CF":
            values = elements((7, 5, 2), dtype)
            add(f"types/{name}_{order}", values, dtype, (3, 5, 2), order=order, compressors=COMPRESSORS["zlib"], names=["z", "y", "x"])
    for name, fields in STRUCTS.items():
        add(f"types/struct_{name}", elements((7,), fields), np.dtype(fields), (3,))
    for name, compressor in COMPRESSORS.items():
        for dtype in ["<f4", "|u1"]:
            values = elements((11, 13), dtype)
            add(f"compressors/{name}_{dtype[1:]}", values, dtype, (4, 13), compressors=compressor, attributes={"codec": name})
    for separator in "./":
        key = {"name": "v2", "separator": separator}
        name = "dot" if separator == "." else "slash"
        add(f"keys/{name}", elements((5, 6), "<i4"), "<i4", (2, 4), chunk_key_encoding=key, region=np.s_[0:2], fill_value=7)
        add(f"keys/{name}_scalar", elements((), "<f8"), "<f8", (), chunk_key_encoding=key)
    add("keys/empty", elements((0, 3), "<f8"), "<f8", (1, 3))
    add("keys/missing", elements((5,), "<f8"), "<f8", (2,), region=np.s_[0:0], fill_value=np.nan)
    write_filters(add)
    strings = np.array(["", "a", "λμ", "long " * 50, "x", "y"], dtype=object)
    add("strings/text", strings, "string", (4,), compressors=COMPRESSORS["zstd"])
    add("strings/text_F", strings.reshape(2, 3), "string", (2, 2), order="C")
    zarr.consolidate_metadata(writer.root.store, zarr_format=2)
    (directory / "manifest.json").write_text(json.dumps(writer.entries))


def write_filters(add):
    floats, integers = elements((9, 8), "<f8"), elements((9, 8), "<i4")
    floats[np.isnan(floats) | np.isinf(floats)] = 0
    cases = {
        "delta": (integers, [numcodecs.Delta(dtype="<i4")]),
        "delta_narrow": (np.sort(integers % 100, axis=None).reshape(9, 8), [numcodecs.Delta(dtype="<i4", astype="<i2")]),
        "fixedscaleoffset": (floats, [numcodecs.FixedScaleOffset(offset=10, scale=10, dtype="<f8", astype="<i4")]),
        "quantize": (floats, [numcodecs.Quantize(digits=1, dtype="<f8")]),
        "quantize_narrow": (floats, [numcodecs.Quantize(digits=1, dtype="<f8", astype="<f4")]),
        "astype": (integers, [numcodecs.AsType(encode_dtype="<i8", decode_dtype="<i4")]),
        "packbits": (integers % 2 == 0, [numcodecs.PackBits()]),
        "bitround": (floats.astype("<f4"), [numcodecs.BitRound(keepbits=8)]),
        "shuffle": (integers, [numcodecs.Shuffle(elementsize=4)]),
        "crc32": (integers, [numcodecs.CRC32()]),
        "adler32": (integers, [numcodecs.Adler32()]),
        "fletcher32": (integers, [numcodecs.Fletcher32()]),
        "delta_shuffle": (integers, [numcodecs.Delta(dtype="<i4"), numcodecs.Shuffle(elementsize=4)]),
        "scale_delta": (
            floats,
            [numcodecs.FixedScaleOffset(offset=0, scale=10, dtype="<f8", astype="<i4"), numcodecs.Delta(dtype="<i4", astype="<i4")],
        ),
        "delta_big": (integers.astype(">i4"), [numcodecs.Delta(dtype=">i4")]),
    }
    for name, (values, filters) in cases.items():
        for compressor in ["none", "zlib", "blosc_zstd_1"]:
            add(f"filters/{name}_{compressor}", values, values.dtype, (4, 8), filters=filters, compressors=COMPRESSORS[compressor])
    add("filters/delta_F", integers, "<i4", (4, 8), filters=[numcodecs.Delta(dtype="<i4")], order="F", compressors=COMPRESSORS["zlib"])


write(pathlib.Path(sys.argv[1]))
