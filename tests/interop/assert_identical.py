"""assert_identical.py A B: fails unless xarray finds the two Zarr stores identical: values, dimensions, coordinates, attributes, encoding.

Both are opened decoded and raw, without consolidated metadata, and again with it where A has any; B must have it then too. Consolidated
metadata of B must be what the documents below it say.
"""

import json
import pathlib
import sys

import xarray

# What decoding took from the attributes; chunks, shards and codecs are what rechunking is meant to change.
ENCODING = ("dtype", "_FillValue", "missing_value", "units", "calendar", "scale_factor", "add_offset", "coordinates", "bounds", "grid_mapping")


def document_of(path):
    return json.loads((path / "zarr.json").read_text(encoding="utf-8"))


def check_consolidated(root):
    """Fails unless the consolidated metadata of a group holds every document below it, as it is."""
    consolidated = document_of(root)["consolidated_metadata"]["metadata"]
    found = {str(path.parent.relative_to(root)): document_of(path.parent) for path in root.rglob("zarr.json") if path.parent != root}
    if set(found) != set(consolidated):
        raise SystemExit(f"{root}: consolidated metadata lists {sorted(consolidated)}, there are {sorted(found)}")
    for name, document in found.items():
        for one in (document, consolidated[name]):
            one.pop("consolidated_metadata", None)
        if document != consolidated[name]:
            raise SystemExit(f"{root}: consolidated metadata of {name} is {consolidated[name]}, its document {document}")


def same_encoding(a, b, left, right):
    for name in left.variables:
        kept = [{key: encoding[key] for key in ENCODING if key in encoding} for encoding in (left[name].encoding, right[name].encoding)]
        # As text, since a NaN does not equal itself.
        if repr(kept[0]) != repr(kept[1]) or left[name].dtype != right[name].dtype:
            raise SystemExit(f"{name}: {left[name].dtype}, encoding {kept[0]} in {a}; {right[name].dtype}, encoding {kept[1]} in {b}")


def main(a, b):
    has_consolidated = [document_of(pathlib.Path(path)).get("consolidated_metadata") is not None for path in (a, b)]
    if has_consolidated[0] and not has_consolidated[1]:
        raise SystemExit(f"{a} has consolidated metadata, {b} has none")
    if has_consolidated[1]:
        check_consolidated(pathlib.Path(b))
    for consolidated in (False, True) if has_consolidated[0] else (False,):
        for decoded in (True, False):
            options = dict(consolidated=consolidated, chunks=None, decode_cf=decoded)
            with xarray.open_zarr(a, **options) as left, xarray.open_zarr(b, **options) as right:
                try:
                    xarray.testing.assert_identical(left.load(), right.load())
                except AssertionError as error:
                    raise SystemExit(f"{a} and {b} differ when opened with {options}:\n{error}") from error
                same_encoding(a, b, left, right)
                count = len(left.variables)
    print(f"identical: {count} variables")


if __name__ == "__main__":
    main(*sys.argv[1:])
