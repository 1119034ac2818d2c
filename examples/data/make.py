#!/usr/bin/env python3
"""Makes digits-images-idx3-ubyte.gz and digits-labels-idx1-ubyte.gz beside this script.

Needs numpy and scikit-learn; the files in the repository come from scikit-learn 1.9.1. The output is the same to the
byte on every run (no time stamp in the gzip header) as long as zlib is the same.
"""

import gzip
import pathlib
import struct

import numpy
from sklearn.datasets import load_digits

FOLDER = pathlib.Path(__file__).resolve().parent


def write(name, array):
    """Writes an array of integers as an IDX file of unsigned bytes, gzipped."""
    values = array.astype(numpy.uint8)
    assert (values == array).all(), f"{name}: not unsigned bytes"
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    packed = gzip.compress(header + values.tobytes(order="C"), compresslevel=9, mtime=0)
    (FOLDER / name).write_bytes(packed)
    print(f"{name}: {values.shape}, {len(packed)} bytes")


digits = load_digits()
assert digits.images.shape == (1797, 8, 8) and digits.images.max() == 16
write("digits-images-idx3-ubyte.gz", digits.images)
write("digits-labels-idx1-ubyte.gz", digits.target)
