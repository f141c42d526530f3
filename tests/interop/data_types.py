"""Data types and fill values of zarr.json in NumPy's terms, and elements as the bytes that all readers are compared by.

A dump is the elements in C order: little endian, types narrower than a byte as one byte each (sign-extended), structs packed, and text and byte
strings of any length each as a u32 count of bytes, little endian, and these bytes.
"""

import base64
import zlib

import ml_dtypes
import numpy as np

NARROW = ["int2", "int4", "uint2", "uint4"]
FLOATS_8 = [f"float8_{kind}" for kind in ("e3m4", "e4m3", "e4m3b11fnuz", "e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz", "e8m0fnu")]
FLOATS_6 = ["float6_e2m3fn", "float6_e3m2fn"]
FLOATS_4 = ["float4_e2m1fn"]
MINI = [*FLOATS_8, *FLOATS_6, *FLOATS_4]
BFLOAT = "bfloat16"
UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"]
RAGGED = {"string": "utf8", "bytes": "bytes", "variable_length_bytes": "bytes"}
COMPLEX = {"complex_float32": "<c8", "complex_float64": "<c16"}


def named(name, **configuration):
    return {"name": name, "configuration": configuration}


def time(kind, unit, scale=1):
    return named(f"numpy.{kind}64", unit=unit, scale_factor=scale)


def utf32(code_points):
    return named("fixed_length_utf32", length_bytes=4 * code_points)


def null_terminated(size):
    return named("null_terminated_bytes", length_bytes=size)


def raw_bytes(size):
    return named("raw_bytes", length_bytes=size)


def struct(**fields):
    return named("struct", fields=[{"name": name, "data_type": data_type} for name, data_type in fields.items()])


def structured(**fields):
    return named("structured", fields=[[name, data_type] for name, data_type in fields.items()])


def name_of(data_type):
    return data_type if isinstance(data_type, str) else data_type["name"]


def is_ragged(data_type):
    return isinstance(data_type, str) and data_type in RAGGED


def bits_of(name):
    """How many bits a type narrower than a byte, or of one, has."""
    return int(name.removeprefix("complex_").removeprefix("u").removeprefix("int").removeprefix("float").split("_")[0])


def pair_of(name):
    """The type of the parts of a complex type that NumPy does not know; none for others."""
    part = name.removeprefix("complex_")
    return part if part != name and name not in COMPLEX else None


def numpy_type(data_type):
    """What NumPy, or ml_dtypes, has for a data type: packed, little endian. Objects for types of variable length."""
    name = name_of(data_type)
    configuration = {} if isinstance(data_type, str) else data_type.get("configuration", {})
    if name in RAGGED:
        return np.dtype(object)
    if name in COMPLEX:
        return np.dtype(COMPLEX[name])
    if name in NARROW or name in MINI or name == BFLOAT:
        return np.dtype(getattr(ml_dtypes, name))
    if name.startswith("numpy."):
        unit, scale = configuration["unit"], configuration["scale_factor"]
        letter = "M" if name == "numpy.datetime64" else "m"
        return np.dtype(f"<{letter}8" + ("" if unit == "generic" else f"[{scale}{unit}]"))
    if name == "fixed_length_utf32":
        return np.dtype(f"<U{configuration['length_bytes'] // 4}")
    if name == "null_terminated_bytes":
        return np.dtype(f"S{configuration['length_bytes']}")
    if name == "raw_bytes":
        return np.dtype(f"V{configuration['length_bytes']}")
    if name in ("struct", "structured"):
        return np.dtype([(field, numpy_type(of)) for field, of in fields_of(data_type)])
    if name[0] == "r" and name[1:].isdigit():
        return np.dtype(f"V{int(name[1:]) // 8}")
    if pair_of(name):
        return np.dtype(f"V{2 * numpy_type(pair_of(name)).itemsize}")
    return np.dtype(name).newbyteorder("<")


def fields_of(data_type):
    fields = data_type["configuration"]["fields"]
    return [(field["name"], field["data_type"]) if isinstance(field, dict) else tuple(field) for field in fields]


def comparable(dtype):
    """The type as readers name it, without byte order; none where each has its own idea of it."""
    dtype = np.dtype(dtype)
    return None if dtype.kind in "OV" and dtype.names is None and dtype.name not in (BFLOAT, *MINI, *NARROW) or dtype.names else dtype.name


def dump(elements):
    """The bytes of elements, whatever byte order and memory layout they have."""
    elements = np.asarray(elements)
    if elements.dtype.kind == "O" or elements.dtype.kind == "T":
        parts = (value.encode() if isinstance(value, str) else bytes(value) for value in elements.ravel().tolist())
        return b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    if elements.dtype.name in NARROW:
        elements = elements.astype(np.uint8 if elements.dtype.name[0] == "u" else np.int8)
    return np.ascontiguousarray(elements.astype(packed(elements.dtype))).tobytes()


def packed(dtype):
    """A type without padding in little endian."""
    if dtype.names:
        return np.dtype([(name, packed(dtype[name])) for name in dtype.names])
    if dtype.subdtype:
        return np.dtype((packed(dtype.subdtype[0]), dtype.subdtype[1]))
    return dtype if dtype.name in (BFLOAT, *MINI, *NARROW) else dtype.newbyteorder("<")


def fill_scalar(form, data_type):
    """An element from the JSON form of a fill value, as an array of no dimensions."""
    name, dtype = name_of(data_type), numpy_type(data_type)
    if name in RAGGED:
        text = name == "string"
        value = form if text else base64.b64decode(form) if isinstance(form, str) else bytes(form)
        out = np.empty((), object)
        out[()] = value
        return out
    if name == "struct":
        out = np.zeros((), dtype)
        for field, of in fields_of(data_type):
            out[field] = fill_scalar(form[field], of)
        return out
    if isinstance(form, str) and form.startswith("0x"):
        raw = bytes.fromhex(form[2:])
        return np.frombuffer(raw[::-1], dtype)[0] if dtype.itemsize == len(raw) else fail(form)
    if name == "null_terminated_bytes" or dtype.kind == "V" and isinstance(form, str) and not pair_of(name) and name not in MINI and name != BFLOAT:
        raw = base64.b64decode(form)
        return np.frombuffer(raw.ljust(dtype.itemsize, b"\0"), dtype)[0]
    if isinstance(form, list):
        return pair(form, name, dtype)
    if name == "fixed_length_utf32":
        return np.array(form, dtype)
    if name.startswith("numpy."):
        return np.array(-(2**63) if form == "NaT" else form, "<i8").view(dtype)
    if isinstance(form, str):
        form = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}[form]
        with np.errstate(all="ignore"):
            return np.array(form).astype(dtype)
    return np.array(form).astype(dtype) if dtype.kind not in "iu" else dtype.type(form)


def fail(form):
    raise ValueError(f"{form} has not the width of its type")


def pair(form, name, dtype):
    """A complex number, or raw bits as a list of bytes."""
    if name[0] == "r" and name[1:].isdigit():
        return np.frombuffer(bytes(form), dtype)[0]
    part = pair_of(name) or f"float{dtype.itemsize * 4}"
    return np.frombuffer(b"".join(fill_scalar(x, part).tobytes() for x in form), dtype)[0]


def interesting(name, shape, data_type):
    """Elements for a case: runs that compress, noise that does not, and the extremes of the type. They follow from the name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    count = int(np.prod(shape, dtype=np.int64))
    type_name, dtype = name_of(data_type), numpy_type(data_type)
    if type_name in RAGGED:
        return ragged(rng, count, type_name == "string").reshape(shape)
    if type_name in NARROW:
        values = 2 ** bits_of(type_name)
        low = 0 if type_name[0] == "u" else -values // 2
        return rng.integers(low, low + values, count).astype(dtype).reshape(shape)
    if type_name in MINI or pair_of(type_name) in MINI:
        width = 2 if pair_of(type_name) else 1
        patterns = rng.permutation(np.arange(width * count) % 2 ** bits_of(type_name))
        return patterns.astype(np.uint8).view(dtype).reshape(shape)
    if dtype.names:
        out = np.zeros(count, dtype)
        for field, of in fields_of(data_type):
            out[field] = interesting(f"{name} {field}", (count,), of)
        return out.reshape(shape)
    if dtype.kind == "U":
        return np.array(texts(rng, count, dtype.itemsize // 4), dtype).reshape(shape)
    if dtype.kind == "S":
        return np.array([bytes(rng.integers(1, 256, rng.integers(0, dtype.itemsize + 1), np.uint8)) for _ in range(count)], dtype).reshape(shape)
    if dtype.kind in "V" or type_name == BFLOAT:
        return bits(rng, count, dtype).reshape(shape)
    if dtype.kind in "mM":
        values = rng.integers(-(2**62), 2**62, count)
        values[: count // 4] = -(2**63)
        return rng.permutation(values).astype("<i8").view(dtype).reshape(shape)
    return numbers(rng, count, dtype).reshape(shape)


def bits(rng, count, dtype):
    values = np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).copy()
    values[count // 3 : count // 2] = values[:1]
    return values


ALPHABET = ["a", "Z", "ß", "λ", "中", "🛰", " ", "\n", "0"]


def texts(rng, count, most):
    return ["".join(rng.choice(ALPHABET, rng.integers(0, most + 1))) for _ in range(count)]


def ragged(rng, count, is_text):
    values = texts(rng, count, 12) if is_text else [rng.bytes(int(size)) for size in rng.integers(0, 20, count)]
    if count > 3:
        values[1], values[2] = values[1] * 50, values[2][:0]
    out = np.empty(count, object)
    out[:] = values
    return out


def numbers(rng, count, dtype):
    if dtype.kind == "b":
        return rng.integers(0, 2, count) == 1
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = rng.integers(limits.min, limits.max, count, dtype=dtype.newbyteorder("="), endpoint=True).astype(dtype)
        special = [limits.min, limits.max, 0, 1]
    else:
        part = np.dtype(f"<f{dtype.itemsize // (2 if dtype.kind == 'c' else 1)}")
        parts = rng.standard_normal(count * dtype.itemsize // part.itemsize).astype(part)
        values = parts.view(dtype)
        info = np.finfo(part)
        special = [np.nan, np.inf, -np.inf, -0.0, info.max, info.smallest_subnormal]
        if dtype.kind == "c":
            special = [complex(a, b) for a, b in zip(special, reversed(special))]
    values[count // 3 : count // 2] = dtype.type(7)
    for position, value in zip(rng.permutation(count), special):
        values[position] = value
    return values
