#!/usr/bin/env python3
"""Stored reference numbers of metrics over labels of which some are missing: writes left_out.json beside this file.

    pip install numpy scikit-learn
    python make.py

Every number is scikit-learn's for the labels that are there, and for them alone; the losses are written out here in double precision.
"""

import json
import pathlib
import zlib

import numpy as np
from sklearn import metrics as sk

HERE = pathlib.Path(__file__).parent


def rng(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def plain(x):
    if isinstance(x, np.ndarray):
        return [plain(v) for v in x.tolist()]
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, float):
        return x if np.isfinite(x) else None
    return x.item() if isinstance(x, np.generic) else x


def table(truth, called):
    z = {"zero_division": 0}
    return {
        "accuracy": sk.accuracy_score(truth, called),
        "precision": sk.precision_score(truth, called, **z),
        "recall": sk.recall_score(truth, called, **z),
        "specificity": sk.recall_score(1 - truth, 1 - called, **z),
        "f1": sk.f1_score(truth, called, **z),
        "dice": sk.f1_score(truth, called, **z),
        "iou": sk.jaccard_score(truth, called, **z),
    }


def gaps(r, shape, share):
    there = r.random(shape) >= share
    there.flat[:2] = True
    return there


def case(name, kind, shape, outputs, targets, expected, **more):
    outputs, targets = np.asarray(outputs, np.float32), np.asarray(targets)
    return {
        "name": name,
        "kind": kind,
        "shape": list(shape),
        "outputs": outputs.ravel(),
        "targets": targets.ravel().astype(float),
        "expected": expected,
        **more,
    }


def quarters(r, shape):
    """Numbers that f32 holds exactly, without ties at the thresholds."""
    return r.integers(-11, 12, shape) * 0.5 + 0.25


def binary(name, n, share, marker):
    r = rng(name)
    there, truth, z = gaps(r, n, share), r.integers(0, 2, n), quarters(r, n)
    truth[:2] = [0, 1]
    t, y = truth[there], z[there]
    expected = {
        "loss": np.mean(np.logaddexp(0, y) - t * y),
        "auc": sk.roc_auc_score(t, y),
        "mse": np.mean((y - t) ** 2),
        "mae": np.mean(np.abs(y - t)),
        **table(t, (y > 0).astype(int)),
    }
    return case(name, "binary", [1], z, np.where(there, truth, marker), expected, marker=marker)


def labels(name, n, k, share, marker):
    r = rng(name)
    there, truth, z = gaps(r, (n, k), share), r.integers(0, 2, (n, k)), quarters(r, (n, k))
    truth[0], truth[1], there[:2] = 0, 1, True
    t, y = truth[there], z[there]
    each = [sk.roc_auc_score(truth[there[:, j], j], z[there[:, j], j]) for j in range(k)]
    expected = {
        "loss": np.mean(np.logaddexp(0, y) - t * y),
        "auc": np.mean(each),
        "mse": np.mean((y - t) ** 2),
        **table(t, (y > 0).astype(int)),
    }
    return case(name, "binary", [k], z, np.where(there, truth, marker), expected, marker=marker)


def softmax(z, axis):
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def classes(name, n, k, space, share, ignored):
    """Outputs [n, k, *space], class indices [n, *space]."""
    r = rng(name)
    there, truth = gaps(r, (n, *space), share), r.integers(0, k, (n, *space))
    truth.flat[:k], there.flat[:k] = np.arange(k), True
    z = quarters(r, (n, k, *space)) + np.arange(k).reshape([1, k] + [1] * len(space)) * 0.125
    rows, t = np.moveaxis(z, 1, -1)[there], truth[there]
    called = rows.argmax(1)
    hot = np.eye(k)[t]
    expected = {
        "loss": sk.log_loss(t, softmax(rows, 1), labels=np.arange(k)),
        "accuracy": sk.accuracy_score(t, called),
        "mse": np.mean((rows - hot) ** 2),
    }
    if k == 2:
        expected |= table(t, called) | {"auc": sk.roc_auc_score(t, rows[:, 1] - rows[:, 0])}
    if k > 2:
        expected["auc"] = sk.roc_auc_score(t, softmax(rows, 1), multi_class="ovr", labels=np.arange(k))
    if k > 2 and not space:
        expected["top_2_accuracy"] = sk.top_k_accuracy_score(t, rows, k=2, labels=np.arange(k))
    confusion = sk.confusion_matrix(t, called, labels=np.arange(k))
    targets = np.where(there, truth, ignored)
    return case(name, "classes", [k, *space], z, targets, expected, ignored=ignored, confusion=confusion)


def values(name, n, k, share):
    r = rng(name)
    there, truth, z = gaps(r, (n, k), share), quarters(r, (n, k)), quarters(r, (n, k))
    t, y = truth[there], z[there]
    expected = {
        "loss": sk.mean_squared_error(t, y),
        "mse": sk.mean_squared_error(t, y),
        "mae": sk.mean_absolute_error(t, y),
    }
    # JSON has no NaN: None is one.
    return case(name, "values", [k], z, np.where(there, truth, np.nan), expected)


def main():
    cases = [
        binary("a column with gaps", 41, 0.5, -1),
        binary("a column with a gap in most places", 64, 0.9, -1),
        binary("a whole column", 23, 0.0, -1),
        labels("labels with gaps", 37, 3, 0.4, -1),
        classes("two classes, some ignored", 43, 2, (), 0.5, 9),
        classes("four classes, some ignored", 61, 4, (), 0.3, 255),
        classes("two classes of pixels, some ignored", 9, 2, (3, 4), 0.6, 255),
        classes("three classes of steps, most ignored", 13, 3, (5,), 0.8, 7),
        values("values with gaps", 29, 2, 0.5),
        values("a column of values with gaps", 31, 1, 0.7),
    ]
    lines = ",\n".join(json.dumps(plain(c), separators=(",", ":"), allow_nan=False) for c in cases)
    (HERE / "left_out.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
