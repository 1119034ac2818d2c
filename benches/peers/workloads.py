"""What the peers' programs in Python share: the command line, the data, the measuring and the line of JSON.

Only NumPy is needed. The data of W1 to W3 are the digits that come with Galen; those of W4 and W5 are drawn here from a
counter-based generator, so that the Rust programs (`common/`) train on the same numbers.
"""

import argparse
import gzip
import json
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "data"
BATCH = {"W1": 32, "W2": 32, "W3": 64, "W4": 8, "W5": 64}
PRODUCTS = {"matmul512": 512, "matmul1024": 1024, "matmul4096": 4096, "matmul8192": 8192}
NAMES = [*BATCH, *PRODUCTS, "conv2d"]
# How many different batches a workload has; they are taken one after another, again and again.
BATCHES = 25


def arguments(doc, modes, devices):
    """The command line that all benches share; `modes` and `devices` are what this one knows, the default first."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--workload", default="W2", choices=NAMES)
    parser.add_argument("--device", default=devices[0], choices=devices)
    parser.add_argument("--mode", default=modes[0], choices=modes)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--warmup", type=int, default=20)
    return parser.parse_args()


def uniform(seed, count):
    """`count` numbers in [0, 1): the first 24 bits of the outputs after the `seed << 32`th of SplitMix64 from state 0."""
    with np.errstate(over="ignore"):
        z = (np.uint64(seed << 32) + np.arange(1, count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float32)) / np.float32(1 << 24)


def digits(count):
    """`count` images [count, 28, 28] with values 0 to 1, and their labels: the 1,437 training digits in the order of
    the file, from the beginning again where they end, enlarged as `examples/digits/set.rs` does."""

    def idx(name, header):
        return np.frombuffer(gzip.decompress((DIGITS / name).read_bytes()), np.uint8, offset=header)

    images = idx("digits-images-idx3-ubyte.gz", 16).reshape(-1, 8, 8).astype(np.float32)[:1437]
    labels = idx("digits-labels-idx1-ubyte.gz", 8).astype(np.int32)[:1437]
    # Where the centres of the large image's pixels lie in the small one: bilinear in between, constant at the edge.
    place = np.clip((np.arange(28) + 0.5) * 8 / 28 - 0.5, 0, 7)
    low = np.floor(place).astype(int)
    high, share = np.minimum(low + 1, 7), (place - low).astype(np.float32)
    rows = images[:, low] * (1 - share)[:, None] + images[:, high] * share[:, None]
    large = (rows[:, :, low] * (1 - share) + rows[:, :, high] * share) / 16
    order = np.arange(count) % len(labels)
    return large[order], labels[order]


def ellipses(count):
    """`count` noisy images [count, 64, 64] with one bright ellipse each, and its mask (W4)."""
    drawn = uniform(4, count * 4).reshape(count, 4, 1, 1)
    noise = uniform(5, count * 64 * 64).reshape(count, 64, 64)
    y, x = np.arange(64, dtype=np.float32)[:, None], np.arange(64, dtype=np.float32)
    centre_y, centre_x = 16 + 32 * drawn[:, 0], 16 + 32 * drawn[:, 1]
    height, width = 6 + 10 * drawn[:, 2], 6 + 10 * drawn[:, 3]
    inside = ((y - centre_y) / height) ** 2 + ((x - centre_x) / width) ** 2 < 1
    mask = inside.astype(np.float32)
    return 0.25 + 0.25 * mask + 0.5 * noise, mask


def waves(count):
    """`count` noisy waves [count, 187] and their class, 0 to 4: two periods more for each class (W5)."""
    labels = (np.arange(count) % 5).astype(np.int32)
    phase = uniform(6, count)[:, None]
    noise = uniform(7, count * 187).reshape(count, 187)
    time_ = np.arange(187, dtype=np.float32) / 187
    wave = np.sin(2 * np.pi * ((2 * labels[:, None] + 3) * time_ + phase))
    return (wave + 4 * (noise - 0.5)).astype(np.float32), labels


def data(workload, channels_last):
    """The inputs and targets of a training workload, `BATCHES` batches in one array each."""
    count = BATCH[workload] * BATCHES
    axis = -1 if channels_last else 1
    if workload == "W4":
        images, masks = ellipses(count)
        return np.expand_dims(images, axis), np.expand_dims(masks, axis)
    x, y = waves(count) if workload == "W5" else digits(count)
    return (x.reshape(count, 784) if workload == "W1" else np.expand_dims(x, axis)), y


def operands(workload):
    """The two factors [n, n] of a product, or x [8, 32, 56, 56], w [64, 32, 3, 3] and dy [8, 64, 56, 56] of `conv2d`;
    between -1 and 1."""
    if workload == "conv2d":
        shapes = [(8, 32, 56, 56), (64, 32, 3, 3), (8, 64, 56, 56)]
    else:
        shapes = [(PRODUCTS[workload],) * 2] * 2
    return [(2 * uniform(8 + i, int(np.prod(s))) - 1).reshape(s) for i, s in enumerate(shapes)]


def flops(workload):
    """Multiplications and additions of one step of W6."""
    return 3 * 2 * 8 * 56 * 56 * 64 * 32 * 9 if workload == "conv2d" else 2 * PRODUCTS[workload] ** 3


def process_seconds():
    """Seconds since this process started (to a hundredth, as Linux counts it), the interpreter's start included."""
    started = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def segments(steps):
    """How many segments of how many steps: eight, where there are as many steps."""
    each = max(steps // 8, 1)
    return -(-steps // each), each


def measure(args, run, wait):
    """Runs `run(count)`, which starts `count` steps and returns the last one's loss, and `wait(loss)`, which waits for
    the device and returns the loss as a number. What it returns goes into the line of JSON."""
    wait(run(1))
    first = process_seconds()
    if args.warmup > 1:
        wait(run(args.warmup - 1))
    count, each = segments(args.steps)
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        loss = wait(run(each))
        seconds.append(time.perf_counter() - start)
    return summary(args, first, [each / s for s in seconds], loss)


def summary(args, first, rates, loss):
    """What is said of a run whose first step ended `first` seconds after its start and whose segments did `rates`
    steps per second."""
    return {
        "workload": args.workload,
        "mode": args.mode,
        "steps_per_s": statistics.median(rates),
        "slowest_segment": min(rates),
        "fastest_segment": max(rates),
        "first_step_s": first,
        "loss": loss,
    }


def report(peer, device, versions, measured):
    """Prints the line of JSON."""
    if measured["workload"] not in BATCH:
        measured["tflops"] = flops(measured["workload"]) * measured["steps_per_s"] / 1e12
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = {"peer": peer, "device": device, "versions": versions, **measured, "peak_rss_mb": peak}
    print(json.dumps(line), flush=True)


def processor():
    """The processor's name and the number of cores that this process may use."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), platform.processor())
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def python():
    """The interpreter's version."""
    return "{}.{}.{}".format(*sys.version_info)
