"""compare.py JOB.json: fails unless the target has the layout that was asked for and, bit for bit, the elements of the source.

Elements are read by TensorStore, in pieces of half a GiB that are aligned to the target.
"""

import itertools
import json
import pathlib
import sys

import numpy as np
import tensorstore

PIECE = 512 << 20


def opened(path):
    old = pathlib.Path(path) / ".zarray"
    driver = "zarr" if old.exists() else "zarr3"
    if old.exists():
        # TensorStore does not know that numcodecs can say of zstd that there is no checksum.
        document = json.loads(old.read_text(encoding="utf-8"))
        if document["compressor"] and not document["compressor"].pop("checksum", False):
            old.write_text(json.dumps(document), encoding="utf-8")
    return tensorstore.open({"driver": driver, "kvstore": {"driver": "file", "path": f"{path}/"}}, open=True).result()


def stored(path):
    """Chunks, shards, and codec with its level, as the metadata say."""
    path = pathlib.Path(path)
    if not (path / "zarr.json").exists():
        document = json.loads((path / ".zarray").read_text(encoding="utf-8"))
        compressor = document["compressor"] or {"id": "none"}
        return document["chunks"], None, compressor["id"], compressor.get("level", compressor.get("clevel", 0))
    document = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
    chunks, shards, chain = document["chunk_grid"]["configuration"]["chunk_shape"], None, document["codecs"]
    if chain[-1]["name"] == "sharding_indexed":
        chunks, shards, chain = chain[-1]["configuration"]["chunk_shape"], chunks, chain[-1]["configuration"]["codecs"]
    compressors = [codec for codec in chain if codec["name"] != "bytes"]
    if not compressors:
        return chunks, shards, "none", 0
    name, configuration = compressors[0]["name"], compressors[0]["configuration"]
    if len(compressors) > 1 or configuration.get("checksum"):
        return chunks, shards, "something more", 0
    return chunks, shards, name, configuration.get("level", configuration.get("clevel"))


def main(path):
    job = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    wanted = job["to"]["chunks"], job["to"]["shards"], job["to"]["codec"]["name"], job["to"]["codec"]["level"]
    # What stands in for chunks where a tool cannot write them singly.
    single = job["to"]["chunks"], job["to"]["shards"] or job["to"]["chunks"], *wanted[2:]
    if stored(job["target"]) not in (wanted, single):
        return f"{stored(job['target'])} instead of {wanted}"
    source, target = opened(job["source"]), opened(job["target"])
    if source.shape != target.shape or source.dtype != target.dtype:
        return f"{target.shape} {target.dtype} instead of {source.shape} {source.dtype}"
    bits = f"u{job['item']}"
    for starts in itertools.product(*(range(0, size, edge) for size, edge in zip(job["shape"], job["piece"]))):
        piece = tuple(slice(start, min(start + edge, size)) for start, edge, size in zip(starts, job["piece"], job["shape"]))
        first, second = (np.asarray(array[piece].read().result()).view(bits) for array in (source, target))
        if not np.array_equal(first, second):
            return f"{np.count_nonzero(first != second)} elements of {first.size} differ in the piece at {starts}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
