"""make_iris.py DIR: a real data set as Zarr v3, one map a chunk.

E1_north_america.nc of iris-sample-data: 240 years of near-surface air temperature from a climate model (Met Office, Open Government
Licence), with a calendar of 360 days, bounds, and scalar coordinates.
"""

import pathlib
import sys
import warnings

import iris_sample_data
import xarray


def main(directory):
    source = pathlib.Path(iris_sample_data.__file__).parent / "sample_data/E1_north_america.nc"
    with xarray.open_dataset(source, engine="h5netcdf") as data, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr-python warns that consolidated metadata is newer than the format
        temperature = data["air_temperature"]
        maps = (1, *temperature.shape[1:])
        for variable in data.variables.values():
            variable.encoding = {key: value for key, value in variable.encoding.items() if key in KEPT_ENCODING}
        data.to_zarr(directory, mode="w-", zarr_format=3, consolidated=True, encoding={"air_temperature": {"chunks": maps}})
        print(f"air_temperature {temperature.shape}, chunks {maps}")


# The rest of the encoding speaks of NetCDF's own chunks and filters.
KEPT_ENCODING = ("dtype", "_FillValue", "units", "calendar", "scale_factor", "add_offset", "coordinates", "bounds")

if __name__ == "__main__":
    main(sys.argv[1])
