"""`torchvision.datasets`: data sets of pictures, which are Pillow's until they are transformed."""

from __future__ import annotations

from ...calls import explain as _explain
from ...torch.mirror import mirrored as _mirrored
from .cifar import CIFAR10, CIFAR100
from .fakedata import FakeData
from .folder import DatasetFolder, ImageFolder
from .mnist import MNIST, FashionMNIST
from .vision import VisionDataset

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "DatasetFolder",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "VisionDataset",
]

__getattr__ = _mirrored("torchvision.datasets")

_explain(__name__, __all__)
