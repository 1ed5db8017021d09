"""`torchvision.io`: files of pictures and Tensors of bytes, by Pillow."""

from __future__ import annotations

import io
import os
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from ..calls import explain
from ..conversion import check_device
from ..data.pictures import opened
from ..data.transforms.functional import to_pil_image
from ..op import describe
from ..tensor import Tensor, wrap
from ..torch.mirror import mirrored as _mirrored
from .utils import require


class ImageReadMode(Enum):
    """In which mode a picture is read."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4


_MODES = {"GRAY": "L", "GRAY_ALPHA": "LA", "RGB": "RGB", "RGB_ALPHA": "RGBA"}
_WIDE = ("I;16", "I;16B", "I;16L", "I;16N")


def _mode(what: str, mode: Any) -> str | None:
    """Pillow's name of a mode; None leaves a picture as it is."""
    name = mode.name if isinstance(mode, ImageReadMode) else str(mode).upper()
    require(
        what,
        name in ImageReadMode.__members__,
        f"mode must be one of {', '.join(ImageReadMode.__members__)}, got {mode!r:.40}",
    )
    return _MODES.get(name)


def _values(picture: Any, mode: str | None) -> np.ndarray:
    """The numbers of a picture in a mode: bytes, or 16 bits of grey."""
    if picture.mode in _WIDE:
        grey = np.asarray(picture).astype(np.uint16)[:, :, np.newaxis]
        opaque = [np.full_like(grey, 65535)] if mode in ("LA", "RGBA") else []
        return np.concatenate([grey] * len((mode or "L").strip("A")) + opaque, axis=2)
    if mode is None:
        if picture.mode == "1":
            picture = picture.convert("L")
        # Pillow turns the inks of JPEG files round.
        return 255 - np.asarray(picture) if picture.mode == "CMYK" else np.asarray(picture)
    return np.asarray(picture if picture.mode == mode else picture.convert(mode))


def read_image(
    path: str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """A picture in a file as uint8 (C, H, W), C of its mode; 16-bit grey as uint16.

    Unchanged, a picture with a palette is the numbers of its colours. What becomes grey is so by
    Pillow's rounding, of PNG files that may be 1 off.

    Raises DataError if it is missing, damaged, or no picture.
    """
    return _read("read_image", path, mode, apply_exif_orientation)


def _read(what: str, file: Any, mode: Any, upright: bool) -> Tensor:
    wanted = _mode(what, mode)
    with opened(what, file) as picture:
        if wanted == "L":
            picture.draft("L", picture.size)  # JPEG's own brightness
        if upright:
            from PIL import ImageOps

            picture = ImageOps.exif_transpose(picture)
        values = _values(picture, wanted)
    planes = values[np.newaxis] if values.ndim == 2 else values.transpose(2, 0, 1)
    return wrap(np.ascontiguousarray(planes))


def read_file(path: str | os.PathLike[str]) -> Tensor:
    """The bytes of a file."""
    return wrap(np.frombuffer(Path(path).read_bytes(), np.uint8).copy())


def write_file(filename: str | os.PathLike[str], data: Tensor) -> None:
    """Write bytes into a file."""
    _require_bytes("write_file", data, data.ndim == 1, "(N,)")
    Path(filename).write_bytes(data.numpy().tobytes())


def _require_bytes(what: str, data: Any, fits: bool, shape: str) -> None:
    require(
        what,
        data.dtype == np.uint8 and fits,
        f"uint8 {shape} is needed, got {describe(data)}",
    )


def decode_image(
    input: Tensor | str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """`read_image` of the bytes of a file, or of a path."""
    if not isinstance(input, Tensor):
        return read_image(input, mode, apply_exif_orientation)
    _require_bytes("decode_image", input, input.ndim == 1, "(N,)")
    return _read("decode_image", io.BytesIO(input.numpy().tobytes()), mode, apply_exif_orientation)


decode_png = decode_webp = decode_image


def decode_jpeg(
    input: Tensor,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    device: Any = "cpu",
    apply_exif_orientation: bool = False,
) -> Tensor:
    """`decode_image`; also of a list of files."""
    check_device(device)
    if isinstance(input, list):
        several: Any = [decode_image(one, mode, apply_exif_orientation) for one in input]
        return several
    return decode_image(input, mode, apply_exif_orientation)


def _encoded(what: str, image: Tensor, format: str, **options: Any) -> Tensor:
    _require_bytes(what, image, image.ndim == 3 and image.shape[0] in (1, 3), "(1 or 3, H, W)")
    file = io.BytesIO()
    to_pil_image(image).save(file, format, **options)
    return wrap(np.frombuffer(file.getvalue(), np.uint8).copy())


def encode_png(input: Tensor, compression_level: int = 6) -> Tensor:
    """The bytes of a PNG file of a picture, uint8 (1 or 3, H, W)."""
    return _encoded("encode_png", input, "PNG", compress_level=compression_level)


def encode_jpeg(input: Tensor, quality: int = 75) -> Tensor:
    """The bytes of a JPEG file of a picture, uint8 (1 or 3, H, W)."""
    return _encoded("encode_jpeg", input, "JPEG", quality=quality)


def write_png(input: Tensor, filename: str | os.PathLike[str], compression_level: int = 6) -> None:
    """Write a picture, uint8 (1 or 3, H, W), into a PNG file."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input: Tensor, filename: str | os.PathLike[str], quality: int = 75) -> None:
    """Write a picture, uint8 (1 or 3, H, W), into a JPEG file."""
    write_file(filename, encode_jpeg(input, quality))


__getattr__ = _mirrored("torchvision.io")

explain(__name__)
