"""train_*.json: two networks trained by Keras, step by step."""

import json

import numpy as np

from .check import compare, numeric_gradients
from .conv import conv_numpy
from .optimizers import adam
from .pool import pool_windows
from .softmax import log_softmax_numpy
from .store import (
    HERE,
    array_json,
    arrays_json,
    as_stored,
    full_precision,
    generator,
    keras,
    read_array,
    set_precision,
    tf,
)

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


def dense_loss(weights, x, labels):
    hidden = np.maximum(x @ weights["dense1.kernel"] + weights["dense1.bias"], 0.0)
    z = hidden @ weights["dense2.kernel"] + weights["dense2.bias"]
    return z, -log_softmax_numpy(z, 1)[np.arange(len(labels)), labels].mean()


def cnn_loss(weights, x, labels):
    attrs = {"stride": [1, 1], "dilation": [1, 1], "pads": [0, 0, 0, 0], "groups": 1}
    y = np.maximum(conv_numpy(attrs, x, weights["conv.kernel"]) + weights["conv.bias"].reshape(1, 3, 1, 1), 0.0)
    y = pool_windows(y, {"kernel": [2, 2], "stride": [2, 2], "pads": [0, 0, 0, 0]}, -np.inf).max(-1)
    z = y.reshape(len(y), -1) @ weights["dense.kernel"] + weights["dense.bias"]
    return z, -log_softmax_numpy(z, 1)[np.arange(len(labels)), labels].mean()


def check_training(file, loss_of):
    """Trains again with NumPy: the loss as written above, its gradient by differences, Adam as written above."""
    stored = json.loads((HERE / file).read_text())
    x, labels, attrs = read_array(stored["x"]), read_array(stored["labels"]), stored["attrs"]
    for run in stored["runs"]:
        weights = {k: read_array(v) for k, v in stored["initial"].items()}
        moments = {k: {} for k in weights}
        # Differences of f64 err by 1e-10; Adam's division by sqrt(v) makes 1e-7 of it where g is 1e-3.
        tolerance = 5e-5 if run["dtype"] == "float32" else 1e-6
        for t, rows in enumerate(batches(), 1):
            z, loss = loss_of(weights, x[rows], labels[rows])
            compare(file, f"loss {t}", loss, run["losses"]["data"][t - 1], 0, tolerance)
            assert int(np.sum(z.argmax(1) == labels[rows])) == run["correct"][t - 1], f"{file}: right answers, step {t}"
            f = lambda w: {"loss": loss_of(w, x[rows], labels[rows])[1]}
            grads = numeric_gradients(f, weights, {"loss": 1.0}, list(weights), 1e-5)
            for k, g in grads.items():
                weights[k] = adam(attrs, moments[k], weights[k], g, t, run["learning_rate"])
        worst = max(compare(file, k, weights[k], read_array(w), 0, tolerance) for k, w in run["final"].items())
        print(f"{file} lr {run['learning_rate']} {run['dtype']}: NumPy's training ends within {worst:.1e}")


def make(versions):
    make_training("train_dense.json", dense_model, DENSE_SHAPES, [16], versions)
    make_training("train_cnn.json", cnn_model, CNN_SHAPES, [1, 8, 8], versions)


def check():
    check_training("train_dense.json", dense_loss)
    check_training("train_cnn.json", cnn_loss)
