#!/usr/bin/env python3
"""augment.json: resampling and blurring as SciPy does them, for tests/augment.rs.

    python augment.py        # needs numpy and scipy; the same versions give the same bytes

A warp's places are computed here from its map in float64 ("the pixel at q reads A q + t + d(q), counted from the centre"), its
displacement by scipy.interpolate.BSpline; scipy.ndimage.map_coordinates reads them. Galen's fills are its modes: constant is
grid-constant, edge is nearest, reflect is reflect.
"""

import json
import pathlib

import numpy as np
import scipy
from scipy import ndimage
from scipy.interpolate import BSpline

MODES = {"constant": "grid-constant", "edge": "nearest", "reflect": "reflect"}


def numbers(x):
    return [float(f"{v:.9g}") for v in np.asarray(x, np.float64).ravel()]


def spline(points, n):
    """The uniform cubic B-spline over the unit interval, cut into cells, at the centres of n pixels: a matrix [n, points]."""
    cells = points - 3
    knots = np.arange(-3, cells + 4, dtype=np.float64)
    at = (np.arange(n) + 0.5) / n * cells
    return np.stack([BSpline(knots, np.eye(points)[i], 3)(at) for i in range(points)], 1)


def warp(rng, name, h, w, sampling, fill, cells):
    x = rng.integers(-64, 64, (h, w)) / 32
    angle, zoom = rng.uniform(-3, 3), rng.uniform(0.5, 2)
    m = np.float32(
        [
            [np.cos(angle) / zoom, -np.sin(angle) / zoom, rng.uniform(-4, 4)],
            [np.sin(angle) / zoom, np.cos(angle) / zoom, rng.uniform(-4, 4)],
        ]
    ).astype(np.float64)
    row, column = np.mgrid[0:h, 0:w].astype(np.float64)
    qy, qx = row - (h - 1) / 2, column - (w - 1) / 2
    at_x = m[0, 0] * qx + m[0, 1] * qy + m[0, 2] + (w - 1) / 2
    at_y = m[1, 0] * qx + m[1, 1] * qy + m[1, 2] + (h - 1) / 2
    grid = None
    if cells:
        grid = np.float32(rng.normal(0, 2, (2, cells + 3, cells + 3))).astype(np.float64)
        down, across = spline(cells + 3, h), spline(cells + 3, w)
        at_x, at_y = at_x + down @ grid[0] @ across.T, at_y + down @ grid[1] @ across.T
    if sampling == "nearest":
        # A tie would be decided by rounding.
        assert np.abs(np.concatenate([at_x.ravel(), at_y.ravel()]) % 1 - 0.5).min() > 1e-4, name
    order = 1 if sampling == "linear" else 0
    y = ndimage.map_coordinates(x, [at_y, at_x], order=order, mode=MODES[fill], cval=0.75)
    case = {"name": name, "size": [h, w], "sampling": sampling, "fill": fill, "x": numbers(x), "map": numbers(m), "y": numbers(y)}
    if cells:
        case |= {"points": cells + 3, "grid": numbers(grid)}
    return case


def blur(rng, n, sigma):
    x = rng.integers(-64, 64, n) / 32
    return {"sigma": sigma, "x": numbers(x), "y": numbers(ndimage.gaussian_filter1d(x, sigma))}


def main():
    rng = np.random.default_rng(20261123)
    warps = []
    for sampling in ["linear", "nearest"]:
        for fill in MODES:
            for cells, h, w in [(0, 7, 10), (0, 12, 5), (2, 9, 11)]:
                warps.append(warp(rng, f"{sampling} {fill} {h}x{w} {cells}", h, w, sampling, fill, cells))
    blurs = [blur(rng, n, sigma) for n, sigma in [(23, 0.5), (23, 1.25), (5, 2.0), (40, 3.75)]]
    versions = {"numpy": np.__version__, "scipy": scipy.__version__}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"versions": versions, "warps": warps, "blurs": blurs}, indent=None).replace("}, {", "},\n{") + "\n")


main()
