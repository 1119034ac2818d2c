#!/usr/bin/env python3
"""Galen's oracle: numbers that TensorFlow and Keras computed, stored as JSON.

    python make.py [family ..]            # writes the families' files beside this file; all of them without a name
    python make.py --check [family ..]    # re-reads them and recomputes them with NumPy alone (no TensorFlow)

The families are the modules in families/; README.md says what their files hold.

What is stored is in Galen's layout: activations [batch, c, ..], convolution weights
[c_out, c_in / groups, ..], dense kernels [in, out], sequences [batch, time, features]. The conversion to
TensorFlow's layout happens inside the function that is differentiated, so that the gradients
come back in Galen's layout too, by TensorFlow's own hand.

Precision. The ops are computed in float64, so their only error is the rounding to nine
significant digits (relative 5e-9, below f32's 6e-8). Inputs and cotangents are the numbers
that stand in the file, to the last digit: nearly all are multiples of 1/256, which decimal,
f32 and f64 all hold exactly. The training runs are made in float32 and in float64.

Randomness. Every case draws from a generator seeded with the CRC-32 of its own name: adding
or removing a case changes no other.
"""

import os
import platform
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

from families import (
    attention,
    conv,
    elementwise,
    losses,
    norm,
    ops,
    optimizers,
    pool,
    recurrent,
    regions,
    training,
)
from families.check import check_file
from families.store import HERE, Cases, keras, set_precision, tf

FAMILIES = [ops, conv, pool, elementwise, norm, recurrent, attention, losses, regions, optimizers]
NAMES = [family.__name__.split(".")[-1] for family in FAMILIES] + ["training"]


def main():
    arguments = sys.argv[1:]
    checking = arguments[:1] == ["--check"]
    wanted = arguments[1:] if checking else arguments
    if not set(wanted) <= set(NAMES):
        sys.exit(f"{__doc__}\nThe families: {', '.join(NAMES)}")
    families = [family for family, name in zip(FAMILIES, NAMES) if not wanted or name in wanted]
    trainings = not wanted or "training" in wanted
    if checking:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            for family in families:
                check_file(family)
        if trainings:
            training.check()
        return

    tf.get_logger().setLevel("ERROR")
    tf.config.threading.set_intra_op_parallelism_threads(1)  # one order of summation
    tf.config.threading.set_inter_op_parallelism_threads(1)
    versions = {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }
    print(versions)
    for family in families:
        set_precision("float64")
        cases = Cases()
        family.make(cases)
        cases.write(family.FILE, versions)
        print(f"{family.FILE}: {len(cases.lines)} cases, {(HERE / family.FILE).stat().st_size} bytes")
    if trainings:
        training.make(versions)


if __name__ == "__main__":
    main()
