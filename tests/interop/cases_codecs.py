"""Cases of the corpus for codecs beyond the core specification: blosc, what numcodecs has, packbits, casts, and frames in unusual forms."""

import itertools

import numpy as np

import data_types as types
import golden
from cases import BY_HAND, TENSORSTORE, ZARR_PYTHON, ZARRS, Case, bytes_codec, codec, crc32c, gzip, sharding, transpose, zstd

CNAMES = ["lz4", "lz4hc", "blosclz", "zstd", "zlib", "snappy"]
SHUFFLES = ["noshuffle", "shuffle", "bitshuffle"]
SHAPE, CHUNK = (9, 10, 11), (4, 3, 5)


def blosc(cname="lz4", shuffle="shuffle", typesize=4, clevel=5, blocksize=0):
    return codec("blosc", cname=cname, clevel=clevel, shuffle=shuffle, typesize=typesize, blocksize=blocksize)


def smooth(shape, dtype, step=0.01):
    """Elements as a sensor gives them: they compress, and not to nothing."""
    count = int(np.prod(shape))
    wave = np.sin(np.arange(count) * step) * 100 + np.random.default_rng(7).integers(0, 3, count)
    dtype = types.numpy_type(dtype)
    if dtype.kind in "iu":
        wave = wave + 110 if dtype.kind == "u" or dtype.itemsize == 1 else wave * 50
        return wave.clip(0, 127).astype(dtype).reshape(shape) if dtype.itemsize == 1 else wave.astype(dtype).reshape(shape)
    return wave.astype(dtype).reshape(shape)


def of_blosc():
    for cname, shuffle in itertools.product(CNAMES, SHUFFLES):
        # numcodecs is built without snappy.
        writers = (TENSORSTORE, ZARRS) if cname == "snappy" else (ZARR_PYTHON, TENSORSTORE)
        form = f"codec blosc {cname} {shuffle}"
        for dtype, typesize in (("uint8", 1), ("int16", 2), ("float32", 4), ("float64", 8)):
            values = smooth((60, 70), dtype)
            common = dict(shape=(60, 70), chunk_shape=(40, 33), dtype=dtype, fill=0, values=values, writers=writers, form=form)
            serializer = codec("bytes") if typesize == 1 else bytes_codec()
            yield Case(f"blosc_{cname}_{shuffle}_{dtype}", serializer=serializer, compressors=[blosc(cname, shuffle, typesize)], **common)
        common = dict(shape=(4000,), chunk_shape=(3001,), dtype="int32", fill=0, values=smooth((4000,), "int32"), writers=writers, form=form)
        yield Case(f"blosc_{cname}_{shuffle}_blocks", compressors=[blosc(cname, shuffle, 4, blocksize=2048)], **common)
    for cname in CNAMES:
        writers = (TENSORSTORE, ZARRS) if cname == "snappy" else (ZARR_PYTHON, TENSORSTORE)
        common = dict(writers=writers, form=f"codec blosc {cname} levels and sizes")
        for clevel in (0, 1, 9):
            yield Case(f"blosc_{cname}_level_{clevel}", SHAPE, CHUNK, "float32", 0.0, compressors=[blosc(cname, clevel=clevel)], **common)
        yield Case(f"blosc_{cname}_tiny", (5,), (2,), "int16", 0, compressors=[blosc(cname, typesize=2)], **common)
        large = smooth((300_000,), "float32", 0.001)
        yield Case(f"blosc_{cname}_large", (300_000,), (250_000,), "float32", 0.0, values=large, compressors=[blosc(cname)], **common)
        for typesize, shuffle in ((3, "shuffle"), (7, "bitshuffle"), (16, "bitshuffle"), (255, "shuffle")):
            yield Case(f"blosc_{cname}_typesize_{typesize}", (100, 70), (60, 33), "float32", 0.0, values=smooth((100, 70), "float32"), compressors=[blosc(cname, shuffle, typesize)], **common)
    common = dict(writers=(ZARR_PYTHON,), form="codec blosc, other types")
    yield Case("blosc_text", dtype=types.utf32(3), fill="", compressors=[blosc("zstd", typesize=12)], **common)
    yield Case("blosc_complex", SHAPE, CHUNK, "complex128", [0.0, 0.0], compressors=[blosc("lz4", "bitshuffle", 16)], **common)
    yield Case("blosc_string", dtype="string", fill="", compressors=[blosc("lz4", "noshuffle", 1)], **common)
    shards = sharding((4, 3), [transpose(1, 0), bytes_codec("big"), blosc("zstd", "bitshuffle"), crc32c()])
    yield Case("blosc_in_shards", (17, 13), (8, 6), "int32", 0, serializer=shards, writers=(ZARR_PYTHON, TENSORSTORE, ZARRS), form="codec blosc in shards")


def numcodec(name, **configuration):
    return {"name": f"numcodecs.{name}", "configuration": configuration}


def of_numcodecs_bytes():
    chains = {
        "zlib": [numcodec("zlib", level=6)],
        "zlib_0": [numcodec("zlib", level=0)],
        "bz2": [numcodec("bz2", level=9)],
        "lz4": [numcodec("lz4", acceleration=1)],
        "lz4_fast": [numcodec("lz4", acceleration=20)],
        "lzma": [numcodec("lzma", preset=1)],
        "lzma_alone": [numcodec("lzma", format=2, check=-1, preset=1)],
        "lzma_check_sha256": [numcodec("lzma", format=1, check=10, preset=0)],
        "zstd": [numcodec("zstd", level=3)],
        "zstd_checksum": [numcodec("zstd", level=1, checksum=True)],
        "gzip": [numcodec("gzip", level=1)],
        "shuffle": [numcodec("shuffle", elementsize=4)],
        "shuffle_zlib": [numcodec("shuffle", elementsize=4), numcodec("zlib", level=1)],
        "shuffle_2_lz4": [numcodec("shuffle", elementsize=2), numcodec("lz4", acceleration=1)],
        "shuffle_8": [numcodec("shuffle", elementsize=8), zstd()],
        "crc32": [numcodec("crc32")],
        "crc32_end": [numcodec("crc32", location="end")],
        "crc32c": [numcodec("crc32c")],
        "adler32": [numcodec("adler32")],
        "adler32_end": [zstd(), numcodec("adler32", location="end")],
        "fletcher32": [numcodec("fletcher32")],
        "fletcher32_zlib": [numcodec("shuffle", elementsize=4), numcodec("zlib", level=4), numcodec("fletcher32")],
        "jenkins_lookup3": [numcodec("jenkins_lookup3", initval=5)],
    }
    for number, (cname, shuffle) in enumerate(itertools.product(CNAMES[:5], (-1, 0, 1, 2))):
        chains[f"blosc_{cname}_{shuffle % 4}"] = [numcodec("blosc", cname=cname, clevel=1 + number % 9, shuffle=shuffle, blocksize=0)]
    for name, chain in chains.items():
        known = ["jenkins_lookup3", "zlib", "bz2", "lz4", "lzma", "zstd", "gzip", "shuffle", "crc32c", "crc32", "adler32", "fletcher32", "blosc"]
        base = next(x for x in known if name.startswith(x))
        form = "codec numcodecs.lzma, .lzma files" if name == "lzma_alone" else f"codec numcodecs.{base}"
        yield Case(f"numcodecs_{name}", (30, 31), (11, 30), "int32", -1, values=smooth((30, 31), "int32"), compressors=chain, writers=(ZARR_PYTHON,), form=form)
        yield Case(f"numcodecs_{name}_noise", SHAPE, CHUNK, "float32", 0.0, compressors=chain, writers=(ZARR_PYTHON,), form=form)
    inner = [bytes_codec(), numcodec("shuffle", elementsize=4), numcodec("bz2", level=1), numcodec("crc32")]
    yield Case("numcodecs_in_shards", (17, 13), (8, 6), "int32", 0, serializer=sharding((4, 3), inner), writers=(ZARR_PYTHON,), form="codec numcodecs.* in shards")


def of_filters():
    """Codecs of arrays. What a lossy one stores follows from its definition, in NumPy."""
    whole = smooth((30, 31), "int32")
    common = dict(shape=(30, 31), chunk_shape=(11, 30), writers=(ZARR_PYTHON,))
    for dtype in ("int8", "uint16", "int32", "int64", "float64"):
        kind = np.dtype(dtype).str
        yield Case(f"filter_delta_{dtype}", dtype=dtype, fill=0, values=smooth((30, 31), dtype).round(), filters=[numcodec("delta", dtype=kind)], compressors=[zstd()], form="codec numcodecs.delta", **common)
    yield Case("filter_delta_astype", dtype="int32", fill=0, values=np.arange(930, dtype="<i4").reshape(30, 31), filters=[numcodec("delta", dtype="<i4", astype="<i2")], form="codec numcodecs.delta", **common)
    for dtype, to, scale, offset in (("float64", "<i2", 4, 10), ("float32", "|u1", 0.5, 0), ("float64", "<f4", 8, -3), ("int32", "<i4", 1, 7)):
        filters = [numcodec("fixedscaleoffset", scale=scale, offset=offset, dtype=np.dtype(dtype).str, astype=to)]
        values = (np.arange(930) % 100 / scale + offset).reshape(30, 31).astype(dtype)
        yield Case(f"filter_fixedscaleoffset_{dtype}_{to[1:]}", dtype=dtype, fill=0, values=values, filters=filters, form="codec numcodecs.fixedscaleoffset", **common)
    lossy = smooth((30, 31), "float64") / 3
    filters = [numcodec("fixedscaleoffset", scale=10, offset=-200, dtype="<f8", astype="<u2")]
    stored = lambda x: np.around((x - -200) * 10).astype("<u2").astype("<f8") / 10 + -200
    yield Case("filter_fixedscaleoffset_lossy", dtype="float64", fill=0, values=lossy, stored_as=stored, filters=filters, form="codec numcodecs.fixedscaleoffset", **common)
    for dtype, digits in (("float32", 1), ("float64", 3), ("float64", 0)):
        filters = [numcodec("quantize", digits=digits, dtype=np.dtype(dtype).str)]
        yield Case(f"filter_quantize_{dtype}_{digits}", dtype=dtype, fill=0, values=(smooth((30, 31), dtype) / 7).astype(dtype), stored_as=quantized(digits), filters=filters, form="codec numcodecs.quantize", **common)
    for dtype, keep in (("float16", 4), ("float32", 7), ("float32", 23), ("float64", 20)):
        values = smooth((30, 31), dtype)
        bits = dict(dtype=dtype, fill=0, values=values, stored_as=rounded(keep), shape=(30, 31), chunk_shape=(11, 30))
        yield Case(f"filter_bitround_numcodecs_{dtype}_{keep}", filters=[numcodec("bitround", keepbits=keep)], writers=(ZARR_PYTHON,), form="codec numcodecs.bitround", **bits)
        yield Case(f"filter_bitround_{dtype}_{keep}", filters=[codec("bitround", keepbits=keep)], writers=(ZARRS,), form="codec bitround", **bits)
    yield Case("filter_astype", dtype="float64", fill=0, values=whole.astype("<f8"), filters=[numcodec("astype", encode_dtype="<i2", decode_dtype="<f8")], form="codec numcodecs.astype", **common)
    yield Case("filter_astype_narrow", dtype="int64", fill=0, values=whole.astype("<i8"), filters=[numcodec("astype", encode_dtype="<i4", decode_dtype="<i8")], form="codec numcodecs.astype", **common)


def quantized(digits):
    """Rounded to so many decimal digits in binary steps: numcodecs' Quantize."""
    step = 2.0 ** np.ceil(np.log2(10.0**digits))
    return lambda x: (np.around(step * x.astype(x.dtype)) / step).astype(x.dtype)


def rounded(keep):
    """The mantissa rounded to `keep` bits, ties to even."""
    def of(x):
        width = x.dtype.itemsize
        mantissa = np.finfo(x.dtype).nmant
        if keep >= mantissa:
            return x
        unsigned = np.dtype(f"<u{width}")
        b = x.view(unsigned).astype(np.uint64)
        drop = mantissa - keep
        half, one = (1 << (drop - 1)) - 1, np.uint64(1)
        b = b + ((b >> np.uint64(drop)) & one) + np.uint64(half)
        b &= np.uint64(2 ** (8 * width) - 1) ^ np.uint64((1 << drop) - 1)
        return b.astype(unsigned).view(x.dtype).reshape(x.shape)

    return of


def of_packbits():
    common = dict(shape=(7, 5), chunk_shape=(3, 3))
    for dtype in ("bool", *types.NARROW, "float6_e2m3fn", "float4_e2m1fn", "int16"):
        for padding in ("none", "first_byte", "last_byte"):
            bits = 1 if dtype == "bool" else types.bits_of(dtype)
            fill = False if dtype == "bool" else 0 if "int" in dtype else 0.0
            case = dict(dtype=dtype, fill=fill, serializer=codec("packbits", padding_encoding=padding), form=f"codec packbits {dtype}", **common)
            yield hand(f"packbits_{dtype}_{padding}", lambda chunk, bits=bits, padding=padding: golden.packbits(chunk, 1, 0, bits - 1, padding), **case)
            # zarrs does not extend the sign of what it reads, and forgets the padding of types of whole bytes.
            if dtype not in ("int2", "int4") and (dtype, padding) not in (("int16", "first_byte"), ("int16", "last_byte")):
                yield Case(f"packbits_written_{dtype}_{padding}", writers=(ZARRS,), **case)
    some = np.random.default_rng(3).integers(-64, 64, (7, 5)).astype("<i4") * 8
    yield hand("packbits_some_bits", lambda chunk: golden.packbits(chunk, 1, 3, 9, "none"), dtype="int32", values=some, serializer=codec("packbits", first_bit=3, last_bit=9), form="codec packbits first_bit, last_bit", **common)
    some = np.random.default_rng(4).integers(0, 64, (7, 5)).astype("<u2") * 4
    yield hand("packbits_unsigned_bits", lambda chunk: golden.packbits(chunk, 1, 2, 7, "last_byte"), dtype="uint16", values=some, serializer=codec("packbits", first_bit=2, last_bit=7, padding_encoding="last_byte"), form="codec packbits first_bit, last_bit", **common)
    yield hand("packbits_complex", lambda chunk: golden.packbits(chunk, 2, 0, 31, "none"), dtype="complex64", fill=[0.0, 0.0], serializer=codec("packbits"), form="codec packbits complex64", **common)
    yield hand("packbits_zstd", lambda chunk: golden.packbits(chunk, 1, 0, 0, "none"), dtype="bool", fill=False, serializer=codec("packbits"), compressors=[zstd()], form="codec packbits bool", **common)


def of_casts():
    """scale_offset: (x - offset) * scale; cast_value: to another type. Elements are such that nothing is lost, unless the case says how."""
    common = dict(shape=(7, 5), chunk_shape=(3, 3))
    values = (np.arange(35).reshape(7, 5) / 4 + 100).astype("<f4")
    cast = codec("cast_value", data_type="uint8", rounding="nearest-even", out_of_range="clamp")
    scale = codec("scale_offset", offset=100, scale=4)
    yield hand("scale_offset", lambda chunk: ((chunk - np.float32(100)) * np.float32(4)).astype("<f4").tobytes(), dtype="float32", fill=100.0, values=values, filters=[scale], form="codec scale_offset", **common)
    yield hand("scale_offset_integers", lambda chunk: ((chunk - 7) * 3).astype("<i4").tobytes(), dtype="int32", fill=7, values=np.arange(35, dtype="<i4").reshape(7, 5), filters=[codec("scale_offset", offset=7, scale=3)], form="codec scale_offset", **common)
    yield hand("scale_offset_cast", lambda chunk: ((chunk - np.float32(100)) * np.float32(4)).astype("u1").tobytes(), dtype="float32", fill=100.0, values=values, filters=[scale, cast], serializer=codec("bytes"), form="codec scale_offset, cast_value", **common)
    integers = np.arange(35, dtype="<i4").reshape(7, 5) - 20
    yield hand("cast_value_narrow", lambda chunk: chunk.astype("<i2").tobytes(), dtype="int32", fill=0, values=integers, filters=[codec("cast_value", data_type="int16")], form="codec cast_value", **common)
    yield hand("cast_value_wrap", lambda chunk: chunk.astype("u1").tobytes(), dtype="int32", fill=0, values=integers, stored_as=lambda x: x.astype("u1"), filters=[codec("cast_value", data_type="uint8", out_of_range="wrap")], serializer=codec("bytes"), form="codec cast_value", **common)
    halves = np.arange(35).reshape(7, 5) / 2 - 8
    for rounding, by in {"nearest-even": np.rint, "towards-zero": np.trunc, "towards-positive": np.ceil, "towards-negative": np.floor, "nearest-away": lambda x: np.trunc(x + np.copysign(0.5, x))}.items():
        filters = [codec("cast_value", data_type="int8", rounding=rounding, out_of_range="clamp")]
        # Negative zero, which rounding makes and no integer has, is not kept.
        stored = lambda x, by=by: by(x).clip(-128, 127) + 0.0
        yield hand(f"cast_value_{rounding}", lambda chunk, by=by: by(chunk).clip(-128, 127).astype("i1").tobytes(), dtype="float64", fill=0.0, values=halves, stored_as=stored, filters=filters, serializer=codec("bytes"), form="codec cast_value", **common)


def of_frames():
    common = dict(shape=(60, 70), chunk_shape=(40, 33), dtype="int32", fill=0, values=smooth((60, 70), "int32"))
    raw = lambda encode: lambda case, chunk: encode(types.dump(chunk))
    frames = {
        "gzip_members": (golden.gzip_members, gzip(), "codec gzip, several members"),
        "zstd_raw_blocks": (golden.zstd_frame, zstd(), "codec zstd without content size"),
        "zstd_unsized": (golden.zstd_unsized, zstd(), "codec zstd without content size"),
        "zstd_frames": (golden.zstd_frames, zstd(), "codec zstd, several and skippable frames"),
    }
    for name, (encode, compressor, form) in frames.items():
        yield Case(f"frames_{name}", compressors=[compressor], writers=(BY_HAND,), encode=raw(encode), form=form, **common)


def of_reshapes():
    for name, shape in {"flat": [[0, 1, 2]], "auto": [[0], -1], "split": [[0], [1], 5]}.items():
        yield Case(f"reshape_{name}", SHAPE, CHUNK, "int16", 0, filters=[codec("reshape", shape=shape)], compressors=[zstd()], writers=(ZARRS,), form="codec reshape")


def hand(name, encode, **parts):
    """A case by hand whose chunks are compressed as its codecs say, behind `encode`."""
    def whole(case, chunk):
        return golden.compress(encode(chunk), case.codecs()[len(case.filters) :])

    return Case(name, writers=(BY_HAND,), encode=whole, **parts)


def every_case():
    for group in (of_blosc, of_numcodecs_bytes, of_filters, of_packbits, of_casts, of_frames, of_reshapes):
        yield from group()
