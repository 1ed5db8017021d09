"""What torchvision's data sets have in common: where they lie, transforms, how they print."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from ...data import Dataset
from ...errors import ArgumentError

Function = Callable[[Any], Any]


class StandardTransform:
    """One transform of pictures and one of targets, as a function of both."""

    def __init__(self, transform: Function | None = None, target_transform: Function | None = None):
        self.transform = transform
        self.target_transform = target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        """Both, transformed."""
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        lines += _after("Transform: ", self.transform)
        lines += _after("Target transform: ", self.target_transform)
        return "\n".join(lines)


def _after(head: str, transform: Any) -> list[str]:
    if transform is None:
        return []
    first, *others = repr(transform).splitlines()
    return [head + first, *(" " * len(head) + line for line in others)]


class VisionDataset(Dataset):
    """The base of data sets of pictures: subclasses write `__getitem__` and `__len__`.

    Either `transforms(image, target)` transforms both, or `transform` and `target_transform` one
    each.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        transform: Function | None = None,
        target_transform: Function | None = None,
    ):
        parts = transform is not None or target_transform is not None
        if transforms is not None and parts:
            raise ArgumentError(
                f"{type(self).__name__}: either transforms, or transform and target_transform may "
                "be given, got both"
            )
        self.root: Any = os.path.expanduser(root) if isinstance(root, str | Path) else root
        self.transform, self.target_transform = transform, target_transform
        self.transforms = StandardTransform(transform, target_transform) if parts else transforms

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__()")

    def extra_repr(self) -> str:
        """More lines for `repr`."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        if self.transforms is not None:
            lines += repr(self.transforms).splitlines()
        return "\n".join((f"Dataset {type(self).__name__}", *(f"    {line}" for line in lines)))


class Pictures(VisionDataset):
    """Pictures that lie in memory as bytes, `data`, with numbers of classes, `targets`."""

    classes: ClassVar[list[str]]

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Function | None = None,
        target_transform: Function | None = None,
        download: bool = False,
    ):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        self.data, self.targets = self._read("train" if train else "test", download)

    def _read(self, part: str, download: bool) -> tuple[Any, Any]:
        raise NotImplementedError

    def _picture(self, index: int) -> Any:
        raise NotImplementedError

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = self._picture(index), int(self.targets[index])
        if self.transform is not None:  # scripts set these two later, too
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which part it is."""
        return f"Split: {'Train' if self.train else 'Test'}"


__all__ = ["StandardTransform", "VisionDataset"]
