"""Pictures in files, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingDependencyError

#: The endings of pictures.
PICTURES = frozenset(".png .jpg .jpeg .bmp .gif .tif .tiff .webp .ppm .pgm".split())


def picture(path: Path, shape: Sequence[int]) -> np.ndarray:
    """A picture (C, H, W), uint8, grey (C = 1) or coloured (C = 3), brought to this size."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise MissingDependencyError(
            f"{path}: Pillow, which reads pictures, is not installed; "
            "run: pip install 'backlit[data]'"
        ) from None
    channels, height, width = shape
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            image = upright.convert("L" if channels == 1 else "RGB").resize((width, height))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
        raise DataError(f"{path} is no whole picture: {error}") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} is refused: {error}") from None
    pixels = np.asarray(image, np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
