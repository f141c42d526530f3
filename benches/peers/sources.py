"""sources.py DATA METADATA.json DIRECTORY: elements as instruments and models give them, written as an array by zarr-python.

Noise and quantisation are such that zstd and blosc find about what they find in real data of the kind: light curves shrink to a half, a climate
field to a third. A slab of source chunks is in memory at a time. The same call gives the same elements.
"""

import json
import pathlib
import sys

import numpy as np
import zarr

SEED = 20260101


class Curves:
    """(object, epoch, band, quantity), magnitude and its error to four decimals, NaN where nothing was observed: an epoch at a time."""

    axis = 1
    not_observed = 0.07

    def __init__(self, shape):
        self.shape = shape
        rng = np.random.default_rng(SEED)
        self.magnitude = 23.0 - rng.exponential(1.5, (shape[0], 1)) + rng.normal(0.0, 0.4, shape[::2])

    def slab(self, rng, start, stop):
        out = np.empty((self.shape[0], stop - start, *self.shape[2:]), np.float32)
        for epoch in range(stop - start):
            error = (0.005 + 0.05 * np.exp2(self.magnitude - 22.0)) * (1 + 0.1 * rng.standard_normal(self.magnitude.shape))
            observed = self.magnitude + error * rng.standard_normal(self.magnitude.shape)
            out[:, epoch] = np.round(np.stack([observed, error], -1).astype(np.float32), 4)
            out[rng.random(self.shape[0]) < self.not_observed, epoch] = np.nan
        return out


class Climate:
    """(day, latitude, longitude), temperature in steps of 1/16 K: seasons, waves and weather."""

    axis = 0

    def __init__(self, shape):
        self.latitude = np.deg2rad(np.linspace(-90, 90, shape[1]))[:, None]
        self.longitude = np.linspace(0, 2 * np.pi, shape[2], endpoint=False)[None]

    def slab(self, rng, start, stop):
        day = np.arange(start, stop)[:, None, None]
        mean = 288 - 40 * np.sin(self.latitude) ** 2 + 10 * np.cos(2 * np.pi * day / 365) * np.sin(self.latitude)
        field = mean + 4 * np.sin(3 * self.longitude + day / 7) * np.cos(2 * self.latitude)
        return (np.round((field + 0.5 * rng.standard_normal(field.shape)) * 16) / 16).astype(np.float32)


class Volume:
    """Counts of a microscope: structures of some twenty voxels, and shot noise."""

    axis = 0

    def __init__(self, shape):
        self.y, self.x = np.arange(shape[1], dtype=np.float32)[:, None], np.arange(shape[2], dtype=np.float32)[None]

    def slab(self, rng, start, stop):
        z = np.arange(start, stop, dtype=np.float32)[:, None, None]
        light = 700 + 350 * np.sin(self.x / 20) * np.cos(self.y / 23) * np.sin(z / 17)
        return (light + 17 * rng.standard_normal(light.shape, np.float32)).astype(np.uint16)


class Matrix:
    """A smooth function with noise, in steps of 1/4096."""

    axis = 0

    def __init__(self, shape):
        self.column = np.arange(shape[1])[None]

    def slab(self, rng, start, stop):
        row = np.arange(start, stop)[:, None]
        smooth = np.sin(row / 500) + np.cos(self.column / 300) * np.sin((row + self.column) / 700)
        return np.round((smooth + 0.1 * rng.standard_normal(smooth.shape)) * 4096) / 4096


class Small(Matrix):
    """The same in single precision and steps of 1/64."""

    def slab(self, rng, start, stop):
        return (np.round(super().slab(rng, start, stop) * 64) / 64).astype(np.float32)


KINDS = {"curves": Curves, "climate": Climate, "volume": Volume, "matrix": Matrix, "small": Small}


def write(kind, metadata, directory):
    directory.mkdir(parents=True)
    (directory / "zarr.json").write_text(json.dumps(metadata), encoding="utf-8")
    array = zarr.open_array(store=str(directory), mode="r+")
    maker = KINDS[kind](array.shape)
    step = array.shards[maker.axis] if array.shards else array.chunks[maker.axis]
    for start in range(0, array.shape[maker.axis], step):
        stop = min(start + step, array.shape[maker.axis])
        # Each position has noise of its own, whatever the step: layouts of one kind hold the same elements.
        parts = [maker.slab(np.random.default_rng((SEED, at)), at, at + 1) for at in range(start, stop)]
        index = (slice(None),) * maker.axis + (slice(start, stop),)
        array[index] = np.concatenate(parts, maker.axis)


if __name__ == "__main__":
    kind, metadata, directory = sys.argv[1:]
    write(kind, json.loads(pathlib.Path(metadata).read_text(encoding="utf-8")), pathlib.Path(directory))
