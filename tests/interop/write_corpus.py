"""write_corpus.py DIR JUDGE [MODULE]: writes the interoperability corpus with zarr-python, TensorStore, zarrs (the binary JUDGE) and by hand.

All cases, or those of one module: cases, cases_types, cases_codecs, cases_v2.

DIR/<writer>/<name>       each array, with DIR/raw/<name>.raw: its elements as data_types.py says
DIR/zarr-python/hierarchy  groups with inline consolidated metadata
DIR/zarr-python/hierarchy_v2  the same in Zarr v2, with .zmetadata
DIR/manifest.json         [{name, form, path, raw, shape, dtype, ragged, writer, attributes, dimension_names}], paths relative to DIR. `input`
                          is there where a codec is lossy: the elements that the writer was given.
"""

import itertools
import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import tensorstore
import zarr
from zarr.core.dtype import parse_dtype

import cases
import cases_codecs
import cases_types
import cases_v2
import data_types


def write_zarr_python(path, case):
    array = zarr.create_array(
        store=str(path),
        shape=case.shape,
        chunks=case.chunk_shape,
        dtype=parse_dtype(case.dtype, zarr_format=3),
        fill_value=scalar(case.fill_element()),
        filters=case.filters or None,
        serializer=case.serializer or cases.default_serializer(case.dtype),
        compressors=case.compressors or None,
        chunk_key_encoding=flat(case.key_encoding),
        dimension_names=case.dimension_names,
        attributes=case.attributes or None,
        zarr_format=3,
    )
    fill_in(case, array)


def scalar(element):
    return element[()] if isinstance(element, np.ndarray) else element


def flat(key_encoding):
    return {"name": key_encoding["name"], **key_encoding["configuration"]}


def write_zarr_python_v2(path, case):
    """Under a document that is given, since it may say what zarr-python would not write; attributes lie beside it."""
    write_documents_v2(path, case)
    fill_in(case, zarr.open_array(store=str(path), mode="r+", zarr_format=2))


def write_documents_v2(path, case):
    path.mkdir(parents=True)
    (path / ".zarray").write_text(json.dumps(case.document()), encoding="utf-8")
    if case.attributes:
        (path / ".zattrs").write_text(json.dumps(case.attributes), encoding="utf-8")


def write_tensorstore(path, case):
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}
    metadata = {key: value for key, value in case.document().items() if key not in ("zarr_format", "node_type")}
    fill_in(case, tensorstore.open({**spec, "metadata": metadata}, create=True).result())


def write_tensorstore_v2(path, case):
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": f"{path}/"}}
    metadata = {key: value for key, value in case.document().items() if key != "zarr_format"}
    fill_in(case, tensorstore.open({**spec, "metadata": metadata}, create=True).result())
    if case.attributes:
        (path / ".zattrs").write_text(json.dumps(case.attributes), encoding="utf-8")


def fill_in(case, array):
    elements = case.handed_over()
    for box in [...] if case.written is None else case.written:
        if elements[box].size > 0:
            array[box] = elements[box]


def write_by_hand(path, case):
    """Documents from the case, and each chunk that holds something other than fill."""
    if case.zarr_format == 2:
        write_documents_v2(path, case)
    else:
        path.mkdir(parents=True)
        (path / "zarr.json").write_text(json.dumps(case.document()), encoding="utf-8")
    elements, fill = case.handed_over(), case.fill_element()
    counts = [-(-size // edge) for size, edge in zip(case.shape, case.chunk_shape)]
    for index in itertools.product(*map(range, counts)):
        chunk = np.empty(case.chunk_shape, elements.dtype)
        chunk[...] = fill
        start = [i * edge for i, edge in zip(index, case.chunk_shape)]
        part = elements[tuple(slice(at, at + edge) for at, edge in zip(start, case.chunk_shape))]
        chunk[tuple(slice(0, size) for size in part.shape)] = part
        blank = np.empty_like(chunk)
        blank[...] = fill
        if data_types.dump(chunk) == data_types.dump(blank):
            continue
        key = path / (".".join(map(str, index)) if case.zarr_format == 2 else "/".join(map(str, ("c", *index))))
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_bytes(case.encode(case, chunk))


def apply_edit(path, case):
    if case.edit is not None:
        document = path / ("zarr.json" if case.zarr_format == 3 else ".zarray")
        document.write_text(json.dumps(case.edit(json.loads(document.read_text(encoding="utf-8")))), encoding="utf-8")


def write_with_zarrs(directory, judge, entries, documents):
    """What zarrs writes, in one run of it. A region that is not written is fill in the elements, too: zarrs leaves such chunks out."""
    todo = [{"path": entry["path"], "input": entry.get("input", entry["raw"]), "document": document} for entry, document in zip(entries, documents)]
    (directory / "zarrs-writes.json").write_text(json.dumps(todo), encoding="utf-8")
    subprocess.run([judge, "write", directory], check=True)


def write_hierarchy(directory, zarr_format):
    """Groups in groups, names that need care, and consolidated metadata at the root. Returns what to enter in the manifest."""
    top = "hierarchy" if zarr_format == 3 else "hierarchy_v2"
    root = zarr.create_group(store=str(directory / f"zarr-python/{top}"), attributes=cases.ATTRIBUTES, zarr_format=zarr_format)
    entries = []
    names = ["top", "a/values", "a/b/c", "with space/λ", "a/.hidden", "c/c"]
    for number, name in enumerate(names):
        elements = np.arange(30 * number, 30 * number + 30, dtype="<i8").reshape(5, 6)
        axes = {"dimension_names": ["y", "x"]} if zarr_format == 3 else {}
        attributes = {"name": name} if zarr_format == 3 else {"name": name, "_ARRAY_DIMENSIONS": ["y", "x"]}
        array = root.create_array(name, shape=(5, 6), chunks=(2, 4), dtype="int64", attributes=attributes, **axes)
        array[...] = elements
        raw = f"raw/{top}_{number}.raw"
        (directory / raw).write_bytes(elements.tobytes())
        entries.append(
            {
                "name": f"{top}_{number}",
                "form": "groups, consolidated" if zarr_format == 3 else "v2 groups, .zmetadata",
                "path": f"zarr-python/{top}/{name}",
                "raw": raw,
                "shape": [5, 6],
                "dtype": "int64",
                "ragged": False,
                "writer": "zarr-python",
                "attributes": attributes,
                "dimension_names": ["y", "x"],
            }
        )
    root.create_group("empty group", attributes={"empty": True})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr-python warns that consolidated metadata is newer than the format
        zarr.consolidate_metadata(str(directory / f"zarr-python/{top}"))
    return entries


WRITERS = {
    (cases.ZARR_PYTHON, 3): write_zarr_python,
    (cases.ZARR_PYTHON, 2): write_zarr_python_v2,
    (cases.TENSORSTORE, 3): write_tensorstore,
    (cases.TENSORSTORE, 2): write_tensorstore_v2,
    (cases.BY_HAND, 3): write_by_hand,
    (cases.BY_HAND, 2): write_by_hand,
}


def entry_of(case, writer):
    entry = {
        "name": case.name,
        "form": case.form,
        "path": f"{writer}/{case.name}",
        "raw": f"raw/{case.name}.raw",
        "shape": list(case.shape),
        "dtype": data_types.comparable(case.numpy_type()),
        "ragged": case.numpy_type() == object,
        "writer": writer,
        "attributes": case.attributes,
        "dimension_names": case.dimension_names,
    }
    if case.stored_as is not None:
        entry["input"] = f"raw/{case.name}.input"
    return entry


def write_case(directory, case):
    """Returns the entries of the case, and those that zarrs has yet to write."""
    entries = [entry_of(case, writer) for writer in case.writers]
    (directory / entries[0]["raw"]).write_bytes(data_types.dump(case.elements()))
    if case.stored_as is not None:
        (directory / entries[0]["input"]).write_bytes(data_types.dump(case.handed_over()))
    for entry in entries:
        path = directory / entry["path"]
        if entry["writer"] == cases.ZARRS:
            continue
        try:
            WRITERS[entry["writer"], case.zarr_format](path, case)
            apply_edit(path, case)
        except Exception as error:
            raise SystemExit(f"{entry['path']}: {entry['writer']} does not write this: {type(error).__name__}: {error}") from error
    return entries, [entry for entry in entries if entry["writer"] == cases.ZARRS]


def every_case(module=None):
    for one in (cases, cases_types, cases_codecs, cases_v2):
        if module in (None, one.__name__):
            yield from one.every_case()


def main(directory, judge, module=None):
    directory = pathlib.Path(directory)
    warnings.simplefilter("ignore")  # of extensions that are not specified
    (directory / "raw").mkdir(parents=True)
    entries, for_zarrs = [], []
    names = set()
    for case in every_case(module):
        if case.name in names:
            raise SystemExit(f"two cases are called {case.name}")
        names.add(case.name)
        written, pending = write_case(directory, case)
        entries += written
        for_zarrs += [(entry, case) for entry in pending]
    write_with_zarrs(directory, judge, [entry for entry, _ in for_zarrs], [case.document() for _, case in for_zarrs])
    for entry, case in for_zarrs:
        apply_edit(directory / entry["path"], case)
    entries += write_hierarchy(directory, 3) + write_hierarchy(directory, 2)
    (directory / "manifest.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False), encoding="utf-8")
    print(f"{len(entries)} arrays written")


if __name__ == "__main__":
    main(*sys.argv[1:])
