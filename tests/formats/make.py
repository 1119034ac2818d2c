"""Makes the small files that tests/formats.rs reads, and prints what NumPy and Pillow read from them.

    python tests/formats/make.py            # needs numpy and pillow; writes tests/formats/files/

The files are committed; nothing of this runs with the tests.
"""

import io
import json
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


def images():
    """Small images of every kind, and what Pillow makes of them."""
    y, x = np.mgrid[0:7, 0:9]
    rgb = np.stack([x * 28, y * 36, (x * y * 4) % 256], 2).astype("u1")
    grey = (x * 25 + y * 5).astype("u1")
    deep = (x * 7000 + y * 100 + 3).astype("u2")
    alpha = np.dstack([rgb, (255 - x * 10).astype("u1")])
    labels = ((x + y) % 3).astype("u1")
    one = Image.fromarray(rgb)
    one.save(at("images/rgb.png"))
    one.save(at("images/rgb.tiff"), compression="tiff_lzw")
    one.save(at("images/rgb.jpg"), quality=95)
    one.save(at("images/progressive.jpg"), quality=90, progressive=True)
    Image.fromarray(grey).save(at("images/grey.png"))
    Image.fromarray(grey).save(at("images/grey.jpg"), quality=95)
    Image.fromarray(deep).save(at("images/grey16.png"))
    Image.fromarray(deep).save(at("images/grey16.tiff"))
    Image.fromarray(alpha).save(at("images/rgba.png"))
    palette = Image.fromarray(labels, "P")
    palette.putpalette([255, 255, 255, 10, 20, 30, 200, 0, 0])
    palette.save(at("images/palette2bit.png"))
    palette.putpalette([255, 255, 255, 10, 20, 30, 200, 0, 0] + [0] * 759)
    palette.save(at("images/palette.png"))
    Image.fromarray(labels == 1).save(at("images/bit.png"))
    Image.fromarray((labels > 0).astype("u1") * 255).save(at("images/mask.jpg"), quality=95)
    wave = (127.5 + 80 * np.sin(np.arange(40) / 3)[:, None] * np.cos(np.arange(30) / 4)[None]).astype("u1")
    Image.fromarray(wave).save(at("images/wave.png"))
    seen = {
        "rgb": rgb.tolist(),
        "grey": grey.tolist(),
        "grey16": deep.tolist(),
        "alpha": alpha[:, :, 3].tolist(),
        "labels": labels.tolist(),
        "luma": np.asarray(one.convert("L")).tolist(),
        "jpeg": np.asarray(Image.open(at("images/rgb.jpg"))).tolist(),
        "wave_small": np.asarray(Image.fromarray(wave).resize((12, 10), Image.BILINEAR)).tolist(),
        "wave_large": np.asarray(Image.fromarray(wave).resize((50, 64), Image.BILINEAR)).tolist(),
        "labels_small": np.asarray(Image.fromarray(labels).resize((5, 4), Image.NEAREST)).tolist(),
        "labels_large": np.asarray(Image.fromarray(labels).resize((13, 10), Image.NEAREST)).tolist(),
    }
    with open(at("images.json"), "w") as file:
        json.dump(seen, file, separators=(",", ":"))
        file.write("\n")


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
    images()
