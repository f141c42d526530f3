"""assert_identical.py A B: fails unless xarray finds the two Zarr stores identical: values, dimensions, coordinates, attributes.

Both are opened without consolidated metadata, and again with it, each where it has any. So that a lost consolidated document is found,
B must have one if A has.
"""

import json
import pathlib
import sys

import xarray


def has_consolidated(path):
    document = json.loads((pathlib.Path(path) / "zarr.json").read_text(encoding="utf-8"))
    return document.get("consolidated_metadata") is not None


def main(a, b):
    consolidated = [has_consolidated(path) for path in (a, b)]
    if consolidated[0] and not consolidated[1]:
        raise SystemExit(f"{a} has consolidated metadata, {b} has none")
    for mode in (False, True):
        modes = [mode and found for found in consolidated]
        with xarray.open_zarr(a, consolidated=modes[0], chunks=None) as left, xarray.open_zarr(b, consolidated=modes[1], chunks=None) as right:
            try:
                xarray.testing.assert_identical(left.load(), right.load())
            except AssertionError as error:
                raise SystemExit(f"{a} and {b} differ when opened with consolidated={mode}:\n{error}") from error
            for name in left.variables:
                if left[name].dtype != right[name].dtype:
                    raise SystemExit(f"{name}: data type {left[name].dtype} in {a}, {right[name].dtype} in {b}")
    print(f"identical: {len(left.variables)} variables")


if __name__ == "__main__":
    main(*sys.argv[1:])
