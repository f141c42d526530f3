"""The arrays of the interoperability corpus, as data: what write_corpus.py writes with each writer. Here: the core specification.

A case is described in the words of zarr.json. Elements follow from the name of the case, so that a corpus is the same each time.
"""

import json
from dataclasses import dataclass, field

import numpy as np

import data_types

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
CORE = ["bool", *INTEGERS, *FLOATS, *COMPLEX]

TENSORSTORE = "tensorstore"
ZARR_PYTHON = "zarr-python"
ZARRS = "zarrs"
# Bytes made from the specification by write_corpus.py itself.
BY_HAND = "by-hand"
WRITERS = (ZARR_PYTHON, TENSORSTORE)


@dataclass
class Case:
    name: str
    shape: tuple = (7, 5)
    chunk_shape: tuple = (3, 2)
    dtype: object = "int32"
    fill: object = 0
    filters: list = field(default_factory=list)
    serializer: dict = None
    compressors: list = field(default_factory=list)
    key_encoding: dict = field(default_factory=lambda: {"name": "default", "configuration": {"separator": "/"}})
    dimension_names: list = None
    attributes: dict = field(default_factory=dict)
    # Boxes (slices) that are written; what lies outside stays fill, and chunks outside stay missing.
    written: list = None
    writers: tuple = WRITERS
    # What the case shows: its row in the table of forms. None: no row of its own.
    form: str = None
    # The elements that are handed to writers, where they are not `interesting`.
    values: object = None
    # What lossy codecs make of the elements that are written: a function of them.
    stored_as: object = None
    # A chunk grid that is not regular, as in zarr.json.
    grid: dict = None
    # Changes the document after a writer wrote the array: for forms that it reads, or should read, and does not write.
    edit: object = None
    # By hand: from index and elements of a whole chunk to its bytes, for what no installable writer writes.
    encode: object = None

    zarr_format = 3

    def codecs(self):
        return [*self.filters, self.serializer or default_serializer(self.dtype), *self.compressors]

    def chunk_grid(self):
        return self.grid or codec("regular", chunk_shape=list(self.chunk_shape))

    def document(self):
        """The zarr.json of the case."""
        document = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype,
            "chunk_grid": self.chunk_grid(),
            "chunk_key_encoding": self.key_encoding,
            "fill_value": self.fill,
            "codecs": self.codecs(),
            "attributes": self.attributes,
        }
        if self.dimension_names is not None:
            document["dimension_names"] = self.dimension_names
        return document

    def numpy_type(self):
        return data_types.numpy_type(self.dtype)

    def fill_element(self):
        return data_types.fill_scalar(self.fill, self.dtype)

    def handed_over(self):
        """The whole array as it is handed to a writer."""
        array = np.empty(self.shape, self.numpy_type())
        array[...] = self.fill_element()
        values = data_types.interesting(self.name, self.shape, self.dtype) if self.values is None else self.values
        for box in [...] if self.written is None else self.written:
            array[box] = values[box]
        return array

    def elements(self):
        """The whole array as it is to be read."""
        array = self.handed_over()
        if self.stored_as is not None:
            stored = self.stored_as(array).astype(array.dtype)
            for box in [...] if self.written is None else self.written:
                array[box] = stored[box]
        return array


def default_serializer(dtype):
    """What zarr-python would take: bytes, or the codec of a type of variable length."""
    if data_types.is_ragged(dtype):
        return codec(f"vlen-{data_types.RAGGED[dtype]}")
    return bytes_codec()


def codec(name, **configuration):
    return {"name": name, "configuration": configuration} if configuration else {"name": name}


def bytes_codec(endian="little"):
    return codec("bytes", endian=endian)


def gzip(level=5):
    return codec("gzip", level=level)


def zstd(level=0, checksum=False):
    return codec("zstd", level=level, checksum=checksum)


def crc32c():
    return codec("crc32c")


def transpose(*order):
    return codec("transpose", order=list(order))


def sharding(chunk_shape, codecs=None, index_codecs=None, index_location="end"):
    return codec(
        "sharding_indexed",
        chunk_shape=list(chunk_shape),
        codecs=codecs or [bytes_codec()],
        index_codecs=index_codecs or [bytes_codec(), crc32c()],
        index_location=index_location,
    )


def of_types():
    for dtype in CORE:
        one_byte = np.dtype(dtype).itemsize == 1
        fill = {"b": False, "c": [0.0, 0.0]}.get(np.dtype(dtype).kind, 0)
        if one_byte:
            yield Case(f"type_{dtype}", dtype=dtype, fill=fill, serializer=codec("bytes"), form=f"type {dtype}")
            continue
        for endian in ("little", "big"):
            yield Case(f"type_{dtype}_{endian}", dtype=dtype, fill=fill, serializer=bytes_codec(endian), form=f"type {dtype}")


def of_fills():
    corner = [np.s_[0:2, 0:2]]
    forms = {
        "float16": ["NaN", "-Infinity", -0.0, 0.5, "0x7e01"],
        "float32": ["NaN", "Infinity", "-Infinity", -0.0, 0.1, "0x7fc00001", "0xffc00000"],
        "float64": ["NaN", "Infinity", "-Infinity", -0.0, 0.1, "0x7ff8000000000001"],
        "complex64": [["NaN", -0.0], ["-Infinity", 1.5]],
        "complex128": [[0.1, "Infinity"]],
        "int8": [-128],
        "int64": [-(2**63), 2**53 + 1],
        "uint64": [2**64 - 1],
        "bool": [True],
    }
    for dtype, fills in forms.items():
        for number, fill in enumerate(fills):
            # zarr-python writes every NaN as "NaN", whatever its bits.
            writers = (TENSORSTORE,) if str(fill).startswith("0x") else WRITERS
            # One chunk is written, in part; all others are missing.
            common = dict(dtype=dtype, fill=fill, writers=writers, form=f"fill {dtype} {json.dumps(fill)}")
            yield Case(f"fill_{dtype}_{number}", written=corner, **common)
            yield Case(f"fill_{dtype}_{number}_nothing_written", written=[], **common)


def of_shapes():
    shapes = {
        "scalar": ((), ()),
        "one": ((1,), (1,)),
        "empty": ((0,), (4,)),
        "empty_axis": ((3, 0, 2), (2, 1, 2)),
        "chunk_larger_than_array": ((5,), (16,)),
        "uneven": ((5, 6, 7), (2, 4, 3)),
        "chunks_of_one": ((3, 4), (1, 1)),
        "rank_6": ((2, 1, 3, 1, 2, 2), (1, 1, 2, 1, 2, 1)),
        "long": ((1000,), (37,)),
        "thin": ((2, 300), (2, 7)),
    }
    for name, (shape, chunk_shape) in shapes.items():
        yield Case(f"shape_{name}", shape=shape, chunk_shape=chunk_shape, dtype="float32", fill=0.0, form="grid regular")
    sparse = [np.s_[0:2, 4:6, 3:6], np.s_[4:5, 0:4, 6:7]]
    yield Case("missing_chunks", (5, 6, 7), (2, 4, 3), "uint16", 9, written=sparse, form="grid regular")


def of_codecs():
    chains = {
        "gzip": dict(compressors=[gzip(1)]),
        "gzip_9": dict(compressors=[gzip(9)]),
        "gzip_0": dict(compressors=[gzip(0)]),
        "zstd": dict(compressors=[zstd()]),
        "zstd_fast": dict(compressors=[zstd(-5)]),
        "zstd_checksum": dict(compressors=[zstd(19, True)]),
        "crc32c": dict(compressors=[crc32c()]),
        "gzip_crc32c": dict(compressors=[gzip(), crc32c()]),
        "crc32c_zstd_crc32c": dict(compressors=[crc32c(), zstd(), crc32c()]),
        "transpose": dict(filters=[transpose(2, 0, 1)]),
        "transpose_reversed_zstd": dict(filters=[transpose(2, 1, 0)], compressors=[zstd(3)]),
        "transpose_twice": dict(filters=[transpose(2, 0, 1), transpose(1, 0, 2)], compressors=[gzip(1)]),
        "transpose_big": dict(filters=[transpose(1, 2, 0)], serializer=bytes_codec("big"), compressors=[zstd(1), crc32c()]),
    }
    for name, parts in chains.items():
        form = f"codec {name.split('_')[0]}"
        yield Case(f"codec_{name}", (9, 10, 11), (4, 3, 5), "float64", 0.0, form=form, **parts)
        yield Case(f"codec_{name}_int16", (9, 10, 11), (4, 3, 5), "int16", -1, written=[np.s_[0:5, 0:7, :]], form=form, **parts)


def of_shards():
    shape, shard = (17, 13), (8, 6)
    little, big = bytes_codec(), bytes_codec("big")
    serializers = {
        "end": sharding((4, 3)),
        "start": sharding((4, 3), index_location="start"),
        "zstd": sharding((2, 3), [little, zstd()]),
        "zstd_start": sharding((2, 3), [little, zstd()], index_location="start"),
        "gzip_crc32c": sharding((2, 2), [little, gzip(1), crc32c()]),
        "one_inner_chunk": sharding((8, 6), [little, zstd()]),
        "inner_chunks_of_one": sharding((1, 1)),
        "index_without_checksum": sharding((4, 3), index_codecs=[little]),
        "index_big": sharding((4, 3), [big], index_codecs=[big, crc32c()]),
        "index_big_start": sharding((4, 3), [big], index_codecs=[big], index_location="start"),
        "inner_transpose": sharding((4, 3), [transpose(1, 0), little, zstd()]),
        "nested": sharding((4, 6), [sharding((2, 3), [little, zstd()])]),
        "nested_start": sharding((4, 6), [sharding((2, 3), index_location="start"), crc32c()], index_location="start"),
        "nested_thrice": sharding((8, 6), [sharding((4, 6), [sharding((2, 2), [little, gzip(1)])])]),
    }
    sparse = [np.s_[0:3, 0:2], np.s_[9:12, 7:12], np.s_[16:17, 0:1]]
    for name, serializer in serializers.items():
        # TensorStore refuses bytes -> bytes codecs behind a shard, at any depth.
        writers = (ZARR_PYTHON,) if name == "nested_start" else WRITERS
        form = "codec sharding_indexed, nested" if "nested" in name else "codec sharding_indexed"
        yield Case(f"shard_{name}", shape, shard, "int32", 0, serializer=serializer, writers=writers, form=form)
        yield Case(f"shard_{name}_sparse", shape, shard, "float32", "NaN", serializer=serializer, written=sparse, writers=writers, form=form)
    form = "codec sharding_indexed"
    line = sharding((10,), [little, zstd(1)])
    yield Case("shard_line", (1003,), (100,), "uint8", 3, serializer=sharding((10,), [codec("bytes"), zstd(1)]), form=form)
    yield Case("shard_line_complex", (103,), (20,), "complex64", [0.0, 0.0], serializer=line, form=form)
    outer = dict(serializer=sharding((4, 3)), writers=(ZARR_PYTHON,), form="codec sharding_indexed with codecs behind it")
    yield Case("shard_behind_gzip", shape, shard, compressors=[gzip(1)], **outer)
    yield Case("shard_behind_crc32c", shape, shard, compressors=[crc32c()], **outer)
    form = "codec transpose, then sharding_indexed"
    # zarr-python reads the inner chunk shape in array axes (zarr-python#2050), so only TensorStore writes the uneven one.
    yield Case("transpose_shard_square", (17, 13), (6, 6), filters=[transpose(1, 0)], serializer=sharding((3, 3)), form=form)
    uneven = dict(filters=[transpose(2, 0, 1)], serializer=sharding((5, 2, 3), [little, zstd()]), writers=(TENSORSTORE,), form=form)
    yield Case("transpose_shard_uneven", (9, 10, 11), (4, 6, 5), "int16", **uneven)


def of_documents():
    for name in ("default", "v2"):
        for separator in ("/", "."):
            label = f"{name}_{'slash' if separator == '/' else 'dot'}"
            encoding = codec(name, separator=separator)
            form = f"keys {name} {separator}"
            yield Case(f"keys_{label}", key_encoding=encoding, form=form)
            yield Case(f"keys_{label}_scalar", (), (), key_encoding=encoding, form=form)
    yield Case("dimension_names", dimension_names=["y", "x"])
    yield Case("dimension_names_null", dimension_names=[None, "Länge λ"])
    yield Case("attributes", attributes=ATTRIBUTES)


ATTRIBUTES = {
    "unit": "erg cm⁻² s⁻¹ Å⁻¹",
    "emoji": "🛰",
    "quotes": 'a "quoted" \\ word\nand a line',
    "empty": {},
    "null": None,
    "nested": {"list": [1, -2.5, True, None, {"deep": [[]]}], "big": 2**63 + 1, "small": 1e-300},
    "": "an empty name",
}


def every_case():
    for group in (of_types, of_fills, of_shapes, of_codecs, of_shards, of_documents):
        yield from group()
