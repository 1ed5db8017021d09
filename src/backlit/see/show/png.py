"""Pictures of bytes as PNG files, and as addresses that hold them."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of (H, W, 1) or (H, W, 3) bytes: ISO/IEC 15948:2004, chapters 5 and 11.

    >>> png(np.zeros((2, 3, 1), np.uint8))[1:4]
    b'PNG'
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    height, width, colours = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if colours == 3 else 0, 0, 0, 0)
    rows = np.hstack([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)])
    body = zlib.compress(rows.tobytes(), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def png_uri(pixels: np.ndarray) -> str:
    """The same as an address, for `<img src>`."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
