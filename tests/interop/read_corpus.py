"""read_corpus.py DIR: reads the arrays of DIR/manifest.json with zarr-python and TensorStore and compares them bit for bit.

The manifest is that of write_corpus.py. One line for each difference, and exit code 1. What a reader is known not to read is listed in
LIMITATIONS with the reason; such an array is left out for that reader, said so, and counted.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import tensorstore
import zarr


def codecs_of(document):
    """The chain as names, for example ["transpose", "sharding_indexed"]; short-hand names as well."""
    return [codec if isinstance(codec, str) else codec["name"] for codec in document["codecs"]]


def behind_a_shard(codecs):
    """Whether bytes -> bytes codecs follow a sharding codec, at any depth."""
    names = [codec if isinstance(codec, str) else codec["name"] for codec in codecs]
    if "sharding_indexed" not in names:
        return False
    at = names.index("sharding_indexed")
    return at + 1 < len(names) or behind_a_shard(codecs[at]["configuration"]["codecs"])


def transposed_uneven_shard(document):
    names = codecs_of(document)
    if "sharding_indexed" not in names or "transpose" not in names[: names.index("sharding_indexed")]:
        return False
    return len(set(document["chunk_grid"]["configuration"]["chunk_shape"])) > 1


def raw_bits(document):
    name = document["data_type"]
    return isinstance(name, str) and name[0] == "r" and name[1:].isdigit()


def short_hand(document):
    encoding = document["chunk_key_encoding"]
    return any(isinstance(codec, str) for codec in document["codecs"]) or isinstance(encoding, str)


def duplicate_names(document):
    names = [name for name in document.get("dimension_names") or [] if name]
    return len(names) != len(set(names))


def half_nan_pattern(document):
    fill = document["fill_value"]
    return document["data_type"] == "float16" and isinstance(fill, str) and fill.startswith("0x")


# (reader, predicate over zarr.json, reason)
LIMITATIONS = [
    ("zarr-python", transposed_uneven_shard, "reads the inner chunk shape in array axes (zarr-python#2050)"),
    ("zarr-python", raw_bits, "knows raw_bytes, not the r* types of the core specification"),
    ("zarr-python", short_hand, "refuses extension points written as a bare name"),
    ("zarr-python", half_nan_pattern, "loses the payload of a float16 NaN in fill_value"),
    ("tensorstore", lambda document: behind_a_shard(document["codecs"]), "refuses bytes -> bytes codecs behind a shard"),
    ("tensorstore", raw_bits, "wants the fill value of r* types in base64, not as the list of the core specification"),
    ("tensorstore", short_hand, "refuses extension points written as a bare name"),
    ("tensorstore", duplicate_names, "refuses dimension names that occur twice"),
]


def read_zarr_python(path):
    array = zarr.open_array(store=str(path), mode="r", zarr_format=3)
    names = array.metadata.dimension_names
    return array[...], dict(array.attrs), None if names is None else list(names)


def read_tensorstore(path):
    array = tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}, open=True).result()
    metadata = array.spec().to_json(include_defaults=True)["metadata"]
    return array.read().result(), metadata.get("attributes", {}), metadata.get("dimension_names")


READERS = {"zarr-python": read_zarr_python, "tensorstore": read_tensorstore}


def differences(entry, directory, reader):
    """What is wrong with one array as one reader sees it, as lines."""
    try:
        elements, attributes, names = READERS[reader](directory / entry["path"])
    except Exception as error:
        yield f"does not read it: {type(error).__name__}: {error}"
        return
    elements = np.asarray(elements)
    if list(elements.shape) != entry["shape"]:
        yield f"shape {list(elements.shape)}, expected {entry['shape']}"
        return
    if elements.dtype.newbyteorder("=") != np.dtype(entry["dtype"]):
        yield f"data type {elements.dtype}, expected {entry['dtype']}"
        return
    got = np.ascontiguousarray(elements.astype(elements.dtype.newbyteorder("<"))).tobytes()
    expected = (directory / entry["raw"]).read_bytes()
    if got != expected:
        yield first_difference(got, expected, entry, elements.dtype.itemsize)
    if "attributes" in entry and attributes != (entry["attributes"] or {}):
        yield f"attributes {attributes}, expected {entry['attributes']}"
    unnamed = (None, [None] * len(entry["shape"]))
    if "dimension_names" in entry and names != entry["dimension_names"] and not (names in unnamed and entry["dimension_names"] in unnamed):
        yield f"dimension names {names}, expected {entry['dimension_names']}"


def first_difference(got, expected, entry, item):
    if len(got) != len(expected):
        return f"{len(got)} bytes, expected {len(expected)}"
    a, b = (np.frombuffer(raw, np.dtype((np.void, item))) for raw in (got, expected))
    wrong = np.flatnonzero(a != b)
    index = tuple(int(i) for i in np.unravel_index(wrong[0], entry["shape"]))
    values = (bytes(raw[wrong[0] * item :][:item]).hex() for raw in (got, expected))
    return "{} of {} elements differ, first at {}: bytes {}, expected {}".format(len(wrong), len(a), index, *values)


def main(directory):
    directory = pathlib.Path(directory)
    warnings.simplefilter("ignore")  # of performance and of extensions: not what is compared here
    compared, failed, left_out = 0, 0, {}
    for entry in json.loads((directory / "manifest.json").read_text(encoding="utf-8")):
        document = json.loads((directory / entry["path"] / "zarr.json").read_text(encoding="utf-8"))
        for reader in READERS:
            reason = next((why for who, applies, why in LIMITATIONS if who == reader and applies(document)), None)
            if reason is not None:
                left_out.setdefault((reader, reason), []).append(entry["path"])
                continue
            compared += 1
            for line in differences(entry, directory, reader):
                failed += 1
                print(f"{entry['path']}: {reader}: {line}")
    for (reader, reason), paths in left_out.items():
        print(f"left out for {reader}, which {reason}: {', '.join(paths)}", file=sys.stderr)
    print(f"{compared} readings compared, {failed} differences, {sum(map(len, left_out.values()))} left out")
    return 1 if failed or not compared else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
