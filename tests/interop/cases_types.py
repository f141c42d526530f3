"""Cases of the corpus beyond the core specification: data types, fill values in every form, chunk grids, and ways to write a document."""

import json

import numpy as np

import data_types as types
from cases import BY_HAND, TENSORSTORE, ZARR_PYTHON, ZARRS, Case, bytes_codec, codec, crc32c, gzip, sharding, zstd

IN_TENSORSTORE = ["int2", "int4", "float8_e3m4", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn"]
NOT_IN_ZARRS = "float8_e4m3fn"
CORNER = [np.s_[0:2, 0:2]]


def of_small_types():
    for name in (*types.NARROW, *types.MINI):
        writers = (TENSORSTORE,) if name == NOT_IN_ZARRS else (ZARRS, TENSORSTORE) if name in IN_TENSORSTORE else (ZARRS,)
        fill = 1.0 if name == "float8_e8m0fnu" else 0 if name in types.NARROW else 0.0
        # 17 x 16 elements: every bit pattern of eight bits.
        common = dict(shape=(17, 16), chunk_shape=(5, 6), dtype=name, serializer=codec("bytes"), form=f"type {name}")
        yield Case(f"type_{name}", fill=fill, writers=writers, **common)
        yield Case(f"type_{name}_shards", fill=fill, writers=writers, **{**common, "serializer": sharding((5, 3), [codec("bytes"), zstd()])})
    for endian in ("little", "big"):
        yield Case(f"type_bfloat16_{endian}", dtype="bfloat16", fill=0.0, serializer=bytes_codec(endian), writers=(ZARRS, TENSORSTORE), form="type bfloat16")
    for part in (*types.MINI, "bfloat16", "float16", "float32", "float64"):
        fill = [1.0, 1.0] if part == "float8_e8m0fnu" else [0.0, 0.0]
        name = f"complex_{part}"
        serializer = codec("bytes") if part in types.MINI else bytes_codec("big")
        shape = (17, 9) if part in types.MINI else (7, 5)
        common = dict(shape=shape, dtype=name, fill=fill, serializer=serializer, form=f"type {name}")
        yield by_hand(f"type_{name}", **common) if part == NOT_IN_ZARRS else Case(f"type_{name}", writers=(ZARRS,), **common)


def of_bytes_and_texts():
    for size in (1, 3, 8):
        common = dict(serializer=codec("bytes"), compressors=[zstd()])
        yield Case(f"type_r{8 * size}", dtype=f"r{8 * size}", fill=[7] * size, writers=(ZARRS,), form="type r*", **common)
        yield Case(f"type_raw_bytes_{size}", dtype=types.raw_bytes(size), fill=base64(bytes(range(size))), writers=(ZARR_PYTHON,), form="type raw_bytes", **common)
        yield Case(f"type_null_terminated_{size}", dtype=types.null_terminated(size), fill=base64(b"ab"[:size]), writers=(ZARR_PYTHON,), form="type null_terminated_bytes", **common)
    for endian in ("little", "big"):
        for points in (1, 5):
            yield Case(f"type_utf32_{points}_{endian}", dtype=types.utf32(points), fill="λ", serializer=bytes_codec(endian), writers=(ZARR_PYTHON, ZARRS), form="type fixed_length_utf32")
    chains = {
        "plain": {},
        "zstd": dict(compressors=[zstd(3)]),
        "gzip_crc32c": dict(compressors=[gzip(1), crc32c()]),
    }
    for name in ("string", "bytes"):
        vlen = codec(f"vlen-{types.RAGGED[name]}")
        fill = "füll" if name == "string" else base64(b"\0\xff")
        common = dict(dtype=name, fill=fill, writers=(ZARR_PYTHON, ZARRS), form=f"type {name}")
        for chain, parts in chains.items():
            yield Case(f"type_{name}_{chain}", **parts, **common)
        yield Case(f"type_{name}_sparse", written=CORNER, compressors=[zstd()], **common)
        yield Case(f"type_{name}_scalar", (), (), **common)
        yield Case(f"type_{name}_empty", (0, 3), (1, 2), **common)
        yield Case(f"type_{name}_shards", (9, 7), (6, 4), **common, serializer=sharding((3, 2), [vlen, zstd()]))
        # zarr-python 3.1.6 stores these in another order than it says, and zarrs does not read back what it writes.
        yield by_hand(f"type_{name}_transposed", filters=[codec("transpose", order=[1, 0])], **{key: value for key, value in common.items() if key != "writers"})


def of_times():
    for kind in ("datetime", "timedelta"):
        for unit in types.UNITS:
            for scale in (1, 25) if unit != "generic" else (1,):
                # zarr-python 3.1.6 stores times without a unit unswapped.
                endian = "big" if scale > 1 else "little"
                dtype = types.time(kind, unit, scale)
                yield Case(f"type_{kind}_{unit}_{scale}", dtype=dtype, fill=-(2**63), serializer=bytes_codec(endian), written=CORNER, writers=(ZARR_PYTHON, ZARRS), form=f"type numpy.{kind}64")
        dtype = types.time(kind, "ns")
        for number, fill in enumerate(("NaT", 0, 10**18)):
            yield Case(f"fill_{kind}_{number}", dtype=dtype, fill=fill, written=CORNER, writers=(ZARR_PYTHON, ZARRS), form=f"fill numpy.{kind}64 {json.dumps(fill)}")


FIELDS = dict(a="uint8", b="int32", c="float64", d=types.null_terminated(3))
NUMBERS = dict(flag="bool", x="float32", y="int16", z="complex64")


def of_structs():
    """`struct` is written by none of the judges: its bytes are the fields in order, packed, in the byte order that `bytes` says."""
    fill = {"flag": True, "x": "NaN", "y": -3, "z": [0.5, "-Infinity"]}
    dtype = types.struct(**NUMBERS)
    for endian in ("little", "big"):
        for chain, compressors in {"plain": [], "zstd": [zstd()]}.items():
            yield by_hand(f"type_struct_{endian}_{chain}", dtype=dtype, fill=fill, serializer=bytes_codec(endian), compressors=compressors, written=CORNER, form="type struct")
    nested = types.struct(head="int16", inner=types.struct(p="float32", q="uint8"))
    yield by_hand("type_struct_nested", dtype=nested, fill={"head": 1, "inner": {"p": 2.5, "q": 3}}, form="type struct")
    texts = types.struct(name=types.utf32(4), code=types.null_terminated(2), when=types.time("datetime", "s"))
    yield by_hand("type_struct_texts", dtype=texts, fill={"name": "λ", "code": base64(b"z"), "when": "NaT"}, form="type struct")
    for label, fields in {"mixed": FIELDS, "numbers": NUMBERS}.items():
        size = types.numpy_type(types.structured(**fields)).itemsize
        dtype = types.structured(**fields)
        yield Case(f"type_structured_{label}", dtype=dtype, fill=base64(bytes(size)), compressors=[zstd()], writers=(ZARR_PYTHON,), form="type structured")
        yield Case(f"type_structured_{label}_no_endian", dtype=dtype, fill=base64(bytes(range(size))), serializer=codec("bytes"), written=CORNER, writers=(ZARR_PYTHON,), form="type structured")


def of_fills():
    forms = {
        "float32": ["0x7f800001", "0xff800001", "0x7FABCDEF", "0x80000000", 1e-45, 16777217],
        "float64": ["0x7ff0000000000001", "0xfff8000000000000", "0x0000000000000001", 1e308, 5e-324],
        "complex64": [["0x7fc00001", "0xffc00000"], [0, -1]],
    }
    for dtype, fills in forms.items():
        for number, fill in enumerate(fills):
            yield by_hand(f"fill_hand_{dtype}_{number}", dtype=dtype, fill=fill, written=CORNER, form=f"fill {dtype} {json.dumps(fill)}")
    small = {
        "float16": ["0x7c01", "0xfe00", "0x7e01"],
        "bfloat16": ["NaN", "0x7fc1", "0xffc0", "Infinity", "-Infinity", -0.0, 1.5],
        "float8_e4m3fn": ["NaN", "0xff", 448.0, -0.0],
        "float8_e4m3": ["NaN", "0x79", "Infinity", -0.5],
        "float8_e3m4": ["NaN", "-Infinity", 0.25],
        "float8_e4m3b11fnuz": ["NaN", 30.0],
        "float8_e4m3fnuz": ["NaN", 0.5],
        "float8_e5m2": ["NaN", "0x7d", "Infinity", "-Infinity"],
        "float8_e5m2fnuz": ["NaN", 57344.0],
        "float8_e8m0fnu": ["NaN", 2.0],
        "float6_e2m3fn": [7.5, "0x20"],
        "float6_e3m2fn": [-28.0],
        "float4_e2m1fn": [6.0, "0x08"],
        "complex_bfloat16": [["NaN", "0xffc0"]],
        "complex_float8_e5m2": [["Infinity", "0x7d"]],
        "int2": [-2, 1],
        "int4": [-8, 7],
        "uint2": [3],
        "uint4": [15],
    }
    for dtype, fills in small.items():
        one_byte = types.numpy_type(dtype).itemsize == 1 or dtype.startswith("complex_float8")
        for number, fill in enumerate(fills):
            serializer = codec("bytes") if one_byte else bytes_codec()
            yield Case(f"fill_small_{dtype}_{number}", dtype=dtype, fill=fill, serializer=serializer, written=CORNER, writers=(TENSORSTORE if dtype == NOT_IN_ZARRS else ZARRS,), form=f"fill {dtype} {json.dumps(fill)}")
    as_list = lambda document: {**document, "fill_value": [0, 255, 65]}
    yield Case("fill_bytes_list", dtype="bytes", fill=base64(b"\0\xffA"), written=CORNER, writers=(ZARRS,), edit=as_list, form="fill bytes [0, 255, 65]")
    yield Case("fill_string_empty", dtype="string", fill="", written=CORNER, writers=(ZARR_PYTHON, ZARRS), form='fill string ""')
    yield Case("fill_raw_base64", dtype="r24", fill=base64(b"abc"), serializer=codec("bytes"), written=CORNER, writers=(BY_HAND,), encode=plain, form="fill r24 base64")
    yield Case("fill_raw_list", dtype="r24", fill=[1, 2, 255], serializer=codec("bytes"), written=CORNER, writers=(BY_HAND,), encode=plain, form="fill r24 [1, 2, 255]")


def of_grids():
    """Only zarrs writes chunks of uneven edges."""
    def rectilinear(*chunk_shapes):
        return codec("rectilinear", kind="inline", chunk_shapes=list(chunk_shapes))

    grids = {
        "lists": ((10, 7), rectilinear([1, 4, 5], [3, 4])),
        "runs": ((12, 9), rectilinear([[2, 3], 6], [[1, 9]])),
        "repeated": ((12, 9), rectilinear(5, [4, 3, 2])),
        "one_chunk": ((4, 3), rectilinear([4], [3])),
        "line": ((100,), rectilinear([[7, 10], [30, 1]])),
    }
    for name, (shape, grid) in grids.items():
        common = dict(shape=shape, chunk_shape=None, grid=grid, writers=(ZARRS,), form="grid rectilinear")
        yield Case(f"grid_{name}", dtype="int32", fill=-1, **common)
        yield Case(f"grid_{name}_zstd", dtype="float64", fill=0.0, compressors=[zstd(1), crc32c()], **common)
    shards = rectilinear([4, 8, 4], [6, 3])
    yield Case("grid_shards", (16, 9), None, grid=shards, serializer=sharding((2, 3), [bytes_codec(), zstd()]), writers=(ZARRS,), form="grid rectilinear, sharded")


def of_documents():
    """Documents as the specification allows them, that none of the writers writes."""
    def short(document):
        return {**document, "codecs": ["bytes" if x == {"name": "bytes"} else x["name"] if "configuration" not in x else x for x in document["codecs"]], "chunk_key_encoding": "default"}

    yield by_hand("document_short_hand", dtype="uint8", serializer=codec("bytes"), compressors=[crc32c()], edit=short, form="document short-hand names")
    yield by_hand("document_type_as_object", dtype={"name": "int32"}, form="document data type as an object")
    unknown = {"novelty": {"must_understand": False, "x": [1]}}
    yield by_hand("document_unknown_member", edit=lambda document: {**document, **unknown}, form="document unknown member, must_understand false")
    yield by_hand("document_no_attributes", edit=lambda document: {k: v for k, v in document.items() if k != "attributes"}, form="document without attributes")
    yield by_hand("document_transformers", edit=lambda document: {**document, "storage_transformers": []}, form="document storage_transformers []")
    yield by_hand("document_names_twice", dimension_names=["x", "x"], form="document dimension names twice")
    yield by_hand("document_names_empty", dimension_names=["", None], form="document dimension name empty")
    no_checksum = lambda document: {**document, "codecs": [bytes_codec(), codec("zstd", level=3)]}
    yield by_hand("document_zstd_without_checksum", compressors=[zstd(3)], edit=no_checksum, form="document zstd without checksum")
    yield by_hand("document_no_key_configuration", edit=lambda document: {**document, "chunk_key_encoding": {"name": "default"}}, form="document chunk_key_encoding without configuration")


def base64(raw):
    import base64

    return base64.b64encode(raw).decode()


def plain(case, chunk):
    """The bytes of a chunk under `bytes` and compressors of Python's own."""
    import golden

    return golden.compress(golden.in_order(chunk, case.codecs()), case.codecs())


def by_hand(name, **parts):
    return Case(name, writers=(BY_HAND,), encode=plain, **parts)


def every_case():
    for group in (of_small_types, of_bytes_and_texts, of_times, of_structs, of_fills, of_grids, of_documents):
        yield from group()
