"""losses.json: losses, per sample and reduced.

Inputs: "pred" (logits where "from_logits"), "target" (class indices of sparse losses are i32), "weights" [batch] of
the samples. Classes and channels are axis 1. "reduction":

    none                       Keras's values: [batch], of an image [batch, h, w]: the mean or sum over axis 1 is taken
    sum_over_batch_size        sum of weight · value over the number of values (Keras's default)
    mean_with_sample_weight    sum of weight · value over the sum of weights
    sum                        sum of weight · value

Where Keras differs from what is usual:
- Probabilities of categorical losses are divided by their sum along the classes first ("normalize"), which shows in
  the gradient.
- Clips are to [1e-7, 1 − 1e-7]; where one acts the gradient is 0.
- mean_with_sample_weight of values [batch, ..] divides by the sum of the weights [batch], not by how often they were
  used.
- categorical_focal multiplies every class by alpha; binary_focal weighs by alpha only with apply_class_balancing.
- Values of an ignored class are 0, and sum_over_batch_size divides by the number of those that are left.
- Hinge losses turn targets 0 and 1 into −1 and 1.
"""

import numpy as np

from .elementwise import sigmoid, softplus
from .softmax import log_softmax_numpy, softmax_numpy
from .store import (
    as_stored,
    channels_last,
    generator,
    keras,
    large_logits,
    normal,
    positive,
    probabilities,
    tf,
)

FILE = "losses.json"
EPSILON = 1e-7

REDUCED = ["none", "sum_over_batch_size", "mean_with_sample_weight"]


# ---------------------------------------------------------------- cases


def sample_weights(rng, batch):
    """0.25 to 2 in quarters, and one that is 0."""
    weights = rng.integers(1, 9, batch) / 4.0
    weights[-1] = 0.0
    return as_stored(weights)


def add(cases, name, op, attrs, pred, target, loss, reductions=REDUCED, source="keras"):
    """One case for each reduction; loss(reduction) gives f(target, pred, sample_weight), as a Keras loss does."""
    for reduction in reductions:
        weighted = reduction != "none"
        reduction, _, unweighted = reduction.partition(" ")
        full = name if reduction == "none" else f"{name}_{reduction}{unweighted and '_unweighted'}"
        constants = {"target": target}
        if weighted and not unweighted:
            constants["weights"] = sample_weights(generator(full), len(pred))
        function = loss(reduction)

        def f(pred, target, weights=None):
            if target.dtype.is_integer and target.shape.rank == pred.shape.rank:
                target = tf.cast(target, tf.float64)
            if pred.shape.rank > 2 and "axes" not in attrs:
                target = channels_last(target) if target.shape.rank == pred.shape.rank else target
                pred = channels_last(pred)
                if weights is not None:
                    weights = tf.reshape(weights, [-1, 1, 1])  # Keras would broadcast [batch] against the last axis
            return function(target, pred, sample_weight=weights)

        cases.differentiate(
            full, op, {**attrs, "reduction": reduction}, {"pred": pred}, f, constants=constants, source=source
        )


def keras_loss(kind, **settings):
    return lambda reduction: getattr(keras.losses, kind)(**settings, reduction=reduction)


def written_out(values):
    """A loss from its values, reduced as Keras does."""

    def of(reduction):
        def f(target, pred, sample_weight=None):
            return keras.src.losses.loss.reduce_weighted_values(values(target, pred), sample_weight, None, reduction)

        return f

    return of


def regression_cases(cases):
    for op, kind, settings in [
        ("mse", "MeanSquaredError", [{}]),
        ("mae", "MeanAbsoluteError", [{}]),
        ("msle", "MeanSquaredLogarithmicError", [{}]),
        ("mape", "MeanAbsolutePercentageError", [{}]),
        ("huber", "Huber", [{"delta": 1.0}, {"delta": 0.375}]),
        ("poisson", "Poisson", [{}]),
        ("cosine_similarity", "CosineSimilarity", [{}]),
    ]:
        for attrs in settings:
            name = "_".join([f"loss_{op}", *map(str, attrs.values())])
            rng = generator(name)
            draw = positive if op in ("msle", "mape", "poisson") else normal
            pred, target = draw(rng, [4, 3]), draw(rng, [4, 3])
            if op == "huber":
                pred = as_stored(target + normal(rng, [4, 3], 1.5))
            more = ["sum", "sum_over_batch_size unweighted"] if op == "mse" else []
            add(cases, name, op, attrs, pred, target, keras_loss(kind, **attrs), REDUCED + more)
    rng = generator("loss_log_cosh")
    pred, target = normal(rng, [4, 3]), normal(rng, [4, 3])

    def log_cosh(target, pred):  # Keras's has f32's logarithm of 2
        e = tf.abs(pred - target)
        return tf.reduce_mean(e + tf.math.log1p(tf.exp(-2.0 * e)) - tf.math.log(tf.constant(2.0, tf.float64)), axis=-1)

    assert np.abs(keras.losses.log_cosh(target, pred) - log_cosh(target, pred)).max() < 1e-7
    add(cases, "loss_log_cosh", "log_cosh", {}, pred, target, written_out(log_cosh), source="formula")
    rng = generator("loss_mse_image")
    add(
        cases,
        "loss_mse_image",
        "mse",
        {},
        normal(rng, [2, 2, 2, 3]),
        normal(rng, [2, 2, 2, 3]),
        keras_loss("MeanSquaredError"),
        ["none", "sum_over_batch_size", "mean_with_sample_weight"],
    )
    for tau in [0.5, 0.125, 0.75]:
        name = f"loss_pinball_{tau}"
        rng = generator(name)

        def pinball(target, pred):
            e = target - pred
            return tf.reduce_mean(tf.maximum(tau * e, (tau - 1) * e), axis=-1)

        add(
            cases,
            name,
            "pinball",
            {"quantile": tau},
            normal(rng, [4, 3]),
            normal(rng, [4, 3]),
            written_out(pinball),
            source="formula",
        )


def hinge_cases(cases):
    for op, kind in [("hinge", "Hinge"), ("squared_hinge", "SquaredHinge"), ("categorical_hinge", "CategoricalHinge")]:
        name = f"loss_{op}"
        rng = generator(name)
        pred = normal(rng, [5, 4], 1.5)
        if op == "categorical_hinge":
            target = np.eye(4)[rng.integers(0, 4, 5)]
        else:
            target = rng.integers(0, 2, [5, 4]) * 2.0 - 1.0
            zero_one = (target > 0).astype(np.int64)
            add(cases, f"{name}_zero_one", op, {}, pred, zero_one, keras_loss(kind), ["none"])
        add(cases, name, op, {}, pred, target, keras_loss(kind))


def open_unit(rng, shape):
    """Numbers from 1/16 to 15/16."""
    return as_stored(np.round(rng.uniform(16, 240, shape)) / 256.0)


def binary_cases(cases):
    def case(name, op, kind, attrs, pred, target, reductions=REDUCED, **settings):
        add(cases, f"loss_{name}", op, attrs, pred, target, keras_loss(kind, **settings), reductions)

    for name, shape, from_logits, smoothing, large in [
        ("logits", [4, 3], True, 0.0, False),
        ("logits_one", [5, 1], True, 0.0, False),
        ("logits_smoothing", [4, 3], True, 0.125, False),
        ("logits_large", [4, 3], True, 0.0, True),
        ("logits_soft", [4, 3], True, 0.0, False),
        ("logits_image", [2, 2, 2, 3], True, 0.0, False),
        ("probs", [4, 3], False, 0.0, False),
        ("probs_one", [5, 1], False, 0.0, False),
        ("probs_smoothing", [4, 3], False, 0.125, False),
        ("probs_soft", [4, 3], False, 0.0, False),
    ]:
        rng = generator(f"loss_binary_crossentropy_{name}")
        if from_logits:
            pred = large_logits(rng, shape) if large else normal(rng, shape, 1.5)
        else:
            pred = open_unit(rng, shape)
        target = open_unit(rng, shape) if name.endswith("soft") else rng.integers(0, 2, shape).astype(float)
        attrs = {"from_logits": from_logits, "label_smoothing": smoothing}
        reductions = ["none", "sum_over_batch_size"] if name.endswith("image") else REDUCED
        case(
            f"binary_crossentropy_{name}",
            "binary_crossentropy",
            "BinaryCrossentropy",
            attrs,
            pred,
            target,
            reductions,
            **attrs,
        )
    # Certain, right and wrong. One that is certain of 1 and wrong by itself: what is left of 1 − p is another number in f32.
    for name, pred, target in [
        ("clipped", [[0.0, 0.0, 0.5], [1.0, 0.75, 0.25]], [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]),
        ("clipped_high", [[1.0, 0.5]], [[0.0, 1.0]]),
    ]:
        full = f"binary_crossentropy_probs_{name}"
        attrs = {"from_logits": False, "label_smoothing": 0.0}
        pred, target = np.array(pred), np.array(target)
        case(full, "binary_crossentropy", "BinaryCrossentropy", attrs, pred, target, ["none"], **attrs)

    for name, attrs in {
        "logits": {"from_logits": True, "gamma": 2.0, "alpha": None, "label_smoothing": 0.0},
        "logits_alpha": {"from_logits": True, "gamma": 2.0, "alpha": 0.25, "label_smoothing": 0.0},
        "logits_gamma3_smoothing": {"from_logits": True, "gamma": 3.0, "alpha": 0.25, "label_smoothing": 0.125},
        "probs": {"from_logits": False, "gamma": 2.0, "alpha": None, "label_smoothing": 0.0},
        "probs_alpha": {"from_logits": False, "gamma": 1.5, "alpha": 0.25, "label_smoothing": 0.0},
    }.items():
        rng = generator(f"loss_binary_focal_{name}")
        pred = normal(rng, [4, 3], 1.5) if attrs["from_logits"] else open_unit(rng, [4, 3])
        target = rng.integers(0, 2, [4, 3]).astype(float)
        settings = {k: v for k, v in attrs.items() if k != "alpha"}
        if attrs["alpha"] is not None:
            settings.update(apply_class_balancing=True, alpha=attrs["alpha"])
        case(f"binary_focal_{name}", "binary_focal", "BinaryFocalCrossentropy", attrs, pred, target, **settings)


def class_probabilities(rng, shape):
    """[batch, classes, ..], exact, that sum to one along the classes."""
    rows = probabilities(rng, int(np.prod(shape)) // shape[1], shape[1])
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def categorical_cases(cases):
    n, c = 5, 4
    for name, shape, from_logits, smoothing, kind in [
        ("logits", [n, c], True, 0.0, "one_hot"),
        ("logits_smoothing", [n, c], True, 0.125, "one_hot"),
        ("logits_soft", [n, c], True, 0.0, "soft"),
        ("logits_large", [n, c], True, 0.0, "one_hot"),
        ("logits_image", [2, 3, 2, 2], True, 0.0, "one_hot"),
        ("logits_image_smoothing", [2, 3, 2, 4], True, 0.125, "one_hot"),
        ("probs", [n, c], False, 0.0, "one_hot"),
        ("probs_smoothing", [n, c], False, 0.125, "one_hot"),
        ("probs_image", [2, 3, 2, 2], False, 0.0, "one_hot"),
    ]:
        for sparse in [False, True]:
            if sparse and (smoothing or kind == "soft"):
                continue  # Keras's sparse loss has neither
            op = "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy"
            full = f"loss_{op}_{name}"
            rng = generator(full)
            if from_logits:
                pred = large_logits(rng, shape) if "large" in name else normal(rng, shape, 1.5)
            else:
                pred = class_probabilities(rng, shape)
            labels = rng.integers(0, shape[1], [shape[0], *shape[2:]])
            one_hot = np.moveaxis(np.eye(shape[1])[labels], -1, 1)
            target = labels if sparse else class_probabilities(rng, shape) if kind == "soft" else one_hot
            attrs = {"from_logits": from_logits, "normalize": not from_logits, "label_smoothing": smoothing}
            settings = (
                {"from_logits": from_logits} if sparse else {"from_logits": from_logits, "label_smoothing": smoothing}
            )
            loss = keras_loss("SparseCategoricalCrossentropy" if sparse else "CategoricalCrossentropy", **settings)
            reductions = ["none", "sum_over_batch_size"] if "image" in name else REDUCED
            add(cases, full, op, attrs, pred, target, loss, reductions)
    for name, shape, from_logits in [
        ("logits_ignore", [6, 4], True),
        ("logits_image_ignore", [2, 3, 2, 3], True),
        ("probs_ignore", [6, 4], False),
    ]:
        full = f"loss_sparse_categorical_crossentropy_{name}"
        rng = generator(full)
        pred = normal(rng, shape, 1.5) if from_logits else class_probabilities(rng, shape)
        labels = rng.integers(0, shape[1], [shape[0], *shape[2:]])
        labels.reshape(-1)[[1, 4]] = 255
        attrs = {"from_logits": from_logits, "normalize": not from_logits, "label_smoothing": 0.0, "ignore_class": 255}
        loss = keras_loss("SparseCategoricalCrossentropy", from_logits=from_logits, ignore_class=255)
        reductions = ["none", "sum_over_batch_size", "sum_over_batch_size unweighted"]
        add(cases, full, "sparse_categorical_crossentropy", attrs, pred, labels, loss, reductions)

    for name, attrs in {
        "logits": {"from_logits": True, "gamma": 2.0, "alpha": 0.25, "label_smoothing": 0.0},
        "logits_gamma3_smoothing": {"from_logits": True, "gamma": 3.0, "alpha": 0.5, "label_smoothing": 0.125},
        "probs": {"from_logits": False, "gamma": 2.0, "alpha": 0.25, "label_smoothing": 0.0},
    }.items():
        full = f"loss_categorical_focal_{name}"
        rng = generator(full)
        pred = normal(rng, [n, c], 1.5) if attrs["from_logits"] else class_probabilities(rng, [n, c])
        target = np.eye(c)[rng.integers(0, c, n)]
        stored = {**attrs, "normalize": not attrs["from_logits"]}
        add(cases, full, "categorical_focal", stored, pred, target, keras_loss("CategoricalFocalCrossentropy", **attrs))

    rng = generator("loss_kl_divergence")
    pred, target = probabilities(rng, n, c), probabilities(rng, n, c)
    add(cases, "loss_kl_divergence", "kl_divergence", {}, pred, target, keras_loss("KLDivergence"))


def make(cases):
    regression_cases(cases)
    hinge_cases(cases)
    binary_cases(cases)
    categorical_cases(cases)


# ---------------------------------------------------------------- the definitions, in NumPy


def clipped(p):
    return np.clip(p, EPSILON, 1 - EPSILON)


def smoothed(target, a, classes=2):
    return target * (1 - a["label_smoothing"]) + a["label_smoothing"] / classes


def binary_crossentropy(a, p, t):
    t = smoothed(t, a)
    if a["from_logits"]:
        return (softplus(p) - t * p).mean(1)
    return -(t * np.log(clipped(p)) + (1 - t) * np.log(1 - clipped(p))).mean(1)


def log_probabilities(a, p):
    if a["from_logits"]:
        return log_softmax_numpy(p, 1)
    return np.log(clipped(p / p.sum(1, keepdims=True)))


def categorical_crossentropy(a, p, t):
    return -(smoothed(t, a, p.shape[1]) * log_probabilities(a, p)).sum(1)


def sparse_categorical_crossentropy(a, p, t):
    there = t != a.get("ignore_class", -1)
    picked = np.take_along_axis(log_probabilities(a, p), np.where(there, t, 0)[:, None], 1)[:, 0]
    return np.where(there, -picked, 0.0)


def binary_focal(a, p, t):
    t = smoothed(t, a)
    p = sigmoid(p) if a["from_logits"] else p
    entropy = -(t * np.log(clipped(p)) + (1 - t) * np.log(1 - clipped(p)))
    right = t * p + (1 - t) * (1 - p)
    alpha = 1.0 if a["alpha"] is None else t * a["alpha"] + (1 - t) * (1 - a["alpha"])
    return (alpha * (1 - right) ** a["gamma"] * entropy).mean(1)


def categorical_focal(a, p, t):
    p = clipped(softmax_numpy(p, 1) if a["from_logits"] else p / p.sum(1, keepdims=True))
    return (a["alpha"] * (1 - p) ** a["gamma"] * -smoothed(t, a, p.shape[1]) * np.log(p)).sum(1)


def signs(t):
    return np.where(t == 0, -1.0, t)


def categorical_hinge(a, p, t):
    return np.maximum(((1 - t) * p).max(1) - (t * p).sum(1) + 1, 0)


def huber(a, p, t):
    e = np.abs(p - t)
    return np.where(e <= a["delta"], e * e / 2, a["delta"] * e - a["delta"] ** 2 / 2).mean(1)


def unit(x):
    return x / np.sqrt((x * x).sum(1, keepdims=True))


VALUES = {
    "mse": lambda a, p, t: ((p - t) ** 2).mean(1),
    "mae": lambda a, p, t: np.abs(p - t).mean(1),
    "msle": lambda a, p, t: ((np.log1p(p) - np.log1p(t)) ** 2).mean(1),
    "mape": lambda a, p, t: 100 * (np.abs(p - t) / np.abs(t)).mean(1),
    "huber": huber,
    "log_cosh": lambda a, p, t: np.log(np.cosh(p - t)).mean(1),
    "poisson": lambda a, p, t: (p - t * np.log(p + EPSILON)).mean(1),
    "cosine_similarity": lambda a, p, t: -(unit(p) * unit(t)).sum(1),
    "pinball": lambda a, p, t: np.where(t > p, a["quantile"] * (t - p), (1 - a["quantile"]) * (p - t)).mean(1),
    "hinge": lambda a, p, t: np.maximum(1 - signs(t) * p, 0).mean(1),
    "squared_hinge": lambda a, p, t: (np.maximum(1 - signs(t) * p, 0) ** 2).mean(1),
    "categorical_hinge": categorical_hinge,
    "binary_crossentropy": binary_crossentropy,
    "binary_focal": binary_focal,
    "categorical_crossentropy": categorical_crossentropy,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
    "categorical_focal": categorical_focal,
    "kl_divergence": lambda a, p, t: (t * np.log(t / p)).sum(1),
}


def reduced(values_of):
    def f(a, pred, target, weights=None):
        values = np.asarray(values_of(a, pred, target))
        if a["reduction"] == "none":
            return values
        w = 1.0 if weights is None else weights.reshape([-1, *[1] * (values.ndim - 1)])
        total = (w * values).sum()
        if a["reduction"] == "sum":
            return total
        if a["reduction"] == "mean_with_sample_weight" and weights is not None:
            return total / weights.sum()
        return total / ((target != a["ignore_class"]).sum() if "ignore_class" in a else values.size)

    return f


def binary_gradient(a, inputs, cots):
    """Where the clip acts the gradient is 0; differences serve the other cases."""
    p, t = inputs["pred"], inputs["target"]
    on_the_edge = (p == 0) | (p == 1)
    if a["from_logits"] or not on_the_edge.any():
        return None
    inside = np.where(on_the_edge, 0.5, p)
    dp = (inside - t) / (inside * (1 - inside)) / p.shape[1]
    return {"pred": np.where(on_the_edge, 0.0, dp * cots["y"][:, None])}


FORWARD = {op: reduced(values) for op, values in VALUES.items()}
GRADIENT = {"binary_crossentropy": binary_gradient}
