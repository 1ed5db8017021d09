"""Data sets that others publish: where their files are, and what they must be.

Nothing is fetched unless `download=True` asks for it. Checksums and lengths of MNIST, Fashion-MNIST
and CIFAR are those that TensorFlow Datasets publishes in its `url_checksums`; those of the texts
are of the files in the repositories that are named.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import MissingFileError
from .cifar import cifar_parts, records_in
from .dataset import TensorDataset
from .download import Progress, download
from .idx import idx_folder

_IDX = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@dataclass(frozen=True)
class _File:
    """A file as it is published; `other` is the name under which it may lie here besides."""

    name: str
    size: int
    sha256: str
    other: str = ""


@dataclass(frozen=True)
class _Published:
    """A data set: its files, below each of the addresses, and folders that others use for it."""

    name: str
    mirrors: tuple[str, ...]
    files: tuple[_File, ...]
    folders: tuple[str, ...] = ()

    def folder(self, root: str | os.PathLike[str], fetch: bool, progress: bool | Progress) -> Path:
        """The folder in which all files are, after they are fetched if that is asked for."""
        places = [Path(root), *(Path(root) / name for name in self.folders)]
        for place in places:
            if not self._missing(place):
                return place
        if not fetch:
            raise MissingFileError(self._absent(places))
        for file in self._missing(places[0]):
            download(
                [mirror + file.name for mirror in self.mirrors],
                places[0] / file.name,
                sha256=file.sha256,
                size=file.size,
                progress=progress,
            )
        return places[0]

    def _missing(self, place: Path) -> list[_File]:
        def is_there(file: _File) -> bool:
            return any((place / name).is_file() for name in (file.name, file.other) if name)

        return [file for file in self.files if not is_there(file)]

    def _absent(self, places: Sequence[Path]) -> str:
        size = sum(file.size for file in self.files)
        host = urlsplit(self.mirrors[0]).hostname
        return (
            f"{self.name}: {', '.join(file.name for file in self.files)} must lie in {places[0]} "
            f"(looked for in {', '.join(map(str, places))}); pass download=True to fetch "
            f"{size / 1e6:.1f} MB from {host}, or put them there by hand from {self.mirrors[0]}"
        )


def _idx(*files: tuple[int, str]) -> tuple[_File, ...]:
    return tuple(
        _File(f"{name}-ubyte.gz", size, sha256, f"{name}-ubyte")
        for name, (size, sha256) in zip(_IDX, files, strict=True)
    )


_MNIST = _Published(
    "mnist",
    (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    _idx(
        (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    ("mnist", "MNIST/raw"),
)
_FASHION_MNIST = _Published(
    "fashion_mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    _idx(
        (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
    ("fashion-mnist", "FashionMNIST/raw"),
)
_CIFAR_10 = _Published(
    "cifar10",
    ("https://www.cs.toronto.edu/~kriz/",),
    (
        _File(
            "cifar-10-binary.tar.gz",
            170052171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
)
_CIFAR_100 = _Published(
    "cifar100",
    ("https://www.cs.toronto.edu/~kriz/",),
    (
        _File(
            "cifar-100-binary.tar.gz",
            168513733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
    ),
)
_TINY_SHAKESPEARE = _Published(
    "tiny_shakespeare",
    ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",),
    (
        _File(
            "input.txt",
            1115394,
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
    ),
    ("tinyshakespeare",),
)
_WNUT_17 = _Published(
    "wnut17",
    ("https://raw.githubusercontent.com/leondz/emerging_entities_17/master/",),
    (
        _File(
            "wnut17train.conll",
            493781,
            "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
        ),
        _File(
            "emerging.dev.conll",
            114749,
            "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
        ),
        _File(
            "emerging.test.annotated",
            192425,
            "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
        ),
    ),
    ("wnut17",),
)
PUBLISHED = (_MNIST, _FASHION_MNIST, _CIFAR_10, _CIFAR_100, _TINY_SHAKESPEARE, _WNUT_17)

Root = str | os.PathLike[str]


def published_folder(name: str, root: Root, fetch: bool, *, into: Root | None = None) -> Path:
    """The folder with all files of a data set, in `root` or, if they are fetched, `into`."""
    (found,) = (published for published in PUBLISHED if published.name == name)
    try:
        return found.folder(root, False, False)
    except MissingFileError:
        if not fetch:
            raise
    return found.folder(root if into is None else into, True, False)


Parts = tuple[TensorDataset, TensorDataset]


def mnist(root: Root, *, download: bool = False, progress: bool | Progress = False) -> Parts:
    """MNIST's 60,000 training and 10,000 test images of handwritten digits.

    x: float32 in [0, 1], (N, 1, 28, 28);  y: int64 in 0 … 9, (N,)

    The files are looked for in `root`, `root/mnist` and, where torchvision puts them,
    `root/MNIST/raw`. Without them: MissingFileError, unless `download` says to fetch them into
    `root` (11.6 MB), with `progress` as in `download`.

    Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits".
    """
    return _both(_MNIST.folder(root, download, progress))


def fashion_mnist(
    root: Root, *, download: bool = False, progress: bool | Progress = False
) -> Parts:
    """Fashion-MNIST's 60,000 training and 10,000 test images of garments, laid out as `mnist`.

    Looked for in `root`, `root/fashion-mnist` and `root/FashionMNIST/raw`; to fetch: 30.9 MB.

    Source: Xiao, Rasul & Vollgraf, arXiv:1708.07747.
    """
    return _both(_FASHION_MNIST.folder(root, download, progress))


def _both(folder: Path) -> Parts:
    return idx_folder(folder, "train"), idx_folder(folder, "t10k")


def cifar10(
    root: Root, *, scale: bool = True, download: bool = False, progress: bool | Progress = False
) -> Parts:
    """CIFAR-10's 50,000 training and 10,000 test photographs of ten things.

    x: float32 in [0, 1], (N, 3, 32, 32), or uint8 without `scale`;  y: int64 in 0 … 9, (N,)

    `root` holds `cifar-10-binary.tar.gz`, which is read as it is, or its files: see `cifar_folder`.
    Without them: MissingFileError, unless `download` says to fetch the archive (170 MB) into
    `root`. As float32 they take 737 MB of memory, as uint8 a quarter.

    Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    return _cifar(_CIFAR_10, 1, root, scale, download, progress)


def cifar100(
    root: Root, *, scale: bool = True, download: bool = False, progress: bool | Progress = False
) -> Parts:
    """CIFAR-100's 50,000 training and 10,000 test photographs of a hundred things, as `cifar10`.

    y are the fine labels, 0 … 99. The archive, `cifar-100-binary.tar.gz`, has 169 MB.
    """
    return _cifar(_CIFAR_100, 2, root, scale, download, progress)


def _cifar(
    published: _Published,
    labels: int,
    root: Root,
    scale: bool,
    fetch: bool,
    progress: bool | Progress,
) -> Parts:
    source = Path(root)
    if not records_in(source, "train", labels) and not source.is_file():
        source = published.folder(root, fetch, progress) / published.files[0].name
    train, test = cifar_parts(source, ("train", "test"), labels, scale)
    return train, test


def tiny_shakespeare(
    root: Root, *, download: bool = False, progress: bool | Progress = False
) -> Path:
    """The path of Tiny Shakespeare, 1,115,394 characters of plays in one text file.

    Looked for as `input.txt` in `root` and `root/tinyshakespeare`; without it: MissingFileError,
    unless `download` says to fetch it (1.1 MB) into `root`.

    Source: Karpathy, char-rnn, data/tinyshakespeare.
    """
    return _TINY_SHAKESPEARE.folder(root, download, progress) / "input.txt"


def wnut17(
    root: Root, *, download: bool = False, progress: bool | Progress = False
) -> dict[str, Path]:
    """The paths of WNUT-17's texts with named entities: "train", "dev" and "test".

    Looked for in `root` and `root/wnut17`; without them: MissingFileError, unless `download` says
    to fetch them (0.8 MB) into `root`.

    Source: Derczynski et al., "Results of the WNUT2017 shared task", W-NUT 2017.
    """
    folder = _WNUT_17.folder(root, download, progress)
    names = (file.name for file in _WNUT_17.files)
    return dict(zip(("train", "dev", "test"), (folder / name for name in names), strict=True))


__all__ = [
    "PUBLISHED",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "mnist",
    "tiny_shakespeare",
    "wnut17",
]
