"""Networks to train, compare and learn from, and the weights of others for them.

- `images/`, `sequences/` (one module a family), `detection/`, `generative` and `perceptrons` are
  networks;
- `catalogue` lists them by name, with what they take and cost;
- `weights` reads weights from files and puts them under the names of a network;
- `transfer` is a network for another task: frozen parts, a new head, features.

Each name of the catalogue is a function here, too: `models.lenet()` is `models.create("lenet")`.
"""

from collections.abc import Callable
from typing import Any

from ..calls import explain as _explain
from . import detection, generative, images, sequences
from .catalogue import Network, about, create, names
from .detection import TinyYOLO
from .generative import *
from .images import *
from .perceptrons import linear_regression, mlp, playground, softmax_regression, two_layer
from .sequences import *
from .transfer import create_feature_extractor, freeze, replace_head, unfreeze
from .weights import Loaded, load_weights, read_weights

__all__ = [
    *generative.__all__,
    *images.__all__,
    *sequences.__all__,
    "Loaded",
    "Network",
    "TinyYOLO",
    "about",
    "create",
    "create_feature_extractor",
    "detection",
    "freeze",
    "linear_regression",
    "load_weights",
    "mlp",
    "names",
    "playground",
    "read_weights",
    "replace_head",
    "softmax_regression",
    "two_layer",
    "unfreeze",
]

_explain(__name__, __all__)


def __getattr__(name: str) -> Callable[..., Any]:
    if name in names():
        return about(name).make
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *names()})
