"""write_survey.py DIR OBJECTS EPOCHS [RAW [LEVEL]]: a survey of light curves as telescopes deliver it, written by zarr-python.

DIR gets the array `lightcurves` (object, epoch, band, quantity), float32, one epoch a chunk, zstd of LEVEL, with coordinates and consolidated
metadata. The quantities are magnitude and error, to the three decimals of a catalogue; what was not observed is NaN. Reading the light curve
of one object opens every chunk: this is the layout that rechunking is for. RAW gets the elements, little endian, in C order; `-` for none.
Only one epoch is in memory at a time.
"""

import sys
import warnings

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

BANDS = 2
QUANTITIES = 2
DIMENSIONS = ("object", "epoch", "band", "quantity")
NOT_OBSERVED = 0.2
SEED = 20260101


class Survey:
    """What does not change from epoch to epoch."""

    def __init__(self, objects, epochs):
        rng = np.random.default_rng(SEED)
        self.objects = objects
        self.period = rng.uniform(0.2, 400.0, (objects, 1)).astype(np.float32)
        self.phase = rng.uniform(0.0, 1.0, (objects, 1)).astype(np.float32)
        self.amplitude = rng.exponential(0.2, (objects, 1)).astype(np.float32)
        self.magnitude = (23.0 - rng.exponential(1.5, (objects, 1)) + rng.normal(0.0, 0.4, (objects, BANDS))).astype(np.float32)
        self.mjd = 60000.0 + np.cumsum(rng.uniform(0.5, 6.0, epochs))

    def epoch(self, number):
        """One epoch of all objects: (object, band, quantity)."""
        rng = np.random.default_rng((SEED, number))
        cycles = np.float32(self.mjd[number] - 60000.0) / self.period + self.phase
        out = np.empty((self.objects, BANDS, QUANTITIES), np.float32)
        out[..., 1] = 0.005 + 0.05 * np.exp2(self.magnitude - 22.0)
        noise = out[..., 1] * rng.standard_normal((self.objects, BANDS), np.float32)
        out[..., 0] = self.magnitude + self.amplitude * np.sin(2 * np.float32(np.pi) * cycles) + noise
        np.round(out, 3, out=out)
        out[rng.random(self.objects, np.float32) < NOT_OBSERVED] = np.nan
        return out


def write(directory, objects, epochs, raw=None, level=0):
    survey = Survey(objects, epochs)
    root = zarr.create_group(store=str(directory), attributes={"title": "A made-up survey", "Conventions": "CF-1.11"})
    curves = root.create_array(
        "lightcurves",
        shape=(objects, epochs, BANDS, QUANTITIES),
        chunks=(objects, 1, BANDS, QUANTITIES),
        dtype="float32",
        fill_value=np.nan,
        compressors=[ZstdCodec(level=level)],
        dimension_names=DIMENSIONS,
        attributes={"units": "mag", "long_name": "magnitude and its error"},
    )
    dump = None
    if raw is not None:
        dump = np.memmap(raw, "<f4", "w+", shape=curves.shape)
    for number in range(epochs):
        elements = survey.epoch(number)
        curves[:, number] = elements
        if dump is not None:
            dump[:, number] = elements
    coordinates = {
        "object": (np.arange(10_000_000, 10_000_000 + objects, dtype=np.int64), "object", {}),
        "epoch": (survey.mjd, "epoch", {"units": "days since 1858-11-17", "standard_name": "time"}),
        "band": (np.arange(BANDS, dtype=np.int8), "band", {"flag_values": [0, 1], "flag_meanings": "g r"}),
        "period": (survey.period[:, 0], "object", {"units": "day"}),
    }
    for name, (values, dimension, attributes) in coordinates.items():
        array = root.create_array(name, shape=values.shape, dtype=values.dtype, dimension_names=[dimension], attributes=attributes)
        array[...] = values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr-python warns that consolidated metadata is newer than the format
        zarr.consolidate_metadata(str(directory))
    print(f"lightcurves {curves.shape}, {curves.nbytes / curves.nbytes_stored():.2f} times compressed")


if __name__ == "__main__":
    directory, objects, epochs, *rest = sys.argv[1:]
    raw = rest[0] if rest and rest[0] != "-" else None
    write(directory, int(objects), int(epochs), raw, int(rest[1]) if len(rest) > 1 else 0)
