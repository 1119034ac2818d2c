"""ops.json: the first ops: convolution and pooling of images, softmax, cross-entropy, products, sums, layout; SGD and
Adam."""

import numpy as np

from .check import compare
from .conv import conv_gradient_numpy, conv_numpy, same_pads_of
from .optimizers import adam, one_variable, one_variable_cases, sgd
from .pool import avg_pool_numpy, max_pool_gradient, max_pool_numpy
from .softmax import log_softmax_numpy, softmax_numpy
from .store import (
    as_stored,
    channels_first,
    channels_last,
    distinct,
    generator,
    keras,
    large_logits,
    normal,
    off_zero,
    positive,
    probabilities,
    tf,
)

FILE = "ops.json"


# ---------------------------------------------------------------- cases


def conv2d_cases(cases):
    def case(name, x_shape, w_shape, stride=(1, 1), dilation=(1, 1), pads=(0, 0, 0, 0), groups=1, same=False):
        rng = generator(name)
        x, w = normal(rng, x_shape), normal(rng, w_shape)
        if same:
            pads = same_pads_of(x_shape, w_shape[2:], stride, dilation)
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
            y = tf.nn.conv2d(channels_last(x), w, [1, *stride, 1], padding, dilations=[1, *dilation, 1])
            return channels_first(y)

        def depthwise(x, w):
            c_in = x_shape[1]  # HW, channel, multiplier; output channel = channel * multiplier + m
            w = tf.reshape(w, [c_in, w_shape[0] // c_in, *w_shape[2:]])
            w = tf.transpose(w, [2, 3, 0, 1])
            y = tf.nn.depthwise_conv2d(channels_last(x), w, [1, *stride, 1], padding, dilations=list(dilation))
            return channels_first(y)

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
        pads = same_pads_of(x.shape, kernel, stride) if same else [0, 0, 0, 0]
        attrs = {"kernel": list(kernel), "stride": list(stride), "pads": pads, "same": same}
        padding = "SAME" if same else "VALID"
        if op == "avg_pool2d":
            attrs["count_include_pad"] = False
            f = lambda x: channels_first(tf.nn.avg_pool2d(channels_last(x), kernel, stride, padding))
            cases.differentiate(name, op, attrs, {"x": x}, f)
            return
        _, positions = tf.nn.max_pool_with_argmax(channels_last(x), kernel, stride, padding)
        # TensorFlow counts (row * w + column) * c + channel; Galen's plane has row * w + column.
        positions = channels_first(positions).numpy() // x.shape[1]
        f = lambda x: channels_first(tf.nn.max_pool2d(channels_last(x), kernel, stride, padding))
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
            full,
            "cross_entropy_logits",
            {"targets": targets},
            {"logits": z},
            lambda z, t: from_logits(t, z),
            {"targets": t},
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
                full,
                "cross_entropy_probs",
                attrs,
                {"probs": p},
                lambda p, t: from_probabilities(p, t, normalize),
                {"targets": t},
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


def make(cases):
    for part in [
        conv2d_cases,
        pool_cases,
        softmax_cases,
        loss_cases,
        matmul_cases,
        elementwise_cases,
        reduce_cases,
        layout_cases,
        one_variable_cases,
    ]:
        part(cases)


# ---------------------------------------------------------------- the definitions, in NumPy


def cross_entropy_logits_numpy(a, logits, targets):
    targets = np.eye(logits.shape[1])[targets] if a["targets"] == "index" else targets
    return -(targets * log_softmax_numpy(logits, 1)).sum(1)


def cross_entropy_probs_numpy(a, probs, targets):
    p = probs / probs.sum(1, keepdims=True) if a["normalize"] else probs
    return -(targets * np.log(np.clip(p, a["epsilon"], 1 - a["epsilon"]))).sum(1)


def matmul_numpy(attrs, a, b):
    a = a.swapaxes(-1, -2) if attrs["transpose_a"] else a
    b = b.swapaxes(-1, -2) if attrs["transpose_b"] else b
    return np.einsum("...mk,...kn->...mn", a, b)


def reduce_numpy(f):
    return lambda a, x: f(x, axis=tuple(a["axes"]), keepdims=a["keepdims"])


FORWARD = {
    "conv2d": conv_numpy,
    "max_pool2d": max_pool_numpy,
    "avg_pool2d": avg_pool_numpy,
    "softmax": lambda a, x: softmax_numpy(x, a["axis"]),
    "log_softmax": lambda a, x: log_softmax_numpy(x, a["axis"]),
    "cross_entropy_logits": cross_entropy_logits_numpy,
    "cross_entropy_probs": cross_entropy_probs_numpy,
    "mse": lambda a, pred, target: np.mean((pred - target) ** 2, axis=-1 if a["reduction"] == "last_axis" else None),
    "matmul": matmul_numpy,
    "add": lambda attrs, a, b: a + b,
    "sub": lambda attrs, a, b: a - b,
    "mul": lambda attrs, a, b: a * b,
    "div": lambda attrs, a, b: a / b,
    "maximum": lambda attrs, a, b: np.maximum(a, b),
    "minimum": lambda attrs, a, b: np.minimum(a, b),
    "neg": lambda a, x: -x,
    "exp": lambda a, x: np.exp(x),
    "log": lambda a, x: np.log(x),
    "sqrt": lambda a, x: np.sqrt(x),
    "square": lambda a, x: x * x,
    "abs": lambda a, x: np.abs(x),
    "sigmoid": lambda a, x: 1 / (1 + np.exp(-x)),
    "tanh": lambda a, x: np.tanh(x),
    "relu": lambda a, x: np.where(x > 0, x, 0.0),
    "sum": reduce_numpy(np.sum),
    "mean": reduce_numpy(np.mean),
    "max": reduce_numpy(np.max),
    "argmax": lambda a, x: np.argmax(x, axis=a["axis"]),
    "gather": lambda a, table, ids: table[ids],
    "concat": lambda a, **xs: np.concatenate(list(xs.values()), axis=a["axis"]),
    "pad": lambda a, x: np.pad(x, a["pads"], constant_values=a["value"]),
    "slice": lambda a, x: x[tuple(slice(b, b + s) for b, s in zip(a["begin"], a["size"]))],
    "transpose": lambda a, x: x.transpose(a["perm"]),
    "adam": one_variable(adam),
    "sgd": one_variable(sgd),
    "sgd_momentum": one_variable(sgd),
    "sgd_nesterov": one_variable(sgd),
}


def cross_entropy_probs_gradient(a, inputs, cots):
    """Two rows of the clipped cases stand on the clip's edge, with gradient 0; differences serve the other cases."""
    on_the_edge = inputs["probs"].min(axis=1) == 0.0
    if not on_the_edge.any():
        return None
    p, t, cot = inputs["probs"], inputs["targets"], cots["y"][:, None]
    dp = -cot * t / p.clip(1e-300) + (cot if a["normalize"] else 0.0)
    return {"probs": np.where(on_the_edge[:, None], 0.0, dp)}


GRADIENT = {
    "max_pool2d": max_pool_gradient,
    "relu": lambda a, inputs, cots: {"x": cots["y"] * (inputs["x"] > 0)},  # relu'(0) = 0 by agreement
    "cross_entropy_probs": cross_entropy_probs_gradient,
}


def inexact(name, k):
    """Inputs that are not exact in f32."""
    return k == "grads" or name.endswith("_saturated")


def further(case, inputs, outputs, gradients, cots):
    if case["op"] == "conv2d":  # to the last digit
        dx, dw = conv_gradient_numpy(case["attrs"], inputs["x"], inputs["w"], cots["y"])
        compare(case["name"], "gradient of x", dx, gradients["x"], 6e-9, 1e-14)
        compare(case["name"], "gradient of w", dw, gradients["w"], 6e-9, 1e-14)
