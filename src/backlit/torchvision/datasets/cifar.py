"""CIFAR-10 and CIFAR-100 as torchvision has them: colour pictures with the numbers of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...data.cifar import CLASSES, FINE_CLASSES, cifar_parts, records_in
from ...data.pictures import pillow
from ...data.published import published_folder
from ...errors import DataError
from ...interop.arrays import read_arrays
from .vision import Pictures


class CIFAR10(Pictures):
    """50,000 training or 10,000 test photographs of ten things, as Pillow's, with their classes.

        data: uint8 array (N, 32, 32, 3);  targets: list of N numbers

    Read is, in this order, what lies in `root`: `cifar-10-batches-py`, where torchvision puts it
    (without unpickling), `cifar-10-batches-bin`, `cifar-10-binary.tar.gz`, which `download` puts
    there. Without them: MissingFileError.
    """

    base_folder: ClassVar[str] = "cifar-10-batches-py"
    published: ClassVar[str] = "cifar10"
    archive: ClassVar[str] = "cifar-10-binary.tar.gz"
    pickles: ClassVar[dict[str, list[str]]] = {
        "train": [f"data_batch_{n}" for n in range(1, 6)],
        "test": ["test_batch"],
    }
    label_bytes: ClassVar[int] = 1
    classes: ClassVar[list[str]] = list(CLASSES)

    def _read(self, part: str, download: bool) -> tuple[np.ndarray, list[int]]:
        root = Path(self.root)
        if all((root / self.base_folder / name).is_file() for name in self.pickles[part]):
            images, targets = self._unpacked(root / self.base_folder, self.pickles[part])
        else:
            if not records_in(root, "train", self.label_bytes):
                root = published_folder(self.published, root, download) / self.archive
            (found,) = cifar_parts(root, (part,), self.label_bytes, scale=False)
            images, targets = (t.numpy() for t in found.tensors)
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1)), targets.tolist()

    def _unpacked(self, folder: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The images (N, 3, 32, 32) and labels of files for Python."""
        pixels, labels = [], []
        for name in names:
            path = folder / name
            entry = read_arrays(path.read_bytes(), path)
            images = entry.get("data")
            numbers = entry.get("labels" if self.label_bytes == 1 else "fine_labels")
            if (
                not isinstance(images, np.ndarray)
                or images.dtype != np.uint8
                or images.ndim != 2
                or images.shape[1] != 3072
                or not isinstance(numbers, list)
                or len(numbers) != len(images)
                or not set(numbers) <= set(range(len(self.classes)))
            ):
                raise DataError(
                    f"{type(self).__name__}: {path} must hold images, uint8 (N, 3072), and a label "
                    f"from 0 to {len(self.classes) - 1} for each, but does not; fetch it again"
                )
            pixels.append(images)
            labels += numbers
        return np.concatenate(pixels).reshape(-1, 3, 32, 32), np.array(labels)

    def _picture(self, index: int) -> Any:
        return pillow().fromarray(self.data[index])


class CIFAR100(CIFAR10):
    """50,000 training or 10,000 test photographs of a hundred things, as `CIFAR10`.

    In `root` lies `cifar-100-python`, `cifar-100-binary` or `cifar-100-binary.tar.gz`; targets are
    the fine labels.
    """

    base_folder = "cifar-100-python"
    published = "cifar100"
    archive = "cifar-100-binary.tar.gz"
    pickles: ClassVar[dict[str, list[str]]] = {"train": ["train"], "test": ["test"]}
    label_bytes = 2
    classes: ClassVar[list[str]] = list(FINE_CLASSES)


__all__ = ["CIFAR10", "CIFAR100"]
