"""Folders of pictures as datasets, and what is inside of their files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import DataError
from .folders import DatasetFolder
from .pictures import EXTENSIONS, load_image, open_image, opened, pillow, require_mode

#: The extensions that pictures of a format have.
_NAMED = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "PPM": (".ppm", ".pgm"),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
}


class ImageFolder(DatasetFolder):
    """Pictures in a folder, with their classes: see `DatasetFolder`.

        root/cat/1.jpg  root/cat/more/2.png  root/dog/3.jpg        the class is the folder's name
        root/1.jpg  root/2.jpg  and labels="labels.csv"            the class stands in a table

    An example is `(image, target)`. Without a `transform` the image is float32 in [0, 1], of shape
    (C, H, W); a transform gets the picture as Pillow has it.

    - `mode` is "RGB", "L" (grey) or "RGBA". How pictures are brought into it: see `open_image`.
    - A `loader` makes something of a path, in place of `open_image`; what it makes is transformed.

    What is wrong inside of files is told when they are read, or by `check()`. Pictures of different
    sizes are no batch: give a transform that resizes them. Unlike in torchvision, the orientation
    that a camera notes is applied, 16-bit grey is scaled and not cut at 255, of a .gif the first
    frame is a picture, and hidden files are none.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
        *,
        labels: str | os.PathLike[str] | Mapping[str, Any] | Iterable[Any] | None = None,
        separator: str | None = None,
        mode: str = "RGB",
        extensions: Sequence[str] = EXTENSIONS,
    ):
        pillow()
        require_mode("ImageFolder", mode)
        self.mode = mode
        self._own_loader = loader is None
        super().__init__(
            root,
            open_image if loader is None else loader,
            extensions if is_valid_file is None else None,
            transform,
            target_transform,
            is_valid_file,
            allow_empty,
            labels=labels,
            separator=separator,
        )

    @property
    def imgs(self) -> list[tuple[str, Any]]:
        """`samples`, by torchvision's other name."""
        return self.samples

    def _loaded(self, path: str) -> Any:
        if not self._own_loader:
            return self.loader(path)
        return (load_image if self.transform is None else open_image)(path, self.mode)

    # -- what is inside -----------------------------------------------------------------------

    def check(self, *, pixels: bool = False) -> ImageReport:
        """What the files hold: sizes, modes, formats, and which are damaged.

        Reads the first bytes of each file; with `pixels` all of it.
        """
        report = ImageReport()
        for path, _ in self.samples:
            try:
                with opened("ImageFolder", path) as image:
                    size, kind, mode = (image.width, image.height), str(image.format), image.mode
                if pixels:
                    open_image(path, self.mode)
            except DataError as error:
                report.damaged.append((path, str(error)))
                continue
            report.sizes[size] += 1
            report.modes[mode] += 1
            report.formats[kind] += 1
            if os.path.splitext(path)[1].lower() not in _NAMED.get(kind, self.extensions):
                report.misnamed.append((path, kind))
        return report


@dataclass
class ImageReport:
    """What is inside of the files of a folder, counted."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  #: (width, height)
    modes: Counter[str] = field(default_factory=Counter)  #: as Pillow calls them
    formats: Counter[str] = field(default_factory=Counter)
    damaged: list[tuple[str, str]] = field(default_factory=list)  #: (path, why)
    misnamed: list[tuple[str, str]] = field(default_factory=list)  #: (path, its true format)

    def __str__(self) -> str:
        def counted(counts: Counter[Any]) -> str:
            return ", ".join(f"{_word(what)} ({n:,})" for what, n in counts.most_common(5))

        lines = [
            f"sizes    {counted(self.sizes)}",
            f"modes    {counted(self.modes)}",
            f"formats  {counted(self.formats)}",
            *(f"{path} is a {kind}" for path, kind in self.misnamed[:5]),
            *(why for _, why in self.damaged[:5]),
        ]
        return "\n".join(lines)


def _word(what: Any) -> str:
    return f"{what[0]} x {what[1]}" if isinstance(what, tuple) else str(what)


__all__ = ["ImageFolder", "ImageReport"]
