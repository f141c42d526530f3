"""Chunks made from specifications with Python's own modules, for what no installable writer writes."""

import gzip
import struct
import zlib

import google_crc32c
import numcodecs
import numpy as np

import data_types


def in_order(chunk, codecs):
    """The elements in C order under the byte order of the `bytes` codec."""
    codecs = [{"name": x} if isinstance(x, str) else x for x in codecs]
    for one in codecs:
        if one["name"] == "transpose":
            chunk = chunk.transpose(one["configuration"]["order"])
        if one["name"].startswith("vlen-"):
            return chunk.size.to_bytes(4, "little") + data_types.dump(chunk)
    endian = next(x.get("configuration", {}).get("endian", "little") for x in codecs if x["name"] == "bytes")
    if endian == "little" or chunk.dtype.itemsize == 1:
        return data_types.dump(chunk)
    return np.ascontiguousarray(chunk.astype(big(chunk.dtype))).tobytes()


def big(dtype):
    if dtype.names:
        return np.dtype([(name, big(dtype[name])) for name in dtype.names])
    return dtype.newbyteorder(">")


def compress(raw, codecs):
    for one in codecs:
        name = one if isinstance(one, str) else one["name"]
        if name == "gzip":
            raw = gzip.compress(raw, 5)
        elif name == "zstd":
            raw = bytes(numcodecs.Zstd(level=3).encode(raw))
        elif name == "crc32c":
            raw += struct.pack("<I", google_crc32c.value(raw))
        elif name not in ("bytes", "packbits", "scale_offset", "cast_value", "transpose", "vlen-utf8", "vlen-bytes"):
            raise NotImplementedError(name)
    return raw


def gzip_members(raw):
    """RFC 1952: a file is a series of members; one of them here is empty, and one has a name, a comment and extra bytes."""
    third = len(raw) // 3
    header = b"\x1f\x8b\x08" + bytes([0x04 | 0x08 | 0x10]) + bytes(4) + b"\x00\xff" + struct.pack("<H", 5) + b"extra" + b"name\0" + b"comment\0"
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(raw[third : 2 * third]) + deflate.flush()
    named = header + body + struct.pack("<II", zlib.crc32(raw[third : 2 * third]), third)
    return gzip.compress(raw[:third], 1) + gzip.compress(b"") + named + gzip.compress(raw[2 * third :], 9)


def zstd_frame(raw):
    """RFC 8878: a frame of raw blocks without content size; the window is 1 KiB."""
    blocks = [raw[at : at + 1000] for at in range(0, len(raw), 1000)] or [b""]
    out = struct.pack("<IBB", 0xFD2FB528, 0, 0)
    for number, block in enumerate(blocks):
        last = number + 1 == len(blocks)
        out += (last | len(block) << 3).to_bytes(3, "little") + block
    return out


def zstd_unsized(raw):
    """A compressed frame whose header is rewritten not to tell the content size."""
    frame = bytes(numcodecs.Zstd(level=3).encode(raw))
    descriptor = frame[4]
    if not descriptor & 0x20:
        raise ValueError("expected a frame of a single segment")
    size_bytes = {0: 1, 1: 2, 2: 4, 3: 8}[descriptor >> 6]
    # A window of 8 MiB: exponent 13.
    return frame[:4] + bytes([descriptor & 0x04, 13 << 3]) + frame[5 + size_bytes :]


def zstd_skippable(payload):
    return struct.pack("<II", 0x184D2A53, len(payload)) + payload


def zstd_frames(raw):
    third = len(raw) // 3
    parts = [zstd_skippable(b"before"), zstd_unsized(raw[:third]), zstd_skippable(b""), zstd_frame(raw[third : 2 * third])]
    return b"".join(parts) + bytes(numcodecs.Zstd(level=1).encode(raw[2 * third :])) + zstd_skippable(bytes(300))


def packbits(chunk, components, first, last, padding):
    """The bits `first` to `last` of every component, the first in the lowest bits."""
    width = chunk.dtype.itemsize // components
    raw = np.frombuffer(data_types.dump(chunk), np.uint8).reshape(-1, width)
    bits = np.unpackbits(raw, axis=1, bitorder="little")[:, first : last + 1].ravel()
    packed = np.packbits(bits, bitorder="little").tobytes()
    count = bytes([-len(bits) % 8])
    return {"none": packed, "first_byte": count + packed, "last_byte": packed + count}[padding]
