"""`torchvision.models`: the networks of `backlit.models.images`, without their trained weights."""

from __future__ import annotations

import fnmatch
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from ..calls import explain
from ..errors import ArgumentError, SpellingError
from ..models import create_feature_extractor, images
from ..models.catalogue import require_no_weights
from ..models.images import (
    VGG,
    AlexNet,
    DenseNet,
    GoogLeNet,
    GoogLeNetOutputs,
    MobileNetV2,
    ResNet,
    SqueezeNet,
    VisionTransformer,
)
from ..models.images.resnet import BasicBlock, Bottleneck
from ..nn.module import Module
from ..torch.mirror import mirrored as _mirrored
from ..torch.missing_vision import MISSING_VISION as _MISSING

#: The functions that torchvision has under the same names.
_FUNCTIONS = """
alexnet densenet121 densenet161 densenet169 densenet201 googlenet mobilenet_v2 resnet18 resnet34
resnet50 resnet101 resnet152 resnext50_32x4d squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn vgg13
vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32
wide_resnet50_2
""".split()


def _as_there(make: Callable[..., Module]) -> Callable[..., Module]:
    """A network's function with torchvision's arguments, also those of its older versions."""
    name = make.__name__

    @functools.wraps(make)
    def made(
        pretrained: bool | None = None,
        progress: bool = True,
        *,
        weights: None = None,
        init_weights: bool | None = None,
        **options: Any,
    ) -> Module:
        require_no_weights(name, "pretrained=True" if pretrained else weights)
        if init_weights is False:
            raise ArgumentError(
                f"{name}: init_weights must be True, got False; leave it out, weights that are "
                "loaded take the place of the first ones"
            )
        return make(**options)

    made.__signature__ = inspect.signature(make)  # type: ignore[attr-defined]
    return made


globals().update({name: _as_there(getattr(images, name)) for name in _FUNCTIONS})


class _Weights:
    """What stands for an enumeration of trained weights, of which there are none."""

    def __init__(self, name: str, function: str):
        self._name, self._function = name, function

    def _error(self, what: str) -> SpellingError:
        return SpellingError(
            f"torchvision.models.{self._name}{what}: not in Backlit, with which no weights come; "
            f"load a file: backlit.models.load_weights(models.{self._function}(), 'weights.pth')"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._error(f".{name}")

    def __getitem__(self, name: str) -> Any:
        raise self._error(f"[{name!r}]")

    def __call__(self, value: Any) -> Any:
        """Nothing: the error says what to do instead."""
        raise self._error(f"({value!r:.40})")

    def __iter__(self) -> Any:
        raise self._error("")


def list_models(module: Any = None, include: Any = None, exclude: Any = None) -> list[str]:
    """The names of the functions that make networks, all or those of a module."""

    def matches(name: str, patterns: Any) -> bool:
        several = [patterns] if isinstance(patterns, str) else patterns
        return any(fnmatch.fnmatch(name, pattern) for pattern in several)

    found = [n for n in sorted(_FUNCTIONS) if include is None or matches(n, include)]
    if module is not None:
        found = [n for n in found if hasattr(module, n)]
    return [n for n in found if exclude is None or not matches(n, exclude)]


def get_model_builder(name: str) -> Callable[..., Module]:
    """The function of a name, in capitals or not."""
    found: Callable[..., Module] | None = globals().get(name.lower())
    if name.lower() not in _FUNCTIONS or found is None:
        raise ArgumentError(
            f"get_model: name must be one of {', '.join(sorted(_FUNCTIONS))}, got {name!r}"
        )
    return found


def get_model(name: str, **config: Any) -> Module:
    """The network of a name, with the arguments of its function."""
    return get_model_builder(name)(**config)


#: torchvision's files, which have what is here.
resnet = vgg = densenet = mobilenet = mobilenetv2 = squeezenet = sys.modules[__name__]
vision_transformer = resnet


def _plain(name: str) -> str:
    return name.removesuffix("_Weights").replace("_", "").lower()


_own = _mirrored("torchvision.models")
#: The functions, also those that are missing, by the names of enumerations of their weights.
_KNOWN = {
    _plain(name): name
    for full in (*_MISSING, *(f"torchvision.models.{name}" for name in _FUNCTIONS))
    for room, _, name in (full.rpartition("."),)
    if room == "torchvision.models" and name.islower()
}


def __getattr__(name: str) -> Any:
    function = _KNOWN.get(_plain(name)) if name.endswith("_Weights") else None
    return _Weights(name, function) if function in _FUNCTIONS else _own(function or name)


explain(__name__, list(globals()))
