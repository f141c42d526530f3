"""zips.py write DIR | read DIR: zip stores of zarr-python.

`write` makes DIR/<name>.zip with arrays of several layouts, entries stored or deflated, some written twice as zarr-python does when attributes
change; DIR/<number>.raw gets the elements of each (C order, little endian), DIR/manifest.json says which is where. `read` opens what the manifest
says and compares bit for bit; exit code 1 and a line for each difference.
"""

import json
import pathlib
import sys
import warnings
import zipfile

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.storage import ZipStore

LAYOUTS = {
    "plain": dict(chunks=(4, 5), compressors=None),
    "zstd": dict(chunks=(4, 5), compressors=[ZstdCodec(level=1)]),
    "sharded": dict(chunks=(2, 5), shards=(8, 10), compressors=[ZstdCodec(level=1)]),
    "sharded plain": dict(chunks=(2, 5), shards=(8, 10), compressors=None),
}


def write(directory):
    rng = np.random.default_rng(7)
    manifest = []
    for name, compression in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        store = ZipStore(directory / f"{name}.zip", mode="w", compression=compression)
        root = zarr.create_group(store=store, attributes={"title": "a zip store"})
        root.create_group("träume/deep")
        for layout, options in LAYOUTS.items():
            for below in ("", "träume/deep/"):
                data = np.round(rng.normal(size=(17, 20)), 2).astype("float32")
                array = root.create_array(below + layout, shape=data.shape, dtype=data.dtype, fill_value=np.nan, **options)
                array[:11] = data[:11]
                array[:] = data
                array.attrs["changed"] = True
                raw = f"{len(manifest)}.raw"
                (directory / raw).write_bytes(data.tobytes())
                manifest.append({"zip": f"{name}.zip", "path": below + layout, "raw": raw})
        store.close()
    (directory / "manifest.json").write_text(json.dumps(manifest))


def read(directory):
    wrong = 0
    for entry in json.loads((directory / "manifest.json").read_text()):
        store = ZipStore(directory / entry["zip"], mode="r")
        array = zarr.open_array(store=store, path=entry["path"], mode="r")
        if array[...].tobytes() != (directory / entry["raw"]).read_bytes() or array.attrs.get("changed") is not True:
            print(f"{entry['zip']}/{entry['path']}: differs")
            wrong += 1
        store.close()
        with zipfile.ZipFile(directory / entry["zip"]) as opened:
            if bad := opened.testzip():
                print(f"{entry['zip']}: {bad} is damaged")
                wrong += 1
    sys.exit(wrong > 0)


# Duplicate names are what zarr-python writes.
warnings.simplefilter("ignore")
{"write": write, "read": read}[sys.argv[1]](pathlib.Path(sys.argv[2]))
