"""Folders of files as torchvision's data sets: one folder for each class."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ... import data
from ...data.pictures import EXTENSIONS as IMG_EXTENSIONS
from ...data.pictures import opened
from ...errors import SpellingError
from ...torch.mirror import mirrored


def pil_loader(path: str | os.PathLike[str]) -> Any:
    """A picture as Pillow has it, in RGB; the orientation that a camera notes is not applied."""
    with opened("ImageFolder", path) as image:
        return image.convert("RGB")


default_loader = pil_loader


def has_file_allowed_extension(filename: str, extensions: str | tuple[str, ...]) -> bool:
    """Whether a file's name ends so, in capitals or not."""
    return filename.lower().endswith(extensions)


def is_image_file(filename: str) -> bool:
    """Whether a file's name is that of a picture."""
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def _require_known(kind: type) -> None:
    if "make_dataset" in vars(kind):
        raise SpellingError(
            f"{kind.__name__}.make_dataset: not in Backlit, which would not call it; override "
            "find_classes, or write a Dataset"
        )


class DatasetFolder(data.DatasetFolder):
    """Files in a folder for each class: `backlit.data.DatasetFolder`."""

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        _require_known(cls)


class ImageFolder(data.ImageFolder):
    """Pictures in a folder for each class, as Pillow's in RGB: `backlit.data.ImageFolder`.

    Hidden files and folders are left out, unlike in torchvision.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ):
        super().__init__(root, transform, target_transform, loader, is_valid_file, allow_empty)

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        _require_known(cls)


__getattr__ = mirrored("torchvision.datasets.folder")

__all__ = [
    "IMG_EXTENSIONS",
    "DatasetFolder",
    "ImageFolder",
    "default_loader",
    "has_file_allowed_extension",
    "is_image_file",
    "pil_loader",
]
