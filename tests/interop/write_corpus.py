"""write_corpus.py DIR: writes the interoperability corpus with zarr-python and TensorStore.

DIR/<writer>/<name>       each array, with DIR/raw/<name>.raw: its elements, little endian, in C order
DIR/zarr-python/hierarchy  groups with inline consolidated metadata
DIR/manifest.json         [{name, path, raw, shape, dtype, writer, attributes, dimension_names}], paths relative to DIR
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import tensorstore
import zarr

import cases


def write_zarr_python(path, case):
    array = zarr.create_array(
        store=str(path),
        shape=case.shape,
        chunks=case.chunk_shape,
        dtype=case.dtype,
        fill_value=cases.fill_scalar(case.fill, case.dtype),
        filters=case.filters or None,
        serializer=case.serializer or cases.bytes_codec(),
        compressors=case.compressors or None,
        chunk_key_encoding=flat(case.key_encoding),
        dimension_names=case.dimension_names,
        attributes=case.attributes or None,
        zarr_format=3,
    )
    fill_in(case, array)


def flat(key_encoding):
    return {"name": key_encoding["name"], **key_encoding["configuration"]}


def write_tensorstore(path, case):
    metadata = {
        "shape": list(case.shape),
        "data_type": case.dtype,
        "chunk_grid": cases.codec("regular", chunk_shape=list(case.chunk_shape)),
        "chunk_key_encoding": case.key_encoding,
        "fill_value": case.fill,
        "codecs": case.codecs(),
        "attributes": case.attributes,
    }
    if case.dimension_names is not None:
        metadata["dimension_names"] = case.dimension_names
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}, "metadata": metadata}
    fill_in(case, tensorstore.open(spec, create=True).result())


def fill_in(case, array):
    elements = case.elements()
    for box in [...] if case.written is None else case.written:
        if elements[box].size > 0:
            array[box] = elements[box]


def write_hierarchy(directory):
    """Groups in groups, names that need care, and consolidated metadata at the root. Returns what to enter in the manifest."""
    root = zarr.create_group(store=str(directory / "zarr-python/hierarchy"), attributes=cases.ATTRIBUTES)
    entries = []
    names = ["top", "a/values", "a/b/c", "with space/λ", "a/.hidden", "c/c"]
    for number, name in enumerate(names):
        elements = np.arange(30 * number, 30 * number + 30, dtype="<i8").reshape(5, 6)
        array = root.create_array(name, shape=(5, 6), chunks=(2, 4), dtype="int64", attributes={"name": name}, dimension_names=["y", "x"])
        array[...] = elements
        raw = f"raw/hierarchy_{number}.raw"
        (directory / raw).write_bytes(elements.tobytes())
        entries.append(
            {
                "name": f"hierarchy_{number}",
                "path": f"zarr-python/hierarchy/{name}",
                "raw": raw,
                "shape": [5, 6],
                "dtype": "int64",
                "writer": "zarr-python",
                "attributes": {"name": name},
                "dimension_names": ["y", "x"],
            }
        )
    root.create_group("empty group", attributes={"empty": True})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr-python warns that consolidated metadata is newer than the format
        zarr.consolidate_metadata(str(directory / "zarr-python/hierarchy"))
    return entries


def main(directory):
    directory = pathlib.Path(directory)
    (directory / "raw").mkdir(parents=True)
    entries = []
    for case in cases.every_case():
        raw = f"raw/{case.name}.raw"
        (directory / raw).write_bytes(case.elements().tobytes())
        for writer in case.writers:
            path = f"{writer}/{case.name}"
            try:
                (write_zarr_python if writer == cases.ZARR_PYTHON else write_tensorstore)(directory / path, case)
            except Exception as error:
                raise SystemExit(f"{path}: {writer} does not write this: {error}") from error
            entries.append(
                {
                    "name": case.name,
                    "path": path,
                    "raw": raw,
                    "shape": list(case.shape),
                    "dtype": case.dtype,
                    "writer": writer,
                    "attributes": case.attributes,
                    "dimension_names": case.dimension_names,
                }
            )
    entries += write_hierarchy(directory)
    (directory / "manifest.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False), encoding="utf-8")
    print(f"{len(entries)} arrays written by zarr-python {zarr.__version__} and tensorstore")


if __name__ == "__main__":
    main(sys.argv[1])
