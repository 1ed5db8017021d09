"""One picture: a file decoded with care, in the asked mode, and its numbers.

Pictures are read by Pillow, by their contents and not by their names. Only formats of pixels are
tried: some others of Pillow's run programs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..errors import (
    ArgumentError,
    BacklitError,
    DataError,
    MissingDependencyError,
    MissingFileError,
)
from ..tensor import Tensor, wrap
from .folders import require_file

if TYPE_CHECKING:
    from PIL.Image import Image

#: Ends of the names of pictures' files: those that torchvision takes, and .gif.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")  # JPEG covers MPO
MODES = ("RGB", "L", "RGBA")
_WIDE = ("I;16", "I;16B", "I;16L", "I;16N")  # 16 bits a pixel


def pillow() -> Any:
    """Pillow's module of images."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependencyError(
            "images: Pillow, which reads pictures, is not installed; run: "
            "pip install 'backlit[data]'"
        ) from None
    return Image


def require_mode(what: str, mode: str) -> None:
    """Raise unless pictures can be brought into a mode."""
    if mode not in MODES:
        raise ArgumentError(f"{what}: mode must be one of {', '.join(MODES)}, got {mode!r}")


@contextmanager
def _decoding(what: str, file: Any) -> Iterator[None]:
    """What goes wrong with a picture's file inside the block as one error, which names it."""
    name = file if isinstance(file, str | os.PathLike) else getattr(file, "name", "the file")
    try:
        yield
    except BacklitError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"{what}: {name} does not exist; check the path") from None
    except Exception as error:  # Pillow raises what it likes
        kind = type(error).__name__
        reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or kind
        if "Bomb" in kind:
            reason = f"has too many pixels: {reason}"
        elif kind == "UnidentifiedImageError":
            reason = "is no picture in a format of pixels, or is damaged in its first bytes"
        elif isinstance(error, PermissionError | MemoryError):
            reason = f"cannot be read: {reason}"
        else:
            reason = f"is damaged or truncated: {reason:.200}"
        raise DataError(f"{what}: {name} {reason}; remove it or fetch it again") from None


@contextmanager
def opened(what: str, file: str | os.PathLike[str] | BinaryIO) -> Iterator[Image]:
    """A picture of which the first bytes are read; more pixels than Pillow allows are refused."""
    library = pillow()
    with _decoding(what, file):
        if isinstance(file, str | os.PathLike):
            require_file(what, file)
        with library.open(file, formats=FORMATS) as image:
            most = library.MAX_IMAGE_PIXELS
            if most is not None and image.width * image.height > most:
                name = getattr(file, "name", file)
                raise DataError(
                    f"{what}: {name} must have at most {most:,} pixels, got {image.width:,} x "
                    f"{image.height:,}: it may be made to fill the memory; if you trust it, cut it "
                    "into tiles, or set PIL.Image.MAX_IMAGE_PIXELS"
                )
            yield image


def open_image(file: str | os.PathLike[str] | BinaryIO, mode: str = "RGB") -> Image:
    """A picture, as Pillow has it, decoded, upright, and in a mode: "RGB", "L" or "RGBA".

    - `file` is a path or an open binary file. Its name does not matter, its contents do.
    - The orientation that a camera notes in the file is applied. Transparency is dropped, but for
      "RGBA". 16-bit grey becomes 8-bit by v / 257, and not by cutting at 255. Of several frames the
      first is taken.

    Raises DataError, with the file's name, for files that are missing, damaged, truncated, no
    picture, no regular file, or that have more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    require_mode("open_image", mode)
    with opened("open_image", file) as image:
        return _converted(_upright(image), mode, file)


def load_image(file: str | os.PathLike[str] | BinaryIO, mode: str = "RGB") -> Tensor:
    """A picture as float32 in [0, 1], of shape (C, H, W): `open_image`, and its numbers.

    Of 16-bit grey all 16 bits count.
    """
    require_mode("load_image", mode)
    with opened("load_image", file) as image:
        upright = _upright(image)
        if upright.mode in _WIDE and mode != "RGBA":
            grey = np.asarray(upright).astype(np.float32) / np.float32(65535)
            return wrap(np.repeat(grey[np.newaxis], len(mode), axis=0))
        pixels = np.asarray(_converted(upright, mode, file))
    planes = pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return wrap(np.ascontiguousarray(planes, np.float32) / np.float32(255))


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    image.load()
    return ImageOps.exif_transpose(image)


def _converted(image: Image, mode: str, file: Any) -> Image:
    if image.mode in _WIDE:
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257
        image = pillow().fromarray(grey.astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise DataError(
            f"open_image: {getattr(file, 'name', file)} must have 8 or 16 bits a pixel, got "
            f"{'whole numbers' if image.mode == 'I' else 'floats'} of 32 bits, whose scale is "
            "unknown; pass a loader that knows it"
        )
    elif image.mode == "P":
        image = image.convert("RGBA")  # Pillow's own way to RGB warns of transparent colours
    return image if image.mode == mode else image.convert(mode)


__all__ = ["EXTENSIONS", "load_image", "open_image"]
