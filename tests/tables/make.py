#!/usr/bin/env python3
"""Writes reference.json beside this script: what scikit-learn, SciPy and Python's csv module make of the same data.

    python make.py [folder of the public data sets, as in GALEN_DATA]

The numbers in the repository come from Python 3.11, NumPy 2.4.6, SciPy 1.17.1 and scikit-learn 1.9.1. "prepare" needs only
examples/data/wdbc.csv and numbers that stand in this script; "sets" needs the folder.
"""

import collections
import csv
import gzip
import json
import math
import pathlib
import sys

import numpy
import scipy.io.arff
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler
from sklearn.utils.class_weight import compute_class_weight

FOLDER = pathlib.Path(__file__).resolve().parent
WDBC = FOLDER.parent.parent / "examples" / "data" / "wdbc.csv"
TRAIN = 400


def plain(array):
    """Lists of numbers, null for NaN."""
    return [plain(row) if numpy.ndim(row) else None if math.isnan(row) else float(row) for row in numpy.asarray(array, float)]


def scalers(train, rows):
    """What three scalers take from and divide by, fitted on `train`, and `rows` scaled."""
    standard, least, robust = StandardScaler().fit(train), MinMaxScaler().fit(train), RobustScaler().fit(train)
    return {
        "Standardize": [plain(standard.mean_), plain(standard.scale_), plain(standard.transform(rows))],
        "MinMax": [plain(least.data_min_), plain(1 / least.scale_), plain(least.transform(rows))],
        "Robust": [plain(robust.center_), plain(robust.scale_), plain(robust.transform(rows))],
    }


def prepare():
    with WDBC.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    wdbc = numpy.array([[float(v) for v in row[:-1]] for row in rows])

    random = numpy.random.default_rng(20)
    holes = numpy.round(random.normal(size=(12, 5)) * 4) / 4
    holes[random.uniform(size=holes.shape) < 0.25] = numpy.nan
    holes[:, 2] = 1e6 + 0.1  # nothing to divide by, but for rounding
    holes[:, 3] += 1e5  # a mean far above the spread
    # Two numbers equally often: the smaller counts.
    holes[:, 4] = [3, 1, 2, 3, 1, numpy.nan, 5, 0, numpy.nan, 4, 7, 8]
    new = numpy.array([[numpy.nan] * 5, [1.0, 2.0, 3.0, 100000.5, 4.0]])
    imputers = {}
    for ours, theirs in [("Mean", "mean"), ("Median", "median"), ("MostFrequent", "most_frequent"), ("Constant", "constant")]:
        imputer = SimpleImputer(strategy=theirs, add_indicator=True, fill_value=-7.5 if theirs == "constant" else None)
        imputers[ours] = [plain(imputer.fit(holes).statistics_), plain(imputer.transform(new))]

    levels = [["b"], ["a"], ["c"], ["a"], ["b"], ["b"]]
    new_levels = [["a"], ["b"], ["c"], ["d"]]
    one_hot = {
        "levels": [v for [v] in levels],
        "new": [v for [v] in new_levels],
        "all": plain(OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(levels).transform(new_levels)),
        "drop_first": plain(OneHotEncoder(drop="first", sparse_output=False).fit(levels).transform(new_levels[:3])),
    }

    classes = numpy.array([0] * 50 + [1] * 30 + [2] * 3)
    beta = 0.99
    effective = (1 - beta) / (1 - beta ** numpy.bincount(classes).astype(float))
    return {
        "wdbc": scalers(wdbc[:TRAIN], wdbc[[0, TRAIN, 568]]),
        "holes": {"rows": plain(holes), "new": plain(new), "scalers": scalers(holes, new), "imputers": imputers},
        "one_hot": one_hot,
        "weights": {
            "classes": classes.tolist(),
            "balanced": plain(compute_class_weight("balanced", classes=numpy.unique(classes), y=classes)),
            "beta": beta,
            "effective": plain(effective * 3 / effective.sum()),
        },
    }


def summary(columns):
    """Rows, missing values of each column, and of each column its sum (numbers) or how often each level occurs."""
    out = {"rows": len(columns[0]), "missing": [], "columns": []}
    for values in columns:
        there = [v for v in values if v is not None]
        out["missing"].append(len(values) - len(there))
        if all(isinstance(v, float) for v in there):
            out["columns"].append(math.fsum(there))
        else:
            counts = collections.Counter(there)
            # Names of sequences and times say nothing here but how many there are.
            out["columns"].append(dict(sorted(counts.items())) if len(counts) < 50 else f"{len(counts)} levels")
    return out


def of_csv(lines, delimiter):
    """As numbers where all are."""
    rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter == " "))
    columns = []
    for column in zip(*rows, strict=True):
        values = [None if v in ("", "?", "NA", "NaN") else v for v in column]
        try:
            columns.append([v if v is None else float(v) for v in values])
        except ValueError:
            columns.append(values)
    return summary(columns)


def of_arff(path):
    data, meta = scipy.io.arff.loadarff(path)
    columns = []
    for name in meta.names():
        if meta[name][0] == "nominal":
            columns.append([None if v == b"?" else v.decode() for v in data[name]])
        else:
            columns.append([None if math.isnan(v) else float(v) for v in data[name]])
    return summary(columns) | {"names": meta.names()}


def sets(root):
    out = {}
    for path in sorted([*root.glob("tabular/*.arff"), *root.glob("genomics/*/*.arff")]):
        out[str(path.relative_to(root))] = of_arff(path)
    for path in sorted([*root.glob("tabular/*.csv"), *root.glob("tabular/*.data")]):
        out[str(path.relative_to(root))] = of_csv(path.read_text("ascii").splitlines(), " " if path.name == "ecoli.data" else ",")
    for path in sorted(root.glob("cgm/*.csv*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        out[str(path.relative_to(root))] = of_csv(text.decode().splitlines()[1:], ",")
    return out


def main():
    target = FOLDER / "reference.json"
    old = json.loads(target.read_text()) if target.exists() else {}
    old["prepare"] = prepare()
    if len(sys.argv) > 1:
        old["sets"] = sets(pathlib.Path(sys.argv[1]))
    # One line for each set, so that a change can be seen.
    lines = []
    for part, content in sorted(old.items()):
        inner = [f"  {json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in content.items()]
        lines.append(f"{json.dumps(part)}: {{\n" + ",\n".join(inner) + "\n}")
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
