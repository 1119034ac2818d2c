"""Recomputes a file's cases with the families' NumPy definitions; gradients by central differences."""

import json

import numpy as np

from .store import HERE, read_array


def numeric_gradients(f, inputs, cots, names, h):
    """Central differences of the sum of cotangent · output over all outputs; f(inputs) -> {name: array}."""

    def outputs():
        return {k: np.array(y) for k, y in f(inputs).items()}  # copies: a slice is a view of x

    gradients = {}
    for name in names:
        x = inputs[name]
        gradient = np.zeros_like(x)
        for i in np.ndindex(x.shape):
            kept = x[i]
            x[i] = kept + h
            up = outputs()
            x[i] = kept - h
            down = outputs()
            x[i] = kept
            gradient[i] = sum(np.sum(cot * (up[k] - down[k])) for k, cot in cots.items()) / (2 * h)
        gradients[name] = gradient
    return gradients


def compare(name, what, expected, actual, relative, absolute):
    expected, actual = np.asarray(expected), np.asarray(actual)
    assert expected.shape == actual.shape, f"{name} {what}: shape {actual.shape}, not {expected.shape}"
    error = np.abs(expected - actual)
    # written so that a NaN fails
    assert np.all(error <= absolute + relative * np.abs(expected)), f"{name} {what}: off by {error.max()}"
    return float(error.max(initial=0.0))


def check_file(family):
    """All cases of the family's file against its FORWARD and GRADIENT."""
    cases = json.loads((HERE / family.FILE).read_text())["cases"]
    exact_gradients = getattr(family, "GRADIENT", {})
    for case in cases:
        name, op, attrs = case["name"], case["op"], case["attrs"]
        inputs = {k: read_array(v) for k, v in case["inputs"].items()}
        stored = {k: read_array(v) for k, v in case["outputs"].items()}
        gradients = {k: read_array(v) for k, v in case["gradients"].items()}
        for k, v in inputs.items():  # what a reader parses as f32 is what TensorFlow got
            if v.dtype.kind == "f" and not getattr(family, "inexact", lambda name, k: False)(name, k):
                assert np.array_equal(v, v.astype(np.float32)), f"{name} {k}: not exact in f32"

        def forward(inputs):
            y = family.FORWARD[op](attrs, **inputs)
            return y if isinstance(y, dict) else {"y": y}

        outputs = forward(inputs)
        assert set(outputs) == set(stored), f"{name}: outputs {sorted(stored)}, NumPy has {sorted(outputs)}"
        # Cancellation leaves the rounding of the terms, which are as large as the largest element or 1.
        largest = max([1.0, *(np.abs(y).max(initial=0.0) for y in stored.values())])
        for k, y in outputs.items():
            compare(name, k, y, stored[k], 0 if stored[k].dtype.kind == "i" else 6e-9, 1e-14 * largest)
        cots = {k: read_array(v) for k, v in case.get("cotangents", {}).items()}
        if case["cotangent"] is not None:
            cots["y"] = read_array(case["cotangent"])
        for k, cot in cots.items():
            assert cot.shape == stored[k].shape, f"{name}: cotangent of {k}"
        expected = exact_gradients.get(op, lambda *_: None)(attrs, inputs, cots)
        if expected is None:
            expected = numeric_gradients(forward, inputs, cots, gradients, 1e-6)
        assert set(expected) == set(gradients), f"{name}: gradients of {sorted(gradients)}, not {sorted(expected)}"
        worst = largest * max([1.0, *(np.abs(cot).max(initial=0.0) for cot in cots.values())])
        for k, g in expected.items():
            compare(name, f"gradient of {k}", g, gradients[k], 1e-7, 1e-8 * worst)
        if hasattr(family, "further"):
            family.further(case, inputs, stored, gradients, cots)
    print(f"{family.FILE}: {len(cases)} cases agree with NumPy")
