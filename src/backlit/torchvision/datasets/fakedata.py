"""Random pictures as a data set, to try code on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import random
from ...data.dataset import example_number
from ...data.transforms.functional import to_pil_image
from .vision import Function, VisionDataset


class FakeData(VisionDataset):
    """`size` random pictures of (C, H, W) as Pillow's, with classes; the same for the same index.

    The seed of a picture is its index plus `random_offset`; the numbers are not PyTorch's.
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: Sequence[int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Function | None = None,
        target_transform: Function | None = None,
        random_offset: int = 0,
    ):
        super().__init__(transform=transform, target_transform=target_transform)
        self.size, self.image_size = size, tuple(image_size)
        self.num_classes, self.random_offset = num_classes, random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        index = example_number(index, self.size)
        numbers = random.Generator(index + self.random_offset)
        image: Any = to_pil_image(numbers.uniform(self.image_size))
        target: Any = numbers.integers(0, self.num_classes, ()).item()
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def __len__(self) -> int:
        return self.size


__all__ = ["FakeData"]
