"""compare_v2.py A B: zarr-python reads the group A of Zarr v2 and the same B of Zarr v3 identically, node by node."""

import sys
import warnings

import numpy as np
import zarr

warnings.simplefilter("ignore")


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind in "OT" or b.dtype.kind in "OT":
        return a.shape == b.shape and all(x == y for x, y in zip(a.reshape(-1), b.reshape(-1), strict=True))
    little = [np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")) for values in (a, b)]
    return little[0].dtype == little[1].dtype and a.shape == b.shape and little[0].tobytes() == little[1].tobytes()


def compare(path, a, b):
    if isinstance(a, zarr.Group) != isinstance(b, zarr.Group):
        return ["an array on one side, a group on the other"]
    attributes = dict(a.attrs)
    names = attributes.pop("_ARRAY_DIMENSIONS", None) if isinstance(a, zarr.Array) else None
    migrated = dict(b.attrs)
    if names is not None:
        # What xarray takes for missing: in Zarr v2 the fill value itself.
        migrated.pop("_FillValue", None)
    faults = [] if attributes == migrated else [f"attributes {attributes} against {migrated}"]
    if isinstance(a, zarr.Group):
        return faults
    if names is not None and tuple(names) != b.metadata.dimension_names:
        faults.append(f"dimension names {names} against {b.metadata.dimension_names}")
    if a.shape != b.shape or a.chunks != b.chunks:
        faults.append("another shape, or other chunks")
    if a.fill_value is not None and not same(a.fill_value, b.fill_value):
        faults.append(f"fill value {a.fill_value!r} against {b.fill_value!r}")
    if not same(a[...], b[...]):
        faults.append(f"other elements: {b.dtype} {np.asarray(b[...]).reshape(-1)[:4]}, expected {a.dtype} {np.asarray(a[...]).reshape(-1)[:4]}")
    return faults


def members(group):
    return {"": group, **dict(group.members(max_depth=None))}


a = zarr.open_group(sys.argv[1], mode="r", zarr_format=2, use_consolidated=False)
wrong = []
for consolidated in [True, False]:
    b = zarr.open_group(sys.argv[2], mode="r", zarr_format=3, use_consolidated=consolidated)
    left, right = members(a), members(b)
    wrong += [f"{path}: only on one side" for path in left.keys() ^ right.keys()]
    for path in left.keys() & right.keys():
        try:
            faults = compare(path, left[path], right[path])
        except Exception as error:  # noqa: BLE001
            faults = [f"{type(error).__name__}: {error}"]
        wrong += [f"{path}: {fault}" for fault in faults]
for line in sorted(set(wrong)):
    print(line)
print(f"{len(left)} nodes")
sys.exit(1 if wrong else 0)
