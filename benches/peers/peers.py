"""peers.py WAY JOB.json: one rechunk by a Python package, configured as somebody would who knows it well.

`*-whole` is one call, whatever memory it takes; `*-blocks` a loop over regions that are aligned to the target and planned for half the budget.
Packages are imported by the way that needs them: what one costs to start is its own.
"""

import itertools
import json
import pathlib
import sys


def regions(job):
    """Slices of one region after the other."""
    axes = [range(0, size, length) for size, length in zip(job["shape"], job["region"])]
    for starts in itertools.product(*axes):
        ends = (min(size, start + length) for size, start, length in zip(job["shape"], starts, job["region"]))
        yield tuple(slice(start, end) for start, end in zip(starts, ends))


def empty_target(job):
    target = pathlib.Path(job["target"])
    target.mkdir(parents=True, exist_ok=True)
    (target / "zarr.json").write_text(json.dumps(job["metadata"]), encoding="utf-8")


def with_tensorstore(job):
    import tensorstore

    context = tensorstore.Context({"file_io_sync": job["sync"], "data_copy_concurrency": {"limit": job["threads"]}})

    def opened(path):
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}
        return tensorstore.open(spec, open=True, context=context).result()

    empty_target(job)
    return opened(job["source"]), opened(job["target"])


def ts_whole(job):
    source, target = with_tensorstore(job)
    target.write(source).result()


def ts_blocks(job):
    source, target = with_tensorstore(job)
    for region in regions(job):
        target[region].write(source[region].read().result()).result()


def with_zarr(job):
    import zarr

    zarr.config.set({"threading.max_workers": job["threads"]})
    empty_target(job)
    return zarr.open_array(store=job["source"], mode="r"), zarr.open_array(store=job["target"], mode="r+")


def zarr_whole(job):
    source, target = with_zarr(job)
    target[...] = source[...]


def zarr_blocks(job):
    source, target = with_zarr(job)
    for region in regions(job):
        target[region] = source[region]


def dask_tasks(job):
    import dask
    import dask.array

    source, target = with_zarr(job)
    unit = job["to"]["shards"] or job["to"]["chunks"]
    stored = job["from"]["shards"] or job["from"]["chunks"]
    # A task for each of very many small chunks would cost more than what it does.
    nested = all(big % small == 0 for big, small in zip(unit, stored))
    outer = all(big % small == 0 for big, small in zip(stored, unit))
    read = unit if nested else stored
    with dask.config.set({"scheduler": "threads", "num_workers": job["threads"]}):
        array = dask.array.from_zarr(source, chunks=tuple(read))
        if not nested and not outer:
            array = array.rechunk(tuple(unit), method="tasks")
        dask.array.store(array, target, lock=False)


def rechunker(job):
    """Zarr v2: the source is the same chunks under a `.zarray`."""
    import numcodecs
    import zarr
    from rechunker import rechunk

    codec = {"zstd": numcodecs.Zstd(level=job["to"]["codec"]["level"]), "blosc": numcodecs.Blosc("lz4", clevel=5, shuffle=1), "none": None}
    plan = rechunk(
        zarr.open_array(job["source_v2"], mode="r"),
        target_chunks=tuple(job["to"]["chunks"]),
        max_mem=job["budget"] // job["threads"],
        target_store=job["target"],
        target_options={"compressor": codec[job["to"]["codec"]["name"]]},
        temp_store=job["target"] + "-between",
        executor="dask",
    )
    plan.execute(scheduler="threads", num_workers=job["threads"])


WAYS = {way.__name__.replace("_", "-"): way for way in (ts_whole, ts_blocks, zarr_whole, zarr_blocks, dask_tasks, rechunker)}

if __name__ == "__main__":
    way, job = sys.argv[1:]
    WAYS[way](json.loads(pathlib.Path(job).read_text(encoding="utf-8")))
