"""Files of records, as TensorFlow writes them: each with its length and checksums.

    length, uint64 | masked CRC-32C of these 8 bytes, uint32 | data | masked CRC-32C of the data

All are little-endian. The mask of a checksum c is ((c >> 15) | (c << 17)) + 0xa282ead8, modulo
2^32. Source: TensorFlow, core/lib/io/record_writer.h and core/lib/hash/crc32c.h; for CRC-32C
(Castagnoli) RFC 3720, appendix B.4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, with its bits reversed


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    """The CRC-32C of bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    check = 0xFFFFFFFF
    for byte in data:
        check = _TABLE[(check ^ byte) & 0xFF] ^ (check >> 8)
    return check ^ 0xFFFFFFFF


def _masked(data: bytes) -> int:
    check = crc32c(data)
    return ((check >> 15 | check << 17) + 0xA282EAD8) & 0xFFFFFFFF


def encode(data: bytes) -> bytes:
    """A record with this data."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def decode(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The records in a file's bytes, each with where it ends, up to the first that is not whole."""
    place = 0
    while place + 12 <= len(data):
        length, check = struct.unpack_from("<QI", data, place)
        end = place + 12 + length + 4
        if check != _masked(data[place : place + 8]) or end > len(data):
            return
        record = data[place + 12 : end - 4]
        if struct.unpack_from("<I", data, end - 4)[0] != _masked(record):
            return
        yield end, record
        place = end
