"""Cases of the corpus in Zarr v2, in the words of .zarray: types, orders, separators, compressors, filters, and documents as they are found."""

import base64
from dataclasses import dataclass, field

import numpy as np

import data_types as types
from cases import BY_HAND, TENSORSTORE, ZARR_PYTHON
from cases_codecs import CNAMES, quantized, rounded, smooth

BOTH = (ZARR_PYTHON, TENSORSTORE)


@dataclass
class V2Case:
    name: str
    dtype: object = "<i4"
    fill: object = 0
    shape: tuple = (7, 5)
    chunk_shape: tuple = (3, 2)
    order: str = "C"
    separator: str = "."
    compressor: dict = None
    filters: list = None
    attributes: dict = field(default_factory=dict)
    # The axis names that the attributes give.
    dimension_names: list = None
    written: list = None
    writers: tuple = (ZARR_PYTHON,)
    form: str = None
    values: object = None
    stored_as: object = None
    # Changes .zarray after a writer wrote the array.
    edit: object = None
    # What `|O` stands for.
    objects: str = None
    # By hand: from the elements of a whole chunk to its bytes.
    encode: object = None

    zarr_format = 2

    def document(self):
        """The .zarray of the case."""
        filters = [{"id": "vlen-utf8" if self.objects == "string" else "vlen-bytes"}] if self.objects and not self.filters else self.filters
        return {
            "zarr_format": 2,
            "shape": list(self.shape),
            "chunks": list(self.chunk_shape),
            "dtype": self.dtype,
            "compressor": self.compressor,
            "fill_value": self.fill,
            "order": self.order,
            "filters": filters,
            "dimension_separator": self.separator,
        }

    def numpy_type(self):
        if isinstance(self.dtype, Nested):
            return self.dtype.dtype
        return np.dtype(object) if self.objects else np.dtype([tuple(f) for f in self.dtype] if isinstance(self.dtype, list) else self.dtype)

    def fill_element(self):
        dtype = self.numpy_type()
        if self.objects:
            out = np.empty((), object)
            out[()] = self.fill or ("" if self.objects == "string" else b"")
            return out
        if dtype.kind in "SV" and self.fill:
            return np.frombuffer(base64.b64decode(self.fill).ljust(dtype.itemsize, b"\0"), dtype)[0]
        if dtype.kind in "mM" and self.fill is not None:
            return np.array(-(2**63) if self.fill == "NaT" else self.fill, "<i8").view(dtype.newbyteorder("<"))
        if dtype.kind == "c" and isinstance(self.fill, list):
            return np.array(complex(*map(types_float, self.fill)), dtype)
        if self.fill is None or self.fill == "" and dtype.kind != "U" or dtype.kind in "SV":
            return np.zeros((), dtype)
        return np.array(types_float(self.fill) if dtype.kind in "fc" else self.fill).astype(dtype)

    def handed_over(self):
        array = np.empty(self.shape, self.numpy_type())
        array[...] = self.fill_element()
        values = interesting(self) if self.values is None else self.values
        for box in [...] if self.written is None else self.written:
            array[box] = values[box]
        return array

    def elements(self):
        array = self.handed_over()
        return array if self.stored_as is None else self.stored_as(array).astype(array.dtype)


def types_float(form):
    return {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}.get(form, form) if isinstance(form, str) else form


def interesting(case):
    dtype = case.numpy_type()
    if case.objects:
        return types.interesting(case.name, case.shape, case.objects)
    if dtype.names:
        out = np.zeros(case.shape, dtype)
        for name in dtype.names:
            base, inner = dtype[name].subdtype or (dtype[name], ())
            part = V2Case(f"{case.name} {name}", Nested([], base) if base.names else base.str, shape=(*case.shape, *inner))
            out[name] = interesting(part)
        return out
    plain = {"U": types.utf32(dtype.itemsize // 4), "S": types.null_terminated(dtype.itemsize), "V": types.raw_bytes(dtype.itemsize)}
    if dtype.kind in "mM":
        plain[dtype.kind] = types.time("timedelta", "s")
        return types.interesting(case.name, case.shape, plain[dtype.kind]).view("<i8").view(dtype.newbyteorder("<"))
    return types.interesting(case.name, case.shape, plain.get(dtype.kind, dtype.name))


def blosc(cname="lz4", shuffle=1, clevel=5, blocksize=0):
    return {"id": "blosc", "cname": cname, "clevel": clevel, "shuffle": shuffle, "blocksize": blocksize}


ZLIB, ZSTD = {"id": "zlib", "level": 1}, {"id": "zstd", "level": 3}


def of_types():
    plain = ["|b1", "|i1", "|u1", *(order + kind for order in "<>" for kind in ("i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"))]
    for dtype in plain:
        fill = False if dtype == "|b1" else None if dtype[1] == "c" else 0
        yield V2Case(f"v2_type_{label(dtype)}", dtype, fill, writers=BOTH, form=f"v2 type {np.dtype(dtype).name}")
    # TensorStore takes no null as the fill of a complex array ... but as that of others.
    for dtype in ("<f8", ">i4", "|b1"):
        yield V2Case(f"v2_fill_null_{label(dtype)}", dtype, None, writers=BOTH, form="v2 fill null")
    for dtype, form in (("|S4", "S"), ("|S1", "S"), ("<U5", "U"), (">U2", "U"), ("|V3", "V")):
        fill = {"S": "", "U": "", "V": "AAAA"}[form]
        yield V2Case(f"v2_type_{label(dtype)}", dtype, fill, form=f"v2 type {form}")
        yield V2Case(f"v2_type_{label(dtype)}_zstd", dtype, fill, compressor=ZSTD, separator="/", form=f"v2 type {form}")
    for kind in "Mm":
        for unit in ("ns", "D", "25us", "s"):
            for order in "<>":
                dtype = f"{order}{kind}8[{unit}]"
                yield V2Case(f"v2_type_{label(dtype)}", dtype, "NaT", written=[np.s_[0:2, 0:2]], form=f"v2 type {kind}8")
    for name in ("string", "bytes"):
        for compressor in (None, ZSTD, blosc("zstd", 0)):
            common = dict(dtype="|O", fill="", objects=name, compressor=compressor, form=f"v2 type |O, vlen-{types.RAGGED[name]}")
            suffix = "none" if compressor is None else compressor["id"]
            yield V2Case(f"v2_type_{name}_{suffix}", **common)
            yield V2Case(f"v2_type_{name}_{suffix}_sparse", written=[np.s_[0:3, 2:4]], **common)


def of_structs():
    structs = {
        "little": [["id", "<i4"], ["v", "<f8"], ["flag", "|b1"]],
        "big": [["id", ">i4"], ["v", ">f8"]],
        "mixed": [["id", "<i4"], ["v", ">f8"], ["name", "|S3"]],
        "texts": [["name", "<U4"], ["code", "|S2"], ["when", "<M8[s]"]],
    }
    for name, dtype in structs.items():
        size = np.dtype([tuple(f) for f in dtype]).itemsize
        common = dict(dtype=dtype, fill=base64.b64encode(bytes(size)).decode(), form=f"v2 struct{', mixed byte order' if name == 'mixed' else ''}")
        yield V2Case(f"v2_struct_{name}", compressor=ZLIB, **common)
        yield V2Case(f"v2_struct_{name}_sparse", written=[np.s_[0:2, 0:2]], **common)
    nested = [["a", "<i2"], ["b", [["x", "<f4"], ["y", "|u1"]]]]
    dtype = np.dtype([("a", "<i2"), ("b", [("x", "<f4"), ("y", "|u1")])])
    yield hand("v2_struct_nested", Nested(nested, dtype), None, form="v2 struct, nested")
    shaped = [["id", "<i4"], ["v", ">f8", [2]]]
    yield hand("v2_struct_shaped", Nested(shaped, np.dtype([("id", "<i4"), ("v", ">f8", (2,))])), None, form="v2 struct, sub-arrays")


class Nested(list):
    """A structured dtype as JSON that knows its NumPy form."""

    def __init__(self, form, dtype):
        super().__init__(form)
        self.dtype = dtype


def of_layouts():
    for order in "CF":
        for separator in "./":
            form = f"v2 order {order}, separator {separator}"
            name = f"v2_layout_{order}_{'dot' if separator == '.' else 'slash'}"
            yield V2Case(name, "<f4", 0.0, (9, 10, 11), (4, 3, 5), order=order, separator=separator, writers=BOTH, form=form)
            yield V2Case(f"{name}_zlib", ">i2", -1, (9, 10, 11), (4, 3, 5), order=order, separator=separator, compressor=ZLIB, writers=BOTH, form=form)
            yield V2Case(f"{name}_filter", "<i4", 0, (9, 10, 11), (4, 3, 5), order=order, separator=separator, filters=[{"id": "shuffle", "elementsize": 4}], compressor=ZLIB, form=form)
    for name, (shape, chunk) in {"scalar": ((), ()), "empty": ((0, 3), (1, 2)), "one": ((1,), (1,)), "large_chunk": ((5,), (16,))}.items():
        yield V2Case(f"v2_shape_{name}", shape=shape, chunk_shape=chunk, writers=BOTH, form="v2 shapes")
    yield V2Case("v2_string_F", "|O", "", order="F", objects="string", encode=vlen_in_f_order, writers=(BY_HAND,), form="v2 type |O, order F")


def vlen_in_f_order(case, chunk):
    dump = types.dump(chunk.T)
    return chunk.size.to_bytes(4, "little") + dump


def of_compressors():
    compressors = {
        "none": None,
        "zlib_9": {"id": "zlib", "level": 9},
        "gzip": {"id": "gzip", "level": 5},
        "bz2": {"id": "bz2", "level": 1},
        "zstd": ZSTD,
        "zstd_checksum": {"id": "zstd", "level": 1, "checksum": True},
        "lz4": {"id": "lz4", "acceleration": 1},
        "lzma": {"id": "lzma", "format": 1, "check": -1, "preset": 1, "filters": None},
        "lzma_alone": {"id": "lzma", "format": 2, "check": -1, "preset": 1, "filters": None},
        "lzma_delta": {"id": "lzma", "format": 1, "check": 4, "preset": None, "filters": [{"id": 3, "dist": 4}, {"id": 33, "preset": 1}]},
        "crc32": {"id": "crc32"},
        "adler32": {"id": "adler32"},
        "fletcher32": {"id": "fletcher32"},
    }
    compressors |= {f"blosc_{cname}_{shuffle % 4}": blosc(cname, shuffle) for cname in CNAMES for shuffle in (-1, 0, 1, 2)}
    for name, compressor in compressors.items():
        both = name.split("_")[0] in ("none", "zlib", "bz2", "blosc", "gzip") or name == "zstd"
        # numcodecs is built without snappy.
        writers = (TENSORSTORE,) if "snappy" in name else BOTH if both else (ZARR_PYTHON,)
        form = f"v2 compressor {name.replace('_', ' ') if name.startswith('blosc') else name.split('_')[0]}"
        form = {"lzma_alone": "v2 compressor lzma, .lzma files", "lzma_delta": "v2 compressor lzma with filters"}.get(name, form)
        for dtype in ("|u1", "<i2", "<f8"):
            values = smooth((60, 70), np.dtype(dtype).name)
            yield V2Case(f"v2_compressor_{name}_{label(dtype)}", dtype, 0, (60, 70), (40, 33), compressor=compressor, values=values, writers=writers, form=form)


def of_filters():
    whole = smooth((30, 31), "int32")
    common = dict(shape=(30, 31), chunk_shape=(11, 30), compressor=ZLIB)
    quantize = {"id": "quantize", "digits": 2, "dtype": "<f4", "astype": "<f4"}
    scale = {"id": "fixedscaleoffset", "scale": 4, "offset": 10, "dtype": "<f8", "astype": "<i2"}
    cases = {
        "shuffle": ("<i4", [{"id": "shuffle", "elementsize": 4}], whole, None),
        "delta": ("<i4", [{"id": "delta", "dtype": "<i4", "astype": "<i4"}], whole, None),
        "delta_big": (">i2", [{"id": "delta", "dtype": ">i2", "astype": ">i2"}], whole.astype("<i2"), None),
        "delta_shuffle": ("<i4", [{"id": "delta", "dtype": "<i4", "astype": "<i4"}, {"id": "shuffle", "elementsize": 4}], whole, None),
        "fixedscaleoffset": ("<f8", [scale], (np.arange(930) % 100 / 4 + 10).reshape(30, 31), None),
        "quantize": ("<f4", [quantize], smooth((30, 31), "float32") / np.float32(7), quantized(2)),
        "bitround": ("<f4", [{"id": "bitround", "keepbits": 9}], smooth((30, 31), "float32"), rounded(9)),
        "astype": ("<f8", [{"id": "astype", "encode_dtype": "<i4", "decode_dtype": "<f8"}], whole.astype("<f8"), None),
        "packbits": ("|b1", [{"id": "packbits"}], whole % 3 == 0, None),
        "crc32": ("<i4", [{"id": "crc32"}], whole, None),
        "adler32": ("<i4", [{"id": "adler32"}], whole, None),
        "fletcher32": ("<i4", [{"id": "shuffle", "elementsize": 4}, {"id": "fletcher32"}], whole, None),
    }
    for name, (dtype, filters, values, stored) in cases.items():
        fill = False if dtype == "|b1" else 0
        yield V2Case(f"v2_filter_{name}", dtype, fill, filters=filters, values=values, stored_as=stored, form=f"v2 filter {name.split('_')[0]}", **common)
    yield V2Case("v2_filter_delta_F", "<i4", 0, filters=[{"id": "delta", "dtype": "<i4", "astype": "<i4"}], values=whole, order="F", form="v2 filter delta, order F", **common)


def of_found():
    """Documents as they are found: what old or other writers wrote into .zarray."""
    corner = dict(written=[np.s_[0:2, 0:2]], form="v2 fill values and documents as found")

    def member(**changes):
        return lambda document: {**document, **changes}

    def without(name):
        return lambda document: {k: v for k, v in document.items() if k != name}

    fills = {
        "float_for_integer": ("|u1", 0, 0.0),
        "text_for_integer": ("<i4", 0, "0"),
        "text_for_negative": ("<i2", -9, "-9"),
        "integer_for_float": ("<f4", 5.0, 5),
        "nan": ("<f8", "NaN", "NaN"),
        "infinity": ("<f4", "-Infinity", "-Infinity"),
        "zero_for_bytes": ("|S4", "", 0),
        "empty_for_bytes": ("|S4", "", ""),
        "base64_for_bytes": ("|S4", "YWI=", "YWI="),
        "zero_for_bool": ("|b1", False, 0),
        "number_for_complex": ("<c8", [0.0, 0.0], 0.0),
        "pair_for_complex": ("<c16", ["NaN", -1.5], ["NaN", -1.5]),
        "time_as_number": ("<M8[s]", -(2**63), -(2**63)),
        "zero_for_text": ("<U3", "", 0),
        "large": ("<u8", 2**64 - 1, 2**64 - 1),
    }
    for name, (dtype, fill, found) in fills.items():
        yield V2Case(f"v2_found_{name}", dtype, fill, edit=member(fill_value=found), **corner)
    documents = {
        "no_fill": without("fill_value"),
        "no_separator": without("dimension_separator"),
        "empty_filters": member(filters=[]),
        "extra_member": member(novelty=1),
    }
    for name, edit in documents.items():
        yield V2Case(f"v2_found_{name}", edit=edit, **corner)
    for dtype, found in (("|u1", "<u1"), ("|i1", ">i1"), ("|b1", "<b1"), ("|S3", "<S3")):
        yield V2Case(f"v2_found_type_{label(found)}", dtype, "" if "S" in dtype else 0 if dtype != "|b1" else False, edit=member(dtype=found), **corner)
    names = dict(attributes={"_ARRAY_DIMENSIONS": ["y", "x"], "unit": "K"}, dimension_names=["y", "x"])
    yield V2Case("v2_names_xarray", "<f4", 0.0, compressor=ZLIB, writers=BOTH, form="v2 dimension names of xarray", **names)


def label(dtype):
    return "".join({"<": "le_", ">": "be_", "|": "", "[": "_", "]": ""}.get(x, x) for x in dtype)


def hand(name, dtype, fill, **parts):
    """By hand: elements in C order as NumPy lays them out, which is what `bytes` of Zarr v2 means."""
    return V2Case(name, dtype, fill, writers=(BY_HAND,), encode=lambda case, chunk: np.ascontiguousarray(chunk.astype(case.numpy_type())).tobytes(), **parts)


def every_case():
    for group in (of_types, of_structs, of_layouts, of_compressors, of_filters, of_found):
        yield from group()
