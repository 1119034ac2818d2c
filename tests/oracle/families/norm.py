"""norm.json: batch, layer, group, instance and RMS normalisation, and division by the L2 norm.

Layout: channels at axis 1; gamma, beta and statistics [c]; layer and RMS normalisation run over the last axes, gamma
and beta of their shape. The variance is the mean of squares everywhere (no n − 1), in the running statistics too.
"""

import numpy as np

from .store import generator, keras, normal, positive, tf

FILE = "norm.json"


# ---------------------------------------------------------------- cases


def weights(rng, shape, scale=True, center=True):
    """gamma around 1 and of both signs, beta around 0, where they are wanted."""
    gamma, beta = normal(rng, shape) + 0.5, normal(rng, shape)
    return {**({"gamma": gamma} if scale else {}), **({"beta": beta} if center else {})}


def batch_norm_cases(cases):
    def layer(x_shape, epsilon, momentum=0.99, scale=True, center=True):
        made = keras.layers.BatchNormalization(axis=1, epsilon=epsilon, momentum=momentum, scale=scale, center=center)
        made.build(x_shape)
        return made

    for name, shape, epsilon, scale, center in [
        ("rank2", [6, 3], 1e-3, True, True),
        ("rank3", [3, 2, 5], 1e-3, True, True),
        ("rank4", [3, 4, 2, 3], 1e-3, True, True),
        ("rank5", [2, 2, 2, 3, 2], 1e-3, True, True),
        ("one_sample", [1, 3, 2, 2], 1e-3, True, True),
        ("epsilon_1e-5", [4, 3, 2, 2], 1e-5, True, True),
        ("no_scale", [4, 3, 2], 1e-3, False, True),
        ("no_center", [4, 3, 2], 1e-3, True, False),
        ("plain", [4, 3, 2], 1e-3, False, False),
    ]:
        attrs = {"epsilon": epsilon, "scale": scale, "center": center}
        made = layer(shape, epsilon, 0.0, scale, center)  # momentum 0: the running statistics become the batch's
        full = f"batch_norm_{name}"
        rng = generator(full)
        inputs = {"x": normal(rng, shape, 1.5) + 0.25, **weights(rng, [shape[1]], scale, center)}
        zeros = [tf.zeros([shape[1]], tf.float64)] * 2
        call = lambda x, *w: made.stateless_call(list(w), zeros, x, training=True)
        _, (mean, variance) = call(tf.constant(inputs["x"]), *map(tf.constant, list(inputs.values())[1:]))
        extra = {"mean": mean.numpy(), "variance": variance.numpy()}
        f = lambda x, *w: call(x, *w)[0]
        cases.differentiate(full, "batch_norm", attrs, inputs, f, extra=extra, source="keras")

        full = f"batch_norm_inference_{name}"
        rng = generator(full)
        inputs = {"x": normal(rng, shape), **weights(rng, [shape[1]], scale, center)}
        constants = {"mean": normal(rng, [shape[1]]), "variance": positive(rng, [shape[1]])}
        w_count = scale + center

        def infer(x, *w):
            return made.stateless_call(list(w[:w_count]), list(w[w_count:]), x, training=False)[0]

        cases.differentiate(full, "batch_norm_inference", attrs, inputs, infer, constants=constants, source="keras")

    # Three batches in training; the running statistics after each. They begin as 0 and 1.
    for momentum in [0.99, 0.9]:
        full = f"batch_norm_running_{momentum}"
        rng = generator(full)
        xs = normal(rng, [3, 4, 3, 2, 2], 1.5) + 0.75
        made = layer(xs.shape[1:], 1e-3, momentum)
        means, variances = [], []
        for x in xs:
            made(tf.constant(x), training=True)
            means.append(made.moving_mean.numpy())
            variances.append(made.moving_variance.numpy())
        outputs = {"mean": np.array(means), "variance": np.array(variances)}
        cases.add(
            full, "batch_norm_running", {"momentum": momentum, "epsilon": 1e-3}, {"xs": xs}, outputs, source="keras"
        )


def layer_cases(cases):
    def case(name, op, attrs, made, shape, scale=True, center=True, w_shape=None):
        made.build(shape)
        rng = generator(name)
        inputs = {"x": normal(rng, shape, 1.5) + 0.25, **weights(rng, w_shape, scale, center)}
        f = lambda x, *w: made.stateless_call(list(w), [], x)[0]
        cases.differentiate(name, op, attrs, inputs, f, source="keras")

    for name, shape, axes, epsilon in [
        ("rank2", [3, 5], [1], 1e-3),
        ("rank3", [2, 3, 4], [2], 1e-3),
        ("rank3_two_axes", [2, 3, 4], [1, 2], 1e-3),
        ("image", [2, 2, 3, 2], [1, 2, 3], 1e-3),
        ("one_feature", [3, 1], [1], 1e-3),
        ("epsilon_1e-5", [3, 6], [1], 1e-5),
    ]:
        attrs = {"axes": axes, "epsilon": epsilon}
        made = keras.layers.LayerNormalization(axis=axes, epsilon=epsilon)
        case(f"layer_norm_{name}", "layer_norm", attrs, made, shape, w_shape=[shape[a] for a in axes])
    for name, shape, epsilon in [("rank2", [3, 5], 1e-6), ("rank3", [2, 3, 4], 1e-3)]:
        made = keras.layers.RMSNormalization(axis=-1, epsilon=epsilon)
        attrs = {"axes": [len(shape) - 1], "epsilon": epsilon}
        case(f"rms_norm_{name}", "rms_norm", attrs, made, shape, center=False, w_shape=[shape[-1]])
    for name, shape, groups in [
        ("2_of_4", [2, 4, 3, 2], 2),
        ("3_of_6_rank3", [2, 6, 3], 3),
        ("2_of_4_rank5", [1, 4, 2, 2, 3], 2),
        ("2_of_4_rank2", [3, 4], 2),
        ("1_of_3", [2, 3, 2, 2], 1),
    ]:
        made = keras.layers.GroupNormalization(groups, axis=1, epsilon=1e-3)
        attrs = {"groups": groups, "epsilon": 1e-3}
        case(f"group_norm_{name}", "group_norm", attrs, made, shape, w_shape=[shape[1]])
    for name, shape in [("rank3", [2, 3, 5]), ("rank4", [2, 3, 3, 2]), ("rank5", [1, 2, 2, 3, 2])]:
        made = keras.layers.GroupNormalization(shape[1], axis=1, epsilon=1e-3)
        case(f"instance_norm_{name}", "instance_norm", {"epsilon": 1e-3}, made, shape, w_shape=[shape[1]])
    for name, shape, axis in [("last", [3, 4], 1), ("channels", [2, 3, 2, 2], 1)]:
        full = f"l2_normalize_{name}"
        made = keras.layers.UnitNormalization(axis=axis)  # its epsilon is 1e-12, of no weight here
        inputs = {"x": normal(generator(full), shape)}
        cases.differentiate(full, "l2_normalize", {"axis": axis}, inputs, lambda x: made(x), source="keras")


def make(cases):
    batch_norm_cases(cases)
    layer_cases(cases)


# ---------------------------------------------------------------- the definitions, in NumPy


def channelwise(v, rank):
    return v.reshape([1, -1, *[1] * (rank - 2)])


def normalised(x, axes, epsilon):
    centred = x - x.mean(axis=axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + epsilon)


def per_channel(y, gamma=None, beta=None):
    y = y if gamma is None else y * channelwise(gamma, y.ndim)
    return y if beta is None else y + channelwise(beta, y.ndim)


def without_channels(x):
    return (0, *range(2, x.ndim))


def batch_norm_numpy(a, x, gamma=None, beta=None):
    y = per_channel(normalised(x, without_channels(x), a["epsilon"]), gamma, beta)
    return {"y": y, "mean": x.mean(without_channels(x)), "variance": x.var(without_channels(x))}


def batch_norm_inference_numpy(a, x, mean, variance, gamma=None, beta=None):
    scaled = (x - channelwise(mean, x.ndim)) / np.sqrt(channelwise(variance, x.ndim) + a["epsilon"])
    return per_channel(scaled, gamma, beta)


def batch_norm_running_numpy(a, xs):
    m = a["momentum"]
    mean, variance, means, variances = np.zeros(xs.shape[2]), np.ones(xs.shape[2]), [], []
    for x in xs:
        mean = m * mean + (1 - m) * x.mean(without_channels(x))
        variance = m * variance + (1 - m) * x.var(without_channels(x))
        means.append(mean)
        variances.append(variance)
    return {"mean": np.array(means), "variance": np.array(variances)}


def layer_norm_numpy(a, x, gamma, beta):
    return normalised(x, tuple(a["axes"]), a["epsilon"]) * gamma + beta


def rms_norm_numpy(a, x, gamma):
    return x / np.sqrt((x * x).mean(axis=tuple(a["axes"]), keepdims=True) + a["epsilon"]) * gamma


def group_norm_numpy(a, x, gamma, beta):
    groups = a.get("groups", x.shape[1])
    grouped = x.reshape(x.shape[0], groups, -1)
    return per_channel(normalised(grouped, 2, a["epsilon"]).reshape(x.shape), gamma, beta)


FORWARD = {
    "batch_norm": batch_norm_numpy,
    "batch_norm_inference": batch_norm_inference_numpy,
    "batch_norm_running": batch_norm_running_numpy,
    "layer_norm": layer_norm_numpy,
    "rms_norm": rms_norm_numpy,
    "group_norm": group_norm_numpy,
    "instance_norm": group_norm_numpy,
    "l2_normalize": lambda a, x: x / np.sqrt((x * x).sum(axis=a["axis"], keepdims=True)),
}
