"""What `compare` and `regress` share: building Galen's bench, running a bench, and saying on what machine.

Only Python's standard library is needed.
"""

import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRAINING = ["W1", "W2", "W3", "W4", "W5"]
KERNELS = ["matmul512", "matmul1024", "conv2d"]
LARGE = ["matmul4096", "matmul8192"]
# Steps per run: some seconds for the slower of the peers.
STEPS = {
    "cpu": {
        "W1": 4000, "W2": 400, "W3": 40, "W4": 40, "W5": 80,
        "matmul512": 800, "matmul1024": 160, "conv2d": 80, "roofline": 8,
    },
    "gpu": {
        "W1": 4000, "W2": 4000, "W3": 2000, "W4": 2000, "W5": 2000,
        "matmul512": 4000, "matmul1024": 4000, "matmul4096": 200, "matmul8192": 40, "conv2d": 2000, "roofline": 8,
    },
    "software": {
        "W1": 160, "W2": 24, "W3": 8, "W4": 8, "W5": 8,
        "matmul512": 16, "matmul1024": 8, "conv2d": 8, "roofline": 8,
    },
}  # fmt: skip
# What Galen calls the device: `software` is Mesa's Vulkan device for the processor.
GALEN = {"cpu": "cpu", "gpu": "gpu", "software": "llvmpipe"}


def say(*words):
    """Says on the standard error what is going on, so that the table alone goes to the standard output."""
    print(*words, file=sys.stderr, flush=True)


def options(parser):
    """The options that both scripts have."""
    parser.add_argument("--device", default="cpu", choices=GALEN, help="default: cpu; software: Mesa's llvmpipe")
    parser.add_argument("--workloads", help="W1,W2,... (default: all); W6 stands for its products and convolution")
    parser.add_argument("--warmup", type=int, help="steps before the measuring (default: a tenth of the steps)")
    parser.add_argument("--scale", type=float, default=1, help="steps, times this number")
    parser.add_argument("--prefix", default="", help="words in front of every run, for example 'taskset -c 2,3'")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that a run may take (default: 600)")


def workloads(args, parser):
    """The names of the workloads that were asked for."""
    six = KERNELS + (LARGE if args.device == "gpu" else [])
    if not args.workloads:
        return TRAINING + six
    names = []
    for name in args.workloads.split(","):
        names += six if name == "W6" else [name]
    if unknown := [name for name in names if name not in STEPS["gpu"]]:
        parser.error(f"--workloads: {', '.join(unknown)}? Known are {', '.join(STEPS['gpu'])} and W6")
    return names


def build(folder, target):
    """Builds Galen's bench from the sources in `folder` into `target`; the program's path."""
    say(f"building Galen's bench in {folder}")
    command = ["cargo", "build", "--release", "--example", "bench", "--target-dir", str(target)]
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
    return Path(target) / "release" / "examples" / "bench"


def run(args, command, device, workload, extra=None, most=None):
    """Runs a bench, for `most` steps at most. What its line of JSON says, or {"error": ...}."""
    steps = max(int(STEPS[args.device][workload] * args.scale), 8)
    steps = min(steps, most or steps)
    warmup = max(steps // 10, 1) if args.warmup is None else args.warmup
    command = shlex.split(args.prefix) + [str(word) for word in command]
    command += ["--workload", workload, "--device", device, "--steps", str(steps), "--warmup", str(warmup)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=args.timeout, env={**os.environ, **(extra or {})}
        )
    except subprocess.TimeoutExpired:
        return {"error": f"took more than {args.timeout:g} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        # The error's own line; what follows it may be a backtrace.
        line = next((line for line in said if line.startswith("Error")), said[-1])
        return {"error": f"exit status {done.returncode}: {line[:200]}"}
    return json.loads(lines[-1])


def number(value):
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def spread(values):
    """The median and, of several, the range."""
    text = number(statistics.median(values))
    return f"{text} ({number(min(values))}–{number(max(values))})" if len(values) > 1 else text


def commit(folder=ROOT):
    """The commit that is checked out, and whether files were changed since."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def machine():
    """The processor, its cores, the memory and the system, in a line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name, memory = platform.processor() or platform.machine(), ""
    try:
        info = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), name)
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except OSError:
        pass
    return f"{name}, {cores} cores{memory}, {platform.system()} {platform.release()}"
