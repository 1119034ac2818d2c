"""Makes the small files that tests/formats.rs reads, and prints what NumPy and Pillow read from them.

    python tests/formats/make.py            # needs numpy and pillow; writes tests/formats/files/

The files are committed; nothing of this runs with the tests.
"""

import io
import os
import zipfile

import numpy as np
from PIL import Image

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
os.makedirs(HERE, exist_ok=True)


def at(name):
    path = os.path.join(HERE, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def arrays():
    # Every number that is read, in both byte orders, with the smallest and the largest of its type.
    out = {}
    for kind in "i1 u1 i2 u2 i4 u4 i8 u8".split():
        info = np.iinfo(kind)
        for order in "<>":
            out[f"{kind}_{'big' if order == '>' else 'little'}"] = np.array([[info.min, 1, 2], [3, 4, info.max]], order + kind)
    for kind in "f2 f4 f8".split():
        for order in "<>":
            out[f"{kind}_{'big' if order == '>' else 'little'}"] = np.array([[-1.5, 0.25, 2], [3, np.inf, 1000]], order + kind)
    out["bool"] = np.array([True, False, True])
    out["fortran"] = np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4))
    out["scalar"] = np.array(7.5)
    out["empty"] = np.zeros((0, 5), "<f4")
    out["text"] = np.array(["ECG 101", "", "Größe", "心"])
    out["text_big"] = np.array(["ab", "c"]).astype(">U3")
    out["bytes"] = np.array([b"a1", b"b22"])
    return out


def save(name, array, version):
    with open(at(name), "wb") as file:
        np.lib.format.write_array(file, array, version=version, allow_pickle=True)


if __name__ == "__main__":
    every = arrays()
    # Without its time, so that making it again gives the same bytes.
    np.savez_compressed(at("arrays.npz"), **every)
    np.savez(at("stored.npz"), x=np.arange(12, dtype="<i2").reshape(4, 3) - 5, y=np.array([0, 1, 1, 0], "u1"))
    for version in [(1, 0), (2, 0), (3, 0)]:
        save(f"v{version[0]}.npy", np.arange(6, dtype="<u2").reshape(2, 3), version)
    save("objects.npy", np.array([{"a": 1}, None], object), (1, 0))
    save("records.npy", np.zeros(2, [("age", "<f4"), ("sex", "<i4")]), (1, 0))
    save("complex.npy", np.zeros(2, "<c8"), (1, 0))
    save("fortran.npy", np.asfortranarray(np.arange(6, dtype="<f4").reshape(2, 3)), (1, 0))
    save("samples.npy", np.linspace(-1, 1, 60, dtype=">f8").reshape(5, 3, 4), (1, 0))
    with zipfile.ZipFile(at("readme.npz"), "w") as z:
        z.writestr(zipfile.ZipInfo("readme.txt"), "not an array")
        buffer = io.BytesIO()
        np.save(buffer, np.arange(3))
        z.writestr(zipfile.ZipInfo("deep/x.npy"), buffer.getvalue())
