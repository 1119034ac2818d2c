#!/usr/bin/env python3
"""Measures Keras 3 on TensorFlow: one JSON line per run.

    python3 keras_bench.py --workload W2 --device cpu --steps 200 --warmup 20 --mode step

`step` is one compiled train step (tf.function) that is called with batches already in memory as tensors; `xla` is the
same with jit_compile=True; `fit` is model.fit on arrays. All are float32, channels last (what TensorFlow's CPU kernels
are made for), Adam 1e-3, losses from logits (the fused, stable form).
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import itertools
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import workloads


def plain(*rows):
    """A network that is a row of layers."""
    return keras.Sequential([keras.Input(rows[0]), *rows[1:]])


def conv_norm(channels):
    return [layers.Conv2D(channels, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]


def twice(x, channels):
    """Two 3x3 convolutions of the U-Net."""
    for _ in range(2):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
    return x


def up(x, skip, channels):
    """A step up in the U-Net, beside what came down."""
    x = layers.Conv2DTranspose(channels, 2, strides=2)(x)
    return twice(layers.Concatenate()([x, skip]), channels)


def unet():
    x = keras.Input((64, 64, 1))
    fine = twice(x, 16)
    middle = twice(layers.MaxPooling2D()(fine), 32)
    coarse = twice(layers.MaxPooling2D()(middle), 64)
    y = up(up(coarse, middle, 32), fine, 16)
    return keras.Model(x, layers.Conv2D(1, 1)(y))


def residual(x):
    """A residual block of the 1-D network; it leaves (length - 5) / 2 + 1 samples."""
    y = layers.Conv1D(32, 5, padding="same", activation="relu")(x)
    y = layers.Conv1D(32, 5, padding="same")(y)
    return layers.MaxPooling1D(5, 2)(layers.ReLU()(layers.Add()([x, y])))


def signal_network():
    x = keras.Input((187, 1))
    y = layers.Conv1D(32, 5, padding="same", activation="relu")(x)
    for _ in range(3):
        y = residual(y)
    y = layers.Dense(32, activation="relu")(layers.Flatten()(y))
    return keras.Model(x, layers.Dense(5)(y))


NETWORKS = {
    "W1": lambda: plain((784,), layers.Dense(32, activation="relu"), layers.Dense(10)),
    "W2": lambda: plain(
        (28, 28, 1), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10)
    ),
    "W3": lambda: plain(
        (28, 28, 1),
        *conv_norm(32), *conv_norm(32), layers.MaxPooling2D(),
        *conv_norm(64), *conv_norm(64), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.5), layers.Dense(10),
    ),
    "W4": unet,
    "W5": signal_network,
}  # fmt: skip


def network(args):
    """The workload's model, loss, optimizer and data."""
    keras.utils.set_random_seed(0)
    kind = keras.losses.BinaryCrossentropy if args.workload == "W4" else keras.losses.SparseCategoricalCrossentropy
    x, y = workloads.data(args.workload, channels_last=True)
    return NETWORKS[args.workload](), kind(from_logits=True), keras.optimizers.Adam(1e-3), x, y


class Clock(keras.callbacks.Callback):
    """The seconds that each epoch took, what Keras does between epochs left out."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def fit(args):
    """Measures model.fit: one call, and each epoch of it is a segment."""
    model, loss, optimizer, x, y = network(args)
    model.compile(optimizer, loss)
    batch = workloads.BATCH[args.workload]

    def run(steps, epochs, *callbacks):
        take = np.arange(steps * batch) % len(x)
        return model.fit(x[take], y[take], batch_size=batch, epochs=epochs, verbose=0, callbacks=list(callbacks))

    run(1, 1)
    first = workloads.process_seconds()
    if args.warmup > 1:
        run(args.warmup - 1, 1)
    count, each = workloads.segments(args.steps)
    clock = Clock()
    history = run(each, count, clock).history
    return workloads.summary(args, first, [each / s for s in clock.seconds], history["loss"][-1])


def step(args):
    """`run` and `wait` for a training workload as a compiled step."""
    model, loss_of, optimizer, x, y = network(args)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=args.mode == "xla")
    def step(xs, ys):
        with tf.GradientTape() as tape:
            loss = loss_of(ys, model(xs, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    batch = workloads.BATCH[args.workload]
    parts = [(tf.constant(x[i : i + batch]), tf.constant(y[i : i + batch])) for i in range(0, len(x), batch)]
    batches = itertools.cycle(parts)

    def run(count):
        for _ in range(count):
            loss = step(*next(batches))
        return loss

    return run, float


def kernel(args):
    """`run` and `wait` for a workload of W6; the "loss" is the mean square of the results, so that a wrong or a
    skipped one shows."""
    jit = args.mode == "xla"
    given = workloads.operands(args.workload)
    if args.workload == "conv2d":
        x, w, dy = given
        x, dy, w = x.transpose(0, 2, 3, 1), dy.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0)
        given = [x, w, dy]

        @tf.function(jit_compile=jit)
        def step(x, w, dy):
            y = tf.nn.conv2d(x, w, 1, "SAME")
            dx = tf.nn.conv2d_transpose(dy, w, tf.shape(x), 1, "SAME")
            dw = tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=tf.shape(w), out_backprop=dy, strides=[1] * 4, padding="SAME"
            )
            return y, dx, dw
    else:
        step = tf.function(lambda a, b: (tf.matmul(a, b),), jit_compile=jit)
    given = [tf.constant(array) for array in given]

    def run(count):
        for _ in range(count):
            outputs = step(*given)
        return outputs

    # One number of each comes back; the whole of them is looked at once, after the measuring.
    return run, lambda outputs: [float(tf.reshape(output, [-1])[0]) for output in outputs]


def main():
    args = workloads.arguments(__doc__, ["step", "xla", "fit"], ["cpu", "gpu"])
    gpus = tf.config.list_physical_devices("GPU")
    if args.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
        device = workloads.processor()
    elif gpus:
        tf.config.experimental.enable_tensor_float_32_execution(False)
        device = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    else:
        raise SystemExit("keras_bench.py: TensorFlow sees no GPU")
    if args.workload not in workloads.BATCH:
        run, wait = kernel(args)
        measured = workloads.measure(args, run, wait)
        measured["loss"] = [float(tf.reduce_mean(tf.square(output))) for output in run(1)]
    elif args.mode == "fit":
        measured = fit(args)
    else:
        measured = workloads.measure(args, *step(args))
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__, "python": workloads.python()}
    workloads.report("keras", device, versions, measured)


if __name__ == "__main__":
    main()
