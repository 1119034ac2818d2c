"""TIFF and PNG files of every kind, byte by byte: what the writers of Pillow and tifffile cannot be asked for."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
from PIL import Image

NONE, G3, G4, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 3, 4, 5, 7, 8, 32946, 32773


def packed(lines, bits, order):
    """Lines of numbers as bytes: each begins at a whole byte, the highest bit first; 16 and 32 bits in the file's order."""
    if bits in (8, 16, 32):
        return [line.astype(f"{order}u{bits // 8}").tobytes() for line in lines]
    digits = (lines[..., None].astype("u4") >> np.arange(bits - 1, -1, -1)) & 1
    return [np.packbits(line.reshape(-1).astype("u1")).tobytes() for line in digits]


def group4(bits):
    """ITU-T T.6, by libtiff."""
    out = io.BytesIO()
    Image.fromarray(bits.astype(bool)).save(out, "TIFF", compression="group4", tiffinfo={278: bits.shape[0]})
    image = Image.open(io.BytesIO(out.getvalue()))
    assert len(image.tag_v2[273]) == 1, "one strip"
    at, size = image.tag_v2[273][0], image.tag_v2[279][0]
    return out.getvalue()[at : at + size]


def chunk_bytes(chunk, bits, compression, predictor, order, fill):
    """A strip or tile, [rows, columns, samples]."""
    rows, columns, samples = chunk.shape
    if compression == G4:
        data = group4(chunk[..., 0])
    else:
        lines = chunk.astype("i8")
        if predictor == 2:
            lines = np.concatenate([lines[:, :1], np.diff(lines, axis=1)], 1) % (1 << bits)
        lines = packed(lines.reshape(rows, columns * samples), bits, order)
        whole = b"".join(lines)
        if compression == LZW:
            data = imagecodecs.lzw_encode(whole)
        elif compression in (DEFLATE, OLD_DEFLATE):
            data = zlib.compress(whole, 9)
        elif compression == PACKBITS:
            data = b"".join(imagecodecs.packbits_encode(line) for line in lines)
        else:
            data = whole
    return imagecodecs.bitorder_encode(data) if fill == 2 else data


def pages_of(entries, order="<", big=False):
    """A file of directories, each a list of (tag, type, values) and a list of chunks whose places fill tag 273 or 324."""
    word, head = ("Q", 16) if big else ("I", 8)
    body = bytearray()
    at = lambda: head + len(body)
    directories = []
    for tags, chunks, (offsets, counts) in entries:
        places = []
        for chunk in chunks:
            places.append(at())
            body += chunk + b"\0" * (len(chunk) % 2)
        kind = 16 if big and len(directories) % 2 == 0 else 4
        tags = sorted(tags + [(offsets, kind, places), (counts, 4, [len(c) for c in chunks])])
        packed_tags = []
        for tag, kind, values in tags:
            code = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 16: "Q", 9: "i"}[kind]
            value = struct.pack(f"{order}{len(values)}{code}", *values)
            if len(value) > (8 if big else 4):
                value, outside = struct.pack(order + word, at()), value
                body += outside + b"\0" * (len(outside) % 2)
            packed_tags.append(struct.pack(f"{order}HH{word}", tag, kind, len(values)) + value.ljust(8 if big else 4, b"\0"))
        directories.append(packed_tags)
    # Directories after all data, one after the other.
    count, entry = ("Q", 20) if big else ("H", 12)
    first = at()
    for i, tags in enumerate(directories):
        size = struct.calcsize(order + count) + entry * len(tags) + struct.calcsize(order + word)
        after = at() + size if i + 1 < len(directories) else 0
        body += struct.pack(order + count, len(tags)) + b"".join(tags) + struct.pack(order + word, after)
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(order + "HHHQ", 43, 8, 0, first) + bytes(body)
    return mark + struct.pack(order + "HI", 42, first) + bytes(body)


def page(array, bits, photometric, *, extra=(), planar=1, tile=None, rows=None, compression=NONE, predictor=1, order="<", fill=1, palette=None, more=()):
    """The directory and the chunks of an image [height, width, samples]."""
    height, width, samples = array.shape
    tags = [(256, 3, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [compression]), (262, 3, [photometric])]
    tags += [(277, 3, [samples])] + [t for t in more]
    if extra:
        tags.append((338, 3, list(extra)))
    if planar != 1:
        tags.append((284, 3, [planar]))
    if predictor != 1:
        tags.append((317, 3, [predictor]))
    if fill != 1:
        tags.append((266, 3, [fill]))
    if palette is not None:
        tags.append((320, 3, [int(v) for v in palette.T.reshape(-1)]))
    planes = [array[..., i : i + 1] for i in range(samples)] if planar == 2 else [array]
    chunks = []
    for plane in planes:
        if tile:
            down, across = tile
            for y in range(0, height, down):
                for x in range(0, width, across):
                    piece = plane[y : y + down, x : x + across]
                    # What lies beyond the edge is nobody's: not zeros, and not the same as its neighbor.
                    full = np.full((down, across, piece.shape[2]), (1 << bits) - 1 if bits < 16 else 12345, array.dtype)
                    full[: piece.shape[0], : piece.shape[1]] = piece
                    chunks.append(chunk_bytes(full, bits, compression, predictor, order, fill))
        else:
            each = rows or height
            chunks += [chunk_bytes(plane[y : y + each], bits, compression, predictor, order, fill) for y in range(0, height, each)]
    if tile:
        tags += [(322, 3, [tile[1]]), (323, 3, [tile[0]])]
    elif rows:
        tags.append((278, 3, [rows]))
    return tags, chunks, (324, 325) if tile else (273, 279)


def tiff(array, bits, photometric, *, order="<", big=False, **kind):
    return pages_of([page(array, bits, photometric, order=order, **kind)], order, big)


def png_chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def filtered(lines, step, rng):
    """Lines of a PNG, each with a filter of its own."""
    out, above = b"", None
    for line in lines:
        line = np.frombuffer(line, "u1").astype("i4")
        above = np.zeros_like(line) if above is None else above
        left = np.concatenate([np.zeros(step, "i4"), line[:-step]]) if len(line) > step else np.zeros_like(line)
        corner = np.concatenate([np.zeros(step, "i4"), above[:-step]]) if len(line) > step else np.zeros_like(line)
        kind = int(rng.integers(5))
        guess = left + above - corner
        a, b, c = abs(guess - left), abs(guess - above), abs(guess - corner)
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        minus = [0, left, above, (left + above) // 2, paeth][kind]
        out += bytes([kind]) + ((line - minus) % 256).astype("u1").tobytes()
        above = line
    return out


def png(array, bits, kind, *, interlaced=False, palette=None, transparent=None, before=(), after=(), rng):
    """An image [height, width, samples] of PNG's color types: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha."""
    height, width, samples = array.shape
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    data = b""
    for top, left, down, across in passes:
        part = array[top::down, left::across]
        if part.size:
            lines = packed(part.reshape(part.shape[0], -1), bits, ">")
            data += filtered(lines, max(1, samples * bits // 8), rng)
    out = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, int(interlaced)))
    if palette is not None:
        out += png_chunk(b"PLTE", palette.astype("u1").tobytes())
    if transparent is not None:
        out += png_chunk(b"tRNS", transparent)
    for name, content in before:
        out += png_chunk(name, content)
    out += png_chunk(b"IDAT", zlib.compress(data, 9))
    for name, content in after:
        out += png_chunk(name, content)
    return out + png_chunk(b"IEND", b"")
