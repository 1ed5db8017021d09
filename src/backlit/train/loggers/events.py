"""TensorBoard's events as bytes: scalars, histograms, texts and settings, in protocol buffers.

The numbers of the fields are those of TensorBoard's compat/proto/event.proto, summary.proto,
tensor.proto and plugins/hparams/plugin_data.proto. The wire format is Protocol Buffers' (encoding):
a key (field · 8 + kind), then a varint (0), 8 bytes (1), a length and bytes (2), or 4 bytes (5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
_STRING = 7  # the element type of a tensor of texts
_BINS = 30


def _varint(n: int) -> bytes:
    """A number of up to 64 bits, seven of them a byte, the lowest first."""
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | _DOUBLE) + struct.pack("<d", value)


def _part(number: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _doubles(number: int, values: Sequence[float]) -> bytes:
    return _part(number, struct.pack(f"<{len(values)}d", *values))


def event(seconds: float, step: int, values: Sequence[bytes] = (), version: str = "") -> bytes:
    """An event: when, after how many steps, and its values; a file's first has a version."""
    head = _double(1, seconds) + _integer(2, step)
    if version:
        return head + _part(3, version)
    return head + _part(5, b"".join(_part(1, value) for value in values))


def scalar(tag: str, number: float) -> bytes:
    """One number."""
    with np.errstate(over="ignore"):
        single = np.float32(number).tobytes()
    return _part(1, tag) + _varint(2 << 3 | _FLOAT) + single


def histogram(tag: str, array: np.ndarray, bins: Any = _BINS) -> bytes:
    """How the finite numbers of an array are distributed: over bins as NumPy's, 30 unless said."""
    values = np.asarray(array, np.float64).reshape(-1)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    counts, edges = np.histogram(
        values,
        _BINS if bins == "tensorflow" else bins,
        (low, high) if high > low else (low - 0.5, low + 0.5),
    )
    proto = b"".join(
        _double(i + 1, v)
        for i, v in enumerate(
            (low, high, float(values.size), float(values.sum()), float((values**2).sum()))
        )
    )
    proto += _doubles(6, edges[1:].tolist()) + _doubles(7, counts.astype(float).tolist())
    return _part(1, tag) + _part(5, proto)


def picture(tag: str, shape: tuple[int, int, int], png: bytes) -> bytes:
    """A picture of (height, width, channels), as the bytes of a PNG file."""
    numbers = b"".join(_integer(i + 1, n) for i, n in enumerate(shape))
    return _part(1, tag) + _part(4, numbers + _part(4, png))


def restart(seconds: float, step: int) -> bytes:
    """The event that takes back all events of this step and later ones."""
    return _double(1, seconds) + _integer(2, step) + _part(7, _integer(1, 1))


def text(tag: str, content: str) -> bytes:
    """A text, which TensorBoard reads as Markdown."""
    shape = _part(2, _integer(1, 1))
    tensor = _integer(1, _STRING) + _part(2, shape) + _part(8, content)
    return _part(1, f"{tag}/text_summary") + _part(8, tensor) + _metadata("text", b"")


def _metadata(plugin: str, content: bytes) -> bytes:
    return _part(9, _part(1, _part(1, plugin) + _part(2, content)))


def settings(values: Mapping[str, Any], metrics: Sequence[str], seconds: float) -> list[bytes]:
    """The hyperparameters of a run, and the scalars by which it is judged."""
    infos = b"".join(_part(4, _part(1, n) + _integer(4, _kind(v))) for n, v in values.items())
    judged = b"".join(_part(5, _part(1, _part(2, name))) for name in metrics)
    experiment = _integer(1, 0) + _part(2, infos + judged)
    entries = (_part(1, _part(1, n) + _part(2, _value(v))) for n, v in values.items())
    start = _integer(1, 0) + _part(3, b"".join(entries) + _double(5, seconds))
    return [
        _part(1, f"_hparams_/{name}") + _metadata("hparams", content)
        for name, content in (("experiment", experiment), ("session_start_info", start))
    ]


def _kind(value: Any) -> int:
    """A setting's type: 1 a text, 2 a truth value, 3 a number."""
    return 2 if isinstance(value, bool) else 3 if isinstance(value, int | float) else 1


def _value(value: Any) -> bytes:
    kind = _kind(value)
    if kind == 1:
        return _part(3, str(value))
    return _integer(4, int(value)) if kind == 2 else _double(2, float(value))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message, by number."""
    place = 0

    def varint() -> int:
        nonlocal place
        n = shift = 0
        while True:
            byte = data[place]
            place += 1
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    while place < len(data):
        key = varint()
        if key & 7 == _VARINT:
            yield key >> 3, varint()
            continue
        size = {_DOUBLE: 8, _FLOAT: 4}.get(key & 7) or varint()
        yield key >> 3, data[place : place + size]
        place += size


def scalars(data: bytes) -> tuple[int, dict[str, float]]:
    """The step and the scalars of an event."""
    step, found = 0, {}
    for number, value in _fields(data):
        if number == 2:
            step = value
        if number == 5:
            for _, entry in _fields(value):
                parts = dict(_fields(entry))
                if 2 in parts:
                    found[parts[1].decode()] = struct.unpack("<f", parts[2])[0]
    return step, found
