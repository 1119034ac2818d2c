"""conv.json: convolutions of one and three axes, transposed convolutions of one to three, depthwise and separable
ones.

Layout: x [batch, c_in, ..], w [c_out, c_in / groups, ..]; of a transposed convolution w [c_in, c_out / groups, ..].
"pads" are [before, after] of each axis in turn. A transposed convolution's pads are cells cut from the full result of
length (n - 1) · stride + (k - 1) · dilation + 1, "output_padding" cells more at the end (zeros where the full result
has none).
"""

import numpy as np

from .store import channels_first, channels_last, generator, keras, normal, tf

FILE = "conv.json"


def same_pads(size, kernel, stride, dilation=1):
    """TensorFlow's SAME rule for one axis: (before, after); the odd cell goes after."""
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def same_pads_of(shape, kernel, stride, dilation=None):
    """SAME for all axes of [batch, c, ..]: [before, after, before, after, ..]."""
    dilation = dilation or [1] * len(kernel)
    return [p for axis in zip(shape[2:], kernel, stride, dilation) for p in same_pads(*axis)]


def pairs(flat):
    """[top, bottom, left, right] -> [(top, bottom), (left, right)]"""
    return [(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)]


def ones_or(value, rank):
    return list(value) if value else [1] * rank


# ---------------------------------------------------------------- cases


def differentiate(cases, name, op, attrs, inputs, f, **more):
    """By f; where TensorFlow's CPU kernels have no gradient (dilation, groups) by its XLA compiler."""
    try:
        cases.differentiate(name, op, attrs, inputs, f, **more)
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError, ValueError, LookupError) as e:
        cases.differentiate(name, op, attrs, inputs, f, compiled=True, **more)
        print(f"  {name}: by XLA ({type(e).__name__})")


def forward_cases(cases):
    def case(name, x_shape, w_shape, stride=None, dilation=None, pads=None, groups=1, same=False, causal=False):
        rank = len(x_shape) - 2
        rng = generator(name)
        stride, dilation = ones_or(stride, rank), ones_or(dilation, rank)
        pads = list(pads) if pads else [0] * 2 * rank
        if same:
            pads = same_pads_of(x_shape, w_shape[2:], stride, dilation)
        if causal:  # no output sees what comes after it
            pads = [dilation[0] * (w_shape[2] - 1), 0]
        attrs = {"stride": stride, "dilation": dilation, "pads": pads, "groups": groups, "same": same, "causal": causal}

        def native(x, w):
            if not same:
                x = tf.pad(x, [(0, 0), (0, 0), *pairs(pads)])
            w = tf.transpose(w, [*range(2, 2 + rank), 1, 0])
            padding = "SAME" if same else "VALID"
            if rank == 1:
                y = tf.nn.conv1d(channels_last(x), w, stride, padding, dilations=dilation)
            else:
                y = tf.nn.conv3d(channels_last(x), w, [1, *stride, 1], padding, dilations=[1, *dilation, 1])
            return channels_first(y)

        def by_group(x, w):  # tf.nn.conv3d knows no groups
            parts = zip(tf.split(x, groups, axis=1), tf.split(w, groups, axis=0))
            return tf.concat([native(x, w) for x, w in parts], axis=1)

        def depthwise(x, w):
            c_in = x_shape[1]  # channel, multiplier; output channel = channel * multiplier + m
            w = tf.reshape(w, [c_in, w_shape[0] // c_in, *w_shape[2:]])
            w = tf.transpose(w, [*range(2, 2 + rank), 0, 1])
            if not same:
                x = tf.pad(x, [(0, 0), (0, 0), *pairs(pads)])
            y = keras.ops.depthwise_conv(
                channels_last(x), w, tuple(stride), "same" if same else "valid", "channels_last", tuple(dilation)
            )
            return channels_first(y)

        f = native if groups == 1 else depthwise if rank == 1 and groups == x_shape[1] else by_group
        inputs = {"x": normal(rng, x_shape), "w": normal(rng, w_shape)}
        differentiate(cases, name, f"conv{rank}d", attrs, inputs, f)

    case("conv1d_valid", [2, 3, 9], [4, 3, 3])
    case("conv1d_one_of_each", [1, 1, 1], [1, 1, 1])
    case("conv1d_1", [2, 3, 5], [4, 3, 1])
    case("conv1d_stride2_leftover", [2, 2, 8], [3, 2, 3], stride=[2])
    case("conv1d_same", [2, 2, 7], [3, 2, 4], same=True)
    case("conv1d_stride2_same", [2, 2, 8], [3, 2, 3], stride=[2], same=True)
    case("conv1d_explicit_pads", [2, 2, 6], [3, 2, 3], pads=[2, 1])
    case("conv1d_dilation3", [2, 2, 11], [3, 2, 3], dilation=[3])
    case("conv1d_causal_dilation2", [2, 2, 7], [3, 2, 3], dilation=[2], causal=True)
    case("conv1d_groups2", [2, 4, 7], [6, 2, 3], groups=2)
    case("conv1d_depthwise_multiplier2", [2, 3, 7], [6, 1, 3], groups=3)
    case("conv1d_depthwise_stride2_same", [2, 3, 8], [3, 1, 3], stride=[2], groups=3, same=True)
    case("conv1d_together", [3, 4, 13], [6, 2, 3], stride=[2], dilation=[2], pads=[3, 1], groups=2)

    case("conv3d_valid", [2, 2, 3, 4, 5], [3, 2, 2, 3, 2])
    case("conv3d_1x1x1", [2, 3, 2, 3, 2], [2, 3, 1, 1, 1])
    case("conv3d_stride2", [1, 2, 4, 5, 6], [3, 2, 2, 3, 3], stride=[2, 2, 2])
    case("conv3d_stride_1_2_3", [1, 2, 3, 5, 7], [2, 2, 2, 2, 3], stride=[1, 2, 3])
    case("conv3d_same", [1, 2, 3, 4, 3], [3, 2, 3, 2, 3], same=True)
    case("conv3d_stride2_same", [1, 2, 3, 4, 5], [2, 2, 3, 3, 2], stride=[2, 2, 2], same=True)
    case("conv3d_explicit_pads", [1, 2, 3, 3, 2], [2, 2, 2, 3, 3], pads=[1, 0, 0, 2, 1, 2])
    case("conv3d_dilation_1_2_2", [1, 2, 3, 5, 5], [2, 2, 2, 2, 3], dilation=[1, 2, 2])
    case("conv3d_groups2", [1, 4, 3, 3, 4], [4, 2, 2, 2, 2], groups=2)
    case("conv3d_depthwise_multiplier2", [1, 2, 3, 3, 4], [4, 1, 2, 2, 2], groups=2)


def transpose_cases(cases):
    def case(name, x_shape, w_shape, stride=None, dilation=None, pads=None, output_padding=None, groups=1, same=False):
        rank = len(x_shape) - 2
        rng = generator(name)
        stride, dilation = ones_or(stride, rank), ones_or(dilation, rank)
        extent = [(k - 1) * d + 1 for k, d in zip(w_shape[2:], dilation)]
        full = [(n - 1) * s + e for n, s, e in zip(x_shape[2:], stride, extent)]
        native_crop = pads is None and output_padding is None
        pads = list(pads) if pads else [0] * 2 * rank
        output_padding = list(output_padding) if output_padding else [0] * rank
        if same:  # out = n · stride: what SAME would have made n cells of
            total = [max(e - s, 0) for e, s in zip(extent, stride)]
            pads = [p for t in total for p in (t // 2, t - t // 2)]
            output_padding = [max(s - e, 0) for e, s in zip(extent, stride)]
        out = [f - before - after + more for f, (before, after), more in zip(full, pairs(pads), output_padding)]
        attrs = {
            "stride": stride,
            "dilation": dilation,
            "pads": pads,
            "output_padding": output_padding,
            "groups": groups,
            "same": same,
        }
        library = {1: tf.nn.conv1d_transpose, 2: tf.nn.conv2d_transpose, 3: tf.nn.conv3d_transpose}[rank]

        def one_group(x, w):
            w = tf.transpose(w, [*range(2, 2 + rank), 1, 0])  # k.., out, in
            size = out if same else full
            y = library(
                channels_last(x),
                w,
                [x_shape[0], *size, w.shape[-2]],
                stride,
                "SAME" if same else "VALID",
                dilations=dilation,
            )
            y = channels_first(y)
            if native_crop:
                return y
            y = tf.pad(y, [(0, 0), (0, 0), *[(0, more) for more in output_padding]])
            return tf.slice(y, [0, 0, *pads[::2]], [y.shape[0], y.shape[1], *out])

        def f(x, w):
            parts = zip(tf.split(x, groups, axis=1), tf.split(w, groups, axis=0))
            return tf.concat([one_group(x, w) for x, w in parts], axis=1)

        inputs = {"x": normal(rng, x_shape), "w": normal(rng, w_shape)}
        source = "tensorflow" if native_crop else "formula"
        differentiate(cases, name, f"conv_transpose{rank}d", attrs, inputs, f, source=source)

    case("conv_transpose1d_valid", [2, 3, 4], [3, 2, 3])
    case("conv_transpose1d_stride2", [2, 3, 4], [3, 2, 3], stride=[2])
    case("conv_transpose1d_stride3_short_kernel", [2, 2, 3], [2, 3, 2], stride=[3])
    case("conv_transpose1d_same", [2, 2, 5], [2, 3, 4], same=True)
    case("conv_transpose1d_stride2_same", [2, 2, 4], [2, 3, 3], stride=[2], same=True)
    case("conv_transpose1d_stride3_same_short_kernel", [2, 2, 3], [2, 3, 2], stride=[3], same=True)
    case("conv_transpose1d_groups2", [2, 4, 4], [4, 3, 3], stride=[2], groups=2)
    case("conv_transpose1d_pads_output_padding", [2, 2, 4], [2, 3, 3], stride=[2], pads=[1, 1], output_padding=[1])
    case("conv_transpose1d_dilation2", [2, 2, 4], [2, 3, 3], dilation=[2])

    case("conv_transpose2d_valid", [2, 3, 3, 4], [3, 2, 3, 2])
    case("conv_transpose2d_one_of_each", [1, 1, 1, 1], [1, 1, 1, 1])
    case("conv_transpose2d_2x2_stride2", [2, 3, 3, 2], [3, 4, 2, 2], stride=[2, 2])
    case("conv_transpose2d_3x3_stride2", [2, 3, 3, 4], [3, 2, 3, 3], stride=[2, 2])
    case("conv_transpose2d_stride_2_1", [2, 2, 3, 4], [2, 3, 3, 2], stride=[2, 1])
    case("conv_transpose2d_same", [2, 2, 3, 4], [2, 3, 3, 2], same=True)
    case("conv_transpose2d_3x3_stride2_same", [2, 2, 3, 2], [2, 3, 3, 3], stride=[2, 2], same=True)
    case("conv_transpose2d_4x4_stride2_same", [2, 2, 3, 2], [2, 3, 4, 4], stride=[2, 2], same=True)
    case("conv_transpose2d_groups2_stride2", [2, 4, 3, 2], [4, 3, 3, 2], stride=[2, 2], groups=2)
    case("conv_transpose2d_depthwise", [2, 3, 3, 4], [3, 1, 3, 3], stride=[2, 2], groups=3)
    case("conv_transpose2d_dilation2", [1, 2, 3, 4], [2, 3, 3, 2], dilation=[2, 2])
    case(
        "conv_transpose2d_pads_output_padding",
        [2, 2, 3, 4],
        [2, 3, 3, 3],
        stride=[2, 2],
        pads=[1, 1, 1, 1],
        output_padding=[1, 0],
    )
    case(
        "conv_transpose2d_output_padding_past_the_kernel",
        [1, 2, 3, 3],
        [2, 2, 2, 2],
        stride=[3, 3],
        output_padding=[2, 1],
    )
    case(
        "conv_transpose2d_together",
        [2, 4, 3, 4],
        [4, 3, 3, 2],
        stride=[3, 2],
        dilation=[1, 2],
        pads=[1, 0, 2, 1],
        output_padding=[1, 1],
        groups=2,
    )

    case("conv_transpose3d_valid", [1, 2, 2, 3, 2], [2, 3, 2, 3, 2])
    case("conv_transpose3d_2x2x2_stride2", [1, 3, 2, 3, 2], [3, 2, 2, 2, 2], stride=[2, 2, 2])
    case("conv_transpose3d_stride2_same", [1, 2, 2, 3, 2], [2, 2, 3, 3, 2], stride=[2, 2, 2], same=True)
    case("conv_transpose3d_stride_1_2_3", [1, 2, 2, 2, 3], [2, 2, 2, 3, 3], stride=[1, 2, 3])
    case("conv_transpose3d_groups2", [1, 4, 2, 2, 3], [4, 2, 2, 3, 2], stride=[2, 1, 2], groups=2)
    case(
        "conv_transpose3d_pads_output_padding",
        [1, 2, 2, 3, 2],
        [2, 2, 3, 3, 3],
        stride=[2, 2, 2],
        pads=[1, 1, 1, 1, 1, 1],
        output_padding=[1, 0, 1],
    )


def separable_cases(cases):
    """Depthwise, then 1 × 1: x, depthwise [c_in · multiplier, 1, ..], pointwise [c_out, c_in · multiplier, 1..]."""

    def case(name, x_shape, multiplier, c_out, kernel, stride=None, dilation=None, same=False):
        rank = len(kernel)
        rng = generator(name)
        c_in = x_shape[1]
        stride, dilation = ones_or(stride, rank), ones_or(dilation, rank)
        pads = same_pads_of(x_shape, kernel, stride, dilation) if same else [0] * 2 * rank
        attrs = {"stride": stride, "dilation": dilation, "pads": pads, "same": same, "multiplier": multiplier}
        spatial = range(2, 2 + rank)

        def f(x, depthwise, pointwise):
            depthwise = tf.reshape(depthwise, [c_in, multiplier, *kernel])
            depthwise = tf.transpose(depthwise, [*spatial, 0, 1])
            pointwise = tf.transpose(pointwise, [*spatial, 1, 0])
            y = keras.ops.separable_conv(
                channels_last(x),
                depthwise,
                pointwise,
                tuple(stride),
                "same" if same else "valid",
                "channels_last",
                tuple(dilation),
            )
            return channels_first(y)

        inputs = {
            "x": normal(rng, x_shape),
            "depthwise": normal(rng, [c_in * multiplier, 1, *kernel]),
            "pointwise": normal(rng, [c_out, c_in * multiplier, *[1] * rank]),
        }
        differentiate(cases, name, f"separable_conv{rank}d", attrs, inputs, f, source="keras")

    case("separable_conv1d", [2, 3, 6], 2, 4, [3])
    case("separable_conv1d_stride2_same", [2, 3, 7], 1, 4, [3], stride=[2], same=True)
    case("separable_conv2d", [2, 3, 5, 4], 1, 4, [3, 2])
    case("separable_conv2d_multiplier2_stride2_same", [1, 2, 5, 4], 2, 3, [3, 3], stride=[2, 2], same=True)


def make(cases):
    forward_cases(cases)
    transpose_cases(cases)
    separable_cases(cases)


# ---------------------------------------------------------------- the definitions, in NumPy


def windows(place, stride, dilation, out):
    """The cells that the kernel's cell `place` meets: one slice per axis."""
    return tuple(slice(u * d, u * d + (n - 1) * s + 1, s) for u, s, d, n in zip(place, stride, dilation, out))


def padded(x, pads, value=0.0):
    return np.pad(x, [(0, 0), (0, 0), *pairs(pads)], constant_values=value)


def conv_numpy(a, x, w):
    """y[b, o, i..] = sum over c, u.. of xp[b, g c_in/groups + c, i s + u d ..] w[o, c, u..]."""
    xp = padded(x, a["pads"])
    c_out, c_group, *kernel = w.shape
    sizes = zip(xp.shape[2:], kernel, a["stride"], a["dilation"])
    out = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in sizes]
    y = np.zeros([x.shape[0], c_out, *out])
    for o in range(c_out):
        first = o // (c_out // a["groups"]) * c_group
        for c in range(c_group):
            for place in np.ndindex(*kernel):
                cells = windows(place, a["stride"], a["dilation"], out)
                y[:, o] += xp[(slice(None), first + c, *cells)] * w[(o, c, *place)]
    return y


def conv_gradient_numpy(a, x, w, dy):
    """dx, dw: the transpose of the sum above, term by term."""
    xp = padded(x, a["pads"])
    c_out, c_group, *kernel = w.shape
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for o in range(c_out):
        first = o // (c_out // a["groups"]) * c_group
        for c in range(c_group):
            for place in np.ndindex(*kernel):
                cells = (slice(None), first + c, *windows(place, a["stride"], a["dilation"], dy.shape[2:]))
                dxp[cells] += dy[:, o] * w[(o, c, *place)]
                dw[(o, c, *place)] += np.sum(dy[:, o] * xp[cells])
    inside = tuple(slice(before, before + n) for (before, _), n in zip(pairs(a["pads"]), x.shape[2:]))
    return dxp[(slice(None), slice(None), *inside)], dw


def conv_transpose_numpy(a, x, w):
    """full[b, o, i s + u d ..] += x[b, c, i..] w[c, o - g c_out/groups, u..]; then the pads are cut off."""
    c_in, out_group, *kernel = w.shape
    groups, n = a["groups"], x.shape[2:]
    full = [(m - 1) * s + (k - 1) * d + 1 for m, k, s, d in zip(n, kernel, a["stride"], a["dilation"])]
    more = a["output_padding"]
    y = np.zeros([x.shape[0], out_group * groups, *[f + p for f, p in zip(full, more)]])
    for c in range(c_in):
        first = c // (c_in // groups) * out_group
        for o in range(out_group):
            for place in np.ndindex(*kernel):
                cells = windows(place, a["stride"], a["dilation"], n)
                y[(slice(None), first + o, *cells)] += x[:, c] * w[(c, o, *place)]
    cut = tuple(slice(before, f + p - after) for (before, after), f, p in zip(pairs(a["pads"]), full, more))
    return y[(slice(None), slice(None), *cut)]


def separable_numpy(a, x, depthwise, pointwise):
    y = conv_numpy({**a, "groups": x.shape[1]}, x, depthwise)
    return np.einsum("bc...,oc->bo...", y, pointwise.reshape(pointwise.shape[:2]))


FORWARD = {
    "conv1d": conv_numpy,
    "conv3d": conv_numpy,
    "conv_transpose1d": conv_transpose_numpy,
    "conv_transpose2d": conv_transpose_numpy,
    "conv_transpose3d": conv_transpose_numpy,
    "separable_conv1d": separable_numpy,
    "separable_conv2d": separable_numpy,
}
