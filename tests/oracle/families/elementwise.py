"""elementwise.json: functions of one element, of two, comparisons, choices and one-hot codes.

Constants (alpha, low, high ..) are exact in f32. Comparisons give 1 and 0 as numbers.
"""

import math

import numpy as np

from .store import as_stored, generator, keras, normal, off_zero, positive, tf

FILE = "elementwise.json"


# ---------------------------------------------------------------- cases


def off_ends(rng, shape, ends=(-3.0, 3.0)):
    """Wide numbers, at least 1/16 away from the places where a piece ends."""
    x = normal(rng, shape, 2.5)
    for end in [0.0, *ends]:
        near = np.abs(x - end) < 1 / 16
        x = np.where(near, x + 0.25, x)
    return as_stored(x)


def unary_cases(cases):
    wide = lambda rng, shape: normal(rng, shape, 2.0)
    above_minus_one = lambda rng, shape: as_stored(positive(rng, shape) - 1.0)
    activations, math_ops = keras.activations, tf.math
    functions = {
        # op: (function, draw, attrs, source)
        "leaky_relu": (lambda x, a: tf.nn.leaky_relu(x, a["alpha"]), off_zero, [{"alpha": 0.25}, {"alpha": 0.0625}]),
        "elu": (lambda x, a: activations.elu(x, a["alpha"]), off_zero, [{"alpha": 1.0}, {"alpha": 0.75}]),
        # Keras's selu has TensorFlow's constants, which are f32's nearest; here they have all digits.
        "selu": (lambda x, a: SELU_SCALE * tf.where(x > 0, x, SELU_ALPHA * math_ops.expm1(x)), off_zero, [{}]),
        "gelu": (lambda x, a: 0.5 * x * (1.0 + math_ops.erf(x / exact_sqrt(2.0))), wide, [{}]),
        "gelu_tanh": (
            lambda x, a: 0.5 * x * (1.0 + tf.tanh(exact_sqrt(2.0 / math.pi) * (x + exact(0.044715) * x**3))),
            wide,
            [{}],
        ),
        "silu": (lambda x, a: activations.silu(x), wide, [{}]),
        "softplus": (lambda x, a: activations.softplus(x), wide, [{}]),
        "mish": (lambda x, a: activations.mish(x), wide, [{}]),
        "clip": (
            lambda x, a: tf.clip_by_value(x, exact(a["low"]), exact(a["high"])),
            wide,
            [{"low": -1.0, "high": 0.53125}],
        ),
        "relu6": (lambda x, a: tf.nn.relu6(x), lambda rng, shape: as_stored(2 * off_ends(rng, shape)), [{}]),
        "hard_sigmoid": (lambda x, a: tf.nn.relu6(x + 3.0) / 6.0, off_ends, [{}]),
        "hard_silu": (lambda x, a: x * tf.nn.relu6(x + 3.0) / 6.0, off_ends, [{}]),
        "softsign": (lambda x, a: activations.softsign(x), wide, [{}]),
        "log1p": (lambda x, a: math_ops.log1p(x), above_minus_one, [{}]),
        "expm1": (lambda x, a: math_ops.expm1(x), normal, [{}]),
        "erf": (lambda x, a: math_ops.erf(x), normal, [{}]),
        "rsqrt": (lambda x, a: math_ops.rsqrt(x), positive, [{}]),
        "reciprocal": (lambda x, a: math_ops.reciprocal(x), off_zero, [{}]),
        "sin": (lambda x, a: tf.sin(x), wide, [{}]),
        "cos": (lambda x, a: tf.cos(x), wide, [{}]),
        "powf": (lambda x, a: tf.pow(x, exact(a["exponent"])), positive, [{"exponent": 2.5}, {"exponent": -0.75}]),
        "powf_whole": (lambda x, a: tf.pow(x, exact(a["exponent"])), off_zero, [{"exponent": 3.0}]),
    }
    formula = {"selu", "gelu", "gelu_tanh", "hard_sigmoid", "hard_silu"}
    keras_has = {
        "selu": activations.selu,
        "gelu": lambda x: activations.gelu(x, approximate=False),
        "gelu_tanh": lambda x: activations.gelu(x, approximate=True),
        "hard_sigmoid": activations.hard_sigmoid,
        "hard_silu": activations.hard_silu,
    }
    for op, (f, draw, settings) in functions.items():
        for attrs in settings:
            name = "_".join([op, *(f"{v:g}" for v in attrs.values())]).replace("-", "minus")
            x = draw(generator(name), [3, 7])
            if op in formula:  # Keras's constants go through float32
                assert np.abs(keras_has[op](tf.constant(x)) - f(tf.constant(x), attrs)).max() < 1e-6, op
            source = "formula" if op in formula else "tensorflow"
            cases.differentiate(name, op.replace("_whole", ""), attrs, {"x": x}, lambda x: f(x, attrs), source=source)
    # Far out on both sides: what must not overflow on its way to 0, 1 or x.
    far = as_stored([-100.0, -90.0, -20.0, -8.0, 8.0, 20.0, 90.0, 100.0])
    for op in ["elu", "selu", "gelu", "gelu_tanh", "silu", "softplus", "mish", "softsign", "erf", "hard_silu"]:
        f, _, settings = functions[op]
        source = "formula" if op in formula else "tensorflow"
        cases.differentiate(f"{op}_far", op, settings[0], {"x": far}, lambda x: f(x, settings[0]), source=source)
    # Where the pieces meet: TensorFlow's choice of the slope.
    for op, x in {
        "leaky_relu": [-1.0, 0.0, 1.0],
        "clip": [-1.5, -1.0, 0.0, 0.53125, 1.0],
        "relu6": [-1.0, 0.0, 3.0, 6.0, 7.0],
        "hard_sigmoid": [-4.0, -3.0, 0.0, 3.0, 4.0],
    }.items():
        f, _, settings = functions[op]
        source = "formula" if op in formula else "tensorflow"
        cases.differentiate(
            f"{op}_at_the_ends", op, settings[0], {"x": as_stored(x)}, lambda x: f(x, settings[0]), source=source
        )
    # The digits of small arguments, as the largest of their tensor.
    small = as_stored(np.array([-3.0, -1.0, 1.0, 2.0, 4.0]) * 2.0**-12)
    for op in ["log1p", "expm1"]:
        cases.differentiate(f"{op}_small", op, {}, {"x": small}, lambda x: functions[op][0](x, {}))


def binary_cases(cases):
    shapes = [
        ("same", [2, 3, 4], [2, 3, 4]),
        ("3_1", [2, 3, 4], [3, 1]),
        ("left", [4], [2, 3, 4]),
        ("both", [2, 1, 4], [3, 1]),
    ]
    for name, a_shape, b_shape in shapes:
        full = f"pow_{name}"
        rng = generator(full)
        inputs = {"a": positive(rng, a_shape), "b": normal(rng, b_shape)}
        cases.differentiate(full, "pow", {}, inputs, tf.pow)
    comparisons = {
        "equal": tf.equal,
        "not_equal": tf.not_equal,
        "less": tf.less,
        "less_equal": tf.less_equal,
        "greater": tf.greater,
        "greater_equal": tf.greater_equal,
    }
    for op, f in comparisons.items():
        for name, a_shape, b_shape in shapes[:1] + shapes[3:]:
            full = f"{op}_{name}"
            rng = generator(full)
            a, b = (rng.integers(-2, 3, shape).astype(np.float64) / 2.0 for shape in (a_shape, b_shape))
            y = tf.cast(f(a, b), tf.float64).numpy()
            cases.add(full, op, {}, {"a": as_stored(a), "b": as_stored(b)}, {"y": y})
    for name, condition, a, b in [
        ("select_same", [3, 5], [3, 5], [3, 5]),
        ("select_column", [3, 1], [3, 5], [3, 5]),
        ("select_scalars", [3, 5], [1], [5]),
        ("select_all", [2, 1, 4], [3, 1], [4]),
    ]:
        rng = generator(name)
        chosen = rng.integers(0, 2, condition)
        inputs = {"a": normal(rng, a), "b": normal(rng, b)}
        f = lambda a, b, c: tf.where(tf.not_equal(c, 0), a, b)
        cases.differentiate(name, "select", {}, inputs, f, {"condition": chosen})
    for name, shape, alpha in [("prelu_channels", [2, 3, 2, 2], [3, 1, 1]), ("prelu_all", [2, 3, 4], [3, 4])]:
        rng = generator(name)
        inputs = {"x": off_zero(rng, shape), "alpha": normal(rng, alpha, 0.3)}
        f = lambda x, alpha: tf.nn.relu(x) - alpha * tf.nn.relu(-x)  # what Keras's layer does
        cases.differentiate(name, "prelu", {}, inputs, f, source="formula")
    for name, ids, classes in [
        ("one_hot", [2, 0, 3, 3], 4),
        ("one_hot_rank2", [[1, 0, 4], [4, 2, 2]], 5),
        ("one_hot_one", [0], 1),
    ]:
        ids = np.array(ids)
        cases.add(
            name,
            "one_hot",
            {"classes": classes},
            {"ids": ids},
            {"y": tf.one_hot(ids, classes, dtype=tf.float64).numpy()},
        )


def exact(value):
    return tf.constant(value, tf.float64)


def exact_sqrt(value):
    return exact(math.sqrt(value))


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def make(cases):
    unary_cases(cases)
    binary_cases(cases)


# ---------------------------------------------------------------- the definitions, in NumPy


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def hard_sigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


erf = np.vectorize(math.erf, otypes=[float])

FORWARD = {
    "leaky_relu": lambda a, x: np.where(x > 0, x, a["alpha"] * x),
    "elu": lambda a, x: np.where(x > 0, x, a["alpha"] * np.expm1(np.minimum(x, 0))),
    "selu": lambda a, x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    # x Φ(x) by the complement: 1 + erf cancels on the left
    "gelu": lambda a, x: x * np.vectorize(math.erfc, otypes=[float])(-x / math.sqrt(2)) / 2,
    "gelu_tanh": lambda a, x: x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)),
    "silu": lambda a, x: x * sigmoid(x),
    "softplus": lambda a, x: softplus(x),
    "mish": lambda a, x: x * np.tanh(softplus(x)),
    "clip": lambda a, x: np.clip(x, a["low"], a["high"]),
    "relu6": lambda a, x: np.clip(x, 0, 6),
    "hard_sigmoid": lambda a, x: hard_sigmoid(x),
    "hard_silu": lambda a, x: x * hard_sigmoid(x),
    "softsign": lambda a, x: x / (1 + np.abs(x)),
    "log1p": lambda a, x: np.log1p(x),
    "expm1": lambda a, x: np.expm1(x),
    "erf": lambda a, x: erf(x),
    "rsqrt": lambda a, x: 1 / np.sqrt(x),
    "reciprocal": lambda a, x: 1 / x,
    "sin": lambda a, x: np.sin(x),
    "cos": lambda a, x: np.cos(x),
    "powf": lambda attrs, x: x ** attrs["exponent"],
    "pow": lambda attrs, a, b: a**b,
    "equal": lambda attrs, a, b: np.where(a == b, 1.0, 0.0),
    "not_equal": lambda attrs, a, b: np.where(a != b, 1.0, 0.0),
    "less": lambda attrs, a, b: np.where(a < b, 1.0, 0.0),
    "less_equal": lambda attrs, a, b: np.where(a <= b, 1.0, 0.0),
    "greater": lambda attrs, a, b: np.where(a > b, 1.0, 0.0),
    "greater_equal": lambda attrs, a, b: np.where(a >= b, 1.0, 0.0),
    "select": lambda attrs, a, b, condition: np.where(condition, a, b),
    "prelu": lambda attrs, x, alpha: np.where(x > 0, x, alpha * x),
    "one_hot": lambda attrs, ids: np.eye(attrs["classes"])[ids],
}


def slope(f):
    return lambda a, inputs, cots: {"x": cots["y"] * f(a, inputs["x"])}


# TensorFlow's slopes where the pieces meet.
GRADIENT = {
    "leaky_relu": slope(lambda a, x: np.where(x > 0, 1.0, a["alpha"])),
    "clip": slope(lambda a, x: (x >= a["low"]) & (x <= a["high"])),
    "relu6": slope(lambda a, x: (x > 0) & (x < 6)),
    "hard_sigmoid": slope(lambda a, x: ((x > -3) & (x < 3)) / 6),
}
