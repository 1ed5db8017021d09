"""torchvision's names for Backlit: `import backlit.torchvision as torchvision`.

As in `backlit.torch`, what stands behind a name is Backlit's: `datasets` are files read by
`backlit.data`, `transforms` those of `backlit.data.transforms`, `models` and `ops` stand in
`backlit.models`; `io` and `utils` read and write pictures by Pillow. A name that is not there says
what to do instead (`torch/missing_vision.py`).
"""

from __future__ import annotations

from ..torch import version as _version
from ..torch.mirror import mirrored as _mirrored
from . import datasets, io, models, ops, transforms, utils

__version__ = f"0.29.1+backlit{_version.backlit}"


def get_image_backend() -> str:
    """ "PIL": pictures are read by Pillow."""
    return "PIL"


def set_image_backend(backend: str) -> None:
    """Nothing for "PIL"; ArgumentError for others."""
    utils.require("set_image_backend", backend == "PIL", f"backend must be 'PIL', got {backend!r}")


def disable_beta_transforms_warning() -> None:
    """Nothing: there is no such warning."""


__getattr__ = _mirrored("torchvision")
