"""Sounds in WAV files, read with every number checked.

A WAV file is a RIFF file: chunks of a name of four letters, a size (32 bits, little-endian) and as
many bytes. The chunk `fmt ` says how samples are written, `data` has them, those of all channels
side by side.

Sources: IBM & Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (1991), ch.
3; Microsoft, "Multiple Channel Audio Data and WAVE Files" (2001), for the extensible form.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ..errors import DataError
from ..files import opened

#: The ends of the names of such files, and of those of other sounds, which are not read.
WAVES = (".wav", ".wave")
OTHERS = (".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".au")
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_CODES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 0x11: "ADPCM", 0x55: "MP3"}
_LARGEST = 64  # bytes of `fmt `, of which at most 40 are used
_UNKNOWN = (0, 0xFFFFFFFF)  # sizes that a program writes that does not know the end yet


@dataclass(frozen=True)
class _Format:
    code: int
    channels: int
    rate: int
    bits: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.bits // 8


def read_wave(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """The samples in a WAV file, float32 in [-1, 1] of shape (channels, length), and their rate.

    >>> import pathlib, struct, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "click.wav"
    >>> form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    >>> data = struct.pack("<4sI2h", b"data", 4, 16384, -32768)
    >>> _ = path.write_bytes(struct.pack("<4sI4s", b"RIFF", 40, b"WAVE") + form + data)
    >>> read_wave(path)
    (array([[ 0.5, -1. ]], dtype=float32), 8000)

    Whole numbers of 8, 16, 24 and 32 bits, and floats of 32 and 64, are read; the rate is in
    samples a second. Raises DataError, with what was expected and found, for a file that is
    truncated, of another format, or compressed, and for samples that are not finite.
    """
    with opened(path, "read_wave", packed=False) as file:
        form, length = _header(file, path)
        samples = _samples(file.read(length), form)
    if not np.isfinite(samples).all():
        raise DataError(f"read_wave: {path} must hold finite samples, got NaN or infinity")
    return np.ascontiguousarray(samples.reshape(-1, form.channels).T), form.rate


def wave_length(path: str | os.PathLike[str]) -> tuple[int, int]:
    """How many samples a channel of a WAV file has, and their rate; they are not read."""
    with opened(path, "read_wave", packed=False) as file:
        form, length = _header(file, path)
    return length // form.frame, form.rate


def _header(file: BinaryIO, path: str | os.PathLike[str]) -> tuple[_Format, int]:
    """How samples are written, and their bytes; the file then stands at the first."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(12)
    if start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
        raise DataError(
            f"read_wave: {path} must begin as a WAV file (RIFF, a size, WAVE), got "
            f"{start.hex(' ') or 'an empty file'}; it is of another format or truncated"
        )
    form = None
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        left = size - file.tell()
        if name == b"data" and form is not None:
            _require_whole(path, form, left if length in _UNKNOWN else length, left)
            return form, left if length in _UNKNOWN else length
        if name == b"data":
            raise DataError(
                f"read_wave: {path} must have the chunk 'fmt ' before the samples; it is damaged"
            )
        if name == b"fmt ":
            form = _format(file.read(min(length, left, _LARGEST)), path)
            length = max(0, length - _LARGEST)
        file.seek(length + length % 2, os.SEEK_CUR)
    raise DataError(f"read_wave: {path} must have a chunk of samples, but has none; it is cut")


def _require_whole(path: str | os.PathLike[str], form: _Format, length: int, left: int) -> None:
    """Raise unless so many bytes of samples are there, and are whole samples."""
    if length > left:
        raise DataError(
            f"read_wave: {path} must hold {length:,} bytes of samples, got {left:,}; it is "
            "truncated"
        )
    if not length or length % form.frame:
        raise DataError(
            f"read_wave: {path} must have samples of {form.frame} bytes (of {form.bits} bits, for "
            f"each of {form.channels} channels), got {length:,} bytes; it is truncated or damaged"
        )


def _format(content: bytes, path: str | os.PathLike[str]) -> _Format:
    if len(content) < 16:
        raise DataError(
            f"read_wave: {path} must have 16 bytes in its chunk 'fmt ', got {len(content)}; it is "
            "truncated"
        )
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if code == _EXTENSIBLE and len(content) >= 26:
        (code,) = struct.unpack("<H", content[24:26])
    known = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
    if code not in known:
        name = _CODES.get(code, f"the code {code:#x}")
        raise DataError(
            f"read_wave: {path} must hold samples as they are (PCM or floats), got {name}; convert "
            "it: ffmpeg -i sound.wav -c:a pcm_s16le new.wav"
        )
    if bits not in known[code] or not channels or not rate:
        raise DataError(
            f"read_wave: {path} must have samples of {', '.join(map(str, known[code]))} bits in a "
            f"channel or more at a rate, got {bits} bits, {channels} channels, {rate:,} a second; "
            "it is damaged"
        )
    return _Format(code, channels, rate, bits)


def _samples(data: bytes, form: _Format) -> np.ndarray:
    """All samples as float32; whole numbers by their range."""
    if form.code == _FLOAT:
        with np.errstate(over="ignore"):  # then they are infinite, which is an error
            return np.frombuffer(data, f"<f{form.bits // 8}").astype(np.float32)
    if form.bits == 8:  # the only ones without a sign
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if form.bits == 24:  # as 32 bits, of which the lowest eight are 0
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / 2**31).astype(np.float32)
    return (np.frombuffer(data, f"<i{form.bits // 8}") / 2 ** (form.bits - 1)).astype(np.float32)


__all__ = ["OTHERS", "WAVES", "read_wave", "wave_length"]
