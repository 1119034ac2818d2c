#!/usr/bin/env python3
"""Galen's oracle: numbers that TensorFlow and Keras computed, stored as JSON.

    python make.py            # writes ops.json, train_dense.json, train_cnn.json beside this file
    python make.py --check    # re-reads them and recomputes them with NumPy alone (no TensorFlow)

What is stored is in Galen's layout: activations NCHW, convolution weights
[c_out, c_in / groups, kh, kw], dense kernels [in, out]. The conversion to TensorFlow's
NHWC / HWIO happens inside the function that is differentiated, so that the gradients
come back in Galen's layout too, by TensorFlow's own hand.

Precision. ops.json is computed in float64, so its only error is the rounding to nine
significant digits (relative 5e-9, below f32's 6e-8). Inputs and cotangents are the numbers
that stand in the file, to the last digit: nearly all are multiples of 1/256, which decimal,
f32 and f64 all hold exactly. The training runs are made in float32 and in float64.

Randomness. Every case draws from a generator seeded with the CRC-32 of its own name: adding
or removing a case changes no other.
"""

import json
import os
import platform
import sys
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

HERE = Path(__file__).resolve().parent


# ---------------------------------------------------------------- numbers and files


def as_stored(values):
    """The float64 array that a reader of the file gets: nine significant digits."""
    values = np.asarray(values, dtype=np.float64)
    rounded = [float(f"{v:.9g}") + 0.0 for v in values.reshape(-1)]
    return np.array(rounded, dtype=np.float64).reshape(values.shape)


def array_json(values):
    """{"dtype", "shape", "data"} as JSON text; dtype is "f32" or "i32" (ids, positions)."""
    values = np.asarray(values)
    shape = json.dumps(list(values.shape), separators=(",", ":"))
    if values.dtype.kind in "iu":
        dtype, data = "i32", ",".join(str(int(v)) for v in values.reshape(-1))
    else:
        assert np.all(np.isfinite(values)), "the oracle stores finite numbers only"
        # + 0.0 turns -0.0 into 0.0
        dtype, data = "f32", ",".join(f"{float(v) + 0.0:.9g}" for v in values.reshape(-1))
    return f'{{"dtype":"{dtype}","shape":{shape},"data":[{data}]}}'


def arrays_json(arrays):
    return "{" + ",".join(f"{json.dumps(k)}:{array_json(v)}" for k, v in arrays.items()) + "}"


def read_array(entry):
    dtype = np.int64 if entry["dtype"] == "i32" else np.float64
    return np.array(entry["data"], dtype=dtype).reshape(entry["shape"])


def generator(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def normal(rng, shape, scale=1.0):
    """Normal numbers rounded to multiples of 1/256, |x| < 8: exact in decimal, f32 and f64."""
    x = np.clip(np.round(rng.standard_normal(shape) * scale * 256.0) / 256.0, -7.9375, 7.9375)
    return as_stored(x + 0.0)


def positive(rng, shape):
    """Numbers in [1/4, 4): for log, sqrt and divisors."""
    return as_stored(np.round(rng.uniform(0.25, 3.99, shape) * 256.0) / 256.0)


def distinct(rng, shape):
    """Distinct numbers, 1/64 apart, of both signs, in random order: no ties, no kinks nearby."""
    n = int(np.prod(shape))
    return as_stored((rng.permutation(n) - n // 2 + 0.5).reshape(shape) / 64.0)


def off_zero(rng, shape):
    """Normal numbers pushed at least 1/8 away from zero: for relu and abs."""
    x = normal(rng, shape)
    return as_stored(np.where(x < 0, x - 0.125, x + 0.125))


def cotangent(rng, shape):
    return normal(rng, shape)


def same_pads(size, kernel, stride, dilation=1):
    """TensorFlow's SAME rule for one axis: (before, after); the odd cell goes after."""
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def same_pads_2d(shape, kernel, stride, dilation=(1, 1)):
    vertical = same_pads(shape[2], kernel[0], stride[0], dilation[0])
    horizontal = same_pads(shape[3], kernel[1], stride[1], dilation[1])
    return [*vertical, *horizontal]


class Cases:
    """Collects the cases of ops.json, one line of JSON each."""

    def __init__(self):
        self.lines = []
        self.names = set()

    def add(self, name, op, attrs, inputs, outputs, cot=None, gradients=None, source="tensorflow"):
        assert name not in self.names, name
        self.names.add(name)
        fields = [
            f'"name":{json.dumps(name)}',
            f'"op":{json.dumps(op)}',
            f'"source":{json.dumps(source)}',
            f'"attrs":{json.dumps(attrs, separators=(",", ":"))}',
            f'"inputs":{arrays_json(inputs)}',
            f'"cotangent":{"null" if cot is None else array_json(cot)}',
            f'"outputs":{arrays_json(outputs)}',
            f'"gradients":{arrays_json(gradients or {})}',
        ]
        self.lines.append("{" + ",".join(fields) + "}")

    def differentiate(self, name, op, attrs, inputs, f, constants=None, extra=None, compiled=False):
        """Adds y = f(*inputs, *constants) and the vector-Jacobian product for a random cotangent.

        Gradients are stored for `inputs` and not for `constants`; `extra` are further outputs.
        """
        constants = constants or {}
        for value in [*inputs.values(), *constants.values()]:
            assert np.array_equal(value, as_stored(value)), f"{name}: an input is not what the file says"
        xs = [tf.constant(v, tf.float64) for v in inputs.values()]
        cs = [tf.constant(v) for v in constants.values()]

        def vector_jacobian(cot):
            with tf.GradientTape() as tape:
                tape.watch(xs)
                y = f(*xs, *cs)
            return y, tape.gradient(y, xs, output_gradients=cot)

        if compiled:
            vector_jacobian = tf.function(vector_jacobian, jit_compile=True)
        cot = cotangent(generator(name + "/cotangent"), f(*xs, *cs).shape)
        y, grads = vector_jacobian(tf.constant(cot, tf.float64))
        grads = {k: tf.convert_to_tensor(g).numpy() for k, g in zip(inputs, grads)}
        for k, g in grads.items():
            assert g.shape == inputs[k].shape, (name, k)
        outputs = {"y": y.numpy(), **(extra or {})}
        self.add(name, op, attrs, {**inputs, **constants}, outputs, cot, grads)


# ---------------------------------------------------------------- ops.json


def nhwc(x):
    return tf.transpose(x, [0, 2, 3, 1])


def nchw(x):
    return tf.transpose(x, [0, 3, 1, 2])


def conv2d_cases(cases):
    def case(name, x_shape, w_shape, stride=(1, 1), dilation=(1, 1), pads=(0, 0, 0, 0), groups=1, same=False):
        rng = generator(name)
        x, w = normal(rng, x_shape), normal(rng, w_shape)
        if same:
            pads = same_pads_2d(x_shape, w_shape[2:], stride, dilation)
        attrs = {
            "stride": list(stride),
            "dilation": list(dilation),
            "pads": list(pads),  # top, bottom, left, right
            "groups": groups,
            "same": same,
        }
        top, bottom, left, right = pads
        padding = "SAME" if same else [[0, 0], [top, bottom], [left, right], [0, 0]]

        def native(x, w):
            w = tf.transpose(w, [2, 3, 1, 0])  # HWIO; TensorFlow infers the groups from I
            y = tf.nn.conv2d(nhwc(x), w, [1, *stride, 1], padding, dilations=[1, *dilation, 1])
            return nchw(y)

        def depthwise(x, w):
            c_in = x_shape[1]  # HW, channel, multiplier; output channel = channel * multiplier + m
            w = tf.reshape(w, [c_in, w_shape[0] // c_in, *w_shape[2:]])
            w = tf.transpose(w, [2, 3, 0, 1])
            y = tf.nn.depthwise_conv2d(nhwc(x), w, [1, *stride, 1], padding, dilations=list(dilation))
            return nchw(y)

        f = depthwise if groups == x_shape[1] and groups > 1 else native
        inputs = {"x": x, "w": w}
        try:
            cases.differentiate(name, "conv2d", attrs, inputs, f)
        except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError):
            # TensorFlow's own CPU kernels have no gradient for dilation and groups; its XLA compiler has.
            cases.differentiate(name, "conv2d", attrs, inputs, native, compiled=True)
            print(f"  {name}: by XLA")

    case("conv2d_valid", [2, 3, 5, 7], [4, 3, 3, 2])
    case("conv2d_1x1", [2, 3, 3, 5], [5, 3, 1, 1])
    case("conv2d_one_of_each", [1, 1, 1, 1], [1, 1, 1, 1])
    case("conv2d_stride2", [2, 2, 7, 6], [3, 2, 3, 3], stride=(2, 2))
    case("conv2d_stride_2_1", [2, 2, 7, 5], [3, 2, 3, 2], stride=(2, 1))
    case("conv2d_1x1_stride2", [2, 3, 5, 4], [4, 3, 1, 1], stride=(2, 2))
    case("conv2d_stride3_leftover", [1, 2, 8, 7], [3, 2, 2, 2], stride=(3, 3))
    case("conv2d_same", [2, 2, 5, 4], [3, 2, 3, 3], same=True)
    case("conv2d_stride2_same", [2, 2, 6, 7], [3, 2, 3, 3], stride=(2, 2), same=True)
    case("conv2d_stride2_same_even", [2, 2, 5, 7], [3, 2, 2, 4], stride=(2, 2), same=True)
    case("conv2d_explicit_pads", [2, 2, 5, 4], [3, 2, 3, 3], pads=(1, 0, 2, 3))
    case("conv2d_kernel_larger_than_input", [1, 2, 2, 2], [3, 2, 3, 3], pads=(1, 1, 1, 1))
    case("conv2d_dilation2", [2, 2, 7, 6], [3, 2, 3, 2], dilation=(2, 2))
    case("conv2d_dilation2_same", [2, 2, 6, 5], [3, 2, 3, 2], dilation=(2, 2), same=True)
    case("conv2d_dilation_1_2", [2, 2, 5, 7], [3, 2, 2, 3], dilation=(1, 2))
    case("conv2d_groups2", [2, 4, 5, 6], [6, 2, 3, 3], groups=2)
    case("conv2d_depthwise", [2, 3, 6, 5], [3, 1, 3, 3], groups=3)
    case("conv2d_depthwise_multiplier2_stride2_same", [2, 3, 6, 5], [6, 1, 3, 2], stride=(2, 2), groups=3, same=True)
    case("conv2d_stride2_dilation2", [2, 2, 9, 8], [3, 2, 3, 2], stride=(2, 2), dilation=(2, 2))
    case(
        "conv2d_together",
        [3, 4, 7, 8],
        [6, 2, 3, 2],
        stride=(2, 1),
        dilation=(1, 2),
        pads=(1, 0, 2, 1),
        groups=2,
    )


def pool_cases(cases):
    def case(name, op, x, kernel, stride, same=False):
        pads = same_pads_2d(x.shape, kernel, stride) if same else [0, 0, 0, 0]
        attrs = {"kernel": list(kernel), "stride": list(stride), "pads": pads, "same": same}
        padding = "SAME" if same else "VALID"
        if op == "avg_pool2d":
            attrs["count_include_pad"] = False
            f = lambda x: nchw(tf.nn.avg_pool2d(nhwc(x), kernel, stride, padding))
            cases.differentiate(name, op, attrs, {"x": x}, f)
            return
        _, positions = tf.nn.max_pool_with_argmax(nhwc(x), kernel, stride, padding)
        # TensorFlow counts (row * w + column) * c + channel; Galen's plane has row * w + column.
        positions = nchw(positions).numpy() // x.shape[1]
        f = lambda x: nchw(tf.nn.max_pool2d(nhwc(x), kernel, stride, padding))
        cases.differentiate(name, op, attrs, {"x": x}, f, extra={"positions": positions})

    for name, shape, kernel, stride, same in [
        ("2x2", [2, 3, 4, 6], (2, 2), (2, 2), False),
        ("2x2_leftover", [2, 2, 5, 7], (2, 2), (2, 2), False),
        ("3x3_stride2", [2, 2, 7, 9], (3, 3), (2, 2), False),
        ("3x3_stride1", [2, 2, 5, 6], (3, 3), (1, 1), False),
        ("2x3_stride_1_2", [1, 3, 4, 7], (2, 3), (1, 2), False),
        ("3x3_stride2_same", [2, 2, 5, 6], (3, 3), (2, 2), True),
        ("2x2_stride1_same", [1, 2, 3, 4], (2, 2), (1, 1), True),
    ]:
        for op in ["max_pool2d", "avg_pool2d"]:
            full = f"{op}_{name}"
            case(full, op, distinct(generator(full), shape), kernel, stride, same)
    # Below zero everywhere: a padded cell taken as 0 would win.
    x = distinct(generator("max_pool2d_negative_same"), [1, 2, 5, 5])
    case("max_pool2d_negative_same", "max_pool2d", as_stored(x - 2.0), (3, 3), (2, 2), True)
    # Ties: the first maximum in row-major order gets the gradient.
    for name, kernel, stride, same in [
        ("max_pool2d_ties_2x2", (2, 2), (2, 2), False),
        ("max_pool2d_ties_3x3_stride1", (3, 3), (1, 1), False),
        ("max_pool2d_ties_3x3_stride2_same", (3, 3), (2, 2), True),
    ]:
        x = generator(name).integers(0, 4, [2, 2, 6, 5]).astype(np.float64)
        case(name, "max_pool2d", x, kernel, stride, same)


def softmax_cases(cases):
    for op, f in [("softmax", tf.nn.softmax), ("log_softmax", tf.nn.log_softmax)]:
        for name, shape, axis, scale in [
            ("last", [3, 5], 1, 1.0),
            ("one_column", [3, 1], 1, 1.0),
            ("rank3_last", [2, 3, 7], 2, 1.0),
            ("rank4_axis1", [2, 5, 3, 4], 1, 1.0),
            ("large", [4, 5], 1, None),
            ("rank4_axis1_large", [2, 5, 2, 3], 1, None),
        ]:
            full = f"{op}_{name}"
            rng = generator(full)
            x = normal(rng, shape) if scale else large_logits(rng, shape)
            cases.differentiate(full, op, {"axis": axis}, {"x": x}, lambda x: f(x, axis=axis))


def large_logits(rng, shape):
    """-80, 80 and what lies between, in steps of 1/64."""
    x = np.round(rng.uniform(-80, 80, shape) * 64.0) / 64.0
    x.reshape(-1)[:2] = [80.0, -80.0]
    return as_stored(x)


def probabilities(rng, rows, columns, low=8):
    """Rows of multiples of 1/256 that sum to one exactly, every entry at least low / 256."""
    counts = rng.multinomial(256 - low * columns, rng.dirichlet(np.ones(columns)), rows) + low
    return as_stored(counts / 256.0)


def loss_cases(cases):
    n, c = 5, 4

    # Per-sample losses [n]; Keras's functional losses are what Keras's loss classes average.
    def from_logits(t, z):
        return keras.losses.categorical_crossentropy(t, z, from_logits=True)

    for name, targets in [("one_hot", "one_hot"), ("soft", "soft"), ("large", "one_hot"), ("soft_large", "soft")]:
        full = f"cross_entropy_logits_{name}"
        rng = generator(full)
        z = large_logits(rng, [n, c]) if "large" in name else normal(rng, [n, c])
        t = np.eye(c)[rng.integers(0, c, n)] if targets == "one_hot" else probabilities(rng, n, c)
        cases.differentiate(
            full, "cross_entropy_logits", {"targets": targets}, {"logits": z}, lambda z, t: from_logits(t, z), {"targets": t}
        )
    for name in ["index", "index_large"]:
        full = f"cross_entropy_logits_{name}"
        rng = generator(full)
        z = large_logits(rng, [n, c]) if "large" in name else normal(rng, [n, c])
        ids = np.array([2, 0, 3, 2, 1])
        f = lambda z, ids: keras.losses.sparse_categorical_crossentropy(ids, z, from_logits=True)
        cases.differentiate(full, "cross_entropy_logits", {"targets": "index"}, {"logits": z}, f, {"targets": ids})

    # From probabilities. Keras divides each row by its sum, clips to [1e-7, 1 - 1e-7], and takes
    # -sum t log p; "normalize": false is the same without the division (its gradient differs by
    # the term 1 even where the rows sum to one).
    def from_probabilities(p, t, normalize):
        if normalize:
            return keras.losses.categorical_crossentropy(t, p)
        return -tf.reduce_sum(t * tf.math.log(tf.clip_by_value(p, 1e-7, 1 - 1e-7)), axis=-1)

    for normalize in [True, False]:
        suffix = "" if normalize else "_plain"
        for name in ["one_hot", "soft", "clipped", "unnormalized"]:
            if name == "unnormalized" and not normalize:
                continue
            full = f"cross_entropy_probs_{name}{suffix}"
            rng = generator(full)
            p = probabilities(rng, n, c)
            t = probabilities(rng, n, c) if name == "soft" else np.eye(c)[rng.integers(0, c, n)]
            if name == "clipped":  # a certain and wrong row, a certain and right one
                p[0], t[0] = [0, 1, 0, 0], [0, 0, 1, 0]
                p[1], t[1] = [0, 0, 0, 1], [0, 0, 0, 1]
            if name == "unnormalized":
                p = positive(rng, [n, c])
            targets = "soft" if name == "soft" else "one_hot"
            attrs = {"targets": targets, "epsilon": 1e-7, "normalize": normalize}
            cases.differentiate(
                full, "cross_entropy_probs", attrs, {"probs": p}, lambda p, t: from_probabilities(p, t, normalize), {"targets": t}
            )

    for name, shape, reduction in [
        ("mse_per_sample", [5, 3], "last_axis"),
        ("mse_per_sample_rank3", [2, 3, 4], "last_axis"),
        ("mse_mean", [5, 3], "all"),
        ("mse_mean_rank3", [2, 3, 4], "all"),
    ]:
        rng = generator(name)
        inputs = {"pred": normal(rng, shape), "target": normal(rng, shape)}
        if reduction == "last_axis":
            f = lambda y, t: keras.losses.mean_squared_error(t, y)
        else:
            f = lambda y, t: tf.reduce_mean(tf.square(y - t))
        cases.differentiate(name, "mse", {"reduction": reduction}, inputs, f)


def matmul_cases(cases):
    def case(name, a_shape, b_shape, transpose_a=False, transpose_b=False):
        rng = generator(name)
        inputs = {"a": normal(rng, a_shape), "b": normal(rng, b_shape)}
        f = lambda a, b: tf.linalg.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
        cases.differentiate(name, "matmul", {"transpose_a": transpose_a, "transpose_b": transpose_b}, inputs, f)

    m, k, n = 3, 5, 4
    case("matmul_nn", [m, k], [k, n])
    case("matmul_tn", [k, m], [k, n], transpose_a=True)
    case("matmul_nt", [m, k], [n, k], transpose_b=True)
    case("matmul_tt", [k, m], [n, k], transpose_a=True, transpose_b=True)
    case("matmul_one_row", [1, 7], [7, 3])
    case("matmul_one_column", [3, 7], [7, 1])
    case("matmul_outer", [4, 1], [1, 3])
    case("matmul_past_a_tile", [17, 33], [33, 9])
    case("matmul_batched", [2, m, k], [2, k, n])
    case("matmul_batched_tt", [2, k, m], [2, n, k], transpose_a=True, transpose_b=True)
    case("matmul_broadcast", [2, 1, m, k], [3, k, n])
    case("matmul_broadcast_nt", [2, 1, m, k], [3, n, k], transpose_b=True)
    case("matmul_broadcast_rank2", [2, m, k], [k, n])


def elementwise_cases(cases):
    binary = {
        "add": tf.add,
        "sub": tf.subtract,
        "mul": tf.multiply,
        "div": tf.divide,
        "maximum": tf.maximum,
        "minimum": tf.minimum,
    }
    shapes = [
        ("same", [2, 3, 4], [2, 3, 4]),
        ("3_1", [2, 3, 4], [3, 1]),
        ("4", [2, 3, 4], [4]),
        ("1", [2, 3, 4], [1]),
        ("left", [3, 1], [2, 3, 4]),
        ("both", [2, 1, 4], [3, 1]),
    ]
    for op, f in binary.items():
        for name, a_shape, b_shape in shapes:
            full = f"{op}_{name}"
            rng = generator(full)
            a, b = normal(rng, a_shape), normal(rng, b_shape)
            if op == "div":
                b = as_stored(positive(rng, b_shape) * np.where(rng.random(b_shape) < 0.5, -1.0, 1.0))
            if op in ("maximum", "minimum"):
                # a on even, b on odd multiples of 1/32: never equal, always 1/32 or more apart
                a = as_stored(np.round(a * 16) / 16)
                b = as_stored(np.round(b * 16) / 16 + 1 / 32)
            cases.differentiate(full, op, {}, {"a": a, "b": b}, f)
    unary = {
        "neg": (tf.negative, normal),
        "exp": (tf.exp, normal),
        "log": (tf.math.log, positive),
        "sqrt": (tf.sqrt, positive),
        "square": (tf.square, normal),
        "abs": (tf.abs, off_zero),
        "sigmoid": (tf.sigmoid, normal),
        "tanh": (tf.tanh, normal),
        "relu": (tf.nn.relu, off_zero),
    }
    for op, (f, draw) in unary.items():
        cases.differentiate(op, op, {}, {"x": draw(generator(op), [3, 7])}, f)
    # Saturated on both sides: exp of the wrong sign overflows f32 at 89.
    x = as_stored([-100.0, -90.0, -20.0, -1e-3, 1e-3, 20.0, 90.0, 100.0])
    for op in ["sigmoid", "tanh"]:
        cases.differentiate(f"{op}_saturated", op, {}, {"x": x}, unary[op][0])
    # The kinks themselves: relu' (0) = 0, |x|' (0) = 0.
    for op in ["relu", "abs"]:
        cases.differentiate(f"{op}_at_zero", op, {}, {"x": as_stored([-1.0, 0.0, 1.0, 0.0, 2.0])}, unary[op][0])


def reduce_cases(cases):
    for op, f in [("sum", tf.reduce_sum), ("mean", tf.reduce_mean), ("max", tf.reduce_max)]:
        for axes in [[0], [1], [2], [0, 2], [1, 2], [0, 1, 2]]:
            for keepdims in [False, True]:
                full = f"{op}_{''.join(map(str, axes))}{'_keepdims' if keepdims else ''}"
                x = distinct(generator(full), [3, 4, 5])
                attrs = {"axes": axes, "keepdims": keepdims}
                cases.differentiate(full, op, attrs, {"x": x}, lambda x: f(x, axis=axes, keepdims=keepdims))
        full = f"{op}_rank4_023"  # per channel, as batch norm and the bias gradient reduce
        x = distinct(generator(full), [2, 3, 4, 5])
        attrs = {"axes": [0, 2, 3], "keepdims": False}
        cases.differentiate(full, op, attrs, {"x": x}, lambda x: f(x, axis=[0, 2, 3]))
    for name, shape, axis in [("last", [3, 5], 1), ("axis0", [3, 5], 0), ("rank3_axis1", [2, 4, 3], 1)]:
        full = f"argmax_{name}"
        x = distinct(generator(full), shape)
        cases.add(full, "argmax", {"axis": axis}, {"x": x}, {"y": tf.argmax(x, axis).numpy()})
    x = generator("argmax_ties").integers(0, 3, [4, 7]).astype(np.float64)  # the first maximum
    cases.add("argmax_ties", "argmax", {"axis": 1}, {"x": x}, {"y": tf.argmax(x, 1).numpy()})


def layout_cases(cases):
    for name, ids in [
        ("gather_ids", np.array([4, 0, 4, 2, 4])),
        ("gather_ids_rank2", np.array([[1, 1, 5], [0, 5, 1]])),
        ("gather_one", np.array([3])),
    ]:
        table = normal(generator(name), [6, 3])  # rows 3 and others are never read: gradient 0
        cases.differentiate(name, "gather", {"axis": 0}, {"table": table}, tf.gather, {"ids": ids})
    for name, shapes, axis in [
        ("concat_axis0", [[1, 3], [2, 3]], 0),
        ("concat_axis1", [[2, 1, 3], [2, 4, 3], [2, 2, 3]], 1),
        ("concat_last", [[2, 3, 1], [2, 3, 2]], 2),
    ]:
        rng = generator(name)
        inputs = {f"x{i}": normal(rng, s) for i, s in enumerate(shapes)}
        cases.differentiate(name, "concat", {"axis": axis}, inputs, lambda *xs: tf.concat(xs, axis))
    for name, shape, pads, value in [
        ("pad_zero", [3, 4], [[1, 0], [2, 3]], 0.0),
        ("pad_value", [2, 2, 3, 3], [[0, 0], [0, 0], [1, 2], [0, 1]], -1.5),
    ]:
        f = lambda x: tf.pad(x, pads, constant_values=tf.constant(value, tf.float64))
        cases.differentiate(name, "pad", {"pads": pads, "value": value}, {"x": normal(generator(name), shape)}, f)
    for name, shape, begin, size in [
        ("slice_middle", [4, 5], [1, 2], [2, 3]),
        ("slice_rank3", [3, 4, 5], [0, 3, 1], [3, 1, 3]),
        ("slice_all", [2, 3], [0, 0], [2, 3]),
    ]:
        attrs = {"begin": begin, "size": size}
        cases.differentiate(
            name, "slice", attrs, {"x": normal(generator(name), shape)}, lambda x: tf.slice(x, begin, size)
        )
    for name, shape, perm in [
        ("transpose_10", [3, 5], [1, 0]),
        ("transpose_120", [2, 3, 4], [1, 2, 0]),
        ("transpose_nhwc_to_nchw", [2, 3, 4, 5], [0, 3, 1, 2]),
    ]:
        x = normal(generator(name), shape)
        cases.differentiate(name, "transpose", {"perm": perm}, {"x": x}, lambda x: tf.transpose(x, perm))


def optimizer_cases(cases):
    """Ten steps of Keras's optimizers on seven numbers; params[i] is the parameter after step i."""
    steps, size = 10, 7
    varying = [float(f"{0.01 * 0.8**i:.9g}") for i in range(steps)]
    for name, op, rates, hyper in [
        ("sgd", "sgd", [0.01] * steps, {"momentum": 0.0, "nesterov": False}),
        ("sgd_momentum", "sgd_momentum", [0.01] * steps, {"momentum": 0.9, "nesterov": False}),
        ("sgd_nesterov", "sgd_nesterov", [0.01] * steps, {"momentum": 0.9, "nesterov": True}),
        ("adam", "adam", [0.001] * steps, {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}),
        ("adam_learning_rates", "adam", varying, {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}),
    ]:
        rng = generator(name)
        start, grads = normal(rng, [size]), normal(rng, [steps, size])
        grads[:, 5] = 0.0  # never a gradient: never moves
        grads[:, 6] = as_stored(grads[:, 6] * 2.0**-23)  # as small as epsilon: shows where epsilon stands
        if op == "adam":
            optimizer = keras.optimizers.Adam(
                rates[0], beta_1=hyper["beta1"], beta_2=hyper["beta2"], epsilon=hyper["epsilon"]
            )
        else:
            optimizer = keras.optimizers.SGD(rates[0], **hyper)
        full_precision(optimizer)
        param = keras.Variable(start, dtype="float64")
        optimizer.build([param])
        params = []
        for rate, grad in zip(rates, grads):
            optimizer.learning_rate = rate
            optimizer.apply([tf.constant(grad, tf.float64)], [param])
            params.append(keras.ops.convert_to_numpy(param))
        attrs = {"learning_rates": rates, **hyper}
        cases.add(name, op, attrs, {"param": start, "grads": grads}, {"params": np.array(params)})


def set_precision(dtype):
    keras.config.set_floatx(dtype)  # losses and optimizers
    keras.config.set_dtype_policy(dtype)  # layers


def full_precision(optimizer):
    """Makes a Keras optimizer's constants float64 tensors.

    Keras casts Python's 0.999 to float64 by way of float32, which moves 1 - 0.999 by 1e-5 of itself.
    """
    for name in ["momentum", "beta_1", "beta_2", "epsilon"]:
        if hasattr(optimizer, name):
            setattr(optimizer, name, tf.constant(getattr(optimizer, name), tf.float64))


def make_ops(versions):
    set_precision("float64")
    cases = Cases()
    for part in [
        conv2d_cases,
        pool_cases,
        softmax_cases,
        loss_cases,
        matmul_cases,
        elementwise_cases,
        reduce_cases,
        layout_cases,
        optimizer_cases,
    ]:
        part(cases)
    text = '{"versions":' + json.dumps(versions) + ',\n"cases":[\n' + ",\n".join(cases.lines) + "\n]}\n"
    (HERE / "ops.json").write_text(text)


# ---------------------------------------------------------------- train_*.json

SAMPLES, BATCH, EPOCHS, CLASSES = 28, 5, 2, 4  # 6 batches an epoch, the last of 3; in order, no shuffling


def batches():
    for _ in range(EPOCHS):
        for start in range(0, SAMPLES, BATCH):
            yield slice(start, min(start + BATCH, SAMPLES))


def labelled_samples(rng, sample_shape):
    """Each class has a pattern; a sample is its class's pattern plus noise."""
    labels = rng.integers(0, CLASSES, SAMPLES)
    patterns = rng.standard_normal([CLASSES, *sample_shape])
    noise = rng.standard_normal([SAMPLES, *sample_shape])
    x = np.round((0.6 * patterns[labels] + 0.8 * noise) * 64.0) / 64.0
    return as_stored(x + 0.0), labels


def initial_weights(rng, shapes):
    """Glorot-uniform kernels; biases small and not zero, so that forgetting one is seen."""
    weights = {}
    for name, shape in shapes.items():
        if name.endswith("bias"):
            w = rng.uniform(-0.1, 0.1, shape)
        else:
            receptive = int(np.prod(shape[2:]))  # [c_out, c_in, kh, kw] or [in, out]
            limit = np.sqrt(6.0 / ((shape[0] + shape[1]) * receptive))
            w = rng.uniform(-limit, limit, shape)
        weights[name] = as_stored(np.round(w * 256.0) / 256.0 + 0.0)
    return weights


# Galen's layout. The rows of the CNN's dense kernel stand in the order of an NCHW Flatten.
DENSE_SHAPES = {
    "dense1.kernel": [16, 8],
    "dense1.bias": [8],
    "dense2.kernel": [8, 4],
    "dense2.bias": [4],
}
CNN_SHAPES = {
    "conv.kernel": [3, 1, 3, 3],
    "conv.bias": [3],
    "dense.kernel": [27, 4],
    "dense.bias": [4],
}


def dense_model():
    return keras.Sequential(
        [
            keras.Input([16]),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def cnn_model():
    return keras.Sequential(
        [
            keras.Input([8, 8, 1]),
            keras.layers.Conv2D(3, 3, padding="valid", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def to_keras(name, w):
    if name == "conv.kernel":
        return w.transpose(2, 3, 1, 0)
    if name == "dense.kernel":  # rows (c, h, w) -> (h, w, c)
        return w.reshape(3, 3, 3, 4).transpose(1, 2, 0, 3).reshape(27, 4)
    return w


def from_keras(name, w):
    if name == "conv.kernel":
        return w.transpose(3, 2, 0, 1)
    if name == "dense.kernel":  # rows (h, w, c) -> (c, h, w)
        return w.reshape(3, 3, 3, 4).transpose(2, 0, 1, 3).reshape(27, 4)
    return w


def train(build, x, labels, initial, learning_rate, dtype):
    """One run: the mean loss and the right answers of each batch before its step; the last weights."""
    set_precision(dtype)
    model = build()
    model.set_weights([to_keras(n, w).astype(dtype) for n, w in initial.items()])
    optimizer = keras.optimizers.Adam(learning_rate)
    if dtype == "float64":
        full_precision(optimizer)
    loss_function = keras.losses.CategoricalCrossentropy()
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)
    losses, correct = [], []
    for rows in batches():
        xb = tf.constant(x[rows], dtype)
        tb = tf.one_hot(labels[rows], CLASSES, dtype=dtype)
        with tf.GradientTape() as tape:
            y = model(xb, training=True)
            loss = loss_function(tb, y)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(grads, model.trainable_variables)
        losses.append(float(loss))
        correct.append(int(np.sum(np.argmax(y.numpy(), 1) == labels[rows])))
    final = {n: from_keras(n, w) for n, w in zip(initial, model.get_weights())}
    assert all(w.dtype == dtype for w in final.values())
    return losses, correct, final


def make_training(file, build, shapes, sample_shape, versions):
    rng = generator(file)
    x, labels = labelled_samples(rng, sample_shape)
    initial = initial_weights(rng, shapes)
    runs = []
    for learning_rate in [0.001, 0.01]:
        for dtype in ["float32", "float64"]:
            losses, correct, final = train(build, x, labels, initial, learning_rate, dtype)
            runs.append(
                f'{{"learning_rate":{learning_rate},"dtype":"{dtype}",\n'
                f' "losses":{array_json(np.array(losses))},\n "correct":{json.dumps(correct)},\n'
                f' "final":{arrays_json(final)}}}'
            )
            print(f"  {file} lr {learning_rate} {dtype}: loss {losses[0]:.4f} .. {losses[-1]:.4f}, right {correct}")
    attrs = {"optimizer": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7, "batch": BATCH, "epochs": EPOCHS}
    (HERE / file).write_text(
        f'{{"versions":{json.dumps(versions)},\n"attrs":{json.dumps(attrs)},\n'
        f'"x":{array_json(x)},\n"labels":{array_json(labels)},\n"initial":{arrays_json(initial)},\n'
        f'"runs":[\n' + ",\n".join(runs) + "\n]}\n"
    )


# ---------------------------------------------------------------- the definitions, in NumPy


def pad_hw(x, pads, value):
    top, bottom, left, right = pads
    return np.pad(x, [(0, 0), (0, 0), (top, bottom), (left, right)], constant_values=value)


def conv2d_numpy(x, w, attrs):
    """y[b, o, i, j] = sum over c, u, v of xp[b, g c_in/groups + c, i s + u d, j s + v d] w[o, c, u, v]."""
    (sh, sw), (dh, dw), groups = attrs["stride"], attrs["dilation"], attrs["groups"]
    xp = pad_hw(x, attrs["pads"], 0.0)
    c_out, c_group, kh, kw = w.shape
    oh = (xp.shape[2] - (kh - 1) * dh - 1) // sh + 1
    ow = (xp.shape[3] - (kw - 1) * dw - 1) // sw + 1
    y = np.zeros([x.shape[0], c_out, oh, ow])
    for o in range(c_out):
        first = o // (c_out // groups) * c_group
        for c in range(c_group):
            for u in range(kh):
                for v in range(kw):
                    window = xp[:, first + c, u * dh :: sh, v * dw :: sw][:, :oh, :ow]
                    y[:, o] += window * w[o, c, u, v]
    return y


def conv2d_grad_numpy(x, w, dy, attrs):
    """dx, dw: the transpose of the sum above, term by term."""
    (sh, sw), (dh, dw_), groups = attrs["stride"], attrs["dilation"], attrs["groups"]
    xp = pad_hw(x, attrs["pads"], 0.0)
    c_out, c_group, kh, kw = w.shape
    oh, ow = dy.shape[2:]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for o in range(c_out):
        first = o // (c_out // groups) * c_group
        for c in range(c_group):
            for u in range(kh):
                for v in range(kw):
                    rows = slice(u * dh, u * dh + (oh - 1) * sh + 1, sh)
                    columns = slice(v * dw_, v * dw_ + (ow - 1) * sw + 1, sw)
                    dxp[:, first + c, rows, columns] += dy[:, o] * w[o, c, u, v]
                    dw[o, c, u, v] += np.sum(dy[:, o] * xp[:, first + c, rows, columns])
    top, _, left, _ = attrs["pads"]
    return dxp[:, :, top : top + x.shape[2], left : left + x.shape[3]], dw


def pool_windows(x, attrs, value):
    """[batch, c, oh, ow, kh * kw] windows of the padded input."""
    (kh, kw), (sh, sw) = attrs["kernel"], attrs["stride"]
    xp = pad_hw(x, attrs["pads"], value)
    windows = np.lib.stride_tricks.sliding_window_view(xp, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    return windows.reshape(*windows.shape[:4], kh * kw)


def max_pool2d_positions(x, attrs):
    """The place of the first maximum of each window: row * w + column in the unpadded plane."""
    place = np.arange(x.shape[2] * x.shape[3]).reshape(1, 1, *x.shape[2:]) + np.zeros(x.shape)
    first = np.argmax(pool_windows(x, attrs, -np.inf), axis=-1)
    places = pool_windows(place, attrs, -1)
    return np.take_along_axis(places, first[..., None], -1)[..., 0].astype(np.int64)


def avg_pool2d_numpy(x, attrs):
    counts = pool_windows(np.ones_like(x), attrs, 0.0).sum(-1)
    return pool_windows(x, attrs, 0.0).sum(-1) / counts


def log_softmax_numpy(x, axis):
    z = x - x.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def cross_entropy_logits_numpy(z, t, attrs):
    t = np.eye(z.shape[1])[t] if attrs["targets"] == "index" else t
    return -(t * log_softmax_numpy(z, 1)).sum(1)


def cross_entropy_probs_numpy(p, t, attrs):
    p = p / p.sum(1, keepdims=True) if attrs["normalize"] else p
    return -(t * np.log(np.clip(p, attrs["epsilon"], 1 - attrs["epsilon"]))).sum(1)


def matmul_numpy(a, b, attrs):
    a = a.swapaxes(-1, -2) if attrs["transpose_a"] else a
    b = b.swapaxes(-1, -2) if attrs["transpose_b"] else b
    return np.einsum("...mk,...kn->...mn", a, b)


def reduce_numpy(f):
    return lambda x, attrs: f(x, axis=tuple(attrs["axes"]), keepdims=attrs["keepdims"])


FORWARD = {
    "conv2d": conv2d_numpy,
    "max_pool2d": lambda x, a: pool_windows(x, a, -np.inf).max(-1),
    "avg_pool2d": avg_pool2d_numpy,
    "softmax": lambda x, a: np.exp(log_softmax_numpy(x, a["axis"])),
    "log_softmax": lambda x, a: log_softmax_numpy(x, a["axis"]),
    "cross_entropy_logits": cross_entropy_logits_numpy,
    "cross_entropy_probs": cross_entropy_probs_numpy,
    "mse": lambda y, t, a: np.mean((y - t) ** 2, axis=-1 if a["reduction"] == "last_axis" else None),
    "matmul": matmul_numpy,
    "add": lambda x, y, a: x + y,
    "sub": lambda x, y, a: x - y,
    "mul": lambda x, y, a: x * y,
    "div": lambda x, y, a: x / y,
    "maximum": lambda x, y, a: np.maximum(x, y),
    "minimum": lambda x, y, a: np.minimum(x, y),
    "neg": lambda x, a: -x,
    "exp": lambda x, a: np.exp(x),
    "log": lambda x, a: np.log(x),
    "sqrt": lambda x, a: np.sqrt(x),
    "square": lambda x, a: x * x,
    "abs": lambda x, a: np.abs(x),
    "sigmoid": lambda x, a: 1 / (1 + np.exp(-x)),
    "tanh": lambda x, a: np.tanh(x),
    "relu": lambda x, a: np.where(x > 0, x, 0.0),
    "sum": reduce_numpy(np.sum),
    "mean": reduce_numpy(np.mean),
    "max": reduce_numpy(np.max),
    "argmax": lambda x, a: np.argmax(x, axis=a["axis"]),
    "gather": lambda table, ids, a: table[ids],
    "concat": lambda *xs: np.concatenate(xs[:-1], axis=xs[-1]["axis"]),
    "pad": lambda x, a: np.pad(x, a["pads"], constant_values=a["value"]),
    "slice": lambda x, a: x[tuple(slice(b, b + s) for b, s in zip(a["begin"], a["size"]))],
    "transpose": lambda x, a: x.transpose(a["perm"]),
}


def adam_step(p, g, m, v, t, rate, a):
    """Keras's form: the bias correction is in the rate, epsilon stands beside the uncorrected sqrt(v)."""
    m = a["beta1"] * m + (1 - a["beta1"]) * g
    v = a["beta2"] * v + (1 - a["beta2"]) * g * g
    rate = rate * np.sqrt(1 - a["beta2"] ** t) / (1 - a["beta1"] ** t)
    return p - rate * m / (np.sqrt(v) + a["epsilon"]), m, v


def optimizer_numpy(op, start, grads, a):
    p, m, v, params = start, np.zeros_like(start), np.zeros_like(start), []
    for t, (g, rate) in enumerate(zip(grads, a["learning_rates"]), 1):
        if op == "adam":
            p, m, v = adam_step(p, g, m, v, t, rate, a)
        else:
            m = a["momentum"] * m - rate * g
            p = p + (a["momentum"] * m - rate * g if a["nesterov"] else m)
        params.append(p)
    return np.array(params)


# ---------------------------------------------------------------- --check


def numeric_gradients(f, inputs, cot, names, h):
    """Central differences of sum(cot * f)."""
    gradients = {}
    for name in names:
        x = inputs[name]
        gradient = np.zeros_like(x)
        for i in np.ndindex(x.shape):
            kept = x[i]
            x[i] = kept + h
            up = np.array(f(inputs))  # a copy: a slice is a view of x
            x[i] = kept - h
            down = np.array(f(inputs))
            x[i] = kept
            gradient[i] = np.sum(cot * (up - down)) / (2 * h)
        gradients[name] = gradient
    return gradients


def compare(name, what, expected, actual, relative, absolute):
    expected, actual = np.asarray(expected), np.asarray(actual)
    assert expected.shape == actual.shape, f"{name} {what}: shape {actual.shape}, not {expected.shape}"
    error = np.abs(expected - actual)
    # written so that a NaN fails
    assert np.all(error <= absolute + relative * np.abs(expected)), f"{name} {what}: off by {error.max()}"
    return float(error.max(initial=0.0))


def check_ops():
    cases = json.loads((HERE / "ops.json").read_text())["cases"]
    for case in cases:
        name, op, attrs = case["name"], case["op"], case["attrs"]
        inputs = {k: read_array(v) for k, v in case["inputs"].items()}
        outputs = {k: read_array(v) for k, v in case["outputs"].items()}
        gradients = {k: read_array(v) for k, v in case["gradients"].items()}
        for k, v in inputs.items():  # what a reader parses as f32 is what TensorFlow got
            if v.dtype.kind == "f" and not ("grads" in inputs or name.endswith("_saturated")):
                assert np.array_equal(v, v.astype(np.float32)), f"{name} {k}: not exact in f32"
        if "grads" in inputs:
            expected = optimizer_numpy(op, inputs["param"], inputs["grads"], attrs)
            compare(name, "params", expected, outputs["params"], 6e-9, 1e-15)
            continue
        forward = lambda inputs: FORWARD[op](*inputs.values(), attrs)
        compare(name, "y", forward(inputs), outputs["y"], 6e-9, 1e-14)
        if "positions" in outputs:
            positions = max_pool2d_positions(inputs["x"], attrs)
            compare(name, "positions", positions, outputs["positions"], 0, 0)
        if case["cotangent"] is None:
            continue
        cot = read_array(case["cotangent"])
        assert cot.shape == outputs["y"].shape, name
        if op == "max_pool2d":  # ties have no derivative: scatter to the first maximum
            expected = np.zeros(inputs["x"].shape).reshape(*inputs["x"].shape[:2], -1)
            b, c = np.indices(cot.shape)[:2]
            np.add.at(expected, (b, c, positions), cot)
            expected = {"x": expected.reshape(inputs["x"].shape)}
        elif name == "relu_at_zero":  # relu'(0) = 0 by agreement
            expected = {"x": cot * (inputs["x"] > 0)}
        elif name.startswith("cross_entropy_probs_clipped"):
            # Two rows stand on the clip's edge: compare the others, and those by the formula.
            expected = numeric_gradients(forward, inputs, cot, gradients, 1e-6)
            expected["probs"][:2] = gradients["probs"][:2]
            assert np.all(gradients["probs"][:2] == 0.0), f"{name}: clipped rows have no gradient"
        else:
            expected = numeric_gradients(forward, inputs, cot, gradients, 1e-6)
        for k, g in expected.items():
            worst = max(1.0, np.abs(outputs["y"]).max(initial=0.0)) * max(1.0, np.abs(cot).max(initial=0.0))
            compare(name, f"gradient of {k}", g, gradients[k], 1e-7, 1e-8 * worst)
        if case["source"] == "tensorflow" and op == "conv2d":  # to the last digit
            dx, dw = conv2d_grad_numpy(inputs["x"], inputs["w"], cot, attrs)
            compare(name, "gradient of x", dx, gradients["x"], 6e-9, 1e-14)
            compare(name, "gradient of w", dw, gradients["w"], 6e-9, 1e-14)
    print(f"ops.json: {len(cases)} cases agree with NumPy")


def dense_loss(weights, x, labels):
    hidden = np.maximum(x @ weights["dense1.kernel"] + weights["dense1.bias"], 0.0)
    z = hidden @ weights["dense2.kernel"] + weights["dense2.bias"]
    return z, -log_softmax_numpy(z, 1)[np.arange(len(labels)), labels].mean()


def cnn_loss(weights, x, labels):
    attrs = {"stride": [1, 1], "dilation": [1, 1], "pads": [0, 0, 0, 0], "groups": 1}
    y = np.maximum(conv2d_numpy(x, weights["conv.kernel"], attrs) + weights["conv.bias"].reshape(1, 3, 1, 1), 0.0)
    y = pool_windows(y, {"kernel": [2, 2], "stride": [2, 2], "pads": [0, 0, 0, 0]}, -np.inf).max(-1)
    z = y.reshape(len(y), -1) @ weights["dense.kernel"] + weights["dense.bias"]
    return z, -log_softmax_numpy(z, 1)[np.arange(len(labels)), labels].mean()


def check_training(file, loss_of):
    """Trains again with NumPy: the loss as written above, its gradient by differences, Adam as written above."""
    stored = json.loads((HERE / file).read_text())
    x, labels, attrs = read_array(stored["x"]), read_array(stored["labels"]), stored["attrs"]
    for run in stored["runs"]:
        weights = {k: read_array(v) for k, v in stored["initial"].items()}
        moments = {k: (np.zeros_like(w), np.zeros_like(w)) for k, w in weights.items()}
        # Differences of f64 err by 1e-10; Adam's division by sqrt(v) makes 1e-7 of it where g is 1e-3.
        tolerance = 5e-5 if run["dtype"] == "float32" else 1e-6
        for t, rows in enumerate(batches(), 1):
            z, loss = loss_of(weights, x[rows], labels[rows])
            compare(file, f"loss {t}", loss, run["losses"]["data"][t - 1], 0, tolerance)
            assert int(np.sum(z.argmax(1) == labels[rows])) == run["correct"][t - 1], f"{file}: right answers, step {t}"
            f = lambda w: loss_of(w, x[rows], labels[rows])[1]
            grads = numeric_gradients(f, weights, 1.0, list(weights), 1e-5)
            for k, g in grads.items():
                weights[k], m, v = adam_step(weights[k], g, *moments[k], t, run["learning_rate"], attrs)
                moments[k] = (m, v)
        worst = max(compare(file, k, weights[k], read_array(w), 0, tolerance) for k, w in run["final"].items())
        print(f"{file} lr {run['learning_rate']} {run['dtype']}: NumPy's training ends within {worst:.1e}")


def main():
    if sys.argv[1:] == ["--check"]:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            check_ops()
        check_training("train_dense.json", dense_loss)
        check_training("train_cnn.json", cnn_loss)
        return
    if sys.argv[1:]:
        sys.exit(__doc__)
    global tf, keras
    import keras
    import tensorflow as tf

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
    make_ops(versions)
    make_training("train_dense.json", dense_model, DENSE_SHAPES, [16], versions)
    make_training("train_cnn.json", cnn_model, CNN_SHAPES, [1, 8, 8], versions)
    for file in ["ops.json", "train_dense.json", "train_cnn.json"]:
        print(f"{file}: {(HERE / file).stat().st_size} bytes")


if __name__ == "__main__":
    main()
