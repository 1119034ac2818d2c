#!/usr/bin/env python3
"""Makes digits-images-idx3-ubyte.gz, digits-labels-idx1-ubyte.gz and wdbc.csv beside this script.

Needs numpy and scikit-learn; the files in the repository come from scikit-learn 1.9.1. The output is the same to the
byte on every run (no time stamp in the gzip header) as long as zlib is the same.
"""

import gzip
import importlib.resources
import pathlib
import struct

import numpy
from sklearn.datasets import load_breast_cancer, load_digits

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

# The numbers are copied as text, digit by digit; of the last column, 0 is malignant and 1 benign.
source = importlib.resources.files("sklearn.datasets.data").joinpath("breast_cancer.csv").read_text("utf-8")
header, *rows = source.splitlines()
assert header == "569,30,malignant,benign" and len(rows) == 569
names = [str(name) for name in load_breast_cancer().feature_names]
lines = [",".join([*names, "diagnosis"])]
for row in rows:
    *values, target = row.split(",")
    assert len(values) == 30
    lines.append(",".join([*values, {"0": "M", "1": "B"}[target]]))
(FOLDER / "wdbc.csv").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
print(f"wdbc.csv: {len(rows)} rows, {(FOLDER / 'wdbc.csv').stat().st_size} bytes")
