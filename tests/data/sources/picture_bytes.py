"""Files of kinds that Pillow does not write, byte by byte."""

import struct
import zlib

import numpy as np


def tiff(array, *, photometric=1, endian="<", bits=0, packed=b"", planar=1):
    """An uncompressed TIFF of ``[H, W]`` or ``[H, W, C]``, stored as its type is.

    ``bits`` and ``packed`` replace the depth and the content, for depths that numpy has not.
    """
    height, width, samples = (*array.shape, 1)[:3]
    kinds = {"u": 1, "i": 2, "f": 3}
    content = packed or array.astype(array.dtype.newbyteorder(endian)).tobytes()
    depth = bits or array.dtype.itemsize * 8
    far = 8 + 2 + 11 * 12 + 4  # behind the directory: values that do not fit an entry
    depths = struct.pack(f"{endian}{samples}H", *[depth] * samples)
    start = far + len(depths)

    def entry(tag, kind, count, value):
        word = struct.pack(f"{endian}HH" if kind == 3 else f"{endian}I", value, *[0] * (kind == 3))
        return struct.pack(f"{endian}HHI", tag, kind, count) + word

    entries = [
        entry(256, 4, 1, width),
        entry(257, 4, 1, height),
        entry(258, 3, 1, depth)
        if samples == 1
        else struct.pack(f"{endian}HHII", 258, 3, samples, far),
        entry(259, 3, 1, 1),
        entry(262, 3, 1, photometric),
        entry(273, 4, 1, start),
        entry(277, 3, 1, samples),
        entry(278, 4, 1, height),
        entry(279, 4, 1, len(content)),
        entry(284, 3, 1, planar),
        entry(339, 3, 1, kinds[array.dtype.kind]),
    ]
    head = {"<": b"II", ">": b"MM"}[endian] + struct.pack(f"{endian}HI", 42, 8)
    directory = struct.pack(f"{endian}H", len(entries)) + b"".join(entries) + bytes(4)
    return head + directory + depths + content


def png(rows, width, *, depth, colour):
    """A PNG of rows of packed bytes; ``colour`` 0 grey, 2 RGB, 4 grey with alpha, 6 RGB with alpha."""

    def chunk(name, content):
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def packed(values, bits):
    """Values ``[W]`` of so many bits as bytes, the first one uppermost."""
    text = "".join(f"{int(v):0{bits}b}" for v in values)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def big_endian(array):
    """Bytes of a row of 16-bit values as PNG and PGM store them."""
    return np.asarray(array).astype(">u2").tobytes()
