"""pool.json: pooling of one and three axes, adaptive pooling, and resizing.

Layout: x [batch, c, ..]; "pads" are [before, after] of each axis in turn; "positions" count row-major in the unpadded
cells.
"""

import numpy as np

from .conv import pairs, padded, same_pads_of
from .store import as_stored, channels_first, channels_last, distinct, generator, keras, normal, tf

FILE = "pool.json"


# ---------------------------------------------------------------- cases


def window_cases(cases):
    def case(name, op, x, kernel, stride, same=False, pads=None, count_include_pad=False):
        rank = len(kernel)
        source = "formula" if pads else "tensorflow"
        pads = pads or (same_pads_of(x.shape, kernel, stride) if same else [0] * 2 * rank)
        attrs = {"kernel": list(kernel), "stride": list(stride), "pads": list(pads), "same": same}
        padding = "SAME" if same else "VALID"
        library = {
            "max_pool1d": tf.nn.max_pool1d,
            "max_pool3d": tf.nn.max_pool3d,
            "avg_pool1d": tf.nn.avg_pool1d,
            "avg_pool2d": tf.nn.avg_pool2d,
            "avg_pool3d": tf.nn.avg_pool3d,
        }[op]
        # TensorFlow has max_pool3d in float32 only: exact for these inputs, and for sums of a few of these cotangents.
        dtype = tf.float32 if op == "max_pool3d" else tf.float64

        def pool(x):
            y = library(channels_last(tf.cast(x, dtype)), kernel, stride, padding)
            return tf.cast(channels_first(y), tf.float64)

        around = [(0, 0), (0, 0), *pairs(pads)]
        f, extra = pool, {}
        if op.startswith("avg"):
            attrs["count_include_pad"] = count_include_pad
            if source == "formula":  # the mean over all cells, or sums over counts of cells
                ones = lambda x: pool(tf.pad(tf.ones_like(x), around))
                f = lambda x: pool(tf.pad(x, around)) / (1.0 if count_include_pad else ones(x))
        else:
            if source == "formula":
                f = lambda x: pool(tf.pad(x, around, constant_values=tf.constant(-1e30, tf.float64)))
            extra = {"positions": max_pool_positions(attrs, x)}
        cases.differentiate(name, op, attrs, {"x": x}, f, extra=extra, source=source, compiled=op == "avg_pool3d")

    for name, shape, kernel, stride, same in [
        ("2", [2, 3, 6], [2], [2], False),
        ("2_leftover", [2, 2, 7], [2], [2], False),
        ("3_stride1", [2, 2, 6], [3], [1], False),
        ("3_stride2_same", [2, 2, 8], [3], [2], True),
        ("2_stride1_same", [1, 2, 5], [2], [1], True),
    ]:
        for op in ["max_pool1d", "avg_pool1d"]:
            full = f"{op}_{name}"
            case(full, op, distinct(generator(full), shape), kernel, stride, same)
    for name, shape, kernel, stride, same in [
        ("2x2x2", [2, 2, 4, 2, 4], [2, 2, 2], [2, 2, 2], False),
        ("2x2x2_leftover", [1, 2, 3, 5, 4], [2, 2, 2], [2, 2, 2], False),
        ("3x3x3_stride2_same", [1, 2, 4, 5, 3], [3, 3, 3], [2, 2, 2], True),
        ("1x2x3_stride_1_2_1", [1, 2, 2, 5, 4], [1, 2, 3], [1, 2, 1], False),
        ("2x2x2_stride1_same", [1, 1, 3, 3, 2], [2, 2, 2], [1, 1, 1], True),
    ]:
        for op in ["max_pool3d", "avg_pool3d"]:
            full = f"{op}_{name}"
            case(full, op, distinct(generator(full), shape), kernel, stride, same)
    # Explicit pads, as PyTorch has them: with and without the pads in the count.
    for op, shape, kernel, stride, pads in [
        ("avg_pool1d", [2, 2, 7], [3], [2], [1, 1]),
        ("avg_pool2d", [2, 2, 5, 6], [3, 3], [2, 2], [1, 1, 1, 1]),
        ("avg_pool2d", [1, 2, 4, 5], [3, 2], [1, 2], [1, 0, 0, 1]),
        ("avg_pool3d", [1, 2, 3, 4, 4], [3, 3, 2], [2, 2, 2], [1, 1, 1, 1, 0, 0]),
    ]:
        for count in [False, True]:
            full = f"{op}_pads_{''.join(map(str, pads))}{'_counted' if count else ''}"
            case(full, op, distinct(generator(full), shape), kernel, stride, pads=pads, count_include_pad=count)
    for op, shape, kernel, stride, pads in [
        ("max_pool1d", [2, 2, 7], [3], [2], [1, 1]),
        ("max_pool3d", [1, 2, 3, 4, 4], [3, 3, 2], [2, 2, 2], [1, 1, 1, 1, 0, 0]),
    ]:
        full = f"{op}_pads_{''.join(map(str, pads))}"
        x = distinct(generator(full), shape)
        case(full, op, as_stored(x - 2.0), kernel, stride, pads=pads)  # mostly negative: padding must not win


def adaptive_cases(cases):
    """Cell i of n from m cells: the window from floor(i m / n) to ceil((i + 1) m / n)."""
    for name, shape, output in [
        ("1d", [2, 3, 7], [3]),
        ("1d_larger", [1, 2, 3], [5]),
        ("1d_one", [2, 2, 5], [1]),
        ("2d", [2, 2, 5, 7], [2, 3]),
        ("2d_divides", [1, 2, 4, 6], [2, 3]),
        ("3d", [1, 2, 3, 5, 4], [2, 3, 3]),
    ]:
        for op in ["adaptive_avg_pool", "adaptive_max_pool"]:
            full = f"{op}{name}"
            library = keras.ops.adaptive_average_pool if "avg" in op else keras.ops.adaptive_max_pool
            reduce = tf.reduce_mean if "avg" in op else tf.reduce_max

            def f(x):
                for axis, (m, n) in enumerate(zip(shape[2:], output), 2):
                    ends = [(i * m // n, -(-(i + 1) * m // n)) for i in range(n)]
                    cells = [tf.gather(x, range(*window), axis=axis) for window in ends]
                    x = tf.concat([reduce(c, axis=axis, keepdims=True) for c in cells], axis=axis)
                return x

            x = distinct(generator(full), shape)
            # Keras's gradient is not always right: where an axis becomes one, its max-pooling leaves memory as it was.
            values = library(tf.constant(x, tf.float32), tuple(output), "channels_first")
            assert np.abs(values.numpy() - f(tf.constant(x))).max() < 1e-5, full
            cases.differentiate(full, op, {"output": output}, {"x": x}, f, source="formula")


def linear_matrix(n_in, n_out, corners):
    """[n_out, n_in]: what each cell of a linearly resized axis takes from each cell."""
    weights = np.zeros([n_out, n_in])
    for i in range(n_out):
        at = i * (n_in - 1) / max(n_out - 1, 1) if corners else (i + 0.5) * n_in / n_out - 0.5
        at = min(max(at, 0.0), n_in - 1.0)
        low = min(int(at), n_in - 1)
        high = min(low + 1, n_in - 1)
        weights[i, low] += 1.0 - (at - low)
        weights[i, high] += at - low
    return weights


def resize_cases(cases):
    """Half-pixel centres: cell i reads at (i + 1/2) · in / out − 1/2.

    "nearest" comes in two roundings: "floor" reads floor(i · in / out) (tf.compat.v1's, PyTorch's "nearest"),
    "half_pixel" reads floor((i + 1/2) · in / out) (tf.image.resize's, PyTorch's "nearest-exact"); for whole factors
    they are one.
    "linear" holds the border; "align_corners" puts the first and the last cells onto each other.
    """

    def axiswise(x, matrices):
        for axis, weights in enumerate(matrices, 2):
            x = tf.tensordot(x, tf.constant(weights), [[axis], [1]])  # the new axis comes last
            x = tf.transpose(x, [*range(axis), len(x.shape) - 1, *range(axis, len(x.shape) - 1)])
        return x

    for name, shape, output in [
        ("1d_double", [2, 2, 4], [8]),
        ("1d_up", [2, 2, 3], [7]),
        ("1d_down", [2, 2, 7], [3]),
        ("2d_double", [2, 2, 3, 2], [6, 4]),
        ("2d_up", [1, 2, 3, 4], [5, 7]),
        ("2d_down", [1, 2, 6, 7], [4, 3]),
        ("2d_mixed", [1, 2, 3, 5], [5, 2]),
        ("2d_from_one", [1, 2, 1, 3], [3, 5]),
        ("3d_double", [1, 2, 2, 2, 3], [4, 4, 6]),
        ("3d_mixed", [1, 2, 2, 5, 3], [5, 3, 4]),
    ]:
        for rounding in ["floor", "half_pixel"]:
            full = f"resize_nearest_{rounding}_{name}"
            x = normal(generator(full), shape)
            attrs = {"mode": "nearest", "output": output, "rounding": rounding}

            def nearest(x):
                if len(output) == 2:
                    y = tf.raw_ops.ResizeNearestNeighbor(
                        images=channels_last(x), size=output, half_pixel_centers=rounding == "half_pixel"
                    )
                    return channels_first(y)
                for axis, (m, n) in enumerate(zip(shape[2:], output), 2):
                    x = tf.gather(x, nearest_places(m, n, rounding), axis=axis)
                return x

            source = "tensorflow" if len(output) == 2 else "formula"
            cases.differentiate(full, "resize", attrs, {"x": x}, nearest, source=source)
        for corners in [False, True]:
            if corners and not name.endswith(("up", "down", "3d_mixed")):
                continue
            full = f"resize_linear_{'corners_' if corners else ''}{name}"
            x = normal(generator(full), shape)
            attrs = {"mode": "linear", "output": output, "align_corners": corners}
            matrices = [linear_matrix(m, n, corners) for m, n in zip(shape[2:], output)]
            if len(output) == 2 and not corners:  # TensorFlow has it in float32 only
                library = channels_first(tf.image.resize(channels_last(tf.constant(x, tf.float32)), output))
                assert np.abs(library.numpy() - axiswise(tf.constant(x), matrices)).max() < 1e-5, full
            cases.differentiate(full, "resize", attrs, {"x": x}, lambda x: axiswise(x, matrices), source="formula")


def make(cases):
    window_cases(cases)
    adaptive_cases(cases)
    resize_cases(cases)


# ---------------------------------------------------------------- the definitions, in NumPy


def pool_windows(x, attrs, value):
    """[batch, c, out.., cells] windows of the padded input."""
    kernel, rank = attrs["kernel"], x.ndim - 2
    xp = padded(x, attrs["pads"], value)
    views = np.lib.stride_tricks.sliding_window_view(xp, kernel, axis=tuple(range(2, 2 + rank)))
    views = views[(slice(None), slice(None), *[slice(None, None, s) for s in attrs["stride"]])]
    return views.reshape(*views.shape[: 2 + rank], int(np.prod(kernel)))


def max_pool_numpy(attrs, x):
    y = pool_windows(x, attrs, -np.inf).max(-1)
    return {"y": y, "positions": max_pool_positions(attrs, x)}


def max_pool_positions(attrs, x):
    """The place of the first maximum of each window, row-major among the unpadded cells."""
    place = np.arange(int(np.prod(x.shape[2:]))).reshape(1, 1, *x.shape[2:]) + np.zeros(x.shape)
    first = np.argmax(pool_windows(x, attrs, -np.inf), axis=-1)
    places = pool_windows(place, attrs, -1)
    return np.take_along_axis(places, first[..., None], -1)[..., 0].astype(np.int64)


def max_pool_gradient(attrs, inputs, cots):
    """Ties have no derivative: scatter to the first maximum."""
    x = inputs["x"]
    dx = np.zeros([*x.shape[:2], int(np.prod(x.shape[2:]))])
    b, c = np.indices(cots["y"].shape)[:2]
    np.add.at(dx, (b, c, max_pool_positions(attrs, x)), cots["y"])
    return {"x": dx.reshape(x.shape)}


def avg_pool_numpy(attrs, x):
    sums = pool_windows(x, attrs, 0.0)
    counts = (
        np.prod(attrs["kernel"]) if attrs["count_include_pad"] else pool_windows(np.ones_like(x), attrs, 0.0).sum(-1)
    )
    return sums.sum(-1) / counts


def adaptive_numpy(reduce):
    def f(attrs, x):
        y = np.zeros([*x.shape[:2], *attrs["output"]])
        for place in np.ndindex(*attrs["output"]):
            axes = zip(place, x.shape[2:], attrs["output"])
            cells = tuple(slice(i * m // n, -(-(i + 1) * m // n)) for i, m, n in axes)
            window = x[(slice(None), slice(None), *cells)]
            y[(slice(None), slice(None), *place)] = reduce(window.reshape(*x.shape[:2], -1), axis=-1)
        return y

    return f


def nearest_places(m, n, rounding):
    return [i * m // n if rounding == "floor" else (2 * i + 1) * m // (2 * n) for i in range(n)]


def resize_numpy(attrs, x):
    for axis, n in enumerate(attrs["output"], 2):
        m = x.shape[axis]
        if attrs["mode"] == "nearest":
            x = np.take(x, nearest_places(m, n, attrs["rounding"]), axis=axis)
            continue
        i = np.arange(n)
        at = i * (m - 1) / max(n - 1, 1) if attrs["align_corners"] else (i + 0.5) * m / n - 0.5
        at = np.clip(at, 0, m - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape([n if k == axis else 1 for k in range(x.ndim)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, np.minimum(low + 1, m - 1), axis) * share
    return x


FORWARD = {
    "max_pool1d": max_pool_numpy,
    "max_pool3d": max_pool_numpy,
    "avg_pool1d": avg_pool_numpy,
    "avg_pool2d": avg_pool_numpy,
    "avg_pool3d": avg_pool_numpy,
    "adaptive_avg_pool": adaptive_numpy(np.mean),
    "adaptive_max_pool": adaptive_numpy(np.max),
    "resize": resize_numpy,
}
GRADIENT = {"max_pool1d": max_pool_gradient, "max_pool3d": max_pool_gradient}
