"""WAV files: each width of samples, and what is damaged."""

import io
import struct
import wave

import numpy as np
import pytest

from backlit.data import read_wave
from backlit.data.waves import wave_length
from backlit.errors import DataError


def chunk(name, content):
    return struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2)


def form(code, channels, rate, bits, more=b""):
    frame = channels * bits // 8
    return chunk(
        b"fmt ", struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits) + more
    )


def riff(*chunks):
    content = b"WAVE" + b"".join(chunks)
    return struct.pack("<4sI", b"RIFF", len(content)) + content


def written(tmp_path, content):
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_whole_numbers_as_another_program_writes_them(tmp_path, width):
    """Written by Python's `wave`; both channels, and the ends of the range."""
    half, least = 1 << (8 * width - 2), -(1 << (8 * width - 1))
    frames = [(half, least), (0, -half)]
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(11025)
        for value in (v for frame in frames for v in frame):
            shifted = value + 128 if width == 1 else value
            file.writeframes(shifted.to_bytes(width, "little", signed=width > 1))
    path = written(tmp_path, buffer.getvalue())
    samples, rate = read_wave(path)
    assert rate == 11025
    assert samples.tolist() == [[0.5, 0.0], [-1.0, -0.5]]
    assert wave_length(path) == (2, 11025)


def test_floats_extensible_forms_and_other_chunks(tmp_path):
    data = np.array([0.25, -0.5], "<f4").tobytes()
    listed = chunk(b"LIST", b"odd")
    path = written(tmp_path, riff(listed, form(3, 1, 8000, 32), chunk(b"data", data), listed))
    assert read_wave(path)[0].tolist() == [[0.25, -0.5]]
    more = struct.pack("<HHIH", 22, 16, 0, 1) + b"\0" * 14
    data = np.array([16384], "<i2").tobytes()
    path = written(tmp_path, riff(form(0xFFFE, 1, 8000, 16, more), chunk(b"data", data)))
    assert read_wave(path)[0].tolist() == [[0.5]]
    endless = struct.pack("<4sI", b"data", 0xFFFFFFFF) + data
    path = written(tmp_path, riff(form(1, 1, 8000, 16), endless))
    assert read_wave(path)[0].tolist() == [[0.5]]


PLAIN = form(1, 1, 8000, 16)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "must begin as a WAV file .* got an empty file"),
        (b"ID3\x04 music", "must begin as a WAV file .* got 49 44 33 04"),
        (riff(PLAIN), "must have a chunk of samples, but has none"),
        (riff(chunk(b"data", b"1234"), PLAIN), "must have the chunk 'fmt ' before the samples"),
        (
            riff(chunk(b"fmt ", b"short"), chunk(b"data", b"1234")),
            "must have 16 bytes in its chunk",
        ),
        (
            riff(PLAIN, chunk(b"data", b"1234"))[:-2],
            "must hold 4 bytes of samples, got 2; it is tr",
        ),
        (riff(PLAIN, chunk(b"data", b"123")), "must have samples of 2 bytes .* got 3 bytes"),
        (riff(PLAIN, chunk(b"data", b"")), "must have samples of 2 bytes .* got 0 bytes"),
        (riff(form(7, 1, 8000, 8), chunk(b"data", b"12")), "got mu-law; convert it: ffmpeg"),
        (riff(form(1, 1, 8000, 12), chunk(b"data", b"12")), "must have samples of 8, 16, 24, 32 b"),
        (riff(form(1, 0, 8000, 16), chunk(b"data", b"12")), "got 16 bits, 0 channels, 8,000"),
        (riff(form(3, 1, 8000, 32), chunk(b"data", b"\0\0\xc0\x7f")), "must hold finite samples"),
    ],
    ids=range(12),
)
def test_what_is_damaged_is_named(tmp_path, content, says):
    with pytest.raises(DataError, match=rf"read_wave: .*x.wav .*{says}"):
        read_wave(written(tmp_path, content))
