"""Makes the corpus that tests/formats/corpus.rs reads: small images of every kind, and what reference decoders see in them.

    python tests/formats/corpus/make.py     # needs numpy, pillow, tifffile, imagecodecs; writes corpus.json and corpus.gz beside it

Every file is read by tifffile, Pillow or libpng before it is stored, and must give what was written; where decoders disagree, the file
is named in KNOWN with the reason, and the other one confirms it. The files are committed; nothing of this runs with the tests.
"""

import gzip
import io
import json
import os
import re
import struct

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageOps

from write import DEFLATE, G3, G4, JPEG, LZW, NONE, OLD_DEFLATE, PACKBITS, page, pages_of, png, png_chunk, tiff

HERE = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(13)

# What Pillow makes of files in another way than the format says, by patterns of their names. tifffile has no such files.
KNOWN = {
    r"tiff/white1[26]-": "reads WhiteIsZero of 12 and 16 bits as BlackIsZero",
    r"tiff/black8associated-": "leaves grey multiplied by its alpha, colors not",
    r"tiff/black8alpha-.*-planar": "loses one of the planes of grey and alpha",
    r"tiff/.*-none-.*-f2-planar": "does not undo the fill order of planes without compression",
}

# By how much of 255 two decoders of JPEG may differ: by rounding, and where colors of the hardest contrast were stored at half the
# resolution and are enlarged in another way.
ROUNDING, UPSAMPLING = 4, 8

blob, arrays, index = bytearray(), {}, []


def store(content):
    """Where these bytes lie; the same ones once."""
    if content not in arrays:
        arrays[content] = len(blob)
        blob.extend(content)
    return [arrays[content], len(content)]


def expected(array, most, apart=0):
    """Pixels as height, width, channels, largest value, place in the blob, and how far a decoder may be apart."""
    array = array if array.ndim == 3 else array[..., None]
    kind = "u1" if most < 256 else "<u2" if most < 65536 else "<u4"
    return [*array.shape, most, store(array.astype(kind).tobytes())[0], apart]


def add(name, content, image=None, mask=None, option="", image_refused=None, mask_refused=None, apart=0):
    """A file; what it is as an image (array, most), as a mask (array), or what the error says."""
    image = image_refused if image_refused is not None else expected(*image, apart)
    mask = mask_refused if mask_refused is not None else expected(mask, int(mask.max(initial=0)))
    index.append([name, *store(content), option, image, mask])


def refuse(name, content, words, option=""):
    add(name, content, image_refused=words, mask_refused=words, option=option)


def disagrees(who, name, what):
    if who != "Pillow" or not any(re.match(pattern, name) for pattern in KNOWN):
        print(f"{who} disagrees: {name}: {what}")
    return False


def by_pillow(name, content, image, most):
    """Whether Pillow sees this."""
    try:
        opened = Image.open(io.BytesIO(content))
        opened.load()
        if opened.mode == "1":
            opened = opened.convert("L")
        elif opened.mode == "P":
            opened = opened.convert("RGBA" if "transparency" in opened.info else "RGB")
        elif opened.mode == "CMYK":
            opened = opened.convert("RGB")
        seen = np.asarray(opened)
    except Exception:
        return False
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if seen.shape != image.shape or (most > 255) != (seen.dtype.itemsize == 2):
        # Channels or bits that it drops.
        return False
    if not np.array_equal(seen, image):
        return disagrees("Pillow", name, abs(seen.astype(int) - image).max())
    return True


def by_tifffile(name, content, stored):
    """Whether tifffile reads these samples."""
    try:
        first = tifffile.TiffFile(io.BytesIO(content)).pages[0]
        seen = first.asarray()
    except Exception:
        return False
    if first.planarconfig == 2 and seen.ndim == 3:
        seen = seen.transpose(1, 2, 0)
    seen = seen.reshape(stored.shape).astype("i8")
    if not np.array_equal(seen, stored):
        return disagrees("tifffile", name, abs(seen - stored.astype("i8")).max())
    return True


def picture(height, width, samples, bits):
    """Slopes with some noise: what compresses, and has every bit."""
    y, x, s = np.mgrid[0:height, 0:width, 0:samples]
    # The largest class that a mask may have is one below the largest number.
    top = (1 << bits) - 1 - (bits == 32)
    slope = (x * (3 + s) + y * (5 - s)) / (width * 5 + height * 5) * top
    noise = rng.integers(0, max(2, top // 16), slope.shape)
    out = np.clip(slope.astype("i8") + noise * (rng.random(slope.shape) < 0.06), 0, top)
    if bits == 1:
        out = ((x // 3 + y // 2 + s) % 2) ^ (rng.random(slope.shape) < 0.04)
    out.reshape(-1)[-1] = top
    return out.astype("u4")


def scaled(array, bits):
    return array * (255 // ((1 << bits) - 1)) if bits < 8 else array


# Kinds of TIFF: name, photometric interpretation, bits, samples, extra samples.
KINDS = [(f"{name}{bits}", p, bits, 1, ()) for name, p in [("white", 0), ("black", 1)] for bits in (1, 2, 4, 8, 12, 16, 32)]
KINDS += [(f"black{bits}", 1, bits, 1, ()) for bits in (10,)]
KINDS += [("white8alpha", 0, 8, 2, (2,)), ("black8alpha", 1, 8, 2, (2,)), ("black16alpha", 1, 16, 2, (2,)), ("black8associated", 1, 8, 2, (1,))]
KINDS += [(f"rgb{bits}", 2, bits, 3, ()) for bits in (8, 12, 16)]
KINDS += [("rgba8", 2, 8, 4, (2,)), ("rgba16", 2, 16, 4, (2,)), ("rgba8associated", 2, 8, 4, (1,))]
KINDS += [(f"palette{bits}", 3, bits, 1, ()) for bits in (1, 2, 4, 8)]
KINDS += [("cmyk8", 5, 8, 4, ())]

LAYOUTS = {"whole": {}, "strips": {"rows": 5}, "tiles": {"tile": (16, 32)}}
PACKINGS = {"none": NONE, "lzw": LZW, "deflate": DEFLATE, "old": OLD_DEFLATE, "packbits": PACKBITS}


def seen_of(array, photometric, bits, extra, palette):
    """Pixels as they are seen, and their largest value: the rules of the documentation."""
    most = max((1 << bits) - 1, 255)
    if photometric == 3:
        return (palette >> 8)[array[..., 0]], 255
    if photometric == 5:
        return np.asarray(Image.fromarray(array.astype("u1"), "CMYK").convert("RGB")), 255
    out = scaled(array.astype("i8"), bits)
    if photometric == 0:
        out[..., 0] = most - out[..., 0]
    if extra == (1,):
        alpha = out[..., -1:]
        straight = np.minimum(out[..., :-1] * most // np.maximum(alpha, 1), most)
        out[..., :-1] = np.where(alpha == 0, 0, straight)
    return out, most


def mask_of(array):
    """The one value of each pixel, or why there is none."""
    for pixel in array.reshape(-1, array.shape[2]):
        if len(pixel) in (2, 4) and pixel[-1] != array[0, 0, -1]:
            return {"mask_refused": "alpha"}
        if len(pixel) > 2 and (pixel[:3] != pixel[0]).any():
            return {"mask_refused": "the colour"}
    return {"mask": array[..., 0]}


def one_tiff(kind, size, layout, packing, predictor, order, fill, planar, big):
    label, photometric, bits, samples, extra = kind
    array = picture(*size, samples, bits)
    palette = rng.integers(0, 65536, (1 << bits, 3)) if photometric == 3 else None
    compression = G4 if packing == "group4" else PACKINGS[packing]
    content = tiff(
        array, bits, photometric, extra=extra, planar=planar, compression=compression, predictor=predictor, order=order, big=big,
        fill=fill, palette=palette, **LAYOUTS[layout],
    )
    words = [label, f"{size[0]}x{size[1]}", layout, packing, f"p{predictor}" * (predictor > 1), "II" if order == "<" else "MM"]
    words += [f"f{fill}" * (fill > 1), "planar" * (planar > 1), "big" * big]
    name = "tiff/" + "-".join(w for w in words if w)
    image, most = seen_of(array, photometric, bits, extra, palette)
    confirmed = [by_tifffile(name, content, array), most < 65536 and by_pillow(name, content, image, most)]
    if not any(confirmed):
        print(f"nobody confirms {name}")
    mask = {"mask_refused": "CMYK"} if photometric == 5 else mask_of(array)
    if bits == 32:
        add(name, content, image_refused="32 bits", **mask)
    else:
        add(name, content, image=(image, most), **mask)
    return confirmed


def tiffs():
    """For each kind: every layout, compression, predictor, order of bits and bytes, planes and BigTIFF, in draws that hold all pairs."""
    tally = np.zeros(3, int)
    for kind in KINDS:
        label, photometric, bits, samples, _ = kind
        packings = list(PACKINGS) + ["group4"] * (bits == 1 and samples == 1)
        options = [
            list(LAYOUTS), packings, [1, 2] if bits in (8, 16, 32) else [1], ["<", ">"], [1, 2], [1, 2] if samples > 1 else [1], [False, True],
        ]
        missing = {(i, a, j, b) for i in range(7) for j in range(i) for a in options[i] for b in options[j]}
        missing -= {(2, 2, 1, p) for p in ("none", "packbits")}
        while missing:
            best, won = None, -1
            for _ in range(400):
                draw = [o[rng.integers(len(o))] for o in options]
                if draw[1] in ("none", "packbits"):
                    draw[2] = 1
                wins = sum((i, draw[i], j, draw[j]) in missing for i in range(7) for j in range(i))
                if wins > won:
                    best, won = draw, wins
            missing -= {(i, best[i], j, best[j]) for i in range(7) for j in range(i)}
            size = (29, 37) if rng.random() < 0.3 and bits * samples <= 16 else (7, 13)
            layout, packing, predictor, order, fill, planar, big = best
            both = one_tiff(kind, size, layout, packing, predictor, order, fill, planar, big)
            tally += [both[0], both[1], 1]
    print(f"{tally[2]} TIFF files; tifffile confirms {tally[0]}, Pillow {tally[1]}")


def tiff_jpegs():
    """JPEG data in TIFF files, by the writers of tifffile and Pillow."""
    smooth = lambda shape: np.clip(127 + 90 * np.sin(np.indices(shape[:2]).sum(0) / 6)[..., None] + rng.integers(-9, 9, shape), 0, 255).astype("u1")
    for name, shape, kind in [
        ("grey", (29, 37, 1), {"photometric": "minisblack"}),
        ("white", (29, 37, 1), {"photometric": "miniswhite"}),
        ("grey-tiles", (29, 37, 1), {"photometric": "minisblack", "tile": (16, 16)}),
        ("rgb", (29, 37, 3), {"photometric": "rgb"}),
        ("rgb-tiles", (29, 37, 3), {"photometric": "rgb", "tile": (16, 16)}),
        ("rgb-planar", (29, 37, 3), {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 16}),
        ("ycbcr444", (29, 37, 3), {"photometric": "ycbcr", "subsampling": (1, 1)}),
        ("ycbcr420-tiles", (29, 37, 3), {"photometric": "ycbcr", "subsampling": (2, 2), "tile": (32, 32)}),
        ("ycbcr422-strips", (29, 37, 3), {"photometric": "ycbcr", "subsampling": (2, 1), "rowsperstrip": 16}),
    ]:
        array = smooth(shape)
        given = array[..., 0] if shape[2] == 1 else array
        given = given.transpose(2, 0, 1) if "planar" in name else given
        out = io.BytesIO()
        tifffile.imwrite(out, given, compression="jpeg", compressionargs={"level": 90}, metadata=None, **kind)
        first = tifffile.TiffFile(io.BytesIO(out.getvalue())).pages[0]
        seen = first.asarray()
        seen = (seen.transpose(1, 2, 0) if "planar" in name else seen).reshape(shape)
        seen = 255 - seen if name == "white" else seen
        add(f"tiff-jpeg/{name}", out.getvalue(), image=(seen, 255), mask_refused="JPEG", apart=ROUNDING)
    for name, mode in [("pillow-rgb", "RGB"), ("pillow-grey", "L")]:
        array = smooth((29, 37, len(mode)))
        out = io.BytesIO()
        Image.fromarray(array[..., 0] if mode == "L" else array).save(out, "TIFF", compression="jpeg", quality=90)
        add(f"tiff-jpeg/{name}", out.getvalue(), image=(np.asarray(Image.open(out)), 255), mask_refused="JPEG", apart=ROUNDING)


def others():
    """TIFF files that are turned, that have several pages, or that nobody should read in silence."""
    grey = picture(7, 13, 1, 8)
    for turn in range(1, 9):
        content = tiff(grey, 8, 1, more=[(274, 3, [turn])])
        seen = np.asarray(Image.open(io.BytesIO(content)))
        stored = np.asarray(Image.open(io.BytesIO(tiff(grey, 8, 1))))
        add(f"turned/tiff{turn}-upright", content, image=(seen, 255), mask=seen, option="upright")
        add(f"turned/tiff{turn}-stored", content, image=(stored, 255), mask=stored, option="stored")
        if turn > 1:
            refuse(f"turned/tiff{turn}", content, f"EXIF orientation {turn}")
    one, small = page(grey, 8, 1), page(grey[::2, ::2], 8, 1, more=[(254, 4, [1])])
    refuse("pages/two", pages_of([one, one]), "one page")
    refuse("pages/two-big", pages_of([one, one], ">", True), "one page")
    refuse("pages/copy-first", pages_of([small, one]), "one page")
    refuse("pages/copies", pages_of([small, small]), "one page")
    add("pages/with-copy", pages_of([one, small]), image=(grey, 255), mask=grey[..., 0])
    out = io.BytesIO()
    tifffile.imwrite(out, np.stack([grey[..., 0]] * 3).astype("u1"), imagej=True)
    refuse("pages/imagej", out.getvalue(), "one page")
    text = b"ImageJ=1.53\nimages=3\nslices=3\n\0"
    refuse("pages/imagej-one-directory", tiff(grey, 8, 1, more=[(270, 2, list(text))]), "stack of ImageJ")
    refuse("pages/volume", tiff(grey, 8, 1, more=[(32997, 4, [3])]), "ImageDepth")
    refuse("pages/circle", circle(tiff(grey, 8, 1)), "circle")
    rgb, wide = picture(7, 13, 3, 8), picture(7, 13, 5, 8)
    image = lambda array, bits, photometric, **more: tiff(array, bits, photometric, **more)
    refuse("refused/float32", image(grey, 32, 1, more=[(339, 3, [3])]), "floating-point numbers of 32 bits")
    refuse("refused/float16", image(grey, 16, 1, more=[(339, 3, [3])]), "floating-point numbers of 16 bits")
    refuse("refused/int16", image(grey, 16, 1, more=[(339, 3, [2])]), "signed integers of 16 bits")
    refuse("refused/complex", image(grey, 32, 1, more=[(339, 3, [6])]), "complex")
    refuse("refused/bits3", image(picture(7, 13, 1, 3), 3, 1), "3 bits")
    refuse("refused/rgb4", image(picture(7, 13, 3, 4), 4, 2), "4 bits")
    refuse("refused/rgb32", image(rgb, 32, 2), "32 bits")
    refuse("refused/five", image(wide, 8, 1, extra=(0, 0, 0, 0)), "5 samples")
    refuse("refused/rgbx", image(picture(7, 13, 4, 8), 8, 2, extra=(0,)), "4 samples")
    refuse("refused/rgb-without-extra", image(picture(7, 13, 4, 8), 8, 2), "4 samples")
    refuse("refused/rgb-of-two", image(picture(7, 13, 2, 8), 8, 2), "2 samples")
    refuse("refused/cmyka", image(wide, 8, 5, extra=(2,)), "5 samples")
    refuse("refused/cmyk16", image(picture(7, 13, 4, 16), 16, 5), "16 bits")
    refuse("refused/inks", image(picture(7, 13, 4, 8), 8, 5, more=[(332, 3, [2])]), "InkSet")
    refuse("refused/ycbcr", image(rgb, 8, 6, more=[(530, 3, [1, 1])]), "YCbCr")
    refuse("refused/lab", image(rgb, 8, 8), "L*a*b*")
    refuse("refused/cfa", image(grey, 8, 32803), "color filter array")
    refuse("refused/transparency", image(picture(7, 13, 1, 1), 1, 4), "transparency mask")
    refuse("refused/photometric", image(grey, 8, 99), "99")
    refuse("refused/predictor3", image(grey, 16, 1, compression=LZW, predictor=3), "predictor")
    refuse("refused/predictor2-of-4-bits", image(picture(7, 13, 1, 4), 4, 1, compression=LZW, predictor=2), "predictor")
    refuse("refused/fill3", image(grey, 8, 1, more=[(266, 3, [3])]), "FillOrder")
    refuse("refused/palette-of-8-bits", image(picture(7, 13, 1, 2), 2, 3, palette=rng.integers(0, 256, (4, 3))), "palette")
    refuse("refused/palette-short", image(picture(7, 13, 1, 2), 2, 3, palette=rng.integers(0, 65536, (3, 3))), "palette")
    for number, words in [(2, "run lengths"), (3, "Group 3"), (6, "old-style JPEG"), (34712, "JPEG 2000"), (34925, "LZMA"), (50000, "Zstandard"), (50001, "WebP"), (777, "compression 777")]:
        bits = picture(7, 13, 1, 1)
        refuse(f"refused/compression{number}", image(bits, 1, 1, compression=number), words)
    refuse("refused/lzw-old", old_lzw(grey), "TIFF 5.0")


def writers():
    """Files as tifffile and Pillow write them by themselves."""
    saved = lambda array, **kind: (out := io.BytesIO(), tifffile.imwrite(out, array, **kind))[0].getvalue()
    zeros = np.zeros((3, 40, 50), "u1")
    planar = saved(zeros, tile=(16, 16), photometric="rgb", planarconfig="separate")
    add("tifffile/tiled-planar-rgb-of-zeros", planar, image=(zeros.transpose(1, 2, 0), 255), mask=zeros[0])
    bits = picture(29, 37, 1, 1)[..., 0].astype("u1")
    for name, photometric, big in [("white", "miniswhite", False), ("black", "minisblack", False), ("black-big", "minisblack", True)]:
        content = saved(bits.astype(bool), photometric=photometric, bigtiff=big)
        assert np.array_equal(tifffile.imread(io.BytesIO(content)), bits)
        add(f"tifffile/mask-{name}", content, image=((1 - bits if name == "white" else bits) * 255, 255), mask=bits)
    deep = picture(29, 37, 1, 16)[..., 0].astype("u2")
    add("tifffile/deep", saved(deep, compression="zlib", predictor=True, byteorder=">"), image=(deep, 65535), mask=deep)
    refuse("tifffile/float", saved((deep / 65535).astype("f4")), "floating-point numbers of 32 bits")
    refuse("tifffile/signed", saved(deep.astype("i2")), "signed integers of 16 bits")
    refuse("tifffile/channels", saved(np.zeros((5, 29, 37), "u1"), photometric="minisblack", planarconfig="separate"), "5 samples")
    rgb = Image.fromarray(picture(11, 19, 3, 8).astype("u1"))
    alpha = Image.fromarray(picture(11, 19, 4, 8).astype("u1"), "RGBA")
    modes = {"1": rgb.convert("1"), "L": rgb.convert("L"), "LA": alpha.convert("LA"), "P": rgb.quantize(16), "RGB": rgb, "RGBA": alpha}
    modes |= {"CMYK": rgb.convert("CMYK"), "I16": Image.fromarray(deep[:11, :19].copy())}
    for mode, image in modes.items():
        for compression in ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"] + ["group4"] * (mode == "1"):
            out = io.BytesIO()
            image.save(out, "TIFF", compression=None if compression == "raw" else compression)
            name = f"pillow/{mode}-{compression}"
            stored = np.asarray(image).reshape(11, 19, -1).astype("u2")
            seen = {"1": lambda: stored * 255, "P": lambda: np.asarray(image.convert("RGB")), "CMYK": lambda: np.asarray(image.convert("RGB"))}
            seen = seen.get(mode, lambda: stored)()
            mask = {"mask_refused": "CMYK"} if mode == "CMYK" else mask_of(stored)
            add(name, out.getvalue(), image=(seen, 65535 if mode == "I16" else 255), **mask)
    out = io.BytesIO()
    modes["1"].save(out, "TIFF", compression="group3")
    refuse("pillow/1-group3", out.getvalue(), "Group 3")


def circle(content):
    """The directory of a file as its own successor."""
    first = int.from_bytes(content[4:8], "little")
    return content[:-4] + first.to_bytes(4, "little")


def old_lzw(grey):
    """LZW data that begins like that of TIFF 5.0."""
    tags, chunks, places = page(grey, 8, 1, compression=LZW)
    return pages_of([(tags, [b"\0\x01" + chunks[0]], places)])


def pngs():
    """Every color type and depth, interlaced or not, with and without transparency, every filter."""
    total = 0
    for kind, depths, samples in [(0, (1, 2, 4, 8, 16), 1), (2, (8, 16), 3), (3, (1, 2, 4, 8), 1), (4, (8, 16), 2), (6, (8, 16), 4)]:
        for bits in depths:
            for size in [(7, 13), (1, 1), (3, 2)] + [(29, 37)] * (bits * samples <= 8):
                for interlaced in (False, True):
                    for transparent in (False, True) if kind in (0, 2, 3) else (False,):
                        array = picture(*size, samples, bits)
                        palette = rng.integers(0, 256, (1 << bits, 3)) if kind == 3 else None
                        given, image = None, scaled(array, bits)
                        if kind == 3:
                            image = palette[array[..., 0]]
                        if transparent and kind == 3:
                            alpha = rng.integers(0, 256, (1 << bits) // 2 or 1)
                            given, full = alpha.astype("u1").tobytes(), np.full(1 << bits, 255)
                            full[: len(alpha)] = alpha
                            image = np.concatenate([image, full[array]], 2)
                        elif transparent:
                            key = array[-1, -1]
                            given = key.astype(">u2").tobytes()
                            most = max((1 << bits) - 1, 255)
                            seen = np.where((array == key).all(2, keepdims=True), 0, most)
                            image = np.concatenate([image, seen], 2)
                        content = png(array, bits, kind, interlaced=interlaced, palette=palette, transparent=given, rng=rng)
                        name = f"png/color{kind}-{bits}-{size[0]}x{size[1]}" + "-interlaced" * interlaced + "-transparent" * transparent
                        most = max((1 << bits) - 1, 255)
                        # libpng gives the samples of what is not interlaced; Pillow the high bytes of all, and what alpha is of 8 bits.
                        plain = png(array, bits, kind, palette=palette, rng=rng)
                        raw = kind == 3 or np.array_equal(imagecodecs.png_decode(plain).reshape(array.shape), scaled(array, bits))
                        if not raw or not high_bytes(content, image, most, None if kind == 3 else transparent and key):
                            print(f"nobody confirms {name}")
                        total += 1
                        add(name, content, image=(image, most), **mask_of(array))
    print(f"{total} PNG files")


def high_bytes(content, image, most, key):
    """Whether Pillow sees the high bytes of this, and the same transparent color."""
    opened = Image.open(io.BytesIO(content))
    given = opened.info.get("transparency")
    if key is not None and key is not False:
        if list(np.atleast_1d(given)) != list(np.atleast_1d(key)) and opened.mode not in ("1", "L"):
            return False
        image = image[..., :-1]
    if opened.mode == "P":
        opened = opened.convert("RGBA" if image.shape[2] == 4 else "RGB")
    if opened.mode == "1":
        opened = opened.convert("L")
    seen = np.asarray(opened).astype("i8")
    if image.shape[2] == 2 and opened.mode == "RGBA":
        seen = seen[..., [0, 3]]
    seen = seen.reshape(image.shape)
    # Pillow keeps 16 bits of grey only.
    return np.array_equal(seen, image >> 8 if most > 255 and not opened.mode.startswith("I") else image)


def exif(turn, order=">"):
    body = struct.pack(order + "HHIHH", 274, 3, 1, turn, 0)
    return (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "IH", 8, 1) + body + b"\0\0\0\0"


def turned_pngs_and_jpegs():
    grey = picture(7, 13, 1, 8)
    smooth = Image.fromarray(np.clip(127 + 90 * np.sin(np.indices((14, 25)).sum(0) / 6), 0, 255).astype("u1"))
    for turn in range(1, 9):
        notes = [(b"eXIf", exif(turn))]
        # Behind the pixels it is found when the whole file is read.
        content = png(grey, 8, 0, before=notes, rng=rng)
        late = png(grey, 8, 0, after=notes, rng=rng)
        seen = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
        stored = grey[..., 0]
        out = io.BytesIO()
        tags = Image.Exif()
        tags[274] = turn
        smooth.save(out, "JPEG", quality=90, exif=tags)
        jpeg = out.getvalue()
        jpeg_seen = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg))))
        jpeg_stored = np.asarray(Image.open(io.BytesIO(jpeg)))
        for name, data in [("png", content), ("late-png", late)]:
            add(f"turned/{name}{turn}-upright", data, image=(seen, 255), mask=seen, option="upright")
            add(f"turned/{name}{turn}-stored", data, image=(stored, 255), mask=stored, option="stored")
            if turn > 1:
                refuse(f"turned/{name}{turn}", data, f"EXIF orientation {turn}")
        add(f"turned/jpeg{turn}-upright", jpeg, image=(jpeg_seen, 255), mask_refused="JPEG", option="upright", apart=ROUNDING)
        add(f"turned/jpeg{turn}-stored", jpeg, image=(jpeg_stored, 255), mask_refused="JPEG", option="stored", apart=ROUNDING)
        if turn > 1:
            refuse(f"turned/jpeg{turn}", jpeg, f"EXIF orientation {turn}")
    frames = [Image.fromarray((grey[..., 0] // (i + 1)).astype("u1")) for i in range(2)]
    out = io.BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    refuse("pages/animation", out.getvalue(), "an animation")


def jpegs():
    """Grey and color, baseline and progressive, every subsampling, restarts, RGB without a change of colors, CMYK."""
    for height, width in [(7, 13), (29, 37), (1, 1), (16, 24)]:
        y, x = np.mgrid[0:height, 0:width]
        rgb = np.stack([127 + 100 * np.sin(x / 7), 127 + 100 * np.cos(y / 5), 127 + 60 * np.sin((x + y) / 9)], 2)
        rgb = np.clip(rgb + rng.integers(-6, 6, rgb.shape), 0, 255).astype("u1")
        image = Image.fromarray(rgb)
        kinds = [("L", image.convert("L"), {}), ("CMYK", image.convert("CMYK"), {}), ("keep-rgb", image, {"keep_rgb": True})]
        kinds += [(f"color-{s.replace(':', '')}", image, {"subsampling": s}) for s in ("4:4:4", "4:2:2", "4:2:0", "4:1:1")]
        blocks = Image.fromarray(np.kron(rng.integers(0, 256, (height // 3 + 1, width // 3 + 1, 3)), np.ones((3, 3, 1)))[:height, :width].astype("u1"))
        kinds += [(f"sharp-{s.replace(':', '')}", blocks, {"subsampling": s}) for s in ("4:4:4", "4:2:2", "4:2:0", "4:1:1")]
        for name, picture_, options in kinds:
            modes = [("", {}), ("-progressive", {"progressive": True}), ("-restarts", {"restart_marker_blocks": 2})]
            for mode, more in modes[:1] if name.startswith("sharp") else modes:
                out = io.BytesIO()
                try:
                    picture_.save(out, "JPEG", **({"quality": 90} | options | more))
                except (OSError, ValueError):
                    continue
                seen = Image.open(io.BytesIO(out.getvalue()))
                seen = seen.convert("RGB") if seen.mode == "CMYK" else seen
                apart = UPSAMPLING if name.startswith("sharp") and "444" not in name else ROUNDING
                add(f"jpeg/{name}-{height}x{width}{mode}", out.getvalue(), image=(np.asarray(seen), 255), mask_refused="JPEG", apart=apart)
    y, x = np.mgrid[0:29, 0:37]
    ink = np.stack([x * 6, y * 8, x + y, (x * y) % 90], 2).astype("u1")
    ycck = imagecodecs.jpeg8_encode(ink, level=90, colorspace="CMYK", outcolorspace="YCCK")
    add("jpeg/ycck", ycck, image=(np.asarray(Image.open(io.BytesIO(ycck)).convert("RGB")), 255), mask_refused="JPEG", apart=ROUNDING)
    deep = imagecodecs.jpeg8_encode((x * 100 + y * 10).astype("u2"), bitspersample=12)
    refuse("jpeg/12-bits", deep, "12 bits")
    refuse("jpeg/lossless", imagecodecs.jpeg8_encode((x * 6).astype("u1"), lossless=True), "JPEG")


if __name__ == "__main__":
    tiffs()
    tiff_jpegs()
    others()
    writers()
    pngs()
    turned_pngs_and_jpegs()
    jpegs()
    with open(os.path.join(HERE, "corpus.gz"), "wb") as file:
        file.write(gzip.compress(bytes(blob), 9, mtime=0))
    with open(os.path.join(HERE, "corpus.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in index) + "\n]\n")
    print(f"{len(index)} entries, {len(blob)} bytes")
