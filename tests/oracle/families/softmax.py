"""Softmax in NumPy, which several families need."""

import numpy as np


def log_softmax_numpy(x, axis):
    z = x - x.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def softmax_numpy(x, axis):
    return np.exp(log_softmax_numpy(x, axis))
