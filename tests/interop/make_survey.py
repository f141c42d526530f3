"""make_survey.py DIR [OBJECTS EPOCHS]: a survey of light curves as telescopes deliver it, one epoch a chunk.

DIR gets the dataset `lightcurves` (object, epoch, band, quantity), float32, with coordinates; what was not observed is NaN. Reading the
light curve of one object opens every chunk: this is the layout that rechunking is for.
"""

import sys
import warnings

import numpy as np
import xarray

BANDS = 2
QUANTITIES = 2  # flux and its error


def survey(objects, epochs):
    rng = np.random.default_rng(20260101)
    period = rng.uniform(0.2, 400.0, (objects, 1, 1))
    mean = rng.lognormal(3.0, 1.0, (objects, 1, BANDS))
    mjd = 60000.0 + np.cumsum(rng.uniform(0.5, 6.0, epochs))
    flux = mean * (1.0 + 0.3 * np.sin(2 * np.pi * mjd[None, :, None] / period))
    error = 0.02 * flux + 0.5
    curves = np.stack([flux + error * rng.standard_normal(flux.shape), error], axis=-1).astype(np.float32)
    curves[rng.random((objects, epochs)) < 0.25] = np.nan
    dimensions = ("object", "epoch", "band", "quantity")
    return xarray.Dataset(
        {"lightcurves": (dimensions, curves, {"units": "nJy", "long_name": "flux and its error"})},
        coords={
            "object": ("object", np.arange(10_000_000, 10_000_000 + objects, dtype=np.int64)),
            "epoch": ("epoch", mjd, {"units": "days since 1858-11-17", "standard_name": "time"}),
            "band": ("band", np.arange(BANDS, dtype=np.int8), {"flag_values": [0, 1], "flag_meanings": "g r"}),
            "ra": ("object", rng.uniform(0.0, 360.0, objects), {"units": "degree"}),
            "dec": ("object", np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, objects))), {"units": "degree"}),
        },
        attrs={"title": "A made-up survey", "Conventions": "CF-1.11"},
    )


def main(directory, objects=500, epochs=96):
    data = survey(int(objects), int(epochs))
    encoding = {"lightcurves": {"chunks": (int(objects), 1, BANDS, QUANTITIES)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr-python warns that consolidated metadata is newer than the format
        data.to_zarr(directory, mode="w-", zarr_format=3, consolidated=True, encoding=encoding)
    print(f"lightcurves {data['lightcurves'].shape}")


if __name__ == "__main__":
    main(*sys.argv[1:])
