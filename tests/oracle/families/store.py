"""Numbers, random draws and files; the collection of cases."""

import importlib
import json
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent.parent


class Late:
    """A module that is imported when it is first used: --check needs NumPy alone."""

    def __init__(self, name):
        self.__dict__["_name"] = name

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self._name), attribute)


tf = Late("tensorflow")
keras = Late("keras")


# ---------------------------------------------------------------- numbers


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


# ---------------------------------------------------------------- random draws


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


def large_logits(rng, shape):
    """-80, 80 and what lies between, in steps of 1/64."""
    x = np.round(rng.uniform(-80, 80, shape) * 64.0) / 64.0
    x.reshape(-1)[:2] = [80.0, -80.0]
    return as_stored(x)


def probabilities(rng, rows, columns, low=8):
    """Rows of multiples of 1/256 that sum to one exactly, every entry at least low / 256."""
    counts = rng.multinomial(256 - low * columns, rng.dirichlet(np.ones(columns)), rows) + low
    return as_stored(counts / 256.0)


def cotangent(rng, shape):
    return normal(rng, shape)


# ---------------------------------------------------------------- layouts


def channels_last(x):
    """[batch, c, ..] -> [batch, .., c], TensorFlow's."""
    return tf.transpose(x, [0, *range(2, len(x.shape)), 1])


def channels_first(x):
    """[batch, .., c] -> [batch, c, ..], Galen's."""
    rank = len(x.shape)
    return tf.transpose(x, [0, rank - 1, *range(1, rank - 1)])


# ---------------------------------------------------------------- precision


def set_precision(dtype):
    keras.config.set_floatx(dtype)  # losses and optimizers
    keras.config.set_dtype_policy(dtype)  # layers


def exact(value):
    """A number as a float64 tensor. Keras casts Python's 0.999 to float64 by way of float32."""
    return tf.constant(value, tf.float64)


def full_precision(optimizer):
    """Makes a Keras optimizer's constants float64 tensors.

    Keras casts Python's 0.999 to float64 by way of float32, which moves 1 - 0.999 by 1e-5 of itself.
    """
    for name in ["momentum", "beta_1", "beta_2", "epsilon"]:
        if hasattr(optimizer, name):
            setattr(optimizer, name, tf.constant(getattr(optimizer, name), tf.float64))


# ---------------------------------------------------------------- cases


class Cases:
    """Collects a file's cases, one line of JSON each."""

    def __init__(self):
        self.lines = []
        self.names = set()

    def add(self, name, op, attrs, inputs, outputs, cots=None, gradients=None, source="tensorflow"):
        """`cots`: cotangents by output. That of "y" is the field "cotangent", others stand in "cotangents"."""
        assert name not in self.names, name
        self.names.add(name)
        cots = dict(cots or {})
        cot = cots.pop("y", None)
        fields = [
            f'"name":{json.dumps(name)}',
            f'"op":{json.dumps(op)}',
            f'"source":{json.dumps(source)}',
            f'"attrs":{json.dumps(attrs, separators=(",", ":"))}',
            f'"inputs":{arrays_json(inputs)}',
            f'"cotangent":{"null" if cot is None else array_json(cot)}',
            *([f'"cotangents":{arrays_json(cots)}'] if cots else []),
            f'"outputs":{arrays_json(outputs)}',
            f'"gradients":{arrays_json(gradients or {})}',
        ]
        self.lines.append("{" + ",".join(fields) + "}")

    def differentiate(
        self, name, op, attrs, inputs, f, constants=None, extra=None, compiled=False, source="tensorflow"
    ):
        """Adds f(*inputs, *constants) and the vector-Jacobian product for random cotangents.

        f gives y, or a dictionary of outputs with a cotangent each. Gradients are stored for `inputs` and not for
        `constants`; `extra` are further outputs, which nothing is differentiated through.
        `source`: "tensorflow" and "keras" where the library has the function; "formula" where it was written out
        from elementary operations, which TensorFlow differentiated.
        """
        constants = constants or {}
        for value in [*inputs.values(), *constants.values()]:
            assert np.array_equal(value, as_stored(value)), f"{name}: an input is not what the file says"
        xs = [tf.constant(v, tf.float64) for v in inputs.values()]
        cs = [tf.constant(v) for v in constants.values()]

        def outputs_of(*arguments):
            y = f(*arguments)
            return y if isinstance(y, dict) else {"y": y}

        def vector_jacobian(cots):
            with tf.GradientTape() as tape:
                tape.watch(xs)
                outputs = outputs_of(*xs, *cs)
            grads = tape.gradient(
                list(outputs.values()),
                xs,
                output_gradients=[cots[k] for k in outputs],
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            return outputs, grads

        if compiled:
            outputs_of = tf.function(outputs_of, jit_compile=True)
            vector_jacobian = tf.function(vector_jacobian, jit_compile=True)
        cots = {
            k: cotangent(generator(name + ("/cotangent" if k == "y" else f"/cotangent of {k}")), y.shape)
            for k, y in outputs_of(*xs, *cs).items()
        }
        outputs, grads = vector_jacobian({k: tf.constant(v, tf.float64) for k, v in cots.items()})
        grads = {k: tf.convert_to_tensor(g).numpy() for k, g in zip(inputs, grads)}
        for k, g in grads.items():
            assert g.shape == inputs[k].shape, (name, k)
        outputs = {**{k: y.numpy() for k, y in outputs.items()}, **(extra or {})}
        for k, y in outputs.items():
            assert y.dtype.kind in "iu" or y.dtype == np.float64, f"{name} {k}: {y.dtype}"
        self.add(name, op, attrs, {**inputs, **constants}, outputs, cots, grads, source)

    def write(self, file, versions):
        text = '{"versions":' + json.dumps(versions) + ',\n"cases":[\n' + ",\n".join(self.lines) + "\n]}\n"
        (HERE / file).write_text(text)
