"""read_corpus.py DIR [JUDGE | READER]: reads the arrays of DIR/manifest.json with zarr-python, TensorStore and zarrs (the binary JUDGE), bit
for bit; with the name of one of the first two by that alone.

The manifest is that of write_corpus.py. What each reader makes of each array goes to DIR/outcomes.json: [{path, reader, outcome, detail,
expected, reason}] with the outcome "agrees", "differs" or "refuses". Exit code 1, and a line each, where the outcome is not the one that known.py
expects, for better or worse.
"""

import ctypes
import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np

import data_types
import known


def document_of(path):
    """The document of an array of either version."""
    name = "zarr.json" if (path / "zarr.json").exists() else ".zarray"
    return json.loads((path / name).read_text(encoding="utf-8"))


def read_zarr_python(path, document):
    import zarr

    array = zarr.open_array(store=str(path), mode="r", zarr_format=document["zarr_format"])
    names = array.metadata.dimension_names if document["zarr_format"] == 3 else None
    elements = array[...]
    if not isinstance(elements, np.ndarray):
        # A scalar of no dimensions has lost the width of its type.
        elements = np.asarray(elements, array.dtype)
    return elements, dict(array.attrs), None if names is None else list(names)


def read_tensorstore(path, document):
    import tensorstore

    driver = "zarr3" if document["zarr_format"] == 3 else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{path}/"}}
    fields = field_names(document)
    if fields:
        return in_fields(spec, fields, document), None, None
    array = tensorstore.open(spec, open=True).result()
    metadata = array.spec().to_json(include_defaults=True)["metadata"]
    elements = np.asarray(array.read().result())
    return elements if elements.dtype.itemsize else raw_bytes(elements), metadata.get("attributes", {}) if driver == "zarr3" else None, metadata.get("dimension_names")


def raw_bytes(elements):
    """TensorStore gives opaque bytes an axis of their own and a type of no size: what lies where NumPy is not to look."""
    whole = elements.strides[0] * elements.shape[0]
    memory = (ctypes.c_ubyte * whole).from_address(elements.__array_interface__["data"][0])
    plain = np.ndarray(elements.shape, np.uint8, memory, strides=elements.strides).copy()
    return plain.view(np.dtype((np.void, plain.shape[-1])))[..., 0]


def field_names(document):
    """The fields of structs, which TensorStore reads one by one."""
    if document["zarr_format"] == 2:
        return [field[0] for field in document["dtype"]] if isinstance(document["dtype"], list) else []
    data_type = document["data_type"]
    return [name for name, _ in data_types.fields_of(data_type)] if data_types.name_of(data_type) in ("struct", "structured") else []


def in_fields(spec, names, document):
    import tensorstore

    read = (np.asarray(tensorstore.open({**spec, "field": name}, open=True).result().read().result()) for name in names)
    parts = [part if part.dtype.itemsize else raw_bytes(part) for part in read]
    out = np.zeros(document["shape"], np.dtype([(name, part.dtype, part.shape[len(document["shape"]) :]) for name, part in zip(names, parts)]))
    for name, part in zip(names, parts):
        out[name] = part
    return out


READERS = {"zarr-python": read_zarr_python, "tensorstore": read_tensorstore}


def outcome_of(entry, directory, reader):
    """One array as one reader sees it: outcome and detail."""
    path = directory / entry["path"]
    document = document_of(path)
    try:
        elements, attributes, names = READERS[reader](path, document)
        if entry.get("ragged"):
            elements = np.asarray(elements, object)
        raw = data_types.dump(elements)
    except Exception as error:
        return "refuses", f"{type(error).__name__}: {error}"
    lines = list(differences(entry, directory, np.asarray(elements), raw))
    if attributes is not None and entry.get("attributes") is not None:
        # FMT-V2-15: what was an array of xarray in Zarr v2 says in Zarr v3 which value is missing.
        attributes = {name: value for name, value in attributes.items() if name != "_FillValue" or name in entry["attributes"]}
    if attributes is not None and entry.get("attributes") is not None and attributes != entry["attributes"]:
        lines.append(f"attributes {attributes}, expected {entry['attributes']}")
    unnamed = (None, [None] * len(entry["shape"]))
    expected = entry.get("dimension_names")
    if document["zarr_format"] == 3 and names != expected and not (names in unnamed and expected in unnamed):
        lines.append(f"dimension names {names}, expected {expected}")
    return ("differs", "; ".join(lines)) if lines else ("agrees", "")


def differences(entry, directory, elements, got):
    if list(elements.shape) != entry["shape"]:
        yield f"shape {list(elements.shape)}, expected {entry['shape']}"
        return
    dtype = data_types.comparable(elements.dtype)
    if entry.get("dtype") is not None and dtype is not None and dtype != entry["dtype"]:
        yield f"data type {dtype}, expected {entry['dtype']}"
        return
    expected = (directory / entry["raw"]).read_bytes()
    if got == expected:
        return
    if len(got) != len(expected) or entry.get("ragged"):
        yield f"other bytes: {len(got)} of them, expected {len(expected)}"
        return
    item = len(got) // elements.size
    a, b = (np.frombuffer(raw, np.dtype((np.void, item))) for raw in (got, expected))
    wrong = np.flatnonzero(a != b)
    index = tuple(int(i) for i in np.unravel_index(wrong[0], entry["shape"]))
    values = (bytes(raw[wrong[0] * item :][:item]).hex() for raw in (got, expected))
    yield "{} of {} elements differ, first at {}: bytes {}, expected {}".format(len(wrong), len(a), index, *values)


def work(directory, reader, first):
    """Reads from entry `first` on and prints each outcome as soon as there is one: a reader may take the process with it."""
    warnings.simplefilter("ignore")  # of performance and of extensions: not what is compared here
    directory = pathlib.Path(directory)
    for entry in json.loads((directory / "manifest.json").read_text(encoding="utf-8"))[int(first) :]:
        outcome, detail = outcome_of(entry, directory, reader)
        print(json.dumps({"path": entry["path"], "outcome": outcome, "detail": detail}), flush=True)


def start(directory, reader, first, judge):
    command = [judge, "read", directory] if reader == "zarrs" else [sys.executable, "-X", "utf8", __file__, "--work", directory, reader, str(first)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")


def finish(process, directory, reader, entries):
    """All outcomes of a reader. One that ends before its time refuses the array that it was at, and begins again behind it."""
    outcomes = []
    while True:
        printed, said = process.communicate()
        outcomes += [json.loads(line) for line in printed.splitlines()]
        if process.returncode == 0 and len(outcomes) == len(entries):
            return outcomes
        if reader == "zarrs" or process.returncode >= 0:
            raise SystemExit(f"{reader} ended with {process.returncode} after {len(outcomes)} arrays:\n{said[-4000:]}")
        outcomes.append({"path": entries[len(outcomes)]["path"], "outcome": "refuses", "detail": f"ends the process: {said.strip().splitlines()[:1]}"})
        process = start(directory, reader, len(outcomes), None)


def main(directory, judge=None):
    path = pathlib.Path(directory)
    entries = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    readers = [judge] if judge in READERS else [*READERS, "zarrs"] if judge else [*READERS]
    processes = {reader: start(directory, reader, 0, judge) for reader in readers}
    results, unexpected, counts = [], 0, {}
    for reader, process in processes.items():
        for entry, result in zip(entries, finish(process, directory, reader, entries), strict=True):
            expected, reason = known.expected(reader, entry, document_of(path / entry["path"]))
            results.append({**result, "reader": reader, "expected": expected, "reason": reason})
            counts[result["outcome"]] = counts.get(result["outcome"], 0) + 1
            if result["outcome"] not in expected:
                unexpected += 1
                print(f"{entry['path']}: {reader} {result['outcome']}, expected: {expected} ({reason or 'no limitation known'}): {result['detail']}")
    (path / "outcomes.json").write_text(json.dumps(results), encoding="utf-8")
    print(f"{len(results)} readings: {counts}; {unexpected} unexpected")
    return 1 if unexpected or not results else 0


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        sys.exit(work(*sys.argv[2:]))
    sys.exit(main(*sys.argv[1:]))
