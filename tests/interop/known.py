"""What the readers are known not to read, or to read wrongly, each with the reason. What is not here must agree bit for bit.

The arrays are those of the corpus and what rezarr writes from them, so a limitation is told from the document, not from the name of a case.
"""

import base64
import math

import data_types as types
from cases import BY_HAND, COMPLEX, FLOATS, INTEGERS, TENSORSTORE
from cases_types import IN_TENSORSTORE, NOT_IN_ZARRS

REFUSES, DIFFERS = "refuses", "differs"
# A codec may leave bytes as they are, and then there is nothing to refuse.
MAYBE = "refuses or agrees"


def v3(document):
    return document["zarr_format"] == 3


def v2(document):
    return document["zarr_format"] == 2


def type_name(document):
    return types.name_of(document["data_type"]) if v3(document) else None


def chain(document):
    """All codecs as (name, configuration), those in shards too, in order. Codecs of Zarr v2 go by their id."""
    if v2(document):
        found = [*(document.get("filters") or []), *([document["compressor"]] if document.get("compressor") else [])]
        return [(one["id"], one) for one in found]
    return list(flat(document["codecs"]))


def flat(codecs):
    for one in codecs:
        name, configuration = (one, {}) if isinstance(one, str) else (one["name"], one.get("configuration", {}))
        yield name, configuration
        yield from flat(configuration.get("codecs", []))


def names(document):
    return [name for name, _ in chain(document)]


def uses(*wanted):
    return lambda document: any(name in wanted for name in names(document))


def v3_uses(*wanted):
    return lambda document: v3(document) and uses(*wanted)(document)


def v2_uses(*wanted):
    return lambda document: v2(document) and uses(*wanted)(document)


def type_in(*wanted):
    return lambda document: type_name(document) in wanted


def snappy(document):
    return any(configuration.get("cname") == "snappy" for _, configuration in chain(document))


def is_numcodec(name):
    return name.startswith("numcodecs.")


def raw_bits(document):
    name = type_name(document)
    return name is not None and name[0] == "r" and name[1:].isdigit()


def complex_extension(document):
    return (type_name(document) or "").startswith("complex_")


def small_type(document):
    return type_name(document) in (*types.NARROW, *types.MINI, types.BFLOAT) or complex_extension(document)


def behind_a_shard(codecs):
    """Whether bytes -> bytes codecs follow a sharding codec, at any depth."""
    plain = [one if isinstance(one, str) else one["name"] for one in codecs]
    if "sharding_indexed" not in plain:
        return False
    at = plain.index("sharding_indexed")
    return at + 1 < len(plain) or behind_a_shard(codecs[at]["configuration"]["codecs"])


def transposed_uneven_shard(document):
    if v2(document) or grid(document) != "regular":
        return False
    plain = [one if isinstance(one, str) else one["name"] for one in document["codecs"]]
    if "sharding_indexed" not in plain or "transpose" not in plain[: plain.index("sharding_indexed")]:
        return False
    return len(set(document["chunk_grid"]["configuration"]["chunk_shape"])) > 1


def grid(document):
    return document["chunk_grid"]["name"] if v3(document) else "regular"


def rectilinear(document):
    return grid(document) == "rectilinear"


def short_hand(document):
    return v3(document) and (any(isinstance(one, str) for one in document["codecs"]) or isinstance(document["chunk_key_encoding"], str))


def object_form(document):
    return v3(document) and isinstance(document["data_type"], dict) and "configuration" not in document["data_type"]


def duplicate_names(document):
    found = [name for name in document.get("dimension_names") or [] if name]
    return len(found) != len(set(found))


def hex_forms(document):
    fill = document.get("fill_value")
    parts = fill if isinstance(fill, list) else [fill]
    return [part for part in parts if isinstance(part, str) and part.startswith("0x")]


def half_pattern(document):
    return type_name(document) == "float16" and any(int(form, 16) & 0x1FF for form in hex_forms(document))


def signalling(document):
    """A NaN of float32 whose quiet bit is not set. NumPy keeps it, Python's float does not."""
    if type_name(document) != "float32":
        return False
    return any((int(form, 16) & 0x7FFFFFFF) > 0x7F800000 and not int(form, 16) & 0x00400000 for form in hex_forms(document))


def unitless(document):
    return type_name(document) == "numpy.datetime64" and document["data_type"]["configuration"]["unit"] == "generic"


def list_fill(document):
    return type_name(document) in ("bytes", "variable_length_bytes") and isinstance(document["fill_value"], list)


def empty_transpose(document):
    return any(name == "transpose" and configuration.get("order") == [] for name, configuration in chain(document))


def vlen_transposed(document):
    ragged = v3(document) and types.is_ragged(document["data_type"])
    moved = "transpose" in names(document) or v2(document) and document["order"] == "F" and document["dtype"] == "|O"
    return moved and (ragged or v2(document))


def dtype(document):
    return document["dtype"] if v2(document) else None


def v2_kind(*kinds):
    return lambda document: isinstance(dtype(document), str) and dtype(document)[1] in kinds


def v2_struct(document):
    return isinstance(dtype(document), list)


def v2_nested(document):
    return v2_struct(document) and any(isinstance(field[1], list) or len(field) > 2 for field in dtype(document))


def lzma_filters(document):
    return any(name == "lzma" and configuration.get("filters") for name, configuration in chain(document))


def missing_checksum(document):
    return v3(document) and any(name == "zstd" and "checksum" not in configuration for name, configuration in chain(document))


def padded_int16(document):
    padded = any(name == "packbits" and configuration.get("padding_encoding", "none") != "none" for name, configuration in chain(document))
    return padded and type_name(document) == "int16"


def some_bits(document):
    return any(name == "packbits" and configuration.get("first_bit") for name, configuration in chain(document))


def checksum_behind_compressor(document):
    found = names(document)
    return "numcodecs.fletcher32" in found and found.index("numcodecs.fletcher32") > 1


def scaled_to_byte(document):
    return any(name == "numcodecs.fixedscaleoffset" and configuration.get("astype", "")[:1] == "|" for name, configuration in chain(document))


def unknown_to_tensorstore(document):
    name = type_name(document)
    known = {"bool", *INTEGERS, *FLOATS, *COMPLEX, types.BFLOAT, *IN_TENSORSTORE, "raw_bytes", "struct", "structured"}
    return name is not None and name not in known and not raw_bits(document)


def raw_list_fill(document):
    return raw_bits(document) and isinstance(document["fill_value"], list)


def missing_fill(document):
    return v2(document) and "fill_value" not in document


def odd_fill(*kinds):
    """A plain number as the fill value of a kind of types that has none."""
    return lambda document: v2_kind(*kinds)(document) and type(document.get("fill_value")) in (int, float)


def order_of_one_byte(document):
    kind = dtype(document)
    return isinstance(kind, str) and kind[0] in "<>" and (kind[1] in "SVb" or kind[2:] == "1")


def field_types(document):
    return [types.name_of(of) for _, of in types.fields_of(document["data_type"])] if type_name(document) in ("struct", "structured") else []


def unknown_fields(document):
    return any(name.startswith(("numpy.", "fixed_", "null_", "struct")) for name in field_types(document))


def exponent_fill(document):
    return type_name(document) == "float8_e8m0fnu" and document["fill_value"] not in (1.0, "NaN")


def void_in_shards(document):
    return type_name(document) in ("raw_bytes", "structured") and "sharding_indexed" in names(document)


def odd_typesize(document):
    """Whether a chunk ends within what blosc takes for an element."""
    if v2(document) or types.is_ragged(document["data_type"]) or rectilinear(document):
        return False
    size = math.prod(document["chunk_grid"]["configuration"]["chunk_shape"]) * types.numpy_type(document["data_type"]).itemsize
    return any(name == "blosc" and size % configuration.get("typesize", 1) for name, configuration in chain(document))


def big_struct(document):
    return type_name(document) == "structured" and any(name == "bytes" and configuration.get("endian") == "big" for name, configuration in chain(document))


def v2_odd_fields(document):
    return v2_struct(document) and any(isinstance(field[1], list) or field[1][1] in "UMm" for field in dtype(document))


def short_fill(document):
    fill = document.get("fill_value")
    return v2_kind("S")(document) and isinstance(fill, str) and len(base64.b64decode(fill)) < int(dtype(document)[2:])


def fill_of_another_type(document):
    return v2_kind("i", "u")(document) and isinstance(document.get("fill_value"), (str, float))


# Of zarrs, the codecs under names of numcodecs that it knows.
ZARRS_NUMCODECS = {f"numcodecs.{name}" for name in ("zlib", "bz2", "shuffle", "fletcher32", "adler32", "fixedscaleoffset", "bitround")}
ZARRS_V2_CODECS = {"blosc", "zlib", "gzip", "bz2", "zstd", "shuffle", "fletcher32", "adler32", "fixedscaleoffset", "vlen-utf8", "vlen-bytes"}
TENSORSTORE_V2_CODECS = {"blosc", "zlib", "gzip", "bz2", "zstd"}
TENSORSTORE_CODECS = {"bytes", "transpose", "gzip", "zstd", "blosc", "crc32c", "sharding_indexed"}
SPECIFIED = ("packbits", "bitround", "reshape", "scale_offset", "cast_value")

# (reader, outcome, predicate over the document and where need be the entry, reason). The first that applies counts.
LIMITATIONS = [
    ("zarr-python", REFUSES, small_type, "does not know the data type"),
    ("zarr-python", REFUSES, raw_bits, "knows raw_bytes, not the r* types of the core specification"),
    ("zarr-python", REFUSES, type_in("struct"), "knows only the legacy name structured (3.1.6)"),
    ("zarr-python", REFUSES, rectilinear, "does not know the rectilinear grid (3.1.6)"),
    ("zarr-python", REFUSES, v3_uses(*SPECIFIED), "does not know the codec (3.1.6)"),
    ("zarr-python", MAYBE, snappy, "numcodecs is built without snappy"),
    ("zarr-python", REFUSES, transposed_uneven_shard, "reads the inner chunk shape in array axes (zarr-python#2050)"),
    ("zarr-python", REFUSES, short_hand, "refuses extension points written as a bare name"),
    ("zarr-python", REFUSES, object_form, "refuses a data type as an object without configuration"),
    ("zarr-python", DIFFERS, half_pattern, "loses the payload of a float16 NaN in fill_value"),
    ("zarr-python", DIFFERS, signalling, "makes a signalling NaN in fill_value a quiet one"),
    ("zarr-python", REFUSES, void_in_shards, "hashes the fill value of shards, which void elements do not have"),
    ("zarr-python", DIFFERS, big_struct, "reads structs in little endian, whatever bytes says (3.1.6)"),
    ("zarr-python", REFUSES, list_fill, "wants the fill value of bytes in base64"),
    ("zarr-python", REFUSES, unitless, "takes no integer as the fill value of a datetime64 without unit"),
    ("zarr-python", REFUSES, lzma_filters, "hands filters to a decoder that takes none (numcodecs)"),
    ("zarr-python", REFUSES, v2_nested, "does not know structs of structs and of arrays"),
    ("zarr-python", REFUSES, missing_fill, "wants a fill_value, if only null"),
    ("zarr-python", REFUSES, odd_fill("S", "U", "c"), "refuses a plain number as the fill value of bytes, text and complex numbers"),
    ("zarr-python", REFUSES, order_of_one_byte, "refuses a byte order where there is only one byte"),
    ("tensorstore", REFUSES, unknown_to_tensorstore, "does not know the data type"),
    ("tensorstore", REFUSES, lambda document: v3(document) and set(names(document)) - TENSORSTORE_CODECS, "does not know the codec"),
    ("tensorstore", REFUSES, lambda document: v3(document) and behind_a_shard(document["codecs"]), "refuses bytes -> bytes codecs behind a shard"),
    ("tensorstore", REFUSES, raw_list_fill, "wants the fill value of r* types in base64, not as the list of the core specification"),
    ("tensorstore", REFUSES, short_hand, "refuses extension points written as a bare name"),
    ("tensorstore", REFUSES, object_form, "refuses a data type as an object without configuration"),
    ("tensorstore", REFUSES, duplicate_names, "refuses dimension names that occur twice"),
    ("tensorstore", REFUSES, rectilinear, "does not know the rectilinear grid"),
    ("tensorstore", REFUSES, unknown_fields, "does not know the data type of a field"),
    ("tensorstore", DIFFERS, exponent_fill, "takes the exponent of a fill value of float8_e8m0fnu for another"),
    ("tensorstore", REFUSES, v2_kind("U", "M", "m", "O"), "does not know the data type of Zarr v2"),
    ("tensorstore", REFUSES, missing_fill, "wants a fill_value, if only null"),
    ("tensorstore", REFUSES, odd_fill("S", "c", "b"), "refuses a plain number as the fill value of bytes, bools and complex numbers"),
    ("tensorstore", REFUSES, short_fill, "wants the fill value of bytes in full"),
    ("tensorstore", REFUSES, lambda document: v2_kind("i", "u")(document) and isinstance(document.get("fill_value"), str), "refuses integers as text in the fill value"),
    ("tensorstore", REFUSES, v2_odd_fields, "does not know the data type of a field"),
    ("tensorstore", REFUSES, lambda document: v2(document) and document.get("filters"), "does not know filters"),
    ("tensorstore", REFUSES, lambda document: v2(document) and set(names(document)) - TENSORSTORE_V2_CODECS, "does not know the codec of Zarr v2"),
    ("tensorstore", REFUSES, lambda document: v2_uses("zstd")(document) and "checksum" in document["compressor"], "refuses the member checksum of zstd in Zarr v2"),
    ("zarrs", REFUSES, missing_fill, "wants a fill_value, if only null"),
    ("zarrs", REFUSES, order_of_one_byte, "refuses a byte order where there is only one byte"),
    ("zarrs", REFUSES, odd_fill("U", "c"), "refuses a plain number as the fill value of text and complex numbers"),
    ("zarrs", REFUSES, fill_of_another_type, "refuses integers as text and as floating point numbers in the fill value of integers"),
    ("zarrs", REFUSES, type_in(NOT_IN_ZARRS, f"complex_{NOT_IN_ZARRS}", "raw_bytes", "null_terminated_bytes", "struct", "structured"), "does not know the data type"),
    ("zarrs", REFUSES, v3_uses("scale_offset", "cast_value"), "does not know the codec"),
    ("zarrs", REFUSES, lambda document: v3(document) and any(is_numcodec(name) and name not in ZARRS_NUMCODECS for name in names(document)), "does not know the codec"),
    ("zarrs", MAYBE, odd_typesize, "reads parts of a blosc frame only in whole units of its typesize"),
    ("zarrs", REFUSES, empty_transpose, "refuses to transpose an array of no dimensions"),
    ("zarrs", REFUSES, vlen_transposed, "reads transposed elements of variable length in the axes of the array"),
    ("zarrs", REFUSES, missing_checksum, "wants the member checksum of zstd"),
    ("zarrs", REFUSES, padded_int16, "counts the padding of packbits as a part of whole bytes"),
    ("zarrs", DIFFERS, lambda document: "packbits" in names(document) and type_name(document) in ("int2", "int4"), "does not extend the sign"),
    ("zarrs", DIFFERS, some_bits, "puts the bits of packbits elsewhere where first_bit is given"),
    ("zarrs", MAYBE, checksum_behind_compressor, "computes fletcher32 of an odd number of bytes otherwise"),
    ("zarrs", REFUSES, scaled_to_byte, "does not know the types of one byte by the names of Zarr v2"),
    ("zarrs", REFUSES, v2_struct, "does not know structs"),
    ("zarrs", REFUSES, v2_kind("M", "m", "S"), "does not know the data type of Zarr v2"),
    ("zarrs", REFUSES, lambda document: v2_kind("c")(document) and document.get("fill_value", None) is None, "refuses null as the fill value of complex numbers"),
    ("zarrs", REFUSES, lambda document: v2(document) and set(names(document)) - ZARRS_V2_CODECS, "does not know the codec of Zarr v2"),
]

# What depends on what the writer did, and not on the document: (reader, outcome, writer, predicate, reason).
OF_WRITERS = [
    ("tensorstore", REFUSES, BY_HAND, lambda document, form: form in ("codec gzip, several members", "codec zstd, several and skippable frames"), "reads one frame"),
    ("zarrs", REFUSES, BY_HAND, lambda document, form: form == "codec gzip, several members", "reads one member"),
    ("zarrs", DIFFERS, TENSORSTORE, lambda document, form: type_name(document) in ("int2", "int4"), "keeps the upper bits, which may be anything"),
]


def expected(reader, entry, document):
    """The outcome that is known of a reader for an array, and why."""
    for who, outcome, writer, applies, reason in OF_WRITERS:
        if who == reader and writer == entry.get("writer") and applies(document, entry.get("form")):
            return outcome, reason
    for who, outcome, applies, reason in LIMITATIONS:
        if who == reader and applies(document):
            return outcome, reason
    return "agrees", None
