"""The resamples that Galen draws, made anew in Python: Threefry-2x32 and Lemire's bounded numbers. SciPy is given them in place of
its own, so that an interval can be compared to the last digits."""

import numpy as np

MASK = 2**32 - 1
ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24]


def threefry(key, counter):
    """Salmon et al. 2011, 20 rounds."""
    keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA]
    x, y = (counter[0] + keys[0]) & MASK, (counter[1] + keys[1]) & MASK
    for block in range(5):
        for rotation in ROTATIONS[4 * (block % 2) :][:4]:
            x = (x + y) & MASK
            y = ((y << rotation | y >> (32 - rotation)) & MASK) ^ x
        x = (x + keys[(block + 1) % 3]) & MASK
        y = (y + keys[(block + 2) % 3] + block + 1) & MASK
    return x, y


def words(seed, stream):
    counter = 0
    while True:
        yield from threefry((seed & MASK, seed >> 32), (counter, stream))
        counter += 1


def below(source, n):
    """Lemire 2019."""
    while True:
        wide = next(source) * n
        if wide & MASK >= (2**32 - n) % n:
            return wide >> 32


def fnv(name):
    h = 0x811C9DC5
    for byte in name.encode():
        h = (h ^ byte) * 0x01000193 & MASK
    return h


def draws(seed, resamples, sizes):
    """For each stratum an array [resamples, size] of the units drawn from it."""
    out = [np.zeros((resamples, size), int) for size in sizes]
    for b in range(resamples):
        source = words(seed, (fnv("metrics/bootstrap") + b) & MASK)
        for stratum in out:
            stratum[b] = [below(source, stratum.shape[1]) for _ in range(stratum.shape[1])]
    return out


class Fixed(np.random.Generator):
    """A generator whose `integers` are these arrays, one per call."""

    def __new__(cls, arrays):
        return super().__new__(cls, np.random.PCG64(0))

    def __init__(self, arrays):
        super().__init__(np.random.PCG64(0))
        self.arrays = list(arrays)

    def integers(self, low, high=None, size=None, **kwargs):
        drawn = self.arrays.pop(0)
        assert low == 0 and tuple(size) == drawn.shape and drawn.max() < high
        return drawn
