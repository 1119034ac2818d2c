#!/usr/bin/env python3
"""Measures PyTorch: one JSON line per run.

    python3 torch_bench.py --workload W2 --device cuda --steps 200 --warmup 20 --mode eager

`eager` is the usual training loop, `compile` the same with the model and its loss under torch.compile, `graphs` under
torch.compile(mode="reduce-overhead"), which replays CUDA graphs. All are float32 with TF32 off, channels first, Adam 1e-3 in its fastest form (fused), losses from logits; the batches are in the device's
memory before the first step. `cublas`, for the products on a GPU, is cublasSgemm itself, called from its library.
"""

import ctypes
import itertools

import torch
from torch import nn
from torch.nn import functional as F

import workloads


def conv(c_in, c_out):
    return nn.Conv2d(c_in, c_out, 3, padding=1)


def conv_norm(c_in, c_out):
    return [conv(c_in, c_out), nn.BatchNorm2d(c_out), nn.ReLU()]


def twice(c_in, c_out):
    """Two 3x3 convolutions of the U-Net."""
    return nn.Sequential(conv(c_in, c_out), nn.ReLU(), conv(c_out, c_out), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine, self.middle, self.coarse = twice(1, 16), twice(16, 32), twice(32, 64)
        self.enlarge_middle, self.up_middle = nn.ConvTranspose2d(64, 32, 2, 2), twice(64, 32)
        self.enlarge_fine, self.up_fine = nn.ConvTranspose2d(32, 16, 2, 2), twice(32, 16)
        self.output = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        fine = self.fine(x)
        middle = self.middle(F.max_pool2d(fine, 2))
        coarse = self.coarse(F.max_pool2d(middle, 2))
        y = self.up_middle(torch.cat([self.enlarge_middle(coarse), middle], 1))
        return self.output(self.up_fine(torch.cat([self.enlarge_fine(y), fine], 1)))


class Residual(nn.Module):
    """A residual block of the 1-D network; it leaves (length - 5) / 2 + 1 samples."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv1d(32, 32, 5, padding=2) for _ in range(2))

    def forward(self, x):
        return F.max_pool1d(F.relu(self.second(F.relu(self.first(x))) + x), 5, 2)


def deep_cnn():
    return nn.Sequential(
        *conv_norm(1, 32), *conv_norm(32, 32), nn.MaxPool2d(2),
        *conv_norm(32, 64), *conv_norm(64, 64), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip


def signal_network():
    blocks = [Residual() for _ in range(3)]
    dense = [nn.Flatten(), nn.Linear(32 * 20, 32), nn.ReLU(), nn.Linear(32, 5)]
    return nn.Sequential(nn.Conv1d(1, 32, 5, padding=2), nn.ReLU(), *blocks, *dense)


NETWORKS = {
    "W1": lambda: nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)),
    "W2": lambda: nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5408, 10)),
    "W3": deep_cnn,
    "W4": UNet,
    "W5": signal_network,
}


# The modes under torch.compile, and what it calls them.
COMPILED = {"compile": "default", "graphs": "reduce-overhead"}


def training(args, device):
    """`run` and `wait` for a training workload."""
    torch.manual_seed(0)
    x, y = workloads.data(args.workload, channels_last=False)
    x = torch.from_numpy(x).to(device)
    y = torch.from_numpy(y).to(device)
    if args.workload != "W4":
        y = y.long()
    batch = workloads.BATCH[args.workload]
    parts = [(x[i : i + batch].contiguous(), y[i : i + batch].contiguous()) for i in range(0, len(x), batch)]
    batches = itertools.cycle(parts)
    model = NETWORKS[args.workload]().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    criterion = F.binary_cross_entropy_with_logits if args.workload == "W4" else F.cross_entropy

    def loss_of(x, y):
        return criterion(model(x), y)

    if args.mode in COMPILED:
        loss_of = torch.compile(loss_of, mode=COMPILED[args.mode])

    def run(count):
        for _ in range(count):
            x, y = next(batches)
            torch.compiler.cudagraph_mark_step_begin()
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(x, y)
            loss.backward()
            optimizer.step()
        return loss.detach()

    # Reading the number waits for the device.
    return run, float


def convolution(operands):
    """One step of `conv2d`: y, dx and dw."""
    x, w, dy = operands
    x.requires_grad_()
    w.requires_grad_()

    def step():
        y = F.conv2d(x, w, padding=1)
        return y.detach(), *torch.autograd.grad(y, (x, w), dy)

    return step


class Sgemm:
    """cublasSgemm from the library that PyTorch has loaded, in pedantic float32 (no TF32); row-major a @ b is the
    column-major product of b and a."""

    def __init__(self):
        self.library = ctypes.CDLL(f"libcublas.so.{torch.version.cuda.split('.')[0]}")
        self.handle = ctypes.c_void_p()
        self.check(self.library.cublasCreate_v2(ctypes.byref(self.handle)))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        self.check(self.library.cublasSetStream_v2(self.handle, stream))
        pedantic = 2
        self.check(self.library.cublasSetMathMode(self.handle, pedantic))

    @staticmethod
    def check(status):
        if status:
            raise SystemExit(f"torch_bench.py: cuBLAS answered {status}")

    def __call__(self, a, b, out):
        n = ctypes.c_int(a.shape[0])
        one, zero = ctypes.c_float(1), ctypes.c_float(0)
        left, right, product = (ctypes.c_void_p(t.data_ptr()) for t in (b, a, out))
        self.check(
            self.library.cublasSgemm_v2(
                self.handle, 0, 0, n, n, n, ctypes.byref(one), left, n, right, n, ctypes.byref(zero), product, n
            )
        )


def product(operands, mode):
    """One step of a matrix product."""
    a, b = operands
    out = torch.empty_like(a)
    if mode != "cublas":
        return lambda: (torch.mm(a, b, out=out),)
    sgemm = Sgemm()

    def step():
        sgemm(a, b, out)
        return (out,)

    return step


def kernel(args, device):
    """`run` and `wait` for a workload of W6; as in Keras' program the "loss" is the mean square of the results."""
    operands = [torch.from_numpy(operand).to(device) for operand in workloads.operands(args.workload)]
    step = convolution(operands) if args.workload == "conv2d" else product(operands, args.mode)

    def run(count):
        for _ in range(count):
            results = step()
        return results

    def wait(results):
        if device.type == "cuda":
            torch.cuda.synchronize()
        return [float(result.reshape(-1)[0]) for result in results]

    return run, wait


def main():
    args = workloads.arguments(__doc__, ["eager", "compile", "graphs", "cublas"], ["cpu", "cuda", "gpu"])
    if args.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit("torch_bench.py: PyTorch sees no CUDA device")
    if args.mode == "cublas" and (args.device == "cpu" or args.workload not in workloads.PRODUCTS):
        raise SystemExit("torch_bench.py: --mode cublas is for the products on a GPU")
    if args.mode in COMPILED and args.workload not in workloads.BATCH:
        raise SystemExit(f"torch_bench.py: --mode {args.mode} is for W1 to W5")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    device = torch.device("cpu" if args.device == "cpu" else "cuda")
    name = workloads.processor() if args.device == "cpu" else torch.cuda.get_device_name()
    if args.workload in workloads.BATCH:
        measured = workloads.measure(args, *training(args, device))
    else:
        run, wait = kernel(args, device)
        measured = workloads.measure(args, run, wait)
        measured["loss"] = [float(result.square().mean()) for result in run(1)]
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "python": workloads.python()}
    if device.type == "cuda":
        measured["device_bytes"] = torch.cuda.max_memory_allocated()
    workloads.report("torch", name, versions, measured)


if __name__ == "__main__":
    main()
