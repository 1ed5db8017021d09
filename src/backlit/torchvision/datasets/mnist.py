"""MNIST and Fashion-MNIST as torchvision has them: grey pictures with the numbers of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ...data.idx import idx_folder
from ...data.pictures import pillow
from ...data.published import published_folder
from .vision import Pictures


class MNIST(Pictures):
    """60,000 training or 10,000 test images of handwritten digits, as Pillow's, with their classes.

        data: uint8 (N, 28, 28);  targets: int64 (N,)

    The files are looked for in `root`, and in `root/MNIST/raw`, into which `download` puts them.
    Without them: MissingFileError.
    """

    published: ClassVar[str] = "mnist"
    classes: ClassVar[list[str]] = [
        f"{n} - {word}"
        for n, word in enumerate("zero one two three four five six seven eight nine".split())
    ]

    @property
    def raw_folder(self) -> str:
        """Where the files are put."""
        return str(Path(self.root, type(self).__name__, "raw"))

    def _read(self, part: str, download: bool) -> tuple[Any, Any]:
        folder = published_folder(self.published, self.root, download, into=self.raw_folder)
        found = idx_folder(folder, "train" if part == "train" else "t10k", scale=False)
        images, targets = found.tensors
        return images[:, 0], targets

    def _picture(self, index: int) -> Any:
        return pillow().fromarray(self.data[index].numpy())


class FashionMNIST(MNIST):
    """60,000 training or 10,000 test images of garments, as `MNIST`: `root/FashionMNIST/raw`."""

    published = "fashion_mnist"
    classes: ClassVar[list[str]] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]


__all__ = ["MNIST", "FashionMNIST"]
